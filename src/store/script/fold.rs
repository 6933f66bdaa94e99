//! Folding new rows of the log into the snapshots (docs/design.md, section 4).
//!
//! A batch is read and folded on a reader and then written in one short transaction, so that a long catch-up does not
//! hold up other writes. Meanwhile somebody else may have written a snapshot: whoever writes one has folded every row of
//! its record up to the snapshot's `last_seq`, so the one with the higher `last_seq` knows more, and stays.

use std::collections::BTreeSet;

use indexmap::IndexMap;
use indexmap::map::Entry;

use super::super::tx::{FoldRow, Reads, Tx};
use super::super::{SetAside, StoreResult, Table};
use super::lost::{Lost, note};
use crate::domain::agent::Agent;
use crate::domain::change::{is_own_client, stamps_text};
use crate::domain::decided::{self, Decisions};
use crate::domain::field;
use crate::domain::ids::{AgentId, UserId};
use crate::domain::lost::{join, lost};
use crate::domain::merge::{Delta, Fold, Stamps};
use crate::domain::mission::Mission;
use crate::domain::raw::{Raw, RawRecord};
use crate::domain::{decision, grant, time};

/// What a refresh of one table did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Refreshed {
    /// Rows of the log that were folded in.
    pub rows: u64,
    pub new: u64,
    pub updated: u64,
    pub users: BTreeSet<UserId>,
    /// Fields of a wrong type that were passed over, as (record id, field), in the records that this refresh touched.
    pub problems: Vec<(String, &'static str)>,
}

impl Refreshed {
    /// Adds what another batch did.
    pub fn absorb(&mut self, other: Refreshed) {
        self.rows += other.rows;
        self.new += other.new;
        self.updated += other.updated;
        self.users.extend(other.users);
        self.problems.extend(other.problems);
    }
}

/// New rows, folded and ready to be written.
pub struct Batch {
    /// The last row of the log in it.
    last: i64,
    /// How often rows had gone out of the log when it was read.
    rows_went: i64,
    /// Whether there may be more rows.
    more: bool,
    saves: Vec<Save>,
    report: Refreshed,
}

/// How much a batch folds, so that its memory does not grow with the log.
#[derive(Debug, Clone, Copy)]
pub struct BatchBounds {
    pub rows: u32,
    pub records: usize,
    /// Bytes of the records' texts.
    pub bytes: usize,
}

/// What is folded while others wait to write.
const FEW: BatchBounds = BatchBounds { rows: 1_000, records: 1_000, bytes: 1024 * 1024 };

/// Rows whose records are looked up together.
const TOGETHER: usize = 128;

/// Reads on from the cursor, in one state of the database; `None` where nothing is new.
pub fn fold_batch(reads: &impl Reads, table: Table, bounds: BatchBounds) -> StoreResult<Option<Batch>> {
    let (mut last, mut seen, mut full) = (reads.cursor(table)?, 0, false);
    let mut folding = Folding::default();
    reads.new_rows(table, last, bounds.rows, &mut |row| {
        last = row.seq;
        seen += 1;
        let Some(delta) = used(row.delta) else { return Ok(true) };
        let key = Key { record: row.record.to_owned(), user: row.user.into() };
        folding.add(key, UsedRow { place: 0, delta, seq: row.seq, sync_at: row.sync_at, is_own: is_own_client(row.client) });
        if folding.rows.len() >= TOGETHER {
            folding.take(reads, table)?;
            full = folding.folds.len() >= bounds.records || folding.bytes >= bounds.bytes;
        }
        Ok(!full)
    })?;
    if seen == 0 {
        return Ok(None);
    }
    folding.take(reads, table)?;
    let mut report = Refreshed { rows: folding.applied, ..Refreshed::default() };
    let mut saves = Vec::with_capacity(folding.folds.len());
    for (Key { user, record }, folded) in folding.folds {
        if folded.is_to_be_saved() {
            report.new += u64::from(!folded.stored);
            report.updated += u64::from(folded.stored);
            let (save, problems) = Save::new(table, &user, &record, &folded);
            report.problems.extend(problems.into_iter().map(|field| (record.clone(), field)));
            saves.push(save);
        }
        if !report.users.contains(&user) {
            report.users.insert(user);
        }
    }
    // In the order of the key, neighbours share pages.
    saves.sort_unstable_by(|a, b| (&a.user, &a.id).cmp(&(&b.user, &b.id)));
    let rows_went = reads.times_rows_went()?;
    Ok(Some(Batch { last, rows_went, more: full || seen == bounds.rows, saves, report }))
}

/// Writes a batch, and moves the cursor with it. Where rows went out of the log since it was read, it may rest on them, so a
/// smaller one is folded in its place, here, where none can go.
pub fn write_batch(tx: &impl Tx, table: Table, batch: Batch) -> StoreResult<(Refreshed, bool)> {
    let batch = if tx.times_rows_went()? == batch.rows_went { Some(batch) } else { fold_batch(tx, table, FEW)? };
    let Some(batch) = batch else { return Ok((Refreshed::default(), false)) };
    put(tx, table, &batch.saves)?;
    tx.move_cursor(table, batch.last)?;
    Ok((batch.report, batch.more))
}

/// A record of a user.
#[derive(PartialEq, Eq, Hash)]
struct Key {
    record: String,
    user: UserId,
}

/// A row that is to be folded in.
struct UsedRow {
    /// That of its record in the batch.
    place: usize,
    delta: Delta,
    seq: i64,
    sync_at: i64,
    is_own: bool,
}

/// The records of a batch while it is read.
#[derive(Default)]
struct Folding {
    folds: IndexMap<Key, Folded>,
    /// Places of records whose snapshots were not looked up yet.
    unknown: Vec<usize>,
    /// Rows that wait for them.
    rows: Vec<UsedRow>,
    /// Bytes of the records' texts.
    bytes: usize,
    /// Rows that no snapshot held.
    applied: u64,
}

impl Folding {
    fn add(&mut self, key: Key, row: UsedRow) {
        let entry = self.folds.entry(key);
        let place = entry.index();
        if let Entry::Vacant(entry) = entry {
            entry.insert(Folded::default());
            self.unknown.push(place);
        }
        self.rows.push(UsedRow { place, ..row });
    }

    /// Looks up what has to be known, and folds the rows in that wait.
    fn take(&mut self, reads: &impl Reads, table: Table) -> StoreResult<()> {
        let sought = self.unknown.iter().filter_map(|place| self.folds.get_index(*place));
        let sought: Vec<_> = sought.map(|(key, _)| (&key.user, key.record.as_str())).collect();
        let stored = reads.stored(table, &sought)?;
        for (place, stored) in self.unknown.drain(..).zip(stored) {
            self.bytes += stored.bytes();
            self.folds[place] = stored;
        }
        for UsedRow { place, delta, seq, sync_at, is_own } in self.rows.drain(..) {
            let Some((key, folded)) = self.folds.get_index_mut(place) else { continue };
            let before = folded.bytes();
            self.applied += u64::from(folded.apply(&key.record, delta, seq, sync_at, is_own));
            self.bytes = (self.bytes + folded.bytes()).saturating_sub(before);
        }
        Ok(())
    }
}

/// The newest state of one record, rows included that no refresh has seen yet.
pub fn newest(reads: &impl Reads, table: Table, user: &UserId, id: &str) -> StoreResult<Folded> {
    let mut folded = reads.stored(table, &[(user, id)])?.pop().unwrap_or_default();
    let after = reads.cursor(table)?;
    reads.rows_of(table, user, id, after, &mut |FoldRow { seq, sync_at, client, delta, .. }| {
        if let Some(delta) = used(delta) {
            folded.apply(id, delta, seq, sync_at, is_own_client(client));
        }
    })?;
    Ok(folded)
}

/// A row that is set aside is passed over, and told.
fn used(row: Result<Delta, SetAside>) -> Option<Delta> {
    row.inspect_err(|SetAside { seq, why }| tracing::warn!(row = seq, %why, "a log row is skipped; `mana-ai check` lists them all")).ok()
}

/// A record while it is being folded.
#[derive(Default)]
pub struct Folded {
    pub fold: Fold,
    lost: Lost,
    /// When the keys of its grants end, as far as the rows say that were folded in.
    grant_ends: grant::Ends,
    /// What those rows decided about steps.
    decisions: Decisions,
    last_seq: i64,
    last_applied_at: i64,
    /// Whether there is a snapshot.
    stored: bool,
    changed: bool,
}

impl Folded {
    /// What a snapshot holds.
    pub fn stored(fold: Fold, last_seq: i64, last_applied_at: i64) -> Self {
        Folded { fold, last_seq, last_applied_at, stored: true, ..Folded::default() }
    }

    /// The bytes of the record's texts.
    fn bytes(&self) -> usize {
        match &self.fold {
            Fold::Known { record, .. } => record.bytes(),
            Fold::Unseen | Fold::Ended => 0,
        }
    }

    /// The same for a snapshot that could not be read, and was folded again from the rows that it held.
    pub fn rebuilt(self) -> Self {
        Folded { stored: true, changed: false, ..self }
    }

    /// Folds in a row of a client; `false` where the snapshot already holds it.
    fn apply(&mut self, record_id: &str, delta: Delta, seq: i64, sync_at: i64, is_own: bool) -> bool {
        if seq <= self.last_seq {
            return false;
        }
        let at_risk = match &delta.data {
            Some(data) if data.contains_key(field::ITERATIONS) && !is_own => self.iterations().cloned(),
            _ => None,
        };
        self.take(record_id, delta, seq, sync_at);
        let Some(at_risk) = at_risk else { return true };
        for iteration in lost(&at_risk, self.iterations().unwrap_or(&Raw::null())) {
            let known = self.lost.remove(iteration.id());
            let whole = known.map_or_else(|| iteration.clone(), |(_, known)| join(&iteration, &known));
            self.lost.insert(iteration.id().to_owned(), (seq, whole));
        }
        true
    }

    /// Whether rows were folded in that made a record. One that only rows without effect speak of needs no snapshot: the
    /// next row finds it unseen, as it is.
    pub fn is_to_be_saved(&self) -> bool {
        self.changed && !matches!(self.fold, Fold::Unseen)
    }

    /// The iterations of the record as it stands.
    fn iterations(&self) -> Option<&Raw> {
        let Fold::Known { record, .. } = &self.fold else { return None };
        record.get(field::ITERATIONS)
    }

    /// Folds in the change that became row `seq` at `sync_at`.
    pub fn take(&mut self, record_id: &str, delta: Delta, seq: i64, sync_at: i64) {
        let grants = grant::is_written_by(&delta);
        let writes_plans = delta.data.as_ref().is_some_and(|data| data.contains_key(field::ITERATIONS));
        let plans = writes_plans.then(|| (self.iterations().cloned(), delta.created_at));
        self.fold.apply(record_id, delta);
        if let (Some((before, at)), Fold::Known { record, .. }) = (plans, &self.fold) {
            decided::note(&mut self.decisions, before.as_ref(), record, at);
        }
        if grants && let Fold::Known { record, .. } = &self.fold {
            grant::note(&mut self.grant_ends, record);
        }
        self.last_seq = seq;
        self.last_applied_at = sync_at;
        self.changed = true;
    }
}

/// A snapshot as it is written.
pub struct Save {
    pub user: UserId,
    pub id: String,
    pub record: String,
    pub stamps: String,
    pub liveness: &'static str,
    pub state: &'static str,
    pub last_seq: i64,
    pub last_applied_at: i64,
    pub columns: Columns,
    /// Of a mission.
    pub decisions: Decisions,
    lost: Lost,
    grant_ends: grant::Ends,
}

/// What the due scan and lists need of a record; texts are cut.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Columns {
    Agent {
        name: String,
        role: String,
        avatar: String,
        /// The start of its name, in lower case.
        name_key: String,
        /// Tokens of a day; `None`: no limit.
        max_tokens: Option<i64>,
    },
    Mission {
        agent_id: Option<AgentId>,
        next_run_at: Option<i64>,
        awaiting_review: u64,
        client_active_at: Option<i64>,
        /// Whether its schedule has times, and it has none.
        unscheduled: bool,
        /// Whether its schedule cannot be followed, and it has no time.
        bad_schedule: bool,
        title: String,
        objective: String,
        /// When the oldest plan that awaits review was begun; 0 where it does not say.
        waiting_since: Option<i64>,
        /// The start of its title, in lower case.
        title_key: String,
    },
}

/// Characters of a text that lists show.
const SHOWN: usize = 200;

fn start_of(text: String) -> String {
    match text.char_indices().nth(SHOWN) {
        None => text,
        Some((end, _)) => text[..end].to_owned(),
    }
}

impl Save {
    /// Makes it, and names the fields of a wrong type.
    pub fn new(table: Table, user: &UserId, id: &str, folded: &Folded) -> (Self, Vec<&'static str>) {
        let empty = (RawRecord::new(), Stamps::new());
        let (record, stamps, liveness) = match &folded.fold {
            Fold::Known { record, stamps } => (record, stamps, if folded.fold.live().is_some() { "live" } else { "deleted" }),
            Fold::Ended | Fold::Unseen => (&empty.0, &empty.1, "ended"),
        };
        let (state, columns, problems) = match table {
            Table::Agents => {
                let (agent, problems) = Agent::read(id, record);
                let [name, role, avatar] =
                    [agent.name, agent.role, record.text(field::AVATAR).unwrap_or_default().into_owned()].map(start_of);
                let name_key = search_key(&name);
                let max_tokens = agent.max_tokens_per_day.map(|most| i64::try_from(most).unwrap_or(i64::MAX));
                (agent.state.as_str(), Columns::Agent { name, role, avatar, name_key, max_tokens }, problems)
            }
            Table::Missions => {
                let (mission, problems) = Mission::read(id, record);
                let plans = decision::plans(&mission.iterations);
                let waiting = mission.iterations.iter().filter(|iteration| iteration.awaits_review());
                let columns = Columns::Mission {
                    next_run_at: mission.next_run_at.map(time::to_micros),
                    awaiting_review: plans.awaiting_review,
                    client_active_at: plans.client_active_at.map(time::to_micros),
                    unscheduled: liveness == "live" && mission.lacks_time(),
                    bad_schedule: liveness == "live" && mission.has_bad_schedule(),
                    waiting_since: waiting.map(|iteration| iteration.started_at().map_or(0, time::to_micros)).min(),
                    title_key: search_key(mission.label()),
                    agent_id: mission.agent_id,
                    title: start_of(mission.title),
                    objective: start_of(mission.objective),
                };
                (mission.state.as_str(), columns, problems)
            }
        };
        let save = Save {
            user: user.to_owned(),
            id: id.to_owned(),
            record: Raw::from(record).to_string(),
            stamps: stamps_text(stamps),
            liveness,
            state,
            last_seq: folded.last_seq,
            last_applied_at: folded.last_applied_at,
            columns,
            decisions: folded.decisions.clone(),
            lost: folded.lost.clone(),
            grant_ends: folded.grant_ends.clone(),
        };
        (save, problems.into_iter().map(|problem| problem.field).collect())
    }
}

/// What a text is searched and sorted by.
pub fn search_key(text: &str) -> String {
    text.trim().chars().take(SHOWN).flat_map(char::to_lowercase).collect()
}

/// Writes snapshots, but for those of which what is there knows more, and what was noted beside them.
pub fn put(tx: &impl Tx, table: Table, saves: &[Save]) -> StoreResult<()> {
    let written = tx.put(table, saves)?;
    if table == Table::Agents {
        return Ok(());
    }
    // Whoever knew more has folded the same rows, and noted the same losses and ends.
    for (save, _) in saves.iter().zip(written).filter(|(_, is_written)| *is_written) {
        let mission = save.id.as_str().into();
        note(tx, &save.user, &mission, &save.lost)?;
        save.grant_ends.iter().try_for_each(|(key, at)| tx.note_grant_end(&save.user, key, *at))?;
        for ((iteration, step), decided) in &save.decisions {
            tx.note_decision(&save.user, &mission, (iteration, step), decided.as_ref())?;
        }
    }
    Ok(())
}
