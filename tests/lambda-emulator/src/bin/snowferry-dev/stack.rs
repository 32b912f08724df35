//! Our side: bucket, table, queues, secrets, schedules and the functions.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use snowferry_aws_fakes::dynamodb::{DynamoLocal, FOLDER_VARIABLE};
use snowferry_aws_fakes::s3::FakeS3;
use snowferry_aws_fakes::services::FakeServices;
use snowferry_lambda_emulator::stack::{self, BUCKET, TABLE};
use snowferry_lambda_emulator::{Function, FunctionOptions};

use crate::{BoxError, say};

/// What is deployed. It ends when this is dropped.
pub(crate) struct Stack {
    /// Pulls.
    pub(crate) pull: Arc<Function>,
    /// Pushes.
    pub(crate) push: Arc<Function>,
    check: Arc<Function>,
    _s3: FakeS3,
    _dynamodb: DynamoLocal,
}

impl Stack {
    /// Starts everything and writes `stack.json` and `env.sh`.
    pub(crate) async fn start(
        binaries: &Path,
        folder: &Path,
        timeout: Duration,
        pulls: &FakeServices,
        pushes: &FakeServices,
    ) -> Result<Self, BoxError> {
        let dynamodb = DynamoLocal::start().await?;
        let dynamodb = dynamodb
            .ok_or_else(|| format!("{FOLDER_VARIABLE} is not set: start this by `tests/dev`"))?;
        dynamodb.create_table(TABLE).await?;
        let s3 = FakeS3::start(&[BUCKET], 0).await?;
        let common = stack::environment(&s3, &dynamodb, pulls);
        let function = |name: &str, services: &FakeServices| {
            let environment = stack::function_environment(&common, services);
            Arc::new(Function::new(FunctionOptions {
                name: format!("snowferry-{name}"),
                binary: binaries.join(format!("snowferry-fn-{name}")),
                environment,
                timeout,
            }))
        };
        let (pull, push) = (function("pull", pulls), function("push", pushes));
        let check = function("check", pulls);
        std::fs::write(folder.join("stack.json"), stack::outputs().to_string())?;
        let mut text = String::new();
        for (name, value) in &common {
            text.push_str(&format!("export {name}={value}\n"));
        }
        text.push_str("export SNOWFERRY_STACK=stack.json\n");
        text.push_str(&format!("export PATH={}:$PATH\n", binaries.display()));
        std::fs::write(folder.join("env.sh"), text)?;
        Ok(Self { pull, push, check, _s3: s3, _dynamodb: dynamodb })
    }

    /// Stores the connection, as an operator does.
    pub(crate) fn apply(&self, binaries: &Path, folder: &Path) -> Result<(), BoxError> {
        let command = format!(
            "source ./env.sh && {}/snowferry apply connections/acme.yaml --yes",
            binaries.display()
        );
        let applied = std::process::Command::new("bash")
            .args(["-c", &command])
            .current_dir(folder)
            .output()?;
        if !applied.status.success() {
            return Err(String::from_utf8_lossy(&applied.stderr).into_owned().into());
        }
        say(String::from_utf8_lossy(&applied.stdout).trim_end());
        Ok(())
    }

    /// Returns the functions.
    pub(crate) fn functions(&self) -> Vec<Arc<Function>> {
        [&self.pull, &self.push, &self.check].map(Arc::clone).into()
    }
}
