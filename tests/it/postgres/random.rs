//! Random rows come back the same.

use super::*;

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
