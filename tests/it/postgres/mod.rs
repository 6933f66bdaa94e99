//! The log's way between a real Postgres and this program, to the byte (docs/design.md, sections 2 and 12).
//! `cargo test --test it postgres:: -- --ignored` needs Debian's postgresql package; `.ci/postgres` moves a million rows besides.

mod engine;
mod gone;
mod installed;
mod moves;
mod moving;
mod plans;
mod random;
mod round_trip;

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use crate::common::{Mana, Model, Ran, Reply, fixture, hourly, insert};
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
