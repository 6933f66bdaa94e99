//! Who was signed in, and what was under way.

use super::*;

/// One request that follows no redirect: the status, where it leads, and the cookie that is set. A link is redeemed as the
/// form of its page does it.
fn visit(url: &str, cookie: &str) -> (u16, String, String) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let client = crate::common::form_client();
        let request = match url.split_once("/link?") {
            Some((server, code)) => {
                client.post(format!("{server}/link")).header("content-type", "application/x-www-form-urlencoded").body(code.to_owned())
            }
            None => client.get(url),
        };
        let answer = request.header("cookie", cookie).send().await.unwrap();
        let header = |name: &str| answer.headers().get(name).map_or(String::new(), |value| value.to_str().unwrap().to_owned());
        let cookie = header("set-cookie").split(';').next().unwrap().to_owned();
        (answer.status().as_u16(), header("location"), cookie)
    })
}

/// The path of a new link that signs in as Ada.
fn link(mana: &Mana) -> String {
    let link = mana.run(&["link", "--user", "ada"]);
    assert_eq!(link.code, Some(0), "{link:?}");
    link.stdout[link.stdout.find("/link?").unwrap()..].trim().to_owned()
}

#[test]
fn nobody_is_signed_in_to_a_restored_database() {
    let mana = world("old", 5);
    let (used, unused) = (link(&mana), link(&mana));
    let served = mana.serve();
    let (status, _, session) = visit(&served.url(&used), "");
    assert!(status == 303 && !session.is_empty(), "{status}");
    assert_eq!(visit(&served.url("/"), &session).0, 200, "the session is good");
    let copy = backup(&mana);
    assert_eq!(visit(&served.url("/"), &session).0, 200, "a backup signs nobody out");
    served.terminate();

    let check = |mana: &Mana| {
        let served = mana.serve();
        let (status, to, _) = visit(&served.url("/"), &session);
        assert!(status == 303 && to.starts_with("/login"), "{status} {to}");
        for link in [&used, &unused] {
            let (status, _, cookie) = visit(&served.url(link), "");
            assert_eq!((status, cookie.as_str()), (403, ""));
        }
        let (status, _, cookie) = visit(&served.url(&link(mana)), "");
        assert_eq!(status, 303, "a new link signs in");
        assert_eq!(visit(&served.url("/"), &cookie).0, 200);
        served.terminate();
    };
    check(&restored(&copy.file));
    // In the same place too, where the browser still has the cookie.
    restores(&mana, &copy.file, &["--replace"]);
    check(&mana);
    // And the one that was kept.
    let [old] = kept(&mana).try_into().unwrap();
    restores(&mana, &old, &["--replace"]);
    check(&mana);
}

#[test]
fn runs_that_were_under_way_are_taken_over_after_a_restore() {
    for backup_while_alive in [true, false] {
        let model = Model::held(|_| Reply::task("x"));
        let serving = |mana: Mana| mana.with("MANA_LLM_URL", model.url()).with("TICK_INTERVAL_MS", 50);
        let mana = serving(Mana::new());
        let mut mission = hourly("ada", "m", None, "2026-04-15T08:00:00.000Z");
        mission["data"]["cadence"] = json!({"kind": "manual"});
        mana.import(&[mission]);
        let served = mana.serve();
        wait_for("the model to be asked", || (model.requests().len() == 1).then_some(()));
        let copy = if backup_while_alive {
            let copy = backup(&mana);
            kill(served);
            copy
        } else {
            kill(served);
            backup(&mana)
        };
        model.release();

        let elsewhere = serving(Mana::new());
        restores(&elsewhere, &copy.file, &[]);
        restores(&mana, &copy.file, &["--replace"]);
        for mana in [&elsewhere, &mana] {
            assert_sound(mana);
            let served = mana.serve();
            wait_for("the plan", || (metric(&served, "mana_ai_plans_written_back_total") == 1.0).then_some(()));
            assert_eq!(served.terminate(), Some(0));
            let runs = mana.run(&["runs", "--json"]).json();
            assert!(runs.len() == 1 && runs[0]["state"] == "planned", "{runs:?}");
            assert_eq!(mana.mission("m")["iterations"].as_array().unwrap().len(), 1);
            assert_sound(mana);
        }
    }
}
