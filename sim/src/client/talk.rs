//! Operations of talk: messages about messages, threads, and who is there.

use orrery_core::canonical_json::{Object, Value};

use super::Device;
use super::call::Call;
use super::operations::{Done, choose, done};
use crate::checkers::ledger::OP;
use crate::path;
use crate::workload::{OpKind, PlannedOp};

/// What some messages match.
const PATTERNS: [&str; 6] = ["message", "mess*1?", "1*", "?", "MESSAGE *", "* 2*"];
const PRESENCES: [&str; 3] = ["online", "unavailable", "offline"];

impl Device {
    /// An edit of a message, a reaction to it, or a message in its thread.
    pub async fn relate(&self, op: PlannedOp) -> Option<Done> {
        let (room, target) = self.room_and_event(op)?;
        let text = || Object::new().with("msgtype", "m.text").with("body", format!("message {}", op.number));
        let (kind, rel_type, content) = match op.kind {
            OpKind::Edit => ("m.room.message", "m.replace", text().with("m.new_content", text())),
            OpKind::React => ("m.reaction", "m.annotation", Object::new()),
            _ => ("m.room.message", "m.thread", text()),
        };
        let mut relation = Object::new().with("rel_type", rel_type).with("event_id", target);
        if op.kind == OpKind::React {
            relation.insert("key", choose(&["+1", "?"], op.picks[2]));
        }
        let root = relation.str("event_id").unwrap_or_default().to_owned();
        let content = content.with("m.relates_to", relation).with(OP, op.number);
        let call = |txn: &str| Call::put(path!["rooms", room.as_str(), "send", kind, txn], content);
        let done = self.send_event(op, &room, call).await;
        let event_id = self.ledger.borrow().event(op.number).and_then(|sent| sent.event_id.clone());
        if let Some(event_id) = event_id.filter(|_| op.kind == OpKind::Reply) {
            self.population.borrow_mut().heard_of_thread(&event_id, &root);
        }
        done
    }

    pub async fn thread_receipt(&self, op: PlannedOp) -> Option<Done> {
        let (room, event_id) = self.room_and_event(op)?;
        let kind = choose(&["m.read", "m.read.private"], op.picks[2]);
        // Of a thread one has to name its root; a receipt for an event that is not in it is refused.
        let root = {
            let population = self.population.borrow();
            let known = population.thread_of(&event_id).map(str::to_owned);
            known.or_else(|| population.pick_event(&room, op.picks[2] / 2))?
        };
        let thread = if op.picks[2].is_multiple_of(4) { "main".to_owned() } else { root };
        let body = Object::new().with("thread_id", thread);
        Some(done(&self.call(Call::post(path!["rooms", room, "receipt", kind, event_id], body)).await))
    }

    pub async fn presence(&self, op: PlannedOp) -> Option<Done> {
        let body = Object::new()
            .with("presence", choose(&PRESENCES, op.picks[0]))
            .with("status_msg", format!("status {}", op.number));
        Some(done(&self.call(Call::put(path!["presence", self.user_id(), "status"], body)).await))
    }

    /// A rule of one's own of some kind, or the end of it, or a rule that everybody has switched off or on.
    pub async fn push_rule(&self, op: PlannedOp) -> Option<Done> {
        let [what, pick, detail] = op.picks;
        let rule = |kind: &str, id: &str| path!["pushrules", "global", kind, id];
        let highlight = Object::new().with("set_tweak", "highlight").with("value", !detail.is_multiple_of(5));
        let actions: Vec<Value> = match detail % 3 {
            0 => Vec::new(),
            1 => vec!["notify".into()],
            _ => vec!["notify".into(), highlight.into()],
        };
        let body = Object::new().with("actions", actions);
        let word = format!("word{}", pick % 3);
        let call = match what % 8 {
            0 => Call::delete(rule("content", &word)),
            1 => {
                let path = path!["pushrules", "global", "underride", ".m.rule.message", "enabled"];
                Call::put(path, Object::new().with("enabled", pick.is_multiple_of(2)))
            }
            2 => Call::put(rule("room", &self.population.borrow().pick_joined(self.user, pick)?), body),
            3 => {
                let population = self.population.borrow();
                let sender = population.user(population.pick_other(self.user, pick)?).id.clone();
                Call::put(rule("sender", &sender), body)
            }
            4 => {
                let conditions: Vec<Value> = vec![self.condition(pick).into(), self.condition(pick / 8).into()];
                Call::put(rule("override", &word), body.with("conditions", conditions))
            }
            5 => Call::delete(rule("override", &word)),
            _ => Call::put(rule("content", &word), body.with("pattern", choose(&PATTERNS, pick))),
        };
        Some(done(&self.call(call).await))
    }

    /// A condition of a push rule.
    fn condition(&self, pick: u32) -> Object {
        let of = |kind: &str| Object::new().with("kind", kind);
        match pick % 8 {
            0 => of("room_member_count").with("is", choose(&["2", "==3", "<3", ">2", ">=4", "<=2"], pick / 8)),
            1 => of("sender_notification_permission").with("key", "room"),
            2 => of("contains_display_name"),
            3 => of("event_property_is").with("key", "content.m\\.relates_to.rel_type").with("value", "m.thread"),
            4 => {
                of("event_property_contains").with("key", "content.m\\.mentions.user_ids").with("value", self.user_id())
            }
            5 => of("event_match").with("key", "type").with("pattern", choose(&["m.room.*", "m.reaction"], pick / 8)),
            _ => of("event_match").with("key", "content.body").with("pattern", choose(&PATTERNS, pick / 8)),
        }
    }
}
