use expect_test::expect;

use super::super::{Schedule, Schedules};
use super::{GOOD, read, read_with, refuses, refuses_with};

#[test]
fn an_empty_file_is_refused() {
    refuses(
        "",
        expect![[r#"
            connections/acme.yaml has one problem
              connections/acme.yaml:1:1: the file is empty
                repair: `snowferry init NAME` writes a commented example"#]],
    );
}

#[test]
fn a_file_of_comments_only_is_refused() {
    refuses(
        "# nothing yet\n",
        expect![[r#"
            connections/acme.yaml has one problem
              connections/acme.yaml:1:1: the file is empty
                repair: `snowferry init NAME` writes a commented example"#]],
    );
}

#[test]
fn a_list_where_fields_are_needed_is_refused() {
    refuses(
        "- version: 1\n",
        expect![[r#"
            connections/acme.yaml has one problem
              connections/acme.yaml:1:1: found a list where fields are needed
                allowed: version, connection, snowflake, database, pull, push"#]],
    );
}

#[test]
fn a_text_that_is_not_yaml_is_refused() {
    refuses(
        "version: [1\nconnection: acme\n",
        expect![[r#"
            connections/acme.yaml has one problem
              connections/acme.yaml:2:11: the text is not YAML: illegal placement of ':' indicator"#]],
    );
}

#[test]
fn tabs_as_indentation_is_refused() {
    refuses_with(
        "  account: myorg-acme",
        "\taccount: myorg-acme",
        expect![[r#"
            connections/acme.yaml has one problem
              connections/acme.yaml:4:2: the text is not YAML: tabs disallowed within this context (block indentation)"#]],
    );
}

#[test]
fn a_field_that_stands_there_twice_is_refused() {
    refuses_with(
        "  user: SNOWFERRY\n",
        "  user: SNOWFERRY\n  user: OTHER\n",
        expect![[r#"
            connections/acme.yaml has one problem
              connections/acme.yaml:7:3: user: the field stands here a second time
                repair: remove one of the two"#]],
    );
}

#[test]
fn a_second_document_is_refused() {
    refuses_with(
        "pull:\n",
        "---\npull:\n",
        expect![[r#"
            connections/acme.yaml has one problem
              connections/acme.yaml:12:1: a second YAML document begins here
                repair: write one connection into one file"#]],
    );
}

#[test]
fn a_missing_version_is_refused() {
    refuses_with(
        "version: 1\n",
        "",
        expect![[r#"
            connections/acme.yaml has one problem
              connections/acme.yaml:1:1: version: the field is missing
                repair: write `version: 1`"#]],
    );
}

#[test]
fn a_version_of_the_future_is_refused() {
    refuses_with(
        "version: 1",
        "version: 2",
        expect![[r#"
            connections/acme.yaml has one problem
              connections/acme.yaml:1:10: version: found the version 2
                allowed: 1
                repair: read the file with the Snowferry it is for"#]],
    );
}

#[test]
fn a_version_that_is_no_number_is_refused() {
    refuses_with(
        "version: 1",
        "version: one",
        expect![[r#"
            connections/acme.yaml has one problem
              connections/acme.yaml:1:10: version: found a text
                allowed: 1"#]],
    );
}

#[test]
fn an_unknown_field_at_the_top_is_refused() {
    refuses_with(
        "pull:\n",
        "schedule: daily\npull:\n",
        expect![[r#"
            connections/acme.yaml has one problem
              connections/acme.yaml:11:1: schedule: unknown field
                allowed: version, connection, snowflake, database, pull, push"#]],
    );
}

#[test]
fn a_misspelt_field_at_the_top_is_refused() {
    refuses_with(
        "connection: acme",
        "conection: acme",
        expect![[r#"
            connections/acme.yaml has one problem
              connections/acme.yaml:2:1: conection: unknown field
                allowed: version, connection, snowflake, database, pull, push
                repair: perhaps `connection` was meant"#]],
    );
}

#[test]
fn a_name_other_than_the_files_is_refused() {
    refuses_with(
        "connection: acme",
        "connection: beta",
        expect![[r#"
            connections/acme.yaml has one problem
              connections/acme.yaml:2:13: connection: found `beta` in a file named `acme.yaml`
                repair: give the file and the connection the same name"#]],
    );
}

#[test]
fn a_name_with_capitals_is_refused() {
    refuses_with(
        "connection: acme",
        "connection: Acme",
        expect![[r#"
            connections/acme.yaml has one problem
              connections/acme.yaml:2:13: connection: found `Acme`
                allowed: a connection's name is lower-case letters, digits and hyphens, and starts with a letter"#]],
    );
}

#[test]
fn a_name_that_leads_elsewhere_is_refused() {
    refuses_with(
        "connection: acme",
        "connection: ../acme",
        expect![[r#"
            connections/acme.yaml has one problem
              connections/acme.yaml:2:13: connection: found `../acme`
                allowed: a connection's name is lower-case letters, digits and hyphens, and starts with a letter"#]],
    );
}

#[test]
fn a_missing_account_part_is_refused() {
    refuses(
        "version: 1\nconnection: acme\npull: { tables: [{ table: A.B.C, mode: full }] }\n",
        expect![[r#"
            connections/acme.yaml has one problem
              connections/acme.yaml:1:1: snowflake: the field is missing
                repair: say which account to sign in to, and as whom"#]],
    );
}

#[test]
fn a_database_of_an_unknown_kind_is_refused() {
    refuses_with(
        "{ delta: { folder: ../tables } }",
        "{ postgres: { url: x } }",
        expect![[r#"
            connections/acme.yaml has 2 problems
              connections/acme.yaml:10:1: database.delta: the field is missing
                repair: write `delta: { folder: PATH }`
              connections/acme.yaml:10:13: database.postgres: unknown field
                allowed: delta"#]],
    );
}

#[test]
fn a_database_without_a_folder_is_refused() {
    refuses_with(
        "{ folder: ../tables }",
        "{}",
        expect![[r#"
            connections/acme.yaml has one problem
              connections/acme.yaml:10:13: database.delta.folder: the field is missing
                repair: name the folder for the Delta tables"#]],
    );
}

#[test]
fn a_misspelt_folder_is_refused() {
    refuses_with(
        "folder: ../tables",
        "foldr: ../tables",
        expect![[r#"
            connections/acme.yaml has one problem
              connections/acme.yaml:10:22: database.delta.foldr: unknown field
                allowed: folder
                repair: perhaps `folder` was meant"#]],
    );
}

#[test]
fn everything_that_is_wrong_at_once_is_refused() {
    refuses(
        "version: 3\nconnection: beta\nsnowflake:\n  acount: x\n  user: \"\"\n  role: 12\n  auth: { }\npull:\n  tables:\n    - table: A.B\n      mode: increment\n    - { cursor: C, key: [], lookback: soon }\n",
        expect![[r#"
            connections/acme.yaml has 12 problems
              connections/acme.yaml:1:10: version: found the version 3
                allowed: 1
                repair: read the file with the Snowferry it is for
              connections/acme.yaml:2:13: connection: found `beta` in a file named `acme.yaml`
                repair: give the file and the connection the same name
              connections/acme.yaml:3:1: snowflake.warehouse: the field is missing
                repair: name the warehouse that runs the statements
              connections/acme.yaml:4:3: snowflake.acount: unknown field
                allowed: account, base_url, proxy, user, role, warehouse, auth
                repair: perhaps `account` was meant
              connections/acme.yaml:5:9: snowflake.user: found an empty text
              connections/acme.yaml:6:9: snowflake.role: found the number `12` where a text is needed
                repair: put it in quotes if the text is meant
              connections/acme.yaml:7:3: snowflake.auth: found no way to sign in
                allowed: one of key_pair, access_token, oauth, password
              connections/acme.yaml:10:14: pull.tables[0].table: found `A.B`: 2 parts where DATABASE.SCHEMA.TABLE is needed
                allowed: DATABASE.SCHEMA.TABLE; a name that is not plain upper case in double quotes
              connections/acme.yaml:11:13: pull.tables[0].mode: found `increment`
                allowed: incremental, full, once
                repair: perhaps `incremental` was meant
              connections/acme.yaml:12:7: pull.tables[1].table: the field is missing
                repair: name it as DATABASE.SCHEMA.TABLE
              connections/acme.yaml:12:20: pull.tables[1].key: the list of columns is empty
              connections/acme.yaml:12:39: pull.tables[1].lookback: found `soon`
                allowed: a time like 90s, 15m, 6h or 2d (for dates and timestamps), or a whole number (for a NUMBER cursor)"#]],
    );
}

#[test]
fn pulls_and_pushes_have_schedules_of_their_own() {
    let connection = read(GOOD).unwrap();
    assert_eq!(connection.schedules, Schedules::default());
    let at = "pull:\n  schedule: { at: cron(0 3 * * ? *), time_zone: Europe/Berlin, window: 2h }\n";
    let schedules = read_with("pull:\n", at).unwrap().schedules;
    let pull = Schedule {
        expression: "cron(0 3 * * ? *)".to_owned(),
        time_zone: "Europe/Berlin".to_owned(),
        window_minutes: Some(120),
    };
    assert_eq!(schedules, Schedules { pull: Some(pull), push: None });
}

#[test]
fn a_schedule_that_never_fires_is_refused_with_its_place() {
    let at = "pull:\n  schedule: { at: cron(0 3 31 2 ? *), zone: UTC }\n";
    refuses_with(
        "pull:\n",
        at,
        expect![[r#"
            connections/acme.yaml has 2 problems
              connections/acme.yaml:12:19: pull.schedule.at: no such month has the day 31
                repair: write L for the last day of the month
              connections/acme.yaml:12:39: pull.schedule.zone: unknown field
                allowed: at, time_zone, window"#]],
    );
}
