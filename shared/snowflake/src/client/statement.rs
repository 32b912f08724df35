//! Statements: submitted, waited for, read by query id, cancelled; and what their errors mean.

use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow::buffer::Buffer;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use reqwest::Method;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use super::answer::Answer;
use super::binds::bindings;
use super::session::{Request, Session};
use super::sql::Statement;
use crate::decode::{DeclaredColumn, RowType, is_text, read_stream};
use crate::{Piece, QueryId, ResultLayout, SnowflakeError};

/// Delays between looks at an asynchronous statement, as the Go driver has them; the last repeats.
const LOOK_DELAYS_MS: [u64; 7] = [100, 400, 500, 1000, 1500, 2000, 4000];

/// What a statement is about, for its errors.
#[derive(Clone, Copy, Debug)]
pub(super) struct About<'a> {
    /// The object, or what was asked.
    pub(super) object: &'a str,
}

/// A small result as texts, with columns by name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct TextRows {
    columns: Vec<String>,
    pub(super) rows: Vec<Vec<Option<String>>>,
}

impl TextRows {
    pub(super) fn columns(&self) -> &[String] {
        &self.columns
    }

    /// Returns a cell by row and column name, ignoring case; NULL and missing are the same.
    pub(super) fn get(&self, row: &[Option<String>], column: &str) -> Option<String> {
        let position = self.columns.iter().position(|name| name.eq_ignore_ascii_case(column))?;
        row.get(position).cloned().flatten()
    }
}

/// The rows that came in the reply itself.
#[derive(Clone, Debug)]
pub(super) enum Inline {
    Arrow(Buffer),
    Json(Bytes),
}

/// One chunk in cloud storage. The link is a secret: it grants the reading.
#[derive(Clone)]
pub(super) struct ChunkLink {
    pub(super) url: Box<str>,
    pub(super) piece: Piece,
}

/// A finished result: where all of its rows are.
pub(super) struct FinishedResult {
    pub(super) declared: Vec<DeclaredColumn>,
    pub(super) inline: Inline,
    pub(super) chunks: Vec<ChunkLink>,
    pub(super) headers: HeaderMap,
    pub(super) layout: ResultLayout,
}

impl Session {
    /// Runs a statement with a small result and returns its rows as texts.
    pub(super) async fn texts(
        &self,
        statement: &Statement,
        about: About<'_>,
    ) -> Result<TextRows, SnowflakeError> {
        let answer = self.post(statement, Submission::Small).await?;
        let answer = self.finish(answer, about).await?;
        small_result(&answer)
    }

    /// Compiles a statement without running it and returns the columns it would give.
    pub(super) async fn compile(
        &self,
        statement: &Statement,
        about: About<'_>,
    ) -> Result<Vec<DeclaredColumn>, SnowflakeError> {
        let answer = self.post(statement, Submission::DescribeOnly).await?;
        let answer = self.finish(answer, about).await?;
        let data: ResultData<'_> = answer.data("compile a statement")?;
        Ok(data.rowtype.unwrap_or_default().iter().map(RowType::declared).collect())
    }

    /// Submits a statement to run by itself and returns its id.
    pub(super) async fn submit(
        &self,
        statement: &Statement,
        about: About<'_>,
    ) -> Result<QueryId, SnowflakeError> {
        let answer = self.post(statement, Submission::Detached).await?;
        if !answer.success {
            return Err(self.refused_statement(&answer, about));
        }
        let data: IdData = answer.data("submit a statement")?;
        Ok(QueryId(data.query_id))
    }

    /// Looks at a statement until it is finished or `wait` is over; `None` while it runs.
    pub(super) async fn result(
        &self,
        query: &QueryId,
        wait: Duration,
    ) -> Result<Option<FinishedResult>, SnowflakeError> {
        let begun = Instant::now();
        for look in 0.. {
            let answer = self.look(&query.0).await?;
            if !answer.success {
                return Err(self.refused_result(&answer, query));
            }
            if !answer.is_running() {
                return finished(&answer, "read a result").map(Some);
            }
            let delay = look_delay(look);
            if begun.elapsed() + delay > wait {
                return Ok(None);
            }
            tokio::time::sleep(delay).await;
        }
        Ok(None)
    }

    /// Asks the server to stop a statement. Whatever it answers, the statement is not ours to
    /// wait for any more.
    pub(super) async fn abort(&self, query: &QueryId) -> Result<(), SnowflakeError> {
        let path = ["queries", query.0.as_str(), "abort-request"];
        let mut request = Request::new("cancel a statement", Method::POST, &path);
        request.body = Some(Bytes::from_static(b"{}"));
        match self.call(&request).await {
            Ok(_) | Err(SnowflakeError::Status { status: 404 | 410, .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }

    async fn post(
        &self,
        statement: &Statement,
        submission: Submission,
    ) -> Result<Answer, SnowflakeError> {
        let mut request = Request::new(SUBMIT, Method::POST, &SUBMIT_PATH);
        request.body = Some(submission_body(statement, submission));
        self.call(&request).await
    }

    /// Waits for a synchronous statement: the server holds each look for up to 45 s.
    pub(super) async fn finish(
        &self,
        mut answer: Answer,
        about: About<'_>,
    ) -> Result<Answer, SnowflakeError> {
        for look in 0.. {
            if !answer.success {
                return Err(self.refused_statement(&answer, about));
            }
            if !answer.is_running() {
                break;
            }
            let data: IdData = answer.data("wait for a statement")?;
            if answer.code == "333334" {
                tokio::time::sleep(look_delay(look)).await;
            }
            answer = self.look(&data.query_id).await?;
        }
        Ok(answer)
    }

    /// Waits for a statement by its id.
    pub(super) async fn wait_for(
        &self,
        query: &QueryId,
        about: About<'_>,
    ) -> Result<Answer, SnowflakeError> {
        let answer = self.look(&query.0).await?;
        self.finish(answer, about).await
    }

    async fn look(&self, query_id: &str) -> Result<Answer, SnowflakeError> {
        let path = ["queries", query_id, "result"];
        let request = Request::new("look at a statement", Method::GET, &path);
        match self.call(&request).await {
            Err(SnowflakeError::Status { status: 404 | 410, .. }) => {
                Err(SnowflakeError::ResultGone { query_id: query_id.to_owned() })
            }
            other => other,
        }
    }

    /// Turns a refusal into what somebody would do about it.
    pub(super) fn refused_statement(&self, answer: &Answer, about: About<'_>) -> SnowflakeError {
        let object = about.object.to_owned();
        match answer.code.as_str() {
            "002003" | "002043" | "003001" => {
                SnowflakeError::NotFound { object, role: self.role() }
            }
            "000904" => SnowflakeError::MissingColumn { object, code: answer.code.clone() },
            "000606" => SnowflakeError::NoWarehouse { role: self.role() },
            code => {
                let data: FailureData = answer.data("read a refusal").unwrap_or_default();
                SnowflakeError::Statement {
                    query_id: data.query_id.unwrap_or_default(),
                    code: code.to_owned(),
                    sql_state: data.sql_state.unwrap_or_default(),
                }
            }
        }
    }

    fn refused_result(&self, answer: &Answer, query: &QueryId) -> SnowflakeError {
        if is_result_gone(&answer.code) {
            return SnowflakeError::ResultGone { query_id: query.0.clone() };
        }
        self.refused_statement(answer, About { object: "the table of the statement" })
    }
}

pub(super) const SUBMIT: &str = "submit a statement";
pub(super) const SUBMIT_PATH: [&str; 3] = ["queries", "v1", "query-request"];

/// Returns the body that submits one statement; exactly one, whatever the text holds.
pub(super) fn submission_body(statement: &Statement, submission: Submission) -> Bytes {
    let mut parameters = Map::new();
    parameters.insert("MULTI_STATEMENT_COUNT".to_owned(), 1.into());
    if submission == Submission::Small {
        parameters.insert("GO_QUERY_RESULT_FORMAT".to_owned(), "JSON".into());
    }
    if let Some(tag) = &statement.tag {
        parameters.insert("QUERY_TAG".to_owned(), tag.as_str().into());
    }
    let mut body = json!({
        "sqlText": statement.text,
        "asyncExec": submission == Submission::Detached,
        "describeOnly": submission == Submission::DescribeOnly,
        "isInternal": false,
        "parameters": parameters,
    });
    if let (Value::Object(fields), false) = (&mut body, statement.binds.is_empty()) {
        fields.insert("bindings".to_owned(), bindings(&statement.binds).into());
    }
    body.to_string().into()
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Submission {
    /// Synchronous, with a JSON result.
    Small,
    /// Only compiled.
    DescribeOnly,
    /// Answered with a place in cloud storage instead of rows.
    Transfer,
    /// Runs by itself; its result is Arrow and read by query id.
    Detached,
}

/// `000709` statement not found; `000707`, `000710` result not available any more.
fn is_result_gone(code: &str) -> bool {
    matches!(code, "000709" | "000707" | "000710")
}

fn look_delay(look: usize) -> Duration {
    let last = LOOK_DELAYS_MS.last().copied().unwrap_or(1000);
    Duration::from_millis(LOOK_DELAYS_MS.get(look).copied().unwrap_or(last))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct IdData {
    query_id: String,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct FailureData {
    query_id: Option<String>,
    sql_state: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ResultData<'a> {
    #[serde(default)]
    rowtype: Option<Vec<RowType>>,
    #[serde(borrow, default)]
    rowset: Option<&'a RawValue>,
    #[serde(borrow, default)]
    rowset_base64: Option<&'a RawValue>,
    #[serde(default)]
    chunks: Option<Vec<ChunkData>>,
    #[serde(default)]
    chunk_headers: Option<std::collections::BTreeMap<String, String>>,
    #[serde(default)]
    qrmk: Option<String>,
    #[serde(default)]
    total: Option<u64>,
    #[serde(default)]
    query_result_format: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ChunkData {
    url: Box<str>,
    row_count: u64,
    #[serde(default)]
    uncompressed_size: Option<u64>,
    #[serde(default)]
    compressed_size: Option<u64>,
}

/// Reads a finished result out of its reply. Links and inline rows are taken over once; the reply
/// can be dropped.
fn finished(answer: &Answer, step: &str) -> Result<FinishedResult, SnowflakeError> {
    let data: ResultData<'_> = answer.data(step)?;
    let rows = data.total.ok_or_else(|| protocol(step, "no total"))?;
    let arrow =
        data.query_result_format.as_deref().is_some_and(|f| f.eq_ignore_ascii_case("arrow"));
    let (inline, inline_bytes) = if arrow {
        let text = data.rowset_base64.map_or("\"\"", RawValue::get);
        let bytes = decode_base64(text).ok_or_else(|| protocol(step, "rows are no base64"))?;
        let length = bytes.len();
        (Inline::Arrow(Buffer::from_vec(bytes)), length)
    } else {
        let bytes = data.rowset.map_or(Bytes::from_static(b"[]"), |rows| {
            Bytes::copy_from_slice(&answer.shared(rows.get()))
        });
        let length = bytes.len();
        (Inline::Json(bytes), length)
    };
    let headers = chunk_headers(data.chunk_headers.as_ref(), data.qrmk.as_deref(), step)?;
    let chunks: Vec<ChunkLink> = data.chunks.unwrap_or_default().into_iter().map(link).collect();
    let in_chunks = chunks.iter().fold(0_u64, |sum, chunk| sum.saturating_add(chunk.piece.rows));
    let inline_rows = rows
        .checked_sub(in_chunks)
        .ok_or_else(|| protocol(step, "its chunks have more rows than the total"))?;
    let inline_bytes = u64::try_from(inline_bytes).unwrap_or(u64::MAX);
    let first = Piece {
        rows: inline_rows,
        compressed_bytes: inline_bytes,
        uncompressed_bytes: inline_bytes,
    };
    let pieces = std::iter::once(first).chain(chunks.iter().map(|chunk| chunk.piece)).collect();
    Ok(FinishedResult {
        declared: data.rowtype.unwrap_or_default().iter().map(RowType::declared).collect(),
        inline,
        chunks,
        headers,
        layout: ResultLayout { rows, pieces },
    })
}

/// Reads a finished result and returns how many rows it announces.
pub(super) fn finished_rows(answer: &Answer) -> Result<usize, SnowflakeError> {
    let result = finished(answer, "read a result")?;
    Ok(usize::try_from(result.layout.rows).unwrap_or(usize::MAX))
}

fn link(data: ChunkData) -> ChunkLink {
    let piece = Piece {
        rows: data.row_count,
        compressed_bytes: data.compressed_size.unwrap_or(0),
        uncompressed_bytes: data.uncompressed_size.unwrap_or(0),
    };
    ChunkLink { url: data.url, piece }
}

/// Decodes a JSON string of base64, normally without unescaping or copying it.
fn decode_base64(json: &str) -> Option<Vec<u8>> {
    let inner = json.strip_prefix('"')?.strip_suffix('"')?;
    if inner.contains('\\') {
        return STANDARD.decode(serde_json::from_str::<String>(json).ok()?).ok();
    }
    STANDARD.decode(inner).ok()
}

/// Returns what every chunk request carries: the announced headers, else those of the key.
fn chunk_headers(
    announced: Option<&std::collections::BTreeMap<String, String>>,
    qrmk: Option<&str>,
    step: &str,
) -> Result<HeaderMap, SnowflakeError> {
    let mut headers = HeaderMap::new();
    let mut add = |name: &str, value: &str| {
        let name = HeaderName::from_bytes(name.as_bytes()).ok()?;
        let mut value = HeaderValue::from_str(value).ok()?;
        value.set_sensitive(true);
        // Storage refuses a second kind of permission beside the link's own.
        if name != reqwest::header::AUTHORIZATION {
            headers.insert(name, value);
        }
        Some(())
    };
    let added = match (announced, qrmk) {
        (Some(announced), _) => announced.iter().all(|(name, value)| add(name, value).is_some()),
        (None, Some(key)) => {
            add("x-amz-server-side-encryption-customer-algorithm", "AES256").is_some()
                && add("x-amz-server-side-encryption-customer-key", key).is_some()
        }
        (None, None) => true,
    };
    if added { Ok(headers) } else { Err(protocol(step, "its chunk headers are no headers")) }
}

/// Reads a result that must have come whole in its reply.
pub(super) fn small_result(answer: &Answer) -> Result<TextRows, SnowflakeError> {
    let result = finished(answer, "read a small result")?;
    if !result.chunks.is_empty() {
        return Err(protocol("read a small result", "it comes in chunks"));
    }
    text_rows(&result)
}

fn text_rows(result: &FinishedResult) -> Result<TextRows, SnowflakeError> {
    const STEP: &str = "read a small result";
    let columns: Vec<String> = result.declared.iter().map(|column| column.name.clone()).collect();
    let rows: Vec<Vec<Option<String>>> = match &result.inline {
        Inline::Json(bytes) => serde_json::from_slice(bytes)
            .map_err(|error| protocol(STEP, &format!("{:?} error", error.classify())))?,
        Inline::Arrow(bytes) => arrow_texts(bytes)?,
    };
    let found = u64::try_from(rows.len()).unwrap_or(u64::MAX);
    if found != result.layout.rows || rows.iter().any(|row| row.len() != columns.len()) {
        return Err(protocol(STEP, "it has not the announced rows and columns"));
    }
    Ok(TextRows { columns, rows })
}

/// Small statements ask for JSON and for texts; a server that sends Arrow all the same is fine.
fn arrow_texts(bytes: &Buffer) -> Result<Vec<Vec<Option<String>>>, SnowflakeError> {
    use arrow::array::AsArray;
    let mut rows = Vec::new();
    for batch in read_stream(bytes.clone())? {
        if !is_text(&batch.schema()) {
            return Err(protocol("read a small result", "a column is no text"));
        }
        for row in 0..batch.num_rows() {
            let cell = |column: &Arc<dyn arrow::array::Array>| {
                let texts = column.as_string_opt::<i32>()?;
                (!column.is_null(row)).then(|| texts.value(row).to_owned())
            };
            rows.push(batch.columns().iter().map(cell).collect());
        }
    }
    Ok(rows)
}

fn protocol(step: &str, reason: &str) -> SnowflakeError {
    SnowflakeError::Protocol { step: step.to_owned(), reason: reason.to_owned() }
}
