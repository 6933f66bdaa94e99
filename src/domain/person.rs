//! People of a server: what they may do, and how they want to be spoken to.

/// What somebody may do with the server itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PersonRole {
    /// Sees and changes the settings of the server, and invites others.
    Admin,
    Member,
}

impl PersonRole {
    pub fn as_str(self) -> &'static str {
        match self {
            PersonRole::Admin => "admin",
            PersonRole::Member => "member",
        }
    }

    /// A role by its name.
    pub fn parse(name: &str) -> Option<Self> {
        [PersonRole::Admin, PersonRole::Member].into_iter().find(|role| role.as_str() == name)
    }
}

/// What a user prefers, as far as they said.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Preferences {
    /// The tag of a language; `None`: as the browser asks.
    pub language: Option<String>,
    /// An IANA time zone; `None`: as the browser has it.
    pub zone: Option<String>,
}
