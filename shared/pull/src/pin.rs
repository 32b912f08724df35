//! Pins a slice: describes the table, fixes the bound, submits the one statement and stores the
//! slice, all before the first row is read.

use snowferry_checkpoint::{CheckpointError, Stored};
use snowferry_model::drift::SchemaChange;
use snowferry_model::names::Identifier;
use snowferry_model::plan::{IntegerPolicy, TablePlan};
use snowferry_model::slice::{Apply, Slice, UniqueBy};
use snowferry_model::state::StreamState;
use snowferry_model::types::{SnowflakeType, TableDescription};
use snowferry_model::watermark::{
    Lookback, LowerEdge, NullCursors, Watermark, Window, can_be_cursor,
};
use snowferry_snowflake::{Profile, ProfileRequest, QueryId, ReadRequest};
use snowferry_staging::keys;

use crate::drift::{Followed, follow};
use crate::error::PullError;
use crate::job::{Mode, TableJob};
use crate::run::Work;
use crate::unchanged::{evidence, is_unchanged, may_skip};

/// How far a cursor that is a wall clock or a date may be ahead of the server's clock in UTC, in
/// seconds: a day, more than any time zone is.
const WALL_CLOCK_AHEAD_S: u64 = 86_400;

/// How far a cursor that is an instant may be ahead of the server's clock, in seconds: what the
/// clocks of those who write rows are wrong by.
const INSTANT_AHEAD_S: u64 = 600;

/// What pinning led to.
#[derive(Debug)]
pub(crate) enum Pinned {
    /// The slice is stored.
    Slice(Box<Slice>),
    /// A `once` table is complete.
    NothingNew,
    /// No row above the watermark was there when the bound was fixed, or the table is unchanged.
    UpToDate,
    /// The table changed so that it has to be read anew.
    Anew(Vec<SchemaChange>),
    /// Another run changed the state; look again.
    Moved,
}

/// Pins the next slice of a table that has none.
pub(crate) async fn pin(work: &Work<'_>, stored: &Stored) -> Result<Pinned, PullError> {
    let job = work.job;
    check_job(job)?;
    let state = &stored.state;
    if job.mode == Mode::Once && state.sequence > 0 {
        return Ok(Pinned::NothingNew);
    }
    let table =
        work.ports.source.describe(&job.table).await.map_err(|source| work.source(source))?;
    let cursor = check_columns(job, &table)?;
    let continues = continues_generation(job, state);
    let (kept, changed) = match continues {
        false => (None, Vec::new()),
        true => {
            let fingerprint = state.plan.as_deref().unwrap_or_default();
            let plan = read_plan(work, state.generation, fingerprint).await?;
            match follow(work, state, plan, &table).await? {
                Followed::By(plan, changed) => (Some(*plan), changed),
                Followed::Anew(changed) => return Ok(Pinned::Anew(changed)),
            }
        }
    };
    let watermark = if continues { state.watermark.clone() } else { None };
    check_watermark(job, cursor.as_ref(), watermark.as_ref())?;
    let profile = profile(work, &table, cursor.as_ref(), kept.is_none(), watermark.clone()).await?;
    let evidence = evidence(job, &table, &profile);
    if changed.is_empty() && is_unchanged(work, state, evidence.as_deref()).await? {
        return Ok(Pinned::UpToDate);
    }
    let window = window(job, cursor, watermark, &profile)?;
    if let Window::Between { from, edge: LowerEdge::Open, to, .. } = &window
        && from.text == to.text
    {
        return Ok(Pinned::UpToDate);
    }
    let plan = match kept {
        Some(plan) => plan,
        None => new_plan(work, state.generation, &table, &profile).await?,
    };
    let next = Next { table: &table, plan, window, continues, unchanged: evidence };
    let pinned = submit(work, stored, next).await?;
    if matches!(pinned, Pinned::Slice(_)) {
        work.note_changes(&changed);
    }
    Ok(pinned)
}

/// Returns whether the next slice adds to what the generation has loaded, rather than making the
/// table anew.
fn continues_generation(job: &TableJob, state: &StreamState) -> bool {
    job.mode == Mode::Incremental && state.sequence > 0 && state.watermark.is_some()
}

fn check_job(job: &TableJob) -> Result<(), PullError> {
    let refuse =
        |reason: &str| Err(PullError::Job { table: job.table.clone(), reason: reason.to_owned() });
    match (job.mode, &job.cursor) {
        (Mode::Incremental, None) => refuse("mode incremental needs a cursor"),
        _ if job.key.is_empty() && job.null_cursors == NullCursors::Reload => {
            refuse("rows without a cursor are read again, so it needs a key that tells them apart")
        }
        _ if job.key.is_empty() && job.lookback != Lookback::None => {
            refuse("a lookback reads rows again, so it needs a key that tells them apart")
        }
        _ => Ok(()),
    }
}

/// Checks that key and cursor are there, and returns the cursor with its type.
fn check_columns(
    job: &TableJob,
    table: &TableDescription,
) -> Result<Option<(Identifier, SnowflakeType)>, PullError> {
    let find = |name: &Identifier, role: &'static str| {
        table.columns.iter().find(|column| column.name == *name).ok_or_else(|| {
            let found: Vec<_> = table.columns.iter().map(|c| c.name.to_string()).collect();
            PullError::NoSuchColumn {
                table: job.table.clone(),
                column: name.clone(),
                role,
                found: found.join(", "),
            }
        })
    };
    for name in &job.key {
        find(name, "key")?;
    }
    let Some(name) = job.cursor.as_ref().filter(|_| job.mode == Mode::Incremental) else {
        return Ok(None);
    };
    let column = find(name, "cursor")?;
    if !can_be_cursor(&column.data_type) {
        return Err(PullError::CursorType {
            table: job.table.clone(),
            column: name.clone(),
            data_type: column.data_type.clone(),
        });
    }
    let fits = match job.lookback {
        Lookback::None => true,
        Lookback::Units(_) => matches!(column.data_type, SnowflakeType::Number { .. }),
        Lookback::Seconds(_) => !matches!(column.data_type, SnowflakeType::Number { .. }),
    };
    if !fits {
        let reason = format!(
            "the lookback does not fit the cursor {name}, a {}: give a number for a NUMBER and a \
             duration such as 15m for a time",
            column.data_type
        );
        return Err(PullError::Job { table: job.table.clone(), reason });
    }
    Ok(Some((name.clone(), column.data_type.clone())))
}

fn check_watermark(
    job: &TableJob,
    cursor: Option<&(Identifier, SnowflakeType)>,
    watermark: Option<&Watermark>,
) -> Result<(), PullError> {
    match (cursor, watermark) {
        (Some((name, data_type)), Some(mark))
            if mark.cursor != *name || mark.cursor_type != *data_type =>
        {
            Err(PullError::CursorChanged { table: job.table.clone(), column: name.clone() })
        }
        _ => Ok(()),
    }
}

/// Reads the plan that a slice or a generation names by its fingerprint.
pub(crate) async fn read_plan(
    work: &Work<'_>,
    generation: u64,
    fingerprint: &str,
) -> Result<TablePlan, PullError> {
    let key = keys::plan(&work.stream, generation, fingerprint);
    let Some(plan) = work.read_once::<TablePlan>(&key).await? else {
        return Err(work.staging(snowferry_staging::StagingError::Missing { key: key.to_string() }));
    };
    if plan.fingerprint() != fingerprint {
        let reason = "its content has another fingerprint".to_owned();
        let key = key.to_string();
        return Err(work.staging(snowferry_staging::StagingError::Corrupt { key, reason }));
    }
    Ok(plan)
}

async fn profile(
    work: &Work<'_>,
    table: &TableDescription,
    cursor: Option<&(Identifier, SnowflakeType)>,
    new_plan: bool,
    floor: Option<Watermark>,
) -> Result<Profile, PullError> {
    let wanted = |wants: &dyn Fn(&SnowflakeType) -> bool| -> Vec<Identifier> {
        let columns = table.columns.iter().filter(|column| new_plan && wants(&column.data_type));
        columns.map(|column| column.name.clone()).collect()
    };
    let wide = |data_type: &SnowflakeType| {
        matches!(data_type, SnowflakeType::Number { precision: 19.., scale: 0 })
            && work.job.integers == IntegerPolicy::Auto
    };
    let request = ProfileRequest {
        table: work.job.table.clone(),
        cursor: cursor.cloned(),
        floor,
        ahead_s: cursor.and_then(|(_, data_type)| ahead_s(data_type)),
        wide_integers: wanted(&wide),
        fine_timestamps: wanted(&has_fine_scale),
        change_token: may_skip(work.job, table),
    };
    let nothing_to_ask = cursor.is_none()
        && request.wide_integers.is_empty()
        && request.fine_timestamps.is_empty()
        && !request.change_token;
    if nothing_to_ask {
        return Ok(Profile::default());
    }
    work.count_statement();
    let profile =
        work.ports.source.profile(&request).await.map_err(|source| work.source(source))?;
    if profile.cursor_ahead > 0 {
        work.count_statement();
    }
    work.figures(|sum| {
        sum.null_cursors = profile.cursor_nulls;
        sum.future_cursors = profile.cursor_ahead;
    });
    let refused = work.job.null_cursors == NullCursors::Error && profile.cursor_nulls > 0;
    match cursor {
        Some((column, _)) if refused => Err(PullError::NullCursor {
            table: work.job.table.clone(),
            column: column.clone(),
            rows: profile.cursor_nulls,
        }),
        _ => Ok(profile),
    }
}

/// Returns how far a cursor may be ahead of the server's clock.
///
/// One row of the year 9999 must not keep all others from being read, so it is no bound. With a key
/// it is read by every run until its time has come; without one, once, when it has come.
fn ahead_s(data_type: &SnowflakeType) -> Option<u64> {
    match data_type {
        SnowflakeType::Date | SnowflakeType::TimestampNtz { .. } => Some(WALL_CLOCK_AHEAD_S),
        SnowflakeType::TimestampLtz { .. } | SnowflakeType::TimestampTz { .. } => {
            Some(INSTANT_AHEAD_S)
        }
        _ => None,
    }
}

fn has_fine_scale(data_type: &SnowflakeType) -> bool {
    matches!(
        data_type,
        SnowflakeType::TimestampNtz { scale: 7.. }
            | SnowflakeType::TimestampLtz { scale: 7.. }
            | SnowflakeType::TimestampTz { scale: 7.. }
    )
}

fn window(
    job: &TableJob,
    cursor: Option<(Identifier, SnowflakeType)>,
    watermark: Option<Watermark>,
    profile: &Profile,
) -> Result<Window, PullError> {
    let Some((cursor, cursor_type)) = cursor else {
        return Ok(Window::Whole);
    };
    let (reload, keyed) = (job.null_cursors == NullCursors::Reload, !job.key.is_empty());
    let Some(text) = profile.cursor_max.clone() else {
        return match watermark {
            None if reload => Ok(Window::Whole),
            // Every cursor is too far ahead to be a bound.
            None if profile.cursor_ahead > 0 && profile.cursor_nulls == 0 && keyed => {
                Ok(Window::Whole)
            }
            None => Ok(Window::Nothing),
            Some(_) => Err(PullError::Job {
                table: job.table.clone(),
                reason: "the source returned no upper bound although a lower one was given"
                    .to_owned(),
            }),
        };
    };
    let to = Watermark { cursor, cursor_type, text };
    // A row that is changed between the statement that fixes the bound and the one that reads
    // rises above the bound. With a key it is read all the same, and again by the next window;
    // without one only new rows come, each of which is read once.
    let window = match (watermark, keyed) {
        (None, true) => Window::Unbounded { to },
        (Some(from), true) => Window::Since { from, lookback: job.lookback, to },
        (None, false) => Window::UpTo { to },
        (Some(from), false) => {
            Window::Between { from, edge: LowerEdge::Open, lookback: job.lookback, to }
        }
    };
    Ok(if reload { Window::WithNulls { of: Box::new(window) } } else { window })
}

async fn new_plan(
    work: &Work<'_>,
    generation: u64,
    table: &TableDescription,
    profile: &Profile,
) -> Result<TablePlan, PullError> {
    let mut facts = profile.facts.clone();
    for column in &table.columns {
        // A column that was not looked at because its type cannot have the property.
        if !has_fine_scale(&column.data_type) {
            facts.entry(column.name.clone()).or_default();
        }
    }
    let plan = TablePlan::decide(table, &facts, work.job.integers)
        .map_err(|source| PullError::Plan { table: work.job.table.clone(), source })?;
    let key = keys::plan(&work.stream, generation, &plan.fingerprint());
    work.create_once(&key, plan).await
}

/// What the next slice will be.
struct Next<'a> {
    table: &'a TableDescription,
    plan: TablePlan,
    window: Window,
    continues: bool,
    unchanged: Option<String>,
}

async fn submit(work: &Work<'_>, stored: &Stored, next: Next<'_>) -> Result<Pinned, PullError> {
    let Next { table, plan, window, continues, unchanged } = next;
    let fingerprint = plan.fingerprint();
    let tag = serde_json::json!({
        "app": "snowferry",
        "connection": work.run.connection,
        "run": work.run.run_id,
    })
    .to_string();
    let request = ReadRequest { table: work.job.table.clone(), plan, window: window.clone(), tag };
    work.count_statement();
    let query = work.ports.source.submit(&request).await.map_err(|source| work.source(source))?;
    let slice = Slice {
        sequence: stored.state.sequence + 1,
        query_id: query.0.clone(),
        window,
        apply: apply(work.job, continues),
        plan: fingerprint,
        identity: table.identity.clone(),
        part_bytes: work.run.limits.part_bytes,
        pinned_at: work.ports.clock.now(),
        run_id: work.run.run_id.clone(),
        unchanged,
    };
    store_slice(work, stored, slice, &query).await
}

fn apply(job: &TableJob, continues: bool) -> Apply {
    let unique = job
        .cursor
        .clone()
        .filter(|_| job.mode == Mode::Incremental && !job.key.is_empty())
        .map(|cursor| UniqueBy { key: job.key.clone(), cursor });
    match unique {
        unique if !continues => Apply::Replace { unique },
        Some(UniqueBy { key, cursor }) => Apply::Upsert { key, cursor },
        None => Apply::Append,
    }
}

/// Stores the slice by compare-and-set. A statement whose slice is not stored is cancelled.
async fn store_slice(
    work: &Work<'_>,
    stored: &Stored,
    slice: Slice,
    query: &QueryId,
) -> Result<Pinned, PullError> {
    let state = StreamState { slice: Some(slice.clone()), ..stored.state.clone() };
    let result = work.ports.checkpoint.store(&work.stream, Some(stored.revision), &state).await;
    let failure = match result {
        Ok(_) => return Ok(Pinned::Slice(Box::new(slice))),
        Err(CheckpointError::Moved { .. }) => None,
        Err(error) => Some(error),
    };
    // Unknown is not absent: the slice may be stored although an error came.
    let now = work.load_state().await?;
    if now.is_some_and(|now| now.state.slice.as_ref() == Some(&slice)) {
        return Ok(Pinned::Slice(Box::new(slice)));
    }
    if let Err(error) = work.ports.source.cancel(query).await {
        tracing::warn!(code = snowferry_model::fault::Fault::code(&error), "cancel a statement");
    }
    match failure {
        None | Some(CheckpointError::Unknown { .. }) => Ok(Pinned::Moved),
        Some(error) => Err(work.checkpoint(error)),
    }
}
