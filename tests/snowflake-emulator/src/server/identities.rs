//! The admin interface's orders about who may sign in.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use serde::Deserialize;
use serde_json::json;

use super::app::{App, ROLE, WAREHOUSE, now_s};
use super::call::{Call, bad_request};
use crate::auth::{KeySlot, PublicKey, TokenKind, User};

/// A token without a lifetime of its own works this long: 15 days, as at the real service.
const DEFAULT_TOKEN_S: i64 = 15 * 24 * 3600;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct UserOrder {
    name: String,
    password: Option<String>,
    /// PEM or its body.
    public_key: Option<String>,
    public_key_2: Option<String>,
    default_role: Option<String>,
    default_warehouse: Option<String>,
}

/// `POST /users`: adds a user, or replaces the one of that name.
pub(crate) async fn users(State(app): State<Arc<App>>, call: Call) -> Response {
    let order: UserOrder = match call.json() {
        Ok(order) => order,
        Err(refused) => return *refused,
    };
    let parsed = |text: Option<String>| text.as_deref().map(PublicKey::parse).transpose();
    match (parsed(order.public_key), parsed(order.public_key_2)) {
        (Ok(first), Ok(second)) => {
            app.users.put(User {
                name: order.name.to_uppercase(),
                password: order.password,
                public_keys: [first, second],
                default_role: order.default_role.unwrap_or_else(|| ROLE.to_owned()),
                default_warehouse: order.default_warehouse.unwrap_or_else(|| WAREHOUSE.to_owned()),
            });
            StatusCode::NO_CONTENT.into_response()
        }
        (Err(error), _) | (_, Err(error)) => bad_request(error.to_string()),
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PublicKeyOrder {
    user: String,
    slot: KeySlot,
    /// PEM or its body; none clears the slot.
    key: Option<String>,
}

/// `POST /public-keys`: sets or clears a public key of a user.
pub(crate) async fn public_keys(State(app): State<Arc<App>>, call: Call) -> Response {
    let order: PublicKeyOrder = match call.json() {
        Ok(order) => order,
        Err(refused) => return *refused,
    };
    let key = match order.key.as_deref().map(PublicKey::parse).transpose() {
        Ok(key) => key,
        Err(error) => return bad_request(error.to_string()),
    };
    if app.users.set_public_key(&order.user, order.slot, key) {
        return StatusCode::NO_CONTENT.into_response();
    }
    (StatusCode::NOT_FOUND, "there is no such user").into_response()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AccessTokenOrder {
    user: String,
    /// The role that its sessions start with.
    role: Option<String>,
    expires_in_seconds: Option<i64>,
}

/// `POST /access-tokens`: makes a programmatic access token and returns it.
pub(crate) async fn access_tokens(State(app): State<Arc<App>>, call: Call) -> Response {
    let order: AccessTokenOrder = match call.json() {
        Ok(order) => order,
        Err(refused) => return *refused,
    };
    let expires_s = now_s().saturating_add(order.expires_in_seconds.unwrap_or(DEFAULT_TOKEN_S));
    let role = order.role.map(|role| role.to_uppercase());
    let token = app.users.access.issue(TokenKind::Programmatic, &order.user, role, expires_s);
    Json(json!({"token": token})).into_response()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OAuthClientOrder {
    client_id: String,
    client_secret: String,
    user: String,
    #[serde(default = "an_hour")]
    token_seconds: i64,
}

fn an_hour() -> i64 {
    3600
}

/// `POST /oauth-clients`: registers a client of `POST /oauth/token`.
pub(crate) async fn oauth_clients(State(app): State<Arc<App>>, call: Call) -> Response {
    let order: OAuthClientOrder = match call.json() {
        Ok(order) => order,
        Err(refused) => return *refused,
    };
    let OAuthClientOrder { client_id, client_secret, user, token_seconds } = order;
    app.users.access.put_client(&client_id, &client_secret, &user, token_seconds);
    StatusCode::NO_CONTENT.into_response()
}
