//! COPY INTO a location: the rows of a table or query become one file in a stage.
//!
//! | type | CSV | Parquet |
//! |---|---|---|
//! | NUMBER, TEXT, BOOLEAN, DATE, FLOAT, BINARY | text | the same |
//! | TIMESTAMP_NTZ | text in the session's format | microseconds; finer digits are cut |
//! | TIMESTAMP_LTZ, TIMESTAMP_TZ | text in the session's format | refused, as by the service |
//! | documents | JSON text | text |

use std::io::Write as _;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, TimestampMicrosecondArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Decimal256Type, Field, Schema, TimeUnit, i256};
use datafusion::sql::sqlparser::tokenizer::Token;
use flate2::write::GzEncoder;
use futures::TryStreamExt;
use parquet::arrow::ArrowWriter;
use parquet::basic::Compression as Codec;
use parquet::file::properties::WriterProperties;

use super::format::{Compression, Csv, Format};
use crate::engine::SqlError;
use crate::sql::error::{compile, no_warehouse, unsupported};
use crate::sql::plan::{Planning, run, translate};
use crate::sql::rows::Rows;
use crate::sql::stage::format_of;
use crate::sql::stage::location::{Location, storage_failed};
use crate::sql::stage::settings::{flag, settings as read_settings, unknown_property};
use crate::sql::tokens::{Tokens, split};
use crate::sql::value::{Reader, Value};
use crate::stages::{Attributes, Encryption, Settings};
use crate::types::{Column, SnowType};

/// A COPY INTO a location.
#[derive(Debug)]
pub(crate) struct Unload {
    location: Location,
    /// The query; of a table, all its rows.
    query: String,
    settings: Settings,
}

impl Unload {
    /// Whether a location follows, and no table.
    pub(crate) fn is_next(tokens: &Tokens) -> bool {
        match tokens.pieces().first() {
            Some((Token::SingleQuotedString(_), ..)) => true,
            Some((_, source, _)) => source.starts_with('@'),
            None => false,
        }
    }

    /// Reads what follows `COPY INTO`.
    pub(crate) fn parse(tokens: &mut Tokens) -> Result<Self, SqlError> {
        let target = tokens.unbroken()?;
        if !target.starts_with('@') {
            return Err(unsupported("COPY INTO a location outside of stages"));
        }
        let location = Location::parse(&target)?;
        tokens.expect("FROM")?;
        let query = if tokens.peek() == Some(&Token::LParen) {
            let before = tokens.pieces();
            tokens.skip_parentheses()?;
            let taken = before.len() - tokens.pieces().len();
            let inner = before.into_iter().take(taken.saturating_sub(1)).skip(1);
            inner.map(|(_, source, _)| source).collect::<Vec<_>>().join(" ")
        } else {
            let name = tokens.name()?;
            let quoted = name.iter().map(|part| format!("\"{}\"", part.replace('"', "\"\"")));
            format!("SELECT * FROM {}", quoted.collect::<Vec<_>>().join("."))
        };
        let settings = read_settings(tokens)?;
        tokens.end()?;
        let known =
            ["FILE_FORMAT", "OVERWRITE", "SINGLE", "HEADER", "MAX_FILE_SIZE", "DETAILED_OUTPUT"];
        if let Some(name) = settings.keys().find(|name| !known.contains(&name.as_str())) {
            return Err(unknown_property(name));
        }
        Ok(Self { location, query, settings })
    }

    /// Writes the file.
    pub(crate) async fn run(&self, planning: &Planning<'_>) -> Result<Rows, SqlError> {
        if planning.session.warehouse.is_none() {
            return Err(no_warehouse());
        }
        let found = self.location.find(planning)?;
        if found.stage.external.is_some() {
            return Err(unsupported("COPY INTO an external stage"));
        }
        let settings = format_of(planning, &self.settings)?;
        let settings = if settings.is_empty() { found.stage.format.clone() } else { settings };
        let format = Format::of(&settings)?;
        let tokens = split(&self.query)?.into_iter().next();
        let tokens = tokens.ok_or_else(|| compile("000900", "42601", "Empty SQL statement."))?;
        let compiled = planning.query(&tokens)?;
        let columns = compiled.columns.clone();
        let batches: Vec<RecordBatch> =
            run(compiled).await?.try_collect().await.map_err(translate)?;
        let header = flag(&self.settings, "HEADER", false)?;
        let (content, plain_bytes, suffix) = match &format {
            Format::Csv(csv) => as_csv(planning, (&columns, &batches), csv, header)?,
            Format::Parquet(_) => as_parquet(&columns, &batches, header)?,
            Format::Json(_) => return Err(unsupported("COPY INTO a location as JSON")),
        };
        let path = self.path(&found.path, suffix)?;
        let stages = &planning.catalog.stages;
        let there = stages.file(found.stage.id, &path).map_err(|error| storage_failed(&error))?;
        if there.is_some() && !flag(&self.settings, "OVERWRITE", false)? {
            return Err(compile(
                "001030",
                "22000",
                format!(
                    "Files already existing at the unload destination: {path}. Use overwrite option to force unloading."
                ),
            ));
        }
        let count: usize = batches.iter().map(RecordBatch::num_rows).sum();
        let written = content.len();
        let (content, key) = match found.stage.encryption {
            Encryption::SnowflakeSse => (content, None),
            Encryption::SnowflakeFull => {
                let (body, key) = found.stage.key.encrypt(&content, found.stage.id, "unload");
                (body, Some(key))
            }
        };
        stages
            .write(found.stage.id, &path, &content, Attributes { digest: None, key })
            .map_err(|error| storage_failed(&error))?;
        let number = |count: usize| Value::integer(u64::try_from(count).unwrap_or(u64::MAX));
        let kind = SnowType::INTEGER;
        let mut rows = Rows::new(vec![
            ("rows_unloaded", kind.clone()),
            ("input_bytes", kind.clone()),
            ("output_bytes", kind),
        ]);
        rows.push(vec![number(count), number(plain_bytes), number(written)]);
        Ok(rows)
    }

    /// The path is a file's with SINGLE, else a prefix to which the service adds its own numbers.
    fn path(&self, given: &str, suffix: &str) -> Result<String, SqlError> {
        if flag(&self.settings, "SINGLE", false)? {
            return Ok(if given.is_empty() { "data".to_owned() } else { given.to_owned() });
        }
        Ok(if given.is_empty() || given.ends_with('/') {
            format!("{given}data_0_0_0{suffix}")
        } else {
            format!("{given}_0_0_0{suffix}")
        })
    }
}

type Written = (Vec<u8>, usize, &'static str);

fn as_csv(
    planning: &Planning<'_>,
    (columns, batches): (&[Column], &[RecordBatch]),
    format: &Csv,
    header: bool,
) -> Result<Written, SqlError> {
    let mut out = String::new();
    let mut row_of = |cells: Vec<Option<String>>| {
        let cells = cells.into_iter().map(|cell| match (cell, format.enclosed_by) {
            (None, _) => format.null_if.first().cloned().unwrap_or_default(),
            (Some(text), Some(quote)) => {
                format!("{quote}{}{quote}", text.replace(quote, &format!("{quote}{quote}")))
            }
            (Some(text), None) => escaped(&text, format),
        });
        out.push_str(&cells.collect::<Vec<_>>().join(&format.field_delimiter));
        out.push_str(&format.record_delimiter);
    };
    if header {
        row_of(columns.iter().map(|column| Some(column.name.clone())).collect());
    }
    for batch in batches {
        let schema = batch.schema();
        let readers: Vec<Reader<'_>> = batch
            .columns()
            .iter()
            .zip(schema.fields())
            .map(|(array, field)| Reader::new(array, field))
            .collect();
        for row in 0..batch.num_rows() {
            let mut cells = Vec::with_capacity(readers.len());
            for reader in &readers {
                cells.push(match reader.get(row)? {
                    Value::Null => None,
                    Value::Json(text) => Some(text),
                    value => Some(planning.conversion.text(&value)),
                });
            }
            row_of(cells);
        }
    }
    let plain_bytes = out.len();
    if format.compression == Compression::None {
        return Ok((out.into_bytes(), plain_bytes, ".csv"));
    }
    let mut packed = GzEncoder::new(Vec::new(), flate2::Compression::default());
    let done = packed.write_all(out.as_bytes()).and_then(|()| packed.finish());
    Ok((done.map_err(|error| unsupported(error.to_string()))?, plain_bytes, ".csv.gz"))
}

fn escaped(text: &str, format: &Csv) -> String {
    let Some(escape) = format.escape.or(format.escape_unenclosed) else { return text.to_owned() };
    let mut out = text.replace(escape, &format!("{escape}{escape}"));
    for special in [&format.field_delimiter, &format.record_delimiter] {
        if !special.is_empty() {
            out = out.replace(special.as_str(), &format!("{escape}{special}"));
        }
    }
    out
}

fn as_parquet(
    columns: &[Column],
    batches: &[RecordBatch],
    header: bool,
) -> Result<Written, SqlError> {
    let failed = |error: &dyn std::fmt::Display| unsupported(format!("this Parquet file: {error}"));
    let mut fields = Vec::new();
    for (index, column) in columns.iter().enumerate() {
        let name = if header { column.name.clone() } else { format!("_COL_{index}") };
        fields.push(Field::new(name, stored_type(&column.data_type)?, true));
    }
    let schema = Arc::new(Schema::new(fields));
    let properties = WriterProperties::builder().set_compression(Codec::SNAPPY).build();
    let mut writer = ArrowWriter::try_new(Vec::new(), Arc::clone(&schema), Some(properties))
        .map_err(|error| failed(&error))?;
    let mut plain_bytes = 0;
    for batch in batches {
        plain_bytes += batch.get_array_memory_size();
        let mut arrays = Vec::with_capacity(columns.len());
        for (array, field) in batch.columns().iter().zip(schema.fields()) {
            arrays.push(stored(array, field.data_type())?);
        }
        let rows = RecordBatch::try_new(Arc::clone(&schema), arrays);
        writer.write(&rows.map_err(|error| failed(&error))?).map_err(|error| failed(&error))?;
    }
    let content = writer.into_inner().map_err(|error| failed(&error))?;
    Ok((content, plain_bytes, ".snappy.parquet"))
}

fn stored_type(data_type: &SnowType) -> Result<DataType, SqlError> {
    Ok(match data_type {
        SnowType::TimestampNtz { .. } => DataType::Timestamp(TimeUnit::Microsecond, None),
        SnowType::TimestampLtz { .. } | SnowType::TimestampTz { .. } => {
            return Err(compile(
                "002105",
                "0A000",
                "Error encountered when unloading to PARQUET: TIMESTAMP_TZ and LTZ types are not \
                 supported for unloading to Parquet.",
            ));
        }
        SnowType::Vector { .. } | SnowType::Decfloat => {
            return Err(unsupported(format!("{data_type} in a Parquet file")));
        }
        other if other.is_document() => DataType::Utf8,
        other => other.carrier(),
    })
}

fn stored(array: &ArrayRef, to: &DataType) -> Result<ArrayRef, SqlError> {
    if let (DataType::Timestamp(..), Some(nanos)) = (to, array.as_primitive_opt::<Decimal256Type>())
    {
        let micros = |nanos: i256| {
            nanos.to_i128().and_then(|nanos| i64::try_from(nanos.div_euclid(1000)).ok())
        };
        let micros = (0..nanos.len())
            .map(|row| if nanos.is_null(row) { None } else { micros(nanos.value(row)) });
        return Ok(Arc::new(micros.collect::<TimestampMicrosecondArray>()));
    }
    cast(array, to).map_err(|error| unsupported(error.to_string()))
}
