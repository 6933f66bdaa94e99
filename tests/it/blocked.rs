//! Missions that are blocked: the list of them, the overview and the page of each say the same, whatever holds one up.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::common::pages::sign_in;
use crate::common::{Mana, Model, Reply, Served, hourly, insert, request};
use serde_json::{Value, json};

const FAR: &str = "2099-01-01T00:00:00.000Z";
const PAST: &str = "2026-04-15T08:00:00.000Z";

struct Looker {
    served: Served,
    cookie: String,
}

impl Looker {
    fn new(mana: &Mana) -> Self {
        let served = mana.serve();
        let token = mana.run(&["token", "create", "--user", "u"]).stdout;
        Looker { cookie: sign_in(&served, token.trim()), served }
    }

    fn page(&self, path: &str) -> String {
        let (status, body) = request("GET", &self.served.url(path), &[("cookie", &self.cookie)]);
        assert_eq!(status, 200, "{path}: {body}");
        body
    }

    /// The missions in the cards of a page.
    fn cards(&self, path: &str) -> BTreeSet<String> {
        let page = self.page(path);
        let cards = page.split("<li class=\"card\">").skip(1);
        cards.map(|card| card.split("href=\"/missions/").nth(1).unwrap().split('"').next().unwrap().to_owned()).collect()
    }

    fn is_blocked_on_its_page(&self, id: &str) -> bool {
        self.page(&format!("/missions/{id}")).contains("badge blocked")
    }
}

fn agent(id: &str, more: Value) -> Value {
    let mut row = insert("u", "agents", id, json!({"name": id, "state": "active"}));
    row["data"].as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    row
}

fn mission(id: &str, more: Value) -> Value {
    let mut row = hourly("u", id, None, FAR);
    row["data"].as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    row
}

fn world() -> Mana {
    let plan = json!({"summary": "s", "steps": [{"summary": "s", "rationale": "r", "toolName": "create_task", "params": {"title": "t"}}]});
    let model = Model::start(Duration::ZERO, move |_| Reply::Plan(plan.clone()));
    let mana = Mana::new().with("MANA_LLM_URL", model.url()).with("TICK_ENABLED", "false").with("MAX_UNREVIEWED_PLANS", 2);
    let awaiting: Vec<Value> = (0..2).map(|n| json!({"id": format!("i{n}"), "overallStatus": "awaiting-review", "plan": []})).collect();
    mana.import(&[
        agent("asleep", json!({"state": "paused"})),
        agent("spent", json!({"maxTokensPerDay": 1})),
        agent("frugal", json!({"maxTokensPerDay": 100_000_000})),
        agent("none-allowed", json!({"maxTokensPerDay": 0})),
        agent("busy", json!({"maxConcurrentMissions": 0})),
        // These two run, and use tokens of their agents.
        hourly("u", "of-spent", Some("spent"), PAST),
        hourly("u", "of-frugal", Some("frugal"), PAST),
        mission("of-asleep", json!({"agentId": "asleep"})),
        mission("of-none-allowed", json!({"agentId": "none-allowed"})),
        mission("second-of-spent", json!({"agentId": "spent"})),
        mission("paused-of-spent", json!({"agentId": "spent", "state": "paused"})),
        mission("to-review", json!({"iterations": awaiting})),
        mission("broken", json!({"cadence": {"kind": "daily", "atHour": 99}, "nextRunAt": null})),
        mission("broken-once-more", json!({"cadence": {"kind": "daily", "atHour": 99}})),
        mission("broken-and-done", json!({"cadence": {"kind": "daily", "atHour": 99}, "nextRunAt": null, "state": "done"})),
        mission("by-hand", json!({"cadence": {"kind": "manual"}, "nextRunAt": null})),
        // Its agent is full first, which passes by itself.
        mission("busy-to-review", json!({"agentId": "busy", "iterations": awaiting})),
        mission("free", json!({})),
        insert("v", "agents", "spent", json!({"name": "of another", "state": "paused"})),
        hourly("v", "of-another", Some("spent"), FAR),
    ]);
    mana.run(&["tick", "--json"]).json();
    mana
}

const BLOCKED: [&str; 6] = ["broken", "of-asleep", "of-none-allowed", "of-spent", "second-of-spent", "to-review"];
const OTHERS: [&str; 7] = ["of-frugal", "paused-of-spent", "broken-once-more", "broken-and-done", "by-hand", "busy-to-review", "free"];

fn names(ids: &[&str]) -> BTreeSet<String> {
    ids.iter().map(|id| (*id).to_owned()).collect()
}

#[test]
fn what_is_blocked_is_in_the_list_and_on_the_overview_for_every_reason() {
    let mana = world();
    let looker = Looker::new(&mana);
    for id in BLOCKED {
        assert!(looker.is_blocked_on_its_page(id), "{id}");
    }
    for id in OTHERS {
        assert!(!looker.is_blocked_on_its_page(id), "{id}");
    }
    for sort in ["", "next", "changed"] {
        assert_eq!(looker.cards(&format!("/missions?which=blocked&sort={sort}")), names(&BLOCKED), "{sort}");
    }
    assert_eq!(looker.cards("/missions?which=blocked&agent=spent"), names(&["of-spent", "second-of-spent"]));
    let overview = looker.page("/");
    assert_eq!(overview.matches("badge blocked").count(), 4, "{overview}");
    assert!(overview.contains("href=\"/missions?which=blocked\""), "there are more: {overview}");
    assert_eq!(mana.run(&["check"]).code, Some(0));
}

#[test]
fn a_user_whose_day_is_used_up_has_no_mission_that_is_not_blocked() {
    let mana = world().with("USER_MAX_TOKENS_PER_DAY", 1);
    let looker = Looker::new(&mana);
    let active = OTHERS.into_iter().filter(|id| !["paused-of-spent", "broken-and-done", "busy-to-review"].contains(id));
    let expected: Vec<&str> = BLOCKED.into_iter().chain(active).collect();
    for id in &expected {
        assert!(looker.is_blocked_on_its_page(id), "{id}");
    }
    assert_eq!(looker.cards("/missions?which=blocked"), names(&expected));
}

/// Where so many may be blocked that the list goes through all missions in its order, it finds the same.
#[test]
fn many_blocked_missions_are_listed_page_by_page() {
    let mana = Mana::new().with("TICK_ENABLED", "false");
    let mut rows = vec![agent("spent", json!({"maxTokensPerDay": 0}))];
    rows.extend((0..600).map(|n| mission(&format!("m{n:03}"), json!({"agentId": "spent", "title": format!("{n:03}")}))));
    rows.extend((0..100).map(|n| mission(&format!("b{n:03}"), json!({"title": format!("{n:03} b"), "cadence": 7, "nextRunAt": null}))));
    rows.extend((0..600).map(|n| mission(&format!("f{n:03}"), json!({"title": format!("{n:03} f")}))));
    mana.import(&rows);
    let looker = Looker::new(&mana);
    let (mut found, mut place) = (BTreeSet::new(), "/missions?which=blocked".to_owned());
    for _ in 0..14 {
        found.extend(looker.cards(&place));
        let page = looker.page(&place);
        let Some((_, next)) = page.split_once("href=\"/missions?key=") else { break };
        place = format!("/missions?key={}", next.split('"').next().unwrap().replace("&amp;", "&"));
    }
    let (of_agent, broken) = found.iter().partition::<Vec<_>, _>(|id| id.starts_with('m'));
    assert_eq!((of_agent.len(), broken.len()), (600, 100), "{found:?}");
    assert!(!found.iter().any(|id| id.starts_with('f')), "{found:?}");
}
