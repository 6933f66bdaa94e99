//! The bytes that a row takes on the disk, with the ids of existing clients: UUIDs, for users, records, clients and events.

use std::path::Path;

use rusqlite::Connection;
use serde_json::json;

use crate::common::{Report, grouped, number};
use crate::program::output;

const USERS: u64 = 100;
/// Rows of each record.
const CHANGES: u64 = 9;

pub fn run() {
    let rows = number("MANA_LOAD_ROWS", 1_000_000) / 10;
    let dir = tempfile::tempdir().expect("a directory");
    let log = dir.path().join("log.jsonl");
    std::fs::write(&log, jsonl(rows)).expect("a file");
    output(dir.path(), &["import", log.to_str().expect("a path")]);
    let bare = dir.path().join("bare.db");
    let texts = texts_alone(dir.path(), &bare);
    let mut report = Report::new(&format!("Disk for {} rows", grouped(rows)), &["", "bytes a row"]);
    for (name, bytes) in [
        ("the database, all indexes included", size(&dir.path().join("mana-ai.db"))),
        ("SQLite alone, the same columns as texts in one table", size(&bare)),
        ("of them texts and numbers", texts),
    ] {
        report.row(&[name.into(), format!("{}", bytes / rows.max(1))]);
    }
    report.print();
}

fn size(path: &Path) -> u64 {
    std::fs::metadata(path).expect("a file").len()
}

/// Notes that are made and then changed, of users with two devices each.
fn jsonl(rows: u64) -> String {
    let mut text = String::new();
    for n in 0..rows {
        let (record, change) = (n / CHANGES, n % CHANGES);
        let user = record % USERS;
        let at = jiff::Timestamp::from_millisecond(1_770_000_000_000 + i64::try_from(n).expect("a time")).expect("a time").to_string();
        let (op, data, stamps) = match change {
            0 => {
                let content = "What there is to say. ".repeat(3);
                ("insert", json!({"title": format!("Note {record}"), "content": content, "isPinned": false}), json!({}))
            }
            _ => ("update", json!({"content": format!("What there is to say, said {change} times")}), json!({"content": at})),
        };
        let row = json!({
            "eventId": uuid(1, n), "appId": "notes", "table": "notes", "recordId": uuid(2, record), "userId": uuid(3, user), "op": op,
            "data": data, "fieldMeta": stamps, "clientId": uuid(4, user * 2 + n % 2), "origin": "user", "createdAt": at,
        });
        text += &format!("{row}\n");
    }
    text
}

/// A UUID that looks random, and is the same each time.
fn uuid(kind: u64, n: u64) -> String {
    let mixed = (u128::from(kind) << 64 | u128::from(n)).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835);
    uuid::Uuid::new_v8(mixed.to_le_bytes()).to_string()
}

/// The same rows in a table without an index, and how many bytes its cells have.
fn texts_alone(dir: &Path, bare: &Path) -> u64 {
    let c = Connection::open(dir.join("mana-ai.db")).expect("the database");
    c.execute("ATTACH ?1 AS bare", [bare.to_str().expect("a path")]).expect("a file");
    c.execute_batch("CREATE TABLE bare.rows AS SELECT * FROM sync_changes").expect("rows");
    let mut statement = c.prepare("SELECT * FROM bare.rows").expect("a query");
    let (columns, mut bytes) = (statement.column_count(), 0);
    let mut rows = statement.query([]).expect("rows");
    while let Some(row) = rows.next().expect("a row") {
        for column in 0..columns {
            bytes += row.get_ref(column).expect("a cell").as_bytes_or_null().map_or(8, |text| text.map_or(0, <[u8]>::len)) as u64;
        }
    }
    bytes
}
