//! SELECT over staged files: in COPY, and as a query of its own.
//!
//! The query is rewritten so that the engine can run it: the location becomes the rows of one
//! file, which stand as the result of a statement; `$1` becomes a column of that name; and
//! `$1:"name"` of a Parquet file becomes the file's own column where nothing follows, so that
//! values keep their type instead of passing through a document.

use std::sync::Arc;

use arrow::array::{ArrayRef, Decimal128Array, RecordBatch, StringArray};
use datafusion::sql::sqlparser::tokenizer::Token;
use futures::TryStreamExt;

use super::batch::Batch;
use crate::engine::SqlError;
use crate::sql::error::{syntax, unsupported};
use crate::sql::plan::{Planning, run, translate};
use crate::sql::tokens::{Tokens, split};
use crate::stages::{Setting, Settings};
use crate::types::{Column, SnowType};

/// A token, its source, and whether it touches the one before.
type Piece = (Token, String, bool);

/// The name of a file in a query over it.
pub(crate) const FILE_NAME: &str = "METADATA$FILENAME";
/// The number of a row in a query over a file.
pub(crate) const ROW_NUMBER: &str = "METADATA$FILE_ROW_NUMBER";

/// The location in a query, as text.
pub(crate) fn location(pieces: &[Piece]) -> Result<String, SqlError> {
    let (from, to) = span(pieces)?;
    Ok(text_of(pieces.get(from..to).unwrap_or_default()))
}

fn text_of(pieces: &[Piece]) -> String {
    match pieces {
        [(Token::SingleQuotedString(text), ..)] => text.clone(),
        _ => pieces.iter().map(|(_, source, _)| source.as_str()).collect(),
    }
}

/// Where the location stands: after FROM, up to the first gap.
fn span(pieces: &[Piece]) -> Result<(usize, usize), SqlError> {
    let mut previous_is_from = false;
    for (index, (token, source, _)) in pieces.iter().enumerate() {
        let quoted = matches!(token, Token::SingleQuotedString(text) if is_location(text));
        if previous_is_from && quoted {
            return Ok((index, index + 1));
        }
        if previous_is_from && source.starts_with('@') {
            let rest = pieces.iter().skip(index + 1);
            let more = rest.take_while(|(token, _, touches)| {
                *touches && !matches!(token, Token::RParen | Token::LParen | Token::Comma)
            });
            return Ok((index, index + 1 + more.count()));
        }
        previous_is_from = source.eq_ignore_ascii_case("FROM");
    }
    Err(syntax("a SELECT from a stage is expected."))
}

fn is_location(text: &str) -> bool {
    text.starts_with('@') || text.starts_with("s3://")
}

/// Which columns of the file a query asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Asked {
    /// Names in `$1:"name"` with nothing after them.
    pub fields: Vec<String>,
    /// `$1`, `$2`, … by number.
    pub numbers: Vec<usize>,
}

/// A query over one file.
#[derive(Clone, Debug)]
pub(crate) struct Query {
    before: String,
    after: String,
    asked: Asked,
    /// `FILE_FORMAT` and `PATTERN` in parentheses after the location.
    pub settings: Settings,
}

impl Query {
    /// Rewrites the pieces; `typed` tells that `$1` is a Parquet row.
    pub(crate) fn new(pieces: &[Piece], typed: bool) -> Result<Self, SqlError> {
        let (from, to) = span(pieces)?;
        let (settings, to) = arguments(pieces, to);
        let mut asked = Asked::default();
        let before = rewritten(pieces.get(..from).unwrap_or_default(), typed, &mut asked);
        let after = rewritten(pieces.get(to..).unwrap_or_default(), typed, &mut asked);
        Ok(Self { before, after, asked, settings })
    }

    /// Runs the query over a batch of a file.
    pub(crate) async fn run(
        &self,
        planning: &Planning<'_>,
        file: &str,
        batch: &Batch,
    ) -> Result<Vec<(Vec<Column>, RecordBatch)>, SqlError> {
        let id = uuid::Uuid::new_v4().to_string();
        let (columns, rows) = self.table(file, batch)?;
        planning.results.register(&id, &columns, vec![rows]);
        let compiled = self.over(&id).and_then(|tokens| planning.query(&tokens));
        planning.results.forget(&id);
        let compiled = compiled?;
        let columns = compiled.columns.clone();
        let batches: Vec<RecordBatch> =
            run(compiled).await?.try_collect().await.map_err(translate)?;
        Ok(batches.into_iter().map(|batch| (columns.clone(), batch)).collect())
    }

    /// The query over a registered result.
    pub(crate) fn over(&self, result: &str) -> Result<Tokens, SqlError> {
        let text = format!("{} TABLE(RESULT_SCAN('{result}')) {}", self.before, self.after);
        let tokens = split(&text)?.into_iter().next();
        tokens.ok_or_else(|| syntax("a SELECT is expected."))
    }

    /// The columns that the query asks for, without rows.
    pub(crate) fn empty(&self) -> Result<(Vec<Column>, RecordBatch), SqlError> {
        self.table("", &Batch::empty())
    }

    /// The columns that the query asks for, of a batch of a file.
    pub(crate) fn table(
        &self,
        file: &str,
        batch: &Batch,
    ) -> Result<(Vec<Column>, RecordBatch), SqlError> {
        let rows = batch.rows();
        let mut columns = Vec::new();
        let mut arrays: Vec<ArrayRef> = Vec::new();
        let mut push = |name: String, data_type: SnowType, array: ArrayRef| {
            columns.push(Column { name, data_type, nullable: true, origin: Default::default() });
            arrays.push(array);
        };
        for number in &self.asked.numbers {
            let (data_type, array) = batch.numbered(*number)?;
            push(format!("${number}"), data_type, array);
        }
        for name in &self.asked.fields {
            let (data_type, array) = batch.named(name);
            push(field_column(name), data_type, array);
        }
        let names = std::iter::repeat_n(Some(file), rows).collect::<StringArray>();
        push(FILE_NAME.to_owned(), SnowType::TEXT, Arc::new(names));
        let numbers = (0..rows).map(|row| batch.row_number(row));
        let numbers: Decimal128Array = numbers.map(|row| Some(i128::from(row))).collect();
        let number = SnowType::INTEGER;
        push(
            ROW_NUMBER.to_owned(),
            number.clone(),
            Arc::new(numbers.with_data_type(number.carrier())),
        );
        let schema = crate::sql::plan::carrier_schema(&columns);
        let rows = RecordBatch::try_new(schema, arrays);
        Ok((columns, rows.map_err(|error| unsupported(error.to_string()))?))
    }
}

/// Reads `(FILE_FORMAT => 'name', PATTERN => '…')` at a place and returns where it ends.
fn arguments(pieces: &[Piece], at: usize) -> (Settings, usize) {
    let mut settings = Settings::new();
    let token = |at: usize| pieces.get(at).map(|(token, ..)| token);
    if token(at) != Some(&Token::LParen) {
        return (settings, at);
    }
    let mut next = at + 1;
    while let (Some(Token::Word(name)), Some(Token::RArrow), Some(value)) =
        (token(next), token(next + 1), pieces.get(next + 2))
    {
        let text = match value {
            (Token::SingleQuotedString(text), ..) => text.clone(),
            (_, source, _) => source.clone(),
        };
        settings.insert(name.value.to_uppercase(), Setting::Text(text));
        next += 3;
        next += usize::from(token(next) == Some(&Token::Comma));
    }
    match token(next) {
        Some(Token::RParen) if !settings.is_empty() => (settings, next + 1),
        _ => (Settings::new(), at),
    }
}

fn field_column(name: &str) -> String {
    format!("$1:{name}")
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// The text of pieces with `$n` as columns.
fn rewritten(pieces: &[Piece], typed: bool, asked: &mut Asked) -> String {
    let mut out = String::new();
    let mut index = 0;
    while let Some((token, source, touches)) = pieces.get(index) {
        if !touches {
            out.push(' ');
        }
        index += 1;
        let number = match token {
            Token::Placeholder(mark) => {
                mark.strip_prefix('$').and_then(|digits| digits.parse().ok())
            }
            _ => None,
        };
        let Some(number) = number else {
            out.push_str(source);
            continue;
        };
        let kind = |at: usize| pieces.get(at).map(|(token, ..)| token);
        let field = match (kind(index), kind(index + 1)) {
            (Some(Token::Colon), Some(Token::Word(word))) if typed && number == 1 => {
                let goes_on = matches!(
                    kind(index + 2),
                    Some(Token::Period | Token::LBracket | Token::Colon | Token::LParen)
                );
                (!goes_on).then(|| word.value.clone())
            }
            _ => None,
        };
        match field {
            Some(name) => {
                out.push_str(&quoted(&field_column(&name)));
                if !asked.fields.contains(&name) {
                    asked.fields.push(name);
                }
                index += 2;
            }
            None => {
                out.push_str(&quoted(&format!("${number}")));
                if !asked.numbers.contains(&number) {
                    asked.numbers.push(number);
                }
            }
        }
    }
    out
}
