//! How many connections each remote address has, so that nobody takes up those of all others.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::Network;
use crate::time::Stopwatch;

/// The bits of an IPv6 address that say whose it is: one household or machine has a network of this length to itself.
const IPV6_PREFIX: u32 = 64;

/// Between two warnings that connections are refused.
const WARNING_PAUSE: Duration = Duration::from_secs(60);

#[derive(Debug)]
pub(super) struct Addresses {
    most: usize,
    /// Who may have any number: proxies, behind which there are many.
    unlimited: Vec<Network>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    open: BTreeMap<IpAddr, usize>,
    /// Since the last warning.
    refused: u64,
    warned: Option<Stopwatch>,
}

impl Addresses {
    pub(super) fn new(most: usize, unlimited: Vec<Network>) -> Arc<Addresses> {
        Arc::new(Addresses { most, unlimited, state: Mutex::default() })
    }

    /// One more connection of `peer`, for as long as what this gives is kept; `None` if it has too many.
    pub(super) fn admit(self: &Arc<Addresses>, peer: IpAddr) -> Option<Admitted> {
        if self.unlimited.iter().any(|network| network.contains(peer)) {
            return Some(Admitted(None));
        }
        let owner = owner_of(peer);
        let mut state = self.lock();
        let open = state.open.entry(owner).or_default();
        if *open < self.most {
            *open += 1;
            return Some(Admitted(Some((self.clone(), owner))));
        }
        state.refused += 1;
        if state.warned.is_none_or(|warned| warned.elapsed() >= WARNING_PAUSE) {
            let refused = std::mem::take(&mut state.refused);
            state.warned = Some(Stopwatch::start());
            tracing::warn!(
                %peer,
                refused,
                "connections are closed of an address that has limits.connections_per_address of them; a proxy belongs in \
                 trusted_proxies or limits.unlimited_addresses"
            );
        }
        None
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The address under which connections are counted.
fn owner_of(peer: IpAddr) -> IpAddr {
    match peer {
        IpAddr::V4(_) => peer,
        IpAddr::V6(address) => {
            let host_bits = Ipv6Addr::BITS - IPV6_PREFIX;
            IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() >> host_bits << host_bits))
        }
    }
}

/// A connection that counts.
#[derive(Debug)]
pub(super) struct Admitted(Option<(Arc<Addresses>, IpAddr)>);

impl Drop for Admitted {
    fn drop(&mut self) {
        let Some((addresses, owner)) = &self.0 else { return };
        let mut state = addresses.lock();
        if let Some(open) = state.open.get_mut(owner) {
            *open -= 1;
            if *open == 0 {
                state.open.remove(owner);
            }
        }
    }
}

#[test]
fn an_address_has_so_many_connections() {
    let addresses = Addresses::new(2, vec!["10.0.0.0/8".parse().unwrap(), "::1".parse().unwrap()]);
    let admit = |peer: &str| addresses.admit(peer.parse().unwrap());
    let mut admitted = Vec::new();
    // As many of each as are written here; one more is too many.
    for peer in ["192.0.2.1", "192.0.2.2", "2001:db8::", "2001:db8:0:1::"] {
        admitted.extend([admit(peer), admit(peer)]);
        assert!(admit(peer).is_none(), "{peer}");
    }
    assert!(admit("2001:db8::ffff:1:2:3").is_none());
    for peer in ["10.1.2.3", "::1"] {
        admitted.extend([admit(peer), admit(peer), admit(peer)]);
    }
    assert!(admitted.iter().all(Option::is_some));
    assert_eq!(addresses.lock().open.len(), 4);
    // The first of 192.0.2.1.
    drop(admitted.swap_remove(0));
    admitted.push(admit("192.0.2.1"));
    assert!(admitted.iter().all(Option::is_some));
    assert!(admit("192.0.2.1").is_none());
    drop(admitted);
    assert_eq!(addresses.lock().open.len(), 0);
    // The first warning told of one; since then there were five.
    assert_eq!(addresses.lock().refused, 5);
}
