//! Where each object of a push lives.
//!
//! ```text
//! {connection}/push-{name}/g{generation}/n{sequence}/plan-{hash}.json       create-once
//! {connection}/push-{name}/g{generation}/n{sequence}/manifest.json          create-once
//! {connection}/push-{name}/g{generation}/n{sequence}/{attempt}/part-00007.parquet   unique
//! ```
//!
//! Parts that are brought to the customer's stage lie there under names that follow from what they
//! hold, so that an attempt finds the files of an earlier one:
//!
//! ```text
//! {connection}/push-{name}/g{generation}/n{sequence}/part-00007-{sha256}.parquet
//! ```
//!
//! An append without a ledger keeps the object's own name there: its repeat is known by its files,
//! so another attempt must not look like the first one.
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

/// The file that a part becomes in the customer's stage: equal files have equal names.
#[must_use]
pub fn file(push: &PushKey, generation: u64, sequence: u64, index: u32, sha256: &str) -> String {
    let prefix = sequence_prefix(push, generation, sequence);
    format!("{prefix}part-{index:05}-{sha256}.parquet")
}

/// Returns the generation and sequence number that an object or file of a push belongs to.
#[must_use]
pub fn position(push: &PushKey, key: &str) -> Option<(u64, u64)> {
    let rest = key.strip_prefix(&push_prefix(push))?;
    let mut folders = rest.split('/');
    let mut number = |letter: char| folders.next()?.strip_prefix(letter)?.parse().ok();
    Some((number('g')?, number('n')?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn objects_and_files_tell_where_they_belong() {
        let push: PushKey =
            serde_json::from_str(r#"{"connection":"acme","name":"scores"}"#).unwrap();
        for key in [
            plan(&push, 3, 12, "ab").0,
            manifest(&push, 3, 12).0,
            part(&push, 3, 12, "x-0", 7).0,
            file(&push, 3, 12, 7, "00ff"),
        ] {
            assert_eq!(position(&push, &key), Some((3, 12)), "{key}");
        }
        for key in ["", "acme/push-scores/", "acme/push-scores/g1", "acme/push-other/g1/n1/x"] {
            assert_eq!(position(&push, key), None, "{key}");
        }
    }
}
