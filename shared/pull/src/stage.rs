//! Stages the parts of a slice and makes its manifest. Any number of workers may do so at once.

use std::collections::BTreeSet;

use futures::StreamExt;
use futures::stream::FuturesUnordered;
use snowferry_model::manifest::{MANIFEST_VERSION, Manifest, PartRecord};
use snowferry_model::plan::TablePlan;
use snowferry_model::slice::Slice;
use snowferry_model::state::StreamState;
use snowferry_snowflake::{QueryId, ResultLayout, ResultState, SnowflakeError};
use snowferry_staging::keys;
use snowferry_staging::part::{PartOptions, PartWriter};
use std::sync::Arc;

use crate::error::PullError;
use crate::layout::{PlannedPart, plan_parts};
use crate::pin::read_plan;
use crate::ports::Event;
use crate::run::Work;

/// What staging led to.
#[derive(Debug)]
pub(crate) enum Staged {
    /// All parts are staged; this is the manifest that counts.
    Manifest(Box<Manifest>),
    /// The window holds no row and the table need not be made anew.
    Empty,
    /// The deadline came; what is staged stays.
    Deadline,
    /// The server no longer keeps the result.
    Gone,
}

/// Stages what is missing of a slice.
pub(crate) async fn stage(
    work: &Work<'_>,
    state: &StreamState,
    slice: &Slice,
) -> Result<Staged, PullError> {
    let query = QueryId(slice.query_id.clone());
    work.note_query(&query);
    let layout = match wait(work, &query).await? {
        Awaited::Layout(layout) => layout,
        Awaited::Deadline => return Ok(Staged::Deadline),
        Awaited::Gone => return Ok(Staged::Gone),
    };
    work.figures(|figures| figures.rows_announced = layout.rows);
    let replaces = matches!(slice.apply, snowferry_model::slice::Apply::Replace { .. });
    if layout.rows == 0 && !replaces {
        return Ok(Staged::Empty);
    }
    let plan = read_plan(work, state.generation, &slice.plan).await?;
    let parts = plan_parts(&layout, slice.part_bytes);
    let prefix =
        keys::slice_prefix(&work.stream, state.generation, slice.sequence, &slice.query_id);
    let done = parts_done(work, &prefix, &parts).await?;
    announce(work, &layout, &parts, &done);
    let missing = parts.iter().filter(|part| !done.contains(&part.index)).collect();
    match stage_missing(work, &query, &plan, &prefix, missing).await? {
        Missing::None => {}
        Missing::Deadline => return Ok(Staged::Deadline),
        Missing::Gone => return Ok(Staged::Gone),
    }
    let manifest = assemble(work, state, slice, &layout, &prefix, &parts).await?;
    let key = keys::manifest(&work.stream, state.generation, slice.sequence);
    Ok(Staged::Manifest(Box::new(work.create_once(&key, manifest).await?)))
}

/// Stages what is missing of a slice beside the run that will make its manifest. Begins at a part
/// of its own choice, so that several workers do not meet before the end.
pub(crate) async fn stage_beside(
    work: &Work<'_>,
    state: &StreamState,
    slice: &Slice,
    choice: u64,
) -> Result<(), PullError> {
    let query = QueryId(slice.query_id.clone());
    let Awaited::Layout(layout) = wait(work, &query).await? else { return Ok(()) };
    let plan = read_plan(work, state.generation, &slice.plan).await?;
    let parts = plan_parts(&layout, slice.part_bytes);
    let prefix =
        keys::slice_prefix(&work.stream, state.generation, slice.sequence, &slice.query_id);
    let done = parts_done(work, &prefix, &parts).await?;
    let mut missing: Vec<&PlannedPart> =
        parts.iter().filter(|part| !done.contains(&part.index)).collect();
    if let Some(count) = u64::try_from(missing.len()).ok().filter(|count| *count > 0) {
        missing.rotate_left(usize::try_from(choice % count).unwrap_or(0));
    }
    stage_missing(work, &query, &plan, &prefix, missing).await.map(|_| ())
}

enum Awaited {
    Layout(ResultLayout),
    Deadline,
    Gone,
}

async fn wait(work: &Work<'_>, query: &QueryId) -> Result<Awaited, PullError> {
    loop {
        if work.past_deadline() {
            return Ok(Awaited::Deadline);
        }
        match work.ports.source.open(query).await {
            Ok(ResultState::Ready(layout)) => return Ok(Awaited::Layout(layout)),
            Ok(ResultState::Running) => work.keep_lease().await,
            Err(SnowflakeError::ResultGone { .. }) => return Ok(Awaited::Gone),
            Err(error) => return Err(work.source(error)),
        }
    }
}

/// Returns the positions of the parts that have a record.
async fn parts_done(
    work: &Work<'_>,
    prefix: &str,
    parts: &[PlannedPart],
) -> Result<BTreeSet<u32>, PullError> {
    let objects = work.ports.staging.list(prefix).await.map_err(|source| work.staging(source))?;
    let there: BTreeSet<_> = objects.into_iter().map(|object| object.key).collect();
    Ok(parts
        .iter()
        .map(|part| part.index)
        .filter(|index| there.contains(&keys::part_record(prefix, *index)))
        .collect())
}

fn announce(work: &Work<'_>, layout: &ResultLayout, parts: &[PlannedPart], done: &BTreeSet<u32>) {
    let rows_done =
        parts.iter().filter(|part| done.contains(&part.index)).map(|part| part.rows).sum();
    work.event(Event::Announced {
        rows: layout.rows,
        compressed_bytes: layout.pieces.iter().map(|piece| piece.compressed_bytes).sum(),
        parts: parts.len(),
        parts_done: done.len(),
        rows_done,
    });
    work.figures(|figures| figures.parts_reused = done.len() as u64);
}

enum Missing {
    None,
    Deadline,
    Gone,
}

/// Stages parts in order, `parallel_parts` at a time.
async fn stage_missing(
    work: &Work<'_>,
    query: &QueryId,
    plan: &TablePlan,
    prefix: &str,
    missing: Vec<&PlannedPart>,
) -> Result<Missing, PullError> {
    let mut todo = missing.into_iter();
    let mut running = FuturesUnordered::new();
    let mut stopped = false;
    loop {
        while running.len() < work.run.limits.parallel_parts.max(1) {
            stopped = stopped || work.past_deadline();
            match todo.next() {
                Some(_) if stopped => break,
                Some(part) => running.push(stage_part(work, query, plan, prefix, part)),
                None => break,
            }
        }
        match running.next().await {
            None if stopped => return Ok(Missing::Deadline),
            None => return Ok(Missing::None),
            Some(Ok(())) => {}
            Some(Err(PullError::Source { source: SnowflakeError::ResultGone { .. }, .. })) => {
                return Ok(Missing::Gone);
            }
            Some(Err(error)) => return Err(error),
        }
    }
}

/// Reads the pieces of one part, writes them as one Parquet object, and creates its record.
async fn stage_part(
    work: &Work<'_>,
    query: &QueryId,
    plan: &TablePlan,
    prefix: &str,
    part: &PlannedPart,
) -> Result<(), PullError> {
    // Another worker may have staged it since the list was made.
    let record = keys::part_record(prefix, part.index);
    if work.read_once::<PartRecord>(&record).await?.is_some() {
        work.figures(|figures| figures.parts_reused += 1);
        return Ok(());
    }
    let key = keys::part_data(prefix, part.index, &work.next_attempt());
    let mut batches = work
        .ports
        .source
        .read(query, part.pieces.clone(), plan)
        .await
        .map_err(|source| work.source(source))?;
    let staging = work.ports.staging.as_ref();
    let schema = Arc::new(plan.schema());
    let mut writer = PartWriter::begin(staging, &key, schema, &PartOptions::default())
        .await
        .map_err(|source| work.staging(source))?;
    while let Some(batch) = batches.next().await {
        let batch = batch.map_err(|source| work.source(source))?;
        let rows = batch.num_rows() as u64;
        writer.write(batch).await.map_err(|source| work.staging(source))?;
        work.event(Event::Read { rows });
        work.keep_lease().await;
    }
    let written = writer.finish().await.map_err(|source| work.staging(source))?;
    if written.rows != part.rows {
        return Err(work.mismatch(format!(
            "part {} was announced with {} rows and has {}",
            part.index, part.rows, written.rows
        )));
    }
    let record = PartRecord {
        version: MANIFEST_VERSION,
        index: part.index,
        object: key.0.clone(),
        rows: written.rows,
        size_bytes: written.size_bytes,
        sha256: written.sha256,
        received_bytes: part.compressed_bytes,
        columns: written.columns,
    };
    let counts = work.create_once(&keys::part_record(prefix, part.index), record).await?;
    work.figures(|figures| {
        figures.rows_staged += written.rows;
        figures.parts_staged += 1;
        figures.staged_bytes += written.size_bytes;
        figures.received_bytes += part.compressed_bytes;
    });
    work.event(Event::Staged {
        part: part.index,
        rows: written.rows,
        size_bytes: written.size_bytes,
        received_bytes: part.compressed_bytes,
    });
    if counts.object != key.0 {
        // Another worker's object counts; ours is certainly not referred to by anything.
        work.discard(&key).await;
    }
    Ok(())
}

/// Gathers the records of all parts and checks them against the server's counts.
async fn assemble(
    work: &Work<'_>,
    state: &StreamState,
    slice: &Slice,
    layout: &ResultLayout,
    prefix: &str,
    parts: &[PlannedPart],
) -> Result<Manifest, PullError> {
    let mut records = Vec::with_capacity(parts.len());
    for part in parts {
        let key = keys::part_record(prefix, part.index);
        let Some(record) = work.read_once::<PartRecord>(&key).await? else {
            return Err(work.mismatch(format!("the record of part {} is missing", part.index)));
        };
        if record.index != part.index || record.rows != part.rows {
            return Err(work.mismatch(format!(
                "the record of part {} is of part {} with {} rows, announced were {}",
                part.index, record.index, record.rows, part.rows
            )));
        }
        records.push(record);
    }
    let rows: u64 = records.iter().map(|record| record.rows).sum();
    if rows != layout.rows {
        return Err(work.mismatch(format!("{rows} rows are staged of {} announced", layout.rows)));
    }
    Ok(Manifest {
        version: MANIFEST_VERSION,
        generation: state.generation,
        sequence: slice.sequence,
        query_id: slice.query_id.clone(),
        plan: slice.plan.clone(),
        identity: slice.identity.clone(),
        apply: slice.apply.clone(),
        watermark: slice.window.upper().cloned(),
        pinned_at: slice.pinned_at,
        rows,
        parts: records,
    })
}
