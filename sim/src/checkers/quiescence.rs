//! Quiescence: when nobody asks for anything any more, no flow waits, no effect is held back and nothing is undurable.

use orrery_core::federation::again::is_pausing;

use crate::failure::Failure;
use crate::server::Server;

const CHECKER: &str = "quiescence";

pub fn check(servers: &[Server]) -> Result<(), Failure> {
    for (number, server) in servers.iter().enumerate().filter(|(_, server)| server.liar.is_none()) {
        let Some(core) = server.core() else {
            return Err(Failure::liveness(CHECKER, format!("server {number} is down")));
        };
        let mut flows = core.report();
        // What nobody can check any more is asked for again for days. If it can be had and was not, servers do not converge.
        flows.retain(|flow| !is_pausing(flow));
        if !flows.is_empty() {
            return Err(Failure::liveness(CHECKER, format!("server {number} has waiting flows: {flows:?}")));
        }
        let pending = (core.pending_commits(), core.held_effects(), server.disk().pending());
        if pending != (0, 0, 0) {
            let evidence = format!(
                "server {number} has {} commits in its overlay, {} effects held back and {} batches not durable",
                pending.0, pending.1, pending.2
            );
            return Err(Failure::liveness(CHECKER, evidence));
        }
    }
    Ok(())
}
