//! Tables on standard output, remarks on standard error.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "printing is what this module is for"
)]

use std::time::Duration;

/// A table that is printed when it is complete.
pub(crate) struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    /// An empty one with these columns.
    pub(crate) fn new(columns: &[&str]) -> Self {
        Self {
            rows: vec![columns.iter().map(ToString::to_string).collect()],
        }
    }

    /// Adds a row.
    pub(crate) fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.rows.push(cells.into_iter().collect());
    }

    /// Prints it: the first column to the left, the others to the right.
    pub(crate) fn print(&self) {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let width = |column: usize| {
            let lengths = self.rows.iter().filter_map(|row| row.get(column));
            lengths.map(|cell| cell.chars().count()).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..columns).map(width).collect();
        for (number, row) in self.rows.iter().enumerate() {
            let cells: Vec<String> = row
                .iter()
                .zip(&widths)
                .enumerate()
                .map(|(column, (cell, width))| match column {
                    0 => format!("{cell:<width$}"),
                    _ => format!("{cell:>width$}"),
                })
                .collect();
            println!("  {}", cells.join("  ").trim_end());
            if number == 0 {
                let line: Vec<String> = widths.iter().map(|width| "-".repeat(*width)).collect();
                println!("  {}", line.join("  "));
            }
        }
        println!();
    }
}

/// What is measured against what it should be.
pub(crate) struct Targets {
    table: Table,
    met: bool,
}

impl Targets {
    /// None yet.
    pub(crate) fn new() -> Self {
        Self {
            table: Table::new(&["target", "measured", "wanted", "later", ""]),
            met: true,
        }
    }

    /// Smaller is better; `later` is what is wanted in the end.
    pub(crate) fn below(&mut self, what: &str, unit: &str, measured: f64, wanted: f64, later: Option<f64>) {
        // What is no number is not met either.
        let missed = measured.is_nan() || measured > wanted;
        self.met &= !missed;
        let verdict = match later {
            _ if missed => "MISSED",
            Some(later) if measured > later => "met, not yet the later one",
            _ => "met",
        };
        let number = |value: f64| format!("{}{unit}", short(value));
        self.table.row([
            what.to_owned(),
            number(measured),
            number(wanted),
            later.map(number).unwrap_or_default(),
            verdict.to_owned(),
        ]);
    }

    /// Prints them, if there are any, and says whether all are met.
    pub(crate) fn print(&self) -> bool {
        if self.table.rows.len() > 1 {
            self.table.print();
        }
        self.met
    }
}

fn short(value: f64) -> String {
    if value >= 100.0 {
        format!("{value:.0}")
    } else {
        format!("{value:.2}")
    }
}

/// Announces a benchmark.
pub(crate) fn title(text: &str) {
    println!("{text}\n");
}

/// A line of the report.
pub(crate) fn line(text: &str) {
    println!("  {text}");
}

/// Says what is going on, and what went wrong.
pub(crate) fn note(text: &str) {
    eprintln!("{text}");
}

/// Says what it is measured on, and whether something else runs there.
pub(crate) fn machine() {
    let read = |file: &str| std::fs::read_to_string(file).unwrap_or_default();
    let cpuinfo = read("/proc/cpuinfo");
    let model = cpuinfo
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(": "))
        .map_or("unknown processor", |(_, model)| model);
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let loadavg = read("/proc/loadavg");
    let load = loadavg.split(' ').next().unwrap_or_default();
    println!("{cores} × {model}, load {load} at the start\n");
}

/// The middle one, or the mean of the two in the middle.
pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let half = values.len() / 2;
    match values.len() {
        0 => f64::NAN,
        length if length % 2 == 1 => values[half],
        _ => f64::midpoint(values[half - 1], values[half]),
    }
}

/// Seconds, as shown.
pub(crate) fn seconds(time: Duration) -> String {
    format!("{:.2} s", time.as_secs_f64())
}

/// Bytes, as shown.
pub(crate) fn megabytes(bytes: f64) -> String {
    format!("{:.0} MB", bytes / 1e6)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle() {
        assert!((median(vec![3.0, 1.0, 2.0]) - 2.0).abs() < 1e-9);
        assert!((median(vec![4.0, 1.0, 2.0, 3.0]) - 2.5).abs() < 1e-9);
        assert!(median(Vec::new()).is_nan());
    }
}
