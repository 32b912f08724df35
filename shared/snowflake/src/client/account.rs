//! Where an account answers: hosts are built from a parsed identifier, never taken from a string.
//!
//! **Invariant:** whatever a connection file says, a request goes to a host below
//! `snowflakecomputing.com` (or `.cn`) that was put together here, or to a base URL that was given
//! openly for the emulator or a private endpoint.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use url::{Host, Url};

use crate::SnowflakeError;

/// Longest account identifier; a host name has at most 253 characters.
const ACCOUNT_MAX_CHARS: usize = 200;

/// Longest label of a host name (RFC 1035).
const LABEL_MAX_CHARS: usize = 63;

const CLOUDS: [&str; 3] = ["aws", "azure", "gcp"];

/// A Snowflake account: `org-account`, or `locator[.region[.cloud]]`, each with an optional last
/// label `privatelink`, or `cn` for the Chinese domain.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Account {
    labels: Vec<String>,
    private_link: bool,
    china: bool,
}

impl Account {
    /// Returns the name that sign-in and key-pair tokens use: the first label in upper case.
    #[must_use]
    pub fn name(&self) -> String {
        self.labels.first().map(|label| label.to_ascii_uppercase()).unwrap_or_default()
    }

    /// Returns whether the account is reached through a private endpoint of its cloud.
    #[must_use]
    pub fn is_private_link(&self) -> bool {
        self.private_link
    }

    /// Returns the host. Underscores of the account become hyphens, as its certificate has it.
    #[must_use]
    pub fn host(&self) -> String {
        let mut host = self.labels.join(".").to_ascii_lowercase().replace('_', "-");
        if self.private_link {
            host.push_str(".privatelink");
        }
        host.push_str(if self.china {
            ".snowflakecomputing.cn"
        } else {
            ".snowflakecomputing.com"
        });
        host
    }
}

impl std::fmt::Display for Account {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.labels.join("."))?;
        if self.private_link {
            f.write_str(".privatelink")?;
        }
        Ok(())
    }
}

impl FromStr for Account {
    type Err = SnowflakeError;

    fn from_str(text: &str) -> Result<Self, SnowflakeError> {
        let refuse = |reason: &str| SnowflakeError::Request {
            object: "the account".to_owned(),
            reason: format!("{reason}; write it as org-account or locator.region.cloud"),
        };
        if text.is_empty() || text.len() > ACCOUNT_MAX_CHARS {
            return Err(refuse("it is empty or too long"));
        }
        if text.to_ascii_lowercase().contains("snowflakecomputing") {
            return Err(refuse("leave the domain out"));
        }
        let mut labels: Vec<String> = text.split('.').map(str::to_owned).collect();
        if !labels.iter().all(|label| is_label(label)) {
            return Err(refuse("only letters, digits, hyphens, underscores and dots are allowed"));
        }
        let mut take_last = |word: &str| {
            let found = labels.len() > 1
                && labels.last().is_some_and(|last| last.eq_ignore_ascii_case(word));
            if found {
                labels.pop();
            }
            found
        };
        let private_link = take_last("privatelink");
        let mut china = take_last("cn");
        china |= labels.get(1).is_some_and(|region| region.to_ascii_lowercase().starts_with("cn-"));
        let known = match labels.as_slice() {
            [_] => true,
            [_, region] => is_region(region),
            [_, region, cloud] => {
                is_region(region) && CLOUDS.contains(&cloud.to_ascii_lowercase().as_str())
            }
            _ => false,
        };
        let reserved = labels.first().is_some_and(|first| {
            ["privatelink", "localhost"].iter().any(|word| first.eq_ignore_ascii_case(word))
                || !first.starts_with(|first: char| first.is_ascii_alphabetic())
                || first.to_ascii_lowercase().starts_with("xn--")
        });
        if !known || reserved {
            return Err(refuse("its parts are not an account, a region and a cloud"));
        }
        Ok(Self { labels, private_link, china })
    }
}

fn is_label(label: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    let edge = |byte: Option<u8>| byte.is_some_and(|byte| byte.is_ascii_alphanumeric());
    label.len() <= LABEL_MAX_CHARS
        && label.bytes().all(inner)
        && edge(label.bytes().next())
        && edge(label.bytes().last())
}

/// Regions have a hyphen (`eu-central-1`, `west-europe`, `us-central1`); `global` is the old name
/// of a replicated account.
fn is_region(label: &str) -> bool {
    label.eq_ignore_ascii_case("global") || (label.contains('-') && !label.contains('_'))
}

/// The base of all requests: the account's own host, or one that was given openly.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    base: Url,
    overridden: bool,
}

impl Endpoint {
    /// Returns the account's own host over TLS.
    ///
    /// # Errors
    /// [`SnowflakeError::Request`], which no [`Account`] brings about.
    pub fn of(account: &Account) -> Result<Self, SnowflakeError> {
        let base = Url::parse(&format!("https://{}", account.host())).map_err(|error| {
            SnowflakeError::Request { object: "the account".to_owned(), reason: error.to_string() }
        })?;
        Ok(Self { base, overridden: false })
    }

    /// Takes a base URL for the emulator or a private endpoint. `http` only on loopback.
    ///
    /// # Errors
    /// [`SnowflakeError::Request`] for a URL with more than scheme, host and port, for a host that
    /// looks like Snowflake's own (name the account instead), and for link-local addresses.
    pub fn override_with(text: &str) -> Result<Self, SnowflakeError> {
        let refuse = |reason: &str| SnowflakeError::Request {
            object: "the base URL".to_owned(),
            reason: reason.to_owned(),
        };
        if !text.bytes().all(|byte| byte.is_ascii_graphic()) || text.contains(['\\', '%']) {
            return Err(refuse("only plain ASCII is allowed"));
        }
        let base = Url::parse(text).map_err(|_| refuse("it is no URL"))?;
        let bare = base.username().is_empty()
            && base.password().is_none()
            && base.query().is_none()
            && base.fragment().is_none()
            && base.path() == "/"
            && !text.contains('@');
        if !bare {
            return Err(refuse("only scheme, host and port are allowed"));
        }
        let host = base.host().ok_or_else(|| refuse("it has no host"))?;
        let loopback = is_loopback(&host);
        match base.scheme() {
            "https" => {}
            "http" if loopback => {}
            _ => return Err(refuse("https is needed, except on loopback")),
        }
        let name = host.to_string().to_ascii_lowercase();
        if name.contains("snowflake") || name.contains("xn--") {
            return Err(refuse("name the account instead of a Snowflake host"));
        }
        if is_never_ours(&host) {
            return Err(refuse("this address belongs to no server"));
        }
        Ok(Self { base, overridden: true })
    }

    /// Returns whether the base URL was given instead of built; shown by `check`.
    #[must_use]
    pub fn is_override(&self) -> bool {
        self.overridden
    }

    /// Returns whether requests stay on this machine.
    pub(super) fn is_loopback(&self) -> bool {
        self.base.host().is_some_and(|host| is_loopback(&host))
    }

    /// Returns the scheme, for storage on the host of an openly given base URL.
    pub(super) fn scheme(&self) -> &str {
        self.base.scheme()
    }

    /// Returns host and port, for messages.
    #[must_use]
    pub fn host(&self) -> String {
        let host = self.base.host_str().unwrap_or_default();
        self.base.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
    }

    /// Returns the URL of a path of ours, whose segments are given one by one.
    pub(super) fn url(&self, segments: &[&str]) -> Url {
        let mut url = self.base.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.clear().extend(segments);
        }
        url
    }

    /// Parses a link to a result chunk or a stage; only storage of the known clouds over TLS, or
    /// the host of an openly given base URL.
    pub(super) fn storage_url(&self, step: &str, text: &str) -> Result<Url, SnowflakeError> {
        let refuse = || SnowflakeError::Protocol {
            step: step.to_owned(),
            reason: "its link leads to a host that is no storage of Snowflake".to_owned(),
        };
        let url = Url::parse(text).map_err(|_| refuse())?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err(refuse());
        }
        if self.overridden && url.host() == self.base.host() {
            let allowed = url.scheme() == self.base.scheme() || url.scheme() == "https";
            return if allowed { Ok(url) } else { Err(refuse()) };
        }
        let host = url.host_str().unwrap_or_default().to_ascii_lowercase();
        let known = STORAGE_SUFFIXES.iter().any(|suffix| host.ends_with(suffix));
        if url.scheme() == "https" && known { Ok(url) } else { Err(refuse()) }
    }
}

/// Hosts that keep results and stages: S3, Azure Blob, Google Cloud Storage, and Snowflake's own
/// proxies.
const STORAGE_SUFFIXES: [&str; 7] = [
    ".amazonaws.com",
    ".amazonaws.com.cn",
    ".blob.core.windows.net",
    ".blob.core.chinacloudapi.cn",
    ".googleapis.com",
    ".snowflakecomputing.com",
    ".snowflakecomputing.cn",
];

/// Returns whether client credentials may be sent to this token endpoint.
pub(super) fn is_token_host(url: &Url) -> bool {
    let Some(host) = url.host() else { return false };
    let scheme = url.scheme() == "https" || (url.scheme() == "http" && is_loopback(&host));
    let bare = url.username().is_empty() && url.password().is_none() && url.fragment().is_none();
    scheme && bare && !is_never_ours(&host)
}

/// Hosts that must be at public addresses: the account's own, and all storage.
pub(super) const GUARDED_SUFFIXES: [&str; 7] = STORAGE_SUFFIXES;

/// A proxy that all requests go through: `http://HOST:PORT` or `https://HOST:PORT`.
///
/// One that wants a password is named by the variable `HTTPS_PROXY` instead, so that the password
/// is in no connection file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proxy(Url);

impl Proxy {
    /// Takes the URL of a proxy.
    ///
    /// # Errors
    /// [`SnowflakeError::Request`] for a URL with more than scheme, host and port.
    pub fn new(text: &str) -> Result<Self, SnowflakeError> {
        let refuse = |reason: &str| SnowflakeError::Request {
            object: "the proxy".to_owned(),
            reason: reason.to_owned(),
        };
        let url = Url::parse(text).map_err(|_| refuse("it is no URL"))?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err(refuse("its user and password do not belong here; use HTTPS_PROXY"));
        }
        let bare = url.query().is_none() && url.fragment().is_none() && url.path() == "/";
        let host = url.host().ok_or_else(|| refuse("it has no host"))?;
        if !bare || !matches!(url.scheme(), "http" | "https") || is_never_ours(&host) {
            return Err(refuse("only http or https, a host and a port are allowed"));
        }
        Ok(Self(url))
    }

    pub(super) fn url(&self) -> &Url {
        &self.0
    }
}

fn is_loopback(host: &Host<&str>) -> bool {
    match host {
        Host::Domain(name) => name.eq_ignore_ascii_case("localhost"),
        Host::Ipv4(address) => address.is_loopback(),
        Host::Ipv6(address) => address.is_loopback(),
    }
}

/// Link-local addresses carry cloud metadata services; unspecified and multicast are no hosts.
fn is_never_ours(host: &Host<&str>) -> bool {
    let address = match host {
        Host::Domain(_) => return false,
        Host::Ipv4(address) => IpAddr::V4(*address),
        Host::Ipv6(address) => match embedded_v4(*address) {
            Some(mapped) => IpAddr::V4(mapped),
            None => IpAddr::V6(*address),
        },
    };
    let link_local = match address {
        IpAddr::V4(v4) => v4.is_link_local() || v4.is_broadcast(),
        IpAddr::V6(v6) => v6.is_unicast_link_local(),
    };
    link_local || address.is_unspecified() || address.is_multicast()
}

/// Returns the IPv4 address that an IPv6 one stands for: mapped, or translated (RFC 6052).
pub(super) fn embedded_v4(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let [a, b, c, d, e, f, high, low] = address.segments();
    let translated = [a, b, c, d, e, f] == [0x64, 0xff9b, 0, 0, 0, 0];
    let bits = (u32::from(high) << 16) | u32::from(low);
    address.to_ipv4_mapped().or_else(|| translated.then(|| Ipv4Addr::from(bits)))
}
