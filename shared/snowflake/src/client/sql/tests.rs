//! Every statement's text, and that no name or value can change its meaning.

use expect_test::{Expect, expect};
use snowferry_model::plan::{PLAN_VERSION, PlannedColumn, StagedForm, TablePlan};

use super::*;

fn id(name: &str) -> Identifier {
    Identifier::new(name).unwrap()
}

fn orders() -> TableName {
    "DB.SC.ORDERS".parse().unwrap()
}

fn hostile() -> TableName {
    TableName { database: id("d\"; drop"), schema: id("a.b"), table: id("50%_o'\\") }
}

const NTZ: SnowflakeType = SnowflakeType::TimestampNtz { scale: 9 };
const NUMBER: SnowflakeType = SnowflakeType::Number { precision: 38, scale: 0 };

fn bound_at(text: &str, cursor_type: SnowflakeType) -> Watermark {
    Watermark { cursor: id("AT"), cursor_type, text: text.to_owned() }
}

fn shown(statement: &Statement) -> String {
    let binds: Vec<&str> = statement
        .binds
        .iter()
        .map(|bind| match bind {
            Bind::Text(text) => text.as_str(),
            other => panic!("{other:?} is no text"),
        })
        .collect();
    format!("{}\n{binds:?}\n", statement.text)
}

fn check(statement: &Statement, expected: Expect) {
    expected.assert_eq(&shown(statement));
}

fn read_of(table: TableName, window: Window) -> Result<Statement, SnowflakeError> {
    let column =
        |name: &str| PlannedColumn { name: id(name), data_type: NUMBER, form: StagedForm::Int64 };
    let columns = vec![column("ID"), column("odd \"name\"")];
    let plan = TablePlan { version: PLAN_VERSION, columns };
    read(&ReadRequest { table: table.clone(), plan, window, tag: String::new() }, whole(&table))
}

fn whole(table: &TableName) -> Origin<'_> {
    Origin { table, selection: None, salt: None }
}

#[test]
fn a_read_names_its_columns_and_casts_the_bounds_never_the_column() {
    let between = |edge, lookback, data_type: SnowflakeType| Window::Between {
        from: bound_at("low", data_type.clone()),
        edge,
        lookback,
        to: bound_at("high", data_type),
    };
    let windows = [
        Window::Whole,
        Window::Nothing,
        Window::UpTo { to: bound_at("high", SnowflakeType::TimestampLtz { scale: 3 }) },
        between(LowerEdge::Open, Lookback::None, NTZ),
        between(LowerEdge::Closed, Lookback::Seconds(3600), NTZ),
        between(
            LowerEdge::Closed,
            Lookback::Seconds(3600),
            SnowflakeType::TimestampTz { scale: 9 },
        ),
        between(LowerEdge::Closed, Lookback::Seconds(86_401), SnowflakeType::Date),
        between(LowerEdge::Open, Lookback::Units(5), NUMBER),
        Window::Unbounded { to: bound_at("high", NTZ) },
        Window::Since {
            from: bound_at("low", NTZ),
            lookback: Lookback::Seconds(60),
            to: bound_at("high", NTZ),
        },
    ];
    let texts: String =
        windows.into_iter().map(|window| shown(&read_of(orders(), window).unwrap())).collect();
    expect![[r#"
        SELECT "ID", "odd ""name""" FROM "DB"."SC"."ORDERS"
        []
        SELECT "ID", "odd ""name""" FROM "DB"."SC"."ORDERS" WHERE 1 = 0
        []
        SELECT "ID", "odd ""name""" FROM "DB"."SC"."ORDERS" WHERE "AT" <= ?::TIMESTAMP_LTZ(3)
        ["high"]
        SELECT "ID", "odd ""name""" FROM "DB"."SC"."ORDERS" WHERE "AT" > ?::TIMESTAMP_NTZ(9) AND "AT" <= ?::TIMESTAMP_NTZ(9)
        ["low", "high"]
        SELECT "ID", "odd ""name""" FROM "DB"."SC"."ORDERS" WHERE "AT" >= DATEADD(SECOND, -3600, ?::TIMESTAMP_NTZ(9)) AND "AT" <= ?::TIMESTAMP_NTZ(9)
        ["low", "high"]
        SELECT "ID", "odd ""name""" FROM "DB"."SC"."ORDERS" WHERE "AT" >= DATEADD(SECOND, -3600, ?::TIMESTAMP_TZ(9)) AND "AT" <= ?::TIMESTAMP_TZ(9)
        ["low", "high"]
        SELECT "ID", "odd ""name""" FROM "DB"."SC"."ORDERS" WHERE "AT" >= DATEADD(DAY, -2, ?::DATE) AND "AT" <= ?::DATE
        ["low", "high"]
        SELECT "ID", "odd ""name""" FROM "DB"."SC"."ORDERS" WHERE "AT" > ?::NUMBER(38,0) - 5 AND "AT" <= ?::NUMBER(38,0)
        ["low", "high"]
        SELECT "ID", "odd ""name""" FROM "DB"."SC"."ORDERS" WHERE "AT" IS NOT NULL
        []
        SELECT "ID", "odd ""name""" FROM "DB"."SC"."ORDERS" WHERE "AT" >= DATEADD(SECOND, -60, ?::TIMESTAMP_NTZ(9))
        ["low"]
    "#]].assert_eq(&texts);
}

#[test]
fn a_lookback_of_another_unit_is_refused() {
    for (lookback, data_type) in [
        (Lookback::Units(1), NTZ),
        (Lookback::Seconds(1), NUMBER),
        (Lookback::None, SnowflakeType::Text),
        (Lookback::None, SnowflakeType::Float),
    ] {
        let window = Window::Between {
            from: bound_at("low", data_type.clone()),
            edge: LowerEdge::Open,
            lookback,
            to: bound_at("high", data_type),
        };
        assert!(matches!(read_of(orders(), window), Err(SnowflakeError::Request { .. })));
    }
}

#[test]
fn a_profile_is_one_statement_with_exact_texts() {
    let mut request = ProfileRequest {
        table: orders(),
        cursor: Some((id("AT"), NTZ)),
        floor: Some(bound_at("floor", NTZ)),
        ahead_s: None,
        wide_integers: vec![id("ID")],
        fine_timestamps: vec![id("AT")],
        change_token: false,
    };
    check(
        &profile(&request, whole(&orders())).unwrap(),
        expect![[r#"
        SELECT TO_VARCHAR(COUNT(*)), TO_VARCHAR(GREATEST(COALESCE(MAX("AT"), ?::TIMESTAMP_NTZ(9)), ?::TIMESTAMP_NTZ(9)), 'YYYY-MM-DD HH24:MI:SS.FF9'), TO_VARCHAR(COUNT(*) - COUNT("AT")), TO_VARCHAR(MIN("ID")), TO_VARCHAR(MAX("ID")), TO_VARCHAR(COUNT_IF(MOD(DATE_PART(NANOSECOND, "AT"), 1000) <> 0)) FROM "DB"."SC"."ORDERS"
        ["floor", "floor"]
    "#]],
    );
    let token = ProfileRequest {
        table: r#"DB.SC."o'\clock ""x""""#.parse().unwrap(),
        cursor: None,
        floor: None,
        ahead_s: None,
        wide_integers: vec![],
        fine_timestamps: vec![],
        change_token: true,
    };
    check(
        &profile(&token, whole(&token.table)).unwrap(),
        expect![[r#"
        SELECT TO_VARCHAR(COUNT(*)), TO_VARCHAR(SYSTEM$LAST_CHANGE_COMMIT_TIME('"DB"."SC"."o''\\clock ""x"""')) FROM "DB"."SC"."o'\clock ""x"""
        []
    "#]],
    );
    request.floor = None;
    request.wide_integers.clear();
    request.fine_timestamps.clear();
    let mut texts = String::new();
    for data_type in [
        SnowflakeType::TimestampLtz { scale: 9 },
        SnowflakeType::TimestampTz { scale: 9 },
        SnowflakeType::Date,
        SnowflakeType::Number { precision: 12, scale: 2 },
    ] {
        request.cursor = Some((id("AT"), data_type));
        texts.push_str(&shown(&profile(&request, whole(&orders())).unwrap()));
    }
    request.cursor = None;
    texts.push_str(&shown(&profile(&request, whole(&orders())).unwrap()));
    expect![[r#"
        SELECT TO_VARCHAR(COUNT(*)), TO_VARCHAR(MAX("AT"), 'YYYY-MM-DD HH24:MI:SS.FF9 TZHTZM'), TO_VARCHAR(COUNT(*) - COUNT("AT")) FROM "DB"."SC"."ORDERS"
        []
        SELECT TO_VARCHAR(COUNT(*)), TO_VARCHAR(MAX("AT"), 'YYYY-MM-DD HH24:MI:SS.FF9 TZHTZM'), TO_VARCHAR(COUNT(*) - COUNT("AT")) FROM "DB"."SC"."ORDERS"
        []
        SELECT TO_VARCHAR(COUNT(*)), TO_VARCHAR(MAX("AT"), 'YYYY-MM-DD'), TO_VARCHAR(COUNT(*) - COUNT("AT")) FROM "DB"."SC"."ORDERS"
        []
        SELECT TO_VARCHAR(COUNT(*)), TO_VARCHAR(MAX("AT")), TO_VARCHAR(COUNT(*) - COUNT("AT")) FROM "DB"."SC"."ORDERS"
        []
        SELECT TO_VARCHAR(COUNT(*)) FROM "DB"."SC"."ORDERS"
        []
    "#]].assert_eq(&texts);
}

#[test]
fn names_stay_names_whatever_they_hold() {
    let statements = [
        describe(&hostile()),
        show_one(&hostile(), Kind::Tables),
        show_all(&Scope::Account, Kind::Views),
        show_all(&Scope::Database(id("a\"b")), Kind::Tables),
        show_all(&Scope::Schema(id("D"), id("S")), Kind::Tables),
        show_grants(&id("r\"; drop role x; --")),
        probe(whole(&hostile()), &[id("a\"b")]).unwrap(),
        probe(whole(&orders()), &[]).unwrap(),
        use_warehouse(&orders()),
        session_facts(),
        read_of(hostile(), Window::Whole).unwrap(),
    ];
    expect![[r#"
        DESCRIBE TABLE "d""; drop"."a.b"."50%_o'\"
        []
        SHOW TABLES LIKE '50\\%\\_o''\\\\' IN SCHEMA "d""; drop"."a.b"
        []
        SHOW VIEWS IN ACCOUNT
        []
        SHOW TABLES IN DATABASE "a""b"
        []
        SHOW TABLES IN SCHEMA "D"."S"
        []
        SHOW GRANTS TO ROLE "r""; drop role x; --"
        []
        SELECT "a""b" FROM "d""; drop"."a.b"."50%_o'\" LIMIT 0
        []
        SELECT 1 FROM "DB"."SC"."ORDERS" LIMIT 0
        []
        SELECT TO_VARCHAR(COUNT(*)) FROM (SELECT 1 FROM "DB"."SC"."ORDERS" LIMIT 1)
        []
        SELECT CURRENT_VERSION(), CURRENT_ACCOUNT(), CURRENT_REGION(), CURRENT_USER(), CURRENT_ROLE(), CURRENT_WAREHOUSE()
        []
        SELECT "ID", "odd ""name""" FROM "d""; drop"."a.b"."50%_o'\"
        []
    "#]].assert_eq(&statements.iter().map(shown).collect::<String>());
}

#[test]
fn a_value_is_only_ever_a_bind() {
    let evil = "1'); DROP TABLE X; --";
    let statement = read_of(orders(), Window::UpTo { to: bound_at(evil, NUMBER) }).unwrap();
    assert!(!statement.text.contains("DROP"));
    assert_eq!(statement.binds, [Bind::Text(evil.to_owned())]);
}

#[test]
fn a_selection_is_read_in_every_statement_about_its_table() {
    let filtered = Selection {
        hash: vec![id("odd \"name\"")],
        filter: crate::client::RowFilter::parse("a = 1 or b = '?' -- all").ok(),
        ..Selection::default()
    };
    let queried = Selection {
        query: crate::client::SourceQuery::parse("select id, at from d.s.t where x = 'y'").ok(),
        ..Selection::default()
    };
    let salt = Secret::new("salt and pepper".to_owned());
    let table = orders();
    let mut texts = String::new();
    for selection in [&filtered, &queried] {
        let origin = Origin { table: &table, selection: Some(selection), salt: Some(&salt) };
        let window = Window::UpTo { to: bound_at("high", NTZ) };
        let column = |name: &str| PlannedColumn {
            name: id(name),
            data_type: NUMBER,
            form: StagedForm::Int64,
        };
        let columns = vec![column("ID"), column("odd \"name\"")];
        let plan = TablePlan { version: PLAN_VERSION, columns };
        let request = ReadRequest { table: table.clone(), plan, window, tag: String::new() };
        texts.push_str(&shown(&read(&request, origin).unwrap()));
        let request = ProfileRequest {
            table: table.clone(),
            cursor: Some((id("AT"), NTZ)),
            floor: None,
            ahead_s: None,
            wide_integers: Vec::new(),
            fine_timestamps: Vec::new(),
            change_token: false,
        };
        texts.push_str(&shown(&profile(&request, origin).unwrap()));
        texts.push_str(&shown(&probe(origin, &[id("ID")]).unwrap()));
    }
    expect![[r#"
        SELECT "ID", SHA2(? || TO_VARCHAR("odd ""name"""), 256) AS "odd ""name""" FROM (SELECT "ID", "odd ""name""" FROM "DB"."SC"."ORDERS" WHERE (a = 1 OR b = '?') AND "AT" <= ?::TIMESTAMP_NTZ(9)) AS "SELECTED"
        ["salt and pepper", "high"]
        SELECT TO_VARCHAR(COUNT(*)), TO_VARCHAR(MAX("AT"), 'YYYY-MM-DD HH24:MI:SS.FF9'), TO_VARCHAR(COUNT(*) - COUNT("AT")) FROM "DB"."SC"."ORDERS" WHERE (a = 1 OR b = '?')
        []
        SELECT "ID" FROM "DB"."SC"."ORDERS" WHERE (a = 1 OR b = '?') LIMIT 0
        []
        SELECT "ID", "odd ""name""" FROM (SELECT id, at FROM d.s.t WHERE x = 'y') AS "SOURCE" WHERE "AT" <= ?::TIMESTAMP_NTZ(9)
        ["high"]
        SELECT TO_VARCHAR(COUNT(*)), TO_VARCHAR(MAX("AT"), 'YYYY-MM-DD HH24:MI:SS.FF9'), TO_VARCHAR(COUNT(*) - COUNT("AT")) FROM (SELECT id, at FROM d.s.t WHERE x = 'y') AS "SOURCE"
        []
        SELECT "ID" FROM (SELECT id, at FROM d.s.t WHERE x = 'y') AS "SOURCE" LIMIT 0
        []
    "#]].assert_eq(&texts);
}

#[test]
fn without_a_salt_no_column_is_hashed_and_none_is_read_in_plain() {
    let selection = Selection { hash: vec![id("ID")], ..Selection::default() };
    let table = orders();
    let origin = Origin { table: &table, selection: Some(&selection), salt: None };
    assert!(matches!(probe(origin, &[id("ID")]), Err(SnowflakeError::Request { .. })));
    assert!(probe(origin, &[id("AT")]).is_ok());
}
