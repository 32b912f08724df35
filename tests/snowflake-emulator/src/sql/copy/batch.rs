//! Rows of a file, column by column, whatever the file's format.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, LargeStringArray, RecordBatch, StringArray, StructArray, new_null_array,
};
use bytes::Bytes;

use super::files::SourceFile;
use super::format::Format;
use super::parquet::{self, Read, Reading};
use super::text::{self, Fields, Record};
use crate::engine::SqlError;
use crate::sql::json::Json;
use crate::types::SnowType;

/// Some rows of a file.
#[derive(Debug)]
pub(crate) struct Batch {
    columns: Content,
    rows: usize,
    /// The number of the row before the first, from the start of the file.
    before: u64,
    /// Lines of the records in a text file.
    lines: Vec<u64>,
}

#[derive(Debug)]
enum Content {
    Parquet {
        columns: Vec<Read>,
        raw: RecordBatch,
        reading: Arc<Reading>,
    },
    /// Texts by position, and the names that a header gave.
    Csv {
        columns: Vec<ArrayRef>,
        names: Option<Vec<String>>,
    },
    Json(Vec<Json>),
}

impl Batch {
    /// No rows of no columns.
    pub(crate) fn empty() -> Self {
        Self { columns: Content::Json(Vec::new()), rows: 0, before: 0, lines: Vec::new() }
    }

    /// Number of fields of each record of a CSV file.
    pub(crate) fn width(&self) -> Option<usize> {
        match &self.columns {
            Content::Csv { columns, .. } => Some(columns.len()),
            Content::Parquet { .. } | Content::Json(_) => None,
        }
    }

    /// Names and types of a Parquet file's columns.
    pub(crate) fn fields(&self) -> Vec<(String, SnowType)> {
        match &self.columns {
            Content::Parquet { columns, .. } => {
                let columns = columns.iter();
                columns.map(|column| (column.name.clone(), column.data_type.clone())).collect()
            }
            Content::Csv { .. } | Content::Json(_) => Vec::new(),
        }
    }

    /// Number of rows.
    pub(crate) fn rows(&self) -> usize {
        self.rows
    }

    /// The number of a row in its file, from 1.
    pub(crate) fn row_number(&self, row: usize) -> u64 {
        self.before + u64::try_from(row).unwrap_or(0) + 1
    }

    /// One row.
    pub(crate) fn slice(&self, row: usize) -> Self {
        let columns = match &self.columns {
            Content::Parquet { columns, raw, reading } => Content::Parquet {
                columns: columns
                    .iter()
                    .map(|column| Read { array: column.array.slice(row, 1), ..column.clone() })
                    .collect(),
                raw: raw.slice(row, 1),
                reading: Arc::clone(reading),
            },
            Content::Csv { columns, names } => Content::Csv {
                columns: columns.iter().map(|column| column.slice(row, 1)).collect(),
                names: names.clone(),
            },
            Content::Json(documents) => {
                Content::Json(documents.get(row).cloned().into_iter().collect())
            }
        };
        let before = self.row_number(row) - 1;
        Self { columns, rows: 1, before, lines: vec![self.line(row)] }
    }

    /// The line that a row starts in.
    pub(crate) fn line(&self, row: usize) -> u64 {
        self.lines.get(row).copied().unwrap_or_else(|| self.row_number(row))
    }

    /// `$1`, `$2`, …: a field of CSV, the whole row of other files.
    pub(crate) fn numbered(&self, number: usize) -> Result<(SnowType, ArrayRef), SqlError> {
        match &self.columns {
            Content::Csv { columns, .. } => {
                let found = number.checked_sub(1).and_then(|index| columns.get(index));
                let array = found.cloned().unwrap_or_else(|| nulls(&SnowType::TEXT, self.rows));
                Ok((SnowType::TEXT, array))
            }
            _ if number != 1 => Ok((SnowType::Variant, nulls(&SnowType::Variant, self.rows))),
            Content::Json(documents) => {
                let texts = documents.iter().map(|document| Some(document.to_text()));
                Ok((SnowType::Variant, Arc::new(texts.collect::<LargeStringArray>())))
            }
            Content::Parquet { raw, reading, .. } => {
                let whole: ArrayRef = Arc::new(StructArray::from(raw.clone()));
                let mut texts = Vec::with_capacity(self.rows);
                for row in 0..self.rows {
                    texts.push(Some(reading.document(&whole, row)?.to_text()));
                }
                Ok((SnowType::Variant, Arc::new(LargeStringArray::from(texts))))
            }
        }
    }

    /// A field by its exact name; NULL where there is none.
    pub(crate) fn named(&self, name: &str) -> (SnowType, ArrayRef) {
        let found = self.field(|known| known == name);
        found.unwrap_or_else(|| (SnowType::Variant, nulls(&SnowType::Variant, self.rows)))
    }

    /// The first field with a name that is wanted.
    pub(crate) fn field(&self, wanted: impl Fn(&str) -> bool) -> Option<(SnowType, ArrayRef)> {
        match &self.columns {
            Content::Parquet { columns, .. } => {
                let found = columns.iter().find(|column| wanted(&column.name))?;
                Some((found.data_type.clone(), Arc::clone(&found.array)))
            }
            Content::Csv { columns, names } => {
                let index = names.as_ref()?.iter().position(|name| wanted(name))?;
                Some((SnowType::TEXT, Arc::clone(columns.get(index)?)))
            }
            Content::Json(documents) => {
                let member = |document: &Json| match document {
                    Json::Object(members) => {
                        let found = members.iter().find(|(name, _)| wanted(name));
                        found.map(|(_, value)| value.to_text()).filter(|text| text != "null")
                    }
                    _ => None,
                };
                let texts: LargeStringArray = documents.iter().map(member).collect();
                (texts.null_count() < texts.len() || texts.is_empty())
                    .then(|| (SnowType::Variant, Arc::new(texts) as ArrayRef))
            }
        }
    }
}

/// NULL as often as there are rows.
pub(crate) fn nulls(data_type: &SnowType, rows: usize) -> ArrayRef {
    new_null_array(&data_type.carrier(), rows)
}

/// Reads a file of any format into batches.
pub(crate) fn read(
    format: &Format,
    file: &SourceFile,
    content: Bytes,
) -> Result<Vec<Batch>, SqlError> {
    match format {
        Format::Parquet(format) => {
            let (reader, reading) = parquet::open(content, &file.shown, format)?;
            let reading = Arc::new(reading);
            let mut batches = Vec::new();
            let mut before = 0;
            for raw in reader {
                let raw = raw.map_err(|error| parquet::broken(&file.shown, &error.to_string()))?;
                let columns = parquet::columns(&raw, &reading)?;
                let rows = raw.num_rows();
                let columns = Content::Parquet { columns, raw, reading: Arc::clone(&reading) };
                batches.push(Batch { columns, rows, before, lines: Vec::new() });
                before += u64::try_from(rows).unwrap_or(0);
            }
            Ok(batches)
        }
        Format::Csv(format) => {
            let content = text::unpacked(content, format.compression, &file.shown)?;
            let (names, records) = text::csv(&content, format, &file.shown)?;
            Ok(csv_batches(names.as_ref(), &records))
        }
        Format::Json(format) => {
            let content = text::unpacked(content, format.compression, &file.shown)?;
            let records = text::json(&content, format, &file.shown)?;
            let lines = records.iter().map(|record| record.line).collect();
            let documents: Vec<Json> = records.into_iter().map(|record| record.content).collect();
            let rows = documents.len();
            let batch = Batch { columns: Content::Json(documents), rows, before: 0, lines };
            Ok(if rows == 0 { Vec::new() } else { vec![batch] })
        }
    }
}

/// Neighbouring records of one width make a batch, so that a wrong width is a matter of its rows.
fn csv_batches(names: Option<&Vec<String>>, records: &[Record<Fields>]) -> Vec<Batch> {
    let mut batches = Vec::new();
    let mut before = 0;
    for group in records.chunk_by(|a, b| a.content.len() == b.content.len()) {
        let width = group.first().map_or(0, |record| record.content.len());
        let column = |index: usize| -> ArrayRef {
            let texts = group.iter().map(|record| record.content.get(index).cloned().flatten());
            Arc::new(texts.collect::<StringArray>())
        };
        let columns = (0..width).map(column).collect();
        batches.push(Batch {
            columns: Content::Csv { columns, names: names.cloned() },
            rows: group.len(),
            before,
            lines: group.iter().map(|record| record.line).collect(),
        });
        before += u64::try_from(group.len()).unwrap_or(0);
    }
    batches
}
