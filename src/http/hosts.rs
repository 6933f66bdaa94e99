//! The names under which the server is known: a request for another one comes from a page that pretends to be ours (DNS
//! rebinding), or from a wrong setting.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, Uri, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::error::ApiError;

/// Which hosts and which origins of pages are ours.
#[derive(Debug, Clone)]
pub(super) struct Hosts {
    listen: IpAddr,
    /// Lower-case names, or addresses.
    names: Vec<String>,
    origins: Vec<String>,
}

impl Hosts {
    pub fn new(listen: SocketAddr, public: &[reqwest::Url], origins: &[String]) -> Self {
        let names = public.iter().filter_map(|url| url.host_str()).map(|name| bare(name).to_ascii_lowercase()).collect();
        Hosts { listen: listen.ip(), names, origins: origins.to_vec() }
    }

    /// Whether a host, with or without a port, is this server.
    fn knows(&self, host: &str) -> bool {
        let name = bare(without_port(host)).trim_end_matches('.').to_ascii_lowercase();
        if self.names.contains(&name) || name == "localhost" || name.ends_with(".localhost") {
            return true;
        }
        // An address cannot be rebound; whoever listens everywhere has addresses that only the system knows.
        name.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback() || ip == self.listen || self.listen.is_unspecified())
    }

    /// Whether a page of this origin may open a WebSocket; a program that is no browser sends none.
    pub fn takes_origin(&self, headers: &HeaderMap) -> bool {
        let Some(origin) = headers.get(header::ORIGIN) else { return true };
        let Ok(origin) = origin.to_str() else { return false };
        let listed = self.origins.iter().any(|allowed| allowed == "*" || allowed == origin);
        listed || origin.split_once("://").is_some_and(|(_, host)| self.knows(host))
    }
}

/// Refuses a request for a host that is not ours.
pub(super) async fn check(State(hosts): State<Arc<Hosts>>, request: Request, next: Next) -> Response {
    match asked(request.uri(), request.headers()) {
        Some(host) if hosts.knows(&host) => next.run(request).await,
        found => ApiError::misdirected(found.as_deref()).into_response(),
    }
}

/// The host of a request: that of its target where it is whole (RFC 9112, section 3.2.2), else of the header.
fn asked(uri: &Uri, headers: &HeaderMap) -> Option<String> {
    if let Some(authority) = uri.authority() {
        return Some(authority.as_str().rsplit('@').next().unwrap_or_default().to_owned());
    }
    headers.get(header::HOST).and_then(|host| host.to_str().ok()).map(str::to_owned)
}

fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) && (!name.contains(':') || name.ends_with(']')) => name,
        _ => host,
    }
}

/// An IPv6 address without its brackets.
fn bare(host: &str) -> &str {
    host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hosts(listen: &str) -> Hosts {
        let public = ["https://Mana.Example.com/", "http://[2001:db8::7]:3067"].map(|url| url.parse().unwrap());
        Hosts::new(listen.parse().unwrap(), &public, &["https://app.example.com".into()])
    }

    #[test]
    fn a_host_is_known_by_its_name_whatever_the_port() {
        let cases = [
            ("127.0.0.1:3067", true),
            ("127.0.0.1", true),
            ("127.9.9.9:1", true),
            ("localhost:3067", true),
            ("LOCALHOST.", true),
            ("app.localhost:80", true),
            ("[::1]:3067", true),
            ("[::1]", true),
            ("mana.example.com", true),
            ("MANA.example.com:443", true),
            ("[2001:db8::7]", true),
            ("192.0.2.1:3067", true),
            ("192.0.2.2:3067", false),
            ("evil.example.com", false),
            ("127.0.0.1.evil.example.com", false),
            ("mana.example.com.evil.com", false),
            ("localhost.evil.com", false),
            ("", false),
            ("localhost@evil.com", false),
            ("[::1", false),
            ("127.0.0.1:3067:evil", false),
            ("2130706433", false),
            ("0x7f.1", false),
        ];
        for (host, known) in cases {
            assert_eq!(hosts("192.0.2.1:3067").knows(host), known, "{host}");
        }
        assert!(hosts("0.0.0.0:3067").knows("192.0.2.2:3067") && hosts("[::]:1").knows("198.51.100.1"), "it listens everywhere");
        assert!(!hosts("0.0.0.0:3067").knows("evil.example.com"));
    }

    #[test]
    fn the_origin_of_a_page_is_one_of_ours_or_a_listed_one() {
        let takes = |origin: Option<&str>| {
            let mut headers = HeaderMap::new();
            headers.extend(origin.map(|origin| (header::ORIGIN, origin.parse().unwrap())));
            hosts("127.0.0.1:3067").takes_origin(&headers)
        };
        for origin in ["http://127.0.0.1:3067", "https://mana.example.com", "https://app.example.com", "http://localhost:5173"] {
            assert!(takes(Some(origin)), "{origin}");
        }
        assert!(takes(None));
        for origin in ["https://evil.example.com", "null", "https://app.example.com.evil.com", "https://app.example.com:444", "file://"] {
            assert!(!takes(Some(origin)), "{origin}");
        }
    }
}
