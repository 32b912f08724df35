//! What can be typed: the options of all commands, and the help that teaches them.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use snowferry_bootstrap::home::{DEFAULT_HOME, Home};

use crate::commands::{
    apply, check, compare, control, demo, discover, emulator, init, keygen, maintain, plan, pull,
    push, query, reset, runs, setup_sql, state, status,
};

const ABOUT: &str = "Moves tables between customers' Snowflake accounts and your own database";

const AFTER: &str = "\
Begin with:
  snowferry demo                 the whole story on this machine, without an account
  snowferry init acme            write connections/acme.yaml, then edit it
  snowferry keygen acme          make a key pair
  snowferry setup-sql acme       the script for the customer's administrator
  snowferry check acme           every prerequisite, with the statement that repairs it
  snowferry pull acme            backfill, then only what is new on each run
  snowferry status acme          how far each table is synced
  snowferry compare acme         both sides, value by value
  snowferry plan acme            what pushes would do, column by column
  snowferry push acme            write query results into the customer's tables

Exit codes:
  0  done (a table that another run holds counts as done)
  1  failed: the message says what, where, whose fault and the repair
  2  wrong usage, or a connection file that is refused
  3  some tables failed, the others are loaded
  130  interrupted; the next run goes on where this one stopped";

/// The whole command line.
#[derive(Debug, Parser)]
#[command(name = "snowferry", version, about = ABOUT, after_help = AFTER)]
#[command(max_term_width = 100, propagate_version = true, subcommand_required = true)]
#[command(arg_required_else_help = true)]
pub(crate) struct Cli {
    /// Options that every command takes.
    #[command(flatten)]
    pub(crate) global: Global,
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Options that every command takes.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Options of every command")]
pub(crate) struct Global {
    /// Print one JSON document (or one line for each event) to standard output
    #[arg(long, global = true)]
    pub(crate) json: bool,

    /// The data folder: state, staged batches and tables
    #[arg(long, global = true, value_name = "FOLDER", env = "SNOWFERRY_HOME",
          hide_env_values = true, default_value = DEFAULT_HOME)]
    pub(crate) home: PathBuf,

    /// The folder of the connection files [default: `connections` beside the data folder]
    #[arg(
        long,
        global = true,
        value_name = "FOLDER",
        env = "SNOWFERRY_CONNECTIONS",
        hide_env_values = true
    )]
    pub(crate) connections: Option<PathBuf>,

    /// What to log to standard error: error, warn, info, debug, or TARGET=LEVEL,…
    #[arg(
        long,
        global = true,
        value_name = "FILTER",
        env = "SNOWFERRY_LOG",
        hide_env_values = true,
        default_value = "warn"
    )]
    pub(crate) log: String,

    /// Write log lines as JSON
    #[arg(long, global = true, env = "SNOWFERRY_LOG_JSON", hide_env_values = true)]
    pub(crate) log_json: bool,
}

impl Global {
    /// Returns where things are kept.
    pub(crate) fn home(&self) -> Home {
        Home::new(&self.home, self.connections.clone())
    }
}

/// One command.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Tell the whole story on this machine, with a local Snowflake
    Demo(demo::DemoArgs),
    /// Run a local Snowflake that drivers can connect to
    Emulator(emulator::EmulatorArgs),
    /// Write a commented connection file
    Init(init::InitArgs),
    /// Make the connection's key pair and show its public half
    Keygen(keygen::KeygenArgs),
    /// Write the script that the customer's administrator runs
    SetupSql(setup_sql::SetupSqlArgs),
    /// Test every prerequisite of a connection; changes nothing
    Check(check::CheckArgs),
    /// List tables with candidates for key and cursor; changes nothing
    Discover(discover::DiscoverArgs),
    /// Bring tables up to date
    Pull(pull::PullArgs),
    /// Show what pushes would do, column by column; writes nothing
    Plan(plan::PlanArgs),
    /// Write the rows of queries into the customer's tables
    Push(push::PushArgs),
    /// Store a connection with its schedules in a stack on AWS
    Apply(apply::ApplyArgs),
    /// Keep the runs of a connection from starting
    Pause(control::PauseArgs),
    /// Let the runs of a paused connection start again
    Resume(control::ResumeArgs),
    /// End a connection, and tell what stays of it
    Close(control::CloseArgs),
    /// Show how far each table is synced, and what that promises
    Status(status::StatusArgs),
    /// Ask the pulled tables in SQL
    Query(query::QueryArgs),
    /// Compare both sides of tables, value by value
    Compare(compare::CompareArgs),
    /// Merge small files of tables, delete files that nobody needs
    Maintain(maintain::MaintainArgs),
    /// List what recent runs did
    Runs(runs::RunsArgs),
    /// Look at one run
    Run(runs::RunArgs),
    /// Write or read the progress of tables as JSON
    State(state::StateArgs),
    /// Exchange the connection's key without a gap
    RotateKey(keygen::RotateKeyArgs),
    /// Make the next pull of a table a new full backfill
    Reset(reset::ResetArgs),
}
