//! The envelope of a reply: read once, its data borrowed from the body until they are needed.

use std::borrow::Cow;
use std::ops::Range;

use bytes::Bytes;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::SnowflakeError;

/// The reply to a request: envelope read, data still as text.
pub(super) struct Answer {
    body: Bytes,
    data: Range<usize>,
    pub(super) success: bool,
    /// Six digits, or empty.
    pub(super) code: String,
    pub(super) message: String,
}

#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(borrow, default)]
    data: Option<&'a RawValue>,
    #[serde(borrow, default)]
    code: Option<&'a RawValue>,
    #[serde(borrow, default)]
    message: Option<Cow<'a, str>>,
    #[serde(default)]
    success: bool,
}

/// Why a body is no envelope; nothing of the body itself is kept.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Unreadable {
    /// It is the beginning of JSON, or nothing at all.
    EndsEarly,
    /// It is a web page.
    Page,
    /// It is something else.
    Other(String),
}

impl Unreadable {
    fn of(body: &[u8], error: &serde_json::Error) -> Self {
        let first = body.iter().find(|byte| !byte.is_ascii_whitespace());
        match (first, error.is_eof()) {
            (Some(b'<'), _) => Self::Page,
            (_, true) => Self::EndsEarly,
            _ => Self::Other(format!("no JSON envelope: {:?} error", error.classify())),
        }
    }
}

impl Answer {
    pub(super) fn parse(body: Bytes) -> Result<Self, Unreadable> {
        let envelope: Envelope<'_> =
            serde_json::from_slice(&body).map_err(|error| Unreadable::of(&body, &error))?;
        let data = envelope.data.map_or("", RawValue::get);
        // The data stay where they are in the body; only their place is kept.
        let start = (data.as_ptr() as usize).checked_sub(body.as_ptr() as usize);
        let start = start.filter(|_| !data.is_empty()).unwrap_or(0);
        let range = start..start + data.len();
        let code = envelope.code.map_or("", RawValue::get).trim_matches('"').to_owned();
        let message = envelope.message.map(Cow::into_owned).unwrap_or_default();
        let success = envelope.success;
        Ok(Self { data: range, success, code, message, body })
    }

    /// Reads the data, borrowing from the reply.
    pub(super) fn data<'a, T: Deserialize<'a>>(&'a self, step: &str) -> Result<T, SnowflakeError> {
        let data = self.body.get(self.data.clone()).filter(|data| !data.is_empty());
        serde_json::from_slice(data.unwrap_or(b"null")).map_err(|error| {
            // The column of the error is enough to find it; its text could hold values.
            let place = (error.line(), error.column());
            protocol(step, &format!("unexpected data ({:?} error at {place:?})", error.classify()))
        })
    }

    /// Returns a part of the reply that `part`, borrowed from it, covers.
    pub(super) fn shared(&self, part: &str) -> Bytes {
        self.body.slice_ref(part.as_bytes())
    }

    pub(super) fn is_running(&self) -> bool {
        matches!(self.code.as_str(), "333333" | "333334")
    }
}

fn protocol(step: &str, reason: &str) -> SnowflakeError {
    SnowflakeError::Protocol { step: step.to_owned(), reason: reason.to_owned() }
}
