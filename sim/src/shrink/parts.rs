//! What can be taken out of a plan, so that what is left still fits together.

use core::ops::Range;

use crate::plan::{Fault, Plan};

/// A list of the plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    Attacks,
    Faults,
    Ops,
    Devices,
    Servers,
    /// Servers that become honest.
    Liars,
    /// Those of the liar at this place.
    Strategies(usize),
}

impl Part {
    pub fn len(self, plan: &Plan) -> usize {
        match self {
            Part::Attacks => plan.attacks.len(),
            Part::Faults => plan.faults.len(),
            Part::Ops => plan.ops.len(),
            Part::Devices => plan.options.clients.devices.len(),
            Part::Servers => plan.options.servers as usize,
            Part::Liars => plan.options.byzantine.len(),
            Part::Strategies(liar) => plan.options.byzantine.get(liar).map_or(0, |liar| liar.strategies.len()),
        }
    }

    /// The plan without those in `range`. `None` if nothing would be left to look at.
    pub fn without(self, plan: &Plan, range: Range<usize>) -> Option<Plan> {
        let mut plan = plan.clone();
        match self {
            Part::Attacks => drop(plan.attacks.drain(range)),
            Part::Faults => drop(plan.faults.drain(range)),
            Part::Ops => drop(plan.ops.drain(range)),
            Part::Liars => {
                plan.options.byzantine.drain(range);
                let options = &plan.options;
                plan.attacks.retain(|attack| !options.is_honest(attack.server));
            }
            Part::Strategies(liar) => drop(plan.options.byzantine[liar].strategies.drain(range)),
            Part::Devices => without_devices(&mut plan, |device| !range.contains(&device)),
            Part::Servers => range.rev().for_each(|server| without_server(&mut plan, number(server))),
        }
        let options = &plan.options;
        (options.honest().next().is_some() && !options.clients.devices.is_empty()).then_some(plan)
    }
}

/// Whoever has no device is no person: users move up, on the same server.
fn without_devices(plan: &mut Plan, stays: impl Fn(usize) -> bool) {
    let servers = plan.options.servers;
    let devices = &mut plan.options.clients.devices;
    let mut numbers = Vec::new();
    let mut left = Vec::new();
    for (device, user) in devices.iter().enumerate() {
        numbers.push(stays(device).then(|| number(left.len())));
        if stays(device) {
            left.push(*user);
        }
    }
    let mut users = left.clone();
    users.sort_unstable();
    users.dedup();
    let moved = |user: u32| {
        let neighbours_before =
            users.iter().filter(|other| **other < user && **other % servers == user % servers).count();
        user % servers + servers * number(neighbours_before)
    };
    *devices = left.iter().map(|user| moved(*user)).collect();
    plan.ops.retain_mut(|op| match numbers[op.device as usize] {
        Some(number) => {
            op.device = number;
            true
        }
        None => false,
    });
}

/// A server goes with everybody on it, with what happens to it, and with what it does. Those behind it move up.
fn without_server(plan: &mut Plan, gone: u32) {
    let servers = plan.options.servers;
    let on_it: Vec<bool> = plan.options.clients.devices.iter().map(|user| user % servers == gone).collect();
    without_devices(plan, |device| !on_it[device]);
    let moved = |server: u32| if server > gone { server - 1 } else { server };
    if servers > 1 {
        for user in &mut plan.options.clients.devices {
            *user = moved(*user % servers) + *user / servers * (servers - 1);
        }
    }
    plan.options.servers = servers - 1;
    if plan.options.ways.len() > gone as usize {
        plan.options.ways.remove(gone as usize);
    }
    plan.options.byzantine.retain(|liar| liar.server != gone);
    plan.options.byzantine.iter_mut().for_each(|liar| liar.server = moved(liar.server));
    plan.attacks.retain(|attack| attack.server != gone && attack.victim != gone);
    for attack in &mut plan.attacks {
        (attack.server, attack.victim) = (moved(attack.server), moved(attack.victim));
    }
    let is_from =
        |fault: Fault| matches!(fault, Fault::Partition { from, .. } | Fault::Flapping { from, .. } if from == gone);
    plan.faults.retain(|fault| fault.server != gone && !is_from(fault.fault));
    for fault in &mut plan.faults {
        fault.server = moved(fault.server);
        if let Fault::Partition { from, .. } | Fault::Flapping { from, .. } = &mut fault.fault {
            *from = moved(*from);
        }
    }
}

fn number(index: usize) -> u32 {
    u32::try_from(index).expect("servers, devices and users are few")
}
