//! Rule 1, on `m.room.create`, and who is a creator.

use super::rule::Rule;
use super::verdict::{Judge, Ruling};
use crate::canonical_json::{Object, Value};
use crate::event::Pdu;
use crate::event::content::Create;
use crate::identifiers::UserId;
use crate::room_version::{RoomIdFormat, RoomVersion, RoomVersionRules};

pub(super) fn judge(judge: &Judge<'_>) -> Ruling {
    let (rules, event) = (judge.rules, judge.event);
    if !event.prev_events.is_empty() {
        return judge.reject(Rule::CreateHasPrevEvents);
    }
    match rules.room_ids {
        RoomIdFormat::Stated if event.room_id.server_str() != Some(event.sender.server_str()) => {
            return judge.reject(Rule::CreateRoomIdDomain);
        }
        // A room ID that the event states cannot be the hash of the event with it.
        RoomIdFormat::CreateHash if !event.names_room(&event.room_id) => return judge.reject(Rule::CreateHasRoomId),
        RoomIdFormat::Stated | RoomIdFormat::CreateHash => {}
    }
    if Create(&event.content).room_version().and_then(RoomVersion::parse).is_none() {
        return judge.reject(Rule::CreateRoomVersion);
    }
    if !rules.auth.creator_is_sender && !event.content.contains("creator") {
        return judge.reject(Rule::CreateNoCreator);
    }
    if rules.auth.privileged_creators && !additional_creators_are_users(&event.content) {
        return judge.reject(Rule::CreateAdditionalCreators);
    }
    judge.allow(Rule::CreateAllowed)
}

fn additional_creators_are_users(content: &Object) -> bool {
    let Some(creators) = content.get("additional_creators") else { return true };
    let is_user = |value: &Value| value.as_str().is_some_and(|text| UserId::parse(text).is_ok());
    creators.as_array().is_some_and(|creators| creators.iter().all(is_user))
}

/// The one creator of whom the rules on joining speak.
pub(super) fn creator<'a>(rules: &RoomVersionRules, create: &'a Pdu) -> Option<&'a str> {
    if rules.auth.creator_is_sender { Some(&create.sender) } else { Create(&create.content).creator() }
}

/// Whether `user` is a creator, in version 12 by `additional_creators` too.
pub(super) fn is_creator(rules: &RoomVersionRules, create: &Pdu, user: &str) -> bool {
    creator(rules, create) == Some(user)
        || (rules.auth.privileged_creators
            && Create(&create.content).additional_creators().any(|creator| creator == user))
}
