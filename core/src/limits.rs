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
