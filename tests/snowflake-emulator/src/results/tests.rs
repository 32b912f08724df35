//! The choice of format, the cache key, and the memory of statements.

use std::time::{Duration, Instant};

use super::cache::CacheKey;
use super::format::{Format, Preference, choose};
use super::queries::{Finished, Queries, Submission, Submitted};
use crate::engine::{SessionContext, SqlError};

#[test]
fn the_format_follows_client_parameter_and_accept_header() {
    let chosen = |client: &str, parameter: Option<(&str, &str)>, accept: Option<&str>| {
        let mut context = SessionContext::default();
        if let Some((name, value)) = parameter {
            context.parameters.insert(name.to_owned(), value.to_owned());
        }
        choose(Preference { client, accept, context: &context })
    };
    assert_eq!(chosen("JavaScript", None, None), Format::Json);
    for client in ["Go", "PythonConnector", "JDBC", "ODBC", "unknown", ""] {
        assert_eq!(chosen(client, None, Some("application/snowflake")), Format::Arrow, "{client}");
    }
    let python = Some(("PYTHON_CONNECTOR_QUERY_RESULT_FORMAT", "json"));
    assert_eq!(chosen("PythonConnector", python, None), Format::Json);
    assert_eq!(chosen("Go", python, None), Format::Arrow);
    assert_eq!(chosen("Go", None, Some("application/json")), Format::Json);
    let both = Some("application/snowflake, application/json");
    assert_eq!(chosen("Go", None, both), Format::Arrow);
}

#[test]
fn only_equal_contexts_share_a_cached_result() {
    let key = |context: &SessionContext| CacheKey::of("select 1", &[], context, Format::Arrow);
    let plain = SessionContext::default();
    let mut tagged = plain.clone();
    tagged.parameters.insert("QUERY_TAG".to_owned(), "x".to_owned());
    assert_eq!(key(&plain), key(&tagged));
    let mut zoned = plain.clone();
    zoned.parameters.insert("TIMEZONE".to_owned(), "UTC".to_owned());
    assert_ne!(key(&plain), key(&zoned));
    let moved = SessionContext { schema: Some("S".to_owned()), ..plain.clone() };
    assert_ne!(key(&plain), key(&moved));
    assert_eq!(CacheKey::of("select uuid_string()", &[], &plain, Format::Arrow), None);
}

fn submission(user: &str) -> Submission {
    Submission {
        request_id: uuid::Uuid::new_v4(),
        session_id: 1,
        user: user.to_owned(),
        sql_text: String::new(),
        tag: String::new(),
        detached: false,
        started_ms: 1_700_000_000_000,
    }
}

fn submit(
    queries: &Queries,
    submission: Submission,
    now: Instant,
) -> std::sync::Arc<super::queries::Query> {
    match queries.submit(submission, now) {
        Submitted::New(query) | Submitted::Known(query) => query,
    }
}

#[test]
fn a_result_is_forgotten_after_a_day_and_belongs_to_its_user() {
    let queries = Queries::default();
    let start = Instant::now();
    let first = submit(&queries, submission("A"), start);
    assert!(queries.by_id(&first.id, "A").is_some());
    assert!(queries.by_id(&first.id, "B").is_none());
    let error = SqlError { code: "000604", sql_state: "57014", message: String::new() };
    let day = Duration::from_secs(24 * 3600);
    submit(&queries, submission("A"), start + day);
    assert!(queries.by_id(&first.id, "A").is_some(), "a running statement stays");
    first.finish(Finished { ended_ms: 0, answer: Err(error) });
    submit(&queries, submission("A"), start + day - Duration::from_secs(1));
    assert!(queries.by_id(&first.id, "A").is_some());
    submit(&queries, submission("A"), start + day);
    assert!(queries.by_id(&first.id, "A").is_none());
}

#[test]
fn query_ids_are_uuids_and_never_the_same() {
    let queries = Queries::default();
    let now = Instant::now();
    let ids: std::collections::BTreeSet<String> =
        (0..1000).map(|_| submit(&queries, submission("A"), now).id.clone()).collect();
    assert_eq!(ids.len(), 1000);
    assert!(ids.iter().all(|id| id.starts_with("01") && uuid::Uuid::try_parse(id).is_ok()));
}

#[test]
fn only_the_first_outcome_of_a_statement_counts() {
    let queries = Queries::default();
    let query = submit(&queries, submission("A"), Instant::now());
    for code in ["000604", "002003"] {
        let error = SqlError { code, sql_state: "", message: String::new() };
        query.finish(Finished { ended_ms: 0, answer: Err(error) });
    }
    let finished = query.finished().expect("finished");
    assert_eq!(finished.answer.as_ref().err().map(|error| error.code), Some("000604"));
    assert!(!query.cancel());
}

/// An answer whose rows are said to take `bytes` on disk.
fn answer_of(bytes: usize) -> super::queries::Answer {
    let mut result = super::stored::StoredResult::empty(Vec::new().into(), Format::Json);
    let chunk =
        super::stored::StoredChunk { rows: 1, uncompressed_bytes: bytes, compressed_bytes: bytes };
    result.chunks = [chunk].into();
    super::queries::Answer {
        result,
        statement_type_id: 0x1000,
        context: SessionContext::default(),
        children: Vec::new(),
        transfer: None,
    }
}

#[test]
fn results_that_would_fill_the_disk_push_out_the_oldest() {
    const GIB: usize = 1 << 30;
    let queries = Queries::default();
    let now = Instant::now();
    let ids: Vec<String> = (0..4)
        .map(|_| {
            let query = submit(&queries, submission("A"), now);
            query.finish(Finished { ended_ms: 0, answer: Ok(answer_of(3 * GIB)) });
            query.id.clone()
        })
        .collect();
    let kept = |id: &String| queries.by_id(id, "A").is_some();
    assert_eq!(ids.iter().map(kept).collect::<Vec<_>>(), [false, true, true, true]);
    let cache = super::cache::ResultCache::default();
    let key = |text: &str| {
        CacheKey::of(text, &[], &SessionContext::default(), Format::Arrow).expect("a key")
    };
    cache.keep(key("a"), 1, &answer_of(GIB));
    cache.keep(key("b"), 1, &answer_of(GIB));
    assert!(cache.find(&key("a"), 1).is_some());
    cache.keep(key("c"), 1, &answer_of(GIB));
    assert!(cache.find(&key("a"), 1).is_none());
    assert!(cache.find(&key("b"), 1).is_some());
    cache.keep(key("d"), 2, &answer_of(1));
    assert!(cache.find(&key("b"), 1).is_none(), "older data is of no use");
}
