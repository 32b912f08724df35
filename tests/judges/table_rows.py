"""Reads a whole Delta table with a reader that nobody here wrote and prints it as JSON lines.

    python table_rows.py {polars|deltalake} TABLE_FOLDER < COLUMNS

COLUMNS is the first line that source_rows.py prints: it tells the types of the source, for a
DECFLOAT and a VARIANT are both strings here. Companions (`X__ns`, `X__offset_min`) are put
together with their column again. The rows are in the form of canonical.py.
"""

import argparse
import json
import sys

import polars
from deltalake import DeltaTable

import canonical


def rows_by_polars(folder):
    return polars.read_delta(folder).iter_rows(named=True)


def rows_by_deltalake(folder):
    for batch in DeltaTable(folder).to_pyarrow_dataset().to_batches():
        yield from batch.to_pylist()


def text_of(name, kind, row):
    value = row[name]
    if value is None:
        return None
    if kind == "FIXED" or kind == "DECFLOAT":
        return canonical.number(value)
    if kind == "REAL":
        return canonical.real(value)
    if kind == "BINARY":
        return canonical.as_bytes(value)
    if kind == "DATE":
        return value.isoformat()
    if kind == "TIME":
        return str(value)
    if kind.startswith("TIMESTAMP"):
        nanos = value.microsecond * 1000 + (row.get(name + "__ns") or 0)
        text = canonical.moment(canonical.utc(value), nanos)
        return [text, row[name + "__offset_min"]] if kind == "TIMESTAMP_TZ" else text
    if kind == "VECTOR":
        return canonical.vector(value)
    return value


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("reader", choices=["polars", "deltalake"])
    parser.add_argument("folder")
    arguments = parser.parse_args()
    columns = json.loads(sys.stdin.readline())
    read = rows_by_polars if arguments.reader == "polars" else rows_by_deltalake
    for row in read(arguments.folder):
        cells = [text_of(name, kind, row) for name, kind in columns]
        print(json.dumps(cells, ensure_ascii=False))


if __name__ == "__main__":
    main()
