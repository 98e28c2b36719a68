//! Knocking on a room that this server is not in (Server-Server API, "Knocking upon a room").

use alloc::vec::Vec;

use super::handshake::{Asked, Failures, make, send};
use super::outgoing::RemoteError;
use crate::canonical_json::{Object, Value};
use crate::error::ApiError;
use crate::flow::Cx;
use crate::identifiers::ServerName;
use crate::room::{Room, outside};

/// Knocks through the first of `servers` that lets it.
pub async fn knock(cx: &Cx, asked: &Asked, servers: &[ServerName]) -> Result<(), ApiError> {
    let mut failures = Failures::default();
    for server in servers {
        match knock_through(cx, asked, server).await {
            Ok(()) => return Ok(()),
            Err(error) => {
                if !failures.add(error) {
                    break;
                }
            }
        }
    }
    Err(failures.into_error())
}

async fn knock_through(cx: &Cx, asked: &Asked, server: &ServerName) -> Result<(), RemoteError> {
    let failed = |error: ApiError| RemoteError::BadAnswer(error.message);
    let template = make(cx, server, asked).await?;
    let pdu = cx.step(|step| {
        if let Some(room) = Room::find(step, &asked.room_id)? {
            outside::require_version(&room, template.version)?;
        }
        template.event(step, asked)
    });
    let pdu = pdu.map_err(failed)?;
    let answer = send(cx, server, asked, &pdu, |request| request).await?;
    let state = answer.get("knock_room_state").and_then(Value::as_array).unwrap_or_default();
    let state: Vec<Object> = state.iter().filter_map(Value::as_object).cloned().collect();
    cx.step(|step| {
        let mut room = outside::find_or_make(step, &asked.room_id, template.version)?;
        if room.is_resident() {
            // Somebody joined meanwhile: the room tells of the knock as of every event.
            return Ok(());
        }
        outside::set(step, &mut room, &asked.user_id, (&pdu, template.version), (&state, alloc::vec![server.clone()]))
    })
    .map_err(failed)
}
