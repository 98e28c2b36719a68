//! Queues: what a server keeps in memory stays within bounds while things happen, and once the world is healed and everybody can be
//! reached, nothing is left that some other server has yet to be sent.

use orrery_core::homeserver::Sizes;
use orrery_core::limits::{MAX_SYNCS_PER_DEVICE, UNDURABLE_COMMITS};

use super::bounds;
use crate::failure::Failure;
use crate::options::Options;
use crate::server::Server;
use crate::world::server_name;

const CHECKER: &str = "queues";

/// Nothing is due to a server that can be reached. Liars may well refuse what they are sent.
pub fn check_drained(servers: &[Server]) -> Result<(), Failure> {
    let liars: Vec<String> = (0u32..)
        .zip(servers)
        .filter(|(_, server)| server.liar.is_some())
        .map(|(number, _)| server_name(number))
        .collect();
    for (number, server) in servers.iter().enumerate().filter(|(_, server)| server.liar.is_none()) {
        let Some(core) = server.core() else { continue };
        let reachable = |name: &str| {
            let is_there =
                (0..servers.len()).any(|other| u32::try_from(other).is_ok_and(|other| server_name(other) == name));
            is_there && !liars.iter().any(|liar| liar == name)
        };
        if let Some(left) = core.undelivered().iter().find(|name| reachable(name)) {
            let evidence = format!("server {number} has something left for {left}: {:?}", core.sizes());
            return Err(Failure::liveness(CHECKER, evidence));
        }
    }
    Ok(())
}

/// What a server does by itself and for those who ask, with room to spare: ten times what most worlds ever have.
const FLOWS: usize = 64;
const FLOWS_PER_SERVER: usize = 8;
/// From some on core refuses what changes something; what was under way by then goes on, and whoever changes their name does so with a
/// commit in each of their rooms.
const COMMITS: usize = UNDURABLE_COMMITS + 300;
const EFFECTS: usize = 200;
/// Connections that clients have given up stay open behind proxies, until the sync's time is over.
const SYNCS_PER_DEVICE: usize = 8 * MAX_SYNCS_PER_DEVICE;
const DUE_PER_SERVER: usize = 100;

/// What a server may have in memory in a world without liars.
pub fn check_sizes(server: u32, sizes: &Sizes, options: &Options) -> Result<(), Failure> {
    let servers = options.servers as usize;
    let devices = options.clients.devices.iter().filter(|user| *user % options.servers == server).count();
    let Sizes { flows, undurable_commits, held_effects, waiting_syncs, destinations, due } = *sizes;
    let counts = [
        ("flows", flows, FLOWS + servers * FLOWS_PER_SERVER),
        ("commits that are not durable", undurable_commits, COMMITS),
        ("effects held back", held_effects, EFFECTS),
        ("waiting syncs", waiting_syncs, devices * SYNCS_PER_DEVICE),
        ("destinations", destinations, servers),
        ("events and receipts due", due, servers * DUE_PER_SERVER),
    ];
    match bounds::exceeded(counts) {
        None => Ok(()),
        Some(what) => Err(Failure::safety(CHECKER, format!("server {server}: {what}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::Overrides;

    #[test]
    fn what_grows_too_large_is_caught() {
        let options = Options::draw(1, Overrides { servers: Some((3, 3)), ..Overrides::default() });
        let fair =
            Sizes { flows: 20, undurable_commits: 20, held_effects: 20, waiting_syncs: 2, destinations: 2, due: 50 };
        assert_eq!(check_sizes(0, &fair, &options), Ok(()));
        let caught = |sizes: Sizes, what: &str| {
            let evidence = check_sizes(0, &sizes, &options).expect_err(what).evidence;
            assert!(evidence.contains(what), "{evidence}");
        };
        caught(Sizes { flows: 1_000, ..fair }, "flows");
        caught(Sizes { undurable_commits: 1_000, ..fair }, "commits");
        caught(Sizes { held_effects: 1_000, ..fair }, "effects");
        caught(Sizes { waiting_syncs: 1_000, ..fair }, "syncs");
        caught(Sizes { destinations: 4, ..fair }, "destinations");
        caught(Sizes { due: 1_000, ..fair }, "due");
    }
}
