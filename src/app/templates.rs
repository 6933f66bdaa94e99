//! Templates: which there are, and what becomes of one that somebody chooses (docs/templates.md).

use std::path::Path;

use jiff::tz::TimeZone;
use serde_json::{Value, json};

use super::{App, AppError, WrongValue};
use crate::domain::agent::AgentState;
use crate::domain::change::{Op, WORKBENCH_CLIENT};
use crate::domain::edits::created;
use crate::domain::field;
use crate::domain::ids::{AgentId, MissionId, UserId};
use crate::domain::language::Language;
use crate::domain::limits::Admitted;
use crate::domain::merge::Record;
use crate::domain::mission::{Mission, MissionState};
use crate::domain::schedule::first_time;
use crate::domain::time;
use crate::modules::effects::{Obstacle, RecordWrite};
use crate::modules::{FieldKind, Modules, TableSpec};
use crate::planner::tools::Catalog;
use crate::steps::{OwnHand, UserLog};
use crate::store::{StoreError, StoreResult, Table};
use crate::templates::{BadTemplate, FileFault, LackingModule, MAX_FILE, Suited, Template, own};

/// The directory of the server's own templates, in the data directory.
const DIRECTORY: &str = "templates";
/// Files that are read there.
const MAX_FILES: usize = 100;
/// Missions that go into a file.
const EXPORTED: u32 = 20;

/// The templates of a server.
#[derive(Debug, Default)]
pub struct TemplateShelf {
    /// By their ids; a file of the server stands in for one of the program.
    pub templates: Vec<Template>,
    /// What is wrong with the files that cannot be used.
    pub problems: Vec<BadTemplate>,
}

/// Where a template is from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum TemplateSource {
    /// The program, or the operator.
    Shelf,
    /// A user, for whom nothing changes on the server.
    User,
}

/// What was made of a template.
#[derive(Debug, Clone)]
pub struct MadeOfTemplate {
    pub agent: AgentId,
    pub missions: Vec<MissionId>,
}

/// Why nothing was made.
enum NotMade {
    Sample(usize, Obstacle),
    Row(Obstacle),
    Store(StoreError),
}

impl From<StoreError> for NotMade {
    fn from(error: StoreError) -> Self {
        NotMade::Store(error)
    }
}

impl From<NotMade> for AppError {
    fn from(error: NotMade) -> Self {
        match error {
            NotMade::Sample(n, obstacle) => AppError::Obstacle { record: Some(n + 1), obstacle },
            NotMade::Row(obstacle) => AppError::Obstacle { record: None, obstacle },
            NotMade::Store(error) => AppError::Store(error),
        }
    }
}

/// What a server knows that starts now: the modules and tools of its operator, with those that templates add. A file that
/// cannot be used is left out; the page of templates says why.
pub fn with_templates(data_dir: &Path, modules: Modules, catalog: Catalog) -> (Modules, Catalog) {
    let files = files(&data_dir.join(DIRECTORY));
    // A file of the operator stands in for a template of the program, here as on the shelf.
    let is_free = |template: &Template| files.templates.iter().all(|file| file.id != template.id);
    let builtin: Vec<Template> = Template::builtin_with_modules().into_iter().filter(is_free).collect();
    let all = builtin.into_iter().chain(files.templates).filter(|template| !template.modules.is_empty());
    all.fold((modules, catalog), |(modules, catalog), template| template.modules.joined(&modules, &catalog).unwrap_or((modules, catalog)))
}

impl App {
    /// All templates: those of the program, and the files of the data directory.
    ///
    /// # Errors
    /// When the program ends.
    pub async fn templates(&self) -> StoreResult<TemplateShelf> {
        let dir = self.data_dir.join(DIRECTORY);
        let mut shelf = tokio::task::spawn_blocking(move || files(&dir)).await.map_err(|_| StoreError::Stopped)?;
        for template in Template::builtin() {
            if shelf.templates.iter().all(|known| known.id != template.id) {
                shelf.templates.push(template);
            }
        }
        for template in std::mem::take(&mut shelf.templates) {
            match self.check_template(&template, TemplateSource::Shelf) {
                Ok(()) => shelf.templates.push(template),
                Err(bad) => shelf.problems.push(BadTemplate { file: template.id, ..bad }),
            }
        }
        shelf.templates.sort_by(|a, b| a.id.cmp(&b.id));
        Ok(shelf)
    }

    /// One template.
    ///
    /// # Errors
    /// Where there is none of that id.
    pub async fn template(&self, id: &str) -> Result<Template, AppError> {
        self.templates().await?.templates.into_iter().find(|template| template.id == id).ok_or(AppError::NotFound)
    }

    /// A template of somebody's file.
    ///
    /// # Errors
    /// What is wrong with it, with its place.
    pub fn read_template(&self, file: &str, text: &str) -> Result<Template, AppError> {
        let template = Template::read(file, text.as_bytes())?;
        self.check_template(&template, TemplateSource::User)?;
        Ok(template)
    }

    /// Whether the modules that a template brings are those of this server.
    fn check_modules(&self, template: &Template, source: TemplateSource) -> Result<(), BadTemplate> {
        let (brought, catalog) = (&template.modules, &self.reviews.catalog);
        let Some(LackingModule { place, name }) = brought.lacking(self.modules(), catalog)? else { return Ok(()) };
        // What would stay wrong comes first.
        brought.joined(self.modules(), catalog)?;
        let what = match source {
            TemplateSource::Shelf => FileFault::OnceRestarted(name),
            TemplateSource::User => FileFault::ForOperator(name),
        };
        Err(BadTemplate { file: String::new(), place, what })
    }

    /// Whether the tables, fields and tools of a template are known here.
    fn check_template(&self, template: &Template, source: TemplateSource) -> Result<(), BadTemplate> {
        self.check_modules(template, source)?;
        let wrong = |place: String, what| Err(BadTemplate { file: String::new(), place, what });
        // What is denied may be unknown.
        let decided = ["auto", "propose"].into_iter().flat_map(|decision| template.agent.tools(decision));
        for tool in decided {
            if !self.tools().iter().any(|known| known.name == tool) {
                return wrong("agent.policy.tools".into(), FileFault::NoTool(tool.to_owned()));
            }
        }
        for (n, sample) in template.suited(Language::English, self.now(), self.zone()).records.iter().enumerate() {
            let Some(table) = listed(self.modules(), &sample.table) else {
                return wrong(format!("records[{n}].table"), FileFault::NoTable(sample.table.clone()));
            };
            let asked = self.modules().form(table).unwrap_or_default();
            let is_asked = |name: &str| asked.iter().any(|field| field.name == name);
            let is_plain = |name: &str| table.field(name).is_some_and(|field| !matches!(field.kind, FieldKind::Link | FieldKind::Map));
            if let Some(name) = sample.fields.keys().find(|name| !is_asked(name) && !is_plain(name)) {
                return wrong(format!("records[{n}].fields"), FileFault::NoField { name: name.clone(), table: sample.table.clone() });
            }
        }
        Ok(())
    }

    /// Makes the agent, the missions and the sample records of a template, all or nothing. Their times are those of `zone`,
    /// where the user's own is known; without it, those of the server.
    ///
    /// # Errors
    /// What cannot be made, or the database cannot be written.
    pub async fn make_of_template(
        &self,
        user: &UserId,
        template: &Template,
        language: Language,
        zone: Option<TimeZone>,
    ) -> Result<MadeOfTemplate, AppError> {
        self.check_template(template, TemplateSource::User)?;
        let mut suited = template.suited(language, self.now(), zone.as_ref().unwrap_or(self.zone()));
        if let Some(name) = zone.as_ref().and_then(TimeZone::iana_name) {
            suited
                .missions
                .iter_mut()
                .filter_map(|mission| mission.record.get_mut(field::CADENCE))
                .for_each(|cadence| in_zone(cadence, name));
        }
        let made = MadeOfTemplate {
            agent: AgentId::from(new_id()),
            missions: suited.missions.iter().map(|_| MissionId::from(new_id())).collect(),
        };
        let tools = self.tools().iter().filter(|tool| !tool.of_template).map(|tool| tool.name.clone()).collect();
        let maker = Maker { made: made.clone(), suited, tools };
        let (executors, now, user_id) = (self.reviews.executors().clone(), self.now(), user.to_owned());
        let rows = move |log: &dyn UserLog| {
            let zone = zone.as_ref().unwrap_or(executors.zone());
            let hand = OwnHand { modules: executors.modules(), user: &user_id, client: WORKBENCH_CLIENT, zone, now, log };
            maker.rows(&hand)
        };
        self.store.append_decided(user, self.ceilings, rows).await?;
        self.refresh().await?;
        Ok(made)
    }

    /// The file of an agent and its missions, for others: it tells nothing of whose it is.
    ///
    /// # Errors
    /// Where there is no such agent, or none of its missions can be read; or the database cannot be read.
    pub async fn export_template(&self, user: &UserId, agent: &AgentId) -> Result<String, AppError> {
        let record = self.agent(user, agent).await?;
        let mut missions = Vec::new();
        for card in self.agent_view(user, agent, EXPORTED).await?.missions {
            missions
                .push(self.mission_fields(user, &card.card.id, &[field::TITLE, field::OBJECTIVE, field::CONCEPT, field::CADENCE]).await?);
        }
        own(&record, &missions, self.modules(), &self.reviews.catalog).ok_or_else(|| WrongValue::NothingToShare.into())
    }
}

/// What becomes rows, inside the transaction.
struct Maker {
    made: MadeOfTemplate,
    suited: Suited,
    /// The tools that are everybody's, which clients list by name.
    tools: Vec<String>,
}

impl Maker {
    fn rows(&self, hand: &OwnHand<'_>) -> Result<Vec<Admitted>, NotMade> {
        let tables: Option<Vec<&TableSpec>> = self.suited.records.iter().map(|sample| listed(hand.modules, &sample.table)).collect();
        let samples = tables.unwrap_or_default().into_iter().zip(self.suited.records.iter().map(|sample| &sample.fields));
        let (ids, samples) = hand.add_each(samples, new_id).map_err(|(n, obstacle)| NotMade::Sample(n, obstacle))?;
        let mut rows = vec![self.row(hand, Table::Agents, &self.made.agent, self.agent())?];
        rows.extend(samples);
        for (mission, id) in self.suited.missions.iter().zip(&self.made.missions) {
            let inputs: Vec<Value> = mission.inputs.iter().filter_map(|place| self.input(hand.modules, *place, ids.get(*place)?)).collect();
            let mut record = mission.record.clone();
            record.insert(field::AGENT_ID.into(), json!(self.made.agent));
            record.insert(field::INPUTS.into(), inputs.into());
            record.insert(field::STATE.into(), json!(MissionState::Active.as_str()));
            record.insert(field::ITERATIONS.into(), json!([]));
            let (read, _) = Mission::read(id, &(&record).into());
            let next = first_time(&read, hand.now, hand.zone).map(|at| (field::NEXT_RUN_AT.to_owned(), time::iso_millis(at).into()));
            record.extend(next);
            rows.push(self.row(hand, Table::Missions, id, record)?);
        }
        Ok(rows)
    }

    fn row(&self, hand: &OwnHand<'_>, table: Table, id: &str, record: Record) -> Result<Admitted, NotMade> {
        let fields = created(record, hand.user, hand.now);
        let write = RecordWrite { app: "ai".into(), table: table.log_name().into(), record_id: id.to_owned(), op: Op::Insert, fields };
        hand.row(&write, &mut new_id).map_err(NotMade::Row)
    }

    fn agent(&self) -> Record {
        let mut record = self.suited.agent.clone();
        record.insert(field::STATE.into(), json!(AgentState::Active.as_str()));
        record.insert(field::MAX_CONCURRENT_MISSIONS.into(), json!(1));
        if let Some(policy) = record.get_mut(field::POLICY).and_then(Value::as_object_mut) {
            let rest = policy.get("defaultForAi").cloned().unwrap_or_default();
            let by_module = policy.contains_key("defaultsByModule");
            if let Some(tools) = policy.get_mut("tools").and_then(Value::as_object_mut).filter(|_| !by_module) {
                for tool in &self.tools {
                    tools.entry(tool).or_insert_with(|| rest.clone());
                }
            }
        }
        record
    }

    /// How a mission names a sample record.
    fn input(&self, modules: &Modules, place: usize, id: &str) -> Option<Value> {
        let (app, table) = self.suited.records.get(place)?.table.split_once('/')?;
        let kinds = modules.kinds();
        let kind = kinds.all().iter().find(|kind| kind.app == app && kind.table == table)?;
        Some(json!({"module": kind.module(), "table": table, "id": id}))
    }
}

/// A table whose records people write.
fn listed<'m>(modules: &'m Modules, path: &str) -> Option<&'m TableSpec> {
    modules.table(path).filter(|table| !table.hidden && modules.form(table).is_some())
}

/// Gives a schedule by the clock the zone of its clock, where it names none.
fn in_zone(cadence: &mut Value, zone: &str) {
    let by_clock = ["daily", "weekly", "cron"].contains(&cadence.get("kind").and_then(Value::as_str).unwrap_or_default());
    let has_own = cadence.get("timeZone").and_then(Value::as_str).is_some_and(|zone| !zone.trim().is_empty());
    if let Some(cadence) = cadence.as_object_mut().filter(|_| by_clock && !has_own) {
        cadence.insert("timeZone".into(), zone.into());
    }
}

fn new_id() -> String {
    uuid::Uuid::new_v4().to_string()
}

/// The templates of a directory, which may be missing.
fn files(dir: &Path) -> TemplateShelf {
    let mut shelf = TemplateShelf::default();
    let Ok(entries) = std::fs::read_dir(dir) else { return shelf };
    let mut paths: Vec<_> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "json"));
    paths.sort();
    for path in paths.into_iter().take(MAX_FILES) {
        let file = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let is_small = path.metadata().is_ok_and(|known| known.is_file() && known.len() <= MAX_FILE as u64);
        let bad = |what| BadTemplate { file: file.clone(), place: String::new(), what };
        let text = match is_small {
            true => std::fs::read(&path).map_err(|error| bad(FileFault::Unreadable(error.to_string()))),
            false => Err(bad(FileFault::NoFile { most: MAX_FILE })),
        };
        match text.and_then(|text| Template::read(&file, &text)) {
            Ok(template) => shelf.templates.push(template),
            Err(bad) => shelf.problems.push(bad),
        }
    }
    shelf
}
