//! Who wrote a change: the `actor` object on log rows (docs/design.md, section 5).

use serde_json::{Map, Value, json};

use super::agent::Agent;
use super::ids::{IterationId, MissionId};

/// Who stands in for missions without an owning agent.
pub const LEGACY_AI: &str = "legacy:ai-default";
const LEGACY_USER: &str = "legacy:user";
const UNKNOWN: &str = "Unbekannt";
const SELF: &str = "Du";

/// The display names of the system sources, as clients have always shown them.
const SYSTEM_SOURCES: [(&str, &str); 5] = [
    ("projection", "Projektion"),
    ("rule", "Regel"),
    ("migration", "Migration"),
    ("stream", "Stream"),
    ("mission-runner", "Mission-Runner"),
];

/// The iteration that a write of the runner belongs to.
#[derive(Debug, Clone, Copy)]
pub struct Work<'a> {
    pub mission_id: &'a MissionId,
    pub iteration_id: &'a IterationId,
    /// The mission's objective.
    pub rationale: &'a str,
}

/// The actor of a write by the runner: the owning agent, else the AI `Mana`; without an iteration, the system.
pub fn runner(agent: Option<&Agent>, work: Option<Work<'_>>) -> Value {
    let Some(work) = work else { return system("mission-runner") };
    let (id, name) = agent.map_or((LEGACY_AI, "Mana"), |a| (&a.id, &a.name));
    json!({
        "kind": "ai",
        "principalId": id,
        "displayName": name,
        "missionId": work.mission_id,
        "iterationId": work.iteration_id,
        "rationale": work.rationale,
    })
}

/// The actor of a user's own write.
pub fn user(id: &str) -> Value {
    json!({"kind": "user", "principalId": id, "displayName": id})
}

/// The system actor of a source such as `mission-runner`.
pub fn system(source: &str) -> Value {
    let name = SYSTEM_SOURCES.iter().find(|(s, _)| *s == source).map_or(source, |(_, name)| name);
    json!({"kind": "system", "principalId": format!("system:{source}"), "displayName": name})
}

/// Whether a name stands in for one that a row did not have.
pub fn is_stand_in(name: &str) -> bool {
    [UNKNOWN, SELF].contains(&name)
}

/// Brings the actor of an old row into today's form; a complete one is left as it is.
pub fn normalise(raw: Option<&Value>) -> Value {
    let empty = Map::new();
    let raw = raw.and_then(Value::as_object).unwrap_or(&empty);
    let text = |field: &str| raw.get(field).and_then(Value::as_str).filter(|t| !t.is_empty());
    let complete = |id: String, name: &str| {
        let mut actor = raw.clone();
        actor.shift_remove("source");
        let mut out = Map::new();
        out.insert("kind".into(), raw.get("kind").cloned().unwrap_or_default());
        out.insert("principalId".into(), text("principalId").map_or(id, str::to_owned).into());
        out.insert("displayName".into(), text("displayName").unwrap_or(name).into());
        for (field, value) in actor {
            out.entry(field).or_insert(value);
        }
        Value::Object(out)
    };
    match text("kind") {
        Some("user") => complete(LEGACY_USER.into(), SELF),
        Some("ai") => complete(LEGACY_AI.into(), UNKNOWN),
        Some("system") => {
            let source = text("principalId").and_then(|id| id.strip_prefix("system:")).or_else(|| text("source")).unwrap_or("migration");
            let name = SYSTEM_SOURCES.iter().find(|(s, _)| *s == source).map_or(source, |(_, name)| name);
            complete(format!("system:{source}"), name)
        }
        _ => json!({"kind": "user", "principalId": LEGACY_USER, "displayName": UNKNOWN}),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn old_rows_read_as_other_implementations_read_them() {
        let cases: Vec<Value> = serde_json::from_str(include_str!("../../tests/vectors/actors.json")).unwrap();
        assert_eq!(cases.len(), 10);
        for case in cases {
            assert_eq!(normalise(Some(&case["raw"])), case["expected"], "{}", case["raw"]);
        }
        assert_eq!(normalise(None)["principalId"], "legacy:user");
    }

    #[test]
    fn the_runner_signs_for_the_agent_or_for_mana_or_for_itself() {
        let (agent, _) = Agent::read("a-1", &json!({"name": "Money"}).as_object().unwrap().into());
        let work = Work { mission_id: &"m".into(), iteration_id: &"i".into(), rationale: "save" };
        assert_eq!(
            runner(Some(&agent), Some(work)),
            json!({"kind": "ai", "principalId": "a-1", "displayName": "Money", "missionId": "m", "iterationId": "i", "rationale": "save"})
        );
        assert_eq!(runner(None, Some(work))["displayName"], "Mana");
        assert_eq!(
            runner(Some(&agent), None),
            json!({"kind": "system", "principalId": "system:mission-runner", "displayName": "Mission-Runner"})
        );
    }
}
