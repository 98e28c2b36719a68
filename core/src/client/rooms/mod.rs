//! Rooms (Client-Server API, "Rooms" and "Events").

pub mod create_room;
pub mod directory;
pub mod membership;
pub mod messages;
pub mod public_rooms;
pub mod restricted;
pub mod send;
pub mod state;

use super::routes::Route;

/// Every route of this folder.
pub const TABLES: &[&[Route]] = &[
    create_room::ROUTES,
    directory::ROUTES,
    membership::ROUTES,
    messages::ROUTES,
    public_rooms::ROUTES,
    send::ROUTES,
    state::ROUTES,
];
