//! What queries need of a bucket: which tables there are, a version of one, its files one by one.
//!
//! A version is opened from its log alone. A data file is brought when its turn comes and removed
//! when it was read, so a query needs disk for one file of each of its tables.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use snowferry_model::names::ConnectionName;
use snowferry_model::state::StreamKey;
use tempfile::TempDir;
use tokio::runtime::Handle;

use super::{BucketDelta, LOG, Place, told, work_folder};
use crate::delta::listing::{self, Listed};
use crate::delta::scan::{Brought, Fetch};
use crate::delta::store_error;
use crate::delta::table::Version;
use crate::{BoxError, DatabaseError};

impl BucketDelta {
    /// Lists the tables of these connections, or of all, sorted.
    pub(in crate::delta) async fn streams(
        &self,
        connections: Option<&BTreeSet<ConnectionName>>,
    ) -> Result<Vec<StreamKey>, DatabaseError> {
        let connections = match connections {
            Some(connections) => connections.clone(),
            None => {
                let names = self.folders(&self.prefix).await?;
                names.into_iter().filter_map(|name| ConnectionName::new(name).ok()).collect()
            }
        };
        let mut streams = Vec::new();
        for connection in connections {
            let prefix = format!("{}{connection}/", self.prefix);
            for folder in self.folders(&prefix).await? {
                let listed = listing::listed(&connection, &folder);
                let place = Place { table: folder.clone(), prefix: format!("{prefix}{folder}/") };
                match listed {
                    Some(Listed::Table(stream)) if self.has_log(&place).await? => {
                        streams.push(stream);
                    }
                    Some(Listed::LongName(connection, _)) => {
                        let version = self.open(&place, None).await?;
                        let name = version.and_then(|version| version.source_name());
                        streams.extend(name.map(|table| StreamKey { connection, table }));
                    }
                    _ => {}
                }
            }
        }
        streams.sort();
        Ok(streams)
    }

    /// Opens a version of a table by its number, or the newest, and what brings its files.
    pub(in crate::delta) async fn open_at(
        &self,
        stream: &StreamKey,
        number: Option<u64>,
    ) -> Result<Option<(Version, Arc<dyn Fetch>)>, DatabaseError> {
        let place = self.place(stream);
        let Some(version) = self.open(&place, number).await? else { return Ok(None) };
        let files = BucketFiles {
            folder: work_folder(&place.table)?,
            bucket: self.clone(),
            place,
            runtime: Handle::current(),
            brought: AtomicU64::new(0),
        };
        Ok(Some((version, Arc::new(files))))
    }

    /// Opens a version from a copy of its log, which is not needed afterwards.
    async fn open(
        &self,
        place: &Place,
        number: Option<u64>,
    ) -> Result<Option<Version>, DatabaseError> {
        let folder = work_folder(&place.table)?;
        self.bring_log(place, folder.path(), number).await?;
        Version::open_at(&place.table, folder.path(), number).await
    }

    /// Lists the names of the folders right below a prefix.
    async fn folders(&self, prefix: &str) -> Result<BTreeSet<String>, DatabaseError> {
        let list = self.client.list_objects_v2().bucket(&self.bucket).prefix(prefix).delimiter("/");
        let mut pages = list.into_paginator().send();
        let mut names = BTreeSet::new();
        while let Some(page) = pages.next().await {
            let page = page.map_err(|error| store_error("list", "the tables", told(error)))?;
            let found = page.common_prefixes.unwrap_or_default().into_iter();
            let below = found.filter_map(|folder| {
                Some(folder.prefix?.strip_prefix(prefix)?.trim_end_matches('/').to_owned())
            });
            names.extend(below);
        }
        Ok(names)
    }

    /// Returns whether there is a table: files without a log are those of a load that was killed.
    async fn has_log(&self, place: &Place) -> Result<bool, DatabaseError> {
        let log = place.key(&format!("{LOG}/"));
        let list = self.client.list_objects_v2().bucket(&self.bucket).prefix(log).max_keys(1);
        let found =
            list.send().await.map_err(|error| store_error("list", "the tables", told(error)))?;
        Ok(found.contents.is_some_and(|objects| !objects.is_empty()))
    }
}

/// The data files of one table, brought when they are read.
#[derive(Debug)]
struct BucketFiles {
    bucket: BucketDelta,
    place: Place,
    folder: TempDir,
    runtime: Handle,
    brought: AtomicU64,
}

impl Fetch for BucketFiles {
    fn fetch(&self, path: &str) -> Result<Brought, BoxError> {
        // Two scans of one query may read the same file at the same time.
        let number = self.brought.fetch_add(1, Ordering::Relaxed);
        let to = self.folder.path().join(format!("{number}.parquet"));
        let brought = Brought(to);
        self.runtime.block_on(self.bucket.bring_file(&self.place, path, &brought.0))?;
        Ok(brought)
    }
}
