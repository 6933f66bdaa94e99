//! Who uses this server: invitations, roles, sessions, tokens and preferences (docs/design.md, sections 9 and 12).

use jiff::SignedDuration;
use tokio::time::Duration;

use super::sign_in::link_of;
use super::{App, AppError, PeopleRefusal, WrongValue};
use crate::domain::cadence::BadCadence;
use crate::domain::ids::UserId;
use crate::domain::language::Language;
use crate::domain::person::{PersonRole, Preferences};
use crate::domain::zone;
use crate::store::{Person, RemovalStart, RoleChange, Session, StoreResult, WhichSessions};

/// People and sessions that are listed.
const LISTED: u32 = 200;
/// Days that a token made on a page may last at most.
const TOKEN_DAYS: i64 = 365;
/// How often somebody looks for removals that another process began.
const LOOK: Duration = Duration::from_secs(30);

impl App {
    /// Whether somebody may administer the server.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn is_admin(&self, user: &UserId) -> StoreResult<bool> {
        Ok(self.store.person(user).await?.is_some_and(|person| person.role == PersonRole::Admin))
    }

    /// Refuses who may not administer the server.
    pub(super) async fn as_admin(&self, user: &UserId) -> Result<(), AppError> {
        if self.is_admin(user).await? { Ok(()) } else { Err(AppError::People(PeopleRefusal::NotAdmin)) }
    }

    /// Those who use the server.
    ///
    /// # Errors
    /// Where an administrator is needed, or the database cannot be read.
    pub async fn people(&self, who: &UserId) -> Result<Vec<Person>, AppError> {
        self.as_admin(who).await?;
        Ok(self.store.people(LISTED).await?)
    }

    /// Those who have data here, and never signed in nor were invited.
    ///
    /// # Errors
    /// Where an administrator is needed, or the database cannot be read.
    pub async fn strangers(&self, who: &UserId) -> Result<Vec<UserId>, AppError> {
        self.as_admin(who).await?;
        Ok(self.store.strangers(LISTED).await?)
    }

    /// Invites somebody who is new here, and answers the path of a link that signs them in once.
    ///
    /// # Errors
    /// Where an administrator is needed, the name is none or taken, or there are no links here.
    pub async fn invite(&self, who: &UserId, name: &str, role: PersonRole) -> Result<String, AppError> {
        self.as_admin(who).await?;
        let name = name.trim();
        if name.is_empty() || name.chars().count() > 200 || name.chars().any(char::is_control) {
            return Err(WrongValue::Name.into());
        }
        let user = UserId::from(name);
        if !self.store.invite(&user, role).await? {
            return Err(AppError::People(PeopleRefusal::Taken));
        }
        self.link_for(&user).await
    }

    /// Another link for somebody who was invited and never signed in.
    ///
    /// # Errors
    /// Where an administrator is needed, or there is no such invitation.
    pub async fn invite_again(&self, who: &UserId, user: &UserId) -> Result<String, AppError> {
        self.as_admin(who).await?;
        match self.store.person(user).await? {
            Some(person) if person.joined_at.is_none() => self.link_for(user).await,
            _ => Err(AppError::NotFound),
        }
    }

    async fn link_for(&self, user: &UserId) -> Result<String, AppError> {
        let key = self.users.local_key().ok_or(AppError::NotFound)?.to_owned();
        Ok(link_of(&self.store, Some(user.clone()), key, self.now()).await?)
    }

    /// Takes an invitation back that nobody accepted.
    ///
    /// # Errors
    /// Where an administrator is needed, or there is no such invitation.
    pub async fn uninvite(&self, who: &UserId, user: &UserId) -> Result<(), AppError> {
        self.as_admin(who).await?;
        if self.store.uninvite(user).await? { Ok(()) } else { Err(AppError::NotFound) }
    }

    /// Gives somebody a role.
    ///
    /// # Errors
    /// Where an administrator is needed, there is no such person, or nobody else may administer the server.
    pub async fn set_role(&self, who: &UserId, user: &UserId, role: PersonRole) -> Result<(), AppError> {
        self.as_admin(who).await?;
        match self.store.set_role(user, role).await? {
            RoleChange::Changed => Ok(()),
            RoleChange::NoPerson => Err(AppError::NotFound),
            RoleChange::LastAdmin => Err(AppError::People(PeopleRefusal::LastAdmin)),
        }
    }

    /// Whether somebody is there who can be removed.
    ///
    /// # Errors
    /// Where an administrator is needed, or the database cannot be read.
    pub async fn is_somebody(&self, who: &UserId, user: &UserId) -> Result<bool, AppError> {
        self.as_admin(who).await?;
        Ok(self.store.person(user).await?.is_some() || self.store.strangers(LISTED).await?.contains(user))
    }

    /// People whose removal is under way.
    ///
    /// # Errors
    /// Where an administrator is needed, or the database cannot be read.
    pub async fn removals(&self, who: &UserId) -> Result<Vec<UserId>, AppError> {
        self.as_admin(who).await?;
        Ok(self.store.removals(LISTED).await?)
    }

    /// Begins to remove somebody with everything, whose id was typed; [`App::follow_removals`] goes on.
    ///
    /// # Errors
    /// Where an administrator is needed, the id was not typed, there is no such person, or nobody else administers the server.
    pub async fn remove_person(&self, who: &UserId, user: &UserId, typed: &str) -> Result<(), AppError> {
        self.as_admin(who).await?;
        if typed.trim() != user.as_str().trim() {
            return Err(AppError::People(PeopleRefusal::Unconfirmed));
        }
        match self.store.begin_removal(user).await? {
            RemovalStart::Begun => {
                tracing::info!(user = user.as_str(), by = who.as_str(), "a person is being removed with everything");
                self.removing.notify_one();
                Ok(())
            }
            RemovalStart::NoPerson => Err(AppError::NotFound),
            RemovalStart::LastAdmin => Err(AppError::People(PeopleRefusal::LastAdmin)),
        }
    }

    /// Ends the removals that are under way, one batch after the other, until the app stops. What a process left goes on here.
    pub async fn follow_removals(&self) {
        let mut stopping = self.stopping.subscribe();
        while !*stopping.borrow_and_update() {
            let went = self.remove_some().await.unwrap_or_else(|error| {
                tracing::error!(%error, "a person cannot be removed now; the next look tries again");
                false
            });
            if went {
                continue;
            }
            tokio::select! {
                () = self.removing.notified() => {}
                _ = stopping.changed() => {}
                () = tokio::time::sleep(LOOK) => {}
            }
        }
    }

    /// Removes a batch of whoever is being removed; `false` where nobody is.
    async fn remove_some(&self) -> StoreResult<bool> {
        let Some(user) = self.store.removals(1).await?.pop() else { return Ok(false) };
        if self.store.remove_batch(&user).await?.done {
            tracing::info!(user = user.as_str(), "a person was removed with everything");
        }
        Ok(true)
    }

    /// Ends all sessions of somebody.
    ///
    /// # Errors
    /// Where an administrator is needed, or the database cannot be written.
    pub async fn sign_out_everywhere(&self, who: &UserId, user: &UserId) -> Result<usize, AppError> {
        self.as_admin(who).await?;
        Ok(self.store.end_sessions(WhichSessions::OfUser(user.clone())).await?)
    }

    /// The browsers in which a user is signed in, the newest first.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn sessions_of(&self, user: &UserId) -> StoreResult<Vec<Session>> {
        self.store.sessions(Some(user.clone()), self.now(), LISTED).await
    }

    /// Ends one session of a user.
    ///
    /// # Errors
    /// Where the user has no such session, or the database cannot be written.
    pub async fn end_session_of(&self, user: &UserId, id: &str) -> Result<(), AppError> {
        if !self.sessions_of(user).await?.iter().any(|session| session.id == id) {
            return Err(AppError::NotFound);
        }
        self.store.end_sessions(WhichSessions::Id(id.to_owned())).await?;
        Ok(())
    }

    /// A token with which a client of a user may call this server; it is not kept.
    ///
    /// # Errors
    /// Where tokens come from an identity provider, or the days are too many.
    pub fn make_token(&self, user: &UserId, days: i64) -> Result<String, AppError> {
        if !(1..=TOKEN_DAYS).contains(&days) {
            return Err(WrongValue::TokenDays { most: TOKEN_DAYS }.into());
        }
        let token = self.users.issue(user, self.now(), SignedDuration::from_hours(24 * days));
        token.ok_or(AppError::NotFound)
    }

    /// What a user prefers.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn preferences(&self, user: &UserId) -> StoreResult<Preferences> {
        self.store.preferences(user).await
    }

    /// Keeps what a user prefers; empty texts are no preferences.
    ///
    /// # Errors
    /// A language or a zone that nobody knows, or the database cannot be written.
    pub async fn set_preferences(&self, user: &UserId, language: &str, zone: &str) -> Result<(), AppError> {
        let some = |text: &str| Some(text.trim().to_owned()).filter(|text| !text.is_empty());
        let preferences = Preferences { language: some(language), zone: some(zone) };
        if preferences.language.as_deref().is_some_and(|tag| Language::parse(tag).is_none()) {
            return Err(WrongValue::Language.into());
        }
        if let Some(name) = preferences.zone.as_deref().filter(|name| zone::find(name).is_none()) {
            let name: String = name.chars().take(80).collect();
            let suggestion = zone::suggest(&name);
            return Err(WrongValue::Zone(BadCadence::Zone { name, suggestion }).into());
        }
        Ok(self.store.set_preferences(user, preferences).await?)
    }
}
