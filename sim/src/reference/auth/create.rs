//! The rules on `m.room.create`.

use orrery_core::canonical_json::{Object, Value};
use orrery_core::identifiers::UserId;
use orrery_core::room_version::RoomVersion;

use super::Asked;
use super::list::{List, Ruling};

impl Asked<'_> {
    /// Rule 1.
    pub(super) fn create_rules(&self) -> Ruling {
        let (page, event, content) = (self.page(), self.event, &self.event.content);
        let mut list = List::new();
        // "If it has any `prev_events`, reject."
        list.reject_if(!event.prev_events.is_empty())?;
        if page.room_id_names_create() {
            // Changed in version 12: "If the event has a `room_id`, reject."
            list.reject_if(event.to_object().contains("room_id"))?;
        } else {
            // "If the domain of the `room_id` does not match the domain of the `sender`, reject."
            let domain = event.room_id.split_once(':').map(|(_, domain)| domain);
            list.reject_if(domain != Some(event.sender.server_str()))?;
        }
        // "If `content.room_version` is present and is not a recognised version, reject."
        list.reject_if(content.get("room_version").is_some_and(|version| !is_recognised(version)))?;
        if !page.creator_is_sender() {
            // "If `content` has no `creator` property, reject."
            list.reject_if(!content.contains("creator"))?;
        }
        if page.has_infinite_creators() {
            // Added in version 12: "If `additional_creators` is present in `content` and is not an array of strings where each
            // string passes the same user ID validation applied to `sender`, reject."
            list.reject_if(content.get("additional_creators").is_some_and(|creators| !are_user_ids(creators)))?;
        }
        list.otherwise_allow()
    }

    /// "The creator": what the rules on joining mean by it.
    pub(super) fn creator(&self) -> Option<&str> {
        let create = self.create?.event;
        if self.page().creator_is_sender() { Some(&create.sender) } else { create.content.str("creator") }
    }
}

fn is_recognised(version: &Value) -> bool {
    version.as_str().is_some_and(|version| RoomVersion::parse(version).is_some())
}

fn are_user_ids(value: &Value) -> bool {
    let is_user_id = |value: &Value| value.as_str().is_some_and(|text| UserId::parse(text).is_ok());
    value.as_array().is_some_and(|values| values.iter().all(is_user_id))
}

/// The strings of `additional_creators`.
pub(super) fn additional_creators(content: &Object) -> Vec<&str> {
    content.array("additional_creators").unwrap_or_default().iter().filter_map(Value::as_str).collect()
}
