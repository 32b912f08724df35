"""Judges the emulator with the ADBC driver for Snowflake (Go, gosnowflake), unchanged.

Usage: emulator_adbc.py READY_LINE_FILE

Prints one line for each check and exits with 1 at the first wrong value. This driver reads Arrow
results over several chunks in parallel, binds whole batches, and loads them in bulk by a stage.
"""

import datetime as dt
import decimal
import json
import os
import sys
import tempfile
import threading
import urllib.request
from importlib.metadata import version
from pathlib import Path
from urllib.parse import urlsplit

import adbc_driver_snowflake.dbapi as snowflake
import pyarrow

D = decimal.Decimal
UTC = dt.timezone.utc
LINE_ITEM = "snowflake_sample_data.tpch_sf1.lineitem"
OPTION = "adbc.snowflake.sql."


def check(name, found, expected):
    if found != expected:
        print(f"WRONG {name}\n  found    {found!r}\n  expected {expected!r}")
        sys.exit(1)
    print(f"ok    {name}")


def connect(ready, autocommit=True, **proof):
    url = urlsplit(ready["base_url"])
    options = {
        "username": ready["user"],
        OPTION + "account": ready["account"],
        OPTION + "uri.protocol": "http",
        OPTION + "uri.host": url.hostname,
        OPTION + "uri.port": str(url.port),
        OPTION + "role": ready["role"],
        OPTION + "warehouse": ready["warehouse"],
        OPTION + "client_option.login_timeout": "20s",
    }
    options.update(proof or {"password": ready["password"]})
    return snowflake.connect(db_kwargs=options, autocommit=autocommit)


def run(connection, sql, parameters=None):
    """Runs a statement; what a person would call its rows, as plain Python values."""
    with connection.cursor() as cursor:
        cursor.execute(sql, parameters)
        return cursor.fetchall()


def changed(connection, sql, parameters=None):
    """How many rows a statement changed, as the driver's own update call tells."""
    with connection.cursor() as cursor:
        cursor.adbc_statement.set_sql_query(sql)
        if parameters is not None:
            cursor.adbc_statement.bind_stream(parameters.to_reader())
        return cursor.adbc_statement.execute_update()


def fails_with(action):
    try:
        action()
    except snowflake.Error as error:
        return error.vendor_code or error.sqlstate
    return "no error"


def post(url, body, kind="application/json"):
    request = urllib.request.Request(url, body.encode(), {"Content-Type": kind})
    with urllib.request.urlopen(request) as answer:
        return json.loads(answer.read() or "null")


def fault(ready, order):
    post(ready["admin_url"] + "/faults", json.dumps(order))


def chunk_requests(ready):
    with urllib.request.urlopen(ready["admin_url"] + "/state") as answer:
        return json.load(answer)["requests"].get("chunk", 0)


def sign_in(ready):
    who = "select current_user(), current_role()"
    expected = [(ready["user"], ready["role"])]
    by_password = connect(ready)
    check("password signs in", run(by_password, who), expected)
    key = Path(ready["private_key_path"]).read_text(encoding="utf-8")
    proof = {OPTION + "auth_type": "auth_jwt"}
    by_key = connect(ready, **proof, **{OPTION + "client_option.jwt_private_key_pkcs8_value": key})
    check("key pair signs in", run(by_key, who), expected)
    by_key.close()
    check("a wrong password is refused",
          fails_with(lambda: run(connect(ready, password="wrong"), who)), 390100)
    made = post(f"{ready['admin_url']}/access-tokens", json.dumps({"user": ready["user"]}))
    proof = {OPTION + "auth_type": "auth_pat"}
    by_token = connect(ready, **proof, **{OPTION + "client_option.auth_token": made["token"]})
    check("programmatic access token signs in", run(by_token, who), expected)
    by_token.close()
    return by_password


# Column type, literals, and the values that must come back; NULL is added to each.
VALUES = [
    ("number(38,0)", ["0", "127", "-128", "9007199254740993", "-" + "9" * 38],
     [0, 127, -128, 9007199254740993, -int("9" * 38)]),
    ("number(38,9)", ["12345678901234567890.123456789", "-0.000000001"],
     [D("12345678901234567890.123456789"), D("-0.000000001")]),
    ("float", ["0", "-1.5", "1e300"], [0.0, -1.5, 1e300]),
    ("varchar", ["''", "'ä€𝄞'", "'a''b'"], ["", "ä€𝄞", "a'b"]),
    ("binary", ["to_binary('00FF', 'HEX')", "to_binary('', 'HEX')"], [b"\x00\xff", b""]),
    ("boolean", ["true", "false"], [True, False]),
    ("date", ["'0001-01-01'::date", "'1969-12-31'::date", "'9999-12-31'::date"],
     [dt.date(1, 1, 1), dt.date(1969, 12, 31), dt.date(9999, 12, 31)]),
    ("time(6)", ["'23:59:59.123456'::time(6)"], [dt.time(23, 59, 59, 123456)]),
    ("timestamp_ntz(6)", ["'2024-02-29 12:34:56.123456'::timestamp_ntz(6)",
                          "'1920-12-31 23:59:59.999999'::timestamp_ntz(6)"],
     [dt.datetime(2024, 2, 29, 12, 34, 56, 123456), dt.datetime(1920, 12, 31, 23, 59, 59, 999999)]),
    ("timestamp_ltz(3)", ["'1969-12-31 23:59:59.5 +0000'::timestamp_ltz(3)"],
     [dt.datetime(1969, 12, 31, 23, 59, 59, 500000, tzinfo=UTC)]),
    ("timestamp_tz(6)", ["'2024-02-29 12:34:56.5 +0530'::timestamp_tz(6)"],
     [dt.datetime(2024, 2, 29, 7, 4, 56, 500000, tzinfo=UTC)]),
]


def plain(value):
    if isinstance(value, dt.datetime) and value.tzinfo is not None:
        return value.astimezone(UTC)
    if isinstance(value, D) and value == value.to_integral_value():
        return int(value)
    return value


def every_type(connection):
    run(connection, "create or replace database adbc_judge")
    run(connection, "use schema adbc_judge.public")
    run(connection, "alter session set timezone = 'UTC'")
    for index, (kind, literals, values) in enumerate(VALUES):
        table = f"adbc_judge.public.t{index}"
        run(connection, f"create table {table} (id number(38,0) not null, v {kind})")
        for position, literal in enumerate([*literals, "null"]):
            count = changed(connection, f"insert into {table} select {position}, {literal}")
            check(f"{kind} takes {literal[:40]}", count, 1)
        found = [plain(row[0]) for row in run(connection, f"select v from {table} order by id")]
        check(f"{kind} comes back", found, [*(plain(value) for value in values), None])
        for position, value in enumerate(values):
            found = run(connection, f"select v from {table} where id = {position}")
            check(f"{kind} alone, row {position}", plain(found[0][0]), plain(value))


def large_results(connection, ready):
    count, keys, last = run(
        connection, f"select count(*), sum(l_orderkey), max(l_shipdate) from {LINE_ITEM}")[0]
    for faulty in (None, {"fault": "status", "endpoint": "chunk", "status": 503}):
        if faulty:
            fault(ready, faulty)
        before = chunk_requests(ready)
        with connection.cursor() as cursor:
            cursor.execute(f"select * from {LINE_ITEM}")
            table = cursor.fetch_arrow_table()
        name = "with a chunk that fails once" if faulty else "in a quiet hour"
        check(f"all rows arrive {name}", table.num_rows, count)
        check(f"their keys {name}", sum(table.column("L_ORDERKEY").to_pylist()), keys)
        check(f"their dates {name}", max(table.column("L_SHIPDATE").to_pylist()), last)
        check(f"several chunks {name}", chunk_requests(ready) - before > 1, True)
    with connection.cursor() as cursor:
        cursor.execute(f"select * from {LINE_ITEM} where l_orderkey < 0")
        empty = cursor.fetch_arrow_table()
    check("an empty result has columns and no rows", (empty.num_columns, empty.num_rows), (16, 0))


def statements(connection):
    table = "adbc_judge.public.people"
    everything = f"select id, name from {table} order by id"
    run(connection, f"create or replace table {table} (id number(9,0), name varchar(20))")
    check("insert counts", changed(
        connection, f"insert into {table} values (1, 'a'), (2, 'b'), (3, null)"), 3)
    check("update counts", changed(connection, f"update {table} set name = 'c' where id = 3"), 1)
    check("delete counts", changed(connection, f"delete from {table} where id = 1"), 1)
    merge = (f"merge into {table} t using (select 3 as id union all select 4) s on t.id = s.id "
             "when matched then update set name = 'm' when not matched then insert (id) "
             "values (s.id)")
    check("merge counts", changed(connection, merge), 2)
    check("what is left", run(connection, everything), [(2, "b"), (3, "m"), (4, None)])
    rows = pyarrow.table({"id": pyarrow.array([5, 6], pyarrow.int64()), "name": ["e", None]})
    check("binds of a batch", changed(connection, f"insert into {table} values (?, ?)", rows), 2)
    check("its rows", run(connection, everything)[3:], [(5, "e"), (6, None)])
    run(connection, f"alter table {table} add column born date")
    described = [(row[0], row[1]) for row in run(connection, f"describe table {table}")]
    check("describe", described,
          [("ID", "NUMBER(9,0)"), ("NAME", "VARCHAR(20)"), ("BORN", "DATE")])
    schema = connection.adbc_get_table_schema(
        "PEOPLE", catalog_filter="ADBC_JUDGE", db_schema_filter="PUBLIC")
    check("the driver's own look at the table", schema.names, ["ID", "NAME", "BORN"])
    check("a missing table is 2003", fails_with(
        lambda: run(connection, "select * from adbc_judge.public.nothing")), 2003)
    check("nonsense is 1003", fails_with(lambda: run(connection, "selekt 1")), 1003)


def transactions(connection, ready):
    table = "adbc_judge.public.ledger"
    everything = f"select id from {table} order by id"
    run(connection, f"create or replace table {table} (id number(9,0) not null)")
    run(connection, f"insert into {table} values (1), (2)")
    writer = connect(ready, autocommit=False)
    run(writer, f"delete from {table} where id = 1")
    run(writer, f"insert into {table} values (3)")
    check("a transaction sees itself", run(writer, everything), [(2,), (3,)])
    check("others do not see it", run(connection, everything), [(1,), (2,)])
    writer.rollback()
    check("a rollback undoes it", run(writer, everything), [(1,), (2,)])
    run(writer, f"insert overwrite into {table} select id * 10 from {table}")
    writer.commit()
    check("a commit is seen", run(connection, everything), [(10,), (20,)])
    run(writer, f"truncate table {table}")
    writer.close()
    check("a closed session rolls back", run(connection, everything), [(10,), (20,)])


def files(connection, folder):
    for name, text in [("a.csv", "1,a\n2,b\n"), ("b.csv", "3,c\n")]:
        Path(folder, name).write_text(text, encoding="utf-8")
    run(connection, "create or replace stage files")
    run(connection, "create or replace table loaded (n int, t varchar)")
    # A wildcard needs a storage token, which this driver sends over TLS only; and it hands the
    # rows of PUT to nobody.
    for name in ("a.csv", "b.csv"):
        run(connection, f"put 'file://{folder}/{name}' @files/in")
    check("LIST", sorted(row[0] for row in run(connection, "list @files")),
          ["files/in/a.csv.gz", "files/in/b.csv.gz"])
    copied = run(connection, "copy into loaded from @files/in")
    check("COPY", sorted(row[1] for row in copied), ["LOADED", "LOADED"])
    check("its rows", run(connection, "select n, t from loaded order by n"),
          [(1, "a"), (2, "b"), (3, "c")])


def bulk_load(connection):
    run(connection, "create or replace table adbc_judge.public.bulk (id number(18,0), name varchar)")
    run(connection, "use schema adbc_judge.public")
    rows = pyarrow.table({"ID": list(range(1000)), "NAME": [f"name {n}" for n in range(1000)]})
    with connection.cursor() as cursor:
        loaded = cursor.adbc_ingest("BULK", rows.to_reader(max_chunksize=100), mode="append")
    check("a bulk load counts", loaded, 1000)
    check("its rows", run(connection, "select count(*), sum(id), max(name) from bulk"),
          [(1000, D(499500), "name 999")])


def cancellation(connection, ready):
    fault(ready, {"fault": "hold_statements"})
    cursor = connection.cursor()
    ended = []
    waiting = threading.Thread(
        target=lambda: ended.append(fails_with(lambda: cursor.execute("select 1"))))
    waiting.start()
    # A cancellation before the statement has begun does nothing.
    while waiting.is_alive():
        cursor.adbc_cancel()
        waiting.join(0.05)
    fault(ready, {"fault": "release_statements"})
    check("a cancelled statement is an error", ended[0] != "no error", True)
    cursor.close()
    check("the connection goes on", run(connection, "select 41 + 1"), [(42,)])


def bad_days(connection, ready):
    fault(ready, {"fault": "expire_sessions"})
    check("an expired session is renewed by the driver", run(connection, "select 1 + 1"), [(2,)])
    run(connection, "create or replace table adbc_judge.public.once (id number(9,0))")
    fault(ready, {"fault": "status", "endpoint": "query", "status": 503})
    run(connection, "insert into adbc_judge.public.once values (1)")
    fault(ready, {"fault": "lose_answer", "endpoint": "query"})
    run(connection, "insert into adbc_judge.public.once values (2)")
    check("statements that meet a 503 or lose their answer run once", run(
        connection, "select id from adbc_judge.public.once order by id"), [(1,), (2,)])


def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        ready = json.load(file)
    print(f"adbc-driver-snowflake {version('adbc-driver-snowflake')}")
    connection = sign_in(ready)
    every_type(connection)
    large_results(connection, ready)
    statements(connection)
    transactions(connection, ready)
    with tempfile.TemporaryDirectory() as folder:
        files(connection, folder)
    bulk_load(connection)
    cancellation(connection, ready)
    bad_days(connection, ready)
    run(connection, "drop database adbc_judge")
    connection.close()
    print("all checks passed")


if __name__ == "__main__":
    main()
