//! Asking another server for its published rooms (Server-Server API, "Published Room Directory").

use alloc::vec::Vec;

use super::outgoing::{Outgoing, RemoteError, call};
use super::remote_summary;
use crate::canonical_json::{Object, Value};
use crate::flow::Cx;
use crate::identifiers::ServerName;
use crate::limits::{MAX_IDENTIFIER, MAX_PUBLIC_ROOMS_PAGE, QUERY_TIMEOUT};

/// One page of the list of `server`, as clients are shown it. `asked` is the body of the request: `limit`, `since`, `filter` and
/// the rest as a client sent them.
pub async fn public_rooms(cx: &Cx, server: &ServerName, asked: Object) -> Result<Object, RemoteError> {
    let request = Outgoing::post("/_matrix/federation/v1/publicRooms", asked.into()).timeout(QUERY_TIMEOUT);
    let answer = call(cx, server, request).await?;
    let rooms = answer.get("chunk").and_then(Value::as_array);
    let rooms = rooms.ok_or_else(|| RemoteError::BadAnswer("it has no list of rooms".into()))?;
    let rooms = rooms.iter().filter_map(|room| remote_summary::acceptable(room.as_object()?));
    let rooms: Vec<Value> = rooms.take(MAX_PUBLIC_ROOMS_PAGE).map(Value::from).collect();
    let mut page = Object::new().with("chunk", rooms);
    for name in ["next_batch", "prev_batch"] {
        if let Some(token) = answer.get(name).and_then(Value::as_str).filter(|token| token.len() <= 4 * MAX_IDENTIFIER)
        {
            page.insert(name, token);
        }
    }
    let total = answer.get("total_room_count_estimate").and_then(Value::as_integer);
    if let Some(total) = total.filter(|total| *total >= 0) {
        page.insert("total_room_count_estimate", total);
    }
    Ok(page)
}
