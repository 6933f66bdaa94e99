//! Samples, percentiles and tables, for the benchmarks and the load generator.
#![allow(dead_code)]

pub mod world;

use std::time::{Duration, Instant};

use comfy_table::{CellAlignment, Table, presets::ASCII_MARKDOWN};

/// Times of one thing done many times, in ascending order.
pub struct Samples(Vec<Duration>);

impl Samples {
    pub fn new(mut times: Vec<Duration>) -> Self {
        times.sort_unstable();
        Samples(times)
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// The time that this part of the samples stays within: 0.5 is the median.
    pub fn at(&self, part: f64) -> Duration {
        self.0[((self.0.len() - 1) as f64 * part).round() as usize]
    }

    pub fn median(&self) -> Duration {
        self.at(0.5)
    }

    pub fn max(&self) -> Duration {
        self.at(1.0)
    }
}

/// Does something over and over, for about `budget` and at least five times, after one time that does not count. What is
/// too quick for the clock is timed in batches.
pub fn sample(budget: Duration, mut once: impl FnMut()) -> Samples {
    let timed = |batch: u32, once: &mut dyn FnMut()| {
        let started = Instant::now();
        (0..batch).for_each(|_| once());
        started.elapsed() / batch
    };
    let first = timed(1, &mut once).max(Duration::from_nanos(1));
    let batch = u32::try_from(Duration::from_micros(50).as_nanos() / first.as_nanos()).unwrap_or(u32::MAX).max(1);
    let started = Instant::now();
    let mut times = Vec::new();
    while times.len() < 5 || (started.elapsed() < budget && times.len() < 20_000) {
        times.push(timed(batch, &mut once));
    }
    Samples::new(times)
}

/// A table of measurements.
pub struct Report {
    table: Table,
}

impl Report {
    pub fn new(title: &str, header: &[&str]) -> Self {
        println!("\n{title}\n");
        let mut table = Table::new();
        table.load_style(ASCII_MARKDOWN).set_header(header.iter().copied());
        table.column_iter_mut().skip(1).for_each(|column| column.set_cell_alignment(CellAlignment::Right));
        Report { table }
    }

    pub fn row(&mut self, cells: &[String]) {
        self.table.add_row(cells);
    }

    /// A row of percentiles, with a last cell of its own.
    pub fn samples(&mut self, name: &str, samples: &Samples, last: String) {
        let [p50, p95, p99, max] = [0.5, 0.95, 0.99, 1.0].map(|part| shown(samples.at(part)));
        self.row(&[name.to_owned(), samples.len().to_string(), p50, p95, p99, max, last]);
    }

    pub fn print(self) {
        println!("{}", self.table);
    }
}

/// The header of [`Report::samples`].
pub fn percentiles(last: &'static str) -> [&'static str; 7] {
    ["", "samples", "p50", "p95", "p99", "max", last]
}

/// A time with three digits and its unit.
pub fn shown(time: Duration) -> String {
    let nanos = time.as_nanos() as f64;
    let (value, unit) = match nanos {
        n if n < 1e3 => (n, "ns"),
        n if n < 1e6 => (n / 1e3, "µs"),
        n if n < 1e9 => (n / 1e6, "ms"),
        n => (n / 1e9, "s"),
    };
    let digits = if value < 10.0 { 2 } else { usize::from(value < 100.0) };
    format!("{value:.digits$} {unit}")
}

/// How many times `a` is as long as `b`.
pub fn ratio(a: Duration, b: Duration) -> f64 {
    a.as_secs_f64() / b.as_secs_f64().max(f64::MIN_POSITIVE)
}

/// A whole number with a separator at each thousand.
pub fn grouped(number: impl TryInto<u64>) -> String {
    let digits = number.try_into().unwrap_or(u64::MAX).to_string();
    let with_gap = |(n, digit): (usize, char)| {
        let gap = n > 0 && (digits.len() - n).is_multiple_of(3);
        gap.then_some(',').into_iter().chain([digit])
    };
    digits.chars().enumerate().flat_map(with_gap).collect()
}

/// The high-water mark of resident memory of a process, and what is resident now, in MB.
pub fn memory_mb(process: u32) -> (f64, f64) {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).expect("the process lives");
    let field = |name: &str| -> f64 {
        let line = status.lines().find(|line| line.starts_with(name)).expect("a known field");
        line.split_whitespace().nth(1).and_then(|kb| kb.parse::<f64>().ok()).expect("a number") / 1024.0
    };
    (field("VmHWM"), field("VmRSS"))
}

/// A size from the environment, so that a quick look is possible.
pub fn number(variable: &str, default: u64) -> u64 {
    std::env::var(variable).ok().and_then(|value| value.parse().ok()).unwrap_or(default)
}
