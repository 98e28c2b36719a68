//! Server names (Appendices, "Server Name").

use core::net::{IpAddr, Ipv6Addr};

use super::*;

/// A host of 255 bytes, a colon and a port of five digits.
const MAX_SERVER_NAME: usize = MAX_HOST + 6;
const MAX_HOST: usize = 255;

identifier!(
    /// A DNS name, IPv4 address or bracketed IPv6 address, with an optional port. Case matters.
    ServerName, "server name", check, MAX_SERVER_NAME, "longer than 261 bytes"
);

/// A dotted quad out of range, such as `1.2.3.400`, has the grammar of a DNS name, and so is one.
pub(super) fn check(text: &str) -> Result<(), &'static str> {
    let (host, port) = split(text);
    if let Some(port) = port
        && (port.is_empty() || port.len() > 5 || !port.bytes().all(|byte| byte.is_ascii_digit()))
    {
        return Err("the port is not one to five digits");
    }
    if let Some(inner) = host.strip_prefix('[') {
        let inner = inner.strip_suffix(']').ok_or("the IPv6 address has no closing bracket")?;
        return if inner.parse::<Ipv6Addr>().is_ok() { Ok(()) } else { Err("not an IPv6 address") };
    }
    if host.is_empty() {
        return Err("the host is empty");
    }
    if host.len() > MAX_HOST {
        return Err("the host is longer than 255 bytes");
    }
    if !host.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.')) {
        return Err("a host has letters, digits, - and . only");
    }
    Ok(())
}

fn split(text: &str) -> (&str, Option<&str>) {
    match text.rfind(':') {
        Some(colon) if !text[colon..].contains(']') => (&text[..colon], Some(&text[colon + 1..])),
        _ => (text, None),
    }
}

impl ServerName {
    /// Without the port.
    #[must_use]
    pub fn host(&self) -> &str {
        split(self).0
    }
    /// The address, if the host is one rather than a DNS name.
    #[must_use]
    pub fn ip_address(&self) -> Option<IpAddr> {
        let host = self.host();
        host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host).parse().ok()
    }
    /// `None` also for a number that the grammar has and TCP has not.
    #[must_use]
    pub fn port(&self) -> Option<u16> {
        split(self).1?.parse().ok()
    }
}
