//! What a log holds that a move would lose, or that will not work after it.
//!
//! Rows are looked at one by one, and what is kept of them is bounded: counts, a few examples, and for what only the whole
//! log tells as much as the limits below allow. Where they are reached, that is told.

mod sealed;

use std::collections::HashSet;
use std::hash::{BuildHasher, RandomState};

use jiff::Timestamp;

use self::sealed::Sealed;
use super::Diagnosis;
use super::seen::{Tally, counted};
use crate::domain::change::{Change, Op};
use crate::domain::field;
use crate::domain::limits::admit;
use crate::domain::merge::{is_future, own_stamp, stamp_of};
use crate::domain::raw::{Raw, RawRecord};
use crate::domain::time;
use crate::exchange::{BadLine, ExchangeRow};
use crate::grants::PrivateKey;

/// Event ids that are compared; as many take 16 MB.
const MAX_IDS: usize = 1_800_000;

/// Tables whose records clients list by `createdAt` (docs/records.md), by app and name.
const WITH_CREATED_AT: [(&str, &str); 14] = [
    ("ai", "agents"),
    ("ai", "aiMissions"),
    ("timeblocks", "timeBlocks"),
    ("calendar", "events"),
    ("calendar", "calendars"),
    ("food", "meals"),
    ("places", "places"),
    ("broadcasts", "broadcastCampaigns"),
    ("website", "websites"),
    ("website", "websitePages"),
    ("website", "websiteBlocks"),
    ("mana", "workbenchScenes"),
    ("tags", "tags"),
    ("companion", "companionGoals"),
];

/// A check: its name, what it found, and what is told where it found nothing.
type Look<'a> = (&'static str, Option<Diagnosis>, &'a dyn Fn() -> Diagnosis);

/// What was found so far.
pub(super) struct Survey {
    now: Timestamp,
    rows: u64,
    unknown: Vec<String>,
    bad: Tally,
    refused: Tally,
    without_id: Tally,
    ids: HashSet<u64>,
    hasher: RandomState,
    ids_are_all: bool,
    repeated: Tally,
    object_stamps: Tally,
    empty_stamps: Tally,
    odd_stamps: Tally,
    replaced: Tally,
    ahead: Tally,
    without_created_at: Tally,
    sealed: Sealed,
}

impl Survey {
    pub fn new(now: Timestamp) -> Self {
        Survey {
            now,
            rows: 0,
            unknown: Vec::new(),
            bad: Tally::default(),
            refused: Tally::default(),
            without_id: Tally::default(),
            ids: HashSet::new(),
            hasher: RandomState::new(),
            ids_are_all: true,
            repeated: Tally::default(),
            object_stamps: Tally::default(),
            empty_stamps: Tally::default(),
            odd_stamps: Tally::default(),
            replaced: Tally::default(),
            ahead: Tally::default(),
            without_created_at: Tally::default(),
            sealed: Sealed::default(),
        }
    }

    pub fn is_empty(&self) -> bool {
        self.rows == 0
    }

    /// Columns that the log does not have.
    pub fn unknown_columns(&mut self, unknown: Vec<String>) {
        self.unknown = unknown;
    }

    /// A line that holds no row.
    pub fn bad_line(&mut self, bad: &BadLine) {
        self.rows += 1;
        self.bad.add(|| bad.to_string());
    }

    pub fn row(&mut self, row: ExchangeRow) {
        self.rows += 1;
        let line = row.line;
        let has_id = row.object.text("eventId").is_some_and(|id| !id.is_empty());
        let stamps = spelled(&row.object);
        let change = match row.read() {
            Ok(change) => change,
            Err(bad) => return self.bad.add(|| bad.to_string()),
        };
        let admitted = match admit(change) {
            Ok(admitted) => admitted,
            Err(refusal) => return self.refused.add(|| format!("line {line}: {refusal}")),
        };
        let change = admitted.change();
        if admitted.replaced() > 0 {
            self.replaced.add(|| place(change, line));
        }
        self.event_id(change, line, has_id);
        self.stamps(change, line, stamps);
        self.clock(change, line);
        let shown_by = WITH_CREATED_AT.contains(&(change.app_id.as_str(), change.table.as_str()));
        if change.op == Op::Insert && shown_by && !change.data.as_ref().is_some_and(has_created_at) {
            self.without_created_at.add(|| place(change, line));
        }
        self.sealed.change(change);
    }

    fn event_id(&mut self, change: &Change, line: u64, has_id: bool) {
        if !has_id {
            return self.without_id.add(|| place(change, line));
        }
        let key = self.hasher.hash_one((&change.user_id, &change.event_id));
        if self.ids.contains(&key) {
            self.repeated.add(|| format!("{} of {}", change.event_id, place(change, line)));
        } else if self.ids.len() < MAX_IDS {
            self.ids.insert(key);
        } else {
            self.ids_are_all = false;
        }
    }

    fn stamps(&mut self, change: &Change, line: u64, spelled: Spelled) {
        for (field, seen) in
            [(spelled.object, &mut self.object_stamps), (spelled.empty, &mut self.empty_stamps), (spelled.no_time, &mut self.odd_stamps)]
        {
            if let Some(field) = field {
                seen.add(|| format!("{field} in {}", place(change, line)));
            }
        }
    }

    /// Looks for a moment that lies a day ahead, of a field or of the whole row.
    fn clock(&mut self, change: &Change, line: u64) {
        let now = self.now;
        let field = change.field_meta.iter().find(|(_, stamp)| is_future(stamp, now));
        let own = change.data.as_ref().and_then(|data| match change.op {
            Op::Insert => own_stamp(data).map(|stamp| ("updatedAt or createdAt", stamp)),
            Op::Delete => data.get(field::DELETED_AT).and_then(stamp_of).map(|stamp| (field::DELETED_AT, stamp)),
            Op::Update => None,
        });
        let taken_in = change.created_at.map(time::iso_millis);
        let told = field.map(|(field, stamp)| (field.as_str(), stamp.as_str()));
        let told = told.or(own.as_ref().map(|(field, stamp)| (*field, stamp.as_str()))).filter(|(_, stamp)| is_future(stamp, now));
        let told = told.or(taken_in.as_deref().filter(|at| is_future(at, now)).map(|at| ("the time of the row", at)));
        if let Some((what, stamp)) = told {
            self.ahead.add(|| format!("{what} {stamp} by client {} in {}", change.client_id, place(change, line)));
        }
    }

    /// What there is to tell, in its order, each check by its name; `key` opens grants.
    pub fn findings(self, key: Option<&PrivateKey>) -> Vec<(&'static str, Diagnosis)> {
        let (sealed, now) = (self.sealed, self.now);
        let [spaces, grants, encrypted] = sealed.findings(key, now);
        let ids_are_all = || match self.ids_are_all {
            true => Diagnosis::ok("each is there once for its user"),
            false => Diagnosis::ok(format!("each of the first {MAX_IDS} is there once for its user; more were not compared")),
        };
        let ids = self
            .repeated
            .warn(
                "row repeats the event id of an earlier row of its user",
                "rows repeat the event id of an earlier row of their user",
                "nothing where they are copies; an import keeps the first row of each id and passes over the others",
            )
            .or_else(|| {
                self.without_id.warn(
                    "row has no event id",
                    "rows have no event id",
                    "import this file once: its rows get new ids, so a second import would add them again",
                )
            });
        let checks: [Look; 8] = [
            (
                "rows",
                self.bad.fail(
                    "row cannot be read, which stops an import",
                    "rows cannot be read, which stops an import",
                    "correct them, or leave them out with `mana-ai import --skip-bad`",
                ),
                &|| match self.rows {
                    0 => Diagnosis::warn("the log is empty", "look whether this is the right database or file"),
                    rows => Diagnosis::ok(format!("{}, all of which can be read", counted(rows, "row", "rows"))),
                },
            ),
            (
                "limits",
                self.refused.fail(
                    "row is beyond the limits of the log, which stops an import",
                    "rows are beyond the limits of the log, which stops an import",
                    "make them smaller where they were written, or leave them out with `mana-ai import --skip-bad`",
                ),
                &|| Diagnosis::ok("no row is beyond them"),
            ),
            (
                "texts",
                self.replaced.warn(
                    "row has texts with U+0000 or half of a surrogate pair",
                    "rows have texts with U+0000 or half of a surrogate pair",
                    "nothing: each becomes U+FFFD, since no text can hold them",
                ),
                &|| Diagnosis::ok("all can be kept as they are"),
            ),
            (
                "columns",
                (!self.unknown.is_empty()).then(|| {
                    Diagnosis::warn(
                        format!("the log has no column {}", self.unknown.join(", ")),
                        "keep the old database if you need what they hold",
                    )
                }),
                &|| Diagnosis::ok("the log has all of them"),
            ),
            ("event-ids", ids, &ids_are_all),
            ("stamps", stamps(&[&self.object_stamps, &self.empty_stamps, &self.odd_stamps]), &|| {
                Diagnosis::ok("all are times, in the form that the log keeps")
            }),
            (
                "clocks",
                self.ahead.warn(
                    "row was written by a clock more than a day ahead",
                    "rows were written by a clock more than a day ahead",
                    "set the clock of that device, then edit these fields there once more; until that moment comes, edits of other devices \
                     lose to them",
                ),
                &|| Diagnosis::ok("no row lies more than a day ahead"),
            ),
            (
                "created-at",
                self.without_created_at.warn(
                    "new record has no createdAt, so clients that list by it do not show it",
                    "new records have no createdAt, so clients that list by it do not show them",
                    "let the client that made them write createdAt, or add it to `data` before the import",
                ),
                &|| Diagnosis::ok("every record that clients list by it has one"),
            ),
        ];
        let mut told: Vec<_> = checks.into_iter().map(|(name, found, fine)| (name, found.unwrap_or_else(fine))).collect();
        told.extend([("spaces", spaces), ("grants", grants), ("encrypted", encrypted)]);
        told
    }
}

/// Stamps that are not in the form of the log, together.
fn stamps(kinds: &[&Tally; 3]) -> Option<Diagnosis> {
    let words = [
        ("row has stamps that are objects, whose `at` counts", "rows have stamps that are objects, whose `at` counts"),
        (
            "row has empty stamps, which count as none: the time of the row stands in",
            "rows have empty stamps, which count as none: the time of the row stands in",
        ),
        ("row has stamps that are no times, which compare as texts", "rows have stamps that are no times, which compare as texts"),
    ];
    let told: Vec<String> =
        kinds.iter().zip(words).filter(|(seen, _)| seen.count > 0).map(|(seen, (one, more))| seen.told(one, more)).collect();
    let fix = "nothing, if edits on several devices at once are rare: they may be merged in another order than on the devices";
    (!told.is_empty()).then(|| Diagnosis::warn(told.join(". "), fix))
}

/// The first field of each kind of stamp that is not as the log keeps it.
struct Spelled {
    object: Option<String>,
    empty: Option<String>,
    no_time: Option<String>,
}

fn spelled(object: &RawRecord) -> Spelled {
    let mut spelled = Spelled { object: None, empty: None, no_time: None };
    let given = object.get("fieldMeta").filter(|meta| !meta.is_null()).or_else(|| object.get("fieldTimestamps"));
    for (field, stamp) in given.and_then(Raw::object).into_iter().flatten() {
        let kind = match (stamp.text(), stamp_of(&stamp)) {
            (_, None) => &mut spelled.empty,
            (_, Some(text)) if time::parse_rfc3339(&text).is_none() => &mut spelled.no_time,
            (None, Some(_)) => &mut spelled.object,
            _ => continue,
        };
        kind.get_or_insert(field);
    }
    spelled
}

fn has_created_at(data: &RawRecord) -> bool {
    data.text(field::CREATED_AT).is_some_and(|at| time::parse_rfc3339(&at).is_some())
}

/// Where a row is, for people.
fn place(change: &Change, line: u64) -> String {
    format!("{}/{} {} of {} (line {line})", change.app_id, change.table, change.record_id, change.user_id)
}
