//! The methods of the store, and every query of it; an engine differs where a query says so.
//!
//! One thread writes and answers only after the commit is durable; a pool of readers serves the rest. The methods are async
//! and keep the database on blocking threads.

mod agent_list;
mod audit;
mod automatic;
mod cards;
pub(super) mod changes;
pub(super) mod check;
mod disorder;
pub(super) mod error;
mod event_key;
mod grant_ends;
mod ids;
mod insights;
mod linked;
mod loads;
mod log_rows;
mod lost;
mod mission_list;
mod moving;
mod others;
mod outbox;
mod parts;
mod people;
#[cfg(test)]
mod plans;
mod pull;
mod record_list;
mod refresh;
mod removal;
mod repair;
mod runs;
mod schedule;
mod server_rows;
mod server_snapshots;
mod sessions;
mod snapshots;
mod staging;
mod stats;
mod tx;
mod user_log;
mod views;
mod whole;
pub(super) mod writer;
mod writes;

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use tokio::sync::{Semaphore, watch};

pub use agent_list::{AgentSort, AgentsWanted};
pub use audit::{AuditRow, ReadAttempt, ReadFor, ReadStatus};
pub use cards::{AgentCard, MissionCard, RowCard, SHOWN_OF_ROW};
pub use check::{Check, Finding};
pub use disorder::Disorder;
pub(super) use error::store_error;
pub use event_key::EventKey;
pub use insights::{DECISIONS_COUNTED, Insights, PlanTally, StepAgainst};
pub use linked::{Bounds, Linked, Wanted};
pub use loads::{LoadQuery, UserLoad};
pub use mission_list::{MissionSort, MissionsWanted, WhichMissions};
pub use moving::MovedRows;
pub use outbox::{DueCall, FailedTry, HeldCall};
pub use parts::{Longest, PlanCard, RecordPart, SomePlans};
pub use people::{Person, RoleChange};
pub use pull::Head;
pub use record_list::{DeletedRecord, ListedTable, RecordPlace, RecordSort, RecordsWanted};
pub use removal::{RemovalStart, RemovedBatch};
pub use schedule::RanAhead;
pub use sessions::{LINK_HOURS, NewSession, SESSION_HOURS, SecretHash, Session, SignInLink, WhichSessions};
pub use staging::Staging;
pub use stats::Stats;
pub use views::{Day, RunsWanted, WhichRuns};
pub(super) use writer::{End, Transactions};

use error::no_reader;
use tx::SqlReads;
use writer::{SqlTx, Writer};

pub use super::postgres::{ExaminedServer, examine_server};
use super::postgres::{PgPool, ServerAddress, SessionLock, listen};
use super::{Due, DueKey, LogRow, OpenRun, Projectable, RowFilter, RunRow, SetAside, Snapshot, StoreError, StoreResult, Table, script};
use super::{Presence, PresenceError};
use crate::store::db::{self, Db};
use crate::store::sqlite::files::{self, FileId};
use crate::store::sqlite::{self, FileTransactions, ProcessLock, migrate};

/// After every id and every text.
const LAST: &str = "\u{10ffff}";

/// How often who waits looks whether the server answers anybody.
const LOOK: Duration = Duration::from_secs(1);

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

/// Where readers are had.
enum Engine {
    File {
        readers: sqlite::Pool,
        /// The file that was opened.
        file: Option<FileId>,
    },
    Server {
        address: Arc<ServerAddress>,
        readers: PgPool,
    },
}

/// One database. Clones share it.
#[derive(Clone)]
pub struct Store {
    shared: Arc<StoreInner>,
}

struct StoreInner {
    /// The file, or the address of the server.
    path: PathBuf,
    /// The data directory.
    dir: PathBuf,
    engine: Engine,
    writer: Writer,
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
        let transactions = FileTransactions { connection, path: path.clone(), file, _in_use: in_use };
        let readers = sqlite::pool(&path, options);
        Self::with(transactions, Engine::File { readers, file }, path, data_dir, options)
    }

    /// Opens a database of a Postgres server, and brings its schema up to date; `data_dir` keeps what is not in a database.
    /// It blocks.
    ///
    /// # Errors
    /// An address that cannot be read, a server that cannot be reached, a role without the rights, a newer schema.
    pub fn connect(address: &str, data_dir: &Path, options: &Options) -> StoreResult<Self> {
        files::directory(data_dir)?;
        let address = Arc::new(ServerAddress::read(address, options.busy_timeout)?);
        address.prepare()?;
        let (transactions, readers, path) = (address.transactions(options.clock), address.pool(options), address.shown.clone());
        Self::with(transactions, Engine::Server { address, readers }, path, data_dir, options)
    }

    fn with(transactions: impl Transactions, engine: Engine, path: PathBuf, dir: &Path, options: &Options) -> StoreResult<Self> {
        let committed = Arc::new(watch::Sender::new(()));
        if let Engine::Server { address, .. } = &engine {
            listen(Arc::clone(address), Arc::downgrade(&committed))?;
        }
        Ok(Store {
            shared: Arc::new(StoreInner {
                writer: Writer::start(transactions, path.clone(), options.clock, committed)?,
                path,
                dir: dir.to_owned(),
                engine,
                permits: Arc::new(Semaphore::new(options.readers as usize)),
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
    /// When no lock can be had: no file beside the database, no session with its server.
    pub fn show_presence(&self) -> Result<Presence, PresenceError> {
        match &self.shared.engine {
            Engine::File { .. } => Ok(ProcessLock::show(&self.shared.dir)?.into()),
            // The client of the server may not block a thread that runs tasks.
            Engine::Server { address, .. } => {
                let shown = std::thread::scope(|scope| scope.spawn(|| SessionLock::show(address)).join());
                Ok(shown.map_err(|_| StoreError::Stopped)??.into())
            }
        }
    }

    /// Where the database is: its file, or the address of its server.
    pub fn path(&self) -> &Path {
        &self.shared.path
    }

    /// Whether it is a file.
    pub fn is_file(&self) -> bool {
        matches!(self.shared.engine, Engine::File { .. })
    }

    /// Writes that wait for the writer now.
    pub fn queued_writes(&self) -> usize {
        self.shared.writer.queued()
    }

    /// Whether the writer has as many waiting writes as it takes: a new one should come back later.
    pub fn is_overloaded(&self) -> bool {
        self.shared.writer.is_full()
    }

    /// Changes after every commit of this process, and of others where the engine tells of them.
    pub fn commits(&self) -> watch::Receiver<()> {
        self.shared.writer.commits()
    }

    /// Runs queries on a reader, all as of the same moment. The permits keep waiting queries from filling the blocking threads.
    async fn read<T: Send + 'static>(&self, query: impl FnOnce(&Db<'_>) -> db::Result<T> + Send + 'static) -> StoreResult<T> {
        let shared = Arc::clone(&self.shared);
        let reading = async move {
            let permit = Arc::clone(&shared.permits).acquire_owned().await.map_err(|_| StoreError::Stopped)?;
            let read = move || {
                // A query goes on when its caller went away, and so does its connection.
                let _permit = permit;
                shared.read(query)
            };
            tokio::task::spawn_blocking(read).await.map_err(|_| StoreError::Stopped)?
        };
        self.while_answered(false, reading).await
    }

    /// Waits for what a database does; a server that does not answer any more is not waited for.
    async fn while_answered<T, E: From<StoreError>>(&self, writes: bool, doing: impl Future<Output = Result<T, E>>) -> Result<T, E> {
        let Engine::Server { address, .. } = &self.shared.engine else { return doing.await };
        let since = Instant::now();
        let mut doing = std::pin::pin!(doing);
        loop {
            match tokio::time::timeout(LOOK, &mut doing).await {
                Ok(done) => return done,
                Err(_) if address.heartbeats.is_silent(since, writes) => {
                    let reason = "it does not answer any more".into();
                    return Err(StoreError::Unreachable { path: self.path().to_owned(), reason }.into());
                }
                Err(_) => {}
            }
        }
    }

    /// Runs a script on a reader.
    async fn read_as_of_now<T: Send + 'static>(
        &self,
        script: impl FnOnce(&SqlReads<'_>) -> StoreResult<T> + Send + 'static,
    ) -> StoreResult<T> {
        let path = self.path().to_owned();
        self.read(move |c| Ok(script(&SqlReads { connection: *c, path: &path }))).await?
    }

    /// Runs `job` in the next group of writes and answers when that group is durable. A job that fails leaves nothing.
    async fn write<T, E>(&self, job: impl FnOnce(&SqlTx<'_>) -> Result<T, E> + Send + 'static) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        self.while_answered(true, self.shared.writer.submit(job)).await
    }
}

impl StoreInner {
    /// Runs queries on a reader. It blocks.
    fn read<T>(&self, query: impl FnOnce(&Db<'_>) -> db::Result<T>) -> StoreResult<T> {
        let fail = |error| store_error(&self.path, error);
        match &self.engine {
            Engine::File { readers, file } => {
                // A new connection to another file would take the write-ahead log for its own.
                if FileId::of(&self.path) != *file {
                    return Err(StoreError::Moved { path: self.path.clone() });
                }
                let connection = readers.get().map_err(|error| no_reader(&self.path, &error))?;
                // One state of the database for all of them, and one lock.
                let _state = connection.unchecked_transaction().map_err(fail)?;
                query(&Db::from(&*connection)).map_err(fail)
            }
            Engine::Server { readers, .. } => {
                let unreachable = |error: r2d2::Error| StoreError::Unreachable { path: self.path.clone(), reason: error.to_string() };
                // The end of a session that was idle shows when it is asked; all may have ended together.
                let mut tries = readers.max_size();
                loop {
                    let mut client = readers.get().map_err(unreachable)?;
                    match client.begin(true) {
                        Ok(session) => return query(&Db::from(&session as &dyn db::ServerSession)).map_err(fail),
                        Err(error) if tries == 0 => return Err(fail(error)),
                        Err(_) => tries -= 1,
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_read_sees_one_state_and_the_next_one_another() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path(), &Options { readers: 1, ..Options::default() }).unwrap();
        let facts = |c: &Db<'_>| c.query_row("SELECT count(*) FROM facts", db::params![], |row| row.get::<_, i64>(0));
        let before = store.read(facts).await.unwrap();
        let writer = rusqlite::Connection::open(store.path()).unwrap();
        let write = move |name: &str| writer.execute("INSERT INTO facts (name, value) VALUES (?1, '')", [name]);
        let seen = store.read(move |c| Ok((facts(c)?, write("during it")?, facts(c)?))).await.unwrap();
        assert_eq!(seen, (before, 1, before));
        assert_eq!(store.read(facts).await.unwrap(), before + 1);

        let failed = store.read(move |c| facts(c).and(Err::<(), _>(db::Error::QueryReturnedNoRows))).await;
        assert!(failed.is_err());
        store.set_fact("after it failed", String::new()).await.unwrap();
        assert_eq!(store.read(facts).await.unwrap(), before + 2, "it let go of its state");
    }
}
