//! 1,000 due missions and a model that takes 200 ms for each.
//!
//! Target: within 1.3 times of the ideal, `1000 / MAX_PARALLEL_PLANS × 200 ms`.

use std::time::{Duration, Instant};

use crate::common::world::Log;
use crate::common::{Report, memory_mb, ratio, shown};
use crate::program::{Server, model, output, runtime, tick};

const MISSIONS: u64 = 1_000;
const PARALLEL: u64 = 64;
const THINKING: Duration = Duration::from_millis(200);

pub fn run() {
    let header = ["", "time", "to the ideal", "plans/s", "most memory"];
    let mut report = Report::new("1,000 due missions, 64 plans at a time, a model of 200 ms", &header);
    let ideal = THINKING * u32::try_from(MISSIONS).expect("a number") / u32::try_from(PARALLEL).expect("a number");
    let runtime = runtime();
    let model = model(&runtime, THINKING);
    let dir = tempfile::tempdir().expect("a directory");
    Log { users: 100, agents: 100, missions: MISSIONS, updates: 0, plans_every: 0, others: 0, due_every: 1 }.make(dir.path());
    let key = "load-has-no-secret";
    let server = Server::start(
        dir.path(),
        &[("MANA_LLM_URL", model.as_str()), ("MAX_PARALLEL_PLANS", "64"), ("MANA_SERVICE_KEY", key), ("MANA_AI_PLANNER", "json")],
    );
    let started = Instant::now();
    let stats = runtime.block_on(tick(&server.url, key));
    let took = started.elapsed();
    assert_eq!(stats["plansWrittenBack"], MISSIONS, "{stats}");
    let planned = output(dir.path(), &["missions", "--json"]).lines().filter(|line| line.contains("awaiting-review")).count();
    assert_eq!(planned as u64, MISSIONS, "each mission has its plan");
    report.row(&["ideal".into(), shown(ideal), "1.00×".into(), format!("{:.0}", MISSIONS as f64 / ideal.as_secs_f64()), String::new()]);
    report.row(&[
        "POST /internal/tick, from the log to every plan written back".into(),
        shown(took),
        format!("{:.2}×", ratio(took, ideal)),
        format!("{:.0}", MISSIONS as f64 / took.as_secs_f64()),
        format!("{:.0} MB", memory_mb(server.child.id()).0),
    ]);
    report.print();
}
