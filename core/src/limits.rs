//! Every bound of the server in one place. A bound that the specification sets names its section.

use core::time::Duration;

/// The largest request body, in bytes, other than media.
pub const MAX_REQUEST_BODY: usize = 1024 * 1024;
/// The nesting of arrays and objects that a JSON text may have.
pub const MAX_JSON_DEPTH: usize = 128;
/// The nesting of an event that is made here. Less than [`MAX_JSON_DEPTH`], because requests and responses of the federation hold
/// events a few levels down, and other servers have bounds too.
pub const MAX_EVENT_NESTING: usize = 100;
/// The size of an event in canonical JSON, in bytes, signatures included (Client-Server API, "Size limits").
pub const MAX_EVENT_SIZE: usize = 65_536;
/// The size of an identifier, an event type or a state key, in bytes (Appendices, "Common Identifier Format").
pub const MAX_IDENTIFIER: usize = 255;
/// The `auth_events` of an event (Server-Server API, "PDUs").
pub const MAX_AUTH_EVENTS: usize = 10;
/// The `prev_events` of an event (Server-Server API, "PDUs").
pub const MAX_PREV_EVENTS: usize = 20;
/// The places in the timeline that are kept free where history is missing, for what is fetched of it later.
pub const GAP_PLACES: u64 = 1 << 16;
/// The rejected and soft-failed events through which the forward extremities under an event are sought.
pub const MAX_EXTREMITY_SEARCH: usize = 200;
/// The redactions that are remembered for one event that is not known yet.
pub const MAX_EARLY_REDACTIONS: usize = 10;
/// The different states that one state resolution takes; see `state_res` for what becomes of more. An event has at most
/// [`MAX_PREV_EVENTS`].
pub const MAX_STATE_SETS: usize = 64;
/// The events in conflict in one state resolution, at a few microseconds each; see `state_res` for what becomes of more.
pub const MAX_FULL_CONFLICTED_SET: usize = 100_000;
/// The signatures that are checked for one invite by a third party's token, at about 50 us each. Honest ones have one or two.
pub const MAX_THIRD_PARTY_INVITE_CHECKS: usize = 64;
/// How long a `/sync` may wait, whatever the client asks for.
pub const MAX_SYNC_TIMEOUT: Duration = Duration::from_secs(300);
/// Where more commits than this are not durable, the first of them for longer than [`STORAGE_PATIENCE`], whoever wants to change
/// something is answered `429 M_LIMIT_EXCEEDED` until a quarter is left.
pub const UNDURABLE_COMMITS: usize = 200;
pub const STORAGE_PATIENCE: Duration = Duration::from_secs(10);
/// Flows under way at once; further requests that need one are answered `429 M_LIMIT_EXCEEDED`.
pub const MAX_FLOWS: usize = 4096;
/// How many of them there may be before requests of other servers are refused: whoever makes up names of servers, whose keys then
/// are sought, is not to keep the users out.
pub const MAX_FLOWS_FOR_SERVERS: usize = 3072;

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
/// The types of account data that a user may have globally, and for each room.
pub const MAX_ACCOUNT_DATA_TYPES: usize = 1000;
/// The tags that a user may give one room.
pub const MAX_TAGS: usize = 100;
/// The stored filters of a user. Another one takes the place of the one whose upload is longest ago.
pub const MAX_FILTERS: usize = 200;
/// A user's own push rules.
pub const MAX_PUSH_RULES: usize = 2000;
/// How many of a room's newest events are looked at for what a user has not read: between so many and twice as many. Older ones do
/// not count, so what counting takes is bounded however long somebody reads nothing.
pub const UNREAD_STRETCH: u32 = 1024;
/// The events that a `/sync` answered on the core's own thread looks at for that.
pub const MAX_INLINE_UNREAD: usize = 256;
/// The events on one page of `/notifications`: by default, and whatever the client asks for.
pub const DEFAULT_NOTIFICATIONS: usize = 20;
pub const MAX_NOTIFICATIONS: usize = 100;
/// The events that one such page looks at.
pub const MAX_NOTIFICATIONS_SCANNED: usize = 2_000;
/// The rooms, of all users together, in which it is remembered how much is unread. Beyond that, the one that was not asked for
/// longest is forgotten, and counted again.
pub const MAX_TALLIES: usize = 200_000;
/// The pattern of a push rule, in bytes; a longer one is refused.
pub const MAX_PUSH_PATTERN: usize = 255;
/// How much of a text the patterns of push rules look at, in bytes: what stands behind that matches none.
pub const MAX_MATCHED_TEXT: usize = 16_384;
/// A profile in canonical JSON, in bytes (Client-Server API, "Profiles").
pub const MAX_PROFILE: usize = 65_536;
/// A display name or avatar URL in bytes: every member event has them.
pub const MAX_MEMBER_PROFILE_FIELD: usize = 1024;
/// The rooms in which a change of a user is repeated before other work has its turn.
pub const ROOMS_AT_ONCE: usize = 20;
/// The buckets of the rate limiter. Beyond that, those that were not used for longest are forgotten, and so are full again.
pub const MAX_RATE_BUCKETS: usize = 200_000;
/// How long a typing notification lasts that names no time.
pub const DEFAULT_TYPING_TIMEOUT: Duration = Duration::from_secs(30);
/// How long a typing notification may last.
pub const MAX_TYPING_TIMEOUT: Duration = Duration::from_secs(120);
/// The rooms whose typing is remembered. Beyond that, the one that has not changed for longest is forgotten.
pub const MAX_TYPING_ROOMS: usize = 20_000;
/// The users whose presence is remembered. Beyond that, the one who has not changed for longest is forgotten.
pub const MAX_PRESENCES: usize = 100_000;
/// The length of a `status_msg`, in bytes.
pub const MAX_STATUS_MESSAGE: usize = 1024;
/// How long a user who did something counts as `currently_active`, in milliseconds.
pub const PRESENCE_ACTIVE: u64 = 60_000;
/// After how long a user who does nothing is `unavailable`, in milliseconds (Client-Server API, "Idle timeout").
pub const PRESENCE_IDLE: u64 = 300_000;
/// How long a device stays connected after its last `/sync`, in milliseconds.
pub const PRESENCE_GRACE: u64 = 30_000;
/// The users on one page of the operator's list.
pub const MAX_USERS_PAGE: usize = 1000;
/// How often a device's last request is written down, in milliseconds.
pub const LAST_SEEN_INTERVAL: u64 = 600_000;
/// The devices of which it is remembered when that was done last.
pub const MAX_LAST_SEEN: usize = 100_000;
/// The length of a password in bytes: hashing is the most costly thing that a stranger can ask for.
pub const MAX_PASSWORD: usize = 512;
/// Devices of one user. Another login ends the device that was not seen for the longest time.
pub const MAX_DEVICES: usize = 1000;
/// The length of a device's display name, in bytes.
pub const MAX_DEVICE_DISPLAY_NAME: usize = 256;
/// Sessions of user-interactive authentication under way, server-wide. A new one takes the place of the oldest.
pub const MAX_UIA_SESSIONS: u32 = 10_000;
/// How long a session of user-interactive authentication is good.
pub const UIA_SESSION_LIFETIME: Duration = Duration::from_secs(3600);
/// Login tokens of one user. A new one drops the oldest.
pub const MAX_LOGIN_TOKENS: usize = 5;
/// How long a login token is good (Client-Server API, `POST /login/get_token`).
pub const LOGIN_TOKEN_LIFETIME: Duration = Duration::from_secs(120);
/// OpenID tokens of one user. A new one drops the oldest.
pub const MAX_OPENID_TOKENS: usize = 20;
/// How long an OpenID token is good.
pub const OPENID_TOKEN_LIFETIME: Duration = Duration::from_secs(3600);
/// How long a nonce for registration by shared secret is good.
pub const REGISTRATION_NONCE_LIFETIME: Duration = Duration::from_secs(60);
/// The entries of the log that an incremental `/sync` looks through before it rather asks each of the user's rooms.
pub const MAX_LOG_SCAN: u64 = 1_000;
/// The events of a room's timeline in `/sync`: by default, and whatever the filter asks for.
pub const DEFAULT_TIMELINE: usize = 10;
pub const MAX_TIMELINE: usize = 500;
/// The events that `/sync` looks at in one room while it seeks those that the filter passes and the user may see.
pub const MAX_TIMELINE_SCAN: usize = 2_000;
/// The receipts of others in a room that a client gets to know.
pub const MAX_INITIAL_RECEIPTS: usize = 500;
/// The entries of stripped state that are kept of an invite or knock from another server.
pub const MAX_STRIPPED_STATE: usize = 64;
/// The invites from other servers that may wait for a user's answer.
pub const MAX_PENDING_INVITES: usize = 1000;
/// How long a server may take for a template.
pub const TEMPLATE_TIMEOUT: Duration = Duration::from_secs(20);
/// How long a server may take to tell all of a room that is joined.
pub const SEND_JOIN_TIMEOUT: Duration = Duration::from_secs(180);
/// The invites to an address that are followed up when the address becomes a user's.
pub const MAX_BOUND_INVITES: usize = 50;
/// The servers through which a join is tried, one after the other.
pub const MAX_JOIN_CANDIDATES: usize = 20;
/// The answer to `send_join`, in bytes.
pub const MAX_JOIN_ANSWER: u32 = 512 * 1024 * 1024;
/// The events of an answer to `send_join`.
pub const MAX_JOIN_EVENTS: usize = 1_000_000;
/// The events of such an answer that are checked or stored before other work has its turn.
pub const JOIN_EVENTS_AT_ONCE: usize = 250;
/// How many such parts are checked side by side: the format of one while the signatures of the other are.
pub const JOIN_CHECKS_AT_ONCE: usize = 2;
/// The most heroes that a room has (Client-Server API, `m.heroes`).
pub const HEROES: usize = 5;
/// The members among whom a room's heroes are sought.
pub const MAX_HERO_CANDIDATES: usize = 256;
/// The memberships of which `/sync` remembers, for each device, that it has sent them.
pub const MAX_SENT_MEMBERS: usize = 10_000;
/// A one-time or fallback key in canonical JSON, in bytes.
pub const MAX_ONE_TIME_KEY: usize = 4096;
/// The one-time keys that a device has here. Clients keep about fifty.
pub const MAX_ONE_TIME_KEYS: usize = 1000;
/// The algorithms for which a device has a fallback key.
pub const MAX_FALLBACK_KEYS: usize = 16;
/// The signatures that one `/keys/signatures/upload` may bring, and that one key may collect of its own user.
pub const MAX_KEY_SIGNATURES: usize = 1000;
/// The users that one `/keys/query` or `/keys/claim` may ask for.
pub const MAX_KEYS_ASKED: usize = 10_000;
/// How long `/keys/query` and `/keys/claim` wait for other servers, unless the client says otherwise, and at most.
pub const KEYS_TIMEOUT: Duration = Duration::from_secs(10);
pub const MAX_KEYS_TIMEOUT: Duration = Duration::from_secs(60);
/// The users of one server whose whole device lists one such request asks for; the others it asks for keys only.
pub const DEVICE_LISTS_AT_ONCE: usize = 8;
/// The servers that one such request asks side by side.
pub const KEY_QUERIES_AT_ONCE: usize = 16;
/// The messages to devices in one `/sync` (Client-Server API, "Send-to-Device messaging").
pub const MAX_TO_DEVICE_MESSAGES: usize = 100;
/// The messages that wait for one device. Another one takes the place of the oldest.
pub const MAX_TO_DEVICE_WAITING: u32 = 20_000;
/// The transactions of a device's `/sendToDevice` that are remembered. Another one takes the place of the oldest.
pub const MAX_TO_DEVICE_TRANSACTIONS: usize = 100;
/// The devices of a user of another server that are kept here.
pub const MAX_REMOTE_DEVICES: usize = 1000;
/// The servers that share no room with a user, have asked for the user's devices, and are told of changes.
pub const MAX_LIST_READERS: usize = 50;
/// The same of all users together: of some hundred bytes each.
pub const MAX_LIST_READERS_OF_ALL: u32 = 20_000;
/// For how long they are, after they have asked.
pub const LIST_READER_MEMORY: Duration = Duration::from_secs(24 * 3_600);
/// What they ask again before this has passed is not written down again.
pub const LIST_READER_PAUSE: Duration = Duration::from_secs(3_600);
/// For how long after a user has changed devices or keys servers that come into rooms are told of them.
pub const LIST_CHANGE_MEMORY: Duration = Duration::from_secs(24 * 3_600);
/// For how long after a backup was restored servers that come into rooms are told that they may know what is lost.
pub const RESTORED_MEMORY: Duration = Duration::from_secs(7 * 24 * 3_600);
/// The devices of one user for which `/sync` remembers that.
pub const MAX_DEVICES_REMEMBERED: usize = 8;
/// The users whom `/sync` keeps in memory.
pub const MAX_ACTIVE_USERS: usize = 20_000;
/// The syncs that wait, of one device and altogether.
pub const MAX_SYNCS_PER_DEVICE: usize = 4;
pub const MAX_WAITING_SYNCS: usize = 15_000;
/// The rooms that a `/sync` answered on the core's own thread looks at.
pub const MAX_INLINE_ROOMS: usize = 50;
/// The members of the rooms whose whole state such an answer holds.
pub const MAX_INLINE_STATE: u32 = 500;
/// The events that stand close together in a timeline among which the ends of branches are sought that a gap is behind.
pub const MAX_GAP_SEARCH: usize = 200;
/// The events on either side of a place in a timeline among which the one closest to a time is sought.
pub const MAX_TIMESTAMP_SCAN: usize = 500;
/// The servers that are asked for a stretch of history before what is there is all that is shown.
pub const MAX_BACKFILL_SERVERS: usize = 4;
/// The states that are fetched for one stretch of history: one for each branch on which it begins.
pub const MAX_BACKFILL_STATES: usize = 4;
/// The stretches of history that are fetched for one page. A page that meets more shows what is there.
pub const BACKFILL_ROUNDS: usize = 16;
/// How long fetching history may hold up a client.
pub const BACKFILL_TIMEOUT: Duration = Duration::from_secs(30);
/// The events of one answer to `/backfill`, as many as are asked for.
pub const MAX_BACKFILL: usize = 100;
/// The events of one answer to `/get_missing_events`.
pub const MAX_MISSING_EVENTS: usize = 100;
/// The events that one such answer looks at, rejected ones included.
pub const MAX_BACKFILL_SCANNED: usize = 1_000;

/// The servers of which it is remembered where they are and whether they answered. A new one takes the place of the oldest.
pub const MAX_REMOTE_SERVERS: u32 = 100_000;
/// How long a request to another server may take, discovery included, unless its flow says otherwise.
pub const FEDERATION_TIMEOUT: Duration = Duration::from_secs(30);
/// The size of another server's answer, in bytes, unless the flow that asks says otherwise.
pub const MAX_FEDERATION_ANSWER: u32 = 8 * 1024 * 1024;
/// For how long a server is left alone that did not answer, the first time and at most.
pub const FIRST_FEDERATION_BACKOFF: Duration = Duration::from_secs(5);
pub const MAX_FEDERATION_BACKOFF: Duration = Duration::from_secs(3600);
/// For how long at least, if it answers that it has too much to do and how long that will last.
pub const LEAST_RETRY_AFTER: Duration = Duration::from_secs(1);
/// The places of one server that a request tries.
pub const MAX_PLACES: usize = 4;
/// How long a request for `/.well-known/matrix/server` may take, how large the answer may be, in bytes, and how many redirects are
/// followed.
pub const WELL_KNOWN_TIMEOUT: Duration = Duration::from_secs(10);
pub const MAX_WELL_KNOWN: u32 = 51_200;
pub const MAX_WELL_KNOWN_REDIRECTS: usize = 5;
/// How long its answer is kept: without word of the other server, at least, and at most (Server-Server API, "Resolving server
/// names").
pub const DEFAULT_WELL_KNOWN_LIFETIME: Duration = Duration::from_secs(24 * 3600);
pub const MIN_WELL_KNOWN_LIFETIME: Duration = Duration::from_secs(300);
pub const MAX_WELL_KNOWN_LIFETIME: Duration = Duration::from_secs(48 * 3600);
/// How long it is kept that there is none: the first time that nothing answers, and at most.
pub const FIRST_WELL_KNOWN_ERROR_LIFETIME: Duration = Duration::from_secs(60);
pub const MAX_WELL_KNOWN_ERROR_LIFETIME: Duration = Duration::from_secs(3600);
/// How long what DNS says of a server is kept, whatever DNS says of that.
pub const MIN_SERVICES_LIFETIME: Duration = Duration::from_secs(60);
pub const MAX_SERVICES_LIFETIME: Duration = Duration::from_secs(24 * 3600);
/// The life of the list of keys that this server publishes.
pub const OWN_KEYS_LIFETIME: Duration = Duration::from_secs(24 * 3600);
/// For how long a published key counts as valid, whatever its server says (Server-Server API, "Publishing Keys").
pub const MAX_KEY_LIFETIME: Duration = Duration::from_secs(7 * 24 * 3600);
/// The keys, current and old, that one server may publish; a list with more is refused.
pub const MAX_SERVER_KEYS: usize = 100;
/// The size of a server's list of keys, in bytes.
pub const MAX_SERVER_KEYS_ANSWER: u32 = 65_536;
/// How long a request for keys may take: an event may be waiting for it.
pub const SERVER_KEYS_TIMEOUT: Duration = Duration::from_secs(10);
/// For how long a server that answers is not asked again for its keys after it did not have the one that was sought, the first
/// time and at most. Short, because anybody can claim to have signed with a key that another server does not have.
pub const FIRST_KEYS_BACKOFF: Duration = Duration::from_secs(10);
pub const MAX_KEYS_BACKOFF: Duration = Duration::from_secs(60);
/// The servers whose keys are fetched side by side by one flow.
pub const KEY_FETCHES_AT_ONCE: usize = 64;
/// How long one flow goes on asking servers for their keys; those that are left count as unreachable for it.
pub const KEYS_PATIENCE: Duration = Duration::from_secs(60);
/// The servers in one question to a notary.
pub const MAX_NOTARY_QUERY: usize = 100;
/// For how long notaries are not asked again about a server whose keys they did not have, the first time and at most.
pub const FIRST_NOTARY_BACKOFF: Duration = Duration::from_secs(60);
pub const MAX_NOTARY_BACKOFF: Duration = Duration::from_secs(3600);
/// The signatures by one server that are looked at on one object. Honest ones have one, or two while a key is changed.
pub const MAX_SIGNATURES_CHECKED: usize = 4;
/// The signatures that one job checks, a millisecond or so of work, and the jobs of one flow that are under way side by side.
pub const SIGNATURES_AT_ONCE: usize = 25;
pub const SIGNATURE_JOBS_AT_ONCE: usize = 8;
/// How long another server has to answer a small question that a client waits for.
pub const QUERY_TIMEOUT: Duration = Duration::from_secs(10);
/// The children of a space that are looked at.
pub const MAX_SPACE_CHILDREN: usize = 100;
/// The rooms on a page of a hierarchy, by default and at most.
pub const DEFAULT_HIERARCHY_PAGE: u64 = 50;
pub const MAX_HIERARCHY_PAGE: usize = 100;
/// How deep a hierarchy is walked, by default and at most.
pub const DEFAULT_HIERARCHY_DEPTH: u64 = 10;
pub const MAX_HIERARCHY_DEPTH: u64 = 50;
/// The rooms of one hierarchy, on all of its pages.
pub const MAX_HIERARCHY_ROOMS: usize = 2_000;
/// The rooms about which one page of a hierarchy has others asked, and the servers asked about each.
pub const MAX_HIERARCHY_FETCHES: usize = 20;
pub const MAX_HIERARCHY_SERVERS: usize = 3;
/// For how long it is remembered what another server said of a space, of how many spaces, and in how many bytes each.
pub const SPACE_LIFETIME: Duration = Duration::from_secs(300);
pub const MAX_REMEMBERED_SPACES: u32 = 1024;
pub const MAX_REMEMBERED_SPACE: usize = 65_536;
/// A text in another server's description of a room, in bytes: what an event could hold.
pub const MAX_SUMMARY_TEXT: usize = MAX_EVENT_SIZE;
/// An answer to the query for an alias, in bytes.
pub const MAX_ALIAS_ANSWER: u32 = 64 * 1024;
/// The servers that an answer to the query for an alias names.
pub const MAX_ALIAS_SERVERS: usize = 50;

/// The PDUs and the EDUs of a transaction (Server-Server API, "Transactions").
pub const MAX_TRANSACTION_PDUS: usize = 50;
pub const MAX_TRANSACTION_EDUS: usize = 100;
/// The size at which a transaction takes no further event, in bytes. With one more it is still far below what servers accept.
pub const MAX_TRANSACTION_SIZE: usize = 512 * 1024;
/// How long another server may take over a transaction.
pub const TRANSACTION_TIMEOUT: Duration = Duration::from_secs(60);
/// The stored EDUs in one transaction: the others have a place too.
pub const QUEUED_EDUS_AT_ONCE: usize = 50;
/// The EDUs that are stored for one destination. Beyond that whoever adds one is told that the other server does not answer.
pub const MAX_QUEUED_EDUS: u64 = 100_000;
/// The users whose typing, and those whose presence, a destination is yet to be told of.
pub const MAX_EPHEMERAL_EDUS: usize = 1000;
/// The events and receipts that wait in memory for one destination. Beyond that they become rows, one for each room.
pub const MAX_DUE: usize = 2000;
/// The destinations that are sent something at once. The others wait for their turn.
pub const MAX_SENDING: usize = 1000;
/// The rooms of which it is remembered which servers are in them.
pub const MAX_ROOMS_WITH_SERVERS: usize = 20_000;
/// The entries of the log that are read at once to see to whom they are due.
pub const LOG_ENTRIES_AT_ONCE: usize = 500;
/// How many positions the log may grow before it is stored that they need not be looked through again after a restart.
pub const MARK_EVERY: u64 = 5000;
/// After how long, in milliseconds, a destination that has not answered is not sent everything that it missed.
pub const LONG_OUTAGE: u64 = 60_000;
/// The events of a room that a destination is sent that missed them over a long time. Of more it is sent the last.
pub const MAX_CATCH_UP_EVENTS: usize = 500;
/// The events that are looked at, and the rooms, to fill one transaction for a destination that catches up.
pub const MAX_CATCH_UP_SCAN: usize = 1000;
pub const MAX_CATCH_UP_ROOMS: usize = 16;
/// The receipts of one room in such a transaction.
pub const MAX_CATCH_UP_RECEIPTS: usize = 1000;
/// How soon a flow tries again that could not read the storage.
pub const STORAGE_RETRY: Duration = Duration::from_secs(5);
/// How often it is tried to receive events and EDUs where that fails because of this server itself, with [`STORAGE_RETRY`] between:
/// for ten seconds, also where the clock is set forward meanwhile.
pub const STORAGE_TRIES: u32 = 4;
/// Events that are missing before one that was received: the rounds in which they are asked for, and how many are taken.
pub const MISSING_EVENTS_ROUNDS: usize = 8;
pub const MAX_MISSING_EVENTS_FETCHED: usize = 300;
/// The servers that are asked for them, one after the other: who sent the event, and others in the room.
pub const MAX_MISSING_EVENTS_SERVERS: usize = 3;
/// How often, for one event that was received, the state at an event after a gap is asked of one server.
pub const STATE_FETCHES: u32 = 4;
/// The previous events of one event that are not in the graph, and after each of which the state is asked for.
pub const MAX_STATES_TOLD: usize = 4;
/// The events of such a state that are fetched one by one; if more are not known, all of the state is fetched.
pub const STATE_EVENTS_ONE_BY_ONE: usize = 100;
/// Missing auth events of one event: how many are fetched one by one, and in how many rounds.
pub const AUTH_EVENTS_ONE_BY_ONE: usize = 20;
pub const AUTH_EVENT_ROUNDS: usize = 5;
/// The single events that one flow asks for at once.
pub const EVENT_FETCHES_AT_ONCE: usize = 8;
/// The events of a long list that are checked, or stored, before other work has its turn.
pub const OUTLIERS_AT_ONCE: usize = 200;
/// The size of another server's answer that holds a state or an auth chain, in bytes.
pub const MAX_STATE_ANSWER: u32 = 64 * 1024 * 1024;
/// How long it takes until a server is asked again that did not answer when something was missing; then twice as long, and so on.
pub const MISSING_EVENTS_PAUSE: Duration = Duration::from_secs(6);
/// How long it takes until an event that could not be checked at a join is asked for again; then four times as long, and so on.
pub const HOLE_PAUSE: Duration = Duration::from_secs(15);
/// For how long others are not let in through this server while events are missing. What is still missing then has servers that may be
/// gone for good.
pub const HOLE_PATIENCE: Duration = Duration::from_secs(3_600);
/// For how long it is known which states are older than what filled their holes. Whoever cites what came before that many days is judged
/// on the state with the hole.
pub const FILLED_MEMORY: Duration = Duration::from_secs(30 * 24 * 3_600);
/// After a pause of that no more is asked, until the next start.
pub const LONGEST_HOLE_PAUSE: Duration = Duration::from_secs(3 * 24 * 3_600);
/// The events of a room that put out users of this server, could not be checked, and are kept to be tried again after such pauses.
pub const MAX_PARTINGS: usize = 20;
/// So many holes of a room are asked for in one go.
pub const HOLES_AT_ONCE: usize = 100;
/// How long all that is asked because of one event may take.
pub const MISSING_EVENTS_TIMEOUT: Duration = Duration::from_secs(60);
/// How long a user of another server types who is not said to type any longer.
pub const REMOTE_TYPING_TIMEOUT: Duration = Duration::from_secs(60);
/// How often other servers are told that a user still types: before they would take it to be over.
pub const TYPING_REPEAT: Duration = Duration::from_secs(30);
/// How long the presence of a user of another server holds that is not said again.
pub const REMOTE_PRESENCE_TIMEOUT: Duration = Duration::from_secs(1800);
/// How often other servers are told who is still there: before they would take it to be over.
pub const PRESENCE_REPEAT: Duration = Duration::from_secs(1500);
/// The users in one `m.presence`, and the receipts in one `m.receipt`, of another server. The rest is not looked at.
pub const MAX_EDU_ITEMS: usize = 1000;
/// The length of a to-device message's ID, in characters (Server-Server API, "Send-to-device messaging").
pub const MAX_MESSAGE_ID: usize = 32;
/// The to-device messages of other servers of which it is remembered that they came. Beyond that, the oldest is forgotten.
pub const MAX_SEEN_MESSAGES: u32 = 100_000;
/// The size of a to-device message, and of what is kept of a device's or a user's keys, in bytes.
pub const MAX_DEVICE_KEYS: usize = 65_536;
/// The EDUs of one transaction that are taken before other work has its turn.
pub const EDUS_AT_ONCE: usize = 20;
/// The transactions of one server that wait while another one of it is received. An honest server sends one at a time.
pub const MAX_TRANSACTIONS_WAITING: usize = 4;
/// The last transactions of a server that are known again: a request can be held up and come when others have come since.
pub const TRANSACTIONS_REMEMBERED: usize = 50;
/// The last of these whose answers are known too.
pub const TRANSACTION_ANSWERS_REMEMBERED: usize = 3;
/// The rooms of one transaction whose events are received side by side.
pub const ROOMS_RECEIVED_AT_ONCE: usize = 16;
/// How long a room's policy server may take to sign an event.
pub const POLICY_TIMEOUT: Duration = Duration::from_secs(10);
/// How long the events of one transaction that are of one room, and lack a good signature of its policy server, may be held up by
/// that altogether.
pub const POLICY_PATIENCE: Duration = Duration::from_secs(20);
/// The size of a policy server's answer, in bytes.
pub const MAX_POLICY_ANSWER: u32 = 65_536;
/// How often one event is shown to a policy server because the room changes its policy server meanwhile.
pub const MAX_POLICY_ROUNDS: u32 = 3;
/// The events that one request may have signed by policy servers.
pub const MAX_POLICY_QUESTIONS: usize = 4;
/// The requests that wait while an event of the same room is with its policy server; others are answered `429 M_LIMIT_EXCEEDED`.
pub const MAX_WAITING_FOR_POLICY: usize = 64;
/// What is kept of a policy server's reasons for not signing an event, in bytes.
pub const MAX_POLICY_REASON: usize = 256;
/// The body of a transaction, in bytes: 50 events of the greatest size, and EDUs.
pub const MAX_TRANSACTION_BODY: usize = 4 * 1024 * 1024;

/// The events that were not accepted that one explanation of a room tells, the last ones.
pub const MAX_EXPLAINED_EVENTS: usize = 50;

/// An entry of a recording, in bytes: more than any input or batch of rows takes.
pub const MAX_RECORDED_ENTRY: u32 = 512 * 1024 * 1024;
