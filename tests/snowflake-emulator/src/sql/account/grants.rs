//! GRANT and REVOKE.

use super::{AccountObject, missing};
use crate::account::{Access, Future, Grant, Grantee, Securable};
use crate::catalog::{Qualified, Relation, quoted_if_needed};
use crate::engine::SqlError;
use crate::sql::authorize::{insufficient, securable_of};
use crate::sql::command::{Container, CurrentGrants, GrantedOn, Privileges};
use crate::sql::error::{kind_missing, object_missing, sql_error, syntax, unsupported};
use crate::sql::plan::Planning;

/// Which privileges each kind of object has (page "Access control privileges").
const PRIVILEGES: [(&str, &[&str]); 11] = [
    (
        "ACCOUNT",
        &[
            "CREATE DATABASE",
            "CREATE ROLE",
            "CREATE USER",
            "CREATE WAREHOUSE",
            "CREATE INTEGRATION",
            "CREATE NETWORK POLICY",
            "ATTACH POLICY",
            "MANAGE GRANTS",
            "MONITOR USAGE",
            "EXECUTE TASK",
        ],
    ),
    ("DATABASE", &["USAGE", "CREATE SCHEMA", "MODIFY", "MONITOR", "IMPORTED PRIVILEGES"]),
    (
        "SCHEMA",
        &[
            "USAGE",
            "CREATE TABLE",
            "CREATE VIEW",
            "CREATE STAGE",
            "CREATE FILE FORMAT",
            "CREATE SEQUENCE",
            "CREATE STREAM",
            "CREATE NETWORK RULE",
            "MODIFY",
            "MONITOR",
        ],
    ),
    ("TABLE", &["SELECT", "INSERT", "UPDATE", "DELETE", "TRUNCATE", "REFERENCES", "EVOLVE SCHEMA"]),
    ("VIEW", &["SELECT", "REFERENCES"]),
    ("WAREHOUSE", &["USAGE", "OPERATE", "MODIFY", "MONITOR"]),
    ("STAGE", &["USAGE", "READ", "WRITE"]),
    ("FILE FORMAT", &["USAGE"]),
    ("INTEGRATION", &["USAGE"]),
    ("SEQUENCE", &["USAGE"]),
    ("STREAM", &["SELECT"]),
];

/// An object with its kind and the name that SHOW GRANTS tells.
#[derive(Clone, Debug)]
pub(crate) struct Named {
    pub on: Securable,
    pub kind: &'static str,
    pub name: String,
}

/// GRANT ROLE.
pub(super) fn grant_role(planning: &Planning<'_>, role: &str, to: Grantee) -> Result<(), SqlError> {
    own_role(planning, role)?;
    check_grantee(planning, &to)?;
    if let Grantee::Role(to) = &to
        && planning.account.access.contains_role(role, to)
    {
        let message =
            format!("Granting role '{role}' to role '{to}' would create a circle of roles.");
        return Err(sql_error("003010", "42501", message));
    }
    planning.account.access.grant_role(role, to, planning.now_ns);
    Ok(())
}

/// REVOKE ROLE.
pub(super) fn revoke_role(
    planning: &Planning<'_>,
    role: &str,
    from: &Grantee,
) -> Result<(), SqlError> {
    own_role(planning, role)?;
    check_grantee(planning, from)?;
    planning.account.access.revoke_role(role, from);
    Ok(())
}

/// Refuses to hand on or drop a role that is not the session role's to give.
pub(super) fn own_role(planning: &Planning<'_>, role: &str) -> Result<(), SqlError> {
    let found = planning.account.access.role(role);
    let found = found.ok_or_else(|| missing(AccountObject::Role, role))?;
    let roles = planning.roles();
    let owns = found.owner.is_some_and(|owner| roles.contains(&owner));
    if owns || manages_grants(planning) {
        return Ok(());
    }
    Err(insufficient("role", role))
}

fn check_grantee(planning: &Planning<'_>, grantee: &Grantee) -> Result<(), SqlError> {
    match grantee {
        Grantee::Role(name) if planning.account.access.role(name).is_none() => {
            Err(missing(AccountObject::Role, name))
        }
        Grantee::User(name) if !planning.account.users.knows(name) => {
            Err(missing(AccountObject::User, name))
        }
        _ => Ok(()),
    }
}

fn manages_grants(planning: &Planning<'_>) -> bool {
    let roles = planning.roles();
    roles.contains("SECURITYADMIN")
        || planning.account.access.held(&roles, &Securable::Account).has("MANAGE GRANTS")
}

/// GRANT of privileges.
pub(super) fn grant(planning: &Planning<'_>, wanted: &Privileges) -> Result<(), SqlError> {
    check_grantee(planning, &Grantee::Role(wanted.role.clone()))?;
    if let GrantedOn::Future(kind, container, name) = &wanted.on {
        return future(planning, wanted, (kind, *container, name), true);
    }
    for object in objects_of(planning, &wanted.on)? {
        if wanted.names == ["OWNERSHIP"] {
            hand_over(planning, wanted, &object)?;
            continue;
        }
        for privilege in names(&wanted.names, object.kind)? {
            may_grant(planning, &object, &privilege)?;
            for (on, privilege) in expanded(planning, &object, &privilege) {
                planning.account.access.grant(Grant {
                    on,
                    role: wanted.role.clone(),
                    privilege,
                    created_ns: planning.now_ns,
                    granted_by: planning.session.role.clone().unwrap_or_default(),
                    with_option: wanted.with_option,
                });
            }
        }
    }
    Ok(())
}

/// REVOKE of privileges.
pub(super) fn revoke(planning: &Planning<'_>, wanted: &Privileges) -> Result<(), SqlError> {
    check_grantee(planning, &Grantee::Role(wanted.role.clone()))?;
    if let GrantedOn::Future(kind, container, name) = &wanted.on {
        return future(planning, wanted, (kind, *container, name), false);
    }
    for object in objects_of(planning, &wanted.on)? {
        for privilege in names(&wanted.names, object.kind)? {
            may_grant(planning, &object, &privilege)?;
            for (on, privilege) in expanded(planning, &object, &privilege) {
                planning.account.access.revoke(&on, &wanted.role, &privilege);
            }
        }
    }
    Ok(())
}

fn hand_over(planning: &Planning<'_>, wanted: &Privileges, object: &Named) -> Result<(), SqlError> {
    if !(planning.held(&object.on).owner || manages_grants(planning)) {
        return Err(not_executed());
    }
    let others = planning.account.access.grants();
    let others = others.iter().any(|grant| grant.on == object.on);
    if others && wanted.current.is_none() {
        return Err(unsupported(
            "GRANT OWNERSHIP on an object with grants, without COPY or REVOKE CURRENT GRANTS",
        ));
    }
    let revoke_others = wanted.current == Some(CurrentGrants::Revoke);
    planning.account.access.set_owner(&object.on, &wanted.role, revoke_others);
    Ok(())
}

fn future(
    planning: &Planning<'_>,
    wanted: &Privileges,
    (kind, container, name): (&'static str, Container, &[String]),
    add: bool,
) -> Result<(), SqlError> {
    if !matches!(kind, "TABLE" | "VIEW") {
        return Err(unsupported(format!("FUTURE grants on {kind}")));
    }
    if !manages_grants(planning) && !Access::all_powerful(&planning.roles()) {
        return Err(not_executed());
    }
    let within = container_of(planning, container, name)?.on;
    for privilege in names(&wanted.names, kind)? {
        let future = Future { within: within.clone(), kind, privilege, role: wanted.role.clone() };
        planning.account.access.set_future(future, add);
    }
    Ok(())
}

/// The privileges of a kind of object but those that stand for others.
pub(crate) fn privileges_of(kind: &str) -> Vec<&'static str> {
    let known = PRIVILEGES.iter().find(|(of, _)| *of == kind).map(|(_, known)| *known);
    let known = known.unwrap_or_default().iter().copied();
    known.filter(|privilege| *privilege != "IMPORTED PRIVILEGES").collect()
}

/// ALL stands for every privilege of the kind.
fn names(given: &[String], kind: &'static str) -> Result<Vec<String>, SqlError> {
    let known = PRIVILEGES.iter().find(|(of, _)| *of == kind).map(|(_, known)| *known);
    let known = known.ok_or_else(|| unsupported(format!("grants on {kind}")))?;
    if given.is_empty() {
        return Ok(privileges_of(kind).into_iter().map(ToOwned::to_owned).collect());
    }
    match given.iter().find(|name| !known.contains(&name.as_str())) {
        Some(wrong) => Err(syntax(format!("unexpected '{wrong}' for a {kind}."))),
        None => Ok(given.to_vec()),
    }
}

fn not_executed() -> SqlError {
    sql_error("003011", "42501", "Grant not executed: Insufficient privileges.")
}

fn may_grant(planning: &Planning<'_>, object: &Named, privilege: &str) -> Result<(), SqlError> {
    let held = planning.held(&object.on);
    let allowed = held.owner || held.grantable.contains(privilege) || manages_grants(planning);
    if allowed { Ok(()) } else { Err(not_executed()) }
}

/// IMPORTED PRIVILEGES are those on all that a shared database holds.
fn expanded(planning: &Planning<'_>, object: &Named, privilege: &str) -> Vec<(Securable, String)> {
    if privilege != "IMPORTED PRIVILEGES" {
        return vec![(object.on.clone(), privilege.to_owned())];
    }
    let mut all = vec![(object.on.clone(), "USAGE".to_owned())];
    let databases = planning.snapshot.databases();
    let inside = databases.values().find(|found| Securable::Database(found.id) == object.on);
    for schema in inside.into_iter().flat_map(|found| found.schemas.values()) {
        all.push((Securable::Schema(schema.id), "USAGE".to_owned()));
        let relations = schema.relations.values();
        all.extend(relations.map(|found| (securable_of(found), "SELECT".to_owned())));
    }
    all
}

/// The objects that a grant names.
///
/// # Errors
/// 002003 when one does not exist, or not for this role.
pub(crate) fn objects_of(planning: &Planning<'_>, on: &GrantedOn) -> Result<Vec<Named>, SqlError> {
    match on {
        GrantedOn::Account => Ok(vec![Named {
            on: Securable::Account,
            kind: "ACCOUNT",
            name: planning.session.account.clone(),
        }]),
        GrantedOn::One(kind, name) => Ok(vec![one(planning, kind, name)?]),
        GrantedOn::All(kind, container, name) => all(planning, kind, *container, name),
        GrantedOn::Future(..) => Ok(Vec::new()),
    }
}

fn one(planning: &Planning<'_>, kind: &'static str, name: &[String]) -> Result<Named, SqlError> {
    match (kind, name) {
        ("DATABASE", _) => container_of(planning, Container::Database, name),
        ("SCHEMA", _) => container_of(planning, Container::Schema, name),
        ("WAREHOUSE", [name]) => {
            let found = planning.account.warehouses.get(name);
            found.ok_or_else(|| missing(AccountObject::Warehouse, name))?;
            Ok(Named { on: Securable::Warehouse(name.clone()), kind, name: name.clone() })
        }
        ("TABLE" | "VIEW", _) => {
            let at = Qualified::resolve(name, planning.session)?;
            let relation = planning.snapshot.relation(&at, planning.session)?;
            if !planning.sees(&relation) && !manages_grants(planning) {
                return Err(object_missing(at.shown()));
            }
            if (kind == "VIEW") != matches!(relation, Relation::View(_)) {
                return Err(kind_missing(
                    if kind == "VIEW" { "View" } else { "Table" },
                    at.shown(),
                ));
            }
            Ok(Named { on: securable_of(&relation), kind, name: full_name(&at) })
        }
        _ => {
            let at = Qualified::resolve(name, planning.session)?;
            let name = full_name(&at);
            Ok(Named { on: Securable::Named(format!("{kind} {name}")), kind, name })
        }
    }
}

fn full_name(at: &Qualified) -> String {
    let parts = [&at.database, &at.schema, &at.name];
    parts.map(|part| quoted_if_needed(part)).join(".")
}

/// The schema or database of a name.
///
/// # Errors
/// 002003 when there is none.
pub(crate) fn container_of(
    planning: &Planning<'_>,
    container: Container,
    name: &[String],
) -> Result<Named, SqlError> {
    let databases = planning.snapshot.databases();
    let (database, schema) = match (container, name) {
        (Container::Database, [database]) => (database.clone(), None),
        (Container::Schema, [database, schema]) => (database.clone(), Some(schema)),
        (Container::Schema, [schema]) => {
            let current = planning.session.database.clone();
            (current.ok_or_else(crate::sql::error::no_database)?, Some(schema))
        }
        _ => return Err(syntax(format!("unexpected name '{}'.", name.join(".")))),
    };
    let found = databases.get(&database);
    let found = found.ok_or_else(|| kind_missing("Database", quoted_if_needed(&database)))?;
    let Some(schema) = schema else {
        let name = quoted_if_needed(&database);
        return Ok(Named { on: Securable::Database(found.id), kind: "DATABASE", name });
    };
    let shown = format!("{}.{}", quoted_if_needed(&database), quoted_if_needed(schema));
    let inner = found.schemas.get(schema);
    let inner = inner.ok_or_else(|| kind_missing("Schema", shown.clone()))?;
    Ok(Named { on: Securable::Schema(inner.id), kind: "SCHEMA", name: shown })
}

fn all(
    planning: &Planning<'_>,
    kind: &'static str,
    container: Container,
    name: &[String],
) -> Result<Vec<Named>, SqlError> {
    let within = container_of(planning, container, name)?.on;
    let mut found = Vec::new();
    for database in planning.snapshot.databases().values() {
        for schema in database.schemas.values() {
            let inside = within == Securable::Database(database.id)
                || within == Securable::Schema(schema.id);
            if !inside {
                continue;
            }
            let at = |name: &str| full_name(&Qualified::new(&database.name, &schema.name, name));
            match kind {
                "SCHEMA" => {
                    let parts = [&database.name, &schema.name];
                    let name = parts.map(|part| quoted_if_needed(part)).join(".");
                    found.push(Named { on: Securable::Schema(schema.id), kind, name });
                }
                "TABLE" | "VIEW" => {
                    let relations = schema.relations.values().filter(|relation| {
                        (kind == "VIEW") == matches!(relation, Relation::View(_))
                    });
                    found.extend(relations.map(|relation| Named {
                        on: securable_of(relation),
                        kind,
                        name: at(relation.name()),
                    }));
                }
                other => return Err(unsupported(format!("grants on ALL {other}"))),
            }
        }
    }
    Ok(found)
}
