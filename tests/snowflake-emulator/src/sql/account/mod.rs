//! Runs statements about roles, grants, warehouses, users and network policies.

mod grants;
mod network;
mod users;
mod warehouses;

pub(crate) use grants::{container_of, objects_of, privileges_of};

use super::command::{AccountCommand, AccountObject, Properties, Property};
use super::datetime;
use super::error::{compile, object_exists, sql_error, syntax, unsupported};
use super::plan::Planning;
use super::rows::Rows;
use crate::account::{Access, Grantee, Role, Securable};
use crate::catalog::{IfExists, quoted_if_needed};
use crate::engine::{SessionContext, SqlError};

/// Runs a statement; CREATE WAREHOUSE makes the warehouse the session's.
pub(crate) fn run(
    planning: &Planning<'_>,
    session: &mut SessionContext,
    command: AccountCommand,
) -> Result<Rows, SqlError> {
    match command {
        AccountCommand::Create { object, if_exists, name, with } => {
            let name = one_name(object, &name)?;
            create(planning, session, object, (&name, if_exists), with)
        }
        AccountCommand::Drop { object, if_exists, name } => {
            let name = one_name(object, &name)?;
            drop_object(planning, session, object, &name, if_exists)
        }
        AccountCommand::Set { object, if_exists, name, with } => {
            let name = one_name(object, &name)?;
            if if_exists && !exists(planning, object, &name) {
                return Ok(done());
            }
            set(planning, object, &name, with)
        }
        AccountCommand::Unset { object, name, names } => {
            let name = one_name(object, &name)?;
            match object {
                AccountObject::User => users::unset(planning, &name, &names)?,
                _ => return Err(unsupported("this UNSET")),
            }
            Ok(done())
        }
        AccountCommand::Suspend { name } => {
            warehouses::set_state(planning, &last(&name), true, false)?;
            Ok(done())
        }
        AccountCommand::Resume { name, if_suspended } => {
            warehouses::set_state(planning, &last(&name), false, if_suspended)?;
            Ok(done())
        }
        AccountCommand::AccountPolicy(policy) => {
            network::set_account_policy(planning, policy)?;
            Ok(done())
        }
        AccountCommand::AccountZone(zone) => {
            planning.authorize_account("MANAGE ACCOUNT PARAMETERS", &["ACCOUNTADMIN"])?;
            if datetime::zone(&zone).is_none() {
                let message = format!("invalid value [{zone}] for parameter 'TIMEZONE'");
                return Err(compile("001008", "22023", message));
            }
            planning.account.set_zone(zone);
            Ok(done())
        }
        AccountCommand::GrantRole { role, to } => {
            grants::grant_role(planning, &role, to)?;
            Ok(done())
        }
        AccountCommand::RevokeRole { role, from } => {
            grants::revoke_role(planning, &role, &from)?;
            Ok(done())
        }
        AccountCommand::Grant(privileges) => {
            grants::grant(planning, &privileges)?;
            Ok(done())
        }
        AccountCommand::Revoke(privileges) => {
            grants::revoke(planning, &privileges)?;
            Ok(done())
        }
    }
}

fn done() -> Rows {
    Rows::status("Statement executed successfully.")
}

fn last(name: &[String]) -> String {
    name.last().cloned().unwrap_or_default()
}

/// Objects of the account have one name; a network rule lies in a schema and has its full name
/// resolved later.
fn one_name(object: AccountObject, name: &[String]) -> Result<String, SqlError> {
    match (object, name) {
        (AccountObject::NetworkRule, parts) => Ok(parts.join(".")),
        (_, [one]) => Ok(one.clone()),
        _ => Err(syntax(format!("unexpected name '{}'.", name.join(".")))),
    }
}

fn shown(object: AccountObject) -> &'static str {
    match object {
        AccountObject::Role => "Role",
        AccountObject::Warehouse => "Warehouse",
        AccountObject::User => "User",
        AccountObject::NetworkRule => "Network rule",
        AccountObject::NetworkPolicy => "Network policy",
    }
}

fn exists(planning: &Planning<'_>, object: AccountObject, name: &str) -> bool {
    let account = planning.account;
    match object {
        AccountObject::Role => account.access.role(name).is_some(),
        AccountObject::Warehouse => account.warehouses.get(name).is_some(),
        AccountObject::User => account.users.knows(name),
        AccountObject::NetworkRule => network::rule_name(planning, name)
            .is_ok_and(|name| account.network.rule(&name).is_some()),
        AccountObject::NetworkPolicy => account.network.policy(name).is_some(),
    }
}

/// The error of an object that is not there, or not for this role.
fn missing(object: AccountObject, name: &str) -> SqlError {
    let kind = shown(object);
    compile(
        "002003",
        "02000",
        format!("{kind} '{}' does not exist or not authorized.", quoted_if_needed(name)),
    )
}

fn create(
    planning: &Planning<'_>,
    session: &mut SessionContext,
    object: AccountObject,
    (name, if_exists): (&str, IfExists),
    with: Properties,
) -> Result<Rows, SqlError> {
    match object {
        AccountObject::Role => planning.authorize_account("CREATE ROLE", &["USERADMIN"])?,
        AccountObject::User => planning.authorize_account("CREATE USER", &["USERADMIN"])?,
        AccountObject::Warehouse => {
            planning.authorize_account("CREATE WAREHOUSE", &["SYSADMIN"])?
        }
        AccountObject::NetworkPolicy => {
            planning.authorize_account("CREATE NETWORK POLICY", &["SECURITYADMIN"])?;
        }
        AccountObject::NetworkRule => network::authorize_rule(planning, name)?,
    }
    match (exists(planning, object, name), if_exists) {
        (true, IfExists::Fail) => return Err(object_exists(name)),
        (true, IfExists::Keep) => {
            let text = format!("{} already exists, statement succeeded.", quoted_if_needed(name));
            return Ok(Rows::status(text));
        }
        _ => {}
    }
    match object {
        AccountObject::Role => {
            let comment = with.into_iter().find_map(|(name, value)| match value {
                Property::Text(text) if name == "COMMENT" => Some(text),
                _ => None,
            });
            let owner = planning.session.role.clone();
            let role = Role { created_ns: planning.now_ns, owner, comment };
            planning.account.access.create_role(name, role);
        }
        AccountObject::Warehouse => {
            warehouses::create(planning, name, with)?;
            session.warehouse = Some(name.to_owned());
        }
        AccountObject::User => users::create(planning, name, with)?,
        AccountObject::NetworkRule => network::put_rule(planning, name, with)?,
        AccountObject::NetworkPolicy => network::put_policy(planning, name, with)?,
    }
    let name = quoted_if_needed(name);
    Ok(Rows::status(format!("{} {name} successfully created.", shown(object))))
}

fn set(
    planning: &Planning<'_>,
    object: AccountObject,
    name: &str,
    with: Properties,
) -> Result<Rows, SqlError> {
    if !exists(planning, object, name) {
        return Err(missing(object, name));
    }
    match object {
        AccountObject::Role => return Err(unsupported("ALTER ROLE")),
        AccountObject::Warehouse => warehouses::set(planning, name, with)?,
        AccountObject::User => users::set(planning, name, with)?,
        AccountObject::NetworkRule => {
            network::authorize_rule(planning, name)?;
            network::put_rule(planning, name, with)?;
        }
        AccountObject::NetworkPolicy => {
            planning.authorize_account("CREATE NETWORK POLICY", &["SECURITYADMIN"])?;
            network::put_policy(planning, name, with)?;
        }
    }
    Ok(done())
}

fn drop_object(
    planning: &Planning<'_>,
    session: &mut SessionContext,
    object: AccountObject,
    name: &str,
    if_exists: bool,
) -> Result<Rows, SqlError> {
    let quoted = quoted_if_needed(name);
    if !exists(planning, object, name) {
        if if_exists {
            let text = format!("Drop statement executed successfully ({quoted} already dropped).");
            return Ok(Rows::status(text));
        }
        return Err(missing(object, name));
    }
    let account = planning.account;
    match object {
        AccountObject::Role => {
            grants::own_role(planning, name)?;
            if Access::is_system_role(name) {
                return Err(sql_error("003001", "42501", system_role(name)));
            }
            account.access.drop_role(name);
        }
        AccountObject::Warehouse => {
            warehouses::authorize(planning, name, "OWNERSHIP")?;
            account.warehouses.remove(name);
            account.access.forget(&Securable::Warehouse(name.to_owned()));
            if session.warehouse.as_deref() == Some(name) {
                session.warehouse = None;
            }
        }
        AccountObject::User => {
            planning.authorize_account("MANAGE GRANTS", &["USERADMIN"])?;
            account.drop_user(name);
            account.access.forget_grantee(&Grantee::User(name.to_owned()));
        }
        AccountObject::NetworkRule => {
            network::authorize_rule(planning, name)?;
            account.network.set_rule(&network::rule_name(planning, name)?, None);
        }
        AccountObject::NetworkPolicy => {
            planning.authorize_account("CREATE NETWORK POLICY", &["SECURITYADMIN"])?;
            account.network.set_policy(name, None);
        }
    }
    Ok(Rows::status(format!("{quoted} successfully dropped.")))
}

fn system_role(name: &str) -> String {
    format!("SQL access control error:\nInsufficient privileges to operate on role '{name}'")
}
