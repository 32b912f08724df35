//! `snowferry init`: writes a commented connection file.

use std::io::Write;
use std::path::{Path, PathBuf};

use clap::Args;
use serde::Deserialize;
use serde_json::json;
use snowferry_bootstrap::config::{Auth, Template, TemplateTable, path_of, render};
use snowferry_bootstrap::home::create_folder;

use super::runs::connection_name;
use crate::args::Global;
use crate::failure::{Done, Failure};
use crate::output;

const AFTER: &str = "\
Examples:
  snowferry init acme
  snowferry init acme --account myorg-acme --user SNOWFERRY --private-key-file /secrets/acme.p8
  snowferry init local --from-emulator ready.json";

/// Writes a commented connection file.
#[derive(Clone, Debug, Args)]
#[command(after_help = AFTER)]
pub(crate) struct InitArgs {
    /// The connection: lower-case letters, digits and hyphens
    name: String,

    /// The account identifier
    #[arg(long, value_name = "ORGANISATION-ACCOUNT", default_value = "myorg-acme")]
    account: String,

    /// The service user
    #[arg(long, default_value = "SNOWFERRY")]
    user: String,

    /// The role that holds the grants
    #[arg(long, default_value = "SNOWFERRY_PULL")]
    role: String,

    /// The warehouse that runs the statements
    #[arg(long, default_value = "SNOWFERRY_WH")]
    warehouse: String,

    /// The private key's file, as it is to stand in the connection file
    #[arg(long, value_name = "FILE")]
    private_key_file: Option<PathBuf>,

    /// Fill in what `snowferry emulator --json` printed, and its sample tables
    #[arg(long, value_name = "READY.json",
          conflicts_with_all = ["account", "user", "role", "warehouse", "private_key_file"])]
    from_emulator: Option<PathBuf>,
}

/// What is needed of the line that `snowferry emulator --json` prints.
#[derive(Debug, Deserialize)]
struct Ready {
    base_url: String,
    account: String,
    user: String,
    private_key_path: PathBuf,
    role: String,
    warehouse: String,
}

/// Writes the file; an existing one is never touched.
pub(crate) fn run(global: &Global, args: &InitArgs) -> Result<Done, Failure> {
    let name = connection_name(&args.name)?;
    let template = match &args.from_emulator {
        Some(file) => from_emulator(name.as_str(), &read_ready(file)?),
        None => blank(args),
    };
    let folder = global.home().connections().to_owned();
    let file = path_of(&folder, name.as_str());
    create_folder(&folder)?;
    write_new(&file, &render(&template))?;
    if global.json {
        output::json(&json!({ "connection": name, "file": file }))?;
        return Ok(Done::All);
    }
    output::line(format!(
        "wrote {}\nnext: edit it, then `snowferry check {name}` and `snowferry pull {name}`",
        file.display()
    ))?;
    Ok(Done::All)
}

fn blank(args: &InitArgs) -> Template {
    let table = |name: &str| TemplateTable { table: name.to_owned(), ..TemplateTable::default() };
    let key_file = args.private_key_file.clone();
    Template {
        name: args.name.clone(),
        account: args.account.clone(),
        base_url: None,
        user: args.user.clone(),
        role: args.role.clone(),
        warehouse: args.warehouse.clone(),
        auth: Auth::key_pair(
            key_file.unwrap_or_else(|| PathBuf::from(format!("../keys/{}.p8", args.name))),
        ),
        tables: vec![
            TemplateTable {
                key: vec!["ID".to_owned()],
                cursor: "UPDATED_AT".to_owned(),
                lookback: "15m".to_owned(),
                ..table("MY_DATABASE.PUBLIC.ORDERS")
            },
            TemplateTable { mode: "full", ..table("MY_DATABASE.PUBLIC.COUNTRIES") },
        ],
    }
}

/// Returns the tables of the emulator's CRM, as a person would pull them.
pub(crate) fn crm_tables() -> Vec<TemplateTable> {
    let table = |name: &str, key: &str, cursor: &str| TemplateTable {
        table: format!("CRM.PUBLIC.{name}"),
        key: vec![key.to_owned()],
        cursor: cursor.to_owned(),
        ..TemplateTable::default()
    };
    vec![
        TemplateTable { lookback: "15m".to_owned(), ..table("ACCOUNTS", "ID", "UPDATED_AT") },
        TemplateTable { lookback: "15m".to_owned(), ..table("OPPORTUNITIES", "ID", "UPDATED_AT") },
        TemplateTable { lookback: "15m".to_owned(), ..table("USERS", "ID", "UPDATED_AT") },
        table("EVENTS", "ID", "ID"),
    ]
}

fn from_emulator(name: &str, ready: &Ready) -> Template {
    Template {
        name: name.to_owned(),
        account: ready.account.clone(),
        base_url: Some(ready.base_url.clone()),
        user: ready.user.clone(),
        role: ready.role.clone(),
        warehouse: ready.warehouse.clone(),
        auth: Auth::key_pair(ready.private_key_path.clone()),
        tables: crm_tables(),
    }
}

fn read_ready(file: &Path) -> Result<Ready, Failure> {
    let text = std::fs::read_to_string(file)
        .map_err(|error| Failure::local(format!("read {}", file.display()), &error))?;
    serde_json::from_str(&text).map_err(|error| {
        Failure::usage(
            format!("{} is not what the emulator prints: {error}", file.display()),
            "write it with `snowferry emulator --json > READY.json`",
        )
    })
}

/// Writes a file that must not exist.
fn write_new(file: &Path, text: &str) -> Result<(), Failure> {
    let created = std::fs::OpenOptions::new().write(true).create_new(true).open(file);
    let result = created.and_then(|mut open| open.write_all(text.as_bytes()));
    match result {
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Err(Failure::usage(
            format!("{} exists already; it was left as it is", file.display()),
            "choose another name, or move the file away",
        )),
        Err(error) => Err(Failure::local(format!("write {}", file.display()), &error)),
        Ok(()) => Ok(()),
    }
}
