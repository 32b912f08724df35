//! From where our user may sign in: the fixed addresses through which all our traffic leaves.

use std::net::Ipv4Addr;
use std::str::FromStr;

use super::{Names, Section, sql};
use crate::error::BootstrapError;

/// A wider range than this would let in more than us.
const LEAST_PREFIX_BITS: u8 = 16;

/// Addresses or ranges in IPv4, each once, in the order in which they were named.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Addresses(Vec<String>);

impl Addresses {
    /// Takes addresses (`203.0.113.7`) or ranges (`203.0.113.0/28`).
    ///
    /// # Errors
    /// [`BootstrapError::Setting`] for what is neither, an IPv6 address (Snowflake's rules take
    /// none), or a range wider than /16.
    pub fn new<'a>(written: impl IntoIterator<Item = &'a str>) -> Result<Self, BootstrapError> {
        let mut addresses: Vec<String> = Vec::new();
        for one in written {
            let one = one.trim();
            check(one).map_err(|reason| BootstrapError::Setting { setting: "--egress", reason })?;
            if !addresses.iter().any(|known| known == one) {
                addresses.push(one.to_owned());
            }
        }
        Ok(Self(addresses))
    }

    /// Returns whether no address was named.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

fn check(written: &str) -> Result<(), String> {
    const ALLOWED: &str = "an IPv4 address such as 203.0.113.7, or a range such as 203.0.113.0/28";
    let (address, prefix) = match written.split_once('/') {
        Some((address, prefix)) => (address, prefix.parse().ok().filter(|bits| *bits <= 32)),
        None => (written, Some(32)),
    };
    let (Ok(_), Some(bits)) = (Ipv4Addr::from_str(address), prefix) else {
        return Err(format!("found `{written}`; allowed: {ALLOWED}"));
    };
    if bits < LEAST_PREFIX_BITS {
        return Err(format!(
            "found `{written}`, which lets in more than us; the widest range is /{LEAST_PREFIX_BITS}"
        ));
    }
    Ok(())
}

/// Returns the section that keeps everybody else out; none when no address was named.
pub(super) fn section(names: &Names, addresses: &Addresses) -> Option<Section> {
    if addresses.is_empty() {
        return None;
    }
    let Addresses(list) = addresses;
    let mut section = Section::new("The addresses from which the user can sign in");
    section.add(
        &["A network rule lives in a schema; this one holds nothing else."],
        sql::create_own_database(),
    );
    section.add(&[], sql::create_own_schema());
    section.add(
        &[
            "All our traffic leaves from these. If the rule is there already, run this instead:",
            &format!("{};", sql::alter_rule(list)),
        ],
        sql::create_rule(list),
    );
    section.add(&["Allows what the rule lists and nothing else."], sql::create_policy());
    section.add(
        &[
            "For this user only: it takes the place of the account's own policy, and changes nothing",
            "for anybody else.",
        ],
        sql::set_policy(&names.user),
    );
    Some(section)
}

pub(super) fn removal() -> Section {
    let mut section = Section::new("The addresses, unless another connection of ours uses them");
    section.add(&[], sql::drop_policy());
    section.add(&["Holds the network rule and nothing else."], sql::drop_own_database());
    section
}
