//! The suite that every database passes.
//!
//! [`check`] runs all cases on tables of their own and panics at the first broken promise. `open`
//! opens the same database each time, as another process would.

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use futures::TryStreamExt;
use snowferry_model::manifest::{MANIFEST_VERSION, Manifest};
use snowferry_model::names::{ConnectionName, Identifier, TableName};
use snowferry_model::plan::{PLAN_VERSION, PlannedColumn, StagedForm, TablePlan};
use snowferry_model::slice::{Apply, UniqueBy};
use snowferry_model::state::{LedgerPosition, StreamKey};
use snowferry_model::time::UnixMillis;
use snowferry_model::types::SnowflakeType;

use crate::{Database, DatabaseError, Export, LoadFigures, LoadRequest, Loaded};

mod cases;
mod exports;
mod staged;
mod values;

pub use exports::{query, rows_in_order, sql};
pub use staged::{Cell, Row, Staged, batch_of, rows_of, text};
pub use values::every_type;

/// Opens the database under test.
pub type Open<'a> = &'a (dyn Fn() -> Arc<dyn Database> + Sync);

/// Opens the database under test, and its queries.
pub type OpenBoth<'a> = &'a (dyn Fn() -> (Arc<dyn Database>, Arc<dyn Export>) + Sync);

/// Runs the suite of queries.
///
/// # Panics
/// At the first promise that is not kept.
pub async fn check_export(open: OpenBoth<'_>) {
    exports::without_tables_there_is_nothing_to_ask(open).await;
    exports::a_table_is_answered_whole_and_exactly(open).await;
    exports::a_snapshot_gives_its_rows_whatever_comes_later(open).await;
    exports::a_version_that_is_not_there_is_refused(open).await;
    exports::columns_come_as_they_are_asked_for(open).await;
    exports::a_value_without_a_use_is_refused(open).await;
}

/// Runs the whole suite.
///
/// # Panics
/// At the first promise that the database does not keep.
pub async fn check(open: Open<'_>) {
    cases::an_absent_table_is_certainly_absent(open).await;
    cases::rows_are_added_and_the_ledger_moves(open).await;
    cases::a_manifest_is_loaded_once(open).await;
    cases::a_manifest_that_does_not_follow_is_refused(open).await;
    cases::of_concurrent_loads_exactly_one_applies(open).await;
    cases::the_newest_row_of_a_key_stays(open).await;
    cases::a_row_that_the_table_has_already_changes_nothing(open).await;
    cases::doubles_inside_a_batch_leave_one_row(open).await;
    cases::a_row_without_a_cursor_takes_the_place_of_what_was_there(open).await;
    cases::a_null_key_is_refused_and_changes_nothing(open).await;
    cases::a_replace_leaves_nothing_of_before(open).await;
    cases::a_replace_by_key_leaves_one_row_each(open).await;
    cases::a_new_generation_may_have_other_columns(open).await;
    cases::columns_come_and_go_within_a_generation(open).await;
    cases::a_companion_comes_to_a_column(open).await;
    cases::a_column_of_another_type_is_refused_within_a_generation(open).await;
    cases::empty_manifests_and_parts_move_the_ledger_only(open).await;
    cases::a_part_unlike_its_record_is_refused(open).await;
    values::every_staged_type_comes_back_exactly(open).await;
    values::wide_keys_are_told_apart_exactly(open).await;
    values::every_type_of_key_finds_its_row(open).await;
    values::composite_keys_do_not_run_together(open).await;
    values::odd_names_are_kept(open).await;
}

/// A table under test: its identity, its columns, and manifests that follow each other.
#[derive(Debug)]
pub struct Scene {
    /// The table.
    pub stream: StreamKey,
    /// Its columns.
    pub plan: TablePlan,
    /// Its staged objects.
    pub staged: Staged,
}

impl Scene {
    /// Makes a scene with parts in memory.
    ///
    /// # Panics
    /// When a name is not a valid one.
    #[must_use]
    pub fn new(table: &str, columns: &[(&str, StagedForm)]) -> Self {
        let column = |(name, form): &(&str, StagedForm)| PlannedColumn {
            name: Identifier::new(*name).unwrap(),
            data_type: SnowflakeType::Text,
            form: *form,
        };
        let columns = columns.iter().map(column).collect();
        let table = TableName {
            database: Identifier::new("CRM").unwrap(),
            schema: Identifier::new("my schema.%41/ü").unwrap(),
            table: Identifier::new(table).unwrap(),
        };
        let connection = ConnectionName::new("acme").unwrap();
        Self {
            stream: StreamKey { connection, table },
            plan: TablePlan { version: PLAN_VERSION, columns },
            staged: Staged::in_memory(),
        }
    }

    /// Makes a scene of key `K`, cursor `C` and a text `V`, the key in this form.
    #[must_use]
    pub fn keyed(table: &str, key: StagedForm) -> Self {
        Self::new(table, &[("K", key), ("C", StagedForm::Int64), ("V", StagedForm::Utf8)])
    }

    /// Returns the staged schema.
    #[must_use]
    pub fn schema(&self) -> SchemaRef {
        Arc::new(self.plan.schema())
    }

    /// Stages rows, a slice for each part, and makes their manifest.
    #[must_use]
    pub fn manifest(&self, at: (u64, u64), apply: Apply, parts: &[Vec<Row>]) -> Manifest {
        let schema = self.schema();
        let parts: Vec<_> =
            (0..).zip(parts).map(|(index, rows)| self.staged.part(index, &schema, rows)).collect();
        Manifest {
            version: MANIFEST_VERSION,
            generation: at.0,
            sequence: at.1,
            query_id: format!("01-{}-{}", at.0, at.1),
            plan: self.plan.fingerprint(),
            identity: "2026-01-01".to_owned(),
            apply,
            watermark: None,
            pinned_at: UnixMillis(0),
            rows: parts.iter().map(|part| part.rows).sum(),
            parts,
        }
    }

    /// Loads a manifest.
    ///
    /// # Errors
    /// As [`Database::load`].
    pub async fn load(
        &self,
        database: &dyn Database,
        manifest: &Manifest,
    ) -> Result<Loaded, DatabaseError> {
        let request = LoadRequest { stream: &self.stream, plan: &self.plan, manifest };
        database.load(request, &self.staged).await
    }

    /// Stages and loads rows, which must be applied, and returns the figures as
    /// `(inserted, replaced, superseded)`.
    ///
    /// # Panics
    /// When they are not.
    pub async fn apply(
        &self,
        database: &dyn Database,
        at: (u64, u64),
        apply: Apply,
        parts: &[Vec<Row>],
    ) -> (u64, u64, u64) {
        let manifest = self.manifest(at, apply, parts);
        match self.load(database, &manifest).await {
            Ok(Loaded::Now(LoadFigures { inserted, replaced, superseded })) => {
                (inserted, replaced, superseded)
            }
            other => panic!("the load to {at:?} of {} gave {other:?}", self.stream),
        }
    }

    /// Returns all rows of the table, sorted.
    ///
    /// # Panics
    /// When they cannot be read, or the batches have another schema than the table.
    pub async fn rows(&self, database: &dyn Database) -> Vec<Row> {
        let summary = database.summary(&self.stream).await.unwrap().unwrap();
        let stream = database.scan(&self.stream).await.unwrap();
        let batches: Vec<_> = stream.try_collect().await.unwrap();
        let mut rows: Vec<Row> = Vec::new();
        for batch in &batches {
            assert_eq!(batch.schema(), summary.schema, "batches come in the table's schema");
            rows.extend(rows_of(batch));
        }
        assert_eq!(summary.rows, rows.len() as u64, "the summary counts the rows");
        rows.sort();
        rows
    }

    /// Returns where the ledger is.
    ///
    /// # Panics
    /// When it cannot be read.
    pub async fn ledger(&self, database: &dyn Database) -> Option<(u64, u64)> {
        let at = database.ledger(&self.stream).await.unwrap();
        at.map(|LedgerPosition { generation, sequence }| (generation, sequence))
    }
}

/// Makes the rule by which rows of the scene [`Scene::keyed`] are upserted.
#[must_use]
pub fn upsert() -> Apply {
    let UniqueBy { key, cursor } = unique();
    Apply::Upsert { key, cursor }
}

/// Makes a replace of the whole table.
#[must_use]
pub fn replace() -> Apply {
    Apply::Replace { unique: None }
}

fn unique() -> UniqueBy {
    UniqueBy { key: vec![Identifier::new("K").unwrap()], cursor: Identifier::new("C").unwrap() }
}

/// Makes a row of the scene [`Scene::keyed`].
#[must_use]
pub fn row(key: Cell, cursor: i64, value: &str) -> Row {
    vec![key, Cell::Int(cursor), text(value)]
}

fn int_row(key: i64, cursor: i64, value: &str) -> Row {
    row(Cell::Int(key), cursor, value)
}

fn sorted(mut rows: Vec<Row>) -> Vec<Row> {
    rows.sort();
    rows
}
