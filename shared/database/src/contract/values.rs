//! Values come back as they were staged, and keys are equal only when they are.

use std::slice::from_ref;

use snowferry_model::names::Identifier;
use snowferry_model::plan::StagedForm;
use snowferry_model::slice::Apply;

use super::{Cell, Open, Row, Scene, replace, row, sorted, text, upsert};

const NINES: i128 = 99_999_999_999_999_999_999_999_999_999_999_999_999;

/// Microseconds of 0001-01-01 and of the last moment of 9999.
const MICROS: (i64, i64) = (-62_135_596_800_000_000, 253_402_300_799_999_999);

/// Days of 0001-01-01 and 9999-12-31.
const DAYS: (i32, i32) = (-719_162, 2_932_896);

const WIDE: StagedForm = StagedForm::Decimal { precision: 38, scale: 0 };

fn timestamp(zoned: bool, nanos: bool, offset: bool) -> StagedForm {
    StagedForm::Timestamp { zoned, nanos, offset }
}

/// Makes a scene with one column of each staged form, and rows of edge values.
///
/// # Panics
/// When a name is not a valid one.
#[must_use]
pub fn every_type(table: &str) -> (Scene, Vec<Row>) {
    let columns = [
        ("INT", StagedForm::Int64),
        ("NARROW", StagedForm::Decimal { precision: 18, scale: 3 }),
        ("WIDE", WIDE),
        ("SCALED", StagedForm::Decimal { precision: 38, scale: 37 }),
        ("FLOAT", StagedForm::Float64),
        ("TEXT", StagedForm::Utf8),
        ("BINARY", StagedForm::Binary),
        ("BOOLEAN", StagedForm::Boolean),
        ("DATE", StagedForm::Date32),
        ("TIME", StagedForm::TimeNanos),
        ("NTZ", timestamp(false, true, false)),
        ("LTZ", timestamp(true, false, false)),
        ("TZ", timestamp(true, true, true)),
        ("FLOATS", StagedForm::ListFloat32),
        ("INTS", StagedForm::ListInt32),
    ];
    let scene = Scene::new(table, &columns);
    let nulls = vec![Cell::Null; scene.schema().fields().len()];
    let edge = |low: bool| {
        let pick = |a: i64, b: i64| if low { a } else { b };
        let sign = if low { -1 } else { 1 };
        vec![
            Cell::Int(pick(i64::MIN, i64::MAX)),
            Cell::Decimal(sign * 999_999_999_999_999_999),
            Cell::Decimal(sign * NINES),
            Cell::Decimal(sign * NINES),
            Cell::Float(if low { f64::NEG_INFINITY } else { f64::MAX }.to_bits()),
            text(if low { "" } else { "\u{10FFFF}ü\0\n\"' long enough to be cut as a bound" }),
            Cell::Bytes(if low { vec![] } else { vec![0, 255, 0] }),
            Cell::Bool(!low),
            Cell::Date(if low { DAYS.0 } else { DAYS.1 }),
            Cell::Int(pick(0, 86_399_999_999_999)),
            Cell::Micros(pick(MICROS.0, MICROS.1)),
            Cell::Short(if low { 0 } else { 999 }),
            Cell::Micros(pick(MICROS.0, MICROS.1)),
            Cell::Micros(pick(-1, 0)),
            Cell::Short(if low { 1 } else { 998 }),
            Cell::Short(if low { -840 } else { 840 }),
            Cell::Floats(if low { vec![] } else { vec![Some(f32::NAN.to_bits()), None] }),
            Cell::Ints(if low { vec![Some(i32::MIN), None] } else { vec![Some(i32::MAX)] }),
        ]
    };
    let mut odd = edge(true);
    for (name, cell) in [
        (4, Cell::Float(f64::NAN.to_bits())),
        (2, Cell::Decimal((1 << 53) + 1)),
        (0, Cell::Int((1 << 53) + 1)),
    ] {
        odd[name] = cell;
    }
    let mut zero = edge(false);
    zero[4] = Cell::Float((-0.0_f64).to_bits());
    (scene, vec![nulls, edge(true), edge(false), odd, zero])
}

pub(super) async fn every_staged_type_comes_back_exactly(open: Open<'_>) {
    let (scene, rows) = every_type("EVERY_TYPE");
    let database = open();
    let parts = [rows.clone(), vec![rows[0].clone(); 20]];
    scene.apply(database.as_ref(), (1, 1), replace(), &parts).await;
    assert_eq!(scene.rows(open().as_ref()).await, sorted(parts.concat()));
    // Through a file that is written again: every type survives that as well.
    let (keyed, mut rows) = every_type("EVERY_TYPE_AGAIN");
    rows.remove(0);
    let wide = || Identifier::new("WIDE").unwrap();
    let by_wide = |cursor| Apply::Upsert { key: vec![wide()], cursor };
    let cursor = || Identifier::new("TIME").unwrap();
    let mut first = rows.clone();
    for (index, row) in (0..).zip(&mut first) {
        row[2] = Cell::Decimal(index);
    }
    keyed.apply(database.as_ref(), (1, 1), replace(), &[first.clone()]).await;
    let mut newer = first[1].clone();
    newer[0] = Cell::Int(-5);
    let figures =
        keyed.apply(database.as_ref(), (1, 2), by_wide(cursor()), &[vec![newer.clone()]]).await;
    assert_eq!(figures, (1, 1, 0));
    first[1] = newer;
    assert_eq!(keyed.rows(open().as_ref()).await, sorted(first));
}

pub(super) async fn wide_keys_are_told_apart_exactly(open: Open<'_>) {
    let scene = Scene::keyed("WIDE_KEYS", WIDE);
    let database = open();
    let two53 = 1_i128 << 53;
    let two63 = 1_i128 << 63;
    let ten37 = 10_i128.pow(37);
    let keys = [
        two53 - 1,
        two53,
        two53 + 1,
        two53 + 2,
        -two53 - 1,
        two63 - 1,
        two63,
        two63 + 1,
        -two63,
        -two63 - 1,
        NINES,
        NINES - 1,
        -NINES,
        -NINES + 1,
        ten37,
        ten37 + 1,
        0,
        1,
    ];
    let wide = |key: &i128, cursor, value| row(Cell::Decimal(*key), cursor, value);
    // Each key in a file of its own, so that every answer depends on the files' bounds.
    let parts: Vec<_> = keys.iter().map(|key| vec![wide(key, 1, "old")]).collect();
    scene.apply(database.as_ref(), (1, 1), replace(), &parts).await;
    let (changed, kept): (Vec<_>, Vec<_>) =
        keys.iter().enumerate().partition(|(index, _)| index % 2 == 0);
    let incoming: Vec<_> = changed.iter().map(|(_, key)| wide(key, 2, "new")).collect();
    let figures = scene.apply(database.as_ref(), (1, 2), upsert(), from_ref(&incoming)).await;
    assert_eq!(figures, (9, 9, 0));
    let kept = kept.iter().map(|(_, key)| wide(key, 1, "old"));
    let expected = sorted(incoming.into_iter().chain(kept).collect());
    assert_eq!(scene.rows(open().as_ref()).await, expected);
    let all: Vec<_> = keys.iter().map(|key| wide(key, 3, "newest")).collect();
    let figures = scene.apply(database.as_ref(), (1, 3), upsert(), from_ref(&all)).await;
    assert_eq!(figures, (18, 18, 0));
    assert_eq!(scene.rows(open().as_ref()).await, sorted(all));
}

pub(super) async fn every_type_of_key_finds_its_row(open: Open<'_>) {
    let long = "the same first thirty-two characters, then ";
    let forms: Vec<(&str, StagedForm, Vec<Vec<Cell>>)> = vec![
        (
            "KEY_INT",
            StagedForm::Int64,
            [i64::MIN, -1, 0, (1 << 53) + 1, i64::MAX].map(|key| vec![Cell::Int(key)]).to_vec(),
        ),
        (
            "KEY_TEXT",
            StagedForm::Utf8,
            ["", " ", "a", "A", "ä", &format!("{long}a"), &format!("{long}b"), "\u{10FFFF}"]
                .map(|key| vec![text(key)])
                .to_vec(),
        ),
        (
            "KEY_BINARY",
            StagedForm::Binary,
            [vec![], vec![0], vec![0, 0], vec![255]].map(|key| vec![Cell::Bytes(key)]).to_vec(),
        ),
        (
            "KEY_DATE",
            StagedForm::Date32,
            [DAYS.0, -1, 0, DAYS.1].map(|key| vec![Cell::Date(key)]).to_vec(),
        ),
        (
            "KEY_TIME",
            timestamp(true, true, false),
            [(MICROS.0, 0), (-1, 0), (-1, 1), (-1, 999), (0, 0), (MICROS.1, 999)]
                .map(|(micros, nanos)| vec![Cell::Micros(micros), Cell::Short(nanos)])
                .to_vec(),
        ),
        (
            "KEY_NTZ",
            timestamp(false, false, false),
            [MICROS.0, 0, 1, MICROS.1].map(|key| vec![Cell::Micros(key)]).to_vec(),
        ),
        (
            "KEY_BOOLEAN",
            StagedForm::Boolean,
            [false, true].map(|key| vec![Cell::Bool(key)]).to_vec(),
        ),
    ];
    for (table, form, keys) in forms {
        let scene = Scene::keyed(table, form);
        let database = open();
        let row = |key: &Row, cursor, value| {
            key.iter().cloned().chain([Cell::Int(cursor), text(value)]).collect::<Row>()
        };
        let parts: Vec<_> = keys.iter().map(|key| vec![row(key, 1, "old")]).collect();
        scene.apply(database.as_ref(), (1, 1), replace(), &parts).await;
        let incoming: Vec<_> = keys.iter().map(|key| row(key, 2, "new")).collect();
        let count = keys.len() as u64;
        let figures = scene.apply(database.as_ref(), (1, 2), upsert(), from_ref(&incoming)).await;
        assert_eq!(figures, (count, count, 0), "{table}");
        assert_eq!(scene.rows(open().as_ref()).await, sorted(incoming), "{table}");
        let last = row(keys.last().unwrap(), 3, "last");
        let figures = scene.apply(database.as_ref(), (1, 3), upsert(), &[vec![last]]).await;
        assert_eq!(figures, (1, 1, 0), "{table}");
    }
}

pub(super) async fn composite_keys_do_not_run_together(open: Open<'_>) {
    let columns =
        [("A", StagedForm::Utf8), ("B", StagedForm::Utf8), ("C", timestamp(true, true, true))];
    let scene = Scene::new("COMPOSITE", &columns);
    let database = open();
    let name = |name: &str| Identifier::new(name).unwrap();
    let apply = || Apply::Upsert { key: vec![name("A"), name("B")], cursor: name("C") };
    let row = |a, b, micros, nanos, offset| {
        vec![text(a), text(b), Cell::Micros(micros), Cell::Short(nanos), Cell::Short(offset)]
    };
    let first = vec![row("a", "bc", 5, 0, 0), row("ab", "c", 5, 0, 0), row("", "abc", 5, 0, 0)];
    scene.apply(database.as_ref(), (1, 1), replace(), &[first]).await;
    let second = vec![
        row("ab", "c", 5, 1, -60),  // newer by a nanosecond
        row("", "abc", 4, 999, 60), // older, whatever its offset
        row("abc", "", 1, 0, 0),
    ];
    assert_eq!(scene.apply(database.as_ref(), (1, 2), apply(), &[second]).await, (2, 1, 1));
    let expected = vec![
        row("", "abc", 5, 0, 0),
        row("a", "bc", 5, 0, 0),
        row("ab", "c", 5, 1, -60),
        row("abc", "", 1, 0, 0),
    ];
    assert_eq!(scene.rows(open().as_ref()).await, sorted(expected));
}

pub(super) async fn odd_names_are_kept(open: Open<'_>) {
    let names = [
        "a b",
        "a,b",
        "a;b",
        "x{y}",
        "tab\there",
        "a=b",
        "()",
        "ünï",
        "\"",
        ".",
        "1st",
        "%41",
        "back\\slash",
        "select",
        "new\nline",
        "x__ns",
        "🦀",
    ];
    let columns: Vec<_> = names.iter().map(|name| (*name, StagedForm::Int64)).collect();
    let scene = Scene::new("odd \"name\" / .. %41 ü", &columns);
    let database = open();
    let row = |value: i64| (0..names.len() as i64).map(|i| Cell::Int(value + i)).collect::<Row>();
    scene.apply(database.as_ref(), (1, 1), replace(), &[vec![row(0), row(100)]]).await;
    let name = |name: &str| Identifier::new(name).unwrap();
    let apply = Apply::Upsert { key: vec![name("a b"), name(".")], cursor: name("\"") };
    let newer = [vec![row(100), row(200)]];
    assert_eq!(scene.apply(database.as_ref(), (1, 2), apply, &newer).await, (1, 0, 1));
    assert_eq!(scene.rows(open().as_ref()).await, vec![row(0), row(100), row(200)]);
}
