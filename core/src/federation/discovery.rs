//! Where another server is (Server-Server API, "Resolving server names").

mod caching;
mod services;
mod well_known;

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;
use core::time::Duration;

use super::remote_server::{self, Discovered, Place, RemoteServer, WellKnown};
use crate::flow::{Cx, Lane};
use crate::identifiers::ServerName;
use crate::limits::{MAX_PLACES, MAX_SERVICES_LIFETIME, MAX_WELL_KNOWN_ERROR_LIFETIME, MIN_SERVICES_LIFETIME};
use crate::time::Timestamp;

/// The port of servers whose name says none.
pub const DEFAULT_PORT: u16 = 8448;

/// Where `server` is: places to try in this order, at least one. What was found is kept for as long as well-known and DNS say.
pub async fn resolve(cx: &Cx, server: &ServerName) -> Result<Vec<Place>, String> {
    if let Some(place) = by_name_alone(server)? {
        return Ok(vec![place]);
    }
    if let Ok(fresh) = remembered(cx, server)? {
        return Ok(fresh);
    }
    let _lane = cx.lane(Lane::ServerDiscovery(server.clone())).await;
    // Somebody else may have found it meanwhile.
    let before = match remembered(cx, server)? {
        Ok(fresh) => return Ok(fresh),
        Err(well_known) => well_known,
    };
    let well_known = match before {
        Some(known) if cx.now() < known.expires => known,
        before => well_known::ask(cx, server, before).await,
    };
    let (places, lifetime) = match &well_known.delegate {
        Some(delegate) => match by_name_alone(delegate)? {
            Some(place) => (vec![place], MAX_SERVICES_LIFETIME),
            None => by_services(cx, delegate.host()).await?,
        },
        None => by_services(cx, server.host()).await?,
    };
    let expires = well_known.expires.min(cx.now() + lifetime);
    let discovered = Discovered { places: places.clone(), expires, well_known };
    let stored = cx.step(|step| Ok(remote_server::update(step, server, |row, _| row.discovered = Some(discovered))?));
    stored.map_err(|error| error.message)?;
    Ok(places)
}

/// What is known and fresh, or what is left of it: what well-known said.
fn remembered(cx: &Cx, server: &ServerName) -> Result<Result<Vec<Place>, Option<WellKnown>>, String> {
    let row = cx.step(|step| Ok(remote_server::get(step, server)?)).map_err(|error| error.message)?;
    Ok(match row.discovered {
        Some(discovered) if cx.now() < discovered.expires => Ok(discovered.places),
        stale => Err(stale.map(|stale| stale.well_known)),
    })
}

/// Nobody answered where the server was thought to be: it may have moved. What is older than errors are kept is sought again.
pub fn doubt(row: &mut RemoteServer, now: Timestamp) {
    if let Some(discovered) = &mut row.discovered {
        discovered.expires = discovered.expires.min(now);
        let well_known = &mut discovered.well_known;
        well_known.expires = match well_known.fetched {
            // The clock was ahead, and has been set back since: nobody knows how old it is.
            fetched if fetched > now => now,
            fetched => well_known.expires.min(fetched + MAX_WELL_KNOWN_ERROR_LIFETIME),
        };
    }
}

/// Steps 1 and 2, and 3.1 and 3.2 of a delegate: an IP address, or a name with a port.
fn by_name_alone(server: &ServerName) -> Result<Option<Place>, String> {
    let port = match (server.port(), server.host().len() == server.len()) {
        (None, true) => None,
        (Some(port), _) if port > 0 => Some(port),
        _ => return Err(format!("{server} has a port that does not exist")),
    };
    let host = match (server.ip_address(), port) {
        (Some(address), _) => address.to_string(),
        (None, Some(_)) => server.host().to_string(),
        (None, None) => return Ok(None),
    };
    let port = port.unwrap_or(DEFAULT_PORT);
    Ok(Some(Place { tls_name: host.clone(), host, port, host_header: server.to_string() }))
}

/// Steps 3.3 to 3.5 of a delegate, and 4 to 6: services of DNS, or the default port. And how long that is good.
async fn by_services(cx: &Cx, host: &str) -> Result<(Vec<Place>, Duration), String> {
    let place = |target: &str, port: u16| Place {
        host: target.to_string(),
        port,
        // DNS can be forged: who answers there has to prove that it is the host, not the target.
        tls_name: host.to_string(),
        host_header: host.to_string(),
    };
    let mut lifetime = MAX_SERVICES_LIFETIME;
    for service in ["_matrix-fed", "_matrix"] {
        let (records, kept) = services::look_up(cx, format!("{service}._tcp.{host}")).await;
        lifetime = lifetime.min(kept.clamp(MIN_SERVICES_LIFETIME, MAX_SERVICES_LIFETIME));
        if records.is_empty() {
            continue;
        }
        // RFC 2782: a target of "." says that there is no such service here.
        let offered = records.iter().filter(|record| !matches!(record.target.as_str(), "" | ".") && record.port > 0);
        let places: Vec<Place> =
            offered.take(MAX_PLACES).map(|record| place(record.target.trim_end_matches('.'), record.port)).collect();
        return if places.is_empty() {
            Err(format!("DNS says that {host} is no Matrix server"))
        } else {
            Ok((places, lifetime))
        };
    }
    Ok((vec![place(host, DEFAULT_PORT)], lifetime))
}

#[cfg(test)]
mod tests;
