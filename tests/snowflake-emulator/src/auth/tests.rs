//! Sign-in: what is accepted, and the code of each refusal.

use std::sync::LazyLock;

use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};

use super::*;

const ACCOUNT: &str = "ORG-ACCOUNT";
const NOW_S: i64 = 1_800_000_000;

/// Two pairs: the user has the first in slot one; the second is a stranger's.
static PAIRS: LazyLock<[(KeyPair, EncodingKey); 2]> = LazyLock::new(|| [pair(), pair()]);

fn pair() -> (KeyPair, EncodingKey) {
    let pair = KeyPair::generate().expect("generate");
    let folder = tempfile::tempdir().expect("folder");
    let path = folder.path().join("key.p8");
    pair.write_private(&path).expect("write");
    let pem = std::fs::read(&path).expect("read");
    (pair, EncodingKey::from_rsa_pem(&pem).expect("pem"))
}

fn users() -> Users {
    let users = Users::new(ACCOUNT);
    users.put(User {
        name: "SVC".to_owned(),
        password: Some("right".to_owned()),
        public_keys: [Some(PAIRS[0].0.public().clone()), None],
        default_role: "R".to_owned(),
        default_warehouse: "W".to_owned(),
    });
    users
}

fn claims() -> Value {
    let fingerprint = PAIRS[0].0.public().fingerprint();
    json!({
        "iss": format!("{ACCOUNT}.SVC.{fingerprint}"), "sub": format!("{ACCOUNT}.SVC"),
        "iat": NOW_S, "exp": NOW_S + 60,
    })
}

fn token_of(claims: &Value, signer: usize) -> String {
    jsonwebtoken::encode(&Header::new(Algorithm::RS256), claims, &PAIRS[signer].1).expect("sign")
}

fn code_of(token: &str) -> &'static str {
    let credentials = Credentials {
        login_name: None,
        password: None,
        authenticator: Some("SNOWFLAKE_JWT"),
        token: Some(token),
    };
    match users().sign_in(credentials, NOW_S) {
        Ok(_) => "accepted",
        Err(refusal) => refusal.code,
    }
}

fn password_code(name: &str, password: &str) -> &'static str {
    let credentials = Credentials {
        login_name: Some(name),
        password: Some(password),
        authenticator: None,
        token: None,
    };
    match users().sign_in(credentials, NOW_S) {
        Ok(_) => "accepted",
        Err(refusal) => refusal.code,
    }
}

#[test]
fn a_password_is_compared_exactly_and_the_name_without_case() {
    assert_eq!(password_code("svc", "right"), "accepted");
    assert_eq!(password_code("SVC", "Right"), "390100");
    assert_eq!(password_code("SVC", ""), "390100");
    assert_eq!(password_code("NOBODY", "right"), "390100");
}

#[test]
fn a_well_made_token_is_accepted() {
    assert_eq!(code_of(&token_of(&claims(), 0)), "accepted");
}

#[test]
fn a_token_signed_by_another_key_is_refused() {
    assert_eq!(code_of(&token_of(&claims(), 1)), "390144");
}

#[test]
fn every_wrong_claim_is_refused_with_one_code() {
    let wrong = [
        ("iss", json!(format!("{ACCOUNT}.SVC.SHA256:AAAA"))),
        ("iss", json!(format!("OTHER.SVC.{}", PAIRS[0].0.public().fingerprint()))),
        ("sub", json!(format!("{ACCOUNT}.OTHER"))),
        ("sub", json!("OTHER.SVC")),
        ("exp", json!(NOW_S)),
        ("iat", json!(NOW_S + 61)),
        ("nbf", json!(NOW_S + 61)),
        ("iat", Value::Null),
    ];
    for (claim, value) in wrong {
        let mut claims = claims();
        claims[claim] = value.clone();
        assert_eq!(code_of(&token_of(&claims, 0)), "390144", "{claim} = {value}");
    }
}

#[test]
fn a_token_dies_one_hour_after_its_issue_whatever_it_says_itself() {
    let mut old = claims();
    old["exp"] = json!(NOW_S + 100_000);
    old["iat"] = json!(NOW_S - 3599);
    assert_eq!(code_of(&token_of(&old, 0)), "accepted");
    old["iat"] = json!(NOW_S - 3600);
    assert_eq!(code_of(&token_of(&old, 0)), "390144");
}

#[test]
fn times_may_be_milliseconds_as_the_node_driver_writes_them() {
    let mut claims = claims();
    claims["iat"] = json!(NOW_S * 1000 + 999);
    claims["exp"] = json!((NOW_S + 120) * 1000);
    assert_eq!(code_of(&token_of(&claims, 0)), "accepted");
    claims["exp"] = json!(NOW_S * 1000);
    assert_eq!(code_of(&token_of(&claims, 0)), "390144");
}

#[test]
fn a_token_with_another_algorithm_or_none_is_refused() {
    let mut parts = token_of(&claims(), 0);
    let payload = parts.split('.').nth(1).expect("payload").to_owned();
    parts = format!("eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0.{payload}.");
    assert_eq!(code_of(&parts), "390144");
    let symmetric = EncodingKey::from_secret(b"secret");
    let header = Header::new(Algorithm::HS256);
    let signed = jsonwebtoken::encode(&header, &claims(), &symmetric).expect("sign");
    assert_eq!(code_of(&signed), "390144");
}

#[test]
fn the_second_slot_lets_keys_rotate_without_a_gap() {
    let users = users();
    let second = PAIRS[1].0.public();
    let claims = json!({
        "iss": format!("{ACCOUNT}.SVC.{}", second.fingerprint()), "sub": format!("{ACCOUNT}.SVC"),
        "iat": NOW_S, "exp": NOW_S + 60,
    });
    let token = token_of(&claims, 1);
    let credentials = Credentials {
        login_name: Some("svc"),
        password: None,
        authenticator: Some("SNOWFLAKE_JWT"),
        token: Some(&token),
    };
    assert!(users.sign_in(credentials, NOW_S).is_err());
    assert!(users.set_public_key("svc", KeySlot::Second, Some(second.clone())));
    assert!(users.sign_in(credentials, NOW_S).is_ok());
    assert!(users.set_public_key("svc", KeySlot::Second, None));
    assert!(users.sign_in(credentials, NOW_S).is_err());
}

#[test]
fn methods_that_are_not_offered_are_refused_by_their_own_codes() {
    for (authenticator, code) in [
        ("PROGRAMMATIC_ACCESS_TOKEN", "394400"),
        ("OAUTH", "390303"),
        ("WORKLOAD_IDENTITY", "390400"),
        ("EXTERNALBROWSER", "390400"),
    ] {
        let credentials = Credentials {
            login_name: Some("SVC"),
            password: Some("right"),
            authenticator: Some(authenticator),
            token: Some("x"),
        };
        let refusal = users().sign_in(credentials, NOW_S).err().expect("refused");
        assert_eq!(refusal.code, code);
    }
}

#[test]
fn the_private_key_file_is_readable_by_its_owner_only_and_never_replaced() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().expect("folder");
    let path = folder.path().join("key.p8");
    PAIRS[0].0.write_private(&path).expect("write");
    let mode = std::fs::metadata(&path).expect("metadata").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    assert!(PAIRS[0].0.write_private(&path).is_err());
}

#[test]
fn a_public_key_is_read_with_and_without_the_lines_of_a_pem() {
    use rsa::pkcs8::EncodePublicKey as _;
    let pem = PAIRS[0].0.private.to_public_key().to_public_key_pem(Default::default());
    let pem = pem.expect("pem");
    let body: String = pem.lines().filter(|line| !line.starts_with('-')).collect();
    for text in [pem.as_str(), body.as_str()] {
        let key = PublicKey::parse(text).expect("parse");
        assert_eq!(key.fingerprint(), PAIRS[0].0.public().fingerprint());
    }
    assert!(PublicKey::parse("AAAA").is_err());
}
