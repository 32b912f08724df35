//! The grammar of COPY INTO a table.

use datafusion::sql::sqlparser::tokenizer::Token;

use crate::engine::SqlError;
use crate::sql::error::{compile, unsupported};
use crate::sql::stage::settings::{
    flag, invalid_value, list, options, settings as read_settings, text, unknown_property,
};
use crate::sql::tokens::Tokens;
use crate::stages::Settings;

/// Most names in FILES.
pub(crate) const MOST_FILES: usize = 1000;

/// A COPY INTO a table.
#[derive(Debug)]
pub(crate) struct CopyInto {
    pub table: Vec<String>,
    /// The named columns, in order; none means all.
    pub columns: Vec<String>,
    pub source: Source,
    /// FILES, if given.
    pub files: Option<Vec<String>>,
    pub pattern: Option<String>,
    pub on_error: OnError,
    pub by_name: Option<ByName>,
    pub force: bool,
    pub purge: bool,
    pub truncate: bool,
    pub return_failed_only: bool,
    pub size_limit: Option<u64>,
    pub validation_mode: Option<String>,
    /// FILE_FORMAT, CREDENTIALS and STORAGE_INTEGRATION.
    pub settings: Settings,
}

/// Where rows come from.
#[derive(Clone, Debug)]
pub(crate) enum Source {
    /// `@stage/path` or `s3://bucket/path`.
    Location(String),
    /// A SELECT over a location, token by token with its source and whether it touches the one
    /// before.
    Query(Vec<(Token, String, bool)>),
}

/// What a bad row does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OnError {
    Abort,
    Continue,
    SkipFile,
    SkipFileAfter(u64),
    SkipFilePercent(u64),
}

/// How MATCH_BY_COLUMN_NAME compares names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ByName {
    CaseSensitive,
    CaseInsensitive,
}

const KNOWN: [&str; 17] = [
    "FILES",
    "PATTERN",
    "FILE_FORMAT",
    "ON_ERROR",
    "SIZE_LIMIT",
    "PURGE",
    "RETURN_FAILED_ONLY",
    "MATCH_BY_COLUMN_NAME",
    "ENFORCE_LENGTH",
    "TRUNCATECOLUMNS",
    "FORCE",
    "LOAD_UNCERTAIN_FILES",
    "VALIDATION_MODE",
    "CREDENTIALS",
    "STORAGE_INTEGRATION",
    "ENCRYPTION",
    "LOAD_MODE",
];

impl CopyInto {
    /// Reads what follows `COPY INTO`; the target is a table.
    pub(crate) fn parse(tokens: &mut Tokens) -> Result<Self, SqlError> {
        let table = tokens.name()?;
        let mut columns = Vec::new();
        if tokens.eat_token(&Token::LParen) {
            loop {
                columns.push(tokens.identifier()?);
                if !tokens.eat_token(&Token::Comma) {
                    break;
                }
            }
            tokens.expect_token(&Token::RParen)?;
        }
        tokens.expect("FROM")?;
        let source = if tokens.peek() == Some(&Token::LParen) {
            let pieces = tokens.pieces();
            let before = pieces.len();
            tokens.skip_parentheses()?;
            let taken = before - tokens.pieces().len();
            let inner = pieces.into_iter().take(taken.saturating_sub(1)).skip(1);
            Source::Query(inner.collect())
        } else {
            Source::Location(tokens.unbroken()?)
        };
        let settings = read_settings(tokens)?;
        tokens.end()?;
        if let Some(name) = settings.keys().find(|name| !KNOWN.contains(&name.as_str())) {
            return Err(unknown_property(name));
        }
        let command = Self {
            table,
            columns,
            source,
            files: list(&settings, "FILES")?,
            pattern: text(&settings, "PATTERN")?.map(ToOwned::to_owned),
            on_error: on_error(text(&settings, "ON_ERROR")?)?,
            by_name: by_name(text(&settings, "MATCH_BY_COLUMN_NAME")?)?,
            force: flag(&settings, "FORCE", false)?,
            purge: flag(&settings, "PURGE", false)?,
            truncate: flag(&settings, "TRUNCATECOLUMNS", false)?
                || !flag(&settings, "ENFORCE_LENGTH", true)?,
            return_failed_only: flag(&settings, "RETURN_FAILED_ONLY", false)?,
            size_limit: match text(&settings, "SIZE_LIMIT")? {
                None => None,
                Some(digits) => {
                    Some(digits.parse().map_err(|_| invalid_value("SIZE_LIMIT", digits))?)
                }
            },
            validation_mode: text(&settings, "VALIDATION_MODE")?.map(str::to_uppercase),
            settings,
        };
        command.check()?;
        Ok(command)
    }

    /// Whether rows come from a SELECT over the files.
    pub(crate) fn is_transformed(&self) -> bool {
        matches!(self.source, Source::Query(_))
    }

    fn check(&self) -> Result<(), SqlError> {
        if self.files.as_ref().is_some_and(|files| files.len() > MOST_FILES) {
            let message = format!(
                "invalid value for parameter 'FILES': more than the {MOST_FILES} files that a \
                 statement may name"
            );
            return Err(compile("001008", "22023", message));
        }
        if self.is_transformed() && self.by_name.is_some() {
            let message = "MATCH_BY_COLUMN_NAME does not work with a transformation";
            return Err(compile("002019", "0A000", message));
        }
        if self.by_name.is_some() && !self.columns.is_empty() {
            let message = "MATCH_BY_COLUMN_NAME does not work with a list of columns";
            return Err(compile("002019", "0A000", message));
        }
        if !options(&self.settings, "ENCRYPTION")?.is_empty() {
            return Err(unsupported("COPY with ENCRYPTION"));
        }
        Ok(())
    }
}

fn on_error(text: Option<&str>) -> Result<OnError, SqlError> {
    let Some(text) = text else { return Ok(OnError::Abort) };
    let upper = text.to_uppercase();
    let wrong = || invalid_value("ON_ERROR", text);
    match upper.as_str() {
        "ABORT_STATEMENT" => Ok(OnError::Abort),
        "CONTINUE" => Ok(OnError::Continue),
        "SKIP_FILE" => Ok(OnError::SkipFile),
        other => {
            let rest = other.strip_prefix("SKIP_FILE_").ok_or_else(wrong)?;
            match rest.strip_suffix('%') {
                Some(digits) => digits.parse().map(OnError::SkipFilePercent).map_err(|_| wrong()),
                None => rest.parse().map(OnError::SkipFileAfter).map_err(|_| wrong()),
            }
        }
    }
}

fn by_name(text: Option<&str>) -> Result<Option<ByName>, SqlError> {
    match text.unwrap_or("NONE").to_uppercase().as_str() {
        "NONE" => Ok(None),
        "CASE_SENSITIVE" => Ok(Some(ByName::CaseSensitive)),
        "CASE_INSENSITIVE" => Ok(Some(ByName::CaseInsensitive)),
        other => Err(invalid_value("MATCH_BY_COLUMN_NAME", other)),
    }
}
