//! Where each object of a slice lives.
//!
//! ```text
//! {connection}/{table}/g{generation}/plan-{fingerprint}.json            create-once
//! {connection}/{table}/g{generation}/n{sequence}/manifest.json          create-once
//! {connection}/{table}/g{generation}/n{sequence}/{query id}/part-00007.json            create-once
//! {connection}/{table}/g{generation}/n{sequence}/{query id}/part-00007.{attempt}.parquet  unique
//! ```
//!
//! Data objects are unique to the attempt that wrote them; the record beside them says which one
//! counts. Parts of two statements never lie in one folder, so they cannot mix.

use snowferry_model::state::StreamKey;

use crate::{ObjectKey, StagingError};

/// The prefix of everything of one table, with a slash at the end.
#[must_use]
pub fn stream_prefix(stream: &StreamKey) -> String {
    format!("{}/{}/", stream.connection, stream.table.slug())
}

/// The plan of a generation.
#[must_use]
pub fn plan(stream: &StreamKey, generation: u64, fingerprint: &str) -> ObjectKey {
    ObjectKey(format!("{}g{generation}/plan-{fingerprint}.json", stream_prefix(stream)))
}

/// The manifest of one sequence number.
#[must_use]
pub fn manifest(stream: &StreamKey, generation: u64, sequence: u64) -> ObjectKey {
    ObjectKey(format!("{}manifest.json", sequence_prefix(stream, generation, sequence)))
}

/// The prefix of everything of one sequence number, with a slash at the end.
#[must_use]
pub fn sequence_prefix(stream: &StreamKey, generation: u64, sequence: u64) -> String {
    format!("{}g{generation}/n{sequence}/", stream_prefix(stream))
}

/// The prefix of the parts of one slice, with a slash at the end.
#[must_use]
pub fn slice_prefix(stream: &StreamKey, generation: u64, sequence: u64, query_id: &str) -> String {
    format!("{}{query_id}/", sequence_prefix(stream, generation, sequence))
}

/// The record that says which object is part `index`.
#[must_use]
pub fn part_record(slice_prefix: &str, index: u32) -> ObjectKey {
    ObjectKey(format!("{slice_prefix}part-{index:05}.json"))
}

/// The Parquet object of part `index` written by `attempt`.
#[must_use]
pub fn part_data(slice_prefix: &str, index: u32, attempt: &str) -> ObjectKey {
    ObjectKey(format!("{slice_prefix}part-{index:05}.{attempt}.parquet"))
}

/// Refuses a key that could name something outside the store or that two stores would read
/// differently.
///
/// # Errors
/// [`StagingError::Store`] unless the key is segments of `[A-Za-z0-9._%$-]+` joined by single
/// slashes, none of them `.` or `..`.
pub(crate) fn check(step: &'static str, key: &ObjectKey) -> Result<(), StagingError> {
    if key.0.split('/').all(is_segment) {
        return Ok(());
    }
    let source = "the key has a segment that is empty, `.`, `..` or holds other characters than \
                  letters, digits and ._%$-";
    Err(StagingError::Store { step, key: key.0.clone(), source: source.into() })
}

/// Returns whether a name may stand between two slashes of a key.
pub(crate) fn is_segment(segment: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._%$-".contains(&byte);
    !matches!(segment, "" | "." | "..") && segment.bytes().all(allowed)
}
