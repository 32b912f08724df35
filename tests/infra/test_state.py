"""What must outlive the stack does, is encrypted, and is not deleted too early or too late."""

import pytest
from template import Stack, transformed

MOST_STAGED_DAYS = 30


def statement(sid):
    statements = Stack().properties("BucketPolicy")["PolicyDocument"]["Statement"]
    return next(s for s in statements if s["Sid"] == sid)


@pytest.mark.parametrize("name", ["Bucket", "BucketPolicy", "Table", "DataKey"])
def test_state_outlives_the_stack(name):
    resource = transformed()["Resources"][name]
    assert resource["DeletionPolicy"] == "Retain"
    assert resource["UpdateReplacePolicy"] == "Retain"
    assert "Condition" not in resource


def test_the_bucket_is_closed_to_the_public():
    block = Stack().properties("Bucket")["PublicAccessBlockConfiguration"]
    assert set(block.values()) == {True}
    assert len(block) == 4
    rule, = Stack().properties("Bucket")["OwnershipControls"]["Rules"]
    assert rule["ObjectOwnership"] == "BucketOwnerEnforced"


def test_the_bucket_takes_tls_only():
    assert statement("TlsOnly")["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
    assert statement("ModernTlsOnly")["Condition"] == {"NumericLessThan": {"s3:TlsVersion": 1.2}}
    for sid in ("TlsOnly", "ModernTlsOnly"):
        assert (statement(sid)["Effect"], statement(sid)["Principal"]) == ("Deny", "*")
        assert len(statement(sid)["Resource"]) == 2, "the bucket and its objects"


def test_objects_are_encrypted_by_our_key_and_by_no_other():
    rule, = Stack().properties("Bucket")["BucketEncryption"]["ServerSideEncryptionConfiguration"]
    assert rule["ServerSideEncryptionByDefault"] == {
        "SSEAlgorithm": "aws:kms", "KMSMasterKeyID": {"Fn::GetAtt": ["DataKey", "Arn"]},
    }
    for sid, header in [
        ("NoOtherEncryption", "s3:x-amz-server-side-encryption"),
        ("NoOtherKey", "s3:x-amz-server-side-encryption-aws-kms-key-id"),
    ]:
        condition = statement(sid)["Condition"]
        # An absent header means the bucket's own encryption, so only a present one is judged.
        assert condition["Null"] == {header: "false"}
        assert list(condition["StringNotEquals"]) == [header]
        assert statement(sid)["Effect"] == "Deny"
    assert Stack().properties("DataKey")["EnableKeyRotation"] is True


def test_functions_reach_the_bucket_from_their_network_only():
    found = statement("FunctionsFromTheirNetworkOnly")
    roles = {r["Fn::GetAtt"][0] for r in found["Condition"]["ArnEquals"]["aws:PrincipalArn"]}
    used = {f["Properties"]["Role"]["Fn::GetAtt"][0]
            for f in Stack().of_type("AWS::Lambda::Function").values()}
    assert roles == used
    assert found["Condition"]["StringNotEquals"] == {"aws:SourceVpce": {"Ref": "S3Endpoint"}}


def rules():
    return {r["Id"]: r for r in Stack().properties("Bucket")["LifecycleConfiguration"]["Rules"]}


def test_only_staged_batches_expire_never_plans_manifests_or_the_lake():
    expiring = [r for r in rules().values() if "ExpirationInDays" in r]
    rule, = expiring
    # A plan is read for as long as its table is pulled; only what carries the tag may go.
    assert rule["Prefix"] == "staging/"
    assert rule["TagFilters"] == [{"Key": "snowferry", "Value": "batch"}]
    assert 2 <= int(rule["ExpirationInDays"]) <= MOST_STAGED_DAYS
    assert all(r["Status"] == "Enabled" for r in rules().values())


def test_unfinished_uploads_are_removed_after_a_day():
    rule = rules()["unfinished-uploads-expire"]
    assert rule["AbortIncompleteMultipartUpload"] == {"DaysAfterInitiation": 1}


def test_what_was_deleted_can_be_brought_back_for_a_while():
    assert Stack().properties("Bucket")["VersioningConfiguration"] == {"Status": "Enabled"}
    kept = rules()["deleted-objects-stay-a-while"]["NoncurrentVersionExpiration"]
    assert kept == {"NoncurrentDays": "7"}


def test_the_table_can_be_restored_and_not_be_deleted_by_accident():
    table = Stack().properties("Table")
    assert table["PointInTimeRecoverySpecification"] == {"PointInTimeRecoveryEnabled": True}
    assert table["DeletionProtectionEnabled"] is True
    assert table["SSESpecification"] == {"SSEEnabled": True}


def test_the_table_has_the_keys_and_the_expiry_that_the_functions_use():
    table = Stack().properties("Table")
    keys = [(k["AttributeName"], k["KeyType"]) for k in table["KeySchema"]]
    assert keys == [("pk", "HASH"), ("sk", "RANGE")]
    assert all(a["AttributeType"] == "S" for a in table["AttributeDefinitions"])
    expiry = table["TimeToLiveSpecification"]
    assert expiry == {"AttributeName": "expires_at", "Enabled": True}
    assert table["BillingMode"] == "PAY_PER_REQUEST"
