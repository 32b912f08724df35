//! Runs a Lambda function's own binary as Lambda does.
//!
//! A [`Function`] starts its binary with a Runtime API of its own ([`sandbox`]): `next`,
//! `response`, `error`, `init/error`. What other emulators leave out is here, because it is what
//! a long run has to live with:
//!
//! - a **real deadline**, in the header and by SIGKILL;
//! - a **frozen process** between two invocations (SIGSTOP, SIGCONT): nothing runs on meanwhile;
//! - **asynchronous calls** that are tried again ([`Function::invoke_async`]);
//! - a **queue** as event source ([`source`]): several workers, one message of a group at a time,
//!   deleted when it was worked off, back after its visibility timeout when not.
//!
//! [`stack`] tells functions and commands of the AWS on this machine.
//!
//! Not here: memory limits, `/tmp` limits, extensions, and anything of IAM.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde_json::Value;

pub mod sandbox;
pub mod source;
pub mod stack;

use sandbox::Sandbox;

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// What Lambda is told about a function.
#[derive(Clone, Debug)]
pub struct FunctionOptions {
    /// Its name.
    pub name: String,
    /// Its binary.
    pub binary: PathBuf,
    /// Its environment; nothing else is passed on.
    pub environment: BTreeMap<String, String>,
    /// How long an invocation may take.
    pub timeout: Duration,
}

/// How an invocation ended.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    /// It returned this.
    Done(Value),
    /// It failed with this: `errorType` and `errorMessage`.
    Failed(Value),
    /// It was killed at its deadline.
    TimedOut,
    /// It was killed on order.
    Killed,
    /// Its process ended by itself.
    Exited,
}

/// A function and its processes.
#[derive(Debug)]
pub struct Function {
    options: FunctionOptions,
    idle: Mutex<Vec<Sandbox>>,
    output: Arc<Mutex<Vec<String>>>,
    starts: AtomicU32,
    invocations: AtomicU32,
    figures: Mutex<Figures>,
}

/// What the processes of a function have cost.
#[derive(Clone, Debug, Default)]
pub struct Figures {
    /// From the start of each process until it asked for its first event.
    pub start_times: Vec<Duration>,
    /// The most memory that a process had at the end of an invocation, in KiB; 0 where the system
    /// does not tell.
    pub peak_memory_kib: u64,
}

impl Function {
    /// Takes a function; its first invocation starts a process.
    #[must_use]
    pub fn new(options: FunctionOptions) -> Self {
        Self {
            options,
            idle: Mutex::default(),
            output: Arc::default(),
            starts: AtomicU32::new(0),
            invocations: AtomicU32::new(0),
            figures: Mutex::default(),
        }
    }

    /// Invokes it and waits for the end, in a frozen process if there is one.
    ///
    /// # Errors
    /// When the binary cannot be started.
    pub async fn invoke(&self, event: &Value) -> Result<Answer, BoxError> {
        self.invoke_within(event, None).await
    }

    /// As [`Self::invoke`], and kills the process after a while, like a machine that fails.
    ///
    /// # Errors
    /// When the binary cannot be started.
    pub async fn invoke_killed(&self, event: &Value, after: Duration) -> Result<Answer, BoxError> {
        self.invoke_within(event, Some(after)).await
    }

    /// Invokes it as an event: a failure is tried again twice, after `pause` and twice that.
    /// Returns how each attempt ended.
    ///
    /// # Errors
    /// When the binary cannot be started.
    pub async fn invoke_async(
        &self,
        event: &Value,
        pause: Duration,
    ) -> Result<Vec<Answer>, BoxError> {
        let mut answers = Vec::new();
        for attempt in 0..3 {
            tokio::time::sleep(pause * attempt).await;
            let answer = self.invoke(event).await?;
            let done = matches!(answer, Answer::Done(_));
            answers.push(answer);
            if done {
                break;
            }
        }
        Ok(answers)
    }

    /// Returns its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.options.name
    }

    /// Returns the lines that its processes wrote to standard output.
    #[must_use]
    pub fn output(&self) -> Vec<String> {
        self.output.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Returns how many processes were started: cold starts.
    pub fn starts(&self) -> u32 {
        self.starts.load(Ordering::Relaxed)
    }

    /// Returns how often it was invoked.
    pub fn invocations(&self) -> u32 {
        self.invocations.load(Ordering::Relaxed)
    }

    /// Returns what its processes have cost so far.
    pub fn figures(&self) -> Figures {
        self.figures.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    async fn invoke_within(
        &self,
        event: &Value,
        kill_after: Option<Duration>,
    ) -> Result<Answer, BoxError> {
        self.invocations.fetch_add(1, Ordering::Relaxed);
        let frozen = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let mut sandbox = match frozen {
            Some(sandbox) => sandbox,
            None => {
                self.starts.fetch_add(1, Ordering::Relaxed);
                Sandbox::start(&self.options, &self.output).await?
            }
        };
        let answer = sandbox.invoke(event, self.options.timeout, kill_after).await;
        {
            let mut figures = self.figures.lock().unwrap_or_else(PoisonError::into_inner);
            figures.start_times.extend(sandbox.start_time());
            figures.peak_memory_kib = figures.peak_memory_kib.max(sandbox.peak_memory_kib());
        }
        if matches!(answer, Answer::Done(_) | Answer::Failed(_)) {
            self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(sandbox);
        }
        Ok(answer)
    }
}
