//! A look at a server and the database there, that changes nothing.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use ::postgres::Client;

use super::{SCHEMA, ServerAddress, migrate, rights, store_error};
use crate::domain::time;
use crate::store::{Examined, StoreError, StoreResult};

/// Questions of which the middle one tells how long an answer takes.
const ASKED: usize = 5;
/// Rows that wait are counted up to here.
const MOST_WAITING: i64 = 100_000;
/// What notes what other programs do to the log.
const TRIGGERS: [&str; 3] = ["mana_ai_rs_arrival", "mana_ai_rs_departure", "mana_ai_rs_emptied"];

/// What a look at a server tells.
#[derive(Debug)]
pub struct ExaminedServer {
    /// The address, without its password.
    pub address: PathBuf,
    /// The version of the server, and whether this program knows it.
    pub version: String,
    pub is_known: bool,
    pub role: String,
    /// The version of TLS; `None`: what is said can be read on the way.
    pub encryption: Option<String>,
    /// Whether the server is on this machine.
    pub is_near: bool,
    pub latency: Duration,
    /// A setting of the server by which writes may be lost that were acknowledged.
    pub forgets: Option<String>,
    /// What the role lacks.
    pub lacks: Option<StoreError>,
    /// The database; `None`: the first start makes it.
    pub found: Option<Examined>,
    /// The version of the schema that this program makes.
    pub newest: i64,
    /// Rows of other programs that wait for their place in the log, and places that wait to be taken.
    pub waiting: (u64, u64),
    /// Triggers that do not do their work.
    pub asleep: Vec<&'static str>,
}

/// Looks at the server of an address. It blocks.
///
/// # Errors
/// An address that cannot be read, a server that cannot be reached or refuses, a schema that is newer than this program.
pub fn examine_server(address: &str, timeout: Duration) -> StoreResult<ExaminedServer> {
    let address = ServerAddress::read(address, timeout)?;
    let fail = |error| store_error(&address.shown, &error);
    let mut session = address.connect()?;
    let client = session.client().map_err(|_| StoreError::Stopped)?;
    let about = "SELECT current_setting('server_version'), current_setting('server_version_num')::int, current_user::text, s.version, \
                 CASE 'off' WHEN current_setting('fsync') THEN 'fsync' WHEN current_setting('synchronous_commit') THEN 'synchronous_commit' END \
                 FROM pg_stat_ssl s WHERE s.pid = pg_backend_pid()";
    let row = client.query_one(about, &[]).map_err(fail)?;
    let mut took = Vec::new();
    for _ in 0..ASKED {
        let asked = Instant::now();
        client.batch_execute("").map_err(fail)?;
        took.push(asked.elapsed());
    }
    took.sort_unstable();
    let lacks = match rights::check(client, &address.shown) {
        Ok(()) => None,
        Err(lacks @ StoreError::Lacking { .. }) => Some(lacks),
        Err(other) => return Err(other),
    };
    let newest = migrate::newest();
    let mut server = ExaminedServer {
        address: address.shown.clone(),
        version: row.get(0),
        is_known: row.get::<_, i32>(1) >= 130_000,
        role: row.get(2),
        encryption: row.get(3),
        is_near: address.is_near,
        latency: took[ASKED / 2],
        forgets: row.get(4),
        lacks,
        found: None,
        newest,
        waiting: (0, 0),
        asleep: Vec::new(),
    };
    if server.lacks.is_some() || !migrate::is_there(client).map_err(fail)? {
        return Ok(server);
    }
    let found = migrate::version(client).map_err(fail)?;
    if found > newest {
        return Err(StoreError::TooNew { path: address.shown, found, known: newest });
    }
    if found > 0 {
        look_at_log(client, found, &mut server).map_err(fail)?;
    }
    Ok(server)
}

fn look_at_log(client: &mut Client, version: i64, server: &mut ExaminedServer) -> Result<(), ::postgres::Error> {
    client.batch_execute(&format!("SET search_path TO {SCHEMA}, pg_temp"))?;
    let log = "SELECT (SELECT coalesce(sum(rows), 0)::bigint FROM user_log), (SELECT sync_at FROM log_order ORDER BY seq DESC LIMIT 1), \
               pg_database_size(current_database())";
    let row = client.query_one(log, &[])?;
    server.found = Some(Examined {
        version,
        rows: row.get(0),
        last_sync_at: row.get::<_, Option<i64>>(1).map(time::from_micros),
        set_aside: 0,
        future_stamps: 0,
        in_future: None,
        bytes: u64::try_from(row.get::<_, i64>(2)).unwrap_or(0),
    });
    let waiting =
        "SELECT (SELECT count(*) FROM (SELECT 1 FROM arrivals LIMIT $1) a), (SELECT count(*) FROM (SELECT 1 FROM departures LIMIT $1) d)";
    let row = client.query_one(waiting, &[&MOST_WAITING])?;
    server.waiting = (u64::try_from(row.get::<_, i64>(0)).unwrap_or(0), u64::try_from(row.get::<_, i64>(1)).unwrap_or(0));
    let awake = "SELECT tgname::text FROM pg_trigger WHERE tgrelid = 'public.sync_changes'::regclass AND tgenabled <> 'D'";
    let awake: Vec<String> = client.query(awake, &[])?.iter().map(|row| row.get(0)).collect();
    server.asleep = TRIGGERS.into_iter().filter(|trigger| !awake.iter().any(|name| name == trigger)).collect();
    Ok(())
}
