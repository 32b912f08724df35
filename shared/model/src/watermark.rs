//! How far a table has been loaded, and which rows the next statement reads.
//!
//! A bound is the server's own text together with the type it was printed from. It goes back to
//! the server as a bind cast to that type and is compared there. **Invariant:** nothing in
//! Snowferry orders two bounds; they are only tested for equality of their text.

use serde::{Deserialize, Serialize};

use crate::names::Identifier;
use crate::types::SnowflakeType;

/// The upper bound of what has been loaded durably.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Watermark {
    /// The cursor column.
    pub cursor: Identifier,
    /// The type of the cursor when the bound was printed.
    pub cursor_type: SnowflakeType,
    /// The bound as the server printed it.
    pub text: String,
}

impl std::fmt::Debug for Watermark {
    /// Leaves the text out: a cursor's value is the customer's data.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Watermark")
            .field("cursor", &self.cursor)
            .field("cursor_type", &self.cursor_type)
            .finish_non_exhaustive()
    }
}

/// How far below the watermark a run reads again, for rows that were committed late.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Lookback {
    /// Not at all.
    #[default]
    None,
    /// Seconds, for a timestamp cursor; rounded up to days for a DATE cursor.
    Seconds(u64),
    /// Units of the cursor, for a NUMBER cursor.
    Units(u64),
}

/// What becomes of rows whose cursor is NULL: no window between two bounds holds them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NullCursors {
    /// They stop the pull.
    #[default]
    Error,
    /// Each run reads all of them again. Needs a key.
    Reload,
    /// They are left out, and counted.
    Ignore,
}

/// Whether rows that equal the lower bound are read again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LowerEdge {
    /// `cursor > from`: each row once, for append.
    Open,
    /// `cursor >= from`: ties at the bound again, for upsert.
    Closed,
}

/// Which rows one statement reads.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Window {
    /// All rows.
    Whole,
    /// No row: the cursor column held no value when the bound was fixed.
    Nothing,
    /// `cursor <= to`.
    UpTo {
        /// The upper bound, included.
        to: Watermark,
    },
    /// All rows that have a cursor value, also those above `to`: a key tells them apart when the
    /// next window reads them again. So the rows are the whole table at one moment, although `to`
    /// was fixed a moment earlier.
    Unbounded {
        /// The greatest cursor value when the bound was fixed.
        to: Watermark,
    },
    /// `from - lookback <= cursor`, also above `to`; otherwise as [`Self::Unbounded`].
    Since {
        /// The lower bound, included.
        from: Watermark,
        /// How far below `from` to read again.
        lookback: Lookback,
        /// The greatest cursor value when the bound was fixed.
        to: Watermark,
    },
    /// The rows of another window, and those whose cursor is NULL, which no bound can tell apart.
    WithNulls {
        /// The other window; it has an upper bound.
        of: Box<Self>,
    },
    /// `from (- lookback) < or <= cursor <= to`.
    Between {
        /// The lower bound.
        from: Watermark,
        /// Whether the lower bound itself is included.
        edge: LowerEdge,
        /// How far below `from` to read again.
        lookback: Lookback,
        /// The upper bound, included.
        to: Watermark,
    },
}

impl Window {
    /// Returns the watermark that holds once the rows of this window are loaded.
    #[must_use]
    pub fn upper(&self) -> Option<&Watermark> {
        match self {
            Self::Whole | Self::Nothing => None,
            Self::UpTo { to }
            | Self::Unbounded { to }
            | Self::Since { to, .. }
            | Self::Between { to, .. } => Some(to),
            Self::WithNulls { of } => of.upper(),
        }
    }
}

/// Returns whether a column of this type can be a cursor.
///
/// Floats cannot: their text does not name one value. Strings cannot yet: their order depends on
/// a collation.
#[must_use]
pub fn can_be_cursor(data_type: &SnowflakeType) -> bool {
    matches!(
        data_type,
        SnowflakeType::Number { .. }
            | SnowflakeType::Date
            | SnowflakeType::TimestampNtz { .. }
            | SnowflakeType::TimestampLtz { .. }
            | SnowflakeType::TimestampTz { .. }
    )
}
