"""The peer: Snowflake's Python connector reads a whole table, pyarrow writes it as Parquet.

    python peer_connector.py READY_JSON DATABASE.SCHEMA.TABLE FILE.parquet

READY_JSON is the line that `snowferry emulator --json` prints. This is how the connector's manual
reads much data: Arrow batches, one after the other, never the whole result in memory. Prints
{"rows": N}.
"""

import argparse
import json
from urllib.parse import urlparse

import pyarrow.parquet
import snowflake.connector


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("ready")
    parser.add_argument("table")
    parser.add_argument("file")
    arguments = parser.parse_args()
    with open(arguments.ready, encoding="utf-8") as file:
        ready = json.load(file)
    url = urlparse(ready["base_url"])
    connection = snowflake.connector.connect(
        account=ready["account"], user=ready["user"], private_key_file=ready["private_key_path"],
        authenticator="SNOWFLAKE_JWT", host=url.hostname, port=url.port, protocol=url.scheme,
        role=ready["role"], warehouse=ready["warehouse"],
    )
    cursor = connection.cursor()
    cursor.execute(f"SELECT * FROM {arguments.table}")
    rows = 0
    writer = None
    # Batches may come with narrower integers than the first one: all take the first one's types,
    # and a value that does not fit is an error.
    for batch in cursor.fetch_arrow_batches():
        if writer is None:
            writer = pyarrow.parquet.ParquetWriter(arguments.file, batch.schema, compression="zstd")
        writer.write_table(batch.cast(writer.schema))
        rows += batch.num_rows
    if writer is not None:
        writer.close()
    connection.close()
    print(json.dumps({"rows": rows}))


if __name__ == "__main__":
    main()
