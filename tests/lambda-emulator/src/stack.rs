//! A stack on this machine as others are told of it: its outputs, and what functions and commands
//! find in their environment.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use snowferry_aws_fakes::dynamodb::DynamoLocal;
use snowferry_aws_fakes::s3::{ACCESS_KEY, FakeS3, SECRET_KEY};
use snowferry_aws_fakes::services::FakeServices;

/// The bucket of staged objects and of the lake.
pub const BUCKET: &str = "snowferry";

/// The table of connections and states.
pub const TABLE: &str = "snowferry";

const REGION: &str = "us-east-1";
const ACCOUNT: &str = "123456789012";

/// Returns the outputs of the stack, as CloudFormation describes them.
#[must_use]
pub fn outputs() -> Value {
    let arn = |service: &str, name: &str| {
        let region = if service == "iam" { "" } else { REGION };
        format!("arn:aws:{service}:{region}:{ACCOUNT}:{name}")
    };
    let outputs: Vec<Value> = [
        ("TableName", TABLE.to_owned()),
        ("LakeUri", format!("s3://{BUCKET}/lake")),
        ("DataKeyArn", arn("kms", "key/0b5d2c2e-0000-4000-8000-000000000000")),
        ("ScheduleGroupName", "snowferry".to_owned()),
        ("ScheduleRoleArn", arn("iam", "role/snowferry-schedule")),
        ("PullQueueArn", arn("sqs", "snowferry-pull.fifo")),
        ("PushQueueArn", arn("sqs", "snowferry-push.fifo")),
        ("UndeliveredQueueArn", arn("sqs", "snowferry-undelivered")),
    ]
    .into_iter()
    .map(|(key, value)| json!({ "OutputKey": key, "OutputValue": value }))
    .collect();
    json!({ "Stacks": [{ "StackName": "snowferry", "Outputs": outputs }] })
}

/// Returns credentials, and where the services listen.
#[must_use]
pub fn environment(
    s3: &FakeS3,
    dynamodb: &DynamoLocal,
    services: &FakeServices,
) -> BTreeMap<String, String> {
    let services = services.endpoint.as_str();
    [
        ("AWS_REGION", REGION),
        ("AWS_ACCESS_KEY_ID", ACCESS_KEY),
        ("AWS_SECRET_ACCESS_KEY", SECRET_KEY),
        ("AWS_ENDPOINT_URL_S3", s3.endpoint.as_str()),
        ("AWS_ENDPOINT_URL_DYNAMODB", dynamodb.endpoint.as_str()),
        ("AWS_ENDPOINT_URL_SECRETS_MANAGER", services),
        ("AWS_ENDPOINT_URL_SCHEDULER", services),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .into()
}

/// Returns what a function finds: the same, and the names of its own things. Its queue is that of
/// `services`.
#[must_use]
pub fn function_environment(
    stack: &BTreeMap<String, String>,
    services: &FakeServices,
) -> BTreeMap<String, String> {
    let mut environment = stack.clone();
    for (variable, value) in [
        ("AWS_ENDPOINT_URL_SQS", services.endpoint.clone()),
        ("SNOWFERRY_QUEUE_URL", services.queue_url()),
        ("SNOWFERRY_TABLE", TABLE.to_owned()),
        ("SNOWFERRY_BUCKET", BUCKET.to_owned()),
        ("SNOWFERRY_LAKE_URI", format!("s3://{BUCKET}/lake")),
        ("SNOWFERRY_LOG", "warn".to_owned()),
    ] {
        environment.insert(variable.to_owned(), value);
    }
    environment
}
