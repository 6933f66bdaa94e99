//! Pictures as SVG, made on the server: bars by the hour, and a line of what comes next.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use maud::{Markup, html};

use super::values::grouped;
use crate::domain::time;
use crate::text::catalog::Words;

const HOUR: i64 = 3_600_000_000;
const WIDTH: i64 = 480;
const HEIGHT: i64 = 120;

/// A part of a bar: its class, and what it is called.
pub(super) type Kind = (&'static str, String);

/// Bars for the last 24 hours up to now, with several kinds in one bar.
pub(super) fn bars(words: Words, name: &str, now: Timestamp, hours: &BTreeMap<i64, Vec<(Kind, u64)>>) -> Markup {
    let last = time::to_micros(now).div_euclid(HOUR) * HOUR;
    let first = last - 23 * HOUR;
    let most = hours.range(first..=last).map(|(_, parts)| parts.iter().map(|(_, n)| n).sum::<u64>()).max().unwrap_or(0);
    let step = WIDTH / 24;
    let mut total: BTreeMap<&Kind, u64> = BTreeMap::new();
    hours.range(first..=last).flat_map(|(_, parts)| parts).for_each(|(kind, n)| *total.entry(kind).or_default() += n);
    let told: Vec<String> = total.iter().map(|((_, kind), n)| format!("{kind} {n}")).collect();
    let told = if told.is_empty() { words.say("overview-nothing").into_owned() } else { told.join(", ") };
    html! {
        svg.chart role="img" aria-label=(words.with("overview-chart", [("name", name.into()), ("told", told.into())])) viewBox={ "0 0 " (WIDTH) " " (HEIGHT + 18) } {
            line.axis x1="0" x2=(WIDTH) y1=(HEIGHT) y2=(HEIGHT) {}
            @for n in 0..24 {
                @let at = first + n * HOUR;
                @if let Some(parts) = hours.get(&at) { (stack(n * step, step, parts, most)) }
                @if n % 6 == 5 { text x=(n * step + step / 2) y=(HEIGHT + 14) { (23 - n) " h" } }
            }
        }
        ul.legend {
            @for ((class, kind), n) in &total { li class={ "kind " (class) } { (kind) " " b { (grouped(words.language(), &n.to_string())) } } }
            @if total.is_empty() { li { (words.say("overview-quiet")) } }
        }
    }
}

fn stack(x: i64, step: i64, parts: &[(Kind, u64)], most: u64) -> Markup {
    let mut top = HEIGHT as f64;
    let drawn: Vec<(&str, f64, f64)> = parts
        .iter()
        .map(|((kind, _), n)| {
            // What is there at all is seen.
            let height = (*n as f64 / most.max(1) as f64 * (HEIGHT - 6) as f64).max(2.0);
            top -= height;
            (*kind, top, height)
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
        svg.chart.timeline role="img" aria-label=(words.with("overview-due-by-tomorrow", [("n", within.len().into())])) viewBox={ "0 0 " (WIDTH) " 54" } {
            line.axis x1="0" x2=(WIDTH) y1="30" y2="30" {}
            @for hour in [0, 6, 12, 18, 24] {
                @let x = place(hour * 3_600);
                line.axis x1=(x) x2=(x) y1="26" y2="34" {}
                text x=(x.clamp(18, WIDTH - 24)) y="50" { @if hour == 0 { (words.say("overview-now")) } @else { "+" (hour) " h" } }
            }
            @for seconds in &within { circle.mark cx=(place(*seconds)) cy="30" r="6" {} }
        }
    }
}
