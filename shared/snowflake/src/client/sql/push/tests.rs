//! The texts, as they go over the wire.

use expect_test::expect;
use snowferry_model::export::{EXPORT_VERSION, ExportQuery, ExportSnapshot, ExportSource};
use snowferry_model::push::{
    Delivery, PUSH_MANIFEST_VERSION, PUSH_PLAN_VERSION, PushName, PushPart,
};
use snowferry_model::time::UnixMillis;

use super::*;

fn identifier(name: &str) -> Identifier {
    Identifier::new(name).unwrap()
}

fn column(name: &str, data_type: SnowflakeType, form: WireForm) -> PushColumn {
    PushColumn {
        target: identifier(name),
        data_type,
        max_chars: (name == "NAME").then_some(50),
        max_bytes: None,
        nullable: true,
        source: name.to_owned(),
        nanos: false,
        offset: false,
        form,
        round: false,
    }
}

fn plan(mode: PushMode) -> PushPlan {
    PushPlan {
        version: PUSH_PLAN_VERSION,
        run_id: "run-1".to_owned(),
        target: "CRM.PUBLIC.\"my \"\"scores\"\"\"".parse().unwrap(),
        identity: "1".to_owned(),
        fingerprint: "f".to_owned(),
        mode,
        delivery: Delivery::Ledger { table: ledger() },
        columns: vec![
            column("ID", SnowflakeType::Number { precision: 38, scale: 0 }, WireForm::Integer),
            column("NAME", SnowflakeType::Text, WireForm::Text),
        ],
        constants: vec![
            Constant { target: identifier("RUN"), value: ConstantValue::RunId },
            Constant { target: identifier("NOTE"), value: ConstantValue::Text("it's \\".into()) },
        ],
        snapshot: ExportSnapshot {
            version: EXPORT_VERSION,
            query: ExportQuery {
                connection: None,
                source: ExportSource::Sql("SELECT".to_owned()),
                parameters: std::collections::BTreeMap::new(),
                now: UnixMillis(0),
            },
            tables: Vec::new(),
            columns: Vec::new(),
        },
        target_rows: None,
        pinned_at: UnixMillis(0),
    }
}

fn ledger() -> TableName {
    "CRM.SNOWFERRY.LEDGER".parse().unwrap()
}

fn staging() -> TableName {
    "CRM.SNOWFERRY.STAGING_1".parse().unwrap()
}

fn upsert() -> PushMode {
    PushMode::Upsert { key: vec![identifier("ID")] }
}

fn push() -> PushKey {
    PushKey {
        connection: "acme".to_owned().try_into().unwrap(),
        name: PushName::new("scores").unwrap(),
    }
}

#[test]
fn a_staging_table_is_temporary_loaded_by_name_and_counted() {
    let plan = plan(upsert());
    let texts = [
        create_staging(&staging(), &plan).text,
        copy(&staging(), &plan, "@~/snowferry/acme/push-scores/g1/n1/a/", &["part-00000.parquet"])
            .text,
        count_staged(&staging(), &plan).text,
        count_duplicates(&staging(), plan.mode.key()).text,
        remove("@~/snowferry/acme/push-scores/g1/n1/a/").text,
    ];
    expect![[r#"
        CREATE TEMPORARY TABLE "CRM"."SNOWFERRY"."STAGING_1" ("ID" NUMBER(38,0), "NAME" VARCHAR(50), "RUN" VARCHAR, "NOTE" VARCHAR)
        COPY INTO "CRM"."SNOWFERRY"."STAGING_1" ("ID", "NAME", "RUN", "NOTE") FROM (SELECT $1:c0::NUMBER(38,0), $1:c1::VARCHAR(50), 'run-1', 'it''s \\' FROM @~/snowferry/acme/push-scores/g1/n1/a/) FILES = ('part-00000.parquet') FILE_FORMAT = (TYPE = PARQUET BINARY_AS_TEXT = FALSE USE_LOGICAL_TYPE = TRUE) ON_ERROR = ABORT_STATEMENT
        SELECT TO_VARCHAR(COUNT(*)), TO_VARCHAR(COUNT("ID")), TO_VARCHAR(COUNT("NAME")), TO_VARCHAR(COUNT("RUN")), TO_VARCHAR(COUNT("NOTE")), TO_VARCHAR(COUNT_IF("ID" IS NULL)) FROM "CRM"."SNOWFERRY"."STAGING_1"
        SELECT TO_VARCHAR(COUNT(*)) FROM (SELECT "ID" FROM "CRM"."SNOWFERRY"."STAGING_1" GROUP BY "ID" HAVING COUNT(*) > 1) AS duplicates
        REMOVE @~/snowferry/acme/push-scores/g1/n1/a/"#]]
    .assert_eq(&texts.join("\n"));
}

#[test]
fn each_form_has_the_conversion_of_its_declared_type() {
    use SnowflakeType as T;
    use WireForm as F;
    let cases = [
        (T::Number { precision: 12, scale: 2 }, F::Decimal { precision: 12, scale: 2 }),
        (T::Float, F::Float),
        (T::Boolean, F::Boolean),
        (T::Date, F::Date),
        (T::Binary, F::Binary),
        (T::Decfloat, F::DecimalText),
        (T::Time { scale: 6 }, F::TimeText),
        (T::TimestampNtz { scale: 9 }, F::WallMicros),
        (T::TimestampNtz { scale: 9 }, F::WallText),
        (T::TimestampLtz { scale: 6 }, F::InstantMicros),
        (T::TimestampLtz { scale: 9 }, F::OffsetText),
        (T::TimestampTz { scale: 6 }, F::InstantMicros),
        (T::TimestampTz { scale: 9 }, F::OffsetText),
        (T::Variant, F::Json),
        (T::Object, F::Json),
        (T::Array, F::Json),
        (T::Geography, F::Shape),
        (T::Geometry, F::Shape),
        (T::VectorFloat { dimension: 3 }, F::VectorText),
    ];
    let texts: Vec<_> =
        cases.into_iter().map(|(t, form)| converted(0, &column("C", t, form))).collect();
    expect![[r#"
        $1:c0::NUMBER(12,2)
        $1:c0::FLOAT
        $1:c0::BOOLEAN
        $1:c0::DATE
        $1:c0::BINARY
        $1:c0::VARCHAR::DECFLOAT
        $1:c0::VARCHAR::TIME(6)
        $1:c0::TIMESTAMP_NTZ(9)
        TO_TIMESTAMP_NTZ($1:c0::VARCHAR, 'YYYY-MM-DD HH24:MI:SS.FF9')::TIMESTAMP_NTZ(9)
        $1:c0::TIMESTAMP_LTZ(6)
        TO_TIMESTAMP_LTZ($1:c0::VARCHAR, 'YYYY-MM-DD HH24:MI:SS.FF9 TZHTZM')::TIMESTAMP_LTZ(9)
        $1:c0::TIMESTAMP_LTZ(6)::TIMESTAMP_TZ(6)
        TO_TIMESTAMP_TZ($1:c0::VARCHAR, 'YYYY-MM-DD HH24:MI:SS.FF9 TZHTZM')::TIMESTAMP_TZ(9)
        PARSE_JSON($1:c0::VARCHAR)
        PARSE_JSON($1:c0::VARCHAR)::OBJECT
        PARSE_JSON($1:c0::VARCHAR)::ARRAY
        TO_GEOGRAPHY($1:c0::VARCHAR)
        TO_GEOMETRY($1:c0::VARCHAR)
        PARSE_JSON($1:c0::VARCHAR)::ARRAY::VECTOR(FLOAT, 3)"#]]
    .assert_eq(&texts.join("\n"));
}

#[test]
fn the_transaction_holds_no_definition_and_moves_exactly_one_row_of_the_ledger() {
    let at = |generation, sequence| LedgerPosition { generation, sequence };
    let moved = LedgerMove { table: ledger(), push: push(), from: Some(at(1, 4)), to: at(1, 5) };
    let manifest = |mode| PushManifest {
        version: PUSH_MANIFEST_VERSION,
        generation: 1,
        sequence: 5,
        rows: 3,
        values: vec![3, 2],
        plan: plan(mode),
        parts: vec![PushPart {
            index: 0,
            object: "o".to_owned(),
            file: "f".to_owned(),
            rows: 3,
            size_bytes: 1,
            sha256: String::new(),
        }],
    };
    let rewrite = manifest(PushMode::Rewrite);
    let texts = [
        begin("SNOWFERRY_0A").text,
        current_transaction().text,
        move_ledger(&moved, at(1, 4), &rewrite).text,
        read_ledger(&ledger(), &push()).text,
        delete_all(&rewrite.plan.target).text,
        insert(&staging(), &rewrite.plan).text,
        merge(&staging(), &plan(upsert())).text,
        commit().text,
    ];
    for text in &texts {
        let word = text.split(' ').next().unwrap();
        assert!(!["CREATE", "DROP", "ALTER", "TRUNCATE"].contains(&word), "{text}");
    }
    expect![[r#"
        BEGIN TRANSACTION NAME SNOWFERRY_0A
        SELECT CURRENT_TRANSACTION()
        UPDATE "CRM"."SNOWFERRY"."LEDGER" SET GENERATION = ?::NUMBER(38,0), SEQUENCE = ?::NUMBER(38,0), RUN_ID = ?, TARGET = ?, ROWS_APPLIED = ?::NUMBER(38,0), APPLIED_AT = CURRENT_TIMESTAMP() WHERE PUSH = ? AND GENERATION = ?::NUMBER(38,0) AND SEQUENCE = ?::NUMBER(38,0)
        SELECT TO_VARCHAR(GENERATION), TO_VARCHAR(SEQUENCE) FROM "CRM"."SNOWFERRY"."LEDGER" WHERE PUSH = ? ORDER BY GENERATION, SEQUENCE
        DELETE FROM "CRM"."PUBLIC"."my ""scores"""
        INSERT INTO "CRM"."PUBLIC"."my ""scores""" ("ID", "NAME", "RUN", "NOTE") SELECT "ID", "NAME", "RUN", "NOTE" FROM "CRM"."SNOWFERRY"."STAGING_1"
        MERGE INTO "CRM"."PUBLIC"."my ""scores""" AS theirs USING "CRM"."SNOWFERRY"."STAGING_1" AS ours ON theirs."ID" = ours."ID" WHEN MATCHED THEN UPDATE SET theirs."NAME" = ours."NAME", theirs."RUN" = ours."RUN", theirs."NOTE" = ours."NOTE" WHEN NOT MATCHED THEN INSERT ("ID", "NAME", "RUN", "NOTE") VALUES (ours."ID", ours."NAME", ours."RUN", ours."NOTE")
        COMMIT"#]]
    .assert_eq(&texts.join("\n"));
}

#[test]
fn the_setup_makes_the_ledger_and_grants_what_the_named_tables_need() {
    let table = |name: &str, rewrites, upserts, creates| SetupTable {
        table: name.parse().unwrap(),
        rewrites,
        upserts,
        creates,
    };
    let tables = [
        table("CRM.PUBLIC.SCORES", true, false, false),
        table("CRM.PUBLIC.EVENTS", false, false, false),
        table("CRM.OUT.NEW_TABLE", false, true, true),
    ];
    let statements = push_setup("pusher", &[ledger()], &tables);
    expect![[r#"
        CREATE SCHEMA IF NOT EXISTS "CRM"."SNOWFERRY"
        CREATE TABLE IF NOT EXISTS "CRM"."SNOWFERRY"."LEDGER" (PUSH VARCHAR NOT NULL, GENERATION NUMBER(38,0) NOT NULL, SEQUENCE NUMBER(38,0) NOT NULL, RUN_ID VARCHAR, TARGET VARCHAR, ROWS_APPLIED NUMBER(38,0), APPLIED_AT TIMESTAMP_LTZ(9))
        GRANT USAGE ON DATABASE "CRM" TO ROLE "PUSHER"
        GRANT USAGE ON SCHEMA "CRM"."SNOWFERRY" TO ROLE "PUSHER"
        GRANT SELECT, INSERT, UPDATE, DELETE ON TABLE "CRM"."SNOWFERRY"."LEDGER" TO ROLE "PUSHER"
        GRANT USAGE ON SCHEMA "CRM"."PUBLIC" TO ROLE "PUSHER"
        GRANT SELECT, INSERT, DELETE ON TABLE "CRM"."PUBLIC"."SCORES" TO ROLE "PUSHER"
        GRANT SELECT, INSERT ON TABLE "CRM"."PUBLIC"."EVENTS" TO ROLE "PUSHER"
        GRANT USAGE ON SCHEMA "CRM"."OUT" TO ROLE "PUSHER"
        GRANT CREATE TABLE ON SCHEMA "CRM"."OUT" TO ROLE "PUSHER""#]]
    .assert_eq(&statements.join("\n"));
}
