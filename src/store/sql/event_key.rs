//! The key of the event ids that are made from what a change says. Without a key, whoever knows what somebody else will write
//! could take the id before.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use zeroize::Zeroizing;

use super::{Store, StoreError, StoreResult};
use crate::store::db::params;

/// The name of the fact. It stays in the file of the database, and so in its copies, where a repeated push is to be known
/// again; an export does not have it.
const FACT: &str = "event id key";

/// 32 random bytes.
pub type EventKey = Zeroizing<[u8; 32]>;

impl Store {
    /// The key of this database, made when it is first asked for.
    ///
    /// # Errors
    /// When the database cannot be read or written, or holds something else in its place.
    pub async fn event_key(&self) -> StoreResult<EventKey> {
        if let Some(key) = self.shared.event_key.get() {
            return Ok(key.clone());
        }
        let stored = match self.fact(FACT).await? {
            Some(stored) => stored,
            None => self.make_event_key().await?,
        };
        let stored = Zeroizing::new(stored);
        let unreadable =
            |reason: String| StoreError::Unreadable { path: self.path().to_owned(), what: format!("the fact \"{FACT}\""), reason };
        let bytes = Zeroizing::new(BASE64_STANDARD.decode(stored.as_bytes()).map_err(|error| unreadable(error.to_string()))?);
        let key: [u8; 32] = bytes.as_slice().try_into().map_err(|_| unreadable(format!("it has {} bytes", bytes.len())))?;
        Ok(self.shared.event_key.get_or_init(|| Zeroizing::new(key)).clone())
    }

    async fn make_event_key(&self) -> StoreResult<String> {
        let fresh = Zeroizing::new(BASE64_STANDARD.encode(rand::random::<[u8; 32]>()));
        self.write(move |tx| {
            tx.sql(|c| {
                // Another process may be first.
                c.execute("INSERT INTO facts (name, value) VALUES (?1, ?2) ON CONFLICT (name) DO NOTHING", params![FACT, *fresh])?;
                c.query_row("SELECT value FROM facts WHERE name = ?1", [FACT], |row| row.get(0))
            })
        })
        .await
    }
}
