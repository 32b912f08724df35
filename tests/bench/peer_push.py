"""The peers of a push: the rows of Parquet files replace the content of a Snowflake table.

    python peer_push.py WAY READY_JSON FOLDER DATABASE.SCHEMA.TABLE

READY_JSON is the line that `snowferry emulator --json` prints, FOLDER holds the Parquet files.
WAY is `write_pandas`, as the connector's manual shows it: one data frame, handed over as a whole;
or `adbc`, the ADBC driver's bulk ingest, fed batch by batch. Prints {"rows": N}.
"""

import argparse
import json
from pathlib import Path
from urllib.parse import urlparse

import pyarrow.dataset

BATCH_ROWS = 100_000


def source(folder):
    files = sorted(str(path) for path in Path(folder).rglob("*.parquet") if "_delta_log" not in str(path))
    return pyarrow.dataset.dataset(files, format="parquet")


def write_pandas(ready, rows, database, schema, table):
    import snowflake.connector
    from snowflake.connector.pandas_tools import write_pandas as write

    url = urlparse(ready["base_url"])
    connection = snowflake.connector.connect(
        account=ready["account"], user=ready["user"], private_key_file=ready["private_key_path"],
        authenticator="SNOWFLAKE_JWT", host=url.hostname, port=url.port, protocol=url.scheme,
        role=ready["role"], warehouse=ready["warehouse"], database=database, schema=schema,
    )
    frame = rows.to_table().to_pandas()
    done, _chunks, written, _ = write(
        connection, frame, table, database=database, schema=schema, overwrite=True,
        auto_create_table=False, use_logical_type=True,
    )
    connection.close()
    if not done:
        raise SystemExit("write_pandas did not succeed")
    return written


def adbc(ready, rows, database, schema, table):
    import adbc_driver_snowflake.dbapi
    import pyarrow

    url = urlparse(ready["base_url"])
    options = {
        "username": ready["user"],
        "password": ready["password"],
        "adbc.snowflake.sql.auth_type": "auth_snowflake",
        "adbc.snowflake.sql.account": ready["account"],
        "adbc.snowflake.sql.uri.host": url.hostname,
        "adbc.snowflake.sql.uri.port": str(url.port),
        "adbc.snowflake.sql.uri.protocol": url.scheme,
        "adbc.snowflake.sql.db": database,
        "adbc.snowflake.sql.schema": schema,
        "adbc.snowflake.sql.role": ready["role"],
        "adbc.snowflake.sql.warehouse": ready["warehouse"],
    }
    with adbc_driver_snowflake.dbapi.connect(db_kwargs=options, autocommit=True) as connection:
        batches = pyarrow.RecordBatchReader.from_batches(
            rows.schema, rows.to_batches(batch_size=BATCH_ROWS)
        )
        with connection.cursor() as cursor:
            cursor.execute(f"TRUNCATE TABLE {table}")
            return cursor.adbc_ingest(table, batches, mode="append")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("way", choices=["write_pandas", "adbc"])
    parser.add_argument("ready")
    parser.add_argument("folder")
    parser.add_argument("table")
    arguments = parser.parse_args()
    with open(arguments.ready, encoding="utf-8") as file:
        ready = json.load(file)
    ways = {"write_pandas": write_pandas, "adbc": adbc}
    rows = ways[arguments.way](ready, source(arguments.folder), *arguments.table.split("."))
    print(json.dumps({"rows": rows}))


if __name__ == "__main__":
    main()
