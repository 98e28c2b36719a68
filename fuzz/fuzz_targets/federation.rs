//! Everything that other servers can do to this one: a homeserver with a local user, and a peer that sends it requests and
//! answers its own, honest ones, broken ones and lies. The first byte picks the room version, the others what happens, in order
//! (`actions.rs`); once they are used up the peer is honest, and time passes.
//!
//! Whatever happens: no panic; each request is answered with JSON and a status of the specification; nothing waits for ever; what
//! is written is in proportion to what came; nobody's events are stored whose server has not signed them; the local user's room
//! stays theirs, and they can go on talking in it.
#![no_main]

#[path = "federation/actions.rs"]
mod actions;
#[path = "federation/answers.rs"]
mod answers;
#[path = "federation/check.rs"]
mod check;
#[path = "federation/draw.rs"]
mod draw;
#[path = "federation/host.rs"]
mod host;
#[path = "federation/peer.rs"]
mod peer;
#[path = "federation/world.rs"]
mod world;

use libfuzzer_sys::fuzz_target;
use orrery_core::room_version::RoomVersion;
use world::World;

fuzz_target!(|input: &[u8]| {
    let Some((first, bytes)) = input.split_first() else { return };
    let version = RoomVersion::ALL[usize::from(*first) % RoomVersion::ALL.len()];
    let mut world = World::new(version, bytes);
    world.act();
    world.finish();
});
