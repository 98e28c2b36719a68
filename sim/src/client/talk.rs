//! Operations of talk: messages about messages, threads, and who is there.

use orrery_core::canonical_json::Object;

use super::Device;
use super::call::Call;
use super::operations::{Done, choose, done};
use crate::checkers::ledger::OP;
use crate::path;
use crate::workload::{OpKind, PlannedOp};

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
        let content = content.with("m.relates_to", relation).with(OP, op.number);
        let call = |txn: &str| Call::put(path!["rooms", room.as_str(), "send", kind, txn], content);
        self.send_event(op, &room, call).await
    }

    pub async fn thread_receipt(&self, op: PlannedOp) -> Option<Done> {
        let (room, event_id) = self.room_and_event(op)?;
        let kind = choose(&["m.read", "m.read.private"], op.picks[2]);
        // Of a thread one has to name its root; a receipt for an event that is not in it is refused.
        let root = self.population.borrow().pick_event(&room, op.picks[2] / 2)?;
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

    /// A rule of one's own, or the end of it, or a rule that everybody has switched off or on.
    pub async fn push_rule(&self, op: PlannedOp) -> Option<Done> {
        let own = path!["pushrules", "global", "content", format!("word{}", op.picks[1] % 3)];
        let call = match op.picks[0] % 4 {
            0 => Call::delete(own),
            1 => {
                let rule = path!["pushrules", "global", "underride", ".m.rule.message", "enabled"];
                Call::put(rule, Object::new().with("enabled", op.picks[1].is_multiple_of(2)))
            }
            _ => {
                Call::put(own, Object::new().with("pattern", format!("{}", op.number)).with("actions", vec!["notify"]))
            }
        };
        Some(done(&self.call(call).await))
    }
}
