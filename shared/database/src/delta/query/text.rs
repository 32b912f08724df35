//! From the text of a query to its syntax tree, under Snowflake's rules for names.
//!
//! Words without quotes are folded to upper case before parsing, so a query names tables and
//! columns as it would in Snowflake. A table's name of four parts is packed into the three that
//! DataFusion knows: connection and database become one catalog.

use std::ops::ControlFlow;

use datafusion::common::TableReference;
use datafusion::sql::parser::Statement as Planned;
use datafusion::sql::resolve::resolve_table_references;
use datafusion::sql::sqlparser::ast::{
    Ident, ObjectName, ObjectNamePart, Statement, visit_relations_mut,
};
use datafusion::sql::sqlparser::dialect::GenericDialect;
use datafusion::sql::sqlparser::parser::Parser;
use datafusion::sql::sqlparser::tokenizer::{Token, Tokenizer};

use crate::DatabaseError;

/// Between connection and database in a packed catalog; no identifier holds it.
const PACKED: char = '\0';

/// How deep a query may be nested.
const MAX_DEPTH: usize = 100;

/// Reads one query.
pub(super) fn parse(sql: &str) -> Result<Statement, DatabaseError> {
    let dialect = GenericDialect {};
    let mut tokens = Tokenizer::new(&dialect, sql)
        .tokenize_with_location()
        .map_err(|error| refuse(format!("{error}")))?;
    for token in &mut tokens {
        if let Token::Word(word) = &mut token.token
            && word.quote_style.is_none()
        {
            word.value = word.value.to_uppercase();
        }
    }
    let mut parser =
        Parser::new(&dialect).with_recursion_limit(MAX_DEPTH).with_tokens_with_locations(tokens);
    let statements = parser.parse_statements().map_err(|error| {
        let text = error.to_string();
        refuse(text.strip_prefix("sql parser error: ").unwrap_or(&text).to_owned())
    })?;
    let [mut statement] = <[Statement; 1]>::try_from(statements)
        .map_err(|all| refuse(format!("{} statements where one query is needed", all.len())))?;
    if !matches!(statement, Statement::Query(_)) {
        return Err(refuse("only queries (SELECT, WITH, VALUES) are answered".to_owned()));
    }
    let packed = visit_relations_mut(&mut statement, |name| match pack(name) {
        Ok(()) => ControlFlow::Continue(()),
        Err(error) => ControlFlow::Break(error),
    });
    match packed {
        ControlFlow::Continue(()) => Ok(statement),
        ControlFlow::Break(error) => Err(error),
    }
}

/// Lists the tables that a query names; names of its own WITH are left out.
pub(super) fn tables(statement: &Statement) -> Result<Vec<TableReference>, DatabaseError> {
    let planned = Planned::Statement(Box::new(statement.clone()));
    let (tables, _) = resolve_table_references(&planned, false).map_err(super::answer::planning)?;
    Ok(tables)
}

/// Returns the parts of a name as the query has them.
pub(super) fn parts(table: &TableReference) -> Vec<&str> {
    let catalog = table.catalog().into_iter().flat_map(|catalog| catalog.split(PACKED));
    catalog.chain(table.schema()).chain([table.table()]).collect()
}

/// Makes a message of the planner readable: it may hold packed names.
pub(super) fn readable(message: &str) -> String {
    message.replace(PACKED, ".")
}

fn pack(name: &mut ObjectName) -> Result<(), DatabaseError> {
    let [connection, database, ..] = name.0.as_slice() else { return Ok(()) };
    if name.0.len() < 4 {
        return Ok(());
    }
    let (Some(connection), Some(database), 4) =
        (connection.as_ident(), database.as_ident(), name.0.len())
    else {
        return Err(refuse(format!("{name} is no name of a table")));
    };
    let catalog = format!("{}{PACKED}{}", connection.value, database.value);
    name.0.splice(..2, [ObjectNamePart::Identifier(Ident::with_quote('"', catalog))]);
    Ok(())
}

fn refuse(reason: String) -> DatabaseError {
    DatabaseError::Query { reason, hint: None }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(sql: &str) -> Vec<String> {
        let statement = parse(sql).unwrap();
        tables(&statement).unwrap().iter().map(|table| parts(table).join("|")).collect()
    }

    #[test]
    fn names_without_quotes_are_folded_and_others_kept() {
        assert_eq!(named("select * from crm.\"My schema\".orders"), ["CRM|My schema|ORDERS"]);
        assert_eq!(named("select a.b from acme.crm.public.t a"), ["ACME|CRM|PUBLIC|T"]);
        assert_eq!(named("select 1"), [""; 0]);
    }

    #[test]
    fn names_of_a_with_are_no_tables_but_what_they_hide_is() {
        assert_eq!(named("with t as (select * from t) select * from t"), ["T"]);
        assert_eq!(named("with a as (select 1) select * from a, b"), ["B"]);
    }

    #[test]
    fn only_one_query_is_read() {
        for sql in [
            "",
            "delete from t",
            "select 1; select 2",
            "create table t (a int)",
            "explain select 1",
        ] {
            assert!(matches!(parse(sql), Err(DatabaseError::Query { .. })), "{sql}");
        }
        assert!(parse("select 1;").is_ok());
        let deep = format!("select {}1{}", "(".repeat(5000), ")".repeat(5000));
        assert!(matches!(parse(&deep), Err(DatabaseError::Query { .. })));
        assert!(parse("select * from a.b.c.d.e").is_err());
    }
}
