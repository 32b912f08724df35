//! Cuts a result into parts: contiguous runs of pieces of about the same size.

use std::ops::Range;

use snowferry_snowflake::ResultLayout;

/// One part to be staged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PlannedPart {
    /// Its position.
    pub(crate) index: u32,
    /// The pieces of the result it consists of.
    pub(crate) pieces: Range<usize>,
    /// The rows these pieces have, by the server's count.
    pub(crate) rows: u64,
    /// The compressed bytes of these pieces.
    pub(crate) compressed_bytes: u64,
}

/// Cuts a result into parts of at least one piece and, where a part has more than one, at most
/// `part_bytes` uncompressed bytes. Pieces without rows make no part of their own.
///
/// The same layout and size give the same parts in every process.
pub(crate) fn plan_parts(layout: &ResultLayout, part_bytes: u64) -> Vec<PlannedPart> {
    let mut parts: Vec<PlannedPart> = Vec::new();
    let mut open_bytes = 0;
    for (position, piece) in layout.pieces.iter().enumerate() {
        if piece.rows == 0 {
            continue;
        }
        match parts.last_mut() {
            Some(part) if open_bytes + piece.uncompressed_bytes <= part_bytes => {
                part.pieces.end = position + 1;
                part.rows += piece.rows;
                part.compressed_bytes += piece.compressed_bytes;
                open_bytes += piece.uncompressed_bytes;
            }
            _ => {
                parts.push(PlannedPart {
                    index: u32::try_from(parts.len()).unwrap_or(u32::MAX),
                    pieces: position..position + 1,
                    rows: piece.rows,
                    compressed_bytes: piece.compressed_bytes,
                });
                open_bytes = piece.uncompressed_bytes;
            }
        }
    }
    parts
}
