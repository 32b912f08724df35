"""The peer: the ADBC driver (Go) reads a whole table, pyarrow writes it as Parquet.

    python peer_adbc.py READY_JSON DATABASE.SCHEMA.TABLE FILE.parquet

READY_JSON is the line that `snowferry emulator --json` prints. Record batches are written as the
driver streams them. Prints {"rows": N}.
"""

import argparse
import json
from urllib.parse import urlsplit

import adbc_driver_snowflake.dbapi as snowflake
import pyarrow.parquet

OPTION = "adbc.snowflake.sql."


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("ready")
    parser.add_argument("table")
    parser.add_argument("file")
    arguments = parser.parse_args()
    with open(arguments.ready, encoding="utf-8") as file:
        ready = json.load(file)
    url = urlsplit(ready["base_url"])
    connection = snowflake.connect(db_kwargs={
        "username": ready["user"],
        "password": ready["password"],
        OPTION + "account": ready["account"],
        OPTION + "uri.protocol": url.scheme,
        OPTION + "uri.host": url.hostname,
        OPTION + "uri.port": str(url.port),
        OPTION + "role": ready["role"],
        OPTION + "warehouse": ready["warehouse"],
    })
    rows = 0
    with connection, connection.cursor() as cursor:
        cursor.execute(f"SELECT * FROM {arguments.table}")
        reader = cursor.fetch_record_batch()
        with pyarrow.parquet.ParquetWriter(
                arguments.file, reader.schema, compression="zstd") as writer:
            for batch in reader:
                writer.write_batch(batch)
                rows += batch.num_rows
    print(json.dumps({"rows": rows}))


if __name__ == "__main__":
    main()
