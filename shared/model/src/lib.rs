//! The words Snowferry is written in: names, types, watermarks, slices, manifests, reports.
//!
//! Everything here is a value. Nothing reads a file, a clock or the network; nothing is async.
//! The engines and the adapters speak to each other in these types, and what is stored between
//! runs ([`state`], [`mod@slice`], [`manifest`], [`run`]) is declared here with its version.
//!
//! Reading order: [`names`] and [`time`], then [`types`] (what Snowflake declares), [`plan`] (how
//! it is staged), [`drift`] (what changed since), then the life of a slice: [`watermark`],
//! [`mod@slice`], [`manifest`], [`state`], [`run`], the other way around [`push`], and [`fault`]
//! (whose fault a failure is and when to try again).

pub mod drift;
pub mod export;
pub mod fault;
pub mod manifest;
pub mod names;
pub mod plan;
pub mod push;
pub mod run;
pub mod slice;
pub mod state;
pub mod time;
pub mod types;
pub mod watermark;

#[cfg(test)]
mod tests;
