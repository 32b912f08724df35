//! What a filter and a query may say, and that what is printed means what was written.

use expect_test::expect;
use proptest::prelude::*;

use super::*;

fn id(name: &str) -> Identifier {
    Identifier::new(name).unwrap()
}

fn filter(written: &str) -> String {
    match RowFilter::parse(written) {
        Ok(filter) => filter.text().to_owned(),
        Err(SnowflakeError::Request { reason, .. }) => format!("refused: {reason}"),
        Err(other) => panic!("{other}"),
    }
}

fn query(written: &str) -> String {
    match SourceQuery::parse(written) {
        Ok(query) => query.text().to_owned(),
        Err(SnowflakeError::Request { reason, .. }) => format!("refused: {reason}"),
        Err(other) => panic!("{other}"),
    }
}

fn table() -> TableName {
    "D.S.T".parse().unwrap()
}

fn described() -> TableDescription {
    let number = SnowflakeType::Number { precision: 38, scale: 0 };
    let columns = [
        ("ID", number),
        ("EMAIL", SnowflakeType::Text),
        ("AMOUNT", SnowflakeType::Float),
        ("odd \"name\"", SnowflakeType::Boolean),
    ];
    let columns = columns.into_iter().map(|(name, data_type)| ColumnDescription {
        name: id(name),
        data_type,
        nullable: true,
        primary_key: false,
    });
    let identity = "2026-01-01".to_owned();
    TableDescription { kind: "TABLE".to_owned(), identity, columns: columns.collect() }
}

fn salt(text: &str) -> Secret {
    Secret::new(text.to_owned())
}

#[test]
fn a_filter_is_printed_back_from_its_tree() {
    let written = [
        "status='open'",
        "a = 1 -- and a comment",
        "a = 1 /* or */ AND b /* two\nlines */ IS NOT NULL",
        "(deleted = false OR \"odd \"\"name\"\"\" > 3) and not x in ('a', 'it''s')",
        r"name LIKE 'a\\_b%' ESCAPE '\\' OR path = 'c:\\d\'e'",
        "at >= '2026-01-01'::timestamp_ntz and at < dateadd(day, -1, current_timestamp())",
        "day > current_date",
        "data:kind::varchar = 'x' and data['a'][0] is null",
        "case when a then b = 1 else c end",
        "coalesce(region, 'none') ilike 'eu%'",
        "a between -1 and 2.5e3 and b rlike '^x'",
        "contains(name, 'x')",
        "is_active",
        "true",
        "n = '日本'",
        "d = date '2026-01-01'",
        "try_cast(x as number(10, 2)) > 1",
        "extract(year from at) = 2026",
        "trim(x) = '' and position('a' in x) > 0 and substring(x, 1, 2) = 'ab'",
        "a is distinct from b",
        "floor(a) = 1 and ceil(b) = 2",
    ];
    let printed: String = written.iter().map(|written| format!("{}\n", filter(written))).collect();
    expect![[r#"
        status = 'open'
        a = 1
        a = 1 AND b IS NOT NULL
        (deleted = false OR "odd ""name""" > 3) AND NOT x IN ('a', 'it''s')
        name LIKE 'a\\_b%' ESCAPE '\\' OR path = 'c:\\d\'e'
        at >= '2026-01-01'::TIMESTAMP_NTZ AND at < dateadd(day, -1, current_timestamp())
        day > current_date
        data:kind::VARCHAR = 'x' AND data['a'][0] IS NULL
        CASE WHEN a THEN b = 1 ELSE c END
        coalesce(region, 'none') ILIKE 'eu%'
        a BETWEEN -1 AND 2.5e3 AND b RLIKE '^x'
        contains(name, 'x')
        is_active
        true
        n = '日本'
        d = DATE '2026-01-01'
        TRY_CAST(x AS number(10, 2)) > 1
        EXTRACT(YEAR FROM at) = 2026
        TRIM(x) = '' AND POSITION('a' IN x) > 0 AND SUBSTRING(x, 1, 2) = 'ab'
        a IS DISTINCT FROM b
        FLOOR(a) = 1 AND CEIL(b) = 2
    "#]]
    .assert_eq(&printed);
}

#[test]
fn what_is_no_condition_of_its_own_is_refused() {
    let written = [
        "",
        " -- nothing",
        "1",
        "a + 1",
        "'x'",
        "a = 1;",
        "a = 1; drop table t",
        "a = 1) or (1 = 1",
        "a = ?",
        "a = :1",
        "a = $x",
        "a = (select 1)",
        "a in (select id from d.s.t)",
        "exists (select 1)",
        "t.a = 1",
        "system$wait(10) = 'x'",
        "SYSTEM$CANCEL_QUERY('x') = 'y'",
        "\"SYSTEM$WAIT\"(1) = 'x'",
        "identifier('a') = 1",
        "d.s.f(a) = 1",
        "sum(a) over (partition by b) > 1",
        "count(distinct a) > 1",
        "count(*) > 1",
        "a = $$b$$",
        "a = x'00'",
        "a = n'b'",
        "a = 'open",
        "a = \"open",
        "a = 1 union select 1",
        "a := 1",
        "a = 'x\0y'",
        "a = 1 limit 1",
        "a; b",
        "a = b'1'",
        "* = 1",
        "a = {d '2026-01-01'}",
        "\"\" = 1",
    ];
    let told: String =
        written.iter().map(|written| format!("{written:?}: {}\n", filter(written))).collect();
    assert!(told.lines().all(|line| line.contains("refused: ")), "{told}");
    expect![[r#"
        "": refused: it is empty
        " -- nothing": refused: it cannot be read
        "1": refused: it is no condition: it must be true or false for each row
        "a + 1": refused: it is no condition: it must be true or false for each row
        "'x'": refused: it is no condition: it must be true or false for each row
        "a = 1;": refused: it goes on after a semicolon
        "a = 1; drop table t": refused: it goes on after a semicolon
        "a = 1) or (1 = 1": refused: it goes on after its end: it must be one expression
        "a = ?": refused: it holds a bind or a variable
        "a = :1": refused: it holds a bind or a variable
        "a = $x": refused: it holds a bind or a variable
        "a = (select 1)": refused: it holds a subquery; a query of its own goes into `query`
        "a in (select id from d.s.t)": refused: it holds a subquery; a query of its own goes into `query`
        "exists (select 1)": refused: it holds a subquery; a query of its own goes into `query`
        "t.a = 1": refused: it names a column with its table; the column's name alone is meant
        "system$wait(10) = 'x'": refused: it calls SYSTEM$WAIT
        "SYSTEM$CANCEL_QUERY('x') = 'y'": refused: it calls SYSTEM$CANCEL_QUERY
        "\"SYSTEM$WAIT\"(1) = 'x'": refused: it calls SYSTEM$WAIT
        "identifier('a') = 1": refused: it calls IDENTIFIER
        "d.s.f(a) = 1": refused: it calls a function of the account; only Snowflake's own are taken
        "sum(a) over (partition by b) > 1": refused: it calls a function with more than plain arguments
        "count(distinct a) > 1": refused: it calls a function with more than plain arguments
        "count(*) > 1": refused: it calls a function with more than plain arguments
        "a = $$b$$": refused: it holds a literal that is neither a number nor a text in single quotes
        "a = x'00'": refused: it holds a literal that is neither a number nor a text in single quotes
        "a = n'b'": refused: it holds a literal that is neither a number nor a text in single quotes
        "a = 'open": refused: a quote or comment in it does not end
        "a = \"open": refused: a quote or comment in it does not end
        "a = 1 union select 1": refused: it goes on after its end: it must be one expression
        "a := 1": refused: it holds something that a filter may not: only comparisons, AND, OR, NOT, IN, BETWEEN, LIKE, CASE, casts and Snowflake's own functions over columns are taken
        "a = 'x\0y'": refused: it holds a NUL character
        "a = 1 limit 1": refused: it goes on after its end: it must be one expression
        "a; b": refused: it goes on after a semicolon
        "a = b'1'": refused: it goes on after its end: it must be one expression
        "* = 1": refused: it cannot be read from line 1, Column: 1 on
        "a = {d '2026-01-01'}": refused: it holds something that a filter may not: only comparisons, AND, OR, NOT, IN, BETWEEN, LIKE, CASE, casts and Snowflake's own functions over columns are taken
        "\"\" = 1": refused: a column's name in it: a name is empty
    "#]].assert_eq(&told);
}

#[test]
fn a_filter_is_bounded_in_length_and_depth() {
    assert!(filter(&format!("a in ({}1)", "1, ".repeat(5000))).starts_with("a IN (1, 1"));
    let long = format!("a = '{}'", "x".repeat(20_000));
    assert_eq!(filter(&long), "refused: it is longer than 16384 bytes");
    for deep in [
        format!("a{}", " or a".repeat(3000)),
        format!("{}a{}", "(".repeat(7000), ")".repeat(7000)),
        format!("{}a", "not ".repeat(4000)),
        format!("a{} > 1", "+a".repeat(8000)),
    ] {
        assert!(filter(&deep).starts_with("refused: it "), "{}", filter(&deep));
    }
    let deep = format!("select a{} from d.s.t", "+a".repeat(32_000));
    assert!(query(&deep).contains("nested"), "{}", query(&deep));
}

/// Three hundred texts that could change a statement if they were pasted into it: each is refused,
/// or printed so that it reads as itself, names only columns, and stays one expression.
#[test]
fn hostile_filters_round_trip_or_are_refused() {
    let values = [
        "'; drop table t; --",
        "\\",
        "\\'",
        "\\\\'",
        "''",
        "'' or 1=1 --",
        "%",
        "_",
        "\\_",
        "日本",
        "\u{202e}",
        "\n",
        "\t",
        "/*",
        "*/",
        "--",
        "//",
        "$$",
        "?",
        ":1",
        "@~",
        "\"",
        "a\"b",
        "{{x}}",
        "\u{0}",
        "\\x27",
        "\\u0027 or 1=1",
        "';select 1;'",
        "x' || (select 1) || 'y",
        "')) union all select 1 --",
    ];
    let shapes: [fn(&str) -> String; 10] = [
        |value| format!("a = '{value}'"),
        |value| format!("a = '{}'", value.replace('\'', "''")),
        |value| format!("a = '{}'", value.replace('\\', "\\\\").replace('\'', "\\'")),
        |value| format!("\"{value}\" = 1"),
        |value| format!("\"{}\" = 1", value.replace('"', "\"\"")),
        |value| format!("a like '{value}' escape '{value}'"),
        |value| format!("a = 1 {value}"),
        |value| format!("{value} or a = 1"),
        |value| format!("a in ('{value}', {value})"),
        |value| format!("data['{value}']:{value} = f({value})"),
    ];
    let mut taken = 0;
    for (value, shape) in values.iter().flat_map(|value| shapes.iter().map(move |s| (value, s))) {
        let written = shape(value);
        let Ok(filter) = RowFilter::parse(&written) else { continue };
        taken += 1;
        let again = RowFilter::parse(filter.text()).unwrap();
        assert_eq!(filter, again, "{written}");
        // Around it, the print is still one operand.
        let inside = RowFilter::parse(&format!("({}) AND \"LAST\" = 1", filter.text())).unwrap();
        assert!(inside.columns().contains(&id("LAST")), "{written}");
        assert_eq!(inside.columns().len(), filter.columns().len() + 1, "{written}");
    }
    assert_eq!(values.len() * shapes.len(), 300);
    assert!((60..290).contains(&taken), "{taken} of 300 were taken");
}

proptest! {
    #[test]
    fn no_text_makes_the_reader_fail_or_reads_as_another(written in "[a-z '\"\\\\()=<>,;:.$?/*-]{0,40}") {
        if let Ok(filter) = RowFilter::parse(&written) {
            prop_assert_eq!(RowFilter::parse(filter.text()).unwrap(), filter);
        }
        if let Ok(query) = SourceQuery::parse(&format!("select {written}")) {
            prop_assert_eq!(SourceQuery::parse(query.text()).unwrap(), query);
        }
    }
}

#[test]
fn a_query_is_one_select_over_full_names() {
    let written = [
        "select id, at from crm.public.deals where stage = 'open' -- all",
        "with big as (select * from D.S.\"low er\" where n > 1) select b.id, t.x from big b join d.s.t t on t.id = b.id",
        "select a from d.s.t union all (select a from d.s.u order by a limit 3)",
        "select f.value:x::number as x from d.s.t, lateral flatten(input => data) f",
        "select max(at) as at, id from d.s.t group by id having count(*) > 1",
        "select row_number() over (partition by a order by b) as n from d.s.t qualify n = 1",
        "select id from t",
        "select id from s.t",
        "insert into d.s.t values (1)",
        "delete from d.s.t",
        "select 1; select 2",
        "select 1 into x",
        "values (1)",
        "show tables",
        "select ? from d.s.t",
        "select $1 from @~/x",
        "select system$wait(1) from d.s.t",
        "select * from identifier('d.s.t')",
        "select a from d.s.t for update",
        "select * from table(result_scan(last_query_id()))",
        "",
    ];
    let told: String = written.iter().map(|written| format!("{}\n", query(written))).collect();
    expect![[r#"
        SELECT id, at FROM crm.public.deals WHERE stage = 'open'
        WITH big AS (SELECT * FROM D.S."low er" WHERE n > 1) SELECT b.id, t.x FROM big b JOIN d.s.t t ON t.id = b.id
        SELECT a FROM d.s.t UNION ALL (SELECT a FROM d.s.u ORDER BY a LIMIT 3)
        SELECT f.value:x::number AS x FROM d.s.t, LATERAL flatten(input => data) f
        SELECT max(at) AS at, id FROM d.s.t GROUP BY id HAVING count(*) > 1
        SELECT row_number() OVER (PARTITION BY a ORDER BY b) AS n FROM d.s.t QUALIFY n = 1
        refused: t is not named as DATABASE.SCHEMA.TABLE
        refused: s.t is not named as DATABASE.SCHEMA.TABLE
        refused: it is no SELECT
        refused: it is no SELECT
        refused: it is more than one statement
        refused: it selects into a table
        refused: it does more than select
        refused: it is no SELECT
        refused: it holds a bind or a variable
        refused: it holds a bind or a variable
        refused: it calls SYSTEM$WAIT
        refused: identifier('d.s.t') is not named as DATABASE.SCHEMA.TABLE
        refused: it does more than select
        refused: it calls RESULT_SCAN
        refused: it is empty
    "#]].assert_eq(&told);
    let read = SourceQuery::parse("select 1 from d.s.t, D.\"s\".t, d.s.t").unwrap();
    let tables: Vec<String> = read.tables().iter().map(ToString::to_string).collect();
    assert_eq!(tables, ["D.S.T", "D.\"s\".T"]);
}

#[test]
fn a_selection_shows_the_columns_that_it_reads() {
    let shown = |selection: &Selection| {
        let table = selection.apply(&table(), described(), None).unwrap();
        let columns = table.columns.iter().map(|c| format!("{} {}", c.name, c.data_type));
        columns.collect::<Vec<_>>().join(", ")
    };
    let only = Columns::Only(vec![id("EMAIL"), id("ID")]);
    let hash = vec![id("EMAIL"), id("ID")];
    assert_eq!(
        shown(&Selection { columns: only, hash, ..Selection::default() }),
        "ID VARCHAR, EMAIL VARCHAR"
    );
    let without = Columns::Without(vec![id("EMAIL")]);
    let selection = Selection { columns: without, ..Selection::default() };
    assert_eq!(shown(&selection), "ID NUMBER(38,0), AMOUNT FLOAT, \"odd \"\"name\"\"\" BOOLEAN");
}

#[test]
fn a_column_that_is_not_there_or_cannot_be_hashed_is_refused_by_its_name() {
    let refused = |selection: Selection| {
        selection.apply(&table(), described(), None).unwrap_err().to_string()
    };
    let misspelt = Columns::Without(vec![id("EMIAL")]);
    let told = [
        refused(Selection { columns: misspelt, ..Selection::default() }),
        refused(Selection { columns: Columns::Only(vec![id("x")]), ..Selection::default() }),
        refused(Selection { hash: vec![id("X")], ..Selection::default() }),
        refused(Selection { hash: vec![id("AMOUNT")], ..Selection::default() }),
        refused(Selection { filter: RowFilter::parse("x = 1").ok(), ..Selection::default() }),
    ];
    expect![[r#"
        make a request for D.S.T: columns.exclude names the column EMIAL, which is none of ID, EMAIL, AMOUNT, "odd ""name"""
        make a request for D.S.T: columns.include names the column "x", which is none of ID, EMAIL, AMOUNT, "odd ""name"""
        make a request for D.S.T: columns.hash names the column X, which is none of ID, EMAIL, AMOUNT, "odd ""name"""
        make a request for D.S.T: columns.hash names AMOUNT, and a FLOAT has no one text that could be hashed
        make a request for D.S.T: filter names the column X, which is none of ID, EMAIL, AMOUNT, "odd ""name"""
    "#]].assert_eq(&told.map(|told| told + "\n").concat());
}

#[test]
fn another_selection_is_another_identity_and_the_same_one_in_other_words_is_not() {
    let identity = |selection: &Selection, with: Option<&str>| {
        let with = with.map(salt);
        selection.apply(&table(), described(), with.as_ref()).unwrap().identity
    };
    let hashed = |names: &[&str]| Selection {
        hash: names.iter().map(|name| id(name)).collect(),
        ..Selection::default()
    };
    let filtered = |written: &str| Selection {
        filter: RowFilter::parse(written).ok(),
        ..Selection::default()
    };
    let all = [
        identity(&hashed(&["EMAIL"]), Some("one salt")),
        identity(&hashed(&["EMAIL"]), Some("another salt")),
        identity(&hashed(&["EMAIL", "ID"]), Some("one salt")),
        identity(&filtered("id = 1"), None),
        identity(&filtered("id = 2"), None),
    ];
    let different: std::collections::BTreeSet<_> = all.iter().collect();
    assert_eq!(different.len(), all.len(), "{all:?}");
    assert!(all.iter().all(|identity| identity.starts_with("2026-01-01; selection ")));
    assert_eq!(
        identity(&filtered("ID=1 -- one"), Some("unused")),
        identity(&filtered("ID = 1"), None)
    );
    assert_eq!(
        identity(&hashed(&["ID", "EMAIL"]), Some("one salt")),
        identity(&hashed(&["EMAIL", "ID"]), Some("one salt"))
    );
}
