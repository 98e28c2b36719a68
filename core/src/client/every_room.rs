//! Changes that must reach every room of a user. A step writes to one room at most, so such a change is an errand: stored
//! with the change itself, carried out room by room, and taken up again after a restart.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::future::Future;
use core::ops::ControlFlow;
use core::pin::Pin;

use super::account::accounts;
use super::profile;
use super::rooms::leave::leave;
use crate::canonical_json::Object;
use crate::error::ApiError;
use crate::event::content::Membership;
use crate::federation::{self, policy_sign};
use crate::flow::{Cx, Step};
use crate::identifiers::{RoomId, UserId};
use crate::limits::ROOMS_AT_ONCE;
use crate::room::append::{Draft, append};
use crate::room::{Room, membership};
use crate::store::tables::{RoomNum, Table, tags};
use crate::store::{Order, Read, StorageError};

/// What there is to do in every room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Errand {
    /// Repeat the user's profile in their member event (Client-Server API, "Events on Change of Profile Information").
    Profile,
    /// Leave, since the account is over (Client-Server API, "Account deactivation").
    Leave,
}

impl Errand {
    const ALL: [Errand; 2] = [Errand::Profile, Errand::Leave];

    const fn key(self) -> u8 {
        match self {
            Errand::Profile => 0,
            Errand::Leave => 1,
        }
    }
}

/// By user and errand: how often it was begun, so that an earlier run does not end a later one.
const ERRANDS: Table<(UserId, u8), u32> = Table::new(tags::ERRAND);

/// An errand that was stored.
#[derive(Clone, Debug)]
pub struct Begun {
    user_id: UserId,
    errand: Errand,
    run: u32,
}

/// Stores an errand; [`carry_out`] follows.
pub fn begin(step: &mut Step<'_>, user_id: &UserId, errand: Errand) -> Result<Begun, StorageError> {
    let run = ERRANDS.get(step, (user_id, errand.key()))?.unwrap_or(0).wrapping_add(1);
    ERRANDS.put(step, (user_id, errand.key()), &run);
    Ok(Begun { user_id: user_id.clone(), errand, run })
}

/// Does what there is to do, room by room, with a break for others now and then.
pub async fn carry_out(cx: &Cx, begun: Begun) -> Result<(), ApiError> {
    let Begun { user_id, errand, run } = begun;
    cx.outlive_request();
    let rooms: Vec<RoomNum> = cx.step(|step| {
        let rooms = membership::rooms_of(step, &user_id)?;
        Ok(rooms.into_iter().filter(|(_, row)| concerns(errand, row.membership)).map(|(room, _)| room).collect())
    })?;
    for (i, room) in rooms.into_iter().enumerate() {
        if i > 0 && i % ROOMS_AT_ONCE == 0 {
            cx.give_way().await;
        }
        if errand == Errand::Leave {
            // An invite from another server is refused there too, if that can be.
            let room_id = cx.step(|step| Ok(Room::expect(step, room)?.info.room_id))?;
            federation::leave::leave(cx, &room_id, &user_id, None).await?;
        }
        match policy_sign::step(cx, |step| carry_out_in(step, room, &user_id, errand)).await {
            Err(error) if is_of_room(&error) => {}
            other => other?,
        }
    }
    cx.step(|step| {
        if ERRANDS.get(step, (&user_id, errand.key()))? == Some(run) {
            ERRANDS.delete(step, (&user_id, errand.key()));
        }
        Ok(())
    })
}

/// Whether it is the room that does not let the user do it, by its rules or by its policy server: then it stays as it is.
fn is_of_room(error: &ApiError) -> bool {
    error.status != 500
}

/// Does in one room what errands did in the others while the user was on the way into it.
pub async fn catch_up(cx: &Cx, user_id: &UserId, room_id: &RoomId) -> Result<(), ApiError> {
    let result = policy_sign::step(cx, |step| {
        let Some(room) = Room::find(step, room_id)? else { return Ok(()) };
        let active = accounts::account_of(step, user_id)?.is_some_and(|account| account.is_active());
        carry_out_in(step, room.num, user_id, if active { Errand::Profile } else { Errand::Leave })
    });
    match result.await {
        Err(error) if is_of_room(&error) => Ok(()),
        other => other,
    }
}

/// An errand taken up again.
pub type Resumed = Pin<Box<dyn Future<Output = ()>>>;

/// The errands that the last life of the server left, as flows.
pub fn resume(cx: &Cx, read: &dyn Read) -> Result<Vec<Resumed>, StorageError> {
    let mut flows: Vec<Resumed> = Vec::new();
    ERRANDS.scan::<StorageError>(read, (), Order::Ascending, |(user_id, key), run| {
        if let Some(errand) = Errand::ALL.into_iter().find(|errand| errand.key() == key) {
            let cx = cx.clone();
            flows.push(Box::pin(async move {
                // What fails is still stored, and is taken up at the next start.
                let _ = carry_out(&cx, Begun { user_id, errand, run }).await;
            }));
        }
        Ok(ControlFlow::Continue(()))
    })?;
    Ok(flows)
}

fn concerns(errand: Errand, membership: Membership) -> bool {
    match errand {
        Errand::Profile => membership == Membership::Join,
        Errand::Leave => matches!(membership, Membership::Join | Membership::Invite | Membership::Knock),
    }
}

fn carry_out_in(step: &mut Step<'_>, room: RoomNum, user_id: &UserId, errand: Errand) -> Result<(), ApiError> {
    let Some(row) = membership::of(step, user_id, room)? else { return Ok(()) };
    if !concerns(errand, row.membership) {
        return Ok(());
    }
    let mut room = Room::expect(step, room)?;
    match errand {
        Errand::Leave => leave(step, &mut room, user_id, None),
        Errand::Profile => repeat_profile(step, &mut room, user_id),
    }
}

fn repeat_profile(step: &mut Step<'_>, room: &mut Room, user_id: &UserId) -> Result<(), ApiError> {
    let profile = profile::member_content(step, user_id)?;
    let current = room.current_content(step, "m.room.member", user_id)?.unwrap_or_default();
    if ["avatar_url", "displayname"].into_iter().all(|name| current.get(name) == profile.get(name)) {
        return Ok(());
    }
    let mut content = Object::new().with("membership", Membership::Join.as_str());
    content.extend(profile);
    append(step, room, Draft::state(user_id, "m.room.member", user_id, content)).map(|_| ())
}
