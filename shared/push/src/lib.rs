//! Pushes the rows of a query into a customer's table: validate → pin → stage → manifest → apply →
//! commit, and resumes at any point.
//!
//! [`push_table`] brings one target to what a query on our database says, over ports only: it knows
//! no Snowflake protocol, no file, no clock and no process. Each step may be repeated, by this run,
//! by the next one, or by another one at the same time.
//!
//! 1. **lease** on the target table, whichever connection pushes to it; nothing below relies on it.
//! 2. **adopt**: a manifest for the next sequence number that exists already is applied first.
//! 3. **pin**: fix the versions of our tables, look at the target, judge every column; what does
//!    not fit is told all at once and nothing is written. The plan of the slice is stored in the
//!    state by compare-and-set before the first row is read.
//! 4. **stage**: rows in the form that Snowflake's loader reads exactly, as Parquet parts; every
//!    value is looked at. Once all fit, each part is brought to where the server reads it.
//! 5. **manifest**: all parts, created once, then read back.
//! 6. **apply**: the server loads the files into a staging table of its own; counts are compared;
//!    one transaction moves the ledger from exactly n−1 to n and the rows into the target.
//! 7. **commit**: the state moves n−1 → n by compare-and-set.
//!
//! | killed after | the next run |
//! |---|---|
//! | pin | stages the same versions of our tables |
//! | some parts | writes all parts again under new names |
//! | manifest | adopts it |
//! | apply | finds the ledger at n, and only commits |
//! | commit | begins with the next slice |
//!
//! A run that finishes an older slice of a rewrite or an upsert goes on with one of its own, so
//! that the target shows the present. Of an append it does not: the interrupted run's rows are the
//! ones that were asked for.
//!
//! A slice that can certainly not be applied, because the target changed or the data do not fit, is
//! given up by beginning a new generation; a run that still holds it finds the ledger elsewhere.
//!
//! **Invariants:** nothing is written before everything that can be known is judged; the table
//! object is never replaced; unknown is never treated as not done; rows counted at the server
//! equal rows counted here, or nothing is applied.

mod apply;
mod commit;
mod convert;
mod error;
mod guards;
mod job;
mod pin;
mod ports;
mod preview;
mod run;
mod stage;
mod validate;

#[cfg(test)]
mod tests;

pub use error::PushError;
pub use job::{Limits, PushContext, PushJob, Rules, target_lease};
pub use ports::{Event, Ports, Progress, Silent};
pub use preview::{Preview, preview};
pub use run::push_table;
