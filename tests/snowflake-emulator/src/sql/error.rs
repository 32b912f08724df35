//! Snowflake's errors, with the codes and words that its clients look for.

use crate::engine::SqlError;

/// An error of Snowflake's own code.
pub(crate) fn sql_error(
    code: &'static str,
    sql_state: &'static str,
    message: impl Into<String>,
) -> SqlError {
    SqlError { code, sql_state, message: message.into() }
}

/// A feature that this emulator does not have, in the words Snowflake uses for its own.
pub(crate) fn unsupported(what: impl std::fmt::Display) -> SqlError {
    compile("000002", "0A000", format!("Unsupported feature '{what}'."))
}

/// A compilation error.
pub(crate) fn compile(
    code: &'static str,
    sql_state: &'static str,
    message: impl std::fmt::Display,
) -> SqlError {
    sql_error(code, sql_state, format!("SQL compilation error:\n{message}"))
}

/// The text is not SQL.
pub(crate) fn syntax(message: impl std::fmt::Display) -> SqlError {
    compile("001003", "42000", format!("syntax error {message}"))
}

/// A table, view, schema or database that is not there.
pub(crate) fn object_missing(name: impl std::fmt::Display) -> SqlError {
    compile("002003", "42S02", format!("Object '{name}' does not exist or not authorized."))
}

/// As [`object_missing`], for a kind that Snowflake names in the message.
pub(crate) fn kind_missing(kind: &str, name: impl std::fmt::Display) -> SqlError {
    let state = if kind == "Database" || kind == "Schema" { "02000" } else { "42S02" };
    compile("002003", state, format!("{kind} '{name}' does not exist or not authorized."))
}

/// The target of USE, DESCRIBE or SHOW is not there.
pub(crate) fn operation_impossible() -> SqlError {
    compile("002043", "02000", "Object does not exist, or operation cannot be performed.")
}

/// A second object of one name.
pub(crate) fn object_exists(name: impl std::fmt::Display) -> SqlError {
    compile("002002", "42710", format!("Object '{name}' already exists."))
}

/// An unqualified name without a current database.
pub(crate) fn no_database() -> SqlError {
    sql_error(
        "090105",
        "22000",
        "Cannot perform operation. This session does not have a current database. \
         Call 'USE DATABASE', or use a qualified name.",
    )
}

/// An unqualified name without a current schema.
pub(crate) fn no_schema() -> SqlError {
    sql_error(
        "090106",
        "22000",
        "Cannot perform operation. This session does not have a current schema. \
         Call 'USE SCHEMA', or use a qualified name.",
    )
}

/// A statement that needs compute without a warehouse.
pub(crate) fn no_warehouse() -> SqlError {
    sql_error(
        "000606",
        "57P03",
        "No active warehouse selected in the current session.  \
         Select an active warehouse with the 'use warehouse' command.",
    )
}

/// An unknown column.
pub(crate) fn invalid_identifier(name: impl std::fmt::Display) -> SqlError {
    compile("000904", "42000", format!("error line 1 at position -1\ninvalid identifier '{name}'"))
}

/// An unknown function.
pub(crate) fn unknown_function(name: &str) -> SqlError {
    compile("002140", "42601", format!("Unknown function {name}"))
}

/// Argument types that a function or operator does not take.
pub(crate) fn invalid_types(function: &str, types: impl std::fmt::Display) -> SqlError {
    compile(
        "001044",
        "42P13",
        format!(
            "error line 1 at position -1\nInvalid argument types for function '{function}': ({types})"
        ),
    )
}

/// A number outside its type.
pub(crate) fn number_out_of_range(text: impl std::fmt::Display) -> SqlError {
    sql_error("100132", "22003", format!("Number out of representable range: {text}"))
}

/// Text that is not a number.
pub(crate) fn number_not_recognized(text: &str) -> SqlError {
    sql_error("100038", "22018", format!("Numeric value '{text}' is not recognized"))
}

/// Text that is not of the wanted type.
pub(crate) fn not_recognized(kind: &str, text: &str) -> SqlError {
    match kind {
        "Date" => sql_error("100040", "22007", format!("Date '{text}' is not recognized")),
        "Time" => sql_error("100108", "22007", format!("Time '{text}' is not recognized")),
        "Boolean" => {
            sql_error("100037", "22018", format!("Boolean value '{text}' is not recognized"))
        }
        _ => sql_error("100035", "22007", format!("Timestamp '{text}' is not recognized")),
    }
}

/// Text longer than its column.
pub(crate) fn string_too_long(text: &str) -> SqlError {
    let shown: String = text.chars().take(200).collect();
    sql_error("100078", "22000", format!("String '{shown}' is too long and would be truncated"))
}

/// Division by zero.
pub(crate) fn division_by_zero() -> SqlError {
    sql_error("100051", "22012", "Division by zero")
}

/// NULL for a column that refuses it.
pub(crate) fn null_in_not_null(column: &str) -> SqlError {
    sql_error("100072", "22000", format!("NULL result in a non-nullable column '{column}'"))
}

/// A change of a database that another account shares with this one.
pub(crate) fn shared_database(database: &str) -> SqlError {
    sql_error(
        "003540",
        "42501",
        format!(
            "SQL execution error: Changing objects on shared database '{database}' is not allowed."
        ),
    )
}

/// A number outside the column or type that text was converted to.
pub(crate) fn numeric_out_of_range(text: &str) -> SqlError {
    sql_error("100039", "22003", format!("Numeric value '{text}' is out of range"))
}
