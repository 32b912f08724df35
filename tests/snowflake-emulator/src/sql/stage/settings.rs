//! Options such as `FILE_FORMAT = (TYPE = CSV NULL_IF = ('', 'NULL')) ON_ERROR = CONTINUE`.

use std::collections::BTreeMap;

use datafusion::sql::sqlparser::tokenizer::Token;

use super::super::error::compile;
use super::super::tokens::Tokens;
use crate::engine::SqlError;
use crate::stages::{Setting, Settings};

/// Reads options until the statement or the parenthesis ends.
pub(crate) fn settings(tokens: &mut Tokens) -> Result<Settings, SqlError> {
    let mut settings = BTreeMap::new();
    while !tokens.is_at_end() && tokens.peek() != Some(&Token::RParen) {
        tokens.eat_token(&Token::Comma);
        let name = tokens.identifier()?;
        tokens.expect_token(&Token::Eq)?;
        let value = setting(tokens)?;
        if settings.insert(name.clone(), value).is_some() {
            let message = format!("duplicate property '{name}'");
            return Err(compile("001004", "42601", message));
        }
    }
    Ok(settings)
}

fn setting(tokens: &mut Tokens) -> Result<Setting, SqlError> {
    if !tokens.eat_token(&Token::LParen) {
        return value(tokens).map(Setting::Text);
    }
    let mut ahead = tokens.clone();
    ahead.next();
    let setting =
        if matches!(tokens.peek(), Some(Token::Word(_))) && ahead.peek() == Some(&Token::Eq) {
            Setting::Options(settings(tokens)?)
        } else {
            let mut values = Vec::new();
            while tokens.peek() != Some(&Token::RParen) {
                values.push(value(tokens)?);
                if !tokens.eat_token(&Token::Comma) {
                    break;
                }
            }
            Setting::List(values)
        };
    tokens.expect_token(&Token::RParen)?;
    Ok(setting)
}

/// A string, a number, or a word or qualified name as SQL resolves it.
fn value(tokens: &mut Tokens) -> Result<String, SqlError> {
    match tokens.peek() {
        Some(Token::SingleQuotedString(_) | Token::DollarQuotedString(_)) => tokens.string(),
        Some(Token::Number(digits, _)) => {
            let digits = digits.clone();
            tokens.next();
            Ok(digits)
        }
        Some(Token::Word(_)) => {
            let name = tokens.name()?;
            let parts = name.iter().map(|part| crate::catalog::quoted_if_needed(part));
            match name.as_slice() {
                [only] => Ok(only.clone()),
                _ => Ok(parts.collect::<Vec<_>>().join(".")),
            }
        }
        _ => Err(tokens.unexpected()),
    }
}

/// The error of an option that no statement of this kind has.
pub(crate) fn unknown_property(name: &str) -> SqlError {
    compile("001006", "42601", format!("invalid property '{name}'"))
}

/// The error of an option with a value that it cannot have.
pub(crate) fn invalid_value(name: &str, value: &str) -> SqlError {
    compile("001008", "22023", format!("invalid value [{value}] for parameter '{name}'"))
}

/// The text of an option.
pub(crate) fn text<'a>(settings: &'a Settings, name: &str) -> Result<Option<&'a str>, SqlError> {
    match settings.get(name) {
        None => Ok(None),
        Some(Setting::Text(text)) => Ok(Some(text)),
        Some(_) => Err(invalid_value(name, "(…)")),
    }
}

/// An option that is TRUE or FALSE.
pub(crate) fn flag(settings: &Settings, name: &str, default: bool) -> Result<bool, SqlError> {
    match text(settings, name)? {
        None => Ok(default),
        Some(word) if word.eq_ignore_ascii_case("TRUE") => Ok(true),
        Some(word) if word.eq_ignore_ascii_case("FALSE") => Ok(false),
        Some(other) => Err(invalid_value(name, other)),
    }
}

/// Options in parentheses; none when the option is absent.
pub(crate) fn options(settings: &Settings, name: &str) -> Result<Settings, SqlError> {
    match settings.get(name) {
        None => Ok(Settings::new()),
        Some(Setting::Options(options)) => Ok(options.clone()),
        Some(Setting::List(list)) if list.is_empty() => Ok(Settings::new()),
        Some(_) => Err(invalid_value(name, "…")),
    }
}

/// A list of texts; one text is a list of one.
pub(crate) fn list(settings: &Settings, name: &str) -> Result<Option<Vec<String>>, SqlError> {
    match settings.get(name) {
        None => Ok(None),
        Some(Setting::List(list)) => Ok(Some(list.clone())),
        Some(Setting::Text(text)) => Ok(Some(vec![text.clone()])),
        Some(Setting::Options(_)) => Err(invalid_value(name, "…")),
    }
}
