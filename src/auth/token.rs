//! Reads and checks a JSON Web Token (RFC 7519) against public keys, by the advice of RFC 8725.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, KeyAlgorithm, PublicKeyUse, ThumbprintHash};
use jsonwebtoken::{Algorithm, DecodingKey, Header, Validation, get_current_timestamp};
use serde_json::Value;

use super::secret::hash;
use crate::domain::ids::UserId;

/// The longest token, in bytes.
const MAX_TOKEN: usize = 8 * 1024;
/// The longest user id, in bytes.
const MAX_SUBJECT: usize = 256;
/// How far the clocks of signer and server may be apart, in seconds.
const LEEWAY: u64 = 60;

/// Why a token is not taken. The words go to the caller and hold nothing of the token.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TokenRefused {
    #[error("the token is longer than 8 KB")]
    TooLong,
    #[error("the token is not a JSON Web Token that this server can read")]
    Malformed,
    #[error("the token's algorithm is not supported; EdDSA, ES256 and RS256 are")]
    Algorithm,
    #[error("the token was signed with a key that this server does not know")]
    UnknownKey,
    #[error("the token's signature is wrong")]
    Signature,
    #[error("the token has no expiry (`exp`)")]
    NoExpiry,
    #[error("the token has expired")]
    Expired,
    #[error("the token is not valid yet")]
    NotYetValid,
    #[error("the token names no user")]
    NoSubject,
    #[error("the token is for another application: its `aud` must be or contain {0:?} (JWT_AUDIENCE)")]
    Audience(String),
    #[error("the token has another issuer: its `iss` must be {0:?} (JWT_ISSUER)")]
    Issuer(String),
    /// Nothing is wrong with the token: its key cannot be had now.
    #[error("the keys of the identity provider are not available now; try again later")]
    Unavailable,
}

/// A public key and what it may be used for.
#[derive(Clone)]
pub(super) struct VerifyingKey {
    pub id: Option<String>,
    /// Tells keys apart whatever their ids (RFC 7638).
    pub thumbprint: String,
    pub algorithm: Algorithm,
    key: DecodingKey,
}

impl VerifyingKey {
    /// Takes a key that signs with one of our algorithms; the kind of the key decides which, never a token.
    pub fn from_jwk(jwk: &Jwk) -> Option<Self> {
        let (algorithm, name) = match &jwk.algorithm {
            AlgorithmParameters::OctetKeyPair(key) if key.curve == EllipticCurve::Ed25519 => (Algorithm::EdDSA, KeyAlgorithm::EdDSA),
            AlgorithmParameters::EllipticCurve(key) if key.curve == EllipticCurve::P256 => (Algorithm::ES256, KeyAlgorithm::ES256),
            AlgorithmParameters::RSA(_) => (Algorithm::RS256, KeyAlgorithm::RS256),
            _ => return None,
        };
        let signs = jwk.common.public_key_use.as_ref().is_none_or(|use_| *use_ == PublicKeyUse::Signature);
        let fits = jwk.common.key_algorithm.is_none_or(|alg| alg == name);
        let key = DecodingKey::from_jwk(jwk).ok().filter(|_| signs && fits)?;
        let thumbprint = jwk.thumbprint(ThumbprintHash::SHA256).ok()?;
        Some(VerifyingKey { id: jwk.common.key_id.clone(), thumbprint, algorithm, key })
    }

    /// Whether a token with this header may have been signed with this key.
    pub fn fits(&self, header: &Header) -> bool {
        self.algorithm == header.alg && header.kid.as_ref().is_none_or(|kid| self.id.as_ref() == Some(kid))
    }
}

/// The head of a token, before anything of it is trusted.
///
/// # Errors
/// A token that no key could save.
pub(super) fn header(token: &str) -> Result<Header, TokenRefused> {
    if token.len() > MAX_TOKEN {
        return Err(TokenRefused::TooLong);
    }
    // An algorithm that the library does not know, such as "none", is no token to it.
    let header = jsonwebtoken::decode_header(token).map_err(|_| TokenRefused::Malformed)?;
    if !matches!(header.alg, Algorithm::EdDSA | Algorithm::ES256 | Algorithm::RS256) {
        return Err(TokenRefused::Algorithm);
    }
    // RFC 7515, section 4.1.11: an extension that we do not understand must stop us.
    if header.crit.is_some() {
        return Err(TokenRefused::Malformed);
    }
    Ok(header)
}

/// What a token that was taken says.
#[derive(Debug, Clone, PartialEq)]
pub struct Claims {
    /// The user that it speaks for.
    pub user: UserId,
    pub expires_at: Timestamp,
    /// The thumbprint of the key that signed it: what the token opened ends with that key.
    pub signing_key: String,
}

/// What a token must say besides its user and its times.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expected {
    /// For whom it was made.
    pub audience: String,
    /// Whether a token without any audience is taken as well.
    pub audience_may_lack: bool,
    /// Who made it.
    pub issuer: Option<String>,
}

/// Tokens that were taken, and what they say: devices send the same one with each request, and its signature is most of what a
/// request costs to admit.
#[derive(Default)]
pub(super) struct Taken(Mutex<HashMap<[u8; 32], Claims>>);

impl Taken {
    /// Tokens that are remembered; beyond that, all are forgotten.
    const MOST: usize = 10_000;

    fn known(&self) -> MutexGuard<'_, HashMap<[u8; 32], Claims>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What a token says, unless it expired meanwhile or its key was withdrawn.
    fn find(&self, token: &[u8; 32], keys: &[VerifyingKey]) -> Option<Claims> {
        let claims = self.known().get(token)?.clone();
        let expired = claims.expires_at.as_second().saturating_add_unsigned(LEEWAY) < get_current_timestamp().cast_signed();
        (!expired && keys.iter().any(|key| key.thumbprint == claims.signing_key)).then_some(claims)
    }

    fn note(&self, token: [u8; 32], claims: Claims) {
        let mut known = self.known();
        if known.len() >= Self::MOST {
            known.clear();
        }
        known.insert(token, claims);
    }
}

/// Checks a token.
///
/// # Errors
/// Why it is not taken.
pub(super) fn verify(
    token: &str,
    header: &Header,
    keys: &[VerifyingKey],
    expected: &Expected,
    taken: &Taken,
) -> Result<Claims, TokenRefused> {
    let digest = hash(token);
    if let Some(claims) = taken.find(&digest, keys) {
        return Ok(claims);
    }
    let mut refused = TokenRefused::UnknownKey;
    for key in keys.iter().filter(|key| key.fits(header)) {
        match jsonwebtoken::decode::<Value>(token, &key.key, &rules(key.algorithm)) {
            Ok(data) => {
                let claims = claims(&data.claims, &key.thumbprint, expected)?;
                taken.note(digest, claims.clone());
                return Ok(claims);
            }
            Err(error) => refused = reason(error.kind()),
        }
        if refused != TokenRefused::Signature {
            break;
        }
    }
    Err(refused)
}

fn rules(algorithm: Algorithm) -> Validation {
    let mut rules = Validation::new(algorithm);
    rules.validate_aud = false;
    rules.validate_nbf = true;
    rules.leeway = LEEWAY;
    rules.set_required_spec_claims(&["exp", "sub"]);
    rules
}

fn claims(claims: &Value, signing_key: &str, expected: &Expected) -> Result<Claims, TokenRefused> {
    let expires_at = claims.get("exp").and_then(Value::as_f64).ok_or(TokenRefused::NoExpiry)?;
    if !is_for(claims.get("aud"), expected) {
        return Err(TokenRefused::Audience(expected.audience.clone()));
    }
    if let Some(issuer) = expected.issuer.as_ref().filter(|issuer| claims.get("iss").and_then(Value::as_str) != Some(issuer)) {
        return Err(TokenRefused::Issuer(issuer.clone()));
    }
    let user = claims.get("sub").and_then(Value::as_str).filter(|user| !user.trim().is_empty() && user.len() <= MAX_SUBJECT);
    Ok(Claims {
        user: user.ok_or(TokenRefused::NoSubject)?.into(),
        // Beyond what can be told is beyond any use.
        expires_at: Timestamp::from_second(expires_at as i64).unwrap_or(Timestamp::MAX),
        signing_key: signing_key.to_owned(),
    })
}

/// Whether an audience, one or several (RFC 7519, section 4.1.3), holds the expected one.
fn is_for(audience: Option<&Value>, expected: &Expected) -> bool {
    let is = |value: &Value| value.as_str() == Some(&expected.audience);
    match audience {
        None => expected.audience_may_lack,
        Some(Value::Array(several)) => several.iter().any(is),
        Some(one) => is(one),
    }
}

fn reason(kind: &ErrorKind) -> TokenRefused {
    match kind {
        ErrorKind::InvalidSignature => TokenRefused::Signature,
        ErrorKind::InvalidAlgorithm => TokenRefused::Algorithm,
        ErrorKind::MissingRequiredClaim(name) | ErrorKind::InvalidClaimFormat(name) if name == "exp" => TokenRefused::NoExpiry,
        ErrorKind::MissingRequiredClaim(_) => TokenRefused::NoSubject,
        ErrorKind::ExpiredSignature => TokenRefused::Expired,
        ErrorKind::ImmatureSignature => TokenRefused::NotYetValid,
        _ => TokenRefused::Malformed,
    }
}
