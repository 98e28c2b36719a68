//! Room upgrades (Client-Server API, "Room Upgrades"): another room in place of one, of any version.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::ops::ControlFlow;

use super::super::account_data;
use super::super::profile;
use super::super::push_rules::ruleset::{RuleKind, Ruleset};
use super::super::request::{Answer, Auth, BodyExt, ClientRequest, FlowFuture, Handler, Limit};
use super::super::routes::Route;
use super::create_room::{additional_creators, parse_version};
use super::{directory, public_rooms};
use crate::auth_rules::read_level;
use crate::canonical_json::{self, Object, Value};
use crate::error::ApiError;
use crate::event::content::Create;
use crate::federation::policy_sign;
use crate::flow::{Cx, Step};
use crate::http::{Method, Response};
use crate::identifiers::{RoomAlias, UserId};
use crate::room::append::{self, Draft, append};
use crate::room::timeline::{self, Place};
use crate::room::{Room, membership};
use crate::room_version::RoomVersion;
use crate::store::StorageError;

pub const ROUTES: &[Route] = &[Route::new(
    Method::Post,
    "/_matrix/client/v3/rooms/{roomId}/upgrade",
    Auth::Required,
    Limit::Membership,
    Handler::Flow("upgrade room", upgrade_room),
)];

/// The state that the new room takes over ("Server behaviour"), but for the power levels, which come last: so far the room's creator
/// may do everything.
const TRANSFERRED: [&str; 8] = [
    "m.room.server_acl",
    "m.room.encryption",
    "m.room.name",
    "m.room.avatar",
    "m.room.topic",
    "m.room.guest_access",
    "m.room.history_visibility",
    "m.room.join_rules",
];

/// The new room before it is made.
struct Wanted<'a> {
    creator: &'a UserId,
    version: RoomVersion,
    create: Object,
    state: Vec<(&'static str, Object)>,
    /// The local aliases of the old room.
    aliases: Vec<RoomAlias>,
}

/// A step writes to one room at most: first the new room is made, then the old one told of it. If something comes between these, the
/// old room is as it was.
fn upgrade_room(cx: Cx, request: ClientRequest) -> FlowFuture {
    Box::pin(async move {
        let body = request.object()?;
        let version = parse_version(body.required_str("new_version")?)?;
        let new = cx.step(|step| {
            let old = Room::require(step, request.param(0))?;
            let wanted = Wanted::read(step, &old, (request.user_id(), version), &body)?;
            let new = wanted.build(step)?;
            carry_over_settings(step, request.user_id(), &old, &new)?;
            Ok(new)
        })?;
        policy_sign::step(&cx, |step| retire(step, &request, &new)).await?;
        let answer = Object::new().with("replacement_room", new.room_id());
        Ok(Response::json(200, &Value::Object(answer))) as Answer
    })
}

impl<'a> Wanted<'a> {
    fn read(
        step: &Step<'_>,
        old: &Room,
        (creator, version): (&'a UserId, RoomVersion),
        body: &Object,
    ) -> Result<Wanted<'a>, ApiError> {
        membership::require_joined(step, creator, old)?;
        let levels = old.power_levels(step)?;
        if levels.user(creator) < levels.event("m.room.tombstone", true) {
            return Err(ApiError::forbidden("Your power level is too low to upgrade this room"));
        }
        let mut create = create_content(step, old, version)?;
        let rules = version.rules();
        if !rules.auth.creator_is_sender {
            create.insert("creator", creator);
        }
        let mut creators = Vec::new();
        if rules.auth.privileged_creators {
            creators = additional_creators(body, creator)?;
            if !creators.is_empty() {
                create.insert("additional_creators", creators.iter().map(Value::from).collect::<Vec<_>>());
            }
        }
        let mut state = Vec::new();
        for kind in TRANSFERRED {
            state.extend(old.current_content(step, kind, "")?.map(|content| (kind, content)));
        }
        let aliases = directory::aliases_of(step, old)?;
        let canonical = old.current_content(step, "m.room.canonical_alias", "")?;
        state.extend(
            canonical
                .and_then(|content| directory::canonical_among(&content, &aliases))
                .map(|content| ("m.room.canonical_alias", content)),
        );
        if let Some(levels) = old.current_content(step, "m.room.power_levels", "")? {
            let old_create = old.create_event(step)?;
            let old_creators =
                Create(&old_create.content).additional_creators().filter_map(|id| UserId::parse(id).ok());
            let old_creators: Vec<UserId> = old_creators.chain([old_create.sender.clone()]).collect();
            creators.push(creator.clone());
            state.push(("m.room.power_levels", transferred_levels(levels, (old, &old_creators), (version, &creators))));
        }
        Ok(Wanted { creator, version, create, state, aliases })
    }

    fn build(&self, step: &mut Step<'_>) -> Result<Room, ApiError> {
        let creator = self.creator;
        let (mut room, _) = append::create(step, self.version, creator, self.create.clone())?;
        let member = profile::member_content(step, creator)?.with("membership", "join");
        append(step, &mut room, Draft::state(creator, "m.room.member", creator, member))?;
        for (kind, content) in &self.state {
            append(step, &mut room, Draft::state(creator, kind, "", content.clone()))?;
        }
        for alias in &self.aliases {
            directory::list_alias(step, alias, &room);
        }
        Ok(room)
    }
}

/// The content of the new room's create event, but for who makes it.
fn create_content(step: &Step<'_>, old: &Room, version: RoomVersion) -> Result<Object, ApiError> {
    let mut predecessor = Object::new().with("room_id", old.room_id());
    // From version 12 on it may be left out. Before, it is the last event that is known.
    if !version.rules().auth.privileged_creators {
        timeline::backward::<StorageError>(step, old, None, Place::START, 1, |_, event| {
            predecessor.insert("event_id", &event.header.event_id);
            Ok(ControlFlow::Break(()))
        })?;
    }
    let old = old.create_event(step)?.content;
    let mut content = Object::new().with("room_version", version.as_str()).with("predecessor", predecessor);
    if let Some(room_type) = Create(&old).room_type() {
        content.insert("type", room_type);
    }
    // What was for one server alone stays so.
    if !Create(&old).federates() {
        content.insert("m.federate", false);
    }
    Ok(content)
}

/// The power levels of the old room as the new one's version has them.
///
/// Where creators are above all levels they must not have one. Where they are not, those who were in the old room get as much as
/// anything takes there, and no less than creators have.
fn transferred_levels(
    mut levels: Object,
    (old, old_creators): (&Room, &[UserId]),
    (version, creators): (RoomVersion, &[UserId]),
) -> Object {
    let (old_rules, rules) = (old.info.version.rules(), version.rules());
    // Older versions take numbers in other forms, and names that are none.
    let integers = |entries: &mut Object| {
        entries.retain(|_, value| match value {
            Value::Integer(_) | Value::Object(_) => true,
            other => match read_level(old_rules, other) {
                Some(level) => {
                    *other = Value::Integer(level);
                    true
                }
                None => false,
            },
        });
    };
    integers(&mut levels);
    for map in ["events", "notifications", "users"] {
        if let Some(entries) = levels.get_mut(map).and_then(Value::as_object_mut) {
            integers(entries);
        }
    }
    let mut users = levels.object("users").cloned().unwrap_or_default();
    users.retain(|user_id, _| UserId::parse(user_id).is_ok());
    if rules.auth.privileged_creators {
        users.retain(|user_id, _| creators.iter().all(|creator| creator.as_str() != user_id));
    } else if old_rules.auth.privileged_creators {
        let highest = Value::Integer(highest(&levels).max(100));
        users.extend(old_creators.iter().map(|user_id| (user_id.as_str(), highest.clone())));
    }
    levels.with("users", users)
}

/// The highest level that power levels speak of.
fn highest(levels: &Object) -> i64 {
    let level = |value: &Value| match value {
        Value::Object(entries) => highest(entries),
        other => other.as_integer().unwrap_or_default(),
    };
    levels.iter().map(|(_, value)| level(value)).max().unwrap_or_default()
}

/// Tells the old room of the new one, and makes it hard to go on there.
fn retire(step: &mut Step<'_>, request: &ClientRequest, new: &Room) -> Result<(), ApiError> {
    let user_id = request.user_id();
    let mut old = Room::require(step, request.param(0))?;
    let content = Object::new().with("body", "This room has been replaced").with("replacement_room", new.room_id());
    append(step, &mut old, Draft::state(user_id, "m.room.tombstone", "", content))?;
    let mut moved = Vec::new();
    for alias in directory::aliases_of(step, &old)? {
        if directory::move_alias(step, &alias, &old, new)? {
            moved.push(alias);
        }
    }
    directory::drop_canonical(step, &mut old, user_id, &moved)?;
    public_rooms::replace(step, &old, new)?;
    let mut levels = old.current_content(step, "m.room.power_levels", "")?.unwrap_or_default();
    let level = |name: &str, otherwise: i64| levels.integer(name).unwrap_or(otherwise);
    let high = 50.max(level("users_default", 0).saturating_add(1));
    let raised = [("events_default", high.max(level("events_default", 0))), ("invite", high.max(level("invite", 0)))];
    for (name, level) in raised {
        levels.insert(name, Value::Integer(level));
    }
    // "If possible."
    match append(step, &mut old, Draft::state(user_id, "m.room.power_levels", "", levels)) {
        Err(error) if error.status == 500 => Err(error),
        _ => Ok(()),
    }
}

/// Gives a user who has come into a room what they had set for the room that it replaces, if they have set nothing here: tags, and
/// the push rule of the room.
pub fn carry_over(step: &mut Step<'_>, user_id: &UserId, room_id: &str) -> Result<(), ApiError> {
    let Some(new) = Room::find(step, room_id)? else { return Ok(()) };
    let create = new.create_event(step)?.content;
    let Some(old) = Create(&create).predecessor() else { return Ok(()) };
    match Room::find(step, old)? {
        Some(old) => Ok(carry_over_settings(step, user_id, &old, &new)?),
        None => Ok(()),
    }
}

fn carry_over_settings(step: &mut Step<'_>, user_id: &UserId, old: &Room, new: &Room) -> Result<(), StorageError> {
    let tags = account_data::get(step, user_id, Some(old.num), "m.tag")?;
    if let Some(Value::Object(tags)) = tags.and_then(|tags| canonical_json::parse(&tags).ok())
        && account_data::get(step, user_id, Some(new.num), "m.tag")?.is_none()
    {
        account_data::set(step, user_id, Some(new.num), "m.tag", &tags)?;
    }
    let mut ruleset = Ruleset::of(step, user_id)?;
    if ruleset.repeat(RuleKind::Room, old.room_id(), new.room_id()) {
        ruleset.put(step, user_id);
        account_data::push_rules_changed(step, user_id)?;
    }
    Ok(())
}
