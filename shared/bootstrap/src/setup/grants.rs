//! Who we are in the account, and what we may read.

use std::collections::BTreeSet;

use snowferry_model::names::TableName;

use super::{Names, Section, sql};
use crate::config::Connection;
use crate::keys::PublicHalf;

pub(super) fn role_and_warehouse(connection: &Connection, names: &Names) -> Section {
    let comment = format!("Snowferry, connection {}", connection.name);
    let mut section = Section::new("A role that holds the rights, and a warehouse to read with");
    section.add(
        &["Everything below needs this role, or USERADMIN, SYSADMIN and SECURITYADMIN in turn."],
        sql::use_role("ACCOUNTADMIN"),
    );
    section.add(
        &["Holds what we may do. Nothing is granted to the user itself."],
        sql::create_role(&names.role),
    );
    section.add(
        &[
            "The smallest size, one credit for each hour in which it runs. It starts with a",
            "statement of ours and stops a minute after the last one. To use one of yours instead,",
            "name it in the connection and leave this statement out.",
        ],
        sql::create_warehouse(&names.warehouse, &comment),
    );
    section.add(
        &["Lets us run statements on it, not change it."],
        sql::grant_warehouse(&names.warehouse, &names.role),
    );
    section
}

pub(super) fn user(names: &Names, half: &PublicHalf) -> Section {
    let mut section = Section::new("A user for a program, which can sign in by our key only");
    section.add(
        &["TYPE = SERVICE: no password, no multi-factor sign-in, no web interface."],
        sql::create_user(&names.user, "Snowferry's service user"),
    );
    section.add(
        &[
            "The public half of our key; the private half never leaves us. DESCRIBE USER then shows",
            &format!("RSA_PUBLIC_KEY_FP {}", half.fingerprint),
        ],
        sql::set_key(&names.user, &half.public_key),
    );
    section.add(
        &["Besides PUBLIC, which every user has, its only role."],
        sql::grant_role(&names.role, &names.user),
    );
    section
}

/// Returns the tables and views that a connection reads, each once, in the order of its file.
pub(super) fn sources(connection: &Connection) -> Vec<&TableName> {
    let mut sources = Vec::new();
    for job in &connection.tables {
        let query = connection.selections.get(&job.table).and_then(|s| s.query.as_ref());
        let read = query.map_or(std::slice::from_ref(&job.table), |query| query.tables());
        for table in read {
            if !sources.contains(&table) {
                sources.push(table);
            }
        }
    }
    sources
}

pub(super) fn tables(names: &Names, tables: &[&TableName]) -> Section {
    let mut section = Section::new("The tables that are read, and no other");
    let databases: BTreeSet<_> = tables.iter().map(|table| &table.database).collect();
    let schemas: BTreeSet<_> =
        tables.iter().map(|table| (&table.database, &table.schema)).collect();
    let mut why: &[&str] = &[
        "USAGE shows that a database or schema is there, and none of its content. For a database",
        "that another account shares with you, run GRANT IMPORTED PRIVILEGES ON DATABASE … instead.",
    ];
    for database in databases {
        section.add(why, sql::grant_database(database, &names.role));
        why = &[];
    }
    for (database, schema) in schemas {
        section.add(&[], sql::grant_schema(database, schema, &names.role));
    }
    let mut why: &[&str] = &["For a view write ON VIEW in place of ON TABLE."];
    for table in tables {
        section.add(why, sql::grant_select(table, &names.role));
        why = &[];
    }
    section
}

pub(super) fn removal(names: &Names) -> Section {
    let mut section =
        Section::new("The user, the role with all that was granted to it, the warehouse");
    section.add(&[], sql::use_role("ACCOUNTADMIN"));
    section.add(&["Ends all access at once."], sql::drop_user(&names.user));
    section.add(&["Its grants go with it."], sql::drop_role(&names.role));
    section.add(
        &["Leave this out if the warehouse serves others."],
        sql::drop_warehouse(&names.warehouse),
    );
    section
}
