//! A Snowflake that runs on loopback: the driver protocol, SQL, chunks, faults.
//!
//! Stock drivers and our own client cannot tell it from the service as far as this project needs
//! it: they sign in, run statements, and read Arrow or JSON results in chunks behind links that
//! expire. What it does not offer is refused with a code, never answered wrongly.
//!
//! ```no_run
//! # async fn example() -> Result<(), snowferry_emulator::EmulatorError> {
//! use snowferry_emulator::{Emulator, EmulatorOptions};
//!
//! let emulator = Emulator::start(EmulatorOptions::default()).await?;
//! println!("connect to {}", emulator.ready().base_url);
//! emulator.stop().await;
//! # Ok(())
//! # }
//! ```
//!
//! | module | what it is |
//! |---|---|
//! | `server` | HTTP endpoints, statements as tasks, faults on order |
//! | `session`, `auth` | tokens and contexts; passwords and keys |
//! | `account` | users, roles and grants, warehouses, network policies |
//! | `results`, `wire` | stored results and links; the server's encodings |
//! | `stages` | files of stages: PUT, GET, COPY |
//! | [`sql`], [`catalog`], [`samples`] | the engine, its tables, its sample data |
//! | [`engine`], [`types`] | the contract between the two halves |

mod account;
mod auth;
pub mod catalog;
pub mod engine;
mod results;
pub mod samples;
mod server;
mod session;
pub mod sql;
mod stages;
pub mod types;
mod wire;

pub use server::{BoxError, Emulator, EmulatorError, EmulatorOptions, ReadyLine, StageKind};
