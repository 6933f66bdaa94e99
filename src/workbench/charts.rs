//! Pictures as SVG, made on the server: bars by the hour, and a line of what comes next.

use std::borrow::Cow;
use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use maud::{Markup, html};

use crate::domain::time;
use crate::text::catalog::Words;

const HOUR: i64 = 3_600_000_000;
const WIDTH: i64 = 480;
const HEIGHT: i64 = 120;

/// Bars for the last 24 hours up to now, with several kinds in one bar; each kind has its class.
pub(super) fn bars(words: Words, name: &str, now: Timestamp, hours: &BTreeMap<i64, Vec<(String, u64)>>) -> Markup {
    let last = time::to_micros(now).div_euclid(HOUR) * HOUR;
    let first = last - 23 * HOUR;
    let most = hours.range(first..=last).map(|(_, parts)| parts.iter().map(|(_, n)| n).sum::<u64>()).max().unwrap_or(0);
    let step = WIDTH / 24;
    let mut total: BTreeMap<&str, u64> = BTreeMap::new();
    hours.range(first..=last).flat_map(|(_, parts)| parts).for_each(|(kind, n)| *total.entry(kind).or_default() += n);
    let told: Vec<String> = total.iter().map(|(kind, n)| format!("{}: {n}", kind_told(words, kind))).collect();
    let told = if told.is_empty() { words.say("insights-day-empty").into() } else { told.join(", ") };
    html! {
        svg.chart role="img" aria-label=(words.with("insights-day", [("name", name.into()), ("told", told.into())])) viewBox={ "0 0 " (WIDTH) " " (HEIGHT + 18) } {
            line.axis x1="0" x2=(WIDTH) y1=(HEIGHT) y2=(HEIGHT) {}
            @for n in 0..24 {
                @let at = first + n * HOUR;
                @if let Some(parts) = hours.get(&at) { (stack(n * step, step, parts, most)) }
                @if n % 6 == 5 { text x=(n * step + step / 2) y=(HEIGHT + 14) { (23 - n) " h" } }
            }
        }
        ul.legend {
            @for (kind, n) in &total { li class={ "kind " (kind) } { (kind_told(words, kind)) " " b { (n) } } }
            @if total.is_empty() { li { (words.say("insights-day-empty")) } }
        }
    }
}

/// What was counted, in words.
fn kind_told(words: Words, kind: &str) -> Cow<'_, str> {
    words.say(match kind {
        "ran" => "insights-ran",
        "skipped-archived" => "insights-skipped-archived",
        "skipped-paused" => "insights-skipped-paused",
        "skipped-concurrency" => "insights-skipped-concurrency",
        "skipped-budget" => "insights-skipped-budget",
        "skipped-review" => "insights-skipped-review",
        "tokens" => "insights-tokens",
        _ => return kind.into(),
    })
}

fn stack(x: i64, step: i64, parts: &[(String, u64)], most: u64) -> Markup {
    let mut top = HEIGHT as f64;
    let drawn: Vec<(&str, f64, f64)> = parts
        .iter()
        .map(|(kind, n)| {
            // What is there at all is seen.
            let height = (*n as f64 / most.max(1) as f64 * (HEIGHT - 6) as f64).max(2.0);
            top -= height;
            (kind.as_str(), top, height)
        })
        .collect();
    html! {
        @for (kind, y, height) in drawn {
            rect class={ "kind " (kind) } x=(x + 2) y=(format!("{y:.1}")) width=(step - 4) height=(format!("{height:.1}")) rx="2" {}
        }
    }
}

/// The next day as a line, with a mark for each time.
pub(super) fn timeline(words: Words, now: Timestamp, times: &[Timestamp]) -> Markup {
    let day = SignedDuration::from_hours(24).as_secs();
    let within: Vec<i64> = times.iter().map(|at| at.duration_since(now).as_secs().max(0)).filter(|seconds| *seconds <= day).collect();
    let place = |seconds: i64| 6 + seconds * (WIDTH - 12) / day;
    html! {
        svg.chart.timeline role="img" aria-label=(words.with("insights-due", [("count", within.len().into())])) viewBox={ "0 0 " (WIDTH) " 54" } {
            line.axis x1="0" x2=(WIDTH) y1="30" y2="30" {}
            @for hour in [0, 6, 12, 18, 24] {
                @let x = place(hour * 3_600);
                line.axis x1=(x) x2=(x) y1="26" y2="34" {}
                text x=(x.clamp(18, WIDTH - 24)) y="50" { @if hour == 0 { (words.say("insights-now")) } @else { "+" (hour) " h" } }
            }
            @for seconds in &within { circle.mark cx=(place(*seconds)) cy="30" r="6" {} }
        }
    }
}
