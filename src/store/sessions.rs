//! Who is signed in to the workbench. Codes and keys come as hashes, so a copy of the database opens no session.

use jiff::Timestamp;
use rusqlite::{OptionalExtension, params};

use super::{Store, StoreResult};
use crate::domain::time;

/// What the store keeps of a secret.
pub type SecretHash = [u8; 32];

/// What a sign-in link is worth.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Link {
    /// It opens a session, of this user or of one who is yet to be chosen.
    Opens {
        user: Option<String>,
    },
    Used,
    Unknown,
}

/// The fact that somebody signed in at least once.
const SIGNED_IN: &str = "signed in";

impl Store {
    /// Keeps a link that works once, until `expires_at`.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub async fn add_link(&self, code: SecretHash, user: Option<String>, expires_at: Timestamp) -> StoreResult<()> {
        self.write(move |tx| {
            let now = time::to_micros(tx.now());
            tx.sql(|c| {
                c.execute("DELETE FROM sign_in_links WHERE expires_at <= ?1", [now])?;
                let insert = "INSERT INTO sign_in_links (code_hash, user_id, expires_at) VALUES (?1, ?2, ?3)";
                c.execute(insert, params![code, user, time::to_micros(expires_at)]).map(drop)
            })
        })
        .await
    }

    /// Uses a link up and opens a session with `key`, in one transaction.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub async fn use_link(&self, code: SecretHash, key: SecretHash, expires_at: Timestamp) -> StoreResult<Link> {
        self.write(move |tx| {
            let now = time::to_micros(tx.now());
            tx.sql(|c| {
                let find = "SELECT user_id, used FROM sign_in_links WHERE code_hash = ?1 AND expires_at > ?2";
                let found = c.query_row(find, params![code, now], |row| Ok((row.get::<_, Option<String>>(0)?, row.get::<_, bool>(1)?)));
                let Some((user, used)) = found.optional()? else { return Ok(Link::Unknown) };
                if used {
                    return Ok(Link::Used);
                }
                c.execute("UPDATE sign_in_links SET used = 1 WHERE code_hash = ?1", [code])?;
                open(c, key, user.as_deref(), now, expires_at)?;
                Ok(Link::Opens { user })
            })
        })
        .await
    }

    /// Opens a session of a user.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub async fn open_session(&self, key: SecretHash, user: String, expires_at: Timestamp) -> StoreResult<()> {
        self.write(move |tx| {
            let now = time::to_micros(tx.now());
            tx.sql(|c| open(c, key, Some(&user), now, expires_at))
        })
        .await
    }

    /// Gives a session that has none its user; `false` where there is no such session.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub async fn choose_user(&self, key: SecretHash, user: String) -> StoreResult<bool> {
        let update = "UPDATE sessions SET user_id = ?2 WHERE key_hash = ?1 AND user_id IS NULL";
        self.write(move |tx| tx.sql(|c| c.execute(update, params![key, user]).map(|n| n == 1))).await
    }

    /// The user of a session, `Some(None)` while none was chosen; `None` where there is no such session.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn session(&self, key: SecretHash, now: Timestamp) -> StoreResult<Option<Option<String>>> {
        let query = "SELECT user_id FROM sessions WHERE key_hash = ?1 AND expires_at > ?2";
        self.read(move |c| c.prepare_cached(query)?.query_row(params![key, time::to_micros(now)], |row| row.get(0)).optional()).await
    }

    /// Ends a session.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub async fn end_session(&self, key: SecretHash) -> StoreResult<()> {
        self.write(move |tx| tx.sql(|c| c.execute("DELETE FROM sessions WHERE key_hash = ?1", [key]).map(drop))).await
    }

    /// Whether anybody ever signed in.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn was_signed_in(&self) -> StoreResult<bool> {
        Ok(self.fact(SIGNED_IN).await?.is_some())
    }
}

fn open(c: &rusqlite::Connection, key: SecretHash, user: Option<&str>, now: i64, expires_at: Timestamp) -> rusqlite::Result<()> {
    c.execute("DELETE FROM sessions WHERE expires_at <= ?1", [now])?;
    c.execute("INSERT INTO facts (name, value) VALUES (?1, '1') ON CONFLICT (name) DO NOTHING", [SIGNED_IN])?;
    let insert = "INSERT INTO sessions (key_hash, user_id, expires_at) VALUES (?1, ?2, ?3)";
    c.execute(insert, params![key, user, time::to_micros(expires_at)]).map(drop)
}
