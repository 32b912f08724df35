use std::path::Path;

use expect_test::expect;
use snowferry_model::fault::Fault;

use super::*;
use crate::config::parse;

fn connection(folder: &Path, auth: &str) -> Connection {
    let text = format!(
        "version: 1\nconnection: acme\nsnowflake: {{ account: myorg-acme, user: svc, role: PULL, \
         warehouse: WH, auth: {{ {auth} }} }}\npull: {{ tables: [{{ table: A.B.C, mode: full }}] }}\n"
    );
    parse(&folder.join("connections/acme.yaml"), &text).unwrap()
}

fn with_key(folder: &Path) -> Connection {
    connection(folder, "key_pair: { private_key_file: ../keys/acme.p8 }")
}

#[test]
fn a_new_key_is_readable_by_its_owner_alone_and_can_be_used() {
    let folder = tempfile::tempdir().unwrap();
    let connection = with_key(folder.path());
    let made = make(&connection).unwrap();
    let text = std::fs::read_to_string(&made.file).unwrap();
    assert!(text.starts_with("-----BEGIN PRIVATE KEY-----\n"), "PKCS#8, not encrypted");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(made.file.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    }
    assert_eq!(public_half(&connection).unwrap(), made);
    assert!(made.public_key.starts_with("MII") && !made.public_key.contains('\n'));
    assert!(made.fingerprint.starts_with("SHA256:"));
}

#[test]
fn a_key_that_is_there_is_never_touched() {
    let folder = tempfile::tempdir().unwrap();
    let connection = with_key(folder.path());
    let made = make(&connection).unwrap();
    let before = std::fs::read(&made.file).unwrap();
    let error = make(&connection).unwrap_err();
    assert_eq!(error.code(), "KEY_EXISTS");
    assert!(error.hint().unwrap().contains("snowferry rotate-key acme"));
    assert_eq!(std::fs::read(&made.file).unwrap(), before);
}

#[test]
fn a_next_key_waits_beside_the_one_in_use_and_is_made_once() {
    let folder = tempfile::tempdir().unwrap();
    let connection = with_key(folder.path());
    let made = make(&connection).unwrap();
    let next = make_next(&connection).unwrap();
    assert_ne!(next.public_key, made.public_key);
    assert_eq!(next.file.file_name().unwrap(), "acme.p8.next");
    assert_eq!(make_next(&connection).unwrap(), next, "asked again, the same key is shown");
    assert_eq!(public_half(&connection).unwrap(), made, "the key in use stays in use");
}

#[test]
fn without_a_key_in_use_there_is_nothing_to_exchange() {
    let folder = tempfile::tempdir().unwrap();
    let connection = with_key(folder.path());
    assert_eq!(make_next(&connection).unwrap_err().code(), "CONFIG_SECRET");
    assert!(!folder.path().join("keys").exists());
}

#[tokio::test]
async fn without_a_next_key_nothing_is_taken() {
    let folder = tempfile::tempdir().unwrap();
    let connection = with_key(folder.path());
    let made = make(&connection).unwrap();
    let app = App::new(crate::home::Home::new(folder.path(), None));
    let error = take_next(&app, &connection).await.unwrap_err();
    assert!(error.to_string().contains("rotate-key acme` makes one"), "{error}");
    assert_eq!(public_half(&connection).unwrap(), made);
}

#[test]
fn a_connection_with_a_password_has_no_key_and_says_how_to_get_one() {
    let folder = tempfile::tempdir().unwrap();
    let connection = connection(folder.path(), "password: { env: P }");
    let error = make(&connection).unwrap_err();
    expect!["snowflake.auth: `acme` does not sign in by key pair; name the file that the key is to have: auth: { key_pair: { private_key_file: ../keys/acme.p8 } }"]
        .assert_eq(&error.to_string());
}

#[test]
fn an_exchange_uses_the_second_slot_first_and_then_shuts_the_old_key_out() {
    let folder = tempfile::tempdir().unwrap();
    let connection = with_key(folder.path());
    let half = PublicHalf {
        file: "acme.p8".into(),
        public_key: "MIIB".to_owned(),
        fingerprint: "SHA256:x".to_owned(),
    };
    let offered = exchange(&connection, &half, ExchangeStep::Offer).unwrap();
    expect![[r#"ALTER USER "SVC" SET RSA_PUBLIC_KEY_2 = 'MIIB'"#]].assert_eq(&offered.join("\n"));
    let shut_out = exchange(&connection, &half, ExchangeStep::ShutOut).unwrap();
    expect![[r#"
        ALTER USER "SVC" SET RSA_PUBLIC_KEY = 'MIIB'
        ALTER USER "SVC" UNSET RSA_PUBLIC_KEY_2"#]]
    .assert_eq(&shut_out.join("\n"));
}
