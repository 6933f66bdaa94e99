//! SQLite: every line of its SQL.
//!
//! One thread writes and answers only after the commit is durable; a pool of readers serves the rest. The methods are async
//! and keep SQLite on blocking threads.

mod audit;
mod automatic;
mod backup;
mod cards;
mod changes;
mod check;
mod error;
mod event_key;
mod examine;
mod files;
mod grant_ends;
mod ids;
mod insights;
mod linked;
mod loads;
mod lost;
mod migrate;
mod mission_list;
mod outbox;
mod parts;
mod people;
#[cfg(test)]
mod plans;
mod process_lock;
mod pull;
mod readers;
mod record_list;
mod refresh;
mod removal;
mod repair;
mod restore;
mod runs;
mod schedule;
mod sessions;
mod snapshots;
mod staging;
mod stats;
mod tx;
mod user_log;
mod views;
mod writer;
mod writes;

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use jiff::Timestamp;
use rusqlite::Connection;
use tokio::sync::{Semaphore, watch};

pub use audit::{AuditRow, ReadAttempt, ReadFor, ReadStatus};
pub use backup::Progress;
pub use cards::{AgentCard, MissionCard, RowCard, SHOWN_OF_ROW};
pub use check::{Check, Finding};
pub use event_key::EventKey;
pub use examine::{Examined, examine, is_open};
pub use insights::{DECISIONS_COUNTED, Insights, PlanTally, StepAgainst, day_number};
pub use linked::{Bounds, Linked, Wanted};
pub use loads::{LoadQuery, UserLoad};
pub use migrate::SCHEMA_VERSION;
pub use mission_list::{MissionSort, MissionsWanted, WhichMissions};
pub use outbox::{DueCall, FailedTry, HeldCall};
pub use parts::{Longest, PlanCard, RecordPart, SomePlans};
pub use people::{Person, RoleChange};
pub use process_lock::{ProcessLock, ProcessLockError};
pub use pull::{Head, Page, Pull};
pub use record_list::{DeletedRecord, ListedTable, RecordPlace, RecordSort, RecordsWanted};
pub use removal::{RemovalStart, RemovedBatch};
pub use restore::{Restored, restore};
pub use schedule::RanAhead;
pub use sessions::{LINK_HOURS, SESSION_HOURS, SecretHash, Session, SignInLink, WhichSessions};
pub use staging::Staging;
pub use stats::Stats;
pub use views::{Day, WhichRuns};

use error::{no_reader, store_error};
use files::FileId;
use readers::Pool;
use tx::SqliteReads;
use writer::{SqliteTx, Writer};

use super::{Due, DueKey, LogRow, OpenRun, Projectable, RowFilter, RunRow, SetAside, Snapshot, StoreError, StoreResult, Table, script};

/// How a database is opened.
#[derive(Debug, Clone)]
pub struct Options {
    /// How long a statement waits for another process before it gives up.
    pub busy_timeout: Duration,
    /// Whether each commit waits for the disk (`synchronous=FULL`), or may be lost with the power (`NORMAL`).
    pub durable: bool,
    /// Connections that read at the same time.
    pub readers: u32,
    /// A bound on the size of the database file, in pages; `None`: the disk is the bound.
    pub max_pages: Option<u32>,
    /// The wall clock, for `sync_at` and the times of snapshots.
    pub clock: fn() -> Timestamp,
}

impl Default for Options {
    fn default() -> Self {
        Options { busy_timeout: Duration::from_secs(5), durable: true, readers: 4, max_pages: None, clock: Timestamp::now }
    }
}

/// One database. Clones share it.
#[derive(Clone)]
pub struct Store {
    shared: Arc<StoreInner>,
}

struct StoreInner {
    path: PathBuf,
    /// The file that was opened.
    file: Option<FileId>,
    writer: Writer,
    readers: Pool,
    permits: Arc<Semaphore>,
    /// The wall clock.
    clock: fn() -> Timestamp,
    /// Read once, since it never changes.
    event_key: OnceLock<EventKey>,
    /// Held while new rows of a [`Table`] are folded.
    folding: [tokio::sync::Mutex<()>; 2],
}

impl Store {
    /// The name of the database file in a data directory.
    pub const FILE_NAME: &str = "mana-ai.db";

    /// Opens the database in `data_dir`, makes both where they are missing, and brings the schema up to date.
    /// It blocks, so it is called before the async side starts or on a blocking thread.
    ///
    /// # Errors
    /// A directory that cannot be made or written, a file that is not ours or newer than this program, a lock that
    /// another process does not give up.
    pub fn open(data_dir: &Path, options: &Options) -> StoreResult<Self> {
        files::directory(data_dir)?;
        let in_use = files::use_database(data_dir, options)?;
        let path = files::prepare(data_dir)?;
        let mut connection = files::connect(&path, options)?;
        let file = FileId::of(&path);
        migrate::migrate(&mut connection, &path)?;
        files::enter_wal(&connection, &path, options)?;
        let writer = Writer::start(connection, in_use, path.clone(), file, options.clock)?;
        let readers = readers::pool(&path, options);
        let permits = Arc::new(Semaphore::new(options.readers as usize));
        Ok(Store {
            shared: Arc::new(StoreInner {
                path,
                file,
                writer,
                readers,
                permits,
                clock: options.clock,
                event_key: OnceLock::new(),
                folding: Default::default(),
            }),
        })
    }

    /// Like [`Store::open`], where there has to be a database already.
    ///
    /// # Errors
    /// Those of [`Store::open`], and where there is none.
    pub fn open_existing(data_dir: &Path, options: &Options) -> StoreResult<Self> {
        // One that is gone, and whose log is there, is told of when it is opened.
        let path = data_dir.join(Self::FILE_NAME);
        match path.try_exists() {
            Ok(false) if !files::beside(&path, "-wal").exists() => Err(StoreError::NoDatabase { dir: data_dir.to_owned() }),
            _ => Self::open(data_dir, options),
        }
    }

    /// Shows that this process lives, for as long as what it answers is held: what it claims is taken over when it dies.
    ///
    /// # Errors
    /// When no file can be made or locked beside the database.
    pub fn show_presence(&self) -> Result<ProcessLock, ProcessLockError> {
        ProcessLock::show(self.shared.path.parent().unwrap_or(Path::new(".")))
    }

    /// Where the database file is.
    pub fn path(&self) -> &Path {
        &self.shared.path
    }

    /// Writes that wait for the writer now.
    pub fn queued_writes(&self) -> usize {
        self.shared.writer.queued()
    }

    /// Whether the writer has as many waiting writes as it takes: a new one should come back later.
    pub fn is_overloaded(&self) -> bool {
        self.shared.writer.is_full()
    }

    /// Changes after every commit of this process.
    pub fn commits(&self) -> watch::Receiver<()> {
        self.shared.writer.commits()
    }

    /// Runs a query on a reader. The permits keep waiting queries from filling the blocking threads.
    async fn read<T: Send + 'static>(&self, query: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static) -> StoreResult<T> {
        let permit = Arc::clone(&self.shared.permits).acquire_owned().await.map_err(|_| StoreError::Stopped)?;
        let shared = Arc::clone(&self.shared);
        tokio::task::spawn_blocking(move || {
            // A query goes on when its caller went away, and so does its connection.
            let _permit = permit;
            // A new connection to another file would take the write-ahead log for its own.
            if FileId::of(&shared.path) != shared.file {
                return Err(StoreError::Moved { path: shared.path.clone() });
            }
            let connection = shared.readers.get().map_err(|error| no_reader(&shared.path, &error))?;
            query(&connection).map_err(|error| store_error(&shared.path, error))
        })
        .await
        .map_err(|_| StoreError::Stopped)?
    }

    /// Runs a script on a reader, all as of the same moment.
    async fn read_as_of_now<T: Send + 'static>(
        &self,
        script: impl FnOnce(&SqliteReads<'_>) -> StoreResult<T> + Send + 'static,
    ) -> StoreResult<T> {
        let path = self.path().to_owned();
        self.read(move |c| {
            let c = c.unchecked_transaction()?;
            Ok(script(&SqliteReads { connection: &c, path: &path }))
        })
        .await?
    }

    /// Runs `job` in the next group of writes and answers when that group is durable. A job that fails leaves nothing.
    async fn write<T, E>(&self, job: impl FnOnce(&SqliteTx<'_>) -> Result<T, E> + Send + 'static) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        self.shared.writer.submit(job).await
    }
}
