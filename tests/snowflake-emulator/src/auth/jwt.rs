//! The key-pair token: signature, issuer, subject and times.

use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde::Deserialize;

use super::User;

/// Longest validity of a token after `iat`, whatever `exp` says: one hour. From Snowflake's page
/// "Using key-pair authentication".
const LONGEST_VALIDITY_S: i64 = 3600;
/// How far a client's clock may run ahead of ours.
const CLOCK_LEEWAY_S: i64 = 60;

/// From here on a number cannot be seconds of this millennium.
const FIRST_MILLISECONDS: i64 = 100_000_000_000;

/// The claims of a key-pair token. All four are required.
#[derive(Debug, Deserialize)]
struct Claims {
    iss: String,
    sub: String,
    iat: i64,
    exp: i64,
    #[serde(default)]
    nbf: Option<i64>,
}

/// Returns the user a token speaks of, before anything about it is proven.
///
/// # Errors
/// The reason, for the log.
pub(super) fn claimed_user(token: &str, account: &str) -> Result<String, &'static str> {
    use base64::Engine as _;
    let payload = token.split('.').nth(1).ok_or("not three parts")?;
    let payload = base64::engine::general_purpose::URL_SAFE_NO_PAD
        .decode(payload.trim_end_matches('='))
        .map_err(|_| "payload is not base64")?;
    let claims: Claims = serde_json::from_slice(&payload).map_err(|_| "claims are missing")?;
    let user = claims.sub.strip_prefix(account).and_then(|rest| rest.strip_prefix('.'));
    user.map(str::to_owned).ok_or("subject names another account")
}

/// Proves that `token` was signed by one of the user's keys, names it, and is valid at `now_s`.
///
/// # Errors
/// The reason, for the log.
pub(super) fn verify(
    token: &str,
    account: &str,
    user: &User,
    now_s: i64,
) -> Result<(), &'static str> {
    let mut validation = Validation::new(Algorithm::RS256);
    // Times are checked below against the given clock, not the machine's.
    validation.validate_exp = false;
    validation.validate_aud = false;
    validation.required_spec_claims.clear();
    let mut reason = "user has no public key";
    for key in user.public_keys.iter().flatten() {
        let decoding = DecodingKey::from_rsa_raw_components(&key.modulus(), &key.exponent());
        let Ok(decoded) = jsonwebtoken::decode::<Claims>(token, &decoding, &validation) else {
            reason = "signature does not match";
            continue;
        };
        let claims = decoded.claims;
        let subject = format!("{account}.{}", user.name);
        if claims.sub != subject || claims.iss != format!("{subject}.{}", key.fingerprint()) {
            reason = "issuer or subject does not match the key";
            continue;
        }
        return check_times(&claims, now_s);
    }
    Err(reason)
}

fn check_times(claims: &Claims, now_s: i64) -> Result<(), &'static str> {
    let (iat, exp) = (seconds(claims.iat), seconds(claims.exp));
    if iat > now_s.saturating_add(CLOCK_LEEWAY_S) {
        return Err("issued in the future");
    }
    if now_s >= iat.saturating_add(LONGEST_VALIDITY_S) {
        return Err("issued more than an hour ago");
    }
    if now_s >= exp {
        return Err("expired");
    }
    if claims.nbf.is_some_and(|start| seconds(start) > now_s.saturating_add(CLOCK_LEEWAY_S)) {
        return Err("not yet valid");
    }
    Ok(())
}

/// Brings a time to seconds: the Node driver writes milliseconds, and the service takes them.
fn seconds(time: i64) -> i64 {
    if time >= FIRST_MILLISECONDS { time / 1000 } else { time }
}
