//! Where the routes of a model server are, from whatever address its user gives (docs/design.md, section 7).

use reqwest::Url;

/// The route that asks for an answer, below a base address.
const CHAT: &str = "/chat/completions";

/// The routes of one server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    pub chat: Url,
    pub models: Url,
}

impl Endpoint {
    /// A base without a path gets `/v1`; any other path is kept, the whole endpoint is taken as it is, and a query stays.
    pub fn new(given: &Url) -> Self {
        let path = given.path().trim_end_matches('/');
        let base = match path.strip_suffix(CHAT).unwrap_or(path) {
            "" => "/v1",
            base => base,
        };
        let route = |name: &str| {
            let mut url = given.clone();
            url.set_path(&format!("{base}{name}"));
            url.set_fragment(None);
            url
        };
        Endpoint { chat: route(CHAT), models: route("/models") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(given: &str, chat: &str, models: &str) {
        let Endpoint { chat: c, models: m } = Endpoint::new(&given.parse().unwrap());
        assert_eq!((c.as_str(), m.as_str()), (chat, models), "{given}");
    }

    #[test]
    fn each_kind_of_address_leads_to_its_routes() {
        for given in ["http://h:1", "http://h:1/", "http://h:1/v1", "http://h:1/v1/", "http://h:1/v1/chat/completions", "http://h:1//"] {
            check(given, "http://h:1/v1/chat/completions", "http://h:1/v1/models");
        }
        check("https://h/v1beta/openai/", "https://h/v1beta/openai/chat/completions", "https://h/v1beta/openai/models");
        check("https://h/api/paas/v4", "https://h/api/paas/v4/chat/completions", "https://h/api/paas/v4/models");
        check(
            "https://h/openai/v1?api-version=preview",
            "https://h/openai/v1/chat/completions?api-version=preview",
            "https://h/openai/v1/models?api-version=preview",
        );
        check(
            "https://h/openai/deployments/d/chat/completions?api-version=2024-10-21#x",
            "https://h/openai/deployments/d/chat/completions?api-version=2024-10-21",
            "https://h/openai/deployments/d/models?api-version=2024-10-21",
        );
        check("http://h/chat/completions", "http://h/v1/chat/completions", "http://h/v1/models");
    }
}
