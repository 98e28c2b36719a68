//! Asking another server where one of its aliases leads (Server-Server API, `GET /query/directory`).

use alloc::vec::Vec;

use super::outgoing::{Outgoing, RemoteError, call};
use crate::canonical_json::Value;
use crate::flow::Cx;
use crate::http::percent_encode;
use crate::identifiers::{RoomAlias, RoomId, ServerName};
use crate::limits::{MAX_ALIAS_ANSWER, MAX_ALIAS_SERVERS, QUERY_TIMEOUT};

/// Where an alias of another server leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AliasAnswer {
    pub room_id: RoomId,
    /// Servers that are likely to be in the room: at most [`MAX_ALIAS_SERVERS`], without this one. The alias's own server is
    /// among them, even if it did not say so: nobody is more likely to know of the room.
    pub servers: Vec<ServerName>,
}

pub async fn query_alias(cx: &Cx, alias: &RoomAlias) -> Result<AliasAnswer, RemoteError> {
    let server = alias.server_name();
    let target = alloc::format!("/_matrix/federation/v1/query/directory?room_alias={}", percent_encode(alias));
    let request = Outgoing::get(target).timeout(QUERY_TIMEOUT).max_body(MAX_ALIAS_ANSWER);
    let answer = call(cx, &server, request).await?;
    let own = cx.step(|step| Ok(step.config.server_name.clone())).map_err(RemoteError::Internal)?;
    let room_id = answer.get("room_id").and_then(Value::as_str).and_then(|text| RoomId::parse(text).ok());
    let room_id = room_id.ok_or_else(|| RemoteError::BadAnswer("it names no room".into()))?;
    let mut servers: Vec<ServerName> = Vec::new();
    for named in answer.get("servers").and_then(Value::as_array).unwrap_or_default() {
        let Some(named) = named.as_str().and_then(|text| ServerName::parse(text).ok()) else { continue };
        if named != own && !servers.contains(&named) && servers.len() < MAX_ALIAS_SERVERS {
            servers.push(named);
        }
    }
    if !servers.contains(&server) {
        servers.truncate(MAX_ALIAS_SERVERS - 1);
        servers.push(server);
    }
    Ok(AliasAnswer { room_id, servers })
}
