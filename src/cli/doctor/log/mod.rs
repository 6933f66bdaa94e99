//! `mana-ai doctor --database`: looks at a log before it moves here, and tells what will not work.
//!
//! It reads what `import` would read, from a file, from stdin or out of a Postgres, and writes nothing. It needs no
//! installation; only whether grants open is asked of the private key that is configured, where one is.

mod seen;
mod source;
mod survey;

use std::io::BufReader;

use jiff::Timestamp;

use self::source::LogSource;
use self::survey::Survey;
use super::super::setup;
use super::{Diagnosis, outcome, show};
use crate::cli::{CommandResult, Failure};
use crate::exchange::{self, ImportError, Reading};
use crate::grants::PrivateKey;

pub(super) async fn run(database: String, key: Option<PrivateKey>, as_json: bool) -> CommandResult {
    let source = source::open(&database)?;
    let now = setup::now();
    let findings = tokio::task::spawn_blocking(move || look(source, key.as_ref(), now)).await.map_err(Failure::failed)?;
    for (name, finding) in &findings {
        show(name, finding, as_json)?;
    }
    outcome(findings.iter().map(|(_, finding)| finding))
}

/// Reads the whole log; where it cannot be read to its end, that comes first.
fn look(source: LogSource, key: Option<&PrivateKey>, now: Timestamp) -> Vec<(&'static str, Diagnosis)> {
    let LogSource { file, progress, client } = source;
    let mut survey = Survey::new(now);
    let read = read(BufReader::with_capacity(256 * 1024, file), &mut survey);
    progress.finish_and_clear();
    // A client that failed gave too little, which a reader cannot know.
    let failed = client.and_then(|client| client.end().err());
    let broken = failed.or_else(|| read.err().map(|error| broken(&error)));
    match broken {
        Some(finding) if survey.is_empty() => vec![("source", finding)],
        broken => broken.into_iter().map(|finding| ("source", finding)).chain(survey.findings(key)).collect(),
    }
}

fn read(file: BufReader<Box<dyn std::io::Read + Send>>, survey: &mut Survey) -> Result<(), ImportError> {
    let Reading { changes, unknown } = exchange::read_rows(Box::new(file))?;
    survey.unknown_columns(unknown);
    for row in changes {
        match row {
            Ok(row) => survey.row(row),
            Err(ImportError::Line(bad)) => survey.bad_line(&bad),
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Why the log could not be read to its end.
fn broken(error: &ImportError) -> Diagnosis {
    match error {
        ImportError::Line(bad) => Diagnosis::fail(bad, "name a file in one of these forms"),
        ImportError::Broken(bad) => {
            Diagnosis::fail(bad, "correct that line; what comes after it cannot be told apart, and was not looked at")
        }
        error => Diagnosis::fail(
            format!("it cannot be read to its end: {error}"),
            "look at the file and its disk; what was read so far is below",
        ),
    }
}
