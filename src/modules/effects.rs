//! What carrying out a step writes: a pure function of the call, the descriptions and the records that are there.

use jiff::Timestamp;
use serde_json::{Map, Value};

pub use super::call::{Obstacle, Records, ToolCall};
use super::scene::{Scene, fitting, readable};
use super::{FieldRole, FieldSpec, Modules, TableSpec, ToolSpec};
use crate::domain::change::Op;
use crate::domain::edits;
use crate::domain::field;
use crate::domain::fields::is_ciphertext;
use crate::domain::merge::Record;
use crate::domain::time;

/// How many records are looked through for those that are meant.
const CHOICES: usize = 1_000;

fn oldest(records: &dyn Records, table: &TableSpec) -> Vec<(String, Record)> {
    let mut found = Vec::new();
    records.visit(table, false, &mut |id, record| {
        found.push((id.to_owned(), record.clone()));
        found.len() < CHOICES
    });
    found
}

/// A change of one record.
#[derive(Debug, Clone, PartialEq)]
pub struct RecordWrite {
    pub app: String,
    pub table: String,
    pub record_id: String,
    pub op: Op,
    pub fields: Record,
}

/// What a call writes, in the order in which the rows belong into the log. New records get their ids from `next_id`.
///
/// # Errors
/// Why it cannot be carried out here; nothing of it may be written then.
pub fn writes(
    modules: &Modules,
    call: &ToolCall<'_>,
    records: &dyn Records,
    next_id: &mut dyn FnMut() -> String,
) -> Result<Vec<RecordWrite>, Obstacle> {
    let spec = modules.tool(call.tool).ok_or(Obstacle::NotDescribed)?;
    let params = with_presets(spec, call.params);
    let call = &ToolCall { params: &params, ..*call };
    if let Some(param) = spec.needs.iter().find(|param| !params.contains_key(*param)) {
        return Err(Obstacle::Missing { param: param.clone() });
    }
    let find = |path: &str| modules.table(path).ok_or(Obstacle::NotDescribed);
    if let Some(path) = &spec.delete {
        return Ok(vec![delete(spec, find(path)?, call, records)?]);
    }
    let table = find(spec.update.as_deref().or(spec.create.as_deref()).unwrap_or_default())?;
    let none = Record::new();
    let mut written = Vec::with_capacity(1 + spec.with.len());
    if spec.update.is_some() {
        for (id, record) in changed(spec, table, call, records)? {
            let mut scene = Scene { call, records, id: &id, of: Some(&record), beside: Vec::new(), chosen: None };
            written.extend(beside(spec, &mut scene, &find, next_id)?);
            written.push(update(&spec.set, table, &record, &scene)?);
            if let Some(also) = &spec.also {
                let other = find(&also.table)?;
                let Some(id) = record.get(&also.id).and_then(Value::as_str) else { continue };
                let Some(other_record) = records.record(other, id) else { continue };
                let of_nothing = ToolCall { params: &none, ..*call };
                let scene = Scene { call: &of_nothing, records, id, of: Some(&record), beside: Vec::new(), chosen: None };
                written.push(update(&also.set, other, &other_record, &scene)?);
            }
        }
        return Ok(written);
    }
    if let Some(first) = &spec.first {
        match writes(modules, &ToolCall { tool: first, params: &none, ..*call }, records, next_id) {
            Ok(before) => written.extend(before),
            Err(Obstacle::NothingMatches { .. }) => {}
            Err(obstacle) => return Err(obstacle),
        }
    }
    let id = next_id();
    let of = match &spec.of {
        Some(named) => Some(there(find(&named.table)?, param_id(call, &named.id)?, records)?),
        None => None,
    };
    let mut scene = Scene { call, records, id: &id, of: of.as_ref(), beside: Vec::new(), chosen: None };
    if let Some(choose) = &spec.choose {
        let table = find(&choose.table)?;
        let some = oldest(records, table);
        let flagged = some.iter().find(|(_, record)| record.get(&choose.flag) == Some(&Value::Bool(true)));
        let chosen = flagged.or(some.first()).ok_or_else(|| Obstacle::NothingToChoose { table: table.table.clone() })?;
        scene.chosen = Some(chosen.0.clone());
    }
    written.extend(beside(spec, &mut scene, &find, next_id)?);
    let fields = new_record(table, &spec.set, call.params, &scene)?;
    written.push(create(table, id.clone(), fields, call));
    Ok(written)
}

/// What adding a record writes, as a person does it: the parameters are its fields, and what it needs besides is made with
/// it.
///
/// # Errors
/// Why it cannot be added; nothing of it may be written then.
pub fn added(
    modules: &Modules,
    table: &TableSpec,
    call: &ToolCall<'_>,
    records: &dyn Records,
    next_id: &mut dyn FnMut() -> String,
) -> Result<Vec<RecordWrite>, Obstacle> {
    if let Some(spec) = modules.composed(table) {
        return writes(modules, &ToolCall { tool: &spec.tool, ..*call }, records, next_id);
    }
    let id = next_id();
    let scene = Scene { call, records, id: &id, of: None, beside: Vec::new(), chosen: None };
    let fields = new_record(table, &Map::new(), call.params, &scene)?;
    Ok(vec![create(table, id.clone(), fields, call)])
}

/// What changing fields of a record writes; `None`: they are so already.
///
/// # Errors
/// Why it cannot be changed.
pub fn edited(table: &TableSpec, record: &Record, id: &str, given: Record, now: Timestamp) -> Result<Option<RecordWrite>, Obstacle> {
    let mut fields = Record::new();
    for (name, value) in given {
        let Some(field) = table.field(&name) else { return Err(Obstacle::Missing { param: name }) };
        readable(record, &name)?;
        let value = if value.is_null() && field.default.is_none() && !field.optional {
            return Err(Obstacle::Missing { param: name });
        } else {
            fitting(field, value)?
        };
        if record.get(&name).unwrap_or(&Value::Null) != &value {
            fields.insert(name, value);
        }
    }
    if fields.is_empty() {
        return Ok(None);
    }
    if table.updated_at {
        fields.insert(field::UPDATED_AT.into(), time::iso_millis(now).into());
    }
    Ok(Some(RecordWrite { app: table.app.clone(), table: table.table.clone(), record_id: id.to_owned(), op: Op::Update, fields }))
}

fn with_presets(spec: &ToolSpec, params: &Record) -> Record {
    let chosen = spec.presets.as_ref().and_then(|presets| presets.values.get(params.get(&presets.param)?.as_str()?));
    let mut all = chosen.cloned().unwrap_or_default();
    all.extend(params.iter().filter(|(_, value)| !value.is_null()).map(|(name, value)| (name.clone(), value.clone())));
    all
}

/// The records that are made with another one, whose ids the scene learns.
fn beside<'s>(
    spec: &'s ToolSpec,
    scene: &mut Scene<'_>,
    find: &impl Fn(&str) -> Result<&'s TableSpec, Obstacle>,
    next_id: &mut dyn FnMut() -> String,
) -> Result<Vec<RecordWrite>, Obstacle> {
    let mut written = Vec::new();
    for (word, beside) in &spec.with {
        let table = find(&beside.create)?;
        let id = next_id();
        let fields = new_record(table, &beside.set, &Record::new(), scene)?;
        scene.beside.push((word.clone(), id.clone()));
        written.push(create(table, id, fields, scene.call));
    }
    Ok(written)
}

/// The records that an update is about, with their ids.
fn changed(spec: &ToolSpec, table: &TableSpec, call: &ToolCall<'_>, records: &dyn Records) -> Result<Vec<(String, Record)>, Obstacle> {
    let Some(each) = &spec.each else {
        let id = param_id(call, spec.id.as_deref().unwrap_or_default())?;
        return Ok(vec![(id.to_owned(), there(table, id, records)?)]);
    };
    let text = if each.param.is_empty() { String::new() } else { param_id(call, &each.param)?.to_lowercase() };
    let (mut found, mut sealed) = (Vec::new(), false);
    records.visit(table, false, &mut |id, record| {
        let is_meant = each.r#where.iter().all(|(field, value)| record.get(field) == Some(value));
        if !is_meant || record.get(&each.unless) == Some(&Value::Bool(true)) {
            return true;
        }
        match record.get(&each.field).and_then(Value::as_str) {
            // It may be the one that is meant, and only a device can tell.
            Some(title) if is_ciphertext(title) => sealed = true,
            Some(title) if !title.to_lowercase().contains(&text) => {}
            None if !each.field.is_empty() => {}
            _ => found.push((id.to_owned(), record.clone())),
        }
        found.len() < CHOICES
    });
    match (sealed, found.is_empty()) {
        (true, _) => Err(Obstacle::Encrypted { field: each.field.clone() }),
        (false, true) => Err(Obstacle::NothingMatches { table: table.table.clone(), text }),
        (false, false) => Ok(found),
    }
}

fn delete(spec: &ToolSpec, table: &TableSpec, call: &ToolCall<'_>, records: &dyn Records) -> Result<RecordWrite, Obstacle> {
    let id = match &spec.id {
        Some(param) => {
            let id = param_id(call, param)?;
            there(table, id, records)?;
            id.to_owned()
        }
        None => {
            let mut newest = None;
            records.visit(table, true, &mut |id, _| {
                newest = Some(id.to_owned());
                false
            });
            newest.ok_or_else(|| Obstacle::NothingToChoose { table: table.table.clone() })?
        }
    };
    let fields = Record::from_iter([(field::DELETED_AT.to_owned(), time::iso_millis(call.now).into())]);
    Ok(RecordWrite { app: table.app.clone(), table: table.table.clone(), record_id: id, op: Op::Delete, fields })
}

/// What a call would change, for whoever decides about it.
#[derive(Debug, Clone, PartialEq)]
pub struct Preview {
    pub app: String,
    pub table: String,
    /// What records of that table are called.
    pub label: String,
    /// `None`: a new record.
    pub record_id: Option<String>,
    /// What a record is called that is there; empty where nobody here can read it.
    pub title: String,
    pub is_deleted: bool,
    pub fields: Vec<FieldChange>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct FieldChange {
    pub field: String,
    pub before: Value,
    pub after: Value,
}

/// What carrying out a call would change now.
///
/// # Errors
/// Why it cannot be carried out here.
pub fn preview(modules: &Modules, call: &ToolCall<'_>, records: &dyn Records) -> Result<Vec<Preview>, Obstacle> {
    let written = writes(modules, call, records, &mut || "new".to_owned())?;
    let preview = |write: RecordWrite| {
        let is_new = write.op == Op::Insert;
        let table = modules.table(&format!("{}/{}", write.app, write.table));
        let before = table.filter(|_| !is_new).and_then(|table| records.record(table, &write.record_id)).unwrap_or_default();
        let is_told = |field: &FieldSpec| field.default.as_ref().and_then(Value::as_str) != Some("$count");
        let described = |field: &String| table.and_then(|table| table.field(field)).is_some_and(is_told);
        let change =
            |(field, after): (String, Value)| FieldChange { before: before.get(&field).cloned().unwrap_or_default(), field, after };
        let title = table.and_then(|table| before.get(&table.role(FieldRole::Title)?.name)?.as_str());
        let deleted = Record::from_iter(before.iter().filter(|_| write.op == Op::Delete).map(|(field, _)| (field.clone(), Value::Null)));
        Preview {
            label: table.map(|table| table.label.clone()).unwrap_or_default(),
            title: title.filter(|title| !is_ciphertext(title)).unwrap_or_default().to_owned(),
            record_id: (!is_new).then_some(write.record_id),
            is_deleted: write.op == Op::Delete,
            fields: deleted
                .into_iter()
                .chain(write.fields)
                .filter(|(field, _)| described(field))
                .map(change)
                .filter(|change| change.before != change.after)
                .collect(),
            app: write.app,
            table: write.table,
        }
    };
    Ok(written.into_iter().map(preview).collect())
}

fn param_id<'a>(call: &ToolCall<'a>, param: &str) -> Result<&'a str, Obstacle> {
    let id = call.params.get(param).and_then(Value::as_str).filter(|id| !id.is_empty());
    id.ok_or_else(|| Obstacle::Missing { param: param.to_owned() })
}

fn there(table: &TableSpec, id: &str, records: &dyn Records) -> Result<Record, Obstacle> {
    records.record(table, id).ok_or_else(|| Obstacle::NoRecord { table: table.table.clone(), id: id.to_owned() })
}

fn update(set: &Map<String, Value>, table: &TableSpec, record: &Record, scene: &Scene<'_>) -> Result<RecordWrite, Obstacle> {
    let mut fields = Record::new();
    for field in &table.fields {
        let value = match set.get(&field.name) {
            Some(template) => scene.value(template, table, &field.name, &fields)?,
            None => scene.call.params.get(&field.name).cloned(),
        };
        let Some(value) = value else { continue };
        // A guess must not take the place of what nobody here can read.
        readable(record, &field.name)?;
        fields.insert(field.name.clone(), fitting(field, value)?);
    }
    if table.updated_at {
        fields.insert(field::UPDATED_AT.into(), time::iso_millis(scene.call.now).into());
    }
    Ok(RecordWrite { app: table.app.clone(), table: table.table.clone(), record_id: scene.id.to_owned(), op: Op::Update, fields })
}

/// The described fields of a new record.
fn new_record(table: &TableSpec, set: &Map<String, Value>, params: &Record, scene: &Scene<'_>) -> Result<Record, Obstacle> {
    let mut fields = Record::new();
    for field in &table.fields {
        let set = set.get(&field.name).map(|template| scene.value(template, table, &field.name, &fields)).transpose()?.flatten();
        let given = set.or_else(|| params.get(&field.name).cloned()).filter(|value| !value.is_null());
        let value = match (given, &field.default) {
            (Some(value), _) => fitting(field, value)?,
            (None, Some(default)) => scene.value(default, table, &field.name, &fields)?.unwrap_or(Value::Null),
            (None, None) if field.optional => continue,
            (None, None) => return Err(Obstacle::Missing { param: field.name.clone() }),
        };
        fields.insert(field.name.clone(), value);
    }
    Ok(fields)
}

/// A new record with what every record has.
fn create(table: &TableSpec, id: String, fields: Record, call: &ToolCall<'_>) -> RecordWrite {
    let mut fields = edits::created_in(fields, call.user, call.space);
    fields.insert("id".into(), id.clone().into());
    let now = Value::from(time::iso_millis(call.now));
    // Clients list by it, and stamp the fields of a new record by it (docs/records.md, section 1).
    fields.insert(field::CREATED_AT.into(), now.clone());
    if table.updated_at {
        fields.insert(field::UPDATED_AT.into(), now);
    }
    RecordWrite { app: table.app.clone(), table: table.table.clone(), record_id: id, op: Op::Insert, fields }
}

#[cfg(test)]
mod tests;
