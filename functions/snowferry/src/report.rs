//! What one run did to one table, as it is told to people and to scripts.

use serde::Serialize;
use snowferry_model::fault::{Blame, Retry};
use snowferry_model::run::{Outcome, RunRecord};

use crate::output::{self, Side};

/// One table's part of a run, in the form that `--json` prints. Bytes are bytes, times RFC 3339.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct TableRun {
    pub(crate) run_id: String,
    pub(crate) connection: String,
    pub(crate) table: String,
    pub(crate) mode: String,
    pub(crate) trigger: String,
    /// `running`, `loaded`, `nothing_new`, `continued`, `busy`, `crashed` or `failed`.
    pub(crate) outcome: &'static str,
    pub(crate) started_at: String,
    pub(crate) ended_at: Option<String>,
    pub(crate) duration_ms: Option<u64>,
    pub(crate) rows_read: u64,
    pub(crate) rows_loaded: u64,
    pub(crate) rows_replaced: u64,
    pub(crate) rows_superseded: u64,
    pub(crate) parts_staged: u64,
    pub(crate) parts_reused: u64,
    pub(crate) received_bytes: u64,
    pub(crate) staged_bytes: u64,
    pub(crate) statements: u64,
    pub(crate) query_ids: Vec<String>,
    pub(crate) pin_ms: u64,
    pub(crate) stage_ms: u64,
    pub(crate) load_ms: u64,
    /// Two, when the run first finished the slice of an earlier one; the counts are of both.
    pub(crate) slices_loaded: u64,
    /// Rows of the source whose cursor is NULL.
    pub(crate) null_cursors: u64,
    /// Rows of the source whose cursor is too far ahead of the server's clock to be a bound.
    pub(crate) future_cursors: u64,
    /// How the source table differed from what was known of it, in words.
    pub(crate) schema_changes: Vec<String>,
    /// Who holds the table, when the outcome is `busy`.
    pub(crate) held_by: Option<String>,
    /// What went wrong, when the outcome is `failed`.
    pub(crate) error: Option<RunError>,
}

/// Why a run failed.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct RunError {
    pub(crate) code: String,
    pub(crate) message: String,
    pub(crate) blame: Blame,
    pub(crate) retry: Retry,
    pub(crate) hint: Option<String>,
}

impl TableRun {
    /// Takes a record as it is stored.
    pub(crate) fn of(record: &RunRecord) -> Self {
        let figures = &record.figures;
        let connection = record.stream.connection.to_string();
        let (outcome, held_by, error) = match &record.outcome {
            Outcome::Running => ("running", None, None),
            Outcome::Loaded => ("loaded", None, None),
            Outcome::NothingNew => ("nothing_new", None, None),
            Outcome::Continued => ("continued", None, None),
            Outcome::Busy { owner } => ("busy", Some(owner.clone()), None),
            Outcome::Crashed => ("crashed", None, None),
            Outcome::Failed { code, message, blame, retry, hint } => {
                // Hints speak of a connection in general; here its name is known.
                let hint = hint.as_ref().map(|hint| hint.replace("CONNECTION", &connection));
                let (code, message) = (code.clone(), message.clone());
                let error = RunError { code, message, blame: *blame, retry: *retry, hint };
                ("failed", None, Some(error))
            }
        };
        Self {
            run_id: record.run_id.clone(),
            connection,
            table: record.stream.table.to_string(),
            mode: record.mode.clone(),
            trigger: record.trigger.clone(),
            outcome,
            started_at: record.started_at.to_string(),
            ended_at: record.ended_at.map(|time| time.to_string()),
            duration_ms: record.ended_at.map(|end| end.since_ms(record.started_at)),
            rows_read: figures.rows_announced,
            rows_loaded: figures.rows_loaded,
            rows_replaced: figures.rows_replaced,
            rows_superseded: figures.rows_superseded,
            parts_staged: figures.parts_staged,
            parts_reused: figures.parts_reused,
            received_bytes: figures.received_bytes,
            staged_bytes: figures.staged_bytes,
            statements: figures.statements,
            query_ids: figures.query_ids.clone(),
            pin_ms: figures.pin_ms,
            stage_ms: figures.stage_ms,
            load_ms: figures.load_ms,
            slices_loaded: figures.slices_loaded,
            null_cursors: figures.null_cursors,
            future_cursors: figures.future_cursors,
            schema_changes: figures.schema_changes.iter().map(ToString::to_string).collect(),
            held_by,
            error,
        }
    }

    /// Says how the run ended, in a few words.
    pub(crate) fn outcome_words(&self) -> String {
        match (self.outcome, &self.error) {
            ("failed", Some(error)) => format!("FAILED {}", error.code),
            ("nothing_new", _) => "nothing new".to_owned(),
            ("continued", _) => "goes on next run".to_owned(),
            ("busy", _) => "held by another run".to_owned(),
            ("crashed", _) => "was interrupted".to_owned(),
            (outcome, _) => outcome.to_owned(),
        }
    }

    /// Says in full what somebody has to know beyond the figures, if anything.
    pub(crate) fn remark(&self) -> Option<String> {
        if let Some(owner) = &self.held_by {
            return Some(format!(
                "{}: another run holds this table ({owner}); nothing was done here, and nothing \
                 is lost: it brings the table up to date",
                self.table
            ));
        }
        let Some(error) = self.error.as_ref() else { return self.told_beside() };
        let table = match error.message.contains(&self.table) {
            true => String::new(),
            false => format!("{}: ", self.table),
        };
        let mut text = format!(
            "error: {table}{}\n  code: {} ({})",
            error.message,
            error.code,
            crate::failure::whose(error.blame)
        );
        if let Some(hint) = &error.hint {
            text.push_str(&format!("\n  repair: {hint}"));
        }
        Some(text)
    }

    /// Says what a run that succeeded has to tell beside its counts.
    fn told_beside(&self) -> Option<String> {
        let mut words = Vec::new();
        if !self.schema_changes.is_empty() {
            words.push(format!("at the source, {}", self.schema_changes.join(", ")));
        }
        if self.null_cursors > 0 {
            let rows = output::number_of(self.null_cursors, "row");
            words.push(format!("{rows} without a cursor in the source"));
        }
        if self.future_cursors > 0 {
            let rows = output::number_of(self.future_cursors, "row");
            words.push(format!(
                "warning: {rows} with a cursor of the future in the source, read by every run if \
                 the table has a key, else when the time has come"
            ));
        }
        if self.slices_loaded > 1 {
            words.push(
                "what an earlier run had begun was finished first, and the counts are of both"
                    .to_owned(),
            );
        }
        (!words.is_empty()).then(|| format!("{}: {}", self.table, words.join("; ")))
    }
}

/// Lays out what a run did to each table.
pub(crate) fn summary(runs: &[TableRun]) -> comfy_table::Table {
    let headings = [
        ("table", Side::Left),
        ("mode", Side::Left),
        ("outcome", Side::Left),
        ("rows read", Side::Right),
        ("rows in", Side::Right),
        ("replaced", Side::Right),
        ("received", Side::Right),
        ("time", Side::Right),
    ];
    let rows = runs.iter().map(|run| {
        vec![
            run.table.clone(),
            run.mode.clone(),
            run.outcome_words(),
            output::count(run.rows_read),
            output::count(run.rows_loaded),
            output::count(run.rows_replaced),
            output::bytes(run.received_bytes),
            output::span(run.duration_ms.unwrap_or_default()),
        ]
    });
    output::table(&headings, rows.collect())
}
