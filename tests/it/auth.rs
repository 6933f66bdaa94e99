//! Who may call what: tokens of local mode and of an identity provider, and each way to be refused (docs/design.md, section 9).

use std::net::Ipv4Addr;
use std::os::unix::fs::PermissionsExt;
use std::sync::{Arc, Mutex};

use crate::common::faults::{Fault, Faults};
use crate::common::{Mana, Served, get, request};
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair};
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::get as get_route;
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};

fn quiet() -> Mana {
    Mana::new().with("TICK_ENABLED", "false").with("MANA_LLM_URL", "http://127.0.0.1:9")
}

fn now() -> i64 {
    jiff::Timestamp::now().as_second()
}

/// A signer and its public key under an id.
struct Signer {
    algorithm: Algorithm,
    key: EncodingKey,
    id: &'static str,
}

impl Signer {
    fn ed25519(id: &'static str) -> Self {
        let der = Ed25519KeyPair::generate().unwrap().to_pkcs8v1().unwrap();
        Signer { algorithm: Algorithm::EdDSA, key: EncodingKey::from_ed_der(der.as_ref()), id }
    }

    fn p256(id: &'static str) -> Self {
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
        let der = pair.to_pkcs8v1().unwrap();
        Signer { algorithm: Algorithm::ES256, key: EncodingKey::from_ec_der(der.as_ref()), id }
    }

    /// With the RSA key of the vectors; PKCS#8 wraps its PKCS#1 form in a head of 26 bytes.
    fn rsa(id: &'static str) -> Self {
        let vectors: Value = serde_json::from_str(include_str!("../vectors/grants.json")).unwrap();
        let body: String = vectors["privateKeyPem"].as_str().unwrap().lines().filter(|line| !line.starts_with('-')).collect();
        Signer { algorithm: Algorithm::RS256, key: EncodingKey::from_rsa_der(&STANDARD.decode(body).unwrap()[26..]), id }
    }

    fn public(&self) -> Value {
        let mut jwk = Jwk::from_encoding_key(&self.key, self.algorithm).unwrap();
        jwk.common.key_id = Some(self.id.into());
        serde_json::to_value(jwk).unwrap()
    }

    /// A token for us, unless the claims say something else.
    fn sign(&self, claims: &Value) -> String {
        let mut claims = claims.clone();
        claims.as_object_mut().unwrap().entry("aud").or_insert_with(|| json!("mana"));
        self.sign_as_is(&claims)
    }

    fn sign_as_is(&self, claims: &Value) -> String {
        let mut header = Header::new(self.algorithm);
        header.kid = Some(self.id.into());
        jsonwebtoken::encode(&header, claims, &self.key).unwrap()
    }

    fn for_user(&self, user: &str) -> String {
        self.sign(&json!({"sub": user, "exp": now() + 600}))
    }
}

/// An identity provider that serves its keys over real HTTP.
#[derive(Clone)]
struct Provider {
    answer: Arc<Mutex<(u16, String)>>,
    asked: Arc<Mutex<u32>>,
    url: String,
}

impl Provider {
    fn start(keys: &[&Signer]) -> Self {
        let (ready, address) = std::sync::mpsc::channel();
        let answer = Arc::new(Mutex::new((200, set(keys))));
        let asked = Arc::new(Mutex::new(0));
        let state = Provider { answer, asked, url: String::new() };
        let served = state.clone();
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
                ready.send(listener.local_addr().unwrap()).unwrap();
                axum::serve(listener, axum::Router::new().route("/jwks", get_route(Self::keys)).with_state(served)).await.unwrap();
            });
        });
        Provider { url: format!("http://{}/jwks", address.recv().unwrap()), ..state }
    }

    async fn keys(State(provider): State<Provider>) -> Response {
        *provider.asked.lock().unwrap() += 1;
        let (status, body) = provider.answer.lock().unwrap().clone();
        (axum::http::StatusCode::from_u16(status).unwrap(), body).into_response()
    }

    fn now_answers(&self, status: u16, body: String) {
        *self.answer.lock().unwrap() = (status, body);
    }

    fn asked(&self) -> u32 {
        *self.asked.lock().unwrap()
    }
}

fn set(keys: &[&Signer]) -> String {
    json!({"keys": keys.iter().map(|signer| signer.public()).collect::<Vec<_>>()}).to_string()
}

/// Status and message of a user's route for a caller with this token.
fn call(served: &Served, token: &str) -> (u16, String) {
    let (status, body) = request("GET", &served.url("/api/v1/me/ai-audit"), &[("authorization", &format!("Bearer {token}"))]);
    let message = serde_json::from_str::<Value>(&body).unwrap()["error"]["message"].as_str().unwrap_or_default().to_owned();
    (status, message)
}

#[track_caller]
fn refused(served: &Served, token: &str, why: &str) {
    let (status, message) = call(served, token);
    assert!(status == 401 && message.contains(why), "expected 401 and {why:?}: {status} {message}");
    for part in token.split('.').filter(|part| part.len() > 8) {
        assert!(!message.contains(part) && !served.log().contains(part), "{message}");
    }
}

/// A token with any header and claims, signed by nobody.
fn unsigned(header: &Value, claims: &Value) -> String {
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    format!("{}.{}.", part(header), part(claims))
}

#[test]
fn local_mode_takes_the_tokens_that_it_makes() {
    let mana = quiet();
    let ran = mana.run(&["token", "create", "--user", "ada", "--ttl", "2h"]);
    assert_eq!((ran.code, ran.stdout.lines().count(), ran.stderr.as_str()), (Some(0), 1, ""), "the token alone: {ran:?}");
    let key = mana.dir.path().join("token-key.pem");
    assert_eq!(key.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    let served = mana.serve();
    assert_eq!(call(&served, ran.stdout.trim()).0, 200);
    let (status, body) = get(&served.url("/.well-known/jwks.json"));
    let keys: Value = serde_json::from_str(&body).unwrap();
    let public = &keys["keys"][0];
    assert_eq!(
        (status, &public["kty"], &public["crv"], &public["alg"], &public["use"]),
        (200, &json!("OKP"), &json!("Ed25519"), &json!("EdDSA"), &json!("sig"))
    );
    assert!(public.get("d").is_none() && keys["keys"].as_array().unwrap().len() == 1);
    let claims = URL_SAFE_NO_PAD.decode(ran.stdout.split('.').nth(1).unwrap()).unwrap();
    let claims: Value = serde_json::from_slice(&claims).unwrap();
    assert_eq!((&claims["sub"], claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap()), (&json!("ada"), 7_200));
    let other = quiet().run(&["token", "create", "--user", "ada"]).stdout;
    refused(&served, other.trim(), "does not know");
}

#[test]
fn wrong_uses_of_token_create_say_so() {
    quiet().run(&["token", "create", "--user", ""]).fails(2, "--user");
    quiet().run(&["token", "create", "--user", "a", "--ttl", "soon"]).fails(2, "12h");
    quiet().run(&["token", "create", "--user", "a", "--ttl=-1h"]).fails(2, "--ttl");
    quiet().with("JWKS_URL", "https://auth.example.com/jwks").run(&["token", "create", "--user", "a"]).fails(2, "JWKS_URL");
    let mana = quiet();
    std::fs::write(mana.dir.path().join("token-key.pem"), "nothing").unwrap();
    mana.run(&["token", "create", "--user", "a"]).fails(1, "token-key.pem");
}

#[test]
fn tokens_of_a_provider_are_taken_for_each_algorithm() {
    let signers = [Signer::ed25519("ed"), Signer::p256("ec"), Signer::rsa("rsa")];
    let provider = Provider::start(&signers.iter().collect::<Vec<_>>());
    let served = quiet().with("JWKS_URL", &provider.url).serve_kept();
    for signer in &signers {
        assert_eq!(call(&served.0, &signer.for_user("ada")), (200, String::new()), "{:?}", signer.algorithm);
    }
    let nameless =
        jsonwebtoken::encode(&Header::new(Algorithm::EdDSA), &json!({"sub": "a", "aud": "mana", "exp": now() + 60}), &signers[0].key)
            .unwrap();
    assert_eq!(call(&served.0, &nameless).0, 200, "a token may go without a key id");
    assert_eq!(provider.asked(), 1, "keys are kept");
    assert_eq!(get(&served.0.url("/.well-known/jwks.json")).0, 404, "they are the provider's");
}

#[test]
fn each_way_to_be_refused_has_its_reason() {
    let (ed, rsa) = (Signer::ed25519("ed"), Signer::rsa("rsa"));
    let provider = Provider::start(&[&ed, &rsa]);
    let (served, _mana) = quiet().with("JWKS_URL", &provider.url).serve_kept();
    let claims = json!({"sub": "ada", "exp": now() + 600});
    let good = ed.sign(&claims);
    assert_eq!(call(&served, &good).0, 200);

    // Without a signature, and with a public key used as the secret of a symmetric one (RFC 8725, section 2.1).
    refused(&served, &unsigned(&json!({"alg": "none", "typ": "JWT"}), &claims), "not a JSON Web Token");
    refused(&served, &unsigned(&json!({"alg": "EdDSA", "kid": "ed"}), &claims), "signature");
    let public = ed.public()["x"].as_str().unwrap().to_owned();
    let header = Header { kid: Some("ed".into()), ..Header::new(Algorithm::HS256) };
    for secret in [EncodingKey::from_secret(public.as_bytes()), EncodingKey::from_secret(&URL_SAFE_NO_PAD.decode(&public).unwrap())] {
        refused(&served, &jsonwebtoken::encode(&header, &claims, &secret).unwrap(), "algorithm");
    }
    // The key of one algorithm under the name of another.
    let crossed = Header { kid: Some("rsa".into()), ..Header::new(Algorithm::EdDSA) };
    refused(&served, &jsonwebtoken::encode(&crossed, &claims, &ed.key).unwrap(), "does not know");
    let stronger = Header { kid: Some("rsa".into()), ..Header::new(Algorithm::RS512) };
    refused(&served, &jsonwebtoken::encode(&stronger, &claims, &rsa.key).unwrap(), "algorithm");

    // Another's key under a known id; a changed token.
    refused(&served, &Signer::ed25519("ed").for_user("ada"), "signature");
    let (head, rest) = good.split_once('.').unwrap();
    let (_, signature) = rest.split_once('.').unwrap();
    let mallory = URL_SAFE_NO_PAD.encode(json!({"sub": "ben", "exp": now() + 600}).to_string());
    refused(&served, &format!("{head}.{mallory}.{signature}"), "signature");
    // A key that the token brings along is not asked.
    let mut own = Header { kid: Some("ed".into()), ..Header::new(Algorithm::EdDSA) };
    let mallory = Signer::ed25519("ed");
    own.jwk = Some(serde_json::from_value(mallory.public()).unwrap());
    refused(&served, &jsonwebtoken::encode(&own, &claims, &mallory.key).unwrap(), "signature");
    let critical = Header { kid: Some("ed".into()), crit: Some(vec!["exp".into()]), ..Header::new(Algorithm::EdDSA) };
    refused(&served, &jsonwebtoken::encode(&critical, &claims, &ed.key).unwrap(), "not a JSON Web Token");

    // Times, with a minute for clocks that differ.
    refused(&served, &ed.sign(&json!({"sub": "ada", "exp": now() - 90})), "expired");
    assert_eq!(call(&served, &ed.sign(&json!({"sub": "ada", "exp": now() - 30}))).0, 200);
    refused(&served, &ed.sign(&json!({"sub": "ada", "exp": now() + 600, "nbf": now() + 90})), "not valid yet");
    assert_eq!(call(&served, &ed.sign(&json!({"sub": "ada", "exp": now() + 600, "nbf": now() + 30}))).0, 200);
    // Times may have fractions (RFC 7519, section 2).
    let fraction = |seconds: i64| seconds as f64 + 0.5;
    assert_eq!(call(&served, &ed.sign(&json!({"sub": "ada", "exp": fraction(now() + 600), "nbf": fraction(now() - 600)}))).0, 200);
    refused(&served, &ed.sign(&json!({"sub": "ada", "exp": fraction(now() - 90)})), "expired");
    refused(&served, &ed.sign(&json!({"sub": "ada", "exp": now() + 600, "nbf": fraction(now() + 90)})), "not valid yet");
    refused(&served, &ed.sign(&json!({"sub": "ada", "exp": now() + 600, "nbf": "soon"})), "not a JSON Web Token");
    refused(&served, &ed.sign(&json!({"sub": "ada"})), "expiry");
    refused(&served, &ed.sign(&json!({"sub": "ada", "exp": "tomorrow"})), "expiry");

    for subject in [json!(""), json!("  "), json!(7), json!(null), json!("x".repeat(300))] {
        refused(&served, &ed.sign(&json!({"sub": subject, "exp": now() + 600})), "names no user");
    }
    refused(&served, &ed.sign(&json!({"sub": ["ada"], "exp": now() + 600})), "not a JSON Web Token");
    refused(&served, &ed.sign(&json!({"exp": now() + 600})), "names no user");
    refused(&served, &ed.sign(&json!({"sub": "ada", "exp": now() + 600, "pad": "x".repeat(8_192)})), "longer");
    for token in ["", "x", "..", "a.b", "a.b.c.d", "\u{e9}"] {
        assert_eq!(call(&served, token).0, 401, "{token:?}");
    }
    for header in ["", "Basic YTpi", "Bearer", "Token x"] {
        let (status, body) = request("GET", &served.url("/api/v1/me/ai-audit"), &[("authorization", header)]);
        assert!(status == 401 && body.contains("Authorization: Bearer"), "{header}: {body}");
    }
}

#[test]
fn a_new_key_is_fetched_and_an_outage_locks_out_no_known_one() {
    let (old, new, last) = (Signer::ed25519("old"), Signer::ed25519("new"), Signer::ed25519("last"));
    let provider = Provider::start(&[&old]);
    let (served, _mana) = quiet().with("JWKS_URL", &provider.url).serve_kept();
    assert_eq!(call(&served, &old.for_user("ada")).0, 200);
    provider.now_answers(200, set(&[&old, &new]));
    assert_eq!(call(&served, &new.for_user("ada")).0, 200);
    assert_eq!(provider.asked(), 2);
    for broken in
        [(500, String::new()), (302, String::new()), (200, "no keys".into()), (200, format!("{}{}", set(&[&last]), " ".repeat(300_000)))]
    {
        provider.now_answers(broken.0, broken.1);
        let (status, message) = call(&served, &last.for_user("ada"));
        assert!(status == 503 || status == 401, "{message}");
        assert_eq!(call(&served, &old.for_user("ada")).0, 200);
        assert_eq!(call(&served, &new.for_user("ada")).0, 200);
    }
    for _ in 0..20 {
        assert_ne!(call(&served, &last.for_user("ada")).0, 200);
    }
    assert!(provider.asked() <= 8, "unknown keys must not make a storm: {}", provider.asked());
}

#[test]
fn a_provider_that_does_not_answer_makes_no_caller_wait_for_long() {
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/jwks", silent.local_addr().unwrap());
    let (served, _mana) = quiet().with("JWKS_URL", url).serve_kept();
    let (status, message) = call(&served, &Signer::ed25519("k").for_user("ada"));
    assert!(status == 503 && message.contains("try again later"), "{status} {message}");
    assert_eq!(get(&served.url("/health")).0, 200);
}

#[test]
fn an_audit_takes_a_limit_within_bounds() {
    let mana = quiet();
    let token = mana.run(&["token", "create", "--user", "ada"]).stdout;
    let served = mana.serve();
    let bearer = format!("Bearer {}", token.trim());
    for (query, status) in
        [("", 200), ("?limit=1", 200), ("?limit=1000", 200), ("?limit=0", 400), ("?limit=1001", 400), ("?limit=x", 400), ("?limit=-1", 400)]
    {
        let (found, body) = request("GET", &served.url(&format!("/api/v1/me/ai-audit{query}")), &[("authorization", &bearer)]);
        assert_eq!(found, status, "{query}: {body}");
    }
}

#[test]
fn a_token_for_another_application_of_the_provider_is_refused() {
    let signer = Signer::ed25519("ed");
    let provider = Provider::start(&[&signer]);
    let claims = |more: Value| {
        let mut claims = json!({"sub": "ada", "exp": now() + 600});
        claims.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        signer.sign_as_is(&claims)
    };
    let (served, _mana) = quiet().with("JWKS_URL", &provider.url).serve_kept();
    for good in [json!({"aud": "mana"}), json!({"aud": ["shop", "mana"]}), json!({"aud": "mana", "iss": "anybody"})] {
        assert_eq!(call(&served, &claims(good.clone())).0, 200, "{good}");
    }
    for audience in
        [json!("shop"), json!(["shop"]), json!([]), json!(""), json!(null), json!("Mana"), json!({"mana": 1}), json!([["mana"]])]
    {
        refused(&served, &claims(json!({"aud": audience})), "its `aud` must be or contain \"mana\" (JWT_AUDIENCE)");
    }
    refused(&served, &claims(json!({})), "JWT_AUDIENCE");

    let (served, _mana) =
        quiet().with("JWKS_URL", &provider.url).with("JWT_AUDIENCE", "missions").with("JWT_ISSUER", "https://id.example.com").serve_kept();
    assert_eq!(call(&served, &claims(json!({"aud": "missions", "iss": "https://id.example.com"}))).0, 200);
    refused(&served, &claims(json!({"aud": "mana", "iss": "https://id.example.com"})), "\"missions\"");
    for issuer in [json!("https://id.example.com/"), json!("https://other.example.com"), json!(null), json!(["https://id.example.com"])] {
        refused(&served, &claims(json!({"aud": "missions", "iss": issuer})), "its `iss` must be \"https://id.example.com\" (JWT_ISSUER)");
    }
    refused(&served, &claims(json!({"aud": "missions"})), "JWT_ISSUER");
}

/// The key of a data directory, as a signer.
fn local_signer(mana: &Mana) -> EncodingKey {
    let pem = std::fs::read_to_string(mana.dir.path().join("token-key.pem")).unwrap();
    let body: String = pem.lines().filter(|line| !line.starts_with('-')).collect();
    EncodingKey::from_ed_der(&STANDARD.decode(body).unwrap())
}

#[test]
fn a_local_token_of_before_names_no_audience_and_is_taken() {
    let mana = quiet();
    let token = mana.run(&["token", "create", "--user", "ada"]).stdout;
    let claims: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(token.split('.').nth(1).unwrap()).unwrap()).unwrap();
    assert_eq!(claims["aud"], "mana");
    let served = mana.serve();
    let key = local_signer(&mana);
    let sign = |claims: Value| jsonwebtoken::encode(&Header::new(Algorithm::EdDSA), &claims, &key).unwrap();
    assert_eq!(call(&served, &sign(json!({"sub": "ada", "exp": now() + 60}))).0, 200);
    refused(&served, &sign(json!({"sub": "ada", "exp": now() + 60, "aud": "shop"})), "JWT_AUDIENCE");
}

/// Status, where it leads, and the cookie that is set.
fn visit(method: &str, url: &str, cookie: &str, form: &[(&str, &str)]) -> (u16, String, String) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let client = crate::common::form_client();
        let body: Vec<String> = form.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let request = client.request(method.parse().unwrap(), url).header("cookie", cookie);
        let request = request.header("content-type", "application/x-www-form-urlencoded").body(body.join("&"));
        let answer = request.send().await.unwrap();
        let header = |name: &str| answer.headers().get(name).map_or(String::new(), |value| value.to_str().unwrap().to_owned());
        let cookie = header("set-cookie").split(';').next().unwrap().to_owned();
        (answer.status().as_u16(), header("location"), cookie)
    })
}

/// The code of a new link.
fn code(mana: &Mana, served: &Served) -> String {
    let link = mana.run(&["link", "--user", "ada"]).stdout.trim().to_owned();
    let start = format!("http://{}/link?code=", served.address);
    link.strip_prefix(&start).unwrap_or_else(|| panic!("the link leads to the server that runs, {start}: {link}")).to_owned()
}

#[test]
fn a_link_is_used_up_by_the_form_of_its_page_alone() {
    let mana = quiet();
    let served = mana.serve();
    let code = code(&mana, &served);
    let link = served.url(&format!("/link?code={code}"));
    for method in ["GET", "HEAD", "GET"] {
        let (status, _, cookie) = visit(method, &link, "", &[]);
        assert_eq!((status, cookie.as_str()), (200, ""), "{method} as a preview does");
    }
    let (status, to, cookie) = visit("POST", &served.url("/link"), "", &[("code", &code)]);
    assert_eq!((status, to.as_str()), (303, "/"));
    assert!(cookie.starts_with(&format!("mana_session_{}=", served.address.port())), "{cookie}");
    assert_eq!(visit("GET", &served.url("/missions"), &cookie, &[]).0, 200);
    assert_eq!(visit("POST", &served.url("/link"), "", &[("code", &code)]).0, 403, "once");
    assert_eq!(visit("GET", &link, "", &[]).0, 403);
    // The cookie of another server on this host is none here.
    let renamed = cookie.replacen(&format!("_{}=", served.address.port()), "_1=", 1);
    assert_eq!(visit("GET", &served.url("/missions"), &renamed, &[]).0, 303);
}

#[test]
fn a_session_ends_with_the_key_by_which_it_was_made() {
    let mana = quiet();
    let served = mana.serve();
    let (used, unused) = (code(&mana, &served), code(&mana, &served));
    let by_link = visit("POST", &served.url("/link"), "", &[("code", &used)]).2;
    let token = mana.run(&["token", "create", "--user", "ada"]).stdout;
    let by_token = visit("POST", &served.url("/login"), "", &[("token", token.trim())]).2;
    for session in [&by_link, &by_token] {
        assert_eq!(visit("GET", &served.url("/missions"), session, &[]).0, 200);
    }
    let port = served.address.port().to_string();
    served.terminate();
    std::fs::remove_file(mana.dir.path().join("token-key.pem")).unwrap();
    let served = mana.with("PORT", &port).serve_on_its_port();
    for session in [&by_link, &by_token] {
        let (status, to, _) = visit("GET", &served.0.url("/missions"), session, &[]);
        assert_eq!((status, to.as_str()), (303, "/login"));
    }
    assert_eq!(visit("POST", &served.0.url("/link"), "", &[("code", &unused)]).0, 403, "nor does a link outlive it");
}

#[test]
fn what_a_clock_far_ahead_opened_does_not_stay_open() {
    let (faults, mana) = Faults::under(quiet());
    let served = mana.serve();
    faults.set(Fault::Clock, 4 * 365 * 24 * 3_600);
    let (used, unused) = (code(&mana, &served), code(&mana, &served));
    let session = visit("POST", &served.url("/link"), "", &[("code", &used)]).2;
    assert_eq!(visit("GET", &served.url("/missions"), &session, &[]).0, 200, "it works while the clock is wrong");
    faults.clear(Fault::Clock);
    assert_eq!(visit("GET", &served.url("/missions"), &session, &[]).1, "/login");
    assert_eq!(visit("POST", &served.url("/link"), "", &[("code", &unused)]).0, 403);
    assert!(mana.run(&["sessions", "list", "--json"]).json().is_empty());
    let session = visit("POST", &served.url("/link"), "", &[("code", &code(&mana, &served))]).2;
    assert_eq!(visit("GET", &served.url("/missions"), &session, &[]).0, 200, "a new one is like any other");
}

#[test]
fn a_session_of_a_provider_ends_when_its_key_is_withdrawn() {
    let (old, new) = (Signer::ed25519("key"), Signer::ed25519("key"));
    let provider = Provider::start(&[&old]);
    let (served, mana) = quiet().with("JWKS_URL", &provider.url).serve_kept();
    let session = visit("POST", &served.url("/login"), "", &[("token", &old.for_user("ada"))]).2;
    assert_eq!(visit("GET", &served.url("/missions"), &session, &[]).0, 200);
    let port = served.address.port().to_string();
    served.terminate();
    // Another key under the same id.
    provider.now_answers(200, set(&[&new]));
    let served = mana.with("PORT", &port).serve_on_its_port();
    assert_eq!(visit("GET", &served.0.url("/missions"), &session, &[]).1, "/login");
}

#[test]
fn sessions_are_listed_and_ended() {
    let mana = quiet();
    let served = mana.serve();
    let sign_in = |user: &str| {
        let token = mana.run(&["token", "create", "--user", user]).stdout;
        visit("POST", &served.url("/login"), "", &[("token", token.trim())]).2
    };
    let (ada, phone, ben) = (sign_in("ada"), sign_in("ada"), sign_in("ben"));
    let list = |args: &[&str]| mana.run(&[&["sessions", "list", "--json"], args].concat()).json();
    assert_eq!((list(&[]).len(), list(&["--user", "ada"]).len(), list(&["--user", "eve"]).len()), (3, 2, 0));
    let entry = list(&["--user", "ben"]).remove(0);
    let keys: Vec<_> = entry.as_object().unwrap().keys().cloned().collect();
    assert_eq!(keys, ["id", "userId", "signingKey", "createdAt", "expiresAt", "browser", "system"]);
    let key = ben.split_once('=').unwrap().1;
    assert!(!entry.to_string().contains(key), "what is listed opens nothing");
    mana.run(&["sessions", "end"]).fails(2, "--all");
    mana.run(&["sessions", "end", "no-such-session"]).fails(1, "sessions list");
    assert_eq!(mana.run(&["sessions", "end", entry["id"].as_str().unwrap()]).stdout, "1 ended\n");
    let signed_in = |session: &str| visit("GET", &served.url("/missions"), session, &[]).0 == 200;
    assert!(!signed_in(&ben) && signed_in(&ada) && signed_in(&phone));
    let unused = code(&mana, &served);
    assert_eq!(mana.run(&["sessions", "end", "--user", "ada"]).stdout, "2 ended\n");
    assert!(!signed_in(&ada) && !signed_in(&phone));
    assert_eq!(visit("POST", &served.url("/link"), "", &[("code", &unused)]).0, 403, "her unused links are taken back");
    let again = sign_in("ben");
    assert_eq!(mana.run(&["sessions", "end", "--all"]).stdout, "1 ended\n");
    assert!(!signed_in(&again) && list(&[]).is_empty());
}

/// Anybody whom a provider knows may sign in; who runs the server says who administers it.
#[test]
fn nobody_administers_a_server_for_having_come_first_from_a_provider() {
    let signer = Signer::ed25519("one");
    let provider = Provider::start(&[&signer]);
    let (served, mana) = quiet().with("JWKS_URL", &provider.url).serve_kept();
    let cookie = crate::common::pages::sign_in(&served, &signer.for_user("anna"));
    let settings = || request("GET", &served.url("/settings"), &[("cookie", &cookie)]).1;
    let shown = settings();
    assert!(shown.contains("Time zone") && !shown.contains("Address of the model server"), "{shown}");
    assert_eq!(mana.run(&["people", "role", "anna", "admin"]).code, Some(0));
    assert!(settings().contains("Address of the model server"));
}
