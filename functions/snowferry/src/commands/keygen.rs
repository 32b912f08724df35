//! `snowferry keygen` and `rotate-key`: a connection's key pair, made and exchanged.

use clap::Args;
use serde_json::json;
use snowferry_bootstrap::app::App;
use snowferry_bootstrap::keys::{self, ExchangeStep, PublicHalf};

use super::setup_sql::with_keygen;
use crate::args::Global;
use crate::failure::{Done, Failure};
use crate::output;

const KEYGEN_AFTER: &str = "\
Makes an RSA key of 2048 bits (PKCS#8) in the file that the connection names, readable by you alone,
and shows the public half. A key that is there is never touched.

Examples:
  snowferry keygen acme
  snowferry setup-sql acme       the script that gives the public half to the customer";

const ROTATE_AFTER: &str = "\
Snowflake gives a user two slots for public keys, so no run fails in between:

  1. snowferry rotate-key acme            makes the next key beside the one in use, and shows the
                                          statement that puts it into the second slot
  2. the customer runs that statement
  3. snowferry rotate-key acme --finish   signs in with the next key and, if that works, puts it in
                                          place; shows the statements that shut the old key out";

/// Makes the connection's key pair and shows its public half.
#[derive(Clone, Debug, Args)]
#[command(after_help = KEYGEN_AFTER)]
pub(crate) struct KeygenArgs {
    /// The connection
    name: String,
}

/// Exchanges the connection's key without a gap.
#[derive(Clone, Debug, Args)]
#[command(after_help = ROTATE_AFTER)]
pub(crate) struct RotateKeyArgs {
    /// The connection
    name: String,

    /// The customer has run the statement: sign in with the next key and put it in place
    #[arg(long)]
    finish: bool,
}

/// Makes a key.
pub(crate) fn keygen(global: &Global, args: &KeygenArgs) -> Result<Done, Failure> {
    let app = App::new(global.home());
    let connection = app.connection(&args.name)?;
    let half = keys::make(&connection)?;
    if global.json {
        output::json(&as_json(&args.name, &half, &[]))?;
        return Ok(Done::All);
    }
    output::line(format!("wrote the private key to {}", half.file.display()))?;
    told(&half)?;
    output::line(format!("\nnext: `snowferry setup-sql {}`", args.name))?;
    Ok(Done::All)
}

/// Begins or finishes an exchange.
pub(crate) async fn rotate(global: &Global, args: RotateKeyArgs) -> Result<Done, Failure> {
    let app = App::new(global.home());
    let connection = app.connection(&args.name)?;
    let (half, step) = if args.finish {
        (keys::take_next(&app, &connection).await?, ExchangeStep::ShutOut)
    } else {
        let half = keys::make_next(&connection).map_err(|error| with_keygen(error, &args.name))?;
        (half, ExchangeStep::Offer)
    };
    let sql = keys::exchange(&connection, &half, step)?;
    if global.json {
        output::json(&as_json(&args.name, &half, &sql))?;
        return Ok(Done::All);
    }
    match step {
        ExchangeStep::Offer => {
            output::line(format!("the next key waits in {}", half.file.display()))?;
            told(&half)?;
            output::line("\nlet the customer run:\n")?;
        }
        ExchangeStep::ShutOut => {
            output::line(format!("the next key works and is in use: {}", half.file.display()))?;
            output::line("\nlet the customer run, so that the old key opens nothing more:\n")?;
        }
    }
    for statement in &sql {
        output::line(format!("{statement};"))?;
    }
    if step == ExchangeStep::Offer {
        output::line(format!("\nthen: `snowferry rotate-key {} --finish`", args.name))?;
    }
    Ok(Done::All)
}

fn told(half: &PublicHalf) -> Result<(), Failure> {
    output::line(format!("public key:  {}", half.public_key))?;
    output::line(format!("fingerprint: {}", half.fingerprint))
}

fn as_json(name: &str, half: &PublicHalf, sql: &[String]) -> serde_json::Value {
    json!({
        "connection": name,
        "private_key_file": half.file,
        "public_key": half.public_key,
        "fingerprint": half.fingerprint,
        "sql": sql,
    })
}
