//! The client's address behind proxies that the operator trusts.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

/// A range of addresses: `192.0.2.1` or `192.0.2.0/24`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    prefix: u8,
}

/// The text is not an address, nor one with a prefix length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NetworkError;

impl fmt::Display for NetworkError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("expected an IP address, or a range such as 10.0.0.0/8")
    }
}

impl FromStr for Network {
    type Err = NetworkError;

    fn from_str(text: &str) -> Result<Network, NetworkError> {
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| NetworkError)?;
        let most = bits(address).1;
        let prefix = prefix.map_or(Ok(most), str::parse).map_err(|_| NetworkError)?;
        if prefix > most { Err(NetworkError) } else { Ok(Network { address, prefix }) }
    }
}

impl Network {
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        let ((ours, width), (theirs, their_width)) = (bits(self.address), bits(address));
        let ignored = u32::from(width - self.prefix);
        width == their_width && ours.checked_shr(ignored).unwrap_or(0) == theirs.checked_shr(ignored).unwrap_or(0)
    }
}

/// The address as a number, and how many bits it has.
fn bits(address: IpAddr) -> (u128, u8) {
    match address {
        IpAddr::V4(address) => (u128::from(address.to_bits()), 32),
        IpAddr::V6(address) => (address.to_bits(), 128),
    }
}

/// The first address, from the last hop backwards, that is no trusted proxy's. What came before it is hearsay.
pub(super) fn client_of<'h>(
    peer: IpAddr,
    forwarded: impl DoubleEndedIterator<Item = &'h str>,
    trusted: &[Network],
) -> IpAddr {
    let mut client = peer;
    let mut hops = forwarded.rev().flat_map(|value| value.rsplit(','));
    while trusted.iter().any(|network| network.contains(client)) {
        let Some(before) = hops.next().and_then(|hop| hop.trim().parse::<IpAddr>().ok()) else { break };
        client = before.to_canonical();
    }
    client
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_client_is_the_last_address_that_no_trusted_proxy_has() {
        let check = |peer: &str, forwarded: &[&str], trusted: &[&str], expected: &str| {
            let trusted: Vec<Network> = trusted.iter().map(|text| text.parse().unwrap()).collect();
            let client = client_of(peer.parse().unwrap(), forwarded.iter().copied(), &trusted);
            assert_eq!(client.to_string(), expected, "{peer} {forwarded:?} {trusted:?}");
        };
        check("192.0.2.7", &["198.51.100.1"], &[], "192.0.2.7");
        check("192.0.2.7", &["198.51.100.1"], &["10.0.0.0/8"], "192.0.2.7");
        check("10.1.2.3", &["198.51.100.1"], &["10.0.0.0/8"], "198.51.100.1");
        check("10.1.2.3", &["6.6.6.6, 198.51.100.1, 10.9.9.9"], &["10.0.0.0/8"], "198.51.100.1");
        check("10.1.2.3", &["6.6.6.6", "198.51.100.1"], &["10.0.0.0/8"], "198.51.100.1");
        check("10.1.2.3", &[], &["10.0.0.0/8"], "10.1.2.3");
        check("10.1.2.3", &["unknown"], &["10.0.0.0/8"], "10.1.2.3");
        check("10.1.2.3", &["10.0.0.1"], &["10.0.0.0/8"], "10.0.0.1");
        check("::1", &["2001:db8::5"], &["::1"], "2001:db8::5");
        check("::1", &["::ffff:192.0.2.9"], &["::1/128"], "192.0.2.9");
        check("192.0.2.7", &["198.51.100.1"], &["0.0.0.0/0"], "198.51.100.1");
    }

    #[test]
    fn ranges_are_addresses_with_an_optional_length() {
        for bad in ["", "localhost", "10.0.0.0/33", "::/129", "10.0.0.0/", "10.0.0/8", "10.0.0.0/8/8"] {
            assert_eq!(bad.parse::<Network>(), Err(NetworkError), "{bad}");
        }
        let network: Network = "2001:db8::/32".parse().unwrap();
        assert!(network.contains("2001:db8:1::1".parse().unwrap()));
        assert!(!network.contains("2001:db9::1".parse().unwrap()));
        assert!(!network.contains("10.0.0.1".parse().unwrap()));
    }
}
