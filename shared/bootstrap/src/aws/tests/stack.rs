use serde_json::{Value, json};

use crate::aws::stack::Stack;

const OUTPUTS: [(&str, &str); 9] = [
    ("TableName", "snowferry-Table-1"),
    ("LakeUri", "s3://bucket/lake"),
    ("DataKeyArn", "arn:aws:kms:eu-central-1:123456789012:key/0b5d2c2e-1111"),
    ("ScheduleGroupName", "snowferry"),
    ("ScheduleRoleArn", "arn:aws:iam::123456789012:role/snowferry-ScheduleRole-1"),
    ("PullQueueArn", "arn:aws:sqs:eu-central-1:123456789012:snowferry-pull.fifo"),
    ("PushQueueArn", "arn:aws:sqs:eu-central-1:123456789012:snowferry-push.fifo"),
    ("UndeliveredQueueArn", "arn:aws:sqs:eu-central-1:123456789012:snowferry-undelivered"),
    ("AddressA", "203.0.113.7"),
];

fn outputs(changed: &str, to: Option<&str>) -> Vec<Value> {
    let value = |(key, value): &(&str, &str)| match (*key == changed, to) {
        (true, None) => None,
        (true, Some(to)) => Some(json!({ "OutputKey": key, "OutputValue": to })),
        (false, _) => Some(json!({ "OutputKey": key, "OutputValue": value, "Description": "" })),
    };
    OUTPUTS.iter().filter_map(value).collect()
}

fn refused(text: &str) -> String {
    Stack::parse(text).unwrap_err().to_string()
}

#[test]
fn outputs_are_read_as_either_tool_prints_them() {
    let described = json!({ "Stacks": [{ "StackName": "s", "Outputs": outputs("", None) }] });
    let stack = Stack::parse(&described.to_string()).unwrap();
    assert_eq!(stack.region, "eu-central-1");
    assert_eq!(stack.table, "snowferry-Table-1");
    assert_eq!(Stack::parse(&json!(outputs("", None)).to_string()).unwrap(), stack);
}

#[test]
fn an_output_that_is_missing_or_no_address_is_told_by_its_name() {
    for (key, to, told) in [
        ("TableName", None, "the output TableName is missing"),
        ("LakeUri", Some(" "), "the output LakeUri is missing"),
        ("PullQueueArn", Some("snowferry-pull.fifo"), "no address (ARN) of sqs"),
        ("PullQueueArn", Some("arn:aws:sqs:eu-central-1:12:q.fifo"), "no address (ARN) of sqs"),
        ("PushQueueArn", Some("arn:aws:sqs:eu-central-1:123456789012:q"), "no FIFO queue"),
        ("ScheduleRoleArn", Some("arn:aws:iam::123456789012:user/anna"), "no address (ARN) of iam"),
        ("DataKeyArn", Some("arn:aws:kms:eu-central-1:123456789012:alias/x"), "of kms"),
    ] {
        let refused = refused(&json!(outputs(key, to)).to_string());
        assert!(refused.contains(key) && refused.contains(told), "{key} {to:?}: {refused}");
    }
}

#[test]
fn a_file_that_is_something_else_is_refused() {
    for text in ["", "{}", "not json", r#"{"Stacks":[]}"#, r#"[{"OutputKey":1}]"#] {
        assert!(refused(text).starts_with("--stack: the file"), "{text}: {}", refused(text));
    }
}
