"""Reads a whole table with Snowflake's own connector and prints it as JSON lines.

    python source_rows.py READY_JSON DATABASE.SCHEMA.TABLE

READY_JSON is the line that `snowferry emulator --json` prints. The first line of the output names
the columns and their types, each further line is a row in the form of canonical.py.
"""

import argparse
import json
from urllib.parse import urlparse

import snowflake.connector
from snowflake.connector.constants import FIELD_ID_TO_NAME

import canonical

FINE = {"TIME", "TIMESTAMP_NTZ", "TIMESTAMP_LTZ", "TIMESTAMP_TZ"}
TEXT = {"TEXT", "VARIANT", "OBJECT", "ARRAY", "MAP", "GEOGRAPHY", "GEOMETRY"}


def text_of(kind, scale, value, nanos):
    if value is None:
        return None
    if kind == "FIXED" or kind == "DECFLOAT":
        return canonical.number(value)
    if kind == "REAL":
        return canonical.real(value)
    if kind == "BINARY":
        return canonical.as_bytes(value)
    if kind == "BOOLEAN":
        return bool(value)
    if kind == "DATE":
        return value.isoformat()
    if kind == "TIME":
        seconds = value.hour * 3600 + value.minute * 60 + value.second
        same_micros(value, nanos)
        return str(seconds * 1_000_000_000 + nanos)
    if kind == "TIMESTAMP_TZ":
        same_micros(value, nanos)
        offset = int(value.utcoffset().total_seconds() // 60)
        return [canonical.moment(canonical.utc(value), nanos), offset]
    if kind in FINE:
        same_micros(value, nanos)
        return canonical.moment(canonical.utc(value), nanos)
    if kind == "VECTOR":
        return canonical.vector(value)
    if kind in TEXT:
        return value
    raise SystemExit(f"no canonical form for the type {kind}")


def same_micros(value, nanos):
    if value.microsecond != nanos // 1000:
        raise SystemExit(f"the connector has {value}, the server says {nanos} ns")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("ready")
    parser.add_argument("table")
    arguments = parser.parse_args()
    ready = json.load(open(arguments.ready, encoding="utf-8"))
    url = urlparse(ready["base_url"])
    connection = snowflake.connector.connect(
        account=ready["account"], user=ready["user"], private_key_file=ready["private_key_path"],
        host=url.hostname, port=url.port, protocol=url.scheme, role=ready["role"],
        warehouse=ready["warehouse"], session_parameters={"TIMEZONE": "UTC"},
        authenticator="SNOWFLAKE_JWT",
    )
    cursor = connection.cursor()
    cursor.execute(f"SELECT * FROM {arguments.table} LIMIT 0")
    columns = [(column[0], FIELD_ID_TO_NAME[column[1]], column[5]) for column in cursor.description]
    selected = ", ".join(
        f'"{name}", DATE_PART(NANOSECOND, "{name}")' if kind in FINE else f'"{name}", NULL'
        for name, kind, _ in columns
    )
    cursor.execute(f"SELECT {selected} FROM {arguments.table}")
    print(json.dumps([[name, kind] for name, kind, _ in columns]))
    for row in cursor:
        cells = []
        for index, (_, kind, scale) in enumerate(columns):
            nanos = row[2 * index + 1]
            cells.append(text_of(kind, scale, row[2 * index], None if nanos is None else int(nanos)))
        print(json.dumps(cells, ensure_ascii=False))


if __name__ == "__main__":
    main()
