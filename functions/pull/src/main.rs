//! The Lambda `pull`: takes an event, pulls what it selects until the deadline, hands the rest on.
//! Everything is in `snowferry_bootstrap::aws::pull`; this file only wires.

use lambda_runtime::{Error, LambdaEvent, run, service_fn};
use serde_json::Value;
use snowferry_bootstrap::aws::invocation::Invocation;
use snowferry_bootstrap::aws::pull::handle;
use snowferry_bootstrap::aws::{Cloud, start_logs};

#[tokio::main]
async fn main() -> Result<(), Error> {
    start_logs()?;
    // Once per cold start; a missing setting ends the function here, with its name.
    let cloud = &Cloud::from_env().await?;
    run(service_fn(|event: LambdaEvent<Value>| async move {
        let invocation =
            Invocation { deadline: event.context.deadline(), request_id: event.context.request_id };
        Box::pin(handle(cloud, event.payload, &invocation)).await
    }))
    .await
}
