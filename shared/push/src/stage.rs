//! Writes the rows of a slice as parts, brings them to the server, and makes the manifest.
//!
//! Nothing leaves our staging before every row was looked at: one value that does not fit keeps all
//! parts here, and they are deleted.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

use arrow::array::Array;
use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use async_trait::async_trait;
use bytes::Bytes;
use futures::StreamExt;
use snowferry_database::DatabaseError;
use snowferry_model::fault::Fault;
use snowferry_model::push::{
    ColumnVerdict, PUSH_MANIFEST_VERSION, PushManifest, PushPart, PushPlan, PushSlice, PushState,
};
use snowferry_snowflake::{FileToUpload, PartFiles};
use snowferry_staging::part::{PartOptions, PartWriter};
use snowferry_staging::{ObjectKey, Staging, StagingError, push_keys};

use crate::convert::Converter;
use crate::error::PushError;
use crate::guards::guard;
use crate::ports::Event;
use crate::run::Work;

/// What staging led to.
pub(crate) enum Staged {
    /// All parts are there; this is the manifest that counts.
    Manifest(Box<PushManifest>),
    /// Rows do not fit.
    Refused(Vec<ColumnVerdict>),
    /// The deadline came.
    Deadline,
    /// The pinned versions of our tables are gone.
    Gone(DatabaseError),
}

/// Stages a slice.
pub(crate) async fn stage(
    work: &Work<'_>,
    state: &PushState,
    slice: &PushSlice,
) -> Result<Staged, PushError> {
    let plan = read_plan(work, state, slice).await?;
    let mut batches = match work.ports.export.open(&plan.snapshot).await {
        Ok(batches) => batches,
        Err(error @ DatabaseError::SnapshotGone { .. }) => return Ok(Staged::Gone(error)),
        Err(error) => return Err(work.database(error)),
    };
    let mut parts = Parts::new(work, state.generation, slice.sequence, &plan);
    let mut converter = Converter::new(&plan);
    while let Some(batch) = batches.next().await {
        let batch = match batch {
            Ok(batch) => batch,
            Err(error @ DatabaseError::SnapshotGone { .. }) => return Ok(Staged::Gone(error)),
            Err(error) => return Err(work.database(error)),
        };
        let rows = batch.num_rows() as u64;
        let converted = converter.convert(&batch).map_err(|error| error.of(&work.job.push))?;
        // After a first value that does not fit, the rest is only looked at.
        if !converter.has_problems() {
            parts.write(converted).await?;
        }
        work.event(Event::Read { rows });
        work.keep_lease().await;
        if work.past_deadline() {
            parts.drop_all().await;
            return Ok(Staged::Deadline);
        }
    }
    let mut verdicts = converter.verdicts();
    verdicts.extend(guard(&plan, converter.rows(), work.job.rules));
    if !verdicts.is_empty() {
        parts.drop_all().await;
        return Ok(Staged::Refused(verdicts));
    }
    let mut parts = parts.finish().await?;
    let there = uploaded(work, (state.generation, slice.sequence), &plan).await;
    for part in &mut parts {
        if work.past_deadline() {
            return Ok(Staged::Deadline);
        }
        let file = part_file(work, (state.generation, slice.sequence), &plan, part);
        part.file = match there.get(&file) {
            Some(name) => {
                work.figures(|figures| figures.parts_reused += 1);
                work.event(Event::staged(part));
                name.clone()
            }
            None => upload(work, part, file).await?,
        };
        work.keep_lease().await;
    }
    let manifest = PushManifest {
        version: PUSH_MANIFEST_VERSION,
        generation: state.generation,
        sequence: slice.sequence,
        rows: converter.rows(),
        values: converter.values(),
        plan,
        parts,
    };
    publish(work, manifest).await
}

async fn read_plan(
    work: &Work<'_>,
    state: &PushState,
    slice: &PushSlice,
) -> Result<PushPlan, PushError> {
    let key = push_keys::plan(&work.job.push, state.generation, slice.sequence, &slice.plan);
    work.read_once(&key)
        .await?
        .ok_or_else(|| work.staging(StagingError::Missing { key: key.to_string() }))
}

/// Lists the files that earlier attempts at the slice have brought to the server: of killed runs, and
/// of this one before a deadline. It only saves work, so a failure is none.
async fn uploaded(
    work: &Work<'_>,
    (generation, sequence): (u64, u64),
    plan: &PushPlan,
) -> BTreeMap<String, String> {
    if plan.relies_on_files() {
        return BTreeMap::new();
    }
    let prefix = push_keys::sequence_prefix(&work.job.push, generation, sequence);
    work.ports.target.files(&prefix).await.unwrap_or_else(|error| {
        tracing::warn!(code = error.code(), "list uploaded files");
        BTreeMap::new()
    })
}

/// Creates the manifest; if another run was faster, its parts count and ours go. Files of ours at
/// the server may be its files, too; what is nobody's goes when the slice is committed.
async fn publish(work: &Work<'_>, manifest: PushManifest) -> Result<Staged, PushError> {
    let key = push_keys::manifest(&work.job.push, manifest.generation, manifest.sequence);
    let ours = manifest.clone();
    let counts = work.create_once(&key, manifest).await?;
    if counts.parts != ours.parts {
        for part in &ours.parts {
            work.discard(&ObjectKey(part.object.clone())).await;
        }
    }
    Ok(Staged::Manifest(Box::new(counts)))
}

/// The parts of one attempt, one of them open.
struct Parts<'a> {
    work: &'a Work<'a>,
    attempt: String,
    generation: u64,
    sequence: u64,
    schema: SchemaRef,
    open: Option<(ObjectKey, PartWriter)>,
    open_bytes: u64,
    done: Vec<PushPart>,
}

impl<'a> Parts<'a> {
    fn new(work: &'a Work<'a>, generation: u64, sequence: u64, plan: &PushPlan) -> Self {
        Self {
            work,
            attempt: work.next_attempt(),
            generation,
            sequence,
            schema: Arc::new(crate::convert::schema(&plan.columns)),
            open: None,
            open_bytes: 0,
            done: Vec::new(),
        }
    }

    async fn write(&mut self, batch: RecordBatch) -> Result<(), PushError> {
        if batch.num_rows() == 0 {
            return Ok(());
        }
        let bytes = |column: &dyn Array| column.to_data().get_slice_memory_size().unwrap_or(0);
        let size: usize = batch.columns().iter().map(|column| bytes(column)).sum();
        let work = self.work;
        if self.open.is_none() {
            let index = u32::try_from(self.done.len()).unwrap_or(u32::MAX);
            let push = &work.job.push;
            let key = push_keys::part(push, self.generation, self.sequence, &self.attempt, index);
            let staging = work.ports.staging.as_ref();
            let options = PartOptions::default();
            let writer = PartWriter::begin(staging, &key, self.schema.clone(), &options)
                .await
                .map_err(|source| work.staging(source))?;
            self.open = Some((key, writer));
        }
        if let Some((_, writer)) = &mut self.open {
            writer.write(batch).await.map_err(|source| work.staging(source))?;
        }
        self.open_bytes += size as u64;
        if self.open_bytes >= work.run.limits.part_bytes {
            self.close().await?;
        }
        Ok(())
    }

    /// Ends the open part.
    async fn close(&mut self) -> Result<(), PushError> {
        let Some((key, writer)) = self.open.take() else { return Ok(()) };
        let work = self.work;
        let written = writer.finish().await.map_err(|source| work.staging(source))?;
        self.open_bytes = 0;
        work.figures(|figures| {
            figures.rows_staged += written.rows;
            figures.parts_staged += 1;
            figures.staged_bytes += written.size_bytes;
        });
        self.done.push(PushPart {
            index: u32::try_from(self.done.len()).unwrap_or(u32::MAX),
            object: key.0,
            file: String::new(),
            rows: written.rows,
            size_bytes: written.size_bytes,
            sha256: written.sha256,
        });
        Ok(())
    }

    /// Deletes what was written.
    async fn drop_all(self) {
        for part in self.done {
            self.work.discard(&ObjectKey(part.object)).await;
        }
    }

    async fn finish(mut self) -> Result<Vec<PushPart>, PushError> {
        self.close().await?;
        Ok(self.done)
    }
}

/// Returns our name of a part's file at the server. It follows from the content, so that another
/// attempt finds the file; not so where a repeat is known by its files, because there a file that
/// a run brings again, late, must not be one that was loaded.
pub(crate) fn part_file(
    work: &Work<'_>,
    (generation, sequence): (u64, u64),
    plan: &PushPlan,
    part: &PushPart,
) -> String {
    if plan.relies_on_files() {
        return part.object.clone();
    }
    push_keys::file(&work.job.push, generation, sequence, part.index, &part.sha256)
}

/// Brings a part to the server and returns the server's name of the file.
pub(crate) async fn upload(
    work: &Work<'_>,
    part: &PushPart,
    file: String,
) -> Result<String, PushError> {
    let file = FileToUpload {
        object: part.object.clone(),
        file,
        size_bytes: part.size_bytes,
        sha256: part.sha256.clone(),
    };
    let files = StagedFiles(Arc::clone(&work.ports.staging));
    let name = work.ports.target.upload(&file, &files).await;
    let name = name.map_err(|source| work.target(source))?;
    work.event(Event::staged(part));
    Ok(name)
}

/// Staged objects as an upload reads them.
struct StagedFiles(Arc<dyn Staging>);

#[async_trait]
impl PartFiles for StagedFiles {
    async fn read(
        &self,
        object: &str,
        range: Range<u64>,
    ) -> Result<Bytes, Box<dyn std::error::Error + Send + Sync>> {
        Ok(self.0.read(&ObjectKey(object.to_owned()), range).await?)
    }

    fn local_path(&self, object: &str) -> Option<PathBuf> {
        self.0.local_path(&ObjectKey(object.to_owned()))
    }
}
