//! The SQL of a push: the staging table, the load, the ledger and the one transaction.
//!
//! Columns of a file are called `c0`, `c1`, … so that no name of a customer is a path into it;
//! each is converted by the expression that belongs to its form and declared type. What cannot be
//! bound in a COPY (constants, names of files) is a literal that is escaped here.

use snowferry_model::names::{Identifier, TableName};
use snowferry_model::push::{
    Constant, ConstantValue, PushColumn, PushKey, PushManifest, PushMode, PushPlan, TargetColumn,
    WireForm,
};
use snowferry_model::state::LedgerPosition;
use snowferry_model::types::SnowflakeType;

use super::Statement;
use crate::LedgerMove;

/// Files that one COPY may name ("COPY INTO table", FILES).
pub(in crate::client) const COPY_MAX_FILES: usize = 1000;

const WALL_FORMAT: &str = "YYYY-MM-DD HH24:MI:SS.FF9";
const OFFSET_FORMAT: &str = "YYYY-MM-DD HH24:MI:SS.FF9 TZHTZM";

/// A table of these columns unless there is one.
pub(in crate::client) fn create_table(table: &TableName, columns: &[TargetColumn]) -> Statement {
    let columns: Vec<_> = columns.iter().map(definition).collect();
    let (name, columns) = (table.quoted(), columns.join(", "));
    Statement::plain(format!("CREATE TABLE IF NOT EXISTS {name} ({columns})"))
}

/// One column as CREATE TABLE takes it.
pub(in crate::client) fn definition(column: &TargetColumn) -> String {
    let null = if column.nullable { "" } else { " NOT NULL" };
    format!("{} {}{null}", column.name.quoted(), column.declared())
}

/// Our own table for the rows of one manifest; it dies with its session and needs no privilege
/// but USAGE on the schema.
pub(in crate::client) fn create_staging(staging: &TableName, plan: &PushPlan) -> Statement {
    let column = |column: &PushColumn| format!("{} {}", column.target.quoted(), declared(column));
    let constant = |constant: &Constant| {
        format!("{} {}", constant.target.quoted(), constant_type(&constant.value))
    };
    let columns: Vec<_> =
        plan.columns.iter().map(column).chain(plan.constants.iter().map(constant)).collect();
    let (name, columns) = (staging.quoted(), columns.join(", "));
    Statement::plain(format!("CREATE TEMPORARY TABLE {name} ({columns})"))
}

fn declared(column: &PushColumn) -> String {
    let target = TargetColumn {
        max_chars: column.max_chars,
        max_bytes: column.max_bytes,
        ..TargetColumn::plain(column.target.clone(), column.data_type.clone(), true)
    };
    target.declared()
}

fn constant_type(value: &ConstantValue) -> &'static str {
    match value {
        ConstantValue::RunId | ConstantValue::Text(_) => "VARCHAR",
        ConstantValue::PinnedAt => "TIMESTAMP_LTZ(9)",
        ConstantValue::Integer(_) => "NUMBER(38,0)",
        ConstantValue::Boolean(_) => "BOOLEAN",
    }
}

/// Loads files into a table, all or none. `folder` is a stage path that ends with a slash.
pub(in crate::client) fn copy(
    into: &TableName,
    plan: &PushPlan,
    folder: &str,
    files: &[&str],
) -> Statement {
    let columns = names(plan).join(", ");
    let values: Vec<_> = plan
        .columns
        .iter()
        .enumerate()
        .map(|(position, column)| converted(position, column))
        .chain(plan.constants.iter().map(|constant| literal(plan, &constant.value)))
        .collect();
    let files: Vec<_> = files.iter().map(|file| text_literal(file)).collect();
    Statement::plain(format!(
        "COPY INTO {} ({columns}) FROM (SELECT {} FROM {folder}) FILES = ({}) \
         FILE_FORMAT = (TYPE = PARQUET BINARY_AS_TEXT = FALSE USE_LOGICAL_TYPE = TRUE) \
         ON_ERROR = ABORT_STATEMENT",
        into.quoted(),
        values.join(", "),
        files.join(", ")
    ))
}

/// The conversion that belongs to a column's form and declared type.
fn converted(position: usize, column: &PushColumn) -> String {
    let value = format!("$1:{}", PushColumn::wire_name(position));
    let text = format!("{value}::VARCHAR");
    let declared = declared(column);
    match (column.form, &column.data_type) {
        (WireForm::TimeText, _) => format!("{text}::{declared}"),
        (WireForm::WallText, _) => {
            format!("TO_TIMESTAMP_NTZ({text}, '{WALL_FORMAT}')::{declared}")
        }
        (WireForm::OffsetText, SnowflakeType::TimestampLtz { .. }) => {
            format!("TO_TIMESTAMP_LTZ({text}, '{OFFSET_FORMAT}')::{declared}")
        }
        (WireForm::OffsetText, _) => {
            format!("TO_TIMESTAMP_TZ({text}, '{OFFSET_FORMAT}')::{declared}")
        }
        // The session's zone is UTC, so an instant gets the offset +00:00.
        (WireForm::InstantMicros, SnowflakeType::TimestampTz { scale }) => {
            format!("{value}::TIMESTAMP_LTZ({scale})::{declared}")
        }
        (WireForm::Json, SnowflakeType::Object) => format!("PARSE_JSON({text})::OBJECT"),
        (WireForm::Json, SnowflakeType::Array) => format!("PARSE_JSON({text})::ARRAY"),
        (WireForm::Json, _) => format!("PARSE_JSON({text})"),
        (WireForm::Shape, SnowflakeType::Geometry) => format!("TO_GEOMETRY({text})"),
        (WireForm::Shape, _) => format!("TO_GEOGRAPHY({text})"),
        (WireForm::VectorText, _) => format!("PARSE_JSON({text})::ARRAY::{declared}"),
        (WireForm::DecimalText, _) => format!("{text}::DECFLOAT"),
        _ => format!("{value}::{declared}"),
    }
}

fn literal(plan: &PushPlan, value: &ConstantValue) -> String {
    match value {
        ConstantValue::RunId => text_literal(&plan.run_id),
        ConstantValue::PinnedAt => {
            format!("{}::TIMESTAMP_LTZ(9)", text_literal(&plan.pinned_at.to_string()))
        }
        ConstantValue::Text(text) => text_literal(text),
        ConstantValue::Integer(number) => number.to_string(),
        ConstantValue::Boolean(truth) => truth.to_string().to_uppercase(),
    }
}

fn text_literal(text: &str) -> String {
    format!("'{}'", text.replace('\\', "\\\\").replace('\'', "''"))
}

fn names(plan: &PushPlan) -> Vec<String> {
    let columns = plan.columns.iter().map(|column| column.target.quoted());
    columns.chain(plan.constants.iter().map(|constant| constant.target.quoted())).collect()
}

/// Rows, values of each column, rows without a whole key.
pub(in crate::client) fn count_staged(staging: &TableName, plan: &PushPlan) -> Statement {
    let mut items = vec!["TO_VARCHAR(COUNT(*))".to_owned()];
    items.extend(names(plan).iter().map(|name| format!("TO_VARCHAR(COUNT({name}))")));
    let nulls: Vec<_> =
        plan.mode.key().iter().map(|key| format!("{} IS NULL", key.quoted())).collect();
    items.push(match nulls.is_empty() {
        true => "'0'".to_owned(),
        false => format!("TO_VARCHAR(COUNT_IF({}))", nulls.join(" OR ")),
    });
    Statement::plain(format!("SELECT {} FROM {}", items.join(", "), staging.quoted()))
}

/// Keys that several rows have.
pub(in crate::client) fn count_duplicates(staging: &TableName, key: &[Identifier]) -> Statement {
    let key = quoted(key);
    Statement::plain(format!(
        "SELECT TO_VARCHAR(COUNT(*)) FROM (SELECT {key} FROM {} GROUP BY {key} \
         HAVING COUNT(*) > 1) AS duplicates",
        staging.quoted()
    ))
}

fn quoted(columns: &[Identifier]) -> String {
    columns.iter().map(Identifier::quoted).collect::<Vec<_>>().join(", ")
}

/// Where the push is, one row for each row that it has.
pub(in crate::client) fn read_ledger(table: &TableName, push: &PushKey) -> Statement {
    Statement {
        text: format!(
            "SELECT TO_VARCHAR(GENERATION), TO_VARCHAR(SEQUENCE) FROM {} WHERE PUSH = ? \
             ORDER BY GENERATION, SEQUENCE",
            table.quoted()
        ),
        binds: vec![push.to_string().into()],
        tag: None,
    }
}

/// Makes the push's row, at a position that no slice has, unless it has one.
pub(in crate::client) fn begin_ledger(table: &TableName, push: &PushKey) -> Statement {
    let name = table.quoted();
    Statement {
        text: format!(
            "INSERT INTO {name} (PUSH, GENERATION, SEQUENCE) SELECT ?, 0, 0 \
             WHERE NOT EXISTS (SELECT 1 FROM {name} WHERE PUSH = ?)"
        ),
        binds: vec![push.to_string().into(), push.to_string().into()],
        tag: None,
    }
}

/// Takes away rows of the beginning, of which two runs at once may have made one each.
pub(in crate::client) fn tidy_ledger(table: &TableName, push: &PushKey) -> Statement {
    Statement {
        text: format!("DELETE FROM {} WHERE PUSH = ? AND GENERATION = 0", table.quoted()),
        binds: vec![push.to_string().into()],
        tag: None,
    }
}

/// Moves the push's row; must touch exactly one.
pub(in crate::client) fn move_ledger(
    moved: &LedgerMove,
    from: LedgerPosition,
    manifest: &PushManifest,
) -> Statement {
    let plan = &manifest.plan;
    Statement {
        text: format!(
            "UPDATE {} SET GENERATION = ?::NUMBER(38,0), SEQUENCE = ?::NUMBER(38,0), RUN_ID = ?, \
             TARGET = ?, ROWS_APPLIED = ?::NUMBER(38,0), APPLIED_AT = CURRENT_TIMESTAMP() \
             WHERE PUSH = ? AND GENERATION = ?::NUMBER(38,0) AND SEQUENCE = ?::NUMBER(38,0)",
            moved.table.quoted()
        ),
        binds: vec![
            moved.to.generation.to_string().into(),
            moved.to.sequence.to_string().into(),
            plan.run_id.clone().into(),
            plan.target.to_string().into(),
            manifest.rows.to_string().into(),
            moved.push.to_string().into(),
            from.generation.to_string().into(),
            from.sequence.to_string().into(),
        ],
        tag: None,
    }
}

/// Begins the transaction. The name is ours and plain.
pub(in crate::client) fn begin(name: &str) -> Statement {
    Statement::plain(format!("BEGIN TRANSACTION NAME {name}"))
}

/// From here on no statement of the session commits by itself.
pub(in crate::client) fn autocommit_off() -> Statement {
    Statement::plain("ALTER SESSION SET AUTOCOMMIT = FALSE".to_owned())
}

/// The id of the session's open transaction, or NULL.
pub(in crate::client) fn current_transaction() -> Statement {
    Statement::plain("SELECT CURRENT_TRANSACTION()".to_owned())
}

/// The open transactions of our user, in all sessions.
pub(in crate::client) fn show_transactions() -> Statement {
    Statement::plain("SHOW TRANSACTIONS".to_owned())
}

/// Ends a transaction of our user; one that has ended stays as it is.
pub(in crate::client) fn abort_transaction(id: u64) -> Statement {
    Statement::plain(format!("SELECT SYSTEM$ABORT_TRANSACTION({id})"))
}

/// Makes everything since `BEGIN` visible at once.
pub(in crate::client) fn commit() -> Statement {
    Statement::plain("COMMIT".to_owned())
}

/// Undoes everything since `BEGIN`.
pub(in crate::client) fn roll_back() -> Statement {
    Statement::plain("ROLLBACK".to_owned())
}

/// Takes all rows out of the target; the table object and its load metadata stay.
pub(in crate::client) fn delete_all(target: &TableName) -> Statement {
    Statement::plain(format!("DELETE FROM {}", target.quoted()))
}

/// Adds the staged rows.
pub(in crate::client) fn insert(staging: &TableName, plan: &PushPlan) -> Statement {
    let columns = names(plan).join(", ");
    let (target, staging) = (plan.target.quoted(), staging.quoted());
    Statement::plain(format!("INSERT INTO {target} ({columns}) SELECT {columns} FROM {staging}"))
}

/// Adds a row to the staging table: what shows afterwards that a transaction was committed which
/// has moved no ledger.
pub(in crate::client) fn mark(staging: &TableName, plan: &PushPlan) -> Statement {
    let (staging, columns) = (staging.quoted(), names(plan));
    let nulls = vec!["NULL"; columns.len()].join(", ");
    Statement::plain(format!("INSERT INTO {staging} ({}) SELECT {nulls}", columns.join(", ")))
}

/// Rows of the staging table.
pub(in crate::client) fn count_marked(staging: &TableName) -> Statement {
    Statement::plain(format!("SELECT TO_VARCHAR(COUNT(*)) FROM {}", staging.quoted()))
}

/// Replaces rows by key and adds the others.
pub(in crate::client) fn merge(staging: &TableName, plan: &PushPlan) -> Statement {
    let key = plan.mode.key();
    let on: Vec<_> =
        key.iter().map(|column| format!("theirs.{0} = ours.{0}", column.quoted())).collect();
    let others: Vec<_> = names(plan)
        .into_iter()
        .filter(|name| !key.iter().any(|column| column.quoted() == *name))
        .map(|name| format!("theirs.{name} = ours.{name}"))
        .collect();
    let update = match others.is_empty() {
        true => String::new(),
        false => format!(" WHEN MATCHED THEN UPDATE SET {}", others.join(", ")),
    };
    let columns = names(plan).join(", ");
    let values: Vec<_> = names(plan).iter().map(|name| format!("ours.{name}")).collect();
    Statement::plain(format!(
        "MERGE INTO {} AS theirs USING {} AS ours ON {}{update} \
         WHEN NOT MATCHED THEN INSERT ({columns}) VALUES ({})",
        plan.target.quoted(),
        staging.quoted(),
        on.join(" AND "),
        values.join(", ")
    ))
}

/// Returns whether every matched row of a merge is changed, so that its counts add up to ours.
pub(in crate::client) fn changes_matched(plan: &PushPlan) -> bool {
    let key = plan.mode.key();
    matches!(plan.mode, PushMode::Upsert { .. }) && names(plan).len() > key.len()
}

/// Lists uploaded files.
pub(in crate::client) fn list(folder: &str) -> Statement {
    Statement::plain(format!("LIST {folder}"))
}

/// Takes uploaded files away.
pub(in crate::client) fn remove(folder: &str) -> Statement {
    Statement::plain(format!("REMOVE {folder}"))
}

/// A table that a push writes, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SetupTable {
    /// The table.
    pub table: TableName,
    /// Whether its rows are taken out.
    pub rewrites: bool,
    /// Whether rows are replaced by key.
    pub upserts: bool,
    /// Whether the push may make it.
    pub creates: bool,
}

/// Returns the statements that let a role push: the ledgers, and grants on exactly these tables.
#[must_use]
pub fn push_setup(role: &str, ledgers: &[TableName], tables: &[SetupTable]) -> Vec<String> {
    let role = Identifier::parse(role).map_or_else(|_| role.to_owned(), |role| role.quoted());
    let mut statements = Vec::new();
    let mut add = |statement: String| {
        if !statements.contains(&statement) {
            statements.push(statement);
        }
    };
    for ledger in ledgers {
        let schema = format!("{}.{}", ledger.database.quoted(), ledger.schema.quoted());
        let table = ledger.quoted();
        add(format!("CREATE SCHEMA IF NOT EXISTS {schema}"));
        add(format!(
            "CREATE TABLE IF NOT EXISTS {table} (PUSH VARCHAR NOT NULL, \
             GENERATION NUMBER(38,0) NOT NULL, SEQUENCE NUMBER(38,0) NOT NULL, RUN_ID VARCHAR, \
             TARGET VARCHAR, ROWS_APPLIED NUMBER(38,0), APPLIED_AT TIMESTAMP_LTZ(9))"
        ));
        add(format!("GRANT USAGE ON DATABASE {} TO ROLE {role}", ledger.database.quoted()));
        add(format!("GRANT USAGE ON SCHEMA {schema} TO ROLE {role}"));
        add(format!("GRANT SELECT, INSERT, UPDATE, DELETE ON TABLE {table} TO ROLE {role}"));
    }
    for table in tables {
        let database = table.table.database.quoted();
        let schema = format!("{database}.{}", table.table.schema.quoted());
        add(format!("GRANT USAGE ON DATABASE {database} TO ROLE {role}"));
        add(format!("GRANT USAGE ON SCHEMA {schema} TO ROLE {role}"));
        let mut privileges = vec!["SELECT", "INSERT"];
        if table.rewrites {
            privileges.push("DELETE");
        }
        if table.upserts {
            privileges.push("UPDATE");
        }
        let (privileges, name) = (privileges.join(", "), table.table.quoted());
        match table.creates {
            true => add(format!("GRANT CREATE TABLE ON SCHEMA {schema} TO ROLE {role}")),
            false => add(format!("GRANT {privileges} ON TABLE {name} TO ROLE {role}")),
        }
    }
    statements
}

#[cfg(test)]
mod tests;
