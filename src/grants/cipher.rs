//! Ciphertext of the clients: `enc:1:<base64 iv>.<base64 ciphertext and tag>`, AES-256-GCM over JSON.

use std::fmt;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use zeroize::Zeroizing;

use super::key::MissionKey;
use crate::domain::json::Plain;

const PREFIX: &str = "enc:1:";

/// Why a ciphertext gives no value; each is a reason in the audit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Undecryptable {
    /// Not of the form above.
    BadFormat,
    /// The initialisation vector is not 12 bytes long.
    BadIv,
    /// It was changed, or made with another key.
    NotAuthentic,
    /// It opens, but holds no JSON.
    NotJson,
}

impl Undecryptable {
    pub fn as_str(self) -> &'static str {
        match self {
            Undecryptable::BadFormat => "bad-format",
            Undecryptable::BadIv => "bad-iv",
            Undecryptable::NotAuthentic => "not-authentic",
            Undecryptable::NotJson => "not-json",
        }
    }
}

impl fmt::Display for Undecryptable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Undecryptable::BadFormat => "its ciphertext is not of the form enc:1:iv.data",
            Undecryptable::BadIv => "its ciphertext has an initialisation vector of a wrong length",
            Undecryptable::NotAuthentic => "its ciphertext was changed or made with another key",
            Undecryptable::NotJson => "its ciphertext holds no JSON",
        })
    }
}

impl MissionKey {
    /// The value behind a ciphertext.
    ///
    /// # Errors
    /// When it is not authentic down to the last bit.
    pub fn decrypt(&self, text: &str) -> Result<Value, Undecryptable> {
        let Blob { iv, mut data } = Blob::parse(text)?;
        let key = UnboundKey::new(&AES_256_GCM, self.bytes()).map_err(|_| Undecryptable::NotAuthentic)?;
        let plain = LessSafeKey::new(key).open_in_place(Nonce::assume_unique_for_key(iv), Aad::empty(), &mut data);
        let plain = plain.map_err(|_| Undecryptable::NotAuthentic)?;
        serde_json::from_slice(plain).map(|Plain(value)| value).map_err(|_| Undecryptable::NotJson)
    }
}

/// The parts of a ciphertext. It turns into plaintext in place, so it is overwritten when it goes.
struct Blob {
    iv: [u8; NONCE_LEN],
    data: Zeroizing<Vec<u8>>,
}

impl Blob {
    fn parse(text: &str) -> Result<Self, Undecryptable> {
        let parts = text.strip_prefix(PREFIX).and_then(|rest| rest.split_once('.'));
        let (iv, data) = parts.ok_or(Undecryptable::BadFormat)?;
        let decode = |part: &str| STANDARD.decode(part).map_err(|_| Undecryptable::BadFormat);
        let data = Zeroizing::new(decode(data)?);
        let iv = decode(iv)?.try_into().map_err(|_| Undecryptable::BadIv)?;
        Ok(Blob { iv, data })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn key() -> MissionKey {
        MissionKey::from_hex(&"17".repeat(32))
    }

    fn encrypt(plain: &[u8], iv: [u8; 12]) -> String {
        let mut data = plain.to_vec();
        let sealing = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, key().bytes()).unwrap());
        sealing.seal_in_place_append_tag(Nonce::assume_unique_for_key(iv), Aad::empty(), &mut data).unwrap();
        format!("{PREFIX}{}.{}", STANDARD.encode(iv), STANDARD.encode(data))
    }

    #[test]
    fn what_is_not_a_ciphertext_says_what_is_wrong() {
        let good = encrypt(b"\"x\"", [1; 12]);
        assert_eq!(key().decrypt(&good), Ok(json!("x")));
        let other = MissionKey::from_hex(&"18".repeat(32));
        assert_eq!(other.decrypt(&good), Err(Undecryptable::NotAuthentic));
        assert_eq!(key().decrypt(&encrypt(b"no json", [1; 12])), Err(Undecryptable::NotJson));
        for (text, expected) in [
            ("enc:1:", Undecryptable::BadFormat),
            ("enc:1:AAAA", Undecryptable::BadFormat),
            ("enc:2:AAAAAAAAAAAAAAAA.AAAA", Undecryptable::BadFormat),
            ("enc:1:AAAAAAAAAAAAAAAA.*", Undecryptable::BadFormat),
            ("enc:1:AAAAAAAAAAAAAAAA.AA.AA", Undecryptable::BadFormat),
            ("enc:1:AAAAAAAAAAAAAAA=.AAAA", Undecryptable::BadIv),
            ("enc:1:.AAAA", Undecryptable::BadIv),
            ("enc:1:AAAAAAAAAAAAAAAAAAAAAA==.AAAA", Undecryptable::BadIv),
            ("enc:1:AAAAAAAAAAAAAAAA.", Undecryptable::NotAuthentic),
            ("enc:1:AAAAAAAAAAAAAAAA.AAAA", Undecryptable::NotAuthentic),
        ] {
            assert_eq!(key().decrypt(text), Err(expected), "{text}");
        }
    }

    proptest! {
        #[test]
        fn one_changed_byte_is_noticed(plain in "\\PC{0,40}", iv: [u8; 12], at: prop::sample::Index, bit in 0..8_u8) {
            let text = encrypt(json!(plain).to_string().as_bytes(), iv);
            prop_assert_eq!(key().decrypt(&text), Ok(json!(plain)));
            let (head, data) = text.split_once('.').unwrap();
            let mut bytes = STANDARD.decode(data).unwrap();
            let at = at.index(bytes.len());
            bytes[at] ^= 1 << bit;
            let changed = format!("{head}.{}", STANDARD.encode(bytes));
            prop_assert_eq!(key().decrypt(&changed), Err(Undecryptable::NotAuthentic));
        }

        #[test]
        fn no_text_brings_it_down(text in "(enc:1:)?[A-Za-z0-9+/=.:]{0,60}") {
            prop_assert!(key().decrypt(&text).is_err());
        }
    }
}
