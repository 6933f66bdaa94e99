//! Load on the real program, through real sockets, on a real disk: `cargo run --release --example load -- [NAME …]`.
//!
//! `start`, `disk`, `plans`, `pushes`, `pulls`, `crowd`, `pages`, `growth`, `attack`; all of these where none is named. `chaos` and `postgres` have to be named: they
//! need the programs of a Postgres server. What each does and why is told in `benches/README.md`.

mod attack;
mod attacks;
mod chaos;
mod cluster;
#[path = "../../benches/common/mod.rs"]
mod common;
mod crowd;
mod disk;
mod growth;
mod on_postgres;
mod pages;
mod plans;
mod program;
mod pulls;
mod pushes;
mod start;

/// These need the programs of a Postgres server.
const ON_POSTGRES: [&str; 2] = ["chaos", "postgres"];

fn main() {
    let wanted: Vec<String> = std::env::args().skip(1).collect();
    if let [bare, dir, seconds, changes] = wanted.as_slice()
        && bare == pushes::BARE
    {
        return pushes::bare_commits(dir, seconds, changes);
    }
    program::build();
    let all: [(&str, fn()); 11] = [
        ("start", start::run),
        ("disk", disk::run),
        ("plans", plans::run),
        ("pushes", pushes::run),
        ("pulls", pulls::run),
        ("crowd", crowd::run),
        ("pages", pages::run),
        ("growth", growth::run),
        ("attack", attack::run),
        ("chaos", chaos::run),
        ("postgres", on_postgres::run),
    ];
    if let Some(unknown) = wanted.iter().find(|wanted| !all.iter().any(|(name, _)| name == wanted)) {
        let names = all.map(|(name, _)| name).join(", ");
        eprintln!("load: there is no {unknown:?}; choose among {names}");
        std::process::exit(2);
    }
    for (name, run) in all {
        if (wanted.is_empty() && !ON_POSTGRES.contains(&name)) || wanted.iter().any(|wanted| wanted == name) {
            run();
        }
    }
}
