//! The three keys: the user's master key, the mission key derived from it, and this server's RSA pair.

use std::fmt;

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der, PublicKeyX509Der};
use aws_lc_rs::hkdf::{self, HKDF_SHA256};
use aws_lc_rs::rsa::{
    KeySize, OAEP_SHA256_MGF1SHA256, OaepPrivateDecryptingKey, OaepPublicEncryptingKey, PrivateDecryptingKey, PublicEncryptingKey,
};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use data_encoding::HEXLOWER_PERMISSIVE;
use pem_rfc7468::LineEnding;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{PrivatePkcs8KeyDer, SubjectPublicKeyInfoDer};
use zeroize::Zeroizing;

use super::terms::Derivation;

/// Bytes of a master key and of a mission key.
const KEY_BYTES: usize = 32;

/// A key that a user's clients hold; this server sees one only where its user issues a grant here.
pub struct MasterKey(Zeroizing<[u8; KEY_BYTES]>);

/// Encrypts the fields of the records that one mission may read.
pub struct MissionKey(Zeroizing<[u8; KEY_BYTES]>);

/// The RSA key with which this server opens grants.
pub struct PrivateKey {
    decrypting: OaepPrivateDecryptingKey,
    public: PublicKey,
}

/// The RSA key for which clients wrap mission keys.
pub struct PublicKey(OaepPublicEncryptingKey);

/// A key in PEM form cannot be used; the text itself is never told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not {0}")]
pub struct KeyError(&'static str);

const NOT_PRIVATE: KeyError = KeyError("an RSA key of at least 2048 bits in PKCS#8 PEM form (\"BEGIN PRIVATE KEY\")");

impl MasterKey {
    /// Reads a key file: 32 bytes, raw or as hex or base64 text.
    pub fn parse(file: &[u8]) -> Option<Self> {
        if let Ok(raw) = <[u8; KEY_BYTES]>::try_from(file) {
            return Some(MasterKey(Zeroizing::new(raw)));
        }
        let text = std::str::from_utf8(file).ok()?.trim();
        let bytes = Zeroizing::new(HEXLOWER_PERMISSIVE.decode(text.as_bytes()).or_else(|_| STANDARD.decode(text)).ok()?);
        Some(MasterKey(Zeroizing::new(<[u8; KEY_BYTES]>::try_from(bytes.as_slice()).ok()?)))
    }

    /// The key of a mission: HKDF-SHA256 with the mission as salt and the scope as info (RFC 5869).
    pub fn derive(&self, derivation: &Derivation) -> MissionKey {
        let mut key = Zeroizing::new([0; KEY_BYTES]);
        let prk = hkdf::Salt::new(HKDF_SHA256, derivation.mission_id.as_bytes()).extract(self.0.as_slice());
        let info = derivation.info();
        let info = [info.as_bytes()];
        // 32 bytes are within what SHA-256 can give, so neither step fails.
        let filled = prk.expand(&info, HKDF_SHA256).and_then(|okm| okm.fill(key.as_mut_slice()));
        debug_assert!(filled.is_ok());
        MissionKey(key)
    }
}

impl MissionKey {
    pub(super) fn bytes(&self) -> &[u8; KEY_BYTES] {
        &self.0
    }

    /// Wraps the key for a server (RSA-OAEP with SHA-256, RFC 8017); `None` where the public key is too short for it.
    pub fn wrap(&self, public: &PublicKey) -> Option<Vec<u8>> {
        let mut wrapped = vec![0; public.0.ciphertext_size()];
        let written = public.0.encrypt(&OAEP_SHA256_MGF1SHA256, self.0.as_slice(), &mut wrapped, None).ok()?.len();
        wrapped.truncate(written);
        Some(wrapped)
    }
}

impl PrivateKey {
    /// Reads a PKCS#8 key in PEM form.
    ///
    /// # Errors
    /// A text that is no such key, or a key of fewer than 2048 bits.
    pub fn from_pem(pem: &str) -> Result<Self, KeyError> {
        Self::new(Self::decode(pem)?).ok_or(NOT_PRIVATE)
    }

    fn decode(pem: &str) -> Result<PrivateDecryptingKey, KeyError> {
        let der = PrivatePkcs8KeyDer::from_pem_slice(pem.as_bytes()).map_err(|_| NOT_PRIVATE)?;
        PrivateDecryptingKey::from_pkcs8(der.secret_pkcs8_der()).map_err(|_| NOT_PRIVATE)
    }

    fn new(key: PrivateDecryptingKey) -> Option<Self> {
        let public = PublicKey(OaepPublicEncryptingKey::new(key.public_key()).ok()?);
        Some(PrivateKey { decrypting: OaepPrivateDecryptingKey::new(key).ok()?, public })
    }

    /// A new key of 2048 bits, in PKCS#8 PEM form; `None` where the machine gives no random numbers.
    pub fn make() -> Option<Zeroizing<String>> {
        let key = PrivateDecryptingKey::generate(KeySize::Rsa2048).ok()?;
        let der = AsDer::<Pkcs8V1Der<'_>>::as_der(&key).ok()?;
        pem_rfc7468::encode_string("PRIVATE KEY", LineEnding::LF, der.as_ref()).ok().map(Zeroizing::new)
    }

    /// The public half of a key in PEM form, for the clients (SPKI).
    ///
    /// # Errors
    /// A text that is no such key.
    pub fn public_pem(private: &str) -> Result<String, KeyError> {
        let der = Self::decode(private)?.public_key();
        let der = AsDer::<PublicKeyX509Der<'_>>::as_der(&der).map_err(|_| NOT_PRIVATE)?;
        pem_rfc7468::encode_string("PUBLIC KEY", LineEnding::LF, der.as_ref()).map_err(|_| NOT_PRIVATE)
    }

    /// A new key, for tests.
    #[cfg(test)]
    pub fn generate() -> Self {
        Self::from_pem(&Self::make().unwrap()).unwrap()
    }

    /// The other half of the pair.
    pub fn public(&self) -> &PublicKey {
        &self.public
    }

    /// Opens a wrapped mission key; `None` for whatever reason, so that nobody learns which.
    pub fn unwrap(&self, wrapped: &[u8]) -> Option<MissionKey> {
        let mut room = Zeroizing::new(vec![0; self.decrypting.min_output_size()]);
        let plain = self.decrypting.decrypt(&OAEP_SHA256_MGF1SHA256, wrapped, &mut room, None).ok()?;
        Some(MissionKey(Zeroizing::new(<[u8; KEY_BYTES]>::try_from(&*plain).ok()?)))
    }
}

impl PublicKey {
    /// Reads an SPKI key in PEM form.
    ///
    /// # Errors
    /// A text that is no such key.
    pub fn from_pem(pem: &str) -> Result<Self, KeyError> {
        let failed = KeyError("an RSA public key in PEM form (\"BEGIN PUBLIC KEY\")");
        let der = SubjectPublicKeyInfoDer::from_pem_slice(pem.as_bytes()).map_err(|_| failed)?;
        let key = PublicEncryptingKey::from_der(&der).map_err(|_| failed)?;
        OaepPublicEncryptingKey::new(key).map(PublicKey).map_err(|_| failed)
    }
}

impl fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MasterKey(…)")
    }
}

impl fmt::Debug for MissionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MissionKey(…)")
    }
}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PrivateKey(…)")
    }
}

#[cfg(test)]
impl MissionKey {
    pub fn from_hex(text: &str) -> Self {
        MissionKey(Zeroizing::new(HEXLOWER_PERMISSIVE.decode(text.as_bytes()).unwrap().try_into().unwrap()))
    }
}

/// Only tests compare keys.
#[cfg(test)]
impl PartialEq for MissionKey {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_master_key_file_may_be_raw_hex_or_base64() {
        let raw = [7; 32];
        let hex = "07".repeat(32) + "\n";
        let base64 = STANDARD.encode(raw);
        for file in [raw.as_slice(), hex.as_bytes(), base64.as_bytes()] {
            assert_eq!(*MasterKey::parse(file).unwrap().0, raw);
        }
        for file in ["", "07", "zz", &"07".repeat(31), &"07".repeat(33), "é"] {
            assert!(MasterKey::parse(file.as_bytes()).is_none(), "{file}");
        }
    }

    #[test]
    fn a_text_that_is_no_key_is_refused_without_telling_it() {
        let error = PrivateKey::from_pem("-----BEGIN PRIVATE KEY-----\nc2VjcmV0\n-----END PRIVATE KEY-----").unwrap_err();
        assert!(error.to_string().contains("2048") && !error.to_string().contains("c2Vj"), "{error}");
        assert!(PublicKey::from_pem("x").is_err());
    }

    #[test]
    fn no_key_prints_itself() {
        let key = MissionKey::from_hex(&"5a".repeat(32));
        let master = MasterKey::parse(&[0x5a; 32]).unwrap();
        let shown = format!("{key:?} {master:?} {:?}", PrivateKey::generate());
        assert_eq!(shown, "MissionKey(…) MasterKey(…) PrivateKey(…)");
    }
}
