//! `snowferry apply`: stores a connection in a stack on AWS, with its secrets and schedules.

use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::json;
use snowferry_bootstrap::aws::operator::{Action, Operator, Plan};
use snowferry_bootstrap::aws::stack::Stack;
use snowferry_bootstrap::config;
use snowferry_bootstrap::secrets::LocalSecrets;

use crate::args::Global;
use crate::failure::{Done, Failure};
use crate::output::{self, Question};

const AFTER: &str = "\
Shows first what differs from what is stored: the connection's text line by line, its secrets (never
their content), its schedules. A paused connection stays paused.

A stack must be named, by --stack or by SNOWFERRY_STACK. It is told by what this prints, once after
each deployment:
  aws cloudformation describe-stacks --stack-name snowferry > stack.json

Examples:
  snowferry apply connections/acme.yaml --stack stack.json
  snowferry apply connections/acme.yaml --stack stack.json --dry-run --json";

/// Stores a connection, its secrets and its schedules in a stack on AWS.
#[derive(Clone, Debug, Args)]
#[command(after_help = AFTER)]
pub(crate) struct ApplyArgs {
    /// The connection file
    file: PathBuf,

    #[command(flatten)]
    stack: StackArgs,

    /// Show the difference and change nothing
    #[arg(long)]
    dry_run: bool,

    /// Do not ask
    #[arg(long)]
    yes: bool,
}

/// Which stack is meant.
#[derive(Clone, Debug, Args)]
pub(crate) struct StackArgs {
    /// The stack's outputs, as `aws cloudformation describe-stacks` prints them
    #[arg(long, value_name = "FILE", env = "SNOWFERRY_STACK", hide_env_values = true)]
    stack: Option<PathBuf>,
}

impl StackArgs {
    /// Returns the operator of the stack; `None` when no stack is named.
    pub(crate) async fn operator(&self) -> Result<Option<Operator>, Failure> {
        match &self.stack {
            Some(file) => Ok(Some(Operator::from_env(Stack::read(file)?).await)),
            None => Ok(None),
        }
    }

    /// Returns what a command that is printed needs, to mean the same stack.
    pub(crate) fn typed(&self) -> String {
        self.stack.as_ref().map_or_else(String::new, |file| format!(" --stack {}", file.display()))
    }
}

/// Compares, asks, stores.
pub(crate) async fn run(global: &Global, args: ApplyArgs) -> Result<Done, Failure> {
    if global.json && !args.yes && !args.dry_run {
        return Err(Failure::usage(
            "with --json the difference is not shown before it is made, so nobody can be asked",
            "add --dry-run to look only, or --yes",
        ));
    }
    let (text, connection) = read(&args.file)?;
    let Some(operator) = args.stack.operator().await? else {
        return Err(Failure::usage(
            "no stack is named, and connections of this machine need no storing",
            "add --stack with what `aws cloudformation describe-stacks --stack-name NAME` printed",
        ));
    };
    let plan = operator.plan(&connection, &text, &LocalSecrets).await?;
    if !global.json {
        show(&plan)?;
    }
    let mut applied = None;
    if !args.dry_run && !plan.is_empty() {
        if !args.yes && !confirmed(&plan.connection)? {
            output::note("nothing was changed");
            return Ok(Done::Nothing);
        }
        applied = Some(operator.apply(&plan).await?);
    }
    let name = &plan.connection;
    match applied {
        _ if global.json => output::json(&as_json(&plan, applied))?,
        Some(version) => output::line(format!("stored {name} as version {version}"))?,
        None if plan.is_empty() => {
            output::line(format!("{name} is stored as it is; nothing to change"))?;
        }
        None => {}
    }
    Ok(Done::All)
}

fn read(file: &Path) -> Result<(String, config::Connection), Failure> {
    let text = std::fs::read_to_string(file)
        .map_err(|error| Failure::local(format!("read {}", file.display()), &error))?;
    let connection = config::parse(file, &text)?;
    Ok((text, connection))
}

/// The plan, whether it was applied, and the version that is now stored.
fn as_json(plan: &Plan, applied: Option<u64>) -> serde_json::Value {
    let mut shown = json!(plan);
    if let Some(fields) = shown.as_object_mut() {
        fields.insert("applied".to_owned(), applied.is_some().into());
        fields.insert("version".to_owned(), json!(applied.or(plan.stored_version)));
    }
    shown
}

fn show(plan: &Plan) -> Result<(), Failure> {
    for change in &plan.changes {
        let sign = match change.action {
            Action::Create => "create",
            Action::Change => "change",
            Action::Keep => "keep  ",
            Action::Remove => "remove",
        };
        output::line(format!("{sign} {}", change.what))?;
        for detail in &change.details {
            output::line(format!("       {detail}"))?;
        }
    }
    if plan.is_paused {
        output::line("the connection is paused and stays so")?;
    }
    Ok(())
}

fn confirmed(name: &str) -> Result<bool, Failure> {
    output::confirmed(Question {
        of: "storing a connection",
        instead: "add --yes, or --dry-run to look only",
        text: &format!("Store {name} so? Type yes:"),
        answer: "yes",
    })
}
