//! What one run did for one push, as it is told to people and to scripts.

use serde::Serialize;
use snowferry_model::push::{ColumnVerdict, PushOutcome, PushRunRecord, Verdict};

use crate::output::{self, Side};
use crate::report::RunError;

/// One push's part of a run, in the form that `--json` prints. Bytes are bytes, times RFC 3339.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct PushRun {
    pub(crate) run_id: String,
    pub(crate) connection: String,
    pub(crate) push: String,
    pub(crate) target: String,
    pub(crate) mode: String,
    pub(crate) trigger: String,
    /// `running`, `applied`, `continued`, `busy`, `crashed`, `refused` or `failed`.
    pub(crate) outcome: &'static str,
    pub(crate) started_at: String,
    pub(crate) ended_at: Option<String>,
    pub(crate) duration_ms: Option<u64>,
    pub(crate) rows_staged: u64,
    pub(crate) rows_applied: u64,
    pub(crate) rows_replaced: u64,
    pub(crate) parts_staged: u64,
    pub(crate) staged_bytes: u64,
    pub(crate) pin_ms: u64,
    pub(crate) stage_ms: u64,
    pub(crate) apply_ms: u64,
    /// Who holds the target, when the outcome is `busy`.
    pub(crate) held_by: Option<String>,
    /// What does not fit, when the outcome is `refused`.
    pub(crate) verdicts: Vec<ColumnVerdict>,
    /// What went wrong, when the outcome is `failed`.
    pub(crate) error: Option<RunError>,
}

impl PushRun {
    /// Takes a record as it is stored.
    pub(crate) fn of(record: &PushRunRecord) -> Self {
        let figures = &record.figures;
        let connection = record.push.connection.to_string();
        let (mut held_by, mut verdicts, mut error) = (None, Vec::new(), None);
        let outcome = match &record.outcome {
            PushOutcome::Running => "running",
            PushOutcome::Applied => "applied",
            PushOutcome::Continued => "continued",
            PushOutcome::Crashed => "crashed",
            PushOutcome::Busy { owner } => {
                held_by = Some(owner.clone());
                "busy"
            }
            PushOutcome::Refused { verdicts: found } => {
                verdicts.clone_from(found);
                "refused"
            }
            PushOutcome::Failed { code, message, blame, retry, hint } => {
                error = Some(RunError {
                    code: code.clone(),
                    message: message.clone(),
                    blame: *blame,
                    retry: *retry,
                    hint: hint.clone(),
                });
                "failed"
            }
        };
        Self {
            run_id: record.run_id.clone(),
            connection,
            push: record.push.name.to_string(),
            target: record.target.to_string(),
            mode: record.mode.clone(),
            trigger: record.trigger.clone(),
            outcome,
            started_at: record.started_at.to_string(),
            ended_at: record.ended_at.map(|time| time.to_string()),
            duration_ms: record.ended_at.map(|end| end.since_ms(record.started_at)),
            rows_staged: figures.rows_staged,
            rows_applied: figures.rows_applied,
            rows_replaced: figures.rows_replaced,
            parts_staged: figures.parts_staged,
            staged_bytes: figures.staged_bytes,
            pin_ms: figures.pin_ms,
            stage_ms: figures.stage_ms,
            apply_ms: figures.apply_ms,
            held_by,
            verdicts,
            error,
        }
    }

    /// Returns whether somebody has to look at it.
    pub(crate) fn is_failed(&self) -> bool {
        matches!(self.outcome, "refused" | "failed")
    }

    /// Says how the run ended, in a few words.
    pub(crate) fn outcome_words(&self) -> String {
        match (self.outcome, &self.error) {
            ("failed", Some(error)) => format!("FAILED {}", error.code),
            ("refused", _) => "REFUSED, nothing written".to_owned(),
            ("continued", _) => "goes on next run".to_owned(),
            ("busy", _) => "held by another run".to_owned(),
            ("crashed", _) => "was interrupted".to_owned(),
            (outcome, _) => outcome.to_owned(),
        }
    }

    /// Says in full what somebody has to know beyond the figures, if anything.
    pub(crate) fn remark(&self) -> Option<String> {
        let target = &self.target;
        if let Some(owner) = &self.held_by {
            return Some(format!(
                "{target}: another run holds this table ({owner}); nothing was done here"
            ));
        }
        if !self.verdicts.is_empty() {
            let refused: Vec<_> = self
                .verdicts
                .iter()
                .filter(|verdict| verdict.verdict == Verdict::Refused)
                .cloned()
                .collect();
            let table = verdict_table(&refused);
            return Some(format!("error: {target} was not written to:\n{table}"));
        }
        let error = self.error.as_ref()?;
        let mut text = format!(
            "error: {}\n  code: {} ({})",
            error.message,
            error.code,
            crate::failure::whose(error.blame)
        );
        if let Some(hint) = &error.hint {
            text.push_str(&format!("\n  repair: {hint}"));
        }
        Some(text)
    }
}

/// Lays out verdicts: column, ours, theirs, verdict, repair.
pub(crate) fn verdict_table(verdicts: &[ColumnVerdict]) -> comfy_table::Table {
    let headings = [
        ("column", Side::Left),
        ("ours", Side::Left),
        ("theirs", Side::Left),
        ("verdict", Side::Left),
        ("why", Side::Left),
        ("repair", Side::Left),
    ];
    let rows = verdicts.iter().map(|verdict| {
        let column = match verdict.column.as_str() {
            "" => "(the table)",
            column => column,
        };
        vec![
            column.to_owned(),
            verdict.ours.clone(),
            verdict.theirs.clone(),
            verdict.verdict.as_str().to_owned(),
            verdict.reason.clone(),
            verdict.repair.clone().unwrap_or_default(),
        ]
    });
    output::table(&headings, rows.collect())
}

/// Lays out what a run did for each push.
pub(crate) fn summary(runs: &[PushRun]) -> comfy_table::Table {
    let headings = [
        ("push", Side::Left),
        ("target", Side::Left),
        ("mode", Side::Left),
        ("outcome", Side::Left),
        ("rows", Side::Right),
        ("replaced", Side::Right),
        ("sent", Side::Right),
        ("time", Side::Right),
    ];
    let rows = runs.iter().map(|run| {
        vec![
            run.push.clone(),
            run.target.clone(),
            run.mode.clone(),
            run.outcome_words(),
            output::count(run.rows_applied),
            output::count(run.rows_replaced),
            output::bytes(run.staged_bytes),
            output::span(run.duration_ms.unwrap_or_default()),
        ]
    });
    output::table(&headings, rows.collect())
}
