//! Asking other servers what a space holds (Server-Server API, `GET /hierarchy/{roomId}`).

use alloc::collections::BTreeSet;
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::outgoing::{Outgoing, RemoteError, call};
use super::remote_summary;
use crate::canonical_json::{self, Object, Value};
use crate::flow::Cx;
use crate::http::percent_encode;
use crate::identifiers::{RoomId, ServerName};
use crate::limits::{
    MAX_HIERARCHY_SERVERS, MAX_REMEMBERED_SPACE, MAX_REMEMBERED_SPACES, MAX_SPACE_CHILDREN, QUERY_TIMEOUT,
    SPACE_LIFETIME,
};
use crate::store::tables::{Table, tags};
use crate::time::Timestamp;

/// What a server said of a space a while ago.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Remembered {
    room_id: RoomId,
    suggested_only: bool,
    until: Timestamp,
    /// In canonical JSON, as it came.
    answer: Vec<u8>,
}

/// By a hash of what was asked, below [`MAX_REMEMBERED_SPACES`]: another space may take a space's place.
const REMEMBERED: Table<u32, Remembered> = Table::new(tags::REMOTE_SPACE);

fn slot(room_id: &RoomId, suggested_only: bool) -> u32 {
    let hash = Sha256::new().chain_update([u8::from(suggested_only)]).chain_update(room_id.as_bytes()).finalize();
    u32::from_be_bytes([hash[0], hash[1], hash[2], hash[3]]) % MAX_REMEMBERED_SPACES
}

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
    let (own, remembered) = cx
        .step(|step| {
            let row = REMEMBERED.get(step, slot(room_id, suggested_only))?;
            let same = |row: &Remembered| row.room_id == *room_id && row.suggested_only == suggested_only;
            Ok((step.config.server_name.clone(), row.filter(|row| same(row) && step.now < row.until)))
        })
        .ok()?;
    if let Some(row) = remembered {
        return read(room_id, &canonical_json::parse(&row.answer).ok()?);
    }
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
    let space = read(room_id, &answer);
    let space = space.ok_or_else(|| RemoteError::BadAnswer("it does not describe the room".into()))?;
    let answer = answer.to_bytes();
    if answer.len() <= MAX_REMEMBERED_SPACE {
        let remember = cx.step(|step| {
            let until = step.now + SPACE_LIFETIME;
            let row = Remembered { room_id: room_id.clone(), suggested_only, until, answer };
            REMEMBERED.put(step, slot(room_id, suggested_only), &row);
            Ok(())
        });
        remember.map_err(RemoteError::Internal)?;
    }
    Ok(space)
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
