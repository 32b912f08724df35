//! One thing that is wrong with a connection file, and how it is told.

use std::fmt;
use std::path::Path;

use super::document::Position;

/// One thing that is wrong with a connection file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Where it stands.
    pub at: Position,
    /// The path of the field (`pull.tables[0].mode`); empty for the file as a whole.
    pub field: String,
    /// What was found.
    pub found: String,
    /// What is allowed there, if that can be listed.
    pub allowed: Option<String>,
    /// What to do.
    pub repair: Option<String>,
}

impl Problem {
    pub(super) fn new(at: Position, field: impl Into<String>, found: impl Into<String>) -> Self {
        Self { at, field: field.into(), found: found.into(), allowed: None, repair: None }
    }

    pub(super) fn allowed(mut self, allowed: impl Into<String>) -> Self {
        self.allowed = Some(allowed.into());
        self
    }

    pub(super) fn repair(mut self, repair: impl Into<String>) -> Self {
        self.repair = Some(repair.into());
        self
    }

    /// Writes the problem as `file:line:column: field: found`, with what is allowed and the repair
    /// on lines of their own.
    #[must_use]
    pub fn told(&self, file: &Path) -> String {
        format!("{}:{self}", file.display())
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: ", self.at.line, self.at.column)?;
        if !self.field.is_empty() {
            write!(f, "{}: ", self.field)?;
        }
        f.write_str(&self.found)?;
        if let Some(allowed) = &self.allowed {
            write!(f, "\n    allowed: {allowed}")?;
        }
        if let Some(repair) = &self.repair {
            write!(f, "\n    repair: {repair}")?;
        }
        Ok(())
    }
}

/// Returns the candidate that `written` was probably meant to be.
pub(super) fn nearest<'a>(written: &str, candidates: &[&'a str]) -> Option<&'a str> {
    let written = written.to_lowercase();
    let distance = |candidate: &&&str| edits(&written, candidate);
    let best = candidates.iter().min_by_key(distance)?;
    (edits(&written, best) <= 1 + best.chars().count() / 4).then_some(*best)
}

/// Counts the insertions, deletions and replacements between two short texts.
fn edits(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.chars().enumerate() {
        let mut next = vec![i + 1];
        for (j, to) in b.iter().enumerate() {
            let at =
                |row: &[usize], index: usize| row.get(index).copied().unwrap_or(usize::MAX / 2);
            let replace = at(&row, j) + usize::from(from != *to);
            next.push(replace.min(at(&row, j + 1) + 1).min(at(&next, j) + 1));
        }
        row = next;
    }
    row.last().copied().unwrap_or_default()
}
