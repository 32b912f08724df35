//! Where each object of a push lives.
//!
//! ```text
//! {connection}/push-{name}/g{generation}/n{sequence}/plan-{hash}.json       create-once
//! {connection}/push-{name}/g{generation}/n{sequence}/manifest.json          create-once
//! {connection}/push-{name}/g{generation}/n{sequence}/{attempt}/part-00007.parquet   unique
//! ```
//!
//! A folder of a pulled table always has two dots in its name and that of a push none, so the two
//! never meet. Parts are unique to the attempt that wrote them; the manifest says which count.

use snowferry_model::push::PushKey;

use crate::ObjectKey;

/// The prefix of everything of one push, with a slash at the end.
#[must_use]
pub fn push_prefix(push: &PushKey) -> String {
    format!("{}/push-{}/", push.connection, push.name)
}

/// The prefix of everything of one sequence number, with a slash at the end.
#[must_use]
pub fn sequence_prefix(push: &PushKey, generation: u64, sequence: u64) -> String {
    format!("{}g{generation}/n{sequence}/", push_prefix(push))
}

/// The plan of a slice.
#[must_use]
pub fn plan(push: &PushKey, generation: u64, sequence: u64, hash: &str) -> ObjectKey {
    ObjectKey(format!("{}plan-{hash}.json", sequence_prefix(push, generation, sequence)))
}

/// The manifest of one sequence number.
#[must_use]
pub fn manifest(push: &PushKey, generation: u64, sequence: u64) -> ObjectKey {
    ObjectKey(format!("{}manifest.json", sequence_prefix(push, generation, sequence)))
}

/// The Parquet object of part `index` written by `attempt`.
#[must_use]
pub fn part(
    push: &PushKey,
    generation: u64,
    sequence: u64,
    attempt: &str,
    index: u32,
) -> ObjectKey {
    let prefix = sequence_prefix(push, generation, sequence);
    ObjectKey(format!("{prefix}{attempt}/part-{index:05}.parquet"))
}
