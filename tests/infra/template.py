"""The template as CloudFormation sees it: SAM's transform, then one choice of parameters.

`transformed` is the plain CloudFormation template that SAM makes. `Stack` is what exists for one
choice of parameters: conditions decided, `Fn::If` taken, parameters put in. References between
resources stay as they are, so a test can say "the route goes to NatA".
"""

import copy
import functools
import ipaddress
import pathlib
import re

import boto3
from samcli.yamlhelper import yaml_parse
from samtranslator.parser.parser import Parser
from samtranslator.translator.translator import Translator

ROOT = pathlib.Path(__file__).resolve().parents[2]
TEMPLATE = ROOT / "infra" / "template.yaml"
REGION = "eu-central-1"
ACCOUNT = "123456789012"
STACK = "snowferry"
PSEUDO = {
    "AWS::Region": REGION,
    "AWS::AccountId": ACCOUNT,
    "AWS::StackName": STACK,
    "AWS::Partition": "aws",
    "AWS::URLSuffix": "amazonaws.com",
}
GONE = object()


@functools.cache
def source():
    """Returns the template as it is written. Do not change what is returned."""
    return yaml_parse(TEMPLATE.read_text())


@functools.cache
def transformed():
    """Returns the template after SAM's transform. Do not change what is returned."""
    template = copy.deepcopy(source())
    for resource in template["Resources"].values():
        if resource["Type"] == "AWS::Serverless::Function":
            # `sam deploy` puts the upload's address here.
            resource["Properties"]["CodeUri"] = "s3://artifacts/code.zip"
    session = boto3.Session(region_name=REGION)
    translator = Translator(managed_policy_map={}, sam_parser=Parser(), boto_session=session)
    values = {**defaults(), **PSEUDO}
    return translator.translate(sam_template=template, parameter_values=values)


def defaults():
    """Returns the parameters' defaults."""
    return {name: str(p["Default"]) for name, p in source()["Parameters"].items()}


class Stack:
    """What exists for one choice of parameters."""

    def __init__(self, **parameters):
        template = transformed()
        unknown = set(parameters) - set(template["Parameters"])
        assert not unknown, f"no such parameters: {unknown}"
        self.values = {**defaults(), **PSEUDO, **parameters}
        self._conditions = template["Conditions"]
        self.resources = self._present(template["Resources"])
        self.outputs = self._present(template["Outputs"])

    def of_type(self, kind):
        """Returns the resources of a type by their names."""
        return {n: r for n, r in self.resources.items() if r["Type"] == kind}

    def properties(self, name):
        """Returns the properties of a resource."""
        return self.resources[name]["Properties"]

    def _present(self, entries):
        found = {}
        for name, entry in entries.items():
            if "Condition" in entry and not self._holds(entry["Condition"]):
                continue
            found[name] = self._resolve(entry, keep_condition_key=True)
        return found

    def _holds(self, name):
        return self._decide(self._conditions[name])

    def _decide(self, test):
        (function, argument), = test.items()
        if function == "Condition":
            return self._holds(argument)
        if function == "Fn::Equals":
            left, right = (self._resolve(side) for side in argument)
            return left == right
        if function == "Fn::Not":
            return not self._decide(argument[0])
        if function == "Fn::And":
            return all(self._decide(part) for part in argument)
        if function == "Fn::Or":
            return any(self._decide(part) for part in argument)
        raise AssertionError(f"unknown condition {function}")

    def _resolve(self, value, keep_condition_key=False):
        if isinstance(value, list):
            items = (self._resolve(item) for item in value)
            return [item for item in items if item is not GONE]
        if not isinstance(value, dict):
            return value
        if len(value) == 1:
            (key, argument), = value.items()
            if key == "Fn::If":
                name, yes, no = argument
                return self._resolve(yes if self._holds(name) else no)
            if key == "Ref" and argument == "AWS::NoValue":
                return GONE
            if key == "Ref" and argument in self.values:
                return self.values[argument]
            if key == "Fn::Cidr":
                return cidr(*(self._resolve(part) for part in argument))
            if key == "Fn::Select":
                index, items = (self._resolve(part) for part in argument)
                return items[int(index)] if isinstance(items, list) else {key: [index, items]}
            if key == "Fn::Join":
                glue, parts = argument[0], self._resolve(argument[1])
                if all(isinstance(part, str) for part in parts):
                    return glue.join(parts)
                return {key: [glue, parts]}
            if key == "Fn::Sub":
                return self._substitute(argument)
        resolved = ((k, self._resolve(v)) for k, v in value.items())
        kept = {k: v for k, v in resolved if v is not GONE}
        if keep_condition_key:
            kept.pop("Condition", None)
        return kept

    def _substitute(self, argument):
        text, extra = argument if isinstance(argument, list) else (argument, {})
        extra = {name: self._resolve(value) for name, value in extra.items()}

        def known(match):
            value = self.values.get(match[1], extra.get(match[1]))
            return value if isinstance(value, str) else match[0]

        text = re.sub(r"\$\{([^!}]+)\}", known, text)
        rest = {name: value for name, value in extra.items() if "${" + name + "}" in text}
        if "${" not in text:
            return text
        return {"Fn::Sub": [text, rest] if rest else text}


def cidr(network, count, host_bits):
    """Cuts a network as Fn::Cidr does."""
    subnets = ipaddress.ip_network(network).subnets(new_prefix=32 - int(host_bits))
    return [str(next(subnets)) for _ in range(int(count))]
