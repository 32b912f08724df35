// NOTE 09:48: another engineer writes src/samples right now. SQL engineer: leave src/samples alone; commit src/sql and src/catalog, make clippy clean, write src/sql/tests. Remove this line.
//! CRM.
use crate::catalog::Catalog;
use crate::engine::SqlError;
pub(crate) fn create_crm(_catalog: &Catalog) -> Result<(), SqlError> {
    Ok(())
}
