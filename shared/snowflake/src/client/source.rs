//! [`Source`] over the driver protocol.

use std::ops::Range;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use snowferry_model::names::{Identifier, TableName};
use snowferry_model::plan::TablePlan;
use snowferry_model::types::{ColumnDescription, TableDescription};

use super::chunks::{OpenResult, stream_pieces};
use super::sql::{self, Kind};
use super::statement::{About, TextRows};
use super::{OPEN_RESULTS_KEPT, SnowflakeClient};
use crate::decode::{Decoder, parse_type};
use crate::{
    BatchStream, Profile, ProfileRequest, QueryId, ReadRequest, ResultState, SnowflakeError, Source,
};

/// How long one `open` waits for a statement.
const OPEN_WAIT: Duration = Duration::from_secs(45);

/// Links are kept this long; they live for six hours.
const LINKS_KEPT: Duration = Duration::from_secs(3600);

/// Longest query tag ("QUERY_TAG" in the parameter reference).
const TAG_MAX_CHARS: usize = 2000;

#[async_trait]
impl Source for SnowflakeClient {
    async fn describe(&self, table: &TableName) -> Result<TableDescription, SnowflakeError> {
        let Some(selection) = self.selections.get(table) else {
            return self.describe_object(table).await;
        };
        let described = match &selection.query {
            Some(query) => self.describe_query(table, query).await?,
            None => self.describe_object(table).await?,
        };
        selection.apply(table, described, self.hash_salt.as_ref())
    }

    async fn profile(&self, request: &ProfileRequest) -> Result<Profile, SnowflakeError> {
        let name = request.table.to_string();
        let about = About { object: &name };
        let statement = sql::profile(request, self.origin(&request.table))?;
        let texts = match self.session.texts(&statement, about).await {
            // Some kinds of tables have no change token; what is refused then is the statement.
            Err(SnowflakeError::Statement { .. }) if request.change_token => {
                let without = ProfileRequest { change_token: false, ..request.clone() };
                return self.profile(&without).await;
            }
            texts => texts?,
        };
        let row = texts.rows.into_iter().next().unwrap_or_default();
        let mut cells = Cells(row.into_iter());
        let mut profile = Profile { rows: cells.count()?, ..Profile::default() };
        if request.cursor.is_some() {
            profile.cursor_max = cells.text()?;
            profile.cursor_nulls = cells.count()?;
        }
        let ahead = sql::profile_ahead(request, self.origin(&request.table))?;
        if let Some(ahead) = ahead
            && cells.text()?.as_deref() == Some("true")
        {
            let texts = self.session.texts(&ahead, About { object: &name }).await?;
            let row = texts.rows.into_iter().next().unwrap_or_default();
            let mut cells = Cells(row.into_iter());
            profile.cursor_max = cells.text()?;
            profile.cursor_ahead = cells.count()?;
        }
        for column in &request.wide_integers {
            let facts = profile.facts.entry(column.clone()).or_default();
            facts.min = cells.text()?;
            facts.max = cells.text()?;
        }
        for column in &request.fine_timestamps {
            let fine = cells.count()?;
            profile.facts.entry(column.clone()).or_default().below_microseconds = fine > 0;
        }
        if request.change_token {
            profile.change_token = cells.text()?;
        }
        Ok(profile)
    }

    async fn submit(&self, request: &ReadRequest) -> Result<QueryId, SnowflakeError> {
        let mut statement = sql::read(request, self.origin(&request.table))?;
        if let Some(tag) = &mut statement.tag {
            *tag = tag.chars().take(TAG_MAX_CHARS).collect();
        }
        let name = request.table.to_string();
        self.session.submit(&statement, About { object: &name }).await
    }

    async fn open(&self, query: &QueryId) -> Result<ResultState, SnowflakeError> {
        // Asked anew on purpose: a result that is gone must be seen as gone.
        match self.session.result(query, OPEN_WAIT).await? {
            None => Ok(ResultState::Running),
            Some(result) => {
                let layout = result.layout.clone();
                self.keep(query, result);
                Ok(ResultState::Ready(layout))
            }
        }
    }

    async fn read(
        &self,
        query: &QueryId,
        range: Range<usize>,
        plan: &TablePlan,
    ) -> Result<BatchStream, SnowflakeError> {
        let open = match self.kept(query) {
            Some(open) => open,
            None => match self.session.result(query, OPEN_WAIT).await? {
                Some(result) => self.keep(query, result),
                None => return Err(refuse(query, "it is not finished yet".to_owned())),
            },
        };
        let result = open.result();
        let pieces = result.layout.pieces.len();
        if range.start > range.end || range.end > pieces {
            return Err(refuse(query, format!("pieces {range:?} of {pieces} were asked for")));
        }
        let decoder = Decoder::new(&result.declared, plan)?;
        Ok(stream_pieces(open, range, decoder, self.download_budget_bytes))
    }

    async fn cancel(&self, query: &QueryId) -> Result<(), SnowflakeError> {
        self.session.abort(query).await
    }
}

impl SnowflakeClient {
    /// Returns what a statement about a table reads.
    pub(super) fn origin<'a>(&'a self, table: &'a TableName) -> sql::Origin<'a> {
        let selection = self.selections.get(table);
        sql::Origin { table, selection, salt: self.hash_salt.as_ref() }
    }

    /// Returns an object with all of its columns, whatever is selected of it.
    ///
    /// # Errors
    /// [`SnowflakeError::NotFound`].
    pub async fn describe_object(
        &self,
        table: &TableName,
    ) -> Result<TableDescription, SnowflakeError> {
        let name = table.to_string();
        let about = About { object: &name };
        let described = self.session.texts(&sql::describe(table), about).await?;
        let columns = columns(&described)?;
        for kind in [Kind::Tables, Kind::Views] {
            let shown = self.session.texts(&sql::show_one(table, kind), about).await?;
            if let Some((kind, identity)) = exactly(&shown, table, kind) {
                return Ok(TableDescription { kind, identity, columns });
            }
        }
        // DESCRIBE knows it, SHOW does not: it went away in between.
        Err(SnowflakeError::NotFound { object: name, role: self.session.role() })
    }

    /// Compiles a query to learn its columns. Needs no warehouse.
    async fn describe_query(
        &self,
        table: &TableName,
        query: &super::SourceQuery,
    ) -> Result<TableDescription, SnowflakeError> {
        let name = format!("the query of {table}");
        let about = About { object: &name };
        let declared = self.session.compile(&sql::query_columns(query), about).await?;
        let mut columns = Vec::with_capacity(declared.len());
        for column in declared {
            let named = Identifier::new(column.name).map_err(|error| SnowflakeError::Request {
                object: name.clone(),
                reason: format!("a column of its result: {error}"),
            })?;
            columns.push(ColumnDescription {
                name: named,
                data_type: column.data_type,
                nullable: column.nullable,
                primary_key: false,
            });
        }
        // What it reads may be created anew unseen; another query is another selection.
        Ok(TableDescription { kind: "QUERY".to_owned(), identity: "query".to_owned(), columns })
    }

    fn kept(&self, query: &QueryId) -> Option<Arc<OpenResult>> {
        let mut kept = self.open_results.lock().unwrap_or_else(PoisonError::into_inner);
        kept.retain(|(_, since, _)| since.elapsed() < LINKS_KEPT);
        kept.iter().find(|(known, _, _)| known == query).map(|(_, _, open)| Arc::clone(open))
    }

    fn keep(&self, query: &QueryId, result: super::statement::FinishedResult) -> Arc<OpenResult> {
        let session = Arc::clone(&self.session);
        let open = OpenResult::new(session, query.clone(), result, self.chunk_timeout);
        let open = Arc::new(open);
        let mut kept = self.open_results.lock().unwrap_or_else(PoisonError::into_inner);
        kept.retain(|(known, _, _)| known != query);
        if kept.len() >= OPEN_RESULTS_KEPT {
            kept.remove(0);
        }
        kept.push((query.clone(), Instant::now(), Arc::clone(&open)));
        open
    }
}

/// Reads DESCRIBE by column name, because releases append columns.
pub(super) fn columns(described: &TextRows) -> Result<Vec<ColumnDescription>, SnowflakeError> {
    let missing = |what: &str| SnowflakeError::Protocol {
        step: "describe a table".to_owned(),
        reason: format!("a row without {what}"),
    };
    let mut columns = Vec::with_capacity(described.rows.len());
    for row in &described.rows {
        let is_column = described.get(row, "kind").is_none_or(|kind| kind == "COLUMN");
        if !is_column {
            continue;
        }
        let name = described.get(row, "name").ok_or_else(|| missing("name"))?;
        let data_type = described.get(row, "type").ok_or_else(|| missing("type"))?;
        columns.push(ColumnDescription {
            name: Identifier::new(name).map_err(|_| missing("a usable name"))?,
            data_type: parse_type(&data_type),
            nullable: described.get(row, "null?").is_none_or(|flag| flag != "N"),
            primary_key: described.get(row, "primary key").is_some_and(|flag| flag == "Y"),
        });
    }
    Ok(columns)
}

/// Finds the object of exactly this name; LIKE ignores case.
pub(super) fn exactly(shown: &TextRows, table: &TableName, kind: Kind) -> Option<(String, String)> {
    let same = |row: &&Vec<Option<String>>, column: &str, wanted: &Identifier| {
        shown.get(row, column).is_none_or(|found| found == wanted.as_str())
    };
    let row = shown.rows.iter().find(|row| {
        shown.get(row, "name").as_deref() == Some(table.table.as_str())
            && same(row, "schema_name", &table.schema)
            && same(row, "database_name", &table.database)
    })?;
    let word = match kind {
        Kind::Tables => "TABLE",
        Kind::Views => "VIEW",
    };
    Some((word.to_owned(), shown.get(row, "created_on")?))
}

/// The cells of the one row of a profile, in the order of its statement.
struct Cells(std::vec::IntoIter<Option<String>>);

impl Cells {
    fn text(&mut self) -> Result<Option<String>, SnowflakeError> {
        self.0.next().ok_or_else(|| unreadable("a cell is missing"))
    }

    fn count(&mut self) -> Result<u64, SnowflakeError> {
        let text = self.text()?;
        let count = text.as_deref().unwrap_or("0").parse();
        count.map_err(|_| unreadable("a count is no number"))
    }
}

fn unreadable(reason: &str) -> SnowflakeError {
    SnowflakeError::Protocol { step: "profile a table".to_owned(), reason: reason.to_owned() }
}

fn refuse(query: &QueryId, reason: String) -> SnowflakeError {
    SnowflakeError::Request { object: format!("the result {query}"), reason }
}
