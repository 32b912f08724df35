//! AWS services on loopback, for tests and for `snowferry dev`.
//!
//! - [`s3`]: a linearizable S3 in memory, with the conditional writes, checksums and multipart
//!   rules that Snowferry relies on, and with faults on order.
//! - [`dynamodb`]: Amazon's own DynamoDB Local, started and stopped, with our table.
//! - [`services`]: a FIFO queue and secrets, each as much as Snowferry uses of them.
//!
//! Popular fakes cannot judge races: one loses updates, another checks a condition before it
//! writes. Here a condition and its write happen under one lock.

pub mod dynamodb;
pub mod s3;
pub mod services;
