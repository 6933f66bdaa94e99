//! Postgres: its connections, its transactions that write, its schema, and the proof that a process lives
//! (docs/design.md, section 18).

mod address;
mod listener;
mod migrate;
mod presence;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use ::postgres::error::SqlState;
use jiff::Timestamp;

pub(super) use address::ServerAddress;
pub(super) use listener::listen;
pub(super) use presence::SessionLock;

use super::db::{self, OptionalExtension, PgClient, params, postgres_error};
use super::sqlite::{Options, Transactions};
use super::{StoreError, StoreResult};
use crate::domain::time;

/// The schema that has everything of ours but the log.
const SCHEMA: &str = "mana_ai_rs";
/// The lock under which rows get their place in the log.
const ORDER_LOCK: i64 = 0x4d41_4e41_0001;
/// Rows of others that get their place before a group of writes.
const ADOPTED: i64 = 1_000;

pub(super) type PgPool = r2d2::Pool<PgManager>;

impl ServerAddress {
    fn session(&self) -> db::Result<PgClient> {
        let mut client = self.connect().map_err(postgres_error)?;
        let settings = format!("SET search_path TO {SCHEMA}; SET {SCHEMA}.writes TO 'on'; SET TimeZone TO 'UTC'");
        client.client()?.batch_execute(&settings).map_err(postgres_error)?;
        Ok(PgClient::new(client))
    }

    /// Brings the schema up to date.
    ///
    /// # Errors
    /// A server that cannot be reached, a role without the rights, a schema that is newer than this program.
    pub fn prepare(&self) -> StoreResult<()> {
        let mut client = self.connect().map_err(|error| store_error(&self.shown, &error))?;
        migrate::migrate(client.client().map_err(|_| StoreError::Stopped)?, &self.shown)
    }

    /// A pool that opens its connections when they are first needed.
    pub fn pool(self: &Arc<Self>, options: &Options) -> PgPool {
        r2d2::Pool::builder()
            .max_size(options.readers.max(1))
            .min_idle(Some(0))
            .test_on_check_out(false)
            .connection_timeout(options.busy_timeout.max(Duration::from_secs(1)))
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
    type Error = db::Error;

    fn connect(&self) -> db::Result<PgClient> {
        self.0.session()
    }

    fn is_valid(&self, _: &mut PgClient) -> db::Result<()> {
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

impl Transactions for ServerTransactions {
    fn run(&mut self, jobs: &mut dyn FnMut(db::Db<'_>) -> StoreResult<()>) -> StoreResult<()> {
        let path = self.address.shown.clone();
        let fail = |error| super::sqlite::store_error(&path, error);
        let client = match self.client.take().filter(|client| !client.is_closed()) {
            Some(client) => client,
            None => self.address.session().map_err(fail)?,
        };
        let client = self.client.insert(client);
        let session = client.begin(false).map_err(fail)?;
        {
            let connection = db::Db::from(&session as &dyn db::ServerSession);
            // Nobody else writes until this commits, so that numbers follow commits and rules see one state.
            connection.query_row("SELECT pg_advisory_xact_lock(?1)", [ORDER_LOCK], |_| Ok(())).map_err(fail)?;
            adopt(&connection, time::to_micros((self.clock)())).map_err(fail)?;
            jobs(connection)?;
        }
        session.commit().map_err(fail)
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
        last AS (SELECT greatest(coalesce((SELECT max(seq) FROM log_order), 0), e.seq) AS seq, \
        greatest(coalesce((SELECT sync_at FROM log_order ORDER BY seq DESC LIMIT 1), 0), e.sync_at) AS sync_at FROM log_end e) \
        INSERT INTO log_order (seq, sync_at, row_id, id, user_id, app_id, table_name, record_id, bytes) \
        SELECT last.seq + row_number() OVER (ORDER BY t.number), greatest(?1, last.sync_at) + row_number() OVER (ORDER BY t.number), c.id, c.id::text, c.user_id, c.app_id, c.table_name, \
        c.record_id, coalesce(octet_length(c.data::text), 0) + coalesce(octet_length(c.field_meta::text), 2) + coalesce(octet_length(c.actor::text), 0) \
        FROM taken t JOIN public.sync_changes c ON c.id = t.row_id CROSS JOIN last WHERE NOT EXISTS (SELECT 1 FROM removals r WHERE r.user_id = c.user_id) ORDER BY t.number ON CONFLICT (row_id) DO NOTHING";
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
        SqlState::READ_ONLY_SQL_TRANSACTION => StoreError::ReadOnly { path },
        SqlState::INSUFFICIENT_PRIVILEGE => StoreError::Forbidden { path, reason },
        SqlState::ADMIN_SHUTDOWN
        | SqlState::CRASH_SHUTDOWN
        | SqlState::CANNOT_CONNECT_NOW
        | SqlState::TOO_MANY_CONNECTIONS
        | SqlState::INVALID_PASSWORD
        | SqlState::INVALID_AUTHORIZATION_SPECIFICATION
        | SqlState::INVALID_CATALOG_NAME => StoreError::Unreachable { path, reason },
        SqlState::DATA_CORRUPTED | SqlState::INDEX_CORRUPTED => StoreError::Corrupt { path, reason },
        SqlState::IO_ERROR => StoreError::Io { path, reason },
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
