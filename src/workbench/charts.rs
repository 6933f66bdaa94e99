//! Pictures as SVG, made on the server: bars by the hour or the day, and a line of what comes next.

use std::collections::BTreeMap;

use jiff::civil::Date;
use jiff::{SignedDuration, Timestamp, ToSpan};
use maud::{Markup, html};

use super::values::{grouped, short_day};
use crate::domain::time;
use crate::text::catalog::Words;

const HOUR: i64 = 3_600_000_000;
const WIDTH: i64 = 480;
const HEIGHT: i64 = 120;

/// A part of a bar: its class, and what it is called.
pub(super) type Kind = (&'static str, String);

/// The parts of bars, by the hour or the day.
pub(super) type BarParts = BTreeMap<i64, Vec<(Kind, u64)>>;

/// Bars for the last 24 hours up to now, with several kinds in one bar.
pub(super) fn bars(words: Words, name: &str, now: Timestamp, hours: &BarParts) -> Markup {
    let last = time::to_micros(now).div_euclid(HOUR) * HOUR;
    let slots = (0..24).map(|n| (last - (23 - n) * HOUR, (n % 6 == 5).then(|| format!("{} h", 23 - n))));
    let said = |told: String| words.with("overview-chart", [("name", name.into()), ("told", told.into())]);
    columns(words, hours, &slots.collect::<Vec<_>>(), said, &words.say("overview-quiet"))
}

/// Bars for some days up to the last, which is counted from 1970.
pub(super) fn day_bars(words: Words, name: &str, last: i64, count: i64, days: &BarParts) -> Markup {
    let every = match count {
        ..=7 => 1,
        8..=30 => 7,
        _ => 30,
    };
    let label = |day: i64| ((last - day) % every == 0).then(|| date_of(day).map(|date| short_day(words.language(), date))).flatten();
    let slots: Vec<_> = (last - count + 1..=last).map(|day| (day, label(day))).collect();
    let said = |told: String| words.with("insights-chart", [("name", name.into()), ("days", count.into()), ("told", told.into())]);
    columns(words, days, &slots, said, &words.say("insights-quiet"))
}

/// A day that is counted from 1970.
pub(super) fn date_of(day: i64) -> Option<Date> {
    Date::constant(1970, 1, 1).checked_add(day.days()).ok()
}

fn columns(words: Words, parts: &BarParts, slots: &[(i64, Option<String>)], said: impl Fn(String) -> String, quiet: &str) -> Markup {
    let (Some((first, _)), Some((last, _))) = (slots.first(), slots.last()) else { return Markup::default() };
    let shown = || parts.range(first..=last).map(|(_, parts)| parts);
    let most = shown().map(|parts| parts.iter().map(|(_, n)| n).sum::<u64>()).max().unwrap_or(0);
    let step = WIDTH / i64::try_from(slots.len()).unwrap_or(WIDTH).clamp(1, WIDTH);
    let mut total: BTreeMap<&Kind, u64> = BTreeMap::new();
    shown().flatten().for_each(|(kind, n)| *total.entry(kind).or_default() += n);
    let told: Vec<String> = total.iter().map(|((_, kind), n)| format!("{kind} {n}")).collect();
    let told = if told.is_empty() { words.say("overview-nothing").into_owned() } else { told.join(", ") };
    html! {
        svg.chart role="img" aria-label=(said(told)) viewBox={ "0 0 " (WIDTH) " " (HEIGHT + 18) } {
            line.axis x1="0" x2=(WIDTH) y1=(HEIGHT) y2=(HEIGHT) {}
            @for (n, (at, label)) in (0..).zip(slots) {
                @if let Some(parts) = parts.get(at) { (stack(n * step, step, parts, most)) }
                @if let Some(label) = label { text x=((n * step + step / 2).clamp(32, WIDTH - 32)) y=(HEIGHT + 14) { (label) } }
            }
        }
        ul.legend {
            @for ((class, kind), n) in &total { li class={ "kind " (class) } { (kind) " " b { (grouped(words.language(), &n.to_string())) } } }
            @if total.is_empty() { li { (quiet) } }
        }
    }
}

fn stack(x: i64, step: i64, parts: &[(Kind, u64)], most: u64) -> Markup {
    let mut top = HEIGHT as f64;
    let gap = (step / 8).max(1);
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
            rect class={ "kind " (kind) } x=(x + gap) y=(format!("{y:.1}")) width=((step - 2 * gap).max(1)) height=(format!("{height:.1}")) rx="2" {}
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
                text x=(x.clamp(26, WIDTH - 32)) y="50" { @if hour == 0 { (words.say("overview-now")) } @else { "+" (hour) " h" } }
            }
            @for seconds in &within { circle.mark cx=(place(*seconds)) cy="30" r="6" {} }
        }
    }
}
