//! What is on this machine: files, disk, clock.

use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use rustix::fs::{Access, access, statvfs};

use super::super::setup;
use super::Diagnosis;
use crate::config::{Config, GivenSettings, SETTINGS, SettingSource};
use crate::store::{self, Examined, StoreError};

/// Less free space is a warning, and far less a failure, in bytes.
const LITTLE: u64 = 1_000_000_000;
const TOO_LITTLE: u64 = 50_000_000;

/// 1 January 2026, in seconds.
const FIRST_RELEASE: i64 = 1_767_225_600;

/// A row this far in the future was not written by a clock that merely ran a little ahead.
const AHEAD: SignedDuration = SignedDuration::from_mins(5);

pub(super) fn config_file(raw: &GivenSettings, config: &Config) -> Diagnosis {
    let from = |setting: &crate::config::Setting| match raw.source(setting.key) {
        SettingSource::File(path) => Some(path),
        _ => None,
    };
    let Some(file) = SETTINGS.iter().find_map(from) else {
        let path = config.data_dir.join(crate::config::FILE_NAME);
        return Diagnosis::ok(format!("no settings from a file; {} would be read", path.display()));
    };
    let secret = SETTINGS.iter().any(|setting| setting.secret && setting.key != "private_key_pem" && from(setting).is_some());
    match open_to_others(file) {
        Some(mode) if secret => Diagnosis::fail(
            format!("{} holds a secret, and others may read it (mode {mode:o})", file.display()),
            format!("chmod 600 {}", file.display()),
        ),
        _ => Diagnosis::ok(format!("{} is read", file.display())),
    }
}

/// The mode of a file that others on this machine may read.
pub(super) fn open_to_others(path: &Path) -> Option<u32> {
    let mode = path.metadata().ok()?.permissions().mode() & 0o777;
    (mode & 0o077 != 0).then_some(mode)
}

pub(super) fn directory(dir: &Path) -> Diagnosis {
    let shown = dir.display();
    let Ok(about) = dir.metadata() else {
        let above = nearest(dir);
        return if above.is_dir() && access(above, Access::WRITE_OK).is_ok() {
            Diagnosis::warn(format!("{shown} is not there yet"), "`mana-ai init` makes it, and so does the first start")
        } else {
            Diagnosis::fail(
                format!("{shown} is not there, and cannot be made in {}", above.display()),
                "choose another with --data-dir, or make it and give it to the user who runs mana-ai",
            )
        };
    };
    if !about.is_dir() {
        return Diagnosis::fail(format!("{shown} is not a directory"), "choose another with --data-dir, or move that file away");
    }
    if let Err(error) = access(dir, Access::READ_OK | Access::WRITE_OK | Access::EXEC_OK) {
        if error == rustix::io::Errno::ROFS {
            return Diagnosis::fail(
                format!("{shown} is on a read-only file system"),
                "choose another with --data-dir, or mount that one for writing",
            );
        }
        return Diagnosis::fail(
            format!("{shown} belongs to user {} and cannot be written by this one", about.uid()),
            format!("run as that user, or chown -R {} {shown}", rustix::process::geteuid().as_raw()),
        );
    }
    match open_to_others(dir) {
        Some(mode) => Diagnosis::warn(format!("{shown} can be entered by others (mode {mode:o})"), format!("chmod 700 {shown}")),
        None => Diagnosis::ok(format!("{shown} is writable, and private")),
    }
}

/// What is known of the database; `None`: there is none.
pub(super) type Database = Result<Option<Examined>, StoreError>;

pub(super) async fn examine(dir: &Path) -> Database {
    let dir = dir.to_owned();
    tokio::task::spawn_blocking(move || store::examine(&dir, setup::now())).await.unwrap_or(Err(StoreError::Stopped))
}

pub(super) fn database(examined: &Database) -> Diagnosis {
    match examined {
        Ok(None) => Diagnosis::ok("none yet; the first start makes it"),
        Ok(Some(found)) if found.set_aside > 0 => Diagnosis::warn(
            format!(
                "{} rows, schema {}; {} of them break a limit of today and are passed over",
                found.rows, found.version, found.set_aside
            ),
            "`mana-ai check` lists them; nothing else is affected",
        ),
        Ok(Some(found)) => Diagnosis::ok(format!("{} rows, schema {}, {}", found.rows, found.version, megabytes(found.bytes))),
        Err(error) => Diagnosis::failed(error, error.advice()),
    }
}

pub(super) fn disk(dir: &Path) -> Diagnosis {
    let there = nearest(dir);
    match statvfs(there) {
        Err(error) => Diagnosis::warn(format!("the free space of {} cannot be told: {error}", there.display()), "look with df"),
        Ok(disk) => {
            let free = disk.f_bavail.saturating_mul(disk.f_frsize);
            let found = format!("{} free in {}", megabytes(free), there.display());
            match free {
                _ if free < TOO_LITTLE => Diagnosis::fail(found, "free some space; a full disk refuses every write"),
                _ if free < LITTLE => Diagnosis::warn(found, "free some space soon; a full disk refuses every write"),
                _ => Diagnosis::ok(found),
            }
        }
    }
}

pub(super) fn clock(examined: Option<&Examined>, now: Timestamp) -> Diagnosis {
    let told = format!("{now:.0}");
    if now.as_second() < FIRST_RELEASE {
        return Diagnosis::fail(
            format!("{told}, which is before this program was made"),
            "set the clock, best by NTP (timedatectl set-ntp true)",
        );
    }
    match examined.and_then(|found| found.last_sync_at).map(|last| last.duration_since(now)) {
        Some(ahead) if ahead > AHEAD => Diagnosis::fail(
            format!("{told}, but the last row of the log was written {} minutes later", ahead.as_mins()),
            "set the clock, if it is this one that is wrong; new rows keep their order in any case",
        ),
        _ => match examined.and_then(|found| Some((found.future_stamps, found.in_future.as_ref()?))) {
            Some((stamps, (table, record, stamp))) => Diagnosis::warn(
                format!(
                    "{told}, but {stamps} times of edits in the log are more than a day ahead, the last of them {stamp} in {table} {record}"
                ),
                "set the clock of the device that wrote them; until those times later edits of the same fields lose to them",
            ),
            None => Diagnosis::ok(told),
        },
    }
}

pub(super) fn time_zone(raw: &GivenSettings, config: &Config, now: Timestamp) -> Diagnosis {
    let name = config.time_zone.iana_name().unwrap_or("UTC").to_owned();
    let local = now.to_zoned(config.time_zone.clone()).strftime("%H:%M").to_string();
    let system = TimeZone::system();
    match system.iana_name() {
        Some(here) if raw.is_default("time_zone") && !matches!(here, "UTC" | "Etc/UTC") => Diagnosis::warn(
            format!("missions without a zone of their own go by {name}, where it is {local}, but this machine is in {here}"),
            format!("set MANA_AI_TIME_ZONE={here}, if that is what you want"),
        ),
        _ => Diagnosis::ok(format!("{name}, where it is {local}")),
    }
}

/// The directory itself, or the nearest one above it that is there.
fn nearest(dir: &Path) -> &Path {
    let mut above = dir.ancestors().map(|dir| if dir.as_os_str().is_empty() { Path::new(".") } else { dir });
    above.find(|dir| dir.exists()).unwrap_or(Path::new("/"))
}

pub(super) fn megabytes(bytes: u64) -> String {
    match bytes {
        0..10_000_000_000 => format!("{}.{} MB", bytes / 1_000_000, bytes / 100_000 % 10),
        _ => format!("{} GB", bytes / 1_000_000_000),
    }
}
