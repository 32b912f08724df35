//! Statements with a grammar of our own: all but queries and DML.

mod account;
mod alter;
mod create;
mod show;

use datafusion::sql::sqlparser::tokenizer::Token;

pub(crate) use account::{
    AccountCommand, AccountObject, Container, CurrentGrants, GrantedOn, Privileges, Properties,
    Property,
};

use super::copy::{CopyInto, Unload};
use super::error::unsupported;
use super::show::Show;
use super::stage::{self, StageCommand};
use super::tokens::Tokens;
use crate::catalog::{ColumnDef, Default, IfExists, TableKind};
use crate::engine::{Bind, SqlError};
use crate::types::SnowType;

/// Which object a USE, CREATE or DROP means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ObjectKind {
    Database,
    Schema,
    Table,
    View,
    Warehouse,
    Role,
    SecondaryRoles,
}

/// A CREATE TABLE.
#[derive(Debug)]
pub(crate) struct CreateTable {
    pub name: Vec<String>,
    pub kind: TableKind,
    pub if_exists: IfExists,
    /// Columns with a type, or names alone for CREATE TABLE t (a, b) AS SELECT.
    pub columns: Vec<(String, Option<ColumnDef>)>,
    pub primary_key: Vec<String>,
    pub comment: Option<String>,
    /// COPY GRANTS: a replaced table hands its grants on.
    pub copy_grants: bool,
    pub source: Source,
}

/// Where the rows or columns of a new table come from.
#[derive(Debug)]
pub(crate) enum Source {
    Nothing,
    Query(Tokens),
    Like(Vec<String>),
    /// A copy, as of an earlier moment if there are tokens of AT(…) or BEFORE(…).
    Clone(Vec<String>, Option<Tokens>),
}

/// A change of a table.
#[derive(Debug)]
pub(crate) enum AlterTable {
    AddColumns(Vec<ColumnDef>, IfExists),
    DropColumns(Vec<String>, bool),
    RenameColumn(String, String),
    RenameTo(Vec<String>),
    SwapWith(Vec<String>),
    SetNotNull(String),
    DropNotNull(String),
    SetType(String, SnowType),
    SetDefault(String, Option<Default>),
    SetComment(Option<String>),
    SetColumnComment(String, Option<String>),
    AddPrimaryKey(Vec<String>),
    DropPrimaryKey,
    /// Properties that have no effect here, as change tracking, which is always on.
    Properties,
}

/// One statement.
#[derive(Debug)]
pub(crate) enum Command {
    /// SELECT, WITH, VALUES.
    Query(Tokens),
    /// INSERT, UPDATE, DELETE.
    Change(Tokens),
    Use(ObjectKind, Vec<String>),
    AlterSessionSet(Vec<(String, String)>),
    AlterSessionUnset(Vec<String>),
    Show(Show),
    /// The object's name, and whether it must be a view or a table.
    Describe(Vec<String>),
    CreateContainer {
        kind: ObjectKind,
        name: Vec<String>,
        if_exists: IfExists,
        comment: Option<String>,
    },
    CreateTable(Box<CreateTable>),
    CreateView {
        name: Vec<String>,
        if_exists: IfExists,
        columns: Vec<String>,
        comment: Option<String>,
        text: String,
        query: Tokens,
    },
    Drop {
        kind: ObjectKind,
        name: Vec<String>,
        if_exists: bool,
    },
    AlterTable {
        name: Vec<String>,
        if_exists: bool,
        change: AlterTable,
    },
    RenameContainer {
        kind: ObjectKind,
        name: Vec<String>,
        if_exists: bool,
        to: Vec<String>,
    },
    SetContainerProperties,
    CommentOn {
        kind: ObjectKind,
        name: Vec<String>,
        comment: String,
    },
    Truncate {
        name: Vec<String>,
        if_exists: bool,
    },
    /// BEGIN, with the transaction's name if it has one.
    Begin(Option<String>),
    Commit,
    RollBack,
    /// SELECT SYSTEM$ABORT_TRANSACTION(id).
    Abort(u64),
    /// About roles, grants, warehouses, users or network policies.
    Account(AccountCommand),
    /// A statement about stages and file formats.
    Stage(Box<StageCommand>),
    /// COPY INTO a table.
    Copy(Box<CopyInto>),
    /// COPY INTO a location.
    Unload(Box<Unload>),
}

/// Reads a statement; queries and DML are left to sqlparser.
pub(crate) fn parse(mut tokens: Tokens, binds: &[Bind]) -> Result<Command, SqlError> {
    let whole = tokens.clone();
    if tokens.eat("SELECT SYSTEM$ABORT_TRANSACTION") {
        return abort(&mut tokens);
    }
    if tokens.at_words(&["SELECT"])
        || tokens.at_words(&["WITH"])
        || tokens.at_words(&["VALUES"])
        || tokens.peek() == Some(&Token::LParen)
    {
        return whole.named(binds).map(Command::Query);
    }
    for word in ["INSERT", "UPDATE", "DELETE", "MERGE"] {
        if tokens.at_words(&[word]) {
            return whole.named(binds).map(Command::Change);
        }
    }
    tokens = tokens.bound(binds)?;
    if let Some(command) = stage::parse(tokens.clone())? {
        return Ok(Command::Stage(Box::new(command)));
    }
    if tokens.eat("COPY INTO") {
        if Unload::is_next(&tokens) {
            return Unload::parse(&mut tokens).map(Box::new).map(Command::Unload);
        }
        return CopyInto::parse(&mut tokens).map(Box::new).map(Command::Copy);
    }
    let command = if tokens.eat("USE") {
        use_command(&mut tokens)?
    } else if tokens.eat("ALTER SESSION") {
        alter_session(&mut tokens)?
    } else if tokens.eat("SHOW") {
        Command::Show(show::show(&mut tokens)?)
    } else if tokens.eat("DESCRIBE") || tokens.eat("DESC") {
        describe(&mut tokens)?
    } else if tokens.eat("CREATE") {
        create::create(&mut tokens, &whole)?
    } else if tokens.eat("DROP") {
        alter::drop_command(&mut tokens)?
    } else if tokens.eat("ALTER") {
        alter::alter(&mut tokens)?
    } else if tokens.eat("TRUNCATE") {
        tokens.eat("TABLE");
        let if_exists = tokens.eat("IF EXISTS");
        Command::Truncate { name: tokens.name()?, if_exists }
    } else if tokens.eat("COMMENT") {
        alter::comment_on(&mut tokens)?
    } else if tokens.eat("BEGIN") || tokens.at_words(&["START", "TRANSACTION"]) {
        begin(&mut tokens)?
    } else if tokens.eat("GRANT") {
        Command::Account(account::grant(&mut tokens)?)
    } else if tokens.eat("REVOKE") {
        Command::Account(account::revoke(&mut tokens)?)
    } else if tokens.eat("COMMIT") {
        tokens.eat("WORK");
        Command::Commit
    } else if tokens.eat("ROLLBACK") {
        tokens.eat("WORK");
        Command::RollBack
    } else {
        return Err(unknown(&tokens));
    };
    if !matches!(command, Command::CreateView { .. } | Command::CreateTable(_)) {
        tokens.end()?;
    }
    Ok(command)
}

fn unknown(tokens: &Tokens) -> SqlError {
    let known = ["COPY", "PUT", "GET", "LIST", "CALL", "SET", "UNSET", "UNDROP"];
    match known.iter().find(|word| tokens.at_words(&[word])) {
        Some(word) => unsupported(*word),
        None => tokens.unexpected(),
    }
}

fn begin(tokens: &mut Tokens) -> Result<Command, SqlError> {
    let _kind = tokens.eat("START TRANSACTION") || tokens.eat("WORK") || tokens.eat("TRANSACTION");
    let name = if tokens.eat("NAME") { Some(tokens.identifier()?) } else { None };
    Ok(Command::Begin(name))
}

/// The id must be a literal, as at the real service.
fn abort(tokens: &mut Tokens) -> Result<Command, SqlError> {
    tokens.expect_token(&Token::LParen)?;
    let id = tokens.integer()?;
    tokens.expect_token(&Token::RParen)?;
    tokens.end()?;
    Ok(Command::Abort(id))
}

fn use_command(tokens: &mut Tokens) -> Result<Command, SqlError> {
    let kind = if tokens.eat("SECONDARY ROLES") {
        ObjectKind::SecondaryRoles
    } else if tokens.eat("WAREHOUSE") {
        ObjectKind::Warehouse
    } else if tokens.eat("ROLE") {
        ObjectKind::Role
    } else if tokens.eat("SCHEMA") {
        ObjectKind::Schema
    } else {
        tokens.eat("DATABASE");
        ObjectKind::Database
    };
    let name = tokens.name()?;
    // `USE db.schema` means the schema.
    let kind =
        if kind == ObjectKind::Database && name.len() == 2 { ObjectKind::Schema } else { kind };
    Ok(Command::Use(kind, name))
}

fn alter_session(tokens: &mut Tokens) -> Result<Command, SqlError> {
    if tokens.eat("UNSET") {
        let mut names = Vec::new();
        while !tokens.is_at_end() {
            names.push(tokens.identifier()?);
            tokens.eat_token(&Token::Comma);
        }
        return Ok(Command::AlterSessionUnset(names));
    }
    tokens.expect("SET")?;
    let mut pairs = Vec::new();
    while !tokens.is_at_end() {
        let name = tokens.identifier()?;
        tokens.expect_token(&Token::Eq)?;
        pairs.push((name, setting(tokens)?));
        tokens.eat_token(&Token::Comma);
    }
    if pairs.is_empty() { Err(tokens.unexpected()) } else { Ok(Command::AlterSessionSet(pairs)) }
}

/// The value of a property: a text, a number or a word in upper case.
fn setting(tokens: &mut Tokens) -> Result<String, SqlError> {
    let negative = tokens.eat_token(&Token::Minus);
    let text = match tokens.peek() {
        Some(Token::SingleQuotedString(text)) => text.clone(),
        Some(Token::Number(digits, _)) => digits.clone(),
        Some(Token::Word(word)) => word.value.to_uppercase(),
        _ => return Err(tokens.unexpected()),
    };
    tokens.next();
    Ok(if negative { format!("-{text}") } else { text })
}

fn describe(tokens: &mut Tokens) -> Result<Command, SqlError> {
    let _kind = tokens.eat("TABLE") || tokens.eat("VIEW");
    for kind in ["DATABASE", "SCHEMA", "WAREHOUSE", "USER", "STAGE", "RESULT"] {
        if tokens.at_words(&[kind]) {
            return Err(unsupported(format!("DESCRIBE {kind}")));
        }
    }
    let name = tokens.name()?;
    if tokens.eat("TYPE") {
        tokens.expect_token(&Token::Eq)?;
        tokens.expect("COLUMNS")?;
    }
    Ok(Command::Describe(name))
}

impl Command {
    /// The kind of statement as QUERY_HISTORY names it.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Query(_) => "SELECT",
            Self::Change(tokens) => {
                let words = ["INSERT", "UPDATE", "DELETE", "MERGE"];
                words.into_iter().find(|word| tokens.at_words(&[word])).unwrap_or("UNKNOWN")
            }
            Self::Use(..) => "USE",
            Self::AlterSessionSet(_) | Self::AlterSessionUnset(_) => "ALTER_SESSION",
            Self::Show(_) => "SHOW",
            Self::Describe(_) => "DESCRIBE",
            Self::CreateTable(table) if matches!(table.source, Source::Query(_)) => {
                "CREATE_TABLE_AS_SELECT"
            }
            Self::CreateContainer { .. } | Self::CreateView { .. } => "CREATE",
            Self::CreateTable(_) => "CREATE_TABLE",
            Self::Drop { .. } => "DROP",
            Self::AlterTable { .. } => "ALTER_TABLE",
            Self::RenameContainer { .. } | Self::SetContainerProperties => "ALTER",
            Self::CommentOn { .. } => "COMMENT",
            Self::Truncate { .. } => "TRUNCATE_TABLE",
            Self::Begin(_) => "BEGIN_TRANSACTION",
            Self::Commit => "COMMIT",
            Self::RollBack => "ROLLBACK",
            Self::Abort(_) => "SELECT",
            Self::Account(AccountCommand::Grant(_) | AccountCommand::GrantRole { .. }) => "GRANT",
            Self::Account(AccountCommand::Revoke(_) | AccountCommand::RevokeRole { .. }) => {
                "REVOKE"
            }
            Self::Account(AccountCommand::Create { .. }) => "CREATE",
            Self::Account(AccountCommand::Drop { .. }) => "DROP",
            Self::Account(_) => "ALTER",
            Self::Stage(command) => command.kind(),
            Self::Copy(_) => "COPY",
            Self::Unload(_) => "UNLOAD",
        }
    }
}
