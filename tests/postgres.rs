//! The log's way between a real Postgres and this program, to the byte (docs/design.md, sections 2 and 12).
//! `cargo test --test postgres -- --ignored` needs Debian's postgresql package; `.ci/postgres` moves a million rows besides.

mod common;

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use common::{Mana, Model, Ran, Reply, fixture, hourly, insert};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use serde_json::{Value, json};

/// What an export has, in this order.
const COLUMNS: [&str; 14] = [
    "id",
    "app_id",
    "table_name",
    "record_id",
    "user_id",
    "space_id",
    "op",
    "data",
    "field_meta",
    "client_id",
    "created_at",
    "schema_version",
    "actor",
    "origin",
];

/// The types of columns that hold JSON: as it was written, or as Postgres spells it.
const JSON_TYPES: [&str; 2] = ["json", "jsonb"];

/// A Postgres of these tests' own. It serves until the pipe to its stdin closes: when this process ends, in whatever way.
struct Postgres {
    socket: String,
    _process: Child,
}

static POSTGRES: LazyLock<Postgres> = LazyLock::new(|| {
    let mut process = Command::new(fixture("tests/fixtures/postgres-server"))
        .process_group(0)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the script starts");
    let mut socket = String::new();
    BufReader::new(process.stdout.take().unwrap()).read_line(&mut socket).unwrap();
    assert!(!socket.is_empty(), "no Postgres could be started; see above");
    Postgres { socket: socket.trim_end().into(), _process: process }
});

/// A schema of one test's own in that Postgres, and the settings of its sessions.
struct Database {
    name: String,
    settings: String,
}

impl Database {
    fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("test_{}", COUNT.fetch_add(1, Ordering::Relaxed));
        let database = Database { settings: format!("-c search_path={name} "), name };
        database.sql(&format!("CREATE SCHEMA {}", database.name));
        database
    }

    /// With the table of the log, its JSON columns of this type.
    fn with_log(json: &str) -> Self {
        let database = Self::new();
        database.create("sync_changes", &columns(json));
        database
    }

    /// With a setting for all sessions from here on.
    fn set(mut self, name: &str, value: &str) -> Self {
        self.settings += &format!("-c {name}={value} ");
        self
    }

    fn create(&self, table: &str, columns: &str) {
        self.sql(&format!("CREATE TABLE {table} ({columns})"));
    }

    fn psql(&self, sql: &str) -> Command {
        let mut psql = Command::new(format!("{}/psql", POSTGRES.socket));
        psql.args(["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-h", &POSTGRES.socket, "-U", "postgres", "-c", sql]);
        psql.env("PGOPTIONS", &self.settings).env("PGCLIENTENCODING", "UTF8").stdin(Stdio::null());
        psql
    }

    /// What Postgres answers.
    #[track_caller]
    fn sql(&self, sql: &str) -> String {
        let output = self.psql(sql).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    /// What COPY writes about a table, or about the rows of a query in parentheses.
    #[track_caller]
    fn copy_out(&self, what: &str) -> String {
        self.sql(&format!("COPY {what} TO STDOUT WITH (FORMAT csv, HEADER)"))
    }

    /// Feeds COPY as a shell does, through the stdin of psql.
    #[track_caller]
    fn copy_in(&self, table: &str, csv: &str) {
        let sql = format!("COPY {table} ({}) FROM STDIN WITH (FORMAT csv, HEADER)", COLUMNS.join(", "));
        let mut psql = self.psql(&sql).stdin(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        // One that fails may not read all; it says why.
        let _ = psql.stdin.take().unwrap().write_all(csv.as_bytes());
        let output = psql.wait_with_output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }

    /// Lets the server read the file by itself; a psql before version 18 takes a line `\.` inside of a cell for the end.
    #[track_caller]
    fn copy_in_file(&self, table: &str, csv: &str) {
        let file = format!("{}/{}.{table}.csv", POSTGRES.socket, self.name);
        std::fs::write(&file, csv).unwrap();
        self.sql(&format!("COPY {table} ({}) FROM '{file}' WITH (FORMAT csv, HEADER)", COLUMNS.join(", ")));
    }

    /// Fills the table of the log; ids and `n` count the rows.
    #[track_caller]
    fn fill(&self, rows: &[Row]) {
        let mut csv = COLUMNS.join(",") + "\n";
        for (n, row) in rows.iter().enumerate() {
            let id = Some(format!("00000000-0000-4000-8000-{n:012x}"));
            let cells = COLUMNS.map(|column| if column == "id" { &id } else { &row[column] }).map(|cell| match cell {
                None => String::new(),
                Some(text) => format!("\"{}\"", text.replace('"', "\"\"")),
            });
            csv += &(cells.join(",") + "\n");
        }
        self.copy_in_file("sync_changes", &csv);
        assert_eq!(self.sql("SELECT count(*) FROM sync_changes").trim(), rows.len().to_string());
    }

    /// The log as COPY writes it.
    #[track_caller]
    fn log(&self, table: &str) -> String {
        self.copy_out(&format!("(SELECT {} FROM {table} ORDER BY id)", COLUMNS.join(", ")))
    }
}

/// The columns of the log's table in Postgres.
fn columns(json: &str) -> String {
    format!(
        "id uuid PRIMARY KEY, app_id text NOT NULL, table_name text NOT NULL, record_id text NOT NULL, user_id text NOT NULL, \
         space_id text, op text NOT NULL, data {json}, field_meta {json} DEFAULT '{{}}', client_id text NOT NULL, \
         created_at timestamptz NOT NULL, schema_version integer NOT NULL DEFAULT 1, actor {json}, origin text"
    )
}

/// The cells of a row by their columns; `None` is NULL.
type Row = BTreeMap<&'static str, Option<String>>;

/// An ordinary row with some cells of its own.
fn row<'a>(cells: impl IntoIterator<Item = (&'static str, Option<&'a str>)>) -> Row {
    let ordinary = [
        ("app_id", Some("notes")),
        ("table_name", Some("notes")),
        ("record_id", Some("n1")),
        ("user_id", Some("ada")),
        ("space_id", None),
        ("op", Some("insert")),
        ("data", Some("{}")),
        ("field_meta", Some("{}")),
        ("client_id", Some("phone")),
        ("created_at", Some("2026-04-15 08:00:00.123456+00")),
        ("schema_version", Some("1")),
        ("actor", None),
        ("origin", Some("user")),
    ];
    ordinary.into_iter().chain(cells).map(|(column, cell)| (column, cell.map(str::to_owned))).collect()
}

fn imported(mana: &Mana, csv: &str) -> Ran {
    let file = mana.dir.path().join("there.csv");
    std::fs::write(&file, csv).unwrap();
    mana.run(&["import", file.to_str().unwrap()])
}

/// Checks two texts for equality and tells where they part, since whole logs are too long to print.
#[track_caller]
fn same(left: &str, right: &str) {
    let at = left.bytes().zip(right.bytes()).position(|(a, b)| a != b).unwrap_or(left.len().min(right.len()));
    let near = |text: &str| String::from_utf8_lossy(&text.as_bytes()[at.saturating_sub(150)..text.len().min(at + 150)]).into_owned();
    let line = left.as_bytes()[..at].iter().filter(|byte| **byte == b'\n').count() + 1;
    assert!(left == right, "they differ at byte {at}, line {line}:\n{:?}\n{:?}", near(left), near(right));
}

/// Moves the log of Postgres through the program into an equal table, and checks that nothing of it changed.
#[track_caller]
fn comes_back_the_same(database: &Database) -> Mana {
    let rows = database.sql("SELECT count(*) FROM sync_changes").trim().to_owned();
    assert_ne!(rows, "0");
    let there = database.log("sync_changes");
    let mana = Mana::new();
    let ran = imported(&mana, &there);
    assert_eq!((ran.code, ran.stderr), (Some(0), format!("{rows} changes imported, 0 known already\n")));
    let export = mana.run(&["export", "--format", "csv"]);
    assert_eq!((export.code, export.stderr.as_str()), (Some(0), ""));
    assert_eq!(export.stdout.lines().next().unwrap(), COLUMNS.join(","));
    database.sql("CREATE TABLE back (LIKE sync_changes INCLUDING ALL)");
    match export.stdout.contains("\n\\.\n") {
        true => database.copy_in_file("back", &export.stdout),
        false => database.copy_in("back", &export.stdout),
    }
    same(&there, &database.log("back"));

    let again = imported(&mana, &there);
    assert_eq!((again.code, again.stderr), (Some(0), format!("0 changes imported, {rows} known already\n")));
    same(&export.stdout, &mana.run(&["export", "--format", "csv"]).stdout);
    // What a program exports, another takes without loss.
    let other = Mana::new();
    assert_eq!(imported(&other, &export.stdout).code, Some(0));
    same(&export.stdout, &other.run(&["export", "--format", "csv"]).stdout);
    for command in ["missions", "agents", "check"] {
        assert_eq!(mana.run(&[command]).code, Some(0), "{command}");
    }
    mana
}

fn nested(open: &str, close: &str, depth: usize) -> String {
    format!("{{\"deep\": {}1{}}}", open.repeat(depth), close.repeat(depth))
}

/// JSON objects that both types of Postgres take.
fn odd_json() -> Vec<String> {
    let numbers = [
        "0.10",
        "1e5",
        "1E+5",
        "1.0",
        "0.0",
        "-0",
        "-0.0",
        "1e-7",
        "12345678901234567890123",
        "-12345678901234567890123.4567890",
        "9007199254740993",
        "18446744073709551616",
        "0.1000000000000000055511151231257827021181583404541015625",
        "1e22",
        "1.7976931348623157e308",
        "5e-324",
        "1e-400",
    ];
    let mut texts: Vec<String> = numbers.iter().map(|number| format!("{{\"n\": {number}, \"list\": [{number}]}}")).collect();
    texts.extend([nested("[", "]", 63), nested("{\"a\": ", "}", 63), nested("[{\"a\": ", "}]", 31)]);
    texts.extend(
        [
            "{}",
            r#"{"null": null, "yes": true, "no": false, "empty": "", "list": [], "object": {}, "nulls": [null, [null]]}"#,
            r#"{"zz": 1, "b": 2, "aaa": 3, "": 4, "B": 5, "id": "another", "é": 6}"#,
            r#"{"quotes \" and \\ and , and \n": "\"\\,\n\r\n\t'`"}"#,
            r#"{"escapes": "\u0001\u0008\u000b\u001f\u007f\b\f\n\r\t\/\\\"\u00e9\ud83d\ude00\u2028\ufffe"}"#,
            "{\"emoji\": \"👩‍👩‍👧‍👦🏳️‍🌈\", \"combining\": \"e\u{301} n\u{303}\", \"composed\": \"é ñ\", \"rtl\": \"\u{202e}שלום عليكم\u{202c}\"}",
            "{\"separators\": \"a\u{2028}b\u{2029}c\u{85}d\u{a0}e\u{feff}f\", \"noncharacters\": \"\u{fffe}\u{ffff}\u{10ffff}\", \"private\": \"\u{e000}\"}",
            r#"{"prototype": {"a": 1}, "constructor": null}"#,
            r#"{"cipher": "enc:1:AAAA.BBBB", "time": "2026-04-15T08:00:00.000Z", "end": "\\."}"#,
        ]
        .map(str::to_owned),
    );
    texts.push(format!("{{\"long\": \"{}\"}}", "a line,\\n\\\"and\\\" one more 😀 ".repeat(40_000)));
    texts.push(format!("{{{}}}", (0..5_000).map(|n| format!("\"field {n}\": {n}")).collect::<Vec<_>>().join(", ")));
    texts
}

/// JSON objects of which only the type json keeps every byte.
fn odd_json_texts() -> Vec<String> {
    let texts = [
        "{\"a\":1,\"b\" : 2 ,\"c\"  :[1,2 , 3 ]}",
        " {\n\t\"a\": 1,\r\n\t\"b\": {\n\t\t\"c\": [\n\t\t\t1\n\t\t]\n\t}\n}\n",
        "\t{ }\r\n",
        "{\"twice\": 1, \"other\": 2, \"twice\": 3, \"twice\": 1}",
        "{\"inside\": {\"a\": 1, \"a\": 2}, \"\\u0061\": 1, \"a\": 2}",
        "{\"slash\": \"\\/\", \"upper\": \"\\u00E9\\uD83D\\uDE00\"}",
        "{\"n\": [-1E-400, 1e+05, 1E5, 0.10, 0e0, -0, -0.0, 100000000000000000000000000000000000000000]}",
    ];
    texts.map(str::to_owned).into()
}

fn odd_texts() -> Vec<String> {
    let texts = [
        "\"",
        "\"\"",
        "'",
        "a \"quoted\" text",
        "a,b",
        "a;b\tc",
        "line\nline",
        "line\r\nline",
        "line\rline",
        "\n",
        "\r",
        "\r\n",
        "\n\n",
        "\\",
        "\\\\",
        "\\n",
        "\\N",
        "\\.",
        "NULL",
        "null",
        "\"\",\"\"",
        "'; DROP TABLE sync_changes; --",
        "=1+1",
        "#",
        "{}",
        "\",\n\"",
        " ",
        "  leading",
        "trailing  ",
        "\ttab\t",
        "\nstart",
        "end\n",
        "\u{a0}no-break\u{a0}",
        "\u{feff}mark",
        "\u{1}\u{8}\u{b}\u{c}\u{1b}[31m\u{1f}\u{7f}",
        "👩‍👩‍👧‍👦",
        "e\u{301}",
        "é",
        "שלום\u{202e}",
        "a\u{2028}b\u{2029}c\u{85}d",
        "\u{fffe}\u{ffff}\u{10ffff}",
        "true",
        "1e5",
        "00",
        "-- \\x00",
        "$1",
        "%s",
    ];
    texts.map(str::to_owned).into()
}

/// Rows with every odd thing that the log takes.
fn odd_rows() -> Vec<Row> {
    let mut rows = Vec::new();
    for text in odd_texts() {
        let texts = ["app_id", "table_name", "record_id", "user_id", "space_id", "client_id"];
        rows.push(row(texts.map(|column| (column, Some(text.as_str())))));
    }
    for object in odd_json() {
        rows.push(row([("data", Some(object.as_str())), ("actor", Some(object.as_str()))]));
        // The same in a record that is projected.
        let mission = [("app_id", Some("ai")), ("table_name", Some("aiMissions")), ("record_id", Some("m")), ("data", Some(&*object))];
        rows.push(row(mission));
    }
    for nothing in [None, Some("null"), Some("{}")] {
        rows.push(row([("data", nothing)]));
        rows.push(row([("field_meta", nothing)]));
        rows.push(row([("actor", nothing)]));
        rows.push(row([("op", Some("delete")), ("data", nothing), ("field_meta", nothing), ("actor", nothing)]));
        rows.push(row([("app_id", Some("ai")), ("table_name", Some("agents")), ("data", nothing), ("field_meta", nothing)]));
    }
    for space in [None, Some(""), Some("s")] {
        rows.push(row([("space_id", space)]));
        rows.push(row([("space_id", space), ("client_id", Some(""))]));
    }
    for (op, origin) in
        [("insert", None), ("update", Some("user")), ("delete", Some("agent")), ("update", Some("system")), ("insert", Some("migration"))]
    {
        rows.push(row([("op", Some(op)), ("origin", origin)]));
    }
    rows.push(row([(
        "field_meta",
        Some(r#"{"zz": "2026-04-15T08:00:00.000Z", "a": "2026-04-15T10:00:00.5+02:00", "b": "no time", "": ""}"#),
    )]));
    // The longest ids that there are.
    let long: String = "a line,\r\n\"quoted\"; \\ 'and' é😀 ".chars().cycle().take(256).collect();
    rows.push(row([("record_id", Some(&*long)), ("table_name", Some(&*long)), ("app_id", Some(&*long))]));
    rows.push(row([("space_id", Some(&*long)), ("client_id", Some(&*long))]));
    rows
}

#[test]
#[ignore = "needs the Postgres server programs"]
fn every_byte_of_a_log_comes_back_from_both_types_of_json() {
    for json in JSON_TYPES {
        let database = Database::with_log(json);
        database.fill(&odd_rows());
        comes_back_the_same(&database);
    }
}

#[test]
#[ignore = "needs the Postgres server programs"]
fn json_keeps_its_blanks_its_order_and_its_doubles() {
    let database = Database::with_log("json");
    let mut rows: Vec<Row> =
        odd_json_texts().iter().map(|text| row([("data", Some(text.as_str())), ("actor", Some(text.as_str()))])).collect();
    rows.push(row([(
        "field_meta",
        Some("\n{ \"zz\":\"2026-04-15T08:00:00.000Z\",\"a\" : \"\\u0032026-04-15T08:00:00Z\", \"zz\": \"1\" }\t"),
    )]));
    rows.push(row([("data", Some(" null\n")), ("field_meta", Some("\tnull ")), ("actor", Some("null\r\n"))]));
    database.fill(&rows);
    comes_back_the_same(&database);
}

#[test]
#[ignore = "needs the Postgres server programs"]
fn times_come_back_to_the_microsecond_from_sessions_of_any_zone() {
    let times = [
        "2026-04-15 08:00:00+00",
        "2026-04-15 08:00:00.1+00",
        "2026-04-15 08:00:00.000001+00",
        "2026-04-15 08:00:00.123456+00",
        "2026-10-25 00:30:00.5+00",
        "2026-10-25 01:30:00.5+00",
        "1970-01-01 00:00:00+00",
        "1969-12-31 23:59:59.999999+00",
        "1900-02-28 12:00:00+00",
        "1893-03-31 23:06:31+00",
        "1800-01-01 00:00:00.000001+00",
        "0001-01-01 12:00:00+00",
        "2099-12-31 23:59:59.999999+00",
        "9999-12-30 12:00:00.000001+00",
    ];
    for zone in ["UTC", "Europe/Berlin", "Asia/Kolkata", "America/St_Johns", "Pacific/Kiritimati"] {
        let database = Database::with_log("jsonb").set("TimeZone", zone);
        database.fill(&times.map(|at| row([("created_at", Some(at))])));
        let mana = comes_back_the_same(&database);
        let first = &mana.run(&["export"]).json()[0];
        assert_eq!(first["createdAt"], "2026-04-15T08:00:00.000000Z", "{zone}");
    }
}

/// Checks that a log comes back the same, or that its import names line 2 and keeps nothing; never a third.
#[track_caller]
fn comes_back_or_is_refused(database: &Database) {
    let mana = Mana::new();
    let ran = imported(&mana, &database.log("sync_changes"));
    if ran.code == Some(0) {
        comes_back_the_same(database);
    } else {
        ran.fails(1, "line 2: ");
        assert_eq!(mana.run(&["export"]).stdout, "", "nothing of the file is kept");
    }
}

/// Checks that a row of Postgres with this cell comes back the same, or is refused by its line.
#[track_caller]
fn never_bent(column: &'static str, cell: Option<&str>) {
    println!("{column} {:.60?}", cell);
    let database = Database::with_log("json");
    database.sql("ALTER TABLE sync_changes ALTER client_id DROP NOT NULL, ALTER schema_version DROP NOT NULL");
    database.fill(&[row([(column, cell)])]);
    comes_back_or_is_refused(&database);
}

#[test]
#[ignore = "needs the Postgres server programs"]
fn times_that_only_postgres_can_tell_are_refused_and_never_bent() {
    for time in [
        "10000-01-01 00:00:00+00",
        "294276-12-31 00:00:00+00",
        "0044-03-15 12:00:00+00 BC",
        "4713-01-01 00:00:00+00 BC",
        "infinity",
        "-infinity",
    ] {
        never_bent("created_at", Some(time));
    }
}

#[test]
#[ignore = "needs the Postgres server programs"]
fn json_that_the_log_cannot_keep_is_refused_and_never_bent() {
    for depth in [64, 1_000] {
        never_bent("data", Some(&nested("[", "]", depth)));
    }
    never_bent("data", Some("{\"__proto__\": 1}"));
    for json in ["[]", "\"text\"", "1", "true", "[{\"a\": 1}]"] {
        for column in ["data", "field_meta", "actor"] {
            never_bent(column, Some(json));
        }
    }
    never_bent("field_meta", Some("{\"a\": 5}"));
    never_bent("field_meta", Some("{\"a\": null}"));
}

#[test]
#[ignore = "needs the Postgres server programs"]
fn cells_that_the_log_cannot_keep_are_refused_and_never_bent() {
    for column in ["app_id", "table_name", "record_id", "user_id", "op"] {
        never_bent(column, Some(""));
    }
    never_bent("schema_version", Some("2"));
    never_bent("origin", Some("robot"));
    never_bent("origin", Some(""));
}

#[test]
#[ignore = "needs the Postgres server programs"]
fn a_null_that_the_log_does_not_have_takes_its_default() {
    let mana = Mana::new();
    let csv =
        "app_id,table_name,record_id,user_id,op,client_id,schema_version,created_at\nnotes,notes,n,ada,insert,,,2026-04-15 08:00:00+00\n";
    assert_eq!(imported(&mana, csv).code, Some(0));
    let row = mana.run(&["export"]).json().remove(0);
    assert_eq!((&row["clientId"], &row["schemaVersion"]), (&json!("import"), &json!(1)));
}

#[test]
#[ignore = "needs the Postgres server programs"]
fn keys_that_the_json_library_would_change_are_refused_and_never_bent() {
    for name in ["$serde_json::private::Number", "$serde_json::private::RawValue"] {
        for column in ["data", "actor"] {
            never_bent(column, Some(&format!("{{\"{name}\": \"1\"}}")));
            never_bent(column, Some(&format!("{{\"a\": [{{\"{name}\": \"no number\"}}]}}")));
        }
    }
}

#[test]
#[ignore = "needs the Postgres server programs"]
fn numbers_beyond_every_float_come_back_too() {
    for (json, numbers) in [("json", "1e400, -1E+999, 1e308000"), ("jsonb", "1e400, -1E+999, 1e30000")] {
        let database = Database::with_log(json);
        database.fill(&[row([("data", Some(&*format!("{{\"n\": [{numbers}]}}")))])]);
        comes_back_the_same(&database);
    }
}

#[test]
#[ignore = "needs the Postgres server programs"]
fn times_of_another_date_style_come_back_or_are_refused() {
    for style in ["ISO,DMY", "SQL,MDY", "SQL,DMY", "German", "Postgres,MDY", "Postgres,DMY"] {
        for zone in ["UTC", "Europe/Berlin", "Asia/Kolkata"] {
            println!("{style} {zone}");
            let database = Database::with_log("jsonb").set("TimeZone", zone);
            database.fill(&[row([("created_at", Some("2026-04-05 08:00:00.123456+00"))]), row([])]);
            comes_back_or_is_refused(&database.set("DateStyle", style));
        }
    }
}

#[test]
#[ignore = "needs the Postgres server programs"]
fn an_older_table_with_columns_of_its_own_in_another_order_loses_only_those() {
    let database = Database::new();
    database.create(
        "old",
        "origin text, note_of_old text, actor json, created_at timestamptz, data json, seq bigserial, field_timestamps json, user_id text, client_id text, \
         record_id text, \"device, \"\"name\"\"\" text, table_name text, space_id text, app_id text, op text, schema_version integer, id uuid",
    );
    database.create("sync_changes", &columns("json"));
    database.fill(&odd_rows());
    let to = COLUMNS.join(", ").replace("field_meta", "field_timestamps");
    let from = COLUMNS.join(", ");
    database.sql(&format!(
        "INSERT INTO old ({to}, note_of_old, \"device, \"\"name\"\"\") SELECT {from}, E'a \"note\",\nwith lines', 'x' FROM sync_changes ORDER BY id"
    ));
    let mana = Mana::new();
    let ran = imported(&mana, &database.copy_out("(SELECT * FROM old ORDER BY id)"));
    assert_eq!(ran.code, Some(0), "{ran:?}");
    for column in ["note_of_old", "device, "] {
        assert_eq!(ran.stderr.matches(column).count(), 1, "{ran:?}");
    }
    database.sql("CREATE TABLE back (LIKE sync_changes)");
    database.copy_in_file("back", &mana.run(&["export", "--format", "csv"]).stdout);
    same(&database.log("sync_changes"), &database.log("back"));
}

#[test]
#[ignore = "needs the Postgres server programs"]
fn quotes_around_every_cell_change_nothing() {
    let database = Database::with_log("json");
    database.fill(&odd_rows());
    let (mana, quoted) = (Mana::new(), Mana::new());
    let what = format!("(SELECT {} FROM sync_changes ORDER BY id)", COLUMNS.join(", "));
    assert_eq!(imported(&mana, &database.copy_out(&what)).code, Some(0));
    let csv = database.sql(&format!("COPY {what} TO STDOUT WITH (FORMAT csv, HEADER, FORCE_QUOTE *)"));
    assert!(csv.contains("\n\"00000000-"));
    assert_eq!(imported(&quoted, &csv).code, Some(0));
    let export = |mana: &Mana| mana.run(&["export", "--format", "csv"]).stdout;
    same(&export(&mana), &export(&quoted));
}

/// Checks that a row which the log does not take is named by its line, behind rows of several lines.
#[track_caller]
fn bad_cell(column: &'static str, cell: &str, message: &str) {
    let database = Database::with_log("json");
    let lines = "first\nsecond\r\nthird\n\n\\.\n\u{2028}";
    let long = row([("record_id", Some(lines)), ("space_id", Some(lines)), ("data", Some("{\n  \"a\":\r\n 1\n}\n"))]);
    database.fill(&[row([]), long.clone(), row([]), long, row([("client_id", Some("the bad one")), (column, Some(cell))]), row([])]);
    let csv = database.log("sync_changes");
    let line = csv.lines().position(|line| line.contains("the bad one")).unwrap() + 1;
    assert_eq!(line, 34, "{csv}");

    let mana = Mana::new();
    let ran = imported(&mana, &csv);
    ran.fails(1, &format!("line {line}: "));
    ran.fails(1, message);
    assert_eq!(mana.run(&["export", "--format", "csv"]).stdout, COLUMNS.join(",") + "\n", "nothing of the file is kept");
    let ran = mana.run(&["import", "there.csv", "--skip-bad"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(ran.stderr.contains(&format!("line {line}: ")), "{ran:?}");
    assert!(ran.stderr.contains("5 changes imported, 0 known already, 1 bad lines skipped"), "{ran:?}");
}

#[test]
#[ignore = "needs the Postgres server programs"]
fn a_bad_cell_is_named_by_the_line_that_an_editor_shows() {
    bad_cell("op", "upsert", "upsert");
    bad_cell("data", "[1]", "data");
    bad_cell("field_meta", "{\"a\": 5}", "the number 5");
    bad_cell("created_at", "infinity", "infinity");
    bad_cell("record_id", "", "is missing");
    bad_cell("origin", &"robot".repeat(20), "`origin` has more than 64 characters");
}

#[test]
#[ignore = "needs the Postgres server programs"]
fn what_is_no_utf_8_or_has_no_header_is_refused() {
    let database = Database::with_log("jsonb");
    database.fill(&[row([]), row([("record_id", Some("Grüße"))])]);
    let mana = Mana::new();
    let file = mana.dir.path().join("latin.csv");
    let latin = database.psql("COPY sync_changes TO STDOUT WITH (FORMAT csv, HEADER, ENCODING 'LATIN1')").output().unwrap().stdout;
    assert!(latin.contains(&0xfc));
    std::fs::write(&file, latin).unwrap();
    mana.run(&["import", "latin.csv"]).fails(1, "line 3: ");
    imported(&mana, &database.sql("COPY sync_changes TO STDOUT WITH (FORMAT csv)")).fails(1, "line 1: ");
    imported(&mana, &database.sql("COPY sync_changes TO STDOUT WITH (FORMAT csv, HEADER, DELIMITER ';')")).fails(1, "line 1: ");
    imported(&mana, &database.sql("COPY sync_changes TO STDOUT")).fails(1, "line 1: ");
    assert_eq!(mana.run(&["export"]).stdout, "");
}

/// Any text that Postgres takes, odd characters more often than others.
fn text() -> impl Strategy<Value = String> {
    let odd = select("\"',;\n\r\\. \t{}[]:\u{1}\u{2028}\u{301}é😀".chars().collect::<Vec<_>>());
    let character = prop_oneof![2 => odd, 2 => proptest::char::range('a', 'f'), 1 => any::<char>().prop_filter("no zero", |c| *c != '\0')];
    vec(character, 1..24).prop_map(String::from_iter)
}

fn blank() -> impl Strategy<Value = String> {
    prop_oneof![4 => Just(String::new()), 1 => "[ \t\r\n]{1,3}"]
}

/// A JSON text, with blanks anywhere, numbers of any form, and keys that repeat.
fn json_value() -> impl Strategy<Value = String> {
    let number = prop_oneof!["-?(0|[1-9][0-9]{0,30})(\\.[0-9]{1,25})?", "-?(0|[1-9][0-9]{0,20})(\\.[0-9]{1,20})?[eE][-+]?[0-9]{1,2}"];
    let word = select(vec!["null", "true", "false", "[]", "{}", "\"\"", "\"\\u00E9\\ud83d\\ude00\\/\"", "\"enc:1:AA.BB\""])
        .prop_map(str::to_owned);
    let string = text().prop_map(|text| json!(text).to_string());
    let leaf = prop_oneof![number, word, string];
    leaf.prop_recursive(5, 40, 5, |inner| {
        let list = (vec((blank(), inner.clone(), blank()), 0..5)).prop_map(|items| {
            let items: Vec<String> = items.into_iter().map(|(before, item, after)| before + &item + &after).collect();
            format!("[{}]", items.join(","))
        });
        prop_oneof![list, json_object(inner)]
    })
}

fn json_object(value: impl Strategy<Value = String>) -> impl Strategy<Value = String> {
    let key = prop_oneof![
        select(vec!["a", "b", "id", "deletedAt", "state", "nextRunAt"]).prop_map(str::to_owned),
        text().prop_map(|key| key.replace('.', "·"))
    ];
    let field = (blank(), key, blank(), value, blank()).prop_map(|(a, key, b, value, c)| format!("{a}{}{b}:{value}{c}", json!(key)));
    (blank(), vec(field, 0..5), blank()).prop_map(|(before, fields, after)| format!("{before}{{{}}}{after}", fields.join(",")))
}

fn maybe<T: Clone + std::fmt::Debug + 'static>(value: impl Strategy<Value = T> + 'static) -> BoxedStrategy<Option<T>> {
    proptest::option::weighted(0.7, value).boxed()
}

fn any_row() -> impl Strategy<Value = Row> {
    let some = |column: &'static str, value: BoxedStrategy<String>| value.prop_map(move |value| (column, Some(value))).boxed();
    let may = |column: &'static str, value: BoxedStrategy<String>| maybe(value).prop_map(move |value| (column, value)).boxed();
    let record = select(vec![("notes", "notes"), ("ai", "agents"), ("ai", "aiMissions"), ("notes", "line\nline"), (" ", "\"")]);
    let object = || prop_oneof![9 => json_object(json_value()), 1 => blank().prop_map(|blank| blank + "null")].boxed();
    let time =
        (-62_000_000_000_000_000..253_400_000_000_000_000_i64).prop_map(|at| jiff::Timestamp::from_microsecond(at).unwrap().to_string());
    let cells = [
        some("record_id", text().boxed()),
        some("user_id", prop_oneof!["[ab]", text()].boxed()),
        may("space_id", prop_oneof![Just(String::new()), text()].boxed()),
        some("op", select(vec!["insert", "update", "update", "delete"]).prop_map(str::to_owned).boxed()),
        may("data", object()),
        may("field_meta", json_object(prop_oneof![time.clone(), text()].prop_map(|stamp| json!(stamp).to_string())).boxed()),
        some("client_id", prop_oneof![1 => Just(String::new()), 9 => text()].boxed()),
        some("created_at", time.boxed()),
        may("actor", object()),
        may("origin", select(vec!["user", "agent", "system", "migration"]).prop_map(str::to_owned).boxed()),
    ];
    (record, cells).prop_map(|((app, table), cells)| {
        let mut row = row([("app_id", Some(app)), ("table_name", Some(table))]);
        row.extend(cells);
        row
    })
}

#[test]
#[ignore = "needs the Postgres server programs"]
fn random_rows_come_back_the_same() {
    // The generator has a fixed seed.
    let rows = vec(any_row(), 400).new_tree(&mut TestRunner::deterministic()).unwrap().current();
    for json in JSON_TYPES {
        let database = Database::with_log(json).set("TimeZone", "Europe/Berlin");
        database.fill(&rows);
        comes_back_the_same(&database);
    }
}

/// Pushes changes to a server as a client of a user.
fn push(mana: &Mana, url: &str, user: &str, changes: &Value) {
    let token = mana.run(&["token", "create", "--user", user]).stdout;
    let body = json!({"clientId": "phone, \"the\nblue one\"", "appId": "notes", "since": "", "changes": changes}).to_string();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let status =
        runtime.block_on(async { reqwest::Client::new().post(url).bearer_auth(token.trim()).body(body).send().await.unwrap().status() });
    assert_eq!(status.as_u16(), 200);
}

/// A log of plans that a tick made and of changes that clients pushed.
fn written_by_the_program() -> Mana {
    let model = Model::start(Duration::ZERO, |_| Reply::task("Buy „Erde“, 2 bags,\nthe \"big\" ones\r\n\\.\n😀"));
    let mana = Mana::new().with("MANA_LLM_URL", model.url()).with("TICK_ENABLED", "false");
    let due = "2026-04-15T08:00:00.000Z";
    mana.import(&[
        insert("ada", "agents", "a", json!({"name": "Penny, \"P\"", "maxConcurrentMissions": 9})),
        hourly("ada", "m1", Some("a"), due),
        hourly("ada", "m2", None, due),
        hourly("ben", "m3", None, due),
    ]);
    for now in ["2026-04-15T08:00:30Z", "2026-04-15T09:00:30.5Z"] {
        assert_eq!(mana.run(&["tick", "--now", now, "--json"]).json()[0]["plansWrittenBack"], 3);
    }
    let served = mana.serve();
    let actor = json!({"kind": "user", "principalId": "ada", "displayName": "Ada \"A\""});
    let numbers: Value = serde_json::from_str("[0.10, 1.0, 12345678901234567890123]").unwrap();
    push(
        &mana,
        &served.url("/sync/notes"),
        "ada",
        &json!([
            {"table": "notes", "id": "1", "op": "insert", "data": {"title": "a", "list": [1, 0.5, -7, 0.25, null], "z": {}, "numbers": numbers}, "spaceId": "s", "actor": actor, "origin": "user"},
            {"table": "notes", "id": "1", "op": "update", "fields": {"title": {"value": "b\r\n", "at": due}, "body": {"value": null, "updatedAt": due}}},
            {"table": "notes", "id": "2", "op": "insert", "data": {"title": "again"}},
            {"table": "notes", "id": "2", "op": "insert", "data": {"title": "and again"}},
            {"table": "folders", "id": "f", "op": "delete", "deletedAt": due},
        ]),
    );
    assert_eq!(served.terminate(), Some(0));
    mana
}

#[test]
#[ignore = "needs the Postgres server programs"]
fn what_the_program_wrote_is_the_same_log_in_another_one_after_its_way_through_postgres() {
    let mana = written_by_the_program();
    let log = mana.run(&["export", "--format", "jsonl"]);
    assert_eq!(log.json().len(), 15);
    assert_eq!(log.stdout, mana.run(&["export"]).stdout);
    for json in JSON_TYPES {
        let database = Database::new();
        database.create("sync_changes", &format!("seq bigserial, {}", columns(json)));
        database.copy_in("sync_changes", &mana.run(&["export", "--format", "csv"]).stdout);
        let other = Mana::new();
        // As in a pipe.
        let ran = other.run_with(&["import", "-"], &database.copy_out("(SELECT * FROM sync_changes ORDER BY seq)"));
        assert!(ran.code == Some(0) && ran.stderr.contains("15 changes imported"), "{ran:?}");
        let there = other.run(&["export"]);
        // The type jsonb orders the keys in its own way.
        match json {
            "json" => same(&log.stdout, &there.stdout),
            _ => assert_eq!(log.json(), there.json()),
        }
        for command in ["missions", "agents"] {
            assert_eq!(mana.run(&[command, "--json"]).json(), other.run(&[command, "--json"]).json());
        }
        assert_eq!(other.run(&["check"]).code, Some(0));
    }
}

#[test]
#[ignore = "needs the Postgres server programs"]
fn a_part_of_the_log_goes_to_postgres_alone() {
    let mana = written_by_the_program();
    for (filter, expected) in [
        (&["--user", "ben"][..], "ben aiMissions 3\n"),
        (&["--app", "notes"], "ada folders 1\nada notes 4\n"),
        (&["--table", "agents"], "ada agents 1\n"),
        (&["--user", "ada", "--app", "ai", "--table", "aiMissions"], "ada aiMissions 6\n"),
        (&["--user", "nobody"], ""),
    ] {
        let database = Database::with_log("jsonb");
        let csv = mana.run(&[&["export", "--format", "csv"], filter].concat());
        assert_eq!(csv.code, Some(0), "{csv:?}");
        database.copy_in("sync_changes", &csv.stdout);
        let found = database
            .sql("SELECT user_id || ' ' || table_name || ' ' || count(*) FROM sync_changes GROUP BY user_id, table_name ORDER BY 1");
        assert_eq!(found, expected, "{filter:?}");
    }
}

/// Looks at a database before a move, by a role, with the settings of its sessions in the address.
fn doctor(database: &Database, role: &str) -> Ran {
    let options = database.settings.replace(' ', "%20").replace('=', "%3D");
    let url = format!("postgres://{role}:secret@/postgres?host={}&options={options}&sslmode=disable", POSTGRES.socket);
    let mana = Mana::new();
    let mut command = mana.command(&["doctor", "--json", "--database", &url]);
    let path = std::env::var("PATH").unwrap_or_default();
    let output = command.env("PATH", format!("{}:{path}", POSTGRES.socket)).output().unwrap();
    Ran { stdout: String::from_utf8(output.stdout).unwrap(), stderr: String::from_utf8(output.stderr).unwrap(), code: output.status.code() }
}

#[test]
#[ignore = "needs the postgresql package"]
fn a_doctor_looks_into_a_postgres_before_a_move() {
    let database = Database::with_log("jsonb");
    let columns = "app_id, table_name, record_id, user_id, op, data, field_meta, client_id, created_at, schema_version, id";
    let row = |id: u32, stamp: &str| {
        format!(
            "INSERT INTO sync_changes ({columns}) VALUES ('notes', 'notes', 'n', 'ada', 'insert', '{{\"title\": \"x\"}}', \
             '{{\"title\": {stamp}}}', 'c', '2026-04-15 08:00:00+00', 1, '00000000-0000-4000-8000-00000000000{id}')"
        )
    };
    database.sql(&row(1, "\"2026-04-15T08:00:00.000Z\""));
    let found = |ran: &Ran, check: &str| {
        let lines: Vec<Value> = ran.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        lines.into_iter().find(|line| line["check"] == check).unwrap_or_else(|| panic!("{ran:?}"))
    };
    let clean = doctor(&database, "postgres");
    assert_eq!(clean.code, Some(0), "{clean:?}");
    assert!(clean.json().iter().all(|line| line["status"] == "ok"), "{clean:?}");
    database.sql(&row(2, "{\"at\": \"2026-04-15T08:00:00.000Z\"}"));
    let told = doctor(&database, "postgres");
    assert!(
        found(&told, "rows")["found"].as_str().unwrap().starts_with("2 rows") && found(&told, "stamps")["status"] == "warn",
        "{told:?}"
    );

    // A role that may not see all rows is refused, and so is one that cannot be reached; neither looks like an empty log.
    let role = format!("reader_{}", database.name);
    database.sql(&format!(
        "CREATE ROLE {role} LOGIN; GRANT USAGE ON SCHEMA {0} TO {role}; GRANT SELECT ON sync_changes TO {role}; \
         ALTER TABLE sync_changes ENABLE ROW LEVEL SECURITY",
        database.name
    ));
    for (role, says) in [(role.as_str(), "row-level security"), ("nobody_here", "psql says")] {
        let ran = doctor(&database, role);
        assert!(ran.code == Some(1) && ran.stdout.lines().count() == 1, "{ran:?}");
        assert!(found(&ran, "source")["found"].as_str().unwrap().contains(says), "{ran:?}");
        assert!(!ran.stdout.contains("secret") && !ran.stderr.contains("secret"), "{ran:?}");
    }
}
