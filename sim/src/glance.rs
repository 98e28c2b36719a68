//! A glance: what each server's rooms look like at one moment of a world, for the person who steps through it.

use core::ops::ControlFlow;

use orrery_core::room::tables::ROOM_BY_ID;
use orrery_core::room::{EventIndex, Room, StoredEvent};
use orrery_core::store::tables::RoomNum;
use orrery_core::store::{Order, Read, StorageError};

use crate::clock::Time;
use crate::server::Server;

/// Stops a world at a moment, and looks.
pub struct Glance {
    /// What happens later does not happen.
    pub until: Time,
    /// Gets what there is to see, line by line.
    pub tell: Box<dyn FnMut(&str)>,
}

impl core::fmt::Debug for Glance {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Glance").field("until", &self.until).finish_non_exhaustive()
    }
}

impl Glance {
    /// Tells of every server and its rooms, as far as they are durable.
    pub fn look(&mut self, servers: &[Server]) {
        for (number, server) in servers.iter().enumerate() {
            let life = server.life();
            let up = if server.core().is_some() { "up" } else { "down" };
            let liar = if server.liar.is_some() { ", Byzantine" } else { "" };
            (self.tell)(&format!("server {number}: {up}, life {life}{liar}"));
            match lines(&server.disk().look()) {
                Ok(lines) => lines.iter().for_each(|line| (self.tell)(line)),
                Err(error) => (self.tell)(&format!("  cannot be read: {error}")),
            }
            for flow in server.core().into_iter().flat_map(|core| core.report()) {
                (self.tell)(&format!("  {flow:?}"));
            }
        }
    }
}

/// The rooms of which a server has a state, with the events of it.
pub fn rooms_of(read: &dyn Read) -> Result<Vec<(RoomNum, Room, Vec<EventIndex>)>, StorageError> {
    let mut numbers = Vec::new();
    ROOM_BY_ID.scan::<StorageError>(read, (), Order::Ascending, |_, num| {
        numbers.push(num);
        Ok(ControlFlow::Continue(()))
    })?;
    let mut rooms = Vec::new();
    for num in numbers {
        let Some(room) = Room::get(read, num)? else { continue };
        let mut state = Vec::new();
        room.walk_state(read, room.head.state, None, &mut |index| {
            state.push(index);
            ControlFlow::Continue(())
        })?;
        rooms.push((num, room, state));
    }
    Ok(rooms)
}

/// Three lines for each room.
pub fn lines(read: &dyn Read) -> Result<Vec<String>, StorageError> {
    let mut lines = Vec::new();
    for (num, room, state) in rooms_of(read)? {
        let mut members = Vec::new();
        for index in &state {
            let event = StoredEvent::expect(read, num, *index)?;
            if event.header.kind == "m.room.member"
                && let Some(membership) = event.pdu(room.info.version)?.membership()
            {
                members.push(format!("{} {}", event.header.state_key.unwrap_or_default(), membership.as_str()));
            }
        }
        let mut extremities = Vec::new();
        for index in &room.head.extremities {
            let event = StoredEvent::expect(read, num, *index)?;
            extremities.push(format!("{} ({})", event.header.event_id, event.header.kind));
        }
        lines.push(format!("  {}: {} state events", room.room_id(), state.len()));
        lines.push(format!("    members: {}", members.join(", ")));
        lines.push(format!("    extremities: {}", extremities.join(", ")));
    }
    Ok(lines)
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::rc::Rc;

    use super::*;
    use crate::plan::Plan;
    use crate::runner::run;
    use crate::world::Extras;

    /// What there is to see at a moment of a world in which a second person comes into a room of another server.
    fn seen(until: u64) -> Vec<String> {
        let plan = "version = 1\n[world]\nservers = 2\n[plan]\nops = [\n\
            { number = 0, at = \"1s\", device = 0, lane = 0, do = \"CreateRoom\", picks = [0, 0, 0] },\n\
            { number = 1, at = \"5s\", device = 1, lane = 0, do = \"Join\", picks = [0, 0, 0] }]\n\
            [world.clients]\ndevices = [0, 1]\n";
        let lines = Rc::new(RefCell::new(Vec::new()));
        let told = lines.clone();
        let tell = Box::new(move |line: &str| told.borrow_mut().push(line.to_owned()));
        let glance = Some(Glance { until: Time(until), tell });
        let outcome = run(&Plan::from_toml(plan).unwrap(), Extras { glance, ..Extras::default() });
        assert_eq!(outcome.failure, None);
        lines.take()
    }

    #[test]
    fn rooms_are_shown_as_they_are_at_the_time() {
        let check = |until: u64, servers: [&str; 2]| {
            let lines = seen(until);
            let members = |number: &str| {
                let after = lines.iter().skip_while(|line| !line.starts_with(&format!("server {number}: up, life")));
                let mine = after.skip(1).take_while(|line| !line.starts_with("server"));
                mine.filter_map(|line| line.strip_prefix("    members: ")).collect::<Vec<_>>().join("; ")
            };
            assert_eq!(["0", "1"].map(members), servers, "{lines:?}");
        };
        check(900_000, ["", ""]);
        check(4_000_000, ["@u0:s0.test join, @u1:s1.test invite", ""]);
        let both = "@u0:s0.test join, @u1:s1.test join";
        check(8_000_000, [both, both]);
        check(u64::MAX, [both, both]);
    }
}
