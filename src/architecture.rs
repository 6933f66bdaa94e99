//! Tests that hold `docs/architecture.md` to the code.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use regex::Regex;

type Arrows = BTreeMap<String, BTreeSet<String>>;

/// Every file of the program, by its path below `src`, without its unit tests and comments.
pub(crate) fn files() -> Vec<(PathBuf, String)> {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let (mut found, mut open) = (Vec::new(), vec![src.clone()]);
    while let Some(dir) = open.pop() {
        for entry in std::fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") && !path.ends_with("tests.rs") {
                let text = std::fs::read_to_string(&path).unwrap();
                let text = text.split("\n#[cfg(test)]\nmod tests").next().unwrap_or_default();
                let code = text.lines().map(|line| line.split("//").next().unwrap_or_default());
                found.push((path.strip_prefix(&src).unwrap().to_owned(), code.collect::<Vec<_>>().join("\n")));
            }
        }
    }
    found
}

/// The room of a file; `None`: the file only names the rooms.
fn room(path: &Path) -> Option<String> {
    let room = path.iter().next()?.to_str()?.trim_end_matches(".rs");
    (!["lib", "main", "architecture"].contains(&room)).then(|| room.to_owned())
}

fn of_the_code() -> Arrows {
    let other = Regex::new(r"\bcrate::([a-z_]+)").unwrap();
    let mut arrows = Arrows::new();
    for (path, code) in files() {
        let Some(room) = room(&path) else { continue };
        let used = other.captures_iter(&code).map(|found| found[1].to_owned()).filter(|used| *used != room);
        arrows.entry(room.clone()).or_default().extend(used);
    }
    arrows
}

fn of_the_table() -> Arrows {
    let line = Regex::new(r"(?m)^\| `([a-z_]+)` \| (.*) \|$").unwrap();
    let name = Regex::new(r"`([a-z_]+)`").unwrap();
    let names = |list: &str| name.captures_iter(list).map(|found| found[1].to_owned()).collect();
    line.captures_iter(include_str!("../docs/architecture.md")).map(|row| (row[1].to_owned(), names(&row[2]))).collect()
}

#[test]
fn rooms_use_each_other_as_the_table_says() {
    assert_eq!(of_the_code(), of_the_table());
}

#[test]
fn no_room_uses_one_that_uses_it() {
    let arrows = of_the_code();
    for room in arrows.keys() {
        let (mut seen, mut open) = (BTreeSet::new(), vec![room]);
        while let Some(used) = open.pop().and_then(|next| arrows.get(next)) {
            open.extend(used.iter().filter(|next| seen.insert(*next)));
        }
        assert!(!seen.contains(room), "{room} uses itself by a circle through {seen:?}");
    }
}

#[test]
fn what_a_room_must_not_know_it_does_not_name() {
    for (word, rooms) in [
        (
            "rusqlite::",
            &["store/sqlite", "store/db", "store/sql/check.rs", "store/sql/error.rs", "store/sql/plans.rs", "store/sql/removal.rs"][..],
        ),
        ("prepare_cached", &["store/sqlite", "store/sql", "store/db"]),
        ("postgres::", &["store/postgres", "store/db", "store/sql/error.rs", "store/sql/mod.rs", "store/presence.rs"]),
        ("axum::", &["http", "workbench", "demo"]),
        ("maud::", &["workbench"]),
        ("clap::", &["cli"]),
        ("fluent_bundle::", &["text"]),
        ("runner.store()", &[]),
        ("operator.store()", &["cli/setup.rs", "cli/demo.rs"]),
        ("projection::refresh", &["app", "runner", "projection"]),
    ] {
        for (path, code) in files() {
            let is_outside = room(&path).is_some() && !rooms.iter().any(|room| path.starts_with(room));
            assert!(!(is_outside && code.contains(word)), "{} names {word}", path.display());
        }
    }
}

#[test]
fn a_type_has_a_name_of_its_own() {
    let definition = Regex::new(r"(?m)^(?:pub(?:\([^)]*\))? )?(?:struct|enum|trait|type|union) ([A-Z][A-Za-z0-9]*)").unwrap();
    let mut places = BTreeMap::<String, Vec<PathBuf>>::new();
    for (path, code) in files() {
        for found in definition.captures_iter(&code) {
            places.entry(found[1].to_owned()).or_default().push(path.clone());
        }
    }
    places.retain(|_, paths| paths.len() > 1);
    assert!(places.is_empty(), "{places:#?}");
}
