//! Which table a name in a query means.
//!
//! A name has one to four parts: `connection.DATABASE.SCHEMA.TABLE`, and whatever is left of it
//! when parts are taken away from the left. Within a query of one connection, a name without a
//! connection means that connection's tables only, so that a table of another customer can never
//! be read by accident. Without a connection it means any table, if there is just one.

use snowferry_model::names::{ConnectionName, TableName};
use snowferry_model::state::StreamKey;

use crate::DatabaseError;

/// At most this many candidates are told.
const CANDIDATES_SHOWN: usize = 5;

/// Finds the table that a name means.
///
/// # Errors
/// [`DatabaseError::UnknownTable`] when it means none or several.
pub(crate) fn resolve<'a>(
    parts: &[&str],
    tables: &'a [StreamKey],
    connection: Option<&ConnectionName>,
) -> Result<&'a StreamKey, DatabaseError> {
    let (named, rest) = match parts {
        // A connection's name is lower case; without quotes it has been folded to upper case.
        [named, rest @ ..] if rest.len() == 3 => (Some(named.to_lowercase()), rest),
        rest => (None, rest),
    };
    let within = named.as_deref().or(connection.map(ConnectionName::as_str));
    let mut fitting = tables
        .iter()
        .filter(|stream| within.is_none_or(|within| within == stream.connection.as_str()))
        .filter(|stream| ends_with(&stream.table, rest));
    let refuse = |reason: &str, candidates: Vec<String>| DatabaseError::UnknownTable {
        name: parts.join("."),
        reason: reason.to_owned(),
        candidates,
    };
    match (fitting.next(), fitting.next()) {
        (Some(only), None) => Ok(only),
        (Some(first), Some(second)) => {
            let all = [first, second].into_iter().chain(fitting);
            Err(refuse("means several tables", all.take(CANDIDATES_SHOWN).map(full_name).collect()))
        }
        _ => Err(refuse("is no pulled table", candidates(rest, tables))),
    }
}

/// Returns the name under which a query always finds a table.
pub(crate) fn full_name(stream: &StreamKey) -> String {
    format!("{}.{}", quoted_if_needed(stream.connection.as_str()), stream.table)
}

/// A connection's name with a hyphen is no plain word.
fn quoted_if_needed(connection: &str) -> String {
    if connection.contains('-') { format!("\"{connection}\"") } else { connection.to_owned() }
}

fn ends_with(table: &TableName, parts: &[&str]) -> bool {
    let name = [&table.database, &table.schema, &table.table];
    if parts.is_empty() || parts.len() > name.len() {
        return false;
    }
    let pairs = name.iter().rev().zip(parts.iter().rev());
    pairs.into_iter().all(|(name, part)| name.as_str() == *part)
}

/// Returns tables that could be meant: those of the same last part but for case, else any.
fn candidates(parts: &[&str], tables: &[StreamKey]) -> Vec<String> {
    let last = parts.last().map(|part| part.to_lowercase()).unwrap_or_default();
    let similar = |stream: &&StreamKey| stream.table.table.as_str().to_lowercase() == last;
    let mut found: Vec<_> = tables.iter().filter(similar).map(full_name).collect();
    if found.is_empty() {
        found = tables.iter().map(full_name).collect();
    }
    found.truncate(CANDIDATES_SHOWN);
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn streams() -> Vec<StreamKey> {
        let stream = |connection: &str, table: &str| StreamKey {
            connection: connection.to_owned().try_into().unwrap(),
            table: table.parse().unwrap(),
        };
        vec![
            stream("acme", "CRM.PUBLIC.ORDERS"),
            stream("acme", "CRM.OLD.ORDERS"),
            stream("acme", "CRM.PUBLIC.USERS"),
            stream("new-co", "CRM.PUBLIC.ORDERS"),
            stream("new-co", "CRM.PUBLIC.\"my Items\""),
        ]
    }

    fn check(name: &[&str], within: Option<&str>, expected: &str) {
        let within = within.map(|name| name.to_owned().try_into().unwrap());
        let streams = streams();
        let found = match resolve(name, &streams, within.as_ref()) {
            Ok(stream) => stream.to_string(),
            Err(DatabaseError::UnknownTable { name, reason, candidates }) => {
                format!("{name} {reason}: {}", candidates.join(" "))
            }
            Err(other) => other.to_string(),
        };
        assert_eq!(found, expected);
    }

    #[test]
    fn a_name_means_a_table_when_only_one_fits() {
        check(&["USERS"], None, "acme/CRM.PUBLIC.USERS");
        check(&["OLD", "ORDERS"], None, "acme/CRM.OLD.ORDERS");
        check(&["my Items"], Some("new-co"), "new-co/CRM.PUBLIC.\"my Items\"");
        check(&["ACME", "CRM", "PUBLIC", "ORDERS"], None, "acme/CRM.PUBLIC.ORDERS");
        check(&["new-co", "CRM", "PUBLIC", "ORDERS"], Some("acme"), "new-co/CRM.PUBLIC.ORDERS");
        check(&["ORDERS"], Some("new-co"), "new-co/CRM.PUBLIC.ORDERS");
    }

    #[test]
    fn a_name_without_its_connection_never_means_another_customers_table() {
        check(
            &["my Items"],
            Some("acme"),
            "my Items is no pulled table: \"new-co\".CRM.PUBLIC.\"my Items\"",
        );
    }

    #[test]
    fn a_name_that_means_several_tables_is_refused_with_the_full_names() {
        check(
            &["ORDERS"],
            Some("acme"),
            "ORDERS means several tables: acme.CRM.PUBLIC.ORDERS acme.CRM.OLD.ORDERS",
        );
        check(
            &["CRM", "PUBLIC", "ORDERS"],
            None,
            "CRM.PUBLIC.ORDERS means several tables: \
             acme.CRM.PUBLIC.ORDERS \"new-co\".CRM.PUBLIC.ORDERS",
        );
    }

    #[test]
    fn a_name_of_another_case_is_refused_with_the_right_one() {
        check(&["orders", "users"], None, "orders.users is no pulled table: acme.CRM.PUBLIC.USERS");
    }
}
