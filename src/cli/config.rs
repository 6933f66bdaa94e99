//! `mana-ai config`

use serde_json::json;

use super::{CommandResult, Context, output};

#[derive(clap::Args)]
pub(super) struct ConfigArgs {
    /// Print one JSON object per line
    #[arg(long)]
    json: bool,
}

pub(super) fn run(context: &Context, args: &ConfigArgs) -> CommandResult {
    let in_force = context.raw.in_force();
    if args.json {
        let line = |(setting, value, source): &(&crate::config::Setting, Option<String>, crate::config::SettingSource)| json!({"key": setting.key, "variable": setting.variable, "value": value, "source": source.to_string()});
        return Ok(output::json_lines(in_force.iter().map(line))?);
    }
    let rows = in_force
        .into_iter()
        .map(|(setting, value, source)| {
            let value = value.filter(|v| !v.is_empty()).unwrap_or_else(|| "(none)".into());
            vec![setting.key.to_owned(), value, source.to_string(), setting.variable.to_owned()]
        })
        .collect();
    Ok(output::table(&["Setting", "In force", "From", "Variable"], rows, "")?)
}
