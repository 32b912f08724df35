//! What the ledger allows: the rule by which a manifest is loaded exactly once.

use snowferry_model::manifest::Manifest;
use snowferry_model::slice::Apply;
use snowferry_model::state::LedgerPosition;

use crate::DatabaseError;

/// What a load has to do, given the ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// The ledger is at n−1: apply the rows.
    Apply,
    /// The ledger is at n: change nothing.
    Already,
}

/// Returns where a manifest leads.
pub(crate) fn wanted(manifest: &Manifest) -> LedgerPosition {
    LedgerPosition { generation: manifest.generation, sequence: manifest.sequence }
}

/// Decides what a load has to do.
///
/// # Errors
/// [`DatabaseError::Ledger`] when the manifest does not follow the position.
pub(crate) fn step(
    table: &str,
    found: Option<LedgerPosition>,
    manifest: &Manifest,
) -> Result<Step, DatabaseError> {
    let wanted = wanted(manifest);
    let refuse = || DatabaseError::Ledger { table: table.to_owned(), found, wanted };
    let replaces = matches!(manifest.apply, Apply::Replace { .. });
    match found {
        _ if wanted.sequence == 0 => Err(refuse()),
        Some(at) if at == wanted => Ok(Step::Already),
        Some(at) if at.generation == wanted.generation => {
            let follows = at.sequence.checked_add(1) == Some(wanted.sequence);
            if follows { Ok(Step::Apply) } else { Err(refuse()) }
        }
        // Rows of two generations never mix, so a new one can only begin by replacing all.
        Some(at) if at.generation < wanted.generation && wanted.sequence == 1 && replaces => {
            Ok(Step::Apply)
        }
        None if wanted.sequence == 1 => Ok(Step::Apply),
        _ => Err(refuse()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manifest(generation: u64, sequence: u64, apply: Apply) -> Manifest {
        Manifest {
            version: 1,
            generation,
            sequence,
            query_id: "q".to_owned(),
            plan: "p".to_owned(),
            identity: "i".to_owned(),
            apply,
            watermark: None,
            pinned_at: snowferry_model::time::UnixMillis(0),
            rows: 0,
            parts: Vec::new(),
        }
    }

    fn at(generation: u64, sequence: u64) -> Option<LedgerPosition> {
        Some(LedgerPosition { generation, sequence })
    }

    #[test]
    fn a_manifest_is_applied_only_right_behind_the_ledger() {
        let replace = || Apply::Replace { unique: None };
        let append = || Apply::Append;
        for (found, generation, sequence, apply, expected) in [
            (None, 1, 1, replace(), Some(Step::Apply)),
            (None, 1, 2, append(), None),
            (None, 1, 0, append(), None),
            (at(1, 1), 1, 2, append(), Some(Step::Apply)),
            (at(1, 2), 1, 2, append(), Some(Step::Already)),
            (at(1, 3), 1, 2, append(), None),
            (at(1, 1), 1, 3, append(), None),
            (at(1, 9), 2, 1, replace(), Some(Step::Apply)),
            (at(1, 9), 2, 1, append(), None),
            (at(1, 9), 2, 2, replace(), None),
            (at(2, 1), 1, 2, append(), None),
            (at(2, 1), 1, 1, replace(), None),
        ] {
            let found = step("t", found, &manifest(generation, sequence, apply)).ok();
            assert_eq!(found, expected, "to {generation}/{sequence}");
        }
    }
}
