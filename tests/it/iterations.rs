//! What becomes of a mission's iterations through the binary: how steps begin, what a record keeps, and what comes back
//! after a client overwrote it (docs/design.md, sections 6 and 13).

use std::time::Duration;

use crate::common::{Mana, Model, Reply, edit, hourly};
use serde_json::{Value, json};

const DUE: &str = "2026-04-15T08:00:00.000Z";
/// Clients write later than anything that the runner wrote.
const LATER: [&str; 3] = ["2031-01-01T00:00:00.000Z", "2031-01-02T00:00:00.000Z", "2031-01-03T00:00:00.000Z"];

fn mana(model: &Model) -> Mana {
    let mana = Mana::new().with("MANA_LLM_URL", model.url());
    mana.import(&[hourly("u", "m", None, DUE)]);
    mana
}

fn model() -> Model {
    Model::start(Duration::ZERO, |_| Reply::task("x"))
}

fn tick(mana: &Mana, hour: u32) -> Value {
    mana.run(&["tick", "--now", &format!("2026-04-15T{hour:02}:00:30Z"), "--json"]).json().remove(0)
}

fn iterations(mana: &Mana) -> Vec<Value> {
    mana.mission("m")["iterations"].as_array().unwrap().clone()
}

fn ids(all: &[Value]) -> Vec<&str> {
    all.iter().map(|iteration| iteration["id"].as_str().unwrap()).collect()
}

fn overwrite(mana: &Mana, with: &[Value], at: &str) {
    mana.import(&[edit("u", "m", json!({"iterations": with}), at)]);
}

fn rows(mana: &Mana) -> Vec<Value> {
    mana.run(&["export"]).json()
}

#[test]
fn steps_begin_as_configured() {
    let model = model();
    for (setting, expected) in [(None, "staged"), (Some("staged"), "staged"), (Some("planned"), "planned")] {
        let mut mana = mana(&model);
        if let Some(setting) = setting {
            mana = mana.with("MANA_AI_STEP_STATUS", setting);
        }
        tick(&mana, 8);
        let written = &iterations(&mana)[0];
        assert_eq!((&written["overallStatus"], &written["plan"][0]["status"]), (&json!("awaiting-review"), &json!(expected)));
    }
    mana(&model).with("MANA_AI_STEP_STATUS", "done").run(&["tick"]).fails(2, "staged or planned");
}

#[test]
fn what_a_device_did_not_know_comes_back() {
    let model = model();
    let mana = mana(&model);
    tick(&mana, 8);
    let first = iterations(&mana);
    tick(&mana, 9);
    let both = iterations(&mana);
    // A device that was offline sends the list that it had, with a plan of its own.
    let own = json!({"id": "browser-1", "startedAt": "2030-01-01T00:00:00Z", "overallStatus": "approved", "plan": []});
    overwrite(&mana, &[first[0].clone(), own.clone()], LATER[0]);
    assert_eq!(ids(&iterations(&mana)), [ids(&first)[0], "browser-1"]);
    tick(&mana, 9);
    let after = iterations(&mana);
    assert_eq!(after, [both[0].clone(), both[1].clone(), own]);
    let row = rows(&mana).pop().unwrap();
    assert_eq!(
        (&row["clientId"], &row["origin"], &row["actor"]["principalId"], row["data"].as_object().unwrap().len()),
        (&json!("mana-ai-runner"), &json!("system"), &json!("system:mission-runner"), 1)
    );
    assert!(row["fieldMeta"]["iterations"].as_str().unwrap() > LATER[0], "{row}");
    // Once is enough, and the history tells of it.
    let count = rows(&mana).len();
    tick(&mana, 9);
    assert_eq!(rows(&mana).len(), count);
    let restored: Vec<_> = mana.run(&["runs", "--json"]).json().iter().map(|run| run["restored"].clone()).collect();
    assert_eq!(restored, [json!(1), json!(0)]);
    let told = mana.run(&["explain", "m"]);
    assert!(told.stdout.contains("the plan was put back"), "{told:?}");
}

#[test]
fn a_plan_that_a_run_followed_comes_back_too() {
    let model = model();
    let mana = mana(&model);
    tick(&mana, 8);
    let first = iterations(&mana);
    overwrite(&mana, &[], LATER[0]);
    // The run of this tick writes on top of what the device left.
    tick(&mana, 9);
    tick(&mana, 9);
    let after = iterations(&mana);
    assert_eq!((after.len(), &after[0]), (2, &first[0]));
}

#[test]
fn what_is_settled_beats_what_is_not() {
    let model = model();
    let mana = mana(&model);
    tick(&mana, 8);
    let stale = iterations(&mana);
    let mut settled = stale.clone();
    settled[0]["overallStatus"] = json!("approved");
    settled[0]["plan"][0]["status"] = json!("approved");
    // Both arrive between two ticks.
    overwrite(&mana, &settled, LATER[0]);
    overwrite(&mana, &stale, LATER[1]);
    tick(&mana, 8);
    assert_eq!(iterations(&mana), settled);
    // Whatever is more settled than ours stays.
    settled[0]["plan"][0]["status"] = json!("failed");
    overwrite(&mana, &settled, LATER[2]);
    tick(&mana, 8);
    assert_eq!(iterations(&mana), settled);
}

#[test]
fn it_fights_with_no_client_and_wakes_nothing_that_is_gone() {
    let model = model();
    let mana = mana(&model);
    tick(&mana, 8);
    for day in 1..=9 {
        overwrite(&mana, &[], &format!("2032-01-0{day}T00:00:00.000Z"));
        tick(&mana, 8);
    }
    assert_eq!(iterations(&mana), [] as [Value; 0], "a client that takes it out each time gets its way");
    let of_ours = rows(&mana).iter().filter(|row| row["origin"] == "system").count();
    assert_eq!(of_ours, 5);

    let mana = self::mana(&model);
    tick(&mana, 8);
    mana.import(&[edit("u", "m", json!({"iterations": [], "deletedAt": LATER[0]}), LATER[0])]);
    let count = rows(&mana).len();
    tick(&mana, 9);
    assert_eq!(rows(&mana).len(), count);
    // Iterations of others, and plans that nobody here wrote, are none of its business.
    let mana = self::mana(&model);
    let foreign = json!({"id": "f", "source": "server", "overallStatus": "approved", "plan": []});
    overwrite(&mana, &[foreign], LATER[0]);
    tick(&mana, 7);
    overwrite(&mana, &[], LATER[1]);
    let count = rows(&mana).len();
    tick(&mana, 7);
    assert_eq!(rows(&mana).len(), count);
}

#[test]
fn what_a_deleted_mission_lost_comes_back_with_it() {
    // The list goes with the delete, before it, or after it.
    for (lost, deleted) in [(LATER[0], LATER[0]), (LATER[0], LATER[1]), (LATER[1], LATER[0])] {
        let model = model();
        let mana = mana(&model);
        tick(&mana, 8);
        let before = iterations(&mana);
        mana.import(&[edit("u", "m", json!({"deletedAt": deleted}), deleted), edit("u", "m", json!({"iterations": []}), lost)]);
        let count = rows(&mana).len();
        tick(&mana, 9);
        tick(&mana, 9);
        assert_eq!(rows(&mana).len(), count, "a mission that is deleted stays as it is");
        mana.import(&[edit("u", "m", json!({"deletedAt": null}), LATER[2])]);
        tick(&mana, 8);
        assert_eq!(iterations(&mana), before);
    }
}

#[test]
fn what_left_by_the_bounds_does_not_come_back() {
    let model = model();
    let mana = mana(&model).with("MAX_ITERATIONS_KEPT", 2);
    tick(&mana, 8);
    let first = iterations(&mana);
    tick(&mana, 9);
    tick(&mana, 10);
    let kept = iterations(&mana);
    assert_eq!(kept.len(), 2);
    let runs = mana.run(&["runs", "--json"]).json();
    let superseded: Vec<bool> = runs.iter().map(|run| run["supersededAt"].is_string()).collect();
    assert_eq!((superseded, runs.len()), (vec![false, false, true], 3), "the history keeps it");
    // A device brings it back, and another takes it out again.
    overwrite(&mana, &[first[0].clone(), kept[0].clone(), kept[1].clone()], LATER[0]);
    overwrite(&mana, &kept, LATER[1]);
    let count = rows(&mana).len();
    tick(&mana, 10);
    assert_eq!((iterations(&mana), rows(&mana).len()), (kept, count));
}

#[test]
fn a_record_stays_small_though_nobody_reads_the_plans() {
    // The longest texts that a model may answer.
    let model = Model::start(Duration::ZERO, |_| {
        let step = |n: usize| json!({"summary": "s".repeat(5_000), "toolName": "create_task", "params": {"title": format!("{n}{}", "t".repeat(8_000))}, "rationale": "r".repeat(9_000)});
        Reply::Plan(json!({"summary": "long ".repeat(4_000), "steps": (0..25).map(step).collect::<Vec<_>>()}))
    });
    let mana = mana(&model).with("MAX_UNREVIEWED_PLANS", 0);
    for hour in 8..16 {
        tick(&mana, hour);
    }
    let all = iterations(&mana);
    assert!(all.len() > 1 && all.len() < 8, "{}", all.len());
    assert!(json!(all).to_string().len() <= 1_000_000);
    assert_eq!(all[0]["plan"][0]["summary"].as_str().unwrap().chars().count(), 500);
    assert_eq!(mana.run(&["runs", "--json"]).json().len(), 8);
}
