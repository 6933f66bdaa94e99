//! Postgres: its connections, its transactions that write, its schema, and the proof that a process lives
//! (docs/design.md, section 18).

mod address;
mod examine;
mod listener;
mod migrate;
mod presence;
mod pulse;
mod rights;

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ::postgres::error::SqlState;
use jiff::Timestamp;

pub(super) use address::ServerAddress;
pub use examine::{ExaminedServer, examine_server};
pub(super) use listener::listen;
pub(super) use presence::SessionLock;

use super::db::{self, OptionalExtension, PgClient, params};
use super::sql::{End, Options, Transactions};
use super::{StoreError, StoreResult};
use crate::domain::time;
use pulse::Pulse;

/// The schema that has everything of ours but the log.
const SCHEMA: &str = "mana_ai_rs";
/// The lock under which rows get their place in the log.
const ORDER_LOCK: i64 = 0x4d41_4e41_0001;
/// A transaction in which nothing is asked for this long is one of a process that stands still, and holds up all others.
const IDLE: Duration = Duration::from_secs(60);
/// Between two tries to reach the server.
const AGAIN: Duration = Duration::from_millis(50);
/// Rows of others that get their place before a group of writes.
const ADOPTED: i64 = 1_000;

pub(super) type PgPool = r2d2::Pool<PgManager>;

impl ServerAddress {
    /// A session of a pool, or of the writer.
    fn session(&self, pulse: &Pulse) -> StoreResult<PgClient> {
        let mut client = self.connect()?;
        // What waits for a lock, or holds one and does nothing, does not do so for ever.
        let settings = format!(
            "SET search_path TO {SCHEMA}, pg_temp; SET {SCHEMA}.writes TO 'on'; SET TimeZone TO 'UTC'; SET lock_timeout TO {}; \
             SET idle_in_transaction_session_timeout TO {}",
            self.patience.as_millis(),
            IDLE.as_millis()
        );
        let started = client.client().map_err(|_| StoreError::Stopped)?.batch_execute(&settings);
        started.map_err(|error| store_error(&self.shown, &error))?;
        let pulse = pulse.clone();
        Ok(PgClient::new(client, move || pulse.beat()))
    }

    /// Brings the schema up to date.
    ///
    /// # Errors
    /// A server that cannot be reached, a role without the rights, a schema that is newer than this program.
    pub fn prepare(&self) -> StoreResult<()> {
        let mut client = self.connect()?;
        migrate::migrate(client.client().map_err(|_| StoreError::Stopped)?, &self.shown, self.patience)
    }

    /// A pool that opens its connections when they are first needed.
    pub fn pool(self: &Arc<Self>, options: &Options) -> PgPool {
        r2d2::Pool::builder()
            .max_size(options.readers.max(1))
            .min_idle(Some(0))
            .test_on_check_out(false)
            .connection_timeout(self.patience)
            .error_handler(Box::new(r2d2::NopErrorHandler))
            .build_unchecked(PgManager(Arc::clone(self)))
    }

    /// What runs groups of writes.
    pub fn transactions(self: &Arc<Self>, clock: fn() -> Timestamp) -> impl Transactions {
        ServerTransactions { address: Arc::clone(self), client: None, clock }
    }
}

/// Makes connections.
pub(super) struct PgManager(Arc<ServerAddress>);

impl r2d2::ManageConnection for PgManager {
    type Connection = PgClient;
    type Error = StoreError;

    /// Who waits for a connection while the server is away has it as soon as the server is back; the pool by itself would let
    /// seconds pass before it tries again.
    fn connect(&self) -> StoreResult<PgClient> {
        let started = Instant::now();
        loop {
            match self.0.session(&self.0.heartbeats.any) {
                Err(_) if started.elapsed() < self.0.patience => std::thread::sleep(AGAIN),
                connected => return connected,
            }
        }
    }

    fn is_valid(&self, _: &mut PgClient) -> StoreResult<()> {
        Ok(())
    }

    fn has_broken(&self, connection: &mut PgClient) -> bool {
        connection.is_closed()
    }
}

/// The one connection of this process that writes.
struct ServerTransactions {
    address: Arc<ServerAddress>,
    client: Option<PgClient>,
    clock: fn() -> Timestamp,
}

impl ServerTransactions {
    /// Runs jobs in a transaction, unless none can begin.
    fn in_transaction(&self, client: &mut PgClient, jobs: &mut dyn FnMut(db::Db<'_>) -> StoreResult<End>) -> db::Result<StoreResult<()>> {
        let fail = |error| super::sql::store_error(&self.address.shown, error);
        let session = client.begin(false)?;
        let connection = db::Db::from(&session as &dyn db::ServerSession);
        // Nobody else writes until this commits, so that numbers follow commits and rules see one state.
        let locked = connection.query_row("SELECT pg_advisory_xact_lock(?1)", [ORDER_LOCK], |_| Ok(()));
        let ready = locked.and_then(|()| adopt(&connection, time::to_micros((self.clock)())));
        let written = ready.map_err(fail).and_then(|()| jobs(connection));
        Ok(written.and_then(|end| match end {
            End::Commit => session.commit().map_err(fail),
            End::RollBack => Ok(()),
        }))
    }
}

impl Transactions for ServerTransactions {
    fn run(&mut self, jobs: &mut dyn FnMut(db::Db<'_>) -> StoreResult<End>) -> StoreResult<()> {
        // The end of a session that was idle shows when it is asked.
        if let Some(mut idle) = self.client.take()
            && let Ok(written) = self.in_transaction(&mut idle, jobs)
        {
            self.client = Some(idle);
            return written;
        }
        let mut client = self.address.session(&self.address.heartbeats.writer)?;
        let written = self.in_transaction(&mut client, jobs);
        self.client = Some(client);
        written.map_err(|error| super::sql::store_error(&self.address.shown, error))?
    }
}

/// Gives rows that others wrote their place in the log, as they came.
fn adopt(connection: &db::Db<'_>, now: i64) -> db::Result<()> {
    let first = connection.query_row("SELECT number FROM arrivals ORDER BY number LIMIT 1", params![], |row| row.get::<_, i64>(0));
    if first.optional()?.is_none() {
        return Ok(());
    }
    let adopt = "WITH first AS (SELECT number FROM arrivals ORDER BY number LIMIT ?2), \
        taken AS (DELETE FROM arrivals a USING first WHERE a.number = first.number RETURNING a.number, a.row_id), \
        held AS (INSERT INTO held_arrivals (row_id, user_id) SELECT c.id, c.user_id FROM taken t JOIN public.sync_changes c ON c.id = t.row_id \
        JOIN gone_users g ON g.user_id = c.user_id ORDER BY t.number), \
        last AS (SELECT greatest(coalesce((SELECT max(seq) FROM log_order), 0), e.seq) AS seq, \
        greatest(coalesce((SELECT sync_at FROM log_order ORDER BY seq DESC LIMIT 1), 0), e.sync_at) AS sync_at FROM log_end e) \
        INSERT INTO log_order (seq, sync_at, row_id, id, user_id, app_id, table_name, record_id, bytes) \
        SELECT last.seq + row_number() OVER (ORDER BY t.number), greatest(?1, last.sync_at) + row_number() OVER (ORDER BY t.number), c.id, c.id::text, c.user_id, c.app_id, c.table_name, \
        c.record_id, coalesce(octet_length(c.data::text), 0) + coalesce(octet_length(c.field_meta::text), 0) + coalesce(octet_length(c.actor::text), 0) \
        FROM taken t JOIN public.sync_changes c ON c.id = t.row_id CROSS JOIN last WHERE NOT EXISTS (SELECT 1 FROM removals r WHERE r.user_id = c.user_id) \
        AND NOT EXISTS (SELECT 1 FROM log_order o WHERE o.row_id = c.id) \
        AND NOT EXISTS (SELECT 1 FROM log_order o WHERE o.user_id = c.user_id AND o.id = c.id::text) ORDER BY t.number";
    connection.execute(adopt, [now, ADOPTED]).map(drop)
}

/// Sorts an error of Postgres by what its user can do about it.
pub(super) fn store_error(path: &Path, error: &::postgres::Error) -> StoreError {
    let path = path.to_owned();
    let reason = error.as_db_error().map_or_else(|| full(error), |error| error.message().to_owned());
    let Some(state) = error.code() else { return StoreError::Unreachable { path, reason } };
    match *state {
        SqlState::DISK_FULL => StoreError::Full { path },
        SqlState::LOCK_NOT_AVAILABLE | SqlState::T_R_DEADLOCK_DETECTED | SqlState::T_R_SERIALIZATION_FAILURE | SqlState::QUERY_CANCELED => {
            StoreError::Busy { path }
        }
        SqlState::INSUFFICIENT_PRIVILEGE => StoreError::Forbidden { path, reason },
        // What became a standby.
        SqlState::READ_ONLY_SQL_TRANSACTION
        | SqlState::ADMIN_SHUTDOWN
        | SqlState::CRASH_SHUTDOWN
        | SqlState::CANNOT_CONNECT_NOW
        | SqlState::TOO_MANY_CONNECTIONS
        | SqlState::INVALID_PASSWORD
        | SqlState::INVALID_AUTHORIZATION_SPECIFICATION
        | SqlState::IDLE_IN_TRANSACTION_SESSION_TIMEOUT
        | SqlState::INVALID_CATALOG_NAME => StoreError::Unreachable { path, reason },
        SqlState::DATA_CORRUPTED | SqlState::INDEX_CORRUPTED => StoreError::Corrupt { path, reason },
        SqlState::IO_ERROR => StoreError::Io { path, reason },
        // Class 22: data exceptions.
        ref state if state.code().starts_with("22") => StoreError::Unfit { path, reason },
        _ => StoreError::Engine { path, reason },
    }
}

/// An error with its causes.
fn full(error: &::postgres::Error) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}
