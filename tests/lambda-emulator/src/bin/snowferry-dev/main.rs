//! The whole stack on this machine, to play with: a Snowflake, S3, DynamoDB, queues, secrets, the
//! functions themselves, and a dispatcher that plays the scheduler. `tests/dev` builds and starts it.
//!
//! A folder holds what an operator has: a connection file, the stack's outputs, and `env.sh`, which
//! points every tool at this machine. Everything else is in memory and ends with Ctrl-C.
#![expect(clippy::indexing_slicing, reason = "a field that a JSON value lacks is null")]

use std::error::Error;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use clap::Parser;
use serde_json::{Value, json};
use snowferry_aws_fakes::services::FakeServices;
use snowferry_aws_fakes::services::queue::FifoQueue;
use snowferry_lambda_emulator::Function;
use snowferry_lambda_emulator::source::{Peace, drain};
use tokio::task::JoinHandle;

mod account;
mod endpoint;
mod stack;

use account::Account;
use stack::Stack;

type BoxError = Box<dyn Error + Send + Sync>;

/// How often a queue that is empty is looked at again.
const IDLE: Duration = Duration::from_millis(500);

/// How many workers each queue has.
const WORKERS: usize = 3;

/// Starts the whole stack on this machine.
#[derive(Debug, Parser)]
struct Options {
    /// The folder for what an operator has; made anew [default: a temporary one]
    #[arg(long, value_name = "FOLDER")]
    folder: Option<PathBuf>,

    /// Every schedule fires so often here, whatever it says
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    every: u64,

    /// Seconds that an invocation may take: 900 in AWS
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    timeout: u64,

    /// Scale of the sample database TPC-H
    #[arg(long, value_name = "SCALE", default_value = "0.01")]
    tpch: String,
}

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let options = Options::parse();
    let kept;
    let folder = match &options.folder {
        Some(folder) => {
            std::fs::create_dir_all(folder)?;
            std::path::absolute(folder)?
        }
        None => {
            kept = tempfile::tempdir()?;
            kept.path().to_owned()
        }
    };
    let binaries = binaries()?;
    let timeout = Duration::from_secs(options.timeout);
    let visibility = timeout + Duration::from_secs(1);
    let (pulls, pushes) = (
        FakeServices::start(FifoQueue::new(visibility, 5)).await?,
        FakeServices::start(FifoQueue::new(visibility, 5)).await?,
    );
    say("starting a Snowflake, S3, DynamoDB and the queues");
    let account = Account::start(&binaries, &folder, &options.tpch).await?;
    let stack = Stack::start(&binaries, &folder, timeout, &pulls, &pushes).await?;
    account.connect(&binaries, &folder)?;
    stack.apply(&binaries, &folder)?;
    let endpoint = endpoint::serve(stack.functions()).await?;
    let mut tasks: Vec<JoinHandle<()>> = vec![
        tokio::spawn(work(Arc::clone(&pulls.queue), Arc::clone(&stack.pull))),
        tokio::spawn(work(Arc::clone(&pushes.queue), Arc::clone(&stack.push))),
    ];
    let every = Duration::from_secs(options.every.max(1));
    let queues = (Arc::clone(&pulls.queue), Arc::clone(&pushes.queue));
    let schedules = Arc::clone(&pulls.schedules);
    tasks.push(tokio::spawn(async move {
        for tick in 0_u64.. {
            for (name, schedule) in schedules.enabled() {
                fire(&queues, &name, &schedule, tick);
            }
            tokio::time::sleep(every).await;
        }
    }));
    for function in stack.functions() {
        tasks.push(tokio::spawn(tell(function)));
    }
    say(&manual(&folder, &endpoint, options.every));
    tokio::signal::ctrl_c().await?;
    say("stopping");
    for task in tasks {
        task.abort();
    }
    Ok(())
}

/// The folder of the binaries, which is this one's.
fn binaries() -> Result<PathBuf, BoxError> {
    let own = std::env::current_exe()?;
    let folder = own.parent().ok_or("this program is in no folder")?.to_owned();
    for name in ["snowferry", "snowferry-fn-pull", "snowferry-fn-push", "snowferry-fn-check"] {
        if !folder.join(name).exists() {
            return Err(format!("{name} is missing: run `cargo build --workspace --bins`").into());
        }
    }
    Ok(folder)
}

/// Works a queue off for ever.
async fn work(queue: Arc<FifoQueue>, function: Arc<Function>) {
    loop {
        if let Err(error) = drain(&queue, &function, WORKERS, &Peace).await {
            say(&format!("the queue of {}: {error}", function.name()));
        }
        tokio::time::sleep(IDLE).await;
    }
}

/// Sends what a schedule sends, as Scheduler does.
fn fire(queues: &(Arc<FifoQueue>, Arc<FifoQueue>), name: &str, schedule: &Value, tick: u64) {
    let target = &schedule["Target"];
    let arn = target["Arn"].as_str().unwrap_or_default();
    let queue = if arn.ends_with("push.fifo") { &queues.1 } else { &queues.0 };
    let group = target["SqsParameters"]["MessageGroupId"].as_str().unwrap_or("none#0");
    let input = target["Input"].as_str().unwrap_or_default();
    queue.send(group, &format!("{name} {tick}"), input, &Value::Null);
}

/// Shows a word about each line of metrics that a function writes.
async fn tell(function: Arc<Function>) {
    let mut shown = 0;
    loop {
        let lines = function.output();
        for line in lines.iter().skip(shown) {
            let Ok(line) = serde_json::from_str::<Value>(line) else { continue };
            let text = |name: &str| line[name].as_str().unwrap_or_default().to_owned();
            let what = if line["push"].is_string() { text("push") } else { text("table") };
            let rows = line["Rows"].as_u64().unwrap_or(0);
            let (connection, outcome, code) = (text("connection"), text("outcome"), text("code"));
            let name = function.name();
            say(&format!("{name}: {connection} {what}: {outcome} {code} {rows} rows"));
        }
        shown = lines.len();
        tokio::time::sleep(IDLE).await;
    }
}

fn manual(folder: &Path, endpoint: &str, every: u64) -> String {
    let event = json!({ "connection": "acme" });
    format!(
        "ready. The schedules of the stored connections fire every {every} s.\n\
         \n\
         In another terminal:\n\
         \x20 cd {folder} && source env.sh\n\
         \x20 $EDITOR connections/acme.yaml && snowferry apply connections/acme.yaml\n\
         \x20 snowferry pause acme        # resume, close\n\
         \n\
         Run by hand, as from the Lambda console (pull, push, check):\n\
         \x20 curl -s {endpoint}/2015-03-31/functions/snowferry-check/invocations -d '{event}'\n\
         \x20 aws lambda invoke --endpoint-url {endpoint} --function-name snowferry-pull \\\n\
         \x20   --cli-binary-format raw-in-base64-out --payload '{event}' /dev/stdout\n\
         \n\
         Change rows at the source:\n\
         \x20 curl -s \"$SNOWFLAKE_ADMIN/sql\" -d \"UPDATE CRM.PUBLIC.ACCOUNTS SET NAME = 'new'\"\n\
         \n\
         Ctrl-C stops everything.",
        folder = folder.display(),
    )
}

#[expect(clippy::print_stdout, reason = "a person watches")]
pub(crate) fn say(text: &str) {
    println!("{text}");
}
