//! Queries are answered from the versions that they were asked over.

use std::collections::BTreeMap;

use futures::TryStreamExt;
use snowferry_model::export::{ExportQuery, ExportSnapshot, ExportSource, Parameter};
use snowferry_model::plan::StagedForm;
use snowferry_model::slice::Apply;
use snowferry_model::time::UnixMillis;

use super::{OpenBoth, Row, Scene, every_type, int_row, replace, rows_of, upsert};
use crate::{DatabaseError, Export};

/// Makes a query of the connection `acme` without parameters.
#[must_use]
pub fn query(source: ExportSource) -> ExportQuery {
    let connection = Some("acme".to_owned().try_into().unwrap());
    let now = UnixMillis(1_767_323_045_678);
    ExportQuery { connection, source, parameters: BTreeMap::new(), now }
}

/// Makes a query in SQL.
#[must_use]
pub fn sql(text: &str) -> ExportQuery {
    query(ExportSource::Sql(text.to_owned()))
}

/// Reads all rows of a snapshot, in their order.
///
/// # Panics
/// When they cannot be read, or have other columns than the snapshot says.
pub async fn rows_in_order(export: &dyn Export, snapshot: &ExportSnapshot) -> Vec<Row> {
    let batches: Vec<_> = export.open(snapshot).await.unwrap().try_collect().await.unwrap();
    let names: Vec<_> = snapshot.columns.iter().map(|column| &column.name).collect();
    let types: Vec<_> = snapshot.columns.iter().map(|column| &column.data_type).collect();
    for batch in &batches {
        let schema = batch.schema();
        assert_eq!(schema.fields().iter().map(|f| f.name()).collect::<Vec<_>>(), names);
        let found: Vec<_> = schema.fields().iter().map(|f| f.data_type().to_string()).collect();
        assert_eq!(found.iter().collect::<Vec<_>>(), types);
    }
    batches.iter().flat_map(rows_of).collect()
}

pub(super) async fn without_tables_there_is_nothing_to_ask(open: OpenBoth<'_>) {
    let (_, export) = open();
    assert_eq!(export.tables().await.unwrap(), []);
    let refused = export.describe(&sql("SELECT * FROM absent")).await.unwrap_err();
    let DatabaseError::UnknownTable { name, candidates, .. } = refused else {
        panic!("{refused:?}");
    };
    assert_eq!((name.as_str(), candidates.len()), ("ABSENT", 0));
}

pub(super) async fn a_table_is_answered_whole_and_exactly(open: OpenBoth<'_>) {
    let (database, export) = open();
    let (scene, mut rows) = every_type("EXPORTED");
    scene.apply(database.as_ref(), (1, 1), replace(), &[rows.clone(), vec![]]).await;
    assert!(export.tables().await.unwrap().contains(&scene.stream));
    for source in [
        ExportSource::Table(scene.stream.clone()),
        ExportSource::Sql("select * from exported".to_owned()),
    ] {
        let described = export.describe(&query(source)).await.unwrap();
        assert_eq!(described.schema, scene.schema());
        let mut found = rows_in_order(export.as_ref(), &described.snapshot).await;
        found.sort();
        rows.sort();
        assert_eq!(found, rows);
    }
}

pub(super) async fn a_snapshot_gives_its_rows_whatever_comes_later(open: OpenBoth<'_>) {
    let (database, export) = open();
    let scene = Scene::keyed("PINNED", StagedForm::Int64);
    let first: Vec<_> = (0..20).map(|key| int_row(key, 1, "first")).collect();
    let parts = [first[..11].to_vec(), first[11..].to_vec()];
    scene.apply(database.as_ref(), (1, 1), replace(), &parts).await;
    let described = export.describe(&sql("SELECT * FROM pinned")).await.unwrap();
    let pinned = &described.snapshot.tables[0];
    assert_eq!(pinned.ledger.map(|at| (at.generation, at.sequence)), Some((1, 1)));
    let before = rows_in_order(export.as_ref(), &described.snapshot).await;
    let mut sorted = before.clone();
    sorted.sort();
    assert_eq!(sorted, first);
    // As another process gets it.
    let stored = serde_json::to_string(&described.snapshot).unwrap();
    let snapshot: ExportSnapshot = serde_json::from_str(&stored).unwrap();
    let later = vec![int_row(3, 2, "later"), int_row(99, 2, "later")];
    for (at, apply) in [((1, 2), Apply::Append), ((1, 3), upsert()), ((2, 1), replace())] {
        scene.apply(database.as_ref(), at, apply, std::slice::from_ref(&later)).await;
        let (_, export) = open();
        assert_eq!(rows_in_order(export.as_ref(), &snapshot).await, before, "after {at:?}");
    }
    let now = export.describe(&sql("SELECT * FROM pinned")).await.unwrap();
    let mut found = rows_in_order(export.as_ref(), &now.snapshot).await;
    found.sort();
    assert_eq!(found, later);
}

pub(super) async fn a_version_that_is_not_there_is_refused(open: OpenBoth<'_>) {
    let (database, export) = open();
    let scene = Scene::keyed("GONE", StagedForm::Int64);
    scene.apply(database.as_ref(), (1, 1), replace(), &[vec![int_row(1, 1, "v")]]).await;
    let described = export.describe(&sql("SELECT * FROM gone")).await.unwrap();
    let mut later = described.snapshot.clone();
    later.tables[0].table_version += 7;
    let mut other = described.snapshot;
    other.tables[0].table_id = "another table in its place".to_owned();
    for snapshot in [later, other] {
        let refused = export.open(&snapshot).await.err();
        assert!(matches!(refused, Some(DatabaseError::SnapshotGone { .. })), "{refused:?}");
    }
}

pub(super) async fn columns_come_as_they_are_asked_for(open: OpenBoth<'_>) {
    let (database, export) = open();
    let forms = [("Mixed Case", StagedForm::Int64), ("ID", StagedForm::Int64)];
    let scene = Scene::new("Odd name", &forms);
    let row = vec![super::Cell::Int(1), super::Cell::Int(2)];
    scene.apply(database.as_ref(), (1, 1), replace(), &[vec![row]]).await;
    let asked = sql("select id, \"Mixed Case\" from \"Odd name\"");
    let described = export.describe(&asked).await.unwrap();
    let names: Vec<_> = described.snapshot.columns.iter().map(|c| c.name.as_str()).collect();
    assert_eq!(names, ["ID", "Mixed Case"]);
    let found = rows_in_order(export.as_ref(), &described.snapshot).await;
    assert_eq!(found, [vec![super::Cell::Int(2), super::Cell::Int(1)]]);
    let refused = export.describe(&sql("select nothing from \"Odd name\"")).await.unwrap_err();
    assert!(matches!(&refused, DatabaseError::Query { reason, .. } if reason.contains("NOTHING")));
}

pub(super) async fn a_value_without_a_use_is_refused(open: OpenBoth<'_>) {
    let (database, export) = open();
    let scene = Scene::keyed("ASKED", StagedForm::Int64);
    scene.apply(database.as_ref(), (1, 1), replace(), &[vec![int_row(1, 1, "v")]]).await;
    let mut asked = sql("SELECT * FROM asked");
    asked.parameters.insert("since".to_owned(), Parameter::Integer(1));
    let refused = export.describe(&asked).await.unwrap_err();
    assert!(matches!(&refused, DatabaseError::Parameter { name, .. } if name == "since"));
}
