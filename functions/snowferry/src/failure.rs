//! How a command fails: one message with its repair, and an exit code.

use std::io::Write;
use std::process::ExitCode;

use serde_json::json;
use snowferry_bootstrap::error::BootstrapError;
use snowferry_model::fault::{Blame, Fault, Retry, chain};

use crate::report::RunError;

/// How a command ended without failing as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Done {
    /// All of it is done.
    All,
    /// All of it failed; the command has told how.
    Nothing,
    /// Some tables failed; the command has told which.
    Some,
    /// The user asked to stop.
    Interrupted,
}

impl From<Done> for ExitCode {
    fn from(done: Done) -> Self {
        Self::from(match done {
            Done::All => 0,
            Done::Nothing => FAILED,
            Done::Some => 3,
            Done::Interrupted => 130,
        })
    }
}

const FAILED: u8 = 1;
const USAGE: u8 = 2;

/// Why a command ended before it did anything, in the form in which it is told.
#[derive(Debug)]
pub(crate) struct Failure {
    code: String,
    message: String,
    blame: Blame,
    retry: Retry,
    hint: Option<String>,
    exit: u8,
}

impl Failure {
    /// Takes an error that knows its code, blame and hint.
    pub(crate) fn of(error: &dyn Fault, as_error: &dyn std::error::Error) -> Self {
        Self {
            code: error.code().to_owned(),
            message: chain(as_error),
            blame: error.blame(),
            retry: error.retry(),
            hint: error.hint(),
            exit: FAILED,
        }
    }

    /// Says that the command line asks for something that cannot be.
    pub(crate) fn usage(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self {
            code: "USAGE".to_owned(),
            message: message.into(),
            blame: Blame::Operator,
            retry: Retry::AfterFix,
            hint: Some(hint.into()),
            exit: USAGE,
        }
    }

    /// Says that a file or stream of this machine failed.
    pub(crate) fn local(step: impl std::fmt::Display, error: &dyn std::error::Error) -> Self {
        Self {
            code: "LOCAL_IO".to_owned(),
            message: format!("{step}: {}", chain(error)),
            blame: Blame::Operator,
            retry: Retry::AfterFix,
            hint: None,
            exit: FAILED,
        }
    }

    /// Takes an error that knows its code and maybe its hint, of a part that only tests use.
    pub(crate) fn named(code: &str, error: &dyn std::error::Error, hint: Option<&str>) -> Self {
        let local = Self::local("", error);
        Self {
            code: code.to_owned(),
            message: chain(error),
            hint: hint.map(str::to_owned),
            ..local
        }
    }

    /// Takes what a run said about its own failure.
    pub(crate) fn of_run(error: &RunError) -> Self {
        Self {
            code: error.code.clone(),
            message: error.message.clone(),
            blame: error.blame,
            retry: error.retry,
            hint: error.hint.clone(),
            exit: FAILED,
        }
    }

    /// Says that two things that must be equal are not, or that something else went wrong here.
    pub(crate) fn ours(code: &str, message: impl Into<String>) -> Self {
        Self {
            code: code.to_owned(),
            message: message.into(),
            blame: Blame::Snowferry,
            retry: Retry::AfterFix,
            hint: Some("this is a defect; please report it with the output above".to_owned()),
            exit: FAILED,
        }
    }

    /// Adds or replaces what to do.
    pub(crate) fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Writes the failure to standard error, or as JSON to standard output, and gives the code.
    pub(crate) fn told(&self, json: bool) -> ExitCode {
        // When even the message cannot be written, the exit code still tells.
        let _ = match json {
            true => writeln!(std::io::stdout(), "{:#}", self.as_json()),
            false => write!(std::io::stderr(), "{}", self.as_text()),
        };
        ExitCode::from(self.exit)
    }

    fn as_json(&self) -> serde_json::Value {
        json!({ "error": {
            "code": self.code, "message": self.message, "blame": self.blame,
            "retry": self.retry, "hint": self.hint,
        }})
    }

    fn as_text(&self) -> String {
        let mut text = format!("error: {}\n", self.message);
        text.push_str(&format!("  code: {} ({})\n", self.code, whose(self.blame)));
        if let Some(hint) = &self.hint {
            text.push_str(&format!("  repair: {hint}\n"));
        }
        text
    }
}

impl From<BootstrapError> for Failure {
    fn from(error: BootstrapError) -> Self {
        let mut failure = Self::of(&error, &error);
        if error.is_configuration() {
            failure.exit = USAGE;
        }
        failure
    }
}

/// Says who has to act, in words.
pub(crate) fn whose(blame: Blame) -> &'static str {
    match blame {
        Blame::Customer => "for the customer's administrator to repair",
        Blame::Operator => "for you to repair",
        Blame::Transient => "nobody's fault; try again",
        Blame::Snowferry => "a defect of Snowferry",
    }
}

/// Tells what clap has to say: help on standard output with code 0, misuse with code 2.
pub(crate) fn usage(error: &clap::Error) -> ExitCode {
    // Nothing is left to do when the terminal is gone.
    let _ = error.print();
    if error.use_stderr() { ExitCode::from(USAGE) } else { ExitCode::SUCCESS }
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;

    #[test]
    fn a_failure_tells_what_whose_fault_and_the_repair() {
        let failure = Failure::usage("there is no table X", "name one of A, B");
        expect![[r#"
            error: there is no table X
              code: USAGE (for you to repair)
              repair: name one of A, B
        "#]]
        .assert_eq(&failure.as_text());
        expect![[r#"{"error":{"blame":"operator","code":"USAGE","hint":"name one of A, B","message":"there is no table X","retry":"after_fix"}}"#]]
        .assert_eq(&failure.as_json().to_string());
    }
}
