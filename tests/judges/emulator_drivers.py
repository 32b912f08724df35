"""Judges the emulator with Snowflake's own Python connector, unchanged.

Usage: emulator_drivers.py [READY_LINE_FILE]      (the ready line comes on stdin otherwise)

Prints one line for each check and exits with 1 at the first wrong value. Every value is compared
with what was put in, or with the same rows over another path (Arrow against JSON, rows against
sums computed by the server). Works with the connector's majors 4 and 5; install one of them from
requirements-connector4.txt or requirements-connector5.txt.
"""

import datetime as dt
import decimal
import json
import sys
import threading
import urllib.request
from urllib.parse import urlsplit

import snowflake.connector as connector

D = decimal.Decimal
UTC = dt.timezone.utc


def check(name, found, expected):
    if found != expected:
        print(f"WRONG {name}\n  found    {found!r}\n  expected {expected!r}")
        sys.exit(1)
    print(f"ok    {name}")


def connect(ready, **options):
    url = urlsplit(ready["base_url"])
    settings = dict(
        account=ready["account"], user=ready["user"], host=url.hostname, port=url.port,
        protocol="http", warehouse=ready["warehouse"], role=ready["role"],
        login_timeout=20, network_timeout=120,
    )
    settings.update(options)
    return connector.connect(**settings)


def rows_of(connection, sql, parameters=None):
    return connection.cursor().execute(sql, parameters).fetchall()


def one(connection, sql):
    return rows_of(connection, sql)[0][0]


def fails_with(action):
    try:
        action()
    except connector.errors.Error as error:
        return error.errno
    return "no error"


def sign_in(ready):
    by_password = connect(ready, password=ready["password"])
    check("password signs in", one(by_password, "select current_user()"), ready["user"])
    by_key = connect(
        ready, authenticator="SNOWFLAKE_JWT", private_key_file=ready["private_key_path"])
    check("key pair signs in", one(by_key, "select current_role()"), ready["role"])
    by_key.close()
    check("wrong password is refused", fails_with(lambda: connect(ready, password="wrong")), 390100)
    check(
        "unknown user is refused",
        fails_with(lambda: connect(ready, user="NOBODY", password=ready["password"])), 390100)
    by_tokens(ready)
    return by_password


def post(url, body, kind="application/json"):
    request = urllib.request.Request(url, body.encode(), {"Content-Type": kind})
    with urllib.request.urlopen(request) as answer:
        return json.loads(answer.read() or "null")


def by_tokens(ready):
    user = ready["user"]
    made = post(f"{ready['admin_url']}/access-tokens", json.dumps({"user": user}))
    session = connect(ready, authenticator="PROGRAMMATIC_ACCESS_TOKEN", token=made["token"])
    check("programmatic access token signs in", one(session, "select current_user()"), user)
    session.close()
    check("a made-up one is refused", fails_with(lambda: connect(
        ready, authenticator="PROGRAMMATIC_ACCESS_TOKEN", token="made up")), 394400)
    client = {"client_id": "judge", "client_secret": "secret", "user": user}
    post(f"{ready['admin_url']}/oauth-clients", json.dumps(client))
    form = "grant_type=client_credentials&client_id=judge&client_secret=secret"
    granted = post(ready["oauth_token_url"], form, "application/x-www-form-urlencoded")
    session = connect(ready, authenticator="OAUTH", token=granted["access_token"])
    check("OAuth token signs in", one(session, "select current_user()"), user)
    session.close()


# Each type with the values that break clients: column type, SQL literal, what Python must see.
VALUES = [
    ("number(38,0)", [("0", 0), ("127", 127), ("-128", -128), ("128", 128),
                      ("9007199254740993", 9007199254740993),
                      ("9223372036854775808", 9223372036854775808),
                      ("-" + "9" * 38, -int("9" * 38)), ("null", None)]),
    ("number(5,2)", [("1.50", D("1.50")), ("-0.01", D("-0.01")), ("999.99", D("999.99")),
                     ("null", None)]),
    ("number(38,9)", [("12345678901234567890.123456789", D("12345678901234567890.123456789")),
                      ("-0.000000001", D("-0.000000001")), ("null", None)]),
    ("float", [("0", 0.0), ("-1.5", -1.5), ("1e300", 1e300), ("null", None)]),
    ("decfloat", [("'0'::decfloat", 0), ("'-1.5'::decfloat", D("-1.5")),
                  ("'1E+30'::decfloat", D("1E+30")), ("'128'::decfloat", 128),
                  ("null", None)]),
    ("varchar", [("''", ""), ("'ä€𝄞'", "ä€𝄞"), ("'a''b'", "a'b"), ("null", None)]),
    ("binary", [("to_binary('00FF', 'HEX')", b"\x00\xff"), ("to_binary('', 'HEX')", b""),
                ("null", None)]),
    ("boolean", [("true", True), ("false", False), ("null", None)]),
    ("date", [("'1970-01-01'::date", dt.date(1970, 1, 1)), ("'0001-01-01'::date", dt.date(1, 1, 1)),
              ("'9999-12-31'::date", dt.date(9999, 12, 31)), ("null", None)]),
    ("time(9)", [("'00:00:00'::time", dt.time()), ("'23:59:59.123456'::time(9)",
                 dt.time(23, 59, 59, 123456)), ("null", None)]),
    ("time(0)", [("'23:59:59'::time(0)", dt.time(23, 59, 59)), ("null", None)]),
    ("timestamp_ntz(9)", [
        ("'2024-02-29 12:34:56.123456'::timestamp_ntz(9)",
         dt.datetime(2024, 2, 29, 12, 34, 56, 123456)),
        ("'1920-12-31 23:59:59.999999'::timestamp_ntz(9)",
         dt.datetime(1920, 12, 31, 23, 59, 59, 999999)),
        ("'0001-01-01 00:00:00'::timestamp_ntz(9)", dt.datetime(1, 1, 1)),
        ("'9999-12-31 23:59:59.999999'::timestamp_ntz(9)",
         dt.datetime(9999, 12, 31, 23, 59, 59, 999999)),
        ("null", None)]),
    ("timestamp_ntz(3)", [
        ("'1969-12-31 23:59:59.500'::timestamp_ntz(3)",
         dt.datetime(1969, 12, 31, 23, 59, 59, 500000)), ("null", None)]),
    ("timestamp_ltz(9)", [
        ("'2024-02-29 12:34:56.123456 +0000'::timestamp_ltz(9)",
         dt.datetime(2024, 2, 29, 12, 34, 56, 123456, tzinfo=UTC)), ("null", None)]),
    ("timestamp_tz(9)", [
        ("'2024-02-29 12:34:56.5 +0530'::timestamp_tz(9)",
         dt.datetime(2024, 2, 29, 12, 34, 56, 500000,
                     tzinfo=dt.timezone(dt.timedelta(hours=5, minutes=30)))),
        ("'1965-01-01 00:00:00.25 -0800'::timestamp_tz(9)",
         dt.datetime(1965, 1, 1, 0, 0, 0, 250000, tzinfo=dt.timezone(dt.timedelta(hours=-8)))),
        ("null", None)]),
    ("timestamp_tz(0)", [
        ("'2024-02-29 12:34:56 -0800'::timestamp_tz(0)",
         dt.datetime(2024, 2, 29, 12, 34, 56, tzinfo=dt.timezone(dt.timedelta(hours=-8)))),
        ("null", None)]),
]


def plain(value):
    """Brings what the two paths may give in different classes to one form."""
    if isinstance(value, (bytearray, memoryview)):
        return bytes(value)
    if isinstance(value, dt.datetime) and value.tzinfo is not None:
        return (value.astimezone(UTC), value.utcoffset())
    if isinstance(value, D) and value == value.to_integral_value():
        return int(value)
    return value


def same(value, other):
    """Equal, or both NaN."""
    return value == other or (value != value and other != other)


def every_type(connection):
    rows_of(connection, "create or replace database judge")
    rows_of(connection, "use schema judge.public")
    rows_of(connection, "alter session set timezone = 'UTC'")
    for index, (kind, values) in enumerate(VALUES):
        table = f"judge.public.t{index}"
        rows_of(connection, f"create table {table} (id number(38,0) not null, v {kind})")
        for position, (literal, _) in enumerate(values):
            count = one(connection, f"insert into {table} select {position}, {literal}")
            check(f"{kind} takes {literal[:40]}", count, 1)
        expected = [plain(value) for _, value in values]
        for form in ("ARROW", "JSON"):
            set_format(connection, form)
            rows = rows_of(connection, f"select v from {table} order by id")
            check(f"{kind} as {form}", [plain(row[0]) for row in rows], expected)
            # One row at a time: a stream of its own picks types of its own.
            for position, value in enumerate(expected):
                found = one(connection, f"select v from {table} where id = {position}")
                check(f"{kind} as {form}, row {position}", plain(found), value)
        set_format(connection, "ARROW")


def set_format(connection, form):
    rows_of(connection, f"alter session set python_connector_query_result_format = '{form}'")


def crm(connection):
    columns = [row[0] for row in rows_of(connection, "describe table crm.public.events")]
    count = one(connection, "select count(*) from crm.public.events")
    names = ", ".join(f'"{column}"' for column in columns)
    sql = f"select {names} from crm.public.events order by 1"
    forms = {}
    for form in ("ARROW", "JSON"):
        set_format(connection, form)
        forms[form] = rows_of(connection, sql)
        check(f"crm.public.events has all its rows as {form}", len(forms[form]), count)
    set_format(connection, "ARROW")
    for index, column in enumerate(columns):
        pairs = [(plain(a[index]), plain(b[index])) for a, b in zip(forms["ARROW"], forms["JSON"])]
        different = [pair for pair in pairs if not same(*pair)][:3]
        check(f"crm.public.events.{column} is the same over Arrow and JSON", different, [])


def line_items(connection):
    table = "snowflake_sample_data.tpch_sf1.lineitem"
    count, quantity, first, last = rows_of(
        connection,
        f"select count(*), sum(l_quantity), min(l_shipdate), max(l_shipdate) from {table}")[0]
    cursor = connection.cursor().execute(f"select * from {table}")
    batches = cursor.get_result_batches()
    if batches is not None:
        check("lineitem comes in several chunks", len(batches) > 1, True)
    names = [column[0] for column in cursor.description]
    quantity_at, ship_at = names.index("L_QUANTITY"), names.index("L_SHIPDATE")
    rows, total, dates = 0, D(0), set()
    for row in cursor:
        rows += 1
        total += row[quantity_at]
        dates.add(row[ship_at])
    check("lineitem: all rows arrive", rows, count)
    check("lineitem: the sum is the server's", total, quantity)
    check("lineitem: the dates are the server's", (min(dates), max(dates)), (first, last))
    # Whole tables: the connector joins streams only if their types agree, and the width of an
    # integer depends on the rows of its stream, so Arrow gets columns whose type is fixed.
    sql = f"select l_comment, l_shipdate from {table}"
    arrow = connection.cursor().execute(sql).fetch_arrow_all()
    check("lineitem: fetch_arrow_all has all rows", arrow.num_rows, count)
    check("lineitem: fetch_arrow_all has the same dates", max(arrow.column(1).to_pylist()), last)
    keys = one(connection, f"select sum(l_orderkey) from {table}")
    frame = connection.cursor().execute(f"select l_orderkey from {table}").fetch_pandas_all()
    check("lineitem: fetch_pandas_all has the same keys", int(frame["L_ORDERKEY"].sum()), keys)
    empty = connection.cursor().execute(f"select * from {table} where l_orderkey < 0")
    check("an empty result has columns and no rows",
          (len(empty.description), empty.fetchall()), (len(names), []))


def statements(connection):
    rows_of(connection, "create or replace table judge.public.people (id number, name varchar(20))")
    cursor = connection.cursor()
    cursor.execute("insert into judge.public.people values (1, 'a'), (2, 'b'), (3, null)")
    check("insert counts", cursor.rowcount, 3)
    cursor.execute("update judge.public.people set name = 'c' where id = 3")
    check("update counts", cursor.rowcount, 1)
    cursor.execute("delete from judge.public.people where id = 1")
    check("delete counts", cursor.rowcount, 1)
    check("what is left", rows_of(connection, "select id, name from judge.public.people order by id"),
          [(2, "b"), (3, "c")])
    check("client-side binds", rows_of(
        connection, "select id from judge.public.people where name = %s", ("c",)), [(3,)])
    names = [row[1] for row in rows_of(connection, "show tables in schema judge.public")]
    check("show tables names it", "PEOPLE" in names, True)
    described = [(row[0], row[1]) for row in rows_of(connection, "describe table judge.public.people")]
    check("describe table", described, [("ID", "NUMBER(38,0)"), ("NAME", "VARCHAR(20)")])
    columns = connection.cursor().describe("select id, name from judge.public.people")
    check("describe only", [column.name for column in columns], ["ID", "NAME"])
    check("a missing table is 2003", fails_with(
        lambda: rows_of(connection, "select * from judge.public.nothing")), 2003)
    check("nonsense is 1003", fails_with(lambda: rows_of(connection, "selekt 1")), 1003)


def transactions(connection, ready):
    other = connect(ready, password=ready["password"])
    table = "judge.public.ledger"
    rows_of(connection, f"create or replace table {table} (id number not null, name varchar(5))")
    rows_of(connection, f"insert into {table} values (1, 'a'), (2, 'b')")
    everything = f"select id, name from {table} order by id"
    connection.autocommit(False)
    rows_of(connection, f"delete from {table} where id = 1")
    rows_of(connection, f"insert into {table} values (3, 'c')")
    check("a transaction sees itself", rows_of(connection, everything), [(2, "b"), (3, "c")])
    check("others do not see it", rows_of(other, everything), [(1, "a"), (2, "b")])
    rows_of(other, "alter session set lock_timeout = 0")
    check("another rewrite of the table is refused", fails_with(
        lambda: rows_of(other, f"update {table} set name = 'x'")), 625)
    rows_of(other, f"insert into {table} values (4, 'd')")
    connection.rollback()
    check("a rollback undoes all of it and nothing else", rows_of(connection, everything),
          [(1, "a"), (2, "b"), (4, "d")])
    cursor = connection.cursor()
    cursor.execute(f"insert overwrite into {table} (id) select id * 10 from {table}")
    check("insert overwrite counts", cursor.rowcount, 3)
    check("old rows until the commit", rows_of(other, everything), [(1, "a"), (2, "b"), (4, "d")])
    connection.commit()
    connection.autocommit(True)
    check("new rows after it", rows_of(other, everything), [(10, None), (20, None), (40, None)])
    check("too long a text is 100078", fails_with(
        lambda: rows_of(connection, f"insert into {table} values (5, 'toolong')")), 100078)
    check("NULL in NOT NULL is 100072", fails_with(
        lambda: rows_of(connection, f"insert into {table} values (null, 'x')")), 100072)
    # A session that ends takes its transaction with it.
    rows_of(other, "begin")
    rows_of(other, f"truncate table {table}")
    other.close()
    check("a closed session rolls back", len(rows_of(connection, everything)), 3)
    cursor.execute("begin; delete from judge.public.ledger; commit;", num_statements=3)
    check("a script in one request", rows_of(connection, everything), [])


def two_at_once(connection, ready):
    """Writers that wait for each other, and readers that never see a half-done rewrite."""
    other = connect(ready, password=ready["password"])
    rows_of(connection, "create or replace table judge.public.counter as select 0::number(38,0) as n")
    rows_of(connection, "begin")
    rows_of(connection, "update judge.public.counter set n = n + 1")
    waiting = threading.Thread(target=lambda: rows_of(
        other, "update judge.public.counter set n = n * 10"))
    waiting.start()
    while not any(row[4] == "WAITING" for row in rows_of(connection, "show locks")):
        pass
    rows_of(connection, "commit")
    waiting.join()
    check("the second writer goes on from the first one's rows",
          rows_of(connection, "select n from judge.public.counter"), [(10,)])
    other.close()

    table = "judge.public.whole"
    rows_of(connection, f"create or replace table {table} as select 0::number(38,0) as v, seq8() as n "
                        "from table(generator(rowcount => 500))")
    seen, done = [], threading.Event()

    def read():
        reader = connect(ready, password=ready["password"])
        while not done.is_set():
            seen.append(rows_of(
                reader, f"select count(*), count(distinct v), max(v) from {table}")[0])
        reader.close()

    readers = [threading.Thread(target=read) for _ in range(8)]
    for reader in readers:
        reader.start()
    for step in range(20):
        rows_of(connection, "begin")
        if step % 2:
            rows_of(connection, f"insert overwrite into {table} select v + 1, n from {table}")
        else:
            rows_of(connection, f"delete from {table}")
            rows_of(connection, f"insert into {table} select {step + 1}, seq8() "
                                "from table(generator(rowcount => 500))")
        rows_of(connection, "commit")
    done.set()
    for reader in readers:
        reader.join()
    wrong = [row for row in seen if row[:2] != (500, 1)]
    check(f"8 readers saw {len(seen)} times all old or all new rows", wrong[:3], [])
    check("and the last of them", one(connection, f"select max(v) from {table}"), 20)


def merge(connection):
    table = "judge.public.scores"
    rows_of(connection, f"create or replace table {table} (id number autoincrement, "
                        "name varchar, points number(9,2) default 1)")
    rows_of(connection, f"insert into {table} (name) values ('a'), ('b'), ('c')")
    rows_of(connection, "create or replace temporary table judge.public.news "
                        "(name varchar, points number(9,2), gone boolean)")
    rows_of(connection, "insert into judge.public.news values "
                        "('b', 2.5, false), ('c', 0, true), ('d', 4, false)")
    cursor = connection.cursor()
    cursor.execute(f"merge into {table} t using judge.public.news s on t.name = s.name "
                   "when matched and s.gone then delete "
                   "when matched then update set points = s.points "
                   "when not matched then insert (name, points) values (s.name, s.points)")
    check("merge counts inserted, updated and deleted rows", cursor.rowcount, 3)
    check("merge", rows_of(connection, f"select id, name, points from {table} order by id"),
          [(1, "a", D("1.00")), (2, "b", D("2.50")), (4, "d", D("4.00"))])
    rows_of(connection, "insert into judge.public.news values ('b', 3, false)")
    check("two source rows for one target row are 100090", fails_with(lambda: rows_of(
        connection, f"merge into {table} t using judge.public.news s on t.name = s.name "
                    "when matched then update set points = s.points")), 100090)
    before = connection.cursor()
    before.execute(f"update {table} set points = 9 from judge.public.news n "
                   f"where n.name = {table}.name and n.name = 'd'")
    check("update from another table", before.rowcount, 1)
    check("the rows before a statement", rows_of(
        connection, f"select points from {table} before(statement => '{before.sfqid}') "
                    "where name = 'd'"), [(D("4.00"),)])
    check("a temporary table is its session's alone", fails_with(
        lambda: rows_of(connection, "select * from judge.public.nothing")), 2003)
    rows_of(connection, "alter session set query_tag = 'judge'")
    rows_of(connection, "select 42")
    check("the history knows text, tag and kind", rows_of(
        connection, "select query_text, query_tag, query_type, execution_status from "
                    "table(judge.information_schema.query_history_by_session()) "
                    "where query_text = 'select 42'"),
          [("select 42", "judge", "SELECT", "SUCCESS")])
    rows_of(connection, "alter session unset query_tag")
    cursor.execute("select 1 as a union all select 2")
    check("the last result again", sorted(rows_of(
        connection, "select a from table(result_scan(last_query_id()))")), [(1,), (2,)])


def grants(connection, ready):
    """A role that may read one table and rewrite another, for a user with a key of its own."""
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import rsa

    keys = [rsa.generate_private_key(public_exponent=65537, key_size=2048) for _ in range(2)]
    bodies = ["".join(key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo,
    ).decode().splitlines()[1:-1]) for key in keys]
    rows_of(connection, "create or replace table judge.public.source as select 1 as a")
    rows_of(connection, "create or replace table judge.public.target (a number)")
    rows_of(connection, "use role securityadmin")
    rows_of(connection, "create or replace role pusher")
    rows_of(connection, f"create user svc type = service default_role = pusher "
                        f"default_warehouse = compute_wh rsa_public_key = '{bodies[0]}'")
    rows_of(connection, "grant role pusher to user svc")
    rows_of(connection, "use role sysadmin")
    for grant in ("usage on warehouse compute_wh", "usage on database judge",
                  "usage on schema judge.public", "select on table judge.public.source",
                  "insert, delete on table judge.public.target"):
        rows_of(connection, f"grant {grant} to role pusher")

    def sign_in_with(key):
        return connect(ready, user="SVC", role=None, warehouse=None, authenticator="SNOWFLAKE_JWT",
                       private_key=key)

    service = sign_in_with(keys[0])
    check("a new user signs in with its key and default role",
          rows_of(service, "select current_user(), current_role(), current_warehouse()"),
          [("SVC", "PUSHER", "COMPUTE_WH")])
    source, target = "judge.public.source", "judge.public.target"
    check("what is granted works", one(service, f"insert overwrite into {target} "
                                                f"select a from {source}"), 1)
    for sql, code in [
        (f"select a from {target}", 3001),
        (f"truncate table {target}", 3001),
        (f"update {target} set a = 2", 3001),
        (f"alter table {target} add column b number", 3001),
        (f"insert into {source} values (1)", 3001),
        ("select * from judge.public.ledger", 2003),
        ("select * from judge.public.nothing", 2003),
        ("create table judge.public.mine (a number)", 3001),
        ("use role sysadmin", 3013),
    ]:
        check(f"refused: {sql}", fails_with(lambda: rows_of(service, sql)), code)
    rows_of(service, "create temporary table judge.public.mine as select 5 as a")
    check("a temporary table needs no privilege", rows_of(
        service, "select a from judge.public.mine"), [(5,)])
    check("show tables lists what the role sees",
          sorted(row[1] for row in rows_of(service, "show tables in schema judge.public")),
          ["MINE", "SOURCE", "TARGET"])
    rows_of(connection, "use role accountadmin")
    rows_of(connection, f"alter user svc set rsa_public_key_2 = '{bodies[1]}'")
    sign_in_with(keys[1]).close()
    rows_of(connection, "alter user svc unset rsa_public_key")
    check("a key that was taken away is refused", fails_with(lambda: sign_in_with(keys[0])), 390144)
    rows_of(connection, "create or replace network rule judge.public.office mode = ingress type = ipv4 "
                        "value_list = ('203.0.113.0/28')")
    rows_of(connection, "create or replace network policy office_only "
                        "allowed_network_rule_list = ('judge.public.office')")
    rows_of(connection, "alter user svc set network_policy = office_only")
    check("another address than the policy's is refused",
          fails_with(lambda: sign_in_with(keys[1])), 390422)
    rows_of(connection, "alter network rule judge.public.office set value_list = ('127.0.0.1')")
    sign_in_with(keys[1]).close()
    service.close()
    rows_of(connection, "create or replace warehouse judge_wh auto_resume = false "
                        "initially_suspended = true")
    check("a suspended warehouse does not compute", fails_with(
        lambda: rows_of(connection, f"select a from {source}")), 606)
    rows_of(connection, "alter warehouse judge_wh resume")
    check("a resumed one does", rows_of(connection, f"select a from {source}"), [(1,)])
    for sql in ("drop warehouse judge_wh", "use warehouse compute_wh", "drop user svc",
                "drop role pusher", "drop network policy office_only", "use role sysadmin"):
        rows_of(connection, sql)


def server_binds(ready):
    connector.paramstyle = "qmark"
    connection = connect(ready, password=ready["password"], paramstyle="qmark")
    row = rows_of(connection, "select ?, ?, ?, ?", (5, "x", None, True))[0]
    check("server-side binds", (int(row[0]), row[1], row[2]), (5, "x", None))
    rows_of(connection, "create or replace table judge.public.many (id number, name varchar)")
    cursor = connection.cursor()
    people = [(1, "a"), (2, None), (3, "c")]
    cursor.executemany("insert into judge.public.many values (?, ?)", people)
    check("binds in a merge", cursor.execute(
        "merge into judge.public.many t using (select ? as id, ? as name) s on t.id = s.id "
        "when matched then update set name = s.name", (1, "a")).rowcount, 1)
    check("a list of server-side binds", rows_of(
        connection, "select id, name from judge.public.many order by id"), people)
    connection.close()
    connector.paramstyle = "pyformat"


def detached(connection, ready):
    cursor = connection.cursor()
    cursor.execute_async("select count(*) from snowflake_sample_data.tpch_sf1.lineitem")
    query_id = cursor.sfqid
    other = connect(ready, password=ready["password"])
    again = other.cursor()
    again.get_results_from_sfqid(query_id)
    expected = one(connection, "select count(*) from snowflake_sample_data.tpch_sf1.lineitem")
    check("a detached result is read in another session", again.fetchone()[0], expected)
    check("its status is known", other.get_query_status(query_id).name, "SUCCESS")
    other.close()


def fault(ready, order):
    request = urllib.request.Request(
        ready["admin_url"] + "/faults", json.dumps(order).encode(), method="POST")
    urllib.request.urlopen(request).close()


def bad_days(connection, ready):
    fault(ready, {"fault": "expire_sessions"})
    check("an expired session is renewed by the driver", one(connection, "select 1 + 1"), 2)
    fault(ready, {"fault": "status", "endpoint": "query", "status": 503})
    rows_of(connection, "create or replace table judge.public.once (id number)")
    fault(ready, {"fault": "status", "endpoint": "query", "status": 503})
    rows_of(connection, "insert into judge.public.once values (1)")
    check("a statement that meets 503 runs once", rows_of(
        connection, "select id from judge.public.once"), [(1,)])
    # The answer is lost after the statement has run; the driver sends it again.
    fault(ready, {"fault": "kill_connection", "endpoint": "query", "after_bytes": 10})
    rows_of(connection, "insert into judge.public.once values (2)")
    check("a statement whose answer is lost runs once", rows_of(
        connection, "select id from judge.public.once order by id"), [(1,), (2,)])


def main():
    source = open(sys.argv[1]) if len(sys.argv) > 1 else sys.stdin
    ready = json.loads(source.readline())
    print(f"connector {connector.__version__}")
    connection = sign_in(ready)
    every_type(connection)
    crm(connection)
    line_items(connection)
    statements(connection)
    transactions(connection, ready)
    two_at_once(connection, ready)
    merge(connection)
    grants(connection, ready)
    server_binds(ready)
    detached(connection, ready)
    bad_days(connection, ready)
    rows_of(connection, "drop database judge")
    connection.close()
    print("all checks passed")


if __name__ == "__main__":
    main()
