//! The text of every statement of the set-up. Names come quoted, values as literals; nothing else
//! in this crate writes SQL that changes an account.

use snowferry_model::names::{Identifier, TableName};

/// The database and schema that hold what belongs to no table of the customer.
const OWN_DATABASE: &str = "SNOWFERRY";
const OWN_SCHEMA: &str = "SETUP";
const RULE: &str = "ADDRESSES";
const POLICY: &str = "SNOWFERRY_ADDRESSES";

/// Seconds without a statement after which the warehouse stops. Snowflake bills a minute at least.
const AUTO_SUSPEND_S: u32 = 60;

/// Writes a text as a literal. Snowflake takes a backslash in single quotes as an escape.
fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\\', "\\\\").replace('\'', "''"))
}

pub(super) fn use_role(role: &str) -> String {
    format!("USE ROLE {role}")
}

pub(super) fn create_role(role: &Identifier) -> String {
    format!("CREATE ROLE IF NOT EXISTS {}", role.quoted())
}

pub(super) fn create_warehouse(warehouse: &Identifier, comment: &str) -> String {
    format!(
        "CREATE WAREHOUSE IF NOT EXISTS {} WAREHOUSE_SIZE = XSMALL AUTO_SUSPEND = {AUTO_SUSPEND_S} \
         AUTO_RESUME = TRUE INITIALLY_SUSPENDED = TRUE COMMENT = {}",
        warehouse.quoted(),
        literal(comment)
    )
}

pub(super) fn grant_warehouse(warehouse: &Identifier, role: &Identifier) -> String {
    format!("GRANT USAGE ON WAREHOUSE {} TO ROLE {}", warehouse.quoted(), role.quoted())
}

pub(super) fn create_user(user: &Identifier, comment: &str) -> String {
    format!(
        "CREATE USER IF NOT EXISTS {} TYPE = SERVICE COMMENT = {}",
        user.quoted(),
        literal(comment)
    )
}

pub(crate) fn set_key(user: &Identifier, public_key: &str) -> String {
    format!("ALTER USER {} SET RSA_PUBLIC_KEY = {}", user.quoted(), literal(public_key))
}

pub(crate) fn set_second_key(user: &Identifier, public_key: &str) -> String {
    format!("ALTER USER {} SET RSA_PUBLIC_KEY_2 = {}", user.quoted(), literal(public_key))
}

pub(crate) fn unset_second_key(user: &Identifier) -> String {
    format!("ALTER USER {} UNSET RSA_PUBLIC_KEY_2", user.quoted())
}

pub(super) fn grant_role(role: &Identifier, user: &Identifier) -> String {
    format!("GRANT ROLE {} TO USER {}", role.quoted(), user.quoted())
}

pub(super) fn grant_database(database: &Identifier, role: &Identifier) -> String {
    format!("GRANT USAGE ON DATABASE {} TO ROLE {}", database.quoted(), role.quoted())
}

pub(super) fn grant_schema(
    database: &Identifier,
    schema: &Identifier,
    role: &Identifier,
) -> String {
    let schema = format!("{}.{}", database.quoted(), schema.quoted());
    format!("GRANT USAGE ON SCHEMA {schema} TO ROLE {}", role.quoted())
}

pub(super) fn grant_select(table: &TableName, role: &Identifier) -> String {
    format!("GRANT SELECT ON TABLE {} TO ROLE {}", table.quoted(), role.quoted())
}

pub(super) fn create_own_database() -> String {
    format!("CREATE DATABASE IF NOT EXISTS {OWN_DATABASE}")
}

pub(super) fn create_own_schema() -> String {
    format!("CREATE SCHEMA IF NOT EXISTS {OWN_DATABASE}.{OWN_SCHEMA}")
}

pub(super) fn create_rule(addresses: &[String]) -> String {
    format!(
        "CREATE NETWORK RULE {} TYPE = IPV4 MODE = INGRESS VALUE_LIST = ({})",
        rule(),
        literals(addresses)
    )
}

pub(super) fn alter_rule(addresses: &[String]) -> String {
    format!("ALTER NETWORK RULE {} SET VALUE_LIST = ({})", rule(), literals(addresses))
}

pub(super) fn create_policy() -> String {
    format!(
        "CREATE NETWORK POLICY IF NOT EXISTS {POLICY} ALLOWED_NETWORK_RULE_LIST = ({})",
        literal(&rule())
    )
}

pub(super) fn set_policy(user: &Identifier) -> String {
    format!("ALTER USER {} SET NETWORK_POLICY = {POLICY}", user.quoted())
}

pub(super) fn drop_user(user: &Identifier) -> String {
    format!("DROP USER IF EXISTS {}", user.quoted())
}

pub(super) fn drop_role(role: &Identifier) -> String {
    format!("DROP ROLE IF EXISTS {}", role.quoted())
}

pub(super) fn drop_warehouse(warehouse: &Identifier) -> String {
    format!("DROP WAREHOUSE IF EXISTS {}", warehouse.quoted())
}

pub(super) fn drop_policy() -> String {
    format!("DROP NETWORK POLICY IF EXISTS {POLICY}")
}

pub(super) fn drop_own_database() -> String {
    format!("DROP DATABASE IF EXISTS {OWN_DATABASE}")
}

fn rule() -> String {
    format!("{OWN_DATABASE}.{OWN_SCHEMA}.{RULE}")
}

fn literals(texts: &[String]) -> String {
    let literals: Vec<String> = texts.iter().map(|text| literal(text)).collect();
    literals.join(", ")
}
