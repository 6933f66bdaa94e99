//! Missions with their grants, and the encrypted records that these open or not: what only the whole log tells.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashMap};

use jiff::Timestamp;
use serde_json::Value;

use super::Diagnosis;
use super::Tally;
use super::counted;
use crate::domain::actor::LEGACY_AI;
use crate::domain::change::{Change, Op};
use crate::domain::field;
use crate::domain::field::DELETED_AT;
use crate::domain::fields::is_ciphertext;
use crate::domain::grant;
use crate::domain::ids::MissionId;
use crate::domain::merge::{Delta, Fold};
use crate::domain::mission::Mission;
use crate::domain::raw::RawRecord;
use crate::grants::{self, Grant, MissionKey, Opened, PrivateKey, Skip};

/// Bytes of ids, grants, inputs and ciphertexts that are kept.
const MAX_BYTES: usize = 64 * 1024 * 1024;
/// What an entry of a map takes besides its texts, about.
const ENTRY: usize = 256;
/// The longest ciphertext by which a key is tried.
const MAX_CIPHERTEXT: usize = 4_096;
/// Grants whose key is unwrapped, each of which takes a millisecond or so.
const MAX_OPENED: usize = 10_000;

/// Fields of a mission that are folded.
const FOLDED: [&str; 3] = [field::GRANT, field::INPUTS, field::DELETED_AT];

/// A mission or an agent: table, id and user.
type Owned = (String, String, String);
/// A record: user, table and id.
type RecordKey = (String, String, String);

#[derive(Default)]
pub(super) struct Sealed {
    owned: BTreeMap<Owned, Fold>,
    /// When the keys of each user's grants end.
    ends: HashMap<String, grant::Ends>,
    /// A ciphertext of each encrypted record; empty where each is too long to be kept.
    records: BTreeMap<RecordKey, String>,
    bytes: usize,
    /// Whether something was not kept.
    cut: bool,
}

impl Sealed {
    pub fn change(&mut self, change: &Change) {
        if change.app_id == "ai" && ["aiMissions", "agents"].contains(&change.table.as_str()) {
            self.owned(change);
        }
        let key = (change.user_id.to_string(), change.table.clone(), change.record_id.clone());
        if change.op == Op::Delete {
            self.records.remove(&key);
        } else if let Some(sealed) = change.data.as_ref().and_then(shortest_ciphertext) {
            if !self.records.contains_key(&key) && !self.has_room(size(&key)) {
                return;
            }
            let kept = if sealed.len() <= MAX_CIPHERTEXT && self.has_room(sealed.len()) { sealed.into_owned() } else { String::new() };
            self.records.insert(key, kept);
        }
    }

    fn owned(&mut self, change: &Change) {
        let key = (change.table.clone(), change.record_id.clone(), change.user_id.to_string());
        if !self.owned.contains_key(&key) && !self.has_room(size(&key)) {
            return;
        }
        let is_folded = |field: &str| change.table == "aiMissions" && FOLDED.contains(&field.split('.').next().unwrap_or_default());
        // An insert without a stamp of its own takes that of these.
        let is_kept = |field: &str| is_folded(field) || [field::CREATED_AT, field::UPDATED_AT].contains(&field);
        let fields = change.data.iter().flat_map(RawRecord::iter);
        let mut data: RawRecord = fields.filter(|(name, _)| is_kept(name)).map(|(n, v)| (n.clone(), v.clone())).collect();
        let size = data.iter().map(|(_, value)| if value.text().is_some() { 64 } else { value.get().len() }).sum();
        if !self.has_room(size) {
            data = data.into_iter().filter(|(field, _)| field == DELETED_AT).collect();
        }
        let Some(created_at) = change.created_at else { return };
        let field_meta =
            change.field_meta.iter().filter(|(name, _)| data.contains_key(name)).map(|(n, s)| (n.clone(), s.clone())).collect();
        let delta = Delta { op: change.op, data: Some(data), field_meta, created_at };
        let grants = grant::is_written_by(&delta);
        let fold = self.owned.entry(key).or_default();
        fold.apply(&change.record_id, delta);
        if grants && let Fold::Known { record, .. } = fold {
            grant::note(self.ends.entry(change.user_id.to_string()).or_default(), record);
        }
    }

    fn has_room(&mut self, bytes: usize) -> bool {
        let fits = self.bytes + bytes <= MAX_BYTES;
        self.cut |= !fits;
        self.bytes += if fits { bytes } else { 0 };
        fits
    }

    /// What there is to tell of spaces, grants and encrypted records.
    pub fn findings(self, key: Option<&PrivateKey>, now: Timestamp) -> [Diagnosis; 3] {
        let grants = Grants::of(&self.owned, &self.ends, &self.records, key, now);
        let limit = if self.cut { "; the log has more of this than was looked at" } else { "" };
        let mut findings = [self.spaces(), grants.finding(), self.encrypted(&grants)];
        for finding in &mut findings {
            finding.found += limit;
        }
        findings
    }

    /// Missions and agents that several users write: each user has their own rows here, so each would see a part.
    fn spaces(&self) -> Diagnosis {
        let mut split = Tally::default();
        let mut keys = self.owned.keys().peekable();
        while let Some((table, id, user)) = keys.next() {
            let mut users = vec![user.as_str()];
            while let Some((.., other)) = keys.next_if(|(other_table, other_id, _)| other_table == table && other_id == id) {
                users.push(other);
            }
            // This one is made for everybody, under one id.
            if users.len() > 1 && id != LEGACY_AI {
                split.add(|| format!("ai/{table} {id} of {}", users.join(", ")));
            }
        }
        let fix = "let one member write each of them: here the rows of each user are a log of their own, so every member has only the part \
                    that they wrote, and plans reach only the member who made the mission";
        split
            .warn("mission or agent is split over the members of a space", "missions or agents are split over the members of a space", fix)
            .unwrap_or_else(|| Diagnosis::ok("no mission or agent is split over members of a space"))
    }

    fn encrypted(&self, grants: &Grants<'_>) -> Diagnosis {
        let known = |record| self.records.get_key_value(&record).map(|(record, _)| record);
        let linked: BTreeSet<&RecordKey> = self.owned.iter().flat_map(inputs).filter_map(known).collect();
        let (mut closed, mut closed_and_linked) = (Tally::default(), 0);
        // Those that a mission wants to read are told first.
        let (first, rest): (Vec<_>, Vec<_>) = self.records.iter().partition(|(record, _)| linked.contains(record));
        for (record, sealed) in first.into_iter().chain(rest) {
            if !grants.open(record, sealed) {
                let is_linked = linked.contains(record);
                closed_and_linked += u64::from(is_linked);
                let (user, table, id) = record;
                closed.add(|| format!("{table} {id} of {user}{}", if is_linked { " (linked to a mission)" } else { "" }));
            }
        }
        let fix = "nothing is lost: clients read them as before, missions run without them. To let a mission read one, seal it with that \
                    mission's key and name it in the grant; records that a client seals with the master key do not open under its grants";
        let all = counted(self.records.len() as u64, "record is encrypted", "records are encrypted");
        match closed.count {
            0 if self.records.is_empty() => Diagnosis::ok("no record is encrypted"),
            0 if grants.tried => Diagnosis::ok(format!("{all}, and a grant opens each")),
            0 => Diagnosis::ok(format!("{all}, and a grant names each")),
            _ => {
                let told = closed.told("encrypted record is opened by no grant", "encrypted records are opened by no grant");
                Diagnosis::warn(format!("{told}. {closed_and_linked} of them linked to missions; {all}"), fix)
            }
        }
    }
}

fn size((a, b, c): &(String, String, String)) -> usize {
    ENTRY + a.len() + b.len() + c.len()
}

/// The inputs of a mission.
fn inputs(((_, _, user), mission): (&Owned, &Fold)) -> Vec<RecordKey> {
    let inputs = mission.live().map(|(record, _)| Mission::read("", record).0.inputs).unwrap_or_default();
    inputs.into_iter().map(|input| (user.clone(), input.table, input.id)).collect()
}

fn shortest_ciphertext(data: &RawRecord) -> Option<Cow<'_, str>> {
    data.iter().filter_map(|(_, value)| value.text()).filter(|text| is_ciphertext(text)).min_by_key(|text| text.len())
}

/// The grants of live missions that can be used.
struct Grants<'a> {
    count: u64,
    /// Whether keys were unwrapped.
    tried: bool,
    unusable: Tally,
    keys: Vec<Option<MissionKey>>,
    /// Which keys are for a record.
    for_record: HashMap<&'a RecordKey, Vec<usize>>,
}

impl<'a> Grants<'a> {
    fn of(
        owned: &BTreeMap<Owned, Fold>,
        ends: &HashMap<String, grant::Ends>,
        records: &'a BTreeMap<RecordKey, String>,
        key: Option<&PrivateKey>,
        now: Timestamp,
    ) -> Self {
        let mut grants =
            Grants { count: 0, tried: key.is_some(), unusable: Tally::default(), keys: Vec::new(), for_record: HashMap::new() };
        for ((_, mission, user), fold) in owned {
            let Some(grant) = fold.live().and_then(|(record, _)| record.value(field::GRANT)).filter(|grant| !grant.is_null()) else {
                continue;
            };
            grants.count += 1;
            let ends_at = grant::wrapped_key(&grant).and_then(|key| ends.get(user)?.get(&key).copied());
            match usable(&grant, &mission.as_str().into(), ends_at, key.filter(|_| grants.keys.len() < MAX_OPENED), now) {
                Ok((terms, key)) => {
                    let tables: BTreeSet<&str> = terms.derivation.tables.iter().map(String::as_str).collect();
                    for id in &terms.derivation.record_ids {
                        if let Some((table, id)) = id.split_once(':').filter(|(table, _)| tables.contains(table)) {
                            let record = (user.clone(), table.to_owned(), id.to_owned());
                            if let Some((record, _)) = records.get_key_value(&record) {
                                grants.for_record.entry(record).or_default().push(grants.keys.len());
                            }
                        }
                    }
                    grants.keys.push(key);
                }
                Err(skip) => grants.unusable.add(|| format!("mission {mission} of {user}: {skip}")),
            }
        }
        grants
    }

    fn finding(&self) -> Diagnosis {
        let all = counted(self.count, "mission has a grant", "missions have grants");
        let fix =
            "let their users grant access anew in their client after the move; until then these missions run without encrypted records";
        match self.unusable.warn("grant cannot be opened", "grants cannot be opened", fix) {
            Some(mut finding) => {
                let untried =
                    if self.tried { "" } else { "; whether the others open with the private key was not tried, since none is set" };
                finding.found += &format!(" ({all}{untried})");
                finding
            }
            None if self.count == 0 => Diagnosis::ok("no mission has one"),
            None if self.tried => match self.keys.iter().filter(|key| key.is_none()).count() {
                0 => Diagnosis::ok(format!("{all}, which can be opened")),
                untried => Diagnosis::ok(format!("{all}; the first {MAX_OPENED} can be opened, and {untried} more were not tried")),
            },
            None => Diagnosis::warn(
                format!("{all}; whether the private key opens them was not tried, since none is set"),
                "set MANA_AI_PRIVATE_KEY_PEM to the key of the old server, here and for the new one; with another key no grant opens",
            ),
        }
    }

    /// Whether a grant opens a record; without a private key, whether one names it.
    fn open(&self, record: &RecordKey, sealed: &str) -> bool {
        let keys = self.for_record.get(record).into_iter().flatten().filter_map(|at| self.keys.get(*at));
        keys.into_iter().any(|key| key.as_ref().is_none_or(|key| sealed.is_empty() || key.decrypt(sealed).is_ok()))
    }
}

/// The terms of a grant that can be used, and its key where there is a private key to open it.
fn usable(
    grant: &Value,
    mission: &MissionId,
    ends_at: Option<Timestamp>,
    key: Option<&PrivateKey>,
    now: Timestamp,
) -> Result<(Grant, Option<MissionKey>), Skip> {
    let terms = grants::usable(grant, mission, ends_at, now)?;
    let key = key.map(|key| Opened::open(grant, mission, Some(key), ends_at, now).map(Opened::into_key)).transpose()?;
    Ok((terms, key))
}
