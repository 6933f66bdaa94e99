//! The keys of an identity provider: fetched when first needed, kept, and fetched again for a key id that is new.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use jsonwebtoken::Header;
use jsonwebtoken::jwk::Jwk;
use serde_json::Value;

use super::token::{TokenRefused, VerifyingKey};
use crate::web::{self, ClientError, root_cause};

const TIMEOUT: Duration = Duration::from_secs(5);
/// Bytes of an answer that are read.
const MAX_ANSWER: usize = 256 * 1024;
const MAX_KEYS: usize = 64;
/// Keys older than this are fetched again, behind the answer that uses them.
const FRESH_FOR: Duration = Duration::from_secs(600);
/// Keys older than this are asked for before they are used: one that was withdrawn must not live on because nobody came.
const STALE_AFTER: Duration = Duration::from_secs(3_600);
/// Anyone can send an unknown key id, so fetches are rationed: a few at once, then one in this time.
const ONE_FETCH_IN: Duration = Duration::from_secs(10);
const FETCHES_AT_ONCE: u32 = 5;

/// The address may hold a secret, so it is not told.
impl From<reqwest::Error> for JwksError {
    fn from(error: reqwest::Error) -> Self {
        JwksError::Http(error.without_url())
    }
}

/// Why the keys cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum JwksError {
    #[error("cannot ask for keys: {}", root_cause(.0))]
    Http(reqwest::Error),
    #[error("cannot ask for keys: {0}")]
    Client(#[from] ClientError),
    #[error("the answer has status {0}")]
    Status(u16),
    #[error("the answer is longer than 256 KB")]
    TooLong,
    #[error("the answer is no JSON Web Key Set with a key that is taken here (Ed25519, P-256 or RSA)")]
    NoKeys,
}

#[derive(Clone)]
pub(super) struct Remote {
    shared: Arc<SharedKeys>,
}

struct SharedKeys {
    url: reqwest::Url,
    client: reqwest::Client,
    known: Mutex<Known>,
    /// Held while fetching, so that those who wait share one answer.
    fetching: tokio::sync::Mutex<()>,
}

struct Known {
    keys: Arc<[VerifyingKey]>,
    fetched_at: Option<Instant>,
    /// Counts every fetch, so that a waiter sees that another was made.
    fetches: u64,
    last_failed: bool,
    left: u32,
    refilled_at: Instant,
}

impl Remote {
    pub fn new(url: reqwest::Url) -> Result<Self, JwksError> {
        let client = web::client(&url, |builder| builder.timeout(TIMEOUT))?;
        let known = Known {
            keys: Arc::from([]),
            fetched_at: None,
            fetches: 0,
            last_failed: false,
            left: FETCHES_AT_ONCE,
            refilled_at: Instant::now(),
        };
        let shared = SharedKeys { url, client, known: Mutex::new(known), fetching: tokio::sync::Mutex::default() };
        Ok(Remote { shared: Arc::new(shared) })
    }

    /// The keys that a token may have been signed with. Known ones serve at once, also while the provider is out.
    pub async fn keys_for(&self, header: &Header) -> Result<Arc<[VerifyingKey]>, TokenRefused> {
        let keys = self.keys_with(|key| key.fits(header)).await;
        match keys.iter().any(|key| key.fits(header)) {
            false if self.known().last_failed => Err(TokenRefused::Unavailable),
            _ => Ok(keys),
        }
    }

    /// Whether the provider has a key still, as far as is known.
    pub async fn has_key(&self, thumbprint: &str) -> bool {
        let is = |key: &VerifyingKey| key.thumbprint == thumbprint;
        self.keys_with(is).await.iter().any(is)
    }

    /// The known keys; they are fetched first where they are old or none of them is wanted.
    async fn keys_with(&self, wanted: impl Fn(&VerifyingKey) -> bool) -> Arc<[VerifyingKey]> {
        let (keys, age, seen) = {
            let known = self.known();
            (Arc::clone(&known.keys), known.fetched_at.map_or(Duration::MAX, |at| at.elapsed()), known.fetches)
        };
        if age < STALE_AFTER && keys.iter().any(wanted) {
            if age > FRESH_FOR {
                let remote = self.clone();
                tokio::spawn(async move { remote.fetch_after(seen).await });
            }
            return keys;
        }
        self.fetch_after(seen).await;
        Arc::clone(&self.known().keys)
    }

    /// Fetches the keys, unless that happened since `seen` or the ration is used up.
    async fn fetch_after(&self, seen: u64) {
        let _one_at_a_time = self.shared.fetching.lock().await;
        if !self.known().may_fetch(seen, Instant::now()) {
            return;
        }
        let outcome = self.fetch().await;
        let mut known = self.known();
        known.fetches += 1;
        known.last_failed = outcome.is_err();
        match outcome {
            Ok(keys) => {
                tracing::debug!(keys = keys.len(), "fetched the keys of the identity provider");
                known.keys = keys.into();
                known.fetched_at = Some(Instant::now());
            }
            Err(error) => tracing::warn!(%error, "the keys of the identity provider (JWKS_URL) cannot be fetched; known ones stay in use"),
        }
    }

    /// Asks the provider for its keys, whatever is known.
    pub async fn fetch(&self) -> Result<Vec<VerifyingKey>, JwksError> {
        let mut response = self.shared.client.get(self.shared.url.clone()).send().await?;
        if !response.status().is_success() {
            return Err(JwksError::Status(response.status().as_u16()));
        }
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await? {
            body.extend_from_slice(&chunk);
            if body.len() > MAX_ANSWER {
                return Err(JwksError::TooLong);
            }
        }
        read(&body)
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.shared.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    fn may_fetch(&mut self, seen: u64, now: Instant) -> bool {
        if self.fetches != seen {
            return false;
        }
        while self.left < FETCHES_AT_ONCE && now.duration_since(self.refilled_at) >= ONE_FETCH_IN {
            self.left += 1;
            self.refilled_at += ONE_FETCH_IN;
        }
        if self.left == FETCHES_AT_ONCE {
            self.refilled_at = now;
        }
        let may = self.left > 0;
        self.left = self.left.saturating_sub(1);
        may
    }
}

/// The usable keys of a set (RFC 7517); others, of kinds that we do not take, are passed over.
fn read(body: &[u8]) -> Result<Vec<VerifyingKey>, JwksError> {
    let set: Value = serde_json::from_slice(body).map_err(|_| JwksError::NoKeys)?;
    let keys = set.get("keys").and_then(Value::as_array).ok_or(JwksError::NoKeys)?;
    let usable = keys.iter().take(MAX_KEYS).filter_map(|key| serde_json::from_value::<Jwk>(key.clone()).ok());
    let usable: Vec<_> = usable.filter_map(|jwk| VerifyingKey::from_jwk(&jwk)).collect();
    if usable.is_empty() { Err(JwksError::NoKeys) } else { Ok(usable) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn keys_of_other_kinds_are_passed_over() {
        let ed = json!({"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo", "kid": "a"});
        let with = |changes: Value| {
            let mut key = ed.clone();
            key.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
            key
        };
        let set = json!({"keys": [
            {"kty": "oct", "k": "c2VjcmV0", "kid": "secret"}, {"kty": "new"}, 7, with(json!({"use": "enc"})),
            with(json!({"alg": "HS256"})), with(json!({"kid": "b", "alg": "EdDSA", "use": "sig"})), ed,
        ]});
        let ids: Vec<_> = read(set.to_string().as_bytes()).unwrap().into_iter().map(|key| key.id.unwrap()).collect();
        assert_eq!(ids, ["b", "a"]);
        for body in ["", "{}", "[]", "{\"keys\": []}", "{\"keys\": [{\"kty\": \"oct\", \"k\": \"AAAA\"}]}"] {
            assert!(matches!(read(body.as_bytes()), Err(JwksError::NoKeys)), "{body}");
        }
    }

    #[test]
    fn fetches_are_rationed() {
        let remote = Remote::new("http://127.0.0.1:9/".parse().unwrap()).unwrap();
        let mut known = remote.known();
        let start = Instant::now();
        let taken = |known: &mut Known, at: Instant| (0..10).filter(|_| known.may_fetch(0, at)).count();
        assert_eq!(taken(&mut known, start), 5);
        assert_eq!(taken(&mut known, start + Duration::from_secs(9)), 0);
        assert_eq!(taken(&mut known, start + Duration::from_secs(25)), 2);
        assert_eq!(taken(&mut known, start + Duration::from_secs(3_600)), 5);
        assert!(!known.may_fetch(1, start + Duration::from_secs(7_200)), "somebody else fetched meanwhile");
    }
}
