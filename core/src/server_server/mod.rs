//! The Server-Server API as it is served: an endpoint's route stands beside its handler.

use crate::client::routes::Route;

pub mod backfill;
pub mod event_auth;
pub mod events;
pub mod hierarchy;
mod handshake;
pub mod invites;
pub mod joins;
pub mod keys;
pub mod knocks;
pub mod leaves;
pub mod media;
pub mod openid;
pub mod public_rooms;
pub mod query;
pub mod room_access;
pub mod send;
pub mod state;
pub mod third_party_invites;
pub mod timestamp;
pub mod user_devices;
pub mod edus;
pub mod version;
pub mod well_known;

/// Every table of routes.
pub const TABLES: &[&[Route]] = &[
    backfill::ROUTES,
    event_auth::ROUTES,
    events::ROUTES,
    hierarchy::ROUTES,
    invites::ROUTES,
    joins::ROUTES,
    keys::ROUTES,
    knocks::ROUTES,
    leaves::ROUTES,
    media::ROUTES,
    openid::ROUTES,
    public_rooms::ROUTES,
    query::ROUTES,
    send::ROUTES,
    state::ROUTES,
    third_party_invites::ROUTES,
    timestamp::ROUTES,
    user_devices::ROUTES,
    version::ROUTES,
    well_known::ROUTES,
];

#[cfg(test)]
mod tests;
