//! Traffic: what servers ask each other, by what is asked.

use orrery_core::canonical_json::{Value, parse};
use orrery_core::http::Request;

macro_rules! endpoints {
    ($($(#[$doc:meta])* $variant:ident = $name:literal,)*) => {
        /// What is asked of another server.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Endpoint { $($(#[$doc])* $variant,)* }

        impl Endpoint {
            pub const ALL: [Endpoint; [$($name),*].len()] = [$(Endpoint::$variant),*];

            /// As measures are called.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Endpoint::$variant => $name,)* }
            }
        }
    };
}

endpoints! {
    Send = "send",
    GetMissingEvents = "get_missing_events",
    StateIds = "state_ids",
    State = "state",
    Event = "event",
    EventAuth = "event_auth",
    Backfill = "backfill",
    /// `make_join`, `make_leave`, `make_knock`
    Make = "make",
    /// `send_join`, `send_leave`, `send_knock`
    SendMembership = "send_membership",
    Invite = "invite",
    /// `/_matrix/key`
    Keys = "keys",
    /// `user/devices`, `user/keys`
    User = "user",
    Query = "query",
    Other = "other",
}

impl Endpoint {
    /// What a path asks for.
    #[must_use]
    pub fn of(path: &str) -> Endpoint {
        let Some(path) = path.strip_prefix("/_matrix/") else { return Endpoint::Other };
        if path.starts_with("key/") {
            return Endpoint::Keys;
        }
        let mut parts = path.split('/').skip(2);
        match parts.next().unwrap_or_default() {
            "send" => Endpoint::Send,
            "get_missing_events" => Endpoint::GetMissingEvents,
            "state_ids" => Endpoint::StateIds,
            "state" => Endpoint::State,
            "event" => Endpoint::Event,
            "event_auth" => Endpoint::EventAuth,
            "backfill" => Endpoint::Backfill,
            "make_join" | "make_leave" | "make_knock" => Endpoint::Make,
            "send_join" | "send_leave" | "send_knock" => Endpoint::SendMembership,
            "invite" => Endpoint::Invite,
            "user" => Endpoint::User,
            "query" => Endpoint::Query,
            _ => Endpoint::Other,
        }
    }
}

/// How often something was asked, and how many bytes of bodies went either way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flow {
    pub requests: u64,
    pub bytes_there: u64,
    pub answers: u64,
    pub bytes_back: u64,
}

/// What one server asked of others, and what it was sent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    flows: [Flow; Endpoint::ALL.len()],
    /// The events in the transactions that it sent, each time that it did.
    pub pdus_sent: u64,
    /// The events in the transactions that came.
    pub pdus_received: u64,
}

impl Traffic {
    /// The server sends a request.
    pub fn asks(&mut self, request: &Request) {
        let endpoint = Endpoint::of(&request.path);
        let flow = &mut self.flows[endpoint as usize];
        flow.requests += 1;
        flow.bytes_there += request.body.len() as u64;
        self.pdus_sent += pdus(endpoint, request);
    }

    /// An answer to a request comes.
    pub fn is_answered(&mut self, endpoint: Endpoint, bytes: usize) {
        let flow = &mut self.flows[endpoint as usize];
        flow.answers += 1;
        flow.bytes_back += bytes as u64;
    }

    /// A request comes, of a client or another server.
    pub fn is_asked(&mut self, request: &Request) {
        self.pdus_received += pdus(Endpoint::of(&request.path), request);
    }

    #[must_use]
    pub fn flow(&self, endpoint: Endpoint) -> Flow {
        self.flows[endpoint as usize]
    }

    pub fn add(&mut self, other: &Traffic) {
        for (sum, flow) in self.flows.iter_mut().zip(&other.flows) {
            sum.requests += flow.requests;
            sum.bytes_there += flow.bytes_there;
            sum.answers += flow.answers;
            sum.bytes_back += flow.bytes_back;
        }
        self.pdus_sent += other.pdus_sent;
        self.pdus_received += other.pdus_received;
    }
}

/// How many events a transaction has.
fn pdus(endpoint: Endpoint, request: &Request) -> u64 {
    if endpoint != Endpoint::Send {
        return 0;
    }
    match parse(&request.body) {
        Ok(Value::Object(body)) => body.get("pdus").and_then(Value::as_array).map_or(0, |pdus| pdus.len() as u64),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_told_apart() {
        for (path, endpoint) in [
            ("/_matrix/federation/v1/send/12", Endpoint::Send),
            ("/_matrix/federation/v2/send_join/!r/$e", Endpoint::SendMembership),
            ("/_matrix/federation/v1/make_knock/!r/@u", Endpoint::Make),
            ("/_matrix/federation/v1/state_ids/!r", Endpoint::StateIds),
            ("/_matrix/federation/v1/query/profile", Endpoint::Query),
            ("/_matrix/key/v2/server", Endpoint::Keys),
            ("/_matrix/client/v3/sync", Endpoint::Other),
            ("/.well-known/matrix/server", Endpoint::Other),
        ] {
            assert_eq!(Endpoint::of(path), endpoint, "{path}");
        }
    }
}
