"""Plays random histories of source tables against the built command line and compares both sides.

    python histories.py BINARY CONNECTOR_PYTHON READY_JSON FOLDER SEED ROUNDS

Each round changes the tables (inserts, updates, deletes where a mode sees them, ties, late commits,
NULLs, long texts), kills up to two pulls at random moments, orders a fault now and then, and runs one
quiet pull. Every third round the rows that Snowflake's connector reads at the source must be those
that Polars reads from our Delta tables. The seed repeats a history.
"""

import argparse
import json
import random
import subprocess
import sys
import time
import urllib.request
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
# Seconds from which all cursor values are counted.
EPOCH = "'2026-01-01 00:00:00 +00:00'::TIMESTAMP_TZ(9)"


@dataclass
class Table:
    """A source table, and what its history may do."""

    name: str
    cursor_type: str
    settings: str
    updates: bool = False
    deletes: bool = False
    late: int = 0
    first_key: int = 0
    key_step: int = 1
    newest: int = 1000
    rows: int = 0

    def key(self, number):
        return str(self.first_key + number * self.key_step)

    def cursor(self, at):
        if self.cursor_type.startswith("TIMESTAMP"):
            nanos = at % 7 * 111_111_111
            return f"DATEADD(NANOSECOND, {nanos}, DATEADD(SECOND, {at}, {EPOCH}))::{self.cursor_type}"
        if self.cursor_type == "DATE":
            return f"DATEADD(DAY, {at}, '1999-12-30'::DATE)"
        return f"{at}.125" if self.cursor_type == "NUMBER(20,3)" else str(at)


def tables():
    keyed = "key: [ID], cursor: AT"
    return [
        Table("H.S.LATE", "TIMESTAMP_NTZ(9)", keyed + ", lookback: 15m", updates=True, late=800),
        Table("H.S.PAST_53_BITS", "TIMESTAMP_LTZ(3)", keyed, True, first_key=2**53 - 2),
        Table("H.S.PAST_64_BITS", "NUMBER(20,3)", keyed, True, first_key=-7, key_step=10**30),
        Table("H.S.BY_DATE", "DATE", keyed, True),
        Table('H.S."low er"', "TIMESTAMP_TZ(6)", keyed, True),
        Table("H.S.APPENDED", "NUMBER(38,0)", "cursor: AT"),
        Table("H.S.WHOLE", "TIMESTAMP_TZ(9)", "mode: full", True, True),
    ]


class History:
    def __init__(self, arguments):
        self.arguments = arguments
        self.ready = json.load(open(arguments.ready, encoding="utf-8"))
        self.random = random.Random(arguments.seed)
        self.tables = tables()
        self.killed = 0

    def admin(self, path, body):
        request = urllib.request.Request(self.ready["admin_url"] + path, data=body, method="POST")
        if path == "/faults":
            request.add_header("Content-Type", "application/json")
        try:
            return urllib.request.urlopen(request).read()
        except urllib.error.HTTPError as error:
            raise SystemExit(f"{path} {body[:500]}: {error.read().decode()}") from error

    def create(self):
        sql = "CREATE DATABASE H; CREATE SCHEMA H.S;"
        yaml = "version: 1\nconnection: acme\nsnowflake:\n"
        for field in ("account", "base_url", "user", "role", "warehouse"):
            yaml += f"  {field}: {self.ready[field]}\n"
        key = self.ready["private_key_path"]
        yaml += f"  auth: {{ key_pair: {{ private_key_file: {key} }} }}\npull:\n  tables:\n"
        for table in self.tables:
            sql += f"CREATE TABLE {table.name} (ID NUMBER(38,0) NOT NULL, V VARCHAR, " \
                   f"D NUMBER(38,10), AT {table.cursor_type});"
            yaml += f"    - {{ table: '{table.name}', {table.settings} }}\n"
        self.admin("/sql", sql.encode())
        connections = Path(self.arguments.folder) / "connections"
        connections.mkdir(exist_ok=True)
        (connections / "acme.yaml").write_text(yaml, encoding="utf-8")

    def text(self):
        long = "'" + "z" * self.random.randrange(1, 2000) + "'"
        return self.random.choice(["NULL", "''", "'a'", r"'x\'y'", "'日本'", long])

    def decimal(self):
        some = str(self.random.randrange(-10**9, 10**9))
        exact = "1234567890123456789012345678.0123456789"
        return self.random.choice(["NULL", "0", "-1.5", exact, "-0.0000000001", some])

    def change(self, table):
        """One commit at the source, or none."""
        steps = [1] if table.settings == "cursor: AT" else [0, 1, 1, 5]
        table.newest += self.random.choice(steps)
        action = self.random.random()
        if action < 0.5 or not table.updates:
            at = table.newest - (self.random.randrange(table.late) if table.late else 0)
            rows = []
            for _ in range(self.random.choice([1, 3, 50, 700])):
                table.rows += 1
                cells = [table.key(table.rows), self.text(), self.decimal(), table.cursor(at)]
                rows.append("(" + ", ".join(cells) + ")")
            return f"INSERT INTO {table.name} VALUES {', '.join(rows)};"
        first = self.random.randrange(1, table.rows + 2)
        last = first + self.random.choice([0, 3, 200])
        if table.deletes and action < 0.7:
            return f"DELETE FROM {table.name} WHERE ID BETWEEN {table.key(first)} AND {table.key(last)};"
        keys = ", ".join(table.key(number) for number in range(first, last + 1))
        return f"UPDATE {table.name} SET V = {self.text()}, AT = {table.cursor(table.newest)} " \
               f"WHERE ID IN ({keys});"

    def order_fault(self):
        where = {"endpoint": self.random.choice(["chunk", "query"]),
                 "count": self.random.randrange(1, 3), "skip": self.random.randrange(4)}
        order = self.random.choice([
            {"fault": "expire_sessions"}, {"fault": "expire_masters"}, {"fault": "expire_links"},
            {"fault": "status", "status": self.random.choice([429, 500, 503]), **where},
            {"fault": "cut_body", "after_bytes": self.random.randrange(300), **where},
            {"fault": "page", **where},
            {"fault": "kill_connection", "after_bytes": self.random.randrange(300), **where},
        ])
        self.admin("/faults", json.dumps(order).encode())

    def pull(self, killed_after=None):
        process = subprocess.Popen(
            [self.arguments.binary, "pull", "acme", "--json"], cwd=self.arguments.folder,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        if killed_after is not None:
            time.sleep(killed_after)
            self.killed += process.poll() is None
            process.kill()
            process.communicate()
            return
        output, errors = process.communicate()
        if process.returncode != 0:
            raise SystemExit(f"seed {self.arguments.seed}: a quiet pull failed: {output}{errors}")

    def rows(self, command, text=""):
        run = subprocess.run(command, input=text, capture_output=True, text=True, check=False)
        if run.returncode != 0:
            raise SystemExit(f"{command}: {run.stderr}")
        return run.stdout

    def folder_of(self, table):
        root = Path(self.arguments.folder) / "snowferry-data" / "tables" / "acme"
        wanted = table.name.replace('"', "").replace(" ", "~20")
        return root / wanted

    def compare(self, story):
        for table in self.tables:
            source = self.rows([self.arguments.connector, str(HERE / "source_rows.py"),
                                self.arguments.ready, table.name])
            columns, _, rows = source.partition("\n")
            ours = self.rows([sys.executable, str(HERE / "table_rows.py"), "polars",
                              str(self.folder_of(table))], columns + "\n")
            wanted, found = sorted(rows.splitlines()), sorted(ours.splitlines())
            if wanted != found:
                missing, surplus = set(wanted) - set(found), set(found) - set(wanted)
                raise SystemExit(
                    f"seed {self.arguments.seed}, {story}, {table.name}: {len(found)} rows of "
                    f"{len(wanted)}; missing {list(missing)[:3]}, surplus {list(surplus)[:3]}")

    def play(self):
        self.create()
        for number in range(1, self.arguments.rounds + 1):
            for table in self.tables:
                for _ in range(self.random.randrange(3)):
                    self.admin("/sql", self.change(table).encode())
            for _ in range(self.random.randrange(3)):
                self.pull(killed_after=self.random.random() * 0.8)
            if self.random.random() < 0.4:
                self.order_fault()
            self.pull()
            if number % 3 == 0 or number == self.arguments.rounds:
                self.compare(f"round {number}")
        rows = sum(table.rows for table in self.tables)
        print(f"seed {self.arguments.seed}: {self.arguments.rounds} rounds, {rows} rows, "
              f"{self.killed} pulls killed, both sides equal")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("binary", "connector", "ready", "folder"):
        parser.add_argument(name)
    parser.add_argument("seed", type=int)
    parser.add_argument("rounds", type=int)
    History(parser.parse_args()).play()


if __name__ == "__main__":
    main()
