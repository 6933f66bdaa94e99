//! What a change does to its record (docs/design.md, section 2).

use serde::{Deserialize, Serialize};

/// What a change does to its record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Op {
    Insert,
    Update,
    Delete,
}

impl Op {
    /// The name on the wire and in the log.
    pub fn as_str(self) -> &'static str {
        match self {
            Op::Insert => "insert",
            Op::Update => "update",
            Op::Delete => "delete",
        }
    }

    /// Reads the name; anything else is `None`.
    pub fn parse(name: &str) -> Option<Self> {
        [Op::Insert, Op::Update, Op::Delete].into_iter().find(|op| op.as_str() == name)
    }
}
