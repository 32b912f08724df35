"""Reads a Delta table with two readers that nobody here wrote, and prints JSON lines.

    python delta_readers.py TABLE_FOLDER [--key COLUMN]

For each reader (deltalake's DataFusion, Polars):
    {"reader": R, "count": N}
    {"reader": R, "row": {column: value, ...}}            one a row, in the order of their text
With --key, for each distinct key k, also the number of rows that `=`, `>=` and `<=` find:
    {"reader": R, "key": k, "eq": n, "ge": n, "le": n}

Values are canonical text, so that the lines of both readers can be compared as they are:
integers and decimals as their digits, floats as Python's repr, times in ISO form with
microseconds, bytes as hexadecimal, NULL as null, lists as lists.

Both readers skip files by the statistics in the log, so a wrong bound shows as a wrong count.
"""

import argparse
import datetime
import decimal
import json

import polars
from deltalake import DeltaTable, QueryBuilder


def canonical(value):
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, (bytes, bytearray)):
        return bytes(value).hex()
    if isinstance(value, decimal.Decimal):
        return format(value, "f")
    if isinstance(value, datetime.datetime):
        zone = "Z" if value.tzinfo else ""
        if value.tzinfo:
            value = value.astimezone(datetime.timezone.utc).replace(tzinfo=None)
        return value.isoformat(timespec="microseconds") + zone
    if isinstance(value, datetime.date):
        return value.isoformat()
    if isinstance(value, float):
        return repr(value)
    if isinstance(value, (list, polars.Series)):
        return [canonical(item) for item in value]
    return str(value)


def quoted(name):
    return '"' + name.replace('"', '""') + '"'


def arrow_literal(value, dtype):
    """Writes a key as SQL, typed exactly: a bare long literal would become a float."""
    if isinstance(dtype, polars.Decimal):
        return f"arrow_cast('{value:f}', 'Decimal128({dtype.precision}, {dtype.scale})')"
    if dtype == polars.Int64:
        return f"arrow_cast('{value}', 'Int64')"
    if dtype == polars.Date:
        return f"arrow_cast('{value.isoformat()}', 'Date32')"
    if isinstance(dtype, polars.Datetime):
        zone = 'Some("UTC")' if dtype.time_zone else "None"
        return f"arrow_cast('{canonical(value)}', 'Timestamp(Microsecond, {zone})')"
    if dtype == polars.String:
        return "'" + value.replace("'", "''") + "'"
    raise SystemExit(f"keys of the type {dtype} cannot be queried")


class DataFusionReader:
    name = "deltalake"

    def __init__(self, folder):
        self.builder = QueryBuilder().register("t", DeltaTable(folder))

    def run(self, sql):
        return polars.DataFrame(self.builder.execute(sql).read_all())

    def rows(self):
        return self.run("SELECT * FROM t")

    def count(self):
        return self.run("SELECT count(*) AS n FROM t")["n"][0]

    def count_where(self, column, operator, value, dtype):
        literal = arrow_literal(value, dtype)
        sql = f"SELECT count(*) AS n FROM t WHERE {quoted(column)} {operator} {literal}"
        return self.run(sql)["n"][0]


class PolarsReader:
    name = "polars"

    def __init__(self, folder):
        self.table = polars.scan_delta(folder)

    def rows(self):
        return self.table.collect()

    def count(self):
        return self.table.select(polars.len()).collect().item()

    def count_where(self, column, operator, value, dtype):
        left, right = polars.col(column), polars.lit(value, dtype=dtype)
        condition = {"=": left == right, ">=": left >= right, "<=": left <= right}[operator]
        return self.table.filter(condition).select(polars.len()).collect().item()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("folder")
    parser.add_argument("--key")
    options = parser.parse_args()
    # Keys come from one reader for both, so that their literals are the same.
    keys = dtype = None
    if options.key:
        column = PolarsReader(options.folder).rows()[options.key]
        keys, dtype = column.drop_nulls().unique().sort().to_list(), column.dtype
    for reader in (DataFusionReader(options.folder), PolarsReader(options.folder)):
        emit = lambda line: print(json.dumps({"reader": reader.name, **line}, ensure_ascii=False))
        emit({"count": reader.count()})
        rows = [{k: canonical(v) for k, v in row.items()} for row in reader.rows().to_dicts()]
        for row in sorted(rows, key=lambda row: json.dumps(row, ensure_ascii=False)):
            emit({"row": row})
        for key in keys or []:
            found = {
                name: reader.count_where(options.key, operator, key, dtype)
                for name, operator in (("eq", "="), ("ge", ">="), ("le", "<="))
            }
            emit({"key": canonical(key), **found})


if __name__ == "__main__":
    main()
