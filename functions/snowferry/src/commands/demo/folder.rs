//! The demo's folder: made anew on each run, but only if it is the demo's own.

use std::path::{Path, PathBuf};

use snowferry_bootstrap::config::{Auth, Template, TemplateTable, path_of, render};
use snowferry_bootstrap::home::{Home, create_folder};
use snowferry_emulator::ReadyLine;

use crate::commands::init::crm_tables;
use crate::failure::Failure;

/// The file that says that a folder may be replaced.
const MARKER: &str = ".snowferry-demo";

/// The connection of the demo.
pub(crate) const CONNECTION: &str = "demo";

/// The table that shows a larger backfill.
const LINEITEM: &str = "SNOWFLAKE_SAMPLE_DATA.TPCH_SF1.LINEITEM";

/// Empties the demo's folder, or makes it.
pub(crate) fn prepare(folder: &Path) -> Result<Home, Failure> {
    let failed = |step: &str, error: &std::io::Error| {
        Failure::local(format!("{step} {}", folder.display()), error)
    };
    match std::fs::read_dir(folder) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => return Err(failed("look into", &error)),
        Ok(mut entries) => {
            let ours = folder.join(MARKER).is_file();
            if !ours && entries.next().is_some() {
                return Err(Failure::usage(
                    format!("{} was not made by the demo and is not empty", folder.display()),
                    "name another folder with --folder",
                ));
            }
            std::fs::remove_dir_all(folder).map_err(|error| failed("replace", &error))?;
        }
    }
    create_folder(folder)?;
    let marker = "Made by `snowferry demo`, which replaces this folder on each run.\n";
    std::fs::write(folder.join(MARKER), marker).map_err(|error| failed("write into", &error))?;
    Ok(Home::new(folder.join("snowferry-data"), None))
}

/// Returns the tables that the demo pulls.
pub(crate) fn tables() -> Vec<TemplateTable> {
    let mut tables = crm_tables();
    tables.push(TemplateTable {
        table: LINEITEM.to_owned(),
        mode: "once",
        ..TemplateTable::default()
    });
    tables
}

/// Writes key and connection file, as `snowferry init` would; returns the latter's place.
pub(crate) fn write_connection(
    folder: &Path,
    home: &Home,
    ready: &ReadyLine,
    tables: Vec<TemplateTable>,
) -> Result<PathBuf, Failure> {
    let keys = folder.join("keys");
    create_folder(&keys)?;
    let key = keys.join("demo.p8");
    // Copying keeps the mode: the key may be read by its owner only.
    std::fs::copy(&ready.private_key_path, &key)
        .map_err(|error| Failure::local(format!("write {}", key.display()), &error))?;
    let template = Template {
        name: CONNECTION.to_owned(),
        account: ready.account.clone(),
        base_url: Some(ready.base_url.clone()),
        user: ready.user.clone(),
        role: ready.role.clone(),
        warehouse: ready.warehouse.clone(),
        auth: Auth::key_pair(PathBuf::from("../keys/demo.p8")),
        tables,
    };
    create_folder(home.connections())?;
    let file = path_of(home.connections(), CONNECTION);
    std::fs::write(&file, render(&template))
        .map_err(|error| Failure::local(format!("write {}", file.display()), &error))?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_demos_own_folder_is_replaced() {
        let parent = tempfile::tempdir().unwrap();
        let folder = parent.path().join("demo");
        prepare(&folder).unwrap();
        std::fs::write(folder.join("left over"), "").unwrap();
        prepare(&folder).unwrap();
        assert!(!folder.join("left over").exists());
    }

    #[test]
    fn an_empty_folder_may_be_used() {
        let folder = tempfile::tempdir().unwrap();
        assert!(prepare(folder.path()).is_ok());
    }

    #[test]
    fn a_folder_with_other_files_is_refused_and_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("thesis.txt");
        std::fs::write(&file, "years of work").unwrap();
        assert!(prepare(folder.path()).is_err());
        assert_eq!(std::fs::read_to_string(file).unwrap(), "years of work");
    }
}
