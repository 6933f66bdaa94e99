//! From a file to a template.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::part::{BadTemplate, FileFault, FilePart};
use super::{EXTENSION, FORMAT, MAX_FILE, Template, TemplateAgent, TemplateMission, TemplateModules, TemplateRecord, suited};
use crate::domain::cadence::Cadence;
use crate::domain::fields::{is_ciphertext, whole};
use crate::domain::json::{self, Plain};
use crate::domain::limits::nests_deeper;

const MAX_RECORDS: usize = 200;
const MAX_MISSIONS: usize = 20;
const MAX_INPUTS: usize = 50;
/// How deep a file nests.
const MAX_DEPTH: usize = 16;
const DECISIONS: [&str; 3] = ["auto", "propose", "deny"];

pub(super) fn template(file: &str, text: &[u8]) -> Result<Template, BadTemplate> {
    let bad = |what| BadTemplate { file: file.to_owned(), place: String::new(), what };
    if text.len() > MAX_FILE {
        return Err(bad(FileFault::Size { bytes: text.len(), most: MAX_FILE }));
    }
    let Plain(value) = json::read(text).map_err(|error| bad(FileFault::NoJson(error.to_string())))?;
    if nests_deeper(&value, MAX_DEPTH) {
        return Err(bad(FileFault::Depth));
    }
    let top = FilePart { file, place: String::new(), value: &value };
    top.object(&["format", "name", "icon", "category", "tagline", "description", "modules", "agent", "records", "missions"])?;
    let format = top.need("format")?;
    if whole(format.value) != Some(FORMAT) {
        return Err(format.wrong(FileFault::Format(FORMAT)));
    }
    let name = top.need("name")?.heading()?;
    let modules = top.get("modules").map(|part| TemplateModules::read(&part)).transpose()?.unwrap_or_default();
    let agent = agent(&top.need("agent")?)?;
    let records = top.list("records", MAX_RECORDS)?.iter().map(record).collect::<Result<Vec<_>, _>>()?;
    let keys: BTreeSet<&str> = records.iter().map(|record| record.key.as_str()).collect();
    if keys.len() < records.len() {
        return Err(top.need("records")?.wrong(FileFault::SameKey));
    }
    let missions = top.list("missions", MAX_MISSIONS)?.iter().map(|part| mission(part, &keys)).collect::<Result<Vec<_>, _>>()?;
    if missions.is_empty() {
        return Err(top.wrong(FileFault::NoMissions));
    }
    Ok(Template {
        id: id(file),
        icon: top.get("icon").map(|part| part.line()).transpose()?.unwrap_or_default(),
        category: top.get("category").map(|part| part.line()).transpose()?.unwrap_or_default(),
        name,
        tagline: top.get("tagline").map(|part| part.heading()).transpose()?.unwrap_or_default(),
        description: top.get("description").map(|part| part.wording()).transpose()?.unwrap_or_default(),
        modules,
        agent,
        records,
        missions,
    })
}

/// The name of a file without its directory and ending, as a page can name it.
fn id(file: &str) -> String {
    let name = file.rsplit('/').next().unwrap_or(file);
    let name = name.strip_suffix(EXTENSION).unwrap_or(name);
    name.chars().filter(|letter| letter.is_ascii_alphanumeric() || *letter == '-').take(64).collect()
}

fn agent(part: &FilePart<'_>) -> Result<TemplateAgent, BadTemplate> {
    part.object(&["name", "avatar", "role", "systemPrompt", "policy", "maxTokensPerDay"])?;
    let system_prompt = part.get("systemPrompt").map(|part| plain(&part).map(|()| part.wording())).transpose()?.transpose()?;
    let tokens = part.get("maxTokensPerDay");
    let tokens = tokens.map(|part| whole(part.value).ok_or_else(|| part.wrong(FileFault::NoNumber))).transpose()?;
    Ok(TemplateAgent {
        name: part.need("name")?.heading()?,
        avatar: part.get("avatar").map(|part| part.line()).transpose()?.unwrap_or_default(),
        role: part.get("role").map(|part| part.wording()).transpose()?.unwrap_or_default(),
        system_prompt: system_prompt.unwrap_or_default(),
        policy: policy(&part.need("policy")?)?,
        max_tokens_per_day: tokens,
    })
}

/// A policy of known decisions; nothing in it lets a tool destroy something.
fn policy(part: &FilePart<'_>) -> Result<Map<String, Value>, BadTemplate> {
    let policy = part.object(&["tools", "defaultForAi", "defaultsByModule"])?;
    decided(&part.need("defaultForAi")?)?;
    part.need("tools")?;
    for name in ["tools", "defaultsByModule"] {
        let Some(decisions) = part.get(name) else { continue };
        let names = decisions.value.as_object().ok_or_else(|| decisions.wrong(FileFault::NoDecisions))?;
        for tool in names.keys() {
            decided(&decisions.need(tool)?)?;
        }
    }
    Ok(policy.clone())
}

fn decided(part: &FilePart<'_>) -> Result<(), BadTemplate> {
    match part.value.as_str().is_some_and(|text| DECISIONS.contains(&text)) {
        true => Ok(()),
        false => Err(part.wrong(FileFault::NoDecision)),
    }
}

fn record(part: &FilePart<'_>) -> Result<TemplateRecord, BadTemplate> {
    part.object(&["key", "table", "fields"])?;
    let fields = part.need("fields")?;
    let given = fields.value.as_object().ok_or_else(|| fields.wrong(FileFault::NoValues))?;
    for name in given.keys() {
        let Some(field) = fields.get(name) else { continue };
        plain(&field)?;
        suited::check(&field)?;
    }
    Ok(TemplateRecord { key: part.need("key")?.line()?, table: part.need("table")?.line()?, fields: given.clone() })
}

fn mission(part: &FilePart<'_>, keys: &BTreeSet<&str>) -> Result<TemplateMission, BadTemplate> {
    part.object(&["title", "objective", "conceptMarkdown", "cadence", "inputs"])?;
    let cadence = part.need("cadence")?;
    Cadence::read(cadence.value).map_err(|bad| cadence.wrong(FileFault::Schedule(bad)))?;
    let inputs = part.list("inputs", MAX_INPUTS)?;
    for input in &inputs {
        if !keys.contains(input.text()?.as_str()) {
            return Err(input.wrong(FileFault::NoKey(input.text()?)));
        }
    }
    Ok(TemplateMission {
        title: part.need("title")?.heading()?,
        objective: part.need("objective")?.wording()?,
        concept: part.get("conceptMarkdown").map(|part| part.wording()).transpose()?.unwrap_or_default(),
        cadence: cadence.value.clone(),
        inputs: inputs.iter().map(FilePart::text).collect::<Result<_, _>>()?,
    })
}

/// Refuses what only a device of somebody else could read.
fn plain(part: &FilePart<'_>) -> Result<(), BadTemplate> {
    let sealed = |value: &Value| value.as_str().is_some_and(is_ciphertext);
    match sealed(part.value) || part.value.as_object().is_some_and(|texts| texts.values().any(sealed)) {
        true => Err(part.wrong(FileFault::Encrypted)),
        false => Ok(()),
    }
}
