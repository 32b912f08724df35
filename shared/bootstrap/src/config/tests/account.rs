use expect_test::expect;

use super::refuses_with;

#[test]
fn a_missing_account_is_refused() {
    refuses_with(
        "  account: myorg-acme\n",
        "",
        expect![[r#"
            connections/acme.yaml has one problem
              connections/acme.yaml:3:1: snowflake.account: the field is missing
                repair: write e.g. `account: myorg-acme`"#]],
    );
}

#[test]
fn a_misspelt_account_is_refused() {
    refuses_with(
        "account: myorg-acme",
        "acount: myorg-acme",
        expect![[r#"
            connections/acme.yaml has one problem
              connections/acme.yaml:4:3: snowflake.acount: unknown field
                allowed: account, base_url, proxy, user, role, warehouse, auth
                repair: perhaps `account` was meant"#]],
    );
}

#[test]
fn a_url_as_account_is_refused() {
    refuses_with(
        "account: myorg-acme",
        "account: https://myorg-acme.snowflakecomputing.com",
        expect![[r#"
            connections/acme.yaml has one problem
              connections/acme.yaml:4:12: snowflake.account: found `https://myorg-acme.snowflakecomputing.com`: leave the domain out; write it as org-account or locator.region.cloud
                allowed: ORGANISATION-ACCOUNT or LOCATOR.REGION.CLOUD, without https:// and host
                repair: ask for SELECT CURRENT_ORGANIZATION_NAME() || '-' || CURRENT_ACCOUNT_NAME()"#]],
    );
}

#[test]
fn a_host_as_account_is_refused() {
    refuses_with(
        "account: myorg-acme",
        "account: myorg-acme.snowflakecomputing.com",
        expect![[r#"
            connections/acme.yaml has one problem
              connections/acme.yaml:4:12: snowflake.account: found `myorg-acme.snowflakecomputing.com`: leave the domain out; write it as org-account or locator.region.cloud
                allowed: ORGANISATION-ACCOUNT or LOCATOR.REGION.CLOUD, without https:// and host
                repair: ask for SELECT CURRENT_ORGANIZATION_NAME() || '-' || CURRENT_ACCOUNT_NAME()"#]],
    );
}

#[test]
fn an_account_with_a_path_is_refused() {
    refuses_with(
        "account: myorg-acme",
        "account: evil.example/x",
        expect![[r#"
            connections/acme.yaml has one problem
              connections/acme.yaml:4:12: snowflake.account: found `evil.example/x`: only letters, digits, hyphens, underscores and dots are allowed; write it as org-account or locator.region.cloud
                allowed: ORGANISATION-ACCOUNT or LOCATOR.REGION.CLOUD, without https:// and host
                repair: ask for SELECT CURRENT_ORGANIZATION_NAME() || '-' || CURRENT_ACCOUNT_NAME()"#]],
    );
}

#[test]
fn an_account_without_a_value_is_refused() {
    refuses_with(
        "account: myorg-acme",
        "account:",
        expect![[r#"
            connections/acme.yaml has one problem
              connections/acme.yaml:4:3: snowflake.account: the field has no value
                repair: write a text after the colon"#]],
    );
}

#[test]
fn a_base_url_without_a_scheme_is_refused() {
    refuses_with(
        "http://127.0.0.1:8080",
        "127.0.0.1:8080",
        expect![[r#"
            connections/acme.yaml has one problem
              connections/acme.yaml:5:13: snowflake.base_url: it is no URL
                allowed: https://HOST[:PORT], or http://127.0.0.1:PORT for an emulator
                repair: remove `base_url` to use the account's own host"#]],
    );
}

#[test]
fn a_base_url_with_a_password_without_showing_it_is_refused() {
    refuses_with(
        "http://127.0.0.1:8080",
        "http://me:hunter2@127.0.0.1:8080",
        expect![[r#"
            connections/acme.yaml has one problem
              connections/acme.yaml:5:13: snowflake.base_url: only scheme, host and port are allowed
                allowed: https://HOST[:PORT], or http://127.0.0.1:PORT for an emulator
                repair: remove `base_url` to use the account's own host"#]],
    );
}

#[test]
fn an_empty_user_is_refused() {
    refuses_with(
        "user: SNOWFERRY",
        "user: \"\"",
        expect![[r#"
            connections/acme.yaml has one problem
              connections/acme.yaml:6:9: snowflake.user: found an empty text"#]],
    );
}

#[test]
fn a_user_that_yaml_reads_as_a_boolean_is_refused() {
    refuses_with(
        "user: SNOWFERRY",
        "user: true",
        expect![[r#"
            connections/acme.yaml has one problem
              connections/acme.yaml:6:9: snowflake.user: found the boolean `true` where a text is needed
                repair: put it in quotes if the text is meant"#]],
    );
}

#[test]
fn names_that_older_yaml_took_for_booleans_are_names() {
    for name in ["yes", "no", "on", "off", "Y", "N"] {
        let read = super::read_with("user: SNOWFERRY", &format!("user: {name}"));
        assert_eq!(read.map(|connection| connection.snowflake.user).ok().as_deref(), Some(name));
    }
}

#[test]
fn a_role_that_yaml_reads_as_a_number_is_refused() {
    refuses_with(
        "role: SNOWFERRY_PULL",
        "role: 42",
        expect![[r#"
            connections/acme.yaml has one problem
              connections/acme.yaml:7:9: snowflake.role: found the number `42` where a text is needed
                repair: put it in quotes if the text is meant"#]],
    );
}

#[test]
fn a_missing_warehouse_is_refused() {
    refuses_with(
        "  warehouse: SNOWFERRY_WH\n",
        "",
        expect![[r#"
            connections/acme.yaml has one problem
              connections/acme.yaml:3:1: snowflake.warehouse: the field is missing
                repair: name the warehouse that runs the statements"#]],
    );
}

#[test]
fn a_list_of_warehouses_is_refused() {
    refuses_with(
        "warehouse: SNOWFERRY_WH",
        "warehouse: [A, B]",
        expect![[r#"
            connections/acme.yaml has one problem
              connections/acme.yaml:8:14: snowflake.warehouse: found a list where a text is needed"#]],
    );
}

#[test]
fn no_way_to_sign_in_is_refused() {
    refuses_with(
        "{ key_pair: { private_key_file: keys/acme.p8 } }",
        "{}",
        expect![[r#"
            connections/acme.yaml has one problem
              connections/acme.yaml:9:3: snowflake.auth: found no way to sign in
                allowed: one of key_pair, access_token, oauth, password"#]],
    );
}

#[test]
fn two_ways_to_sign_in_is_refused() {
    refuses_with(
        "keys/acme.p8 } }",
        "keys/acme.p8 }, password: { env: P } }",
        expect![[r#"
            connections/acme.yaml has one problem
              connections/acme.yaml:9:3: snowflake.auth: found both key_pair and password
                repair: keep one of them; key_pair is the better one"#]],
    );
}

#[test]
fn an_unknown_way_to_sign_in_is_refused() {
    refuses_with(
        "key_pair:",
        "keypair:",
        expect![[r#"
            connections/acme.yaml has 2 problems
              connections/acme.yaml:9:3: snowflake.auth: found no way to sign in
                allowed: one of key_pair, access_token, oauth, password
              connections/acme.yaml:9:11: snowflake.auth.keypair: unknown field
                allowed: key_pair, access_token, oauth, password
                repair: perhaps `key_pair` was meant"#]],
    );
}

#[test]
fn a_missing_auth_is_refused() {
    refuses_with(
        "  auth: { key_pair: { private_key_file: keys/acme.p8 } }\n",
        "",
        expect![[r#"
            connections/acme.yaml has one problem
              connections/acme.yaml:3:1: snowflake.auth: the field is missing
                repair: write `auth: { key_pair: { private_key_file: PATH } }`"#]],
    );
}

#[test]
fn a_password_in_the_file_without_showing_it_is_refused() {
    refuses_with(
        "{ key_pair: { private_key_file: keys/acme.p8 } }",
        "{ password: hunter2 }",
        expect![[r#"
            connections/acme.yaml has one problem
              connections/acme.yaml:9:11: snowflake.auth.password: a secret is never written into this file
                allowed: { file: PATH } or { env: NAME }"#]],
    );
}

#[test]
fn a_private_key_in_the_file_without_showing_it_is_refused() {
    refuses_with(
        "keys/acme.p8",
        "\"-----BEGIN PRIVATE KEY-----MIIE\"",
        expect![[r#"
            connections/acme.yaml has one problem
              connections/acme.yaml:9:41: snowflake.auth.key_pair.private_key_file: a secret is never written into this file
                repair: put the key into a file and name the file here"#]],
    );
}

#[test]
fn a_numeric_password_without_showing_it_is_refused() {
    refuses_with(
        "{ key_pair: { private_key_file: keys/acme.p8 } }",
        "{ password: { file: 123456 } }",
        expect![[r#"
            connections/acme.yaml has one problem
              connections/acme.yaml:9:29: snowflake.auth.password.file: found a number where a text is needed
                repair: put it in quotes if the text is meant"#]],
    );
}

#[test]
fn a_password_in_place_of_a_variables_name_without_showing_it_is_refused() {
    refuses_with(
        "{ key_pair: { private_key_file: keys/acme.p8 } }",
        "{ password: { env: \"hunter2!\" } }",
        expect![[r#"
            connections/acme.yaml has one problem
              connections/acme.yaml:9:28: snowflake.auth.password.env: this is no variable's name
                allowed: letters, digits and _, not beginning with a digit"#]],
    );
}

#[test]
fn a_password_with_two_places_is_refused() {
    refuses_with(
        "{ key_pair: { private_key_file: keys/acme.p8 } }",
        "{ password: { env: P, file: f } }",
        expect![[r#"
            connections/acme.yaml has one problem
              connections/acme.yaml:9:11: snowflake.auth.password: found not exactly one place of the secret
                allowed: { file: PATH } or { env: NAME }"#]],
    );
}

#[test]
fn an_unknown_place_of_a_password_is_refused() {
    refuses_with(
        "{ key_pair: { private_key_file: keys/acme.p8 } }",
        "{ password: { value: hunter2 } }",
        expect![[r#"
            connections/acme.yaml has 2 problems
              connections/acme.yaml:9:11: snowflake.auth.password: found not exactly one place of the secret
                allowed: { file: PATH } or { env: NAME }
              connections/acme.yaml:9:23: snowflake.auth.password.value: unknown field
                allowed: file, env"#]],
    );
}

#[test]
fn a_base_url_that_looks_like_snowflake_is_refused() {
    refuses_with(
        "http://127.0.0.1:8080",
        "https://acme.snowflakecomputing.com.evil.example",
        expect![[r#"
            connections/acme.yaml has one problem
              connections/acme.yaml:5:13: snowflake.base_url: name the account instead of a Snowflake host
                allowed: https://HOST[:PORT], or http://127.0.0.1:PORT for an emulator
                repair: remove `base_url` to use the account's own host"#]],
    );
}

#[test]
fn a_base_url_without_tls_beyond_this_machine_is_refused() {
    refuses_with(
        "http://127.0.0.1:8080",
        "http://10.0.0.1:8080",
        expect![[r#"
        connections/acme.yaml has one problem
          connections/acme.yaml:5:13: snowflake.base_url: https is needed, except on loopback
            allowed: https://HOST[:PORT], or http://127.0.0.1:PORT for an emulator
            repair: remove `base_url` to use the account's own host"#]],
    );
}

#[test]
fn an_access_token_in_the_file_without_showing_it_is_refused() {
    refuses_with(
        "{ key_pair: { private_key_file: keys/acme.p8 } }",
        "{ access_token: eyJhunter2 }",
        expect![[r#"
            connections/acme.yaml has one problem
              connections/acme.yaml:9:11: snowflake.auth.access_token: a secret is never written into this file
                allowed: { file: PATH } or { env: NAME }"#]],
    );
}

#[test]
fn a_passphrase_in_the_file_without_showing_it_is_refused() {
    refuses_with(
        "private_key_file: keys/acme.p8",
        "private_key_file: keys/acme.p8, passphrase: hunter2",
        expect![[r#"
            connections/acme.yaml has one problem
              connections/acme.yaml:9:55: snowflake.auth.key_pair.passphrase: a secret is never written into this file
                allowed: { file: PATH } or { env: NAME }"#]],
    );
}

#[test]
fn an_oauth_client_without_its_parts_is_refused_with_all_of_them() {
    refuses_with(
        "{ key_pair: { private_key_file: keys/acme.p8 } }",
        "{ oauth: { token_endpoint: http://idp.example/token } }",
        expect![[r#"
            connections/acme.yaml has 3 problems
              connections/acme.yaml:9:11: snowflake.auth.oauth.client_id: the field is missing
                repair: write the id of the client at the identity provider
              connections/acme.yaml:9:11: snowflake.auth.oauth.client_secret: the field is missing
                repair: name the place of the client's secret
              connections/acme.yaml:9:36: snowflake.auth.oauth.token_endpoint: it must be https://HOST/PATH without user and fragment
                allowed: https://HOST/PATH, or http://127.0.0.1:PORT/PATH for an emulator"#]],
    );
}

#[test]
fn a_proxy_with_a_password_without_showing_it_is_refused() {
    refuses_with(
        "  user: SNOWFERRY\n",
        "  proxy: http://me:hunter2@proxy.example:3128\n  user: SNOWFERRY\n",
        expect![[r#"
            connections/acme.yaml has one problem
              connections/acme.yaml:6:10: snowflake.proxy: its user and password do not belong here; use HTTPS_PROXY
                allowed: http://HOST:PORT or https://HOST:PORT
                repair: a proxy that wants a password is named by the variable HTTPS_PROXY instead"#]],
    );
}
