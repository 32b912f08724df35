//! Readers that nobody here wrote see the rows that were staged, and find wide keys.
//!
//! Set `SNOWFERRY_JUDGES_PYTHON` to a Python that has `tests/judges/requirements-readers.txt`.
#![cfg(feature = "delta")]
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::path::Path;
use std::process::Command;

use arrow::datatypes::{DataType, SchemaRef};
use serde_json::{Value, json};
use snowferry_database::Database;
use snowferry_database::contract::{Cell, Row, Scene, every_type, replace, row, text, upsert};
use snowferry_database::delta::DeltaDatabase;
use snowferry_database::delta::maintain::MaintenancePolicy;
use snowferry_model::plan::StagedForm;
use snowferry_model::slice::Apply;
use snowferry_model::time::{UnixMillis, civil_from_days};

const READERS: [&str; 2] = ["deltalake", "polars"];

/// Runs the judge and returns its lines; `None` without a Python to run it.
#[expect(clippy::print_stderr, reason = "a skipped test says so")]
fn judge(folder: &Path, key: Option<&str>) -> Option<Vec<Value>> {
    let Some(python) = std::env::var_os("SNOWFERRY_JUDGES_PYTHON") else {
        eprintln!("SKIPPED: SNOWFERRY_JUDGES_PYTHON names no Python with deltalake and polars");
        return None;
    };
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/judges/delta_readers.py");
    let mut command = Command::new(python);
    command.env("PYTHONUTF8", "1").arg(script).arg(folder);
    if let Some(key) = key {
        command.args(["--key", key]);
    }
    let output = command.output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    let lines = String::from_utf8(output.stdout).unwrap();
    Some(lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect())
}

/// Returns what one reader printed under a name.
fn printed<'a>(lines: &'a [Value], reader: &str, name: &str) -> Vec<&'a Value> {
    let lines = lines.iter().filter(|line| line["reader"] == reader);
    lines.filter(|line| line.get(name).is_some()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn point_and_range_queries_on_wide_keys_are_right_in_independent_readers() {
    let root = tempfile::tempdir().unwrap();
    let database = DeltaDatabase::open(root.path()).unwrap();
    let scene = Scene::keyed("WIDE", StagedForm::Decimal { precision: 38, scale: 0 });
    let (two53, two63, nines) = (1_i128 << 53, 1_i128 << 63, 10_i128.pow(38) - 1);
    let mut keys = vec![
        two53 - 1,
        two53,
        two53 + 1,
        -two53 - 1,
        999_999_999_999_999_999,
        two63 - 1,
        two63,
        two63 + 1,
        -two63 - 1,
        nines - 1,
        nines,
        -nines,
        0,
    ];
    keys.sort_unstable();
    let parts: Vec<_> = keys.iter().map(|key| vec![row(Cell::Decimal(*key), 1, "old")]).collect();
    scene.apply(&database, (1, 1), replace(), &parts).await;
    // Some keys now lie in files that were written again.
    let newer: Vec<_> =
        keys.iter().step_by(3).map(|key| row(Cell::Decimal(*key), 2, "new")).collect();
    scene.apply(&database, (1, 2), upsert(), &[newer]).await;
    let Some(lines) = judge(&database.folder(&scene.stream), Some("K")) else { return };
    for reader in READERS {
        let found: Vec<_> = printed(&lines, reader, "key")
            .into_iter()
            .map(|line| {
                (line["key"].clone(), line["eq"].clone(), line["ge"].clone(), line["le"].clone())
            })
            .collect();
        let expected: Vec<_> = (0..)
            .zip(&keys)
            .map(|(index, key)| {
                let all = keys.len();
                (json!(key.to_string()), json!(1), json!(all - index), json!(index + 1))
            })
            .collect();
        assert_eq!(found, expected, "{reader}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn point_and_range_queries_on_every_type_of_key_are_right_in_independent_readers() {
    let long = "the same first thirty-two characters, then ";
    let time = |zoned| StagedForm::Timestamp { zoned, nanos: false, offset: false };
    let micros =
        [-62_135_596_800_000_000, -1_000_001, -1, 0, 1, 999, 1000, 253_402_300_799_999_999];
    let scaled: [i128; 5] = [-(10_i128.pow(38) - 1), -1, 0, 4_503_599_627_370_497_500_000_001, 1];
    let texts = ["", " ", "A", "a", "ä", &format!("{long}a"), &format!("{long}b"), "🦀"];
    let kinds: [(&str, StagedForm, Vec<Cell>); 6] = [
        (
            "INT",
            StagedForm::Int64,
            [i64::MIN, (1 << 53) + 1, -(1 << 53) - 1, 1 << 53, i64::MAX].map(Cell::Int).to_vec(),
        ),
        ("DATE", StagedForm::Date32, [-719_162, -1, 0, 1, 2_932_896].map(Cell::Date).to_vec()),
        ("LTZ", time(true), micros.map(Cell::Micros).to_vec()),
        ("NTZ", time(false), micros.map(Cell::Micros).to_vec()),
        ("TEXT", StagedForm::Utf8, texts.iter().map(|key| text(key)).collect()),
        (
            "SCALED",
            StagedForm::Decimal { precision: 38, scale: 9 },
            scaled.map(Cell::Decimal).to_vec(),
        ),
    ];
    let root = tempfile::tempdir().unwrap();
    let database = DeltaDatabase::open(root.path()).unwrap();
    for (table, form, mut keys) in kinds {
        let scene = Scene::keyed(table, form);
        keys.sort();
        // Two neighbours in a file, so that a bound that is off by one loses a row.
        let rows: Vec<_> = keys.iter().map(|key| row(key.clone(), 1, "v")).collect();
        let parts: Vec<_> = rows.chunks(2).map(<[Row]>::to_vec).collect();
        scene.apply(&database, (1, 1), replace(), &parts).await;
        let Some(lines) = judge(&database.folder(&scene.stream), Some("K")) else { return };
        for reader in READERS {
            let counts = |line: &Value| ["eq", "ge", "le"].map(|name| line[name].as_u64().unwrap());
            let found: Vec<_> = printed(&lines, reader, "key").into_iter().map(counts).collect();
            let all = keys.len() as u64;
            let expected: Vec<_> = (0..all).map(|index| [1, all - index, index + 1]).collect();
            assert_eq!(found, expected, "{table} by {reader}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_staged_type_is_the_same_in_independent_readers() {
    let root = tempfile::tempdir().unwrap();
    let database = DeltaDatabase::open(root.path()).unwrap();
    let (scene, rows) = every_type("EVERY_TYPE");
    scene.apply(&database, (1, 1), replace(), std::slice::from_ref(&rows)).await;
    let Some(lines) = judge(&database.folder(&scene.stream), None) else { return };
    let schema = scene.schema();
    let mut expected: Vec<_> = rows.iter().map(|row| canonical_row(&schema, row)).collect();
    expected.sort();
    for reader in READERS {
        let counts = printed(&lines, reader, "count");
        assert_eq!(counts[0]["count"], json!(rows.len()), "{reader}");
        let mut found: Vec<_> = printed(&lines, reader, "row")
            .into_iter()
            .map(|line| printed_row(&schema, &line["row"]))
            .collect();
        found.sort();
        assert_eq!(found, expected, "{reader}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn independent_readers_see_the_same_rows_after_maintenance_and_new_columns() {
    let root = tempfile::tempdir().unwrap();
    let database = DeltaDatabase::open(root.path()).unwrap();
    let (scene, rows) = every_type("MAINTAINED");
    let parts: Vec<_> = rows.iter().map(|row| vec![row.clone()]).collect();
    scene.apply(&database, (1, 1), replace(), std::slice::from_ref(&rows)).await;
    scene.apply(&database, (2, 1), replace(), &parts).await;
    let policy = MaintenancePolicy { least_files: 2, ..MaintenancePolicy::default() };
    // By this clock everything that is not in use is past its retention.
    let distant = UnixMillis(4_000_000_000_000);
    let done = database.maintain(&scene.stream, &policy, distant).await.unwrap();
    assert_eq!((done.written_files, done.merged_files), (1, parts.len() as u64));
    assert_eq!(done.deleted_files, 1 + done.merged_files);
    // A file with other columns than the table's older one.
    let fewer = Scene::new("MAINTAINED", &[("TEXT", StagedForm::Utf8), ("NEW", StagedForm::Int64)]);
    let added = vec![text("added"), Cell::Int(7)];
    fewer.apply(&database, (2, 2), Apply::Append, &[vec![added]]).await;
    let schema = database.summary(&scene.stream).await.unwrap().unwrap().schema;
    let Some(lines) = judge(&database.folder(&scene.stream), None) else { return };
    let expected: Vec<_> =
        fewer.rows(&database).await.iter().map(|row| canonical_row(&schema, row)).collect();
    for reader in READERS {
        let mut found: Vec<_> = printed(&lines, reader, "row")
            .into_iter()
            .map(|line| printed_row(&schema, &line["row"]))
            .collect();
        found.sort();
        let mut expected = expected.clone();
        expected.sort();
        assert_eq!(found, expected, "{reader}");
    }
}

/// Returns a row as the judge prints it, floats by their bits.
fn canonical_row(schema: &SchemaRef, row: &Row) -> Vec<String> {
    let fields = schema.fields().iter();
    fields.zip(row).map(|(field, cell)| canonical(field.data_type(), cell)).collect()
}

fn canonical(data_type: &DataType, cell: &Cell) -> String {
    let list = |items: Vec<String>| format!("[{}]", items.join(","));
    let null = || "null".to_owned();
    match (data_type, cell) {
        (_, Cell::Null) => null(),
        (_, Cell::Int(value)) => value.to_string(),
        (_, Cell::Short(value)) => value.to_string(),
        (DataType::Decimal128(_, scale), Cell::Decimal(value)) => {
            let scale = usize::try_from(*scale).unwrap();
            let digits = format!("{:0>1$}", value.unsigned_abs(), scale + 1);
            let (whole, fraction) = digits.split_at(digits.len() - scale);
            let sign = if *value < 0 { "-" } else { "" };
            let point = if scale > 0 { "." } else { "" };
            format!("{sign}{whole}{point}{fraction}")
        }
        (_, Cell::Float(bits)) => float_text(f64::from_bits(*bits)),
        (_, Cell::Text(text)) => text.clone(),
        (_, Cell::Bytes(bytes)) => bytes.iter().map(|byte| format!("{byte:02x}")).collect(),
        (_, Cell::Bool(value)) => value.to_string(),
        (_, Cell::Date(days)) => date_text(i64::from(*days)),
        (DataType::Timestamp(_, zone), Cell::Micros(micros)) => {
            let (day, rest) =
                (micros.div_euclid(86_400_000_000), micros.rem_euclid(86_400_000_000));
            let (seconds, fraction) = (rest / 1_000_000, rest % 1_000_000);
            let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
            let zone = if zone.is_some() { "Z" } else { "" };
            let date = date_text(day);
            format!("{date}T{hour:02}:{minute:02}:{second:02}.{fraction:06}{zone}")
        }
        (_, Cell::Floats(values)) => {
            let text = |bits: &Option<u32>| {
                bits.map_or_else(null, |bits| float_text(f64::from(f32::from_bits(bits))))
            };
            list(values.iter().map(text).collect())
        }
        (_, Cell::Ints(values)) => {
            let text = |value: &Option<i32>| value.map_or_else(null, |value| value.to_string());
            list(values.iter().map(text).collect())
        }
        other => panic!("{other:?}"),
    }
}

/// Returns a printed row with its floats by their bits.
fn printed_row(schema: &SchemaRef, row: &Value) -> Vec<String> {
    let text = |field: &arrow::datatypes::FieldRef| {
        let is_float = match field.data_type() {
            DataType::List(element) => element.data_type().is_floating(),
            data_type => data_type.is_floating(),
        };
        printed_text(&row[field.name()], is_float)
    };
    schema.fields().iter().map(text).collect()
}

fn printed_text(value: &Value, is_float: bool) -> String {
    match value {
        Value::String(text) if is_float => float_text(text.parse().unwrap()),
        Value::String(text) => text.clone(),
        Value::Array(items) => {
            let items: Vec<_> = items.iter().map(|item| printed_text(item, is_float)).collect();
            format!("[{}]", items.join(","))
        }
        other => other.to_string(),
    }
}

fn float_text(value: f64) -> String {
    if value.is_nan() { "NaN".to_owned() } else { format!("{:016x}", value.to_bits()) }
}

fn date_text(days: i64) -> String {
    let (year, month, day) = civil_from_days(days);
    format!("{year:04}-{month:02}-{day:02}")
}
