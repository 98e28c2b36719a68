//! The state that an event is judged on.

use crate::event::Pdu;

/// A room state, or as much of it as the rules look at: the events of [`super::select_auth_events`].
pub trait StateView {
    /// The state event of `kind` and `state_key`.
    fn event(&self, kind: &str, state_key: &str) -> Option<&Pdu>;
}

/// A state of a few events, such as an event's auth events. Of two for one type and state key, the first counts.
#[derive(Clone, Copy, Debug)]
pub struct AuthState<'a>(pub &'a [&'a Pdu]);

impl StateView for AuthState<'_> {
    fn event(&self, kind: &str, state_key: &str) -> Option<&Pdu> {
        self.0.iter().find(|event| event.is_state_of(kind, state_key)).copied()
    }
}
