//! Where another server is (Server-Server API, "Resolving server names").

use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;

use crate::flow::Cx;
use crate::identifiers::ServerName;

/// The port of servers whose name says none.
pub const DEFAULT_PORT: u16 = 8448;

/// Where to connect, and as what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// A DNS name, or an IP address without brackets.
    pub host: String,
    pub port: u16,
    /// Whose certificate it has to be: a DNS name, or an IP address without brackets.
    pub tls_name: String,
    pub host_header: String,
}

/// Where `server` is: places to try in this order, at least one.
pub async fn resolve(_: &Cx, server: &ServerName) -> Result<Vec<Place>, String> {
    let host = server.ip_address().map_or_else(|| server.host().to_string(), |address| address.to_string());
    Ok(vec![Place {
        tls_name: host.clone(),
        host,
        port: server.port().unwrap_or(DEFAULT_PORT),
        host_header: server.to_string(),
    }])
}
