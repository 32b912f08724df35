//! Attributes of items, and the keys they are found by.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;
use snowferry_model::names::ConnectionName;

use crate::CheckpointError;

/// The partition of one connection.
pub(super) fn connection_key(connection: &ConnectionName) -> String {
    format!("connection#{connection}")
}

pub(super) fn text(value: impl Into<String>) -> AttributeValue {
    AttributeValue::S(value.into())
}

pub(super) fn number(value: impl std::fmt::Display) -> AttributeValue {
    AttributeValue::N(value.to_string())
}

/// An item that was read; what is missing in it is told with its name.
#[derive(Clone, Copy, Debug)]
pub(super) struct Item<'a> {
    what: &'a str,
    attributes: &'a HashMap<String, AttributeValue>,
}

impl<'a> Item<'a> {
    pub(super) fn new(what: &'a str, attributes: &'a HashMap<String, AttributeValue>) -> Self {
        Self { what, attributes }
    }

    pub(super) fn text(self, name: &str) -> Result<&'a str, CheckpointError> {
        let found = self.attributes.get(name).and_then(|value| value.as_s().ok());
        found.map(String::as_str).ok_or_else(|| self.corrupt(format!("it has no text `{name}`")))
    }

    pub(super) fn number<T: std::str::FromStr>(self, name: &str) -> Result<T, CheckpointError> {
        let found = self.attributes.get(name).and_then(|value| value.as_n().ok());
        found
            .and_then(|digits| digits.parse().ok())
            .ok_or_else(|| self.corrupt(format!("it has no number `{name}`")))
    }

    pub(super) fn corrupt(self, reason: String) -> CheckpointError {
        CheckpointError::Corrupt { what: self.what.to_owned(), reason }
    }
}
