//! Who may call: the service key for internal routes, signed tokens for users (docs/design.md, section 9).
//!
//! Users come with a JSON Web Token. Its keys are those of an identity provider (JWKS), or one that this program made
//! for itself. This room must not know routes, the store or missions.

mod jwks;
mod local;
pub mod secret;
mod secret_file;
mod service_key;
mod token;

pub use jwks::JwksError;
pub use local::LocalKey;
pub use secret_file::{SecretError, SecretFile};
pub use service_key::ServiceKey;
pub use token::{Claims, Expected, TokenRefused};

use jiff::{SignedDuration, Timestamp};
use jsonwebtoken::jwk::JwkSet;
use jwks::Remote;
use token::Taken;

/// Checks users' tokens.
pub struct Users {
    keys: KeySource,
    taken: Taken,
}

enum KeySource {
    Local(Box<LocalKey>),
    Remote(Remote, Expected),
}

impl Users {
    /// Tokens that this program signed itself.
    pub fn local(key: LocalKey) -> Self {
        Users { keys: KeySource::Local(Box::new(key)), taken: Taken::default() }
    }

    /// Tokens of an identity provider whose keys are at `url`, made for us.
    ///
    /// # Errors
    /// When the TLS side cannot be set up.
    pub fn remote(url: reqwest::Url, audience: String, issuer: Option<String>) -> Result<Self, JwksError> {
        let expected = Expected { audience, audience_may_lack: false, issuer };
        Ok(Users { keys: KeySource::Remote(Remote::new(url)?, expected), taken: Taken::default() })
    }

    /// How many keys the identity provider tells now; in local mode there is one.
    ///
    /// # Errors
    /// When they cannot be had.
    pub async fn fetch_keys(&self) -> Result<usize, JwksError> {
        match &self.keys {
            KeySource::Local(_) => Ok(1),
            KeySource::Remote(remote, _) => Ok(remote.fetch().await?.len()),
        }
    }

    /// What a token says, once it is known to be good.
    ///
    /// # Errors
    /// Why the token is not taken, in words without secrets.
    pub async fn check(&self, token: &str) -> Result<Claims, TokenRefused> {
        let header = token::header(token)?;
        match &self.keys {
            KeySource::Local(key) => {
                // Tokens of older versions name no audience; nobody else has the key.
                let expected = Expected { audience: key.audience().to_owned(), audience_may_lack: true, issuer: None };
                token::verify(token, &header, std::slice::from_ref(key.verifying()), &expected, &self.taken)
            }
            KeySource::Remote(remote, expected) => token::verify(token, &header, &remote.keys_for(&header).await?, expected, &self.taken),
        }
    }

    /// Whether a key, told by its thumbprint, signs tokens still.
    pub async fn has_key(&self, thumbprint: &str) -> bool {
        match &self.keys {
            KeySource::Local(key) => key.verifying().thumbprint == thumbprint,
            KeySource::Remote(remote, _) => remote.has_key(thumbprint).await,
        }
    }

    /// A token of local mode that speaks for `user`; an identity provider makes its own.
    pub fn issue(&self, user: &str, now: Timestamp, ttl: SignedDuration) -> Option<String> {
        match &self.keys {
            KeySource::Local(key) => key.issue(user, now, ttl).ok(),
            KeySource::Remote(..) => None,
        }
    }

    /// The thumbprint of the key of local mode.
    pub fn local_key(&self) -> Option<&str> {
        match &self.keys {
            KeySource::Local(key) => Some(key.thumbprint()),
            KeySource::Remote(..) => None,
        }
    }

    /// The public keys of local mode; an identity provider serves its own.
    pub fn public_keys(&self) -> Option<JwkSet> {
        match &self.keys {
            KeySource::Local(key) => Some(key.public_keys()),
            KeySource::Remote(..) => None,
        }
    }
}
