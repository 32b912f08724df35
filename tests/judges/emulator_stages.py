"""Judges the emulator's stages with Snowflake's own Python connector, unchanged.

Usage: emulator_stages.py [READY_LINE_FILE]      (the ready line comes on stdin otherwise)

PUT and GET move real files, COPY loads them, write_pandas does all of it at once. Prints one line
for each check and exits with 1 at the first wrong value. Works with the connector's majors 4 and 5.
"""

import datetime as dt
import decimal
import gzip
import json
import os
import sys
import tempfile

import pandas
import pyarrow
import pyarrow.parquet
from snowflake.connector.pandas_tools import write_pandas

from emulator_drivers import check, connect, fails_with, one, rows_of

D = decimal.Decimal


def names(rows):
    return sorted(row[0] for row in rows)


def put_and_get(connection, folder):
    run = lambda sql: rows_of(connection, sql)
    local = os.path.join(folder, "in put")
    back = os.path.join(folder, "back")
    os.makedirs(local), os.makedirs(back)
    for name, text in [("a.csv", "1,a\n2,b\n"), ("b.csv", "3,c\n")]:
        with open(os.path.join(local, name), "w") as file:
            file.write(text)
    run("create or replace stage full")
    run("create or replace stage sse encryption = (type = 'SNOWFLAKE_SSE')")
    for stage in ["@full", "@sse", "@~/judge", "@%target"]:
        one_file = run(f"put 'file://{local}/a.csv' {stage}/one auto_compress=false")
        check(f"{stage}: one file is put", one_file[0][1], "a.csv")
        check(f"{stage}: its status", one_file[0][6], "UPLOADED")
        many = run(f"put 'file://{local}/*.csv' {stage}/many parallel=2")
        check(f"{stage}: several files are put", sorted(row[1] for row in many),
              ["a.csv.gz", "b.csv.gz"])
        prefix = {"@full": "full/", "@sse": "sse/", "@~/judge": "judge/", "@%target": ""}[stage]
        listed = names(run(f"list {stage}"))
        check(f"{stage}: LIST", listed, [
            f"{prefix}many/a.csv.gz", f"{prefix}many/b.csv.gz", f"{prefix}one/a.csv"])
        target = os.path.join(back, stage.strip("@%~/").replace("/", "_"))
        os.makedirs(target)
        got = run(f"get {stage}/one 'file://{target}/'")
        check(f"{stage}: GET", [row[2] for row in got], ["DOWNLOADED"])
        with open(os.path.join(target, "a.csv")) as file:
            check(f"{stage}: what comes back", file.read(), "1,a\n2,b\n")
        run(f"get {stage}/many 'file://{target}/'")
        with gzip.open(os.path.join(target, "b.csv.gz"), "rt") as file:
            check(f"{stage}: compressed by the client", file.read(), "3,c\n")
        run("create or replace table target (n int, t varchar)") if stage != "@%target" else None
        copied = run(f"copy into target from {stage}/many on_error = abort_statement")
        check(f"{stage}: COPY", sorted(row[1:4] for row in copied),
              [("LOADED", 1, 1), ("LOADED", 2, 2)])
        check(f"{stage}: its rows", rows_of(connection, "select * from target order by n"),
              [(1, "a"), (2, "b"), (3, "c")])
        again = run(f"copy into target from {stage}/many")
        check(f"{stage}: a repeat", again, [("Copy executed with 0 files processed.",)])
        run("truncate table target")
        check(f"{stage}: REMOVE", len(run(f"remove {stage}")), 3)


VALUES = pyarrow.table({
    "N": pyarrow.array([1, None, -5], pyarrow.int64()),
    "D": pyarrow.array([D("1.50"), None, D("-99999.99")], pyarrow.decimal128(10, 2)),
    "F": pyarrow.array([1.5, None, float("inf")], pyarrow.float64()),
    "T": pyarrow.array(["ä€𝄞", None, ""], pyarrow.string()),
    "B": pyarrow.array([b"\x00\xff", None, b""], pyarrow.binary()),
    "O": pyarrow.array([True, None, False], pyarrow.bool_()),
    "DAY": pyarrow.array([dt.date(1, 1, 1), None, dt.date(9999, 12, 31)], pyarrow.date32()),
    "AT": pyarrow.array([dt.datetime(2024, 2, 29, 1, 2, 3, 456789), None,
                         dt.datetime(1969, 12, 31, 23, 59, 59, 999999)], pyarrow.timestamp("us")),
    "UTC": pyarrow.array([dt.datetime(2024, 2, 29, tzinfo=dt.timezone.utc), None,
                          dt.datetime(1960, 1, 1, tzinfo=dt.timezone.utc)],
                         pyarrow.timestamp("us", "UTC")),
    "TOD": pyarrow.array([dt.time(1, 2, 3, 456789), None, dt.time(23, 59, 59)],
                         pyarrow.time64("us")),
})


def parquet_of_all_types(connection, folder):
    path = os.path.join(folder, "all.parquet")
    run = lambda sql: rows_of(connection, sql)
    run("create or replace table kinds (n number(38,0), d number(10,2), f float, t varchar, "
        "b binary, o boolean, day date, at timestamp_ntz(6), utc timestamp_ltz(6), tod time(6))")
    run("alter session set timezone = 'UTC'")
    expected = [tuple(row[name] for name in VALUES.column_names) for row in VALUES.to_pylist()]
    order = lambda rows: sorted(rows, key=lambda row: str(row[0]))
    for codec in ["none", "snappy", "gzip", "zstd", "brotli", "lz4"]:
        pyarrow.parquet.write_table(VALUES, path, compression=codec)
        run(f"put file://{path} @full/p auto_compress=false overwrite=true")
        run("copy into kinds from @full/p files = ('all.parquet') force = true purge = true "
            "file_format = (type = parquet use_logical_type = true binary_as_text = false) "
            "match_by_column_name = case_insensitive")
        found = [tuple(bytes(v) if isinstance(v, bytearray) else v for v in row)
                 for row in run("select * from kinds")]
        check(f"Parquet with {codec}", order(found), order(expected))
        check("PURGE removes the file", run("list @full/p"), [])
        run("truncate table kinds")


def pandas_frames(connection):
    frame = pandas.DataFrame({
        "ID": range(1000),
        "NAME": [f"name {n}" for n in range(1000)],
        "VALUE": [n / 4 for n in range(1000)],
        "AT": pandas.date_range("2024-01-01", periods=1000, freq="h").astype("datetime64[us]"),
    })
    rows_of(connection, "create or replace table frames "
            "(id int, name varchar, value float, at timestamp_ntz)")
    ok, chunks, rows, copied = write_pandas(connection, frame, "FRAMES", chunk_size=300)
    check("write_pandas", (ok, chunks, rows), (True, 4, 1000))
    found = rows_of(connection, "select count(*), sum(id), sum(value), min(name), max(at) from frames")
    check("its rows", found, [(1000, 499500, 124875.0, "name 0", dt.datetime(2024, 2, 11, 15))])
    ok, _, rows, _ = write_pandas(connection, frame, "FRAMES", use_logical_type=True)
    check("write_pandas with logical types", (ok, rows), (True, 1000))
    check("both loads are there", one(connection, "select count(*) from frames"), 2000)


def refusals(connection):
    run = lambda sql: lambda: rows_of(connection, sql)
    check("a stage that is not there", fails_with(run("list @nowhere")), 2003)
    check("a file that is not there",
          fails_with(run("copy into target from @full files = ('no.csv')")), 91016)
    check("a file that is no Parquet is an error", fails_with(run(
        "copy into kinds from @full/bad file_format = (type = parquet) "
        "match_by_column_name = case_insensitive")), "no error")


def main():
    ready = json.load(open(sys.argv[1]) if len(sys.argv) > 1 else sys.stdin)
    connection = connect(ready, password=ready["password"])
    rows_of(connection, "create or replace database staged")
    rows_of(connection, "create or replace table target (n int, t varchar)")
    with tempfile.TemporaryDirectory() as folder:
        put_and_get(connection, folder)
        parquet_of_all_types(connection, folder)
    pandas_frames(connection)
    refusals(connection)
    connection.close()


if __name__ == "__main__":
    main()
