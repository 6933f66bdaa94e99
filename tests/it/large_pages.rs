//! Pages of a user whose rows are large: each costs what it shows, and not what the rows hold.

use crate::common::{Mana, Served, edit, hourly, insert, request};
use serde_json::{Value, json};

/// The largest answer of a page.
const LARGEST: usize = 1_100_000;

/// What the server held at most, in bytes.
fn peak(served: &Served) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", served.child.id())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1_024
}

/// Signs in with a token and answers the cookie of the session.
fn sign_in(mana: &Mana, served: &Served, user: &str) -> String {
    let token = mana.run(&["token", "create", "--user", user]).stdout;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let client = crate::common::form_client();
        let answer = client
            .post(served.url("/login"))
            .header("content-type", "application/x-www-form-urlencoded")
            .body(format!("token={}", token.trim()))
            .send()
            .await
            .unwrap();
        answer.headers()["set-cookie"].to_str().unwrap().split(';').next().unwrap().to_owned()
    })
}

fn page(served: &Served, cookie: &str, path: &str) -> String {
    let (status, body) = request("GET", &served.url(path), &[("cookie", cookie)]);
    assert_eq!(status, 200, "{path}: {}", body.chars().take(500).collect::<String>());
    // A form shows its texts whole, twice: as they are, and as they were.
    let most = if path.ends_with("/edit") || path == "/agents/a" { 4 * LARGEST } else { LARGEST };
    assert!(body.len() < most, "{path} has {} bytes", body.len());
    body
}

#[test]
fn pages_stay_small_however_large_the_rows_are() {
    const LARGE: usize = 1 << 18;
    let mana = Mana::new().with("TICK_ENABLED", "false");
    let mut lines: Vec<Value> = vec![
        insert("u", "agents", "a", json!({"name": "n".repeat(LARGE), "role": "r".repeat(LARGE), "memory": "m".repeat(LARGE)})),
        hourly("u", "m", Some("a"), "2099-01-01T00:00:00.000Z"),
    ];
    lines.push(insert("u", "aiMissions", "long", json!({"title": "Long", "state": "paused", "objective": "o".repeat(50_000)})));
    // One field that no page knows, written again and again, and texts that pages show.
    for n in 0..8 {
        let at = format!("2026-04-15T07:{n:02}:00Z");
        lines.push(edit("u", "m", json!({"attachment": format!("{n}{}", "ä".repeat(2 * LARGE))}), &at));
    }
    let plan = |n: usize| {
        let params: Value = (0..25).map(|k| (format!("p{k}"), json!("x".repeat(3_000)))).collect::<serde_json::Map<_, _>>().into();
        let step = |k: usize| json!({"id": format!("{n}-{k}"), "summary": "s".repeat(2_000), "rationale": "y".repeat(9_000), "status": "staged", "intent": {"kind": "toolCall", "toolName": "create_task", "params": params.clone()}});
        json!({"id": format!("i{n}"), "overallStatus": "awaiting-review", "summary": "z".repeat(100_000), "plan": (0..2).map(step).collect::<Vec<_>>()})
    };
    let texts = json!({
        "title": format!("Title {}", "t".repeat(LARGE)), "objective": "o".repeat(LARGE), "conceptMarkdown": "c".repeat(LARGE),
        "inputs": (0..1_000).map(|n| json!({"module": "notes", "table": "notes", "id": format!("n{n}")})).collect::<Vec<_>>(),
        "iterations": (0..6).map(plan).collect::<Vec<_>>(),
    });
    lines.push(edit("u", "m", texts, "2026-04-15T08:00:00Z"));
    mana.import(&lines);
    assert_eq!(mana.run(&["missions", "--json"]).code, Some(0), "everything is folded before the server starts");
    let served = mana.serve();
    let cookie = sign_in(&mana, &served, "u");
    let before = peak(&served);
    for path in ["/", "/missions", "/agents", "/missions/m/log", "/agents/a/log", "/audit"] {
        let body = page(&served, &cookie, path);
        assert!(body.len() < 400_000, "{path} has {} bytes", body.len());
    }
    let lists = peak(&served);
    assert!(lists < before + 50_000_000, "lists held {} bytes more than the idle server", lists - before);
    let missions = page(&served, &cookie, "/missions");
    assert!(missions.contains("Title ttt") && missions.contains("review of 6 plans"), "{}", missions.split("<main").nth(1).unwrap());
    let log = page(&served, &cookie, "/missions/m/log");
    assert!(log.contains("attachment") && log.contains("<p class=\"hint\">… + "), "{log}");
    let shown = page(&served, &cookie, "/missions/m");
    assert!(shown.contains(&format!("… + {} kB", (LARGE - 20_000) / 1_000)), "{shown}");
    let shown = page(&served, &cookie, "/missions/long");
    assert!(shown.contains("… + 30 kB") && shown.contains("The form shows texts whole"), "{shown}");
    assert!(page(&served, &cookie, "/missions/long/edit").contains(&"o".repeat(50_000)));
    for path in ["/missions/m", "/missions/m?skip=3", "/missions/m/edit", "/missions/m/delete", "/missions/new", "/agents/a", "/agents/new"]
    {
        page(&served, &cookie, path);
    }
    // Most of the record, which is 3 MB, is shown nowhere.
    assert!(peak(&served) < before + 120_000_000, "pages held {} bytes more than the idle server", peak(&served) - before);
}

#[test]
fn no_plan_is_out_of_reach_where_plans_are_large() {
    let mana = Mana::new().with("TICK_ENABLED", "false");
    let step = |k: usize| json!({"id": format!("s{k}"), "summary": "s", "rationale": "y".repeat(9_000), "status": "approved"});
    let steps: Vec<Value> = (0..6).map(step).collect();
    let plan = |n: usize| json!({"id": format!("plan{n}"), "overallStatus": "approved", "summary": "z".repeat(9_000), "plan": steps});
    let mut mission = hourly("u", "m", None, "2099-01-01T00:00:00.000Z");
    mission["data"]["iterations"] = (0..30).map(plan).collect::<Vec<_>>().into();
    mana.import(&[mission]);
    let served = mana.serve();
    let cookie = sign_in(&mana, &served, "u");
    let (mut seen, mut next) = (Vec::new(), Some("/missions/m".to_owned()));
    while let Some(path) = next {
        let body = page(&served, &cookie, &path);
        seen.extend(body.split("id=\"plan-").skip(1).filter_map(|rest| rest.split('"').next()).map(str::to_owned));
        next = body.split("href=\"").filter_map(|rest| rest.split('"').next()).find(|href| href.contains("?skip=")).map(str::to_owned);
    }
    let all: Vec<String> = (0..30).rev().map(|n| format!("plan{n}")).collect();
    assert_eq!(seen, all);
}
