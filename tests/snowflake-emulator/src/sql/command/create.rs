//! CREATE TABLE, VIEW, SCHEMA and DATABASE.

use datafusion::sql::sqlparser::tokenizer::Token;

use super::{Command, CreateTable, ObjectKind, Source, setting};
use crate::catalog::{ColumnDef, Default as ColumnDefault, Identity, IfExists, TableKind};
use crate::engine::SqlError;
use crate::sql::error::{compile, syntax, unsupported};
use crate::sql::tokens::Tokens;
use crate::types::SnowType;

/// CREATE of anything.
pub(super) fn create(tokens: &mut Tokens, whole: &Tokens) -> Result<Command, SqlError> {
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
    if let Some(command) = super::account::create(tokens, replace)? {
        return Ok(Command::Account(command));
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
    let comment = properties(tokens)?.comment;
    Ok(Command::CreateContainer { kind, name, if_exists, comment })
}

/// What happens if the object exists.
pub(super) fn if_exists(tokens: &mut Tokens, replace: bool) -> IfExists {
    if tokens.eat("IF NOT EXISTS") {
        return IfExists::Keep;
    }
    if replace { IfExists::Replace } else { IfExists::Fail }
}

/// The properties of a table, schema or database that are kept.
#[derive(Debug, Default)]
pub(super) struct Properties {
    pub comment: Option<String>,
    pub copy_grants: bool,
}

/// Properties, most of them without an effect on rows; stops before AS.
pub(super) fn properties(tokens: &mut Tokens) -> Result<Properties, SqlError> {
    let harmless = [
        "DATA_RETENTION_TIME_IN_DAYS",
        "MAX_DATA_EXTENSION_TIME_IN_DAYS",
        "CHANGE_TRACKING",
        "ENABLE_SCHEMA_EVOLUTION",
        "DEFAULT_DDL_COLLATION",
        "COPY",
    ];
    let mut found = Properties::default();
    while !tokens.is_at_end() && !tokens.at_words(&["AS"]) {
        if tokens.eat("COMMENT") {
            tokens.eat_token(&Token::Eq);
            found.comment = Some(tokens.string()?);
        } else if tokens.eat("CLUSTER BY") {
            tokens.skip_parentheses()?;
        } else if tokens.eat("COPY GRANTS") {
            found.copy_grants = true;
        } else if tokens.eat("WITH MANAGED ACCESS") {
        } else if let Some(name) = harmless.iter().find(|name| tokens.at_words(&[name])) {
            tokens.eat(name);
            tokens.expect_token(&Token::Eq)?;
            setting(tokens)?;
        } else {
            return Err(tokens.unexpected());
        }
    }
    Ok(found)
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
        copy_grants: false,
        source: Source::Nothing,
    };
    if tokens.eat("IF NOT EXISTS") {
        table.if_exists = IfExists::Keep;
    }
    if tokens.eat("LIKE") {
        table.source = Source::Like(tokens.name()?);
    } else if tokens.eat("CLONE") {
        let name = tokens.name()?;
        table.source = Source::Clone(name, moment(tokens)?);
    } else if tokens.eat_token(&Token::LParen) {
        columns(tokens, &mut table)?;
    }
    let properties = properties(tokens)?;
    table.comment = properties.comment;
    table.copy_grants = properties.copy_grants;
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

/// AT(…) or BEFORE(…) of a clone.
fn moment(tokens: &mut Tokens) -> Result<Option<Tokens>, SqlError> {
    if !(tokens.at_words(&["AT"]) || tokens.at_words(&["BEFORE"])) {
        return Ok(None);
    }
    let start = tokens.clone();
    tokens.next();
    tokens.skip_parentheses()?;
    Ok(Some(start.up_to(tokens)))
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

pub(super) fn name_list(tokens: &mut Tokens) -> Result<Vec<String>, SqlError> {
    tokens.expect_token(&Token::LParen)?;
    let mut names = vec![tokens.identifier()?];
    while tokens.eat_token(&Token::Comma) {
        names.push(tokens.identifier()?);
    }
    tokens.expect_token(&Token::RParen)?;
    Ok(names)
}

/// The type of a column and what follows it.
pub(super) fn column(
    tokens: &mut Tokens,
    name: &str,
    table: &mut CreateTable,
) -> Result<ColumnDef, SqlError> {
    let mut column = ColumnDef::new(name, tokens.data_type()?, true);
    loop {
        if tokens.eat("NOT NULL") {
            column.nullable = false;
        } else if tokens.eat("NULL") {
            column.nullable = true;
        } else if tokens.eat("DEFAULT") {
            column.default = Some(ColumnDefault { text: tokens.primary_source()? });
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
        } else if tokens.eat("AUTOINCREMENT") || tokens.eat("IDENTITY") {
            column.identity = Some(identity(tokens, &column.data_type)?);
        } else if tokens.at_words(&["COLLATE"]) {
            return Err(unsupported("COLLATE"));
        } else {
            return Err(tokens.unexpected());
        }
    }
}

/// `(start, step)` or `START n INCREMENT m` of AUTOINCREMENT.
fn identity(tokens: &mut Tokens, data_type: &SnowType) -> Result<Identity, SqlError> {
    if !matches!(data_type, SnowType::Number { scale: 0, .. }) {
        let message = format!("Identity column needs a whole number, not {data_type}");
        return Err(compile("002023", "22000", message));
    }
    let (mut start, mut step) = (1, 1);
    if tokens.eat_token(&Token::LParen) {
        start = signed(tokens)?;
        tokens.expect_token(&Token::Comma)?;
        step = signed(tokens)?;
        tokens.expect_token(&Token::RParen)?;
    } else {
        if tokens.eat("START") {
            let _word = tokens.eat("WITH") || tokens.eat_token(&Token::Eq);
            start = signed(tokens)?;
        }
        if tokens.eat("INCREMENT") {
            let _word = tokens.eat("BY") || tokens.eat_token(&Token::Eq);
            step = signed(tokens)?;
        }
    }
    let _order = tokens.eat("ORDER") || tokens.eat("NOORDER");
    if step == 0 {
        return Err(compile("001003", "42000", "Identity step must not be zero"));
    }
    Ok(Identity::new(start, step))
}

fn signed(tokens: &mut Tokens) -> Result<i64, SqlError> {
    let negative = tokens.eat_token(&Token::Minus);
    let number = i64::try_from(tokens.integer()?).map_err(|_| tokens.unexpected())?;
    Ok(if negative { -number } else { number })
}

fn create_view(tokens: &mut Tokens, whole: &Tokens, replace: bool) -> Result<Command, SqlError> {
    let if_exists = if_exists(tokens, replace);
    let name = tokens.name()?;
    let columns = match tokens.peek() {
        Some(Token::LParen) => name_list(tokens)?,
        _ => Vec::new(),
    };
    let comment = properties(tokens)?.comment;
    tokens.expect("AS")?;
    let query = tokens.clone();
    Ok(Command::CreateView { name, if_exists, columns, comment, text: whole.source(), query })
}
