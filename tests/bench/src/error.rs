//! Why a benchmark gives no figures.

use std::path::PathBuf;

/// Why a benchmark stopped, one variant per thing a reader would do differently.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum BenchError {
    #[error("{step}")]
    Io { step: String, source: std::io::Error },
    #[error("{what} failed ({status}); its last words: {words}")]
    Failed { what: String, status: String, words: String },
    #[error("{what} printed something else than expected: {printed}")]
    Printed { what: String, printed: String },
    #[error("{contender} read {found} rows, {wanted} were expected")]
    Rows { contender: String, found: u64, wanted: u64 },
    #[error("{path} does not tell what a process cost")]
    NoFigures { path: PathBuf },
    #[error(
        "neither SNOWFERRY_JUDGE_CONNECTOR5 nor SNOWFERRY_JUDGE_ADBC names a Python for the peers"
    )]
    NoPython,
}

impl BenchError {
    /// A stable name of the reaction.
    pub(crate) fn code(&self) -> &'static str {
        match self {
            Self::Io { .. } => "BENCH_IO",
            Self::Failed { .. } => "BENCH_FAILED",
            Self::Printed { .. } => "BENCH_PRINTED",
            Self::Rows { .. } => "BENCH_ROWS",
            Self::NoFigures { .. } => "BENCH_NO_FIGURES",
            Self::NoPython => "BENCH_NO_PYTHON",
        }
    }

    /// What a reader can do about it.
    fn hint(&self) -> Option<&'static str> {
        match self {
            Self::NoFigures { .. } => Some("run the benchmark on Linux with /proc mounted"),
            Self::NoPython => Some(
                "make an environment from tests/judges/requirements-connector5.txt or -adbc.txt \
                 (`bash tests/run` does) and set the variable to its python, or leave out --peers",
            ),
            _ => None,
        }
    }

    /// The message with its cause and its repair.
    pub(crate) fn told(&self) -> String {
        let mut text = format!("{}: {self}", self.code());
        let mut cause = std::error::Error::source(self);
        while let Some(error) = cause {
            text.push_str(&format!(": {error}"));
            cause = error.source();
        }
        if let Some(hint) = self.hint() {
            text.push_str(&format!("\nrepair: {hint}"));
        }
        text
    }
}

/// Names the step that an operation of the system failed in.
pub(crate) fn io(step: impl Into<String>) -> impl FnOnce(std::io::Error) -> BenchError {
    let step = step.into();
    move |source| BenchError::Io { step, source }
}
