//! Statements with a grammar of our own: all but queries and DML.

use datafusion::sql::sqlparser::tokenizer::Token;

use super::error::{syntax, unsupported};
use super::show::{Scope, Show, ShowKind};
use super::tokens::Tokens;
use crate::catalog::{ColumnDef, Default, IfExists, TableKind};
use crate::engine::SqlError;
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
    pub source: Source,
}

/// Where the rows or columns of a new table come from.
#[derive(Debug)]
pub(crate) enum Source {
    Nothing,
    Query(Tokens),
    Like(Vec<String>),
    Clone(Vec<String>),
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
    /// COMMIT or ROLLBACK, with no transaction open.
    EndTransaction,
}

/// Reads a statement; queries and DML are left to sqlparser.
pub(crate) fn parse(mut tokens: Tokens) -> Result<Command, SqlError> {
    let whole = tokens.clone();
    if tokens.at_words(&["SELECT"])
        || tokens.at_words(&["WITH"])
        || tokens.at_words(&["VALUES"])
        || tokens.peek() == Some(&Token::LParen)
    {
        return Ok(Command::Query(whole));
    }
    for word in ["INSERT", "UPDATE", "DELETE", "MERGE"] {
        if tokens.at_words(&[word]) {
            return Ok(Command::Change(whole));
        }
    }
    let command = if tokens.eat("USE") {
        use_command(&mut tokens)?
    } else if tokens.eat("ALTER SESSION") {
        alter_session(&mut tokens)?
    } else if tokens.eat("SHOW") {
        Command::Show(show(&mut tokens)?)
    } else if tokens.eat("DESCRIBE") || tokens.eat("DESC") {
        describe(&mut tokens)?
    } else if tokens.eat("CREATE") {
        create(&mut tokens, &whole)?
    } else if tokens.eat("DROP") {
        drop_command(&mut tokens)?
    } else if tokens.eat("ALTER") {
        alter(&mut tokens)?
    } else if tokens.eat("TRUNCATE") {
        tokens.eat("TABLE");
        let if_exists = tokens.eat("IF EXISTS");
        Command::Truncate { name: tokens.name()?, if_exists }
    } else if tokens.eat("COMMENT") {
        comment_on(&mut tokens)?
    } else if tokens.eat("BEGIN") || tokens.at_words(&["START", "TRANSACTION"]) {
        return Err(unsupported("transactions of several statements"));
    } else if tokens.eat("COMMIT") || tokens.eat("ROLLBACK") {
        tokens.eat("WORK");
        Command::EndTransaction
    } else {
        return Err(unknown(&tokens));
    };
    if !matches!(command, Command::CreateView { .. } | Command::CreateTable(_)) {
        tokens.end()?;
    }
    Ok(command)
}

fn unknown(tokens: &Tokens) -> SqlError {
    let known = ["GRANT", "REVOKE", "COPY", "PUT", "GET", "LIST", "CALL", "SET", "UNSET", "UNDROP"];
    match known.iter().find(|word| tokens.at_words(&[word])) {
        Some(word) => unsupported(*word),
        None => tokens.unexpected(),
    }
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

fn show(tokens: &mut Tokens) -> Result<Show, SqlError> {
    let _terse = tokens.eat("TERSE");
    let kinds = [
        ("PRIMARY KEYS", ShowKind::PrimaryKeys),
        ("TABLES", ShowKind::Tables),
        ("VIEWS", ShowKind::Views),
        ("OBJECTS", ShowKind::Objects),
        ("SCHEMAS", ShowKind::Schemas),
        ("DATABASES", ShowKind::Databases),
        ("COLUMNS", ShowKind::Columns),
        ("WAREHOUSES", ShowKind::Warehouses),
        ("ROLES", ShowKind::Roles),
        ("PARAMETERS", ShowKind::Parameters),
        ("GRANTS", ShowKind::Grants),
    ];
    let Some((_, kind)) = kinds.into_iter().find(|(words, _)| tokens.eat(words)) else {
        return Err(unsupported("this SHOW"));
    };
    tokens.eat("HISTORY");
    let mut show = Show::new(kind);
    if kind == ShowKind::Grants {
        grants(tokens, &mut show)?;
        return Ok(show);
    }
    loop {
        if tokens.eat("LIKE") {
            show.like = Some(tokens.string()?);
        } else if tokens.eat("STARTS WITH") {
            show.starts_with = Some(tokens.string()?);
        } else if tokens.eat("LIMIT") {
            show.limit = Some(tokens.integer()?);
            if tokens.eat("FROM") {
                show.from = Some(tokens.string()?);
            }
        } else if tokens.eat("IN") || tokens.eat("FOR") {
            show.scope = scope(tokens)?;
        } else {
            return Ok(show);
        }
    }
}

fn scope(tokens: &mut Tokens) -> Result<Scope, SqlError> {
    let name = |tokens: &mut Tokens| -> Result<Option<Vec<String>>, SqlError> {
        let ends = tokens.is_at_end()
            || ["LIKE", "STARTS", "LIMIT"].iter().any(|word| tokens.at_words(&[word]));
        if ends { Ok(None) } else { tokens.name().map(Some) }
    };
    Ok(if tokens.eat("ACCOUNT") || tokens.eat("SESSION") {
        Scope::Account
    } else if tokens.eat("DATABASE") {
        Scope::Database(name(tokens)?)
    } else if tokens.eat("SCHEMA") {
        Scope::Schema(name(tokens)?)
    } else if tokens.eat("TABLE") || tokens.eat("VIEW") {
        Scope::Table(tokens.name()?)
    } else {
        Scope::Some(tokens.name()?)
    })
}

fn grants(tokens: &mut Tokens, show: &mut Show) -> Result<(), SqlError> {
    if tokens.eat("TO ROLE") || tokens.eat("TO USER") {
        show.scope = Scope::Some(tokens.name()?);
    } else if !tokens.is_at_end() {
        return Err(unsupported("this SHOW GRANTS"));
    }
    Ok(())
}

fn create(tokens: &mut Tokens, whole: &Tokens) -> Result<Command, SqlError> {
    let replace = tokens.eat("OR REPLACE");
    let mut kind = TableKind::Permanent;
    loop {
        if tokens.eat("TEMPORARY") || tokens.eat("TEMP") || tokens.eat("VOLATILE") {
            kind = TableKind::Temporary;
        } else if tokens.eat("TRANSIENT") {
            kind = TableKind::Transient;
        } else if !(tokens.eat("LOCAL") || tokens.eat("GLOBAL")) {
            break;
        }
    }
    if tokens.eat("TABLE") {
        return create_table(tokens, kind, replace);
    }
    if tokens.eat("VIEW") || tokens.eat("SECURE VIEW") {
        return create_view(tokens, whole, replace);
    }
    let kind = if tokens.eat("DATABASE") {
        ObjectKind::Database
    } else if tokens.eat("SCHEMA") {
        ObjectKind::Schema
    } else {
        let what = tokens.identifier().unwrap_or_default();
        return Err(unsupported(format!("CREATE {what}")));
    };
    let if_exists = if_exists(tokens, replace);
    let name = tokens.name()?;
    if tokens.at_words(&["CLONE"]) {
        return Err(unsupported("CLONE of a database or schema"));
    }
    let comment = properties(tokens)?;
    Ok(Command::CreateContainer { kind, name, if_exists, comment })
}

fn if_exists(tokens: &mut Tokens, replace: bool) -> IfExists {
    if tokens.eat("IF NOT EXISTS") {
        return IfExists::Keep;
    }
    if replace { IfExists::Replace } else { IfExists::Fail }
}

/// Properties without an effect on rows, of which COMMENT is kept; stops before AS.
fn properties(tokens: &mut Tokens) -> Result<Option<String>, SqlError> {
    let harmless = [
        "DATA_RETENTION_TIME_IN_DAYS",
        "MAX_DATA_EXTENSION_TIME_IN_DAYS",
        "CHANGE_TRACKING",
        "ENABLE_SCHEMA_EVOLUTION",
        "DEFAULT_DDL_COLLATION",
        "COPY",
    ];
    let mut comment = None;
    while !tokens.is_at_end() && !tokens.at_words(&["AS"]) {
        if tokens.eat("COMMENT") {
            tokens.eat_token(&Token::Eq);
            comment = Some(tokens.string()?);
        } else if tokens.eat("CLUSTER BY") {
            tokens.skip_parentheses()?;
        } else if tokens.eat("COPY GRANTS") || tokens.eat("WITH MANAGED ACCESS") {
        } else if let Some(name) = harmless.iter().find(|name| tokens.at_words(&[name])) {
            tokens.eat(name);
            tokens.expect_token(&Token::Eq)?;
            setting(tokens)?;
        } else {
            return Err(tokens.unexpected());
        }
    }
    Ok(comment)
}

fn create_table(tokens: &mut Tokens, kind: TableKind, replace: bool) -> Result<Command, SqlError> {
    let mode = if_exists(tokens, replace);
    let mut table = CreateTable {
        name: tokens.name()?,
        kind,
        if_exists: mode,
        columns: Vec::new(),
        primary_key: Vec::new(),
        comment: None,
        source: Source::Nothing,
    };
    if tokens.eat("IF NOT EXISTS") {
        table.if_exists = IfExists::Keep;
    }
    if tokens.eat("LIKE") {
        table.source = Source::Like(tokens.name()?);
    } else if tokens.eat("CLONE") {
        table.source = Source::Clone(tokens.name()?);
    } else if tokens.eat_token(&Token::LParen) {
        columns(tokens, &mut table)?;
    }
    table.comment = properties(tokens)?;
    if tokens.eat("AS") {
        table.source = Source::Query(tokens.clone());
    } else {
        tokens.end()?;
        let no_types = table.columns.iter().any(|(_, column)| column.is_none());
        if matches!(table.source, Source::Nothing) && (table.columns.is_empty() || no_types) {
            return Err(syntax("a table needs columns with types"));
        }
    }
    Ok(Command::CreateTable(Box::new(table)))
}

fn columns(tokens: &mut Tokens, table: &mut CreateTable) -> Result<(), SqlError> {
    loop {
        if tokens.eat("CONSTRAINT") {
            tokens.identifier()?;
        }
        if tokens.eat("PRIMARY KEY") {
            table.primary_key = name_list(tokens)?;
            constraint_properties(tokens);
        } else if tokens.eat("UNIQUE") {
            name_list(tokens)?;
            constraint_properties(tokens);
        } else if tokens.at_words(&["FOREIGN", "KEY"]) {
            return Err(unsupported("FOREIGN KEY"));
        } else {
            let name = tokens.identifier()?;
            let bare = matches!(tokens.peek(), Some(Token::Comma | Token::RParen));
            let column = if bare { None } else { Some(column(tokens, &name, table)?) };
            table.columns.push((name, column));
        }
        if !tokens.eat_token(&Token::Comma) {
            break;
        }
    }
    tokens.expect_token(&Token::RParen)
}

fn constraint_properties(tokens: &mut Tokens) {
    while ["NOT ENFORCED", "ENFORCED", "RELY", "NORELY", "VALIDATE", "NOVALIDATE"]
        .iter()
        .any(|words| tokens.eat(words))
    {}
}

fn name_list(tokens: &mut Tokens) -> Result<Vec<String>, SqlError> {
    tokens.expect_token(&Token::LParen)?;
    let mut names = vec![tokens.identifier()?];
    while tokens.eat_token(&Token::Comma) {
        names.push(tokens.identifier()?);
    }
    tokens.expect_token(&Token::RParen)?;
    Ok(names)
}

/// The type of a column and what follows it.
fn column(tokens: &mut Tokens, name: &str, table: &mut CreateTable) -> Result<ColumnDef, SqlError> {
    let mut column = ColumnDef {
        name: name.to_owned(),
        data_type: tokens.data_type()?,
        nullable: true,
        default: None,
        comment: None,
    };
    loop {
        if tokens.eat("NOT NULL") {
            column.nullable = false;
        } else if tokens.eat("NULL") {
            column.nullable = true;
        } else if tokens.eat("DEFAULT") {
            column.default = Some(Default { text: tokens.primary_source()? });
        } else if tokens.eat("PRIMARY KEY") {
            table.primary_key.push(name.to_owned());
            column.nullable = false;
            constraint_properties(tokens);
        } else if tokens.eat("UNIQUE") {
            constraint_properties(tokens);
        } else if tokens.eat("COMMENT") {
            column.comment = Some(tokens.string()?);
        } else if tokens.eat("CONSTRAINT") {
            tokens.identifier()?;
        } else if matches!(tokens.peek(), Some(Token::Comma | Token::RParen) | None) {
            return Ok(column);
        } else if tokens.at_words(&["AUTOINCREMENT"]) || tokens.at_words(&["IDENTITY"]) {
            return Err(unsupported("AUTOINCREMENT"));
        } else if tokens.at_words(&["COLLATE"]) {
            return Err(unsupported("COLLATE"));
        } else {
            return Err(tokens.unexpected());
        }
    }
}

fn create_view(tokens: &mut Tokens, whole: &Tokens, replace: bool) -> Result<Command, SqlError> {
    let if_exists = if_exists(tokens, replace);
    let name = tokens.name()?;
    let columns = match tokens.peek() {
        Some(Token::LParen) => name_list(tokens)?,
        _ => Vec::new(),
    };
    let comment = properties(tokens)?;
    tokens.expect("AS")?;
    let query = tokens.clone();
    Ok(Command::CreateView { name, if_exists, columns, comment, text: whole.source(), query })
}

fn object_kind(tokens: &mut Tokens) -> Result<ObjectKind, SqlError> {
    Ok(if tokens.eat("TABLE") {
        ObjectKind::Table
    } else if tokens.eat("VIEW") {
        ObjectKind::View
    } else if tokens.eat("SCHEMA") {
        ObjectKind::Schema
    } else if tokens.eat("DATABASE") {
        ObjectKind::Database
    } else {
        let what = tokens.identifier().unwrap_or_default();
        return Err(unsupported(format!("this statement on {what}")));
    })
}

fn drop_command(tokens: &mut Tokens) -> Result<Command, SqlError> {
    let kind = object_kind(tokens)?;
    let if_exists = tokens.eat("IF EXISTS");
    let name = tokens.name()?;
    let _mode = tokens.eat("CASCADE") || tokens.eat("RESTRICT");
    Ok(Command::Drop { kind, name, if_exists })
}

fn comment_on(tokens: &mut Tokens) -> Result<Command, SqlError> {
    tokens.eat("IF EXISTS");
    tokens.expect("ON")?;
    let kind = object_kind(tokens)?;
    let name = tokens.name()?;
    tokens.expect("IS")?;
    Ok(Command::CommentOn { kind, name, comment: tokens.string()? })
}

fn alter(tokens: &mut Tokens) -> Result<Command, SqlError> {
    let kind = object_kind(tokens)?;
    let if_exists = tokens.eat("IF EXISTS");
    let name = tokens.name()?;
    if kind == ObjectKind::Table {
        let change = alter_table(tokens)?;
        return Ok(Command::AlterTable { name, if_exists, change });
    }
    if tokens.eat("RENAME TO") {
        let to = tokens.name()?;
        return Ok(match kind {
            ObjectKind::View => {
                Command::AlterTable { name, if_exists, change: AlterTable::RenameTo(to) }
            }
            _ => Command::RenameContainer { kind, name, if_exists, to },
        });
    }
    if kind != ObjectKind::View && tokens.eat("SET") {
        properties(tokens)?;
        return Ok(Command::SetContainerProperties);
    }
    Err(tokens.unexpected())
}

fn alter_table(tokens: &mut Tokens) -> Result<AlterTable, SqlError> {
    if tokens.eat("RENAME TO") {
        return Ok(AlterTable::RenameTo(tokens.name()?));
    }
    if tokens.eat("RENAME COLUMN") {
        let from = tokens.identifier()?;
        tokens.expect("TO")?;
        return Ok(AlterTable::RenameColumn(from, tokens.identifier()?));
    }
    if tokens.eat("SWAP WITH") {
        return Ok(AlterTable::SwapWith(tokens.name()?));
    }
    if tokens.eat("ADD PRIMARY KEY") {
        return Ok(AlterTable::AddPrimaryKey(name_list(tokens)?));
    }
    if tokens.eat("DROP PRIMARY KEY") {
        return Ok(AlterTable::DropPrimaryKey);
    }
    if tokens.eat("ADD") {
        return add_columns(tokens);
    }
    if tokens.eat("DROP") {
        tokens.eat("COLUMN");
        let if_exists = tokens.eat("IF EXISTS");
        let mut names = vec![tokens.identifier()?];
        while tokens.eat_token(&Token::Comma) {
            names.push(tokens.identifier()?);
        }
        return Ok(AlterTable::DropColumns(names, if_exists));
    }
    if tokens.eat("ALTER") || tokens.eat("MODIFY") {
        return alter_column(tokens);
    }
    if tokens.eat("UNSET COMMENT") {
        return Ok(AlterTable::SetComment(None));
    }
    tokens.expect("SET")?;
    Ok(match properties(tokens)? {
        Some(comment) => AlterTable::SetComment(Some(comment)),
        None => AlterTable::Properties,
    })
}

fn add_columns(tokens: &mut Tokens) -> Result<AlterTable, SqlError> {
    tokens.eat("COLUMN");
    let mode = if_exists(tokens, false);
    let mut scratch = CreateTable {
        name: Vec::new(),
        kind: TableKind::Permanent,
        if_exists: IfExists::Fail,
        columns: Vec::new(),
        primary_key: Vec::new(),
        comment: None,
        source: Source::Nothing,
    };
    let mut columns = Vec::new();
    loop {
        let name = tokens.identifier()?;
        columns.push(column(tokens, &name, &mut scratch)?);
        if !tokens.eat_token(&Token::Comma) {
            return Ok(AlterTable::AddColumns(columns, mode));
        }
        tokens.eat("COLUMN");
    }
}

fn alter_column(tokens: &mut Tokens) -> Result<AlterTable, SqlError> {
    tokens.eat("COLUMN");
    let name = tokens.identifier()?;
    if tokens.eat("SET NOT NULL") {
        return Ok(AlterTable::SetNotNull(name));
    }
    if tokens.eat("DROP NOT NULL") {
        return Ok(AlterTable::DropNotNull(name));
    }
    if tokens.eat("DROP DEFAULT") {
        return Ok(AlterTable::SetDefault(name, None));
    }
    if tokens.eat("COMMENT") {
        return Ok(AlterTable::SetColumnComment(name, Some(tokens.string()?)));
    }
    if tokens.eat("SET DEFAULT") {
        return Err(unsupported("SET DEFAULT of an existing column"));
    }
    let _words = tokens.eat("SET DATA TYPE") || tokens.eat("TYPE");
    Ok(AlterTable::SetType(name, tokens.data_type()?))
}
