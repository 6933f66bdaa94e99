//! Who is signed in to the workbench. Codes and keys come as hashes, so a copy of the database opens no session.

use jiff::Timestamp;

use super::people::join;
use super::removal::{is_removed, let_in_again};
use super::writer::SqlTx;
use super::{Store, StoreError, StoreResult};
use crate::domain::browser::{BrowserName, BrowserSystem, SignInBrowser};
use crate::domain::ids::UserId;
use crate::domain::person::PersonRole;
use crate::domain::time;
use crate::store::db::{self, Db, OptionalExtension, Row, params};

/// What the store keeps of a secret.
pub type SecretHash = [u8; 32];

/// What a sign-in link is worth.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SignInLink {
    /// It opens a session, of this user or of one who is yet to be chosen.
    Opens {
        user: Option<UserId>,
    },
    Used,
    Unknown,
}

/// A browser that is signed in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// Names the session; it opens nothing.
    pub id: String,
    /// `None` until a user was chosen.
    pub user: Option<UserId>,
    /// The thumbprint of the key by which it was made.
    pub signing_key: String,
    pub created_at: Timestamp,
    pub expires_at: Timestamp,
    /// Where it was begun.
    pub browser: SignInBrowser,
}

/// A session that begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewSession {
    pub key: SecretHash,
    /// The thumbprint of the key by which it is made.
    pub signing_key: String,
    pub expires_at: Timestamp,
    pub browser: SignInBrowser,
}

/// Which sessions are to end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WhichSessions {
    All,
    OfUser(UserId),
    /// The one of this id.
    Id(String),
}

const SESSIONS: &str = "SELECT hex(key_hash), user_id, signing_key, created_at, expires_at, browser, system FROM sessions";

/// How long a session lasts, and how long a link may be used.
pub const SESSION_HOURS: i64 = 30 * 24;
pub const LINK_HOURS: i64 = 24;
/// An end that lies further ahead than a whole life and this comes from a clock that was wrong, and does not count: a clock
/// that was years ahead for a moment opens nothing, now or then. The next sign-in removes it.
const SLACK_HOURS: i64 = 24;

/// The fact that somebody signed in at least once.
const SIGNED_IN: &str = "signed in";

impl Store {
    /// Keeps a link that works once, until `expires_at`. Whom it names may come again who was removed.
    ///
    /// # Errors
    /// While its user is being removed, or when the database cannot be written.
    pub async fn add_link(&self, code: SecretHash, user: Option<UserId>, signing_key: String, expires_at: Timestamp) -> StoreResult<()> {
        self.write(move |tx| {
            let now = time::to_micros(tx.now());
            if let Some(user) = &user {
                let_in(tx, user)?;
            }
            tx.sql(|c| {
                let (_, last) = ends(now, LINK_HOURS);
                c.execute("DELETE FROM sign_in_links WHERE expires_at <= ?1 OR expires_at > ?2", [now, last])?;
                let insert = "INSERT INTO sign_in_links (code_hash, user_id, expires_at, signing_key) VALUES (?1, ?2, ?3, ?4)";
                c.execute(insert, params![code, user, time::to_micros(expires_at), signing_key]).map(drop)
            })
        })
        .await
    }

    /// What a link that was made by a key is worth, without using it up.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn link(&self, code: SecretHash, signing_key: String, now: Timestamp) -> StoreResult<SignInLink> {
        self.read(move |c| find(c, code, &signing_key, time::to_micros(now))).await
    }

    /// Uses a link up and opens a session, in one transaction.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub async fn use_link(&self, code: SecretHash, opened: NewSession) -> StoreResult<SignInLink> {
        self.write(move |tx| {
            let now = time::to_micros(tx.now());
            tx.sql(|c| {
                let link = find(c, code, &opened.signing_key, now)?;
                if let SignInLink::Opens { user } = &link {
                    c.execute("UPDATE sign_in_links SET used = 1 WHERE code_hash = ?1", [code])?;
                    // Only the operator makes links.
                    open(c, user.as_ref().map(|user| (user, PersonRole::Admin)), &opened, now)?;
                }
                Ok(link)
            })
        })
        .await
    }

    /// Opens a session of a user, by a token of a signing key; whoever is the first on this server gets the role `first`.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub async fn open_session(&self, (user, first): (UserId, PersonRole), opened: NewSession) -> StoreResult<()> {
        self.write(move |tx| {
            let now = time::to_micros(tx.now());
            if tx.sql(|c| is_removed(c, user.as_str()))? {
                return Err(removed(&user));
            }
            tx.sql(|c| open(c, Some((&user, first)), &opened, now))
        })
        .await
    }

    /// Gives a session that has none its user; `false` where there is no such session.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub async fn choose_user(&self, key: SecretHash, user: UserId) -> StoreResult<bool> {
        let update = "UPDATE sessions SET user_id = ?2 WHERE key_hash = ?1 AND user_id IS NULL";
        self.write(move |tx| {
            let now = time::to_micros(tx.now());
            let_in(tx, &user)?;
            tx.sql(|c| {
                let chosen = c.execute(update, params![key, user])? == 1;
                if chosen {
                    // Only the operator's own link leaves the choice of the user.
                    join(c, &user, PersonRole::Admin, now)?;
                }
                Ok(chosen)
            })
        })
        .await
    }

    /// A session that has not expired; whether its signing key is still good is for the caller to say.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn session(&self, key: SecretHash, now: Timestamp) -> StoreResult<Option<Session>> {
        let query = format!("{SESSIONS} WHERE key_hash = ?1 AND expires_at > ?2 AND expires_at <= ?3");
        let (now, last) = ends(time::to_micros(now), SESSION_HOURS);
        self.read(move |c| c.prepare_cached(&query)?.query_row(params![key, now, last], session).optional()).await
    }

    /// All sessions that have not expired, or those of one user, the newest first, at most `limit`.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn sessions(&self, user: Option<UserId>, now: Timestamp, limit: u32) -> StoreResult<Vec<Session>> {
        let of_user = if user.is_some() { "user_id = ?3" } else { "CAST(?3 AS TEXT) IS NULL" };
        let query =
            format!("{SESSIONS} WHERE expires_at > ?1 AND expires_at <= ?2 AND {of_user} ORDER BY created_at DESC, key_hash LIMIT ?4");
        let (now, last) = ends(time::to_micros(now), SESSION_HOURS);
        self.read(move |c| c.prepare_cached(&query)?.query_map(params![now, last, user, limit], session)?.collect()).await
    }

    /// Ends sessions, and takes back the links of the same users that nobody used yet. Answers how many sessions ended.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub async fn end_sessions(&self, which: WhichSessions) -> StoreResult<usize> {
        self.write(move |tx| {
            tx.sql(|c| match &which {
                WhichSessions::All => {
                    c.execute("DELETE FROM sign_in_links WHERE used = 0", params![])?;
                    c.execute("DELETE FROM sessions", params![])
                }
                WhichSessions::OfUser(user) => {
                    c.execute("DELETE FROM sign_in_links WHERE used = 0 AND user_id = ?1", [user])?;
                    c.execute("DELETE FROM sessions WHERE user_id = ?1", [user])
                }
                WhichSessions::Id(id) => c.execute("DELETE FROM sessions WHERE lower(hex(key_hash)) = lower(?1)", [id]),
            })
        })
        .await
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

fn let_in(tx: &SqlTx<'_>, user: &UserId) -> StoreResult<()> {
    if tx.sql(|c| let_in_again(c, user))? { Ok(()) } else { Err(removed(user)) }
}

fn removed(user: &UserId) -> StoreError {
    StoreError::Removed { user: user.to_string() }
}

/// Between which ends something lasts at a time, in microseconds.
fn ends(now: i64, hours: i64) -> (i64, i64) {
    const MICROS_OF_HOUR: i64 = 3_600_000_000;
    (now, now.saturating_add(hours.saturating_add(SLACK_HOURS).saturating_mul(MICROS_OF_HOUR)))
}

fn find(c: &Db<'_>, code: SecretHash, signing_key: &str, now: i64) -> db::Result<SignInLink> {
    let query = "SELECT user_id, used FROM sign_in_links \
                 WHERE code_hash = ?1 AND expires_at > ?2 AND expires_at <= ?3 AND signing_key = ?4";
    let (now, last) = ends(now, LINK_HOURS);
    let found =
        c.query_row(query, params![code, now, last, signing_key], |row| Ok((row.get::<_, Option<UserId>>(0)?, row.get::<_, bool>(1)?)));
    Ok(match found.optional()? {
        None => SignInLink::Unknown,
        Some((_, true)) => SignInLink::Used,
        Some((user, false)) => SignInLink::Opens { user },
    })
}

fn open(c: &Db<'_>, user: Option<(&UserId, PersonRole)>, opened: &NewSession, now: i64) -> db::Result<()> {
    let (_, last) = ends(now, SESSION_HOURS);
    c.execute("DELETE FROM sessions WHERE expires_at <= ?1 OR expires_at > ?2", [now, last])?;
    let is_first = c.execute("INSERT INTO facts (name, value) VALUES (?1, '1') ON CONFLICT (name) DO NOTHING", [SIGNED_IN])? == 1;
    if let Some((user, first)) = user {
        join(c, user, if is_first { first } else { PersonRole::Member }, now)?;
    }
    let user = user.map(|(user, _)| user);
    let insert = "INSERT INTO sessions (key_hash, user_id, signing_key, created_at, expires_at, browser, system) \
                  VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
    let (name, system) = (opened.browser.name.map_or("", BrowserName::as_str), opened.browser.system.map_or("", BrowserSystem::as_str));
    c.execute(insert, params![opened.key, user, opened.signing_key, now, time::to_micros(opened.expires_at), name, system]).map(drop)
}

fn session(row: &Row<'_>) -> db::Result<Session> {
    let id: String = row.get(0)?;
    Ok(Session {
        id: id.to_ascii_lowercase(),
        user: row.get(1)?,
        signing_key: row.get(2)?,
        created_at: time::from_micros(row.get(3)?),
        expires_at: time::from_micros(row.get(4)?),
        browser: SignInBrowser {
            name: BrowserName::parse(&row.get::<_, String>(5)?),
            system: BrowserSystem::parse(&row.get::<_, String>(6)?),
        },
    })
}
