//! `mana-ai people`

use std::io::Write;

use clap::Subcommand;
use serde_json::json;

use super::{CommandResult, Context, Failure, output, setup};
use crate::domain::ids::UserId;
use crate::domain::person::PersonRole;
use crate::domain::time;
use crate::store::{Person, RemovalStart, RoleChange};

/// People that are listed at most.
const LISTED: u32 = 10_000;

#[derive(clap::Args)]
pub(super) struct PeopleArgs {
    #[command(subcommand)]
    command: PeopleCommand,
}

#[derive(Subcommand)]
enum PeopleCommand {
    /// List who uses the server, and who administers it
    List(ListPeople),
    /// Let somebody administer the server, or no longer
    Role(RoleArgs),
    /// Remove somebody with everything they own, for good
    Remove(RemoveArgs),
}

#[derive(clap::Args)]
struct ListPeople {
    /// Print one JSON object per line
    #[arg(long)]
    json: bool,
}

#[derive(clap::Args)]
struct RoleArgs {
    /// Id of the user
    user: UserId,
    /// admin or member
    #[arg(value_parser = |name: &str| PersonRole::parse(name).ok_or("must be admin or member"))]
    role: PersonRole,
}

#[derive(clap::Args)]
struct RemoveArgs {
    /// Id of the user
    user: UserId,
    /// Do it: missions, agents, records, history and sessions are gone then
    #[arg(long)]
    yes: bool,
}

const NO_PERSON: &str = "there is no such person";
const LAST_ADMIN: &str = "somebody has to administer the server; make somebody else an admin first";

pub(super) async fn run(context: Context, args: PeopleArgs) -> CommandResult {
    let operator = setup::operator(&context.config).await?;
    match args.command {
        PeopleCommand::List(args) => {
            let people = operator.people(LISTED).await?;
            let joined = |person: &Person| person.joined_at.map(time::iso_millis);
            if args.json {
                let line = |person: &Person| json!({"userId": person.user, "role": person.role.as_str(), "addedAt": time::iso_millis(person.added_at), "joinedAt": joined(person)});
                return Ok(output::json_lines(people.iter().map(line))?);
            }
            let row = |person: &Person| {
                vec![person.user.to_string(), person.role.as_str().into(), joined(person).unwrap_or_else(|| "never signed in".into())]
            };
            Ok(output::table(&["User", "Role", "Since"], people.iter().map(row).collect(), "Nobody has signed in yet.")?)
        }
        PeopleCommand::Role(RoleArgs { user, role }) => match operator.set_role(&user, role).await? {
            RoleChange::Changed => Ok(()),
            RoleChange::NoPerson => Err(Failure::Failed(NO_PERSON.into())),
            RoleChange::LastAdmin => Err(Failure::Failed(LAST_ADMIN.into())),
        },
        PeopleCommand::Remove(RemoveArgs { yes: false, .. }) => {
            Err(Failure::Failed("this deletes everything of theirs and cannot be undone; add --yes to do it. Nothing was changed".into()))
        }
        PeopleCommand::Remove(RemoveArgs { user, yes: true }) => match operator.remove_person(&user).await? {
            (RemovalStart::Begun, rows) => {
                let mut out = output::stdout();
                writeln!(out, "{user} is removed, with {rows} rows")?;
                Ok(out.flush()?)
            }
            (RemovalStart::NoPerson, _) => Err(Failure::Failed(NO_PERSON.into())),
            (RemovalStart::LastAdmin, _) => Err(Failure::Failed(LAST_ADMIN.into())),
        },
    }
}
