//! 1,000 due missions and a model that takes 200 ms for each; and 100 with a model that answers at once.
//!
//! Target: within 1.3 times of the ideal, `1000 / MAX_PARALLEL_PLANS × 200 ms`; what the second takes is ours alone.

use std::time::{Duration, Instant};

use crate::common::world::Log;
use crate::common::{Report, memory_mb, ratio, shown};
use crate::program::{Server, model, output, runtime, tick};
use crate::pushes;

const KEY: &str = "load-has-no-secret";
const PARALLEL: u32 = 64;

pub fn run() {
    let (missions, thinking) = (1_000, Duration::from_millis(200));
    let ideal = thinking * missions / PARALLEL;
    report("1,000 due missions, 64 plans at a time, a model of 200 ms", missions, ("ideal", ideal), due(missions, thinking));
    // A plan is claimed in one commit and written back in another.
    let missions = 100;
    let (commits, seconds) = pushes::commits(Duration::from_secs(1), 1, &[]);
    let commit = Duration::from_secs_f64(seconds / commits.len() as f64);
    let bare = ("SQLite alone, two commits for each", commit * 2 * missions);
    report("100 due missions, 64 plans at a time, a model that answers at once", missions, bare, due(missions, Duration::ZERO));
}

/// The time of the tick, and the most memory in MB.
fn due(missions: u32, thinking: Duration) -> (Duration, f64) {
    let runtime = runtime();
    let model = model(&runtime, thinking);
    let dir = tempfile::tempdir().expect("a directory");
    let missions = u64::from(missions);
    Log { users: 100, agents: 100, missions, updates: 0, plans_every: 0, others: 0, due_every: 1 }.make(dir.path());
    // The log is folded before, so that the tick plans and nothing else.
    output(dir.path(), &["missions"]);
    let parallel = PARALLEL.to_string();
    let server = Server::start(
        dir.path(),
        &[("MANA_LLM_URL", model.as_str()), ("MAX_PARALLEL_PLANS", &parallel), ("MANA_SERVICE_KEY", KEY), ("MANA_AI_PLANNER", "json")],
    );
    let started = Instant::now();
    let stats = runtime.block_on(tick(&server.url, KEY));
    let took = started.elapsed();
    assert_eq!(stats["plansWrittenBack"], missions, "{stats}");
    let planned = output(dir.path(), &["missions", "--json"]).lines().filter(|line| line.contains("awaiting-review")).count();
    assert_eq!(planned as u64, missions, "each mission has its plan");
    (took, memory_mb(server.child.id()).0)
}

fn report(title: &str, missions: u32, (least, least_time): (&str, Duration), (took, memory): (Duration, f64)) {
    let mut report = Report::new(title, &["", "time", "to the least", "plans/s", "most memory"]);
    let rate = |took: Duration| format!("{:.0}", f64::from(missions) / took.as_secs_f64());
    report.row(&[least.into(), shown(least_time), "1.00×".into(), rate(least_time), String::new()]);
    let tick = "POST /internal/tick, until every plan is written back";
    report.row(&[tick.into(), shown(took), format!("{:.2}×", ratio(took, least_time)), rate(took), format!("{memory:.0} MB")]);
    report.print();
}
