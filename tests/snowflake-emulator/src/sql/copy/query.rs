//! Queries that read stages: `SELECT … FROM @stage` and `TABLE(INFER_SCHEMA(…))`.
//!
//! Either becomes a query over a result that is registered for the time of planning.

use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, Decimal128Array, RecordBatch, StringArray};
use datafusion::sql::sqlparser::tokenizer::Token;

use super::batch::{Batch, read};
use super::files::place;
use super::format::Format;
use super::transform::{self, Query};
use crate::engine::SqlError;
use crate::sql::error::{syntax, unsupported};
use crate::sql::plan::Planning;
use crate::sql::tokens::{Tokens, split};
use crate::stages::{Setting, Settings};
use crate::types::{Column, SnowType};

/// A query in which stages are replaced by a registered result.
#[derive(Debug)]
pub(crate) struct Staged {
    pub tokens: Tokens,
    /// To be forgotten once the query is planned.
    pub result: String,
}

/// Prepares a query that reads a stage; `None` for every other.
pub(crate) async fn staged(
    planning: &Planning<'_>,
    tokens: &Tokens,
) -> Result<Option<Staged>, SqlError> {
    let reads_stage = tokens.pieces().iter().any(|(token, source, _)| {
        source.starts_with('@')
            || source.eq_ignore_ascii_case("INFER_SCHEMA")
            || matches!(token, Token::SingleQuotedString(text) if text.starts_with('@'))
    });
    if !reads_stage {
        return Ok(None);
    }
    let bound = tokens.clone().bound(planning.binds)?;
    let pieces = bound.pieces();
    if let Some(at) =
        pieces.iter().position(|(_, source, _)| source.eq_ignore_ascii_case("INFER_SCHEMA"))
    {
        return inferred(planning, &pieces, at).await.map(Some);
    }
    if transform::location(&pieces).is_err() {
        return Ok(None);
    }
    let query = Query::new(&pieces, false)?;
    let settings = query.settings.clone();
    let place = place(planning, &transform::location(&pieces)?, &settings)?;
    let format = Format::of(&place.format)?;
    let pattern = match settings.get("PATTERN") {
        Some(Setting::Text(text)) => Some(crate::sql::stage::list::pattern(text)?),
        _ => None,
    };
    let mut files = place.all().await?;
    files.retain(|file| pattern.as_ref().is_none_or(|wanted| wanted.is_match(&file.path)));
    let listing = place.listing(files);
    let mut columns = query.empty()?.0;
    let mut rows = Vec::new();
    for file in &listing.files {
        for batch in read(&format, file, listing.read(planning, file).await?)? {
            let (found, batch) = query.table(&file.shown, &batch)?;
            columns = found;
            rows.push(batch);
        }
    }
    let result = uuid::Uuid::new_v4().to_string();
    planning.results.register(&result, &columns, rows);
    Ok(Some(Staged { tokens: query.over(&result)?, result }))
}

/// A column with the files that have it.
type Inferred = (String, SnowType, Vec<String>);

/// Replaces `INFER_SCHEMA(LOCATION => …, FILE_FORMAT => …)` by what it gives.
async fn inferred(
    planning: &Planning<'_>,
    pieces: &[(Token, String, bool)],
    at: usize,
) -> Result<Staged, SqlError> {
    let mut arguments = Settings::new();
    let mut end = at + 2;
    while let Some((token, source, _)) = pieces.get(end) {
        if *token == Token::RParen {
            break;
        }
        let value = match (pieces.get(end + 1), pieces.get(end + 2)) {
            (Some((Token::RArrow, ..)), Some((Token::SingleQuotedString(text), ..))) => text,
            _ => return Err(unsupported("this INFER_SCHEMA")),
        };
        arguments.insert(source.to_uppercase(), Setting::Text(value.clone()));
        end += 3;
        if pieces.get(end).is_some_and(|(token, ..)| *token == Token::Comma) {
            end += 1;
        }
    }
    let Some(Setting::Text(location)) = arguments.get("LOCATION") else {
        return Err(syntax("INFER_SCHEMA needs LOCATION."));
    };
    let place = place(planning, location, &arguments)?;
    let Format::Parquet(format) = Format::of(&place.format)? else {
        return Err(unsupported("INFER_SCHEMA of other files than Parquet"));
    };
    let listing = place.listing(place.all().await?);
    let mut found: Vec<Inferred> = Vec::new();
    for file in &listing.files {
        let content = listing.read(planning, file).await?;
        let batches = read(&Format::Parquet(format.clone()), file, content)?;
        for (name, data_type) in batches.first().map(Batch::fields).unwrap_or_default() {
            match found.iter_mut().find(|(known, ..)| *known == name) {
                Some((_, _, files)) => files.push(file.shown.clone()),
                None => found.push((name, data_type, vec![file.shown.clone()])),
            }
        }
    }
    let result = uuid::Uuid::new_v4().to_string();
    let (columns, rows) = schema_rows(&found)?;
    planning.results.register(&result, &columns, vec![rows]);
    let text = |pieces: &[(Token, String, bool)]| {
        pieces.iter().map(|(_, source, _)| source.as_str()).collect::<Vec<_>>().join(" ")
    };
    let before = text(pieces.get(..at).unwrap_or_default());
    let after = text(pieces.get(end + 1..).unwrap_or_default());
    let replaced = format!("{before} RESULT_SCAN('{result}') {after}");
    let tokens = split(&replaced)?.into_iter().next();
    Ok(Staged { tokens: tokens.ok_or_else(|| syntax("a SELECT is expected."))?, result })
}

fn schema_rows(found: &[Inferred]) -> Result<(Vec<Column>, RecordBatch), SqlError> {
    let texts = |of: &dyn Fn(&Inferred) -> String| -> ArrayRef {
        Arc::new(found.iter().map(|row| Some(of(row))).collect::<StringArray>())
    };
    let orders: Decimal128Array = (0..found.len()).map(|row| i128::try_from(row).ok()).collect();
    let orders = orders.with_data_type(SnowType::INTEGER.carrier());
    let parts: Vec<(&str, SnowType, ArrayRef)> = vec![
        ("COLUMN_NAME", SnowType::TEXT, texts(&|row| row.0.clone())),
        ("TYPE", SnowType::TEXT, texts(&|row| shown_type(&row.1))),
        ("NULLABLE", SnowType::Boolean, Arc::new(BooleanArray::from(vec![true; found.len()]))),
        (
            "EXPRESSION",
            SnowType::TEXT,
            texts(&|row| format!("$1:{}::{}", row.0, shown_type(&row.1))),
        ),
        ("FILENAMES", SnowType::TEXT, texts(&|row| row.2.join(", "))),
        ("ORDER_ID", SnowType::INTEGER, Arc::new(orders)),
    ];
    let mut columns = Vec::new();
    let mut arrays = Vec::new();
    for (name, data_type, array) in parts {
        let (name, origin) = (name.to_owned(), Default::default());
        columns.push(Column { name, data_type, nullable: true, origin });
        arrays.push(array);
    }
    let schema = crate::sql::plan::carrier_schema(&columns);
    let rows = RecordBatch::try_new(schema, arrays);
    Ok((columns, rows.map_err(|error| unsupported(error.to_string()))?))
}

/// Types as INFER_SCHEMA names them: without lengths and scales of times.
fn shown_type(data_type: &SnowType) -> String {
    match data_type {
        SnowType::Number { precision, scale } => format!("NUMBER({precision}, {scale})"),
        SnowType::Float => "REAL".to_owned(),
        other => other.name().to_owned(),
    }
}
