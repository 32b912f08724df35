//! Judges a target before anything is written: every column, everything that is wrong at once.
//!
//! Columns are matched by exact name or by the connection's mapping, never by position. What the
//! types alone cannot decide is left to the checks of the values ([`Verdict::Checked`]), which
//! [`convert`](crate::convert) makes while it writes the parts.

mod create;
mod types;

use std::collections::{BTreeMap, BTreeSet};

use arrow::datatypes::{DataType, Field, Schema};
use snowferry_model::names::Identifier;
use snowferry_model::plan::{NANOS_SUFFIX, OFFSET_SUFFIX};
use snowferry_model::push::{
    ColumnVerdict, Constant, ConstantValue, Privilege, PushColumn, PushMode, TargetColumn,
    TargetDescription, Verdict,
};
use snowferry_model::types::SnowflakeType;

use crate::job::PushJob;
pub(crate) use create::target_columns;
pub(crate) use types::integer_digits;
use types::{Ours, decide};

/// What the validation found, and the columns of the plan if nothing was refused.
#[derive(Debug)]
pub(crate) struct Judged {
    pub(crate) verdicts: Vec<ColumnVerdict>,
    pub(crate) columns: Vec<PushColumn>,
}

/// Judges the table, the privileges and every column.
pub(crate) fn judge(job: &PushJob, schema: &Schema, target: &TargetDescription) -> Judged {
    let mut verdicts = table(job, target);
    let matched = match_columns(job, schema, target, &mut verdicts);
    let mut columns = Vec::new();
    for (ours, identifier) in matched {
        let (verdict, column) = one_column(job, target, ours, &identifier);
        verdicts.push(verdict);
        columns.extend(column);
    }
    for constant in &job.constants {
        verdicts.push(one_constant(target, constant));
    }
    let written: BTreeSet<_> = columns
        .iter()
        .map(|column| &column.target)
        .chain(job.constants.iter().map(|constant| &constant.target))
        .collect();
    verdicts.extend(left_out(job, target, &verdicts, &written));
    verdicts.extend(keys(job, &written));
    Judged { verdicts, columns }
}

/// The table as a whole: its kind and what our role may do.
fn table(job: &PushJob, target: &TargetDescription) -> Vec<ColumnVerdict> {
    let whole = |reason: String, repair: Option<String>| ColumnVerdict {
        column: String::new(),
        ours: job.mode.as_str().to_owned(),
        theirs: target.kind.clone(),
        verdict: Verdict::Refused,
        reason,
        repair,
    };
    let mut verdicts = Vec::new();
    if !matches!(target.kind.as_str(), "TABLE" | "TRANSIENT" | "BASE TABLE") {
        verdicts.push(whole(
            format!("{} is a {}, rows can only be pushed into a table", job.target, target.kind),
            Some("name the table itself".to_owned()),
        ));
        // What our role may do with it does not matter.
        return verdicts;
    }
    let needed: &[Privilege] = match job.mode {
        PushMode::Append => &[Privilege::Insert],
        PushMode::Rewrite => &[Privilege::Insert, Privilege::Delete],
        PushMode::Upsert { .. } => &[Privilege::Select, Privilege::Insert, Privilege::Update],
    };
    let missing: Vec<_> = needed
        .iter()
        .filter(|privilege| !target.may(**privilege))
        .map(|privilege| privilege.as_str())
        .collect();
    if !missing.is_empty() {
        let missing = missing.join(", ");
        verdicts.push(whole(
            format!("the role {} may not {missing}", target.role),
            Some(format!("GRANT {missing} ON TABLE {} TO ROLE {}", job.target, target.role)),
        ));
    }
    verdicts
}

/// Finds the target's column for each column of the query; companions go with their column.
fn match_columns<'a>(
    job: &PushJob,
    schema: &'a Schema,
    target: &TargetDescription,
    verdicts: &mut Vec<ColumnVerdict>,
) -> Vec<(Ours<'a>, Identifier)> {
    let mut by_source: BTreeMap<&str, Vec<&Identifier>> = BTreeMap::new();
    for (identifier, source) in &job.mapping {
        if schema.field_with_name(source).is_err() {
            verdicts.push(refuse(
                identifier.as_str(),
                source,
                "",
                format!("the query has no column {source}, which the mapping names"),
                Some(format!("name one of {}", names(schema))),
            ));
        }
        by_source.entry(source).or_default().push(identifier);
    }
    let mut matched = Vec::new();
    let mut taken = BTreeSet::new();
    for field in schema.fields() {
        let name = field.name();
        let mapped = by_source.get(name.as_str()).cloned().unwrap_or_default();
        let has_own_column =
            !mapped.is_empty() || target.columns.iter().any(|column| column.name.as_str() == name);
        if !has_own_column && is_companion(schema, name) {
            continue;
        }
        let identifiers = match mapped.is_empty() {
            true => Identifier::new(name.as_str()).into_iter().collect(),
            false => mapped.into_iter().cloned().collect::<Vec<_>>(),
        };
        if identifiers.is_empty() {
            let reason = "the name can be none of a column in Snowflake".to_owned();
            verdicts.push(refuse(name, &field.data_type().to_string(), "", reason, None));
        }
        for identifier in identifiers {
            if !taken.insert(identifier.clone()) {
                let reason = format!("two columns of the query go to {identifier}");
                let ours = field.data_type().to_string();
                verdicts.push(refuse(identifier.as_str(), &ours, "", reason, None));
                continue;
            }
            matched.push((with_companions(schema, field, target), identifier));
        }
    }
    matched
}

fn names(schema: &Schema) -> String {
    schema.fields().iter().map(|field| field.name().as_str()).collect::<Vec<_>>().join(", ")
}

/// Returns whether a column holds the nanoseconds or the offset of a timestamp beside it.
fn is_companion(schema: &Schema, name: &str) -> bool {
    [NANOS_SUFFIX, OFFSET_SUFFIX].iter().any(|suffix| {
        let main = name.strip_suffix(suffix).and_then(|main| schema.field_with_name(main).ok());
        main.is_some_and(|field| matches!(field.data_type(), DataType::Timestamp(..)))
    })
}

fn with_companions<'a>(schema: &Schema, field: &'a Field, target: &TargetDescription) -> Ours<'a> {
    let companion = |suffix: &str| {
        let name = format!("{}{suffix}", field.name());
        let own = target.columns.iter().any(|column| column.name.as_str() == name);
        matches!(field.data_type(), DataType::Timestamp(..))
            && !own
            && schema.field_with_name(&name).is_ok_and(|it| *it.data_type() == DataType::Int16)
    };
    Ours { field, nanos: companion(NANOS_SUFFIX), offset: companion(OFFSET_SUFFIX) }
}

fn one_column(
    job: &PushJob,
    target: &TargetDescription,
    ours: Ours<'_>,
    identifier: &Identifier,
) -> (ColumnVerdict, Option<PushColumn>) {
    let our_type = ours.describe();
    let Some(theirs) = target.column(identifier) else {
        return (absent(job, target, &ours, identifier), None);
    };
    let refused = |reason: String, repair: Option<String>| {
        (refuse(identifier.as_str(), &our_type, &theirs.declared(), reason, repair), None)
    };
    if theirs.identity {
        let text = "the server numbers this column itself".to_owned();
        return refused(text, Some("leave it out of the query".to_owned()));
    }
    if theirs.computed.is_some() {
        let text = "the column is computed from others".to_owned();
        return refused(text, Some("leave it out of the query".to_owned()));
    }
    let decision = match decide(&ours, theirs, job.rules.round) {
        Ok(decision) => decision,
        Err(no) => return refused(no.reason, Some(no.repair)),
    };
    let nulls = ours.field.is_nullable() && !theirs.nullable;
    let verdict = if theirs.masking.is_some() {
        Verdict::Warning
    } else if decision.checked || nulls {
        Verdict::Checked
    } else {
        Verdict::Fits
    };
    let column = PushColumn {
        target: identifier.clone(),
        data_type: theirs.data_type.clone(),
        max_chars: theirs.max_chars,
        max_bytes: theirs.max_bytes,
        nullable: theirs.nullable,
        source: ours.field.name().clone(),
        nanos: ours.nanos,
        offset: ours.offset,
        form: decision.form,
        round: job.rules.round,
    };
    let reason = match &theirs.masking {
        Some(policy) => format!("the masking policy {policy} changes what readers see"),
        None => String::new(),
    };
    let verdict = ColumnVerdict {
        column: identifier.to_string(),
        ours: our_type,
        theirs: declared(theirs),
        verdict,
        reason,
        repair: None,
    };
    (verdict, Some(column))
}

fn declared(column: &TargetColumn) -> String {
    let null = if column.nullable { "" } else { " NOT NULL" };
    format!("{}{null}", column.declared())
}

/// The verdict on a column that the target does not have.
fn absent(
    job: &PushJob,
    target: &TargetDescription,
    ours: &Ours<'_>,
    identifier: &Identifier,
) -> ColumnVerdict {
    let same_letters =
        |column: &&TargetColumn| column.name.as_str().eq_ignore_ascii_case(identifier.as_str());
    let repair = match target.columns.iter().find(same_letters) {
        Some(column) => format!(
            "the table has {}: write `AS {}` in the query, or map {} to {}",
            column.name,
            column.name.quoted(),
            column.name,
            ours.field.name()
        ),
        None => match create::target_column(ours, identifier) {
            Ok(column) => format!(
                "ALTER TABLE {} ADD COLUMN {} {}; or leave it out of the query",
                job.target,
                identifier.quoted(),
                column.declared()
            ),
            Err(_) => "leave it out of the query".to_owned(),
        },
    };
    let reason = format!("{} has no such column", job.target);
    refuse(identifier.as_str(), &ours.describe(), "", reason, Some(repair))
}

fn one_constant(target: &TargetDescription, constant: &Constant) -> ColumnVerdict {
    let name = &constant.target;
    let ours = match &constant.value {
        ConstantValue::RunId => "the run's id",
        ConstantValue::PinnedAt => "the run's time",
        ConstantValue::Text(_) => "a text",
        ConstantValue::Integer(_) => "an integer",
        ConstantValue::Boolean(_) => "a boolean",
    };
    let Some(theirs) = target.column(name) else {
        let reason = "there is no such column for the constant".to_owned();
        return refuse(name.as_str(), ours, "", reason, None);
    };
    let timestamp = matches!(
        theirs.data_type,
        SnowflakeType::TimestampNtz { .. }
            | SnowflakeType::TimestampLtz { .. }
            | SnowflakeType::TimestampTz { .. }
    );
    let fits = match (&constant.value, &theirs.data_type) {
        (ConstantValue::PinnedAt, _) => timestamp,
        (ConstantValue::RunId, SnowflakeType::Text) => true,
        (ConstantValue::Text(text), SnowflakeType::Text) => {
            theirs.max_chars.is_none_or(|max| text.chars().count() as u64 <= max)
        }
        (ConstantValue::Integer(number), SnowflakeType::Number { precision, scale }) => {
            let room = u32::from(precision.saturating_sub(*scale));
            10_i128.checked_pow(room).is_none_or(|bound| i128::from(number.unsigned_abs()) < bound)
        }
        (ConstantValue::Boolean(_), SnowflakeType::Boolean) => true,
        _ => false,
    };
    if !fits || theirs.identity || theirs.computed.is_some() {
        let reason = "the constant does not fit the column".to_owned();
        return refuse(name.as_str(), ours, &theirs.declared(), reason, None);
    }
    ColumnVerdict {
        column: name.to_string(),
        ours: ours.to_owned(),
        theirs: declared(theirs),
        verdict: Verdict::Fits,
        reason: String::new(),
        repair: None,
    }
}

/// Columns of the target that the push does not write.
fn left_out(
    job: &PushJob,
    target: &TargetDescription,
    so_far: &[ColumnVerdict],
    written: &BTreeSet<&Identifier>,
) -> Vec<ColumnVerdict> {
    let judged = |name: &Identifier| so_far.iter().any(|one| one.column == name.to_string());
    let others = target.columns.iter().filter(|column| {
        !written.contains(&column.name) && !judged(&column.name) && column.computed.is_none()
    });
    others
        .filter_map(|column| {
            let theirs = declared(column);
            if !column.nullable && column.default.is_none() && !column.identity {
                return Some(refuse(
                    column.name.as_str(),
                    "",
                    &theirs,
                    "the column takes no NULL, has no default, and is not in the query".to_owned(),
                    Some("add it to the query, or give the column a default".to_owned()),
                ));
            }
            (job.mode == PushMode::Rewrite && !column.identity).then(|| ColumnVerdict {
                column: column.name.to_string(),
                ours: String::new(),
                theirs,
                verdict: Verdict::Warning,
                reason: "the column is not in the query; a rewrite leaves it to its default or \
                         NULL"
                    .to_owned(),
                repair: None,
            })
        })
        .collect()
}

/// The key of an upsert has to be among the columns.
fn keys(job: &PushJob, written: &BTreeSet<&Identifier>) -> Vec<ColumnVerdict> {
    let missing = job.mode.key().iter().filter(|key| !written.contains(key));
    missing
        .map(|key| {
            let reason = "the key names a column that is not pushed".to_owned();
            refuse(key.as_str(), "", "", reason, Some("add it to the query".to_owned()))
        })
        .collect()
}

pub(crate) fn refuse(
    column: &str,
    ours: &str,
    theirs: &str,
    reason: String,
    repair: Option<String>,
) -> ColumnVerdict {
    ColumnVerdict {
        column: Identifier::new(column).map_or_else(|_| column.to_owned(), |name| name.to_string()),
        ours: ours.to_owned(),
        theirs: theirs.to_owned(),
        verdict: Verdict::Refused,
        reason,
        repair,
    }
}
