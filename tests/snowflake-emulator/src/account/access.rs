//! Roles, who has them, and what they may do with which object.
//!
//! Privileges belong to an object, not to its name: a table that is renamed keeps them, a table
//! that takes the name of another does not get them. SYSADMIN may do everything with databases and
//! warehouses here, as if every object had been handed to it; in a real account it owns only what
//! it has made.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{PoisonError, RwLock, RwLockReadGuard};

/// What every account has.
const SYSTEM_ROLES: [&str; 6] =
    ["ACCOUNTADMIN", "ORGADMIN", "PUBLIC", "SECURITYADMIN", "SYSADMIN", "USERADMIN"];

/// An object of which access is controlled.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Securable {
    Account,
    Database(u64),
    Schema(u64),
    /// A table or a view.
    Relation(u64),
    Warehouse(String),
    /// Anything else by kind and complete name, such as `STAGE D.S.FILES`.
    Named(String),
}

/// Who gets a role.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Grantee {
    User(String),
    Role(String),
}

/// A role.
#[derive(Clone, Debug)]
pub(crate) struct Role {
    pub created_ns: i128,
    pub owner: Option<String>,
    pub comment: Option<String>,
}

/// One privilege of one role on one object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Grant {
    pub on: Securable,
    pub role: String,
    pub privilege: String,
    pub created_ns: i128,
    pub granted_by: String,
    pub with_option: bool,
}

/// A privilege that tables or views made later will get.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Future {
    /// The database or schema in which they are made.
    pub within: Securable,
    /// TABLE or VIEW.
    pub kind: &'static str,
    pub privilege: String,
    pub role: String,
}

/// What a set of roles has on one object.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Held {
    pub owner: bool,
    pub privileges: BTreeSet<String>,
    pub grantable: BTreeSet<String>,
}

impl Held {
    /// Whether there is anything at all, which makes the object visible.
    pub(crate) fn any(&self) -> bool {
        self.owner || !self.privileges.is_empty()
    }

    /// Whether a privilege is there.
    pub(crate) fn has(&self, privilege: &str) -> bool {
        self.owner || self.privileges.contains(privilege)
    }
}

/// The roles and their privileges.
#[derive(Debug)]
pub(crate) struct Access {
    state: RwLock<State>,
    changes: AtomicU64,
}

#[derive(Debug, Default)]
struct State {
    roles: BTreeMap<String, Role>,
    members: BTreeMap<(String, Grantee), i128>,
    grants: BTreeMap<(Securable, String, String), Grant>,
    owners: BTreeMap<Securable, String>,
    futures: BTreeSet<Future>,
}

impl Default for Access {
    fn default() -> Self {
        let mut state = State::default();
        for name in SYSTEM_ROLES {
            let role = Role { created_ns: 0, owner: None, comment: None };
            state.roles.insert(name.to_owned(), role);
        }
        for (role, to) in [
            ("SYSADMIN", "ACCOUNTADMIN"),
            ("SECURITYADMIN", "ACCOUNTADMIN"),
            ("USERADMIN", "SECURITYADMIN"),
        ] {
            state.members.insert((role.to_owned(), Grantee::Role(to.to_owned())), 0);
        }
        Self { state: RwLock::new(state), changes: AtomicU64::new(0) }
    }
}

impl Access {
    /// Counts changes.
    pub(crate) fn changes(&self) -> u64 {
        self.changes.load(Ordering::SeqCst)
    }

    /// A role and all that it has got, with PUBLIC, which everybody has.
    pub(crate) fn effective(&self, role: Option<&str>) -> BTreeSet<String> {
        let start = role.map(ToOwned::to_owned);
        self.read().closure(start.into_iter().chain(["PUBLIC".to_owned()]).collect())
    }

    /// All roles that a user may act in.
    pub(crate) fn roles_of_user(&self, user: &str) -> BTreeSet<String> {
        let state = self.read();
        let wanted = Grantee::User(user.to_owned());
        let own = state.members.keys().filter(|(_, to)| *to == wanted);
        let own = own.map(|(role, _)| role.clone()).chain(["PUBLIC".to_owned()]).collect();
        state.closure(own)
    }

    /// Whether roles may do everything with databases and warehouses.
    pub(crate) fn all_powerful(roles: &BTreeSet<String>) -> bool {
        roles.contains("SYSADMIN") || roles.contains("ACCOUNTADMIN")
    }

    /// What roles have on an object.
    pub(crate) fn held(&self, roles: &BTreeSet<String>, on: &Securable) -> Held {
        let state = self.read();
        let mut held = Held {
            owner: state.owners.get(on).is_some_and(|owner| roles.contains(owner)),
            ..Held::default()
        };
        for grant in state.grants_on(on).filter(|grant| roles.contains(&grant.role)) {
            held.privileges.insert(grant.privilege.clone());
            if grant.with_option {
                held.grantable.insert(grant.privilege.clone());
            }
        }
        held
    }

    /// The role of a name.
    pub(crate) fn role(&self, name: &str) -> Option<Role> {
        self.read().roles.get(name).cloned()
    }

    /// All roles.
    pub(crate) fn roles(&self) -> Vec<(String, Role)> {
        let state = self.read();
        state.roles.iter().map(|(name, role)| (name.clone(), role.clone())).collect()
    }

    /// Whether a role is one that every account has.
    pub(crate) fn is_system_role(name: &str) -> bool {
        SYSTEM_ROLES.contains(&name)
    }

    /// Makes a role; the owner gets nothing else.
    pub(crate) fn create_role(&self, name: &str, role: Role) {
        self.change(|state| {
            state.roles.insert(name.to_owned(), role);
        });
    }

    /// Drops a role with all that it had and whoever had it.
    pub(crate) fn drop_role(&self, name: &str) -> bool {
        self.change(|state| {
            state
                .members
                .retain(|(role, to), _| role != name && *to != Grantee::Role(name.to_owned()));
            state.grants.retain(|(_, role, _), _| role != name);
            state.futures.retain(|future| future.role != name);
            // Objects of a dropped role go to the role that dropped it; here to SYSADMIN.
            for owner in state.owners.values_mut().filter(|owner| *owner == name) {
                "SYSADMIN".clone_into(owner);
            }
            state.roles.remove(name).is_some()
        })
    }

    /// Gives a role to a user or a role.
    pub(crate) fn grant_role(&self, role: &str, to: Grantee, now_ns: i128) {
        self.change(|state| {
            state.members.entry((role.to_owned(), to)).or_insert(now_ns);
        });
    }

    /// Takes a role from a user or a role.
    pub(crate) fn revoke_role(&self, role: &str, from: &Grantee) -> bool {
        self.change(|state| state.members.remove(&(role.to_owned(), from.clone())).is_some())
    }

    /// Takes all roles from a user or a role that is gone.
    pub(crate) fn forget_grantee(&self, gone: &Grantee) {
        self.change(|state| state.members.retain(|(_, to), _| to != gone));
    }

    /// Who has which role, since when.
    pub(crate) fn members(&self) -> Vec<(String, Grantee, i128)> {
        let state = self.read();
        let members = state.members.iter();
        members.map(|((role, to), since)| (role.clone(), to.clone(), *since)).collect()
    }

    /// Whether giving `role` to `to` would make a circle.
    pub(crate) fn contains_role(&self, role: &str, to: &str) -> bool {
        self.read().closure(BTreeSet::from([role.to_owned()])).contains(to)
    }

    /// Adds a privilege.
    pub(crate) fn grant(&self, grant: Grant) {
        self.change(|state| {
            let key = (grant.on.clone(), grant.role.clone(), grant.privilege.clone());
            let with_option = grant.with_option;
            state.grants.entry(key).or_insert(grant).with_option |= with_option;
        });
    }

    /// Takes a privilege away.
    pub(crate) fn revoke(&self, on: &Securable, role: &str, privilege: &str) {
        let key = (on.clone(), role.to_owned(), privilege.to_owned());
        self.change(|state| state.grants.remove(&key));
    }

    /// All privileges of all roles.
    pub(crate) fn grants(&self) -> Vec<Grant> {
        self.read().grants.values().cloned().collect()
    }

    /// The owner of an object.
    pub(crate) fn owner(&self, on: &Securable) -> Option<String> {
        self.read().owners.get(on).cloned()
    }

    /// Hands an object to a role, and drops the privileges of others on demand.
    pub(crate) fn set_owner(&self, on: &Securable, role: &str, revoke_others: bool) {
        self.change(|state| {
            state.owners.insert(on.clone(), role.to_owned());
            if revoke_others {
                state.grants.retain(|(object, ..), _| object != on);
            }
        });
    }

    /// Notes privileges for objects made later, or forgets them.
    pub(crate) fn set_future(&self, future: Future, wanted: bool) {
        self.change(|state| match wanted {
            true => state.futures.insert(future),
            false => state.futures.remove(&future),
        });
    }

    /// All privileges for objects made later.
    pub(crate) fn futures(&self) -> Vec<Future> {
        self.read().futures.iter().cloned().collect()
    }

    /// Hands a new object to its maker and gives it what is to come: the schema's future grants,
    /// or the database's if the schema has none of that kind.
    pub(crate) fn created(
        &self,
        on: &Securable,
        (kind, within): (&str, &[Securable]),
        maker: &str,
        now_ns: i128,
    ) {
        self.change(|state| {
            state.owners.insert(on.clone(), maker.to_owned());
            let mut found = Vec::new();
            for scope in within {
                let here = state.futures.iter();
                found = here
                    .filter(|future| future.within == *scope && future.kind == kind)
                    .cloned()
                    .collect();
                if !found.is_empty() {
                    break;
                }
            }
            for future in found {
                let key = (on.clone(), future.role.clone(), future.privilege.clone());
                let grant = Grant {
                    on: on.clone(),
                    role: future.role,
                    privilege: future.privilege,
                    created_ns: now_ns,
                    granted_by: maker.to_owned(),
                    with_option: false,
                };
                state.grants.insert(key, grant);
            }
        });
    }

    /// COPY GRANTS: gives a new object what an old one had, but its owner.
    pub(crate) fn copy_grants(&self, from: &Securable, to: &Securable) {
        self.change(|state| {
            let copies: Vec<Grant> = state
                .grants_on(from)
                .map(|grant| Grant { on: to.clone(), ..grant.clone() })
                .collect();
            for grant in copies {
                let key = (grant.on.clone(), grant.role.clone(), grant.privilege.clone());
                state.grants.insert(key, grant);
            }
        });
    }

    /// Forgets an object that is known by its name, because another may get the name.
    pub(crate) fn forget(&self, on: &Securable) {
        self.change(|state| {
            state.grants.retain(|(object, ..), _| object != on);
            state.owners.remove(on);
        });
    }

    fn read(&self) -> RwLockReadGuard<'_, State> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        let result = change(&mut state);
        self.changes.fetch_add(1, Ordering::SeqCst);
        result
    }
}

impl State {
    /// Roles with all that they have got, directly or through others.
    fn closure(&self, start: BTreeSet<String>) -> BTreeSet<String> {
        let mut found = start.clone();
        let mut next: Vec<String> = start.into_iter().collect();
        while let Some(role) = next.pop() {
            let holder = Grantee::Role(role);
            for (given, to) in self.members.keys() {
                if *to == holder && found.insert(given.clone()) {
                    next.push(given.clone());
                }
            }
        }
        found
    }

    fn grants_on<'a>(&'a self, on: &'a Securable) -> impl Iterator<Item = &'a Grant> {
        self.grants.values().filter(move |grant| grant.on == *on)
    }
}
