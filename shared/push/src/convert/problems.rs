//! Counts values that do not fit, by kind and with the worst size; never a value.

use std::collections::BTreeMap;

use snowferry_model::push::{ColumnVerdict, PushColumn, TargetColumn};

use crate::validate::refuse;

/// What was seen of one kind.
#[derive(Clone, Copy, Debug, Default)]
struct Seen {
    rows: u64,
    worst: u64,
}

/// Values of one column that do not fit.
#[derive(Clone, Debug, Default)]
pub(crate) struct Problems(BTreeMap<&'static str, (Seen, &'static str)>);

impl Problems {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Counts one value of a kind that has no size.
    pub(crate) fn add(&mut self, kind: &'static str) {
        self.add_many(kind, 1);
    }

    pub(crate) fn add_many(&mut self, kind: &'static str, rows: u64) {
        self.0.entry(kind).or_default().0.rows += rows;
    }

    /// Counts one value with its size in `unit`.
    pub(crate) fn add_sized(&mut self, kind: &'static str, size: u64, unit: &'static str) {
        let (seen, known) = self.0.entry(kind).or_default();
        seen.rows += 1;
        seen.worst = seen.worst.max(size);
        *known = unit;
    }

    pub(crate) fn verdicts(&self, column: &PushColumn) -> Vec<ColumnVerdict> {
        let declared = TargetColumn {
            max_chars: column.max_chars,
            max_bytes: column.max_bytes,
            ..TargetColumn::plain(column.target.clone(), column.data_type.clone(), column.nullable)
        };
        let verdict = |(kind, (seen, unit)): (&&str, &(Seen, &str))| {
            let worst = match *unit {
                "" => String::new(),
                unit => format!(", the worst has {} {unit}", seen.worst),
            };
            let reason = format!("{kind}: {} rows{worst}", seen.rows);
            let repair = Some("correct the rows or cast them in the query".to_owned());
            refuse(column.target.as_str(), &column.source, &declared.declared(), reason, repair)
        };
        self.0.iter().map(verdict).collect()
    }
}
