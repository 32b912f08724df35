//! Results: encoded while the rows arrive, kept for a day, read as often as anybody likes.
//!
//! The order: rows → `writer` (inline part, then gzip chunks in files) → [`stored::StoredResult`]
//! → `queries` (by query id and by request id) → links that expire → chunk bodies. Two chunks at
//! most are in memory at a time, whatever the size of the result. A crash leaves nothing that
//! matters: the folder is temporary.
//!
//! **Invariant:** a result never changes once stored. Whoever reads it again, by query id, by
//! request id or from the cache, reads the same bytes.

pub(crate) mod cache;
pub(crate) mod format;
pub(crate) mod links;
pub(crate) mod queries;
pub(crate) mod stored;
pub(crate) mod writer;

#[cfg(test)]
mod tests;
