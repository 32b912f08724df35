"""Functions, queues and schedules: a message is never handled twice at once, and never lost."""

import re

import pytest
from template import ROOT, Stack, source

WORKERS = ["pull", "push"]
FUNCTIONS = [*WORKERS, "check"]
VARIABLES = {
    "SNOWFERRY_TABLE",
    "SNOWFERRY_BUCKET",
    "SNOWFERRY_LAKE_URI",
    "SNOWFERRY_SECRETS_PREFIX",
    "SNOWFERRY_SCHEDULE_GROUP",
    "SNOWFERRY_EGRESS_ADDRESSES",
    "SNOWFERRY_LOG",
}


def properties(function):
    return Stack().properties(f"{function.capitalize()}Function")


def queue(worker):
    return Stack().properties(f"{worker.capitalize()}Queue")


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_function_is_the_binary_of_its_folder(function):
    written = source()["Resources"][f"{function.capitalize()}Function"]
    assert written["Metadata"]["BuildMethod"] == "rust-cargolambda"
    assert written["Properties"]["CodeUri"] == f"../functions/{function}"
    assert properties(function)["Runtime"] == "provided.al2023"
    assert properties(function)["FunctionName"] == f"snowferry-{function}"
    assert properties(function)["Architectures"] == ["x86_64"]
    arm = Stack(Architecture="arm64").properties(f"{function.capitalize()}Function")
    assert arm["Architectures"] == ["arm64"]


@pytest.mark.parametrize("function", FUNCTIONS)
def test_the_environment_names_things_and_holds_no_secret(function):
    variables = properties(function)["Environment"]["Variables"]
    queues = {"SNOWFERRY_QUEUE_URL"} if function in WORKERS else set()
    assert set(variables) == VARIABLES | queues
    told = str(variables).lower()
    assert not re.search(r"password|private|token|resolve:secretsmanager", told)


@pytest.mark.parametrize("function", FUNCTIONS)
def test_logs_are_json_kept_for_a_while_and_end(function):
    logging = properties(function)["LoggingConfig"]
    assert logging["LogFormat"] == "JSON"
    group = Stack(LogDays="90").properties(logging["LogGroup"]["Ref"])
    assert group["RetentionInDays"] == "90"
    assert group["LogGroupName"].endswith(f"/{function}")


@pytest.mark.parametrize("worker", WORKERS)
def test_a_message_stays_invisible_longer_than_the_longest_run(worker):
    assert queue(worker)["VisibilityTimeout"] > properties(worker)["Timeout"]


@pytest.mark.parametrize("worker", WORKERS)
def test_a_worker_has_an_ordered_queue_with_dead_letters(worker):
    ordered = queue(worker)
    assert ordered["FifoQueue"] is True
    assert ordered["FifoThroughputLimit"] == "perMessageGroupId"
    redrive = ordered["RedrivePolicy"]
    letters = Stack().properties(redrive["deadLetterTargetArn"]["Fn::GetAtt"][0])
    assert letters["FifoQueue"] is True, "AWS refuses another kind for an ordered queue"
    assert letters["MessageRetentionPeriod"] == 14 * 24 * 3600
    assert 2 <= redrive["maxReceiveCount"] <= 10


@pytest.mark.parametrize("worker", WORKERS)
def test_a_worker_takes_one_message_at_a_time_and_tells_which_failed(worker):
    mappings = Stack(MaximumWorkers="50").of_type("AWS::Lambda::EventSourceMapping").values()
    mapping, = [m["Properties"] for m in mappings
                if m["Properties"]["FunctionName"] == {"Ref": f"{worker.capitalize()}Function"}]
    source_arn = {"Fn::GetAtt": [f"{worker.capitalize()}Queue", "Arn"]}
    assert mapping["EventSourceArn"] == source_arn
    assert mapping["BatchSize"] == 1
    assert mapping["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
    assert mapping["ScalingConfig"] == {"MaximumConcurrency": "50"}
    assert mapping["Enabled"] is True


@pytest.mark.parametrize("worker", WORKERS)
def test_a_worker_may_hand_itself_on_for_as_long_as_a_backfill_takes(worker):
    assert properties(worker)["RecursiveLoop"] == "Allow"
    assert properties(worker)["Timeout"] == 900


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_call_by_hand_that_fails_is_kept(function):
    configs = Stack().of_type("AWS::Lambda::EventInvokeConfig").values()
    config, = [c["Properties"] for c in configs
               if c["Properties"]["FunctionName"] == {"Ref": f"{function.capitalize()}Function"}]
    assert config["DestinationConfig"]["OnFailure"]["Destination"] == {
        "Fn::GetAtt": ["UndeliveredQueue", "Arn"],
    }
    assert config["MaximumRetryAttempts"] <= 2
    assert config["MaximumEventAgeInSeconds"] <= 3600


def test_undelivered_events_go_to_a_plain_queue_since_nothing_else_takes_them():
    assert "FifoQueue" not in Stack().properties("UndeliveredQueue")


def test_queues_are_encrypted():
    queues = Stack().of_type("AWS::SQS::Queue")
    assert len(queues) == 5
    assert all(q["Properties"]["SqsManagedSseEnabled"] is True for q in queues.values())
    covered = {q["Ref"] for q in Stack().properties("QueuePolicy")["Queues"]}
    assert covered == set(queues), "TLS only, for each"


def test_concurrency_is_reserved_only_when_asked_for():
    assert "ReservedConcurrentExecutions" not in properties("pull")
    stack = Stack(ReserveConcurrency="yes", MaximumWorkers="30")
    for worker in WORKERS:
        name = f"{worker.capitalize()}Function"
        assert stack.properties(name)["ReservedConcurrentExecutions"] == "30"


def test_every_function_has_a_crate_and_every_crate_is_a_function():
    crates = {p.parent.name for p in ROOT.glob("functions/*/Cargo.toml")} - {"snowferry"}
    assert crates == set(FUNCTIONS)
