//! Keys: there, sound, and nobody else's.

use std::path::Path;

use super::Diagnosis;
use super::machine::open_to_others;
use crate::auth::{LocalKey, SecretError, ServiceKey, Users};
use crate::config::{Config, GivenSettings};
use crate::grants::PrivateKey;

pub(super) fn service_key(config: &Config) -> Diagnosis {
    if config.service_key.is_some() {
        return Diagnosis::ok("set by the configuration");
    }
    kept(&config.data_dir, ServiceKey::FILE_NAME, || ServiceKey::load(None, &config.data_dir).map(drop))
}

pub(super) async fn users(config: &Config) -> Diagnosis {
    let Some(url) = &config.jwks_url else {
        return kept(&config.data_dir, LocalKey::FILE_NAME, || LocalKey::load(&config.data_dir).map(drop));
    };
    let answer = match Users::remote(url.clone(), config.jwt_audience.clone(), config.jwt_issuer.clone()) {
        Ok(users) => users.fetch_keys().await,
        Err(error) => Err(error),
    };
    match answer {
        Ok(keys) => Diagnosis::ok(format!("the identity provider (JWKS_URL) has {keys} keys")),
        Err(error) => Diagnosis::fail(
            format!("the keys of the identity provider (JWKS_URL) cannot be had: {error}"),
            "check JWKS_URL and that the provider runs; until then nobody can sign in",
        ),
    }
}

pub(super) fn grant_key(raw: &GivenSettings, config: &Config) -> Diagnosis {
    let Some(pem) = &config.private_key_pem else {
        return Diagnosis::ok("none (MANA_AI_PRIVATE_KEY_PEM), so encrypted inputs are left out of prompts");
    };
    if let Err(error) = PrivateKey::from_pem(pem) {
        return Diagnosis::fail(
            format!("MANA_AI_PRIVATE_KEY_PEM is {error}"),
            "make one with `mana-ai init` in a new directory, and copy it",
        );
    }
    let path = raw.text("private_key_pem").unwrap_or_default();
    match open_to_others(Path::new(path.trim())) {
        Some(mode) => Diagnosis::fail(format!("others on this machine may read {path} (mode {mode:o})"), format!("chmod 600 {path}")),
        None => Diagnosis::ok(
            "a sound RSA key; a grant opens the records that were sealed with its mission's key, and none that a client sealed with its \
             user's master key, as the web client does (docs/privacy.md)",
        ),
    }
}

/// A key file of the data directory, which the first start makes.
fn kept(dir: &Path, name: &str, load: impl FnOnce() -> Result<(), SecretError>) -> Diagnosis {
    let path = dir.join(name);
    if !path.exists() {
        return Diagnosis::ok(format!("none yet; the first start makes {name}"));
    }
    if let Some(mode) = open_to_others(&path) {
        return Diagnosis::fail(
            format!("others on this machine may read {} (mode {mode:o})", path.display()),
            format!("chmod 600 {}", path.display()),
        );
    }
    match load() {
        Ok(()) => Diagnosis::ok(format!("{} is sound, and private", path.display())),
        Err(error) => Diagnosis::failed(&error, Some(error.remedy)),
    }
}
