//! The data that a fresh account has.
//!
//! `crm` is SQL, so that its rows are what SQL would have stored. `tpch` is generated at each
//! scan as a stream, so that any scale costs no memory.

pub(crate) mod crm;
#[cfg(test)]
mod tests;
mod tpch;

pub(crate) use tpch::create_tpch;
