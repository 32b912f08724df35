//! Failures on their way in and out: an error of AWS's SDKs becomes ours, and Lambda is told of a
//! failed invocation by a stable code as the type, so that alarms and readers of dead letters can
//! match on it, and one sentence with the repair.

use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use lambda_runtime::Diagnostic;
use snowferry_model::fault::{Fault, chain};

use crate::error::BootstrapError;

/// A failed invocation.
#[derive(Debug, thiserror::Error)]
#[error("{code}: {message}")]
pub struct Failure {
    /// The stable code.
    pub code: String,
    /// What happened, with its causes and the repair.
    pub message: String,
}

impl Failure {
    /// Takes code, message and repair of an error.
    #[must_use]
    pub fn of(error: &BootstrapError) -> Self {
        Self::told(error.code(), &chain(error), error.hint().as_deref())
    }

    /// Takes code, message and repair.
    #[must_use]
    pub fn told(code: &str, message: &str, repair: Option<&str>) -> Self {
        let message = match repair {
            Some(repair) => format!("{message}; {repair}"),
            None => message.to_owned(),
        };
        Self { code: code.to_owned(), message }
    }
}

impl From<Failure> for Diagnostic {
    fn from(failure: Failure) -> Self {
        Self { error_type: failure.code, error_message: failure.message }
    }
}

/// Makes an error of ours of one of an SDK. All SDKs have the same type of errors.
///
/// Keeps the code and the message of an answer; the SDK's own form may print whole headers.
pub(super) fn cloud<E>(step: String, error: SdkError<E>) -> BootstrapError
where
    E: std::error::Error + ProvideErrorMetadata + Send + Sync + 'static,
{
    let source = match (error.code(), error.message()) {
        (Some(code), Some(message)) => format!("AWS answered {code}: {message}").into(),
        (Some(code), None) => format!("AWS answered {code}").into(),
        (None, _) => error.into(),
    };
    BootstrapError::Cloud { step, source }
}
