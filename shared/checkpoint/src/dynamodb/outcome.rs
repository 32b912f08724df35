//! What an error of the SDK says about what happened.

use std::collections::HashMap;

use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_dynamodb::operation::delete_item::DeleteItemError;
use aws_sdk_dynamodb::operation::get_item::GetItemError;
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::operation::query::QueryError;
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::types::AttributeValue;

use crate::CheckpointError;

type BoxError = Box<dyn std::error::Error + Send + Sync>;
type Attributes = HashMap<String, AttributeValue>;

/// Errors that DynamoDB gives when it is asked too much; nothing was done.
const THROTTLED: [&str; 4] = [
    "ProvisionedThroughputExceededException",
    "RequestLimitExceeded",
    "ThrottlingException",
    "LimitExceededException",
];

/// A call that was not acknowledged.
#[derive(Debug)]
pub(super) enum Failure {
    /// The condition did not hold; the item it met, empty when there is none.
    Met(Attributes),
    /// Refused for now, with nothing done.
    Throttled(BoxError),
    /// Refused, with nothing done.
    Refused(BoxError),
    /// No answer: it may have happened.
    Unknown(BoxError),
}

impl Failure {
    pub(super) fn of<E: Conditional>(error: SdkError<E>) -> Self {
        if let Some(met) = error.as_service_error().and_then(Conditional::met) {
            return Self::Met(met);
        }
        let code = error.code().map(str::to_owned);
        let refused = match &error {
            SdkError::ConstructionFailure(_) => true,
            SdkError::ServiceError(answer) => answer.raw().status().as_u16() < 500,
            _ => false,
        };
        let throttled = code.as_deref().is_some_and(|code| THROTTLED.contains(&code));
        let told = told(code, error);
        match (throttled, refused) {
            (true, _) => Self::Throttled(told),
            (false, true) => Self::Refused(told),
            (false, false) => Self::Unknown(told),
        }
    }

    /// Returns the item that a condition failed on.
    pub(super) fn met(&self) -> Option<&Attributes> {
        match self {
            Self::Met(item) => Some(item),
            _ => None,
        }
    }

    pub(super) fn is_unknown(&self) -> bool {
        matches!(self, Self::Unknown(_))
    }

    /// As the error of a call that changed nothing, or whose repetition is harmless.
    pub(super) fn certain(self, step: impl Into<String>) -> CheckpointError {
        let step = step.into();
        match self {
            Self::Met(_) => {
                CheckpointError::Store { step, source: "the condition does not hold".into() }
            }
            Self::Throttled(source) => CheckpointError::Throttled { step, source },
            Self::Refused(source) | Self::Unknown(source) => {
                CheckpointError::Store { step, source }
            }
        }
    }

    /// As the error of a write of which nothing is known.
    pub(super) fn uncertain(self, step: impl Into<String>) -> CheckpointError {
        match self {
            Self::Unknown(source) => CheckpointError::Unknown { step: step.into(), source },
            certain => certain.certain(step),
        }
    }
}

/// Keeps the code and the message of an answer: the SDK's own form may print whole headers.
fn told<E: Conditional>(code: Option<String>, error: SdkError<E>) -> BoxError {
    match (code, error.message()) {
        (Some(code), Some(message)) => format!("DynamoDB answered {code}: {message}").into(),
        (Some(code), None) => format!("DynamoDB answered {code}").into(),
        (None, _) => error.into(),
    }
}

/// An operation's error that may say that a condition did not hold.
pub(super) trait Conditional:
    std::error::Error + ProvideErrorMetadata + Send + Sync + 'static
{
    /// Returns the item that the condition failed on.
    fn met(&self) -> Option<Attributes>;
}

impl Conditional for PutItemError {
    fn met(&self) -> Option<Attributes> {
        match self {
            Self::ConditionalCheckFailedException(failed) => {
                Some(failed.item().cloned().unwrap_or_default())
            }
            _ => None,
        }
    }
}

impl Conditional for UpdateItemError {
    fn met(&self) -> Option<Attributes> {
        match self {
            Self::ConditionalCheckFailedException(failed) => {
                Some(failed.item().cloned().unwrap_or_default())
            }
            _ => None,
        }
    }
}

impl Conditional for DeleteItemError {
    fn met(&self) -> Option<Attributes> {
        None
    }
}

impl Conditional for GetItemError {
    fn met(&self) -> Option<Attributes> {
        None
    }
}

impl Conditional for QueryError {
    fn met(&self) -> Option<Attributes> {
        None
    }
}
