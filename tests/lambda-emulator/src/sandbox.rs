//! One process of a function and the Runtime API that it talks to.
//! <https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html>

use std::process::Stdio;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, UNIX_EPOCH};

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::net::TcpListener;
use tokio::process::{Child, Command};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

use crate::{Answer, BoxError, FunctionOptions};

/// Numbers the invocations of this emulator.
static INVOCATIONS: AtomicU64 = AtomicU64::new(1);

/// An event on its way into the process.
struct Job {
    id: String,
    event: Vec<u8>,
    deadline_ms: u64,
    done: oneshot::Sender<Answer>,
}

/// What the Runtime API and the emulator share.
struct Api {
    pid: Mutex<Option<u32>>,
    jobs: tokio::sync::Mutex<mpsc::Receiver<Job>>,
    /// Told when the process asks for its next event and is frozen.
    ready: mpsc::Sender<()>,
    current: Mutex<Option<(String, oneshot::Sender<Answer>)>>,
}

/// A process of a function. It ends when this is dropped.
#[derive(Debug)]
pub struct Sandbox {
    child: Child,
    jobs: mpsc::Sender<Job>,
    ready: mpsc::Receiver<()>,
    server: JoinHandle<()>,
    started: tokio::time::Instant,
    /// How long the process took to ask for its first event; told once.
    start_time: Option<Duration>,
    is_warm: bool,
    peak_memory_kib: u64,
}

impl std::fmt::Debug for Job {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Job").field("id", &self.id).finish_non_exhaustive()
    }
}

impl Sandbox {
    /// Starts the binary. What it writes to standard output is added to `output`.
    pub(crate) async fn start(
        options: &FunctionOptions,
        output: &Arc<Mutex<Vec<String>>>,
    ) -> Result<Self, BoxError> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?;
        let (jobs, waiting) = mpsc::channel(1);
        let (ready, asks) = mpsc::channel(8);
        let api = Arc::new(Api {
            pid: Mutex::new(None),
            jobs: tokio::sync::Mutex::new(waiting),
            ready,
            current: Mutex::new(None),
        });
        let router = Router::new()
            .route("/2018-06-01/runtime/invocation/next", get(next))
            .route("/2018-06-01/runtime/invocation/{id}/response", post(response))
            .route("/2018-06-01/runtime/invocation/{id}/error", post(error))
            .route("/2018-06-01/runtime/init/error", post(init_error))
            .with_state(Arc::clone(&api));
        let server = tokio::spawn(async move {
            // It fails with the machine only; the process then ends by itself.
            let _ = axum::serve(listener, router).await;
        });
        let started = tokio::time::Instant::now();
        let mut child = Command::new(&options.binary)
            .env_clear()
            .envs(&options.environment)
            .env("AWS_LAMBDA_RUNTIME_API", address.to_string())
            .env("AWS_LAMBDA_FUNCTION_NAME", &options.name)
            .env("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST")
            .env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "1024")
            .env("AWS_LAMBDA_LOG_GROUP_NAME", format!("/aws/lambda/{}", options.name))
            .env("AWS_LAMBDA_LOG_STREAM_NAME", "local")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        *api.pid.lock().unwrap_or_else(PoisonError::into_inner) = child.id();
        if let Some(stdout) = child.stdout.take() {
            let output = Arc::clone(output);
            tokio::spawn(async move {
                let mut lines = BufReader::new(stdout).lines();
                while let Ok(Some(line)) = lines.next_line().await {
                    output.lock().unwrap_or_else(PoisonError::into_inner).push(line);
                }
            });
        }
        Ok(Self {
            child,
            jobs,
            ready: asks,
            server,
            started,
            start_time: None,
            is_warm: false,
            peak_memory_kib: 0,
        })
    }

    /// Thaws the process, gives it an event and waits for the end. The process is frozen again
    /// when it asks for another one; after any end but an answer it is dead.
    pub(crate) async fn invoke(
        &mut self,
        event: &Value,
        timeout: Duration,
        kill_after: Option<Duration>,
    ) -> Answer {
        let started = tokio::time::Instant::now();
        // The process starts or was frozen when it asked for its next event.
        let asked = tokio::select! {
            asked = self.ready.recv() => asked.is_some(),
            _ = self.child.wait() => false,
            () = tokio::time::sleep(timeout) => false,
        };
        let Some(pid) = self.child.id().filter(|_| asked) else {
            let _ = self.child.kill().await;
            return Answer::Exited;
        };
        if !self.is_warm {
            self.is_warm = true;
            self.start_time = Some(self.started.elapsed());
        }
        signal("CONT", pid).await;
        let (done, ended) = oneshot::channel();
        let id = format!("request-{}", INVOCATIONS.fetch_add(1, Ordering::Relaxed));
        let deadline = UNIX_EPOCH.elapsed().unwrap_or_default() + timeout;
        let deadline_ms = u64::try_from(deadline.as_millis()).unwrap_or(u64::MAX);
        let job = Job { id, event: event.to_string().into_bytes(), deadline_ms, done };
        if self.jobs.send(job).await.is_err() {
            return Answer::Exited;
        }
        let kill_at = kill_after.map(|after| started + after);
        let answer = tokio::select! {
            answer = ended => answer.unwrap_or(Answer::Exited),
            _ = self.child.wait() => Answer::Exited,
            () = tokio::time::sleep(timeout) => Answer::TimedOut,
            () = at(kill_at) => Answer::Killed,
        };
        self.peak_memory_kib = peak_memory_kib(pid).unwrap_or(self.peak_memory_kib);
        if matches!(answer, Answer::TimedOut | Answer::Killed) {
            let _ = self.child.kill().await;
        }
        answer
    }
}

impl Sandbox {
    /// Returns how long the process took to ask for its first event, the first time it is asked.
    pub(crate) fn start_time(&mut self) -> Option<Duration> {
        self.start_time.take()
    }

    /// Returns the most memory that the process had.
    pub(crate) fn peak_memory_kib(&self) -> u64 {
        self.peak_memory_kib
    }
}

/// Reads the most memory that a process has had; `None` where the system does not tell.
fn peak_memory_kib(pid: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix("kB")?.trim().parse().ok()
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn at(moment: Option<tokio::time::Instant>) {
    match moment {
        Some(moment) => tokio::time::sleep_until(moment).await,
        None => std::future::pending().await,
    }
}

/// Sends a signal through the system's own command: Rust's library knows only SIGKILL.
async fn signal(name: &str, pid: u32) {
    let sent = Command::new("kill").args([format!("-{name}"), pid.to_string()]).status().await;
    // A process that is gone is noticed by who waits for it.
    let _ = sent;
}

async fn next(State(api): State<Arc<Api>>) -> Response {
    let pid = *api.pid.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(pid) = pid {
        signal("STOP", pid).await;
    }
    if api.ready.send(()).await.is_err() {
        return StatusCode::GONE.into_response();
    }
    let Some(job) = api.jobs.lock().await.recv().await else {
        return StatusCode::GONE.into_response();
    };
    let mut headers = HeaderMap::new();
    for (name, value) in [
        ("lambda-runtime-aws-request-id", job.id.clone()),
        ("lambda-runtime-deadline-ms", job.deadline_ms.to_string()),
        (
            "lambda-runtime-invoked-function-arn",
            "arn:aws:lambda:us-east-1:000000000000:function:local".to_owned(),
        ),
        ("lambda-runtime-trace-id", "Root=1-00000000-000000000000000000000000".to_owned()),
    ] {
        if let Ok(value) = HeaderValue::from_str(&value) {
            headers.insert(name, value);
        }
    }
    let mut current = api.current.lock().unwrap_or_else(PoisonError::into_inner);
    *current = Some((job.id, job.done));
    (headers, job.event).into_response()
}

async fn response(State(api): State<Arc<Api>>, Path(id): Path<String>, body: Bytes) -> StatusCode {
    let answer = serde_json::from_slice(&body).unwrap_or(Value::Null);
    settle(&api, Some(&id), Answer::Done(answer))
}

async fn error(State(api): State<Arc<Api>>, Path(id): Path<String>, body: Bytes) -> StatusCode {
    let told = serde_json::from_slice(&body).unwrap_or(Value::Null);
    settle(&api, Some(&id), Answer::Failed(told))
}

async fn init_error(State(api): State<Arc<Api>>, body: Bytes) -> StatusCode {
    let told = serde_json::from_slice(&body).unwrap_or(Value::Null);
    settle(&api, None, Answer::Failed(told))
}

fn settle(api: &Api, id: Option<&str>, answer: Answer) -> StatusCode {
    let mut current = api.current.lock().unwrap_or_else(PoisonError::into_inner);
    let ours = current.as_ref().is_some_and(|(open, _)| id.is_none_or(|id| id == open));
    match current.take().filter(|_| ours) {
        Some((_, done)) => {
            // Nobody waits any more when the deadline was met in between.
            let _ = done.send(answer);
            StatusCode::ACCEPTED
        }
        None => StatusCode::BAD_REQUEST,
    }
}
