use super::*;

fn collect(flags: &[(&'static str, &str)], environment: &[(&str, &str)], file: Option<&str>) -> Result<GivenSettings, ConfigError> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("c.toml");
    std::fs::write(&path, file.unwrap_or_default()).unwrap();
    let flags = flags.iter().map(|(k, v)| (*k, (*v).to_owned())).collect();
    let look = |name: &str| environment.iter().find(|(n, _)| *n == name).map(|(_, v)| (*v).to_owned());
    GivenSettings::collect(&flags, look, Some(&path))
}

#[test]
fn a_flag_beats_the_environment_beats_the_file_beats_the_default() {
    let port = |raw: GivenSettings| Config::read(&raw).unwrap().port;
    assert_eq!(port(collect(&[("port", "1")], &[("PORT", "2")], Some("port = 3")).unwrap()), 1);
    assert_eq!(port(collect(&[], &[("PORT", "2")], Some("port = 3")).unwrap()), 2);
    assert_eq!(port(collect(&[], &[("PORT", "")], Some("port = 3")).unwrap()), 3);
    assert_eq!(port(collect(&[], &[], None).unwrap()), 3067);
}

fn wrong(environment: (&str, &str), expected: &str) {
    let raw = collect(&[], &[environment], None).unwrap();
    assert_eq!(Config::read(&raw).err().unwrap().to_string(), expected);
}

#[test]
fn a_wrong_value_names_the_variable_the_value_and_what_is_allowed() {
    wrong(("PORT", "http"), "PORT is \"http\" (from the environment), but must be a port number from 0 to 65535");
    wrong(("MAX_ATTEMPTS", "0"), "MAX_ATTEMPTS is \"0\" (from the environment), but must be a whole number from 1 to 65535");
    wrong(("TICK_ENABLED", "maybe"), "TICK_ENABLED is \"maybe\" (from the environment), but must be true or false");
    wrong(
        ("MANA_LLM_URL", "ollama"),
        "MANA_LLM_URL is \"ollama\" (from the environment), but must be an http or https address such as http://127.0.0.1:11434",
    );
    wrong(
        ("MANA_AI_TIME_ZONE", "Mars"),
        "MANA_AI_TIME_ZONE is \"Mars\" (from the environment), but must be an IANA time zone such as Europe/Berlin",
    );
    wrong(
        ("MANA_SERVICE_KEY", "short"),
        "MANA_SERVICE_KEY is \"********\" (from the environment), but must be at least 16 characters long",
    );
    wrong(
        ("CORS_ORIGINS", "https://a.example/x"),
        "CORS_ORIGINS is \"https://a.example/x\" (from the environment), but must be * or origins such as https://app.example.com, separated by commas",
    );
}

#[test]
fn a_private_key_is_given_by_value_or_by_file() {
    let read = |value: &str| Config::read(&collect(&[], &[("MANA_AI_PRIVATE_KEY_PEM", value)], None).unwrap());
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(&file, "-----BEGIN PRIVATE KEY-----\nb\n").unwrap();
    for value in ["-----BEGIN PRIVATE KEY-----\\nb\\n", "-----BEGIN PRIVATE KEY-----\nb\n", file.path().to_str().unwrap()] {
        assert_eq!(*read(value).unwrap().private_key_pem.unwrap(), "-----BEGIN PRIVATE KEY-----\nb\n");
    }
    let error = read("/no/such/file").err().unwrap().to_string();
    assert!(error.starts_with("MANA_AI_PRIVATE_KEY_PEM names the file /no/such/file, which cannot be read"), "{error}");
    let error = read("not a key").err().unwrap().to_string();
    assert!(error.starts_with("MANA_AI_PRIVATE_KEY_PEM is \"********\"") && error.contains("path of a file"), "{error}");
}

#[test]
fn no_secret_is_shown_by_an_error_or_an_address() {
    let error = collect(&[], &[], Some("port = 1\nservice_key = \"quite-a-secret\nhost = 3")).err().unwrap().to_string();
    assert!(error.contains("line 2") && !error.contains("quite"), "{error}");
    let raw = collect(&[], &[("MANA_LLM_URL", "https://me:pw@host/v1"), ("JWKS_URL", "https://host/jwks?key=pw")], None).unwrap();
    assert!(!format!("{raw:?}").contains("pw"), "{raw:?}");
    let raw = collect(&[], &[("MANA_LLM_URL", "ftp://me:pw@host")], None).unwrap();
    assert!(!Config::read(&raw).err().unwrap().to_string().contains("pw"));
}

#[test]
fn an_unknown_key_in_the_file_is_refused() {
    assert!(matches!(collect(&[], &[], Some("prot = 3")), Err(ConfigError::UnknownKey { key, .. }) if key == "prot"));
}

#[test]
fn secrets_are_masked() {
    let raw = collect(&[], &[("MANA_LLM_API_KEY", "sk-1")], None).unwrap();
    let shown: Vec<_> = raw.in_force().into_iter().filter(|(s, ..)| s.secret).map(|(s, v, _)| (s.key, v)).collect();
    assert_eq!(
        shown,
        [
            ("database", None),
            ("llm_api_key", Some("********".to_owned())),
            ("llm_headers", None),
            ("service_key", None),
            ("private_key_pem", None)
        ]
    );
    assert!(!format!("{raw:?}").contains("sk-1"));
}

#[test]
fn every_setting_is_read_and_every_flag_is_its_key() {
    let mut keys: Vec<_> = SETTINGS.iter().map(|s| s.key).collect();
    keys.sort_unstable();
    keys.dedup();
    assert_eq!(keys.len(), SETTINGS.len());
    Config::read(&collect(&[], &[], None).unwrap()).map(drop).unwrap();
}
