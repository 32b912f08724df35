//! Where names lead: Snowflake's hosts and its storage resolve to public addresses, or to nobody.
//!
//! A name server that sends an account's host to an address inside this network would get the
//! sign-in. Private addresses are right for PrivateLink accounts and for a base URL that was given
//! openly, so those are not checked. Other hosts (a token endpoint, a proxy) may be anywhere.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use super::account::{GUARDED_SUFFIXES, embedded_v4};

/// A host of Snowflake resolved to an address that belongs to no server of it.
#[derive(Debug, thiserror::Error)]
#[error("{host} resolves to {address}")]
pub(super) struct NotPublic {
    pub(super) host: String,
    pub(super) address: IpAddr,
}

/// Asks the system, then refuses guarded hosts at addresses that are not public.
pub(super) struct Guard {
    inner: Arc<dyn Resolve>,
}

impl Guard {
    pub(super) fn new() -> Self {
        Self { inner: Arc::new(System) }
    }

    #[cfg(test)]
    pub(super) fn over(inner: Arc<dyn Resolve>) -> Self {
        Self { inner }
    }
}

impl Resolve for Guard {
    fn resolve(&self, name: Name) -> Resolving {
        let host = name.as_str().trim_end_matches('.').to_ascii_lowercase();
        let asked = self.inner.resolve(name);
        Box::pin(async move {
            let addresses: Vec<SocketAddr> = asked.await?.collect();
            let guarded = GUARDED_SUFFIXES.iter().any(|suffix| host.ends_with(suffix));
            let stranger = addresses.iter().map(SocketAddr::ip).find(|ip| !is_public(*ip));
            if let Some(address) = stranger.filter(|_| guarded) {
                return Err(NotPublic { host, address }.into());
            }
            Ok::<Addrs, _>(Box::new(addresses.into_iter()))
        })
    }
}

struct System;

impl Resolve for System {
    fn resolve(&self, name: Name) -> Resolving {
        let host = name.as_str().to_owned();
        Box::pin(async move {
            let found: Vec<SocketAddr> = tokio::net::lookup_host((host, 0)).await?.collect();
            Ok::<Addrs, _>(Box::new(found.into_iter()))
        })
    }
}

/// Finds a refusal of [`Guard`] among the causes of an error.
pub(super) fn not_public<'a>(
    error: &'a (dyn std::error::Error + 'static),
) -> Option<&'a NotPublic> {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if let Some(found) = error.downcast_ref::<NotPublic>() {
            return Some(found);
        }
        cause = error.source();
    }
    None
}

/// Returns whether an address can be a server's on the internet.
pub(super) fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => {
            let [a, b, ..] = v4.octets();
            // 100.64.0.0/10 is shared by carriers (RFC 6598), 0.0.0.0/8 is this network.
            let shared = a == 100 && (64..128).contains(&b);
            !(v4.is_loopback()
                || v4.is_private()
                || v4.is_link_local()
                || v4.is_multicast()
                || v4.is_broadcast()
                || v4.is_documentation()
                || a == 0
                || shared)
        }
        IpAddr::V6(v6) => match embedded_v4(v6) {
            Some(v4) => is_public(IpAddr::V4(v4)),
            None => {
                !(v6.is_loopback()
                    || v6.is_unspecified()
                    || v6.is_multicast()
                    || v6.is_unicast_link_local()
                    || v6.is_unique_local())
            }
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_inside_a_network_are_not_public() {
        for public in ["52.12.1.9", "8.8.8.8", "100.63.0.1", "172.32.0.1", "2600:1f14::1"] {
            assert!(is_public(public.parse().unwrap()), "{public}");
        }
        for inside in [
            "127.0.0.1",
            "10.1.2.3",
            "172.16.0.1",
            "192.168.1.1",
            "169.254.169.254",
            "100.64.0.1",
            "0.0.0.0",
            "0.1.2.3",
            "224.0.0.1",
            "255.255.255.255",
            "::1",
            "::",
            "fe80::1",
            "fd00::1",
            "ff02::1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "64:ff9b::a00:1",
        ] {
            assert!(!is_public(inside.parse().unwrap()), "{inside}");
        }
    }

    struct Fixed(IpAddr);

    impl Resolve for Fixed {
        fn resolve(&self, _: Name) -> Resolving {
            let address = SocketAddr::new(self.0, 0);
            Box::pin(async move { Ok::<Addrs, _>(Box::new(std::iter::once(address))) })
        }
    }

    #[tokio::test]
    async fn guarded_hosts_inside_a_network_are_refused_and_others_are_not() {
        let inside = Guard::over(Arc::new(Fixed("10.0.0.7".parse().unwrap())));
        for host in [
            "acme.snowflakecomputing.com",
            "x.s3.us-west-2.amazonaws.com",
            "A.B.SNOWFLAKECOMPUTING.CN",
        ] {
            let refused = inside.resolve(host.parse().unwrap()).await.err().unwrap();
            let found = not_public(refused.as_ref()).unwrap();
            assert_eq!(found.address.to_string(), "10.0.0.7");
        }
        assert!(inside.resolve("login.example.com".parse().unwrap()).await.is_ok());
        let outside = Guard::over(Arc::new(Fixed("52.1.2.3".parse().unwrap())));
        assert!(outside.resolve("acme.snowflakecomputing.com".parse().unwrap()).await.is_ok());
    }

    #[tokio::test]
    async fn a_refusal_is_found_among_the_causes_of_a_request() {
        let inside = Guard::over(Arc::new(Fixed("127.0.0.1".parse().unwrap())));
        let client = reqwest::Client::builder().no_proxy().dns_resolver(Arc::new(inside));
        let sent = client.build().unwrap().get("https://acme.snowflakecomputing.com/").send().await;
        let error = sent.unwrap_err();
        assert_eq!(not_public(&error).unwrap().host, "acme.snowflakecomputing.com");
    }
}
