//! ALTER, DROP and COMMENT ON.

use datafusion::sql::sqlparser::tokenizer::Token;

use super::create::{column, if_exists, name_list, properties};
use super::{AlterTable, Command, CreateTable, ObjectKind, Source};
use crate::catalog::{IfExists, TableKind};
use crate::engine::SqlError;
use crate::sql::error::unsupported;
use crate::sql::tokens::Tokens;

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

/// DROP.
pub(super) fn drop_command(tokens: &mut Tokens) -> Result<Command, SqlError> {
    if let Some(command) = super::account::drop(tokens)? {
        return Ok(Command::Account(command));
    }
    let kind = object_kind(tokens)?;
    let if_exists = tokens.eat("IF EXISTS");
    let name = tokens.name()?;
    let _mode = tokens.eat("CASCADE") || tokens.eat("RESTRICT");
    Ok(Command::Drop { kind, name, if_exists })
}

/// COMMENT ON.
pub(super) fn comment_on(tokens: &mut Tokens) -> Result<Command, SqlError> {
    tokens.eat("IF EXISTS");
    tokens.expect("ON")?;
    if tokens.eat("COLUMN") {
        let mut name = tokens.name()?;
        let column = name.pop().filter(|_| !name.is_empty()).ok_or_else(|| tokens.unexpected())?;
        tokens.expect("IS")?;
        let change = AlterTable::SetColumnComment(column, Some(tokens.string()?));
        return Ok(Command::AlterTable { name, if_exists: false, change });
    }
    let kind = object_kind(tokens)?;
    let name = tokens.name()?;
    tokens.expect("IS")?;
    Ok(Command::CommentOn { kind, name, comment: tokens.string()? })
}

/// ALTER of anything.
pub(super) fn alter(tokens: &mut Tokens) -> Result<Command, SqlError> {
    if let Some(command) = super::account::alter(tokens)? {
        return Ok(Command::Account(command));
    }
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
    Ok(match properties(tokens)?.comment {
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
        copy_grants: false,
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
