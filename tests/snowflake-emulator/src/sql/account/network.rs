//! Network rules and policies.

use super::{AccountObject, missing};
use crate::account::is_network;
use crate::catalog::Qualified;
use crate::engine::SqlError;
use crate::sql::command::{Properties, Property};
use crate::sql::error::{compile, unsupported};
use crate::sql::plan::Planning;
use crate::sql::tokens::split;

/// The complete name of a rule.
pub(super) fn rule_name(planning: &Planning<'_>, name: &str) -> Result<String, SqlError> {
    let tokens = split(name)?.into_iter().next();
    let parts = match tokens {
        Some(mut tokens) => tokens.name()?,
        None => return Err(missing(AccountObject::NetworkRule, name)),
    };
    let at = Qualified::resolve(&parts, planning.session)?;
    Ok(format!("{}.{}.{}", at.database, at.schema, at.name))
}

/// Rules are made by who may make them in their schema.
pub(super) fn authorize_rule(planning: &Planning<'_>, name: &str) -> Result<(), SqlError> {
    let parts: Vec<String> = rule_name(planning, name)?.split('.').map(ToOwned::to_owned).collect();
    let at = Qualified::resolve(&parts, planning.session)?;
    planning.authorize_in_schema(&at, Some("CREATE NETWORK RULE"))
}

/// Makes or changes a rule of IPv4 addresses.
pub(super) fn put_rule(
    planning: &Planning<'_>,
    name: &str,
    with: Properties,
) -> Result<(), SqlError> {
    let name = rule_name(planning, name)?;
    let mut addresses = planning.account.network.rule(&name).unwrap_or_default();
    for (property, value) in with {
        match (property.as_str(), value) {
            ("MODE", Property::Text(mode)) if mode == "INGRESS" => {}
            ("TYPE", Property::Text(kind)) if kind == "IPV4" => {}
            ("COMMENT", _) => {}
            ("VALUE_LIST", Property::List(list)) => addresses = checked(list)?,
            (other, _) => return Err(unsupported(format!("this {other} of a network rule"))),
        }
    }
    planning.account.network.set_rule(&name, Some(addresses));
    Ok(())
}

/// Makes or changes a policy.
pub(super) fn put_policy(
    planning: &Planning<'_>,
    name: &str,
    with: Properties,
) -> Result<(), SqlError> {
    let mut policy = planning.account.network.policy(name).unwrap_or_default();
    for (property, value) in with {
        match (property.as_str(), value) {
            ("ALLOWED_IP_LIST", Property::List(list)) => policy.allowed = checked(list)?,
            ("BLOCKED_IP_LIST", Property::List(list)) => policy.blocked = checked(list)?,
            ("ALLOWED_NETWORK_RULE_LIST", Property::List(list)) => {
                policy.allowed_rules = rules(planning, &list)?;
            }
            ("BLOCKED_NETWORK_RULE_LIST", Property::List(list)) => {
                policy.blocked_rules = rules(planning, &list)?;
            }
            ("COMMENT", Property::Text(comment)) => policy.comment = Some(comment),
            (other, _) => return Err(unsupported(format!("this {other} of a network policy"))),
        }
    }
    planning.account.network.set_policy(name, Some(policy));
    Ok(())
}

/// ALTER ACCOUNT SET or UNSET NETWORK_POLICY.
pub(super) fn set_account_policy(
    planning: &Planning<'_>,
    policy: Option<String>,
) -> Result<(), SqlError> {
    planning.authorize_account("ATTACH POLICY", &["SECURITYADMIN"])?;
    if let Some(name) = &policy
        && planning.account.network.policy(name).is_none()
    {
        return Err(missing(AccountObject::NetworkPolicy, name));
    }
    planning.account.network.set_account_policy(policy);
    Ok(())
}

fn rules(planning: &Planning<'_>, names: &[String]) -> Result<Vec<String>, SqlError> {
    let mut found = Vec::with_capacity(names.len());
    for name in names {
        let complete = rule_name(planning, name)?;
        if planning.account.network.rule(&complete).is_none() {
            return Err(missing(AccountObject::NetworkRule, name));
        }
        found.push(complete);
    }
    Ok(found)
}

fn checked(addresses: Vec<String>) -> Result<Vec<String>, SqlError> {
    match addresses.iter().find(|address| !is_network(address)) {
        Some(wrong) => {
            Err(compile("001008", "22023", format!("Invalid IPV4 address or range '{wrong}'")))
        }
        None => Ok(addresses),
    }
}
