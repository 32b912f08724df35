//! SHOW of what belongs to the account or to a session.

use super::{MOMENT, NUMBER, Scope, Show, TEXT};
use crate::account::{Access, Grantee, Securable};
use crate::catalog::{Relation, quoted_if_needed};
use crate::engine::SqlError;
use crate::sql::account::{container_of, objects_of, privileges_of};
use crate::sql::authorize::{OWNER, securable_of};
use crate::sql::command::Container;
use crate::sql::error::operation_impossible;
use crate::sql::plan::Planning;
use crate::sql::rows::{Rows, optional};
use crate::sql::transaction::Transactions;
use crate::sql::value::Value;

fn flag(yes: bool, words: [&'static str; 2]) -> Value {
    let [if_yes, if_no] = words;
    Value::text(if yes { if_yes } else { if_no })
}

impl Show {
    pub(super) fn warehouses(&self, planning: &Planning<'_>) -> Rows {
        let mut rows = Rows::new(vec![
            ("name", TEXT),
            ("state", TEXT),
            ("type", TEXT),
            ("size", TEXT),
            ("is_default", TEXT),
            ("is_current", TEXT),
            ("auto_suspend", NUMBER),
            ("auto_resume", TEXT),
            ("created_on", MOMENT),
            ("owner", TEXT),
            ("comment", TEXT),
        ]);
        for (name, found) in planning.account.warehouses.list() {
            let on = Securable::Warehouse(name.clone());
            if !self.wanted(&name) || !planning.held(&on).any() {
                continue;
            }
            let current = planning.session.warehouse.as_deref() == Some(name.as_str());
            rows.push(vec![
                Value::text(&name),
                flag(found.suspended, ["SUSPENDED", "STARTED"]),
                Value::text("STANDARD"),
                Value::text(&found.size),
                Value::text("N"),
                flag(current, ["Y", "N"]),
                found.auto_suspend_s.map_or(Value::Null, Value::integer),
                flag(found.auto_resume, ["true", "false"]),
                Value::Ltz(found.created_ns),
                Value::text(planning.owner_shown(&on)),
                Value::text(found.comment.unwrap_or_default()),
            ]);
        }
        rows
    }

    pub(super) fn roles(&self, planning: &Planning<'_>) -> Rows {
        let mut rows = Rows::new(vec![
            ("created_on", MOMENT),
            ("name", TEXT),
            ("is_default", TEXT),
            ("is_current", TEXT),
            ("is_inherited", TEXT),
            ("assigned_to_users", NUMBER),
            ("granted_to_roles", NUMBER),
            ("granted_roles", NUMBER),
            ("owner", TEXT),
            ("comment", TEXT),
        ]);
        let members = planning.account.access.members();
        let counted = |wanted: &dyn Fn(&str, &Grantee) -> bool| {
            let found = members.iter().filter(|(role, to, _)| wanted(role, to)).count();
            Value::integer(i128::try_from(found).unwrap_or(0))
        };
        let inherited = planning.roles();
        for (name, role) in planning.account.access.roles() {
            if !self.wanted(&name) {
                continue;
            }
            let current = planning.session.role.as_deref() == Some(name.as_str());
            let is_role = |to: &Grantee| matches!(to, Grantee::Role(_));
            rows.push(vec![
                Value::Ltz(role.created_ns),
                Value::text(&name),
                Value::text("N"),
                flag(current, ["Y", "N"]),
                flag(inherited.contains(&name) && !current, ["Y", "N"]),
                counted(&|role, to| role == name && !is_role(to)),
                counted(&|role, to| role == name && is_role(to)),
                counted(&|_, to| *to == Grantee::Role(name.clone())),
                Value::text(role.owner.unwrap_or_default()),
                Value::text(role.comment.unwrap_or_default()),
            ]);
        }
        rows
    }

    pub(super) fn users(&self, planning: &Planning<'_>) -> Result<Rows, SqlError> {
        planning.authorize_account("MANAGE GRANTS", &["USERADMIN", "SYSADMIN"])?;
        let mut rows = Rows::new(vec![
            ("name", TEXT),
            ("login_name", TEXT),
            ("disabled", TEXT),
            ("default_warehouse", TEXT),
            ("default_namespace", TEXT),
            ("default_role", TEXT),
            ("comment", TEXT),
            ("has_password", TEXT),
            ("has_rsa_public_key", TEXT),
            ("type", TEXT),
        ]);
        for user in planning.account.users.list() {
            if !self.wanted(&user.name) {
                continue;
            }
            let profile = planning.account.profile(&user.name);
            let has_key = user.public_keys.iter().any(Option::is_some);
            rows.push(vec![
                Value::text(&user.name),
                Value::text(&user.name),
                flag(profile.disabled, ["true", "false"]),
                Value::text(&user.default_warehouse),
                Value::text(profile.default_namespace.unwrap_or_default()),
                Value::text(&user.default_role),
                Value::text(profile.comment.unwrap_or_default()),
                flag(user.password.is_some(), ["true", "false"]),
                flag(has_key, ["true", "false"]),
                optional(profile.kind.as_deref()),
            ]);
        }
        Ok(rows)
    }

    pub(super) fn network_policies(&self, planning: &Planning<'_>) -> Result<Rows, SqlError> {
        planning.authorize_account("CREATE NETWORK POLICY", &["SECURITYADMIN"])?;
        let mut rows = Rows::new(vec![
            ("name", TEXT),
            ("comment", TEXT),
            ("entries_in_allowed_ip_list", NUMBER),
            ("entries_in_blocked_ip_list", NUMBER),
            ("entries_in_allowed_network_rules", NUMBER),
            ("entries_in_blocked_network_rules", NUMBER),
        ]);
        let count = |list: &[String]| Value::integer(i128::try_from(list.len()).unwrap_or(0));
        for (name, policy) in planning.account.network.policies() {
            if self.wanted(&name) {
                rows.push(vec![
                    Value::text(&name),
                    Value::text(policy.comment.clone().unwrap_or_default()),
                    count(&policy.allowed),
                    count(&policy.blocked),
                    count(&policy.allowed_rules),
                    count(&policy.blocked_rules),
                ]);
            }
        }
        Ok(rows)
    }

    pub(super) fn parameters(&self, planning: &Planning<'_>) -> Rows {
        let mut rows = Rows::new(vec![
            ("key", TEXT),
            ("value", TEXT),
            ("default", TEXT),
            ("level", TEXT),
            ("description", TEXT),
            ("type", TEXT),
        ]);
        for (name, default) in crate::sql::session::PARAMETERS {
            if !self.wanted(name) {
                continue;
            }
            let own = planning.session.parameters.get(name);
            rows.push(vec![
                Value::text(name),
                Value::text(own.map_or(default, String::as_str)),
                Value::text(default),
                Value::text(if own.is_some() { "SESSION" } else { "" }),
                Value::text(""),
                Value::text("STRING"),
            ]);
        }
        rows
    }

    pub(super) fn grants(&self, planning: &Planning<'_>) -> Result<Rows, SqlError> {
        match &self.scope {
            Scope::User(user) => Ok(roles_of(planning, user)),
            Scope::OfRole(role) => Ok(holders_of(planning, role)),
            Scope::On(on) => {
                let wanted = objects_of(planning, on)?;
                let found = all_grants(planning).into_iter();
                let on = found.filter(|grant| wanted.iter().any(|object| object.on == grant.on));
                Ok(grant_rows(on))
            }
            Scope::Future(container, name) => future_grants(planning, *container, name),
            Scope::Some(name) => {
                let role = name.last().cloned().unwrap_or_default();
                if planning.account.access.role(&role).is_none() {
                    return Err(operation_impossible());
                }
                Ok(grant_rows(grants_to(planning, &role).into_iter()))
            }
            _ => Ok(roles_of(planning, &planning.session.user)),
        }
    }
}

fn future_grants(
    planning: &Planning<'_>,
    container: Container,
    name: &[String],
) -> Result<Rows, SqlError> {
    let within = container_of(planning, container, name)?;
    let mut rows = Rows::new(vec![
        ("created_on", MOMENT),
        ("privilege", TEXT),
        ("grant_on", TEXT),
        ("name", TEXT),
        ("grant_to", TEXT),
        ("grantee_name", TEXT),
        ("grant_option", TEXT),
    ]);
    let futures = planning.account.access.futures().into_iter();
    for future in futures.filter(|future| future.within == within.on) {
        let name = format!("{}.<{}>", within.name, future.kind);
        let cells = [&future.privilege, future.kind, &name, "ROLE", &future.role, "false"];
        rows.push([Value::Null].into_iter().chain(cells.map(Value::text)).collect());
    }
    Ok(rows)
}

/// A line of SHOW GRANTS.
struct Line {
    on: Securable,
    created_ns: i128,
    privilege: String,
    kind: &'static str,
    name: String,
    role: String,
    with_option: bool,
    granted_by: String,
}

fn grant_rows(lines: impl Iterator<Item = Line>) -> Rows {
    let mut rows = Rows::new(vec![
        ("created_on", MOMENT),
        ("privilege", TEXT),
        ("granted_on", TEXT),
        ("name", TEXT),
        ("granted_to", TEXT),
        ("grantee_name", TEXT),
        ("grant_option", TEXT),
        ("granted_by", TEXT),
    ]);
    for line in lines {
        rows.push(vec![
            Value::Ltz(line.created_ns),
            Value::text(&line.privilege),
            Value::text(line.kind.replace(' ', "_")),
            Value::text(&line.name),
            Value::text("ROLE"),
            Value::text(&line.role),
            flag(line.with_option, ["true", "false"]),
            Value::text(&line.granted_by),
        ]);
    }
    rows
}

/// Every object that exists, with its kind, name and age.
fn objects(planning: &Planning<'_>) -> Vec<(Securable, &'static str, String, i128)> {
    let mut found = vec![(Securable::Account, "ACCOUNT", planning.session.account.clone(), 0)];
    for (name, warehouse) in planning.account.warehouses.list() {
        let on = Securable::Warehouse(name.clone());
        found.push((on, "WAREHOUSE", name, warehouse.created_ns));
    }
    for database in planning.snapshot.databases().values() {
        let name = quoted_if_needed(&database.name);
        let on = Securable::Database(database.id);
        found.push((on, "DATABASE", name.clone(), database.created_ns));
        for schema in database.schemas.values() {
            let name = format!("{name}.{}", quoted_if_needed(&schema.name));
            found.push((Securable::Schema(schema.id), "SCHEMA", name.clone(), schema.created_ns));
            for relation in schema.relations.values() {
                let (created, kind) = match relation {
                    Relation::Table(table) => (table.created_ns, "TABLE"),
                    Relation::View(view) => (view.created_ns, "VIEW"),
                };
                let name = format!("{name}.{}", quoted_if_needed(relation.name()));
                found.push((securable_of(relation), kind, name, created));
            }
        }
    }
    found
}

/// All grants on what exists; OWNERSHIP is one of them.
fn all_grants(planning: &Planning<'_>) -> Vec<Line> {
    let access = &planning.account.access;
    let grants = access.grants();
    let mut lines = Vec::new();
    for (on, kind, name, created_ns) in objects(planning) {
        let owner = access.owner(&on);
        if on != Securable::Account {
            let owner = owner.unwrap_or_else(|| OWNER.to_owned());
            lines.push(Line {
                on: on.clone(),
                created_ns,
                privilege: "OWNERSHIP".to_owned(),
                kind,
                name: name.clone(),
                role: owner.clone(),
                with_option: true,
                granted_by: owner,
            });
        }
        lines.extend(grants.iter().filter(|grant| grant.on == on).map(|grant| Line {
            on: grant.on.clone(),
            created_ns: grant.created_ns,
            privilege: grant.privilege.clone(),
            kind,
            name: name.clone(),
            role: grant.role.clone(),
            with_option: grant.with_option,
            granted_by: grant.granted_by.clone(),
        }));
    }
    for grant in grants {
        // Objects that are known by kind and name only.
        if let Securable::Named(named) = &grant.on
            && let Some((kind, name)) = NAMED_KINDS
                .iter()
                .find_map(|kind| Some((*kind, named.strip_prefix(kind)?.trim_start())))
        {
            lines.push(Line {
                on: grant.on.clone(),
                created_ns: grant.created_ns,
                privilege: grant.privilege.clone(),
                kind,
                name: name.to_owned(),
                role: grant.role.clone(),
                with_option: grant.with_option,
                granted_by: grant.granted_by.clone(),
            });
        }
    }
    lines
}

const NAMED_KINDS: [&str; 5] = ["STAGE", "FILE FORMAT", "INTEGRATION", "SEQUENCE", "STREAM"];

/// What a role has been given: other roles, and privileges. A role that may do everything is shown
/// with all privileges on all, so that who reads the list sees what it can do.
fn grants_to(planning: &Planning<'_>, role: &str) -> Vec<Line> {
    let holder = Grantee::Role(role.to_owned());
    let members = planning.account.access.members().into_iter();
    let given = members.filter(|(_, to, _)| *to == holder).map(|(name, _, since)| Line {
        on: Securable::Named(format!("ROLE {name}")),
        created_ns: since,
        privilege: "USAGE".to_owned(),
        kind: "ROLE",
        name: quoted_if_needed(&name),
        role: role.to_owned(),
        with_option: false,
        granted_by: String::new(),
    });
    let mut lines: Vec<Line> = given.collect();
    lines.extend(all_grants(planning).into_iter().filter(|line| line.role == role));
    if !Access::all_powerful(&planning.account.access.effective(Some(role))) {
        return lines;
    }
    let mut more = Vec::new();
    for (on, kind, name, created_ns) in objects(planning) {
        if kind == "ACCOUNT" {
            continue;
        }
        let known =
            |privilege: &str| lines.iter().any(|line| line.on == on && line.privilege == privilege);
        let missing = privileges_of(kind).into_iter().filter(|privilege| !known(privilege));
        more.extend(missing.map(|privilege| Line {
            on: on.clone(),
            created_ns,
            privilege: privilege.to_owned(),
            kind,
            name: name.clone(),
            role: role.to_owned(),
            with_option: false,
            granted_by: OWNER.to_owned(),
        }));
    }
    lines.extend(more);
    lines
}

/// SHOW GRANTS TO USER: the roles that a user has.
fn roles_of(planning: &Planning<'_>, user: &str) -> Rows {
    let mut rows = Rows::new(vec![
        ("created_on", MOMENT),
        ("role", TEXT),
        ("granted_to", TEXT),
        ("grantee_name", TEXT),
        ("granted_by", TEXT),
    ]);
    let wanted = Grantee::User(user.to_owned());
    for (role, to, since) in planning.account.access.members() {
        if to == wanted {
            let cells = [role.as_str(), "USER", user, ""].map(Value::text);
            rows.push([Value::Ltz(since)].into_iter().chain(cells).collect());
        }
    }
    rows
}

/// SHOW GRANTS OF ROLE: who has it.
fn holders_of(planning: &Planning<'_>, wanted: &str) -> Rows {
    let mut rows = Rows::new(vec![
        ("created_on", MOMENT),
        ("role", TEXT),
        ("granted_to", TEXT),
        ("grantee_name", TEXT),
        ("granted_by", TEXT),
    ]);
    for (role, to, since) in planning.account.access.members() {
        if role == wanted {
            let (kind, name) = match &to {
                Grantee::User(name) => ("USER", name.as_str()),
                Grantee::Role(name) => ("ROLE", name.as_str()),
            };
            let cells = [role.as_str(), kind, name, ""].map(Value::text);
            rows.push([Value::Ltz(since)].into_iter().chain(cells).collect());
        }
    }
    rows
}

/// SHOW TRANSACTIONS: the open ones of the user; with IN ACCOUNT, which an account administrator
/// may ask for, those of all.
pub(crate) fn transactions(
    planning: &Planning<'_>,
    transactions: &Transactions,
    scope: &Scope,
) -> Rows {
    let shown = |user: &str| match scope {
        Scope::Account => planning.may_end_transactions_of(user),
        _ => user == planning.session.user,
    };
    let mut rows = Rows::new(vec![
        ("id", NUMBER),
        ("user", TEXT),
        ("session", NUMBER),
        ("name", TEXT),
        ("started_on", MOMENT),
        ("state", TEXT),
        ("scope", NUMBER),
    ]);
    for transaction in transactions.list().into_iter().filter(|one| shown(&one.user)) {
        let unnamed = || transaction.id.to_string();
        rows.push(vec![
            Value::integer(transaction.id),
            Value::text(&transaction.user),
            Value::integer(transaction.session_id),
            Value::text(transaction.name.clone().unwrap_or_else(unnamed)),
            Value::Ltz(transaction.started_ns),
            Value::text("running"),
            Value::integer(0),
        ]);
    }
    rows
}

/// What SYSTEM$ABORT_TRANSACTION says.
pub(crate) fn aborted(id: u64, ended: bool) -> Rows {
    let mut rows = Rows::new(vec![("SYSTEM$ABORT_TRANSACTION", TEXT)]);
    rows.push(vec![Value::text(match ended {
        true => format!("Aborted transaction id {id}."),
        false => format!("Transaction {id} has ended already."),
    })]);
    rows
}

/// SHOW LOCKS: what is held, then what is waited for.
pub(crate) fn locks(transactions: &Transactions) -> Rows {
    let mut rows = Rows::new(vec![
        ("resource", TEXT),
        ("type", TEXT),
        ("transaction", NUMBER),
        ("session", NUMBER),
        ("status", TEXT),
    ]);
    let (held, waiting) = transactions.locks.list();
    let marked = held.iter().map(|entry| (entry, "HOLDING"));
    for (entry, status) in marked.chain(waiting.iter().map(|entry| (entry, "WAITING"))) {
        rows.push(vec![
            Value::text(&entry.name),
            Value::text(entry.mode.shown()),
            Value::integer(entry.owner),
            Value::integer(entry.session_id),
            Value::text(status),
        ]);
    }
    rows
}
