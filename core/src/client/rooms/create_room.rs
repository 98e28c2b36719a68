//! Creating rooms (Client-Server API, "Creation").

use alloc::boxed::Box;
use alloc::vec::Vec;

use super::super::profile;
use super::super::request::{Answer, Auth, BodyExt, ClientRequest, FlowFuture, Handler, Limit};
use super::super::routes::Route;
use super::invite::content_of_invite;
use super::{directory, public_rooms};
use crate::canonical_json::{Object, Value};
use crate::error::ApiError;
use crate::federation::invite::{self, Invite};
use crate::flow::{Cx, Step};
use crate::http::{Method, Response};
use crate::identifiers::{RoomAlias, RoomId, UserId};
use crate::limits::{MAX_INITIAL_STATE, MAX_INVITES};
use crate::room::Room;
use crate::room::append::{self, Draft};
use crate::room_version::RoomVersion;

pub const ROUTES: &[Route] = &[Route::new(
    Method::Post,
    "/_matrix/client/v3/createRoom",
    Auth::Required,
    Limit::Membership,
    Handler::Flow("create room", create_room),
)];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Preset {
    /// `private_chat`
    Private,
    /// `trusted_private_chat`
    Trusted,
    /// `public_chat`
    Public,
}

impl Preset {
    fn of(body: &Object, public: bool) -> Result<Preset, ApiError> {
        Ok(match body.opt_str("preset")? {
            Some("private_chat") => Preset::Private,
            Some("trusted_private_chat") => Preset::Trusted,
            Some("public_chat") => Preset::Public,
            Some(_) => return Err(ApiError::bad_json("preset is not one of the specification's")),
            None if public => Preset::Public,
            None => Preset::Private,
        })
    }

    /// The state that the preset sets: type, the one member of its content, the member's value.
    fn state(self) -> [(&'static str, &'static str, &'static str); 3] {
        let (join_rule, guest_access) = match self {
            Preset::Private | Preset::Trusted => ("invite", "can_join"),
            Preset::Public => ("public", "forbidden"),
        };
        [
            ("m.room.join_rules", "join_rule", join_rule),
            ("m.room.history_visibility", "history_visibility", "shared"),
            ("m.room.guest_access", "guest_access", guest_access),
        ]
    }
}

/// The request after all of it was read, before anything is done.
struct Wanted<'a> {
    creator: &'a UserId,
    version: RoomVersion,
    preset: Preset,
    public: bool,
    alias: Option<RoomAlias>,
    invite: Vec<UserId>,
    is_direct: bool,
    creation_content: Object,
    power_levels: Option<&'a Object>,
    initial_state: Vec<(&'a str, &'a str, &'a Object)>,
    name: Option<&'a str>,
    topic: Option<&'a str>,
}

impl<'a> Wanted<'a> {
    fn read(step: &Step<'_>, creator: &'a UserId, body: &'a Object) -> Result<Wanted<'a>, ApiError> {
        let public = match body.opt_str("visibility")? {
            None | Some("private") => false,
            Some("public") => true,
            Some(_) => return Err(ApiError::bad_json("visibility is neither public nor private")),
        };
        let version = body.opt_str("room_version")?.unwrap_or(&step.config.default_room_version);
        let version = parse_version(version)?;
        let alias = match body.opt_str("room_alias_name")? {
            Some(localpart) => Some(directory::local_alias(step, localpart)?),
            None => None,
        };
        if !body.opt_array("invite_3pid")?.unwrap_or_default().is_empty() {
            return Err(ApiError::new(
                400,
                "M_THREEPID_DENIED",
                "This server does not invite by email or phone number",
            ));
        }
        Ok(Wanted {
            creator,
            version,
            preset: Preset::of(body, public)?,
            public,
            alias,
            invite: user_ids(body.opt_array("invite")?.unwrap_or_default(), "invite")?,
            is_direct: body.opt_bool("is_direct")?.unwrap_or(false),
            creation_content: body.opt_object("creation_content")?.cloned().unwrap_or_default(),
            power_levels: body.opt_object("power_level_content_override")?,
            initial_state: initial_state(body)?,
            name: body.opt_str("name")?,
            topic: body.opt_str("topic")?,
        })
    }

    fn create_content(&self) -> Result<Object, ApiError> {
        let rules = self.version.rules();
        let mut content = self.creation_content.clone();
        content.remove("creator");
        if !rules.auth.creator_is_sender {
            content.insert("creator", self.creator);
        }
        content.insert("room_version", self.version.as_str());
        if rules.auth.privileged_creators {
            let mut unique = additional_creators(&content, self.creator)?;
            if self.preset == Preset::Trusted {
                add_creators(&mut unique, self.invite.iter().cloned(), self.creator);
            }
            if unique.is_empty() {
                content.remove("additional_creators");
            } else {
                content.insert("additional_creators", unique.iter().map(Value::from).collect::<Vec<_>>());
            }
        }
        Ok(content)
    }

    fn power_levels_content(&self) -> Object {
        let infinite = self.version.rules().auth.privileged_creators;
        let mut users = Object::new();
        if !infinite {
            users.insert(self.creator.as_str(), 100u32);
            if self.preset == Preset::Trusted {
                users.extend(self.invite.iter().map(|user_id| (user_id.as_str(), 100u32)));
            }
        }
        let events: Object = [
            ("m.room.name", 50u32),
            ("m.room.avatar", 50),
            ("m.room.canonical_alias", 50),
            ("m.room.power_levels", 100),
            ("m.room.history_visibility", 100),
            ("m.room.encryption", 100),
            ("m.room.server_acl", 100),
            // Must be above state_default where creators outrank every number.
            ("m.room.tombstone", if infinite { 150 } else { 100 }),
        ]
        .into_iter()
        .collect();
        let mut content = Object::new()
            .with("users", users)
            .with("users_default", 0u32)
            .with("events", events)
            .with("events_default", 0u32)
            .with("state_default", 50u32)
            .with("ban", 50u32)
            .with("kick", 50u32)
            .with("redact", 50u32)
            .with("invite", if self.preset == Preset::Public { 50u32 } else { 0 });
        content.extend(self.power_levels.into_iter().flat_map(|levels| levels.iter().map(|(k, v)| (k, v.clone()))));
        content
    }

    /// Whether the request itself sets this state, so that the preset need not.
    fn sets(&self, kind: &str) -> bool {
        self.initial_state.iter().any(|(other, state_key, _)| *other == kind && state_key.is_empty())
    }
}

/// A version that a client names.
pub(super) fn parse_version(version: &str) -> Result<RoomVersion, ApiError> {
    RoomVersion::parse(version).ok_or_else(|| {
        ApiError::new(400, "M_UNSUPPORTED_ROOM_VERSION", "This server does not support that room version")
    })
}

/// The `additional_creators` that a client names, each once.
pub(super) fn additional_creators(content: &Object, creator: &UserId) -> Result<Vec<UserId>, ApiError> {
    let named = user_ids(content.opt_array("additional_creators")?.unwrap_or_default(), "additional_creators")?;
    let mut creators = Vec::new();
    add_creators(&mut creators, named.into_iter(), creator);
    Ok(creators)
}

fn add_creators(creators: &mut Vec<UserId>, more: impl Iterator<Item = UserId>, creator: &UserId) {
    for user_id in more {
        if user_id != *creator && !creators.contains(&user_id) {
            creators.push(user_id);
        }
    }
}

fn user_ids(items: &[Value], name: &str) -> Result<Vec<UserId>, ApiError> {
    if items.len() > MAX_INVITES {
        return Err(ApiError::invalid_param(alloc::format!("{name} has more than {MAX_INVITES} users")));
    }
    items
        .iter()
        .map(|item| match item.as_str().map(UserId::parse) {
            Some(Ok(user_id)) => Ok(user_id),
            Some(Err(error)) => Err(ApiError::invalid_param(alloc::format!("{name}: {error}"))),
            None => Err(ApiError::bad_json(alloc::format!("{name} has something that is not a string"))),
        })
        .collect()
}

fn initial_state(body: &Object) -> Result<Vec<(&str, &str, &Object)>, ApiError> {
    let items = body.opt_array("initial_state")?.unwrap_or_default();
    if items.len() > MAX_INITIAL_STATE {
        return Err(ApiError::invalid_param(alloc::format!("initial_state has more than {MAX_INITIAL_STATE} events")));
    }
    items
        .iter()
        .map(|item| {
            let item = item
                .as_object()
                .ok_or_else(|| ApiError::bad_json("initial_state has something that is not an object"))?;
            let kind = item.required_str("type")?;
            let content = item
                .opt_object("content")?
                .ok_or_else(|| ApiError::missing_param("content is missing in initial_state"))?;
            if matches!(kind, "m.room.create" | "m.room.member") {
                return Err(ApiError::invalid_param(alloc::format!("initial_state cannot set {kind}")));
            }
            Ok((kind, item.opt_str("state_key")?.unwrap_or(""), content))
        })
        .collect()
}

fn create_room(cx: Cx, request: ClientRequest) -> FlowFuture {
    Box::pin(async move {
        let body = request.object_or_empty()?;
        let (room_id, invites) = cx.step(|step| create(step, &request, &body))?;
        for user_id in invites {
            let content = content_of_invite(None, body.opt_bool("is_direct")?.unwrap_or(false));
            let sender = request.user_id().clone();
            // The room is there, whatever another server says of an invite to it.
            let _ = invite::invite(&cx, &Invite { room_id: room_id.clone(), sender, user_id, content }).await;
        }
        Ok(Response::json(200, &Value::Object(Object::new().with("room_id", &room_id)))) as Answer
    })
}

/// The new room, and who is to be invited to it from other servers.
fn create(step: &mut Step<'_>, request: &ClientRequest, body: &Object) -> Result<(RoomId, Vec<UserId>), ApiError> {
    let wanted = Wanted::read(step, request.user_id(), body)?;
    let mut room = build(step, &wanted).map_err(invalid_room_state)?;
    if let Some(alias) = &wanted.alias {
        directory::add(step, alias, &room, wanted.creator)?;
    }
    if wanted.public {
        public_rooms::publish(step, &room);
    }
    let (local, remote): (Vec<UserId>, Vec<UserId>) =
        wanted.invite.into_iter().partition(|user_id| user_id.server_str() == step.config.server_name.as_str());
    for user_id in &local {
        super::invite::invite(step, &mut room, wanted.creator, user_id, None, wanted.is_direct)?;
    }
    Ok((room.info.room_id, remote))
}

/// The events of the new room, in the specification's order, without the invites.
fn build(step: &mut Step<'_>, wanted: &Wanted<'_>) -> Result<Room, ApiError> {
    let creator = wanted.creator;
    let (mut room, _) = append::create(step, wanted.version, creator, wanted.create_content()?)?;
    let mut set = |step: &mut Step<'_>, kind: &str, state_key: &str, content: Object| {
        append::append(step, &mut room, Draft::state(creator, kind, state_key, content))
    };
    let member = profile::member_content(step, creator)?.with("membership", "join");
    set(step, "m.room.member", creator, member)?;
    set(step, "m.room.power_levels", "", wanted.power_levels_content())?;
    if let Some(alias) = &wanted.alias {
        set(step, "m.room.canonical_alias", "", Object::new().with("alias", alias))?;
    }
    for (kind, name, value) in wanted.preset.state() {
        if !wanted.sets(kind) {
            set(step, kind, "", Object::new().with(name, value))?;
        }
    }
    for (kind, state_key, content) in &wanted.initial_state {
        set(step, kind, state_key, (*content).clone())?;
    }
    if let Some(name) = wanted.name {
        set(step, "m.room.name", "", Object::new().with("name", name))?;
    }
    if let Some(topic) = wanted.topic {
        let text = Object::new().with("body", topic).with("mimetype", "text/plain");
        let rich = Object::new().with("m.text", alloc::vec![Value::Object(text)]);
        set(step, "m.room.topic", "", Object::new().with("topic", topic).with("m.topic", rich))?;
    }
    Ok(room)
}

/// What the rules of the room refuse is, to someone who is creating it, an invalid state.
fn invalid_room_state(error: ApiError) -> ApiError {
    if error.status == 403 { ApiError::new(400, "M_INVALID_ROOM_STATE", error.message) } else { error }
}
