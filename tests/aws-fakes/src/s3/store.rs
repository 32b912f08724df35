//! Buckets and uploads behind one lock.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use md5::{Digest, Md5};

/// The least size of a part that is not the last one, as S3 has it.
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html>
pub const LEAST_PART_BYTES: usize = 5 << 20;

/// One object.
#[derive(Clone, Debug)]
pub struct Stored {
    /// Its content.
    pub body: Bytes,
    /// Its entity tag, without quotes.
    pub tag: String,
    /// What the writer noted beside it.
    pub metadata: HashMap<String, String>,
    /// Its tags, as they are written in a request: `name=value&…`.
    pub tagging: String,
}

impl Stored {
    /// Makes an object of one request's body.
    #[must_use]
    pub fn new(body: Bytes, metadata: HashMap<String, String>, tagging: String) -> Self {
        let tag = hex(&Md5::digest(&body));
        Self { body, tag, metadata, tagging }
    }
}

/// What must hold of the object that a write meets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Condition {
    /// Anything.
    None,
    /// There is none.
    Absent,
    /// There is one with this tag.
    Tag(String),
    /// There is one.
    Present,
}

/// Why a call had no effect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// There is no such bucket.
    NoBucket,
    /// There is no such object.
    NoKey,
    /// There is no such upload.
    NoUpload,
    /// The condition does not hold.
    Condition,
    /// A part that is named was not uploaded, or with another tag.
    InvalidPart,
    /// The parts are not in the order of their numbers.
    PartOrder,
    /// A part that is not the last one is too small.
    PartTooSmall,
}

#[derive(Debug)]
struct Upload {
    bucket: String,
    key: String,
    metadata: HashMap<String, String>,
    tagging: String,
    parts: BTreeMap<i32, Stored>,
}

#[derive(Debug, Default)]
struct State {
    buckets: BTreeMap<String, BTreeMap<String, Stored>>,
    uploads: BTreeMap<String, Upload>,
    next_upload: u64,
}

/// Everything that an S3 holds. Each method is one atomic step.
#[derive(Debug, Default)]
pub struct Store(Mutex<State>);

impl Store {
    /// Makes empty buckets.
    #[must_use]
    pub fn with_buckets(buckets: &[&str]) -> Self {
        let buckets = buckets.iter().map(|name| ((*name).to_owned(), BTreeMap::new())).collect();
        Self(Mutex::new(State { buckets, ..State::default() }))
    }

    /// Returns an object.
    ///
    /// # Errors
    /// [`Refusal::NoBucket`] or [`Refusal::NoKey`].
    pub fn get(&self, bucket: &str, key: &str) -> Result<Stored, Refusal> {
        let state = self.state();
        let objects = state.buckets.get(bucket).ok_or(Refusal::NoBucket)?;
        objects.get(key).cloned().ok_or(Refusal::NoKey)
    }

    /// Writes an object if the condition holds.
    ///
    /// # Errors
    /// [`Refusal::NoBucket`], [`Refusal::Condition`], or [`Refusal::NoKey`] for a condition on an
    /// object that is not there.
    pub fn put(
        &self,
        bucket: &str,
        key: &str,
        object: Stored,
        condition: &Condition,
    ) -> Result<(), Refusal> {
        let mut state = self.state();
        let objects = state.buckets.get_mut(bucket).ok_or(Refusal::NoBucket)?;
        check(objects.get(key), condition)?;
        objects.insert(key.to_owned(), object);
        Ok(())
    }

    /// Deletes an object, if there is one.
    ///
    /// # Errors
    /// [`Refusal::NoBucket`].
    pub fn delete(&self, bucket: &str, key: &str) -> Result<(), Refusal> {
        let mut state = self.state();
        state.buckets.get_mut(bucket).ok_or(Refusal::NoBucket)?.remove(key);
        Ok(())
    }

    /// Returns the objects whose key begins with `prefix` and comes after `after`.
    ///
    /// # Errors
    /// [`Refusal::NoBucket`].
    pub fn list(
        &self,
        bucket: &str,
        prefix: &str,
        after: &str,
    ) -> Result<Vec<(String, Stored)>, Refusal> {
        let state = self.state();
        let objects = state.buckets.get(bucket).ok_or(Refusal::NoBucket)?;
        let wanted = |key: &str| key.starts_with(prefix) && key > after;
        let found = objects.iter().filter(|(key, _)| wanted(key));
        Ok(found.map(|(key, object)| (key.clone(), object.clone())).collect())
    }

    /// Begins a multipart upload and returns its id.
    ///
    /// # Errors
    /// [`Refusal::NoBucket`].
    pub fn begin(
        &self,
        bucket: &str,
        key: &str,
        metadata: HashMap<String, String>,
        tagging: String,
    ) -> Result<String, Refusal> {
        let mut state = self.state();
        state.buckets.get(bucket).ok_or(Refusal::NoBucket)?;
        state.next_upload += 1;
        let id = format!("upload-{}", state.next_upload);
        let (bucket, key) = (bucket.to_owned(), key.to_owned());
        let upload = Upload { bucket, key, metadata, tagging, parts: BTreeMap::new() };
        state.uploads.insert(id.clone(), upload);
        Ok(id)
    }

    /// Takes one part and returns its tag.
    ///
    /// # Errors
    /// [`Refusal::NoUpload`].
    pub fn part(&self, id: &str, number: i32, body: Bytes) -> Result<String, Refusal> {
        let mut state = self.state();
        let upload = state.uploads.get_mut(id).ok_or(Refusal::NoUpload)?;
        let part = Stored::new(body, HashMap::new(), String::new());
        let tag = part.tag.clone();
        upload.parts.insert(number, part);
        Ok(tag)
    }

    /// Makes an object of the named parts if the condition holds, and returns its tag.
    ///
    /// # Errors
    /// As [`Store::put`], and what is wrong with the parts.
    pub fn complete(
        &self,
        id: &str,
        named: &[(i32, String)],
        condition: &Condition,
    ) -> Result<String, Refusal> {
        let mut state = self.state();
        let upload = state.uploads.get(id).ok_or(Refusal::NoUpload)?;
        let object = assemble(upload, named)?;
        let (bucket, key) = (upload.bucket.clone(), upload.key.clone());
        let objects = state.buckets.get_mut(&bucket).ok_or(Refusal::NoBucket)?;
        check(objects.get(&key), condition)?;
        let tag = object.tag.clone();
        objects.insert(key, object);
        state.uploads.remove(id);
        Ok(tag)
    }

    /// Forgets an upload.
    ///
    /// # Errors
    /// [`Refusal::NoUpload`].
    pub fn abort(&self, id: &str) -> Result<(), Refusal> {
        self.state().uploads.remove(id).map(|_| ()).ok_or(Refusal::NoUpload)
    }

    /// Returns the keys of the uploads that are neither completed nor aborted.
    #[must_use]
    pub fn open_uploads(&self) -> Vec<String> {
        self.state().uploads.values().map(|upload| upload.key.clone()).collect()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn check(found: Option<&Stored>, condition: &Condition) -> Result<(), Refusal> {
    match (condition, found) {
        (Condition::None, _) | (Condition::Absent, None) | (Condition::Present, Some(_)) => Ok(()),
        (Condition::Absent, Some(_)) => Err(Refusal::Condition),
        // S3 answers 404 to If-Match when there is no object, not 412.
        (Condition::Tag(_) | Condition::Present, None) => Err(Refusal::NoKey),
        (Condition::Tag(tag), Some(object)) if object.tag == *tag => Ok(()),
        (Condition::Tag(_), Some(_)) => Err(Refusal::Condition),
    }
}

fn assemble(upload: &Upload, named: &[(i32, String)]) -> Result<Stored, Refusal> {
    if !named.is_sorted_by(|a, b| a.0 < b.0) {
        return Err(Refusal::PartOrder);
    }
    let (mut body, mut digests) = (Vec::new(), Md5::new());
    for (position, (number, tag)) in named.iter().enumerate() {
        let part = upload.parts.get(number).filter(|part| part.tag == *tag);
        let part = part.ok_or(Refusal::InvalidPart)?;
        if position + 1 < named.len() && part.body.len() < LEAST_PART_BYTES {
            return Err(Refusal::PartTooSmall);
        }
        body.extend_from_slice(&part.body);
        digests.update(Md5::digest(&part.body));
    }
    if named.is_empty() {
        return Err(Refusal::InvalidPart);
    }
    let tag = format!("{}-{}", hex(&digests.finalize()), named.len());
    let (metadata, tagging) = (upload.metadata.clone(), upload.tagging.clone());
    Ok(Stored { body: body.into(), tag, metadata, tagging })
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
