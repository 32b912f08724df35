//! A Snowflake that runs on loopback: the driver protocol, SQL, chunks, faults.

pub mod catalog;
pub mod engine;
pub mod samples;
pub mod sql;
pub mod types;
