//! What a slice of a push consists of. Created once, then only read.

use serde::{Deserialize, Serialize};

use super::state::PushPlan;

/// The version of the stored form of a [`PushManifest`].
pub const PUSH_MANIFEST_VERSION: u32 = 1;

/// One part: some rows as one Parquet object.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PushPart {
    /// Position of the part in the slice, from 0.
    pub index: u32,
    /// Key of the staged object, unique to the attempt that wrote it.
    pub object: String,
    /// Name under which the server reads it.
    pub file: String,
    /// Rows in it.
    pub rows: u64,
    /// Its size.
    pub size_bytes: u64,
    /// SHA-256 of it in lower-case hexadecimal.
    pub sha256: String,
}

/// Everything that is needed to apply one slice.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PushManifest {
    /// [`PUSH_MANIFEST_VERSION`].
    pub version: u32,
    /// The generation.
    pub generation: u64,
    /// The sequence number n that applying this manifest reaches.
    pub sequence: u64,
    /// The plan by which the parts were written.
    pub plan: PushPlan,
    /// Rows in all.
    pub rows: u64,
    /// Values other than NULL in each column of the parts, constants included.
    pub values: Vec<u64>,
    /// The parts in order.
    pub parts: Vec<PushPart>,
}

impl PushManifest {
    /// Returns the size of all parts.
    #[must_use]
    pub fn size_bytes(&self) -> u64 {
        self.parts.iter().map(|part| part.size_bytes).sum()
    }
}
