//! Turns carriers into the bytes a real server sends: Arrow streams, JSON rows and `rowtype`.
//!
//! | file | what it makes |
//! |---|---|
//! | `carrier` | rows of the engine, checked against the carriers of `crate::types` |
//! | `rowtype` | the `rowtype` array of an answer |
//! | `physical` | the physical Arrow type of each column of *one* stream, and its metadata |
//! | `arrow_stream` | the Arrow IPC stream |
//! | `decfloat` | DECFLOAT text to exponent and significand |
//! | `json_rows` | the rows of a JSON result |
//!
//! **Invariant:** a stream's types depend on the rows of that stream alone, so two chunks of one
//! result may differ; only `rowtype` holds for the whole result. Instants before 1970 use floor
//! semantics: the fraction is never negative.

pub(crate) mod arrow_stream;
pub(crate) mod carrier;
pub(crate) mod decfloat;
pub(crate) mod json_rows;
pub(crate) mod physical;
pub(crate) mod rowtype;

#[cfg(test)]
mod tests;

/// Why rows could not be encoded; always a fault of the emulator, never of a client.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WireError {
    /// The SQL engine handed over a column that does not carry its declared type.
    #[error("column {column} should be carried as {wanted}, the engine gave {found}")]
    Carrier {
        /// The column's name.
        column: String,
        /// The carrier of its type.
        wanted: String,
        /// The Arrow type that came.
        found: String,
    },
    /// A value lies outside what the wire form of its type can hold.
    #[error("column {column} holds a value that its type {kind} cannot send")]
    Range {
        /// The column's name.
        column: String,
        /// The logical type.
        kind: &'static str,
    },
    /// Arrow refused to build or write an array.
    #[error("build an Arrow stream")]
    Arrow(#[source] arrow::error::ArrowError),
    /// The JSON text of a cell could not be written.
    #[error("write a JSON cell")]
    Json(#[source] serde_json::Error),
}
