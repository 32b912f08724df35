"""The template deployed to moto, an AWS in memory; what came out is read back.

moto reports success while it drops what it does not know, so nothing here trusts its status: the
resources are listed and compared with the template, and what moto drops is named. What it drops or
does not apply is asserted on the template by the other tests.
"""

import json

import boto3
import pytest
from moto import mock_aws
from template import REGION, Stack, transformed

# moto takes these and makes nothing of them. It also makes the subnets' associations with their
# route tables and the security group's rules without effect.
DROPPED = {
    "AWS::CloudWatch::Alarm",
    "AWS::CloudWatch::Dashboard",
    "AWS::Lambda::EventInvokeConfig",
    "AWS::S3::BucketPolicy",
    "AWS::SNS::TopicPolicy",
    "AWS::SQS::QueuePolicy",
    "AWS::Scheduler::ScheduleGroup",
}


def deployable(parameters):
    """Returns the template with what moto cannot compute put in, and without the dashboard.

    moto knows no Fn::Cidr, and refuses a dashboard that names the alarms it dropped.
    """
    template = json.loads(json.dumps(transformed()))
    stack = Stack(**parameters)
    for name in stack.of_type("AWS::EC2::Subnet"):
        block = stack.properties(name)["CidrBlock"]
        template["Resources"][name]["Properties"]["CidrBlock"] = block
    del template["Resources"]["Dashboard"]
    return json.dumps(template)


@pytest.fixture(scope="module", params=[{}, {"NatGateways": "1"}, {"Running": "no"}],
                ids=["default", "one gateway", "at rest"], name="deployed")
def deployed_stack(request):
    with mock_aws():
        boto3.client("s3").create_bucket(
            Bucket="artifacts", CreateBucketConfiguration={"LocationConstraint": REGION})
        boto3.client("s3").put_object(Bucket="artifacts", Key="code.zip", Body=b"PK\5\6" + bytes(18))
        client = boto3.client("cloudformation")
        client.create_stack(
            StackName="snowferry",
            TemplateBody=deployable(request.param),
            Capabilities=["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"],
            Parameters=[{"ParameterKey": k, "ParameterValue": v}
                        for k, v in request.param.items()],
        )
        yield Deployed(request.param)


class Deployed:
    def __init__(self, parameters):
        self.expected = Stack(**parameters)
        self.ec2 = boto3.client("ec2")
        client = boto3.client("cloudformation")
        rows = client.describe_stack_resources(StackName="snowferry")["StackResources"]
        self.ids = {r["LogicalResourceId"]: r["PhysicalResourceId"]
                    for r in rows if r.get("LogicalResourceId") and r.get("PhysicalResourceId")}
        stack, = client.describe_stacks(StackName="snowferry")["Stacks"]
        self.outputs = {o["OutputKey"]: o["OutputValue"] for o in stack.get("Outputs", [])}


def test_every_resource_was_made_or_is_known_to_be_dropped(deployed):
    missing = {r["Type"] for n, r in deployed.expected.resources.items() if n not in deployed.ids}
    assert missing == DROPPED
    assert set(deployed.ids) <= set(deployed.expected.resources)


def test_private_subnets_leave_through_the_gateways_of_the_template(deployed):
    wanted = {}
    for route in deployed.expected.of_type("AWS::EC2::Route").values():
        properties = route["Properties"]
        target = properties.get("NatGatewayId") or properties["GatewayId"]
        wanted[deployed.ids[properties["RouteTableId"]["Ref"]]] = deployed.ids[target["Ref"]]
    tables = deployed.ec2.describe_route_tables(
        Filters=[{"Name": "vpc-id", "Values": [deployed.ids["Vpc"]]}])["RouteTables"]
    found = {}
    for table in tables:
        for route in table["Routes"]:
            if route.get("DestinationCidrBlock") == "0.0.0.0/0":
                found[table["RouteTableId"]] = route.get("NatGatewayId") or route["GatewayId"]
    assert found == wanted


def test_each_gateway_has_its_address_and_the_outputs_tell_it(deployed):
    addresses = {a["AllocationId"]: a["PublicIp"]
                 for a in deployed.ec2.describe_addresses()["Addresses"]}
    gateways = deployed.ec2.describe_nat_gateways()["NatGateways"]
    held = {g["NatGatewayId"]: addresses[g["NatGatewayAddresses"][0]["AllocationId"]]
            for g in gateways if g["VpcId"] == deployed.ids["Vpc"]}
    wanted = {deployed.ids[n]: deployed.outputs[f"Address{n[-1]}"]
              for n in deployed.expected.of_type("AWS::EC2::NatGateway")}
    assert held == wanted
    told = [v for k, v in deployed.outputs.items() if k.startswith("Address")]
    assert len(set(told)) == len(deployed.expected.of_type("AWS::EC2::EIP"))


def test_both_private_route_tables_have_both_endpoints(deployed):
    endpoints = deployed.ec2.describe_vpc_endpoints()["VpcEndpoints"]
    private = {deployed.ids["PrivateRoutesA"], deployed.ids["PrivateRoutesB"]}
    found = {e["ServiceName"].rsplit(".", 1)[1]: set(e["RouteTableIds"]) for e in endpoints}
    assert found == {"s3": private, "dynamodb": private}


def test_functions_are_in_the_private_subnets_with_their_settings(deployed):
    private = {deployed.ids["PrivateSubnetA"], deployed.ids["PrivateSubnetB"]}
    client = boto3.client("lambda")
    for name, function in deployed.expected.of_type("AWS::Lambda::Function").items():
        made = client.get_function_configuration(FunctionName=deployed.ids[name])
        assert set(made["VpcConfig"]["SubnetIds"]) == private
        assert made["VpcConfig"]["SecurityGroupIds"] == [deployed.ids["SecurityGroup"]]
        assert made["Timeout"] == function["Properties"]["Timeout"]
        variables = made["Environment"]["Variables"]
        assert variables["SNOWFERRY_TABLE"] == deployed.ids["Table"]
        assert variables["SNOWFERRY_LAKE_URI"] == f"s3://{deployed.ids['Bucket']}/lake"
        told = [deployed.outputs[o] for o in ("AddressA", "AddressB") if o in deployed.outputs]
        assert variables["SNOWFERRY_EGRESS_ADDRESSES"] == ",".join(told)


def test_queues_are_ordered_and_send_what_fails_to_their_own_dead_letters(deployed):
    client = boto3.client("sqs")
    for worker in ("Pull", "Push"):
        url = deployed.ids[f"{worker}Queue"]
        made = client.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
        assert made["FifoQueue"] == "true"
        letters = client.get_queue_attributes(
            QueueUrl=deployed.ids[f"{worker}DeadLetters"], AttributeNames=["QueueArn"])
        redrive = json.loads(made["RedrivePolicy"])
        assert redrive["deadLetterTargetArn"] == letters["Attributes"]["QueueArn"]


def test_the_table_takes_what_the_functions_write(deployed):
    table = boto3.resource("dynamodb").Table(deployed.ids["Table"])
    table.put_item(Item={"pk": "a", "sk": "b"}, ConditionExpression="attribute_not_exists(pk)")
    assert table.get_item(Key={"pk": "a", "sk": "b"})["Item"] == {"pk": "a", "sk": "b"}
