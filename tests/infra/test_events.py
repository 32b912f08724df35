"""The events that ship for the console are what the functions take, and nothing else passes."""

import json

import jsonschema
import pytest
from template import ROOT

FOLDER = ROOT / "infra" / "events"
SCHEMA = json.loads((FOLDER / "event.schema.json").read_text())
EVENTS = sorted(p for p in FOLDER.glob("*.json") if p != FOLDER / "event.schema.json")

REFUSED = {
    "no connection": {},
    "an empty name": {"connection": ""},
    "a name in capitals": {"connection": "ACME"},
    "a name that climbs": {"connection": "../acme"},
    "a name that is too long": {"connection": "a" * 65},
    "a field that is unknown": {"connection": "acme", "table": "CRM.PUBLIC.ACCOUNTS"},
    "a state in the event": {"connection": "acme", "watermark": "2026-01-01"},
    "no table at all": {"connection": "acme", "tables": []},
    "a table twice": {"connection": "acme", "tables": ["A.B.C", "A.B.C"]},
    "a table without schema": {"connection": "acme", "tables": ["ACCOUNTS"]},
    "no push at all": {"connection": "acme", "names": []},
    "a push in capitals": {"connection": "acme", "names": ["Scores"]},
    "a mode that is unknown": {"connection": "acme", "mode": "everything"},
    "a secret": {"connection": "acme", "password": "x"},
    "a list": ["acme"],
}


def problems(event):
    validator = jsonschema.Draft202012Validator(SCHEMA)
    return [e.message for e in validator.iter_errors(event)]


def test_the_schema_is_a_schema():
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    assert SCHEMA["additionalProperties"] is False


@pytest.mark.parametrize("path", EVENTS, ids=lambda p: p.stem)
def test_an_event_that_ships_passes(path):
    assert not problems(json.loads(path.read_text()))


def test_events_ship_for_each_function():
    assert len(EVENTS) >= 4
    assert {p.stem.split("-")[0] for p in EVENTS} == {"pull", "push", "check"}


@pytest.mark.parametrize("name", REFUSED)
def test_a_wrong_event_is_refused(name):
    assert problems(REFUSED[name])


@pytest.mark.parametrize("table", ["CRM.PUBLIC.ACCOUNTS", 'CRM."my schema"."a.b"', 'a."q""q".c'])
def test_a_table_may_be_written_as_in_the_connection_file(table):
    assert not problems({"connection": "acme", "tables": [table]})
