//! Statements that belong together: what ends them, and what is never said of them.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::super::conversation::Conversation;
use super::super::sql::Statement;
use super::super::statement::About;
use super::*;

fn statement(text: &str) -> Statement {
    Statement { text: text.to_owned(), binds: vec![], tag: None }
}

fn about() -> About<'static> {
    About { object: "DB.SC.T" }
}

fn dml(columns: &[&str], counts: &[&str]) -> Value {
    let mut data = texts(columns, &json!([counts]));
    data["statementTypeId"] = json!(0x3400);
    data
}

fn converse(responder: &Responder) -> Conversation {
    client(responder).converse()
}

#[tokio::test]
async fn statements_share_one_session_that_is_closed_in_the_end() {
    let responder = after_sign_in(|seen| {
        let merged = ["number of rows inserted", "number of rows updated"];
        match seen.body["sqlText"].as_str() {
            Some("MERGE") => Canned::success(&dml(&merged, &["3", "4"])),
            Some(_) => Canned::success(&texts(&["status"], &json!([["done"]]))),
            None => Canned::success(&Value::Null),
        }
    });
    let mut conversation = converse(&responder);
    let begun = conversation.execute(&statement("BEGIN"), about()).await.unwrap();
    assert_eq!((begun.affected, begun.rows.rows.len()), (None, 1));
    let merged = conversation.execute(&statement("MERGE"), about()).await.unwrap();
    assert_eq!((merged.affected, merged.query_id.as_str()), (Some(7), "q1"));
    conversation.execute(&statement("COMMIT"), about()).await.unwrap();
    conversation.close().await;
    let sign_ins = responder.seen("/session/v1/login-request");
    assert_eq!(sign_ins.len(), 1);
    assert_eq!(sign_ins[0].body["data"]["SESSION_PARAMETERS"]["ABORT_DETACHED_QUERY"], true);
    assert_eq!(responder.seen("/session").len(), 1);
    let sent = responder.seen("/queries/v1/query-request");
    assert!(sent.iter().all(|seen| seen.body["parameters"]["MULTI_STATEMENT_COUNT"] == 1));
}

#[tokio::test]
async fn a_lost_answer_is_asked_for_again_with_the_same_request_id() {
    let responder = after_sign_in(|seen| {
        let whole = Canned::success(&dml(&["number of rows inserted"], &["5"]));
        if seen.before == 0 { Canned { cut: Some(9), ..whole } } else { whole }
    });
    let done = converse(&responder).execute(&statement("INSERT"), about()).await.unwrap();
    assert_eq!(done.affected, Some(5));
    let sent = responder.seen("/queries/v1/query-request");
    assert_eq!(sent[0].query["requestId"], sent[1].query["requestId"]);
}

/// A reply that ends after some bytes as if that were all, and the other things that come with
/// status 200 and say nothing.
fn unreadable() -> Vec<Canned> {
    let whole = Canned::success(&dml(&["number of rows inserted"], &["5"])).body;
    let packed = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3, 1];
    let ends = (0..whole.len()).step_by(13);
    let mut bodies: Vec<Vec<u8>> = ends.map(|end| whole[..end].to_vec()).collect();
    bodies.extend([packed.to_vec(), b" <html>welcome</html>".to_vec(), b"\"}".to_vec()]);
    bodies.into_iter().map(|body| Canned::new(200, body)).collect()
}

#[tokio::test]
async fn a_reply_that_says_nothing_is_asked_for_again_and_the_statement_runs_once() {
    for canned in unreadable() {
        let first = canned.clone();
        let responder = after_sign_in(move |seen| match seen.before {
            0 => first.clone(),
            _ => Canned::success(&dml(&["number of rows inserted"], &["5"])),
        });
        let done = converse(&responder).execute(&statement("INSERT"), about()).await;
        assert_eq!(done.unwrap().affected, Some(5), "{canned:?}");
        let sent = responder.seen("/queries/v1/query-request");
        assert_eq!(sent.len(), 2, "{canned:?}");
        assert_eq!(sent[0].query["requestId"], sent[1].query["requestId"]);
        assert_ne!(sent[0].query["request_guid"], sent[1].query["request_guid"]);
    }
}

#[tokio::test]
async fn a_session_lost_after_a_reply_that_says_nothing_is_unknown() {
    for canned in unreadable() {
        let responder = after_sign_in(move |seen| match seen.before {
            0 => canned.clone(),
            _ => Canned::failure("390111", "session no longer exists"),
        });
        let lost = converse(&responder).execute(&statement("COMMIT"), about()).await;
        assert!(matches!(lost, Err(SnowflakeError::Unknown { .. })), "{lost:?}");
    }
}

#[tokio::test]
async fn an_answer_that_never_comes_is_unknown_and_never_a_failure() {
    for canned in [
        Canned::new(503, ""),
        Canned { cut: Some(9), ..Canned::success(&texts(&["status"], &json!([["x"]]))) },
        Canned::new(200, "<html>welcome</html>"),
    ] {
        let responder = after_sign_in(move |_| canned.clone());
        let lost = converse(&responder).execute(&statement("COMMIT"), about()).await;
        assert!(matches!(lost, Err(SnowflakeError::Unknown { .. })), "{lost:?}");
    }
    // It began to run, and then nobody answered any more.
    let responder = after_sign_in(|seen| match seen.path.as_str() {
        "/queries/v1/query-request" => Canned::running("333333", "q-1"),
        _ => Canned::new(503, ""),
    });
    let lost = converse(&responder).execute(&statement("COMMIT"), about()).await;
    assert!(matches!(lost, Err(SnowflakeError::Unknown { .. })), "{lost:?}");
}

#[tokio::test]
async fn a_session_that_is_gone_is_told_and_not_begun_anew() {
    let responder = after_sign_in(|seen| match seen.before {
        0 => Canned::success(&texts(&["status"], &json!([["Statement executed successfully."]]))),
        _ => Canned::failure("390111", "session no longer exists"),
    });
    let mut conversation = converse(&responder);
    conversation.execute(&statement("BEGIN"), about()).await.unwrap();
    let gone = conversation.execute(&statement("INSERT"), about()).await;
    assert!(matches!(gone, Err(SnowflakeError::SessionLost { .. })), "{gone:?}");
    assert_eq!(responder.seen("/session/v1/login-request").len(), 1);
}

#[tokio::test]
async fn a_session_lost_after_a_lost_answer_is_unknown() {
    let responder = after_sign_in(|seen| match seen.before {
        0 => Canned::new(502, ""),
        _ => Canned::failure("390111", "session no longer exists"),
    });
    let lost = converse(&responder).execute(&statement("COMMIT"), about()).await;
    assert!(matches!(lost, Err(SnowflakeError::Unknown { .. })), "{lost:?}");
}

#[tokio::test]
async fn a_refused_statement_is_a_failure_with_its_code() {
    let responder = after_sign_in(|_| Canned::failure("100072", "NULL result in a column"));
    let refused = converse(&responder).execute(&statement("INSERT"), about()).await;
    assert!(matches!(&refused, Err(SnowflakeError::Statement { code, .. }) if code == "100072"));
}

#[tokio::test]
async fn a_statement_is_cancelled_at_the_deadline_and_its_end_is_learnt() {
    for stopped in [true, false] {
        let aborted = AtomicBool::new(false);
        let responder = after_sign_in(move |seen| match seen.path.as_str() {
            "/queries/q-1/abort-request" => {
                aborted.store(true, Ordering::SeqCst);
                Canned::success(&Value::Null)
            }
            "/queries/q-1/result" if aborted.load(Ordering::SeqCst) => match stopped {
                true => Canned::failure("000604", "SQL execution canceled"),
                // It was faster than the cancellation.
                false => Canned::success(&dml(&["number of rows inserted"], &["5"])),
            },
            _ => Canned::running("333334", "q-1"),
        });
        let mut conversation = signed_in_until(&responder, Duration::from_secs(1)).await;
        let ended = conversation.execute(&statement("INSERT"), about()).await;
        match stopped {
            true => assert!(matches!(ended, Err(SnowflakeError::Cancelled { .. })), "{ended:?}"),
            false => assert_eq!(ended.unwrap().affected, Some(5)),
        }
        assert_eq!(responder.seen("/queries/v1/query-request").len(), 1);
    }
}

async fn signed_in_until(responder: &Responder, from_now: Duration) -> Conversation {
    let conversation = converse(responder);
    conversation.session().signed_in().await.unwrap();
    conversation.until(Instant::now() + from_now)
}

#[tokio::test]
async fn a_statement_that_was_not_sent_before_the_deadline_never_is() {
    let responder = after_sign_in(|_| Canned::success(&texts(&["status"], &json!([["x"]]))));
    // The deadline passes before the sign-in is through.
    let mut conversation = converse(&responder).until(Instant::now());
    let ended = conversation.execute(&statement("INSERT"), about()).await;
    assert!(matches!(ended, Err(SnowflakeError::Cancelled { .. })), "{ended:?}");
    assert!(responder.seen("/queries/v1/query-request").is_empty());
}

#[tokio::test]
async fn a_statement_of_unknown_id_is_cancelled_and_stays_unknown() {
    let responder = after_sign_in(|seen| match seen.path.as_str() {
        // The answer is held back until the statement is cancelled.
        "/queries/v1/query-request" => Canned { held: true, ..Canned::new(200, "") },
        _ => Canned::success(&Value::Null),
    });
    let mut conversation = signed_in_until(&responder, Duration::from_millis(500)).await;
    let ended = conversation.execute(&statement("INSERT"), about()).await;
    assert!(matches!(ended, Err(SnowflakeError::Unknown { .. })), "{ended:?}");
    let sent = responder.seen("/queries/v1/query-request");
    let abort = &responder.seen("/queries/v1/abort-request")[0];
    assert_eq!(abort.body["requestId"], sent[0].query["requestId"].as_str());
    assert_eq!(sent.len(), 1);
}

#[tokio::test]
async fn rows_that_were_joined_several_times_are_no_rows_of_their_own() {
    let columns = ["number of rows updated", "number of multi-joined rows updated"];
    let responder = after_sign_in(move |_| Canned::success(&dml(&columns, &["4", "2"])));
    let done = converse(&responder).execute(&statement("UPDATE"), about()).await.unwrap();
    assert_eq!(done.affected, Some(4));
}
