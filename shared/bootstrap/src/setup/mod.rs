//! The script that a customer's administrator runs once, so that a connection can work.
//!
//! It makes a role that may read exactly the tables named, a service user that can sign in by
//! our key only and from our addresses only, and a warehouse that stops by itself. Each statement
//! is explained to the one who has to answer for it. [`removal`] is the way back.
//!
//! A part of the script is a [`Section`]; what else a connection needs (rights to write, say) is
//! another section, and [`script`] puts them into order.

use std::fmt::Write as _;

use serde::Serialize;
use snowferry_model::names::Identifier;

use crate::config::Connection;
use crate::error::BootstrapError;
use crate::keys::{self, PublicHalf};
use crate::push;

mod address;
mod grants;
pub(crate) mod sql;

pub use address::Addresses;

/// A whole script.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Script {
    /// What it does, a line each.
    pub about: Vec<String>,
    /// Its parts, in order.
    pub sections: Vec<Section>,
}

/// A part of a script: statements for one purpose.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Section {
    /// The purpose.
    pub title: String,
    /// The statements, in order.
    pub statements: Vec<Statement>,
}

/// One statement with its explanation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Statement {
    /// Why it is there, a line each.
    pub why: Vec<String>,
    /// The statement, without a semicolon.
    pub sql: String,
}

impl Section {
    fn new(title: impl Into<String>) -> Self {
        Self { title: title.into(), statements: Vec::new() }
    }

    fn add(&mut self, why: &[&str], sql: String) {
        let why = why.iter().map(|line| (*line).to_owned()).collect();
        self.statements.push(Statement { why, sql });
    }
}

impl Script {
    /// Returns the statements, in order.
    pub fn statements(&self) -> impl Iterator<Item = &Statement> {
        self.sections.iter().flat_map(|section| &section.statements)
    }

    /// Returns the script as text to run in a worksheet.
    #[must_use]
    pub fn text(&self) -> String {
        let mut out = String::new();
        for line in &self.about {
            comment(&mut out, line);
        }
        for section in &self.sections {
            out.push('\n');
            comment(&mut out, &format!("── {}", section.title));
            for (index, statement) in section.statements.iter().enumerate() {
                // A statement without a word of its own belongs to the one above it.
                if index == 0 || !statement.why.is_empty() {
                    out.push('\n');
                }
                for line in &statement.why {
                    comment(&mut out, line);
                }
                // Writing into a String cannot fail.
                let _ = writeln!(out, "{};", statement.sql);
            }
        }
        out
    }
}

/// Writes a comment's line. A line break in it, from a table's name say, cannot end the comment.
fn comment(out: &mut String, line: &str) {
    let line: String = line.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let _ = writeln!(out, "{}", format!("-- {line}").trim_end());
}

/// Returns the script that makes everything the connection needs.
///
/// # Errors
/// [`BootstrapError::Setting`] for a user, role or warehouse that is no name, or a connection
/// that does not sign in by key pair; as [`keys::public_half`] for the key.
pub fn script(connection: &Connection, addresses: &Addresses) -> Result<Script, BootstrapError> {
    let names = Names::of(connection)?;
    let half = keys::public_half(connection)?;
    Ok(compose(connection, &names, &half, addresses))
}

fn compose(
    connection: &Connection,
    names: &Names,
    half: &PublicHalf,
    addresses: &Addresses,
) -> Script {
    let sources = grants::sources(connection);
    let mut sections = vec![
        grants::role_and_warehouse(connection, names),
        grants::user(names, half),
        grants::tables(names, &sources),
    ];
    sections.extend(address::section(names, addresses));
    sections.extend(push_section(connection, names));
    let mut about = vec![
        format!(
            "Snowferry: set-up of the connection `{}` in the account {}",
            connection.name, connection.snowflake.account
        ),
        String::new(),
        format!(
            "Gives the role {} SELECT on {} named below, and {}.",
            names.role,
            counted(sources.len(), "table"),
            match connection.pushes.len() {
                0 => "no right to write anything".to_owned(),
                1 => "what one push needs to write".to_owned(),
                pushes => format!("what {pushes} pushes need to write"),
            }
        ),
        "Run it as ACCOUNTADMIN, for instance in a worksheet with \"Run all\". It may be run again: \
         what is"
            .to_owned(),
        "there already stays, and the key becomes the one below.".to_owned(),
    ];
    if addresses.is_empty() {
        about.push(String::new());
        about.push(
            "It does not restrict from where the user can sign in: no address was named."
                .to_owned(),
        );
    }
    Script { about, sections }
}

/// What the pushes need: the ledger, and grants on exactly the tables that they write.
fn push_section(connection: &Connection, names: &Names) -> Option<Section> {
    let statements = push::setup_statements(connection, &names.role.to_string());
    let statement = |sql: String| {
        let why = match sql.split(' ').next() {
            Some("CREATE") => "Our small table, which makes each push count once.",
            _ => "Lets the role write, here and nowhere else.",
        };
        Statement { why: vec![why.to_owned()], sql }
    };
    (!statements.is_empty()).then(|| Section {
        title: "What the pushes write".to_owned(),
        statements: statements.into_iter().map(statement).collect(),
    })
}

/// Returns the script that takes back what [`script`] made.
///
/// # Errors
/// [`BootstrapError::Setting`] for a user, role or warehouse that is no name.
pub fn removal(connection: &Connection) -> Result<Script, BootstrapError> {
    let names = Names::of(connection)?;
    Ok(Script {
        about: vec![
            format!(
                "Snowferry: removal of the connection `{}` from the account {}",
                connection.name, connection.snowflake.account
            ),
            String::new(),
            "Once the user is dropped nobody can sign in as it any more. Your tables are not \
             touched."
                .to_owned(),
        ],
        sections: vec![grants::removal(&names), address::removal()],
    })
}

/// Returns the connection's user as a name.
///
/// # Errors
/// [`BootstrapError::Setting`] when it is none.
pub(crate) fn user(connection: &Connection) -> Result<Identifier, BootstrapError> {
    name("snowflake.user", &connection.snowflake.user)
}

/// Who and what the statements speak of.
#[derive(Clone, Debug)]
pub(crate) struct Names {
    user: Identifier,
    role: Identifier,
    warehouse: Identifier,
}

impl Names {
    fn of(connection: &Connection) -> Result<Self, BootstrapError> {
        let settings = &connection.snowflake;
        Ok(Self {
            user: user(connection)?,
            role: name("snowflake.role", &settings.role)?,
            warehouse: name("snowflake.warehouse", &settings.warehouse)?,
        })
    }
}

fn name(setting: &'static str, written: &str) -> Result<Identifier, BootstrapError> {
    Identifier::parse(written).map_err(|error| BootstrapError::Setting {
        setting,
        reason: format!("found `{written}`: {error}"),
    })
}

fn counted(count: usize, what: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {what}{plural}")
}

#[cfg(test)]
mod tests;
