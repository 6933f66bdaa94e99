//! Time zones by name, whatever zone files the system has (docs/design.md, section 6).

use jiff::tz::{TimeZone, TimeZoneDatabase};
use strsim::levenshtein;

/// The zone of an IANA name. The system's own files come first, since they may be newer; names that it left out, such as
/// the old `US/Pacific`, are in the database that comes with the program.
pub fn find(name: &str) -> Option<TimeZone> {
    let name = name.trim();
    // The default needs no look through the files of the system, which takes a fifth of a short command.
    if name == "UTC" {
        return Some(TimeZone::UTC);
    }
    TimeZone::get(name).ok().or_else(|| TimeZoneDatabase::bundled().get(name).ok())
}

/// The zone that somebody probably meant: the same name but for case, blanks and underscores, its last part, or one that is
/// a slip away.
pub fn suggest(name: &str) -> Option<String> {
    let wanted = plain(name);
    if wanted.is_empty() || wanted.len() > LONGEST {
        return None;
    }
    let last = |zone: &str| plain(zone.rsplit('/').next().unwrap_or(zone));
    let zones: Vec<String> = TimeZoneDatabase::bundled().available().map(|zone| zone.as_str().to_owned()).collect();
    let given_last = plain(name.trim().rsplit('/').next().unwrap_or(name));
    let same = |zone: &&String| plain(zone) == wanted || last(zone) == wanted || last(zone) == given_last;
    // The short names of regions are links that are kept for old programs.
    let preferred = |zone: &&String| (!zone.contains('/'), zone.len());
    if let Some(zone) = zones.iter().filter(same).min_by_key(preferred) {
        return Some(zone.clone());
    }
    let distance = |zone: &String| levenshtein(&plain(zone), &wanted).min(levenshtein(&last(zone), &given_last));
    zones
        .iter()
        .map(|zone| (distance(zone), zone))
        .filter(|(distance, _)| *distance <= SLIPS && distance * 4 <= given_last.len())
        .min()
        .map(|(_, zone)| zone.clone())
}

/// Characters of the longest name that is compared.
const LONGEST: usize = 60;
/// Letters that may differ, of at least four times as many.
const SLIPS: usize = 2;

fn plain(name: &str) -> String {
    name.chars().filter(|c| !c.is_whitespace() && *c != '_' && *c != '-').flat_map(char::to_lowercase).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn old_names_are_zones_too() {
        for name in ["Europe/Berlin", "US/Pacific", "Asia/Calcutta", "GMT", " UTC "] {
            assert!(find(name).is_some(), "{name}");
        }
        for name in ["Berlin", "Mars/Olympus", "", "+02:00"] {
            assert!(find(name).is_none(), "{name}");
        }
    }

    #[test]
    fn a_near_miss_gets_a_suggestion() {
        for (name, expected) in [
            ("Berlin", Some("Europe/Berlin")),
            ("europe/berlin", Some("Europe/Berlin")),
            ("Europe/Berln", Some("Europe/Berlin")),
            ("Germany/Berlin", Some("Europe/Berlin")),
            ("new york", Some("America/New_York")),
            ("America/NewYork", Some("America/New_York")),
            ("Mars/Olympus Mons", None),
            ("", None),
        ] {
            assert_eq!(suggest(name).as_deref(), expected, "{name}");
        }
        assert_eq!(suggest(&"x".repeat(100_000)), None);
    }
}
