//! A source in memory with versions by commit time: the fake that engines are tested on.
//!
//! Tables hold every version of every row together with the commit that made it and the commit
//! that ended it. A statement sees the commits that were there when it was submitted, whatever is
//! committed afterwards. Commits and cursor values are independent: a transaction that commits
//! late may carry an old cursor value, which is how rows are lost by careless engines.
//!
//! ```
//! # use snowferry_snowflake::memory::{MemorySource, MemoryValue};
//! # use snowferry_model::types::{ColumnDescription, SnowflakeType};
//! # use snowferry_model::names::{Identifier, TableName};
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let source = MemorySource::new();
//! let orders: TableName = "DB.SC.ORDERS".parse()?;
//! source.create_table(orders.clone(), vec![ColumnDescription {
//!     name: Identifier::new("ID")?,
//!     data_type: SnowflakeType::Number { precision: 38, scale: 0 },
//!     nullable: false,
//!     primary_key: true,
//! }])?;
//! source.commit(|tx| {
//!     tx.insert(&orders, vec![MemoryValue::Number(1)])?;
//!     tx.update(&orders, |row| row == [MemoryValue::Number(1)], |row| {
//!         row.clear();
//!         row.push(MemoryValue::Number(2));
//!     })
//! })?;
//! assert_eq!(source.contents(&orders)?, [[MemoryValue::Number(2)]]);
//! # Ok(())
//! # }
//! ```
//!
//! A finished statement's rows are kept by query id and cut into pieces of
//! [`MemoryOptions::rows_per_piece`]. [`MemorySource::lose_results`] forgets them all, as the
//! server does after 24 hours. Ids come from a counter, so a run repeats exactly.

mod rows;
#[cfg(feature = "memory-target")]
pub mod target;
mod value;

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use futures::{StreamExt, stream};
use snowferry_model::names::TableName;
use snowferry_model::plan::TablePlan;
use snowferry_model::types::{ColumnDescription, SnowflakeType, TableDescription};

use crate::{
    BatchStream, Piece, Profile, ProfileRequest, QueryId, ReadRequest, ResultLayout, ResultState,
    SnowflakeError, Source,
};

pub use value::MemoryValue;

/// One row, shared by the versions and results that hold it.
type Row = Arc<[MemoryValue]>;

/// The role that [`MemorySource`] names in its errors.
const ROLE: &str = "MEMORY";

/// How a [`MemorySource`] answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemoryOptions {
    /// Rows in each piece of a result; at least 1.
    pub rows_per_piece: usize,
    /// How often `open` says [`ResultState::Running`] before a result is ready.
    pub opens_while_running: u32,
}

impl Default for MemoryOptions {
    fn default() -> Self {
        Self { rows_per_piece: 100, opens_while_running: 0 }
    }
}

/// A Snowflake account in memory. Clones share their tables and results.
#[derive(Clone, Debug, Default)]
pub struct MemorySource {
    options: MemoryOptions,
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    tables: BTreeMap<TableName, Table>,
    results: BTreeMap<QueryId, StoredResult>,
    commits: u64,
    created: u64,
    statements: u64,
    now: Option<MemoryValue>,
}

#[derive(Clone, Debug)]
struct Table {
    identity: String,
    columns: Vec<ColumnDescription>,
    versions: Vec<Version>,
}

#[derive(Clone, Debug)]
struct Version {
    born: u64,
    died: Option<u64>,
    row: Row,
}

#[derive(Clone, Debug)]
struct StoredResult {
    columns: Vec<ColumnDescription>,
    rows: Arc<[Row]>,
    opens_left: u32,
}

impl MemorySource {
    /// Returns an empty account that cuts results into pieces of 100 rows.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Returns an empty account that answers as `options` say.
    #[must_use]
    pub fn with_options(options: MemoryOptions) -> Self {
        Self { options, state: Arc::default() }
    }

    /// Creates an empty table, in the place of one with the same name.
    ///
    /// # Errors
    /// [`SnowflakeError::Request`] for a column type that has no [`MemoryValue`].
    pub fn create_table(
        &self,
        name: TableName,
        columns: Vec<ColumnDescription>,
    ) -> Result<(), SnowflakeError> {
        if let Some(column) = columns.iter().find(|column| !value::is_held(&column.data_type)) {
            return Err(SnowflakeError::Request {
                object: name.to_string(),
                reason: format!("{} is not held in memory", column.data_type),
            });
        }
        let mut state = self.lock();
        state.created += 1;
        let identity = format!("created {}", state.created);
        state.tables.insert(name, Table { identity, columns, versions: Vec::new() });
        Ok(())
    }

    /// Replaces a table by an empty one with the same columns and another identity.
    ///
    /// # Errors
    /// [`SnowflakeError::NotFound`].
    pub fn recreate(&self, name: &TableName) -> Result<(), SnowflakeError> {
        let columns = self.lock().table(name)?.columns.clone();
        self.create_table(name.clone(), columns)
    }

    /// Drops a table; its results stay.
    ///
    /// # Errors
    /// [`SnowflakeError::NotFound`].
    pub fn drop_table(&self, name: &TableName) -> Result<(), SnowflakeError> {
        self.lock().tables.remove(name).map(|_| ()).ok_or_else(|| not_found(name))
    }

    /// Adds a column at the end; existing rows hold NULL in it. The identity stays.
    ///
    /// # Errors
    /// [`SnowflakeError::NotFound`].
    pub fn add_column(
        &self,
        name: &TableName,
        column: ColumnDescription,
    ) -> Result<(), SnowflakeError> {
        let mut state = self.lock();
        let table = state.tables.get_mut(name).ok_or_else(|| not_found(name))?;
        for version in &mut table.versions {
            version.row = version.row.iter().cloned().chain([MemoryValue::Null]).collect();
        }
        table.columns.push(column);
        Ok(())
    }

    /// Removes a column and its values. The identity stays.
    ///
    /// # Errors
    /// [`SnowflakeError::NotFound`] for the table, [`SnowflakeError::MissingColumn`].
    pub fn drop_column(&self, name: &TableName, column: &str) -> Result<(), SnowflakeError> {
        let mut state = self.lock();
        let table = state.tables.get_mut(name).ok_or_else(|| not_found(name))?;
        let position = table.position(name, column)?;
        table.columns.remove(position);
        for version in &mut table.versions {
            let mut row = version.row.to_vec();
            row.remove(position);
            version.row = row.into();
        }
        Ok(())
    }

    /// Runs `work` as one transaction: all of its changes become visible together, or none when
    /// it fails. `work` must not use the source itself, which is locked meanwhile.
    ///
    /// # Errors
    /// What `work` returns.
    pub fn commit<R>(
        &self,
        work: impl FnOnce(&mut Transaction) -> Result<R, SnowflakeError>,
    ) -> Result<R, SnowflakeError> {
        let mut state = self.lock();
        let commit = state.commits + 1;
        let mut transaction = Transaction { commit, tables: state.tables.clone() };
        let done = work(&mut transaction)?;
        state.tables = transaction.tables;
        state.commits = commit;
        Ok(done)
    }

    /// Returns the rows of a table as they stand now, in the order in which they were written.
    ///
    /// # Errors
    /// [`SnowflakeError::NotFound`].
    pub fn contents(&self, name: &TableName) -> Result<Vec<Vec<MemoryValue>>, SnowflakeError> {
        let state = self.lock();
        Ok(state.table(name)?.snapshot(state.commits).map(|row| row.to_vec()).collect())
    }

    /// Sets the account's clock to a date or timestamp, which is also the latest cursor that is not
    /// too far ahead, whatever a request allows. Without a clock no cursor is.
    pub fn set_now(&self, now: MemoryValue) {
        self.lock().now = Some(now);
    }

    /// Forgets all results, as the server does after 24 hours.
    pub fn lose_results(&self) {
        self.lock().results.clear();
    }

    /// Returns how many statements were submitted, which is also the last id's number.
    #[must_use]
    pub fn statements(&self) -> u64 {
        self.lock().statements
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // A panicking test closure leaves whole states only: `commit` swaps at its end.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn result(&self, query: &QueryId) -> Result<StoredResult, SnowflakeError> {
        let gone = || SnowflakeError::ResultGone { query_id: query.0.clone() };
        self.lock().results.get(query).cloned().ok_or_else(gone)
    }
}

impl State {
    fn table(&self, name: &TableName) -> Result<&Table, SnowflakeError> {
        self.tables.get(name).ok_or_else(|| not_found(name))
    }
}

impl Table {
    fn snapshot(&self, commit: u64) -> impl Iterator<Item = &Row> {
        self.versions
            .iter()
            .filter(move |version| {
                version.born <= commit && version.died.is_none_or(|died| died > commit)
            })
            .map(|version| &version.row)
    }

    /// The last commit that changed a row; 0 when none did.
    fn last_commit(&self) -> u64 {
        self.versions.iter().map(|version| version.died.unwrap_or(version.born)).max().unwrap_or(0)
    }

    fn position(&self, name: &TableName, column: &str) -> Result<usize, SnowflakeError> {
        self.columns.iter().position(|known| known.name.as_str() == column).ok_or_else(|| {
            SnowflakeError::MissingColumn { object: name.to_string(), code: "000904".to_owned() }
        })
    }
}

/// The changes of one commit; see [`MemorySource::commit`].
#[derive(Debug)]
pub struct Transaction {
    commit: u64,
    tables: BTreeMap<TableName, Table>,
}

impl Transaction {
    /// Adds a row.
    ///
    /// # Errors
    /// [`SnowflakeError::NotFound`], or [`SnowflakeError::Request`] for a row that the table's
    /// columns cannot hold.
    pub fn insert(
        &mut self,
        name: &TableName,
        row: Vec<MemoryValue>,
    ) -> Result<(), SnowflakeError> {
        let commit = self.commit;
        let table = self.tables.get_mut(name).ok_or_else(|| not_found(name))?;
        value::check_row(name, &table.columns, &row)?;
        table.versions.push(Version { born: commit, died: None, row: row.into() });
        Ok(())
    }

    /// Ends the rows that `matches` and writes what `change` makes of them; returns how many.
    ///
    /// # Errors
    /// As [`Transaction::insert`].
    pub fn update(
        &mut self,
        name: &TableName,
        matches: impl Fn(&[MemoryValue]) -> bool,
        change: impl Fn(&mut Vec<MemoryValue>),
    ) -> Result<usize, SnowflakeError> {
        let ended = self.end(name, matches)?;
        for row in &ended {
            let mut row = row.to_vec();
            change(&mut row);
            self.insert(name, row)?;
        }
        Ok(ended.len())
    }

    /// Ends the rows that `matches`; returns how many.
    ///
    /// # Errors
    /// [`SnowflakeError::NotFound`].
    pub fn delete(
        &mut self,
        name: &TableName,
        matches: impl Fn(&[MemoryValue]) -> bool,
    ) -> Result<usize, SnowflakeError> {
        Ok(self.end(name, matches)?.len())
    }

    fn end(
        &mut self,
        name: &TableName,
        matches: impl Fn(&[MemoryValue]) -> bool,
    ) -> Result<Vec<Row>, SnowflakeError> {
        let commit = self.commit;
        let table = self.tables.get_mut(name).ok_or_else(|| not_found(name))?;
        let mut ended = Vec::new();
        for version in &mut table.versions {
            if version.died.is_none() && matches(&version.row) {
                version.died = Some(commit);
                ended.push(Arc::clone(&version.row));
            }
        }
        Ok(ended)
    }
}

#[async_trait]
impl Source for MemorySource {
    async fn describe(&self, name: &TableName) -> Result<TableDescription, SnowflakeError> {
        let state = self.lock();
        let table = state.table(name)?;
        Ok(TableDescription {
            kind: "TABLE".to_owned(),
            identity: table.identity.clone(),
            columns: table.columns.clone(),
        })
    }

    async fn profile(&self, request: &ProfileRequest) -> Result<Profile, SnowflakeError> {
        let state = self.lock();
        let table = state.table(&request.table)?;
        let rows: Vec<&Row> = table.snapshot(state.commits).collect();
        let mut profile = Profile { rows: count(rows.len()), ..Profile::default() };
        if let Some((cursor, cursor_type)) = &request.cursor {
            let position = table.position(&request.table, cursor.as_str())?;
            let values: Vec<&MemoryValue> =
                rows.iter().filter_map(|row| row.get(position)).collect();
            let held = values.iter().filter(|value| ***value != MemoryValue::Null).count();
            profile.cursor_nulls = count(values.len() - held);
            let floor = request.floor.as_ref();
            let floor = floor
                .map(|floor| MemoryValue::parse(&floor.text, &floor.cursor_type))
                .transpose()?;
            let now = state.now.as_ref().filter(|_| request.ahead_s.is_some());
            let is_ahead = |value: &MemoryValue| {
                now.is_some_and(|now| value.compare(now) == Some(Ordering::Greater))
            };
            let ahead = values.iter().filter(|value| is_ahead(value)).count();
            profile.cursor_ahead = count(ahead);
            let held = values.into_iter().filter(|value| !is_ahead(value));
            let held: Vec<&MemoryValue> = held.chain(&floor).collect();
            profile.cursor_max = value::greatest(&held).and_then(|max| max.text(cursor_type));
        }
        for column in &request.wide_integers {
            let position = table.position(&request.table, column.as_str())?;
            let values: Vec<&MemoryValue> =
                rows.iter().filter_map(|row| row.get(position)).collect();
            let data_type = SnowflakeType::Number { precision: 38, scale: 0 };
            let facts = profile.facts.entry(column.clone()).or_default();
            facts.min = value::least(&values).and_then(|min| min.text(&data_type));
            facts.max = value::greatest(&values).and_then(|max| max.text(&data_type));
        }
        for column in &request.fine_timestamps {
            let position = table.position(&request.table, column.as_str())?;
            let fine = rows.iter().filter_map(|row| row.get(position)).any(MemoryValue::is_fine);
            profile.facts.entry(column.clone()).or_default().below_microseconds = fine;
        }
        if request.change_token {
            profile.change_token = Some(table.last_commit().to_string());
        }
        Ok(profile)
    }

    async fn submit(&self, request: &ReadRequest) -> Result<QueryId, SnowflakeError> {
        let mut state = self.lock();
        let table = state.table(&request.table)?;
        let mut positions = Vec::with_capacity(request.plan.columns.len());
        let mut columns = Vec::with_capacity(request.plan.columns.len());
        for planned in &request.plan.columns {
            let position = table.position(&request.table, planned.name.as_str())?;
            positions.push(position);
            columns.extend(table.columns.get(position).cloned());
        }
        let filter = rows::Filter::new(request, |column| table.position(&request.table, column))?;
        let rows = table
            .snapshot(state.commits)
            .filter(|row| filter.admits(row))
            .map(|row| positions.iter().filter_map(|at| row.get(*at).cloned()).collect())
            .collect();
        state.statements += 1;
        let query = QueryId(format!("memory-{:08}", state.statements));
        let opens_left = self.options.opens_while_running;
        state.results.insert(query.clone(), StoredResult { columns, rows, opens_left });
        Ok(query)
    }

    async fn open(&self, query: &QueryId) -> Result<ResultState, SnowflakeError> {
        let mut state = self.lock();
        let gone = || SnowflakeError::ResultGone { query_id: query.0.clone() };
        let result = state.results.get_mut(query).ok_or_else(gone)?;
        if result.opens_left > 0 {
            result.opens_left -= 1;
            return Ok(ResultState::Running);
        }
        Ok(ResultState::Ready(layout(&result.rows, self.options.rows_per_piece)))
    }

    async fn read(
        &self,
        query: &QueryId,
        range: Range<usize>,
        plan: &TablePlan,
    ) -> Result<BatchStream, SnowflakeError> {
        let result = self.result(query)?;
        rows::check_plan(&result.columns, plan)?;
        let rows_per_piece = self.options.rows_per_piece.max(1);
        let pieces = layout(&result.rows, rows_per_piece).pieces.len();
        if range.start > range.end || range.end > pieces {
            return Err(SnowflakeError::Request {
                object: query.0.clone(),
                reason: format!("pieces {range:?} of {pieces} were asked for"),
            });
        }
        let plan = plan.clone();
        let batches = stream::iter(range).map(move |piece| {
            let from = piece.saturating_mul(rows_per_piece).min(result.rows.len());
            let to = from.saturating_add(rows_per_piece).min(result.rows.len());
            rows::staged_batch(result.rows.get(from..to).unwrap_or_default(), &plan)
        });
        // A piece without rows yields no batch.
        Ok(Box::pin(batches.filter(|batch| {
            let keep = batch.as_ref().map_or(true, |batch| batch.num_rows() > 0);
            std::future::ready(keep)
        })))
    }

    async fn cancel(&self, _query: &QueryId) -> Result<(), SnowflakeError> {
        Ok(())
    }
}

/// Cuts a result into pieces; one without rows has one empty piece.
fn layout(rows: &[Row], rows_per_piece: usize) -> ResultLayout {
    let piece = |rows: usize| Piece {
        rows: count(rows),
        compressed_bytes: count(rows).saturating_mul(8),
        uncompressed_bytes: count(rows).saturating_mul(32),
    };
    let mut pieces: Vec<Piece> =
        rows.chunks(rows_per_piece.max(1)).map(|chunk| piece(chunk.len())).collect();
    if pieces.is_empty() {
        pieces.push(piece(0));
    }
    ResultLayout { rows: count(rows.len()), pieces }
}

fn not_found(name: &TableName) -> SnowflakeError {
    SnowflakeError::NotFound { object: name.to_string(), role: ROLE.to_owned() }
}

fn count(rows: usize) -> u64 {
    u64::try_from(rows).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
