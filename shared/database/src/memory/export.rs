//! Queries to the fake: one table, whole or some of its columns, as of any committed state.
//!
//! `SELECT * FROM name` and `SELECT a, "b c" FROM name` are understood, nothing else: a fake that
//! planned SQL would bring a query engine into every test of an engine.

use std::sync::Arc;

use arrow::datatypes::{Schema, SchemaRef};
use async_trait::async_trait;
use snowferry_model::export::{
    EXPORT_VERSION, ExportColumn, ExportQuery, ExportSnapshot, ExportSource, PinnedTable,
};
use snowferry_model::names::{Identifier, split_name};
use snowferry_model::state::StreamKey;

use super::{MemoryDatabase, TableVersion};
use crate::meaning::resolve;
use crate::{BatchStream, DatabaseError, Description, Export};

/// All tables of a database in memory are of one making.
const TABLE_ID: &str = "memory";

#[async_trait]
impl Export for MemoryDatabase {
    async fn tables(&self) -> Result<Vec<StreamKey>, DatabaseError> {
        let mut tables: Vec<_> = self.locked().keys().cloned().collect();
        tables.sort();
        Ok(tables)
    }

    async fn describe(&self, query: &ExportQuery) -> Result<Description, DatabaseError> {
        if let Some(name) = query.parameters.keys().next() {
            let reason = "the query does not use it".to_owned();
            return Err(DatabaseError::Parameter { name: name.clone(), reason });
        }
        let tables = self.tables().await?;
        let question = Question::read(query, &tables)?;
        let (table_version, version) = self.newest(&question.stream)?;
        let schema = question.schema(&version.schema)?;
        let pinned = PinnedTable {
            stream: question.stream,
            table_id: TABLE_ID.to_owned(),
            table_version,
            ledger: Some(version.ledger),
        };
        let columns = schema.fields().iter().map(|field| ExportColumn {
            name: field.name().clone(),
            data_type: field.data_type().to_string(),
        });
        let snapshot = ExportSnapshot {
            version: EXPORT_VERSION,
            query: query.clone(),
            tables: vec![pinned],
            columns: columns.collect(),
        };
        Ok(Description { schema, snapshot })
    }

    async fn open(&self, snapshot: &ExportSnapshot) -> Result<BatchStream, DatabaseError> {
        let streams: Vec<_> = snapshot.tables.iter().map(|table| table.stream.clone()).collect();
        let question = Question::read(&snapshot.query, &streams)?;
        let pinned = snapshot.tables.iter().find(|table| table.stream == question.stream);
        let pinned = pinned.ok_or_else(|| refuse("the snapshot has no such table"))?;
        let version = self.version(pinned)?;
        let wanted = question.indices(&version.schema)?;
        let batches: Vec<_> = version
            .rows
            .iter()
            .map(|batch| batch.project(&wanted).map_err(|error| refuse(&error.to_string())))
            .collect();
        Ok(Box::pin(futures::stream::iter(batches)))
    }
}

impl MemoryDatabase {
    fn newest(&self, stream: &StreamKey) -> Result<(u64, TableVersion), DatabaseError> {
        let tables = self.locked();
        let versions = tables.get(stream).map(|table| &table.versions);
        let newest = versions.and_then(|versions| Some((versions.len(), versions.last()?.clone())));
        let (number, version) = newest.ok_or_else(|| refuse("the table is gone"))?;
        Ok((number as u64, version))
    }

    fn version(&self, pinned: &PinnedTable) -> Result<TableVersion, DatabaseError> {
        let tables = self.locked();
        let found = tables
            .get(&pinned.stream)
            .filter(|_| pinned.table_id == TABLE_ID)
            .zip(usize::try_from(pinned.table_version).ok())
            .and_then(|(table, number)| table.versions.get(number.checked_sub(1)?).cloned());
        found.ok_or_else(|| DatabaseError::SnapshotGone {
            table: pinned.stream.to_string(),
            table_version: pinned.table_version,
            source: "there is no such version".into(),
        })
    }
}

/// What is asked for.
struct Question {
    stream: StreamKey,
    /// `None`: all columns.
    columns: Option<Vec<Identifier>>,
}

impl Question {
    fn read(query: &ExportQuery, tables: &[StreamKey]) -> Result<Self, DatabaseError> {
        let sql = match &query.source {
            ExportSource::Table(stream) => {
                let parts = full_parts(stream);
                let found = resolve(&parts, tables, query.connection.as_ref())?;
                return Ok(Self { stream: found.clone(), columns: None });
            }
            ExportSource::Sql(sql) => sql,
        };
        let understood = || refuse("the database in memory understands SELECT … FROM table only");
        let rest = after_word(sql, "SELECT").ok_or_else(understood)?;
        let from = rest.to_ascii_uppercase().find(" FROM ").ok_or_else(understood)?;
        let (list, rest) = rest.split_at(from);
        let name = after_word(rest, "FROM").ok_or_else(understood)?;
        let name = split_name(name.trim()).map_err(|error| refuse(&error.to_string()))?;
        let parts: Vec<_> = name.iter().map(Identifier::as_str).collect();
        let stream = resolve(&parts, tables, query.connection.as_ref())?.clone();
        let columns = match list.trim() {
            "*" => None,
            list => Some(list.split(',').map(column).collect::<Result<_, _>>()?),
        };
        Ok(Self { stream, columns })
    }

    fn indices(&self, schema: &Schema) -> Result<Vec<usize>, DatabaseError> {
        let Some(columns) = &self.columns else { return Ok((0..schema.fields().len()).collect()) };
        let index = |column: &Identifier| {
            let found = schema.index_of(column.as_str());
            found.map_err(|_| refuse(&format!("{} has no column {column}", self.stream)))
        };
        columns.iter().map(index).collect()
    }

    fn schema(&self, table: &Schema) -> Result<SchemaRef, DatabaseError> {
        let projected = table.project(&self.indices(table)?);
        Ok(Arc::new(projected.map_err(|error| refuse(&error.to_string()))?))
    }
}

fn column(written: &str) -> Result<Identifier, DatabaseError> {
    Identifier::parse(written.trim()).map_err(|error| refuse(&error.to_string()))
}

fn full_parts(stream: &StreamKey) -> [&str; 4] {
    let table = &stream.table;
    let connection = stream.connection.as_str();
    [connection, table.database.as_str(), table.schema.as_str(), table.table.as_str()]
}

fn after_word<'a>(text: &'a str, word: &str) -> Option<&'a str> {
    let text = text.trim_start();
    let (first, rest) = text.split_at_checked(word.len())?;
    first.eq_ignore_ascii_case(word).then_some(rest)
}

fn refuse(reason: &str) -> DatabaseError {
    DatabaseError::Query { reason: reason.to_owned(), hint: None }
}
