//! A grant is read whole or refused, and it covers nothing that it does not name.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use mana_ai::grants::{Grant, Opened, PrivateKey};
use serde_json::Value;

static KEY: LazyLock<PrivateKey> = LazyLock::new(|| {
    let vectors: Value = serde_json::from_str(include_str!("../../tests/vectors/grants.json")).unwrap();
    PrivateKey::from_pem(vectors["privateKeyPem"].as_str().unwrap()).unwrap()
});

fuzz_target!(|text: &str| {
    let Ok(value) = serde_json::from_str::<Value>(text) else { return };
    let now = "2026-04-15T00:00:00Z".parse().unwrap();
    let opened = Opened::open(&value, &"dev-m-0".into(), Some(&KEY), None, now);
    match Grant::read(&value) {
        Err(_) => assert!(opened.is_err(), "opened what cannot be read: {text}"),
        Ok(grant) => {
            let again = Grant::read(&grant.to_json()).expect("what was written can be read");
            assert_eq!((&again.derivation, &again.wrapped_key), (&grant.derivation, &grant.wrapped_key));
            if let Ok(opened) = opened {
                assert!(grant.expires_at > now && grant.derivation.mission_id == "dev-m-0");
                assert!(!opened.covers("notes", "named nowhere"));
            }
        }
    }
});
