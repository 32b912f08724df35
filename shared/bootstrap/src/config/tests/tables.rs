use expect_test::expect;

use super::{GOOD, refuses, refuses_with};

#[test]
fn a_missing_pull_is_refused() {
    refuses(
        GOOD.split("pull:").next().unwrap(),
        expect![[r#"
            connections/acme.yaml has one problem
              connections/acme.yaml:1:1: pull: the field is missing
                repair: name the tables to pull: `pull: { tables: [...] }`"#]],
    );
}

#[test]
fn a_pull_without_tables_is_refused() {
    refuses(
        &(GOOD.split("pull:").next().unwrap().to_owned() + "pull: {}\n"),
        expect![[r#"
            connections/acme.yaml has one problem
              connections/acme.yaml:11:1: pull.tables: the field is missing
                repair: list at least one table"#]],
    );
}

#[test]
fn an_empty_list_of_tables_is_refused() {
    refuses(
        &(GOOD.split("pull:").next().unwrap().to_owned() + "pull: { tables: [] }\n"),
        expect![[r#"
            connections/acme.yaml has one problem
              connections/acme.yaml:11:9: pull.tables: the list of tables is empty"#]],
    );
}

#[test]
fn a_table_that_is_only_a_name_is_refused() {
    refuses(
        &(GOOD.split("pull:").next().unwrap().to_owned()
            + "pull: { tables: [CRM.PUBLIC.ACCOUNTS] }\n"),
        expect![[r#"
            connections/acme.yaml has one problem
              connections/acme.yaml:11:18: pull.tables[0]: found a text where fields are needed
                allowed: table, mode, key, cursor, lookback, null_cursor, integers, skip_unchanged, columns, filter, query"#]],
    );
}

#[test]
fn tables_that_are_no_list_is_refused() {
    refuses(
        &(GOOD.split("pull:").next().unwrap().to_owned()
            + "pull: { tables: CRM.PUBLIC.ACCOUNTS }\n"),
        expect![[r#"
            connections/acme.yaml has one problem
              connections/acme.yaml:11:9: pull.tables: found a text where a list of tables is needed
                repair: write it as [A, B] or with `- ` on lines"#]],
    );
}

#[test]
fn a_table_without_a_name_is_refused() {
    refuses_with(
        "table: CRM.PUBLIC.ACCOUNTS\n      ",
        "",
        expect![[r#"
            connections/acme.yaml has one problem
              connections/acme.yaml:13:7: pull.tables[0].table: the field is missing
                repair: name it as DATABASE.SCHEMA.TABLE"#]],
    );
}

#[test]
fn a_table_without_its_database_is_refused() {
    refuses_with(
        "CRM.PUBLIC.ACCOUNTS",
        "PUBLIC.ACCOUNTS",
        expect![[r#"
            connections/acme.yaml has one problem
              connections/acme.yaml:13:14: pull.tables[0].table: found `PUBLIC.ACCOUNTS`: 2 parts where DATABASE.SCHEMA.TABLE is needed
                allowed: DATABASE.SCHEMA.TABLE; a name that is not plain upper case in double quotes"#]],
    );
}

#[test]
fn a_table_name_that_needs_quotes_is_refused() {
    refuses_with(
        "CRM.PUBLIC.ACCOUNTS",
        "CRM.PUBLIC.MY-TABLE",
        expect![[r#"
            connections/acme.yaml has one problem
              connections/acme.yaml:13:14: pull.tables[0].table: found `CRM.PUBLIC.MY-TABLE`: the character '-' needs double quotes around the name
                allowed: DATABASE.SCHEMA.TABLE; a name that is not plain upper case in double quotes"#]],
    );
}

#[test]
fn a_table_name_with_an_open_quote_is_refused() {
    refuses_with(
        "CRM.PUBLIC.ACCOUNTS",
        "'CRM.PUBLIC.\"A'",
        expect![[r#"
            connections/acme.yaml has one problem
              connections/acme.yaml:13:14: pull.tables[0].table: found `CRM.PUBLIC."A`: the double quotes of a name do not pair
                allowed: DATABASE.SCHEMA.TABLE; a name that is not plain upper case in double quotes"#]],
    );
}

#[test]
fn a_table_that_stands_there_twice_is_refused() {
    refuses(
        &(GOOD.to_owned() + "    - { table: crm.public.accounts, mode: full }\n"),
        expect![[r#"
            connections/acme.yaml has one problem
              connections/acme.yaml:19:7: pull.tables[1]: CRM.PUBLIC.ACCOUNTS stands in pull.tables[0] already
                repair: remove one of the two"#]],
    );
}

#[test]
fn a_misspelt_mode_is_refused() {
    refuses_with(
        "mode: incremental",
        "mode: incremntal",
        expect![[r#"
            connections/acme.yaml has one problem
              connections/acme.yaml:14:13: pull.tables[0].mode: found `incremntal`
                allowed: incremental, full, once
                repair: perhaps `incremental` was meant"#]],
    );
}

#[test]
fn an_unknown_mode_is_refused() {
    refuses_with(
        "mode: incremental",
        "mode: changes",
        expect![[r#"
            connections/acme.yaml has one problem
              connections/acme.yaml:14:13: pull.tables[0].mode: found `changes`
                allowed: incremental, full, once"#]],
    );
}

#[test]
fn neither_mode_nor_cursor_is_refused() {
    refuses_with(
        "      mode: incremental\n      key: [ID]\n      cursor: UPDATED_AT\n      lookback: 15m\n",
        "",
        expect![[r#"
            connections/acme.yaml has one problem
              connections/acme.yaml:13:7: pull.tables[0].mode: no mode and no cursor
                allowed: full, once, or incremental with a cursor
                repair: name the column that grows with each change as `cursor`, or write `mode: full` to read the whole table on each run"#]],
    );
}

#[test]
fn incremental_without_a_cursor_is_refused() {
    refuses_with(
        "      cursor: UPDATED_AT\n",
        "",
        expect![[r#"
            connections/acme.yaml has one problem
              connections/acme.yaml:14:7: pull.tables[0].cursor: mode incremental needs a cursor
                repair: name the column that grows with each insert or update (`snowferry discover` shows candidates), or write `mode: full`"#]],
    );
}

#[test]
fn full_with_a_cursor_and_a_key_is_refused() {
    refuses_with(
        "mode: incremental",
        "mode: full",
        expect![[r#"
            connections/acme.yaml has 3 problems
              connections/acme.yaml:15:7: pull.tables[0].key: mode full reads the whole table and has no use for a key
                repair: remove `key`, or write `mode: incremental`
              connections/acme.yaml:16:7: pull.tables[0].cursor: mode full reads the whole table and has no use for a cursor
                repair: remove `cursor`, or write `mode: incremental`
              connections/acme.yaml:17:7: pull.tables[0].lookback: mode full reads the whole table and has no use for a lookback
                repair: remove `lookback`, or write `mode: incremental`"#]],
    );
}

#[test]
fn once_with_a_key_is_refused() {
    refuses_with(
        "mode: incremental\n      key: [ID]\n      cursor: UPDATED_AT\n      lookback: 15m",
        "mode: once\n      key: [ID]",
        expect![[r#"
            connections/acme.yaml has one problem
              connections/acme.yaml:15:7: pull.tables[0].key: mode once reads the whole table and has no use for a key
                repair: remove `key`, or write `mode: incremental`"#]],
    );
}

#[test]
fn a_lookback_without_a_key_is_refused() {
    refuses_with(
        "      key: [ID]\n",
        "",
        expect![[r#"
            connections/acme.yaml has one problem
              connections/acme.yaml:16:7: pull.tables[0].lookback: without a key, rows that are read again would be there twice
                repair: name the columns that tell a row from every other as `key`, or remove `lookback`"#]],
    );
}

#[test]
fn a_key_that_is_no_list_is_refused() {
    refuses_with(
        "key: [ID]",
        "key: ID",
        expect![[r#"
            connections/acme.yaml has one problem
              connections/acme.yaml:15:7: pull.tables[0].key: found a text where a list of columns is needed
                repair: write it as [A, B] or with `- ` on lines"#]],
    );
}

#[test]
fn an_empty_key_is_refused() {
    refuses_with(
        "key: [ID]",
        "key: []",
        expect![[r#"
            connections/acme.yaml has one problem
              connections/acme.yaml:15:7: pull.tables[0].key: the list of columns is empty"#]],
    );
}

#[test]
fn a_key_column_that_stands_there_twice_is_refused() {
    refuses_with(
        "key: [ID]",
        "key: [ID, id]",
        expect![[r#"
            connections/acme.yaml has one problem
              connections/acme.yaml:15:17: pull.tables[0].key[1]: ID stands in the key already
                repair: remove one of the two"#]],
    );
}

#[test]
fn a_key_column_with_a_dot_is_refused() {
    refuses_with(
        "key: [ID]",
        "key: [ACCOUNTS.ID]",
        expect![[r#"
            connections/acme.yaml has one problem
              connections/acme.yaml:15:13: pull.tables[0].key[0]: found `ACCOUNTS.ID`, which is no single name
                allowed: one column's name; one that is not plain upper case in double quotes"#]],
    );
}

#[test]
fn a_key_column_that_is_a_number_is_refused() {
    refuses_with(
        "key: [ID]",
        "key: [1]",
        expect![[r#"
            connections/acme.yaml has one problem
              connections/acme.yaml:15:13: pull.tables[0].key[0]: found the number `1` where a text is needed
                repair: put it in quotes if the text is meant"#]],
    );
}

#[test]
fn a_cursor_list_is_refused() {
    refuses_with(
        "cursor: UPDATED_AT",
        "cursor: [A, B]",
        expect![[r#"
            connections/acme.yaml has one problem
              connections/acme.yaml:16:15: pull.tables[0].cursor: found a list where a text is needed"#]],
    );
}

#[test]
fn a_lookback_in_words_is_refused() {
    refuses_with(
        "lookback: 15m",
        "lookback: 15 minutes",
        expect![[r#"
            connections/acme.yaml has one problem
              connections/acme.yaml:17:17: pull.tables[0].lookback: found `15 minutes`
                allowed: a time like 90s, 15m, 6h or 2d (for dates and timestamps), or a whole number (for a NUMBER cursor)"#]],
    );
}

#[test]
fn a_negative_lookback_is_refused() {
    refuses_with(
        "lookback: 15m",
        "lookback: -5",
        expect![[r#"
            connections/acme.yaml has one problem
              connections/acme.yaml:17:17: pull.tables[0].lookback: found -5
                allowed: a time like 90s, 15m, 6h or 2d (for dates and timestamps), or a whole number (for a NUMBER cursor)"#]],
    );
}

#[test]
fn a_lookback_beyond_all_time_is_refused() {
    refuses_with(
        "lookback: 15m",
        "lookback: 99999999999d",
        expect![[r#"
            connections/acme.yaml has one problem
              connections/acme.yaml:17:17: pull.tables[0].lookback: found `99999999999d`
                allowed: a time like 90s, 15m, 6h or 2d (for dates and timestamps), or a whole number (for a NUMBER cursor)"#]],
    );
}

#[test]
fn a_fractional_lookback_is_refused() {
    refuses_with(
        "lookback: 15m",
        "lookback: 1.5",
        expect![[r#"
            connections/acme.yaml has one problem
              connections/acme.yaml:17:17: pull.tables[0].lookback: found a number
                allowed: a time like 90s, 15m, 6h or 2d (for dates and timestamps), or a whole number (for a NUMBER cursor)"#]],
    );
}

#[test]
fn an_unknown_integer_policy_is_refused() {
    refuses_with(
        "integers: auto",
        "integers: int32",
        expect![[r#"
            connections/acme.yaml has one problem
              connections/acme.yaml:18:17: pull.tables[0].integers: found `int32`
                allowed: auto, decimal, int64
                repair: perhaps `int64` was meant"#]],
    );
}

#[test]
fn an_unknown_field_of_a_table_is_refused() {
    refuses_with(
        "integers: auto",
        "columns: [A]",
        expect![[r#"
            connections/acme.yaml has one problem
              connections/acme.yaml:18:7: pull.tables[0].columns: found a list where fields are needed
                allowed: include, exclude, hash"#]],
    );
}
