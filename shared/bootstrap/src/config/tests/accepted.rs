use std::path::{Path, PathBuf};

use snowferry_model::names::Identifier;
use snowferry_model::plan::IntegerPolicy;
use snowferry_model::watermark::Lookback;
use snowferry_pull::Mode;

use snowferry_snowflake::client::Proxy;

use super::super::{Auth, KeyFile, SecretSource, Template, TemplateTable, parse, render};
use super::{GOOD, read, read_with};

#[test]
fn a_full_file_is_read_with_its_paths_taken_from_its_folder() {
    let connection = read(GOOD).unwrap();
    assert_eq!(connection.name.as_str(), "acme");
    assert_eq!(connection.snowflake.account.to_string(), "myorg-acme");
    assert_eq!(connection.snowflake.endpoint.host(), "127.0.0.1:8080");
    assert!(connection.snowflake.endpoint.is_override());
    let key = PathBuf::from("connections/keys/acme.p8");
    assert_eq!(connection.snowflake.auth, Auth::key_pair(key));
    assert_eq!(connection.tables_folder, Some(PathBuf::from("connections/../tables")));
    let [table] = connection.tables.as_slice() else { panic!("one table was written") };
    assert_eq!(table.table.to_string(), "CRM.PUBLIC.ACCOUNTS");
    assert_eq!(table.mode, Mode::Incremental);
    assert_eq!(table.key, [Identifier::new("ID").unwrap()]);
    assert_eq!(table.cursor, Some(Identifier::new("UPDATED_AT").unwrap()));
    assert_eq!(table.lookback, Lookback::Seconds(900));
    assert_eq!(table.integers, IntegerPolicy::Auto);
}

#[test]
fn without_a_base_url_the_host_is_built_from_the_account() {
    let connection = read_with("  base_url: http://127.0.0.1:8080\n", "").unwrap();
    let endpoint = connection.snowflake.endpoint;
    assert_eq!(endpoint.host(), "myorg-acme.snowflakecomputing.com");
    assert!(!endpoint.is_override());
}

#[test]
fn an_absolute_path_stays_as_it_is() {
    let connection = read_with("keys/acme.p8", "/etc/acme.p8").unwrap();
    let key = PathBuf::from("/etc/acme.p8");
    assert_eq!(connection.snowflake.auth, Auth::key_pair(key));
}

#[test]
fn a_password_comes_from_a_file_or_a_variable() {
    let auth = "{ key_pair: { private_key_file: keys/acme.p8 } }";
    let from = |other| read_with(auth, other).unwrap().snowflake.auth;
    let file = SecretSource::File(PathBuf::from("connections/acme.txt"));
    assert_eq!(from("{ password: { file: acme.txt } }"), Auth::Password(file));
    let variable = SecretSource::Variable("ACME_PASSWORD".to_owned());
    assert_eq!(from("{ password: { env: ACME_PASSWORD } }"), Auth::Password(variable));
}

#[test]
fn what_a_person_may_have_thought_out_counts_as_guessable() {
    let auth = "{ key_pair: { private_key_file: keys/acme.p8 } }";
    let named = |text: &str| {
        let secrets = read_with(auth, text).unwrap().secrets();
        secrets.into_iter().map(|secret| (secret.what, secret.is_guessable)).collect::<Vec<_>>()
    };
    let encrypted = "{ key_pair: { private_key_file: a.p8, passphrase: { file: a.txt } } }";
    assert_eq!(named(encrypted), [("private key", false), ("passphrase", true)]);
    assert_eq!(named("{ access_token: { file: token } }"), [("access token", false)]);
    assert_eq!(named("{ password: { env: ACME_PASSWORD } }"), [("password", true)]);
    let oauth = "{ oauth: { token_endpoint: 'https://idp.example/token', client_id: c-1, \
                 client_secret: { file: s } } }";
    assert_eq!(named(oauth), [("client secret", false)]);
}

#[test]
fn every_way_to_sign_in_is_read_and_written_back_the_same() {
    let written = "{ key_pair: { private_key_file: keys/acme.p8 } }";
    let file = |name: &str| SecretSource::File(PathBuf::from(format!("connections/{name}")));
    let key = |name: &str, passphrase| KeyFile {
        private_key_file: PathBuf::from(format!("connections/{name}")),
        passphrase,
    };
    for (text, wanted) in [
        (
            "{ key_pair: { private_key_file: a.p8, passphrase: { file: a.txt } } }",
            Auth::KeyPair {
                private_key_file: PathBuf::from("connections/a.p8"),
                passphrase: Some(file("a.txt")),
                next: None,
            },
        ),
        (
            "{ key_pair: { private_key_file: a.p8, next: { private_key_file: b.p8, \
             passphrase: { env: B } } } }",
            Auth::KeyPair {
                private_key_file: PathBuf::from("connections/a.p8"),
                passphrase: None,
                next: Some(key("b.p8", Some(SecretSource::Variable("B".to_owned())))),
            },
        ),
        ("{ access_token: { file: token } }", Auth::AccessToken(file("token"))),
        (
            "{ oauth: { token_endpoint: 'https://idp.example/token', client_id: c-1, \
             client_secret: { file: s }, scope: 'session:role:PULL' } }",
            Auth::OAuth {
                token_endpoint: "https://idp.example/token".to_owned(),
                client_id: "c-1".to_owned(),
                client_secret: file("s"),
                scope: Some("session:role:PULL".to_owned()),
            },
        ),
    ] {
        let auth = read_with(written, text).unwrap().snowflake.auth;
        assert_eq!(auth, wanted, "{text}");
        let mut template = template();
        template.auth = wanted.clone();
        let again = parse(Path::new("acme.yaml"), &render(&template)).unwrap();
        assert_eq!(again.snowflake.auth, wanted, "{text}");
    }
}

#[test]
fn a_proxy_is_read() {
    let with = "  base_url: http://127.0.0.1:8080\n  proxy: http://proxy.example:3128\n";
    let connection = read_with("  base_url: http://127.0.0.1:8080\n", with).unwrap();
    assert_eq!(connection.snowflake.proxy, Proxy::new("http://proxy.example:3128").ok());
}

#[test]
fn a_table_with_a_cursor_is_incremental_without_saying_so() {
    let connection = read_with("      mode: incremental\n", "").unwrap();
    assert_eq!(connection.tables[0].mode, Mode::Incremental);
}

#[test]
fn unquoted_names_are_folded_to_upper_case_and_quoted_ones_kept() {
    let connection = read_with("CRM.PUBLIC.ACCOUNTS", "'crm.public.\"my table\"'").unwrap();
    assert_eq!(connection.tables[0].table.to_string(), "CRM.PUBLIC.\"my table\"");
    let connection = read_with("key: [ID]", "key: [id, '\"id\"']").unwrap();
    let names: Vec<&str> = connection.tables[0].key.iter().map(Identifier::as_str).collect();
    assert_eq!(names, ["ID", "id"]);
}

#[test]
fn every_form_of_a_lookback_is_read() {
    let lookback = |written: &str| {
        read_with("lookback: 15m", &format!("lookback: {written}")).unwrap().tables[0].lookback
    };
    assert_eq!(lookback("90s"), Lookback::Seconds(90));
    assert_eq!(lookback("6h"), Lookback::Seconds(21_600));
    assert_eq!(lookback("2d"), Lookback::Seconds(172_800));
    assert_eq!(lookback("1000"), Lookback::Units(1000));
}

#[test]
fn aliases_spare_repetition() {
    let text = GOOD.replacen("key: [ID]", "key: &key [ID]", 1)
        + "    - { table: CRM.PUBLIC.USERS, key: *key, cursor: UPDATED_AT }\n";
    assert_eq!(read(&text).unwrap().tables[1].key, [Identifier::new("ID").unwrap()]);
}

fn template() -> Template {
    Template {
        name: "acme".to_owned(),
        account: "myorg-acme".to_owned(),
        base_url: None,
        user: "SNOWFERRY".to_owned(),
        role: "SNOWFERRY_PULL".to_owned(),
        warehouse: "SNOWFERRY_WH".to_owned(),
        auth: Auth::key_pair(PathBuf::from("../keys/acme.p8")),
        tables: vec![
            TemplateTable {
                table: "CRM.PUBLIC.ACCOUNTS".to_owned(),
                key: vec!["ID".to_owned()],
                cursor: "UPDATED_AT".to_owned(),
                lookback: "15m".to_owned(),
                ..TemplateTable::default()
            },
            TemplateTable {
                table: "CRM.PUBLIC.USERS".to_owned(),
                mode: "full",
                ..TemplateTable::default()
            },
        ],
    }
}

#[test]
fn the_written_template_explains_itself() {
    expect_test::expect![[r#"
        # The connection `acme`: one Snowflake account, and the tables to pull from it.
        # Check it with `snowferry check acme`, then run `snowferry pull acme`.
        version: 1
        connection: acme

        snowflake:
          # ORGANISATION-ACCOUNT, as in https://ORGANISATION-ACCOUNT.snowflakecomputing.com
          account: myorg-acme
          # base_url: https://…   only for a private endpoint or an emulator
          user: SNOWFERRY
          # The role needs USAGE on database, schema and warehouse, and SELECT on the tables.
          role: SNOWFERRY_PULL
          warehouse: SNOWFERRY_WH
          # A secret is never in this file. Paths count from this file's folder.
          # An encrypted key: key_pair: { private_key_file: PATH, passphrase: { file: PATH } };
          # while the key is being rotated, also next: { private_key_file: PATH }.
          # Instead of a key pair, a secret by { file: PATH } or { env: NAME }:
          #   access_token: { file: PATH }
          #   oauth: { token_endpoint: https://…, client_id: …, client_secret: { file: PATH } }
          #   password: { env: NAME }   (ending at Snowflake in 2026)
          auth: { key_pair: { private_key_file: ../keys/acme.p8 } }

        # Where the Delta tables are kept; by default in the data folder.
        # database: { delta: { folder: ../snowferry-data/tables } }

        # For each table:
        #   mode      incremental (needs a cursor) | full (read whole on each run) | once (one backfill)
        #   cursor    a NUMBER, DATE or TIMESTAMP column that grows with each insert or update
        #   key       the columns that tell a row from every other; without it rows are appended
        #   lookback  how far below the last value to read again for rows committed late: 90s, 15m, 6h,
        #             2d, or a whole number for a NUMBER cursor
        #   null_cursor  error | reload (read on each run, needs a key) | ignore: rows without a cursor
        #   integers  auto | decimal | int64: how NUMBER(38,0) is stored
        #   skip_unchanged  true | false: whether a table is left alone while Snowflake says that no
        #             row was changed since the last run
        #   columns   { include: [A, B] } or { exclude: [C] }, and hash: [D] for those of which only
        #             SHA2(salt || value) leaves the account
        #   filter    one condition: "REGION = 'EU' AND NOT IS_TEST"
        #   query     one SELECT in place of the table; then `table` names ours only
        # `snowferry discover acme` lists tables with candidates for key and cursor.
        pull:
          # A source table's columns changed, or it was created anew: evolve follows, freeze leaves
          # new columns out and stops at the rest, stop stops.
          # schema_changes: evolve
          # When pulls begin on AWS, as EventBridge Scheduler has it; here, cron or you begin them.
          # schedule: { at: cron(0 3 * * ? *), time_zone: Europe/Berlin, window: 15m }
          # The secret that is hashed with each value of a hashed column, 16 characters or more.
          # hash_salt: { file: PATH }
          tables:
            - table: CRM.PUBLIC.ACCOUNTS
              key: [ID]
              cursor: UPDATED_AT
              lookback: 15m
            - table: CRM.PUBLIC.USERS
              mode: full
    "#]].assert_eq(&render(&template()));
}

#[test]
fn the_written_template_is_read_back() {
    let file = Path::new("connections/acme.yaml");
    let connection = parse(file, &render(&template())).unwrap();
    assert_eq!(connection.tables.len(), 2);
    assert_eq!(connection.tables[1].mode, Mode::Full);
}

#[test]
fn names_that_yaml_would_misread_are_written_in_quotes() {
    let mut template = template();
    template.user = "NO".to_owned();
    template.role = "my \"role\": #1".to_owned();
    template.warehouse = "0123".to_owned();
    template.tables[0].cursor = "\"Größe: y\"".to_owned();
    template.tables[0].key = vec!["TRUE".to_owned()];
    template.base_url = Some("http://127.0.0.1:9".to_owned());
    let connection = parse(Path::new("acme.yaml"), &render(&template)).unwrap();
    assert_eq!(connection.snowflake.user, "NO");
    assert_eq!(connection.snowflake.role, "my \"role\": #1");
    assert_eq!(connection.snowflake.warehouse, "0123");
    assert_eq!(connection.tables[0].cursor, Some(Identifier::new("Größe: y").unwrap()));
    assert_eq!(connection.tables[0].key, [Identifier::new("TRUE").unwrap()]);
}
