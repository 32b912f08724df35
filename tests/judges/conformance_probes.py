"""Documented behaviours of Snowflake, each as statements and what the last one must give.

A probe is a name, statements, and an expectation: rows as the Python connector gives them, the
number of an error, or `Columns(...)` for the names of a result's columns. All statements but the
last must succeed. Probes share a scratch schema; each makes what it needs.

`{folder}` in a statement is a local folder that holds `a.csv` (1,a / 2,b), `bad.csv` (1,a / x,b /
3,c) and `docs.json` (two documents).
"""

import datetime as dt
import decimal

D = decimal.Decimal


class Columns:
    """The names of the columns that the last statement gives, at least these, in this order."""

    def __init__(self, *names):
        self.names = list(names)


PROBES = []


def probe(name, statements, expected):
    statements = [statements] if isinstance(statements, str) else list(statements)
    PROBES.append((name, statements, expected))


def value(name, sql, expected):
    probe(name, f"select {sql}", [(expected,)])


# Numbers ---------------------------------------------------------------------------------------
value("an integer literal is a NUMBER", "1", 1)
value("38 digits are exact", "99999999999999999999999999999999999999", int("9" * 38))
value("a decimal literal keeps its scale", "1.50", D("1.50"))
value("division has six more digits", "1/3", D("0.333333"))
value("division rounds half away from zero", "2/3", D("0.666667"))
value("multiplication adds scales", "1.5 * 1.25", D("1.875"))
value("addition takes the larger scale", "1.5 + 1.25", D("2.75"))
value("modulo has the sign of the dividend", "mod(-7, 3)", -1)
value("a cast to NUMBER rounds half away from zero", "2.5::number(10,0)", 3)
value("a negative half rounds away from zero", "(-2.5)::number(10,0)", -3)
value("text becomes a NUMBER", "'12.50'::number(10,2)", D("12.50"))
probe("text that is no number is refused", "select 'abc'::number", 100038)
value("TRY_CAST gives NULL instead", "try_cast('abc' as number)", None)
probe("division by zero is an error", "select 1/0", 100051)
value("ROUND to a scale", "round(1.255, 2)", D("1.26"))
value("TRUNC cuts", "trunc(-1.99)", -1)
value("CEIL rounds up", "ceil(1.1)", 2)
value("FLOOR rounds down", "floor(-1.1)", -2)
value("ABS", "abs(-1.5)", D("1.5"))
value("SIGN", "sign(-3)", -1)
value("FLOAT is binary", "1.5::float", 1.5)
value("a boolean becomes a number", "true::number", 1)
value("GREATEST", "greatest(1, 3, 2)", 3)
value("GREATEST with NULL is NULL", "greatest(1, null)", None)
value("LEAST", "least(3, 1, 2)", 1)

# Text ------------------------------------------------------------------------------------------
value("a string literal", "'a''b'", "a'b")
value("an escape in a literal", r"'a\tb'", "a\tb")
value("concatenation with NULL is NULL", "'a' || null", None)
value("concatenation of a number", "'a' || 1", "a1")
value("LENGTH counts characters", "length('ä€𝄞')", 3)
value("UPPER", "upper('aä')", "AÄ")
value("LOWER", "lower('AÄ')", "aä")
value("SUBSTR counts from one", "substr('abcdef', 2, 3)", "bcd")
value("SUBSTR from the end", "substr('abcdef', -2)", "ef")
value("TRIM takes blanks", "trim('  a ')", "a")
value("REPLACE", "replace('aXbX', 'X', '-')", "a-b-")
value("SPLIT_PART", "split_part('a,b,c', ',', 2)", "b")
value("SPLIT_PART from the end", "split_part('a,b,c', ',', -1)", "c")
value("LPAD", "lpad('7', 3, '0')", "007")
value("CONTAINS", "contains('abc', 'b')", True)
value("STARTSWITH", "startswith('abc', 'ab')", True)
value("LIKE", "'abc' like 'a%'", True)
value("LIKE with an escape", "'a%' like 'a^%' escape '^'", True)
value("ILIKE ignores case", "'ABC' ilike 'a_c'", True)
value("comparison respects case", "'a' = 'A'", False)
value("order is by code point", "'a' > 'Z'", True)
value("an empty string is no NULL", "'' is null", False)
value("COALESCE", "coalesce(null, 'x')", "x")
value("NVL", "nvl(null, 'x')", "x")
value("NULLIF", "nullif('a', 'a')", None)
value("IFF", "iff(1 > 2, 'yes', 'no')", "no")
value("CASE without ELSE", "case when false then 1 end", None)

# Booleans and NULL -----------------------------------------------------------------------------
value("text becomes a boolean", "'yes'::boolean", True)
value("NULL = NULL is NULL", "null = null", None)
value("EQUAL_NULL", "equal_null(null, null)", True)
value("IS DISTINCT FROM", "1 is distinct from null", True)
value("three-valued AND", "null and false", False)
value("three-valued OR", "null or true", True)
value("IN with NULL", "1 in (2, null)", None)

# Binary ----------------------------------------------------------------------------------------
value("hexadecimal becomes BINARY", "'00ff'::binary", bytearray(b"\x00\xff"))
value("BINARY becomes upper-case hexadecimal", "to_char('00ff'::binary)", "00FF")
probe("odd hexadecimal is refused", "select 'abc'::binary", 100115)

# Dates and times -------------------------------------------------------------------------------
value("a date", "'2024-02-29'::date", dt.date(2024, 2, 29))
probe("a day that is not in the calendar", "select '2023-02-29'::date", 100040)
value("a date plus a number is days later", "'2024-02-28'::date + 2", dt.date(2024, 3, 1))
value("DATEADD keeps the end of the month", "dateadd(month, 1, '2024-01-31'::date)", dt.date(2024, 2, 29))
value("DATEDIFF counts borders", "datediff(year, '2023-12-31'::date, '2024-01-01'::date)", 1)
value("DATE_TRUNC", "date_trunc('month', '2024-02-29'::date)", dt.date(2024, 2, 1))
value("a timestamp without zone", "'2024-02-29 01:02:03.456789'::timestamp_ntz",
      dt.datetime(2024, 2, 29, 1, 2, 3, 456789))
value("nanoseconds survive as text", "to_char('2024-02-29 01:02:03.123456789'::timestamp_ntz, "
      "'YYYY-MM-DD HH24:MI:SS.FF9')", "2024-02-29 01:02:03.123456789")
value("a scale cuts digits", "to_char('2024-02-29 01:02:03.129'::timestamp_ntz(2), 'SS.FF3')", "03.120")
value("an offset is kept", "to_char('2024-02-29 01:02:03 +0530'::timestamp_tz, 'TZHTZM')", "+0530")
value("an instant compares over offsets",
      "'2024-01-01 00:00:00 +0100'::timestamp_tz = '2023-12-31 23:00:00 +0000'::timestamp_tz", True)
value("a time", "'01:02:03'::time", dt.time(1, 2, 3))
value("YEAR", "year('2024-02-29'::date)", 2024)
value("EXTRACT", "extract(day from '2024-02-29'::date)", 29)
value("a timestamp becomes a date", "'2024-02-29 23:59:59'::timestamp_ntz::date", dt.date(2024, 2, 29))
probe("a local timestamp follows the session's zone", [
    "alter session set timezone = 'America/New_York'",
    "select to_char('2024-01-01 00:00:00 +0000'::timestamp_tz::timestamp_ltz, 'YYYY-MM-DD HH24:MI')",
], [("2023-12-31 19:00",)])
probe("an unknown zone is refused", "alter session set timezone = 'Mars/Olympus'", 1008)

# Semi-structured values ------------------------------------------------------------------------
value("a path into a document", "parse_json('{\"a\":{\"b\":1}}'):a.b::int", 1)
value("paths respect case", "parse_json('{\"a\":1}'):A", None)
value("an element of an array", "parse_json('[1,2,3]')[1]::int", 2)
value("what is missing is NULL", "parse_json('{}'):x::int", None)
value("JSON null becomes NULL by a cast", "parse_json('{\"a\":null}'):a::int", None)
value("ARRAY_SIZE", "array_size(parse_json('[1,2,3]'))", 3)
value("TYPEOF", "typeof(parse_json('1.5'))", "DECIMAL")
value("a string in a document has quotes as text", "to_json(parse_json('\"x\"'))", '"x"')
probe("bad JSON is refused", "select parse_json('{')", 100069)
value("TRY_PARSE_JSON gives NULL", "try_parse_json('{')", None)
value("OBJECT_CONSTRUCT leaves out NULL", "to_json(object_construct('a', 1, 'b', null))", '{"a":1}')
value("keys of an object are sorted as text", "to_json(parse_json('{\"b\":1,\"a\":2}'))", '{"a":2,"b":1}')

# Queries ---------------------------------------------------------------------------------------
probe("an unquoted alias is upper case", "select 1 as abc", Columns("ABC"))
probe("a quoted alias keeps its case", 'select 1 as "Abc"', Columns("Abc"))
probe("NULLs come last by default", "select * from values (2), (null), (1) order by 1", [(1,), (2,), (None,)])
probe("NULLs come first when descending", "select * from values (2), (null), (1) order by 1 desc",
      [(None,), (2,), (1,)])
probe("NULLS FIRST", "select * from values (2), (null), (1) order by 1 nulls first", [(None,), (1,), (2,)])
probe("columns of VALUES have names", "select column1, column2 from values (1, 'a')", [(1, "a")])
probe("aggregates skip NULL", "select count(column1), sum(column1), avg(column1) from values (1), (null), (2)",
      [(2, 3, D("1.500000"))])
probe("SUM of nothing is NULL", "select sum(column1), count(*) from values (1) where column1 > 1", [(None, 0)])
probe("COUNT DISTINCT", "select count(distinct column1) from values (1), (1), (null)", [(1,)])
probe("QUALIFY filters windows",
      "select column1 from values (1), (2), (3) qualify row_number() over (order by column1 desc) = 1", [(3,)])
probe("a window sum", "select sum(column1) over (order by column1) from values (1), (2) order by 1", [(1,), (3,)])
probe("a common table expression", "with x as (select 1 a) select a + 1 from x", [(2,)])
probe("UNION removes duplicates", "select 1 union select 1", [(1,)])
probe("UNION ALL keeps them", "select 1 union all select 1", [(1,), (1,)])
probe("EXCEPT", "select 1 except select 2", [(1,)])
probe("a left join", [
    "create or replace table la (n int)", "create or replace table lb (n int)", "insert into la values (1), (2)",
    "insert into lb values (2)", "select la.n x, lb.n y from la left join lb on la.n = lb.n order by 1"],
    [(1, None), (2, 2)])
probe("LIMIT and OFFSET", "select column1 from values (1), (2), (3) order by 1 limit 1 offset 1", [(2,)])
probe("EXISTS", "select 1 where exists (select 1)", [(1,)])
probe("FROM a generator", "select count(*) from table(generator(rowcount => 10))", [(10,)])
probe("an unknown column", "select nope from values (1)", 904)
probe("an unknown table", "select * from nope", 2003)
probe("an unknown function", "select nope(1)", 2140)
probe("a syntax error", "selec 1", 1003)
probe("an unfinished statement", "select 1 +", 1003)
probe("an empty statement", "select 1 where", 1003)

# Tables ----------------------------------------------------------------------------------------
T = "create or replace table t (a int, b varchar(3), c number(5,2) default 1.5)"
probe("CREATE TABLE says so", T, [("Table T successfully created.",)])
probe("a second table of one name", [T, "create table t (a int)"], 2002)
probe("IF NOT EXISTS keeps the first", [T, "create table if not exists t (z int)"],
      [("T already exists, statement succeeded.",)])
probe("INSERT counts rows", [T, "insert into t (a) values (1), (2)"], [(2,)])
probe("a default fills what is not named", [T, "insert into t (a) values (1)", "select * from t"],
      [(1, None, D("1.50"))])
probe("DEFAULT as a value", [T, "insert into t values (1, 'x', default)", "select c from t"], [(D("1.50"),)])
probe("a value list of another width", [T, "insert into t values (1)"], 2057)
probe("text that is too long", [T, "insert into t (b) values ('long')"], 100078)
probe("text that is no number for a column", [T, "insert into t (a) values ('x')"], 100038)
probe("a failed INSERT adds nothing", [
    T, "insert into t (a) select column1 from values ('1')", "select count(*) from t"], [(1,)])
probe("NOT NULL is enforced", ["create or replace table n (a int not null)", "insert into n values (null)"], 100072)
probe("a primary key is not enforced", [
    "create or replace table k (a int primary key)", "insert into k values (1), (1)", "select count(*) from k"],
    [(2,)])
probe("UPDATE counts rows", [T, "insert into t (a) values (1), (2)", "update t set b = 'x' where a = 1"],
      [(1, 0)])
probe("DELETE counts rows", [T, "insert into t (a) values (1), (2)", "delete from t where a = 1"], [(1,)])
probe("TRUNCATE empties", [T, "insert into t (a) values (1)", "truncate table t", "select count(*) from t"], [(0,)])
probe("CREATE TABLE AS", ["create or replace table u as select 1 x, 'a' y", "select * from u"], [(1, "a")])
probe("CREATE TABLE LIKE has no rows", [T, "insert into t (a) values (1)", "create or replace table l like t",
                                         "select count(*) from l"], [(0,)])
probe("CLONE has the rows", [T, "insert into t (a) values (1)", "create or replace table l clone t",
                             "select a from l"], [(1,)])
probe("a clone is independent", [T, "insert into t (a) values (1)", "create or replace table l clone t",
                                 "delete from t", "select count(*) from l"], [(1,)])
probe("INSERT from a query", [T, "insert into t (a) select column1 from values (1), (2)", "select sum(a) from t"],
      [(3,)])
probe("DROP TABLE says so", [T, "drop table t"], [("T successfully dropped.",)])
probe("DROP of nothing", "drop table if exists nothing_here",
      [("Drop statement executed successfully (NOTHING_HERE already dropped).",)])
probe("DROP of what is missing", "drop table nothing_here", 2003)
probe("ADD COLUMN fills with NULL", [T, "insert into t (a) values (1)", "alter table t add column d int",
                                     "select d from t"], [(None,)])
probe("DROP COLUMN", [T, "alter table t drop column b", "select * from t"], Columns("A", "C"))
probe("RENAME COLUMN", [T, "alter table t rename column a to z", "select * from t"], Columns("Z", "B", "C"))
probe("RENAME TO", [T, "drop table if exists t9", "alter table t rename to t9", "select count(*) from t9"], [(0,)])
probe("SWAP WITH", ["create or replace table s1 as select 1 x", "create or replace table s2 as select 2 x",
                    "alter table s1 swap with s2", "select x from s1"], [(2,)])
probe("quoted names keep their case", ['create or replace table "q T" ("a B" int)',
                                       'insert into "q T" values (1)', 'select "a B" from "q T"'], [(1,)])
probe("a quoted upper-case name equals an unquoted one", [T, 'select count("A") from "T"'], [(0,)])
probe("a reserved word needs quotes", ['create or replace table "select" ("from" int)',
                                       'insert into "select" values (1)', 'select "from" from "select"'], [(1,)])
probe("a view follows its table", [T, "create or replace view v as select a + 1 z from t",
                                   "insert into t (a) values (1)", "select z from v"], [(2,)])
probe("a temporary table hides a permanent one", [
    "create or replace table h as select 1 x", "create temporary table h as select 2 x", "select x from h"], [(2,)])
probe("dropping it shows the permanent one", [
    "create or replace table h2 as select 1 x", "create temporary table h2 as select 2 x", "drop table h2",
    "select x from h2"], [(1,)])

# Metadata --------------------------------------------------------------------------------------
probe("DESCRIBE TABLE has these columns", [T, "describe table t"],
      Columns("name", "type", "kind", "null?", "default", "primary key", "unique key", "check"))
probe("DESCRIBE gives full types", [
    "create or replace table d (a int, b varchar, c timestamp_ntz, d binary, e time, f float)", "describe table d",
    "select \"type\" from table(result_scan(last_query_id()))"],
    [("NUMBER(38,0)",), ("VARCHAR(16777216)",), ("TIMESTAMP_NTZ(9)",), ("BINARY(8388608)",), ("TIME(9)",),
     ("FLOAT",)])
probe("SHOW TABLES has these columns", [T, "show tables like 'T'"],
      Columns("created_on", "name", "database_name", "schema_name", "kind", "comment"))
probe("SHOW COLUMNS has these columns", [T, "show columns in table t"],
      Columns("table_name", "schema_name", "column_name", "data_type", "null?", "default"))
probe("INFORMATION_SCHEMA.COLUMNS", [
    T, "select column_name, data_type, is_nullable, numeric_scale from information_schema.columns "
       "where table_name = 'T' and table_schema = current_schema() order by ordinal_position"],
    [("A", "NUMBER", "YES", 0), ("B", "TEXT", "YES", None), ("C", "NUMBER", "YES", 2)])
probe("INFORMATION_SCHEMA.TABLES", [
    T, "select table_type, row_count from information_schema.tables "
       "where table_name = 'T' and table_schema = current_schema()"], [("BASE TABLE", 0)])
probe("an Information Schema has no SELECT * from nowhere", "select * from information_schema.nothing", 2003)

# Time travel and results -----------------------------------------------------------------------
probe("OFFSET zero is now", [T, "insert into t (a) values (1)", "select count(*) from t at (offset => 0)"], [(1,)])
probe("a moment before the table", [T, "select * from t at (timestamp => '2000-01-01'::timestamp_ltz)"], 707)
probe("RESULT_SCAN of the last query", ["select 1 x union all select 2 order by 1",
                                        "select sum(x) from table(result_scan(last_query_id()))"], [(3,)])

# Sessions --------------------------------------------------------------------------------------
value("CURRENT_DATABASE is set", "current_database() is not null", True)
value("CURRENT_USER is set", "current_user() is not null", True)
value("CURRENT_WAREHOUSE is set", "current_warehouse() is not null", True)
probe("a session parameter is set", ["alter session set query_tag = 'probe'",
                                     "show parameters like 'QUERY_TAG' in session",
                                     "select \"value\" from table(result_scan(last_query_id()))"], [("probe",)])
probe("UNSET takes it back", ["alter session set query_tag = 'probe'", "alter session unset query_tag",
                              "show parameters like 'QUERY_TAG' in session",
                              "select \"value\" from table(result_scan(last_query_id()))"], [("",)])
probe("USE of an unknown schema", "use schema nothing_here", 2043)
probe("USE of an unknown warehouse", "use warehouse nothing_here", 2043)
probe("two statements at once are refused", "select 1; select 2", 8)

# Stages and COPY -------------------------------------------------------------------------------
COPY_COLUMNS = Columns("file", "status", "rows_parsed", "rows_loaded", "error_limit", "errors_seen",
                       "first_error", "first_error_line", "first_error_character", "first_error_column_name")
STAGE = ["create or replace temporary stage s file_format = (type = csv)",
         "create or replace table st (n int, t varchar(3))"]
PUT = STAGE + ["put file://{folder}/a.csv @s auto_compress = false"]
BAD = STAGE + ["put file://{folder}/bad.csv @s auto_compress = false"]
probe("CREATE STAGE says so", "create or replace stage made", [("Stage area MADE successfully created.",)])
probe("a stage that is not there", "list @nothing_here", 2003)
probe("PUT tells what it did", PUT, Columns("source", "target", "source_size", "target_size",
                                            "source_compression", "target_compression", "status", "message"))
probe("PUT compresses by default", STAGE + ["put file://{folder}/a.csv @s", "list @s",
      "select split_part(\"name\", '/', -1) from table(result_scan(last_query_id()))"], [("a.csv.gz",)])
probe("LIST has these columns", PUT + ["list @s"], Columns("name", "size", "md5", "last_modified"))
probe("LIST names the stage", PUT + ["list @s", "select \"name\" from table(result_scan(last_query_id()))"],
      [("s/a.csv",)])
probe("REMOVE empties", PUT + ["remove @s", "list @s"], [])
probe("COPY has ten columns", PUT + ["copy into st from @s"], COPY_COLUMNS)
probe("COPY loads a file", PUT + ["copy into st from @s", "select * from st order by n"], [(1, "a"), (2, "b")])
probe("COPY loads a file once", PUT + ["copy into st from @s", "copy into st from @s"],
      [("Copy executed with 0 files processed.",)])
probe("FORCE loads it again", PUT + ["copy into st from @s", "copy into st from @s force = true",
                                     "select count(*) from st"], [(4,)])
probe("DELETE keeps the load metadata", PUT + ["copy into st from @s", "delete from st", "copy into st from @s"],
      [("Copy executed with 0 files processed.",)])
probe("TRUNCATE clears the load metadata", PUT + ["copy into st from @s", "truncate table st",
      "copy into st from @s", "select count(*) from st"], [(2,)])
probe("FILES names files", PUT + ["copy into st from @s files = ('a.csv')", "select count(*) from st"], [(2,)])
probe("a file that FILES names and is missing", PUT + ["copy into st from @s files = ('b.csv')"], 91016)
probe("PATTERN matches the whole path", PUT + ["copy into st from @s pattern = 'csv'"],
      [("Copy executed with 0 files processed.",)])
probe("PATTERN finds", PUT + ["copy into st from @s pattern = '.*csv'", "select count(*) from st"], [(2,)])
probe("a bad row aborts by default", BAD + ["copy into st from @s"], 100038)
probe("an aborted COPY loads nothing", BAD + ["copy into st from @s on_error = skip_file", "select count(*) from st"],
      [(0,)])
probe("CONTINUE loads the good rows", BAD + ["copy into st from @s on_error = continue", "select count(*) from st"],
      [(2,)])
probe("CONTINUE says PARTIALLY_LOADED", BAD + ["copy into st from @s on_error = continue",
      "select \"status\", \"rows_parsed\", \"rows_loaded\", \"errors_seen\" from table(result_scan(last_query_id()))"],
      [("PARTIALLY_LOADED", 3, 2, 1)])
probe("SKIP_FILE says LOAD_FAILED", BAD + ["copy into st from @s on_error = skip_file",
      "select \"status\", \"rows_loaded\" from table(result_scan(last_query_id()))"], [("LOAD_FAILED", 0)])
probe("JSON fills a VARIANT", STAGE + ["put file://{folder}/docs.json @s auto_compress = false",
      "create or replace table doc (j variant)",
      "copy into doc from @s files = ('docs.json') file_format = (type = json)", "select count(*) from doc"], [(2,)])
probe("a file with another number of fields", PUT + ["create or replace table one (n int)", "copy into one from @s"],
      100080)
probe("ERROR_ON_COLUMN_COUNT_MISMATCH = FALSE", PUT + ["create or replace table one (n int)",
      "copy into one from @s file_format = (type = csv error_on_column_count_mismatch = false)",
      "select sum(n) from one"], [(3,)])
probe("COPY with a transformation", PUT + ["copy into st (n) from (select $1::int * 10 from @s)",
      "select n, t from st order by n"], [(10, None), (20, None)])
probe("SELECT from a stage", PUT + ["select $1, $2 from @s order by 1"], [("1", "a"), ("2", "b")])
probe("JSON needs one VARIANT column", STAGE + ["put file://{folder}/docs.json @s auto_compress = false",
      "create or replace table doc (j variant)", "copy into doc from @s file_format = (type = json)",
      "select j:id::int from doc order by 1"], [(1,), (2,)])
probe("MATCH_BY_COLUMN_NAME fills columns", STAGE + ["put file://{folder}/docs.json @s auto_compress = false",
      "create or replace table bn (id int, name varchar, other int)",
      "copy into bn from @s file_format = (type = json) match_by_column_name = case_insensitive",
      "select * from bn order by id"], [(1, "a", None), (2, "b", None)])
probe("PURGE removes what was loaded", PUT + ["copy into st from @s purge = true", "list @s"], [])
probe("an unknown option", PUT + ["copy into st from @s nonsense = 1"], 1006)
probe("COPY into a table that is missing", PUT + ["copy into nothing_here from @s"], 2003)
probe("unloading writes a file", PUT + ["copy into st from @s", "copy into @s/out from st",
      "select \"rows_unloaded\" from table(result_scan(last_query_id()))"], [(2,)])
probe("a named file format", PUT + ["create or replace file format ff type = csv skip_header = 1",
      "copy into st from @s file_format = (format_name = 'ff')", "select count(*) from st"], [(1,)])

# Transactions ----------------------------------------------------------------------------------
X = "create or replace table x (a int)"
probe("ROLLBACK takes back", [X, "begin", "insert into x values (1)", "rollback", "select count(*) from x"], [(0,)])
probe("COMMIT keeps", [X, "begin", "insert into x values (1)", "commit", "select count(*) from x"], [(1,)])
probe("a transaction sees its own rows", [X, "begin", "insert into x values (1)", "select count(*) from x"], [(1,)])
probe("DDL commits", [X, "begin", "insert into x values (1)", "create or replace table y (a int)", "rollback",
                      "select count(*) from x"], [(1,)])
probe("a failed statement leaves the transaction open", [X, "begin", "insert into x values (1)"], [(1,)])
probe("ROLLBACK without a transaction", "rollback", [("Statement executed successfully.",)])
probe("TRUNCATE belongs to the transaction", [X, "insert into x values (1)", "begin", "truncate table x", "rollback",
                                              "select count(*) from x"], [(1,)])
probe("COPY belongs to the transaction", PUT + ["begin", "copy into st from @s", "rollback",
                                                "select count(*) from st"], [(0,)])
probe("INSERT OVERWRITE replaces", [X, "insert into x values (1), (2)", "insert overwrite into x values (3)",
                                    "select * from x"], [(3,)])
probe("MERGE updates and inserts", [
    "create or replace table m (k int, v varchar)", "insert into m values (1, 'old')",
    "merge into m using (select column1 k, column2 v from values (1, 'new'), (2, 'two')) s on m.k = s.k "
    "when matched then update set v = s.v when not matched then insert (k, v) values (s.k, s.v)",
    "select * from m order by k"], [(1, "new"), (2, "two")])
probe("MERGE refuses two sources of one row", [
    "create or replace table m (k int, v varchar)", "insert into m values (1, 'old')",
    "merge into m using (select column1 k, column2 v from values (1, 'a'), (1, 'b')) s on m.k = s.k "
    "when matched then update set v = s.v"], 100090)
probe("AUTOINCREMENT counts", ["create or replace table i (n int autoincrement, t varchar)",
                               "insert into i (t) values ('a'), ('b')", "select n from i order by n"], [(1,), (2,)])

# Change tokens ---------------------------------------------------------------------------------
TOKEN = "system$last_change_commit_time('change_token')"
SEEN = ["create or replace table change_token(a int)",
        f"create or replace table token_seen as select {TOKEN} as t"]
probe("a change token stays while no row changes", [*SEEN,
      f"select t = {TOKEN} from token_seen"], [(True,)])
probe("a change token grows with a committed change", [*SEEN, "insert into change_token values (1)",
      f"select t < {TOKEN} from token_seen"], [(True,)])
probe("a change token of a missing table is an error",
      "select system$last_change_commit_time('no_such_table')", 2003)
