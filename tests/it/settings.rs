//! Settings and people: who may administer the server, what members do not see, and a model that is changed while the server runs.

use std::time::Duration;

use crate::common::pages::{FormAnswer, post, sign_in};
use crate::common::{Mana, Model, Reply, Served, hourly, request, send};

/// A server without a model of its own, and people who are signed in.
struct House {
    mana: Mana,
    served: Served,
}

impl House {
    fn new(mana: Mana) -> Self {
        let mana = mana.with("TICK_ENABLED", "false");
        House { served: mana.serve(), mana }
    }

    fn signed_in(&self, user: &str) -> String {
        let token = self.mana.run(&["token", "create", "--user", user]).stdout;
        sign_in(&self.served, token.trim())
    }

    fn page(&self, cookie: &str, path: &str) -> (u16, String) {
        request("GET", &self.served.url(path), &[("cookie", cookie)])
    }

    /// Whether a cookie opens nothing any more.
    fn is_out(&self, cookie: &str) -> bool {
        self.page(cookie, "/settings").1.contains("<h1>Sign in</h1>")
    }

    fn post(&self, cookie: &str, path: &str, fields: &[(&str, &str)]) -> FormAnswer {
        let (_, page) = self.page(cookie, "/settings");
        let csrf = page.split("name=\"csrf\" value=\"").nth(1).unwrap().split('"').next().unwrap();
        let fields = [("csrf", csrf)].into_iter().chain(fields.iter().copied());
        post(&self.served.url(path), cookie, &fields.map(|(name, value)| (name.to_owned(), value.to_owned())).collect::<Vec<_>>())
    }
}

/// Everything of a server that only an administrator may do.
const OF_ADMINS: [(&str, &[(&str, &str)]); 10] = [
    ("/settings/model", &[("act", "save"), ("address", "http://evil.example"), ("model", "m")]),
    ("/settings/model", &[("act", "test"), ("address", "http://127.0.0.1:1"), ("model", "m")]),
    ("/settings/model", &[("act", "list"), ("address", "http://127.0.0.1:1"), ("model", "m")]),
    ("/settings/backup", &[]),
    ("/settings/people", &[("person", "eve"), ("role", "admin")]),
    ("/settings/people/link", &[("person", "anna")]),
    ("/settings/people/remove", &[("person", "anna"), ("typed", "anna")]),
    ("/settings/people/role", &[("person", "ben"), ("role", "admin")]),
    ("/settings/people/sign-out", &[("person", "anna")]),
    ("/settings/people/uninvite", &[("person", "anna")]),
];

#[test]
fn the_first_to_sign_in_administers_and_others_do_not_see_the_server() {
    let house = House::new(Mana::new());
    let (anna, ben) = (house.signed_in("anna"), house.signed_in("ben"));
    let (_, shown) = house.page(&anna, "/settings");
    assert!(shown.contains("Address of the model server") && shown.contains("<h2>Backup</h2>"), "{shown}");
    let (_, shown) = house.page(&ben, "/settings");
    assert!(!shown.contains("Address of the model server") && !shown.contains("<h2>Backup</h2>") && !shown.contains("Limits"), "{shown}");
    assert!(shown.contains("Time zone") && shown.contains("Access tokens"), "{shown}");
    assert_eq!(house.page(&ben, "/settings/people").0, 404);
    for (path, fields) in OF_ADMINS {
        assert_eq!(house.post(&ben, path, fields).status, 404, "{path}");
        // Nor without the token of the session.
        let bare: Vec<(String, String)> = fields.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        assert_eq!(post(&house.served.url(path), &anna, &bare).status, 403, "{path}");
    }
    // The last administrator stays one, and is not offered anything else.
    let (_, people) = house.page(&anna, "/settings/people");
    assert!(people.contains("The only administrator") && people.contains("Make administrator"), "{people}");
    assert!(!people.contains("Make member") && people.matches("Remove…").count() == 1, "{people}");
    let refused = house.post(&anna, "/settings/people/role", &[("person", "anna"), ("role", "member")]);
    assert!(refused.status == 422 && refused.body.contains("Somebody has to administer"), "{}", refused.body);
    assert_eq!(house.post(&anna, "/settings/people/role", &[("person", "ben"), ("role", "admin")]).status, 303);
    assert_eq!(house.post(&anna, "/settings/people/role", &[("person", "anna"), ("role", "member")]).status, 303);
    assert_eq!(house.page(&anna, "/settings/people").0, 404);
    assert_eq!(house.page(&ben, "/settings/people").0, 200);
}

#[test]
fn an_invitation_signs_in_once_as_whom_it_names_and_never_as_somebody_who_is_here() {
    let house = House::new(Mana::new());
    let anna = house.signed_in("anna");
    house.signed_in("ben");
    house.mana.import(&[hourly("zora", "m", None, "2099-01-01T00:00:00.000Z")]);
    // Whoever has data here is seen, and can be removed.
    let (_, people) = house.page(&anna, "/settings/people");
    assert!(people.contains("<bdi>zora</bdi>") && people.contains("Has data here"), "{people}");
    assert_eq!(house.page(&anna, "/settings/people/remove?person=zora").0, 200);
    assert_eq!(house.page(&anna, "/settings/people/remove?person=nobody").0, 404);
    for taken in ["anna", "ben", "zora", " "] {
        let refused = house.post(&anna, "/settings/people", &[("person", taken), ("role", "member")]);
        assert!(refused.status == 422 && !refused.body.contains("/link?code="), "{taken}: {}", refused.body);
    }
    for taken in ["anna", "ben", "zora"] {
        assert_eq!(house.post(&anna, "/settings/people/link", &[("person", taken)]).status, 404);
        assert_eq!(house.post(&anna, "/settings/people/uninvite", &[("person", taken)]).status, 404);
    }
    let link = |answer: &FormAnswer| {
        let code = answer.body.split("/link?code=").nth(1).unwrap_or_else(|| panic!("{}", answer.body));
        code.split('<').next().unwrap().to_owned()
    };
    let code = link(&house.post(&anna, "/settings/people", &[("person", "eve"), ("role", "member")]));
    let opened = post(&house.served.url("/link"), "", &[("code".into(), code.clone())]);
    assert_eq!((opened.status, opened.location.as_str()), (303, "/"));
    let eve = opened.cookie.unwrap().split(';').next().unwrap().to_owned();
    assert!(house.page(&eve, "/settings").1.contains("eve"));
    assert_eq!(house.page(&eve, "/settings/people").0, 404);
    assert_eq!(post(&house.served.url("/link"), "", &[("code".into(), code)]).status, 403);
    // One that is taken back opens nothing.
    let code = link(&house.post(&anna, "/settings/people", &[("person", "max"), ("role", "admin")]));
    assert_eq!(house.post(&anna, "/settings/people/uninvite", &[("person", "max")]).status, 303);
    assert_eq!(post(&house.served.url("/link"), "", &[("code".into(), code)]).status, 403);
    assert_eq!(house.post(&anna, "/settings/people/sign-out", &[("person", "eve")]).status, 303);
    assert!(house.is_out(&eve));
}

#[test]
fn a_session_is_ended_by_its_user_alone_and_a_token_is_shown_once() {
    let house = House::new(Mana::new());
    let (here, there, ben) = (house.signed_in("anna"), house.signed_in("anna"), house.signed_in("ben"));
    let (_, page) = house.page(&here, "/settings");
    let other = page.split("name=\"session\" value=\"").nth(1).unwrap().split('"').next().unwrap();
    assert_eq!(house.post(&ben, "/settings/sessions/end", &[("session", other)]).status, 404);
    assert_eq!(house.page(&there, "/settings").0, 200);
    assert_eq!(house.post(&here, "/settings/sessions/end", &[("session", other)]).status, 303);
    assert!(house.is_out(&there) && !house.is_out(&here));
    let made = house.post(&here, "/settings/tokens", &[("days", "7")]);
    let token = made.body.split("id=\"token\"").nth(1).unwrap().split('>').nth(1).unwrap().split('<').next().unwrap().trim().to_owned();
    let bearer = format!("Bearer {token}");
    assert_eq!(request("GET", &house.served.url("/api/v1/me/ai-audit"), &[("authorization", &bearer)]).0, 200);
    assert!(!house.page(&here, "/settings").1.contains(&token));
    // It is seen at once, and whoever reloads is not left with nothing.
    assert!(made.body.contains("<textarea id=\"token\" readonly autofocus"), "{}", made.body);
    let (status, again) = house.page(&here, "/settings/tokens");
    assert!(status == 200 && again.contains("<h1>Settings</h1>") && !again.contains(&token), "{again}");
    for days in ["0", "-1", "400", "x", ""] {
        assert_eq!(house.post(&here, "/settings/tokens", &[("days", days)]).status, 400, "{days}");
    }
}

#[test]
fn preferences_are_kept_and_the_page_speaks_the_chosen_language() {
    let house = House::new(Mana::new());
    let anna = house.signed_in("anna");
    assert_eq!(house.post(&anna, "/settings", &[("language", "de"), ("zone", "Asia/Tokyo")]).status, 303);
    let (_, page) = house.page(&anna, "/settings");
    assert!(page.contains("lang=\"de\"") && page.contains("Einstellungen") && page.contains("data-zone=\"Asia/Tokyo\""), "{page}");
    let refused = house.post(&anna, "/settings", &[("language", "de"), ("zone", "Berlin")]);
    assert!(refused.status == 422 && refused.body.contains("Europe/Berlin"), "{}", refused.body);
    assert_eq!(house.post(&anna, "/settings", &[("language", "xx"), ("zone", "")]).status, 422);
    assert_eq!(house.post(&anna, "/settings", &[("language", ""), ("zone", "")]).status, 303);
    assert!(house.page(&anna, "/settings").1.contains("Settings"));
}

#[test]
fn a_model_is_tested_kept_as_a_secret_and_used_without_a_restart() {
    use std::os::unix::fs::PermissionsExt;
    let model = Model::start(Duration::ZERO, |_| Reply::task("Do this"));
    let (mut house, key) = (House::new(Mana::new()), "sk-very-secret-77");
    let anna = house.signed_in("anna");
    house.mana.import(&[hourly("anna", "m", None, "2026-04-15T08:00:00.000Z")]);
    let wish = [("address", model.url()), ("model", "scripted-7".to_owned()), ("key", key.to_owned())];
    let wish: Vec<(&str, &str)> = wish.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let act = |house: &House, act: &str, wish: &[(&str, &str)]| house.post(&anna, "/settings/model", &[&[("act", act)], wish].concat());
    let tested = act(&house, "test", &wish);
    assert!(tested.status == 200 && tested.body.contains("answered in") && !tested.body.contains(key), "{}", tested.body);
    assert!(!house.mana.dir.path().join("workbench.toml").exists(), "a test keeps nothing");
    for (address, says) in
        [("http://127.0.0.1:1", "cannot be reached"), ("ftp://x", "must begin with http"), ("file:///etc/passwd", "must begin with http")]
    {
        let refused = act(&house, "test", &[("address", address), ("model", "m")]);
        assert!(refused.body.contains(says), "{}", refused.body);
    }
    let saved = act(&house, "save", &wish);
    assert!(saved.status == 200 && saved.body.contains("Saved.") && !saved.body.contains(key), "{}", saved.body);
    let file = house.mana.dir.path().join("workbench.toml");
    assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    // The next run asks it, with the key.
    let service = std::fs::read_to_string(house.mana.dir.path().join("service-key")).unwrap();
    assert_eq!(request("POST", &house.served.url("/internal/tick"), &[("x-service-key", service.trim())]).0, 200);
    let asked = model.requests();
    assert_eq!(asked.last().unwrap()["model"], "scripted-7");
    assert_eq!(house.mana.mission("m")["iterations"].as_array().unwrap().len(), 1);
    let (_, page) = house.page(&anna, "/settings");
    assert!(page.contains("A key is stored") && !page.contains(key) && page.contains("scripted-7"), "{page}");
    // Another server does not get the key, whoever asks.
    let elsewhere = Model::start(Duration::ZERO, |_| Reply::task("x"));
    let other = elsewhere.url();
    let other = [("address", other.as_str()), ("model", "m")];
    assert!(act(&house, "save", &other).body.contains("Saved."));
    assert!(!std::fs::read_to_string(&file).unwrap().contains(key));
    assert!(act(&house, "save", &wish).body.contains("Saved."));
    // It is in force after a restart, for commands too, and nowhere to be seen.
    let told = house.mana.run(&["config", "--json"]);
    let of = |name: &str| told.json().into_iter().find(|line| line["key"] == name).unwrap();
    assert_eq!((of("llm_model")["value"].as_str(), of("llm_api_key")["value"].as_str()), (Some("scripted-7"), Some("********")));
    house.served = house.mana.serve();
    let anna = house.signed_in("anna");
    assert!(house.page(&anna, "/settings").1.contains("scripted-7"));
    assert!(!told.stdout.contains(key) && !house.page(&anna, "/settings").1.contains(key));
}

#[test]
fn what_the_environment_fixes_is_shown_as_fixed_and_stays() {
    let mana = Mana::new().with("MANA_LLM_URL", "http://127.0.0.1:9").with("MANA_LLM_API_KEY", "sk-of-the-operator");
    std::fs::write(mana.dir.path().join("workbench.toml"), "llm_url = \"http://127.0.0.1:8\"\nllm_model = \"kept\"\n").unwrap();
    let house = House::new(mana);
    let anna = house.signed_in("anna");
    let (_, page) = house.page(&anna, "/settings");
    assert!(
        page.contains("Fixed by") && page.contains("environment") && page.contains("http://127.0.0.1:9") && page.contains("kept"),
        "{page}"
    );
    assert!(!page.contains("sk-of-the-operator"), "{page}");
    let saved =
        house.post(&anna, "/settings/model", &[("act", "save"), ("address", "http://evil.example"), ("key", "x"), ("model", "new")]);
    assert!(saved.body.contains("Saved."), "{}", saved.body);
    assert_eq!(std::fs::read_to_string(house.mana.dir.path().join("workbench.toml")).unwrap().trim(), "llm_model = \"new\"");
}

#[test]
fn a_backup_is_made_and_the_last_one_is_told() {
    let house = House::new(Mana::new());
    let anna = house.signed_in("anna");
    assert!(house.page(&anna, "/settings").1.contains("No backup was made yet"));
    let made = house.post(&anna, "/settings/backup", &[]);
    assert!(made.status == 200 && made.body.contains("The backup is in"), "{}", made.body);
    assert!(house.page(&anna, "/settings").1.contains("Last backup"));
    let files: Vec<_> = std::fs::read_dir(house.mana.dir.path().join("backups")).unwrap().map(|entry| entry.unwrap().path()).collect();
    let elsewhere = tempfile::tempdir().unwrap();
    let to = elsewhere.path().join("data");
    let restored = house.mana.run(&["restore", files[0].to_str().unwrap(), "--data-dir", to.to_str().unwrap()]);
    assert_eq!((files.len(), restored.code), (1, Some(0)), "{restored:?}");
}

#[test]
fn an_empty_start_page_leads_to_the_guide() {
    let house = House::new(Mana::new());
    let anna = house.signed_in("anna");
    assert!(house.page(&anna, "/").1.contains("<h1>Welcome</h1>"));
    let (_, page) = house.page(&anna, "/start");
    assert!(
        page.contains("Connect a model") && page.contains("/templates/habit-coach") && page.contains("Address of the model server"),
        "{page}"
    );
    let ben = house.signed_in("ben");
    let (_, page) = house.page(&ben, "/start");
    assert!(page.contains("Ask the administrator") && !page.contains("Address of the model server"), "{page}");
    let (_, page) = house.page(&ben, "/missions");
    assert!(page.contains("href=\"/templates\"") && !page.contains("role=\"search\""), "{page}");
    house.mana.import(&[hourly("anna", "m", None, "2099-01-01T00:00:00.000Z")]);
    assert!(house.page(&anna, "/").1.contains("<h1>Overview</h1>"));
    let (status, page) = house.page(&anna, "/start/plan/m");
    assert!(status == 200 && page.contains("data-poll"), "{page}");
    assert_eq!(house.page(&ben, "/start/plan/m").0, 404);
}

#[test]
fn what_went_wrong_is_said_in_the_language_of_the_page() {
    let house = House::new(Mana::new().with("MANA_LLM_URL", "http://127.0.0.1:1").with("MAX_ATTEMPTS", "2"));
    let anna = house.signed_in("anna");
    house.mana.import(&[hourly("anna", "m", None, "2026-04-15T08:00:00.000Z")]);
    for now in ["2026-04-15T08:00:00Z", "2026-04-15T08:30:00Z"] {
        house.mana.run(&["tick", "--now", now]);
    }
    let run = house.mana.run(&["runs", "--json"]).json().remove(0);
    assert!(run["reason"].as_str().unwrap().contains("cannot be reached"), "{run}");
    let page = |path: &str| house.page(&anna, path).1;
    assert!(page("/runs").contains("cannot be reached"));
    assert_eq!(house.post(&anna, "/settings", &[("language", "de"), ("zone", "")]).status, 303);
    // A list says it once, and the page of a run with each attempt too.
    for (path, times) in [("/runs".to_owned(), 1), (format!("/runs/{}", run["id"].as_str().unwrap()), 3)] {
        let shown = page(&path);
        assert_eq!(shown.matches("Das Modell ist nicht erreichbar.").count(), times, "{path}: {shown}");
        for (at, _) in shown.match_indices("cannot be reached") {
            assert!(shown[..at].rfind("<details>") > shown[..at].rfind("</details>"), "{path}: {shown}");
        }
    }
    let tried = house.post(&anna, "/settings/model", &[("act", "test"), ("address", "http://127.0.0.1:1"), ("model", "m")]);
    assert!(tried.body.contains("Das Modell ist nicht erreichbar."), "{}", tried.body);
    let taken = house.post(&anna, "/records/calendar/events/import", &[("text", "no calendar")]);
    assert!(taken.status == 422 && !taken.body.contains("nothing in it"), "{}", taken.body);
}

/// Each browser that is signed in is named, by a name that says no more than a person needs to tell it from the others.
#[test]
fn sessions_show_in_which_browser_they_were_begun() {
    let house = House::new(Mana::new());
    let token = house.mana.run(&["token", "create", "--user", "anna"]).stdout;
    let phone = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_7 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/26.0 \
                 Mobile/15E148 Safari/604.1";
    let headers = [("content-type", "application/x-www-form-urlencoded"), ("user-agent", phone)];
    send("POST", &house.served.url("/login"), &headers, format!("token={}", token.trim()));
    let code = house.mana.run(&["link", "--user", "anna"]).stdout.trim().split_once("code=").unwrap().1.to_owned();
    let desk = "Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0";
    let headers = [("content-type", "application/x-www-form-urlencoded"), ("user-agent", desk)];
    send("POST", &house.served.url("/link"), &headers, format!("code={code}"));

    // A client that names itself by a text of its own is a browser, and no more is kept.
    let here = house.signed_in("anna");
    let (_, page) = house.page(&here, "/settings");
    for name in ["Safari on iPhone", "Firefox on Linux", "A browser"] {
        assert!(page.contains(&format!("<strong>{name}</strong>, since ")), "{name}: {page}");
    }
    assert!(!page.contains("Mozilla") && !page.contains("145.0"), "{page}");
    let german = [("cookie", here.as_str()), ("accept-language", "de")];
    let (_, page) = request("GET", &house.served.url("/settings"), &german);
    for name in ["Safari auf dem iPhone", "Firefox unter Linux", "Ein Browser"] {
        assert!(page.contains(&format!("<strong>{name}</strong>, seit ")), "{name}: {page}");
    }
    let listed = house.mana.run(&["sessions", "list"]).stdout;
    assert!(listed.contains("Safari on iPhone") && listed.contains("Firefox on Linux") && listed.contains("A browser"), "{listed}");
    let mut words: Vec<String> = house
        .mana
        .run(&["sessions", "list", "--json"])
        .json()
        .iter()
        .map(|line| format!("{} {}", line["browser"], line["system"]))
        .collect();
    words.sort();
    assert_eq!(words, ["\"firefox\" \"linux\"", "\"safari\" \"iphone\"", "null null"]);
}
