//! Medians and spread of what was measured, as a table for people and as JSON for scripts.

use std::fmt::Write as _;
use std::io::Write as _;

use serde::Serialize;

use crate::error::{BenchError, io};
use crate::process::Cost;
use crate::stage::Profile;

/// One round of one contender.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Round {
    pub(crate) cpu_s: f64,
    /// `None` for a run that moved no rows.
    pub(crate) cpu_s_per_million_rows: Option<f64>,
    pub(crate) peak_bytes: u64,
    pub(crate) wall_s: f64,
    /// `None` for a run that moved no rows.
    pub(crate) rows_per_s: Option<f64>,
    /// CPU seconds of the emulator during this round: what the server cost.
    pub(crate) server_cpu_s: f64,
}

impl Round {
    pub(crate) fn of(cost: Cost, rows: u64, server_cpu_s: f64) -> Self {
        #[expect(clippy::cast_precision_loss, reason = "row counts are far below 2^52")]
        let rows = Some(rows as f64).filter(|rows| *rows > 0.0);
        Self {
            cpu_s: cost.cpu_s,
            cpu_s_per_million_rows: rows.map(|rows| cost.cpu_s / rows * 1e6),
            peak_bytes: cost.peak_bytes,
            wall_s: cost.wall_s,
            rows_per_s: rows.map(|rows| rows / cost.wall_s),
            server_cpu_s,
        }
    }
}

/// The middle, the least and the greatest of several rounds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(crate) struct Spread {
    pub(crate) median: f64,
    pub(crate) min: f64,
    pub(crate) max: f64,
}

impl Spread {
    /// Returns `None` when no round has the figure.
    fn of(rounds: &[Round], figure: impl Fn(&Round) -> Option<f64>) -> Option<Self> {
        let mut sorted: Vec<f64> = rounds.iter().filter_map(figure).collect();
        sorted.sort_by(f64::total_cmp);
        let middle = sorted.len() / 2;
        let upper = *sorted.get(middle)?;
        let even = sorted.len().is_multiple_of(2);
        let lower = if even { *sorted.get(middle.checked_sub(1)?)? } else { upper };
        Some(Self {
            median: f64::midpoint(lower, upper),
            min: *sorted.first()?,
            max: *sorted.last()?,
        })
    }
}

/// All rounds of one contender and what they come to.
#[derive(Debug, Serialize)]
pub(crate) struct Result {
    pub(crate) contender: String,
    cpu_s: Option<Spread>,
    cpu_s_per_million_rows: Option<Spread>,
    peak_bytes: Option<Spread>,
    wall_s: Option<Spread>,
    rows_per_s: Option<Spread>,
    server_cpu_s: Option<Spread>,
    rounds: Vec<Round>,
}

impl Result {
    pub(crate) fn of(contender: &str, rounds: Vec<Round>) -> Self {
        #[expect(clippy::cast_precision_loss, reason = "memory sizes are far below 2^52")]
        let peak_bytes = Spread::of(&rounds, |round| Some(round.peak_bytes as f64));
        Self {
            contender: contender.to_owned(),
            cpu_s: Spread::of(&rounds, |round| Some(round.cpu_s)),
            cpu_s_per_million_rows: Spread::of(&rounds, |round| round.cpu_s_per_million_rows),
            peak_bytes,
            wall_s: Spread::of(&rounds, |round| Some(round.wall_s)),
            rows_per_s: Spread::of(&rounds, |round| round.rows_per_s),
            server_cpu_s: Spread::of(&rounds, |round| Some(round.server_cpu_s)),
            rounds,
        }
    }
}

/// Everything that was measured and under which conditions.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    pub(crate) rows: u64,
    pub(crate) rounds: u32,
    pub(crate) profile: String,
    pub(crate) cores: usize,
    pub(crate) results: Vec<Result>,
}

impl Report {
    pub(crate) fn of(rows: u64, rounds: u32, profile: Profile, results: Vec<Result>) -> Self {
        let cores = std::thread::available_parallelism().map_or(0, usize::from);
        Self { rows, rounds, profile: profile.name().to_owned(), cores, results }
    }

    /// Prints to standard output, as JSON or as the table for people.
    pub(crate) fn print(&self, json: bool) -> std::result::Result<(), BenchError> {
        let text = if json {
            let text = serde_json::to_string_pretty(self);
            text.map_err(|error| io("write the report as JSON")(error.into()))?
        } else {
            self.table()
        };
        writeln!(std::io::stdout(), "{}", text.trim_end()).map_err(io("print the figures"))
    }

    /// The table for people: medians, least and greatest in parentheses.
    pub(crate) fn table(&self) -> String {
        let mut text = format!(
            "{} rows, rounds: {} after one that does not count, profile {}, {} cores\n\
             median (least–greatest)\n\n",
            self.rows, self.rounds, self.profile, self.cores
        );
        let head =
            ["", "CPU s", "CPU s / 1M rows", "peak MB", "wall s", "1000 rows/s", "server CPU s"];
        line(&mut text, &head.map(ToOwned::to_owned));
        for result in &self.results {
            let cells = [
                result.contender.clone(),
                cell(result.cpu_s, 1.0, 2),
                cell(result.cpu_s_per_million_rows, 1.0, 2),
                cell(result.peak_bytes, 1e6, 0),
                cell(result.wall_s, 1.0, 2),
                cell(result.rows_per_s, 1e3, 0),
                cell(result.server_cpu_s, 1.0, 2),
            ];
            line(&mut text, &cells);
        }
        text
    }
}

fn line(text: &mut String, cells: &[String; 7]) {
    let [name, figures @ ..] = cells;
    let _ = write!(text, "{name:<24}");
    for figure in figures {
        let _ = write!(text, " {figure:>22}");
    }
    text.push('\n');
}

fn cell(spread: Option<Spread>, unit: f64, digits: usize) -> String {
    let Some(Spread { median, min, max }) = spread else { return "–".to_owned() };
    let (median, min, max) = (median / unit, min / unit, max / unit);
    format!("{median:.digits$} ({min:.digits$}–{max:.digits$})")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rounds(cpu: &[f64]) -> Vec<Round> {
        cpu.iter()
            .map(|cpu_s| {
                let cost = Cost { wall_s: 2.0, cpu_s: *cpu_s, peak_bytes: 50_000_000 };
                Round::of(cost, 500_000, 0.1)
            })
            .collect()
    }

    #[test]
    fn the_median_is_the_middle_whatever_the_order_and_the_mean_of_two_middles() {
        let spread = |cpu: &[f64]| Spread::of(&rounds(cpu), |round| Some(round.cpu_s));
        assert_eq!(spread(&[3.0, 1.0, 9.0]), Some(Spread { median: 3.0, min: 1.0, max: 9.0 }));
        assert_eq!(spread(&[4.0, 1.0, 2.0, 9.0]), Some(Spread { median: 3.0, min: 1.0, max: 9.0 }));
        assert_eq!(spread(&[]), None);
    }

    #[test]
    fn figures_are_told_per_million_rows_and_per_second() {
        let results = vec![Result::of("snowferry pull", rounds(&[1.0, 2.0, 3.0]))];
        let profile = "dev".to_owned();
        let report = Report { rows: 500_000, rounds: 3, profile, cores: 2, results };
        let table = report.table();
        let row = table.lines().last().unwrap();
        for cell in ["snowferry pull", "4.00 (2.00–6.00)", "50 (50–50)", "250 (250–250)"] {
            assert!(row.contains(cell), "no {cell} in {row}");
        }
    }

    #[test]
    fn a_run_without_rows_has_no_figure_for_each_row() {
        let cost = Cost { wall_s: 0.5, cpu_s: 0.1, peak_bytes: 50_000_000 };
        let round = Round::of(cost, 0, 0.1);
        assert_eq!((round.cpu_s_per_million_rows, round.rows_per_s), (None, None));
        let results = vec![Result::of("nothing new", vec![round])];
        let table = Report::of(0, 1, Profile::Dev, results).table();
        assert_eq!(table.lines().last().unwrap().matches('–').count(), 6, "{table}");
    }
}
