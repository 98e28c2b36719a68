//! Rooms (Client-Server API, "Rooms" and "Events").

pub mod create_room;
pub mod destination;
pub mod directory;
pub mod invite;
pub mod join;
pub mod knock;
pub mod leave;
pub mod membership;
pub mod messages;
pub mod public_rooms;
pub mod receipts;
pub mod send;
pub mod state;

#[cfg(test)]
mod tests;
