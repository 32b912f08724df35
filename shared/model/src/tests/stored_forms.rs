//! A sample of each stored form lies in `samples/` and must stay readable to equal values: what
//! an older version wrote is read by every later one. A changed form gets a new version and a new
//! sample; an old sample is never edited.

use std::fmt::Debug;
use std::path::PathBuf;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::drift::SchemaChange;
use crate::export::{
    EXPORT_VERSION, ExportColumn, ExportQuery, ExportSnapshot, ExportSource, Parameter, PinnedTable,
};
use crate::fault::{Blame, Retry};
use crate::manifest::{ColumnStats, MANIFEST_VERSION, Manifest, PartRecord, StatValue};
use crate::names::Identifier;
use crate::plan::{PLAN_VERSION, PlannedColumn, StagedForm, TablePlan};
use crate::run::{Figures, Outcome, RUN_VERSION, RunRecord};
use crate::slice::{Apply, Slice, UniqueBy};
use crate::state::{LedgerPosition, STATE_VERSION, StreamKey, StreamState};
use crate::time::UnixMillis;
use crate::types::SnowflakeType;
use crate::watermark::{Lookback, LowerEdge, Watermark, Window};

/// Compares the sample with `values` in both directions. A sample that is not there is written,
/// and the test fails once so that it is looked at and committed.
fn check<T: Serialize + DeserializeOwned + PartialEq + Debug>(name: &str, values: &[T]) {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("samples").join(name);
    let written = serde_json::to_string_pretty(values).unwrap() + "\n";
    if !path.exists() {
        std::fs::write(&path, &written).unwrap();
        panic!("wrote {}: look at it and commit it", path.display());
    }
    let sample = std::fs::read_to_string(&path).unwrap();
    let read: Vec<T> = serde_json::from_str(&sample).unwrap();
    assert_eq!(read, values, "{name} is read differently");
    assert_eq!(sample, written, "{name} is written differently: that is a new version");
}

fn identifier(name: &str) -> Identifier {
    Identifier::new(name).unwrap()
}

fn stream() -> StreamKey {
    StreamKey {
        connection: "acme".to_owned().try_into().unwrap(),
        table: "CRM.PUBLIC.\"Opportunities 2026\"".parse().unwrap(),
    }
}

fn watermark(text: &str) -> Watermark {
    Watermark {
        cursor: identifier("UPDATED_AT"),
        cursor_type: SnowflakeType::TimestampLtz { scale: 9 },
        text: text.to_owned(),
    }
}

fn upsert() -> Apply {
    Apply::Upsert { key: vec![identifier("ID")], cursor: identifier("UPDATED_AT") }
}

fn slice(window: Window, apply: Apply) -> Slice {
    Slice {
        sequence: 8,
        query_id: "01b2c3d4-0000-1111-0000-222233334444".to_owned(),
        window,
        apply,
        plan: "00112233445566778899aabbccddeeff".to_owned(),
        identity: "2026-01-02 03:04:05.678 +0000".to_owned(),
        part_bytes: 268_435_456,
        pinned_at: UnixMillis(1_767_323_045_678),
        run_id: "20260102T030405678Z-1".to_owned(),
        unchanged: None,
    }
}

fn between(edge: LowerEdge, lookback: Lookback) -> Window {
    let (from, to) = (watermark("2026-01-01 00:00:00.000000001 Z"), watermark("2026-01-02 Z"));
    Window::Between { from, edge, lookback, to }
}

#[test]
fn slices_stay_readable() {
    let unique = Some(UniqueBy { key: vec![identifier("ID")], cursor: identifier("N") });
    check(
        "slice.v1.json",
        &[
            slice(Window::Whole, Apply::Replace { unique: None }),
            slice(Window::Nothing, Apply::Replace { unique }),
            slice(Window::UpTo { to: watermark("2026-01-02 Z") }, Apply::Append),
            slice(between(LowerEdge::Open, Lookback::None), Apply::Append),
            slice(between(LowerEdge::Closed, Lookback::Seconds(3600)), upsert()),
            slice(between(LowerEdge::Closed, Lookback::Units(10)), upsert()),
            slice(Window::Unbounded { to: watermark("2026-01-02 Z") }, upsert()),
            slice(
                Window::Since {
                    from: watermark("2026-01-01 Z"),
                    lookback: Lookback::Seconds(60),
                    to: watermark("2026-01-02 Z"),
                },
                upsert(),
            ),
            slice(
                Window::WithNulls {
                    of: Box::new(Window::Unbounded { to: watermark("2026-01-02 Z") }),
                },
                upsert(),
            ),
            Slice {
                unchanged: Some("ffeeddccbbaa99887766554433221100".to_owned()),
                ..slice(Window::Whole, Apply::Replace { unique: None })
            },
        ],
    );
}

#[test]
fn states_stay_readable() {
    let working = StreamState {
        version: STATE_VERSION,
        generation: 2,
        sequence: 7,
        watermark: Some(watermark("2026-01-01 00:00:00.000000001 Z")),
        identity: Some("2026-01-02 03:04:05.678 +0000".to_owned()),
        plan: Some("00112233445566778899aabbccddeeff".to_owned()),
        slice: Some(slice(between(LowerEdge::Closed, Lookback::None), upsert())),
        synced_as_of: Some(UnixMillis(1_767_323_045_678)),
        rows_loaded: u64::MAX,
        unchanged: None,
    };
    let quiet = StreamState {
        slice: None,
        unchanged: Some("ffeeddccbbaa99887766554433221100".to_owned()),
        ..working.clone()
    };
    check("state.v1.json", &[StreamState::fresh(1), working, quiet]);
}

fn stats(name: &str, min: StatValue, max: StatValue) -> ColumnStats {
    ColumnStats { name: name.to_owned(), nulls: 3, min: Some(min), max: Some(max) }
}

fn part() -> PartRecord {
    use StatValue::{Date, Decimal, Float, Int, Micros, Text};
    let nines = 10_i128.pow(38) - 1;
    PartRecord {
        version: MANIFEST_VERSION,
        index: 7,
        object: "acme/CRM.PUBLIC.T/g2/n8/q/part-00007.a.parquet".to_owned(),
        rows: 1_000_000,
        size_bytes: 24_700_000,
        sha256: "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855".to_owned(),
        received_bytes: 37_900_000,
        columns: vec![
            stats("INT", Int(i64::MIN), Int(i64::MAX)),
            stats("WIDE", Decimal(-nines), Decimal(nines)),
            stats("FLOAT", Float(-0.0), Float(0.1 + 0.2)),
            stats("INFINITE", Float(f64::NEG_INFINITY), Float(f64::MAX)),
            stats("DAY", Date(-719_162), Date(2_932_896)),
            stats("AT", Micros(-62_135_596_800_000_000), Micros(253_402_300_799_999_999)),
            stats("TEXT", Text(String::new()), Text("größer \"\\\n\u{10ffff}".to_owned())),
            ColumnStats { name: "BINARY".to_owned(), nulls: 0, min: None, max: None },
        ],
    }
}

#[test]
fn part_records_stay_readable() {
    check("part.v1.json", &[part()]);
}

#[test]
fn manifests_stay_readable() {
    let full = Manifest {
        version: MANIFEST_VERSION,
        generation: 2,
        sequence: 8,
        query_id: "01b2c3d4-0000-1111-0000-222233334444".to_owned(),
        plan: "00112233445566778899aabbccddeeff".to_owned(),
        identity: "2026-01-02 03:04:05.678 +0000".to_owned(),
        apply: upsert(),
        watermark: Some(watermark("2026-01-02 Z")),
        pinned_at: UnixMillis(1_767_323_045_678),
        rows: 1_000_000,
        parts: vec![part()],
    };
    let empty = Manifest {
        apply: Apply::Replace { unique: None },
        watermark: None,
        rows: 0,
        parts: Vec::new(),
        ..full.clone()
    };
    check("manifest.v1.json", &[full, empty]);
}

#[test]
fn run_records_stay_readable() {
    let run = |outcome: Outcome, ended_at: Option<i64>| RunRecord {
        version: RUN_VERSION,
        run_id: "20260102T030405678Z-1".to_owned(),
        stream: stream(),
        mode: "incremental".to_owned(),
        trigger: "manual".to_owned(),
        started_at: UnixMillis(1_767_323_045_678),
        ended_at: ended_at.map(UnixMillis),
        outcome,
        figures: Figures {
            rows_announced: 1,
            rows_staged: 2,
            rows_loaded: 3,
            rows_replaced: 4,
            rows_superseded: 5,
            parts_staged: 6,
            parts_reused: 7,
            received_bytes: 8,
            staged_bytes: 9,
            statements: 10,
            query_ids: vec!["01b2c3d4-0000-1111-0000-222233334444".to_owned()],
            pin_ms: 11,
            stage_ms: 12,
            load_ms: 13,
            slices_loaded: 0,
            null_cursors: 0,
            future_cursors: 0,
            schema_changes: Vec::new(),
        },
    };
    let mut odd_cursors = run(Outcome::Loaded, Some(1_767_323_046_000));
    odd_cursors.figures.null_cursors = 14;
    odd_cursors.figures.future_cursors = 15;
    let failed = |blame: Blame, retry: Retry, hint: Option<&str>| Outcome::Failed {
        code: "STAGING_FULL".to_owned(),
        message: "write part: no space left".to_owned(),
        blame,
        retry,
        hint: hint.map(str::to_owned),
    };
    let ended = Some(1_767_323_046_000);
    check(
        "run.v1.json",
        &[
            run(Outcome::Running, None),
            run(Outcome::Loaded, ended),
            run(Outcome::NothingNew, ended),
            run(Outcome::Continued, ended),
            run(Outcome::Busy { owner: "20260102T030405000Z-1".to_owned() }, ended),
            run(Outcome::Crashed, ended),
            run(failed(Blame::Customer, Retry::AfterFix, Some("grant USAGE")), ended),
            run(failed(Blame::Operator, Retry::NextRun, Some("free space")), ended),
            run(failed(Blame::Transient, Retry::Now, None), ended),
            run(failed(Blame::Snowferry, Retry::NextRun, None), ended),
            odd_cursors,
        ],
    );
}

#[test]
fn plans_stay_readable() {
    use SnowflakeType as T;
    use StagedForm as F;
    let timestamp = |zoned, nanos, offset| F::Timestamp { zoned, nanos, offset };
    let columns = [
        (T::Number { precision: 38, scale: 0 }, F::Int64),
        (T::Number { precision: 38, scale: 2 }, F::Decimal { precision: 38, scale: 2 }),
        (T::Float, F::Float64),
        (T::Decfloat, F::Utf8),
        (T::Text, F::Utf8),
        (T::Binary, F::Binary),
        (T::Boolean, F::Boolean),
        (T::Date, F::Date32),
        (T::Time { scale: 9 }, F::TimeNanos),
        (T::TimestampNtz { scale: 9 }, timestamp(false, true, false)),
        (T::TimestampLtz { scale: 6 }, timestamp(true, false, false)),
        (T::TimestampTz { scale: 3 }, timestamp(true, false, true)),
        (T::Variant, F::Utf8),
        (T::Object, F::Utf8),
        (T::Array, F::Utf8),
        (T::Map, F::Utf8),
        (T::Geography, F::Utf8),
        (T::Geometry, F::Utf8),
        (T::VectorFloat { dimension: 3 }, F::ListFloat32),
        (T::VectorInt { dimension: 3 }, F::ListInt32),
    ];
    let columns = columns.into_iter().enumerate().map(|(index, (data_type, form))| PlannedColumn {
        name: identifier(&format!("C{index}")),
        data_type,
        form,
    });
    check("plan.v1.json", &[TablePlan { version: PLAN_VERSION, columns: columns.collect() }]);
}

#[test]
fn a_state_with_its_longest_slice_stays_below_four_kilobytes() {
    let mut state = StreamState::fresh(u64::MAX);
    let cursor = identifier(&"C".repeat(255));
    let apply = Apply::Upsert { key: vec![identifier(&"K".repeat(255))], cursor };
    let mut longest = slice(between(LowerEdge::Closed, Lookback::Seconds(u64::MAX)), apply);
    if let Window::Between { from, to, .. } = &mut longest.window {
        from.cursor = identifier(&"C".repeat(255));
        to.cursor = from.cursor.clone();
        state.watermark = Some(from.clone());
    }
    state.slice = Some(longest);
    let size_bytes = serde_json::to_string(&state).unwrap().len();
    assert!(size_bytes < 4096, "{size_bytes} bytes");
}

#[test]
fn export_snapshots_stay_readable() {
    let parameters = [
        ("absent", Parameter::Null),
        ("flag", Parameter::Boolean(true)),
        ("limit", Parameter::Integer(i64::MIN)),
        ("rate", Parameter::Decimal("99999999999999999999999999999999999.999".to_owned())),
        ("stage", Parameter::Text("won, 'really'".to_owned())),
        ("day", Parameter::Date(-1)),
        ("local", Parameter::Timestamp(1_767_323_045_678_901)),
        ("since", Parameter::Instant(-62_135_596_800_000_000)),
    ];
    let query = |source| ExportQuery {
        connection: Some(stream().connection),
        source,
        parameters: parameters.iter().map(|(n, p)| ((*n).to_owned(), p.clone())).collect(),
        now: UnixMillis(1_767_323_045_678),
    };
    let snapshot = |source, ledger| ExportSnapshot {
        version: EXPORT_VERSION,
        query: query(source),
        tables: vec![PinnedTable {
            stream: stream(),
            table_id: "0c9b4d3e-7c1a-4a39-9b1f-3a5d6f7e8a90".to_owned(),
            table_version: 41,
            ledger,
        }],
        columns: vec![ExportColumn {
            name: "ID".to_owned(),
            data_type: "Decimal128(38, 0)".to_owned(),
        }],
    };
    check(
        "export.v1.json",
        &[
            snapshot(
                ExportSource::Sql("SELECT id FROM \"Opportunities 2026\"".to_owned()),
                Some(LedgerPosition { generation: 2, sequence: 7 }),
            ),
            snapshot(ExportSource::Table(stream()), None),
        ],
    );
}

#[test]
fn pushes_stay_readable() {
    use crate::push::*;
    let connection = stream().connection;
    let push = PushKey { connection, name: PushName::new("scores").unwrap() };
    let fresh = PushState::fresh(1);
    let working = PushState {
        version: PUSH_STATE_VERSION,
        generation: 2,
        sequence: 7,
        slice: Some(PushSlice {
            sequence: 8,
            plan: "00112233445566778899aabbccddeeff".to_owned(),
            run_id: "20260102T030405678Z-1".to_owned(),
            pinned_at: UnixMillis(1_767_323_045_678),
        }),
        last_run: Some("20260101T030405678Z-1".to_owned()),
        rows: 12,
        pushed_as_of: Some(UnixMillis(1_767_236_645_678)),
    };
    check("push-state.v1.json", &[fresh, working]);
    check("push-manifest.v1.json", &[push_manifest()]);
    let run = |outcome: PushOutcome| PushRunRecord {
        version: PUSH_RUN_VERSION,
        run_id: "20260102T030405678Z-1".to_owned(),
        push: push.clone(),
        target: "CRM.PUBLIC.SCORES".parse().unwrap(),
        mode: "rewrite".to_owned(),
        trigger: "manual".to_owned(),
        started_at: UnixMillis(1_767_323_045_678),
        ended_at: Some(UnixMillis(1_767_323_046_000)),
        outcome,
        figures: PushFigures {
            rows_staged: 1,
            rows_applied: 2,
            rows_replaced: 3,
            parts_staged: 4,
            parts_reused: 0,
            staged_bytes: 5,
            pin_ms: 6,
            stage_ms: 7,
            apply_ms: 8,
        },
    };
    let verdict = |verdict| ColumnVerdict {
        column: "ID".to_owned(),
        ours: "text".to_owned(),
        theirs: "NUMBER(38,0)".to_owned(),
        verdict,
        reason: "text does not go into NUMBER(38,0)".to_owned(),
        repair: Some("cast it".to_owned()),
    };
    let all = [Verdict::Fits, Verdict::Checked, Verdict::Warning, Verdict::Refused];
    let outcomes = [
        PushOutcome::Running,
        PushOutcome::Applied,
        PushOutcome::Continued,
        PushOutcome::Busy { owner: "elsewhere".to_owned() },
        PushOutcome::Crashed,
        PushOutcome::Refused { verdicts: all.map(verdict).to_vec() },
        PushOutcome::Failed {
            code: "PUSH_TARGET_CHANGED".to_owned(),
            message: "it was made anew".to_owned(),
            blame: Blame::Customer,
            retry: Retry::NextRun,
            hint: None,
        },
    ];
    check("push-run.v1.json", &outcomes.map(run));
}

fn push_manifest() -> crate::push::PushManifest {
    use crate::push::*;
    use WireForm as F;
    let forms = [
        F::Integer,
        F::Decimal { precision: 12, scale: 2 },
        F::Float,
        F::Boolean,
        F::Date,
        F::Text,
        F::Binary,
        F::Json,
        F::Shape,
        F::DecimalText,
        F::TimeText,
        F::WallMicros,
        F::InstantMicros,
        F::WallText,
        F::OffsetText,
        F::VectorText,
    ];
    let column = |(position, form): (usize, WireForm)| PushColumn {
        target: identifier(&format!("C{position}")),
        data_type: SnowflakeType::Text,
        max_chars: Some(50),
        max_bytes: None,
        nullable: true,
        source: "x".to_owned(),
        nanos: true,
        offset: false,
        form,
        round: false,
    };
    let values = [
        ConstantValue::RunId,
        ConstantValue::PinnedAt,
        ConstantValue::Text("a".to_owned()),
        ConstantValue::Integer(-1),
        ConstantValue::Boolean(true),
    ];
    let constant = |value| Constant { target: identifier("K"), value };
    let plan = PushPlan {
        version: PUSH_PLAN_VERSION,
        run_id: "20260102T030405678Z-1".to_owned(),
        target: "CRM.PUBLIC.SCORES".parse().unwrap(),
        identity: "2026-01-02 03:04:05.678 +0000".to_owned(),
        fingerprint: "00112233445566778899aabbccddeeff".to_owned(),
        mode: PushMode::Upsert { key: vec![identifier("ID")] },
        delivery: Delivery::Ledger { table: "CRM.SNOWFERRY.LEDGER".parse().unwrap() },
        columns: forms.into_iter().enumerate().map(column).collect(),
        constants: values.map(constant).to_vec(),
        snapshot: ExportSnapshot {
            version: EXPORT_VERSION,
            query: ExportQuery {
                connection: None,
                source: ExportSource::Sql("SELECT 1".to_owned()),
                parameters: std::collections::BTreeMap::new(),
                now: UnixMillis(1),
            },
            tables: Vec::new(),
            columns: Vec::new(),
        },
        target_rows: Some(10),
        pinned_at: UnixMillis(1_767_323_045_678),
    };
    PushManifest {
        version: PUSH_MANIFEST_VERSION,
        generation: 2,
        sequence: 8,
        plan,
        rows: 3,
        values: vec![3, 2],
        parts: vec![PushPart {
            index: 0,
            object: "acme/push-scores/g2/n8/a/part-00000.parquet".to_owned(),
            file: "@~/snowferry/a/part-00000.parquet".to_owned(),
            rows: 3,
            size_bytes: 900,
            sha256: "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855".to_owned(),
        }],
    }
}

#[test]
fn schema_changes_stay_readable() {
    let column = || identifier("UPDATED_AT");
    let (was, is) = (SnowflakeType::Text, SnowflakeType::Date);
    check(
        "schema_change.v1.json",
        &[
            SchemaChange::Added { column: column(), data_type: SnowflakeType::Date },
            SchemaChange::Dropped { column: column() },
            SchemaChange::Retyped { column: column(), was, is },
            SchemaChange::Reordered,
            SchemaChange::Recreated,
            SchemaChange::Finer { column: column() },
            SchemaChange::Wider { column: column() },
        ],
    );
}
