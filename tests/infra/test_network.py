"""Traffic leaves through the fixed addresses only, and the addresses cannot be lost by accident."""

import json

import pytest
from template import ROOT, Stack, source, transformed

OWN = {
    "EipAllocationIdA": "eipalloc-0123456789abcdef0",
    "EipAddressA": "203.0.113.7",
    "EipAllocationIdB": "eipalloc-0123456789abcdef1",
    "EipAddressB": "203.0.113.8",
}
CHOICES = {
    "default": {},
    "one gateway": {"NatGateways": "1"},
    "own addresses": OWN,
    "one gateway, own address": {**OWN, "NatGateways": "1"},
}


def ref(name):
    return {"Ref": name}


def att(name, attribute):
    return {"Fn::GetAtt": [name, attribute]}


@pytest.fixture(params=CHOICES, name="stack")
def stack_of_a_choice(request):
    return Stack(**CHOICES[request.param])


def test_functions_are_in_private_subnets_only(stack):
    functions = stack.of_type("AWS::Lambda::Function")
    assert len(functions) == 3
    for name, function in functions.items():
        network = function["Properties"]["VpcConfig"]
        assert network["SubnetIds"] == [ref("PrivateSubnetA"), ref("PrivateSubnetB")], name
        assert network["SecurityGroupIds"] == [ref("SecurityGroup")], name


def test_no_subnet_gives_out_public_addresses(stack):
    subnets = stack.of_type("AWS::EC2::Subnet")
    assert len(subnets) == 4
    assert all(s["Properties"]["MapPublicIpOnLaunch"] is False for s in subnets.values())


def test_subnets_share_the_network_without_overlap_in_two_zones():
    stack = Stack(VpcCidr="10.9.0.0/20")
    subnets = stack.of_type("AWS::EC2::Subnet")
    blocks = [s["Properties"]["CidrBlock"] for s in subnets.values()]
    assert blocks == ["10.9.0.0/26", "10.9.0.64/26", "10.9.0.128/26", "10.9.0.192/26"]
    zones = {n: s["Properties"]["AvailabilityZone"]["Fn::Select"][0] for n, s in subnets.items()}
    assert zones == {
        "PublicSubnetA": 0, "PublicSubnetB": 1, "PrivateSubnetA": 0, "PrivateSubnetB": 1,
    }


def default_routes(stack):
    """Returns where each subnet sends what is for the rest of the world."""
    tables = {}
    for association in stack.of_type("AWS::EC2::SubnetRouteTableAssociation").values():
        properties = association["Properties"]
        tables[properties["SubnetId"]["Ref"]] = properties["RouteTableId"]
    found = {}
    for subnet, table in tables.items():
        for route in stack.of_type("AWS::EC2::Route").values():
            properties = route["Properties"]
            if properties["RouteTableId"] == table:
                assert properties["DestinationCidrBlock"] == "0.0.0.0/0"
                target = properties.get("NatGatewayId") or properties.get("GatewayId")
                found.setdefault(subnet, []).append(target["Ref"])
    return found


def test_each_private_subnet_leaves_through_the_gateway_of_its_zone():
    assert default_routes(Stack()) == {
        "PublicSubnetA": ["InternetGateway"],
        "PublicSubnetB": ["InternetGateway"],
        "PrivateSubnetA": ["NatA"],
        "PrivateSubnetB": ["NatB"],
    }


def test_with_one_gateway_both_private_subnets_leave_through_it():
    stack = Stack(NatGateways="1")
    assert default_routes(stack)["PrivateSubnetA"] == ["NatA"]
    assert default_routes(stack)["PrivateSubnetB"] == ["NatA"]
    assert list(stack.of_type("AWS::EC2::NatGateway")) == ["NatA"]


def test_at_rest_there_is_no_gateway_and_no_way_out_but_addresses_and_state_stay():
    stack = Stack(Running="no")
    assert not stack.of_type("AWS::EC2::NatGateway")
    assert set(default_routes(stack)) == {"PublicSubnetA", "PublicSubnetB"}
    assert {"EipA", "EipB", "Bucket", "Table", "DataKey"} <= set(stack.resources)
    mappings = stack.of_type("AWS::Lambda::EventSourceMapping").values()
    assert [m["Properties"]["Enabled"] for m in mappings] == [False] * 2
    assert stack.outputs["AddressA"]["Value"] == ref("EipA")


def test_gateways_use_made_addresses_by_default():
    gateways = Stack().of_type("AWS::EC2::NatGateway")
    found = {n: (g["Properties"]["SubnetId"]["Ref"], g["Properties"]["AllocationId"])
             for n, g in gateways.items()}
    assert found == {
        "NatA": ("PublicSubnetA", att("EipA", "AllocationId")),
        "NatB": ("PublicSubnetB", att("EipB", "AllocationId")),
    }


def test_gateways_use_given_addresses_and_none_is_made():
    stack = Stack(**OWN)
    assert not stack.of_type("AWS::EC2::EIP")
    assert stack.properties("NatA")["AllocationId"] == OWN["EipAllocationIdA"]
    assert stack.properties("NatB")["AllocationId"] == OWN["EipAllocationIdB"]


def test_made_addresses_outlive_the_stack_and_any_replacement():
    addresses = {n: r for n, r in transformed()["Resources"].items() if r["Type"] == "AWS::EC2::EIP"}
    assert set(addresses) == {"EipA", "EipB"}, "renaming an address gives it up: customers allow it"
    for address in addresses.values():
        assert address["DeletionPolicy"] == "Retain"
        assert address["UpdateReplacePolicy"] == "Retain"
        assert set(address["Properties"]) == {"Domain", "Tags"}, "other properties may replace it"


@pytest.mark.parametrize(("choice", "told"), [
    ({}, [ref("EipA"), ref("EipB")]),
    ({"NatGateways": "1"}, [ref("EipA")]),
    (OWN, ["203.0.113.7", "203.0.113.8"]),
    ({**OWN, "NatGateways": "1"}, ["203.0.113.7"]),
])
def test_the_addresses_told_are_those_of_the_gateways(choice, told):
    stack = Stack(**choice)
    outputs = [stack.outputs[n]["Value"] for n in ("AddressA", "AddressB") if n in stack.outputs]
    assert outputs == told
    for function in stack.of_type("AWS::Lambda::Function").values():
        listed = function["Properties"]["Environment"]["Variables"]["SNOWFERRY_EGRESS_ADDRESSES"]
        parts = listed["Fn::Join"][1] if "Fn::Join" in listed else [listed]
        assert parts == told or listed == ",".join(map(str, told))


def test_an_own_address_without_its_other_half_is_refused_before_anything_is_made():
    rules = source()["Rules"]
    assert set(rules) == {"FirstGivenAddress", "SecondGivenAddress", "NoSecondWithoutFirst"}
    assert all(a["AssertDescription"] for r in rules.values() for a in r["Assertions"])


def test_functions_may_speak_https_out_and_nothing_comes_in():
    group = Stack().properties("SecurityGroup")
    assert "SecurityGroupIngress" not in group
    rule, = group["SecurityGroupEgress"]
    assert (rule["IpProtocol"], rule["FromPort"], rule["ToPort"]) == ("tcp", 443, 443)
    kinds = {r["Type"] for r in Stack().resources.values()}
    assert "AWS::EC2::SecurityGroupIngress" not in kinds
    assert "AWS::EC2::SecurityGroupEgress" not in kinds


def test_s3_and_dynamodb_stay_off_the_gateways(stack):
    endpoints = stack.of_type("AWS::EC2::VPCEndpoint")
    services = {e["Properties"]["ServiceName"] for e in endpoints.values()}
    region = "com.amazonaws.eu-central-1"
    assert services == {f"{region}.s3", f"{region}.dynamodb"}
    for endpoint in endpoints.values():
        assert endpoint["Properties"]["VpcEndpointType"] == "Gateway"
        tables = endpoint["Properties"]["RouteTableIds"]
        assert tables == [ref("PrivateRoutesA"), ref("PrivateRoutesB")]


def test_our_credentials_reach_no_bucket_of_others_through_the_endpoint():
    ours, links = Stack().properties("S3Endpoint")["PolicyDocument"]["Statement"]
    assert ours["Condition"] == {"StringEquals": {"aws:PrincipalAccount": "123456789012"}}
    assert ours["Resource"] == [att("Bucket", "Arn"), {"Fn::Sub": "${Bucket.Arn}/*"}]
    assert set(links["Condition"]["StringNotEquals"]) == {
        "aws:PrincipalAccount", "aws:ResourceAccount",
    }
    assert "s3:DeleteObject" not in links["Action"]


def test_the_stack_policy_protects_addresses_and_state():
    policy = json.loads((ROOT / "infra" / "stack-policy.json").read_text())
    deny, allow = policy["Statement"]
    assert (deny["Effect"], allow["Effect"]) == ("Deny", "Allow")
    assert deny["Action"] == ["Update:Replace", "Update:Delete"]
    kept = {name for name, resource in transformed()["Resources"].items()
            if resource.get("DeletionPolicy") == "Retain"}
    assert {r.removeprefix("LogicalResourceId/") for r in deny["Resource"]} == kept
