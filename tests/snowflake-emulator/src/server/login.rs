//! `POST /session/v1/login-request`.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::app::{ACCOUNT, App, now, now_s};
use super::call::{Call, Refused};
use super::reply;
use crate::auth::{Credentials, User};
use crate::engine::SessionContext;
use crate::session::parameters;

/// What `serverVersion` says. The suffix tells a log reader that this is not the real service.
const SERVER_VERSION: &str = "9.38.0 snowferry-emulator";
/// A flag inside SESSION_PARAMETERS that is an instruction and no parameter.
const VALIDATE: &str = "CLIENT_VALIDATE_DEFAULT_PARAMETERS";

#[derive(Debug, Deserialize)]
struct LoginRequest {
    data: LoginData,
}

#[derive(Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
struct LoginData {
    client_app_id: Option<String>,
    account_name: Option<String>,
    login_name: Option<String>,
    password: Option<String>,
    authenticator: Option<String>,
    token: Option<String>,
    session_parameters: Option<Map<String, Value>>,
}

impl std::fmt::Debug for LoginData {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LoginData").field("login_name", &self.login_name).finish_non_exhaustive()
    }
}

/// Signs a client in and opens a session.
pub(crate) async fn login(State(app): State<Arc<App>>, call: Call) -> Response {
    match sign_in(&app, &call).await {
        Ok(response) => response,
        Err(refused) => *refused,
    }
}

async fn sign_in(app: &App, call: &Call) -> Result<Response, Refused> {
    call.request_id()?;
    let LoginRequest { data } = call.json()?;
    if !is_our_account(data.account_name.as_deref()) {
        let text = "403 Forbidden: no such account at this host";
        return Err(Box::new((StatusCode::FORBIDDEN, text).into_response()));
    }
    let credentials = Credentials {
        login_name: data.login_name.as_deref(),
        password: data.password.as_deref(),
        authenticator: data.authenticator.as_deref(),
        token: data.token.as_deref(),
    };
    let user = app.users.sign_in(credentials, now_s()).map_err(|refusal| {
        let data = json!({"nextAction": "RETRY_LOGIN", "signInOptions": {}});
        Box::new(reply::failure(refusal.code, &refusal.message, &data))
    })?;
    check_user(app, call, &user.name)?;
    let mut context = SessionContext {
        user: user.name.clone(),
        account: ACCOUNT.to_owned(),
        role: Some(default_role(app, &user)),
        warehouse: Some(user.default_warehouse).filter(|name| !name.is_empty()),
        parameters: BTreeMap::from([("TIMEZONE".to_owned(), app.runner.account().zone())]),
        ..SessionContext::default()
    };
    let mut sent = data.session_parameters.unwrap_or_default();
    let validate = sent.remove(VALIDATE).is_some_and(|value| is_true(&value));
    parameters::overlay(&mut context.parameters, &sent);
    enter(app, &mut context, call, validate).await?;
    let client = data.client_app_id.unwrap_or_default();
    let (session, tokens) = app.sessions.open(context, &client, now());
    let context = session.context();
    let lifetimes = app.sessions.lifetimes();
    Ok(reply::success(&json!({
        "masterToken": tokens.master,
        "token": tokens.session,
        "validityInSeconds": lifetimes.session.as_secs(),
        "masterValidityInSeconds": lifetimes.master.as_secs(),
        "displayUserName": user.name,
        "serverVersion": SERVER_VERSION,
        "firstLogin": false,
        "remMeToken": null,
        "remMeValidityInSeconds": 0,
        "healthCheckInterval": 45,
        "newClientForUpgrade": null,
        "sessionId": session.id,
        "parameters": parameters::in_force(&context),
        "sessionInfo": {
            "databaseName": context.database,
            "schemaName": context.schema,
            "warehouseName": context.warehouse,
            "roleName": context.role,
        },
        "idToken": null,
        "idTokenValidityInSeconds": 0,
        "responseData": null,
        "mfaToken": null,
        "mfaTokenValidityInSeconds": 0,
    })))
}

/// Refuses a user that is disabled or comes from an address that its network policy does not allow.
fn check_user(app: &App, call: &Call, user: &str) -> Result<(), Refused> {
    let account = app.runner.account();
    if account.profile(user).disabled {
        let message = "User access disabled. Contact your local system administrator.";
        return Err(Box::new(reply::failure("390101", message, &Value::Null)));
    }
    let Some(address) = call.from() else { return Ok(()) };
    if account.admits(user, address) {
        return Ok(());
    }
    let message = format!(
        "Incoming request with IP/Token {address} is not allowed to access Snowflake. Contact your \
         local security administrator."
    );
    Err(Box::new(reply::failure("390422", &message, &Value::Null)))
}

/// The user's default role if it has it, else the one that everybody has.
fn default_role(app: &App, user: &User) -> String {
    let has_it = app.runner.account().may_act(&user.name, &user.default_role);
    if has_it { user.default_role.clone() } else { "PUBLIC".to_owned() }
}

/// Takes the role, warehouse, database and schema of the query string. What does not exist stays
/// null, unless the client wants it validated.
async fn enter(
    app: &App,
    context: &mut SessionContext,
    call: &Call,
    validate: bool,
) -> Result<(), Refused> {
    let wishes = [
        ("roleName", "ROLE"),
        ("warehouse", "WAREHOUSE"),
        ("databaseName", "DATABASE"),
        ("schemaName", "SCHEMA"),
    ];
    for (parameter, kind) in wishes {
        let Some(name) = call.parameter(parameter).filter(|name| !name.is_empty()) else {
            continue;
        };
        let statement = format!("USE {kind} {}", identifier(name));
        if app.runner.execute(context, &statement, &[]).await.is_ok() {
            continue;
        }
        if validate {
            return Err(Box::new(refuse_wish(kind, name)));
        }
        match kind {
            "ROLE" => context.role = None,
            "WAREHOUSE" => context.warehouse = None,
            "DATABASE" => context.database = None,
            _ => context.schema = None,
        }
    }
    Ok(())
}

fn refuse_wish(kind: &str, name: &str) -> Response {
    if kind == "ROLE" {
        let message = format!(
            "Role '{name}' specified in the connect string does not exist or not authorized. \
             Contact your local system administrator, or attempt to login with another role, \
             e.g. PUBLIC."
        );
        return reply::failure("390189", &message, &Value::Null);
    }
    let kind = kind.to_lowercase();
    let message = format!("The requested {kind} does not exist or not authorized.");
    reply::failure("390201", &message, &Value::Null)
}

/// Quotes a name as the service resolves it: plain names in upper case, quoted ones as they are.
fn identifier(name: &str) -> String {
    if name.len() >= 2 && name.starts_with('"') && name.ends_with('"') {
        let inner = name.get(1..name.len() - 1).unwrap_or_default();
        return format!("\"{}\"", inner.replace("\"\"", "\"").replace('"', "\"\""));
    }
    format!("\"{}\"", name.to_uppercase().replace('"', "\"\""))
}

/// Whether a client means this account: in any case, with `_` for `-`, with a region after a dot.
fn is_our_account(name: Option<&str>) -> bool {
    name.is_some_and(|name| {
        let plain = name.split('.').next().unwrap_or_default();
        plain.replace('_', "-").eq_ignore_ascii_case(ACCOUNT)
    })
}

fn is_true(value: &Value) -> bool {
    match value {
        Value::Bool(flag) => *flag,
        Value::String(text) => parameters::is_true(text),
        _ => false,
    }
}
