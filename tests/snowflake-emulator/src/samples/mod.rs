// NOTE 09:48: another engineer writes src/samples right now. SQL engineer: leave src/samples alone; commit src/sql and src/catalog, make clippy clean, write src/sql/tests. Remove this line.
//! The data that a fresh account has.

mod crm;
mod tpch;

pub(crate) use crm::create_crm;
pub(crate) use tpch::create_tpch;
