//! One table: visible, readable, with its key and cursor, every type with an exact form.

use std::collections::BTreeMap;

use snowferry_model::names::{Identifier, TableName};
use snowferry_model::plan::TablePlan;
use snowferry_model::types::{ColumnDescription, SnowflakeType, TableDescription};
use snowferry_model::watermark::{Lookback, NullCursors, can_be_cursor};
use snowferry_pull::{Mode, TableJob};
use snowferry_snowflake::client::Selection;

use super::{CheckItem, table_failure};
use crate::account::Account;

/// Adds one item for the table and one for each thing that is wrong with it.
pub(super) async fn check_table(
    account: &dyn Account,
    role: &str,
    job: &TableJob,
    selection: Option<&Selection>,
    items: &mut Vec<CheckItem>,
) {
    let subject = job.table.to_string();
    let sources = match selection.and_then(|selection| selection.query.as_ref()) {
        Some(query) => query.tables(),
        None => std::slice::from_ref(&job.table),
    };
    let repair = |kind: &str| {
        let each = sources.iter().map(|table| grants(role, table, kind));
        format!(
            "check the spelling; if it is right, ask the customer to run{}",
            each.collect::<String>()
        )
    };
    let table = match account.describe(&job.table).await {
        Ok(table) => table,
        Err(error) => {
            items.push(table_failure(subject, &error, repair("TABLE")));
            return;
        }
    };
    let columns: Vec<Identifier> = table.columns.iter().map(|c| c.name.clone()).collect();
    if let Err(error) = account.may_select(&job.table, &columns).await {
        items.push(table_failure(subject, &error, repair(&table.kind)));
        return;
    }
    let found = format!(
        "{} with {} columns{}, {}",
        table.kind.to_lowercase(),
        table.columns.len(),
        selection.map(in_words).unwrap_or_default(),
        job.mode.as_str()
    );
    items.push(CheckItem::ok(subject, found));
    check_key(job, &table, items);
    check_cursor(job, &table, items);
    if let Err(error) = TablePlan::decide(&table, &BTreeMap::new(), job.integers) {
        let subject = format!("{} types", job.table);
        let repair = "ask the customer for a view without, or with another form of, the column";
        items.push(CheckItem::failed(subject, error.to_string()).repair(repair));
    }
}

/// Words what is selected of a table.
fn in_words(selection: &Selection) -> String {
    let mut words = String::new();
    if !selection.hash.is_empty() {
        let names: Vec<_> = selection.hash.iter().map(ToString::to_string).collect();
        words.push_str(&format!(" ({} as a hash)", names.join(", ")));
    }
    if let Some(filter) = &selection.filter {
        words.push_str(&format!(" where {}", filter.text()));
    }
    words
}

fn check_key(job: &TableJob, table: &TableDescription, items: &mut Vec<CheckItem>) {
    for name in &job.key {
        match find(table, name) {
            None => items.push(missing(job, table, name, "key")),
            Some(column) if column.nullable => items.push(
                CheckItem::warning(
                    format!("{} key", job.table),
                    format!("{name} may be NULL; a row without a key cannot be loaded"),
                )
                .repair(format!(
                    "name a key without NULL, or ask the customer to run ALTER TABLE {} ALTER \
                     COLUMN {} SET NOT NULL;",
                    job.table.quoted(),
                    name.quoted()
                )),
            ),
            Some(_) => {}
        }
    }
}

fn check_cursor(job: &TableJob, table: &TableDescription, items: &mut Vec<CheckItem>) {
    let Some(name) = job.cursor.as_ref().filter(|_| job.mode == Mode::Incremental) else {
        return;
    };
    let Some(column) = find(table, name) else {
        items.push(missing(job, table, name, "cursor"));
        return;
    };
    let subject = format!("{} cursor", job.table);
    if !can_be_cursor(&column.data_type) {
        let found = format!("{name} is a {}, which cannot be a cursor", column.data_type);
        let repair = "name a NUMBER, DATE or TIMESTAMP column, or write mode: full";
        items.push(CheckItem::failed(subject, found).repair(repair));
        return;
    }
    let number = matches!(column.data_type, SnowflakeType::Number { .. });
    let fits = match job.lookback {
        Lookback::None => true,
        Lookback::Units(_) => number,
        Lookback::Seconds(_) => !number,
    };
    if !fits {
        let found = format!("the lookback does not fit {name}, a {}", column.data_type);
        let repair = "write a whole number for a NUMBER cursor, a time such as 15m for others";
        items.push(CheckItem::failed(subject, found).repair(repair));
    } else if column.nullable && job.null_cursors == NullCursors::Error {
        let found = format!("{name} may be NULL; a pull refuses rows without a cursor");
        items.push(CheckItem::warning(subject, found).repair(format!(
            "write null_cursor: reload or ignore, or ask the customer to fill it and run ALTER \
             TABLE {} ALTER COLUMN {} SET NOT NULL;",
            job.table.quoted(),
            name.quoted()
        )));
    }
}

fn find<'t>(table: &'t TableDescription, name: &Identifier) -> Option<&'t ColumnDescription> {
    table.columns.iter().find(|column| column.name == *name)
}

fn missing(job: &TableJob, table: &TableDescription, name: &Identifier, part: &str) -> CheckItem {
    let columns: Vec<String> = table.columns.iter().map(|c| c.name.to_string()).collect();
    CheckItem::failed(format!("{} {part}", job.table), format!("there is no column {name}"))
        .repair(format!("name one of {}", columns.join(", ")))
}

/// Returns the statements that let a role read one table.
fn grants(role: &str, table: &TableName, kind: &str) -> String {
    let kind = match kind {
        "VIEW" | "MATERIALIZED VIEW" => "VIEW",
        _ => "TABLE",
    };
    let database = table.database.quoted();
    let schema = table.schema.quoted();
    format!(
        "\n    GRANT USAGE ON DATABASE {database} TO ROLE {role};\n    \
         GRANT USAGE ON SCHEMA {database}.{schema} TO ROLE {role};\n    \
         GRANT SELECT ON {kind} {} TO ROLE {role};",
        table.quoted()
    )
}
