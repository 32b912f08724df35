//! What an error of the SDK says about what happened.

use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::operation::head_object::HeadObjectError;

use crate::{ObjectKey, StagingError};

/// What is known after a write that was not acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Certainty {
    /// Nothing was written.
    Refused,
    /// The condition failed: an object is there, maybe our own from a try before.
    Exists,
    /// Another conditional write was under way; ours did nothing.
    Met,
    /// It may have been written.
    Unknown,
}

/// Returns what is known after a write failed with `error`.
pub(super) fn certainty<E>(error: &SdkError<E>) -> Certainty {
    match error {
        SdkError::ConstructionFailure(_) => Certainty::Refused,
        SdkError::ServiceError(answer) => match answer.raw().status().as_u16() {
            412 => Certainty::Exists,
            409 => Certainty::Met,
            400..=499 => Certainty::Refused,
            _ => Certainty::Unknown,
        },
        _ => Certainty::Unknown,
    }
}

/// Returns whether the answer to a HEAD says that there is no object.
pub(super) fn is_absent(error: &SdkError<HeadObjectError>) -> bool {
    error.as_service_error().is_some_and(HeadObjectError::is_not_found)
}

/// Wraps the error of a call that changes nothing, or whose repetition is harmless.
pub(super) fn store_error<E>(
    step: &'static str,
    key: &ObjectKey,
    error: SdkError<E>,
) -> StagingError
where
    E: std::error::Error + Send + Sync + ProvideErrorMetadata + 'static,
{
    StagingError::Store { step, key: key.0.clone(), source: told(error) }
}

/// Wraps the error of a write by what is known of its outcome.
pub(super) fn write_error<E>(
    step: &'static str,
    key: &ObjectKey,
    error: SdkError<E>,
) -> StagingError
where
    E: std::error::Error + Send + Sync + ProvideErrorMetadata + 'static,
{
    let key = key.0.clone();
    match certainty(&error) {
        Certainty::Unknown => StagingError::Unknown { step, key, source: told(error) },
        _ => StagingError::Store { step, key, source: told(error) },
    }
}

/// Keeps the code and the message that S3 gave; everything else of a response is left out, because
/// the SDK's own form may print whole headers.
fn told<E>(error: SdkError<E>) -> Box<dyn std::error::Error + Send + Sync>
where
    E: std::error::Error + Send + Sync + ProvideErrorMetadata + 'static,
{
    match (error.code(), error.message()) {
        (Some(code), Some(message)) => format!("S3 answered {code}: {message}").into(),
        (Some(code), None) => format!("S3 answered {code}").into(),
        (None, _) => match error {
            SdkError::ServiceError(answer) => {
                format!("S3 answered with status {}", answer.raw().status()).into()
            }
            other => other.into(),
        },
    }
}
