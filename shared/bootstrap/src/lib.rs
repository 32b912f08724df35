//! Turns settings into working parts: connection file, data folder, secrets, adapters, logs.
//!
//! A program reads its command line or event, takes a [`home::Home`], and asks an [`app::App`] for
//! what it needs; the engines then see only ports. This is the one library crate that knows the
//! vendors' adapters.
//!
//! - [`config`]: the connection file, every problem with line, field and repair.
//! - `aws` (feature): functions that take an event, and everything they touch.
//! - [`home`]: where things are kept on this machine.
//! - [`app`]: client, stores and database of a connection.
//! - [`pause`]: whether a connection of this machine rests.
//! - [`push`]: the same of pushes, and the statements that let them write.
//! - [`check`]: every prerequisite of a connection, all failures at once.
//! - [`account`]: a customer's account as check and discovery see it.
//! - [`candidates`]: which columns could be key and cursor.
//! - [`clock`]: time, run ids and the name of this process.
//! - [`keys`]: a connection's key pair, made and exchanged without a gap.
//! - [`secrets`]: where the texts of secrets come from.
//! - [`setup`]: the script that a customer's administrator runs.
//! - [`state`]: the progress of tables as readable JSON.
//! - [`trace`]: logs, to standard error.

pub mod account;
pub mod app;
#[cfg(feature = "aws")]
pub mod aws;
pub mod candidates;
pub mod check;
pub mod clock;
pub mod config;
pub mod error;
pub mod home;
pub mod keys;
pub mod pause;
pub mod push;
pub mod secrets;
pub mod setup;
pub mod state;
pub mod trace;

// A program names these types of the rooms below, and depends on this crate alone for them.
pub use snowferry_database::delta::maintain::{Maintained, MaintenancePolicy};
pub use snowferry_snowflake::{ReadRequest, ResultState, SnowflakeError};
