//! Where the tables of queries are: in a folder or in a bucket.

use std::collections::BTreeSet;
use std::sync::Arc;

use datafusion::common::TableReference;
use snowferry_model::export::ExportQuery;
use snowferry_model::names::ConnectionName;
use snowferry_model::state::StreamKey;

use super::super::DeltaDatabase;
#[cfg(feature = "s3")]
use super::super::bucket::BucketDelta;
use super::super::scan::Fetch;
use super::super::table::Version;
use super::text;
use crate::DatabaseError;

/// Where the tables are.
#[derive(Clone, Debug)]
pub(super) enum Tables {
    /// In a folder of this machine.
    Folder(DeltaDatabase),
    /// In a bucket of S3.
    #[cfg(feature = "s3")]
    Bucket(BucketDelta),
}

impl Tables {
    /// Lists the tables, sorted: at least those of these connections, or all.
    pub(super) async fn streams(
        &self,
        connections: Option<&BTreeSet<ConnectionName>>,
    ) -> Result<Vec<StreamKey>, DatabaseError> {
        match self {
            Self::Folder(database) => database.streams().await,
            #[cfg(feature = "s3")]
            Self::Bucket(bucket) => bucket.streams(connections).await,
        }
    }

    /// Opens a version by its number, or the newest, with what brings its files if they are not
    /// here; `None` when there is no such table.
    pub(super) async fn open(
        &self,
        stream: &StreamKey,
        number: Option<u64>,
    ) -> Result<Option<(Version, Option<Arc<dyn Fetch>>)>, DatabaseError> {
        match self {
            Self::Folder(database) => {
                let folder = database.folder(stream);
                let version = Version::open_at(&stream.to_string(), &folder, number).await?;
                Ok(version.map(|version| (version, None)))
            }
            #[cfg(feature = "s3")]
            Self::Bucket(bucket) => {
                let opened = bucket.open_at(stream, number).await?;
                Ok(opened.map(|(version, files)| (version, Some(files))))
            }
        }
    }
}

/// Returns the connections whose tables these names can mean; `None`: of any.
pub(super) fn connections(
    names: &[TableReference],
    query: &ExportQuery,
) -> Option<BTreeSet<ConnectionName>> {
    let mut wanted = BTreeSet::new();
    for name in names {
        match text::parts(name).as_slice() {
            // A name that no connection can have means no table.
            [named, _, _, _] => wanted.extend(ConnectionName::new(named.to_lowercase()).ok()),
            _ => {
                wanted.insert(query.connection.clone()?);
            }
        }
    }
    Some(wanted)
}
