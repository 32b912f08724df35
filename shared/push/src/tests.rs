//! Behaviour of the engine on fakes that are real implementations.
//!
//! [`world`] is an account, our database, a staging store and a state store in memory; [`faults`]
//! puts a fault at the k-th call of any port and at the k-th step inside a transaction; [`crash`]
//! tries every k, on the right design and on designs known to be wrong.

mod behaviour;
mod crash;
mod faults;
mod validation;
mod values;
mod world;
mod wrong;
