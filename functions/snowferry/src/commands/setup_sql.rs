//! `snowferry setup-sql`: what the customer's administrator runs, explained line by line.

use clap::Args;
use serde_json::json;
use snowferry_bootstrap::app::App;
use snowferry_bootstrap::error::BootstrapError;
use snowferry_bootstrap::setup::{self, Addresses, Script};

use crate::args::Global;
use crate::failure::{Done, Failure};
use crate::output;

const AFTER: &str = "\
Makes a role with SELECT on exactly the tables of the connection, a service user with our public
key, a warehouse that stops by itself, and a network policy with our addresses. Send the script to
the customer's administrator; each statement says why it is there. Nothing is run here, and no
account is asked.

Examples:
  snowferry setup-sql acme --egress 203.0.113.7,203.0.113.8 > acme-setup.sql
  snowferry setup-sql acme --remove              the way back, once the connection is closed";

/// Writes the script that the customer's administrator runs.
#[derive(Clone, Debug, Args)]
#[command(after_help = AFTER)]
pub(crate) struct SetupSqlArgs {
    /// The connection
    name: String,

    /// The addresses through which our traffic leaves: IPv4 addresses or ranges
    #[arg(
        long,
        value_name = "ADDRESS,…",
        value_delimiter = ',',
        env = "SNOWFERRY_EGRESS_ADDRESSES",
        hide_env_values = true
    )]
    egress: Vec<String>,

    /// Write the script that takes everything back instead
    #[arg(long)]
    remove: bool,
}

/// Writes the script to standard output.
pub(crate) fn run(global: &Global, args: &SetupSqlArgs) -> Result<Done, Failure> {
    let app = App::new(global.home());
    let connection = app.connection(&args.name)?;
    let script = if args.remove {
        setup::removal(&connection)?
    } else {
        let addresses = Addresses::new(args.egress.iter().map(String::as_str))?;
        if addresses.is_empty() && !global.json {
            output::note(
                "no address was named, so the script restricts none; \
                 name those of your network with --egress",
            );
        }
        setup::script(&connection, &addresses).map_err(|error| with_keygen(error, &args.name))?
    };
    told(global, &args.name, &script)
}

fn told(global: &Global, name: &str, script: &Script) -> Result<Done, Failure> {
    if global.json {
        output::json(&json!({ "connection": name, "sections": script.sections }))?;
    } else {
        output::line(script.text().trim_end())?;
    }
    Ok(Done::All)
}

/// Names the command that makes the key that is missing.
pub(crate) fn with_keygen(error: BootstrapError, name: &str) -> Failure {
    let missing = matches!(error, BootstrapError::Secret { .. });
    let failure = Failure::from(error);
    if missing {
        return failure.with_hint(format!("`snowferry keygen {name}` makes a key there"));
    }
    failure
}
