//! Measures: what a world yields in numbers, for those who study how the protocol behaves. Whole numbers only: so they are the same
//! wherever a world runs.

pub mod agreement;
pub mod observer;
pub mod resets;
pub mod traffic;
mod view;

use orrery_core::state_res::Resolutions;

use crate::clock::Span;
use traffic::{Endpoint, Traffic};

/// Everything that is measured of one world. Of Byzantine servers nothing is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Measures {
    pub virtual_time: Span,
    /// How long after the last fault ended servers still disagreed about rooms that they share; `None` if they do at the end.
    pub convergence_from_faults: Option<Span>,
    /// The same, after the world was healed.
    pub convergence_from_healing: Option<Span>,
    /// As the first, of the state alone.
    pub state_convergence_from_faults: Option<Span>,
    pub stored: Stored,
    pub resets: Resets,
    /// A line for each of them.
    pub resets_told: Vec<String>,
    pub resolutions: Resolutions,
    /// How long events took from their server's disk to that of another, sorted.
    pub delays: Vec<Span>,
    pub traffic: Traffic,
}

/// How events stand, each on each server that has stored it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stored {
    /// Different events, on whatever server.
    pub events: u64,
    pub accepted: u64,
    /// Known because others cite them.
    pub outliers: u64,
    pub soft_failed: u64,
    pub rejected: u64,
}

/// State resets, as [`resets`] defines them, each on each server that had it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Resets {
    pub members: u64,
    /// Of power levels and join rules.
    pub power: u64,
    pub other: u64,
    /// Different values that were lost, on whatever server.
    pub values: u64,
}

impl Resets {
    fn note(&mut self, key: &resets::Key) {
        match key.0.as_str() {
            "m.room.member" => self.members += 1,
            "m.room.power_levels" | "m.room.join_rules" => self.power += 1,
            _ => self.other += 1,
        }
    }
}

/// The name of a measure, its unit, and what it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    pub name: String,
    pub unit: &'static str,
    pub what: String,
}

impl Measures {
    /// Every measure with its value. Nothing stands for what never came to be.
    #[must_use]
    pub fn list(&self) -> Vec<(Column, Option<u64>)> {
        let micros = |span: Option<Span>| span.map(|span| span.0);
        let resets = &self.resets;
        let fixed: [(&str, &'static str, Option<u64>, &str); 22] = [
            ("virtual_time", "µs", Some(self.virtual_time.0), "how long the world lasted"),
            (
                "convergence_from_faults",
                "µs",
                micros(self.convergence_from_faults),
                "from the end of the last fault until servers agree about the state and the extremities of rooms that they share",
            ),
            (
                "convergence_from_healing",
                "µs",
                micros(self.convergence_from_healing),
                "the same, from when the world was healed",
            ),
            (
                "state_convergence_from_faults",
                "µs",
                micros(self.state_convergence_from_faults),
                "from the end of the last fault until they agree about the state",
            ),
            ("events", "events", Some(self.stored.events), "different events"),
            ("accepted", "events", Some(self.stored.accepted), "accepted, on each server that has them"),
            ("outliers", "events", Some(self.stored.outliers), "outliers, on each server that has them"),
            ("soft_failed", "events", Some(self.stored.soft_failed), "soft-failed, on each server that has them"),
            ("rejected", "events", Some(self.stored.rejected), "rejected, on each server that has them"),
            (
                "state_resets",
                "resets",
                Some(resets.members + resets.power + resets.other),
                "state keys that were reset, on each server",
            ),
            ("state_resets_members", "resets", Some(resets.members), "those of memberships"),
            ("state_resets_power", "resets", Some(resets.power), "those of power levels and join rules"),
            ("state_resets_values", "events", Some(resets.values), "different state events that were lost by them"),
            ("resolutions", "resolutions", Some(self.resolutions.count), "times that different states met"),
            ("resolution_conflicts", "keys", Some(self.resolutions.conflicts), "state keys in conflict then"),
            ("resolution_judged", "events", Some(self.resolutions.judged), "events that were judged for it"),
            ("pdus_sent", "PDUs", Some(self.traffic.pdus_sent), "PDUs in transactions that were sent"),
            ("pdus_received", "PDUs", Some(self.traffic.pdus_received), "PDUs in transactions that came"),
            (
                "deliveries",
                "events",
                Some(self.delays.len() as u64),
                "events that came from another server while in the room",
            ),
            (
                "delay_median",
                "µs",
                self.delay(500),
                "from the disk of an event's server to that of another: the median",
            ),
            ("delay_p95", "µs", self.delay(950), "95 of 100 take no longer"),
            ("delay_worst", "µs", self.delay(1_000), "the longest"),
        ];
        let column = |name: &str, unit, what: &str| Column { name: name.to_owned(), unit, what: what.to_owned() };
        let mut list: Vec<_> =
            fixed.into_iter().map(|(name, unit, value, what)| (column(name, unit, what), value)).collect();
        let (mut requests, mut bytes) = (0, 0);
        let mut of_each = Vec::new();
        for endpoint in Endpoint::ALL {
            let flow = self.traffic.flow(endpoint);
            let (name, size) = (endpoint.name(), flow.bytes_there + flow.bytes_back);
            requests += flow.requests;
            bytes += size;
            let of = |what| format!("{what} of {name}");
            of_each.push((column(&format!("requests_{name}"), "requests", &of("requests")), Some(flow.requests)));
            of_each
                .push((column(&format!("bytes_{name}"), "bytes", &of("bodies of requests and answers")), Some(size)));
        }
        list.push((column("requests", "requests", "requests between servers"), Some(requests)));
        list.push((column("bytes", "bytes", "bodies of requests and answers between servers"), Some(bytes)));
        list.extend(of_each);
        list
    }

    /// The delay that so many of 1000 do not go beyond.
    fn delay(&self, per_mille: usize) -> Option<u64> {
        let rank = (self.delays.len() * per_mille).div_ceil(1_000);
        self.delays.get(rank.checked_sub(1)?).map(|span| span.0)
    }
}

/// All measures, in the order of [`Measures::list`].
#[must_use]
pub fn columns() -> Vec<Column> {
    Measures::default().list().into_iter().map(|(column, _)| column).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_different() {
        let mut names: Vec<String> = columns().into_iter().map(|column| column.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), columns().len());
    }

    #[test]
    fn delays_are_ranked() {
        let measures = Measures { delays: (1..=100).map(Span).collect(), ..Measures::default() };
        assert_eq!([500, 950, 1_000].map(|rank| measures.delay(rank)), [Some(50), Some(95), Some(100)]);
        assert_eq!(Measures::default().delay(500), None);
    }
}
