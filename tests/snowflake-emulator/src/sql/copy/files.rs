//! The files that a COPY reads: of an internal stage, or of S3.

use std::sync::Arc;

use bytes::Bytes;

use super::command::{CopyInto, Source};
use super::remote::Bucket;
use crate::engine::SqlError;
use crate::sql::error::compile;
use crate::sql::plan::Planning;
use crate::sql::stage::list::pattern;
use crate::sql::stage::location::{Location, remote_missing, storage_failed};
use crate::sql::stage::settings::{options, text as setting_text};
use crate::sql::stage::{external_of, format_of};
use crate::stages::{Settings, Stage};

/// A location with all that is known about it.
#[derive(Debug)]
pub(crate) struct Place<'a> {
    planning: &'a Planning<'a>,
    store: Store,
    /// After the stage or the bucket's URL.
    path: String,
    /// What the answer puts before the path of a file.
    shown: String,
    /// FILE_FORMAT of the statement, else of the stage.
    pub format: Settings,
}

/// Where content lies.
#[derive(Clone, Debug)]
enum Store {
    Internal(Arc<Stage>),
    External(Bucket),
}

/// A file to load.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SourceFile {
    /// Its path in the stage or bucket.
    pub path: String,
    /// As the answer names it.
    pub shown: String,
    /// What load metadata knows it by.
    pub key: String,
    /// Changes with the content.
    pub etag: String,
    pub size_bytes: u64,
}

/// Files with the means to read them.
#[derive(Clone, Debug)]
pub(crate) struct Listing {
    store: Store,
    pub files: Vec<SourceFile>,
}

impl CopyInto {
    /// Finds the location.
    pub(crate) fn location<'a>(&self, planning: &'a Planning<'a>) -> Result<Place<'a>, SqlError> {
        let text = match &self.source {
            Source::Location(text) => text.clone(),
            Source::Query(pieces) => super::transform::location(pieces)?,
        };
        place(planning, &text, &self.settings)
    }
}

/// Finds the location that a text names.
pub(crate) fn place<'a>(
    planning: &'a Planning<'a>,
    text: &str,
    settings: &Settings,
) -> Result<Place<'a>, SqlError> {
    let format = format_of(planning, settings)?;
    if !text.starts_with('@') {
        let credentials = options(settings, "CREDENTIALS")?;
        let integration = setting_text(settings, "STORAGE_INTEGRATION")?;
        let external = external_of(text, &credentials, integration.map(ToOwned::to_owned))?;
        let endpoint = planning.catalog.stages.s3();
        let store = Store::External(Bucket::open(&external, "", endpoint.as_deref())?);
        return Ok(Place { planning, store, path: String::new(), shown: String::new(), format });
    }
    let found = Location::parse(text)?.find(planning)?;
    let format = if format.is_empty() { found.stage.format.clone() } else { format };
    let store = match &found.stage.external {
        None => Store::Internal(Arc::clone(&found.stage)),
        Some(external) => {
            let endpoint = planning.catalog.stages.s3();
            let path = match (external.url.ends_with('/'), found.path.is_empty()) {
                (false, false) => format!("/{}", found.path),
                _ => found.path.clone(),
            };
            Store::External(Bucket::open(external, &path, endpoint.as_deref())?)
        }
    };
    Ok(Place { planning, store, path: found.path, shown: found.shown, format })
}

impl Place<'_> {
    /// The files that the statement means.
    ///
    /// # Errors
    /// 091016 when a file that FILES names is missing.
    pub(crate) async fn list(&self, copy: &CopyInto) -> Result<Listing, SqlError> {
        let wanted = copy.pattern.as_deref().map(pattern).transpose()?;
        let mut files = match &copy.files {
            None => self.all().await?,
            Some(names) => {
                let mut found = Vec::with_capacity(names.len());
                for name in names {
                    match self.named(name).await? {
                        Some(file) => found.push(file),
                        None if copy.on_error == super::OnError::Abort => {
                            return Err(remote_missing(name));
                        }
                        None => {}
                    }
                }
                found.dedup();
                found
            }
        };
        files.retain(|file| wanted.as_ref().is_none_or(|wanted| wanted.is_match(&file.path)));
        Ok(self.listing(files))
    }

    /// All files under the path.
    pub(crate) async fn all(&self) -> Result<Vec<SourceFile>, SqlError> {
        match &self.store {
            Store::Internal(stage) => {
                let found = self.planning.catalog.stages.files(stage.id, &self.path);
                let found = found.map_err(|error| storage_failed(&error))?;
                Ok(found.into_iter().map(|file| self.internal(stage, file)).collect())
            }
            Store::External(bucket) => bucket.list().await,
        }
    }

    /// These files of the place.
    pub(crate) fn listing(&self, files: Vec<SourceFile>) -> Listing {
        Listing { store: self.store.clone(), files }
    }

    async fn named(&self, name: &str) -> Result<Option<SourceFile>, SqlError> {
        match &self.store {
            Store::Internal(stage) => {
                let name = name.trim_start_matches('/');
                let path = match self.path.as_str() {
                    "" => name.to_owned(),
                    prefix if prefix.ends_with('/') => format!("{prefix}{name}"),
                    prefix => format!("{prefix}/{name}"),
                };
                let found = self.planning.catalog.stages.file(stage.id, &path);
                let found = found.map_err(|error| storage_failed(&error))?;
                Ok(found.map(|file| self.internal(stage, file)))
            }
            Store::External(bucket) => bucket.named(name).await,
        }
    }

    fn internal(&self, stage: &Stage, file: crate::stages::StagedFile) -> SourceFile {
        SourceFile {
            shown: format!("{}{}", self.shown, file.path),
            key: format!("stage {}/{}", stage.id, file.path),
            path: file.path,
            etag: file.md5,
            size_bytes: file.size_bytes,
        }
    }
}

impl Listing {
    /// The same place without files.
    pub(crate) fn emptied(&self) -> Self {
        Self { store: self.store.clone(), files: Vec::new() }
    }

    /// The content of a file.
    pub(crate) async fn read(
        &self,
        planning: &Planning<'_>,
        file: &SourceFile,
    ) -> Result<Bytes, SqlError> {
        match &self.store {
            Store::Internal(stage) => {
                let (stages, stage) = (Arc::clone(&planning.catalog.stages), Arc::clone(stage));
                let path = file.path.clone();
                let read = tokio::task::spawn_blocking(move || stages.read(&stage, &path)).await;
                let read = read.map_err(|error| compile("000603", "XX000", error))?;
                read.map_err(|error| storage_failed(&error))
            }
            Store::External(bucket) => bucket.read(file).await,
        }
    }

    /// Removes the files; a failure to do so is silent, as at the real service.
    pub(crate) async fn purge(&self, planning: &Planning<'_>) {
        for file in &self.files {
            match &self.store {
                Store::Internal(stage) => {
                    let removed = planning.catalog.stages.remove(stage.id, &file.path);
                    if let Err(error) = removed {
                        tracing::debug!(%error, "a loaded file was not removed");
                    }
                }
                Store::External(bucket) => bucket.remove(file).await,
            }
        }
    }
}
