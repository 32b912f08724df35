//! What a load does to a table and its ledger.

use snowferry_model::plan::StagedForm;
use snowferry_model::slice::Apply;

use super::{Cell, Open, Scene, int_row, replace, row, sorted, text, unique, upsert};
use crate::{DatabaseError, Loaded};

pub(super) async fn an_absent_table_is_certainly_absent(open: Open<'_>) {
    let scene = Scene::keyed("ABSENT", StagedForm::Int64);
    let database = open();
    assert_eq!(scene.ledger(database.as_ref()).await, None);
    assert_eq!(database.summary(&scene.stream).await.unwrap(), None);
    assert!(database.scan(&scene.stream).await.is_err());
}

pub(super) async fn rows_are_added_and_the_ledger_moves(open: Open<'_>) {
    let scene = Scene::keyed("APPEND", StagedForm::Int64);
    let database = open();
    let first = vec![vec![int_row(1, 1, "a"), int_row(1, 1, "a")], vec![int_row(2, 1, "b")]];
    assert_eq!(scene.apply(database.as_ref(), (1, 1), replace(), &first).await, (3, 0, 0));
    let second = vec![vec![int_row(1, 2, "c")]];
    assert_eq!(scene.apply(database.as_ref(), (1, 2), Apply::Append, &second).await, (1, 0, 0));
    let reopened = open();
    assert_eq!(scene.ledger(reopened.as_ref()).await, Some((1, 2)));
    let all = first.concat().into_iter().chain(second.concat()).collect();
    assert_eq!(scene.rows(reopened.as_ref()).await, sorted(all));
}

pub(super) async fn a_manifest_is_loaded_once(open: Open<'_>) {
    let scene = Scene::keyed("ONCE", StagedForm::Int64);
    let database = open();
    scene.apply(database.as_ref(), (1, 1), replace(), &[vec![int_row(1, 1, "a")]]).await;
    for apply in [Apply::Append, upsert()] {
        let sequence = scene.ledger(database.as_ref()).await.unwrap().1 + 1;
        let manifest = scene.manifest((1, sequence), apply, &[vec![int_row(9, 9, "z")]]);
        assert!(matches!(scene.load(database.as_ref(), &manifest).await, Ok(Loaded::Now(_))));
        let rows = scene.rows(database.as_ref()).await;
        for database in [database.clone(), open()] {
            let again = scene.load(database.as_ref(), &manifest).await.unwrap();
            assert_eq!(again, Loaded::Already);
            assert_eq!(scene.rows(database.as_ref()).await, rows);
        }
    }
}

pub(super) async fn a_manifest_that_does_not_follow_is_refused(open: Open<'_>) {
    let scene = Scene::keyed("LEDGER", StagedForm::Int64);
    let database = open();
    let rows = [vec![int_row(1, 1, "a")]];
    let refused = async |at, apply: Apply| {
        let manifest = scene.manifest(at, apply, &[vec![int_row(5, 5, "no")]]);
        let result = scene.load(database.as_ref(), &manifest).await;
        assert!(matches!(result, Err(DatabaseError::Ledger { .. })), "{at:?}: {result:?}");
    };
    refused((1, 2), Apply::Append).await;
    assert_eq!(database.summary(&scene.stream).await.unwrap(), None);
    scene.apply(database.as_ref(), (2, 1), replace(), &rows).await;
    refused((2, 3), Apply::Append).await;
    refused((1, 1), replace()).await;
    refused((1, 2), upsert()).await;
    refused((3, 2), upsert()).await;
    refused((3, 1), Apply::Append).await;
    refused((2, 0), replace()).await;
    assert_eq!(scene.ledger(database.as_ref()).await, Some((2, 1)));
    assert_eq!(scene.rows(database.as_ref()).await, rows.concat());
}

pub(super) async fn of_concurrent_loads_exactly_one_applies(open: Open<'_>) {
    let scene = Scene::keyed("RACE", StagedForm::Int64);
    for (sequence, apply) in [(1, replace()), (2, Apply::Append), (3, upsert())] {
        let rows = vec![int_row(sequence, 1, "a"), int_row(100 + sequence, 1, "b")];
        let at = (1, u64::try_from(sequence).unwrap());
        let manifest = scene.manifest(at, apply, &[rows]);
        let databases: Vec<_> = (0..8).map(|_| open()).collect();
        let loads = databases.iter().map(|database| scene.load(database.as_ref(), &manifest));
        let results = futures::future::join_all(loads).await;
        let applied = results.iter().filter(|r| matches!(r, Ok(Loaded::Now(_)))).count();
        let already = results.iter().filter(|r| matches!(r, Ok(Loaded::Already))).count();
        assert_eq!((applied, already), (1, 7), "{results:?}");
        assert_eq!(scene.ledger(open().as_ref()).await, Some(at));
        assert_eq!(scene.rows(open().as_ref()).await.len() as i64, 2 * sequence);
    }
}

pub(super) async fn the_newest_row_of_a_key_stays(open: Open<'_>) {
    let scene = Scene::keyed("UPSERT", StagedForm::Int64);
    let database = open();
    let before: Vec<_> = (0..40).map(|key| int_row(key, 10, "old")).collect();
    let parts: Vec<_> = before.chunks(15).map(<[_]>::to_vec).collect();
    scene.apply(database.as_ref(), (1, 1), replace(), &parts).await;
    let incoming = vec![
        vec![int_row(3, 11, "newer"), int_row(4, 9, "older"), int_row(99, 1, "new")],
        vec![int_row(5, 10, "same cursor, other row"), int_row(39, i64::MAX, "newest")],
    ];
    let figures = scene.apply(database.as_ref(), (1, 2), upsert(), &incoming).await;
    assert_eq!(figures, (4, 3, 1));
    let mut expected = before;
    expected.retain(|row| ![3, 5, 39].map(Cell::Int).contains(&row[0]));
    expected.extend(incoming.concat().into_iter().filter(|row| row[0] != Cell::Int(4)));
    assert_eq!(scene.rows(open().as_ref()).await, sorted(expected));
}

pub(super) async fn a_row_that_the_table_has_already_changes_nothing(open: Open<'_>) {
    let scene = Scene::keyed("BOUNDARY", StagedForm::Int64);
    let database = open();
    let rows: Vec<_> = (0..30).map(|key| int_row(key, 7, "v")).collect();
    scene.apply(database.as_ref(), (1, 1), replace(), std::slice::from_ref(&rows)).await;
    let before = database.summary(&scene.stream).await.unwrap();
    let again = [rows[..10].to_vec(), rows[10..].to_vec()];
    let figures = scene.apply(database.as_ref(), (1, 2), upsert(), &again).await;
    assert_eq!(figures, (0, 0, 30));
    assert_eq!(database.summary(&scene.stream).await.unwrap(), before);
    assert_eq!(scene.rows(database.as_ref()).await, rows);
    assert_eq!(scene.ledger(database.as_ref()).await, Some((1, 2)));
    let null_value = vec![Cell::Int(3), Cell::Int(7), Cell::Null];
    let figures =
        scene.apply(database.as_ref(), (1, 3), upsert(), &[vec![null_value.clone()]]).await;
    assert_eq!(figures, (1, 1, 0), "NULL and a text are different rows");
    assert!(scene.rows(database.as_ref()).await.contains(&null_value));
}

pub(super) async fn doubles_inside_a_batch_leave_one_row(open: Open<'_>) {
    let scene = Scene::keyed("DOUBLES", StagedForm::Int64);
    let database = open();
    scene.apply(database.as_ref(), (1, 1), replace(), &[vec![int_row(1, 5, "old")]]).await;
    let incoming = [
        vec![int_row(1, 6, "b"), int_row(1, 8, "winner"), int_row(2, 1, "first")],
        vec![int_row(1, 7, "d"), int_row(2, 1, "later of two equal")],
    ];
    let figures = scene.apply(database.as_ref(), (1, 2), upsert(), &incoming).await;
    assert_eq!(figures, (2, 1, 3));
    let expected = vec![int_row(1, 8, "winner"), int_row(2, 1, "later of two equal")];
    assert_eq!(scene.rows(database.as_ref()).await, expected);
    let stale = [vec![int_row(1, 2, "x"), int_row(1, 3, "y")]];
    assert_eq!(scene.apply(database.as_ref(), (1, 3), upsert(), &stale).await, (0, 0, 2));
    assert_eq!(scene.rows(database.as_ref()).await, expected);
}

pub(super) async fn a_row_without_a_cursor_takes_the_place_of_what_was_there(open: Open<'_>) {
    let scene = Scene::keyed("NULL_CURSOR", StagedForm::Int64);
    let database = open();
    let null = |key, value| vec![Cell::Int(key), Cell::Null, text(value)];
    let first = [vec![null(1, "old"), int_row(2, i64::MIN, "old"), null(3, "old")]];
    scene.apply(database.as_ref(), (1, 1), replace(), &first).await;
    let second = [vec![int_row(1, i64::MIN, "new"), null(2, "new"), null(3, "new")]];
    assert_eq!(scene.apply(database.as_ref(), (1, 2), upsert(), &second).await, (3, 3, 0));
    let expected = vec![int_row(1, i64::MIN, "new"), null(2, "new"), null(3, "new")];
    assert_eq!(scene.rows(database.as_ref()).await, sorted(expected));
    let third = [vec![int_row(1, 1, "greater"), null(1, "lesser"), null(3, "new")]];
    assert_eq!(scene.apply(database.as_ref(), (1, 3), upsert(), &third).await, (1, 1, 2));
    let expected = vec![int_row(1, 1, "greater"), null(2, "new"), null(3, "new")];
    assert_eq!(scene.rows(database.as_ref()).await, sorted(expected));
}

pub(super) async fn a_null_key_is_refused_and_changes_nothing(open: Open<'_>) {
    let scene = Scene::keyed("NULL_KEY", StagedForm::Int64);
    let database = open();
    let rows = [vec![int_row(1, 1, "a")]];
    scene.apply(database.as_ref(), (1, 1), replace(), &rows).await;
    let null = [vec![int_row(1, 2, "b")], vec![row(Cell::Null, 2, "no key")]];
    for apply in [upsert(), Apply::Replace { unique: Some(unique()) }] {
        let manifest = scene.manifest((1, 2), apply, &null);
        let result = scene.load(database.as_ref(), &manifest).await;
        let Err(DatabaseError::NullKey { column, .. }) = result else { panic!("{result:?}") };
        assert_eq!(column, "K");
    }
    assert_eq!(scene.ledger(database.as_ref()).await, Some((1, 1)));
    assert_eq!(scene.rows(database.as_ref()).await, rows.concat());
}

pub(super) async fn a_replace_leaves_nothing_of_before(open: Open<'_>) {
    let scene = Scene::keyed("REPLACE", StagedForm::Int64);
    let database = open();
    let first = [vec![int_row(1, 1, "a"), int_row(2, 1, "b")], vec![int_row(3, 1, "c")]];
    scene.apply(database.as_ref(), (1, 1), replace(), &first).await;
    let second = [vec![int_row(2, 0, "z"), int_row(2, 0, "z")]];
    assert_eq!(scene.apply(database.as_ref(), (1, 2), replace(), &second).await, (2, 3, 0));
    assert_eq!(scene.rows(database.as_ref()).await, second.concat());
    assert_eq!(scene.apply(database.as_ref(), (1, 3), replace(), &[]).await, (0, 2, 0));
    assert_eq!(scene.rows(database.as_ref()).await, Vec::<super::Row>::new());
}

pub(super) async fn a_replace_by_key_leaves_one_row_each(open: Open<'_>) {
    let scene = Scene::keyed("REPLACE_UNIQUE", StagedForm::Int64);
    let database = open();
    scene.apply(database.as_ref(), (1, 1), replace(), &[vec![int_row(1, 99, "gone")]]).await;
    let incoming = [
        vec![int_row(1, 2, "stays"), int_row(2, 1, "loses")],
        vec![int_row(1, 1, "loses"), int_row(2, 1, "stays"), int_row(3, 1, "stays")],
    ];
    let apply = Apply::Replace { unique: Some(unique()) };
    assert_eq!(scene.apply(database.as_ref(), (1, 2), apply, &incoming).await, (3, 1, 2));
    let expected = vec![int_row(1, 2, "stays"), int_row(2, 1, "stays"), int_row(3, 1, "stays")];
    assert_eq!(scene.rows(database.as_ref()).await, expected);
}

pub(super) async fn a_new_generation_may_have_other_columns(open: Open<'_>) {
    let before = Scene::keyed("GENERATION", StagedForm::Int64);
    let database = open();
    before.apply(database.as_ref(), (1, 1), replace(), &[vec![int_row(1, 1, "a")]]).await;
    before.apply(database.as_ref(), (1, 2), Apply::Append, &[vec![int_row(2, 1, "b")]]).await;
    let wide = StagedForm::Decimal { precision: 38, scale: 0 };
    let local = StagedForm::Timestamp { zoned: false, nanos: true, offset: false };
    let after = Scene::new("GENERATION", &[("K", wide), ("T", local)]);
    let row = vec![Cell::Decimal(1 << 90), Cell::Micros(-1), Cell::Short(999)];
    let figures = after.apply(database.as_ref(), (2, 1), replace(), &[vec![row.clone()]]).await;
    assert_eq!(figures, (1, 2, 0));
    let reopened = open();
    assert_eq!(after.ledger(reopened.as_ref()).await, Some((2, 1)));
    assert_eq!(after.rows(reopened.as_ref()).await, vec![row]);
    let summary = reopened.summary(&after.stream).await.unwrap().unwrap();
    assert_eq!(summary.schema, after.schema());
}

pub(super) async fn columns_come_and_go_within_a_generation(open: Open<'_>) {
    let int = StagedForm::Int64;
    let database = open();
    let before = Scene::keyed("COLUMNS", int);
    before
        .apply(
            database.as_ref(),
            (1, 1),
            replace(),
            &[vec![int_row(1, 1, "a"), int_row(2, 1, "b")]],
        )
        .await;
    // N is new, in the middle, and V is gone.
    let after = Scene::new("COLUMNS", &[("K", int), ("N", int), ("C", int)]);
    let incoming = |key: i64, new: i64, cursor: i64| -> super::Row {
        vec![Cell::Int(key), Cell::Int(new), Cell::Int(cursor)]
    };
    let rows = vec![incoming(2, 20, 2), incoming(3, 30, 2)];
    assert_eq!(after.apply(database.as_ref(), (1, 2), upsert(), &[rows]).await, (2, 1, 0));
    let row = |key: i64, cursor: i64, value: Cell, new: Cell| -> super::Row {
        vec![Cell::Int(key), Cell::Int(cursor), value, new]
    };
    let expected = sorted(vec![
        row(1, 1, text("a"), Cell::Null),
        row(2, 2, Cell::Null, Cell::Int(20)),
        row(3, 2, Cell::Null, Cell::Int(30)),
    ]);
    assert_eq!(after.rows(open().as_ref()).await, expected);
    let summary = open().summary(&after.stream).await.unwrap().unwrap();
    let names: Vec<_> = summary.schema.fields().iter().map(|f| f.name().as_str()).collect();
    assert_eq!(names, ["K", "C", "V", "N"]);
    // V is back; a row that is equal in every column changes nothing.
    let again =
        before.apply(database.as_ref(), (1, 3), upsert(), &[vec![int_row(1, 1, "a")]]).await;
    assert_eq!(again, (0, 0, 1));
    let appended = vec![int_row(4, 1, "d")];
    assert_eq!(
        before.apply(database.as_ref(), (1, 4), Apply::Append, &[appended]).await,
        (1, 0, 0)
    );
    let with_v = [expected, vec![row(4, 1, text("d"), Cell::Null)]].concat();
    assert_eq!(after.rows(open().as_ref()).await, sorted(with_v));
    // A replace has its own columns only.
    before.apply(database.as_ref(), (2, 1), replace(), &[vec![int_row(9, 9, "z")]]).await;
    assert_eq!(before.rows(open().as_ref()).await, [int_row(9, 9, "z")]);
}

pub(super) async fn a_companion_comes_to_a_column(open: Open<'_>) {
    let plain = StagedForm::Timestamp { zoned: false, nanos: false, offset: false };
    let fine = StagedForm::Timestamp { zoned: false, nanos: true, offset: false };
    let scene = |form| Scene::new("COMPANION", &[("K", StagedForm::Int64), ("C", form)]);
    let database = open();
    let rows = [1, 2].map(|key| vec![Cell::Int(key), Cell::Micros(key * 1000)]);
    scene(plain).apply(database.as_ref(), (1, 1), replace(), &[rows.to_vec()]).await;
    let after = scene(fine);
    let row =
        |key: i64, micros: i64, nanos: Cell| vec![Cell::Int(key), Cell::Micros(micros), nanos];
    // The same moment, now told to the nanosecond, and a later one within the microsecond.
    let incoming = vec![row(1, 1000, Cell::Short(0)), row(2, 2000, Cell::Short(7))];
    after.apply(database.as_ref(), (1, 2), upsert(), std::slice::from_ref(&incoming)).await;
    assert_eq!(after.rows(open().as_ref()).await, incoming);
    let older = vec![row(2, 2000, Cell::Short(6))];
    assert_eq!(after.apply(database.as_ref(), (1, 3), upsert(), &[older]).await, (0, 0, 1));
}

pub(super) async fn a_column_of_another_type_is_refused_within_a_generation(open: Open<'_>) {
    let before = Scene::keyed("TYPES", StagedForm::Int64);
    let database = open();
    let rows = [vec![int_row(1, 1, "a")]];
    before.apply(database.as_ref(), (1, 1), replace(), &rows).await;
    let int = StagedForm::Int64;
    for columns in [[("K", int), ("C", int), ("V", int)], [("K", int), ("C", int), ("v", int)]] {
        let after = Scene::new("TYPES", &columns);
        let incoming = vec![vec![Cell::Int(1), Cell::Int(2), Cell::Int(3)]];
        let manifest = after.manifest((1, 2), Apply::Append, &[incoming]);
        let result = after.load(database.as_ref(), &manifest).await;
        assert!(matches!(result, Err(DatabaseError::Schema { .. })), "{result:?}");
    }
    assert_eq!(before.rows(database.as_ref()).await, rows.concat());
    assert_eq!(before.ledger(database.as_ref()).await, Some((1, 1)));
}

pub(super) async fn empty_manifests_and_parts_move_the_ledger_only(open: Open<'_>) {
    let scene = Scene::keyed("EMPTY", StagedForm::Int64);
    let database = open();
    assert_eq!(scene.apply(database.as_ref(), (1, 1), replace(), &[]).await, (0, 0, 0));
    assert_eq!(scene.rows(database.as_ref()).await, Vec::<super::Row>::new());
    let nothing = [vec![], vec![]];
    for (sequence, apply) in [(2, Apply::Append), (3, upsert())] {
        let figures = scene.apply(database.as_ref(), (1, sequence), apply, &nothing).await;
        assert_eq!(figures, (0, 0, 0));
    }
    let rows = [vec![], vec![int_row(1, 1, "a")], vec![]];
    assert_eq!(scene.apply(database.as_ref(), (1, 4), upsert(), &rows).await, (1, 0, 0));
    assert_eq!(scene.apply(database.as_ref(), (1, 5), upsert(), &[]).await, (0, 0, 0));
    assert_eq!(scene.ledger(open().as_ref()).await, Some((1, 5)));
    assert_eq!(scene.rows(open().as_ref()).await, rows.concat());
}

pub(super) async fn a_part_unlike_its_record_is_refused(open: Open<'_>) {
    let scene = Scene::keyed("PART", StagedForm::Int64);
    let database = open();
    let rows = [vec![int_row(1, 1, "a")]];
    scene.apply(database.as_ref(), (1, 1), replace(), &rows).await;
    let good = scene.manifest((1, 2), Apply::Append, &[vec![int_row(2, 1, "b")]]);
    let mut fewer = good.clone();
    fewer.parts[0].rows = 2;
    let mut gone = good.clone();
    gone.parts[0].object = "gone".to_owned();
    let other = Scene::new("PART", &[("K", StagedForm::Utf8)]);
    let foreign = other.staged.part(0, &other.schema(), &[vec![text("x")]]);
    let mut foreign_columns = good.clone();
    foreign_columns.parts = vec![foreign];
    for manifest in [fewer, gone] {
        let result = scene.load(database.as_ref(), &manifest).await;
        assert!(matches!(result, Err(DatabaseError::Part { .. })), "{result:?}");
    }
    let elsewhere = Scene { staged: other.staged, ..Scene::keyed("PART", StagedForm::Int64) };
    let result = elsewhere.load(database.as_ref(), &foreign_columns).await;
    assert!(matches!(result, Err(DatabaseError::Part { .. })), "{result:?}");
    assert_eq!(scene.rows(database.as_ref()).await, rows.concat());
    assert!(matches!(scene.load(database.as_ref(), &good).await, Ok(Loaded::Now(_))));
}
