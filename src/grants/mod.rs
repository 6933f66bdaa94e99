//! Key grants: which encrypted records a mission may read, and the key for them (docs/design.md, section 8).
//!
//! A user's client derives a key for one mission from the user's master key, and wraps it for this server. This room
//! unwraps it, checks what it covers, and opens ciphertext. Keys live here and nowhere else: no type of this room
//! prints one, and each is overwritten when it goes. It must not know the store, the planner or the clock.

use crate::domain::ids::MissionId;

mod cipher;
mod key;
mod terms;

pub use cipher::Undecryptable;
pub use key::{KeyError, MasterKey, MissionKey, PrivateKey, PublicKey};
pub use terms::{Derivation, Grant, Malformed};

use std::fmt;

use jiff::Timestamp;

/// Why a grant is not used; each is a value of the metric `grant_skips_total{reason}`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Skip {
    /// This server has no private key.
    NotConfigured,
    Malformed,
    Expired,
    /// It was issued for another mission.
    WrongMission,
    /// The key does not open with this server's private key.
    WrapRejected,
}

impl Skip {
    pub const ALL: [Skip; 5] = [Skip::NotConfigured, Skip::Malformed, Skip::Expired, Skip::WrongMission, Skip::WrapRejected];

    pub fn as_str(self) -> &'static str {
        match self {
            Skip::NotConfigured => "not-configured",
            Skip::Malformed => "malformed",
            Skip::Expired => "expired",
            Skip::WrongMission => "wrong-mission",
            Skip::WrapRejected => "wrap-rejected",
        }
    }
}

impl fmt::Display for Skip {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Skip::NotConfigured => "this server has no private key (MANA_AI_PRIVATE_KEY_PEM) to open the grant with",
            Skip::Malformed => "the grant cannot be read",
            Skip::Expired => "the grant's key expired (a later `expiresAt` does not renew it; make a new grant)",
            Skip::WrongMission => "the grant is for another mission",
            Skip::WrapRejected => "the grant's key does not open with this server's private key",
        })
    }
}

/// Reads a mission's grant and checks all that needs no key. The grant that is returned expires when its key does.
///
/// # Errors
/// Why the grant cannot be used.
pub fn usable(grant: &serde_json::Value, mission_id: &MissionId, ends_at: Option<Timestamp>, now: Timestamp) -> Result<Grant, Skip> {
    let mut grant = Grant::read(grant).map_err(|_| Skip::Malformed)?;
    grant.expires_at = ends_at.map_or(grant.expires_at, |at| at.min(grant.expires_at));
    if grant.expires_at <= now {
        return Err(Skip::Expired);
    }
    if grant.derivation.mission_id != *mission_id {
        return Err(Skip::WrongMission);
    }
    Ok(grant)
}

/// A grant whose key is at hand.
pub struct Opened {
    derivation: Derivation,
    key: MissionKey,
}

impl Opened {
    /// Opens a mission's grant at `now`. `ends_at` is the earliest expiry that its key ever had, where one is known. The
    /// order of the checks decides which reason is told.
    ///
    /// # Errors
    /// Why the grant cannot be used.
    pub fn open(
        grant: &serde_json::Value,
        mission_id: &MissionId,
        private_key: Option<&PrivateKey>,
        ends_at: Option<Timestamp>,
        now: Timestamp,
    ) -> Result<Self, Skip> {
        let private_key = private_key.ok_or(Skip::NotConfigured)?;
        let grant = usable(grant, mission_id, ends_at, now)?;
        let key = private_key.unwrap(&grant.wrapped_key).ok_or(Skip::WrapRejected)?;
        Ok(Opened { derivation: grant.derivation, key })
    }

    /// Whether the user allowed this record to be read.
    pub fn covers(&self, table: &str, id: &str) -> bool {
        self.derivation.covers(table, id)
    }

    /// The key; ask [`Opened::covers`] before any use.
    pub fn key(&self) -> &MissionKey {
        &self.key
    }

    /// The key alone; ask [`Derivation::covers`] before any use.
    pub fn into_key(self) -> MissionKey {
        self.key
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;
    use serde_json::{Value, json};

    fn vectors() -> Value {
        serde_json::from_str(include_str!("../../tests/vectors/grants.json")).unwrap()
    }

    fn private_key(vectors: &Value) -> PrivateKey {
        PrivateKey::from_pem(vectors["privateKeyPem"].as_str().unwrap()).unwrap()
    }

    fn grant(case: &Value) -> Value {
        json!({
            "wrappedKey": case["wrappedKey"], "derivation": case["derivation"],
            "issuedAt": "2026-04-01T00:00:00Z", "expiresAt": "2026-05-01T00:00:00Z",
        })
    }

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn every_case_of_the_other_implementation_derives_unwraps_and_decrypts() {
        let vectors = vectors();
        let key = private_key(&vectors);
        for case in vectors["cases"].as_array().unwrap() {
            let derivation = Grant::read(&grant(case)).unwrap().derivation;
            assert_eq!(derivation.info(), case["canonicalInfo"].as_str().unwrap());
            let master = MasterKey::parse(case["masterKeyHex"].as_str().unwrap().as_bytes()).unwrap();
            let expected = MissionKey::from_hex(case["mdkHex"].as_str().unwrap());
            assert!(master.derive(&derivation) == expected);
            let opened =
                Opened::open(&grant(case), &derivation.mission_id.as_str().into(), Some(&key), None, at("2026-04-15T00:00:00Z")).unwrap();
            assert!(*opened.key() == expected);
            for (field, value) in case["encrypted"].as_object().unwrap() {
                let text = value.as_str().unwrap();
                let plain = if text.starts_with("enc:1:") { opened.key().decrypt(text).unwrap() } else { json!(text) };
                assert_eq!(plain, case["plain"][field]);
            }
        }
    }

    #[test]
    fn an_unusable_grant_says_why() {
        let vectors = vectors();
        let (key, case) = (private_key(&vectors), &vectors["cases"][0]);
        let good = grant(case);
        let with = |pointer: &str, value: Value| {
            let mut changed = good.clone();
            *changed.pointer_mut(pointer).unwrap() = value;
            changed
        };
        let wrapped = good["wrappedKey"].as_str().unwrap();
        let foreign = MissionKey::from_hex(&"ab".repeat(32)).wrap(PrivateKey::generate().public()).unwrap();
        let skip = |grant: &Value| Opened::open(grant, &"dev-m-0".into(), Some(&key), None, at("2026-04-30T23:59:59Z")).err();
        assert_eq!(skip(&good), None);
        for (changed, reason) in [
            (json!(7), Skip::Malformed),
            (json!({}), Skip::Malformed),
            (with("/derivation/version", json!("v2")), Skip::Malformed),
            (with("/derivation/tables", json!("notes")), Skip::Malformed),
            (with("/derivation/recordIds", json!([1])), Skip::Malformed),
            (with("/expiresAt", json!("soon")), Skip::Malformed),
            (with("/wrappedKey", json!("not base64!")), Skip::Malformed),
            (with("/expiresAt", json!("2026-04-30T23:59:59Z")), Skip::Expired),
            (with("/derivation/missionId", json!("dev-m-1")), Skip::WrongMission),
            (with("/wrappedKey", json!(wrapped[..wrapped.len() - 4])), Skip::WrapRejected),
            (with("/wrappedKey", json!("")), Skip::WrapRejected),
            (with("/wrappedKey", json!(vectors["cases"][1]["wrappedKey"].as_str().unwrap().replace('A', "B"))), Skip::WrapRejected),
            (with("/wrappedKey", json!(STANDARD.encode(foreign))), Skip::WrapRejected),
        ] {
            assert_eq!(skip(&changed), Some(reason), "{changed}");
        }
        assert_eq!(Opened::open(&good, &"dev-m-0".into(), None, None, at("2026-04-15T00:00:00Z")).err(), Some(Skip::NotConfigured));
        let ended = Opened::open(&good, &"dev-m-0".into(), Some(&key), Some(at("2026-04-15T00:00:00Z")), at("2026-04-15T00:00:00Z"));
        assert_eq!(ended.err(), Some(Skip::Expired), "it was shorter before");
    }

    #[test]
    fn a_grant_covers_what_both_lists_name() {
        let vectors = vectors();
        let mut case = vectors["cases"][0].clone();
        case["derivation"]["recordIds"] = json!(["notes:n0", "tasks:t0", "notes:a:b"]);
        let opened =
            Opened::open(&grant(&case), &"dev-m-0".into(), Some(&private_key(&vectors)), None, at("2026-04-15T00:00:00Z")).unwrap();
        assert!(opened.covers("notes", "n0") && opened.covers("notes", "a:b"));
        assert!(!opened.covers("notes", "n1") && !opened.covers("tasks", "t0") && !opened.covers("notes:a", "b"));
    }
}
