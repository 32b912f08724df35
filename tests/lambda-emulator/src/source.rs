//! A queue as the event source of a function.

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use snowferry_aws_fakes::services::queue::{Delivery, FifoQueue};
use tokio::task::JoinSet;

use crate::{Answer, BoxError, Function};

/// How long an idle worker waits before it asks the queue again.
const IDLE: Duration = Duration::from_millis(20);

/// What becomes of the deliveries beyond the usual, and who watches them.
pub trait Mischief: Send + Sync {
    /// Returns after what time the process that works on this delivery is killed, if it is.
    fn kill_after(&self, delivery: &Delivery) -> Option<Duration>;

    /// Returns whether a delivery is made a second time, at the same time.
    fn doubles(&self, delivery: &Delivery) -> bool;

    /// Is told that the worker of this delivery has ended, however it did.
    fn ended(&self, delivery: &Delivery);
}

/// No mischief.
#[derive(Clone, Copy, Debug, Default)]
pub struct Peace;

impl Mischief for Peace {
    fn kill_after(&self, _delivery: &Delivery) -> Option<Duration> {
        None
    }

    fn doubles(&self, _delivery: &Delivery) -> bool {
        false
    }

    fn ended(&self, _delivery: &Delivery) {}
}

/// Works a queue off with some workers until it is empty, and returns how each invocation ended.
///
/// A message is deleted when the function answers without naming it as failed; else it comes again
/// after its visibility timeout, and ends as a dead letter after too many receptions.
///
/// # Errors
/// When the binary cannot be started.
pub async fn drain(
    queue: &FifoQueue,
    function: &Arc<Function>,
    workers: usize,
    mischief: &dyn Mischief,
) -> Result<Vec<Answer>, BoxError> {
    let mut running = JoinSet::new();
    let mut answers = Vec::new();
    loop {
        while running.len() < workers {
            let Some(delivery) = queue.receive() else { break };
            let kill_after = mischief.kill_after(&delivery);
            if mischief.doubles(&delivery) {
                let (function, event) = (Arc::clone(function), delivery.event.clone());
                running.spawn(async move { (None, function.invoke(&event).await) });
            }
            let function = Arc::clone(function);
            running.spawn(async move {
                let answer = match kill_after {
                    Some(after) => function.invoke_killed(&delivery.event, after).await,
                    None => function.invoke(&delivery.event).await,
                };
                (Some(delivery), answer)
            });
        }
        if running.is_empty() {
            if queue.is_empty() {
                return Ok(answers);
            }
            tokio::time::sleep(IDLE).await;
            continue;
        }
        // A worker that is free asks again, even while others still work.
        let ended = tokio::select! {
            ended = running.join_next() => ended,
            () = tokio::time::sleep(IDLE) => continue,
        };
        let Some(Ok((delivery, answer))) = ended else { continue };
        let answer = answer?;
        if let Some(delivery) = delivery {
            mischief.ended(&delivery);
            if is_worked_off(&answer) {
                queue.delete(delivery.receipt);
            }
        }
        answers.push(answer);
    }
}

fn is_worked_off(answer: &Answer) -> bool {
    let Answer::Done(body) = answer else { return false };
    body["batchItemFailures"].as_array().is_some_and(Vec::is_empty) || *body == Value::Null
}
