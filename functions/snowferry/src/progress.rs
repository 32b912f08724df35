//! Who watches a pull: bars on a terminal, plain lines elsewhere, nobody for `--json`.

use std::collections::BTreeMap;
use std::io::IsTerminal;
use std::sync::{Arc, Mutex, PoisonError};

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use snowferry_model::state::StreamKey;
use snowferry_pull::{Event, Progress, Silent};

use crate::output;

/// A watcher that also learns that a table's pull has ended, however it ended.
pub(crate) trait Watcher: Progress {
    /// Takes the table off the display.
    fn ended(&self, stream: &StreamKey);
}

/// Returns the watcher that suits standard error.
pub(crate) fn watcher(json: bool) -> Arc<dyn Watcher> {
    if json {
        return Arc::new(Silent);
    }
    if std::io::stderr().is_terminal() {
        return Arc::new(Bars::new(ProgressDrawTarget::stderr()));
    }
    Arc::new(Lines::default())
}

impl Watcher for Silent {
    fn ended(&self, _stream: &StreamKey) {}
}

/// What is known of one table's pull so far.
#[derive(Clone, Debug, Default)]
struct Course {
    rows: u64,
    rows_total: u64,
    parts: usize,
    parts_total: usize,
    received_bytes: u64,
}

impl Course {
    fn note(&mut self, event: &Event) {
        match event {
            Event::Announced { rows, parts, parts_done, rows_done, .. } => {
                self.rows_total = *rows;
                self.rows = *rows_done;
                self.parts_total = *parts;
                self.parts = *parts_done;
            }
            Event::Read { rows } => self.rows += rows,
            Event::Staged { received_bytes, .. } => {
                self.parts += 1;
                self.received_bytes += received_bytes;
            }
            _ => {}
        }
    }

    fn message(&self) -> String {
        let received = output::bytes(self.received_bytes);
        format!("part {}/{}, {received} received", self.parts, self.parts_total)
    }
}

/// A bar for each table that is being pulled.
struct Bars {
    all: MultiProgress,
    tables: Mutex<BTreeMap<StreamKey, (ProgressBar, Course)>>,
}

impl Bars {
    fn new(target: ProgressDrawTarget) -> Self {
        Self { all: MultiProgress::with_draw_target(target), tables: Mutex::default() }
    }

    fn begin(&self, stream: &StreamKey) -> ProgressBar {
        let bar = self.all.add(ProgressBar::new_spinner());
        let style = ProgressStyle::with_template("{spinner} {prefix:32} {msg} {elapsed}");
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()));
        bar.set_prefix(stream.table.to_string());
        bar.enable_steady_tick(std::time::Duration::from_millis(120));
        bar
    }
}

fn rows_style() -> ProgressStyle {
    let template = "{spinner} {prefix:32} {wide_bar} {human_pos}/{human_len} rows, \
                    {per_sec:>14} {msg}, {elapsed}";
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}

impl Progress for Bars {
    fn event(&self, stream: &StreamKey, event: Event) {
        let mut tables = self.tables.lock().unwrap_or_else(PoisonError::into_inner);
        let (bar, course) =
            tables.entry(stream.clone()).or_insert_with(|| (self.begin(stream), Course::default()));
        course.note(&event);
        match event {
            Event::Pinned { resumed: true, .. } => {
                bar.set_message("goes on with an earlier run's statement");
            }
            Event::Pinned { .. } => bar.set_message("waits for Snowflake"),
            Event::Announced { .. } => {
                bar.set_style(rows_style());
                bar.set_length(course.rows_total);
                bar.set_position(course.rows);
                bar.set_message(course.message());
            }
            Event::Read { rows } => bar.inc(rows),
            Event::Staged { .. } => bar.set_message(course.message()),
            Event::Loading { .. } => bar.set_message("loads into the table"),
            Event::Committed { .. } => bar.set_message("committed"),
            _ => {}
        }
    }
}

impl Watcher for Bars {
    fn ended(&self, stream: &StreamKey) {
        let mut tables = self.tables.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((bar, _)) = tables.remove(stream) {
            bar.finish_and_clear();
        }
    }
}

/// A line for each step, for files, pipes and CI.
#[derive(Default)]
struct Lines {
    tables: Mutex<BTreeMap<StreamKey, Course>>,
}

impl Lines {
    /// Returns the line that an event is worth, if any.
    fn told(&self, stream: &StreamKey, event: &Event) -> Option<String> {
        let mut tables = self.tables.lock().unwrap_or_else(PoisonError::into_inner);
        let course = tables.entry(stream.clone()).or_default();
        course.note(event);
        let text = match event {
            Event::Pinned { query_id, resumed: true } => {
                format!("goes on with statement {query_id} of an earlier run")
            }
            Event::Pinned { query_id, .. } => format!("statement {query_id} submitted"),
            Event::Announced { rows, compressed_bytes, parts, parts_done, .. } => {
                let already = match parts_done {
                    0 => String::new(),
                    done => format!(", {done} of them staged already"),
                };
                format!(
                    "{}, {} in {}{already}",
                    output::number_of(*rows, "row"),
                    output::bytes(*compressed_bytes),
                    output::number_of(*parts as u64, "part"),
                )
            }
            Event::Staged { rows, size_bytes, .. } => format!(
                "part {}/{} staged: {}, {}",
                course.parts,
                course.parts_total,
                output::number_of(*rows, "row"),
                output::bytes(*size_bytes)
            ),
            Event::Loading { rows } => format!("loads {}", output::number_of(*rows, "row")),
            Event::Committed { .. } => "committed".to_owned(),
            _ => return None,
        };
        Some(format!("{}: {text}", stream.table))
    }
}

impl Progress for Lines {
    fn event(&self, stream: &StreamKey, event: Event) {
        if let Some(line) = self.told(stream, &event) {
            output::note(line);
        }
    }
}

impl Watcher for Lines {
    fn ended(&self, stream: &StreamKey) {
        self.tables.lock().unwrap_or_else(PoisonError::into_inner).remove(stream);
    }
}

#[cfg(test)]
mod tests {
    use snowferry_model::names::ConnectionName;

    use super::*;

    #[test]
    fn a_resumed_pull_is_told_in_plain_lines() {
        let stream = StreamKey {
            connection: ConnectionName::new("acme").unwrap(),
            table: "A.B.C".parse().unwrap(),
        };
        let lines = Lines::default();
        let events = [
            Event::Pinned { query_id: "01".to_owned(), resumed: true },
            Event::Announced {
                rows: 3000,
                compressed_bytes: 4096,
                parts: 3,
                parts_done: 1,
                rows_done: 1000,
            },
            Event::Read { rows: 1000 },
            Event::Staged { part: 1, rows: 1000, size_bytes: 2048, received_bytes: 1024 },
            Event::Loading { rows: 3000 },
            Event::Committed { sequence: 1 },
        ];
        let told: Vec<String> =
            events.iter().filter_map(|event| lines.told(&stream, event)).collect();
        expect_test::expect![[r#"
            A.B.C: goes on with statement 01 of an earlier run
            A.B.C: 3,000 rows, 4.0 KiB in 3 parts, 1 of them staged already
            A.B.C: part 2/3 staged: 1,000 rows, 2.0 KiB
            A.B.C: loads 3,000 rows
            A.B.C: committed"#]]
        .assert_eq(&told.join("\n"));
    }

    #[test]
    fn bars_follow_the_rows_and_leave_no_trace_at_the_end() {
        let stream = StreamKey {
            connection: ConnectionName::new("acme").unwrap(),
            table: "A.B.C".parse().unwrap(),
        };
        let bars = Bars::new(ProgressDrawTarget::hidden());
        let announced = Event::Announced {
            rows: 10,
            compressed_bytes: 1,
            parts: 1,
            parts_done: 0,
            rows_done: 0,
        };
        bars.event(&stream, announced);
        bars.event(&stream, Event::Read { rows: 7 });
        assert_eq!(bars.tables.lock().unwrap()[&stream].0.position(), 7);
        bars.ended(&stream);
        assert!(bars.tables.lock().unwrap().is_empty());
    }
}
