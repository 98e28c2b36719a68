//! EDUs of other servers (Server-Server API, "EDUs"). One that is bad, or that its sender may not send, is dropped by itself.

use alloc::collections::BTreeMap;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

use crate::canonical_json::{Object, Value};
use crate::client::account::accounts;
use crate::client::presence::PresenceState;
use crate::client::to_device;
use crate::encryption::cross_signing::Usage;
use crate::encryption::remote_devices::{self, Applied, Update};
use crate::error::ApiError;
use crate::event::content::Membership;
use crate::federation::query_keys::{self, resynchronize};
use crate::flow::{Cx, Notice, Step};
use crate::identifiers::{DeviceId, ServerName, UserId};
use crate::limits::{
    EDUS_AT_ONCE, MAX_EDU_ITEMS, MAX_IDENTIFIER, MAX_MESSAGE_ID, MAX_SEEN_MESSAGES, MAX_STATUS_MESSAGE,
    MAX_TRANSACTION_EDUS, STORAGE_RETRY, STORAGE_TRIES,
};
use crate::room::receipts::{self, Receipt, ReceiptKind};
use crate::room::{Room, membership, server_acl};
use crate::store::StorageError;
use crate::store::ring::Ring;
use crate::store::tables::{Table, tags};
use crate::time::Timestamp;

/// Why an EDU is dropped. Its server is not told.
fn bad(why: &str) -> ApiError {
    ApiError::bad_json(why)
}

/// Takes the EDUs of a transaction, after its PDUs, which receipts may be for.
pub async fn handle(cx: &Cx, origin: &ServerName, edus: &[Value]) {
    let mut tries = STORAGE_TRIES;
    for (i, edu) in edus.iter().take(MAX_TRANSACTION_EDUS).enumerate() {
        if i > 0 && i % EDUS_AT_ONCE == 0 {
            cx.give_way().await;
        }
        // A fault of ours, such as a disk that cannot be read at the moment. Who sent the EDU will not send it again.
        while take(cx, origin, edu).is_err_and(|error| error.status >= 500) {
            tries = tries.saturating_sub(1);
            if tries == 0 {
                break;
            }
            cx.sleep_until(cx.now() + STORAGE_RETRY).await;
        }
    }
}

fn take(cx: &Cx, origin: &ServerName, edu: &Value) -> Result<(), ApiError> {
    let content = edu.get("content").and_then(Value::as_object).ok_or_else(|| bad("content"))?;
    match edu.get("edu_type").and_then(Value::as_str).ok_or_else(|| bad("edu_type"))? {
        // A step writes to one room.
        "m.receipt" => {
            let mut left = MAX_EDU_ITEMS;
            for (room_id, receipts) in content.iter() {
                match cx.step(|step| take_receipts(step, origin, (room_id, receipts), &mut left)) {
                    Err(error) if error.status >= 500 => return Err(error),
                    _ => {}
                }
            }
            Ok(())
        }
        "m.typing" => cx.step(|step| take_typing(step, origin, content)),
        "m.presence" => cx.step(|step| take_presence(step, origin, content)),
        "m.direct_to_device" => cx.step(|step| take_to_device(step, origin, content)),
        "m.device_list_update" => {
            let update = cx.step(|step| read_device_list_update(step, origin, content))?;
            if cx.step(|step| Ok(remote_devices::update(step, &update)?))? == Applied::Gap {
                ask_for_list(cx, update.user_id);
            }
            Ok(())
        }
        "m.signing_key_update" => {
            let (user_id, applied) = cx.step(|step| take_signing_keys(step, origin, content))?;
            if applied == Applied::Gap {
                ask_for_list(cx, user_id);
            }
            Ok(())
        }
        _ => Err(bad("an EDU of an unknown type")),
    }
}

fn ask_for_list(cx: &Cx, user_id: UserId) {
    let asking = cx.clone();
    cx.spawn("ask for a device list", async move { resynchronize(&asking, &user_id).await });
}

/// A user of the server that says something about them.
fn user_of(origin: &ServerName, text: Option<&str>) -> Result<UserId, ApiError> {
    let user_id = text.and_then(|text| UserId::parse(text).ok()).ok_or_else(|| bad("not a user ID"))?;
    if user_id.server_str() != origin.as_str() {
        return Err(bad("another server's user"));
    }
    Ok(user_id)
}

/// The `user_id` of an EDU, who shares a room with users of this server: of others nothing is kept.
fn known_user(step: &Step<'_>, origin: &ServerName, content: &Object) -> Result<UserId, ApiError> {
    let user_id = user_of(origin, content.str("user_id"))?;
    if membership::rooms_of(step, &user_id)?.is_empty() {
        return Err(bad("a user who shares no room with any here"));
    }
    Ok(user_id)
}

/// A room in which this server is, and the other one may be.
fn room_for(step: &Step<'_>, origin: &ServerName, room_id: &str) -> Result<Room, ApiError> {
    let room = Room::find(step, room_id)?.filter(Room::is_resident).ok_or_else(|| bad("not a room of this server"))?;
    if !server_acl::allows(step, &room, origin)? {
        return Err(bad("the room's server ACL"));
    }
    Ok(room)
}

fn require_joined(step: &Step<'_>, user_id: &UserId, room: &Room) -> Result<(), ApiError> {
    match membership::of(step, user_id, room.num)? {
        Some(row) if row.membership == Membership::Join => Ok(()),
        _ => Err(bad("the user is not in the room")),
    }
}

fn take_typing(step: &mut Step<'_>, origin: &ServerName, content: &Object) -> Result<(), ApiError> {
    let user_id = user_of(origin, content.str("user_id"))?;
    let typing = content.bool("typing").ok_or_else(|| bad("typing"))?;
    let room = room_for(step, origin, content.str("room_id").ok_or_else(|| bad("room_id"))?)?;
    require_joined(step, &user_id, &room)?;
    step.notify(Notice::RemoteTyping { room: room.num, user_id, typing });
    Ok(())
}

fn take_receipts(
    step: &mut Step<'_>,
    origin: &ServerName,
    (room_id, by_kind): (&str, &Value),
    left: &mut usize,
) -> Result<(), ApiError> {
    let room = room_for(step, origin, room_id)?;
    let users = by_kind.get("m.read").and_then(Value::as_object).ok_or_else(|| bad("m.read"))?;
    for (user_id, details) in users.iter() {
        if *left == 0 {
            break;
        }
        *left -= 1;
        match receipt(step, origin, &room, (user_id, details)) {
            Ok(receipt) => receipts::advance(step, &room, &receipt)?,
            Err(error) if error.status < 500 => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

fn receipt(
    step: &Step<'_>,
    origin: &ServerName,
    room: &Room,
    (user_id, details): (&str, &Value),
) -> Result<Receipt, ApiError> {
    let user_id = user_of(origin, Some(user_id))?;
    require_joined(step, &user_id, room)?;
    let event_id = details.get("event_ids").and_then(Value::as_array).and_then(|ids| ids.first()?.as_str());
    let event = room.timeline_event(step, event_id.ok_or_else(|| bad("event_ids"))?)?;
    let event = event.ok_or_else(|| bad("an event that is not here"))?;
    let data = details.get("data").and_then(Value::as_object).ok_or_else(|| bad("data"))?;
    let ts = data.integer("ts").and_then(|ts| u64::try_from(ts).ok()).ok_or_else(|| bad("ts"))?;
    let thread_id = match data.get("thread_id") {
        None => None,
        Some(Value::String(thread)) if !thread.is_empty() && thread.len() <= MAX_IDENTIFIER => Some(thread.clone()),
        Some(_) => return Err(bad("thread_id")),
    };
    let (event_id, order) = (event.header.event_id, event.header.order);
    Ok(Receipt { kind: ReceiptKind::Read, user_id, thread_id, event_id, order, ts: Timestamp(ts) })
}

fn take_presence(step: &mut Step<'_>, origin: &ServerName, content: &Object) -> Result<(), ApiError> {
    if !step.config.presence {
        return Ok(());
    }
    let push = content.array("push").ok_or_else(|| bad("push"))?;
    // Of two items about one user, the later counts.
    let mut updates = BTreeMap::new();
    for item in push.iter().take(MAX_EDU_ITEMS).filter_map(Value::as_object) {
        let is_good = item.str("presence").and_then(PresenceState::parse).is_some()
            && item.integer("last_active_ago").is_some_and(|millis| millis >= 0)
            && item.str("status_msg").is_none_or(|text| text.len() <= MAX_STATUS_MESSAGE);
        if is_good && let Ok(user_id) = known_user(step, origin, item) {
            let mut update = item.clone();
            update.retain(|name, _| matches!(name, "presence" | "last_active_ago" | "status_msg" | "currently_active"));
            updates.insert(user_id, update);
        }
    }
    for (user_id, update) in updates {
        step.notify(Notice::RemotePresence { user_id, update });
    }
    Ok(())
}

/// Messages that came, so that none is taken twice: by server and message ID. A ring: the newest takes the place of the one that
/// came longest ago.
const SEEN_MESSAGES: Table<(ServerName, String), ()> = Table::new(tags::SEEN_MESSAGE);
const SEEN_SLOTS: Table<u32, SeenMessage> = Table::new(tags::SEEN_MESSAGE_SLOT);
const SEEN_RING: Ring = Ring::new(tags::SEEN_MESSAGE_NEXT_SLOT, MAX_SEEN_MESSAGES);

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct SeenMessage {
    origin: ServerName,
    message_id: String,
}

/// `false` if the message was seen before.
fn see_message(step: &mut Step<'_>, origin: &ServerName, message_id: &str) -> Result<bool, StorageError> {
    if SEEN_MESSAGES.get(step, (origin, message_id))?.is_some() {
        return Ok(false);
    }
    let seen = SeenMessage { origin: origin.clone(), message_id: message_id.to_string() };
    if let (_, Some(before)) = SEEN_RING.put(step, &SEEN_SLOTS, &seen)? {
        SEEN_MESSAGES.delete(step, (before.origin, before.message_id));
    }
    SEEN_MESSAGES.put(step, (origin, message_id), &());
    Ok(true)
}

fn take_to_device(step: &mut Step<'_>, origin: &ServerName, content: &Object) -> Result<(), ApiError> {
    let sender = user_of(origin, content.str("sender"))?;
    let kind = content.str("type").filter(|kind| kind.len() <= MAX_IDENTIFIER).ok_or_else(|| bad("type"))?;
    let message_id = content.str("message_id").filter(|id| id.chars().count() <= MAX_MESSAGE_ID);
    let message_id = message_id.ok_or_else(|| bad("message_id"))?;
    let messages = content.object("messages").ok_or_else(|| bad("messages"))?;
    if !see_message(step, origin, message_id)? {
        return Ok(());
    }
    let mut local = Vec::new();
    for (user_id, by_device) in messages.iter() {
        let (Ok(user_id), Some(by_device)) = (UserId::parse(user_id), by_device.as_object()) else { continue };
        if accounts::is_local(step.config, &user_id) && accounts::is_active(step, &user_id)? {
            local.push((user_id, by_device));
        }
    }
    Ok(to_device::deliver(step, (&sender, kind), &local)?)
}

fn read_device_list_update(step: &Step<'_>, origin: &ServerName, content: &Object) -> Result<Update, ApiError> {
    let user_id = known_user(step, origin, content)?;
    let device_id = content.str("device_id").and_then(|id| DeviceId::parse(id).ok()).ok_or_else(|| bad("device_id"))?;
    let number = |value: &Value| value.as_integer().and_then(|id| u64::try_from(id).ok());
    let stream_id = content.get("stream_id").and_then(number).ok_or_else(|| bad("stream_id"))?;
    // What is no number is an update that was never seen.
    let prev_id =
        content.array("prev_id").unwrap_or_default().iter().map(|id| number(id).unwrap_or(u64::MAX)).collect();
    let device = match content.bool("deleted") {
        Some(true) => None,
        _ => {
            let name = content.str("device_display_name");
            remote_devices::read_device(&user_id, &device_id, content.object("keys"), name)
        }
    };
    Ok(Update { user_id, device_id, stream_id, prev_id, device })
}

fn take_signing_keys(
    step: &mut Step<'_>,
    origin: &ServerName,
    content: &Object,
) -> Result<(UserId, Applied), ApiError> {
    let user_id = known_user(step, origin, content)?;
    let mut keys = Vec::new();
    for usage in Usage::ALL.into_iter().filter(|usage| usage.is_public()) {
        if let Some(key) = content.get(usage.member()) {
            let key = query_keys::cross_signing_key(&user_id, usage, key).ok_or_else(|| bad(usage.member()))?;
            keys.push((usage, key));
        }
    }
    let applied = remote_devices::update_signing_keys(step, &user_id, &keys)?;
    Ok((user_id, applied))
}

#[cfg(test)]
mod tests;
