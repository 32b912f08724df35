//! Deletes files that the newest version does not name and that nobody can need.
//!
//! A file is deleted when all of this holds: it bears a name of ours and lies right in the
//! table's folder; the newest version does not name it; no commit within the retention took it
//! out; and it has been in the folder for longer than the retention. The last one protects loads
//! in work, whose files no commit names yet. How long a file has been there is not its
//! modification time: a part is brought in by a hard link, which keeps the time of the staged
//! object, but sets the time of the last change of status.

use std::collections::HashSet;
use std::fs::Metadata;
use std::io;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use snowferry_model::state::StreamKey;
use snowferry_model::time::UnixMillis;

use super::super::table::Version;
use super::super::{DeltaDatabase, store_error};
use super::{MAX_RETENTION, Maintained, MaintenancePolicy};
use crate::DatabaseError;

impl DeltaDatabase {
    /// Deletes what may be deleted.
    pub(super) async fn vacuum(
        &self,
        stream: &StreamKey,
        policy: &MaintenancePolicy,
        now: UnixMillis,
        maintained: &mut Maintained,
    ) -> Result<(), DatabaseError> {
        let Some(version) = self.version(stream).await? else { return Ok(()) };
        if version.ledger.is_none() {
            return Ok(());
        }
        let retention = policy.retention.min(MAX_RETENTION);
        let retention_ms = i64::try_from(retention.as_millis()).unwrap_or(i64::MAX);
        let kept = Kept {
            cutoff_ms: now.0.saturating_sub(retention_ms),
            named: named_since(&version, now.0.saturating_sub(retention_ms)).await?,
        };
        let (table, folder) = (version.table, version.folder);
        let most = policy.most_deleted;
        let work = tokio::task::spawn_blocking(move || kept.delete_others(&folder, most));
        let deleted = work.await.unwrap_or_else(|error| Err(io::Error::other(error)));
        let (files, bytes) = deleted.map_err(|error| store_error("vacuum", &table, error))?;
        maintained.deleted_files = files;
        maintained.deleted_bytes = bytes;
        Ok(())
    }
}

/// What stays.
struct Kept {
    /// Files of the newest version, and those that a commit since the cutoff took out.
    named: HashSet<String>,
    /// Files that came later than this stay.
    cutoff_ms: i64,
}

impl Kept {
    /// Deletes everything else of ours; blocks. Returns the number and size of deleted files.
    fn delete_others(&self, folder: &Path, most: usize) -> io::Result<(u64, u64)> {
        let mut doomed: Vec<(PathBuf, u64)> = Vec::new();
        for entry in std::fs::read_dir(folder)? {
            let entry = entry?;
            let Ok(name) = entry.file_name().into_string() else { continue };
            if !is_ours(&name) || self.named.contains(&name) {
                continue;
            }
            let metadata = entry.metadata()?;
            if metadata.is_file() && in_folder_since_ms(&metadata) < self.cutoff_ms {
                doomed.push((entry.path(), metadata.len()));
            }
        }
        doomed.sort();
        doomed.truncate(most);
        let mut bytes = 0;
        for (path, size_bytes) in &doomed {
            match std::fs::remove_file(path) {
                Ok(()) => bytes += size_bytes,
                // Another vacuum was faster.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        Ok((doomed.len() as u64, bytes))
    }
}

/// Returns whether a load or a merge of ours gave a file this name.
fn is_ours(name: &str) -> bool {
    let id = name.strip_prefix("part-").and_then(|rest| rest.strip_suffix(".parquet"));
    id.is_some_and(|id| id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

/// Returns when a file was last written, linked or renamed, whichever came last.
fn in_folder_since_ms(metadata: &Metadata) -> i64 {
    #[cfg(unix)]
    let changed = {
        use std::os::unix::fs::MetadataExt;
        metadata.ctime().saturating_mul(1000).saturating_add(metadata.ctime_nsec() / 1_000_000)
    };
    // Elsewhere the time of creation is that of the link.
    #[cfg(not(unix))]
    let changed = metadata.created().map_or(i64::MAX, millis);
    changed.max(metadata.modified().map_or(i64::MAX, millis))
}

fn millis(time: std::time::SystemTime) -> i64 {
    let since = time.duration_since(std::time::UNIX_EPOCH);
    since.ok().and_then(|since| i64::try_from(since.as_millis()).ok()).unwrap_or(i64::MAX)
}

/// A line of a log entry, as far as it matters here.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Line {
    remove: Option<Removed>,
    commit_info: Option<CommitInfo>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Removed {
    path: String,
}

#[derive(Debug, Deserialize)]
struct CommitInfo {
    timestamp: Option<i64>,
}

/// Returns the files of the version, and those that a commit since the cutoff took out.
///
/// Goes back through the log until a commit before the cutoff, or to where the log begins.
async fn named_since(version: &Version, cutoff_ms: i64) -> Result<HashSet<String>, DatabaseError> {
    let mut named: HashSet<String> = version.files.iter().map(|file| file.path.clone()).collect();
    let mut number = Some(version.number());
    while let Some(at) = number {
        let Some(entry) = version.log_entry(at).await? else { break };
        let (mut timestamp_ms, mut removed) = (None, Vec::new());
        for line in entry.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            let line: Line = serde_json::from_slice(line)
                .map_err(|error| store_error("read the log of", &version.table, error))?;
            removed.extend(line.remove.map(|removed| removed.path));
            timestamp_ms = timestamp_ms.or(line.commit_info.and_then(|info| info.timestamp));
        }
        // A commit that tells no time counts as recent.
        if timestamp_ms.is_some_and(|timestamp_ms| timestamp_ms < cutoff_ms) {
            break;
        }
        named.extend(removed);
        number = at.checked_sub(1);
    }
    Ok(named)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_that_we_give_are_ours() {
        let id = "0123456789abcdef0123456789abcdef";
        for (name, expected) in [
            (format!("part-{id}.parquet"), true),
            (super::super::super::files::unique_name(), true),
            (format!("part-00000-{id}-c000.snappy.parquet"), false),
            (format!("part-{id}.parquet.tmp"), false),
            ("notes.parquet".to_owned(), false),
        ] {
            assert_eq!(is_ours(&name), expected, "{name}");
        }
    }
}
