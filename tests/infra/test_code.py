"""What the code asks of AWS is what the policies allow, and nothing is allowed that nobody asks for."""

import re

from permissions import permissions
from template import ROOT, Stack

# What a call of an SDK needs.
NEEDS = {
    "get_object": "s3:GetObject",
    "head_object": "s3:GetObject",
    "put_object": "s3:PutObject",
    "create_multipart_upload": "s3:PutObject",
    "upload_part": "s3:PutObject",
    "complete_multipart_upload": "s3:PutObject",
    "abort_multipart_upload": "s3:AbortMultipartUpload",
    "list_objects_v2": "s3:ListBucket",
    "delete_object": "s3:DeleteObject",
    "tagging": "s3:PutObjectTagging",
    "get_item": "dynamodb:GetItem",
    "put_item": "dynamodb:PutItem",
    "update_item": "dynamodb:UpdateItem",
    "delete_item": "dynamodb:DeleteItem",
    "query": "dynamodb:Query",
    "scan": "dynamodb:Scan",
    "transact_write_items": "dynamodb:ConditionCheckItem",
    "batch_get_item": "dynamodb:BatchGetItem",
    "batch_write_item": "dynamodb:BatchWriteItem",
    "send_message": "sqs:SendMessage",
    "send_message_batch": "sqs:SendMessage",
    "get_secret_value": "secretsmanager:GetSecretValue",
    "put_secret_value": "secretsmanager:PutSecretValue",
    "create_secret": "secretsmanager:CreateSecret",
    "describe_secret": "secretsmanager:DescribeSecret",
    "delete_secret": "secretsmanager:DeleteSecret",
    "restore_secret": "secretsmanager:RestoreSecret",
    "update_secret_version_stage": "secretsmanager:UpdateSecretVersionStage",
    "create_schedule": "scheduler:CreateSchedule",
    "update_schedule": "scheduler:UpdateSchedule",
    "get_schedule": "scheduler:GetSchedule",
    "delete_schedule": "scheduler:DeleteSchedule",
    "invoke": "lambda:InvokeFunction",
}
CALL = re.compile(r"\.(" + "|".join(NEEDS) + r")\(")
FUNCTIONS = {"PullRole", "PushRole", "CheckRole"}
# Of these services every permission of a function must be one that the code asks for.
DATA = ("s3:", "dynamodb:", "secretsmanager:")


def calls():
    """Returns the calls of AWS's SDKs in what is shipped, with the files that make them."""
    found = {}
    for folder in ("shared", "functions"):
        for file in sorted((ROOT / folder).rglob("*.rs")):
            text = file.read_text()
            if "tests" in file.parts or file.name == "tests.rs":
                continue
            for call in CALL.findall(text):
                # Others have calls of the same name; a file that names no SDK calls none.
                if f"aws_sdk_{NEEDS[call].split(':')[0]}" in text:
                    found.setdefault(call, set()).add(str(file.relative_to(ROOT)))
    return found


def given(roles):
    lines = (line.split("\t") for line in permissions(Stack()))
    return {action for who, effect, action, *_ in lines if who in roles and effect == "Allow"}


def test_every_call_of_the_code_is_allowed_to_somebody():
    allowed = given(FUNCTIONS | {"OperatorPolicy"})
    refused = {call: files for call, files in calls().items() if NEEDS[call] not in allowed}
    assert not refused


def test_no_function_may_touch_data_in_a_way_that_the_code_does_not():
    asked = {NEEDS[call] for call in calls()}
    assert asked
    assert {a for a in given(FUNCTIONS) if a.startswith(DATA)} <= asked
