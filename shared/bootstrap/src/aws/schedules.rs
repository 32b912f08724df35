//! EventBridge Scheduler: one schedule for the pulls of a connection and one for its pushes, each
//! sending the event that a person would send into the queue.

use aws_sdk_scheduler::Client;
use aws_sdk_scheduler::operation::get_schedule::GetScheduleOutput;
use aws_sdk_scheduler::types::{
    DeadLetterConfig, FlexibleTimeWindow, FlexibleTimeWindowMode, RetryPolicy, ScheduleState,
    SqsParameters, Target,
};

use super::failure::cloud;
use crate::error::BootstrapError;

/// How long Scheduler tries to hand an event on, and how often: an hour, as the event of the next
/// day must not meet it.
pub(super) const MOST_AGE_S: i32 = 3600;
pub(super) const MOST_TRIES: i32 = 20;

/// Everything of a schedule that we set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) expression: String,
    pub(super) time_zone: String,
    pub(super) window_minutes: Option<i32>,
    pub(super) is_enabled: bool,
    pub(super) queue: String,
    pub(super) message_group: String,
    pub(super) input: String,
    pub(super) role: String,
    pub(super) dead_letters: String,
    pub(super) most_age_s: i32,
    pub(super) most_tries: i32,
}

impl Entry {
    fn of(found: &GetScheduleOutput) -> Self {
        let text = |value: Option<&str>| value.unwrap_or_default().to_owned();
        let target = found.target();
        let sqs = target.and_then(Target::sqs_parameters);
        let retry = target.and_then(Target::retry_policy);
        let window = found.flexible_time_window();
        Self {
            expression: text(found.schedule_expression()),
            time_zone: text(found.schedule_expression_timezone()),
            window_minutes: window.and_then(FlexibleTimeWindow::maximum_window_in_minutes),
            is_enabled: found.state() == Some(&ScheduleState::Enabled),
            queue: text(target.map(Target::arn)),
            message_group: text(sqs.and_then(SqsParameters::message_group_id)),
            input: text(target.and_then(Target::input)),
            role: text(target.map(Target::role_arn)),
            dead_letters: text(
                target.and_then(Target::dead_letter_config).and_then(DeadLetterConfig::arn),
            ),
            most_age_s: retry.and_then(RetryPolicy::maximum_event_age_in_seconds).unwrap_or(0),
            most_tries: retry.and_then(RetryPolicy::maximum_retry_attempts).unwrap_or(0),
        }
    }

    /// Says what another entry has differently, a line for each field.
    pub(super) fn differences(&self, wanted: &Self) -> Vec<String> {
        let window = |entry: &Self| match entry.window_minutes {
            Some(minutes) => format!("{minutes} minutes"),
            None => "none".to_owned(),
        };
        let state = |entry: &Self| if entry.is_enabled { "enabled" } else { "disabled" }.to_owned();
        let retry = |entry: &Self| format!("{} s, {} tries", entry.most_age_s, entry.most_tries);
        [
            ("at", self.expression.clone(), wanted.expression.clone()),
            ("time zone", self.time_zone.clone(), wanted.time_zone.clone()),
            ("window", window(self), window(wanted)),
            ("state", state(self), state(wanted)),
            ("queue", self.queue.clone(), wanted.queue.clone()),
            ("message group", self.message_group.clone(), wanted.message_group.clone()),
            ("event", self.input.clone(), wanted.input.clone()),
            ("role", self.role.clone(), wanted.role.clone()),
            ("dead letters", self.dead_letters.clone(), wanted.dead_letters.clone()),
            ("retries", retry(self), retry(wanted)),
        ]
        .into_iter()
        .filter(|(_, before, after)| before != after)
        .map(|(name, before, after)| format!("{name}: {before} -> {after}"))
        .collect()
    }

    /// Says when it fires, for one that is new.
    pub(super) fn told(&self) -> Vec<String> {
        let mut lines = vec![format!("at: {} {}", self.expression, self.time_zone)];
        lines.extend(self.window_minutes.map(|minutes| format!("window: {minutes} minutes")));
        lines
    }

    fn window(&self) -> Result<FlexibleTimeWindow, aws_sdk_scheduler::error::BuildError> {
        let builder = FlexibleTimeWindow::builder();
        match self.window_minutes {
            Some(minutes) => builder
                .mode(FlexibleTimeWindowMode::Flexible)
                .maximum_window_in_minutes(minutes)
                .build(),
            None => builder.mode(FlexibleTimeWindowMode::Off).build(),
        }
    }

    fn target(&self) -> Result<Target, aws_sdk_scheduler::error::BuildError> {
        Target::builder()
            .arn(&self.queue)
            .role_arn(&self.role)
            .input(&self.input)
            .sqs_parameters(SqsParameters::builder().message_group_id(&self.message_group).build())
            .dead_letter_config(DeadLetterConfig::builder().arn(&self.dead_letters).build())
            .retry_policy(
                RetryPolicy::builder()
                    .maximum_event_age_in_seconds(self.most_age_s)
                    .maximum_retry_attempts(self.most_tries)
                    .build(),
            )
            .build()
    }

    fn state(&self) -> ScheduleState {
        if self.is_enabled { ScheduleState::Enabled } else { ScheduleState::Disabled }
    }
}

/// The schedules of one stack.
#[derive(Clone, Debug)]
pub(super) struct Scheduler {
    client: Client,
    group: String,
}

impl Scheduler {
    pub(super) fn new(client: Client, group: &str) -> Self {
        Self { client, group: group.to_owned() }
    }

    /// Reads a schedule; `None` when there is none.
    pub(super) async fn get(&self, name: &str) -> Result<Option<Entry>, BootstrapError> {
        let read = self.client.get_schedule().group_name(&self.group).name(name).send().await;
        match read {
            Ok(found) => Ok(Some(Entry::of(&found))),
            Err(error)
                if error
                    .as_service_error()
                    .is_some_and(|error| error.is_resource_not_found_exception()) =>
            {
                Ok(None)
            }
            Err(error) => Err(cloud(format!("read the schedule {name}"), error)),
        }
    }

    /// Makes a schedule, or changes one that is there.
    pub(super) async fn put(
        &self,
        name: &str,
        entry: &Entry,
        is_there: bool,
    ) -> Result<(), BootstrapError> {
        let built = |source: aws_sdk_scheduler::error::BuildError| BootstrapError::Cloud {
            step: format!("make the schedule {name}"),
            source: source.into(),
        };
        let (window, target) = (entry.window().map_err(built)?, entry.target().map_err(built)?);
        if is_there {
            let update = self
                .client
                .update_schedule()
                .group_name(&self.group)
                .name(name)
                .schedule_expression(&entry.expression)
                .schedule_expression_timezone(&entry.time_zone)
                .flexible_time_window(window)
                .state(entry.state())
                .target(target);
            let step = || format!("change the schedule {name}");
            update.send().await.map_err(|error| cloud(step(), error))?;
            return Ok(());
        }
        let create = self
            .client
            .create_schedule()
            .group_name(&self.group)
            .name(name)
            .schedule_expression(&entry.expression)
            .schedule_expression_timezone(&entry.time_zone)
            .flexible_time_window(window)
            .state(entry.state())
            .target(target);
        match create.send().await {
            Ok(_) => Ok(()),
            // A retry after a lost answer meets the schedule that it has just made.
            Err(error)
                if error.as_service_error().is_some_and(|error| error.is_conflict_exception())
                    && self.get(name).await?.as_ref() == Some(entry) =>
            {
                Ok(())
            }
            Err(error) => Err(cloud(format!("make the schedule {name}"), error)),
        }
    }

    /// Deletes a schedule; one that is not there is no error.
    pub(super) async fn delete(&self, name: &str) -> Result<(), BootstrapError> {
        match self.client.delete_schedule().group_name(&self.group).name(name).send().await {
            Ok(_) => Ok(()),
            Err(error)
                if error
                    .as_service_error()
                    .is_some_and(|error| error.is_resource_not_found_exception()) =>
            {
                Ok(())
            }
            Err(error) => Err(cloud(format!("delete the schedule {name}"), error)),
        }
    }
}
