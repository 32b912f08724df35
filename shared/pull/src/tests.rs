//! Behaviour of the engine on fakes that are real implementations.
//!
//! [`world`] is an account, a staging store, a state store and a database in memory; [`faults`]
//! puts faults at chosen calls of any port; [`crash`] tries every call; [`schedules`] mixes faults,
//! overlapping runs and changes at random; [`designs`] shows that broken designs are caught; [`drift`]
//! changes the columns of the source; [`cursors`] are NULL or in the future.

mod assist;
mod behaviour;
mod crash;
mod cursors;
mod designs;
mod drift;
mod faults;
mod layout;
mod schedules;
mod unchanged;
mod world;
