//! The workload: what virtual people do, and when.

use serde::{Deserialize, Serialize};

use crate::clock::Time;
use crate::draw::{Draw, stream};
use crate::options::Options;

macro_rules! op_kinds {
    ($($(#[$family_doc:meta])* $family:ident { $($(#[$doc:meta])* $name:ident = $least:literal,)* })*) => {
        /// One kind of thing that a person does.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
        pub enum OpKind { $($($(#[$doc])* $name,)*)* }

        /// Kinds that belong together. Each family draws from streams of its own, so that more of one changes nothing of what
        /// a seed draws of the others.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
        pub enum Family { $($(#[$family_doc])* $family,)* }

        impl OpKind {
            pub const ALL: [OpKind; [$($($least),*),*].len()] = [$($(OpKind::$name),*),*];

            /// The weight that a kind has at least in every world that has its family.
            #[must_use]
            pub const fn least_weight(self) -> u64 {
                match self { $($(OpKind::$name => $least,)*)* }
            }

            #[must_use]
            pub const fn family(self) -> Family {
                match self { $($(OpKind::$name => Family::$family,)*)* }
            }
        }

        impl Family {
            pub const ALL: [Family; [$(stringify!($family)),*].len()] = [$(Family::$family),*];
        }
    };
}

op_kinds! {
    /// Rooms, who is in them, what is said there, and what one keeps for oneself.
    Rooms {
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
    /// Who may do what, and what becomes of rooms.
    Governance {
        /// A room of any version and preset, of which more is said at its creation.
        FoundRoom = 1,
        /// Raises or lowers somebody, oneself too, or what something takes.
        PowerStruggle = 3,
        /// Lets in who is in another room, or lets them knock.
        Restrict = 1,
        /// Makes a room part of a space.
        AddToSpace = 0,
        /// Makes another room in place of one, with a tombstone.
        Upgrade = 1,
        /// Follows a tombstone into the room that has taken the place of one.
        MoveOn = 1,
        /// Says no to an invite.
        Reject = 0,
        RedactState = 1,
    }
    /// Messages about messages, and what else shows that somebody is there.
    Talk {
        Edit = 1,
        React = 1,
        /// A message in a thread.
        Reply = 1,
        /// A receipt for a thread, or for what is in none.
        ThreadReceipt = 0,
        Presence = 0,
        PushRule = 0,
    }
    /// Devices, their keys, and messages between them.
    Devices {
        /// `keys/upload`: identity keys at first, then one-time and fallback keys.
        UploadKeys = 3,
        /// `keys/query` for everybody whose devices are said to have changed.
        QueryKeys = 2,
        /// `keys/claim` of a device of somebody else.
        ClaimKeys = 1,
        /// A message to one device, some, or all of somebody.
        ToDevice = 3,
        /// Master, self-signing and user-signing keys.
        CrossSign = 0,
        RenameDevice = 0,
        /// Ends another device of the same person, which logs in again.
        DeleteDevice = 0,
    }
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
    let mut ops = Vec::new();
    for family in Family::ALL {
        draw_family(options, family, &mut ops);
    }
    ops.sort_by_key(|op| op.at);
    ops
}

/// Appends the operations of a family.
fn draw_family(options: &Options, family: Family, ops: &mut Vec<PlannedOp>) {
    let first = small(ops.len());
    let steps = options.steps_of(family);
    let mut draw = stream(options.seed, family.workload());
    let mut times: Vec<Time> = (0..steps).map(|_| draw_time(&mut draw, options)).collect();
    times.sort_unstable();
    let kinds: Vec<(OpKind, u64)> =
        options.weights.iter().copied().filter(|(kind, _)| kind.family() == family).collect();
    let weights: Vec<u64> = kinds.iter().map(|(_, weight)| *weight).collect();
    let opening: Vec<u64> =
        kinds.iter().map(|(kind, weight)| if kind.opens() { weight.max(&1) * 4 } else { *weight }).collect();
    ops.extend((0..steps).zip(times).map(|(number, at)| {
        let weights = if number * 8 < steps && options.clients.meetings == 0 { &opening } else { &weights };
        let kind = draw.weighted(weights).expect("some kinds always have a weight");
        PlannedOp {
            number: first + number,
            at,
            device: small(draw.index(options.clients.devices.len())),
            lane: small(draw.index(options.clients.lanes as usize)),
            kind: kinds[kind].0,
            picks: [0; 3].map(|_: u32| small(draw.index(1 << 30))),
        }
    }));
}

impl Family {
    /// The name of the stream that its operations are drawn from.
    const fn workload(self) -> &'static str {
        match self {
            Family::Rooms => "workload",
            Family::Governance => "workload of governance",
            Family::Talk => "workload of talk",
            Family::Devices => "workload of devices",
        }
    }
}

impl OpKind {
    /// Whether it sends something to a room that others may answer to.
    #[must_use]
    pub const fn is_message(self) -> bool {
        matches!(self, OpKind::Send | OpKind::Edit | OpKind::Reply)
    }

    /// What a world begins with.
    const fn opens(self) -> bool {
        matches!(self, OpKind::CreateRoom | OpKind::Join | OpKind::Invite | OpKind::FoundRoom | OpKind::UploadKeys)
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
