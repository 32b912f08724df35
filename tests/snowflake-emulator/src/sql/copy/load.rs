//! Columns of files become rows of the table, or failures with their row.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, LargeStringArray, RecordBatch, StringArray};
use bytes::Bytes;

use super::batch::{Batch, nulls, read};
use super::command::{ByName, CopyInto, Source};
use super::files::SourceFile;
use super::format::{BinaryFormat, Format};
use super::transform::Query;
use crate::catalog::{ColumnDef, Table};
use crate::engine::SqlError;
use crate::sql::convert::{Conversion, Failure as OnFailure, hex};
use crate::sql::dml;
use crate::sql::error::{compile, invalid_identifier, unsupported};
use crate::sql::json::Json;
use crate::sql::plan::Planning;
use crate::types::SnowType;

/// Failures that are kept with their words; all are counted.
const KEPT_FAILURES: usize = 1000;

/// A row that could not be loaded.
#[derive(Clone, Debug)]
pub(crate) struct Failure {
    pub error: SqlError,
    /// From 1, in the file.
    pub row: u64,
    pub line: u64,
    /// As the answer names it: `"T"["COL":1]`.
    pub column: Option<String>,
}

/// The failures of a file.
#[derive(Debug, Default)]
pub(crate) struct Failures {
    pub count: u64,
    /// The first of them.
    pub all: Vec<Failure>,
}

impl Failures {
    /// Takes over what came later.
    pub(crate) fn merge(&mut self, later: Self) {
        self.count += later.count;
        let room = KEPT_FAILURES.saturating_sub(self.all.len());
        self.all.extend(later.all.into_iter().take(room));
    }

    /// Notes a file that cannot be read at all.
    pub(crate) fn note_file(&mut self, error: &SqlError) {
        self.note(Failure { error: error.clone(), row: 1, line: 1, column: None });
    }

    fn note(&mut self, failure: Failure) {
        self.count += 1;
        if self.all.len() < KEPT_FAILURES {
            self.all.push(failure);
        }
    }
}

/// What became of a batch.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    pub batches: Vec<RecordBatch>,
    pub failures: Failures,
}

/// Values for some columns of the table.
struct Given {
    positions: Vec<usize>,
    values: Vec<(SnowType, ArrayRef)>,
    rows: usize,
}

impl Given {
    fn slice(&self, row: usize) -> Self {
        let values = self.values.iter();
        Self {
            positions: self.positions.clone(),
            values: values.map(|(kind, array)| (kind.clone(), array.slice(row, 1))).collect(),
            rows: 1,
        }
    }
}

/// Loads the files of one COPY.
pub(crate) struct Loader<'a> {
    planning: &'a Planning<'a>,
    table: &'a Table,
    columns: Arc<Vec<ColumnDef>>,
    copy: &'a CopyInto,
    format: &'a Format,
    query: Option<Query>,
    /// Places of the columns that the statement names, of all when it names none.
    positions: Vec<usize>,
}

impl<'a> Loader<'a> {
    /// Checks that the columns, the format and the way of matching go together.
    pub(crate) fn new(
        planning: &'a Planning<'a>,
        table: &'a Table,
        copy: &'a CopyInto,
        format: &'a Format,
    ) -> Result<Self, SqlError> {
        let columns = table.columns();
        let mut positions = Vec::new();
        for name in &copy.columns {
            let position = columns.iter().position(|column| column.name == *name);
            positions.push(position.ok_or_else(|| invalid_identifier(name))?);
        }
        if copy.columns.is_empty() {
            positions = (0..columns.len()).collect();
        }
        let query = match &copy.source {
            Source::Query(pieces) => {
                Some(Query::new(pieces, matches!(format, Format::Parquet(_)))?)
            }
            Source::Location(_) => None,
        };
        let loader = Self { planning, table, columns, copy, format, query, positions };
        loader.check()?;
        Ok(loader)
    }

    /// A file of documents fills one column, unless its columns are matched or selected.
    fn check(&self) -> Result<(), SqlError> {
        let by_position = self.query.is_none() && self.copy.by_name.is_none();
        if !by_position || matches!(self.format, Format::Csv(_)) {
            if self.copy.by_name.is_some()
                && matches!(self.format, Format::Csv(csv) if !csv.parse_header)
            {
                return Err(compile(
                    "002019",
                    "0A000",
                    "MATCH_BY_COLUMN_NAME with CSV needs PARSE_HEADER = TRUE",
                ));
            }
            return Ok(());
        }
        let single = match self.positions.as_slice() {
            [only] => self.columns.get(*only),
            _ => None,
        };
        if single.is_some_and(|column| {
            matches!(column.data_type, SnowType::Variant | SnowType::Object | SnowType::Array)
        }) {
            return Ok(());
        }
        Err(compile(
            "002019",
            "0A000",
            format!(
                "{} file format can produce one and only one column of type variant, object, or \
                 array. Load data into separate columns using the MATCH_BY_COLUMN_NAME copy \
                 option or copy with transformation.",
                self.format.name()
            ),
        ))
    }

    /// Reads a file into batches.
    pub(crate) fn read(&self, file: &SourceFile, content: Bytes) -> Result<Vec<Batch>, SqlError> {
        read(self.format, file, content)
    }

    /// Converts a batch; with `abort` the first bad row fails, else bad rows are left out.
    pub(crate) async fn load(
        &self,
        file: &SourceFile,
        batch: Batch,
        abort: bool,
    ) -> Result<Outcome, SqlError> {
        let mut outcome = Outcome::default();
        let given = match self.given(file, &batch).await {
            Ok(given) => given,
            Err(error) if abort => return Err(error),
            Err(error) if batch.rows() == 1 => {
                let (row, line) = (batch.row_number(0), batch.line(0));
                outcome.failures.note(Failure { error, row, line, column: None });
                return Ok(outcome);
            }
            Err(_) => {
                for row in 0..batch.rows() {
                    let one = Box::pin(self.load(file, batch.slice(row), abort)).await?;
                    outcome.failures.merge(one.failures);
                    outcome.batches.extend(one.batches);
                }
                return Ok(outcome);
            }
        };
        for given in given {
            match self.convert(&given) {
                Ok(rows) => outcome.batches.push(rows),
                Err(_) => self.row_by_row(file, &batch, &given, abort, &mut outcome)?,
            }
        }
        Ok(outcome)
    }

    /// Finds out which rows are bad.
    fn row_by_row(
        &self,
        file: &SourceFile,
        batch: &Batch,
        given: &Given,
        abort: bool,
        outcome: &mut Outcome,
    ) -> Result<(), SqlError> {
        for row in 0..given.rows {
            match self.convert(&given.slice(row)) {
                Ok(rows) => outcome.batches.push(rows),
                Err((error, column)) => {
                    let failure = Failure {
                        row: batch.row_number(row),
                        line: batch.line(row),
                        column: column.map(|index| self.column_name(index)),
                        error,
                    };
                    if abort {
                        return Err(aborted(file, &failure));
                    }
                    outcome.failures.note(failure);
                }
            }
        }
        Ok(())
    }

    fn column_name(&self, index: usize) -> String {
        let name = self.columns.get(index).map_or("", |column| column.name.as_str());
        format!("\"{}\"[\"{name}\":{}]", self.table.name, index + 1)
    }

    /// The values that a batch gives to columns.
    async fn given(&self, file: &SourceFile, batch: &Batch) -> Result<Vec<Given>, SqlError> {
        if let Some(query) = &self.query {
            let mut all = Vec::new();
            for (columns, rows) in query.run(self.planning, &file.shown, batch).await? {
                if columns.len() != self.positions.len() {
                    return Err(wrong_width(self.positions.len(), columns.len()));
                }
                let kinds = columns.iter().map(|column| column.data_type.clone());
                let values = kinds.zip(rows.columns().iter().cloned()).collect();
                let positions = self.positions.clone();
                all.push(Given { positions, values, rows: rows.num_rows() });
            }
            return Ok(all);
        }
        if let Some(by_name) = self.copy.by_name {
            return Ok(vec![self.matched(batch, by_name)]);
        }
        let mut values = Vec::new();
        match batch.width() {
            Some(found) => {
                let strict =
                    matches!(self.format, Format::Csv(csv) if csv.error_on_column_count_mismatch);
                if strict && found != self.positions.len() {
                    return Err(wrong_count(file, batch, found, self.positions.len()));
                }
                for number in 1..=self.positions.len() {
                    values.push(batch.numbered(number)?);
                }
            }
            None => values.push(batch.numbered(1)?),
        }
        Ok(vec![Given { positions: self.positions.clone(), values, rows: batch.rows() }])
    }

    /// Columns by name; what the file lacks is NULL, whatever the default.
    fn matched(&self, batch: &Batch, by_name: ByName) -> Given {
        let mut values = Vec::new();
        for column in self.columns.iter() {
            let found = batch.field(|name| match by_name {
                ByName::CaseSensitive => name == column.name,
                ByName::CaseInsensitive => name.eq_ignore_ascii_case(&column.name),
            });
            values.push(found.unwrap_or_else(|| {
                (column.data_type.clone(), nulls(&column.data_type, batch.rows()))
            }));
        }
        Given { positions: (0..self.columns.len()).collect(), values, rows: batch.rows() }
    }

    /// Rows of the table's types, or the error and the column's place.
    fn convert(&self, given: &Given) -> Result<RecordBatch, (SqlError, Option<usize>)> {
        let mut arrays = Vec::with_capacity(given.values.len());
        for ((kind, array), position) in given.values.iter().zip(&given.positions) {
            let column = self.columns.get(*position);
            let column = column.ok_or_else(|| (unsupported("this column"), None))?;
            let at = |error| (error, Some(*position));
            let array = self.prepared(kind, array, column).map_err(at)?;
            let array = cast(&self.planning.conversion, kind, &array, column).map_err(at)?;
            if !column.nullable && array.null_count() > 0 {
                return Err(at(crate::sql::error::null_in_not_null(&column.name)));
            }
            arrays.push(array);
        }
        dml::complete(self.planning, arrays, given.rows, &self.columns, &given.positions)
            .map_err(|error| (error, None))
    }

    /// Texts cut to the column's length if the statement wants it; bytes of CSV as hexadecimal.
    fn prepared(
        &self,
        kind: &SnowType,
        array: &ArrayRef,
        column: &ColumnDef,
    ) -> Result<ArrayRef, SqlError> {
        let Some(texts) = array.as_string_opt::<i32>() else { return Ok(Arc::clone(array)) };
        if !matches!(kind, SnowType::Text { .. }) {
            return Ok(Arc::clone(array));
        }
        match (&column.data_type, self.format) {
            (SnowType::Text { length }, _) if self.copy.truncate => {
                let length = usize::try_from(*length).unwrap_or(usize::MAX);
                let cut = |text: &str| text.chars().take(length).collect::<String>();
                let cut = texts.iter().map(|text| text.map(cut));
                Ok(Arc::new(cut.collect::<StringArray>()))
            }
            (SnowType::Binary { .. }, Format::Csv(csv)) if csv.binary != BinaryFormat::Hex => {
                let mut encoded = Vec::with_capacity(texts.len());
                for text in texts.iter() {
                    encoded.push(text.map(|text| as_hex(text, csv.binary)).transpose()?);
                }
                Ok(Arc::new(StringArray::from(encoded)))
            }
            _ => Ok(Arc::clone(array)),
        }
    }
}

fn as_hex(text: &str, format: BinaryFormat) -> Result<String, SqlError> {
    use base64::Engine as _;
    let bytes = match format {
        BinaryFormat::Base64 => {
            base64::engine::general_purpose::STANDARD.decode(text).map_err(|_| SqlError {
                code: "100116",
                sql_state: "22000",
                message: "The following string is not a legal base64-encoded value".to_owned(),
            })?
        }
        _ => text.as_bytes().to_vec(),
    };
    Ok(hex(&bytes))
}

fn cast(
    conversion: &Conversion,
    kind: &SnowType,
    array: &ArrayRef,
    column: &ColumnDef,
) -> Result<ArrayRef, SqlError> {
    if array.null_count() == array.len() {
        return Ok(nulls(&column.data_type, array.len()));
    }
    let document =
        matches!(column.data_type, SnowType::Variant | SnowType::Object | SnowType::Array);
    // Text in a file is a document where a document is wanted.
    if document && matches!(kind, SnowType::Text { .. }) {
        let texts = array.as_string_opt::<i32>().ok_or_else(|| unsupported("this text"))?;
        let documents = texts.iter().map(|text| {
            text.map(|text| match crate::sql::json::parse(text) {
                Ok(json) => json.to_text(),
                Err(_) => Json::String(text.to_owned()).to_text(),
            })
        });
        let documents: ArrayRef = Arc::new(documents.collect::<LargeStringArray>());
        let field = SnowType::Variant.field("", true);
        return conversion.array(&documents, &field, &column.data_type, OnFailure::Error);
    }
    conversion.array(array, &kind.field("", true), &column.data_type, OnFailure::Error)
}

fn wrong_width(expected: usize, got: usize) -> SqlError {
    let message =
        format!("Insert value list does not match column list expecting {expected} but got {got}");
    compile("002057", "42601", message)
}

fn wrong_count(file: &SourceFile, batch: &Batch, found: usize, wanted: usize) -> SqlError {
    SqlError {
        code: "100080",
        sql_state: "22000",
        message: format!(
            "Number of columns in file ({found}) does not match that of the corresponding table \
             ({wanted}), use file format option error_on_column_count_mismatch=false to ignore \
             this error\n  File '{}', line {}, character 1",
            file.shown,
            batch.line(0)
        ),
    }
}

/// The error of a statement that a bad row ends.
fn aborted(file: &SourceFile, failure: &Failure) -> SqlError {
    let column = failure.column.as_deref().unwrap_or("unknown");
    SqlError {
        message: format!(
            "{}\n  File '{}', line {}, character 1\n  Row {}, column {column}\n  If you would like \
             to continue loading when an error is encountered, use other values such as \
             'SKIP_FILE' or 'CONTINUE' for the ON_ERROR option. For more information on loading \
             options, please run 'info loading_data' in a SQL client.",
            failure.error.message, file.shown, failure.line, failure.row
        ),
        ..failure.error.clone()
    }
}
