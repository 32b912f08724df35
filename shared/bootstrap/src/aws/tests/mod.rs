//! Events, settings, metrics and the names of secrets, without AWS.

mod event;
mod metrics;
mod settings;
mod stack;
