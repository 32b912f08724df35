//! What belongs to the account as a whole: users, roles and what they may do, warehouses, and the
//! addresses that clients may come from.

mod access;
mod network;
mod warehouses;

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

pub(crate) use access::{Access, Future, Grant, Grantee, Held, Role, Securable};
#[cfg(test)]
pub(crate) use network::Policy;
pub(crate) use network::{Network, is_network};
pub(crate) use warehouses::{Warehouse, Warehouses};

use crate::auth::Users;

/// The name of the one account, in the organisation-account form.
pub(crate) const ACCOUNT: &str = "SNOWFERRY-EMULATOR";

/// What a user is besides name, password, keys and defaults.
#[derive(Clone, Debug, Default)]
pub(crate) struct Profile {
    /// PERSON, SERVICE or LEGACY_SERVICE.
    pub kind: Option<String>,
    pub disabled: bool,
    pub comment: Option<String>,
    pub default_namespace: Option<String>,
    /// The policy that counts for this user instead of the account's.
    pub network_policy: Option<String>,
}

/// The account.
pub(crate) struct Account {
    pub access: Access,
    pub warehouses: Warehouses,
    pub network: Network,
    pub users: Arc<Users>,
    profiles: RwLock<BTreeMap<String, Profile>>,
    zone: RwLock<String>,
}

/// The zone that real accounts start with, so that a client that relies on another one without
/// asking for it is wrong here too.
const FIRST_ZONE: &str = "America/Los_Angeles";

impl std::fmt::Debug for Account {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Account").field("access", &self.access).finish_non_exhaustive()
    }
}

impl Default for Account {
    fn default() -> Self {
        Self {
            access: Access::default(),
            warehouses: Warehouses::default(),
            network: Network::default(),
            users: Arc::new(Users::new(ACCOUNT)),
            profiles: RwLock::default(),
            zone: RwLock::new(FIRST_ZONE.to_owned()),
        }
    }
}

impl Account {
    /// The profile of a user; an empty one if none was made.
    pub(crate) fn profile(&self, user: &str) -> Profile {
        let profiles = self.profiles.read().unwrap_or_else(PoisonError::into_inner);
        profiles.get(user).cloned().unwrap_or_default()
    }

    /// Sets the profile of a user.
    pub(crate) fn set_profile(&self, user: &str, profile: Profile) {
        let mut profiles = self.profiles.write().unwrap_or_else(PoisonError::into_inner);
        profiles.insert(user.to_owned(), profile);
    }

    /// The time zone of sessions that ask for none.
    pub(crate) fn zone(&self) -> String {
        self.zone.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Sets the time zone of sessions to come.
    pub(crate) fn set_zone(&self, zone: String) {
        *self.zone.write().unwrap_or_else(PoisonError::into_inner) = zone;
    }

    /// Forgets all about a user.
    pub(crate) fn drop_user(&self, user: &str) -> bool {
        let mut profiles = self.profiles.write().unwrap_or_else(PoisonError::into_inner);
        profiles.remove(user);
        self.access.forget_grantee(&Grantee::User(user.to_owned()));
        self.users.remove(user)
    }

    /// Whether a user may sign in from an address; the user's policy counts before the account's.
    pub(crate) fn admits(&self, user: &str, address: std::net::IpAddr) -> bool {
        let own = self.profile(user).network_policy;
        self.network.admits(own.as_deref(), address)
    }

    /// Whether a user may act in a role. Who is no user of this account (the owner of the
    /// process) may act in all.
    pub(crate) fn may_act(&self, user: &str, role: &str) -> bool {
        !self.users.knows(user) || self.access.roles_of_user(user).contains(role)
    }
}
