//! Tokens and contexts.

use super::*;

const LIFETIMES: Lifetimes =
    Lifetimes { session: Duration::from_secs(10), master: Duration::from_secs(40) };

fn open(sessions: &Sessions, now: Instant) -> (Arc<Session>, TokenPair) {
    sessions.open(SessionContext { user: "U".to_owned(), ..Default::default() }, "Go", now)
}

#[test]
fn a_session_token_expires_and_the_master_token_renews_it() {
    let start = Instant::now();
    let sessions = Sessions::new(LIFETIMES);
    let (session, tokens) = open(&sessions, start);
    let before = start + Duration::from_secs(9);
    let after = start + Duration::from_secs(10);
    assert_eq!(sessions.find(&tokens.session, before).map(|found| found.id), Ok(session.id));
    assert_eq!(sessions.find(&tokens.session, after).err(), Some(TokenRefusal::SessionExpired));
    let (id, fresh) = sessions.renew(Some(&tokens.master), &tokens.session, after).expect("renew");
    assert_eq!(id, session.id);
    assert!(sessions.find(&fresh.session, after).is_ok());
    assert_eq!(sessions.find(&tokens.session, after).err(), Some(TokenRefusal::SessionExpired));
}

#[test]
fn renewal_needs_the_master_token_and_a_session_token_of_the_same_session() {
    let now = Instant::now();
    let sessions = Sessions::new(LIFETIMES);
    let (_, mine) = open(&sessions, now);
    let (_, other) = open(&sessions, now);
    let refusal = |master: Option<&str>, old: &str| sessions.renew(master, old, now).err();
    assert_eq!(refusal(None, &mine.session), Some(TokenRefusal::MasterMissing));
    assert_eq!(refusal(Some("x"), &mine.session), Some(TokenRefusal::MasterInvalid));
    assert_eq!(refusal(Some(&mine.session), &mine.session), Some(TokenRefusal::MasterInvalid));
    assert_eq!(refusal(Some(&mine.master), &other.session), Some(TokenRefusal::WrongOldToken));
    assert_eq!(refusal(Some(&mine.master), &mine.master), Some(TokenRefusal::WrongOldToken));
    let late = now + LIFETIMES.master;
    assert_eq!(
        sessions.renew(Some(&mine.master), &mine.session, late).err(),
        Some(TokenRefusal::MasterExpired)
    );
}

#[test]
fn a_closed_session_is_gone_and_a_master_token_opens_nothing() {
    let now = Instant::now();
    let sessions = Sessions::new(LIFETIMES);
    let (session, tokens) = open(&sessions, now);
    assert_eq!(sessions.find(&tokens.master, now).err(), Some(TokenRefusal::SessionInvalid));
    sessions.close(session.id);
    assert_eq!(sessions.find(&tokens.session, now).err(), Some(TokenRefusal::SessionGone));
    assert_eq!(
        sessions.renew(Some(&tokens.master), &tokens.session, now).err(),
        Some(TokenRefusal::SessionGone)
    );
}

#[test]
fn statements_side_by_side_keep_each_others_changes() {
    let sessions = Sessions::new(LIFETIMES);
    let (session, _) = open(&sessions, Instant::now());
    let before = session.context();
    let mut first = before.clone();
    first.database = Some("D".to_owned());
    first.parameters.insert("TIMEZONE".to_owned(), "UTC".to_owned());
    let mut second = before.clone();
    second.schema = Some("S".to_owned());
    session.apply(&before, &first);
    session.apply(&before, &second);
    let context = session.context();
    assert_eq!(context.database.as_deref(), Some("D"));
    assert_eq!(context.schema.as_deref(), Some("S"));
    assert_eq!(context.parameters.get("TIMEZONE").map(String::as_str), Some("UTC"));
    let mut unset = context.clone();
    unset.parameters.clear();
    session.apply(&context, &unset);
    assert!(session.context().parameters.is_empty());
}

#[test]
fn parameters_travel_as_the_type_of_their_default() {
    let mut context = SessionContext::default();
    let sent = serde_json::json!({"timezone": "UTC", "autocommit": "FALSE", "json_indent": 0});
    parameters::overlay(&mut context.parameters, sent.as_object().expect("object"));
    let in_force = parameters::in_force(&context);
    let value = |name: &str| {
        let entries = in_force.as_array().expect("array");
        entries.iter().find(|entry| entry["name"] == name).map(|entry| entry["value"].clone())
    };
    assert_eq!(value("TIMEZONE"), Some("UTC".into()));
    assert_eq!(value("AUTOCOMMIT"), Some(false.into()));
    assert_eq!(value("JSON_INDENT"), Some(0.into()));
    assert_eq!(value("CLIENT_PREFETCH_THREADS"), Some(4.into()));
    assert!(in_force.as_array().is_some_and(|entries| entries.len() >= 40));
}
