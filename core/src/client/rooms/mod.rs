//! Rooms (Client-Server API, "Rooms" and "Events").

pub mod create_room;
pub mod destination;
pub mod directory;
pub mod hierarchy;
pub mod invite;
pub mod join;
pub mod knock;
pub mod leave;
pub mod membership;
pub mod messages;
pub mod public_rooms;
pub mod receipts;
pub mod room_summary;
pub mod send;
pub mod state;
pub mod timestamp_to_event;
pub mod upgrade;

#[cfg(test)]
mod tests;
