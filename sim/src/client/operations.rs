//! Operations: what a person does, through one device, and what the ledger learns of it.

use orrery_core::canonical_json::{Object, Value};

use super::Device;
use super::call::{Call, Reply};
use crate::checkers::ledger::{OP, Register, Sent, reason};
use crate::checkers::pace::Taken;
use crate::path;
use crate::workload::{OpKind, PlannedOp};
use crate::world::server_name;

const PRESETS: [&str; 3] = ["public_chat", "public_chat", "private_chat"];
const VISIBILITIES: [&str; 4] = ["shared", "joined", "invited", "world_readable"];
const JOIN_RULES: [&str; 3] = ["public", "invite", "knock"];
const TAGS: [&str; 2] = ["m.favourite", "u.work"];
pub const KINDS: [&str; 3] = ["org.orrery.a", "org.orrery.b", "org.orrery.c"];

/// What is known of an operation once it is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Done {
    Acknowledged,
    Refused,
    /// There was nothing to do it with, or to.
    Skipped,
    /// The server does not have the endpoint.
    Unrecognized,
}

impl Device {
    /// Does its operations, each when its time has come.
    pub async fn work(&self, ops: Vec<PlannedOp>) {
        for op in ops {
            self.hub.sleep_until(op.at.max(self.hub.now())).await;
            self.with_session().await;
            self.busy.set(self.busy.get() + 1);
            self.watch.begins(self.hub.now(), op, self.server, self.user);
            let done = self.perform(op).await.unwrap_or(Done::Skipped);
            self.watch.done(self.hub.now(), op, done);
            self.busy.set(self.busy.get() - 1);
            self.work.borrow_mut().done(done);
        }
    }

    async fn perform(&self, op: PlannedOp) -> Option<Done> {
        match op.kind {
            OpKind::CreateRoom => self.create_room(op).await,
            OpKind::Join | OpKind::Knock => self.enter(op).await,
            OpKind::Leave | OpKind::Forget => self.depart(op).await,
            OpKind::Invite | OpKind::Kick | OpKind::Ban | OpKind::Unban => self.move_other(op).await,
            OpKind::Send => self.send(op).await,
            OpKind::SendState => self.send_state(op).await,
            OpKind::Govern => self.govern(op).await,
            OpKind::Alias => self.alias(op).await,
            OpKind::Redact => self.redact(op).await,
            OpKind::Receipt => self.receipt(op).await,
            OpKind::ReadMarkers => self.read_markers(op).await,
            OpKind::Typing => self.typing(op).await,
            OpKind::AccountData => self.account_data(op).await,
            OpKind::RoomAccountData => self.room_account_data(op).await,
            OpKind::Tag => self.tag(op).await,
            OpKind::DisplayName => self.display_name(op).await,
            // What is half done must not go on under another session: transaction IDs count within one.
            OpKind::Relogin if self.busy.get() > 1 => None,
            OpKind::Relogin => {
                self.relogin().await;
                Some(Done::Acknowledged)
            }
            OpKind::Refresh => {
                self.refresh().await;
                Some(Done::Acknowledged)
            }
            OpKind::Read => self.read(op).await,
            OpKind::FoundRoom => self.found_room(op).await,
            OpKind::PowerStruggle => self.struggle(op).await,
            OpKind::Restrict => self.restrict(op).await,
            OpKind::AddToSpace => self.add_to_space(op).await,
            OpKind::Upgrade => self.upgrade(op).await,
            OpKind::MoveOn => self.move_on(op).await,
            OpKind::Reject => self.reject(op).await,
            OpKind::RedactState => self.redact_state(op).await,
            OpKind::Edit | OpKind::React | OpKind::Reply => self.relate(op).await,
            OpKind::ThreadReceipt => self.thread_receipt(op).await,
            OpKind::Presence => self.presence(op).await,
            OpKind::PushRule => self.push_rule(op).await,
            OpKind::UploadKeys => self.upload_keys(op).await,
            OpKind::QueryKeys => self.query_keys().await,
            OpKind::ClaimKeys => self.claim_keys(op).await,
            OpKind::ToDevice => self.message_devices(op).await,
            OpKind::CrossSign => self.cross_sign(op).await,
            OpKind::RenameDevice => self.rename_device(op).await,
            OpKind::DeleteDevice => self.delete_device(op).await,
        }
    }

    /// Makes a call that writes some registers, and tells the ledger.
    pub async fn write(&self, call: Call, writes: &[(Register, Option<&str>)]) -> Reply {
        let began = self.hub.now();
        let ids: Vec<_> = {
            let mut ledger = self.ledger.borrow_mut();
            writes.iter().map(|(register, value)| ledger.begin(register, *value, began)).collect()
        };
        let reply = self.call(call).await;
        let mut ledger = self.ledger.borrow_mut();
        for ((register, _), id) in writes.iter().zip(ids) {
            if reply.ok() {
                ledger.acknowledge(register, id, reply.came, reply.lingering);
            } else if reply.refused() {
                ledger.refuse(register, id);
            }
        }
        drop(ledger);
        reply
    }

    async fn create_room(&self, op: PlannedOp) -> Option<Done> {
        let [version, preset, visibility] = op.picks;
        let version = self.options.room_version(version);
        let invitee = self.population.borrow().pick_other(self.user, op.picks[0]);
        let invitee = invitee.map(|user| self.population.borrow().user(user).id.clone());
        let visibility = Object::new()
            .with("type", "m.room.history_visibility")
            .with("content", Object::new().with("history_visibility", choose(&VISIBILITIES, visibility)));
        let body = Object::new()
            .with("room_version", version)
            .with("preset", choose(&PRESETS, preset))
            .with("name", format!("room {}", op.number))
            .with("invite", invitee.clone().into_iter().collect::<Vec<_>>())
            .with("initial_state", vec![Value::from(visibility)]);
        let reply = self.call(Call::post(path!["createRoom"], body)).await;
        let room = reply.body.str("room_id").map(str::to_owned);
        let Some(room) = room.filter(|_| reply.ok()) else { return Some(done(&reply)) };
        self.ledger.borrow_mut().room_made(&room);
        self.record_membership(&room, self.user, Some("join"), &reply);
        self.population.borrow_mut().joined(self.user, &room);
        let invitee = invitee.and_then(|id| self.population.borrow().number_of(&id));
        if let Some(invitee) = invitee {
            self.record_membership(&room, invitee, Some("invite"), &reply);
            self.population.borrow_mut().invited(invitee, &room);
        }
        Some(Done::Acknowledged)
    }

    /// A membership that nobody could have asked for before the answer.
    pub fn record_membership(&self, room: &str, user: u32, value: Option<&str>, reply: &Reply) {
        let register = Register::Membership { user, room: room.to_owned() };
        let mut ledger = self.ledger.borrow_mut();
        let id = ledger.begin(&register, value, reply.sent);
        ledger.acknowledge(&register, id, reply.came, false);
    }

    async fn enter(&self, op: PlannedOp) -> Option<Done> {
        let room = self.population.borrow().pick_to_join(self.user, op.picks[0])?;
        let (verb, membership) = if op.kind == OpKind::Join { ("join", "join") } else { ("knock", "knock") };
        let register = Register::Membership { user: self.user, room: room.clone() };
        let mut call = Call::post(path![verb, room.as_str()], Object::new());
        for server in self.population.borrow().servers_of(&room) {
            call = call.query("via", server);
        }
        let reply = self.write(call, &[(register, Some(membership))]).await;
        if reply.ok() && op.kind == OpKind::Join {
            self.population.borrow_mut().joined(self.user, &room);
        }
        Some(done(&reply))
    }

    async fn depart(&self, op: PlannedOp) -> Option<Done> {
        let forget = op.kind == OpKind::Forget;
        let room = {
            let population = self.population.borrow();
            let user = population.user(self.user);
            let invited = choose_of(user.invited.iter(), op.picks[1]);
            // Of an invite, too, one can take leave.
            invited
                .filter(|_| op.picks[0].is_multiple_of(3))
                .cloned()
                .or_else(|| population.pick_joined(self.user, op.picks[0]))?
        };
        let register = Register::Membership { user: self.user, room: room.clone() };
        let call = Call::post(path!["rooms", room.as_str(), "leave"], Object::new());
        let reply = self.write(call, &[(register, None)]).await;
        if reply.ok() {
            self.population.borrow_mut().out(self.user, &room);
        }
        if forget && reply.ok() {
            self.population.borrow_mut().user_mut(self.user).forgotten.insert(room.clone());
            return Some(done(&self.call(Call::post(path!["rooms", room, "forget"], Object::new())).await));
        }
        Some(done(&reply))
    }

    async fn move_other(&self, op: PlannedOp) -> Option<Done> {
        let (verb, membership) = match op.kind {
            OpKind::Invite => ("invite", Some("invite")),
            OpKind::Kick => ("kick", None),
            OpKind::Ban => ("ban", None),
            _ => ("unban", None),
        };
        let (room, other, other_id) = {
            let population = self.population.borrow();
            let room = population.pick_joined(self.user, op.picks[0])?;
            let other = match op.kind {
                OpKind::Invite | OpKind::Unban => population.pick_other(self.user, op.picks[1])?,
                _ => population.pick_member(self.user, &room, op.picks[1])?,
            };
            (room, other, population.user(other).id.clone())
        };
        let register = Register::Membership { user: other, room: room.clone() };
        let body = Object::new().with("user_id", other_id);
        let reply = self.write(Call::post(path!["rooms", room.as_str(), verb], body), &[(register, membership)]).await;
        if reply.ok() {
            let mut population = self.population.borrow_mut();
            match op.kind {
                OpKind::Invite => population.invited(other, &room),
                _ => population.out(other, &room),
            }
        }
        Some(done(&reply))
    }

    async fn send(&self, op: PlannedOp) -> Option<Done> {
        let room = self.population.borrow().pick_joined(self.user, op.picks[0])?;
        let content =
            Object::new().with("msgtype", "m.text").with("body", format!("message {}", op.number)).with(OP, op.number);
        let content = match self.mentions(op.picks[1]) {
            Some(mentions) => content.with("m.mentions", mentions),
            None => content,
        };
        let call = |txn: &str| Call::put(path!["rooms", room.as_str(), "send", "m.room.message", txn], content);
        self.send_event(op, &room, call).await
    }

    /// Whom a message mentions, if anybody: some other, or everybody.
    fn mentions(&self, pick: u32) -> Option<Object> {
        match pick % 8 {
            0 => Some(Object::new().with("room", true)),
            1..4 => {
                let population = self.population.borrow();
                let other = population.pick_other(self.user, pick / 8)?;
                Some(Object::new().with("user_ids", vec![population.user(other).id.as_str()]))
            }
            _ => None,
        }
    }

    /// A message of no consequence.
    pub async fn say_something(&self, room: &str) {
        let content = Object::new().with("msgtype", "m.text").with("body", "is anybody there?");
        let content = content.with("m.mentions", self.mentions(self.number).unwrap_or_default());
        let txn_id = format!("d{}t{}", self.number, self.hub.now().0);
        let reply = self.call(Call::put(path!["rooms", room, "send", "m.room.message", txn_id], content)).await;
        if reply.ok() {
            self.heard.borrow_mut().insert((self.server, room.to_owned()));
        }
    }

    async fn redact(&self, op: PlannedOp) -> Option<Done> {
        let (room, target) = {
            let population = self.population.borrow();
            let room = population.pick_joined(self.user, op.picks[0])?;
            let target = population.pick_event(&room, op.picks[1])?;
            (room, target)
        };
        self.redact_event(op, &room, &target).await
    }

    /// Redacts an event, and tells the ledger.
    pub async fn redact_event(&self, op: PlannedOp, room: &str, target: &str) -> Option<Done> {
        self.ledger.borrow_mut().redact(target);
        let body = Object::new().with("reason", reason(op.number));
        let call = |txn: &str| Call::put(path!["rooms", room, "redact", target, txn], body);
        let done = self.send_event(op, room, call).await;
        if done == Some(Done::Acknowledged) {
            self.ledger.borrow_mut().redacted(target, self.hub.now());
        }
        done
    }

    /// Sends an event under a transaction ID.
    pub async fn send_event(&self, op: PlannedOp, room: &str, call: impl FnOnce(&str) -> Call) -> Option<Done> {
        let txn_id = format!("op{}", op.number);
        let sent = Sent {
            room: room.to_owned(),
            sender: self.user,
            device: self.number,
            generation: self.generation(),
            txn_id: txn_id.clone(),
            event_id: None,
            acknowledged: None,
            torn: false,
        };
        self.ledger.borrow_mut().send(op.number, sent);
        let reply = self.call(call(&txn_id)).await;
        if reply.ok()
            && let Some(event_id) = reply.body.str("event_id")
        {
            let result = self.ledger.borrow_mut().sent(op.number, event_id, reply.came);
            self.hub.check(result);
            if op.kind.is_message() {
                self.population.borrow_mut().heard_of_event(room, event_id, self.user);
                if self.honest {
                    let (server, room) = (self.server, room.to_owned());
                    self.taken.borrow_mut().push(Taken { server, room, sent: reply.sent, came: reply.came });
                }
            }
        }
        if reply.status == 403 {
            self.population.borrow_mut().out(self.user, room);
        }
        Some(done(&reply))
    }

    async fn send_state(&self, op: PlannedOp) -> Option<Done> {
        let room = self.population.borrow().pick_joined(self.user, op.picks[0])?;
        let (kind, state_key) = (choose(&KINDS, op.picks[1]), format!("k{}", op.picks[2] % 2));
        let register = Register::State { room: room.clone(), kind: kind.to_owned(), state_key: state_key.clone() };
        let call = Call::put(path!["rooms", room, "state", kind, state_key], content_of(op.number));
        let reply = self.write(call, &[(register, Some(&op.number.to_string()))]).await;
        Some(done(&reply))
    }

    /// Changes who may come in, who may see what was, or who may do what.
    async fn govern(&self, op: PlannedOp) -> Option<Done> {
        let room = self.population.borrow().pick_joined(self.user, op.picks[0])?;
        let (kind, content) = match op.picks[1] % 4 {
            0 => ("m.room.join_rules", Object::new().with("join_rule", choose(&JOIN_RULES, op.picks[2]))),
            1 => {
                let visibility = choose(&VISIBILITIES, op.picks[2]);
                ("m.room.history_visibility", Object::new().with("history_visibility", visibility))
            }
            _ => ("m.room.power_levels", self.promotion(&room, op.picks[2]).await?),
        };
        let reply = self.call(Call::put(path!["rooms", room, "state", kind], content)).await;
        Some(done(&reply))
    }

    /// The power levels of the room, with another level for somebody.
    async fn promotion(&self, room: &str, pick: u32) -> Option<Object> {
        let other = {
            let population = self.population.borrow();
            let other = population.pick_member(self.user, room, pick)?;
            population.user(other).id.clone()
        };
        let reply = self.call(Call::get(path!["rooms", room, "state", "m.room.power_levels"])).await;
        let mut content = reply.ok().then_some(reply.body)?;
        let mut users = content.object("users").cloned().unwrap_or_default();
        users.insert(other, choose(&[0i64, 50, 50, 100], pick / 7));
        content.insert("users", users);
        Some(content)
    }

    async fn alias(&self, op: PlannedOp) -> Option<Done> {
        let room = self.population.borrow().pick_joined(self.user, op.picks[0])?;
        let alias = format!("#alias{}:{}", op.picks[1] % 3, server_name(self.server));
        let register = Register::Alias { alias: alias.clone() };
        let path = path!["directory", "room", alias];
        let (call, value) = match op.picks[2].is_multiple_of(3) {
            true => (Call::delete(path), None),
            false => (Call::put(path, Object::new().with("room_id", room.as_str())), Some(room.as_str())),
        };
        Some(done(&self.write(call, &[(register, value)]).await))
    }

    async fn receipt(&self, op: PlannedOp) -> Option<Done> {
        let (room, event_id) = self.room_and_event(op)?;
        let kind = if op.picks[2].is_multiple_of(2) { "m.read" } else { "m.read.private" };
        let register = Register::Marker { user: self.user, room: room.clone(), kind };
        let call = Call::post(path!["rooms", room, "receipt", kind, event_id.as_str()], Object::new());
        Some(done(&self.write(call, &[(register, Some(&event_id))]).await))
    }

    async fn read_markers(&self, op: PlannedOp) -> Option<Done> {
        let (room, event_id) = self.room_and_event(op)?;
        let receipt = Register::Marker { user: self.user, room: room.clone(), kind: "m.read" };
        let marker = Register::Marker { user: self.user, room: room.clone(), kind: "m.fully_read" };
        let body = Object::new().with("m.fully_read", event_id.as_str()).with("m.read", event_id.as_str());
        let call = Call::post(path!["rooms", room, "read_markers"], body);
        Some(done(&self.write(call, &[(receipt, Some(&event_id)), (marker, Some(&event_id))]).await))
    }

    pub fn room_and_event(&self, op: PlannedOp) -> Option<(String, String)> {
        let population = self.population.borrow();
        let room = population.pick_joined(self.user, op.picks[0])?;
        let event_id = population.pick_event(&room, op.picks[1])?;
        Some((room, event_id))
    }

    async fn typing(&self, op: PlannedOp) -> Option<Done> {
        let room = self.population.borrow().pick_joined(self.user, op.picks[0])?;
        let mut body = Object::new().with("typing", !op.picks[1].is_multiple_of(3));
        if !op.picks[1].is_multiple_of(3) {
            body.insert("timeout", u64::from(op.picks[2] % 30_000 + 1));
        }
        let call = Call::put(path!["rooms", room, "typing", self.user_id()], body);
        Some(done(&self.call(call).await))
    }

    async fn account_data(&self, op: PlannedOp) -> Option<Done> {
        let kind = choose(&KINDS, op.picks[0]);
        let register = Register::AccountData { user: self.user, kind: kind.to_owned() };
        let call = Call::put(path!["user", self.user_id(), "account_data", kind], content_of(op.number));
        Some(done(&self.write(call, &[(register, Some(&text_of(op.number)))]).await))
    }

    async fn room_account_data(&self, op: PlannedOp) -> Option<Done> {
        let room = self.population.borrow().pick_joined(self.user, op.picks[0])?;
        let kind = choose(&KINDS, op.picks[1]);
        let register = Register::RoomAccountData { user: self.user, room: room.clone(), kind: kind.to_owned() };
        let path = path!["user", self.user_id(), "rooms", room, "account_data", kind];
        let call = Call::put(path, content_of(op.number));
        Some(done(&self.write(call, &[(register, Some(&text_of(op.number)))]).await))
    }

    async fn tag(&self, op: PlannedOp) -> Option<Done> {
        let room = self.population.borrow().pick_joined(self.user, op.picks[0])?;
        let tag = choose(&TAGS, op.picks[1]);
        let register = Register::Tag { user: self.user, room: room.clone(), tag: tag.to_owned() };
        let path = path!["user", self.user_id(), "rooms", room, "tags", tag];
        let (call, value) = match op.picks[2].is_multiple_of(3) {
            true => (Call::delete(path), None),
            false => (Call::put(path, content_of(op.number)), Some(text_of(op.number))),
        };
        Some(done(&self.write(call, &[(register, value.as_deref())]).await))
    }

    async fn display_name(&self, op: PlannedOp) -> Option<Done> {
        let name = format!("name {}", op.number);
        let body = Object::new().with("displayname", name.as_str());
        let call = Call::put(path!["profile", self.user_id(), "displayname"], body);
        Some(done(&self.write(call, &[(Register::DisplayName { user: self.user }, Some(&name))]).await))
    }
}

/// A content that says which operation it is of.
pub fn content_of(op: u32) -> Object {
    Object::new().with(OP, op)
}

/// [`content_of`] in canonical JSON.
fn text_of(op: u32) -> String {
    format!("{{\"{OP}\":{op}}}")
}

pub fn done(reply: &Reply) -> Done {
    match reply.status {
        200 => Done::Acknowledged,
        _ if reply.unrecognized() => Done::Unrecognized,
        _ => Done::Refused,
    }
}

pub fn choose<T: Copy>(from: &[T], pick: u32) -> T {
    from[pick as usize % from.len()]
}

fn choose_of<T>(from: impl ExactSizeIterator<Item = T>, pick: u32) -> Option<T> {
    let len = from.len();
    if len == 0 { None } else { from.into_iter().nth(pick as usize % len) }
}
