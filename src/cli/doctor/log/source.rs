//! Where a log is read from: a file, stdin, or a Postgres by its own client, psql.

use std::io::Read;
use std::process::{Child, ChildStderr, Command, Stdio};
use std::thread::JoinHandle;

use indicatif::ProgressBar;

use super::Diagnosis;
use crate::cli::{Failure, import, output};

/// Bytes of what psql says that are kept.
const SAID: u64 = 4_096;

/// A log that is being read.
pub(super) struct LogSource {
    pub file: Box<dyn Read + Send>,
    pub progress: ProgressBar,
    pub client: Option<Client>,
}

/// The psql that reads a Postgres.
pub(super) struct Client {
    process: Child,
    said: JoinHandle<String>,
}

pub(super) fn open(database: &str) -> Result<LogSource, Failure> {
    if ["postgres://", "postgresql://"].iter().any(|scheme| database.starts_with(scheme)) {
        return postgres(&Address::read(database).map_err(Failure::Usage)?);
    }
    let (file, progress) = import::open(database)?;
    Ok(LogSource { file, progress, client: None })
}

fn postgres(address: &Address) -> Result<LogSource, Failure> {
    let mut process = psql(address).spawn().map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => Failure::Failed(
            "psql, by which a Postgres is read, is not installed; install postgresql-client (Debian, Ubuntu) or libpq (Homebrew), or \
             look at a file: psql -c \"COPY sync_changes TO STDOUT WITH (FORMAT csv, HEADER)\" > changes.csv on a machine that has it"
                .into(),
        ),
        _ => Failure::Failed(format!("psql cannot be started: {error}")),
    })?;
    let (Some(stdout), Some(stderr)) = (process.stdout.take(), process.stderr.take()) else {
        return Err(Failure::Failed("psql was started without its pipes".into()));
    };
    let progress = output::bar("{spinner} {bytes} read, {bytes_per_sec}", None);
    let said = std::thread::spawn(move || said(stderr));
    Ok(LogSource { file: Box::new(progress.wrap_read(stdout)), progress, client: Some(Client { process, said }) })
}

/// All rows or an error: with `row_security` off, a role that may not see all of them is refused. It is set in the session,
/// since an address may bring options of its own, and poolers take none at the start.
fn psql(address: &Address) -> Command {
    let mut psql = Command::new("psql");
    psql.args(["--no-psqlrc", "--quiet", "--no-password", "--single-transaction", "--set=ON_ERROR_STOP=1"]);
    psql.args(["--command=SET TRANSACTION READ ONLY", "--command=SET LOCAL row_security = off"]);
    psql.arg("--command=COPY sync_changes TO STDOUT WITH (FORMAT csv, HEADER)");
    psql.arg(format!("--dbname={}", address.without_password));
    psql.env("PGCLIENTENCODING", "UTF8");
    if let Some(password) = &address.password {
        psql.env("PGPASSWORD", password);
    }
    if std::env::var_os("PGCONNECT_TIMEOUT").is_none() {
        psql.env("PGCONNECT_TIMEOUT", "15");
    }
    psql.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    psql
}

/// Reads to the end, so that psql never waits, and keeps the start.
fn said(mut stderr: ChildStderr) -> String {
    let mut kept = Vec::new();
    let _ = (&mut stderr).take(SAID).read_to_end(&mut kept);
    let _ = std::io::copy(&mut stderr, &mut std::io::sink());
    String::from_utf8_lossy(&kept).lines().map(str::trim).collect::<Vec<_>>().join(" ")
}

impl Client {
    /// Waits for psql, whose pipe must be closed by now.
    pub fn end(mut self) -> Result<(), Diagnosis> {
        let status = self.process.wait();
        let said = self.said.join().unwrap_or_default();
        match status {
            Ok(status) if status.success() => Ok(()),
            Ok(status) if said.is_empty() => Err(Diagnosis::fail(format!("psql ended early: {status}"), "try it again")),
            Ok(_) => Err(Diagnosis::fail(format!("psql says: {said}"), advice(&said))),
            Err(error) => Err(Diagnosis::fail(format!("psql cannot be waited for: {error}"), "try it again")),
        }
    }
}

fn advice(said: &str) -> &'static str {
    if said.contains("row-level security") || said.contains("permission denied") {
        "connect as a superuser or as a role with BYPASSRLS that may read sync_changes"
    } else if said.contains("does not exist") {
        "name the database of the sync server, and a role that finds sync_changes by its search_path"
    } else {
        "check the address, the password (also by PGPASSWORD or ~/.pgpass) and that the database can be reached from here"
    }
}

/// An address without its password, which must not stand in the list of processes; psql reads all the rest by itself.
#[derive(Debug, PartialEq)]
struct Address {
    without_password: String,
    password: Option<String>,
}

impl Address {
    /// Cuts as libpq does: credentials end at the first `@` before any `/`, and the password is what follows their first `:`.
    fn read(url: &str) -> Result<Self, String> {
        let (scheme, rest) = url.split_once("://").ok_or("not an address")?;
        let (rest, query) = rest.split_once('?').map_or((rest, None), |(rest, query)| (rest, Some(query)));
        let mut password = None;
        let mut kept = format!("{scheme}://");
        let place = match rest.split_once('@') {
            Some((credentials, place)) if !credentials.contains('/') => {
                let (user, secret) = credentials.split_once(':').map_or((credentials, None), |(user, secret)| (user, Some(secret)));
                password = secret.map(decoded).transpose()?;
                kept += &format!("{user}@");
                place
            }
            _ => rest,
        };
        // Without a `/`, libpq would take a question mark for a part of the credentials.
        if place.contains('@') || query.is_some_and(|query| query.contains('@') && !rest.contains('/')) {
            return Err("the address has an @ where none can be; in a password, write @ as %40, / as %2F and ? as %3F".into());
        }
        kept += place;
        let mut sign = '?';
        for part in query.into_iter().flat_map(|query| query.split('&')) {
            match part.split_once('=') {
                Some(("password", secret)) => password = Some(decoded(secret)?),
                Some(("sslpassword", _)) => {
                    return Err(
                        "sslpassword would stand in the list of processes; use a key without one, or read a file made by COPY".into()
                    );
                }
                _ => {
                    kept.push(sign);
                    kept += part;
                    sign = '&';
                }
            }
        }
        Ok(Address { without_password: kept, password })
    }
}

/// A text whose `%40` stands for `@`.
fn decoded(text: &str) -> Result<String, String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let mut digit = || rest.next().and_then(|digit| char::from(digit).to_digit(16)).and_then(|digit| u8::try_from(digit).ok());
        let (Some(high), Some(low)) = (digit(), digit()) else {
            return Err("the password has a % that is followed by no two digits; write % as %25".into());
        };
        bytes.push(high * 16 + low);
    }
    String::from_utf8(bytes).ok().filter(|text| !text.contains('\0')).ok_or_else(|| "the password is no text".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(url: &str, without_password: &str, password: Option<&str>) {
        let expected = Address { without_password: without_password.into(), password: password.map(str::to_owned) };
        assert_eq!(Address::read(url), Ok(expected));
    }

    #[test]
    fn only_the_password_leaves_an_address() {
        check("postgres://h/db", "postgres://h/db", None);
        check("postgres://u:p%40%2F@h:5432/db?sslmode=require", "postgres://u@h:5432/db?sslmode=require", Some("p@/"));
        check("postgresql:///db?host=/run/pg&password=a%26b&sslmode=disable", "postgresql:///db?host=/run/pg&sslmode=disable", Some("a&b"));
        check("postgres://u@a:1,b:2/db?target_session_attrs=any", "postgres://u@a:1,b:2/db?target_session_attrs=any", None);
        check("postgres://h/db?user=a@b", "postgres://h/db?user=a@b", None);
        check("postgres://u:@h", "postgres://u@h", Some(""));
        check("postgres://u:a:b@h/d?password=last", "postgres://u@h/d", Some("last"));
    }

    #[test]
    fn a_password_that_would_be_seen_is_refused() {
        for url in
            ["postgres://u:p@ss@h/db", "postgres://u:a/b@h/db", "postgres://u:a?b@h/db", "postgres://u:%4@h", "postgres://h?sslpassword=x"]
        {
            let error = Address::read(url).unwrap_err();
            assert!(!error.contains("ss@") && !error.contains("a/b"), "{error}");
        }
    }
}
