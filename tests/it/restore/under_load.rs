//! Backups of a server under load.

use super::*;

/// A server that takes pushes of three changes each from several clients, as fast as they come back.
struct Load {
    mana: Mana,
    served: Served,
    stop: Arc<AtomicBool>,
    /// Pushes that were answered, in the order of the answers.
    answered: Arc<std::sync::Mutex<Vec<String>>>,
    runtime: tokio::runtime::Runtime,
    clients: Vec<tokio::task::JoinHandle<()>>,
}

impl Load {
    fn start(clients: usize) -> Self {
        let (served, mana) = quiet().serve_kept();
        let (stop, answered) = (Arc::new(AtomicBool::new(false)), Arc::new(std::sync::Mutex::new(Vec::new())));
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let http = crate::common::http_client();
        let tokens: Vec<String> =
            (0..4).map(|user| mana.run(&["token", "create", "--user", &format!("user-{user}")]).stdout.trim().to_owned()).collect();
        let clients = (0..clients)
            .map(|client| {
                let request = http.post(served.url("/sync/ai")).bearer_auth(&tokens[client % 4]);
                runtime.spawn(push_on(client, request, Arc::clone(&stop), Arc::clone(&answered)))
            })
            .collect();
        Load { mana, served, stop, answered, runtime, clients }
    }

    fn answered(&self) -> usize {
        self.answered.lock().unwrap().len()
    }

    /// Ends the load and its server, and tells what was answered.
    fn end(self) -> (Mana, Vec<String>) {
        self.stop.store(true, Ordering::SeqCst);
        for client in self.clients {
            self.runtime.block_on(client).unwrap();
        }
        assert_eq!(self.served.terminate(), Some(0));
        let answered = self.answered.lock().unwrap().clone();
        (self.mana, answered)
    }
}

async fn push_on(client: usize, request: reqwest::RequestBuilder, stop: Arc<AtomicBool>, answered: Arc<std::sync::Mutex<Vec<String>>>) {
    let mut n = 0;
    while !stop.load(Ordering::SeqCst) {
        let name = format!("{client}-{n}");
        let body = json!({"clientId": format!("device-{client}"), "since": "2100-01-01T00:00:00.000Z", "changes": [
            {"table": "aiMissions", "id": format!("{name}/0"), "op": "insert", "data": {"title": "a mission", "state": "active"}},
            {"table": "notes", "id": format!("{name}/1"), "op": "insert", "data": {"title": "a note", "body": "x".repeat(200)}},
            {"table": "aiMissions", "id": format!("{name}/0"), "op": "update", "fields": {"title": {"value": n, "at": "2100-01-01T00:00:00.000Z"}}},
        ]});
        let answer = request.try_clone().unwrap().json(&body).send().await.expect("an answer");
        assert_eq!(answer.status(), 200);
        answered.lock().unwrap().push(name);
        n += 1;
    }
}

fn push_of(line: &str) -> String {
    let row: Value = serde_json::from_str(line).unwrap();
    row["recordId"].as_str().unwrap().split('/').next().unwrap().to_owned()
}

#[test]
fn backups_of_a_server_under_load_are_its_log_up_to_a_moment() {
    let load = Load::start(24);
    wait_for("the load to begin", || (load.answered() > 100).then_some(()));
    let started = (Instant::now(), load.answered());
    let (mut copies, mut meanwhile) = (Vec::new(), 0);
    for _ in 0..6 {
        let before = load.answered();
        let copy = backup(&load.mana);
        meanwhile += load.answered() - before;
        copies.push((before, copy));
        // The next one has more.
        let grown = load.answered() + 50;
        wait_for("more pushes", || (load.answered() > grown).then_some(()));
    }
    println!("{:.0} pushes/s beside the backups", (load.answered() - started.1) as f64 / started.0.elapsed().as_secs_f64());
    let (mana, answered) = load.end();
    assert!(meanwhile > 0, "the server took no push during six backups");

    let log = export(&mana);
    let log: Vec<&str> = log.lines().collect();
    let mut lengths = Vec::new();
    for (before, copy) in &copies {
        assert_eq!(names(copy.dir.path(), ""), std::slice::from_ref(&copy.file), "nothing but the copy is left");
        let there = restored(&copy.file);
        assert_sound(&there);
        let rows = export(&there);
        let rows: Vec<&str> = rows.lines().collect();
        assert!(log.starts_with(&rows), "a copy of {} rows is not the begin of the log", rows.len());
        let mut parts: BTreeMap<String, usize> = BTreeMap::new();
        for row in &rows {
            *parts.entry(push_of(row)).or_default() += 1;
        }
        assert!(parts.values().all(|parts| *parts == 3), "a push is there in part");
        assert!(answered[..*before].iter().all(|push| parts.contains_key(push)), "what was answered before the backup is in it");
        lengths.push(rows.len());
    }
    assert!(lengths.is_sorted() && lengths[0] < lengths[5], "{lengths:?}");
    assert_sound(&mana);
}

#[test]
fn a_backup_of_an_import_that_is_not_done_has_nothing_of_it() {
    let mana = world("old", 5);
    let log = export(&mana);
    let mut importing = held_import(&mana, "during");
    let copy = backup(&mana);
    drop(importing.stdin.take());
    assert!(importing.wait().unwrap().success());
    assert_eq!(export(&restored(&copy.file)), log);
    assert_eq!(export(&mana).lines().count(), log.lines().count() + 1);
}

#[test]
fn a_backup_has_the_name_that_was_asked_for() {
    let mana = world("new", 5);
    let log = export(&mana);
    // SQLite reads some of these as addresses, and the second is no UTF-8.
    let names: [&[u8]; 5] = [b"file:copy.db", b"copie-\xe9t\xe9.db", b"file:copy.db?mode=memory", b":memory:", b"a'b\"c %41 ?x#y"];
    let mut wrong = Vec::new();
    for name in names {
        let dir = tempfile::tempdir().unwrap();
        let output = mana.command(&["backup"]).arg(OsStr::from_bytes(name)).current_dir(dir.path()).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!said.contains("panicked"), "{said}");
        let left: Vec<_> = std::fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        // A name may be refused, but not taken for another one.
        let expected = if output.status.success() { vec![OsStr::from_bytes(name).to_owned()] } else { Vec::new() };
        if left != expected {
            wrong.push(format!("{:?} gives {left:?} and says: {said}", OsStr::from_bytes(name)));
            continue;
        }
        if output.status.success() {
            let plain = dir.path().join("plain.db");
            std::fs::rename(dir.path().join(OsStr::from_bytes(name)), &plain).unwrap();
            let size = plain.metadata().unwrap().len();
            if size == 0 {
                wrong.push(format!("{:?} is an empty file, but it said: {said}", OsStr::from_bytes(name)));
                continue;
            }
            assert_eq!(export(&restored(&plain)), log, "{said}");
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_file_with_any_name_can_be_restored() {
    let mana = world("new", 5);
    let (log, copy) = (export(&mana), backup(&mana));
    let names: [&[u8]; 4] = [b"file:copy.db", b"copie-\xe9t\xe9.db", b":memory:", b"a'b\"c %41 ?x#y"];
    for name in names {
        let file = copy.dir.path().join(OsStr::from_bytes(name));
        std::fs::copy(&copy.file, &file).unwrap();
        let into = quiet();
        let output = into.command(&["restore"]).arg(OsStr::from_bytes(name)).current_dir(copy.dir.path()).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        assert_eq!(export(&into), log);
    }
}
