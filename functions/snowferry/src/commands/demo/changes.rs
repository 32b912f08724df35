//! What the demo changes at its source between the two pulls.

/// One statement for each kind of change.
pub(crate) const STATEMENTS: &[&str] = &[];
