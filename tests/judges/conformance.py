"""Plays documented behaviours of Snowflake, on the emulator or on a real account.

    conformance.py READY_LINE_FILE [--only WORD]     on the emulator
    conformance.py [--only WORD]                     on the account that SNOWFLAKE_* names

For an account set SNOWFLAKE_ACCOUNT, SNOWFLAKE_USER, SNOWFLAKE_WAREHOUSE, SNOWFLAKE_DATABASE, and
SNOWFLAKE_PRIVATE_KEY_FILE or SNOWFLAKE_PASSWORD (SNOWFLAKE_ROLE if the default role is not meant).
The probes run in a schema of their own, which is dropped at the end. Each probe has a session of
its own, so that one cannot spoil another. Prints what differs, then the numbers, and exits with 1
if anything differs.
"""

import argparse
import json
import os
import sys
import tempfile
import uuid

import snowflake.connector as connector

from conformance_probes import PROBES, Columns
from emulator_drivers import connect as connect_emulator

FILES = {
    "a.csv": "1,a\n2,b\n",
    "bad.csv": "1,a\nx,b\n3,c\n",
    "docs.json": '{"id": 1, "name": "a"}\n{"id": 2, "name": "b"}\n',
}


def opener(options):
    """Returns a function that opens a session."""
    if options.ready:
        ready = json.load(open(options.ready))
        setup = connect_emulator(ready, password=ready["password"])
        setup.cursor().execute("create database if not exists conformance")
        setup.close()
        return lambda: connect_emulator(ready, password=ready["password"], database="CONFORMANCE")
    variable = lambda name: os.environ.get(f"SNOWFLAKE_{name}")
    if not variable("ACCOUNT"):
        print("SKIPPED: neither a ready line nor SNOWFLAKE_ACCOUNT is given")
        sys.exit(0)
    names = ["account", "user", "password", "private_key_file", "role", "warehouse", "database"]
    settings = {name: variable(name.upper()) for name in names if variable(name.upper())}
    if "private_key_file" in settings:
        settings["authenticator"] = "SNOWFLAKE_JWT"
    return lambda: connector.connect(**settings)


def outcome(session, statements, folder):
    """What the last statement gives: rows, the names of its columns, or an error's number."""
    cursor = session.cursor()
    for index, statement in enumerate(statements):
        last = index == len(statements) - 1
        try:
            cursor.execute(statement.replace("{folder}", folder))
            rows = cursor.fetchall()
        except connector.errors.Error as error:
            if last:
                return error.errno, None
            return f"{statement!r} failed: {error}", None
    return rows, [column[0] for column in cursor.description or []]


def differs(found, names, expected):
    if isinstance(expected, Columns):
        if names is None:
            return f"found {found!r}, expected columns {expected.names}"
        head = names[:len(expected.names)]
        present = [name for name in names if name in expected.names]
        if head != expected.names and present != expected.names:
            return f"columns {names}, expected {expected.names}"
        return None
    if found != expected:
        return f"found    {found!r}\n      expected {expected!r}"
    return None


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("ready", nargs="?")
    parser.add_argument("--only", default="")
    options = parser.parse_args()
    open_session = opener(options)
    names = [name for name, _, _ in PROBES]
    assert len(names) == len(set(names)), "two probes of one name"
    schema = f"PROBES_{uuid.uuid4().hex[:8].upper()}"
    first = open_session()
    first.cursor().execute(f"create schema {schema}")
    wrong = played = 0
    with tempfile.TemporaryDirectory() as folder:
        for name, text in FILES.items():
            with open(os.path.join(folder, name), "w") as file:
                file.write(text)
        for name, statements, expected in PROBES:
            if options.only not in name:
                continue
            session = open_session()
            session.cursor().execute(f"use schema {schema}")
            session.cursor().execute("alter session set timezone = 'UTC'")
            difference = differs(*outcome(session, statements, folder), expected)
            session.close()
            played += 1
            if difference:
                wrong += 1
                print(f"WRONG {name}\n      {statements[-1]}\n      {difference}")
    first.cursor().execute(f"drop schema {schema}")
    first.close()
    print(f"{played} probes played, {wrong} differ")
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
