//! How a source table differs from the plan that its generation reads by, and what that means.
//!
//! | at the source | rows that are loaded | rows to come |
//! |---|---|---|
//! | a column was added | NULL in it | its values |
//! | a column was dropped | keep their values until they are read again | NULL in it |
//! | a type became wider within its staged form | as they are | as they are |
//! | a column was renamed, or its type needs another form | a new generation reads all anew | |
//!
//! A rename looks like a drop and an addition at the same moment: the values of old rows would be
//! missing under the new name, so the table is read anew.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::names::Identifier;
use crate::plan::{ColumnFacts, IntegerPolicy, PlanError, StagedForm, TablePlan, staged_form};
use crate::types::{ColumnDescription, SnowflakeType, TableDescription};

/// One difference between a source table and what was known of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[non_exhaustive]
pub enum SchemaChange {
    /// A column is there that was not.
    Added {
        /// Which.
        column: Identifier,
        /// Its type.
        data_type: SnowflakeType,
    },
    /// A column is gone.
    Dropped {
        /// Which.
        column: Identifier,
    },
    /// A column has another type.
    Retyped {
        /// Which.
        column: Identifier,
        /// Its type before.
        was: SnowflakeType,
        /// Its type now.
        is: SnowflakeType,
    },
    /// The columns stand in another order.
    Reordered,
    /// The table was created anew.
    Recreated,
    /// The connection selects other columns or rows of it.
    Reselected,
    /// A timestamp showed digits below the microsecond for the first time.
    Finer {
        /// Which.
        column: Identifier,
    },
    /// A whole number showed a value beyond 64 bits for the first time.
    Wider {
        /// Which.
        column: Identifier,
    },
}

impl fmt::Display for SchemaChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Added { column, data_type } => write!(f, "{column} ({data_type}) is new"),
            Self::Dropped { column } => write!(f, "{column} is gone"),
            Self::Retyped { column, was, is } => write!(f, "{column} was {was} and is {is}"),
            Self::Reordered => f.write_str("the order of the columns changed"),
            Self::Recreated => f.write_str("the table was created anew"),
            Self::Reselected => f.write_str("other columns or rows are selected"),
            Self::Finer { column } => {
                write!(f, "{column} has digits below the microsecond for the first time")
            }
            Self::Wider { column } => {
                write!(f, "{column} has values beyond 64 bits for the first time")
            }
        }
    }
}

/// Writes changes as one line.
#[must_use]
pub fn in_words(changes: &[SchemaChange]) -> String {
    changes.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

/// Returns how a table differs from a plan; empty when it does not.
#[must_use]
pub fn changes(plan: &TablePlan, table: &TableDescription) -> Vec<SchemaChange> {
    let mut changes = Vec::new();
    for column in &plan.columns {
        match described(table, &column.name) {
            None => changes.push(SchemaChange::Dropped { column: column.name.clone() }),
            Some(now) if now.data_type != column.data_type => {
                changes.push(SchemaChange::Retyped {
                    column: column.name.clone(),
                    was: column.data_type.clone(),
                    is: now.data_type.clone(),
                });
            }
            Some(_) => {}
        }
    }
    for now in &table.columns {
        if plan.column(&now.name).is_none() {
            let (column, data_type) = (now.name.clone(), now.data_type.clone());
            changes.push(SchemaChange::Added { column, data_type });
        }
    }
    let same_order = plan.columns.iter().zip(&table.columns).all(|(a, b)| a.name == b.name);
    if changes.is_empty() && !same_order {
        changes.push(SchemaChange::Reordered);
    }
    changes
}

/// Returns the plan by which a changed table is read within the same generation, in the order of
/// the table; `None` when it has to be read anew.
///
/// # Errors
/// As [`TablePlan::decide`], for a new column that cannot be staged.
pub fn evolved(
    plan: &TablePlan,
    table: &TableDescription,
    integers: IntegerPolicy,
) -> Result<Option<TablePlan>, PlanError> {
    let changes = changes(plan, table);
    let has = |wanted: fn(&SchemaChange) -> bool| changes.iter().any(wanted);
    if has(|change| matches!(change, SchemaChange::Dropped { .. }))
        && has(|change| matches!(change, SchemaChange::Added { .. }))
    {
        return Ok(None);
    }
    let mut next = TablePlan { version: plan.version, columns: Vec::new() };
    for now in &table.columns {
        let form = match plan.column(&now.name) {
            Some(column) if holds(column.form, now, integers)? => column.form,
            Some(_) => return Ok(None),
            None => new_form(now, integers)?,
        };
        let (name, data_type) = (now.name.clone(), now.data_type.clone());
        next.columns.push(crate::plan::PlannedColumn { name, data_type, form });
    }
    next.check()?;
    Ok(Some(next))
}

/// Returns the plan that goes on reading exactly the columns of a generation; `None` when one of
/// them is gone or no longer fits.
///
/// # Errors
/// As [`TablePlan::decide`].
pub fn frozen(
    plan: &TablePlan,
    table: &TableDescription,
    integers: IntegerPolicy,
) -> Result<Option<TablePlan>, PlanError> {
    let mut next = plan.clone();
    for column in &mut next.columns {
        let Some(now) = described(table, &column.name) else { return Ok(None) };
        if !holds(column.form, now, integers)? {
            return Ok(None);
        }
        column.data_type = now.data_type.clone();
    }
    Ok(Some(next))
}

/// Returns the plan with a companion for the nanoseconds of some columns.
///
/// # Errors
/// [`PlanError::CompanionName`] when a column bears the companion's name.
pub fn with_nanos<'a>(
    plan: &TablePlan,
    columns: impl IntoIterator<Item = &'a Identifier>,
) -> Result<TablePlan, PlanError> {
    let mut next = plan.clone();
    for name in columns {
        if let Some(column) = next.columns.iter_mut().find(|column| column.name == *name)
            && let StagedForm::Timestamp { nanos, .. } = &mut column.form
        {
            *nanos = true;
        }
    }
    next.check()?;
    Ok(next)
}

fn described<'a>(table: &'a TableDescription, name: &Identifier) -> Option<&'a ColumnDescription> {
    table.columns.iter().find(|column| column.name == *name)
}

/// Returns whether a staged form is one that the column could have been given, whatever values it
/// holds. A value that does not fit is refused when it is read.
fn holds(
    form: StagedForm,
    now: &ColumnDescription,
    integers: IntegerPolicy,
) -> Result<bool, PlanError> {
    let without = ColumnFacts::default();
    let narrow = staged_form(now, Some(&without), integers)?;
    let wide = staged_form(now, None, integers)?;
    Ok(match (form, narrow) {
        (
            StagedForm::Timestamp { zoned, offset, .. },
            StagedForm::Timestamp { zoned: now_zoned, offset: now_offset, .. },
        ) => zoned == now_zoned && offset == now_offset,
        // A wide decimal holds what became a narrower integer.
        (StagedForm::Decimal { precision: 38, scale: 0 }, StagedForm::Int64) => true,
        _ => form == narrow || form == wide,
    })
}

/// Decides the form of a column that is new: what a value may need is not known yet.
fn new_form(now: &ColumnDescription, integers: IntegerPolicy) -> Result<StagedForm, PlanError> {
    let facts = ColumnFacts { below_microseconds: true, ..ColumnFacts::default() };
    staged_form(now, Some(&facts), integers)
}

#[cfg(test)]
mod tests {
    use super::*;
    use SnowflakeType::{Number, Text, TimestampNtz};

    fn column(name: &str, data_type: &SnowflakeType) -> ColumnDescription {
        ColumnDescription {
            name: Identifier::new(name).unwrap(),
            data_type: data_type.clone(),
            nullable: true,
            primary_key: false,
        }
    }

    fn table(columns: &[(&str, SnowflakeType)]) -> TableDescription {
        TableDescription {
            kind: "TABLE".to_owned(),
            identity: "1".to_owned(),
            columns: columns.iter().map(|(name, data_type)| column(name, data_type)).collect(),
        }
    }

    const NARROW: SnowflakeType = Number { precision: 10, scale: 0 };
    const WIDE: SnowflakeType = Number { precision: 38, scale: 0 };
    const COARSE: SnowflakeType = TimestampNtz { scale: 6 };
    const FINE: SnowflakeType = TimestampNtz { scale: 9 };

    fn plan(columns: &[(&str, SnowflakeType)]) -> TablePlan {
        let facts = columns
            .iter()
            .map(|(name, _)| (Identifier::new(*name).unwrap(), ColumnFacts::default()));
        TablePlan::decide(&table(columns), &facts.collect(), IntegerPolicy::Auto).unwrap()
    }

    fn check(
        before: &[(&str, SnowflakeType)],
        now: &[(&str, SnowflakeType)],
        words: &str,
        goes_on: bool,
    ) {
        let (plan, table) = (plan(before), table(now));
        assert_eq!(in_words(&changes(&plan, &table)), words);
        let next = evolved(&plan, &table, IntegerPolicy::Auto).unwrap();
        assert_eq!(next.is_some(), goes_on, "{words}");
        let Some(next) = next else { return };
        assert_eq!(next.source_fingerprint(), crate::plan::described_fingerprint(&table));
        for column in &plan.columns {
            if let Some(kept) = next.column(&column.name) {
                assert_eq!(kept.form, column.form, "{words}");
            }
        }
    }

    #[test]
    fn what_keeps_every_staged_form_goes_on_in_the_same_generation() {
        let before = [("ID", NARROW), ("T", COARSE), ("V", Text)];
        check(&before, &before, "", true);
        let added = [("ID", NARROW), ("N", FINE), ("T", COARSE), ("V", Text)];
        check(&before, &added, "N (TIMESTAMP_NTZ(9)) is new", true);
        check(&before, &[("ID", NARROW), ("V", Text)], "T is gone", true);
        let moved = [("V", Text), ("ID", NARROW), ("T", COARSE)];
        check(&before, &moved, "the order of the columns changed", true);
        let wider = [("ID", WIDE), ("T", FINE), ("V", Text)];
        let words = "ID was NUMBER(10,0) and is NUMBER(38,0), \
                     T was TIMESTAMP_NTZ(6) and is TIMESTAMP_NTZ(9)";
        check(&before, &wider, words, true);
    }

    #[test]
    fn what_would_lose_values_is_read_anew() {
        let before = [("ID", NARROW), ("V", Text)];
        check(&before, &[("ID", NARROW), ("W", Text)], "V is gone, W (VARCHAR) is new", false);
        let scaled = [("ID", Number { precision: 10, scale: 2 }), ("V", Text)];
        check(&before, &scaled, "ID was NUMBER(10,0) and is NUMBER(10,2)", false);
        let text = [("ID", Text), ("V", Text)];
        check(&before, &text, "ID was NUMBER(10,0) and is VARCHAR", false);
    }

    #[test]
    fn a_frozen_plan_ignores_new_columns_and_needs_the_old_ones() {
        let plan = plan(&[("ID", NARROW), ("V", Text)]);
        let frozen = |now: &[(&str, SnowflakeType)]| {
            frozen(&plan, &table(now), IntegerPolicy::Auto).unwrap()
        };
        assert_eq!(frozen(&[("V", Text), ("N", Text), ("ID", NARROW)]), Some(plan.clone()));
        let wider = frozen(&[("ID", WIDE), ("V", Text)]).unwrap();
        assert_eq!((wider.schema(), &wider.columns[0].data_type), (plan.schema(), &WIDE));
        assert_eq!(frozen(&[("ID", NARROW)]), None);
        assert_eq!(frozen(&[("ID", Text), ("V", Text)]), None);
    }

    #[test]
    fn a_companion_is_added_where_it_is_needed_and_its_name_free() {
        let name = Identifier::new("T").unwrap();
        let before = plan(&[("T", FINE)]);
        let after = with_nanos(&before, [&name]).unwrap();
        let names = |plan: &TablePlan| plan.schema().fields().len();
        assert_eq!((names(&before), names(&after)), (1, 2));
        let taken = plan(&[("T", FINE), ("T__NS", Text)]);
        assert!(with_nanos(&taken, [&name]).is_err());
    }
}
