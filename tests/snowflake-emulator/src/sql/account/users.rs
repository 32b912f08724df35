//! CREATE and ALTER of users.

use super::{AccountObject, missing};
use crate::account::Profile;
use crate::auth::{KeySlot, PublicKey, User};
use crate::engine::SqlError;
use crate::sql::command::{Properties, Property};
use crate::sql::error::{compile, unsupported};
use crate::sql::plan::Planning;

/// Properties of people that nothing here asks for.
const WITHOUT_EFFECT: [&str; 9] = [
    "DISPLAY_NAME",
    "FIRST_NAME",
    "LAST_NAME",
    "EMAIL",
    "MUST_CHANGE_PASSWORD",
    "DAYS_TO_EXPIRY",
    "MINS_TO_UNLOCK",
    "DEFAULT_SECONDARY_ROLES",
    "LOGIN_NAME",
];

/// Makes a user. Without DEFAULT_ROLE it acts as PUBLIC, without DEFAULT_WAREHOUSE it has none.
pub(super) fn create(
    planning: &Planning<'_>,
    name: &str,
    with: Properties,
) -> Result<(), SqlError> {
    let user = User {
        name: name.to_owned(),
        password: None,
        public_keys: [None, None],
        default_role: "PUBLIC".to_owned(),
        default_warehouse: String::new(),
    };
    apply(planning, (user, Profile::default()), with)
}

/// ALTER USER … SET; a user may change its own keys.
pub(super) fn set(planning: &Planning<'_>, name: &str, with: Properties) -> Result<(), SqlError> {
    authorize(planning, name, with.iter().map(|(name, _)| name.as_str()))?;
    let user = planning.account.users.find(name);
    let user = user.ok_or_else(|| missing(AccountObject::User, name))?;
    apply(planning, (user, planning.account.profile(name)), with)
}

/// ALTER USER … UNSET.
pub(super) fn unset(planning: &Planning<'_>, name: &str, names: &[String]) -> Result<(), SqlError> {
    authorize(planning, name, names.iter().map(String::as_str))?;
    let user = planning.account.users.find(name);
    let mut user = user.ok_or_else(|| missing(AccountObject::User, name))?;
    let mut profile = planning.account.profile(name);
    for property in names {
        match property.as_str() {
            "PASSWORD" => user.password = None,
            "RSA_PUBLIC_KEY" => *user.key_mut(KeySlot::First) = None,
            "RSA_PUBLIC_KEY_2" => *user.key_mut(KeySlot::Second) = None,
            "NETWORK_POLICY" => profile.network_policy = None,
            "COMMENT" => profile.comment = None,
            "DISABLED" => profile.disabled = false,
            other => return Err(unsupported(format!("UNSET {other}"))),
        }
    }
    planning.account.users.put(user);
    planning.account.set_profile(name, profile);
    Ok(())
}

fn authorize<'a>(
    planning: &Planning<'_>,
    name: &str,
    mut properties: impl Iterator<Item = &'a str>,
) -> Result<(), SqlError> {
    let own = planning.session.user == name;
    if own && properties.all(|property| property.starts_with("RSA_PUBLIC_KEY")) {
        return Ok(());
    }
    planning.authorize_account("MANAGE GRANTS", &["USERADMIN"])
}

fn apply(
    planning: &Planning<'_>,
    (mut user, mut profile): (User, Profile),
    with: Properties,
) -> Result<(), SqlError> {
    for (name, value) in with {
        let Property::Text(text) = value else {
            if WITHOUT_EFFECT.contains(&name.as_str()) {
                continue;
            }
            return Err(unsupported(name));
        };
        match name.as_str() {
            "PASSWORD" => user.password = Some(text),
            "RSA_PUBLIC_KEY" => *user.key_mut(KeySlot::First) = Some(key(&text)?),
            "RSA_PUBLIC_KEY_2" => *user.key_mut(KeySlot::Second) = Some(key(&text)?),
            "DEFAULT_ROLE" => user.default_role = text,
            "DEFAULT_WAREHOUSE" => user.default_warehouse = text,
            "DEFAULT_NAMESPACE" => profile.default_namespace = Some(text),
            "TYPE" => profile.kind = Some(kind(text.to_uppercase())?),
            "DISABLED" => profile.disabled = text.eq_ignore_ascii_case("true"),
            "COMMENT" => profile.comment = Some(text),
            "NETWORK_POLICY" => {
                if planning.account.network.policy(&text).is_none() {
                    return Err(missing(AccountObject::NetworkPolicy, &text));
                }
                profile.network_policy = Some(text);
            }
            known if WITHOUT_EFFECT.contains(&known) => {}
            other => return Err(unsupported(format!("user property {other}"))),
        }
    }
    if profile.kind.as_deref() == Some("SERVICE") && user.password.is_some() {
        let message = "Cannot set PASSWORD on a user of TYPE=SERVICE.";
        return Err(compile("003653", "42601", message));
    }
    let name = user.name.clone();
    planning.account.users.put(user);
    planning.account.set_profile(&name, profile);
    Ok(())
}

fn kind(kind: String) -> Result<String, SqlError> {
    match kind.as_str() {
        "PERSON" | "SERVICE" | "LEGACY_SERVICE" => Ok(kind),
        _ => {
            Err(compile("001008", "22023", format!("invalid value [{kind}] for parameter 'TYPE'")))
        }
    }
}

fn key(text: &str) -> Result<PublicKey, SqlError> {
    PublicKey::parse(text).map_err(|_| {
        compile(
            "003002",
            "22023",
            "New public key rejected by current policy. Reason: 'Invalid public key'",
        )
    })
}
