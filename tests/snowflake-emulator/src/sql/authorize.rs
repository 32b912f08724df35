//! What the session's role may see and do.
//!
//! An object that a role has nothing on does not exist for it (002003), whether it exists or not.
//! An object that it can see but not use in this way is 003001.

use std::collections::BTreeSet;

use super::error::{kind_missing, no_warehouse, object_missing, sql_error};
use super::plan::Planning;
use crate::account::{Access, Held, Securable};
use crate::catalog::{Database, Qualified, Relation, Schema, TableKind, View, quoted_if_needed};
use crate::engine::SqlError;

/// The role that owns what nobody else does.
pub(crate) const OWNER: &str = "ACCOUNTADMIN";

/// The object by which a table or view is known to [`Access`].
pub(crate) fn securable_of(relation: &Relation) -> Securable {
    match relation {
        Relation::Table(table) => Securable::Relation(table.id),
        Relation::View(view) => Securable::Relation(view.id),
    }
}

/// The error of an object that can be seen but not used.
pub(crate) fn insufficient(kind: &str, name: &str) -> SqlError {
    let message =
        format!("SQL access control error:\nInsufficient privileges to operate on {kind} '{name}'");
    sql_error("003001", "42501", message)
}

impl Planning<'_> {
    /// The session's role and all that it has got.
    pub(crate) fn roles(&self) -> BTreeSet<String> {
        self.account.access.effective(self.session.role.as_deref())
    }

    /// Whether transactions of a user may be seen and ended: one's own, or all by an account
    /// administrator.
    pub(crate) fn may_end_transactions_of(&self, user: &str) -> bool {
        user == self.session.user || self.roles().contains("ACCOUNTADMIN")
    }

    fn all_powerful(&self) -> bool {
        Access::all_powerful(&self.roles())
    }

    /// What the session's role has on an object.
    pub(crate) fn held(&self, on: &Securable) -> Held {
        let mut held = self.account.access.held(&self.roles(), on);
        held.owner |= self.all_powerful() && *on != Securable::Account;
        held
    }

    /// Whether the role may go into a database.
    pub(crate) fn sees_database(&self, database: &Database) -> bool {
        let held = self.held(&Securable::Database(database.id));
        held.has("USAGE")
    }

    /// Whether the role may go into a schema.
    pub(crate) fn sees_schema(&self, schema: &Schema) -> bool {
        let held = self.held(&Securable::Schema(schema.id));
        held.has("USAGE")
    }

    /// Whether a table or view exists for the role.
    pub(crate) fn sees(&self, relation: &Relation) -> bool {
        is_temporary(relation) || self.held(&securable_of(relation)).any()
    }

    /// Refuses a name in a database or schema that the role may not go into.
    ///
    /// # Errors
    /// 002003, as if it did not exist.
    pub(crate) fn enter(&self, at: &Qualified) -> Result<(), SqlError> {
        let databases = self.snapshot.databases();
        let database = databases.get(&at.database).filter(|found| self.sees_database(found));
        let database =
            database.ok_or_else(|| kind_missing("Database", quoted_if_needed(&at.database)))?;
        let schema = database.schemas.get(&at.schema).filter(|found| self.sees_schema(found));
        schema.map(|_| ()).ok_or_else(|| {
            let shown =
                format!("{}.{}", quoted_if_needed(&at.database), quoted_if_needed(&at.schema));
            kind_missing("Schema", shown)
        })
    }

    /// Refuses a use of a table or view for which the role lacks a privilege; OWNERSHIP stands for
    /// all.
    ///
    /// # Errors
    /// 002003 when the role sees nothing of it, 003001 otherwise.
    pub(crate) fn authorize(
        &self,
        at: &Qualified,
        relation: &Relation,
        privileges: &[&str],
    ) -> Result<(), SqlError> {
        if self.all_powerful() || is_temporary(relation) {
            return Ok(());
        }
        self.enter(at)?;
        let held = self.held(&securable_of(relation));
        if privileges.iter().all(|privilege| held.has(privilege)) && held.any() {
            return Ok(());
        }
        if !held.any() {
            return Err(object_missing(at.shown()));
        }
        let kind = if matches!(relation, Relation::View(_)) { "view" } else { "table" };
        Err(insufficient(kind, &at.name))
    }

    /// Refuses to make something in a schema without the privilege for it.
    ///
    /// # Errors
    /// 002003 when the role may not go there, 003001 when it may not make this there.
    pub(crate) fn authorize_in_schema(
        &self,
        at: &Qualified,
        privilege: Option<&str>,
    ) -> Result<(), SqlError> {
        if self.all_powerful() {
            return Ok(());
        }
        self.enter(at)?;
        let databases = self.snapshot.databases();
        let schema = databases.get(&at.database).and_then(|found| found.schemas.get(&at.schema));
        let Some(schema) = schema else { return Ok(()) };
        let held = self.held(&Securable::Schema(schema.id));
        match privilege {
            Some(privilege) if !held.has(privilege) => Err(insufficient("schema", &at.schema)),
            _ => Ok(()),
        }
    }

    /// Refuses a use of a database or, with `schema`, a schema.
    ///
    /// # Errors
    /// 002003 when the role sees nothing of it, 003001 otherwise. A missing one is left to the
    /// caller.
    pub(crate) fn authorize_container(
        &self,
        database: &str,
        schema: Option<&str>,
        privilege: &str,
    ) -> Result<(), SqlError> {
        if self.all_powerful() {
            return Ok(());
        }
        let Some(found) = self.snapshot.databases().get(database) else { return Ok(()) };
        if !self.held(&Securable::Database(found.id)).any() {
            return Err(kind_missing("Database", quoted_if_needed(database)));
        }
        let (on, kind, name) = match schema {
            None => (Securable::Database(found.id), "database", database),
            Some(schema) => match found.schemas.get(schema) {
                None => return Ok(()),
                Some(inner) => (Securable::Schema(inner.id), "schema", schema),
            },
        };
        let held = self.held(&on);
        match held.any() {
            true if held.has(privilege) => Ok(()),
            true => Err(insufficient(kind, name)),
            false => Err(kind_missing("Schema", quoted_if_needed(name))),
        }
    }

    /// Refuses what only some roles may do with the account.
    ///
    /// # Errors
    /// 003001.
    pub(crate) fn authorize_account(
        &self,
        privilege: &str,
        system_roles: &[&str],
    ) -> Result<(), SqlError> {
        let roles = self.roles();
        let by_role = system_roles.iter().any(|role| roles.contains(*role));
        let held = self.account.access.held(&roles, &Securable::Account);
        if by_role || held.has(privilege) || roles.contains(OWNER) {
            return Ok(());
        }
        Err(insufficient("account", &self.session.account))
    }

    /// Takes the session's warehouse for a statement, and resumes it if need be.
    ///
    /// # Errors
    /// 000606 when there is none, the role may not use it, or it is suspended for good.
    pub(crate) fn warehouse(&self) -> Result<(), SqlError> {
        let name = self.session.warehouse.as_ref().ok_or_else(no_warehouse)?;
        let held = self.held(&Securable::Warehouse(name.clone()));
        let usable = held.has("USAGE") && self.account.warehouses.wake(name);
        if usable { Ok(()) } else { Err(no_warehouse()) }
    }

    /// A view as its owner runs it: its readers need no privilege on what it reads.
    pub(crate) fn owner_of(&self, view: &View) -> String {
        let owner = self.account.access.owner(&Securable::Relation(view.id));
        owner.unwrap_or_else(|| OWNER.to_owned())
    }

    /// Notes who made a table or view, with what its schema has in store for it.
    pub(crate) fn created(&self, at: &Qualified) {
        let now = self.catalog.snapshot();
        let Ok(relation) = now.relation(at, self.session) else { return };
        let kind = if matches!(relation, Relation::View(_)) { "VIEW" } else { "TABLE" };
        let database = now.databases().get(&at.database);
        let schema = database.and_then(|found| found.schemas.get(&at.schema));
        let within: Vec<Securable> = schema
            .map(|found| Securable::Schema(found.id))
            .into_iter()
            .chain(database.map(|found| Securable::Database(found.id)))
            .collect();
        let maker = self.session.role.as_deref().unwrap_or(OWNER);
        let on = securable_of(&relation);
        self.account.access.created(&on, (kind, &within), maker, self.now_ns);
    }

    /// Notes who made a database or schema.
    pub(crate) fn created_container(&self, database: &str, schema: Option<&str>) {
        let now = self.catalog.snapshot();
        let maker = self.session.role.as_deref().unwrap_or(OWNER);
        let Some(found) = now.databases().get(database) else { return };
        let own = |on: Securable| {
            self.account.access.created(&on, ("", &[]), maker, self.now_ns);
        };
        match schema {
            Some(schema) => {
                if let Some(inner) = found.schemas.get(schema) {
                    own(Securable::Schema(inner.id));
                }
            }
            None => {
                own(Securable::Database(found.id));
                found.schemas.values().for_each(|inner| own(Securable::Schema(inner.id)));
            }
        }
    }

    /// The role that owns an object, as SHOW tells it.
    pub(crate) fn owner_shown(&self, on: &Securable) -> String {
        self.account.access.owner(on).unwrap_or_else(|| OWNER.to_owned())
    }
}

fn is_temporary(relation: &Relation) -> bool {
    matches!(relation, Relation::Table(table) if table.kind == TableKind::Temporary)
}
