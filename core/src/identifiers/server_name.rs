//! Server names (Appendices, "Server Name").

use super::*;

identifier!(
    /// A DNS name, IPv4 address or bracketed IPv6 address, with an optional port.
    ServerName, "server name", check
);

pub(super) fn check(text: &str) -> Result<(), &'static str> {
    let (host, port) = split(text);
    if let Some(port) = port
        && (port.is_empty() || port.len() > 5 || !port.bytes().all(|byte| byte.is_ascii_digit()))
    {
        return Err("the port is not one to five digits");
    }
    if let Some(inner) = host.strip_prefix('[') {
        let inner = inner.strip_suffix(']').ok_or("the IPv6 address has no closing bracket")?;
        let plausible = inner.bytes().all(|byte| byte.is_ascii_hexdigit() || matches!(byte, b':' | b'.'));
        return if plausible && (2..=45).contains(&inner.len()) { Ok(()) } else { Err("not an IPv6 address") };
    }
    if host.is_empty() {
        return Err("the host is empty");
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
    #[must_use]
    pub fn port(&self) -> Option<u16> {
        split(self).1?.parse().ok()
    }
}
