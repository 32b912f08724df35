//! A deployed stack as its outputs tell it: what `snowferry apply` needs to know.
//!
//! The file is what `aws cloudformation describe-stacks --stack-name NAME` prints, or what
//! `sam list stack-outputs --output json` does. Every name in it is tested before anything is
//! changed: Scheduler takes an address of nothing, and never says so.

use std::path::Path;

use serde::Deserialize;

use crate::error::BootstrapError;

/// Where the operator's commands find a stack.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stack {
    /// The region, as the queues' addresses tell it.
    pub region: String,
    /// The table of connections and states.
    pub table: String,
    /// The lake's address.
    pub lake: String,
    /// The key that secrets are encrypted by.
    pub data_key: String,
    /// The group of the schedules.
    pub schedule_group: String,
    /// The role that schedules take.
    pub schedule_role: String,
    /// The queue of pulls.
    pub pull_queue: String,
    /// The queue of pushes.
    pub push_queue: String,
    /// Where a schedule puts what it could not deliver.
    pub undelivered_queue: String,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Told {
    Described {
        #[serde(rename = "Stacks")]
        stacks: Vec<Described>,
    },
    Outputs(Vec<Output>),
}

#[derive(Deserialize)]
struct Described {
    #[serde(rename = "Outputs", default)]
    outputs: Vec<Output>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Output {
    output_key: String,
    output_value: String,
}

impl Stack {
    /// Reads the outputs from a file.
    ///
    /// # Errors
    /// [`BootstrapError::Setting`] with the output that is missing or wrong.
    pub fn read(file: &Path) -> Result<Self, BootstrapError> {
        let text = std::fs::read_to_string(file)
            .map_err(|error| refused(format!("read {}: {error}", file.display())))?;
        Self::parse(&text)
    }

    /// Understands the text of such a file.
    ///
    /// # Errors
    /// As [`Stack::read`].
    pub fn parse(text: &str) -> Result<Self, BootstrapError> {
        let told = serde_json::from_str::<Told>(text);
        let outputs = match told {
            Ok(Told::Outputs(outputs)) => outputs,
            Ok(Told::Described { stacks }) => match <[Described; 1]>::try_from(stacks) {
                Ok([stack]) => stack.outputs,
                Err(all) => {
                    return Err(refused(format!(
                        "the file describes {} stacks, not one",
                        all.len()
                    )));
                }
            },
            Err(_) => {
                let text = "the file is not what `aws cloudformation describe-stacks --stack-name \
                            NAME` prints";
                return Err(refused(text.to_owned()));
            }
        };
        let value = |key: &'static str| {
            let found = outputs.iter().find(|output| output.output_key == key);
            let value = found.map(|output| output.output_value.trim().to_owned());
            value.filter(|value| !value.is_empty()).ok_or_else(|| {
                refused(format!("the output {key} is missing: is the stack of this version?"))
            })
        };
        let queue = |key| value(key).and_then(|text| arn(key, &text, "sqs", is_name));
        let pull_queue = queue("PullQueueArn")?;
        let stack = Self {
            region: part(&pull_queue, 3).to_owned(),
            table: value("TableName")?,
            lake: value("LakeUri")?,
            data_key: arn("DataKeyArn", &value("DataKeyArn")?, "kms", |name| {
                name.strip_prefix("key/").is_some_and(is_name)
            })?,
            schedule_group: value("ScheduleGroupName")?,
            schedule_role: arn("ScheduleRoleArn", &value("ScheduleRoleArn")?, "iam", |name| {
                name.strip_prefix("role/").is_some_and(|name| name.split('/').all(is_name))
            })?,
            push_queue: queue("PushQueueArn")?,
            undelivered_queue: queue("UndeliveredQueueArn")?,
            pull_queue,
        };
        for (key, queue) in
            [("PullQueueArn", &stack.pull_queue), ("PushQueueArn", &stack.push_queue)]
        {
            if !queue.ends_with(".fifo") {
                return Err(refused(format!("{key} is {queue}, which is no FIFO queue")));
            }
        }
        Ok(stack)
    }
}

fn refused(reason: String) -> BootstrapError {
    BootstrapError::Setting { setting: "--stack", reason }
}

/// Tests an address of a resource: partition, service, region, account, and the resource's name.
fn arn(
    key: &str,
    text: &str,
    service: &str,
    is_resource: impl Fn(&str) -> bool,
) -> Result<String, BootstrapError> {
    let parts: Vec<&str> = text.splitn(6, ':').collect();
    let fits = match parts[..] {
        ["arn", partition, found, region, account, resource] => {
            let global = service == "iam";
            (partition == "aws" || partition.starts_with("aws-"))
                && found == service
                && (global == region.is_empty())
                && region
                    .bytes()
                    .all(|byte| byte.is_ascii_lowercase() || b"-0123456789".contains(&byte))
                && account.len() == 12
                && account.bytes().all(|byte| byte.is_ascii_digit())
                && is_resource(resource)
        }
        _ => false,
    };
    if fits {
        return Ok(text.to_owned());
    }
    let shown: String = text.chars().take(200).collect();
    Err(refused(format!("{key} is `{shown}`, which is no address (ARN) of {service}")))
}

fn is_name(name: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.+=,@".contains(&byte);
    !name.is_empty() && name.len() <= 128 && name.bytes().all(allowed)
}

fn part(arn: &str, number: usize) -> &str {
    arn.split(':').nth(number).unwrap_or_default()
}
