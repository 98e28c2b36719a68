//! What the pages of the room versions differ in, where authorization is concerned.

use orrery_core::room_version::RoomVersion::{self, V3, V6, V7, V8, V10, V11, V12};

/// The page of a room version.
#[derive(Clone, Copy, Debug)]
pub struct Page(pub RoomVersion);

impl Page {
    /// Version 3: "In room versions 1 and 2, redactions were explicitly part of the authorisation rules under Rule 11."
    pub fn has_redaction_rule(self) -> bool {
        self.0 < V3
    }

    /// Version 6: "Rule 4, which related specifically to events of type `m.room.aliases`, is removed."
    pub fn has_aliases_rule(self) -> bool {
        self.0 < V6
    }

    /// Version 6: "the authorisation rules for events of type `m.room.power_levels` now include a `notifications` property".
    pub fn guards_notifications(self) -> bool {
        self.0 >= V6
    }

    /// "`m.room.power_levels` events accept values as floats": up to version 5. Version 6: "numeric values may no longer be
    /// formatted as floats."
    pub fn takes_floats(self) -> bool {
        self.0 < V6
    }

    /// "`m.room.power_levels` events accept values as strings": up to version 9.
    pub fn takes_strings(self) -> bool {
        self.0 < V10
    }

    /// Version 7: knocking is a join rule and a membership.
    pub fn has_knocking(self) -> bool {
        self.0 >= V7
    }

    /// Version 8: the join rule `restricted`.
    pub fn has_restricted_joins(self) -> bool {
        self.0 >= V8
    }

    /// Version 10: the join rule `knock_restricted`.
    pub fn has_knock_restricted_joins(self) -> bool {
        self.0 >= V10
    }

    /// Version 11: `creator` is gone from the create event, and its sender is the creator.
    pub fn creator_is_sender(self) -> bool {
        self.0 >= V11
    }

    /// Version 12: the room ID is the ID of the create event, which is not selected as an auth event.
    pub fn room_id_names_create(self) -> bool {
        self.0 >= V12
    }

    /// Version 12: "The power level of 'room creators' is infinitely high", and there can be more of them.
    pub fn has_infinite_creators(self) -> bool {
        self.0 >= V12
    }
}
