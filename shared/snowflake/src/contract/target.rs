//! The suite that every [`Target`] passes: what a push may rely on, whoever answers.
//!
//! The caller gives an account ([`TargetFixture`]) in which the suite finds a table
//! `(ID NUMBER(38,0) NOT NULL, V VARCHAR(10), SCORE NUMBER(12,2))` with one row of the customer,
//! and an empty ledger. A rule that is broken ends in a failed assertion that says which.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, Decimal128Array, Int64Array, StringArray};
use arrow::datatypes::{DataType, Field, Schema};
use arrow::record_batch::RecordBatch;
use async_trait::async_trait;
use bytes::Bytes;
use parquet::arrow::ArrowWriter;
use snowferry_model::export::{EXPORT_VERSION, ExportQuery, ExportSnapshot, ExportSource};
use snowferry_model::names::{ConnectionName, Identifier, TableName};
use snowferry_model::push::{
    Delivery, PUSH_MANIFEST_VERSION, PUSH_PLAN_VERSION, PushColumn, PushKey, PushManifest,
    PushMode, PushName, PushPart, PushPlan, WireForm,
};
use snowferry_model::state::LedgerPosition;
use snowferry_model::time::UnixMillis;
use snowferry_model::types::SnowflakeType;

use crate::{Applied, FileToUpload, LedgerMove, PartFiles, SnowflakeError, Target};

/// One row as texts: ID, V, SCORE.
pub type Row = [Option<String>; 3];

/// The prepared account.
#[async_trait]
pub trait TargetFixture: Send + Sync {
    /// The account as a push sees it.
    fn target(&self) -> &dyn Target;

    /// The table, the ledger, and a table that does not exist in a schema that does.
    fn names(&self) -> [TableName; 3];

    /// Makes table and ledger anew: the row `(-1, 'theirs', NULL)` and no row.
    async fn reset(&self);

    /// The rows of the table, in the order of their ids.
    async fn rows(&self) -> Vec<Row>;
}

/// Runs every check.
///
/// # Errors
/// Any error of the target that a check does not expect.
pub async fn all(fixture: &dyn TargetFixture) -> Result<(), SnowflakeError> {
    a_look_tells_what_the_table_is(fixture).await?;
    files_are_listed_by_our_names_and_go_by_prefix(fixture).await?;
    staged_rows_are_counted_and_touch_nothing(fixture).await?;
    an_append_moves_ledger_and_rows_once(fixture).await?;
    a_rewrite_replaces_rows_and_keeps_the_object(fixture).await?;
    an_upsert_replaces_by_key(fixture).await?;
    rows_that_do_not_fit_change_nothing(fixture).await?;
    a_repeat_without_a_ledger_is_known_by_its_files(fixture).await
}

/// Kind, columns and privileges; identity is stable; what is missing is said to be.
///
/// # Errors
/// As [`all`].
pub async fn a_look_tells_what_the_table_is(
    fixture: &dyn TargetFixture,
) -> Result<(), SnowflakeError> {
    fixture.reset().await;
    let [table, ledger, missing] = fixture.names();
    let look = fixture.target().inspect(&table).await?;
    assert_eq!(look.kind, "TABLE", "kind");
    let columns: Vec<_> = look
        .columns
        .iter()
        .map(|column| (column.name.as_str(), column.declared(), column.nullable))
        .collect();
    let wanted = [
        ("ID", "NUMBER(38,0)", false),
        ("V", "VARCHAR(10)", true),
        ("SCORE", "NUMBER(12,2)", true),
    ];
    assert_eq!(columns, wanted.map(|(name, declared, null)| (name, declared.to_owned(), null)));
    for privilege in ["INSERT", "DELETE", "UPDATE", "SELECT"] {
        let held = |one: &snowferry_model::push::Privilege| one.as_str() == privilege;
        let owner = |one: &snowferry_model::push::Privilege| one.as_str() == "OWNERSHIP";
        assert!(look.privileges.iter().any(|one| held(one) || owner(one)), "{privilege}");
    }
    assert_eq!(look, fixture.target().inspect(&table).await?, "looked at twice");
    assert_eq!(fixture.target().ledger(&ledger, &push()?).await?, None, "an empty ledger");
    for result in [
        fixture.target().inspect(&missing).await.map(|_| ()),
        fixture.target().ledger(&missing, &push()?).await.map(|_| ()),
    ] {
        assert!(matches!(result, Err(SnowflakeError::NotFound { .. })), "{result:?}");
    }
    Ok(())
}

/// What was brought is listed by the names we gave, and goes by a prefix of them.
///
/// # Errors
/// As [`all`].
pub async fn files_are_listed_by_our_names_and_go_by_prefix(
    fixture: &dyn TargetFixture,
) -> Result<(), SnowflakeError> {
    let target = fixture.target();
    let mut brought = BTreeMap::new();
    for file in ["acme/push-contract/g1/n1/a.parquet", "acme/push-contract/g1/n2/b.parquet"] {
        let name = upload(target, file, Bytes::from_static(b"content")).await?;
        brought.insert(file.to_owned(), name);
    }
    assert_eq!(target.files("acme/push-contract/").await?, brought);
    target.remove("acme/push-contract/g1/n1/").await?;
    brought.pop_first();
    assert_eq!(target.files("acme/push-contract/").await?, brought);
    assert_eq!(target.files("acme/push-other/").await?, BTreeMap::new());
    target.remove("acme/push-contract/").await?;
    assert_eq!(target.files("acme/push-contract/").await?, BTreeMap::new());
    target.remove("acme/push-contract/").await
}

/// Rows, values, keys without value and keys twice; a file that is missing is named.
///
/// # Errors
/// As [`all`].
pub async fn staged_rows_are_counted_and_touch_nothing(
    fixture: &dyn TargetFixture,
) -> Result<(), SnowflakeError> {
    fixture.reset().await;
    let key = vec![id("V")?];
    let slice = Slice { mode: PushMode::Upsert { key }, ..Slice::first(fixture) };
    let rows = [row(1, Some("a"), Some(150)), row(2, Some("a"), None), row(3, None, None)];
    let mut manifest = slice.manifest(fixture, &rows).await?;
    let staged = fixture.target().stage(&manifest).await?;
    assert_eq!((staged.rows, staged.values.as_slice()), (3, &[3, 2, 1][..]), "rows and values");
    assert_eq!((staged.duplicate_keys, staged.null_keys), (1, 1), "keys");
    assert_eq!(fixture.rows().await, [theirs()], "the customer's table");
    fixture.target().discard(&staged).await?;
    let applied = fixture.target().apply(&manifest, &staged, None).await;
    assert!(matches!(applied, Err(SnowflakeError::StagingGone { .. })), "{applied:?}");
    for part in &mut manifest.parts {
        part.file.push_str(".gone");
    }
    let staged = fixture.target().stage(&manifest).await;
    assert!(matches!(staged, Err(SnowflakeError::FileMissing { .. })), "{staged:?}");
    Ok(())
}

/// Ledger and rows move together, from exactly where the ledger must be.
///
/// # Errors
/// As [`all`].
pub async fn an_append_moves_ledger_and_rows_once(
    fixture: &dyn TargetFixture,
) -> Result<(), SnowflakeError> {
    fixture.reset().await;
    let slice = Slice::first(fixture);
    let manifest =
        slice.manifest(fixture, &[row(1, Some("a"), Some(150)), row(2, None, None)]).await?;
    let moved = slice.ledger(fixture, None)?;
    let target = fixture.target();
    let staged = target.stage(&manifest).await?;
    let applied = target.apply(&manifest, &staged, Some(&moved)).await?;
    assert!(matches!(applied, Applied::Now { .. }), "{applied:?}");
    let both = [theirs(), texts(1, Some("a"), Some("1.50")), texts(2, None, None)];
    assert_eq!(fixture.rows().await, both, "rows");
    assert_eq!(target.ledger(&moved.table, &moved.push).await?, Some(moved.to), "ledger");
    let again = target.stage(&manifest).await?;
    let repeat = target.apply(&manifest, &again, Some(&moved)).await;
    assert!(matches!(repeat, Err(SnowflakeError::Ledger { .. })), "{repeat:?}");
    assert_eq!(fixture.rows().await, both, "rows after a repeat");

    let next = Slice { sequence: 2, ..slice };
    let manifest = next.manifest(fixture, &[row(3, Some("c"), None)]).await?;
    let moved = next.ledger(fixture, Some(moved.to))?;
    let staged = target.stage(&manifest).await?;
    target.apply(&manifest, &staged, Some(&moved)).await?;
    assert_eq!(fixture.rows().await.len(), 4, "rows of the next slice");
    assert_eq!(target.ledger(&moved.table, &moved.push).await?, Some(moved.to), "next ledger");
    Ok(())
}

/// The old rows give way and are counted; the object stays.
///
/// # Errors
/// As [`all`].
pub async fn a_rewrite_replaces_rows_and_keeps_the_object(
    fixture: &dyn TargetFixture,
) -> Result<(), SnowflakeError> {
    fixture.reset().await;
    let [table, ..] = fixture.names();
    let before = fixture.target().inspect(&table).await?;
    for (delivery, ours) in [(true, 1), (false, 2)] {
        let mut slice = Slice { mode: PushMode::Rewrite, sequence: ours, ..Slice::first(fixture) };
        if !delivery {
            slice.delivery = Delivery::NoLedger;
        }
        let number = i64::try_from(ours).unwrap_or_default();
        let manifest = slice.manifest(fixture, &[row(number, Some("new"), None)]).await?;
        let moved = if delivery { Some(slice.ledger(fixture, None)?) } else { None };
        let staged = fixture.target().stage(&manifest).await?;
        let applied = fixture.target().apply(&manifest, &staged, moved.as_ref()).await?;
        assert_eq!(applied, Applied::Now { replaced: Some(1) }, "rows that gave way");
        assert_eq!(fixture.rows().await, [texts(number, Some("new"), None)], "rows");
        fixture.target().discard(&staged).await?;
    }
    let after = fixture.target().inspect(&table).await?;
    assert_eq!((after.identity, after.columns), (before.identity, before.columns), "object");
    Ok(())
}

/// Rows with a key of ours are replaced, the others added, the rest stays.
///
/// # Errors
/// As [`all`].
pub async fn an_upsert_replaces_by_key(fixture: &dyn TargetFixture) -> Result<(), SnowflakeError> {
    fixture.reset().await;
    let mode = PushMode::Upsert { key: vec![id("ID")?] };
    let mut from = None;
    for (sequence, rows) in [
        (1, [row(1, Some("a"), None), row(2, Some("b"), None)]),
        (2, [row(2, Some("c"), Some(1)), row(3, None, None)]),
    ] {
        let slice = Slice { mode: mode.clone(), sequence, ..Slice::first(fixture) };
        let manifest = slice.manifest(fixture, &rows).await?;
        let moved = slice.ledger(fixture, from)?;
        let staged = fixture.target().stage(&manifest).await?;
        fixture.target().apply(&manifest, &staged, Some(&moved)).await?;
        from = Some(moved.to);
    }
    let wanted = [
        theirs(),
        texts(1, Some("a"), None),
        texts(2, Some("c"), Some("0.01")),
        texts(3, None, None),
    ];
    assert_eq!(fixture.rows().await, wanted, "rows");
    Ok(())
}

/// What the table does not take is refused, at the load or at the transaction, as a whole.
///
/// # Errors
/// As [`all`].
pub async fn rows_that_do_not_fit_change_nothing(
    fixture: &dyn TargetFixture,
) -> Result<(), SnowflakeError> {
    fixture.reset().await;
    let slice = Slice { mode: PushMode::Rewrite, ..Slice::first(fixture) };
    let rows = [row(1, Some("fits"), None), row(2, Some("more than ten characters"), None)];
    let manifest = slice.manifest(fixture, &rows).await?;
    let moved = slice.ledger(fixture, None)?;
    let refused = match fixture.target().stage(&manifest).await {
        Ok(staged) => fixture.target().apply(&manifest, &staged, Some(&moved)).await.map(|_| ()),
        Err(error) => Err(error),
    };
    assert!(matches!(refused, Err(SnowflakeError::RowsRefused { .. })), "{refused:?}");
    assert_eq!(fixture.rows().await, [theirs()], "rows");
    assert_eq!(fixture.target().ledger(&moved.table, &moved.push).await?, None, "ledger");
    Ok(())
}

/// An append without a ledger is one load; the same files again change nothing.
///
/// # Errors
/// As [`all`].
pub async fn a_repeat_without_a_ledger_is_known_by_its_files(
    fixture: &dyn TargetFixture,
) -> Result<(), SnowflakeError> {
    fixture.reset().await;
    let slice = Slice { delivery: Delivery::NoLedger, ..Slice::first(fixture) };
    let manifest = slice.manifest(fixture, &[row(1, Some("a"), None)]).await?;
    for wanted in [Applied::Now { replaced: None }, Applied::Already] {
        let staged = fixture.target().stage(&manifest).await?;
        let applied = fixture.target().apply(&manifest, &staged, None).await?;
        assert_eq!(applied, wanted);
        assert_eq!(fixture.rows().await, [theirs(), texts(1, Some("a"), None)], "rows");
        fixture.target().discard(&staged).await?;
    }
    fixture.target().remove("acme/push-contract/").await
}

/// A row that the suite sends: ID, V, hundredths of SCORE.
type Ours<'a> = (i64, Option<&'a str>, Option<i128>);

/// One slice of the suite's push.
#[derive(Clone)]
struct Slice {
    mode: PushMode,
    delivery: Delivery,
    sequence: u64,
}

impl Slice {
    fn first(fixture: &dyn TargetFixture) -> Self {
        let [_, table, _] = fixture.names();
        Self { mode: PushMode::Append, delivery: Delivery::Ledger { table }, sequence: 1 }
    }

    fn ledger(
        &self,
        fixture: &dyn TargetFixture,
        from: Option<LedgerPosition>,
    ) -> Result<LedgerMove, SnowflakeError> {
        let [_, table, _] = fixture.names();
        let to = LedgerPosition { generation: 1, sequence: self.sequence };
        Ok(LedgerMove { table, push: push()?, from, to })
    }

    /// Writes the rows as one part, brings it to the server, and describes both.
    async fn manifest(
        &self,
        fixture: &dyn TargetFixture,
        rows: &[Ours<'_>],
    ) -> Result<PushManifest, SnowflakeError> {
        let body = part(rows)?;
        let sequence = self.sequence;
        let count = rows.len() as u64;
        let values = |of: fn(&Ours<'_>) -> bool| rows.iter().filter(|row| of(row)).count() as u64;
        let file = format!("acme/push-contract/g1/n{sequence}/part-00000.parquet");
        let size_bytes = body.len() as u64;
        let file = upload(fixture.target(), &file, body).await?;
        Ok(PushManifest {
            version: PUSH_MANIFEST_VERSION,
            generation: 1,
            sequence,
            plan: self.plan(fixture)?,
            rows: count,
            values: vec![count, values(|row| row.1.is_some()), values(|row| row.2.is_some())],
            parts: vec![PushPart {
                index: 0,
                object: "part".to_owned(),
                file,
                rows: count,
                size_bytes,
                sha256: String::new(),
            }],
        })
    }

    fn plan(&self, fixture: &dyn TargetFixture) -> Result<PushPlan, SnowflakeError> {
        let [target, ..] = fixture.names();
        let column = |name: &str, data_type: SnowflakeType, form: WireForm| {
            Ok(PushColumn {
                target: id(name)?,
                data_type,
                // What the suite sends too long must reach the server.
                max_chars: None,
                max_bytes: None,
                nullable: name != "ID",
                source: name.to_owned(),
                nanos: false,
                offset: false,
                form,
                round: false,
            })
        };
        let number = |precision, scale| SnowflakeType::Number { precision, scale };
        Ok(PushPlan {
            version: PUSH_PLAN_VERSION,
            run_id: format!("run {}", self.sequence),
            target,
            identity: String::new(),
            fingerprint: String::new(),
            mode: self.mode.clone(),
            delivery: self.delivery.clone(),
            columns: vec![
                column("ID", number(38, 0), WireForm::Integer)?,
                column("V", SnowflakeType::Text, WireForm::Text)?,
                column("SCORE", number(12, 2), WireForm::Decimal { precision: 12, scale: 2 })?,
            ],
            constants: Vec::new(),
            snapshot: ExportSnapshot {
                version: EXPORT_VERSION,
                query: ExportQuery {
                    connection: None,
                    source: ExportSource::Sql(String::new()),
                    parameters: BTreeMap::new(),
                    now: UnixMillis(0),
                },
                tables: Vec::new(),
                columns: Vec::new(),
            },
            target_rows: None,
            pinned_at: UnixMillis(0),
        })
    }
}

fn row(id: i64, v: Option<&str>, hundredths: Option<i128>) -> Ours<'_> {
    (id, v, hundredths)
}

fn texts(id: i64, v: Option<&str>, score: Option<&str>) -> Row {
    [Some(id.to_string()), v.map(str::to_owned), score.map(str::to_owned)]
}

fn theirs() -> Row {
    texts(-1, Some("theirs"), None)
}

fn part(rows: &[Ours<'_>]) -> Result<Bytes, SnowflakeError> {
    let scores: Decimal128Array = rows.iter().map(|row| row.2).collect();
    let scores = scores.with_precision_and_scale(12, 2).map_err(unmade)?;
    let columns: Vec<ArrayRef> = vec![
        Arc::new(Int64Array::from_iter_values(rows.iter().map(|row| row.0))),
        Arc::new(rows.iter().map(|row| row.1).collect::<StringArray>()),
        Arc::new(scores),
    ];
    let field = |at: usize, data_type| Field::new(PushColumn::wire_name(at), data_type, true);
    let schema = Arc::new(Schema::new(vec![
        field(0, DataType::Int64),
        field(1, DataType::Utf8),
        field(2, DataType::Decimal128(12, 2)),
    ]));
    let batch = RecordBatch::try_new(Arc::clone(&schema), columns).map_err(unmade)?;
    let mut body = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut body, schema, None).map_err(unmade)?;
    writer.write(&batch).map_err(unmade)?;
    writer.close().map_err(unmade)?;
    Ok(body.into())
}

fn unmade(error: impl std::fmt::Display) -> SnowflakeError {
    SnowflakeError::Request { object: "a part".to_owned(), reason: error.to_string() }
}

/// A part in memory.
struct InMemory(Bytes);

#[async_trait]
impl PartFiles for InMemory {
    async fn read(
        &self,
        _object: &str,
        range: std::ops::Range<u64>,
    ) -> Result<Bytes, Box<dyn std::error::Error + Send + Sync>> {
        let (start, end) = (usize::try_from(range.start)?, usize::try_from(range.end)?);
        let inside = start <= end && end <= self.0.len();
        if inside { Ok(self.0.slice(start..end)) } else { Err("outside of the part".into()) }
    }

    fn local_path(&self, _object: &str) -> Option<std::path::PathBuf> {
        None
    }
}

async fn upload(target: &dyn Target, file: &str, body: Bytes) -> Result<String, SnowflakeError> {
    use sha2::{Digest, Sha256};
    let digest = Sha256::digest(&body);
    let file = FileToUpload {
        object: format!("{file}.object"),
        file: file.to_owned(),
        size_bytes: body.len() as u64,
        sha256: digest.iter().map(|byte| format!("{byte:02x}")).collect(),
    };
    target.upload(&file, &InMemory(body)).await
}

fn id(name: &str) -> Result<Identifier, SnowflakeError> {
    Identifier::new(name).map_err(unmade)
}

fn push() -> Result<PushKey, SnowflakeError> {
    let connection = ConnectionName::new("acme").map_err(unmade)?;
    Ok(PushKey { connection, name: PushName::new("contract").map_err(unmade)? })
}
