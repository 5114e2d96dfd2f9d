//! How often one address may fail to prove who it is.
//!
//! Only failures count, and what is right is let in whatever failed before it: behind one address
//! there may be a proxy, or a whole company.

use std::net::{IpAddr, Ipv6Addr};
use std::num::NonZeroU32;

use governor::clock::{Clock as _, DefaultClock};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};
use http::HeaderMap;
use ipnet::IpNet;

use super::Presented;

/// Most addresses that are told apart.
const MAX_ADDRESSES: usize = 10_000;

/// Counts failures by address.
#[derive(Debug)]
pub struct FailureLimit {
    limiter: Option<DefaultKeyedRateLimiter<IpAddr>>,
    proxies: Vec<IpNet>,
}

impl FailureLimit {
    /// So many failures a minute, or any number for 0. Those that come through one of the proxies
    /// are counted for the address that it names in `X-Forwarded-For`.
    #[must_use]
    pub fn new(per_minute: u32, proxies: Vec<IpNet>) -> Self {
        Self {
            limiter: NonZeroU32::new(per_minute).map(|most| RateLimiter::keyed(Quota::per_minute(most))),
            proxies,
        }
    }

    /// Counts a failure; the seconds to wait, if that was one too many.
    pub(super) fn count(&self, request: Presented<'_>) -> Option<u32> {
        let peer = request.address?;
        self.count_of(self.sender(peer.to_canonical(), request.headers))
    }

    fn count_of(&self, sender: IpAddr) -> Option<u32> {
        let limiter = self.limiter.as_ref()?;
        let mut counted = network(sender);
        if limiter.len() >= MAX_ADDRESSES {
            limiter.retain_recent();
            if limiter.len() >= MAX_ADDRESSES {
                // Too many to tell apart: the rest shares one count.
                counted = Ipv6Addr::UNSPECIFIED.into();
            }
        }
        let refused = limiter.check_key(&counted).err()?;
        let wait = refused.wait_time_from(DefaultClock::default().now());
        Some(
            u32::try_from(wait.as_secs())
                .unwrap_or(u32::MAX)
                .saturating_add(1),
        )
    }

    /// Whether what this address says of the client's request is believed.
    #[must_use]
    pub fn is_proxy(&self, peer: IpAddr) -> bool {
        let peer = peer.to_canonical();
        self.proxies.iter().any(|network| network.contains(&peer))
    }

    /// Who sends a request that comes from `peer`: the last address on its way that is not a proxy's.
    #[must_use]
    pub fn sender(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        let is_proxy = |address: &IpAddr| self.proxies.iter().any(|network| network.contains(address));
        let values = headers.get_all("x-forwarded-for").iter();
        let values: Vec<&str> = values.map(|value| value.to_str().unwrap_or_default()).collect();
        let mut sender = peer;
        // What stands left of an address was written by whoever has it.
        for hop in values.iter().rev().flat_map(|value| value.rsplit(',')) {
            if !is_proxy(&sender) {
                break;
            }
            match hop.trim().parse::<IpAddr>() {
                Ok(address) => sender = address.to_canonical(),
                Err(_) => break,
            }
        }
        sender
    }
}

/// What one sender has: an address, and of IPv6 a whole network.
fn network(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX)).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn a_proxy_is_believed_for_the_address_before_it_and_nobody_else_is() {
        let limit = FailureLimit::new(1, vec!["10.0.0.0/8".parse().unwrap(), "::1/128".parse().unwrap()]);
        for (peer, forwarded, sender) in [
            ("192.0.2.1", &["203.0.113.9"] as &[&str], "192.0.2.1"),
            ("10.0.0.1", &["203.0.113.9"], "203.0.113.9"),
            ("10.0.0.1", &[], "10.0.0.1"),
            ("10.0.0.1", &["198.51.100.7, 203.0.113.9"], "203.0.113.9"),
            ("10.0.0.1", &["203.0.113.9, 10.2.3.4"], "203.0.113.9"),
            ("::1", &["198.51.100.7", "203.0.113.9"], "203.0.113.9"),
            ("10.0.0.1", &["203.0.113.9, what?"], "10.0.0.1"),
            ("10.0.0.1", &["2001:db8::5"], "2001:db8::5"),
            ("10.0.0.1", &["::ffff:203.0.113.9"], "203.0.113.9"),
        ] {
            let mut headers = HeaderMap::new();
            for value in forwarded {
                headers.append("x-forwarded-for", value.parse().unwrap());
            }
            assert_eq!(
                limit.sender(ip(peer), &headers),
                ip(sender),
                "{peer} {forwarded:?}"
            );
        }
    }

    #[test]
    fn each_address_fails_as_often_as_it_may_and_each_network_of_ipv6() {
        let limit = FailureLimit::new(3, Vec::new());
        for _ in 0..3 {
            assert_eq!(limit.count_of(ip("192.0.2.1")), None);
        }
        assert!(
            limit
                .count_of(ip("192.0.2.1"))
                .is_some_and(|wait| (1..=60).contains(&wait))
        );
        assert_eq!(limit.count_of(ip("192.0.2.2")), None);
        for host in ["2001:db8::1", "2001:db8::2", "2001:db8::3"] {
            assert_eq!(limit.count_of(ip(host)), None);
        }
        assert!(limit.count_of(ip("2001:db8::4")).is_some());
        assert_eq!(limit.count_of(ip("2001:db8:0:1::4")), None);
        assert_eq!(FailureLimit::new(0, Vec::new()).count_of(ip("192.0.2.1")), None);
    }

    #[test]
    fn memory_is_bounded_however_many_addresses_fail() {
        let limit = FailureLimit::new(1, Vec::new());
        for number in 0..20_000_u32 {
            let _ = limit.count_of(IpAddr::V4(number.into()));
        }
        assert!(limit.limiter.as_ref().unwrap().len() <= MAX_ADDRESSES + 1);
    }
}
