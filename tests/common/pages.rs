//! Pages as a browser asks for them, and their forms as it sends them.

use super::Served;

/// The answer to a form.
pub struct FormAnswer {
    pub status: u16,
    pub body: String,
    /// Where it leads.
    pub location: String,
    pub cookie: Option<String>,
}

pub fn post(url: &str, cookie: &str, fields: &[(String, String)]) -> FormAnswer {
    let body = reqwest::Url::parse_with_params("http://form", fields).unwrap().query().unwrap_or_default().to_owned();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let client = super::form_client();
        let request = client.post(url).header("content-type", "application/x-www-form-urlencoded").header("cookie", cookie).body(body);
        let answer = request.send().await.unwrap();
        let text = |name: &str| answer.headers().get(name).map(|value| value.to_str().unwrap().to_owned());
        let (cookie, location) = (text("set-cookie"), text("location").unwrap_or_default());
        FormAnswer { status: answer.status().as_u16(), location, cookie, body: answer.text().await.unwrap() }
    })
}

/// The cookie of whom a token signs in.
pub fn sign_in(served: &Served, token: &str) -> String {
    let answer = post(&served.url("/login"), "", &[("token".into(), token.into())]);
    assert_eq!(answer.status, 303);
    answer.cookie.unwrap().split(';').next().unwrap().to_owned()
}
