//! Network rules and policies: from which addresses a user may sign in.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::{PoisonError, RwLock};

/// An IPv4 network such as `203.0.113.0/28`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Block {
    network: u32,
    mask: u32,
}

impl Block {
    fn parse(text: &str) -> Option<Self> {
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, bits.parse::<u32>().ok()?),
            None => (text, 32),
        };
        let address = u32::from(address.trim().parse::<Ipv4Addr>().ok()?);
        let mask = match bits {
            0 => 0,
            1..=32 => u32::MAX.checked_shl(32 - bits)?,
            _ => return None,
        };
        Some(Self { network: address & mask, mask })
    }

    fn contains(self, address: IpAddr) -> bool {
        match address {
            IpAddr::V4(address) => u32::from(address) & self.mask == self.network,
            IpAddr::V6(_) => false,
        }
    }
}

/// Whether a text is an IPv4 address or network.
pub(crate) fn is_network(text: &str) -> bool {
    Block::parse(text).is_some()
}

/// A policy: its own lists and the names of rules.
#[derive(Clone, Debug, Default)]
pub(crate) struct Policy {
    pub allowed: Vec<String>,
    pub blocked: Vec<String>,
    pub allowed_rules: Vec<String>,
    pub blocked_rules: Vec<String>,
    pub comment: Option<String>,
}

/// The rules and policies of the account.
#[derive(Debug, Default)]
pub(crate) struct Network {
    state: RwLock<State>,
}

#[derive(Debug, Default)]
struct State {
    /// By complete name.
    rules: BTreeMap<String, Vec<String>>,
    policies: BTreeMap<String, Policy>,
    of_account: Option<String>,
}

impl Network {
    /// The addresses of a rule.
    pub(crate) fn rule(&self, name: &str) -> Option<Vec<String>> {
        self.read(|state| state.rules.get(name).cloned())
    }

    /// The policy of a name.
    pub(crate) fn policy(&self, name: &str) -> Option<Policy> {
        self.read(|state| state.policies.get(name).cloned())
    }

    /// All policies.
    pub(crate) fn policies(&self) -> Vec<(String, Policy)> {
        self.read(|state| {
            state.policies.iter().map(|(name, found)| (name.clone(), found.clone())).collect()
        })
    }

    /// Makes, changes or drops a rule.
    pub(crate) fn set_rule(&self, name: &str, addresses: Option<Vec<String>>) {
        self.write(|state| match addresses {
            Some(addresses) => state.rules.insert(name.to_owned(), addresses),
            None => state.rules.remove(name),
        });
    }

    /// Drops the rules of a database or schema that is gone.
    pub(crate) fn forget_rules_in(&self, container: &str) {
        let prefix = format!("{container}.");
        self.write(|state| state.rules.retain(|name, _| !name.starts_with(&prefix)));
    }

    /// Makes, changes or drops a policy.
    pub(crate) fn set_policy(&self, name: &str, policy: Option<Policy>) {
        self.write(|state| match policy {
            Some(policy) => state.policies.insert(name.to_owned(), policy),
            None => state.policies.remove(name),
        });
    }

    /// Sets the policy that counts for all users without one of their own.
    pub(crate) fn set_account_policy(&self, name: Option<String>) {
        self.write(|state| state.of_account = name);
    }

    /// Whether an address passes the policy of a user, or else of the account.
    pub(crate) fn admits(&self, of_user: Option<&str>, address: IpAddr) -> bool {
        self.read(|state| {
            let name = of_user.or(state.of_account.as_deref());
            let Some(policy) = name.and_then(|name| state.policies.get(name)) else { return true };
            let listed = |plain: &[String], rules: &[String]| {
                let of_rules = rules.iter().filter_map(|rule| state.rules.get(rule)).flatten();
                let mut blocks = plain.iter().chain(of_rules).filter_map(|text| Block::parse(text));
                blocks.any(|block| block.contains(address))
            };
            let blocked = listed(&policy.blocked, &policy.blocked_rules);
            let anywhere = policy.allowed.is_empty() && policy.allowed_rules.is_empty();
            !blocked && (anywhere || listed(&policy.allowed, &policy.allowed_rules))
        })
    }

    fn read<T>(&self, look: impl FnOnce(&State) -> T) -> T {
        look(&self.state.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn write<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        change(&mut self.state.write().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_pass_by_lists_and_rules() {
        let network = Network::default();
        let address = |text: &str| text.parse::<IpAddr>().expect("an address");
        assert!(network.admits(None, address("10.0.0.1")));
        network.set_rule("D.S.R", Some(vec!["203.0.113.0/28".to_owned()]));
        let policy = Policy {
            allowed: vec!["10.0.0.1".to_owned()],
            allowed_rules: vec!["D.S.R".to_owned()],
            blocked: vec!["203.0.113.7".to_owned()],
            ..Policy::default()
        };
        network.set_policy("P", Some(policy));
        for (from, own, of_account) in [
            ("10.0.0.1", true, true),
            ("10.0.0.2", false, false),
            ("203.0.113.15", true, true),
            ("203.0.113.16", false, false),
            ("203.0.113.7", false, false),
        ] {
            assert_eq!(network.admits(Some("P"), address(from)), own, "{from}");
            network.set_account_policy(Some("P".to_owned()));
            assert_eq!(network.admits(None, address(from)), of_account, "{from}");
            network.set_account_policy(None);
        }
        assert!(!is_network("1.2.3.4/33") && !is_network("x") && is_network("0.0.0.0/0"));
    }
}
