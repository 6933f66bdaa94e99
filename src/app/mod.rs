//! The use cases: what people, their devices and the schedule do with missions, agents, plans and the log.
//!
//! The one door for routes and pages, which parse, call and render. Each method is one thing that somebody wants, for one
//! user. This room must not know HTTP, HTML or arguments; the SQL is the store's, the rules are those of `domain`.

mod agents;
mod backups;
pub mod bad_template;
mod calendar;
mod deleted;
mod error;
mod health;
mod inbox;
mod insights;
mod log;
mod mission_list;
mod missions;
mod model;
mod operator;
mod outbox;
mod overview;
mod people;
mod records;
mod review;
mod runs;
mod schedule;
mod shelf;
mod sign_in;
mod templates;
mod trial;
mod wrong;

use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use jiff::tz::TimeZone;
use tokio::sync::watch;
use uuid::Uuid;

use crate::auth::Users;
use crate::domain::actor;
use crate::domain::ceilings::{LogCeilings, PushRates};
use crate::domain::change::WORKBENCH_CLIENT;
use crate::domain::field;
use crate::domain::ids::UserId;
use crate::domain::merge::Record;
use crate::metrics::Metrics;
use crate::planner::tools::Tool;
use crate::projection;
use crate::runner::{Clock, Rules, Runner};
use crate::store::{Edit, Longest, Store, StoreResult, Table};
use crate::sync::{self, Hub, Mailbox, TooMany};

pub use agents::AgentView;
pub use calendar::ComingRuns;
pub use deleted::{DeletedKind, DeletedThings};
pub use error::{AppError, PeopleRefusal};
pub use inbox::{InboxPlace, InboxPlan, PlanDecision, WaitingMission};
pub use insights::InsightsView;
pub use log::ReadsView;
pub use mission_list::{ListedMission, MissionFilter, MissionList};
pub use missions::{MissionView, RunNow, StepsAhead, ViewBounds};
pub use model::{FixedParts, ModelKeeper, ModelView, ModelWish};
pub use operator::{ExportOf, NotFound, Operator, PlanPreview};
pub use outbox::Outbox;
pub use overview::{ModelHealth, Overview};
pub use records::{Heading, Linkable, NamedRecord};
pub use review::{DecidedStep, Given, Reopens, Reviews, StepReview, WaitingPlan};
pub use runs::{PromptView, RunFilter, RunList, RunView, TITLED};
pub use shelf::{RecordFilter, RecordList};
pub use templates::{MadeOfTemplate, TemplateShelf, with_templates};
pub use trial::{Trial, TrialRefusal};
pub use wrong::WrongValue;

/// What the parts of the program do together. One per process.
pub struct App {
    operator: Operator,
    store: Store,
    /// Plans what is due. The app stops it.
    runner: Arc<Runner>,
    /// Knows who may sign in.
    users: Arc<Users>,
    /// By which it is told whether a mission runs.
    rules: Rules,
    /// What each user may put into the log.
    ceilings: LogCeilings,
    /// Where the files of this server are.
    data_dir: PathBuf,
    /// Where plans come from.
    model: ModelKeeper,
    /// Told of people who are to be removed.
    removing: tokio::sync::Notify,
    /// Held while a backup is made.
    backing_up: tokio::sync::Mutex<()>,
    reviews: Arc<Reviews>,
    outbox: Outbox,
    clock: Clock,
    stopping: watch::Sender<bool>,
    /// Told of changes; devices and open pages listen to it.
    hub: Arc<Hub>,
    push_rates: Mutex<PushRates>,
    /// Trials of agents: each holds a request for as long as the model takes.
    trials: tokio::sync::Semaphore,
    /// Prompts are written again one at a time.
    recalls: tokio::sync::Semaphore,
    trial_rates: Mutex<PushRates>,
    /// The last write probe and when it was made.
    probe: tokio::sync::Mutex<Option<(Instant, StoreResult<()>)>>,
    /// Held while metrics are read.
    scrape: tokio::sync::Mutex<()>,
}

/// What an app is made of.
pub struct AppParts {
    pub runner: Arc<Runner>,
    pub users: Arc<Users>,
    pub reviews: Arc<Reviews>,
    pub outbox: Outbox,
    pub rules: Rules,
    pub ceilings: LogCeilings,
    pub data_dir: PathBuf,
    pub model: ModelKeeper,
}

/// What is too much, as everybody may know; `None`: no limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ShownLimits {
    pub unreviewed_plans: Option<u64>,
    pub calls_per_day: Option<u64>,
    pub tokens_per_day: Option<u64>,
    pub rows: Option<u64>,
    pub bytes: Option<u64>,
}

impl App {
    /// The app over a store, with its parts.
    pub fn new(store: Store, parts: AppParts, clock: Clock) -> Arc<Self> {
        let AppParts { runner, users, reviews, outbox, rules, ceilings, data_dir, model } = parts;
        Arc::new(App {
            operator: Operator::new(store.clone(), Arc::clone(&clock)),
            store,
            runner,
            users,
            rules,
            ceilings,
            data_dir,
            model,
            removing: tokio::sync::Notify::new(),
            backing_up: tokio::sync::Mutex::default(),
            reviews,
            outbox,
            clock,
            stopping: watch::Sender::new(false),
            hub: Arc::default(),
            push_rates: Mutex::default(),
            trials: tokio::sync::Semaphore::new(trial::TRIALS),
            recalls: tokio::sync::Semaphore::new(1),
            trial_rates: Mutex::default(),
            probe: tokio::sync::Mutex::default(),
            scrape: tokio::sync::Mutex::default(),
        })
    }

    /// What whoever runs the program does.
    pub fn operator(&self) -> &Operator {
        &self.operator
    }

    /// The time that everything here goes by.
    pub fn now(&self) -> Timestamp {
        (self.clock)()
    }

    /// The zone of schedules without one of their own.
    pub fn zone(&self) -> &TimeZone {
        &self.rules.zone
    }

    /// What each user may take.
    pub fn limits(&self) -> ShownLimits {
        let some = |most: u64| Some(most).filter(|most| *most > 0);
        let ceilings = &self.rules.ceilings;
        ShownLimits {
            unreviewed_plans: some(ceilings.unreviewed_plans),
            calls_per_day: some(ceilings.calls_per_day),
            tokens_per_day: some(ceilings.tokens_per_day),
            rows: self.ceilings.rows,
            bytes: self.ceilings.bytes,
        }
    }

    /// The tools that plans may use.
    pub fn tools(&self) -> &[Tool] {
        self.runner.tools()
    }

    pub fn users(&self) -> &Users {
        &self.users
    }

    pub fn metrics(&self) -> &Arc<Metrics> {
        self.runner.metrics()
    }

    /// Listens to a user's changes, in one app or all of them. A client does not hear of its own.
    ///
    /// # Errors
    /// When the user has as many listeners as one may have.
    pub fn listen(&self, user: &UserId, app: Option<String>, client: Option<String>) -> Result<Mailbox, TooMany> {
        self.hub.listen(user, app, client)
    }

    /// Tells listeners of new rows, until the store closes.
    pub fn follow_log(&self) -> impl Future<Output = ()> + Send + 'static {
        sync::follow(self.store.clone(), Arc::clone(&self.hub))
    }

    /// Ends every listener: streams and open pages.
    pub fn close_listeners(&self) {
        self.hub.close();
    }

    /// Waits for the end of every listener.
    pub async fn listeners_closed(&self) {
        self.hub.closed().await;
    }

    /// Starts no further plan, waits up to `grace` for those under way, and answers how many were cut short.
    ///
    /// # Errors
    /// When the claims cannot be given back; they are taken over once this process is gone.
    pub async fn stop(&self, grace: Duration) -> StoreResult<usize> {
        self.stopping.send_replace(true);
        self.runner.stop(grace).await
    }

    /// Folds what came into the log since the last look, so that what is shown is what is there.
    async fn refresh(&self) -> StoreResult<()> {
        projection::refresh(&self.store).await.map(drop)
    }

    /// Some fields of a record, whole; what is not asked for may be large, and is not read.
    async fn fields(&self, table: Table, user: &UserId, id: &str, fields: &'static [&'static str]) -> Result<Record, AppError> {
        self.refresh().await?;
        let part = self.store.part(table, user, id, fields, Longest::WHOLE).await?.ok_or(AppError::NotFound)?;
        let mut record = part.record.read();
        record.insert(field::ID.into(), id.into());
        Ok(record)
    }
}

/// An edit by this user, through the workbench.
fn edit_by(user: &UserId, table: Table, id: &str) -> Edit {
    Edit {
        table,
        user_id: user.to_owned(),
        record_id: id.to_owned(),
        event_id: Uuid::new_v4().to_string(),
        client_id: WORKBENCH_CLIENT.into(),
        actor: actor::user(user),
        origin: "user",
    }
}
