//! Links, sessions, and whose they are (docs/design.md, section 9).

use jiff::{SignedDuration, Timestamp};

use super::App;
use crate::auth::secret::{hash, new_secret};
use crate::auth::{Claims, LocalKey};
use crate::domain::browser::SignInBrowser;
use crate::domain::ids::UserId;
use crate::domain::person::PersonRole;
use crate::store::{LINK_HOURS, NewSession, SESSION_HOURS, Session, SignInLink, Store, StoreResult};

/// Users that are offered to choose from.
const USERS_OFFERED: u32 = 50;

/// Makes the path of a link that signs in once, as `user` or as whom the visitor chooses.
///
/// # Errors
/// When the database cannot be written.
pub(super) async fn new_link(store: &Store, user: Option<UserId>, key: &LocalKey, now: Timestamp) -> StoreResult<String> {
    link_of(store, user, key.thumbprint().to_owned(), now).await
}

/// The same with a key that is told by its thumbprint.
pub(super) async fn link_of(store: &Store, user: Option<UserId>, key: String, now: Timestamp) -> StoreResult<String> {
    let code = new_secret();
    store.add_link(hash(&code), user, key, after_hours(now, LINK_HOURS)).await?;
    Ok(format!("/link?code={code}"))
}

fn after_hours(now: Timestamp, hours: i64) -> Timestamp {
    now.checked_add(SignedDuration::from_hours(hours)).unwrap_or(Timestamp::MAX)
}

impl App {
    /// What a link opens; it is not used up.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn link(&self, code: &str) -> StoreResult<SignInLink> {
        self.store.link(hash(code), self.signing_key(), self.now()).await
    }

    /// Uses a link up. Where it opens something, the answer is the key of a session that nobody had before.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub async fn redeem(&self, code: &str, browser: SignInBrowser) -> StoreResult<(SignInLink, String)> {
        let key = new_secret();
        let expires_at = after_hours(self.now(), SESSION_HOURS);
        let opened = NewSession { key: hash(&key), signing_key: self.signing_key(), expires_at, browser };
        let link = self.store.use_link(hash(code), opened).await?;
        Ok((link, key))
    }

    /// Opens a session for whom a token speaks, and answers its key. It never outlives the token.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub async fn open_session(&self, claims: Claims, browser: SignInBrowser) -> StoreResult<String> {
        let key = new_secret();
        let expires_at = after_hours(self.now(), SESSION_HOURS).min(claims.expires_at);
        // Tokens of our own key come from the operator. Those of an identity provider come from anybody whom it knows.
        let first = if self.users.local_key().is_some() { PersonRole::Admin } else { PersonRole::Member };
        let opened = NewSession { key: hash(&key), signing_key: claims.signing_key, expires_at, browser };
        self.store.open_session((claims.user, first), opened).await?;
        Ok(key)
    }

    /// The session of a key: one that has not expired, and whose signing key is in use still.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn session(&self, key: &str) -> StoreResult<Option<Session>> {
        match self.store.session(hash(key), self.now()).await? {
            Some(session) if self.users.has_key(&session.signing_key).await => Ok(Some(session)),
            _ => Ok(None),
        }
    }

    /// Users who have missions or agents here, as many as are offered.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn known_users(&self) -> StoreResult<Vec<UserId>> {
        self.refresh().await?;
        self.store.users(USERS_OFFERED).await
    }

    /// Gives a session that has none its user. A name that is known is taken as it is, another one trimmed; an empty one
    /// is no name, and answers `false`.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub async fn choose_user(&self, key: &str, name: &str) -> StoreResult<bool> {
        let is_known = self.store.users(USERS_OFFERED).await?.iter().any(|user| *user == name);
        let name = if is_known { name } else { name.trim() };
        if name.is_empty() {
            return Ok(false);
        }
        self.store.choose_user(hash(key), name.into()).await?;
        Ok(true)
    }

    /// # Errors
    /// When the database cannot be written.
    pub async fn end_session(&self, key: &str) -> StoreResult<()> {
        self.store.end_session(hash(key)).await
    }

    /// The key that signs links and sessions; an identity provider signs none.
    fn signing_key(&self) -> String {
        self.users.local_key().unwrap_or_default().to_owned()
    }
}
