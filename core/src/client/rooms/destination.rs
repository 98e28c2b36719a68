//! The room that a client wants to enter, which this server may not know: by ID or alias, and through which servers.

use alloc::string::ToString;
use alloc::vec::Vec;

use super::super::request::ClientRequest;
use super::directory;
use crate::error::ApiError;
use crate::federation::query_alias::query_alias;
use crate::flow::{Cx, Step};
use crate::identifiers::{RoomAlias, RoomId, ServerName, UserId};
use crate::limits::MAX_JOIN_CANDIDATES;
use crate::room::{Room, membership, outside, servers};
use crate::store::StorageError;

/// A room, and servers that may be in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Destination {
    pub room_id: RoomId,
    servers: Vec<ServerName>,
}

impl Destination {
    /// Reads the path's first parameter, and the query's `via` and `server_name`. An alias of another server is asked there.
    pub async fn of(cx: &Cx, request: &ClientRequest) -> Result<Destination, ApiError> {
        let via = request.query.iter().filter(|(name, _)| name == "via" || name == "server_name");
        let mut servers: Vec<ServerName> =
            via.filter_map(|(_, value)| ServerName::parse(value).ok()).take(MAX_JOIN_CANDIDATES).collect();
        let text = request.param(0);
        if !text.starts_with('#') {
            let room_id = RoomId::parse(text).map_err(|error| ApiError::invalid_param(error.to_string()))?;
            return Ok(Destination { room_id, servers });
        }
        let alias = RoomAlias::parse(text).map_err(|error| ApiError::invalid_param(error.to_string()))?;
        let known = cx.step(|step| {
            let is_local = alias.server_str() == step.config.server_name.as_str();
            if is_local { directory::room_by_id_or_alias(step, &alias).map(Some) } else { Ok(None) }
        })?;
        let room_id = match known {
            Some(room) => room.info.room_id,
            None => {
                let answer = query_alias(cx, &alias).await?;
                servers.extend(answer.servers);
                answer.room_id
            }
        };
        Ok(Destination { room_id, servers })
    }

    /// The room, if it is to be entered as one enters a room of this server: one that the server is in, or that it was the last
    /// to leave, so that nobody knows the room better.
    pub fn here(&self, step: &Step<'_>, user_id: &UserId) -> Result<Option<Room>, StorageError> {
        let Some(room) = Room::find(step, &self.room_id)? else { return Ok(None) };
        Ok(is_here(step, &room, user_id)?.then_some(room))
    }

    /// The other servers to ask, the likeliest first.
    pub fn candidates(&self, step: &Step<'_>, user_id: &UserId) -> Result<Vec<ServerName>, StorageError> {
        let mut servers = self.servers.clone();
        if let Some(room) = Room::find_even_outside(step, &self.room_id)? {
            if let Some(row) = membership::of(step, user_id, room.num)?
                && let Some(outside) = outside::of(step, room.num, user_id, &row)?
            {
                servers.extend(outside.servers);
            }
            servers.extend(servers::servers_in(step, &room)?.into_iter().take(MAX_JOIN_CANDIDATES));
        }
        servers.extend(self.room_id.server_str().and_then(|server| ServerName::parse(server).ok()));
        let mut seen = Vec::new();
        servers.retain(|server| {
            let is_new = *server != step.config.server_name && !seen.contains(server);
            if is_new {
                seen.push(server.clone());
            }
            is_new
        });
        servers.truncate(MAX_JOIN_CANDIDATES);
        Ok(servers)
    }
}

/// Whether memberships of this user change by an event that this server adds to the room.
pub fn is_here(step: &Step<'_>, room: &Room, user_id: &UserId) -> Result<bool, StorageError> {
    if room.is_resident() {
        return Ok(true);
    }
    let Some(row) = membership::of(step, user_id, room.num)? else {
        return Ok(servers::servers_in(step, room)?.is_empty());
    };
    Ok(outside::of(step, room.num, user_id, &row)?.is_none() && servers::servers_in(step, room)?.is_empty())
}
