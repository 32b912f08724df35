//! Loads a manifest, and finds out what happened when no certain answer came.

use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use snowferry_database::{DatabaseError, LoadRequest, Loaded, StagedParts};
use snowferry_model::manifest::{Manifest, PartRecord};
use snowferry_model::state::LedgerPosition;
use snowferry_staging::{ObjectKey, Staging};

use crate::error::PullError;
use crate::pin::read_plan;
use crate::ports::Event;
use crate::run::Work;

/// Loads a manifest. Afterwards the ledger is certainly at the manifest's position.
pub(crate) async fn load(work: &Work<'_>, manifest: &Manifest) -> Result<(), PullError> {
    work.event(Event::Loading { rows: manifest.rows });
    let plan = read_plan(work, manifest.generation, &manifest.plan).await?;
    let parts = Parts(Arc::clone(&work.ports.staging));
    let request = LoadRequest { stream: &work.stream, plan: &plan, manifest };
    match work.ports.database.load(request, &parts).await {
        Ok(Loaded::Now(figures)) => {
            work.figures(|sum| {
                sum.slices_loaded += 1;
                sum.rows_loaded += figures.inserted;
                sum.rows_replaced += figures.replaced;
                sum.rows_superseded += figures.superseded;
            });
            Ok(())
        }
        Ok(Loaded::Already) => Ok(()),
        Err(error) => settle(work, manifest, error).await,
    }
}

/// Reads the ledger after an error: a load whose answer was lost has happened all the same.
async fn settle(
    work: &Work<'_>,
    manifest: &Manifest,
    error: DatabaseError,
) -> Result<(), PullError> {
    let reached = LedgerPosition { generation: manifest.generation, sequence: manifest.sequence };
    let ledger = work.ports.database.ledger(&work.stream).await;
    if matches!(ledger, Ok(Some(position)) if position == reached) {
        tracing::warn!(code = snowferry_model::fault::Fault::code(&error), "a load had happened");
        return Ok(());
    }
    Err(work.database(error))
}

/// Staged parts as the database reads them.
pub(crate) struct Parts(pub(crate) Arc<dyn Staging>);

#[async_trait]
impl StagedParts for Parts {
    async fn read(
        &self,
        part: &PartRecord,
        range: Range<u64>,
    ) -> Result<Bytes, Box<dyn std::error::Error + Send + Sync>> {
        Ok(self.0.read(&ObjectKey(part.object.clone()), range).await?)
    }

    fn local_path(&self, part: &PartRecord) -> Option<PathBuf> {
        self.0.local_path(&ObjectKey(part.object.clone()))
    }
}
