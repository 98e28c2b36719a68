//! Asking other servers what a space holds (Server-Server API, `GET /hierarchy/{roomId}`).

use alloc::collections::BTreeSet;
use alloc::vec::Vec;

use super::outgoing::{Outgoing, RemoteError, call};
use super::remote_summary;
use crate::canonical_json::{Object, Value};
use crate::flow::Cx;
use crate::http::percent_encode;
use crate::identifiers::{RoomId, ServerName};
use crate::limits::{MAX_HIERARCHY_SERVERS, MAX_SPACE_CHILDREN, QUERY_TIMEOUT};

/// A room as another server describes it.
#[derive(Clone, Debug, PartialEq)]
pub struct RemoteRoom {
    pub room_id: RoomId,
    pub summary: Object,
    /// `children_state`: whatever objects it has, at most [`MAX_SPACE_CHILDREN`].
    pub children: Vec<Object>,
}

/// What another server says of a space.
#[derive(Clone, Debug, PartialEq)]
pub struct RemoteSpace {
    pub room: RemoteRoom,
    /// Those of its children that the server knows, and that this server may see.
    pub known: Vec<RemoteRoom>,
    /// Children that this server may not see, whoever it asks.
    pub inaccessible: BTreeSet<RoomId>,
}

/// Asks the first of `servers` that has an answer. `None` if none has: there is no telling apart a room that this server may not
/// see, and one that nobody knows.
pub async fn hierarchy(cx: &Cx, room_id: &RoomId, servers: &[ServerName], suggested_only: bool) -> Option<RemoteSpace> {
    let own = cx.step(|step| Ok(step.config.server_name.clone())).ok()?;
    for server in servers.iter().filter(|server| **server != own).take(MAX_HIERARCHY_SERVERS) {
        if let Ok(space) = ask(cx, room_id, server, suggested_only).await {
            return Some(space);
        }
    }
    None
}

async fn ask(cx: &Cx, room_id: &RoomId, server: &ServerName, suggested_only: bool) -> Result<RemoteSpace, RemoteError> {
    let room = percent_encode(room_id);
    let target = alloc::format!("/_matrix/federation/v1/hierarchy/{room}?suggested_only={suggested_only}");
    let answer = call(cx, server, Outgoing::get(target).timeout(QUERY_TIMEOUT)).await?;
    read(room_id, &answer).ok_or_else(|| RemoteError::BadAnswer("it does not describe the room".into()))
}

/// What is usable of an answer: it must be about the room, and has a say about the children of the room only.
fn read(room_id: &RoomId, answer: &Value) -> Option<RemoteSpace> {
    let room = remote_room(answer.get("room")?).filter(|room| room.room_id == *room_id)?;
    let children: BTreeSet<&str> = room.children.iter().filter_map(|child| child.str("state_key")).collect();
    let list = |name: &str| answer.get(name).and_then(Value::as_array).unwrap_or_default();
    let known =
        list("children").iter().filter_map(remote_room).filter(|child| children.contains(child.room_id.as_str()));
    let known = known.take(MAX_SPACE_CHILDREN).collect();
    let inaccessible = list("inaccessible_children").iter().filter_map(|child| RoomId::parse(child.as_str()?).ok());
    let inaccessible = inaccessible.filter(|child| children.contains(child.as_str())).collect();
    Some(RemoteSpace { room, known, inaccessible })
}

fn remote_room(value: &Value) -> Option<RemoteRoom> {
    let room = value.as_object()?;
    let summary = remote_summary::acceptable(room)?;
    let room_id = RoomId::parse(summary.str("room_id")?).ok()?;
    let children = room.array("children_state").unwrap_or_default().iter().filter_map(Value::as_object);
    let children = children.take(MAX_SPACE_CHILDREN).cloned().collect();
    Some(RemoteRoom { room_id, summary, children })
}
