//! What is to be pushed, and within which limits.

use std::collections::BTreeMap;

use sha2::{Digest, Sha256};
use snowferry_model::export::{ExportSource, Parameter};
use snowferry_model::names::{ConnectionName, Identifier, NameError, TableName};
use snowferry_model::push::{Constant, Delivery, PushKey, PushMode};
use snowferry_model::state::StreamKey;
use snowferry_model::time::UnixMillis;

/// One push.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PushJob {
    /// Its name within its connection.
    pub push: PushKey,
    /// The account that the target is in, as it is written in the connection.
    pub account: String,
    /// The rows.
    pub source: ExportSource,
    /// Values of the query's parameters.
    pub parameters: BTreeMap<String, Parameter>,
    /// The table.
    pub target: TableName,
    /// What is done to the rows in the target.
    pub mode: PushMode,
    /// What makes a repeat harmless.
    pub delivery: Delivery,
    /// Columns of the target whose column of the query has another name.
    pub mapping: BTreeMap<Identifier, String>,
    /// Columns of the target that hold one value in all rows.
    pub constants: Vec<Constant>,
    /// What is allowed.
    pub rules: Rules,
}

/// What a connection allows a push to do; the default is the careful side.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rules {
    /// Make the table from our columns when there is none.
    pub create: bool,
    /// Round digits beyond the target's scale instead of refusing them.
    pub round: bool,
    /// Rewrite the target with no rows at all.
    pub allow_empty: bool,
    /// How many percent of its rows a rewrite may take from the target; `None`: half of them.
    pub max_shrink_percent: Option<u8>,
}

/// The shrink that is allowed where a connection does not say.
pub(crate) const DEFAULT_MAX_SHRINK_PERCENT: u8 = 50;

/// Who runs, as what, and until when.
#[derive(Clone, Debug)]
pub struct PushContext {
    /// Unique to this run; sorts by start. One run applies at most one slice of its own.
    pub run_id: String,
    /// Who asked for the run: `manual`, `schedule`, `demo`, ….
    pub trigger: String,
    /// How this process names itself. Unique to the invocation: it also tells the objects of one
    /// attempt from those of another.
    pub owner: String,
    /// When to stop taking up work; `None` for never.
    pub deadline: Option<UnixMillis>,
    /// Sizes.
    pub limits: Limits,
}

/// Sizes that bound memory and the work that a crash can cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes in memory of the rows of one part.
    pub part_bytes: u64,
    /// How long a lease lasts without being renewed, in milliseconds.
    pub lease_ms: u64,
}

impl Default for Limits {
    /// 256 MiB a part (some 50 MB of Parquet), two minutes of lease.
    fn default() -> Self {
        Self { part_bytes: 256 << 20, lease_ms: 120_000 }
    }
}

/// Returns the key of the lease on a target: that of the table in its account, so that two
/// connections that push to one table keep out of each other's way.
///
/// # Errors
/// None that a name made here could cause; the type says so because names are checked.
pub fn target_lease(account: &str, target: &TableName) -> Result<StreamKey, NameError> {
    let hash = Sha256::digest(account.to_ascii_lowercase());
    let hex: String = hash.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    let connection = ConnectionName::new(format!("target-{hex}"))?;
    Ok(StreamKey { connection, table: target.clone() })
}
