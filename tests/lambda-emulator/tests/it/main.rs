//! The Lambda functions as Lambda runs them: their own binaries, deadlines of seconds, frozen
//! processes, queues, kills, and events that come twice.
//!
//! `SNOWFERRY_FUNCTIONS` names the folder of the functions' binaries; without it they lie beside
//! the command line's.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::indexing_slicing,
    reason = "a story fails by panicking"
)]

mod apply;
mod cloud;
mod crowd;
mod figures;
mod pull;
mod push;
#[path = "../../../stories/src/stage.rs"]
#[expect(dead_code, reason = "the stage has more than these stories need")]
mod stage;
