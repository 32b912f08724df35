//! `snowferry emulator`: a Snowflake on this machine that drivers can connect to.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use snowferry_emulator::{Emulator, EmulatorOptions, ReadyLine, StageKind};

use crate::args::Global;
use crate::failure::{Done, Failure};
use crate::interrupt::asked_to_stop;
use crate::output;

const AFTER: &str = "\
When it is ready it prints one block (with --json: one line) with base_url, account, user, password,
private_key_path, role, warehouse and admin_url, then runs until Ctrl-C or SIGTERM. Everything is
in memory; the password and the key are made for this run.

Examples:
  snowferry emulator --port 8080
  snowferry emulator --port 0 --json > ready.json &
  snowferry init acme --from-emulator ready.json
  snowferry emulator --load tables.sql --tpch 1 --no-crm";

/// Runs a local Snowflake.
#[derive(Clone, Debug, Args)]
#[command(after_help = AFTER)]
pub(crate) struct EmulatorArgs {
    /// TCP port on 127.0.0.1; 0 takes a free one
    #[arg(long, value_name = "N", default_value_t = 8080)]
    port: u16,

    /// Run a script of SQL statements before it is ready; may be given several times
    #[arg(long, value_name = "FILE.sql")]
    load: Vec<PathBuf>,

    /// Scale of SNOWFLAKE_SAMPLE_DATA.TPCH_SF1; 1 is six million line items
    #[arg(long, value_name = "SCALE", default_value_t = 0.01, value_parser = scale)]
    tpch: f64,

    /// Leave out the sample database CRM
    #[arg(long)]
    no_crm: bool,

    /// Seconds without a statement after which a transaction that blocks another is rolled back
    #[arg(long, value_name = "SECONDS", default_value_t = 300)]
    idle_transaction: u64,

    /// Storage that PUT and GET use: gcs (links served by the emulator) or local (a folder)
    #[arg(long, value_name = "KIND", default_value = "gcs", value_parser = stage_kind)]
    stage_kind: StageKind,

    /// Where COPY finds s3:// locations; user and password in the URL are those of integrations
    #[arg(long, value_name = "URL")]
    s3_endpoint: Option<String>,
}

/// Reads a kind of storage.
fn stage_kind(written: &str) -> Result<StageKind, String> {
    match written {
        "gcs" => Ok(StageKind::Gcs),
        "local" => Ok(StageKind::Local),
        _ => Err("allowed: gcs, local".to_owned()),
    }
}

/// Reads a scale factor of TPC-H.
pub(crate) fn scale(written: &str) -> Result<f64, String> {
    match written.parse::<f64>() {
        Ok(scale) if (0.001..=100.0).contains(&scale) => Ok(scale),
        _ => Err("allowed: a number from 0.001 to 100".to_owned()),
    }
}

/// Runs until it is asked to stop.
pub(crate) async fn run(global: &Global, args: EmulatorArgs) -> Result<Done, Failure> {
    let options = EmulatorOptions {
        port: args.port,
        tpch_scale: args.tpch,
        crm: !args.no_crm,
        load: args.load,
        idle_transaction: Duration::from_secs(args.idle_transaction),
        stage_kind: args.stage_kind,
        s3_endpoint: args.s3_endpoint,
        ..EmulatorOptions::default()
    };
    let emulator = start(options).await?;
    if global.json {
        output::json_line(emulator.ready())?;
    } else {
        output::line(text(emulator.ready()))?;
    }
    asked_to_stop().await?;
    emulator.stop().await;
    Ok(Done::All)
}

/// Starts an emulator and words its failure.
pub(crate) async fn start(options: EmulatorOptions) -> Result<Emulator, Failure> {
    Box::pin(Emulator::start(options))
        .await
        .map_err(|error| Failure::named(error.code(), &error, error.hint()))
}

fn text(ready: &ReadyLine) -> String {
    format!(
        "A Snowflake for tests is ready on {base}\n\
         \x20 account      {account}\n\
         \x20 user         {user}\n\
         \x20 password     {password}\n\
         \x20 private key  {key}\n\
         \x20 role         {role}\n\
         \x20 warehouse    {warehouse}\n\
         \x20 admin        {admin}\n\
         Python: snowflake.connector.connect(account='{account}', user='{user}', password=…,\n\
         \x20       host='127.0.0.1', port={port}, protocol='http')\n\
         Ctrl-C stops it.",
        base = ready.base_url,
        account = ready.account,
        user = ready.user,
        password = ready.password,
        key = ready.private_key_path.display(),
        role = ready.role,
        warehouse = ready.warehouse,
        admin = ready.admin_url,
        port = ready.base_url.rsplit(':').next().unwrap_or_default(),
    )
}
