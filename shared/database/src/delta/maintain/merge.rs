//! Merges small files into larger ones without changing a row.

use deltalake_core::kernel::Action;
use deltalake_core::protocol::DeltaOperation;
use snowferry_model::state::StreamKey;

use super::super::change::add;
use super::super::files::{remove_orphans, sync_folder, unique_name};
use super::super::parquet_file::{FileWriter, ParquetFile, WrittenFile};
use super::super::table::{Outcome, TableFile, Version};
use super::super::{DeltaDatabase, store_error};
use super::{Maintained, MaintenancePolicy};
use crate::{BoxError, DatabaseError};

impl DeltaDatabase {
    /// Merges once. A commit that comes between is a reason to leave it to the next run.
    pub(super) async fn merge_small_files(
        &self,
        stream: &StreamKey,
        policy: &MaintenancePolicy,
        maintained: &mut Maintained,
    ) -> Result<(), DatabaseError> {
        let Some(version) = self.version(stream).await? else { return Ok(()) };
        let Some(ledger) = version.ledger else { return Ok(()) };
        let groups = groups(&version.files, policy);
        if groups.is_empty() {
            return Ok(());
        }
        let (table, folder) = (version.table.clone(), version.folder.clone());
        let work = tokio::task::spawn_blocking(move || {
            let mut written = Vec::new();
            let merged = merge(&version, &groups, &mut written);
            (version, groups, merged, written)
        });
        let (version, groups, merged, written) =
            work.await.map_err(|error| store_error("merge files of", &table, error))?;
        let outcome = match merged {
            Ok(actions) => {
                let target_size = i64::try_from(policy.target_bytes).unwrap_or(i64::MAX);
                let operation = DeltaOperation::Optimize { predicate: None, target_size };
                version.commit(actions, ledger, operation).await?
            }
            Err(error) => Outcome::Failed(store_error("merge files of", &table, error)),
        };
        match outcome {
            Outcome::Committed(number) => {
                maintained.merged_files = groups.iter().map(|group| group.len() as u64).sum();
                maintained.written_files = written.len() as u64;
                version.sync(number).await
            }
            Outcome::Lost => {
                tracing::debug!(%table, "files were not merged: another commit came between");
                remove_orphans(folder, written).await;
                Ok(())
            }
            Outcome::Failed(error) => {
                remove_orphans(folder, written).await;
                Err(error)
            }
        }
    }
}

/// Chooses the files that become one, in the order of the log.
fn groups(files: &[TableFile], policy: &MaintenancePolicy) -> Vec<Vec<TableFile>> {
    let small: Vec<_> = files.iter().filter(|file| file.size_bytes < policy.small_bytes).collect();
    if small.len() < policy.least_files.max(2) {
        return Vec::new();
    }
    let mut groups: Vec<Vec<TableFile>> = Vec::new();
    let (mut group, mut group_bytes, mut all_bytes) = (Vec::new(), 0_u64, 0_u64);
    for file in small {
        all_bytes = all_bytes.saturating_add(file.size_bytes);
        if all_bytes > policy.most_merged_bytes {
            break;
        }
        if group_bytes.saturating_add(file.size_bytes) > policy.target_bytes {
            groups.push(std::mem::take(&mut group));
            group_bytes = 0;
        }
        group_bytes += file.size_bytes;
        group.push(file.clone());
    }
    groups.push(group);
    groups.retain(|group| group.len() > 1);
    groups
}

/// Writes each group as one file; blocks. Names of files that it writes are pushed to `written`.
fn merge(
    version: &Version,
    groups: &[Vec<TableFile>],
    written: &mut Vec<String>,
) -> Result<Vec<Action>, BoxError> {
    let mut actions = Vec::new();
    for group in groups {
        let file = merge_group(version, group, written)?;
        actions.extend(file.as_ref().map(add));
        actions.extend(group.iter().map(|file| Action::Remove(file.remove.clone())));
    }
    for action in &mut actions {
        match action {
            Action::Add(add) => add.data_change = false,
            Action::Remove(remove) => remove.data_change = false,
            _ => {}
        }
    }
    sync_folder(&version.folder)?;
    Ok(actions)
}

fn merge_group(
    version: &Version,
    group: &[TableFile],
    written: &mut Vec<String>,
) -> Result<Option<WrittenFile>, BoxError> {
    let mut target: Option<FileWriter> = None;
    for file in group {
        let source = ParquetFile::open(&version.folder.join(&file.path))?;
        let mut writer = match target.take() {
            Some(writer) => writer,
            None => {
                let name = unique_name();
                written.push(name.clone());
                FileWriter::create(&version.folder, &name, &version.schema, source.footer())?
            }
        };
        for batch in source.batches(&version.schema, None)? {
            writer.write(&batch?)?;
        }
        target = Some(writer);
    }
    match target {
        Some(writer) => writer.finish(),
        None => Ok(None),
    }
}
