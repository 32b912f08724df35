//! Stories that cross rooms: what a user or a machine does to the whole product.
//!
//! - `layers`: the rooms depend on each other only downwards, and engines stay light.
//! - `cursors`: rows whose cursor is NULL or of the far future.
//! - `edges`: the widest, largest, emptiest tables, the oddest names, the most ties.
//! - `histories`: random histories of source tables, with killed pulls and faults.
//! - `killed`: `kill -9` at random moments costs and doubles no row.
//! - `refusals`: what fails says so once, with the repair, and changes nothing.
//! - `changes`: columns that come and go and tables that are created anew are followed.
//! - `selections`: some columns, some rows, hashes, a query in place of a table.
//! - `setup`: the customer's script, a key and its exchange, up to a pull.
//! - `values`: independent readers see at both ends the same values.
//! - `pushes`: killed, watched, refused, answers lost; nothing is lost, doubled or half seen.
//! - `target_contract`: the client and the emulator keep the contract of a push's target.
//! - `targets`: sixty wrong targets of a push are refused before a file is staged.
//! - `drivers`: Snowflake's own drivers, unchanged, accept the emulator.

#[cfg(test)]
mod changes;
#[cfg(test)]
mod cursors;
#[cfg(test)]
mod drivers;
#[cfg(test)]
mod edges;
#[cfg(test)]
mod histories;
#[cfg(test)]
mod killed;
#[cfg(test)]
mod layers;
#[cfg(test)]
mod pushes;
#[cfg(test)]
mod refusals;
#[cfg(test)]
mod selections;
#[cfg(test)]
mod setup;
#[cfg(test)]
mod stage;
#[cfg(test)]
mod target_contract;
#[cfg(test)]
mod targets;
#[cfg(test)]
mod values;
