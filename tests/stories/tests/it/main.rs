//! Stories that cross rooms, one module for each.
//!
//! - [`layers`]: the rooms depend on each other only downwards, and engines stay light.

mod layers;
