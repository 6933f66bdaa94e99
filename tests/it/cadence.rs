//! `mana-ai cadence` against the times that other implementations compute (docs/design.md, section 6).

use crate::common::{Mana, vectors};
use serde_json::json;

#[test]
fn next_times_are_those_of_other_implementations() {
    let mana = Mana::new();
    let cases = vectors("cadence");
    assert_eq!(cases.len(), 60);
    for case in cases {
        let (cadence, zone) = (case["cadence"].to_string(), case["timeZone"].as_str().unwrap());
        let args = ["cadence", "--cadence", &cadence, "--from", case["from"].as_str().unwrap(), "--time-zone", zone, "--json"];
        assert_eq!(mana.run(&args).json(), [json!({"next": case["expected"]})], "{case}");
    }
}

#[test]
fn the_odd_cases() {
    let mana = Mana::new();
    let run = |cadence: &str, more: &[&str]| {
        mana.run(&[&["cadence", "--cadence", cadence, "--from", "2026-10-24T20:00:00Z", "--json"], more].concat())
    };
    assert_eq!(run(r#"{"kind":"manual"}"#, &[]).json(), [json!({"next": null})]);
    assert_eq!(
        run(r#"{"kind":"daily","atHour":2,"atMinute":30,"timeZone":"Europe/Berlin"}"#, &["--count", "2"]).json(),
        [json!({"next": "2026-10-25T00:30:00.000Z"}), json!({"next": "2026-10-26T01:30:00.000Z"})]
    );
    let broken = run(r#"{"kind":"hourly"}"#, &[]);
    assert_eq!(broken.json(), [json!({"next": null})]);
    assert!(broken.stderr.contains("the cadence kind is \"hourly\"") && broken.stderr.contains("counts as manual"), "{broken:?}");
    run("{", &[]).fails(2, "--cadence is not JSON");
    run(r#"{"kind":"manual"}"#, &["--time-zone", "Mars"]).fails(2, "--time-zone is \"Mars\"");
    mana.run(&["cadence", "--cadence", "{}", "--from", "noon"]).fails(2, "not an RFC 3339 time");
}
