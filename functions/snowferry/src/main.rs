//! `snowferry`: the operator's command line.
//!
//! Pulls tables from customers' Snowflake accounts into a company's own database, on a laptop as
//! in the cloud: the same engines, wired by `snowferry-bootstrap`. Each command is a file under
//! [`commands`]; data goes to standard output, progress and logs to standard error.

use std::process::ExitCode;

use clap::Parser;

mod allocator;
mod args;
mod commands;
mod digest;
mod failure;
mod interrupt;
mod output;
mod progress;
mod push_progress;
mod push_report;
mod report;

fn main() -> ExitCode {
    allocator::make_lean();
    run()
}

#[tokio::main]
async fn run() -> ExitCode {
    let cli = match args::Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return failure::usage(&error),
    };
    let json = cli.global.json;
    match Box::pin(commands::run(cli)).await {
        Ok(code) => code.into(),
        Err(failure) => failure.told(json),
    }
}
