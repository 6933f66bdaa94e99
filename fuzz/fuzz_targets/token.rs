//! No token speaks for anyone but the one that was signed.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use mana_ai::auth::{LocalKey, Users};
use tokio::runtime::{Builder, Runtime};

/// The key that signed corpus/token/valid; it protects nothing.
const PEM: &str = include_str!("../token-key.pem");

static USERS: LazyLock<(Users, Runtime)> = LazyLock::new(|| {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("token-key.pem"), PEM).unwrap();
    (Users::local(LocalKey::load(dir.path()).unwrap()), Builder::new_current_thread().build().unwrap())
});

fuzz_target!(|token: &str| {
    let (users, runtime) = &*USERS;
    if let Ok(claims) = runtime.block_on(users.check(token)) {
        assert_eq!(claims.user, "ada", "{token}");
    }
});
