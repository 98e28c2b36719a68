//! The Server-Server API as it is served: an endpoint's route stands beside its handler.

use crate::client::routes::Route;

pub mod backfill;
pub mod event_auth;
pub mod events;
<<<<<<< HEAD
pub mod hierarchy;
=======
mod handshake;
pub mod invites;
pub mod joins;
>>>>>>> af7da0e (Come into rooms of other servers, and let their users into ours: joins, knocks, invites, leaves)
pub mod keys;
pub mod knocks;
pub mod leaves;
pub mod media;
pub mod openid;
pub mod public_rooms;
pub mod query;
pub mod room_access;
pub mod state;
pub mod user_devices;
pub mod version;
pub mod well_known;

/// Every table of routes.
pub const TABLES: &[&[Route]] = &[
    backfill::ROUTES,
    event_auth::ROUTES,
    events::ROUTES,
<<<<<<< HEAD
    hierarchy::ROUTES,
=======
    invites::ROUTES,
    joins::ROUTES,
>>>>>>> af7da0e (Come into rooms of other servers, and let their users into ours: joins, knocks, invites, leaves)
    keys::ROUTES,
    knocks::ROUTES,
    leaves::ROUTES,
    media::ROUTES,
    openid::ROUTES,
    public_rooms::ROUTES,
    query::ROUTES,
    state::ROUTES,
    user_devices::ROUTES,
    version::ROUTES,
    well_known::ROUTES,
];

#[cfg(test)]
mod tests;
