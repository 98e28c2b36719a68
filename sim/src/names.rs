//! Where servers are: what DNS and `.well-known` say of each, how that changes, and who answers at an address.

use serde::{Deserialize, Serialize};

use orrery_core::canonical_json::Object;
use orrery_core::http::Response;
use orrery_core::input::{Outcome, Service};

use crate::clock::{Span, Time};
use crate::draw::Draw;
use crate::fault::Fault;
use crate::world::{server_name, server_number};

/// How others find a server (Server-Server API, "Resolving server names").
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Way {
    /// Where its name says, at the default port.
    #[default]
    Name,
    /// `.well-known` names host and port.
    WellKnown,
    /// `.well-known` names a host, and DNS says which service that is.
    WellKnownService,
    /// DNS names the service.
    Service,
    /// DNS names the service in the way that is deprecated.
    OldService,
}

impl Way {
    const ALL: [Way; 5] = [Way::Name, Way::WellKnown, Way::WellKnownService, Way::Service, Way::OldService];

    #[must_use]
    pub fn draw(draw: &mut Draw) -> Way {
        *draw.pick(&Way::ALL)
    }
}

/// What is wrong with a server's `.well-known`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Wrong {
    /// Whoever serves it has a fault.
    Fault,
    /// It is no JSON.
    Garbage,
    /// It names a server that there is not.
    Nowhere,
    /// It is right, and must not be kept.
    Expired,
}

impl Wrong {
    #[must_use]
    pub fn draw(draw: &mut Draw) -> Wrong {
        *draw.pick(&[Wrong::Fault, Wrong::Garbage, Wrong::Nowhere, Wrong::Expired])
    }
}

/// The path of the file.
const WELL_KNOWN: &str = "/.well-known/matrix/server";
const DEFAULT_PORT: u16 = 8448;
/// What DNS says of its records.
const TTL: u32 = 300;

#[derive(Clone, Copy, Debug, Default)]
struct Place {
    way: Way,
    /// How often it moved: each time to another host and port.
    moves: u16,
    wrong: Option<(Wrong, Time)>,
    /// Until when DNS says nothing of it.
    unnamed: Time,
}

/// All names.
#[derive(Debug)]
pub struct Names {
    places: Vec<Place>,
}

impl Names {
    /// Servers that `ways` says nothing of are where their names say.
    #[must_use]
    pub fn new(servers: u32, ways: &[Way]) -> Names {
        let way = |number: u32| ways.get(number as usize).copied().unwrap_or_default();
        Names { places: (0..servers).map(|number| Place { way: way(number), ..Place::default() }).collect() }
    }

    /// A fault strikes `server`. Those that are not of names change nothing here.
    pub fn strike(&mut self, server: u32, fault: Fault, now: Time) {
        let Some(place) = self.places.get_mut(server as usize) else { return };
        match fault {
            Fault::Move { way } => (place.way, place.moves) = (way, place.moves + 1),
            Fault::WrongWellKnown { wrong, lasts } => place.wrong = Some((wrong, now + lasts)),
            Fault::NoNames { lasts } => place.unnamed = now + lasts,
            _ => {}
        }
    }

    /// Names are right and can be looked up. Who has moved stays where they are.
    pub fn heal(&mut self) {
        for place in &mut self.places {
            (place.wrong, place.unnamed) = (None, Time(0));
        }
    }

    /// The server whose name, or that of one of its hosts, this is.
    fn owner(&self, host: &str) -> Option<(u32, &Place)> {
        let (name, top) = host.rsplit_once('.')?;
        let number = server_number(&format!("{}.{top}", name.rsplit('.').next()?))?;
        Some((number, self.places.get(number as usize)?))
    }

    /// What DNS answers.
    #[must_use]
    pub fn look_up(&self, name: &str, now: Time) -> Outcome {
        let none = Outcome::Services { records: Vec::new(), ttl: TTL };
        let Some((service, host)) = name.split_once("._tcp.") else { return none };
        let Some((number, place)) = self.owner(host) else { return none };
        if now < place.unnamed {
            return Outcome::Failed("DNS does not answer".to_owned());
        }
        let offered = match place.way {
            Way::Name | Way::WellKnown => false,
            Way::WellKnownService => service == "_matrix-fed" && host == place.host(number),
            Way::Service => service == "_matrix-fed" && host == server_name(number),
            Way::OldService => service == "_matrix" && host == server_name(number),
        };
        if !offered {
            return none;
        }
        let target = format!("target.{}.", place.host(number));
        Outcome::Services { records: vec![Service { priority: 10, weight: 0, port: place.port(), target }], ttl: TTL }
    }

    /// What `.well-known` of the host is, if this asks for one.
    #[must_use]
    pub fn well_known(&self, (host, port, target): (&str, u16, &str), now: Time) -> Option<Outcome> {
        if port != 443 || target != WELL_KNOWN {
            return None;
        }
        let nobody = || Outcome::Failed("there is no such host".to_owned());
        let Some((number, place)) = self.owner(host).filter(|(number, _)| server_name(*number) == host) else {
            return Some(nobody());
        };
        if now < place.unnamed {
            return Some(nobody());
        }
        let named = match place.way {
            Way::WellKnown => Some(format!("{}:{}", place.host(number), place.port())),
            Way::WellKnownService => Some(place.host(number)),
            Way::Name | Way::Service | Way::OldService => None,
        };
        let delegate = |to: &str| Response::json(200, &Object::new().with("m.server", to).into());
        let none = || Response::json(404, &Object::new().into());
        let right = || named.as_deref().map_or_else(none, delegate);
        let response = match place.wrong.filter(|(_, until)| now < *until) {
            None => right(),
            Some((Wrong::Fault, _)) => Response::json(500, &Object::new().into()),
            Some((Wrong::Garbage, _)) => Response { body: b"<html>".as_slice().into(), ..delegate("x") },
            Some((Wrong::Nowhere, _)) => delegate("nowhere.test"),
            Some((Wrong::Expired, _)) => {
                let mut response = right();
                response.headers.push(("cache-control".into(), "max-age=0".into()));
                response
            }
        };
        Some(Outcome::Fetched(response))
    }

    /// Who answers at an address with a certificate of `tls_name`.
    #[must_use]
    pub fn at(&self, (host, port): (&str, u16), tls_name: &str, now: Time) -> Option<u32> {
        let (number, place) = self.owner(host)?;
        let (name, own) = (server_name(number), place.host(number));
        let target = format!("target.{own}");
        let (is_host, is_name) = match place.way {
            Way::Name => (host == name, tls_name == name),
            Way::WellKnown => (host == own, tls_name == own),
            Way::WellKnownService => (host == target, tls_name == own),
            Way::Service | Way::OldService => (host == target, tls_name == name),
        };
        (is_host && is_name && port == place.port() && now >= place.unnamed).then_some(number)
    }
}

impl Place {
    /// The host that the server has beside its name.
    fn host(&self, number: u32) -> String {
        format!("host{}.{}", self.moves, server_name(number))
    }

    fn port(&self) -> u16 {
        if self.way == Way::Name { DEFAULT_PORT } else { 1_000 + self.moves }
    }
}

/// Until when it may be kept that a server is where it is no more (`MAX_WELL_KNOWN_ERROR_LIFETIME` in core).
pub const LONGEST_MISTAKE: Span = Span::secs(3_600);

#[cfg(test)]
mod tests {
    use super::*;

    /// Where a server is found, by asking in order.
    fn find(names: &Names, now: Time) -> Option<u32> {
        let services = |host: &str| {
            ["_matrix-fed", "_matrix"].iter().find_map(|service| {
                match names.look_up(&format!("{service}._tcp.{host}"), now) {
                    Outcome::Services { records, .. } => records.into_iter().next(),
                    _ => None,
                }
            })
        };
        let delegate = match names.well_known(("s1.test", 443, WELL_KNOWN), now)? {
            Outcome::Fetched(response) if response.status == 200 => {
                let body = orrery_core::canonical_json::parse(&response.body).ok();
                body.and_then(|body| Some(body.get("m.server")?.as_str()?.to_owned()))
            }
            _ => None,
        };
        let host = delegate.unwrap_or_else(|| "s1.test".to_owned());
        if let Some((host, port)) = host.split_once(':') {
            return names.at((host, port.parse().ok()?), host, now);
        }
        match services(&host) {
            Some(service) => names.at((service.target.trim_end_matches('.'), service.port), &host, now),
            None => names.at((&host, DEFAULT_PORT), &host, now),
        }
    }

    #[test]
    fn servers_are_found_in_every_way_and_where_they_have_moved() {
        let (start, later) = (Time(0), Time(20_000_000));
        for way in Way::ALL {
            let mut names = Names::new(3, &[Way::Name, way]);
            assert_eq!(find(&names, start), Some(1), "{way:?}");
            let before = names.places[1];
            names.strike(1, Fault::Move { way: Way::WellKnown }, start);
            assert_eq!(find(&names, start), Some(1));
            let old = (before.host(1), before.port());
            assert_eq!(names.at((&old.0, old.1), &old.0, start), None, "{way:?}: the old address is dead");
            let lasts = Span::secs(10);
            names.strike(1, Fault::WrongWellKnown { wrong: Wrong::Nowhere, lasts }, start);
            assert_eq!((find(&names, start), find(&names, later)), (None, Some(1)));
            names.strike(1, Fault::NoNames { lasts }, start);
            assert_eq!((find(&names, start), find(&names, later)), (None, Some(1)));
            names.heal();
            assert_eq!(find(&names, start), Some(1));
        }
    }
}
