//! `POST /oauth/token`: a token endpoint for the client credentials grant (RFC 6749, 4.4).

use std::collections::HashMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use super::app::{App, now_s};
use super::call::Call;

/// The scope that names a role.
const ROLE_SCOPE: &str = "session:role:";

/// Grants a token to a registered client.
pub(crate) async fn token(State(app): State<Arc<App>>, call: Call) -> Response {
    let form: HashMap<String, String> =
        url::form_urlencoded::parse(call.body()).into_owned().collect();
    let field = |name: &str| form.get(name).cloned();
    if field("grant_type").as_deref() != Some("client_credentials") {
        return refuse(StatusCode::BAD_REQUEST, "unsupported_grant_type");
    }
    let basic = call
        .header(header::AUTHORIZATION)
        .and_then(|value| value.strip_prefix("Basic "))
        .and_then(|encoded| STANDARD.decode(encoded).ok())
        .and_then(|bytes| String::from_utf8(bytes).ok());
    let given = match &basic {
        Some(pair) => pair.split_once(':').map(|(id, secret)| (decoded(id), decoded(secret))),
        None => field("client_id").zip(field("client_secret")),
    };
    let Some((id, secret)) = given else {
        return refuse(StatusCode::UNAUTHORIZED, "invalid_client");
    };
    let scope = field("scope").unwrap_or_default();
    let role = scope.split(' ').find_map(|part| part.strip_prefix(ROLE_SCOPE));
    let role = role.map(str::to_uppercase);
    match app.users.access.grant(&id, &secret, role, now_s()) {
        None => refuse(StatusCode::UNAUTHORIZED, "invalid_client"),
        Some((token, lifetime_s)) => {
            let body = json!({
                "access_token": token, "token_type": "Bearer", "expires_in": lifetime_s,
                "scope": scope,
            });
            ([(header::CACHE_CONTROL, "no-store")], Json(body)).into_response()
        }
    }
}

/// Ids and secrets in a Basic header are form-encoded first.
fn decoded(text: &str) -> String {
    let pair = url::form_urlencoded::parse(text.as_bytes()).next();
    pair.map(|(text, _)| text.into_owned()).unwrap_or_default()
}

fn refuse(status: StatusCode, error: &str) -> Response {
    (status, Json(json!({"error": error}))).into_response()
}
