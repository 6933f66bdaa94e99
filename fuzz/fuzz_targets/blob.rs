//! No text is taken for ciphertext but the one that was made with the key.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use mana_ai::grants::{Derivation, MasterKey, MissionKey};

/// The key of the first case of tests/vectors/grants.json.
static KEY: LazyLock<MissionKey> = LazyLock::new(|| {
    let vectors: serde_json::Value = serde_json::from_str(include_str!("../../tests/vectors/grants.json")).unwrap();
    let master = vectors["cases"][0]["masterKeyHex"].as_str().unwrap();
    let derivation = Derivation { mission_id: "dev-m-0".into(), tables: vec!["notes".into()], record_ids: vec!["notes:n0".into()] };
    MasterKey::parse(master.as_bytes()).unwrap().derive(&derivation)
});

fuzz_target!(|text: &str| {
    if let Ok(value) = KEY.decrypt(text) {
        assert!(value == "Einkauf" || value == "Milch & Käse ✓", "{text} opened as {value}");
    }
});
