//! Measures what the product costs: whole processes, interleaved with peers, medians of rounds.
//!
//! ```text
//! cargo run --release -p snowferry-bench -- pull --rows 10000000 --peers
//! cargo run --release -p snowferry-bench -- repeat --rows 10000000 --changed 100000
//! cargo run --release -p snowferry-bench -- push --rows 10000000 --peers
//! ```
//!
//! CPU seconds per million rows is the figure to compare, peak memory the second, wall time the
//! third: on a shared machine wall time says more about the neighbours than about us. The server
//! is a local emulator whose first answer is kept and replayed, and its own CPU seconds are
//! printed beside, so that a reader sees whether it stood in the way. Figures are Linux only:
//! they come from `/proc`. Nothing here passes or fails by a time.
//!
//! - [`pull`]: a backfill, beside what people use today.
//! - [`repeat`]: the runs after it: changed rows, and nothing new.
//! - [`push`]: rows into a table of a customer, beside what people use today.
//! - [`rounds`]: contenders, interleaved.
//! - [`stage`]: the built command, the emulator and the folder of a benchmark.
//! - [`process`]: what one process cost.
//! - [`figures`]: medians and spread, as a table or as JSON.

use std::process::ExitCode;

use clap::{Parser, Subcommand};

mod error;
mod figures;
mod process;
mod pull;
mod push;
mod repeat;
mod rounds;
mod stage;

/// Measures CPU seconds, peak memory and wall time of whole processes.
#[derive(Debug, Parser)]
#[command(name = "snowferry-bench", version)]
struct Cli {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    Pull(pull::PullArgs),
    Repeat(repeat::RepeatArgs),
    Push(push::PushArgs),
}

fn main() -> ExitCode {
    let done = match Cli::parse().what {
        What::Pull(args) => pull::run(&args),
        What::Repeat(args) => repeat::run(&args),
        What::Push(args) => push::run(&args),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            process::say(&error.told());
            ExitCode::FAILURE
        }
    }
}
