//! A configuration file to start from: every setting with what it is, those that were chosen set, the others commented out.

use std::fmt::Write;

use super::settings::SETTINGS;

/// Writes the file; `chosen` gives the settings that are set, by key.
pub fn template(chosen: &[(&'static str, String)]) -> String {
    let mut file = String::from(
        "# Settings of mana-ai. A flag or an environment variable beats what stands here.\n\
         # `mana-ai config` shows what is in force, `mana-ai doctor` whether it works.\n",
    );
    for setting in SETTINGS {
        let value = chosen.iter().find(|(key, _)| *key == setting.key).map(|(_, value)| value.as_str());
        let mark = if value.is_some() { "" } else { "# " };
        let text = plain(value.or(setting.default).unwrap_or_default());
        // Writing into a text cannot fail.
        let _ = write!(file, "\n# {}.\n# Variable: {}\n{mark}{} = {text}\n", setting.help, setting.variable, setting.key);
    }
    file
}

/// A number or a switch as such, anything else as a text.
fn plain(value: &str) -> toml::Value {
    let number = value.parse().map(toml::Value::Integer).ok();
    let plain = number.or_else(|| value.parse().map(toml::Value::Boolean).ok()).filter(|plain| plain.to_string() == value);
    plain.unwrap_or_else(|| toml::Value::String(value.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_file_has_every_setting_and_keeps_any_value() {
        let odd = "a \"quoted\" \\ value\nof two lines";
        let file = template(&[("llm_model", odd.into())]);
        let table: toml::Table = file.parse().unwrap();
        assert_eq!(table.len(), 1);
        assert_eq!(table["llm_model"].as_str(), Some(odd));
        for setting in SETTINGS {
            let others = file.replace(&format!("\n# {} = ", setting.key), &format!("\n{} = ", setting.key));
            assert!(others.parse::<toml::Table>().unwrap().contains_key(setting.key), "{}", setting.key);
        }
    }
}
