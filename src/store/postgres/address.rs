//! Addresses of databases, and how far a connection to them is trusted (docs/design.md, section 18).

use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use ::postgres::Config;
use ::postgres::config::{Host, SslMode};
use rustls::crypto::aws_lc_rs;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use rustls_platform_verifier::BuilderVerifierExt;
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::store::db::Blocking;
use crate::store::{StoreError, StoreResult};

/// A database, and how it is reached.
pub(in crate::store) struct ServerAddress {
    config: Config,
    tls: MakeRustlsConnect,
    /// Without its password.
    pub shown: PathBuf,
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
        config.application_name("mana-ai").connect_timeout(timeout.max(Duration::from_secs(1)));
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
        Ok(ServerAddress { config, tls, shown })
    }

    pub fn connect(&self) -> Result<Blocking, ::postgres::Error> {
        Blocking::connect(&self.config, &self.tls)
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
        (Some((scheme, _)), Some(at)) => format!("{scheme}://…{}", &text[at..]),
        _ => "what was given".into(),
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
        assert!(!reason("postgres://mana:secret@db.example:port/app").contains("secret"));
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
