"""The cost table of the documentation is what the script computes, for the template as it is."""

import sys

import pytest
from template import ROOT, Stack

sys.path.insert(0, str(ROOT / "infra"))

import costs  # noqa: E402

DOCUMENT = (ROOT / "docs" / "aws.md").read_text()


def total(words):
    a = costs.arguments(words)
    return sum(costs.fixed(a.gateways).values()) + sum(costs.each(a).values())


def test_the_document_shows_the_table_that_the_script_computes():
    a = costs.arguments([])
    assert costs.table(a, a.connections) in DOCUMENT


def test_the_document_tells_the_price_of_one_gateway():
    assert f"costs ${total(['--gateways', '1']):.2f} a month" in DOCUMENT


def test_the_document_tells_the_price_of_rest():
    kept = {k: v for k, v in costs.fixed(2).items() if k != "NAT gateways"}
    assert f"it costs ${sum(kept.values()):.2f} and what is stored" in DOCUMENT


def test_the_alarms_are_charged_as_the_template_has_them():
    alarms = Stack().of_type("AWS::CloudWatch::Alarm").values()
    metrics = [m for a in alarms for m in a["Properties"].get("Metrics", [{"MetricStat": 1}])]
    assert sum("MetricStat" in m for m in metrics) == costs.ALARM_METRICS


@pytest.mark.parametrize("word", ["--tables", "--runs", "--mb-per-run", "--lake-gb"])
def test_more_work_costs_more(word):
    assert total([word, "1000"]) > total([word, "1"])
