"""Writes down every permission that the stack gives, one a line.

    python tests/infra/permissions.py            prints them
    python tests/infra/permissions.py --write    makes them the allowed ones: infra/permissions.txt

A line is: who, effect, action, resource, condition. Whoever changes a policy shows the change in
that file, so that a reviewer sees the permission and not only the YAML.
"""

import json
import pathlib
import re
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent))

from template import ROOT, Stack  # noqa: E402

ALLOWED = ROOT / "infra" / "permissions.txt"
HEADER = """\
# Every permission of the stack: who, effect, action, resource, condition. A test fails on any other.
# After a change that is meant: python tests/infra/permissions.py --write, and review the difference.
"""


def permissions(stack):
    """Returns the lines for a stack, sorted."""
    lines = set()
    for name, role in stack.of_type("AWS::IAM::Role").items():
        trust = role["Properties"]["AssumeRolePolicyDocument"]
        for statement in trust["Statement"]:
            who = f"trust:{principal(statement)}"
            lines.update(rows(who, {**statement, "Resource": {"Ref": name}}))
        for policy in role["Properties"].get("Policies", []):
            for statement in policy["PolicyDocument"]["Statement"]:
                lines.update(rows(name, statement))
        for attached in role["Properties"].get("ManagedPolicyArns", []):
            lines.add("\t".join([name, "Has", "policy", plain(attached), "-"]))
    for name, policy in stack.of_type("AWS::IAM::ManagedPolicy").items():
        for statement in policy["Properties"]["PolicyDocument"]["Statement"]:
            lines.update(rows(name, statement))
    for name, document in resource_policies(stack):
        for statement in document["Statement"]:
            lines.update(rows(f"{name}:{principal(statement)}", statement))
    for name, permission in stack.of_type("AWS::Lambda::Permission").items():
        properties = permission["Properties"]
        who = f"{name}:{properties['Principal']}"
        lines.add("\t".join([who, "Allow", properties["Action"],
                             plain(properties["FunctionName"]), "-"]))
    return sorted(lines)


def resource_policies(stack):
    """Yields the policies that stand on a resource, with its name."""
    places = {
        "AWS::S3::BucketPolicy": "PolicyDocument",
        "AWS::SQS::QueuePolicy": "PolicyDocument",
        "AWS::SNS::TopicPolicy": "PolicyDocument",
        "AWS::KMS::Key": "KeyPolicy",
        "AWS::EC2::VPCEndpoint": "PolicyDocument",
    }
    for kind, place in places.items():
        for name, resource in stack.of_type(kind).items():
            yield name, resource["Properties"][place]


def rows(who, statement):
    """Yields a line for each action and resource of a statement."""
    condition = json.dumps(plain(statement["Condition"]), sort_keys=True) \
        if "Condition" in statement else "-"
    for action in listed(statement["Action"]):
        for resource in listed(statement["Resource"]):
            yield "\t".join([who, statement["Effect"], action, plain(resource), condition])


def principal(statement):
    """Returns who a statement of a resource's policy speaks of."""
    named = statement["Principal"]
    if isinstance(named, str):
        return named
    (_, who), = named.items()
    return plain(who)


def listed(value):
    """Returns a list, whether or not one was written."""
    return value if isinstance(value, list) else [value]


def plain(value):
    """Words a reference as a reader would: `Table`, `Bucket/staging/*`."""
    if isinstance(value, list):
        return [plain(item) for item in value]
    if not isinstance(value, dict):
        return value
    if set(value) == {"Ref"}:
        return value["Ref"]
    if set(value) == {"Fn::GetAtt"}:
        name, attribute = value["Fn::GetAtt"]
        return name if attribute == "Arn" else f"{name}.{attribute}"
    if set(value) == {"Fn::Sub"}:
        return re.sub(r"\$\{(\w+)(\.Arn)?\}", r"\1", value["Fn::Sub"])
    return {key: plain(item) for key, item in value.items()}


def allowed():
    """Returns the lines of infra/permissions.txt."""
    return [line for line in ALLOWED.read_text().splitlines() if line and not line.startswith("#")]


if __name__ == "__main__":
    found = permissions(Stack())
    if "--write" in sys.argv[1:]:
        ALLOWED.write_text(HEADER + "\n".join(found) + "\n")
    else:
        print("\n".join(found))
