//! Which tables there are: the folders that hold a Delta log, by the names that made them.

use std::io;
use std::path::Path;

use snowferry_model::names::{ConnectionName, Identifier, TableName};
use snowferry_model::state::StreamKey;

/// Where a table lies below the root.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Listed {
    /// The folder's name tells the table.
    Table(StreamKey),
    /// The name was too long for a folder: only the table's log tells it.
    LongName(ConnectionName, String),
}

/// Returns the name of a table's folder.
pub(super) fn folder_name(table: &TableName) -> String {
    table.slug().replace('%', "~")
}

/// Lists all tables below the root, in no particular order; blocks. Other folders are ignored.
pub(super) fn list(root: &Path) -> io::Result<Vec<Listed>> {
    let mut found = Vec::new();
    for connection in folders(root)? {
        let Ok(name) = ConnectionName::try_from(connection.clone()) else { continue };
        for folder in folders(&root.join(&connection))? {
            if !root.join(&connection).join(&folder).join("_delta_log").try_exists()? {
                continue;
            }
            found.extend(listed(&name, &folder));
        }
    }
    Ok(found)
}

/// Returns which table a folder is for; `None` when no table made it.
pub(super) fn listed(connection: &ConnectionName, folder: &str) -> Option<Listed> {
    let connection = connection.clone();
    if folder.contains("~-") {
        return Some(Listed::LongName(connection, folder.to_owned()));
    }
    Some(Listed::Table(StreamKey { connection, table: table_of(folder)? }))
}

/// Returns the names of the folders in a folder; none when it is not there.
fn folders(of: &Path) -> io::Result<Vec<String>> {
    let entries = match std::fs::read_dir(of) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut names = Vec::new();
    for entry in entries {
        let entry = entry?;
        // A link to a folder counts as one: tables may be moved to another disk.
        if entry.path().is_dir()
            && let Ok(name) = entry.file_name().into_string()
        {
            names.push(name);
        }
    }
    Ok(names)
}

/// Reads a folder's name back.
fn table_of(folder: &str) -> Option<TableName> {
    let mut parts = folder.split('.').map(part_of);
    let (database, schema, table) = (parts.next()??, parts.next()??, parts.next()??);
    if parts.next().is_some() {
        return None;
    }
    let table = TableName { database, schema, table };
    (folder_name(&table) == folder).then_some(table)
}

fn part_of(written: &str) -> Option<Identifier> {
    let mut bytes = Vec::with_capacity(written.len());
    let mut rest = written.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        rest = after;
        if *first != b'~' {
            bytes.push(*first);
            continue;
        }
        let (digits, after) = rest.split_at_checked(2)?;
        bytes.push(u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?);
        rest = after;
    }
    Identifier::new(String::from_utf8(bytes).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_tells_the_table_that_made_it() {
        for name in ["CRM.PUBLIC.ORDERS", "a.\"b.c\".\"ü~% /\"\"\"", "X.Y.\"~-\"", "A.B.\"...\""] {
            let table: TableName = name.parse().unwrap();
            assert_eq!(table_of(&folder_name(&table)), Some(table), "{name}");
        }
    }

    #[test]
    fn a_folder_that_no_table_made_is_none() {
        for folder in ["ORDERS", "A.B", "A.B.C.D", "A.B.~4", "A.B.~zz", "A.B.~41", "A..C", "A.B.ü"]
        {
            assert_eq!(table_of(folder), None, "{folder}");
        }
    }

    #[test]
    fn only_folders_with_a_log_are_tables() {
        let root = tempfile::tempdir().unwrap();
        let make = |path: &str| std::fs::create_dir_all(root.path().join(path)).unwrap();
        make("acme/CRM.PUBLIC.ORDERS/_delta_log");
        make("acme/CRM.PUBLIC.EMPTY");
        make("acme/notes/_delta_log");
        make("Not A Connection/CRM.PUBLIC.ORDERS/_delta_log");
        make(&format!("acme/{}~-00/_delta_log", "A".repeat(160)));
        std::fs::write(root.path().join("acme/A.B.C"), "a file").unwrap();
        let mut found: Vec<_> = list(root.path())
            .unwrap()
            .into_iter()
            .map(|listed| match listed {
                Listed::Table(stream) => stream.to_string(),
                Listed::LongName(connection, folder) => format!("{connection} {}", folder.len()),
            })
            .collect();
        found.sort();
        assert_eq!(found, ["acme 164", "acme/CRM.PUBLIC.ORDERS"]);
        assert_eq!(list(&root.path().join("absent")).unwrap(), []);
    }
}
