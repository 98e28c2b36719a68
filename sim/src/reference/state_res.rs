//! State resolution, as the pages of room versions 1, 2 and 12 have it ("State resolution").

use std::cmp::{Ordering, Reverse};
use std::collections::{BTreeMap, BTreeSet};

use orrery_core::event::Pdu;
use orrery_core::identifiers::EventId;
use orrery_core::room_version::RoomVersion;

use super::auth::selection;
use super::{Graph, State, state_res_v1};

/// How some sentences are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reading {
    /// The full auth chain of a state has the events of the state themselves, too.
    pub chains_have_their_own: bool,
    /// What follows `auth_events` (power events' auth chains, the order of events) follows them within the full conflicted set
    /// only, rather than through events outside it.
    pub within_the_conflict: bool,
    /// A rejected event that is in the state does not count when others are judged, as if the state had nothing there.
    pub rejected_count_nowhere: bool,
}

impl Reading {
    /// As the text has it.
    pub const LETTER: Reading =
        Reading { chains_have_their_own: false, within_the_conflict: false, rejected_count_nowhere: false };
    /// As the servers have it that are in use, where that is one reading; `state_res` in core says why.
    pub const AS_DEPLOYED: Reading =
        Reading { chains_have_their_own: true, within_the_conflict: true, rejected_count_nowhere: false };
}

/// The resolution of a set of states.
#[must_use]
pub fn resolve(graph: &Graph, sets: &[State], reading: Reading) -> State {
    let (unconflicted, conflicted) = separate(sets);
    if conflicted.is_empty() {
        return unconflicted;
    }
    match graph.version {
        RoomVersion::V1 => state_res_v1::resolve(graph, unconflicted, conflicted),
        RoomVersion::V12 => Resolution { graph, reading }.resolve(sets, unconflicted, conflicted, true),
        _ => Resolution { graph, reading }.resolve(sets, unconflicted, conflicted, false),
    }
}

/// The conflicted state set, by key.
pub type Conflicted = BTreeMap<(String, String), BTreeSet<EventId>>;

/// "If a given key *K* is present in every *S<sub>i</sub>* with the same value *V* in each state map, then the pair (*K*, *V*)
/// belongs to the *unconflicted state map*. Otherwise, *V* belongs to the *conflicted state set*."
#[must_use]
pub fn separate(sets: &[State]) -> (State, Conflicted) {
    let (mut unconflicted, mut conflicted) = (State::new(), Conflicted::new());
    for (key, value) in sets.iter().flatten() {
        if sets.iter().all(|set| set.get(key) == Some(value)) {
            unconflicted.insert(key.clone(), value.clone());
        } else {
            conflicted.entry(key.clone()).or_default().insert(value.clone());
        }
    }
    (unconflicted, conflicted)
}

/// "Starting from an event in the *conflicted state set* and following `auth_events` edges may lead to another event in the
/// conflicted state set. The union of all such paths between any pair of events in the conflicted state set (including
/// endpoints) forms a subgraph of the original `auth_event` graph".
#[must_use]
pub fn conflicted_state_subgraph(graph: &Graph, conflicted: &BTreeSet<EventId>) -> BTreeSet<EventId> {
    let mut subgraph = BTreeSet::new();
    for from in conflicted {
        let mut reached = graph.auth_chain(from);
        reached.insert(from.clone());
        for event in reached {
            let chain = graph.auth_chain(&event);
            let leads = conflicted.iter().any(|to| chain.contains(to));
            // On a path from `from` to another one, or its end.
            if leads || conflicted.contains(&event) {
                subgraph.insert(event);
            }
        }
    }
    subgraph
}

/// The full auth chain of a state.
#[must_use]
pub fn full_auth_chain(graph: &Graph, state: &State, with_its_own: bool) -> BTreeSet<EventId> {
    let mut chain = BTreeSet::new();
    for event in state.values() {
        chain.extend(graph.auth_chain(event));
        if with_its_own {
            chain.insert(event.clone());
        }
    }
    chain
}

struct Resolution<'g> {
    graph: &'g Graph,
    reading: Reading,
}

impl Resolution<'_> {
    fn resolve(&self, sets: &[State], unconflicted: State, conflicted: Conflicted, v2_1: bool) -> State {
        let conflicted: BTreeSet<EventId> = conflicted.into_values().flatten().collect();
        let mut full = self.auth_difference(sets);
        full.extend(conflicted.iter().cloned());
        if v2_1 {
            full.extend(conflicted_state_subgraph(self.graph, &conflicted));
        }
        // 1.
        let x = self.power_events(&full);
        let sorted = self.reverse_topological_power_ordering(&x);
        // 2.
        let start = if v2_1 { State::new() } else { unconflicted.clone() };
        let partial = self.iterative_auth_checks(start, &sorted);
        // 3.
        let remaining: Vec<EventId> = full.difference(&x).cloned().collect();
        let power_levels = partial.get(&("m.room.power_levels".to_owned(), String::new()));
        let sorted = self.mainline_ordering(power_levels, remaining);
        // 4.
        let mut resolved = self.iterative_auth_checks(partial, &sorted);
        // 5.
        resolved.extend(unconflicted);
        resolved
    }

    /// "The auth difference is ∪ *C<sub>i</sub>* − ∩ *C<sub>i</sub>*."
    fn auth_difference(&self, sets: &[State]) -> BTreeSet<EventId> {
        let own = self.reading.chains_have_their_own;
        let chains: Vec<BTreeSet<EventId>> = sets.iter().map(|set| full_auth_chain(self.graph, set, own)).collect();
        let union: BTreeSet<EventId> = chains.iter().flatten().cloned().collect();
        union.into_iter().filter(|id| !chains.iter().all(|chain| chain.contains(id))).collect()
    }

    /// "Select the set *X* of all *power events* that appear in the *full conflicted set*. For each such power event *P*,
    /// enlarge *X* by adding the events in the auth chain of *P* which also belong to the full conflicted set."
    fn power_events(&self, full: &BTreeSet<EventId>) -> BTreeSet<EventId> {
        let mut x: BTreeSet<EventId> = full.iter().filter(|id| is_power_event(self.graph.event(id))).cloned().collect();
        for power_event in x.clone() {
            x.extend(self.ancestors_within(&power_event, full));
        }
        x
    }

    /// The events of `set` in the auth chain of an event.
    fn ancestors_within(&self, of: &EventId, set: &BTreeSet<EventId>) -> BTreeSet<EventId> {
        if !self.reading.within_the_conflict {
            return self.graph.auth_chain(of).intersection(set).cloned().collect();
        }
        let mut found = BTreeSet::new();
        let mut pending = vec![of.clone()];
        while let Some(id) = pending.pop() {
            for auth in &self.graph.event(&id).auth_events {
                if set.contains(auth) && found.insert(auth.clone()) {
                    pending.push(auth.clone());
                }
            }
        }
        found
    }

    /// "Kahn's algorithm for topological sorting, and at each step selecting, among all the candidate vertices, the smallest
    /// vertex using the above comparison relation."
    fn reverse_topological_power_ordering(&self, events: &BTreeSet<EventId>) -> Vec<EventId> {
        let before: BTreeMap<&EventId, BTreeSet<EventId>> =
            events.iter().map(|id| (id, self.ancestors_within(id, events))).collect();
        let (mut left, mut sorted) = (events.clone(), Vec::new());
        while !left.is_empty() {
            let candidates = left.iter().filter(|id| before[id].is_disjoint(&left));
            let smallest = candidates.min_by(|x, y| self.compare_power(x, y)).expect("the graph has no cycle").clone();
            left.remove(&smallest);
            sorted.push(smallest);
        }
        sorted
    }

    fn compare_power(&self, x: &EventId, y: &EventId) -> Ordering {
        let rank = |id| {
            let event = self.graph.event(id);
            // "*x*'s sender's power level, when looking at *x*'s `auth_event`s".
            (Reverse(self.graph.sender_power(id)), event.origin_server_ts, &event.event_id)
        };
        rank(x).cmp(&rank(y))
    }

    /// "Iterative auth checks."
    fn iterative_auth_checks(&self, mut state: State, events: &[EventId]) -> State {
        for id in events {
            let event = self.graph.event(id);
            let mut needed = State::new();
            for at in selection(self.graph.version, event) {
                let is_there = |auth: &&EventId| self.graph.event(auth).is_state_of(&at.0, &at.1);
                let cited = event.auth_events.iter().find(is_there);
                let cited = cited.filter(|auth| !self.graph.is_rejected(auth));
                let in_state = state.get(&at);
                let in_state =
                    in_state.filter(|id| !self.reading.rejected_count_nowhere || !self.graph.is_rejected(id));
                if let Some(found) = in_state.or(cited) {
                    needed.insert(at, found.clone());
                }
            }
            if self.graph.allows(event, &needed) {
                state.insert(key_of(event), id.clone());
            }
        }
        state
    }

    /// "The *mainline ordering based on* *P* of a set of events".
    fn mainline_ordering(&self, power_levels: Option<&EventId>, mut events: Vec<EventId>) -> Vec<EventId> {
        let mut mainline = Vec::new();
        let mut next = power_levels;
        while let Some(id) = next {
            mainline.push(id);
            next = self.graph.auth_event(id, "m.room.power_levels");
        }
        events.sort_by_key(|id| {
            let event = self.graph.event(id);
            (Reverse(self.mainline_position(&mainline, id)), event.origin_server_ts, id.clone())
        });
        events
    }

    fn mainline_position(&self, mainline: &[&EventId], of: &EventId) -> usize {
        let mut next = self.graph.auth_event(of, "m.room.power_levels");
        while let Some(e_j) = next {
            if let Some(i) = mainline.iter().position(|p_i| *p_i == e_j) {
                return i;
            }
            next = self.graph.auth_event(e_j, "m.room.power_levels");
        }
        usize::MAX
    }
}

/// The key under which a state event stands.
#[must_use]
pub fn key_of(event: &Pdu) -> (String, String) {
    (event.kind.clone(), event.state_key.clone().expect("only state events are in states"))
}

/// "A *power event* is a state event with type `m.room.power_levels` or `m.room.join_rules`, or a state event with type
/// `m.room.member` where the `membership` is `leave` or `ban` and the `sender` does not match the `state_key`." The first two mean
/// those of the room, which have an empty state key.
fn is_power_event(event: &Pdu) -> bool {
    let removes = matches!(event.content.str("membership"), Some("leave" | "ban"));
    match event.kind.as_str() {
        "m.room.power_levels" | "m.room.join_rules" => event.state_key.as_deref() == Some(""),
        "m.room.member" => removes && event.state_key.as_deref() != Some(event.sender.as_str()),
        _ => false,
    }
}
