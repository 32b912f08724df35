"""Each function may do what it needs, and each permission was looked at by a person."""

import pytest
from permissions import allowed, permissions
from template import Stack

# AWS takes no resource for these (Lambda's network interfaces, traces). A key's and a queue's own
# policy mean by "*" the key or queue; the endpoint's "*" is bounded by its condition.
ANY_RESOURCE = {
    "NetworkAndTraces",
    "DataKey:arn:aws:iam::123456789012:root",
    "QueuePolicy:*",
    "S3Endpoint:*",
}
ROLES = ["PullRole", "PushRole", "CheckRole", "ScheduleRole"]


def parts():
    return [line.split("\t") for line in permissions(Stack())]


def actions(role):
    return {p[2] for p in parts() if p[0] == role and p[1] == "Allow"}


def test_every_permission_is_in_the_list_and_the_list_has_no_other():
    found, listed = set(permissions(Stack())), set(allowed())
    told = "\n".join(
        [f"new, not in infra/permissions.txt: {p}" for p in sorted(found - listed)]
        + [f"listed, but nobody has it: {p}" for p in sorted(listed - found)]
    )
    assert found == listed, told


@pytest.mark.parametrize("choice", [{"NatGateways": "1"}, {"Running": "no"},
                                    {"AlarmEmail": "a@example.com"}])
def test_no_choice_of_parameters_gives_more(choice):
    assert set(permissions(Stack(**choice))) <= set(allowed())


def test_nobody_may_do_anything_by_wildcard():
    wild = [p for p in parts() if "*" in p[2] and p[1] == "Allow"]
    assert [p[:3] for p in wild] == [["DataKey:arn:aws:iam::123456789012:root", "Allow", "kms:*"]]


def test_any_resource_is_named_only_where_aws_takes_no_other():
    assert {p[0] for p in parts() if p[3] == "*"} == ANY_RESOURCE


def test_check_changes_nothing():
    changes = {a for a in actions("CheckRole")
               if not a.split(":")[1].startswith(("Get", "Query", "Decrypt"))}
    assert changes == {"logs:CreateLogStream", "logs:PutLogEvents", "sqs:SendMessage"}


def test_push_never_writes_to_the_lake():
    writes = [p for p in parts() if p[0] == "PushRole" and "lake/" in p[3]]
    assert [p[2] for p in writes] == ["s3:GetObject"]


def test_schedules_hand_on_events_and_nothing_else():
    assert actions("ScheduleRole") == {"sqs:SendMessage"}


@pytest.mark.parametrize("role", ROLES)
def test_no_function_administers_anything(role):
    kinds = {"iam", "lambda", "cloudformation", "scheduler", "sts"}
    assert not {a for a in actions(role) if a.split(":")[0] in kinds}
    assert not {a for a in actions(role) if a.startswith("secretsmanager:") and "Get" not in a}


def test_only_lambda_and_the_scheduler_take_a_role():
    takers = {(p[0], p[3]) for p in parts() if p[2] == "sts:AssumeRole"}
    functions = {("trust:lambda.amazonaws.com", r) for r in ROLES if r != "ScheduleRole"}
    assert takers == functions | {("trust:scheduler.amazonaws.com", "ScheduleRole")}
