//! What virtual people know of each other: who there is, which rooms, and what was said in them.

use std::collections::{BTreeMap, BTreeSet};

use crate::checkers::to_device::Address;

/// Everyone, and what they talk about. The knowledge may be out of date, as people's is: then the server refuses.
#[derive(Debug, Default)]
pub struct Population {
    pub users: Vec<User>,
    /// In the order in which they were heard of.
    pub rooms: Vec<Room>,
    /// The roots of the threads of messages that are in one.
    threads: BTreeMap<String, String>,
    /// The user and the address of each device that has a session, by its number.
    pub sessions: BTreeMap<u32, (u32, Address)>,
}

#[derive(Debug, Default)]
pub struct User {
    /// `@u0:s0.test`
    pub id: String,
    pub localpart: String,
    pub password: String,
    /// Whether the user's server does not lie.
    pub honest: bool,
    /// The account exists.
    pub registered: bool,
    pub joined: BTreeSet<String>,
    pub invited: BTreeSet<String>,
    pub forgotten: BTreeSet<String>,
}

#[derive(Debug, Default)]
pub struct Room {
    pub id: String,
    /// Servers that are said to be in it.
    pub servers: BTreeSet<String>,
    /// Events that were acknowledged, in the order of their answers: who sent what.
    pub events: Vec<(String, u32)>,
}

impl Population {
    /// `server_of` says which server a user is on, and whether that one does not lie.
    #[must_use]
    pub fn new(users: u32, server_of: impl Fn(u32) -> (String, bool)) -> Population {
        let user = |number: u32| {
            let (server, honest) = server_of(number);
            User {
                id: format!("@u{number}:{server}"),
                localpart: format!("u{number}"),
                password: format!("correct horse {number}"),
                honest,
                ..User::default()
            }
        };
        Population { users: (0..users).map(user).collect(), ..Population::default() }
    }

    #[must_use]
    pub fn user(&self, number: u32) -> &User {
        &self.users[number as usize]
    }

    pub fn user_mut(&mut self, number: u32) -> &mut User {
        &mut self.users[number as usize]
    }

    /// The user with this ID.
    #[must_use]
    pub fn number_of(&self, id: &str) -> Option<u32> {
        self.users.iter().position(|user| user.id == id).and_then(|at| u32::try_from(at).ok())
    }

    pub fn heard_of_room(&mut self, id: &str) {
        if !self.rooms.iter().any(|room| room.id == id) {
            self.rooms.push(Room { id: id.to_owned(), ..Room::default() });
        }
    }

    pub fn heard_of_event(&mut self, room: &str, event_id: &str, sender: u32) {
        if let Some(room) = self.rooms.iter_mut().find(|known| known.id == room) {
            room.events.push((event_id.to_owned(), sender));
        }
    }

    pub fn heard_of_thread(&mut self, event_id: &str, root: &str) {
        self.threads.insert(event_id.to_owned(), root.to_owned());
    }

    /// The root of the thread that a message is known to be in.
    #[must_use]
    pub fn thread_of(&self, event_id: &str) -> Option<&str> {
        self.threads.get(event_id).map(String::as_str)
    }

    /// The user's membership, as an answer or a sync told it.
    pub fn joined(&mut self, user: u32, room: &str) {
        self.heard_of_room(room);
        let user = self.user_mut(user);
        user.invited.remove(room);
        user.joined.insert(room.to_owned());
        let server = user.id.split_once(':').map(|(_, server)| server.to_owned());
        if let Some(known) = self.rooms.iter_mut().find(|known| known.id == room) {
            known.servers.extend(server);
        }
    }

    /// The servers by which one may come into a room.
    #[must_use]
    pub fn servers_of(&self, room: &str) -> Vec<String> {
        let known = self.rooms.iter().find(|known| known.id == room);
        known.map(|known| known.servers.iter().cloned().collect()).unwrap_or_default()
    }

    pub fn invited(&mut self, user: u32, room: &str) {
        self.heard_of_room(room);
        let user = self.user_mut(user);
        if !user.joined.contains(room) {
            user.invited.insert(room.to_owned());
        }
    }
    pub fn out(&mut self, user: u32, room: &str) {
        let user = self.user_mut(user);
        user.invited.remove(room);
        user.joined.remove(room);
    }

    /// One of the rooms that the user is in.
    #[must_use]
    pub fn pick_joined(&self, user: u32, pick: u32) -> Option<String> {
        pick_of(self.user(user).joined.iter(), pick).cloned()
    }

    /// One of the rooms that the user is invited to.
    #[must_use]
    pub fn pick_invited(&self, user: u32, pick: u32) -> Option<String> {
        pick_of(self.user(user).invited.iter(), pick).cloned()
    }

    /// A room to join: an invite if there is one and the pick is even, else any.
    #[must_use]
    pub fn pick_to_join(&self, user: u32, pick: u32) -> Option<String> {
        let user = self.user(user);
        if pick.is_multiple_of(2)
            && let Some(room) = pick_of(user.invited.iter(), pick / 2)
        {
            return Some(room.clone());
        }
        let others = self.rooms.iter().filter(|room| !user.joined.contains(&room.id));
        pick_of(others, pick / 2).or_else(|| pick_of(self.rooms.iter(), pick / 2)).map(|room| room.id.clone())
    }

    /// An event of the room that was acknowledged, later ones more often.
    #[must_use]
    pub fn pick_event(&self, room: &str, pick: u32) -> Option<String> {
        let events = &self.rooms.iter().find(|known| known.id == room)?.events;
        let recent = if pick.is_multiple_of(4) { 0 } else { events.len().saturating_sub(8) };
        pick_of(events[recent..].iter(), pick / 4).map(|(event_id, _)| event_id.clone())
    }

    /// Anyone but `user`.
    #[must_use]
    pub fn pick_other(&self, user: u32, pick: u32) -> Option<u32> {
        let others = self.users.iter().enumerate().filter(|(number, _)| *number != user as usize);
        pick_of(others, pick).and_then(|(number, _)| u32::try_from(number).ok())
    }

    /// A session of any other device, with its user.
    #[must_use]
    pub fn pick_device(&self, device: u32, pick: u32) -> Option<(u32, Address)> {
        let others = self.sessions.iter().filter(|(number, _)| **number != device);
        pick_of(others, pick).map(|(_, session)| session.clone())
    }

    /// Who shares `room` with `user`, as far as is known; anyone if nobody does.
    #[must_use]
    pub fn pick_member(&self, user: u32, room: &str, pick: u32) -> Option<u32> {
        let members = self.users.iter().enumerate().filter(|(number, other)| {
            *number != user as usize && (other.joined.contains(room) || other.invited.contains(room))
        });
        match pick_of(members, pick) {
            Some((number, _)) => u32::try_from(number).ok(),
            None => self.pick_other(user, pick),
        }
    }

    /// The rooms that each user is thought to be in.
    #[must_use]
    pub fn rooms_of(&self, user: u32) -> BTreeMap<&str, bool> {
        let user = self.user(user);
        self.rooms.iter().map(|room| (room.id.as_str(), user.joined.contains(&room.id))).collect()
    }
}

fn pick_of<T>(from: impl Iterator<Item = T> + Clone, pick: u32) -> Option<T> {
    let count = from.clone().count();
    if count == 0 { None } else { from.into_iter().nth(pick as usize % count) }
}
