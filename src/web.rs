//! Clients for the servers of others: the model, an identity provider, a collector of traces.

#[cfg(feature = "otel")]
use std::time::Duration;

use reqwest::{Client, ClientBuilder, Url};

/// A client cannot be made.
#[derive(Debug, thiserror::Error)]
#[error("TLS cannot be set up: {cause}; install the certificates of the system (Debian's package ca-certificates)")]
pub struct ClientError {
    cause: String,
}

/// A client for one server. Without TLS it needs no certificates, which a small machine may not have.
///
/// # Errors
/// When the system has no certificates to trust.
pub fn client(url: &Url, set_up: impl FnOnce(ClientBuilder) -> ClientBuilder) -> Result<Client, ClientError> {
    let builder = set_up(Client::builder().redirect(reqwest::redirect::Policy::none()));
    let builder = if is_plain(url) { builder.tls_certs_only([]) } else { builder };
    builder.build().map_err(|error| ClientError { cause: root_cause(&error) })
}

/// The same for a thread that may block.
///
/// # Errors
/// When the system has no certificates to trust.
#[cfg(feature = "otel")]
pub fn blocking_client(url: &Url, timeout: Duration) -> Result<reqwest::blocking::Client, ClientError> {
    let builder = reqwest::blocking::Client::builder().timeout(timeout).redirect(reqwest::redirect::Policy::none());
    let builder = if is_plain(url) { builder.tls_certs_only([]) } else { builder };
    builder.build().map_err(|error| ClientError { cause: root_cause(&error) })
}

fn is_plain(url: &Url) -> bool {
    url.scheme() == "http"
}

/// Whether a failed connection is the fault of this machine: it has no descriptor, port or memory left.
pub fn is_of_machine(error: &(dyn std::error::Error + 'static)) -> bool {
    use rustix::io::Errno;
    const OURS: [Errno; 6] = [Errno::MFILE, Errno::NFILE, Errno::NOMEM, Errno::NOBUFS, Errno::ADDRNOTAVAIL, Errno::NOSPC];
    let ours = |error: &std::io::Error| OURS.iter().any(|errno| error.raw_os_error() == Some(errno.raw_os_error()));
    let mut cause = Some(error);
    while let Some(error) = cause {
        if error.downcast_ref::<std::io::Error>().is_some_and(ours) {
            return true;
        }
        cause = error.source();
    }
    // A resolver that gets no descriptor only says that it knows no such name.
    std::fs::File::open("/dev/null").err().is_some_and(|error| ours(&error))
}

/// What lies behind an error, which by itself only says what was tried.
pub fn root_cause(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}
