//! The state that an event is judged on.

use core::borrow::Borrow;

use crate::event::Pdu;

/// A room state, or as much of it as the rules look at: the events of [`super::select_auth_events`].
pub trait StateView {
    /// The state event of `kind` and `state_key`.
    fn event(&self, kind: &str, state_key: &str) -> Option<&Pdu>;
}

/// A state of a few events, such as an event's auth events: a slice of events or of references to them. Of two for one type and
/// state key, the first counts.
#[derive(Clone, Copy, Debug)]
pub struct AuthState<'a, P = Pdu>(pub &'a [P]);

impl<P: Borrow<Pdu>> StateView for AuthState<'_, P> {
    fn event(&self, kind: &str, state_key: &str) -> Option<&Pdu> {
        self.0.iter().map(Borrow::borrow).find(|event: &&Pdu| event.is_state_of(kind, state_key))
    }
}
