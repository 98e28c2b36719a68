//! Every bound of the server in one place. A bound that the specification sets names its section.

use core::time::Duration;

/// The largest request body, in bytes, other than media.
pub const MAX_REQUEST_BODY: usize = 1024 * 1024;
/// The nesting of arrays and objects that a JSON text may have.
pub const MAX_JSON_DEPTH: usize = 100;
/// The size of an event in canonical JSON, in bytes, signatures included (Client-Server API, "Size limits").
pub const MAX_EVENT_SIZE: usize = 65_536;
/// The size of an identifier, an event type or a state key, in bytes (Appendices, "Common Identifier Format").
pub const MAX_IDENTIFIER: usize = 255;
/// The `auth_events` of an event (Server-Server API, "PDUs").
pub const MAX_AUTH_EVENTS: usize = 10;
/// The `prev_events` of an event (Server-Server API, "PDUs").
pub const MAX_PREV_EVENTS: usize = 20;
/// How long a `/sync` may wait, whatever the client asks for.
pub const MAX_SYNC_TIMEOUT: Duration = Duration::from_secs(300);
/// Flows under way at once; further requests that need one are answered `429 M_LIMIT_EXCEEDED`.
pub const MAX_FLOWS: usize = 4096;

/// The entries of `types` and of `not_types` in a filter.
pub const MAX_FILTER_TYPES: usize = 500;
/// The users that one `createRoom` may invite.
pub const MAX_INVITES: usize = 100;
/// The events of `initial_state` in one `createRoom`.
pub const MAX_INITIAL_STATE: usize = 200;
/// The rooms on one page of the published room directory.
pub const MAX_PUBLIC_ROOMS_PAGE: usize = 100;
/// The events on one page of `/messages` and `/context`.
pub const MAX_PAGE: usize = 1000;
/// The events that one page of `/messages` looks at while it seeks those that the user may see.
pub const MAX_MESSAGES_SCANNED: usize = 10_000;
