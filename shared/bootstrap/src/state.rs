//! The progress of tables as readable JSON: to look into, to move to another machine, to keep.
//!
//! A state says how far a table is loaded; the rows themselves are in our database, and the plan
//! of each table lies in the staging folder. Whoever moves to another place moves all three. An
//! import writes all of it or nothing that it could see was wrong: what is there already and
//! differs is refused before the first write, and each write is a compare-and-set.

use serde::{Deserialize, Serialize};
use snowferry_checkpoint::{CheckpointError, CheckpointStore, Revision};
use snowferry_model::names::{ConnectionName, TableName};
use snowferry_model::state::{STATE_VERSION, StreamKey, StreamState};

use crate::app::App;
use crate::error::BootstrapError;

/// The version of the exported form.
pub const EXPORT_VERSION: u32 = 1;

/// The progress of tables, as it is written and read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StateExport {
    /// [`EXPORT_VERSION`].
    pub version: u32,
    /// Each table once, in the order of connection and table.
    pub tables: Vec<ExportedTable>,
}

/// The progress of one table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExportedTable {
    /// The connection.
    pub connection: ConnectionName,
    /// The table.
    pub table: TableName,
    /// How far it is loaded.
    pub state: StreamState,
}

/// What an import does with a table whose state here differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Existing {
    /// It is refused, and nothing is written.
    Keep,
    /// It is replaced.
    Replace,
}

/// What an import did.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ImportReport {
    /// Tables whose state was written.
    pub written: Vec<String>,
    /// Tables whose state was the same already.
    pub unchanged: Vec<String>,
}

/// Returns the progress of one connection's tables, or of all.
///
/// # Errors
/// [`BootstrapError::Checkpoint`].
pub async fn export(
    app: &App,
    connection: Option<&ConnectionName>,
) -> Result<StateExport, BootstrapError> {
    let mut tables = Vec::new();
    if app.home().is_used() {
        let store = app.open_state()?;
        for (key, stored) in store.list(connection).await.map_err(checkpoint)? {
            let StreamKey { connection, table } = key;
            tables.push(ExportedTable { connection, table, state: stored.state });
        }
    }
    Ok(StateExport { version: EXPORT_VERSION, tables })
}

/// Reads what [`export`] wrote.
///
/// # Errors
/// [`BootstrapError::Setting`] for another form or version, or a table that stands in it twice.
pub fn read(text: &str) -> Result<StateExport, BootstrapError> {
    let refuse = |reason: String| BootstrapError::Setting { setting: "the exported state", reason };
    let export: StateExport = serde_json::from_str(text)
        .map_err(|error| refuse(format!("{error}; write one with `snowferry state export`")))?;
    if export.version != EXPORT_VERSION {
        let found = export.version;
        return Err(refuse(format!("found version {found}; this program reads {EXPORT_VERSION}")));
    }
    let mut seen = std::collections::BTreeSet::new();
    for table in &export.tables {
        let name = name(table);
        if table.state.version != STATE_VERSION {
            let found = table.state.version;
            return Err(refuse(format!(
                "the state of {name} has version {found}; this program reads {STATE_VERSION}"
            )));
        }
        if !seen.insert(name.clone()) {
            return Err(refuse(format!("{name} stands in it twice")));
        }
    }
    Ok(export)
}

/// Writes exported states into the state of this data folder.
///
/// # Errors
/// [`BootstrapError::Setting`] when a table's state here differs and is to be kept: nothing was
/// written. [`BootstrapError::Checkpoint`] when another run changed a state meanwhile: what was
/// written before it stays, and importing again goes on.
pub async fn import(
    app: &App,
    export: &StateExport,
    existing: Existing,
) -> Result<ImportReport, BootstrapError> {
    let store = app.open_state()?;
    let mut report = ImportReport::default();
    let mut writes: Vec<(StreamKey, Option<Revision>, &ExportedTable)> = Vec::new();
    let mut different = Vec::new();
    for table in &export.tables {
        let key = StreamKey { connection: table.connection.clone(), table: table.table.clone() };
        match store.load(&key).await.map_err(checkpoint)? {
            None => writes.push((key, None, table)),
            Some(stored) if stored.state == table.state => report.unchanged.push(name(table)),
            Some(stored) => {
                different.push(name(table));
                writes.push((key, Some(stored.revision), table));
            }
        }
    }
    if existing == Existing::Keep && !different.is_empty() {
        return Err(BootstrapError::Setting {
            setting: "the exported state",
            reason: format!(
                "the state here differs for {}; nothing was written. Add --replace to take the \
                 exported one: a table whose rows are further than its state loads them again, \
                 one whose rows are not as far is refused by the next pull",
                different.join(", ")
            ),
        });
    }
    for (key, revision, table) in writes {
        store.store(&key, revision, &table.state).await.map_err(checkpoint)?;
        report.written.push(name(table));
    }
    Ok(report)
}

fn name(table: &ExportedTable) -> String {
    format!("{}/{}", table.connection, table.table)
}

fn checkpoint(source: CheckpointError) -> BootstrapError {
    BootstrapError::Checkpoint { source }
}

#[cfg(test)]
mod tests {
    use snowferry_model::fault::Fault;
    use snowferry_model::time::UnixMillis;

    use super::*;
    use crate::home::Home;

    fn app(folder: &std::path::Path) -> App {
        App::new(Home::new(folder.join("data"), None))
    }

    fn table(name: &str, sequence: u64) -> ExportedTable {
        let fresh = StreamState::fresh(1);
        ExportedTable {
            connection: ConnectionName::new("acme").unwrap(),
            table: name.parse().unwrap(),
            state: StreamState { sequence, synced_as_of: Some(UnixMillis(1_700)), ..fresh },
        }
    }

    fn exported(tables: &[ExportedTable]) -> StateExport {
        StateExport { version: EXPORT_VERSION, tables: tables.to_vec() }
    }

    #[tokio::test]
    async fn what_is_exported_can_be_imported_elsewhere() {
        let (here, there) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let first = exported(&[table("A.B.C", 3), table(r#"A.B."d e""#, 1)]);
        import(&app(here.path()), &first, Existing::Keep).await.unwrap();

        let text = serde_json::to_string(&export(&app(here.path()), None).await.unwrap()).unwrap();
        let (there, read) = (app(there.path()), read(&text).unwrap());
        let report = import(&there, &read, Existing::Keep).await.unwrap();
        assert_eq!(report.written.len(), 2);
        assert_eq!(export(&there, None).await.unwrap(), first);
    }

    #[tokio::test]
    async fn nothing_is_exported_of_a_folder_that_was_never_used_and_none_is_made() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(export(&app(folder.path()), None).await.unwrap(), exported(&[]));
        assert!(!folder.path().join("data").exists());
    }

    #[tokio::test]
    async fn a_state_that_differs_is_kept_and_nothing_else_is_written() {
        let folder = tempfile::tempdir().unwrap();
        let app = app(folder.path());
        import(&app, &exported(&[table("A.B.C", 3)]), Existing::Keep).await.unwrap();
        let other = exported(&[table("A.B.NEW", 1), table("A.B.C", 2)]);
        let error = import(&app, &other, Existing::Keep).await.unwrap_err();
        assert_eq!(error.code(), "SETTING_INVALID");
        assert!(error.to_string().contains("acme/A.B.C"), "{error}");
        assert_eq!(export(&app, None).await.unwrap(), exported(&[table("A.B.C", 3)]));
    }

    #[tokio::test]
    async fn a_state_that_differs_is_replaced_when_told_so() {
        let folder = tempfile::tempdir().unwrap();
        let app = app(folder.path());
        import(&app, &exported(&[table("A.B.C", 3)]), Existing::Keep).await.unwrap();
        let older = exported(&[table("A.B.C", 2)]);
        let report = import(&app, &older, Existing::Replace).await.unwrap();
        assert_eq!(report.written, ["acme/A.B.C"]);
        assert_eq!(export(&app, None).await.unwrap(), older);
        let again = import(&app, &older, Existing::Keep).await.unwrap();
        assert_eq!((again.written.len(), again.unchanged.len()), (0, 1));
    }

    #[test]
    fn another_form_version_or_a_doubled_table_is_refused() {
        let mut newer = table("A.B.C", 1);
        newer.state.version = STATE_VERSION + 1;
        let twice = exported(&[table("A.B.C", 1), table("A.B.C", 2)]);
        let texts = [
            "{}".to_owned(),
            "[]".to_owned(),
            r#"{"version": 2, "tables": []}"#.to_owned(),
            r#"{"version": 1, "tables": [], "more": 1}"#.to_owned(),
            serde_json::to_string(&exported(&[newer])).unwrap(),
            serde_json::to_string(&twice).unwrap(),
        ];
        for text in texts {
            assert_eq!(read(&text).expect_err(&text).code(), "SETTING_INVALID");
        }
    }
}
