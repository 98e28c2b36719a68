//! The one table of what differs between room versions. Each version is its predecessor with some fields changed, as its
//! page of the specification describes it.

use super::RoomVersion;
use crate::canonical_json::MAX_SAFE_INTEGER;

/// What a room version decides. Code asks a field here and never compares versions.
#[derive(Debug, PartialEq, Eq)]
pub struct RoomVersionRules {
    pub version: RoomVersion,
    /// "Event IDs".
    pub event_ids: EventIdFormat,
    /// "Event format": `auth_events` and `prev_events` hold pairs of event ID and hashes rather than event IDs.
    pub references_have_hashes: bool,
    /// "Event format": the largest `depth`.
    pub max_depth: i64,
    /// "Event format": how the room ID comes about, and whether the create event says it.
    pub room_ids: RoomIdFormat,
    /// "Canonical JSON": events with other numbers than canonical JSON has are invalid.
    pub strict_canonical_json: bool,
    /// "Signing key validity period".
    pub key_validity: KeyValidity,
    /// An event needs a signature of its event ID's server too (Server-Server API, "Validating hashes and signatures on
    /// received events").
    pub event_id_server_signs: bool,
    /// "State resolution".
    pub state_resolution: StateResolution,
    /// "Redactions".
    pub redaction: RedactionRules,
    /// `m.room.redaction` says what it redacts in its content rather than beside it.
    pub redacts_in_content: bool,
    /// Whether a redaction takes effect is judged when both events are there, rather than by the authorization rules
    /// ("Handling redactions").
    pub redactions_judged_apart: bool,
    /// "Authorisation rules".
    pub auth: AuthRules,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventIdFormat {
    /// The event says its ID: `$opaque:server`.
    Stated,
    /// `$` and the reference hash in unpadded base64.
    Base64,
    /// `$` and the reference hash in URL-safe unpadded base64.
    UrlSafeBase64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RoomIdFormat {
    /// `!opaque:server`, and every event says it.
    Stated,
    /// The create event's ID with `!` for `$`; the create event has no `room_id`.
    CreateHash,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyValidity {
    /// `valid_until_ts` of a signing key is not looked at.
    Ignored,
    /// A signing key must be valid at the event's `origin_server_ts`.
    Enforced,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StateResolution {
    V1,
    V2,
    /// Version 2 that starts from the empty state and knows the conflicted state subgraph (room version 12).
    V2_1,
}

/// What redaction leaves of an event beside what every version leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RedactionRules {
    /// `origin`, `membership` and `prev_state` of the event.
    pub keeps_legacy_members: bool,
    /// `aliases` of `m.room.aliases`.
    pub keeps_aliases: bool,
    /// `allow` of `m.room.join_rules`.
    pub keeps_join_rules_allow: bool,
    /// `join_authorised_via_users_server` of `m.room.member`.
    pub keeps_member_authorising_user: bool,
    /// `third_party_invite.signed` of `m.room.member`.
    pub keeps_member_signed_invite: bool,
    /// All of `m.room.create` rather than `creator`.
    pub keeps_all_of_create: bool,
    /// `invite` of `m.room.power_levels`.
    pub keeps_power_levels_invite: bool,
    /// `redacts` of `m.room.redaction`.
    pub keeps_redacts: bool,
}

/// What the authorization rules of a version have and lack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AuthRules {
    /// How the rules are numbered on the version's page.
    pub numbering: Numbering,
    /// `m.room.aliases` has a rule of its own.
    pub special_case_aliases: bool,
    /// `m.room.redaction` has a rule of its own.
    pub special_case_redaction: bool,
    /// The `notifications` of `m.room.power_levels` are guarded as `events` are.
    pub guards_notification_levels: bool,
    /// Membership `knock` and join rule `knock`.
    pub knocking: bool,
    /// Join rule `restricted`.
    pub restricted_joins: bool,
    /// Join rule `knock_restricted`.
    pub knock_restricted_joins: bool,
    /// Power levels are integers; before, strings of integers too.
    pub integer_power_levels: bool,
    /// The creator is the create event's sender; before, its `creator`.
    pub creator_is_sender: bool,
    /// Creators are above all power levels, and `additional_creators` makes more of them.
    pub privileged_creators: bool,
    /// The create event is among the `auth_events` of every event.
    pub create_is_auth_event: bool,
}

/// The numbering of the authorization rules; versions with the same numbering share a variant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Numbering {
    V1To2,
    V3To5,
    V6,
    V7,
    V8To9,
    V10,
    V11,
    V12,
}

const V1: RoomVersionRules = RoomVersionRules {
    version: RoomVersion::V1,
    event_ids: EventIdFormat::Stated,
    references_have_hashes: true,
    max_depth: i64::MAX,
    room_ids: RoomIdFormat::Stated,
    strict_canonical_json: false,
    key_validity: KeyValidity::Ignored,
    event_id_server_signs: true,
    state_resolution: StateResolution::V1,
    redaction: RedactionRules {
        keeps_legacy_members: true,
        keeps_aliases: true,
        keeps_join_rules_allow: false,
        keeps_member_authorising_user: false,
        keeps_member_signed_invite: false,
        keeps_all_of_create: false,
        keeps_power_levels_invite: false,
        keeps_redacts: false,
    },
    redacts_in_content: false,
    redactions_judged_apart: false,
    auth: AuthRules {
        numbering: Numbering::V1To2,
        special_case_aliases: true,
        special_case_redaction: true,
        guards_notification_levels: false,
        knocking: false,
        restricted_joins: false,
        knock_restricted_joins: false,
        integer_power_levels: false,
        creator_is_sender: false,
        privileged_creators: false,
        create_is_auth_event: true,
    },
};

const V2: RoomVersionRules = RoomVersionRules { version: RoomVersion::V2, state_resolution: StateResolution::V2, ..V1 };

const V3: RoomVersionRules = RoomVersionRules {
    version: RoomVersion::V3,
    event_ids: EventIdFormat::Base64,
    references_have_hashes: false,
    event_id_server_signs: false,
    redactions_judged_apart: true,
    auth: AuthRules { numbering: Numbering::V3To5, special_case_redaction: false, ..V2.auth },
    ..V2
};

const V4: RoomVersionRules =
    RoomVersionRules { version: RoomVersion::V4, event_ids: EventIdFormat::UrlSafeBase64, ..V3 };

const V5: RoomVersionRules = RoomVersionRules { version: RoomVersion::V5, key_validity: KeyValidity::Enforced, ..V4 };

const V6: RoomVersionRules = RoomVersionRules {
    version: RoomVersion::V6,
    max_depth: MAX_SAFE_INTEGER,
    strict_canonical_json: true,
    redaction: RedactionRules { keeps_aliases: false, ..V5.redaction },
    auth: AuthRules {
        numbering: Numbering::V6,
        special_case_aliases: false,
        guards_notification_levels: true,
        ..V5.auth
    },
    ..V5
};

const V7: RoomVersionRules = RoomVersionRules {
    version: RoomVersion::V7,
    auth: AuthRules { numbering: Numbering::V7, knocking: true, ..V6.auth },
    ..V6
};

const V8: RoomVersionRules = RoomVersionRules {
    version: RoomVersion::V8,
    redaction: RedactionRules { keeps_join_rules_allow: true, ..V7.redaction },
    auth: AuthRules { numbering: Numbering::V8To9, restricted_joins: true, ..V7.auth },
    ..V7
};

const V9: RoomVersionRules = RoomVersionRules {
    version: RoomVersion::V9,
    redaction: RedactionRules { keeps_member_authorising_user: true, ..V8.redaction },
    ..V8
};

const V10: RoomVersionRules = RoomVersionRules {
    version: RoomVersion::V10,
    auth: AuthRules { numbering: Numbering::V10, knock_restricted_joins: true, integer_power_levels: true, ..V9.auth },
    ..V9
};

const V11: RoomVersionRules = RoomVersionRules {
    version: RoomVersion::V11,
    redaction: RedactionRules {
        keeps_legacy_members: false,
        keeps_member_signed_invite: true,
        keeps_all_of_create: true,
        keeps_power_levels_invite: true,
        keeps_redacts: true,
        ..V10.redaction
    },
    redacts_in_content: true,
    auth: AuthRules { numbering: Numbering::V11, creator_is_sender: true, ..V10.auth },
    ..V10
};

const V12: RoomVersionRules = RoomVersionRules {
    version: RoomVersion::V12,
    room_ids: RoomIdFormat::CreateHash,
    state_resolution: StateResolution::V2_1,
    auth: AuthRules { numbering: Numbering::V12, privileged_creators: true, create_is_auth_event: false, ..V11.auth },
    ..V11
};

pub(super) const fn of(version: RoomVersion) -> &'static RoomVersionRules {
    match version {
        RoomVersion::V1 => &V1,
        RoomVersion::V2 => &V2,
        RoomVersion::V3 => &V3,
        RoomVersion::V4 => &V4,
        RoomVersion::V5 => &V5,
        RoomVersion::V6 => &V6,
        RoomVersion::V7 => &V7,
        RoomVersion::V8 => &V8,
        RoomVersion::V9 => &V9,
        RoomVersion::V10 => &V10,
        RoomVersion::V11 => &V11,
        RoomVersion::V12 => &V12,
    }
}
