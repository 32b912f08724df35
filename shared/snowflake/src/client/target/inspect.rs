//! Looks at a target: kind, identity, columns, and what our role may do. Needs no warehouse.

use std::collections::BTreeSet;

use snowferry_model::names::{Identifier, TableName};
use snowferry_model::push::{Privilege, TargetColumn, TargetDescription};

use crate::SnowflakeError;
use crate::client::SnowflakeClient;
use crate::client::source::exactly;
use crate::client::sql::{self, Kind};
use crate::client::statement::{About, TextRows};
use crate::decode::parse_type;

/// How many roles, ours and those below it, are looked at for privileges.
const MAX_ROLES: usize = 50;

const PRIVILEGES: [Privilege; 5] = [
    Privilege::Select,
    Privilege::Insert,
    Privilege::Update,
    Privilege::Delete,
    Privilege::Ownership,
];

pub(super) async fn inspect(
    client: &SnowflakeClient,
    table: &TableName,
) -> Result<TargetDescription, SnowflakeError> {
    let session = &client.session;
    let name = table.to_string();
    let about = About { object: &name };
    let described = session.texts(&sql::describe(table), about).await?;
    let columns = columns(&described)?;
    let mut found = None;
    for kind in [Kind::Tables, Kind::Views] {
        let shown = session.texts(&sql::show_one(table, kind), about).await?;
        if let Some((kind, identity)) = exactly(&shown, table, kind) {
            found = Some((kind, identity, rows_of(&shown, table)));
            break;
        }
    }
    let role = session.role();
    let Some((kind, identity, rows)) = found else {
        return Err(SnowflakeError::NotFound { object: name, role });
    };
    let privileges = match kind.as_str() {
        "VIEW" => Vec::new(),
        _ => privileges(client, table, &role).await?,
    };
    Ok(TargetDescription { kind, identity, role, privileges, rows, columns })
}

fn rows_of(shown: &TextRows, table: &TableName) -> Option<u64> {
    let ours = |row: &&Vec<Option<String>>| {
        shown.get(row, "name").as_deref() == Some(table.table.as_str())
    };
    shown.get(shown.rows.iter().find(ours)?, "rows")?.parse().ok()
}

/// Reads DESCRIBE TABLE.
fn columns(described: &TextRows) -> Result<Vec<TargetColumn>, SnowflakeError> {
    let mut columns = Vec::with_capacity(described.rows.len());
    for row in &described.rows {
        let text = |name: &str| described.get(row, name).filter(|text| !text.is_empty());
        let unreadable = |what: &str| SnowflakeError::Protocol {
            step: "describe a target".to_owned(),
            reason: format!("a column without {what}"),
        };
        let name = text("name").and_then(|name| Identifier::new(name).ok());
        let name = name.ok_or_else(|| unreadable("a name"))?;
        let declared = text("type").ok_or_else(|| unreadable("a type"))?;
        let length = length(&declared);
        let data_type = parse_type(&declared);
        let is_text = declared.starts_with("VARCHAR") || declared.starts_with("CHAR");
        let default = text("default");
        let kind = text("kind").unwrap_or_default();
        columns.push(TargetColumn {
            name,
            data_type,
            max_chars: length.filter(|_| is_text),
            max_bytes: length.filter(|_| declared.starts_with("BINARY")),
            nullable: text("null?").is_none_or(|null| null != "N"),
            identity: default.as_deref().is_some_and(is_identity),
            default,
            computed: text("expression").or_else(|| {
                kind.to_uppercase().contains("VIRTUAL").then(|| "an expression".to_owned())
            }),
            masking: text("policy name"),
        });
    }
    Ok(columns)
}

/// Returns n of `VARCHAR(n)`.
fn length(declared: &str) -> Option<u64> {
    let (_, rest) = declared.split_once('(')?;
    rest.split([',', ')']).next()?.trim().parse().ok()
}

fn is_identity(default: &str) -> bool {
    let upper = default.to_uppercase();
    upper.starts_with("IDENTITY") || upper.starts_with("AUTOINCREMENT")
}

/// Returns what the role and the roles below it may do with the table, breadth first.
async fn privileges(
    client: &SnowflakeClient,
    table: &TableName,
    role: &str,
) -> Result<Vec<Privilege>, SnowflakeError> {
    let mut held = BTreeSet::new();
    let mut roles = vec![role.to_owned()];
    let mut looked_at = 0;
    while let Some(next) = roles.get(looked_at).cloned() {
        looked_at += 1;
        let Ok(identifier) = Identifier::new(next) else { continue };
        for grant in client.grants(&identifier).await? {
            if grant.on == "ROLE" && grant.privilege == "USAGE" {
                if !roles.contains(&grant.name) && roles.len() < MAX_ROLES {
                    roles.push(grant.name);
                }
            } else if grant.on == "TABLE" && is_of(&grant.name, table) {
                let same = |one: &Privilege| one.as_str() == grant.privilege;
                held.extend(PRIVILEGES.into_iter().find(same));
            }
        }
        if held.contains(&Privilege::Ownership) {
            break;
        }
    }
    Ok(held.into_iter().collect())
}

/// Returns whether a name as SHOW GRANTS writes it is the table's: quoted where it must be.
fn is_of(name: &str, table: &TableName) -> bool {
    let plain = [&table.database, &table.schema, &table.table].map(Identifier::as_str).join(".");
    name == plain || name.parse::<TableName>().is_ok_and(|name| name == *table)
}
