//! The Lambda `check`: every prerequisite of a connection, seen from the fixed addresses; changes
//! nothing. Everything is in `snowferry_bootstrap::aws::check`; this file only wires.

use lambda_runtime::{Error, LambdaEvent, run, service_fn};
use serde_json::Value;
use snowferry_bootstrap::aws::check::handle;
use snowferry_bootstrap::aws::{Cloud, start_logs};

#[tokio::main]
async fn main() -> Result<(), Error> {
    start_logs()?;
    let cloud = &Cloud::from_env().await?;
    run(service_fn(|event: LambdaEvent<Value>| Box::pin(handle(cloud, event.payload)))).await
}
