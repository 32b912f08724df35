"""Trouble is told, and the dashboard answers which connection is late and why."""

import json
import re

import pytest
from template import Stack

ALARMS = {
    "FailedRunsAlarm": "FailedRuns",
    "MismatchedRunsAlarm": "MismatchedRuns",
    "LateAlarm": "LagSeconds",
    "ErrorsAlarm": "Errors",
    "ThrottlesAlarm": "Throttles",
    "DeadLettersAlarm": "ApproximateNumberOfMessagesVisible",
    "SchedulesAlarm": "TargetErrorCount",
    "NatPortsAlarm": "ErrorPortAllocation",
}


def watched(alarm):
    """Returns name and dimension of each metric that an alarm watches."""
    if "MetricName" in alarm:
        return [(alarm["MetricName"], alarm["Dimensions"][0]["Value"])]
    stats = [m["MetricStat"]["Metric"] for m in alarm["Metrics"] if "MetricStat" in m]
    return [(m["MetricName"], m["Dimensions"][0]["Value"]) for m in stats]


def test_there_is_an_alarm_for_each_kind_of_trouble():
    alarms = Stack().of_type("AWS::CloudWatch::Alarm")
    found = {n: {metric for metric, _ in watched(a["Properties"])} for n, a in alarms.items()}
    assert found == {name: {metric} for name, metric in ALARMS.items()}


@pytest.mark.parametrize("name", ALARMS)
def test_an_alarm_reaches_the_topic_and_says_what_to_do(name):
    alarm = Stack().properties(name)
    assert alarm["AlarmActions"] == [{"Ref": "AlarmTopic"}]
    assert alarm["TreatMissingData"] == "notBreaching"
    assert len(alarm["AlarmDescription"]) > 60
    returned = [m for m in alarm.get("Metrics", []) if m.get("ReturnData", True)]
    assert len(returned) <= 1, "AWS takes one figure for each alarm"


def test_every_dead_letter_queue_is_watched():
    queues = {v["Fn::GetAtt"][0] for _, v in watched(Stack().properties("DeadLettersAlarm"))}
    targets = {q["Properties"]["RedrivePolicy"]["deadLetterTargetArn"]["Fn::GetAtt"][0]
               for q in Stack().of_type("AWS::SQS::Queue").values()
               if "RedrivePolicy" in q["Properties"]}
    assert queues == targets | {"UndeliveredQueue"}


WORKERS = {"PullFunction", "PushFunction"}


@pytest.mark.parametrize("name, functions", [
    ("ErrorsAlarm", WORKERS | {"CheckFunction"}),
    ("ThrottlesAlarm", WORKERS),
])
def test_errors_of_every_function_are_watched_and_throttles_of_those_with_a_queue(name, functions):
    assert {v["Ref"] for _, v in watched(Stack().properties(name))} == functions


def test_every_gateway_is_watched():
    two = {v["Ref"] for _, v in watched(Stack().properties("NatPortsAlarm"))}
    assert two == {"NatA", "NatB"}
    one = {v["Ref"] for _, v in watched(Stack(NatGateways="1").properties("NatPortsAlarm"))}
    assert one == {"NatA"}
    assert "NatPortsAlarm" not in Stack(Running="no").resources


def test_late_means_what_the_parameter_says():
    late = Stack(LateAfterHours="5").properties("LateAlarm")["Metrics"][0]
    assert late["Expression"] == "IF(pull > 5 * 3600, 1, 0)"


def test_an_email_subscribes_and_none_does_not():
    assert not Stack().of_type("AWS::SNS::Subscription")
    stack = Stack(AlarmEmail="ops@example.com")
    subscription, = stack.of_type("AWS::SNS::Subscription").values()
    assert subscription["Properties"]["Endpoint"] == "ops@example.com"


def dashboard(**choice):
    """Returns the dashboard as CloudWatch would read it, references put in as their names."""
    body = Stack(**choice).properties("Dashboard")["DashboardBody"]["Fn::Sub"]
    text = body[0] if isinstance(body, list) else body
    return json.loads(re.sub(r"\$\{([\w.]+)\}", r"\1", text))


@pytest.mark.parametrize("choice", [{}, {"NatGateways": "1"}, {"Running": "no"}])
def test_the_dashboard_is_readable_json_without_overlapping_widgets(choice):
    widgets = dashboard(**choice)["widgets"]
    taken = set()
    for widget in widgets:
        columns = range(widget["x"], widget["x"] + widget["width"])
        lines = range(widget["y"], widget["y"] + widget["height"])
        cells = {(x, y) for x in columns for y in lines}
        assert not cells & taken
        assert all(x < 24 for x, _ in cells)
        taken |= cells


def test_the_first_widget_says_which_connection_is_late_and_why():
    first = dashboard()["widgets"][0]["properties"]
    assert "late, and why" in first["title"]
    for part in ["LagSeconds", "by connection, table", "code", "repair", "sort behind_h desc"]:
        assert part in first["query"]


def test_the_second_widget_names_the_push_that_failed_or_the_table():
    second = dashboard()["widgets"][1]["properties"]
    assert "failures" in second["title"]
    assert "PullLogs" in second["query"] and "PushLogs" in second["query"]
    assert "fields @timestamp, connection, table, push, code, blame, repair" in second["query"]


def test_the_dashboard_shows_every_alarm():
    shown, = [w["properties"]["alarms"] for w in dashboard()["widgets"] if w["type"] == "alarm"]
    assert {a.removesuffix(".Arn") for a in shown} == set(ALARMS) - {"NatPortsAlarm"}
