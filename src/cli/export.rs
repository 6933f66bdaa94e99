//! `mana-ai export`

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::PathBuf;

use clap::ValueEnum;

use super::{CommandResult, Context, Failure, output, setup};
use crate::app::{ExportOf, Operator};
use crate::domain::ids::UserId;
use crate::domain::raw::Raw;
use crate::durable;
use crate::exchange::{self, Packer, Packing};
use crate::store::{LogRow, RowFilter, SetAside};
use crate::text::escaped;

#[derive(clap::Args)]
pub(super) struct ExportArgs {
    /// Only changes of this user
    #[arg(long)]
    user: Option<UserId>,
    /// Only changes of this app
    #[arg(long)]
    app: Option<String>,
    /// Only changes of this table
    #[arg(long)]
    table: Option<String>,
    /// jsonl, or csv that Postgres takes with COPY … FROM … (FORMAT csv, HEADER)
    #[arg(long, value_enum, default_value_t = Format::Jsonl, hide_possible_values = true)]
    format: Format,
    /// Write a new file in place of stdout; one that ends in .gz or .zst is compressed
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
}

#[derive(Clone, Copy, PartialEq, ValueEnum)]
enum Format {
    Jsonl,
    Csv,
}

pub(super) async fn run(context: Context, args: ExportArgs) -> CommandResult {
    let operator = setup::operator(&context.config).await?;
    let filter = RowFilter { user: args.user, app: args.app, table: args.table };
    let Some(path) = args.output else { return write(&operator, filter, args.format, None).await };
    let failed = |error: io::Error| Failure::Failed(format!("cannot write {}: {error}", path.display()));
    if path.exists() {
        return Err(Failure::Failed(format!("{} is there already; choose another name", path.display())));
    }
    // Under its name there is a whole export or none.
    let draft = durable::draft_of(&path);
    let file = File::options().write(true).create_new(true).open(&draft).map_err(failed)?;
    let packer = Packer::new(BufWriter::new(file), Packing::of(&path)).map_err(failed)?;
    let written = to_file(&operator, filter, args.format, packer).await;
    let put = match written {
        Ok(()) => durable::put(&draft, &path).map_err(failed),
        Err(error) => Err(error),
    };
    if put.is_err() {
        let _ = std::fs::remove_file(&draft);
    }
    put
}

type ToFile = Packer<BufWriter<File>>;

async fn to_file(operator: &Operator, filter: RowFilter, format: Format, mut file: ToFile) -> CommandResult {
    write(operator, filter, format, Some(&mut file)).await?;
    let file = file.finish()?.into_inner().map_err(io::IntoInnerError::into_error)?;
    Ok(file.sync_all()?)
}

/// Writes the rows to a file, or to stdout.
async fn write(operator: &Operator, filter: RowFilter, format: Format, mut file: Option<&mut ToFile>) -> CommandResult {
    let mut to = |text: &dyn Fn(&mut dyn Write) -> io::Result<()>| match &mut file {
        Some(file) => text(file),
        None => {
            let mut out = output::raw_stdout();
            text(&mut out)?;
            out.flush()
        }
    };
    if format == Format::Csv {
        to(&|out| writeln!(out, "{}", exchange::header()))?;
    }
    let of = if format == Format::Csv { ExportOf::Bytes } else { ExportOf::Contents };
    operator.export(filter, of, |rows| Ok(to(&|out| rows.iter().try_for_each(|row| line(out, row, format)))?)).await
}

fn line(out: &mut dyn Write, row: &Result<LogRow, SetAside>, format: Format) -> io::Result<()> {
    match (row, format) {
        (Ok(row), Format::Jsonl) => writeln!(out, "{}", escaped(Raw::of(&row.change).get())),
        (Ok(row), Format::Csv) => writeln!(out, "{}", exchange::row(&row.change)),
        // An import would refuse it.
        (Err(set_aside), _) => {
            output::say(format_args!("not exported: {set_aside}"));
            Ok(())
        }
    }
}
