//! Local mode: an Ed25519 key of our own, made at first start, signs users' tokens.

use std::path::Path;

use aws_lc_rs::signature::Ed25519KeyPair;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jiff::{SignedDuration, Timestamp};
use jsonwebtoken::jwk::{Jwk, JwkSet, PublicKeyUse, ThumbprintHash};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use rustls_pki_types::PrivatePkcs8KeyDer;
use rustls_pki_types::pem::PemObject;
use serde_json::json;
use zeroize::Zeroizing;

use super::secret_file::{SecretError, SecretFile};
use super::token::VerifyingKey;

const FILE: SecretFile = SecretFile {
    what: "token key",
    name: "token-key.pem",
    remedy: "remove the file to have a new key made; tokens of the old one are then no longer taken",
};

/// The key pair of this installation.
pub struct LocalKey {
    signing: EncodingKey,
    verifying: VerifyingKey,
    public: Jwk,
    audience: String,
}

impl LocalKey {
    /// The name of its file in the data directory.
    pub const FILE_NAME: &str = FILE.name;
    /// For whom its tokens are, unless told otherwise.
    pub const AUDIENCE: &str = "mana";

    /// The key in the data directory, which is made where it is missing.
    ///
    /// # Errors
    /// When the file cannot be read or made, or holds no Ed25519 key.
    pub fn load(data_dir: &Path) -> Result<Self, SecretError> {
        let pem = FILE.load(data_dir, make)?;
        Self::from_pem(&pem).ok_or_else(|| FILE.unusable(data_dir, "it holds no Ed25519 key in PKCS#8 PEM form".into()))
    }

    fn from_pem(pem: &str) -> Option<Self> {
        let der = PrivatePkcs8KeyDer::from_pem_slice(pem.as_bytes()).ok()?;
        Ed25519KeyPair::from_pkcs8_maybe_unchecked(der.secret_pkcs8_der()).ok()?;
        let signing = EncodingKey::from_ed_der(der.secret_pkcs8_der());
        let mut public = Jwk::from_encoding_key(&signing, Algorithm::EdDSA).ok()?;
        public.common.key_id = Some(public.thumbprint(ThumbprintHash::SHA256).ok()?);
        public.common.public_key_use = Some(PublicKeyUse::Signature);
        Some(LocalKey { verifying: VerifyingKey::from_jwk(&public)?, signing, public, audience: Self::AUDIENCE.into() })
    }

    /// The same key, whose tokens are for this audience.
    #[must_use]
    pub fn for_audience(self, audience: &str) -> Self {
        LocalKey { audience: audience.into(), ..self }
    }

    /// A token that speaks for `user` from `now` for `ttl`.
    ///
    /// # Errors
    /// When the library cannot sign.
    pub fn issue(&self, user: &str, now: Timestamp, ttl: SignedDuration) -> Result<String, jsonwebtoken::errors::Error> {
        let mut header = Header::new(Algorithm::EdDSA);
        header.kid.clone_from(&self.public.common.key_id);
        let claims =
            json!({"sub": user, "aud": self.audience, "iat": now.as_second(), "exp": now.as_second().saturating_add(ttl.as_secs())});
        jsonwebtoken::encode(&header, &claims, &self.signing)
    }

    /// What tells this key from every other one.
    pub fn thumbprint(&self) -> &str {
        &self.verifying.thumbprint
    }

    pub(super) fn audience(&self) -> &str {
        &self.audience
    }

    pub(super) fn verifying(&self) -> &VerifyingKey {
        &self.verifying
    }

    pub(super) fn public_keys(&self) -> JwkSet {
        JwkSet { keys: vec![self.public.clone()] }
    }
}

fn make() -> Option<Zeroizing<String>> {
    let der = Ed25519KeyPair::generate().ok()?.to_pkcs8v1().ok()?;
    Some(Zeroizing::new(format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n", STANDARD.encode(der.as_ref()))))
}
