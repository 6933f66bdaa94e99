//! Taking back what a step wrote: for each of its fields the value before it, unless somebody changed that field since.
//!
//! It follows from the rows of a record alone, so it needs no code per tool.

use serde_json::Value;

use crate::domain::change::Op;
use crate::domain::field::DELETED_AT;
use crate::domain::merge::{Delta, Fold};
use crate::domain::raw::{Raw, RawRecord};

/// What it takes to undo one row.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Undo {
    /// What is to be written; `None`: nothing is left to undo.
    pub write: Option<(Op, RawRecord)>,
    /// Fields that somebody changed since; they stay.
    pub conflicts: Vec<FieldConflict>,
}

/// A field that somebody changed after the step.
#[derive(Debug, Clone, PartialEq)]
pub struct FieldConflict {
    pub field: String,
    pub now: Value,
}

/// What it takes to undo the row with the event id `own`, among the rows of its record in the order of the log. A new
/// record becomes a tombstone, as clients undo a creation; the caller stamps what is written.
pub fn undo(record_id: &str, rows: &[(String, Delta)], own: &str) -> Undo {
    let Some(place) = rows.iter().position(|(id, _)| id == own) else { return Undo::default() };
    let fold = |wanted: &dyn Fn(&str) -> bool| {
        let mut fold = Fold::default();
        rows.iter().filter(|(id, _)| wanted(id)).for_each(|(_, delta)| fold.apply(record_id, delta.clone()));
        fold
    };
    let row = &rows[place].1;
    let (now, before) = (fold(&|_| true), fold(&|id| id != own));
    let Fold::Known { record: now, stamps } = &now else { return Undo::default() };
    // A delete alone makes no record, so its stamp is its time.
    let (wrote, wrote_at) = match (row.op, fold(&|id| id == own)) {
        (_, Fold::Known { record, stamps }) => (record, stamps),
        (Op::Delete, _) => {
            let data = row.data.clone().unwrap_or_default();
            let stamps = data.text(DELETED_AT).map(|at| (DELETED_AT.to_owned(), at.into_owned()));
            (data, stamps.into_iter().collect())
        }
        _ => return Undo::default(),
    };
    let still = |field: &str| now.get(field) == wrote.get(field) && stamps.get(field) == wrote_at.get(field);
    let conflict = |field: &str| FieldConflict { field: field.to_owned(), now: now.value(field).unwrap_or_default() };
    let is_gone = now.get(DELETED_AT).is_some_and(|at| !at.is_null()) && !wrote.contains_key(DELETED_AT);
    let made_it = row.op == Op::Insert && place == 0;
    match (made_it, is_gone) {
        (true, true) => Undo::default(),
        (false, true) => Undo { write: None, conflicts: vec![conflict(DELETED_AT)] },
        (true, false) => {
            let conflicts: Vec<_> = fields(now).filter(|field| !still(field)).map(conflict).collect();
            let write = conflicts.is_empty().then(|| (Op::Delete, RawRecord::from_iter([(DELETED_AT.to_owned(), Raw::null())])));
            Undo { write, conflicts }
        }
        (false, false) => {
            let none = RawRecord::new();
            let old = record(&before).unwrap_or(&none);
            // What stood there when the step came; a value that is back already is no conflict.
            let mut first = Fold::default();
            rows[..place].iter().for_each(|(_, delta)| first.apply(record_id, delta.clone()));
            let first = record(&first).cloned().unwrap_or_default();
            let (mut back, mut conflicts) = (RawRecord::new(), Vec::new());
            for field in fields(&wrote) {
                let value = |record: &RawRecord| record.get(field).cloned().unwrap_or_default();
                if still(field) {
                    if value(old) != value(now) {
                        back.insert(field.to_owned(), value(old));
                    }
                } else if value(now) != value(&first) {
                    conflicts.push(conflict(field));
                }
            }
            Undo { write: (!back.is_empty()).then_some((Op::Update, back)), conflicts }
        }
    }
}

fn record(fold: &Fold) -> Option<&RawRecord> {
    match fold {
        Fold::Known { record, .. } => Some(record),
        _ => None,
    }
}

fn fields(record: &RawRecord) -> impl Iterator<Item = &str> {
    record.keys().map(String::as_str).filter(|field| *field != "id")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::domain::merge::Stamps;
    use jiff::Timestamp;
    use proptest::prelude::*;
    use serde_json::json;

    const OWN: &str = "own";

    fn delta(op: Op, data: Value, second: u32) -> Delta {
        let at = format!("2026-04-15T08:00:{second:02}.000Z");
        let data = RawRecord::from(data.as_object().unwrap());
        let field_meta = match op {
            Op::Update => data.keys().map(|field| (field.clone(), at.clone())).collect(),
            _ => Stamps::new(),
        };
        let created_at: Timestamp = at.parse().unwrap();
        Delta { op, data: Some(data), field_meta, created_at }
    }

    fn rows(deltas: &[(&str, Delta)]) -> Vec<(String, Delta)> {
        deltas.iter().map(|(id, delta)| ((*id).to_owned(), delta.clone())).collect()
    }

    fn created() -> Delta {
        delta(Op::Insert, json!({"title": "a", "done": false, "createdAt": "2026-04-15T08:00:00.000Z"}), 0)
    }

    #[test]
    fn a_field_gets_the_value_before_the_step() {
        let done = delta(Op::Update, json!({"done": true, "doneAt": "x"}), 10);
        let undone = undo("r", &rows(&[("new", created()), (OWN, done)]), OWN);
        let back = json!({"done": false, "doneAt": null});
        assert_eq!(undone, Undo { write: Some((Op::Update, back.as_object().unwrap().into())), conflicts: vec![] });
    }

    #[test]
    fn what_somebody_changed_since_stays_and_is_told() {
        let step = delta(Op::Update, json!({"title": "b", "done": true}), 10);
        let later = delta(Op::Update, json!({"title": "c"}), 20);
        let undone = undo("r", &rows(&[("new", created()), (OWN, step), ("later", later)]), OWN);
        assert_eq!(undone.write, Some((Op::Update, json!({"done": false}).as_object().unwrap().into())));
        assert_eq!(undone.conflicts, [FieldConflict { field: "title".into(), now: json!("c") }]);
    }

    #[test]
    fn a_new_record_goes_unless_somebody_wrote_into_it() {
        let alone = undo("r", &rows(&[(OWN, created())]), OWN);
        assert_eq!(alone.write.map(|(op, _)| op), Some(Op::Delete));
        let renamed = delta(Op::Update, json!({"title": "mine"}), 20);
        let kept = undo("r", &rows(&[(OWN, created()), ("later", renamed)]), OWN);
        assert_eq!((kept.write, kept.conflicts.len()), (None, 1));
        let gone = delta(Op::Delete, json!({"deletedAt": "2026-04-15T08:00:20.000Z"}), 20);
        assert_eq!(undo("r", &rows(&[(OWN, created()), ("later", gone.clone())]), OWN), Undo::default(), "it is gone already");
        let step = delta(Op::Update, json!({"title": "b"}), 10);
        let conflict = undo("r", &rows(&[("new", created()), (OWN, step), ("later", gone)]), OWN);
        assert_eq!((conflict.write, conflict.conflicts[0].field.as_str()), (None, DELETED_AT));
    }

    #[test]
    fn a_deletion_is_taken_back() {
        let gone = delta(Op::Delete, json!({"deletedAt": "2026-04-15T08:00:10.000Z"}), 10);
        let undone = undo("r", &rows(&[("new", created()), (OWN, gone)]), OWN);
        assert_eq!(undone.write, Some((Op::Update, json!({"deletedAt": null}).as_object().unwrap().into())));
    }

    #[test]
    fn a_row_that_is_not_there_undoes_nothing() {
        assert_eq!(undo("r", &rows(&[("new", created())]), OWN), Undo::default());
    }

    /// Values by their fields, and the second of the update.
    type Update = (BTreeMap<String, u8>, u32);

    /// Updates of some of four fields at any time, and where the step stands among them.
    fn random_log() -> impl Strategy<Value = (Vec<Update>, usize)> {
        let update = (proptest::collection::btree_map("[a-d]", any::<u8>(), 1..4), 1..59_u32);
        (proptest::collection::vec(update, 1..12), any::<prop::sample::Index>()).prop_map(|(updates, step)| {
            let step = step.index(updates.len());
            (updates, step)
        })
    }

    proptest! {
        /// Undo restores every field that nobody else changed since, and only those.
        #[test]
        fn undo_restores_what_nobody_else_changed((updates, step) in random_log()) {
            let mut log = rows(&[("new", created())]);
            for (n, (fields, second)) in updates.iter().enumerate() {
                let id = if n == step { OWN.to_owned() } else { format!("row {n}") };
                // No two rows have one stamp: the last digit is the row's own.
                let mut row = delta(Op::Update, json!(fields), *second);
                row.field_meta.values_mut().for_each(|at| *at = at.replace(".000Z", &format!(".{n:03}Z")));
                log.push((id, row));
            }
            let known = |log: &[(String, Delta)]| {
                let mut fold = Fold::default();
                log.iter().for_each(|(_, delta)| fold.apply("r", delta.clone()));
                match fold { Fold::Known { record, stamps } => (record, stamps), _ => unreachable!() }
            };
            let (now, stamps) = known(&log);
            let without: Vec<_> = log.iter().filter(|(id, _)| id != OWN).cloned().collect();
            let (before, _) = known(&without);
            let own = log.iter().find(|(id, _)| id == OWN).unwrap().1.clone();
            let Undo { write, conflicts } = undo("r", &log, OWN);
            let mut after = now.clone();
            after.extend(write.map(|(_, fields)| fields).unwrap_or_default());
            for field in ["a", "b", "c", "d"] {
                let (is, was) = (after.value(field).unwrap_or_default(), before.value(field).unwrap_or_default());
                let by_step = own.field_meta.contains_key(field) && stamps.get(field) == own.field_meta.get(field);
                if by_step {
                    prop_assert_eq!(is, was, "{} was the step's", field);
                } else {
                    prop_assert_eq!(is, now.value(field).unwrap_or_default(), "{} was somebody else's", field);
                }
                prop_assert!(conflicts.iter().all(|conflict| conflict.field != field || !by_step));
            }
        }
    }
}
