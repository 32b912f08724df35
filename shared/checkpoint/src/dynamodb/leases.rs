//! Leases as items: an owner, the end of its time, and an epoch that counts owners.
//!
//! The times are those that callers name. Two machines' clocks may differ by a little, which costs
//! at most that two runs do the same work: no correctness rests on a lease. A lease that ends later
//! than anybody could have asked for now comes from a clock far ahead, and is taken over.

use async_trait::async_trait;
use aws_sdk_dynamodb::types::ReturnValuesOnConditionCheckFailure;
use snowferry_model::state::StreamKey;
use snowferry_model::time::UnixMillis;

use super::DynamoCheckpoint;
use super::items::{Item, connection_key, number, text};
use super::outcome::Failure;
use crate::{CheckpointError, LeaseOutcome, LeaseStore};

/// Who holds a lease that was given back while it was asked for.
const NOBODY: &str = "nobody";

/// How many times its own length a lease may end in the future before its clock is disbelieved.
const FUTURE_FACTOR: u64 = 10;

#[async_trait]
impl LeaseStore for DynamoCheckpoint {
    async fn acquire(
        &self,
        key: &StreamKey,
        owner: &str,
        now: UnixMillis,
        ttl_ms: u64,
    ) -> Result<LeaseOutcome, CheckpointError> {
        let step = format!("take the lease of {key}");
        // A new owner begins a new epoch; the same one keeps its own.
        for (set, condition) in [
            ("SET ends_at = :ends", "holder = :owner"),
            (
                "SET holder = :owner, ends_at = :ends ADD epoch :one",
                "attribute_not_exists(pk) OR attribute_not_exists(holder) \
                 OR ends_at <= :now OR ends_at > :future",
            ),
        ] {
            let future = now.plus_ms(ttl_ms.saturating_mul(FUTURE_FACTOR)).0;
            let mut update = self.update(key, owner, now, ttl_ms).update_expression(set);
            update = update.condition_expression(condition);
            if set.contains(":one") {
                update = update
                    .expression_attribute_values(":one", number(1))
                    .expression_attribute_values(":now", number(now.0))
                    .expression_attribute_values(":future", number(future));
            }
            let Err(error) = update.send().await else { return Ok(LeaseOutcome::Acquired) };
            let failure = Failure::of(error);
            match failure.met() {
                Some(item) if set.contains(":one") => {
                    let holder = Item::new(&step, item).text("holder").unwrap_or(NOBODY);
                    // A retry after a lost answer meets the lease that it has just taken.
                    if holder == owner {
                        return Ok(LeaseOutcome::Acquired);
                    }
                    return Ok(LeaseOutcome::Held { owner: holder.to_owned() });
                }
                Some(_) => {}
                None => return Err(failure.uncertain(step)),
            }
        }
        Ok(LeaseOutcome::Held { owner: NOBODY.to_owned() })
    }

    async fn renew(
        &self,
        key: &StreamKey,
        owner: &str,
        now: UnixMillis,
        ttl_ms: u64,
    ) -> Result<LeaseOutcome, CheckpointError> {
        let step = format!("renew the lease of {key}");
        let update = self
            .update(key, owner, now, ttl_ms)
            .update_expression("SET ends_at = :ends")
            .condition_expression("holder = :owner");
        let Err(error) = update.send().await else { return Ok(LeaseOutcome::Acquired) };
        let failure = Failure::of(error);
        match failure.met() {
            Some(item) => {
                let holder = Item::new(&step, item).text("holder").unwrap_or(NOBODY);
                Ok(LeaseOutcome::Held { owner: holder.to_owned() })
            }
            None => Err(failure.uncertain(step)),
        }
    }

    async fn release(&self, key: &StreamKey, owner: &str) -> Result<(), CheckpointError> {
        let released = self
            .client
            .update_item()
            .table_name(&self.table)
            .key("pk", text(connection_key(&key.connection)))
            .key("sk", text(lease_key(key)))
            .update_expression("REMOVE holder, ends_at")
            .condition_expression("holder = :owner")
            .expression_attribute_values(":owner", text(owner))
            .send()
            .await;
        let Err(error) = released else { return Ok(()) };
        let failure = Failure::of(error);
        if failure.met().is_some() {
            return Ok(());
        }
        Err(failure.uncertain(format!("give back the lease of {key}")))
    }
}

impl DynamoCheckpoint {
    fn update(
        &self,
        key: &StreamKey,
        owner: &str,
        now: UnixMillis,
        ttl_ms: u64,
    ) -> aws_sdk_dynamodb::operation::update_item::builders::UpdateItemFluentBuilder {
        self.client
            .update_item()
            .table_name(&self.table)
            .key("pk", text(connection_key(&key.connection)))
            .key("sk", text(lease_key(key)))
            .expression_attribute_values(":owner", text(owner))
            .expression_attribute_values(":ends", number(now.plus_ms(ttl_ms).0))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
    }
}

fn lease_key(key: &StreamKey) -> String {
    format!("lease#{}", key.table.slug())
}
