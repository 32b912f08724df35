use std::path::Path;

use expect_test::expect_file;
use snowferry_model::fault::Fault;
use sqlparser::dialect::SnowflakeDialect;
use sqlparser::parser::Parser;
use sqlparser::tokenizer::{Token, Tokenizer};

use super::*;
use crate::config::parse;

/// What sqlparser does not know of Snowflake's grammar. These are read as tokens only.
const BEYOND_THE_PARSER: &[&str] = &[
    "CREATE WAREHOUSE ",
    "CREATE NETWORK RULE ",
    "CREATE NETWORK POLICY ",
    "DROP WAREHOUSE ",
    "DROP NETWORK POLICY ",
];

const TABLES: &str = "[{ table: CRM.PUBLIC.ACCOUNTS, key: [ID], cursor: UPDATED_AT }, \
                      { table: CRM.PUBLIC.USERS, mode: full }, { table: ERP.SALES.ORDERS, mode: full }]";

fn connection(tables: &str) -> Connection {
    let text = format!(
        "version: 1\nconnection: acme\nsnowflake: {{ account: myorg-acme, user: svc_snowferry, \
         role: SNOWFERRY_PULL, warehouse: SNOWFERRY_WH, \
         auth: {{ key_pair: {{ private_key_file: no-such-file }} }} }}\n\
         pull: {{ tables: {tables} }}\n"
    );
    parse(Path::new("connections/acme.yaml"), &text).unwrap()
}

fn half() -> PublicHalf {
    PublicHalf {
        file: "acme.p8".into(),
        public_key: "MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8A+/EXAMPLE==".to_owned(),
        fingerprint: "SHA256:EXAMPLE=".to_owned(),
    }
}

fn script_of(connection: &Connection, addresses: &[&str]) -> Script {
    let addresses = Addresses::new(addresses.iter().copied()).unwrap();
    compose(connection, &Names::of(connection).unwrap(), &half(), &addresses)
}

fn tokens(sql: &str) -> Vec<Token> {
    let tokens = Tokenizer::new(&SnowflakeDialect {}, sql).tokenize().unwrap();
    tokens.into_iter().filter(|token| !matches!(token, Token::Whitespace(_))).collect()
}

/// Reads each statement of a script, alone and within the whole text.
fn reads_back(script: &Script) {
    for statement in script.statements() {
        let sql = &statement.sql;
        let known = !BEYOND_THE_PARSER.iter().any(|start| sql.starts_with(start));
        if known {
            let parsed = Parser::parse_sql(&SnowflakeDialect {}, sql)
                .unwrap_or_else(|error| panic!("{error}: {sql}"));
            assert_eq!(parsed.len(), 1, "{sql}");
        }
        assert!(!tokens(sql).contains(&Token::SemiColon), "{sql}");
    }
    // Nothing of a comment became a statement, nothing of a statement a comment.
    let whole = tokens(&script.text());
    let alone: Vec<Token> =
        script.statements().flat_map(|statement| tokens(&format!("{};", statement.sql))).collect();
    assert_eq!(whole, alone);
}

#[test]
fn the_script_gives_exactly_what_is_needed_and_explains_it() {
    let script = script_of(&connection(TABLES), &["203.0.113.7", "203.0.113.8"]);
    reads_back(&script);
    expect_file!["expected/setup.sql"].assert_eq(&script.text());
}

#[test]
fn the_removal_takes_back_what_was_made() {
    let script = removal(&connection(TABLES)).unwrap();
    reads_back(&script);
    expect_file!["expected/removal.sql"].assert_eq(&script.text());
}

#[test]
fn without_addresses_the_script_says_that_it_restricts_none() {
    let script = script_of(&connection(TABLES), &[]);
    reads_back(&script);
    assert!(!script.text().contains("NETWORK"));
    assert!(script.text().contains("does not restrict from where"));
}

#[test]
fn no_right_to_write_is_given_and_none_on_a_whole_schema() {
    let script = script_of(&connection(TABLES), &["203.0.113.7"]);
    let grants: Vec<&str> =
        script.statements().map(|s| s.sql.as_str()).filter(|s| s.starts_with("GRANT ")).collect();
    for grant in &grants {
        let allowed = ["GRANT USAGE ON ", "GRANT SELECT ON TABLE ", "GRANT ROLE "];
        assert!(allowed.iter().any(|start| grant.starts_with(start)), "{grant}");
        assert!(!grant.contains(" ALL ") && !grant.contains(" FUTURE "), "{grant}");
    }
    let select = grants.iter().filter(|grant| grant.starts_with("GRANT SELECT")).count();
    assert_eq!((grants.len(), select), (9, 3));
}

#[test]
fn a_hostile_name_stays_a_name() {
    let names = [
        r#"x"; DROP TABLE y; --"#,
        "line\nbreak; DROP USER z;",
        "carriage\rreturn",
        r"back\slash",
        "quote'quote",
        "$$dollar$$",
        "/* comment */",
        "-- comment",
        "Ünïcode",
        "tab\tand space",
    ];
    for name in names {
        let mut connection = connection("[{ table: A.B.C, mode: full }]");
        let table = Identifier::new(name).unwrap();
        for job in &mut connection.tables {
            job.table.table = table.clone();
            job.table.schema = table.clone();
        }
        connection.snowflake.role = table.quoted();
        connection.snowflake.user = table.quoted();
        connection.snowflake.warehouse = table.quoted();
        let script = script_of(&connection, &["203.0.113.7"]);
        reads_back(&script);
        let grant = script.statements().find(|s| s.sql.starts_with("GRANT SELECT")).unwrap();
        let quoted: Vec<String> = tokens(&grant.sql)
            .into_iter()
            .filter_map(|token| match token {
                Token::Word(word) if word.quote_style == Some('"') => {
                    Some(word.value.replace("\"\"", "\""))
                }
                _ => None,
            })
            .collect();
        assert_eq!(quoted, ["A", name, name, name], "{}", grant.sql);
    }
}

#[test]
fn a_user_that_is_no_name_is_refused_with_the_setting() {
    let mut connection = connection(TABLES);
    connection.snowflake.user = "svc@example.com".to_owned();
    let error = script(&connection, &Addresses::default()).unwrap_err();
    assert_eq!(error.code(), "SETTING_INVALID");
    assert!(error.to_string().starts_with("snowflake.user: found `svc@example.com`"), "{error}");
}

#[test]
fn without_a_key_there_is_no_script() {
    let error = script(&connection(TABLES), &Addresses::default()).unwrap_err();
    assert_eq!(error.code(), "CONFIG_SECRET");
}

#[test]
fn addresses_are_ipv4_or_narrow_ranges_each_once() {
    let good = Addresses::new(["203.0.113.7", " 203.0.113.8 ", "203.0.113.7", "198.51.100.0/28"]);
    assert_eq!(
        format!("{:?}", good.unwrap()),
        r#"Addresses(["203.0.113.7", "203.0.113.8", "198.51.100.0/28"])"#
    );
    let bad = [
        "",
        "203.0.113",
        "203.0.113.256",
        "203.0.113.7/33",
        "203.0.113.7/",
        "203.0.113.7/-1",
        "2001:db8::1",
        "example.com",
        "0.0.0.0/0",
        "10.0.0.0/8",
        "203.0.113.7'",
        "203.0.113.7;",
        "1.2.3.4/16/16",
        "01.2.3.4",
    ];
    for one in bad {
        let error = Addresses::new([one]).expect_err(one);
        assert_eq!(error.code(), "SETTING_INVALID");
        assert!(error.to_string().starts_with("--egress: found `"), "{error}");
    }
}
