//! Pulls one Snowflake table: pin → stage → manifest → load → commit, and resumes at any point.
//!
//! [`pull_table`] brings a table of our database to the state of its source at one moment, over
//! ports only: it knows no Snowflake protocol, no file, no clock and no process. Each step may be
//! repeated, by this run, by the next one, or by another one at the same time.
//!
//! 1. **lease**: keeps two runs from doing the same work; nothing below relies on it.
//! 2. **adopt**: a manifest for the next sequence number that exists already is loaded first.
//! 3. **pin**: describe, fix the upper bound at the server, submit the one statement, store the
//!    slice in the state by compare-and-set, all before the first row is read.
//! 4. **stage**: parts of the result, by query id, as Parquet objects; a create-once record says
//!    which object is part k.
//! 5. **manifest**: all parts with counts and checksums, created once, then read back.
//! 6. **load**: one transaction of the database moves its ledger from n−1 to n with the rows.
//! 7. **commit**: the state moves n−1 → n and the watermark W → U *of the manifest*, by
//!    compare-and-set.
//!
//! | killed after | the next run |
//! |---|---|
//! | pin, before the slice is stored | pins anew; the statement was only a read |
//! | the slice is stored | reads the same result by its query id |
//! | some parts | stages the others |
//! | manifest | adopts it |
//! | load | finds the ledger at n, and only commits |
//! | commit | begins with the next slice |
//!
//! Any number of workers may stage parts of one slice ([`assist`]): its parts are cut at the same
//! places by all, and a part's record is created once.
//!
//! A table that its server says is unchanged since the last slice was pinned is not read at all:
//! see the module `unchanged`.
//!
//! A source table whose columns changed, or that was created anew, is followed as its policy says:
//! see the module `drift`.
//!
//! **Invariants:** the watermark moves last and only past rows that are loaded durably; every
//! conditional write that fails or times out is read back; unknown is never treated as absent;
//! a result is read by query id and its statement never executed twice within a slice.

mod assist;
mod commit;
mod drift;
mod error;
mod job;
mod layout;
mod load;
mod pin;
mod ports;
mod reset;
mod run;
mod stage;
mod unchanged;

#[cfg(test)]
mod tests;

pub use assist::assist;
pub use error::PullError;
pub use job::{Limits, Mode, RunContext, SchemaPolicy, TableJob, guarantee};
pub use ports::{Event, Ports, Progress, Silent};
pub use reset::reset;
pub use run::pull_table;
