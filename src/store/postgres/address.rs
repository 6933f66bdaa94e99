//! Addresses of databases, and how far a connection to them is trusted (docs/design.md, section 18).

use std::path::PathBuf;
use std::str::FromStr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use ::postgres::Config;
use ::postgres::config::{Host, SslMode, TargetSessionAttrs};
use rustls::crypto::aws_lc_rs;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use rustls_platform_verifier::BuilderVerifierExt;
use tokio_postgres_rustls::MakeRustlsConnect;

use super::pulse::Heartbeats;
use super::store_error;
use crate::store::db::Blocking;
use crate::store::{StoreError, StoreResult};

/// Connections that are being made at a time; more would wait for a server that does not answer.
const CONNECTING: usize = 16;
/// After this long without an answer of the other machine a connection is dead, and is asked whether it lives.
const DEAD_AFTER: Duration = Duration::from_secs(30);
const ASKED_EVERY: Duration = Duration::from_secs(10);
/// How long the client waits by default before it asks.
const NEVER_ASKED: Duration = Duration::from_secs(2 * 60 * 60);

/// A database, and how it is reached.
pub(in crate::store) struct ServerAddress {
    config: Config,
    tls: MakeRustlsConnect,
    /// Without its password.
    pub shown: PathBuf,
    /// Whether the server is on this machine.
    pub is_near: bool,
    /// How long a statement waits for somebody's lock.
    pub patience: Duration,
    /// Whether the server answers this process.
    pub heartbeats: Heartbeats,
    connecting: Arc<AtomicUsize>,
}

impl ServerAddress {
    /// Reads `postgres://user:password@host/database`, or the form of libpq.
    ///
    /// Where it says nothing else, a server on another machine has to show a certificate for its name, of an authority that
    /// this machine trusts or `sslrootcert` names; `sslmode=disable` is for a network that is trusted.
    ///
    /// # Errors
    /// When it is something else, or its certificates cannot be read.
    pub fn read(text: &str, timeout: Duration) -> StoreResult<Self> {
        let refused = |reason: String| StoreError::Address { address: without_password(text), reason };
        let (plain, roots) = without_option(text, "sslrootcert");
        let (plain, mode) = without_option(&plain, "sslmode");
        let mut config = Config::from_str(&plain).map_err(|error| refused(error.to_string()))?;
        let patience = timeout.max(Duration::from_secs(1));
        take_defaults(&mut config, patience);
        let (host, is_near) = match config.get_hosts().first() {
            Some(Host::Tcp(host)) => (host.clone(), host == "localhost" || host.parse().is_ok_and(|ip: std::net::IpAddr| ip.is_loopback())),
            Some(Host::Unix(path)) => (path.display().to_string(), true),
            None => return Err(refused("it names no host".into())),
        };
        let mode = match mode.as_deref() {
            None if is_near => SslMode::Disable,
            None | Some("require" | "verify-ca" | "verify-full") => SslMode::Require,
            Some("prefer" | "allow") => SslMode::Prefer,
            Some("disable") => SslMode::Disable,
            Some(other) => return Err(refused(format!("`{other}` is no sslmode; it is disable, prefer or require"))),
        };
        let tls = connector(roots.as_deref()).map_err(refused)?;
        let shown = PathBuf::from(format!("postgres://{host}/{}", config.get_dbname().or(config.get_user()).unwrap_or_default()));
        config.ssl_mode(mode);
        let (heartbeats, connecting) = (Heartbeats::default(), Arc::default());
        Ok(ServerAddress { config, tls, shown, is_near, patience, heartbeats, connecting })
    }

    /// Makes a connection. It blocks, but not for long: the client itself waits for ever for a server that was reached and says nothing.
    ///
    /// # Errors
    /// When the server cannot be reached, or refuses.
    pub fn connect(&self) -> StoreResult<Blocking> {
        let silent = || StoreError::Unreachable { path: self.shown.clone(), reason: "it does not answer".into() };
        let connecting = Arc::clone(&self.connecting);
        if connecting.fetch_add(1, Ordering::SeqCst) >= CONNECTING {
            connecting.fetch_sub(1, Ordering::SeqCst);
            return Err(silent());
        }
        let (config, tls) = (self.config.clone(), self.tls.clone());
        let (sender, receiver) = mpsc::channel();
        let connect = move || {
            let connected = Blocking::connect(&config, &tls);
            connecting.fetch_sub(1, Ordering::SeqCst);
            // Nobody may be waiting any more.
            let _ = sender.send(connected);
        };
        std::thread::Builder::new().name("store-connect".into()).spawn(connect).map_err(|_| StoreError::Stopped)?;
        let hosts = u32::try_from(self.config.get_hosts().len()).unwrap_or(u32::MAX);
        let each = self.config.get_connect_timeout().copied().unwrap_or(self.patience);
        let connected = receiver.recv_timeout(each.saturating_mul(hosts)).map_err(|_| silent())?;
        connected.map_err(|error| store_error(&self.shown, &error))
    }
}

/// What an address says nothing of.
fn take_defaults(config: &mut Config, patience: Duration) {
    // As with libpq: an address on a command line stands in the list of processes.
    if config.get_password().is_none()
        && let Ok(password) = std::env::var("PGPASSWORD")
    {
        config.password(password);
    }
    // Each instance has a name of its own, by which others are told apart.
    config.application_name(&format!("mana-ai {:08x}", rand::random::<u32>()));
    if config.get_connect_timeout().is_none() {
        config.connect_timeout(patience);
    }
    if config.get_tcp_user_timeout().is_none() {
        config.tcp_user_timeout(DEAD_AFTER);
    }
    if config.get_keepalives_idle() == NEVER_ASKED {
        config.keepalives_idle(DEAD_AFTER);
    }
    if config.get_keepalives_interval().is_none() {
        config.keepalives_interval(ASKED_EVERY);
    }
    if config.get_keepalives_retries().is_none() {
        config.keepalives_retries(3);
    }
    // Of several, or after a failover, the one that takes writes.
    if config.get_target_session_attrs() == TargetSessionAttrs::Any {
        config.target_session_attrs(TargetSessionAttrs::ReadWrite);
    }
}

/// A connector that checks certificates, by those in a file or by those of this machine.
fn connector(roots: Option<&str>) -> Result<MakeRustlsConnect, String> {
    let builder = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?;
    let builder = match roots {
        None => builder.with_platform_verifier().map_err(|error| error.to_string())?,
        Some(path) => {
            let unreadable = |reason: String| format!("the certificates in {path} cannot be read: {reason}");
            let mut trusted = RootCertStore::empty();
            for certificate in CertificateDer::pem_file_iter(path).map_err(|error| unreadable(error.to_string()))? {
                let certificate = certificate.map_err(|error| unreadable(error.to_string()))?;
                trusted.add(certificate).map_err(|error| unreadable(error.to_string()))?;
            }
            if trusted.is_empty() {
                return Err(unreadable("there are none".into()));
            }
            builder.with_root_certificates(trusted)
        }
    };
    Ok(MakeRustlsConnect::new(builder.with_no_client_auth()))
}

/// An address without one of its options, which the client does not know, and the option.
fn without_option(text: &str, name: &str) -> (String, Option<String>) {
    let is_start = |at: usize| text[..at].ends_with(['?', '&', ' ']) || at == 0;
    let Some(at) = text.match_indices(&format!("{name}=")).map(|(at, _)| at).find(|at| is_start(*at)) else {
        return (text.to_owned(), None);
    };
    let value = &text[at + name.len() + 1..];
    let value = &value[..value.find(['&', ' ']).unwrap_or(value.len())];
    let rest = text[at + name.len() + 1 + value.len()..].trim_start_matches(['&', ' ']);
    let given = percent_encoding::percent_decode_str(value.trim_matches('\'')).decode_utf8_lossy().into_owned();
    (format!("{}{rest}", &text[..at]), Some(given))
}

/// An address as it may be shown.
fn without_password(text: &str) -> String {
    match (text.split_once("://"), text.rfind('@')) {
        (Some((scheme, _)), Some(at)) => {
            let place = &text[at..];
            format!("{scheme}://…{}", place.split_once('?').map_or(place, |(place, _)| place))
        }
        _ => "MANA_AI_DATABASE".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> StoreResult<ServerAddress> {
        ServerAddress::read(text, Duration::from_secs(1))
    }

    fn reason(text: &str) -> String {
        read(text).err().expect("it is refused").to_string()
    }

    #[test]
    fn an_address_is_shown_without_its_password() {
        let address = read("postgres://mana:secret@db.example/app").unwrap();
        assert_eq!(address.shown.to_str(), Some("postgres://db.example/app"));
        for text in ["postgres://mana:secret@db.example:port/app", "postgres://mana@db.example:port/app?password=secret"] {
            assert!(!reason(text).contains("secret"), "{}", reason(text));
        }
    }

    #[test]
    fn a_server_on_another_machine_shows_a_certificate_unless_the_address_says_otherwise() {
        let mode = |text| read(text).unwrap().config.get_ssl_mode();
        assert_eq!(mode("postgres://mana@db.example/app"), SslMode::Require);
        assert_eq!(mode("host=db.example user=mana sslmode=verify-full"), SslMode::Require);
        assert_eq!(mode("postgres://mana@db.example/app?sslmode=disable"), SslMode::Disable);
        assert_eq!(mode("postgres://mana@db.example/app?connect_timeout=3&sslmode=prefer"), SslMode::Prefer);
        for near in ["postgres://mana@localhost/app", "postgres://mana@127.0.0.1/app", "postgres://mana@%2Frun%2Fpostgresql/app"] {
            assert_eq!(mode(near), SslMode::Disable, "{near}");
        }
        assert!(reason("postgres://mana@db.example/app?sslmode=maybe").contains("`maybe` is no sslmode"));
        assert!(reason("postgres://mana@db.example/app?sslrootcert=/missing.pem&sslmode=require").contains("/missing.pem cannot be read"));
    }

    #[test]
    fn an_option_is_taken_out() {
        assert_eq!(without_option("a://b?x=1&sslmode=%20y&z=2", "sslmode"), ("a://b?x=1&z=2".into(), Some(" y".into())));
        assert_eq!(without_option("host=b sslmode='y' z=2", "sslmode"), ("host=b z=2".into(), Some("y".into())));
        assert_eq!(without_option("a://b?sslmode=y", "sslmode"), ("a://b?".into(), Some("y".into())));
        assert_eq!(without_option("a://b?notsslmode=y", "sslmode"), ("a://b?notsslmode=y".into(), None));
    }
}
