//! A Postgres in the place of the file: the server, the role, the database.

use super::super::setup;
use super::Diagnosis;
use super::machine::megabytes;
use crate::config::Config;
use crate::store::{self, ExaminedServer, StoreError};

/// An answer that takes longer makes every page and push slow, in milliseconds.
const SLOW: f64 = 20.0;
/// More rows than this wait only where no server takes them in.
const MANY_WAIT: u64 = 10_000;

/// What is known of the server.
pub(super) type ServerLook = Result<ExaminedServer, StoreError>;

pub(super) async fn examine(address: &str, config: &Config) -> ServerLook {
    let (address, timeout) = (address.to_owned(), config.busy_timeout);
    tokio::task::spawn_blocking(move || store::examine_server(&address, timeout)).await.unwrap_or(Err(StoreError::Stopped))
}

pub(super) fn told(check: &str, server: &ServerLook) -> Diagnosis {
    let found = match server {
        Ok(found) => found,
        // Told once.
        Err(error) if check == "server" => return Diagnosis::failed(error, error.advice()),
        Err(_) => return Diagnosis::warn("not looked at", "see the check before"),
    };
    match check {
        "server" => reached(found),
        "role" => role(found),
        _ => database(found),
    }
}

fn reached(found: &ExaminedServer) -> Diagnosis {
    let millis = found.latency.as_secs_f64() * 1_000.0;
    let way = match &found.encryption {
        Some(version) => version.as_str(),
        None if found.is_near => "without TLS, on this machine",
        None => "without TLS",
    };
    let told = format!("PostgreSQL {} at {}, {way}; an answer takes {millis:.1} ms", found.version, found.address.display());
    if !found.is_known {
        return Diagnosis::fail(told, "use PostgreSQL 13 or newer");
    }
    if let Some(setting) = &found.forgets {
        return Diagnosis::warn(
            format!("{told}; {setting} is off there, so a crash may lose what was acknowledged"),
            format!("switch {setting} on, for the whole server or with ALTER ROLE … SET"),
        );
    }
    if found.encryption.is_none() && !found.is_near {
        return Diagnosis::warn(told, "leave sslmode=disable out of the address, unless that network is yours alone");
    }
    if millis > SLOW {
        return Diagnosis::warn(told, "run mana-ai near the server: a push asks it some ten questions");
    }
    Diagnosis::ok(told)
}

fn role(found: &ExaminedServer) -> Diagnosis {
    match &found.lacks {
        None => Diagnosis::ok(format!("{} may do all that is needed", found.role)),
        Some(StoreError::Lacking { what, grants, .. }) => Diagnosis::fail(format!("{} lacks {what}", found.role), grants.clone()),
        Some(other) => Diagnosis::failed(other, other.advice()),
    }
}

fn database(found: &ExaminedServer) -> Diagnosis {
    let Some(log) = &found.found else {
        return match found.lacks {
            Some(_) => Diagnosis::warn("not looked at", "see the check before"),
            None => Diagnosis::ok("nothing of mana-ai yet; the first start makes it, in a schema of its own"),
        };
    };
    let (arrivals, departures) = found.waiting;
    let mut told = format!("{} rows, schema {}, {}", log.rows, log.version, megabytes(log.bytes));
    told += &format!("; {arrivals} rows of other programs wait for their place");
    if departures > 0 {
        told += &format!(", and {departures} that they took out are to be forgotten");
    }
    if !found.asleep.is_empty() {
        let wake = |trigger: &&str| format!("ALTER TABLE public.sync_changes ENABLE TRIGGER {trigger};");
        return Diagnosis::fail(
            format!("{told}; what other programs do is not noted: {} of public.sync_changes do no work", found.asleep.join(", ")),
            found.asleep.iter().map(wake).collect::<Vec<_>>().join(" ") + " Then `mana-ai check --repair` takes in what was missed",
        );
    }
    if log.version < found.newest {
        return Diagnosis::warn(
            told,
            format!("the next start brings the schema to {}; instances of an older program have to stop first", found.newest),
        );
    }
    if arrivals > MANY_WAIT {
        return Diagnosis::warn(told, format!("start `{} serve`, which takes them in", setup::program()));
    }
    Diagnosis::ok(told)
}
