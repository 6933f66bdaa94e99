//! `mana-ai grant`

use std::io::Read;
use std::path::{Path, PathBuf};

use clap::Subcommand;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use zeroize::Zeroizing;

use super::{CommandResult, Context, Failure, output, parse_duration, parse_time, setup};
use crate::domain::ids::MissionId;
use crate::domain::time;
use crate::grants::{Derivation, Grant, MasterKey, Opened, PublicKey};

const LEAST: SignedDuration = SignedDuration::from_hours(1);
const MOST: SignedDuration = SignedDuration::from_hours(30 * 24);

#[derive(clap::Args)]
pub(super) struct GrantArgs {
    #[command(subcommand)]
    command: GrantCommand,
}

#[derive(Subcommand)]
enum GrantCommand {
    /// Derive a mission's key from a user's master key, wrap it for a server, and print the grant: for development,
    /// since a user's client does this by itself
    Issue(Issue),
    /// Tell what a grant covers, until when, and whether this server can use it; no key is printed
    Inspect(Inspect),
}

#[derive(clap::Args)]
struct Issue {
    /// File with the user's master key: 32 bytes, raw or as hex or base64
    #[arg(long, value_name = "FILE")]
    master_key: PathBuf,
    /// Id of the mission that may read
    #[arg(long, value_name = "ID")]
    mission: MissionId,
    /// A record that it may read; give it once for each
    #[arg(long = "record", value_name = "TABLE:ID", required = true, value_parser = parse_record)]
    records: Vec<(String, String)>,
    /// How long the grant is valid: from 1h to 30d
    #[arg(long, value_name = "TIME", default_value = "7d", value_parser = parse_duration)]
    ttl: SignedDuration,
    /// PEM file with the server's public key [default: the public half of MANA_AI_PRIVATE_KEY_PEM]
    #[arg(long, value_name = "FILE")]
    public_key: Option<PathBuf>,
}

#[derive(clap::Args)]
struct Inspect {
    /// The grant as JSON; - reads stdin
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// The mission that would use it [default: the one it is for]
    #[arg(long, value_name = "ID")]
    mission: Option<MissionId>,
    /// The time at which it would be used [default: now]
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    now: Option<Timestamp>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

pub(super) fn run(context: &Context, args: GrantArgs) -> CommandResult {
    match args.command {
        GrantCommand::Issue(args) => issue(context, args),
        GrantCommand::Inspect(args) => inspect(context, &args),
    }
}

fn issue(context: &Context, args: Issue) -> CommandResult {
    if args.ttl < LEAST || args.ttl > MOST {
        return Err(Failure::Usage("--ttl must be from 1h to 30d".into()));
    }
    let file = Zeroizing::new(std::fs::read(&args.master_key).map_err(|error| unreadable(&args.master_key, &error))?);
    let master = MasterKey::parse(&file)
        .ok_or_else(|| Failure::Failed(format!("{} must hold 32 bytes, raw or as hex or base64", args.master_key.display())))?;
    let mut tables: Vec<String> = args.records.iter().map(|(table, _)| table.clone()).collect();
    tables.sort();
    tables.dedup();
    let record_ids = args.records.iter().map(|(table, id)| format!("{table}:{id}")).collect();
    let derivation = Derivation { mission_id: args.mission, tables, record_ids };
    let mission_key = master.derive(&derivation);
    let wrapped = match (&args.public_key, setup::private_key(&context.config)?) {
        (Some(path), _) => mission_key.wrap(&public_key(path)?),
        (None, Some(private)) => mission_key.wrap(private.public()),
        (None, None) => {
            return Err(Failure::Usage("name the server's key: --public-key FILE, or MANA_AI_PRIVATE_KEY_PEM in the environment".into()));
        }
    };
    let issued_at = setup::now();
    let grant = Grant {
        wrapped_key: wrapped.ok_or_else(|| Failure::Failed("the server's key cannot wrap; it must be RSA of at least 2048 bits".into()))?,
        derivation,
        issued_at,
        expires_at: issued_at.checked_add(args.ttl).map_err(Failure::failed)?,
    };
    Ok(output::json_lines([grant.to_json()])?)
}

fn public_key(path: &Path) -> Result<PublicKey, Failure> {
    let pem = std::fs::read_to_string(path).map_err(|error| unreadable(path, &error))?;
    PublicKey::from_pem(&pem).map_err(|error| Failure::Failed(format!("{} is {error}", path.display())))
}

fn inspect(context: &Context, args: &Inspect) -> CommandResult {
    let text = read(&args.file)?;
    let value: Value =
        serde_json::from_str(&text).map_err(|error| Failure::Failed(format!("{} is not JSON: {error}", args.file.display())))?;
    let grant = Grant::read(&value).map_err(|error| Failure::Failed(format!("{} is {error}", args.file.display())))?;
    let Derivation { mission_id, tables, record_ids } = &grant.derivation;
    let private_key = setup::private_key(&context.config)?;
    let mission = args.mission.as_ref().unwrap_or(mission_id);
    let skip = Opened::open(&value, mission, private_key.as_ref(), None, args.now.unwrap_or_else(setup::now)).err();
    if args.json {
        return Ok(output::json_lines([json!({
            "missionId": mission_id, "tables": tables, "recordIds": record_ids, "issuedAt": time::iso_millis(grant.issued_at),
            "expiresAt": time::iso_millis(grant.expires_at), "usable": skip.is_none(), "reason": skip.map(|skip| skip.as_str()),
        })])?);
    }
    let usable = skip.map_or_else(|| "yes".to_owned(), |skip| format!("no: {skip}"));
    let rows = [
        ("Mission", mission_id.to_string()),
        ("Tables", tables.join(", ")),
        ("Records", record_ids.join(", ")),
        ("Issued", output::when(Some(grant.issued_at))),
        ("Expires", output::when(Some(grant.expires_at))),
        ("Usable here", usable),
    ];
    Ok(output::table(&["Grant", ""], rows.into_iter().map(|(name, value)| vec![name.to_owned(), value]).collect(), "")?)
}

fn read(file: &Path) -> Result<String, Failure> {
    let mut text = String::new();
    let outcome = if file == Path::new("-") {
        std::io::stdin().lock().read_to_string(&mut text).map(drop)
    } else {
        std::fs::read_to_string(file).map(|read| text = read)
    };
    outcome.map(|()| text).map_err(|error| unreadable(file, &error))
}

fn unreadable(path: &Path, error: &std::io::Error) -> Failure {
    Failure::Failed(format!("cannot read {}: {error}", path.display()))
}

fn parse_record(text: &str) -> Result<(String, String), String> {
    match text.split_once(':') {
        Some((table, id)) if !table.is_empty() && !id.is_empty() => Ok((table.into(), id.into())),
        _ => Err("not of the form table:id, such as notes:n1".into()),
    }
}
