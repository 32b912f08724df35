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

use crate::ObjectKey;

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
