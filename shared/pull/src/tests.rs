//! Behaviour of the engine on fakes that are real implementations.
//!
//! [`world`] is an account, a staging store, a state store and a database in memory; [`faults`]
//! puts a fault at the k-th call of any port; [`crash`] tries every k.

mod behaviour;
mod crash;
mod faults;
mod layout;
mod world;
