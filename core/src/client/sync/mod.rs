//! `GET /sync` (Client-Server API, "Syncing"): what is new for a user since a position, now or when it happens.
//!
//! The machine ([`machine::SyncMachine`]) knows who is waiting and for what, finds in the log what may have changed for
//! them, and asks the pure part ([`answer::answer`]) for the answer. What costs more than a moment (an initial sync, say) is
//! answered by [`query`], which is the same pure part on another thread.

pub mod account_data;
pub mod answer;
pub mod changes;
pub mod device_lists;
pub mod ephemeral;
pub mod invited;
pub mod joined;
pub mod lazy_members;
pub mod left;
pub mod machine;
pub mod memory;
pub mod request;
pub mod state;
pub mod summary;
pub mod timeline;
pub mod to_device;

mod active;
mod waiter;

use alloc::collections::BTreeMap;
use alloc::rc::Rc;

use super::push_rules::judge::PushRules;
use super::request::{Answer, Auth, ClientRequest, Handler, Limit, QueryContext};
use super::routes::Route;
use super::unread::Reader;
use crate::error::ApiError;
use crate::http::{Method, Response};
use crate::store::{Record, log};
use answer::Inputs;
use changes::{Changes, UserRooms};
use ephemeral::Ephemeral;
use lazy_members::SentMembers;
use request::SyncRequest;

pub const ROUTES: &[Route] =
    &[Route::new(Method::Get, "/_matrix/client/v3/sync", Auth::Guest, Limit::None, Handler::Sync)];

/// Answers a sync from a durable snapshot; `ephemeral` is what the machine sent along.
pub fn query(context: &QueryContext<'_>, request: &ClientRequest, ephemeral: Option<&[u8]>) -> Answer {
    let requester = request.requester();
    let until = log::last_position(context.read)?;
    let asked = SyncRequest::parse(context, request, until)?;
    let ephemeral = ephemeral.ok_or_else(|| ApiError::internal("A sync came without what lives in memory"))?;
    let ephemeral = Ephemeral::decode(ephemeral)?;
    let rooms = UserRooms::load(context.read, &requester.user_id)?;
    let since = asked.since.map(|token| token.position);
    let changes = match since {
        Some(since) if !asked.full_state => {
            let mut changes = Changes::since(context.read, &requester.user_id, &rooms, (since, until))?;
            changes.to_device |= asked.since.is_some_and(|token| token.to_device.is_some());
            Some(changes)
        }
        _ => None,
    };
    let inputs = Inputs {
        context: *context,
        requester,
        request: &asked,
        since,
        until,
        rooms: &rooms,
        changes: changes.as_ref(),
        ephemeral: &ephemeral,
        sent_before: &SentMembers::default(),
        account_data: account_data::since(context.read, &requester.user_id, since, until)?,
        reader: &Reader::load(context.read, &requester.user_id, || Rc::new(PushRules::defaults()))?,
        unread: BTreeMap::new(),
    };
    let answer = answer::answer(&inputs)?;
    Ok(Response::json_bytes(200, answer.body.into()))
}

#[cfg(test)]
mod tests;
