//! Byzantine servers: real homeservers that take part in rooms like any other, each with a [`liar::Liar`] around it that has its
//! signing key. The liar changes what the server sends and answers (*lies*), and sends requests of its own (*attacks*).
//!
//! | file | family |
//! |---|---|
//! | `events` | events that are wrong by themselves |
//! | `graph` | well-formed events that are wrong beside others: equivocation, withheld events, forks |
//! | `transactions` | requests that are wrong around their events: too large, too many, in another's name, again |
//! | `handshakes` | invites, joins, and questions that nobody should get an answer to |
//! | `answers` | lies in answers to others |
//! | `outgoing` | lies in what the server itself sends |
//! | `forge` | how events and requests are made and signed |
//! | `liar` | who does all this |
//!
//! A liar knows everything that its victims know: it reads their disks. What it does not have is their keys.

mod answers;
mod events;
pub mod forge;
mod graph;
mod handshakes;
pub mod liar;
mod outgoing;
mod transactions;

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::rc::Rc;

use serde::{Deserialize, Serialize};

use crate::clock::Time;
use crate::draw::{Draw, stream};
use crate::options::Options;

/// Rooms about whose state a liar told somebody what nobody can check: what it was at a join, or after a gap. Whoever believes it
/// (and there is nobody else to ask) has another room than others have.
pub type Hearsay = Rc<RefCell<BTreeSet<String>>>;

/// Whether a strategy waits for others, or begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// It changes what the server sends or answers.
    Lie,
    /// It sends requests of its own, at planned times.
    Attack,
}

macro_rules! strategies {
    ($($way:ident { $($(#[$doc:meta])* $name:ident,)* })*) => {
        /// One way to do harm.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
        pub enum Strategy { $($($(#[$doc])* $name,)*)* }

        impl Strategy {
            pub const ALL: &[Strategy] = &[$($(Strategy::$name,)*)*];

            #[must_use]
            pub const fn way(self) -> Way {
                match self { $($(Strategy::$name => Way::$way,)*)* }
            }
        }
    };
}

strategies! {
    Attack {
        // events.rs
        /// An event without signatures, or with those of others only.
        Unsigned,
        /// A signature by another key than the one that it names.
        ForgedSignature,
        /// An event of another server's user, signed by the liar in its own name and in that server's.
        ForeignSender,
        /// A content that was changed after it was hashed.
        WrongHash,
        /// An event for a room that the liar is not in, or that does not exist.
        OtherRoom,
        /// A depth at the end of the integers, and beyond it.
        HugeDepth,
        /// 21 previous events, or thousands.
        ManyPrevEvents,
        /// 11 auth events, or thousands.
        ManyAuthEvents,
        /// One auth event twice, or two for one state key.
        DuplicateAuthEvents,
        /// Auth events that the event does not need.
        UnexpectedAuthEvents,
        /// Events that cite themselves or each other, as far as the room version lets anybody state an ID.
        Cycle,
        /// No previous events.
        NoPrevEvents,
        /// Another create event.
        SecondCreate,
        /// `origin_server_ts` long ago, negative, or far ahead.
        BackDated,
        /// A member of another type than it should have, or missing, or too long.
        WrongTypes,
        /// Floats, and integers that canonical JSON does not have.
        HugeNumbers,
        /// Arrays within arrays within arrays.
        DeepJson,
        /// More than 65 536 bytes.
        OversizedEvent,
        /// Power, a ban, or a kick, by somebody who may not.
        PowerGrab,
        /// A redaction of another's event by somebody who may not.
        ForeignRedaction,
        // graph.rs
        /// Different events in one place, one for each peer.
        Equivocation,
        /// An event on a previous event that only the liar has, and does not give.
        WithheldPrevEvent,
        /// An event whose auth event only the liar has, and does not give.
        WithheldAuthEvent,
        /// A chain of events without an end, given from its newest side.
        EndlessChain,
        /// Whoever is banned, or has left, speaks from before that.
        BanEvasion,
        /// Many events on one old event: as many ends of branches.
        WideFork,
        /// State set differently on two branches, each given to one peer.
        StateFight,
        // transactions.rs
        /// 51 PDUs, or thousands.
        TooManyPdus,
        /// 101 EDUs, or thousands.
        TooManyEdus,
        /// A transaction whose body names another server.
        WrongOrigin,
        /// A request signed with the liar's key in another server's name.
        Impersonation,
        /// Another server's signed request to the liar, sent on to a third.
        StolenRequest,
        /// What was sent before, again, under its own ID and under others.
        Replay,
        /// Many transactions at once.
        Flood,
        /// Bodies that are no transactions.
        MalformedBody,
        /// EDUs that are none.
        MalformedEdus,
        /// EDUs about users of other servers.
        ForeignEdus,
        /// Signatures of servers that do not exist, whose keys somebody might look for.
        InventedServers,
        // handshakes.rs
        /// Invites that are forged, unsigned, or not of the room in the path.
        ForgedInvite,
        /// `send_join`, `send_leave` and `send_knock` with events that are not what the endpoint is for.
        ForgedMembership,
        /// Questions about rooms that the liar is not in.
        Probing,
        /// Questions that ask for too much.
        GreedyQuestions,
    }
    Lie {
        // answers.rs
        /// `send_join` answers with state left out, forged, of another room, contradictory, or endless.
        LyingJoin,
        /// `make_join`, `make_leave` and `make_knock` templates of something else.
        LyingTemplate,
        /// `state_ids` and `state` with events left out, made up, or of another room.
        LyingState,
        /// `event` and `event_auth` with other events.
        LyingEvents,
        /// `get_missing_events` and `backfill` with other events.
        LyingHistory,
        /// Nothing is given.
        Withholding,
        /// Keys that are not its own, badly signed, or expired.
        LyingKeys,
        /// Answers that are no JSON, of the wrong type, or statuses that make no sense.
        Garbage,
        // outgoing.rs
        /// Transactions with events left out, repeated, out of order, or replaced by others, differently for each peer.
        TwoTongues,
        /// Transactions are not sent at all, to some.
        Silence,
    }
}

/// One Byzantine server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ByzantineOptions {
    pub server: u32,
    pub strategies: Vec<Strategy>,
    /// How many of 1000 of its messages, where a lie is to be had, are lies.
    pub lies: u64,
    /// How many attacks it makes.
    pub attacks: u32,
}

/// What makes `count` of `servers` servers Byzantine. At least one is left.
#[must_use]
pub fn draw_liars(draw: &mut Draw, count: u32, servers: u32) -> Vec<ByzantineOptions> {
    let mut left: Vec<u32> = (0..servers).collect();
    let mut liars = Vec::new();
    for _ in 0..count.min(servers.saturating_sub(1)) {
        let server = left.remove(draw.index(left.len()));
        // Swarm testing again: a strategy that is left out hides nothing behind its own effects.
        let share = draw.between(100, 700);
        let mut strategies: Vec<Strategy> = Strategy::ALL.iter().copied().filter(|_| draw.chance(share)).collect();
        if strategies.is_empty() {
            strategies.push(*draw.pick(Strategy::ALL));
        }
        let lies = draw.between(50, 1_000);
        let attacks = u32::try_from(draw.between(5, 60)).expect("counts are small");
        liars.push(ByzantineOptions { server, strategies, lies, attacks });
    }
    liars.sort_by_key(|liar| liar.server);
    liars
}

/// One attack of a Byzantine server on an honest one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlannedAttack {
    /// Names the stream of its own choices, so that it stays what it is when others are taken out of the plan.
    pub number: u32,
    pub at: Time,
    pub server: u32,
    pub victim: u32,
    pub strategy: Strategy,
}

impl PlannedAttack {
    /// Whether it is an attack by a Byzantine server on another one.
    ///
    /// # Errors
    /// What it is instead.
    pub fn check(&self, options: &Options) -> Result<(), String> {
        options.check_server(self.server)?;
        options.check_server(self.victim)?;
        match (options.is_honest(self.server), self.strategy.way()) {
            (true, _) => Err(format!("server {} is honest, and attacks nobody", self.server)),
            (false, Way::Lie) => Err(format!("{:?} is a lie and no attack", self.strategy)),
            (false, Way::Attack) => Ok(()),
        }
    }
}

/// The attacks of a world, by time.
#[must_use]
pub fn draw_attacks(options: &Options) -> Vec<PlannedAttack> {
    let mut draw = stream(options.seed, "attacks");
    let honest: Vec<u32> = options.honest().collect();
    let mut attacks = Vec::new();
    for liar in &options.byzantine {
        let ways: Vec<Strategy> = liar.strategies.iter().copied().filter(|way| way.way() == Way::Attack).collect();
        if ways.is_empty() {
            continue;
        }
        for _ in 0..liar.attacks {
            let number = u32::try_from(attacks.len()).expect("attacks are few");
            // Before there are rooms there is little to attack.
            let at = Time(draw.between(options.horizon.0 / 8, options.horizon.0));
            let (victim, strategy) = (*draw.pick(&honest), *draw.pick(&ways));
            attacks.push(PlannedAttack { number, at, server: liar.server, victim, strategy });
        }
    }
    attacks.sort_by_key(|attack| attack.at);
    attacks
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn somebody_stays_honest() {
        for servers in 1..6 {
            for count in 0..8 {
                let liars = draw_liars(&mut stream(u64::from(count), "test"), count, servers);
                assert_eq!(liars.len() as u32, count.min(servers - 1));
                assert!(liars.iter().all(|liar| liar.server < servers && !liar.strategies.is_empty()));
                assert!(liars.is_sorted_by(|a, b| a.server < b.server));
            }
        }
    }
}
