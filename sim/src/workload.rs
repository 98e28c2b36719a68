//! The workload: what virtual people do, and when.

use serde::{Deserialize, Serialize};

use crate::clock::Time;
use crate::draw::{Draw, stream};
use crate::options::Options;

macro_rules! op_kinds {
    ($($(#[$doc:meta])* $name:ident = $least:literal,)*) => {
        /// One kind of thing that a person does.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
        pub enum OpKind { $($(#[$doc])* $name,)* }

        impl OpKind {
            pub const ALL: [OpKind; [$($least),*].len()] = [$(OpKind::$name),*];

            /// The weight that a kind has at least in every world.
            #[must_use]
            pub const fn least_weight(self) -> u64 {
                match self { $(OpKind::$name => $least,)* }
            }
        }
    };
}

op_kinds! {
    CreateRoom = 1,
    Join = 2,
    Knock = 0,
    Leave = 0,
    Forget = 0,
    Invite = 1,
    Kick = 0,
    Ban = 0,
    Unban = 0,
    Send = 6,
    SendState = 1,
    /// Join rules, history visibility or power levels.
    Govern = 0,
    Alias = 0,
    Redact = 0,
    Receipt = 0,
    /// `read_markers`: the fully-read marker and a receipt at once.
    ReadMarkers = 0,
    Typing = 0,
    AccountData = 0,
    RoomAccountData = 0,
    Tag = 0,
    DisplayName = 0,
    /// Logs out and in again as a new device.
    Relogin = 0,
    /// Trades the access token for another before it expires.
    Refresh = 0,
    /// Reads something that was acknowledged, and compares.
    Read = 2,
}

/// One thing to do. What the numbers in `picks` choose is decided when it is done, among what there is then: so a plan keeps
/// its meaning when a part of it is taken away.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlannedOp {
    /// Names the operation in contents and transaction IDs; unique in its world.
    pub number: u32,
    /// Not before then, and not before the lane is free.
    pub at: Time,
    pub device: u32,
    pub lane: u32,
    #[serde(rename = "do")]
    pub kind: OpKind,
    pub picks: [u32; 3],
}

impl PlannedOp {
    /// Whether the world has the device.
    ///
    /// # Errors
    /// What it does not have.
    pub fn check(&self, options: &Options) -> Result<(), String> {
        let devices = options.clients.devices.len();
        match (self.device as usize) < devices {
            true => Ok(()),
            false => Err(format!("there is no device {}: the world has {devices}", self.device)),
        }
    }
}

/// The operations of a world, by time.
#[must_use]
pub fn draw_ops(options: &Options) -> Vec<PlannedOp> {
    let mut draw = stream(options.seed, "workload");
    let mut times: Vec<Time> = (0..options.steps).map(|_| draw_time(&mut draw, options)).collect();
    times.sort_unstable();
    let weights: Vec<u64> = options.weights.iter().map(|(_, weight)| *weight).collect();
    let opening: Vec<u64> =
        options.weights.iter().map(|(kind, weight)| if kind.opens() { weight.max(&1) * 4 } else { *weight }).collect();
    (0..options.steps)
        .zip(times)
        .map(|(number, at)| {
            let weights = if number * 8 < options.steps { &opening } else { &weights };
            let kind = draw.weighted(weights).expect("some kinds always have a weight");
            PlannedOp {
                number,
                at,
                device: small(draw.index(options.clients.devices.len())),
                lane: small(draw.index(options.clients.lanes as usize)),
                kind: options.weights[kind].0,
                picks: [0; 3].map(|_: u32| small(draw.index(1 << 30))),
            }
        })
        .collect()
}

impl OpKind {
    /// What a world begins with.
    const fn opens(self) -> bool {
        matches!(self, OpKind::CreateRoom | OpKind::Join | OpKind::Invite)
    }
}

/// Spread evenly, with some at the same moment as others: bursts are where races are.
fn draw_time(draw: &mut Draw, options: &Options) -> Time {
    let at = draw.below(options.horizon.0);
    let second = 1_000_000;
    Time(if draw.chance(300) { at / second * second } else { at })
}

fn small(number: usize) -> u32 {
    u32::try_from(number).expect("counts and picks are below 2^30")
}
