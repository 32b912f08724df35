//! What a push would do, with nothing written anywhere.

use snowferry_model::push::{ColumnVerdict, TargetColumn, TargetDescription, Verdict, refused};
use snowferry_snowflake::SnowflakeError;

use crate::error::PushError;
use crate::job::{PushContext, PushJob};
use crate::pin::{describe, ledger, no_table};
use crate::ports::Ports;
use crate::run::Work;
use crate::validate::{judge, target_columns};

/// What a push would do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Preview {
    /// The verdict on the table and on every column.
    pub verdicts: Vec<ColumnVerdict>,
    /// The columns of the table that would be made, if there is none.
    pub creates: Option<Vec<TargetColumn>>,
    /// Rows of the target now, where the server keeps a count.
    pub target_rows: Option<u64>,
    /// What the delivery promises, in words.
    pub guarantee: &'static str,
    /// Whether a slice of an earlier run would be finished first.
    pub resumes: bool,
}

impl Preview {
    /// Returns whether something has to be repaired first.
    #[must_use]
    pub fn is_refused(&self) -> bool {
        refused(&self.verdicts)
    }
}

/// Judges a push without writing anything. Values are looked at only by a run.
///
/// # Errors
/// Those of the ports that are read.
pub async fn preview(
    ports: &Ports,
    run: &PushContext,
    job: &PushJob,
) -> Result<Preview, PushError> {
    let work = Work::new(ports, run, job);
    let described = describe(&work, ports.clock.now()).await?;
    let state = work.load_state().await?;
    let mut preview = Preview {
        verdicts: Vec::new(),
        creates: None,
        target_rows: None,
        guarantee: job.delivery.guarantee(&job.mode),
        resumes: state.is_some_and(|stored| stored.state.slice.is_some()),
    };
    match ports.target.inspect(&job.target).await {
        Ok(target) => {
            preview.target_rows = target.rows;
            preview.verdicts = judge(job, &described.schema, &target).verdicts;
        }
        Err(SnowflakeError::NotFound { .. }) if job.rules.create => {
            match target_columns(job, &described.schema) {
                Ok(columns) => {
                    let made = TargetDescription {
                        kind: "TABLE".to_owned(),
                        identity: String::new(),
                        role: String::new(),
                        privileges: vec![snowferry_model::push::Privilege::Ownership],
                        rows: None,
                        columns: columns.clone(),
                    };
                    preview.verdicts = judge(job, &described.schema, &made).verdicts;
                    preview.creates = Some(columns);
                }
                Err(verdicts) => preview.verdicts = verdicts,
            }
        }
        Err(SnowflakeError::NotFound { role, .. }) => {
            preview.verdicts = vec![no_table(&work, &role)];
        }
        Err(error) => return Err(work.target(error)),
    }
    if let Err(verdict) = ledger(&work).await? {
        preview.verdicts.insert(0, verdict);
    }
    preview.verdicts.sort_by_key(|verdict| {
        // What has to be repaired comes first; the rest stays in the order of the columns.
        verdict.verdict != Verdict::Refused
    });
    Ok(preview)
}
