//! Writes a connection file that explains itself.

use std::fmt::Write as _;

use super::auth::{Auth, SecretSource};

/// What `snowferry init` fills into the file.
#[derive(Clone, Debug)]
pub struct Template {
    /// The connection's name.
    pub name: String,
    /// The account identifier.
    pub account: String,
    /// A private endpoint or an emulator.
    pub base_url: Option<String>,
    /// The user.
    pub user: String,
    /// The role.
    pub role: String,
    /// The warehouse.
    pub warehouse: String,
    /// The credential; paths as they are to stand in the file.
    pub auth: Auth,
    /// The tables.
    pub tables: Vec<TemplateTable>,
}

/// One table of a [`Template`], each field as it is to stand in the file.
#[derive(Clone, Debug, Default)]
pub struct TemplateTable {
    /// DATABASE.SCHEMA.TABLE.
    pub table: String,
    /// `full`, `once`; empty for incremental.
    pub mode: &'static str,
    /// The key columns.
    pub key: Vec<String>,
    /// The cursor.
    pub cursor: String,
    /// The lookback; empty for none.
    pub lookback: String,
}

/// Returns the text of the file.
#[must_use]
pub fn render(template: &Template) -> String {
    let mut out = String::new();
    let Template { name, account, user, role, warehouse, .. } = template;
    let base_url = match &template.base_url {
        Some(url) => format!("  base_url: {}\n", quoted(url)),
        None => "  # base_url: https://…   only for a private endpoint or an emulator\n".to_owned(),
    };
    let auth = rendered_auth(&template.auth);
    // Writing into a String cannot fail.
    let _ = write!(
        out,
        "# The connection `{name}`: one Snowflake account, and the tables to pull from it.\n\
         # Check it with `snowferry check {name}`, then run `snowferry pull {name}`.\n\
         version: 1\n\
         connection: {name}\n\
         \n\
         snowflake:\n\
         \x20 # ORGANISATION-ACCOUNT, as in https://ORGANISATION-ACCOUNT.snowflakecomputing.com\n\
         \x20 account: {}\n\
         {base_url}\
         \x20 user: {}\n\
         \x20 # The role needs USAGE on database, schema and warehouse, and SELECT on the tables.\n\
         \x20 role: {}\n\
         \x20 warehouse: {}\n\
         \x20 # A secret is never in this file. Paths count from this file's folder.\n\
         \x20 # An encrypted key: key_pair: {{ private_key_file: PATH, passphrase: {{ file: PATH }} }};\n\
         \x20 # while the key is being rotated, also next: {{ private_key_file: PATH }}.\n\
         \x20 # Instead of a key pair, a secret by {{ file: PATH }} or {{ env: NAME }}:\n\
         \x20 #   access_token: {{ file: PATH }}\n\
         \x20 #   oauth: {{ token_endpoint: https://…, client_id: …, client_secret: {{ file: PATH }} }}\n\
         \x20 #   password: {{ env: NAME }}   (ending at Snowflake in 2026)\n\
         \x20 auth: {{ {auth} }}\n\
         \n\
         # Where the Delta tables are kept; by default in the data folder.\n\
         # database: {{ delta: {{ folder: ../snowferry-data/tables }} }}\n\
         \n\
         # For each table:\n\
         #   mode      incremental (needs a cursor) | full (read whole on each run) | once (one backfill)\n\
         #   cursor    a NUMBER, DATE or TIMESTAMP column that grows with each insert or update\n\
         #   key       the columns that tell a row from every other; without it rows are appended\n\
         #   lookback  how far below the last value to read again for rows committed late: 90s, 15m, 6h,\n\
         #             2d, or a whole number for a NUMBER cursor\n\
         #   null_cursor  error | reload (read on each run, needs a key) | ignore: rows without a cursor\n\
         #   integers  auto | decimal | int64: how NUMBER(38,0) is stored\n\
         #   skip_unchanged  true | false: whether a table is left alone while Snowflake says that no\n\
         #             row was changed since the last run\n\
         #   columns   {{ include: [A, B] }} or {{ exclude: [C] }}, and hash: [D] for those of which only\n\
         #             SHA2(salt || value) leaves the account\n\
         #   filter    one condition: \"REGION = 'EU' AND NOT IS_TEST\"\n\
         #   query     one SELECT in place of the table; then `table` names ours only\n\
         # `snowferry discover {name}` lists tables with candidates for key and cursor.\n\
         pull:\n\
         \x20 # A source table's columns changed, or it was created anew: evolve follows, freeze leaves\n\
         \x20 # new columns out and stops at the rest, stop stops.\n\
         \x20 # schema_changes: evolve\n\
         \x20 # When pulls begin on AWS, as EventBridge Scheduler has it; here, cron or you begin them.\n\
         \x20 # schedule: {{ at: cron(0 3 * * ? *), time_zone: Europe/Berlin, window: 15m }}\n\
         \x20 # The secret that is hashed with each value of a hashed column, 16 characters or more.\n\
         \x20 # hash_salt: {{ file: PATH }}\n\
         \x20 tables:\n",
        quoted(account),
        quoted(user),
        quoted(role),
        quoted(warehouse),
    );
    for table in &template.tables {
        render_table(&mut out, table);
    }
    out
}

fn rendered_auth(auth: &Auth) -> String {
    let key = |file: &std::path::Path, passphrase: &Option<SecretSource>| {
        let file = quoted(&file.display().to_string());
        let passphrase = passphrase.as_ref().map(rendered_secret);
        let passphrase = passphrase.map(|place| format!(", passphrase: {place}"));
        format!("private_key_file: {file}{}", passphrase.unwrap_or_default())
    };
    match auth {
        Auth::KeyPair { private_key_file, passphrase, next } => {
            let next = next.as_ref().map(|next| {
                format!(", next: {{ {} }}", key(&next.private_key_file, &next.passphrase))
            });
            let first = key(private_key_file, passphrase);
            format!("key_pair: {{ {first}{} }}", next.unwrap_or_default())
        }
        Auth::AccessToken(place) => format!("access_token: {}", rendered_secret(place)),
        Auth::OAuth { token_endpoint, client_id, client_secret, scope } => {
            let scope = scope.as_ref().map(|scope| format!(", scope: {}", quoted(scope)));
            format!(
                "oauth: {{ token_endpoint: {}, client_id: {}, client_secret: {}{} }}",
                quoted(token_endpoint),
                quoted(client_id),
                rendered_secret(client_secret),
                scope.unwrap_or_default()
            )
        }
        Auth::Password(place) => format!("password: {}", rendered_secret(place)),
    }
}

fn rendered_secret(place: &SecretSource) -> String {
    match place {
        SecretSource::File(file) => format!("{{ file: {} }}", quoted(&file.display().to_string())),
        SecretSource::Variable(name) => format!("{{ env: {name} }}"),
    }
}

fn render_table(out: &mut String, table: &TemplateTable) {
    let _ = writeln!(out, "    - table: {}", quoted(&table.table));
    if !table.mode.is_empty() {
        let _ = writeln!(out, "      mode: {}", table.mode);
    }
    if !table.key.is_empty() {
        let key: Vec<String> = table.key.iter().map(|column| quoted(column)).collect();
        let _ = writeln!(out, "      key: [{}]", key.join(", "));
    }
    if !table.cursor.is_empty() {
        let _ = writeln!(out, "      cursor: {}", quoted(&table.cursor));
    }
    if !table.lookback.is_empty() {
        let _ = writeln!(out, "      lookback: {}", table.lookback);
    }
}

/// Returns a text as a YAML scalar: plain where that can only be a text, else as a JSON string,
/// which YAML reads the same.
fn quoted(text: &str) -> String {
    const WORDS: &[&str] = &["y", "n", "yes", "no", "on", "off", "true", "false", "null"];
    let first = text.starts_with(|c: char| c.is_ascii_alphabetic() || matches!(c, '_' | '/' | '.'));
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | '/' | '$');
    let word = WORDS.contains(&text.to_lowercase().as_str());
    let number = text.starts_with('.') && !text.starts_with("./") && !text.starts_with("../");
    if first && text.chars().all(plain) && !word && !number {
        return text.to_owned();
    }
    serde_json::Value::from(text).to_string()
}
