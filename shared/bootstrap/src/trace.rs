//! Logs: to standard error, quiet unless asked, as text or JSON lines.
//!
//! `SNOWFERRY_LOG` or `--log` holds a filter such as `info` or `snowferry_pull=debug,warn`.
//! **Invariant:** no row value, cursor value or secret is ever logged, at any level.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

use crate::error::BootstrapError;

/// The variable that holds the filter.
pub const LOG_VARIABLE: &str = "SNOWFERRY_LOG";

/// The form of a log line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogForm {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// Sends logs that pass `filter` to standard error, for the rest of the process.
///
/// # Errors
/// [`BootstrapError::Setting`] when the filter cannot be understood.
pub fn start(filter: &str, form: LogForm) -> Result<(), BootstrapError> {
    let filter = EnvFilter::try_new(filter).map_err(|error| BootstrapError::Setting {
        setting: "--log",
        reason: format!(
            "the filter `{filter}` cannot be understood ({error}); \
             allowed: error, warn, info, debug, trace, or TARGET=LEVEL,…"
        ),
    })?;
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    // A second start in one process, as in tests, keeps the first.
    let _ = match form {
        LogForm::Text => builder.with_ansi(std::io::stderr().is_terminal()).try_init(),
        LogForm::Json => builder.json().with_current_span(true).try_init(),
    };
    Ok(())
}
