use alloc::collections::BTreeSet;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::*;
use crate::canonical_json::{Object, Value, parse};
use crate::event::Pdu;
use crate::room_version::{RoomIdFormat, RoomVersion};

mod auth_events;
mod levels;
mod rules;

fn object(json: &str) -> Object {
    match parse(json.as_bytes()) {
        Ok(Value::Object(object)) => object,
        other => panic!("{json}: {other:?}"),
    }
}

/// A room of one version. Its users are `@alice:a`, who created it, and anybody else.
///
/// Events are written as `type sender state_key content`, the empty state key as `''` and none as `-`.
struct Room {
    version: RoomVersion,
    create: Pdu,
}

impl Room {
    fn new(version: RoomVersion) -> Room {
        Room::with_create(version, "{}")
    }

    /// With more in the create event's content.
    fn with_create(version: RoomVersion, content: &str) -> Room {
        let content = object(content).with("room_version", version.as_str());
        Room { version, create: create_event(version, content.with("creator", "@alice:a")) }
    }

    fn event(&self, text: &str) -> Pdu {
        self.event_after(text, &["$before:a"])
    }

    fn event_after(&self, text: &str, prev_events: &[&str]) -> Pdu {
        let parts: Vec<&str> = text.splitn(4, ' ').collect();
        let [kind, sender, state_key, content] = parts[..] else { panic!("{text}") };
        let mut event = header(self.version, kind, sender, object(content), prev_events);
        match state_key {
            "-" => {}
            "''" => drop(event.insert("state_key", "")),
            state_key => drop(event.insert("state_key", state_key)),
        }
        event.insert("room_id", &self.create.room_id);
        Pdu::parse(event, self.version).unwrap()
    }

    fn state(&self, texts: &[&str]) -> Vec<Pdu> {
        let mut state = Vec::from([self.create.clone()]);
        state.extend(texts.iter().map(|text| self.event(text)));
        state
    }

    fn judge(&self, state: &[&str], event: &Pdu) -> Verdict {
        let state = self.state(state);
        let state: Vec<&Pdu> = state.iter().collect();
        authorize(self.version.rules(), event, &self.create, &AuthState(&state))
    }
}

fn header(version: RoomVersion, kind: &str, sender: &str, content: Object, prev_events: &[&str]) -> Object {
    let rules = version.rules();
    let references: Vec<Value> = prev_events
        .iter()
        .map(|id| {
            if rules.references_have_hashes {
                Value::Array(Vec::from([Value::from(*id), Object::new().into()]))
            } else {
                Value::from(*id)
            }
        })
        .collect();
    let mut event = Object::new()
        .with("type", kind)
        .with("sender", sender)
        .with("content", content)
        .with("depth", 1i64)
        .with("origin_server_ts", 1i64)
        .with("hashes", Object::new().with("sha256", ""))
        .with("signatures", Object::new())
        .with("auth_events", Vec::<Value>::new())
        .with("prev_events", Value::Array(references));
    if rules.event_id_server_signs {
        let mut id = String::from("$event:");
        id.push_str(sender.split_once(':').unwrap().1);
        // Two events of one test are told apart by their place in it only.
        let unique =
            event.to_bytes().iter().fold(0u64, |sum, byte| sum.wrapping_mul(31).wrapping_add(u64::from(*byte)));
        id.insert_str(1, &unique.to_string());
        event.insert("event_id", id);
    }
    event
}

fn create_event(version: RoomVersion, content: Object) -> Pdu {
    let mut event = header(version, "m.room.create", "@alice:a", content, &[]).with("state_key", "");
    if version.rules().room_ids == RoomIdFormat::Stated {
        event.insert("room_id", "!room:a");
    }
    Pdu::parse(event, version).unwrap()
}

fn from(first: RoomVersion) -> impl Iterator<Item = RoomVersion> + Clone {
    RoomVersion::ALL.into_iter().filter(move |version| *version >= first)
}

fn between(first: RoomVersion, last: RoomVersion) -> impl Iterator<Item = RoomVersion> + Clone {
    from(first).filter(move |version| *version <= last)
}

/// Every rule of every version is numbered as on the version's page: `corpora/events/authorisation_rules.txt` has each number with
/// the words that follow it there.
#[test]
fn numbers_are_the_specification_s() {
    let corpus = include_str!("../../../corpora/events/authorisation_rules.txt");
    for version in RoomVersion::ALL {
        let numbering = version.rules().auth.numbering;
        let prefix = alloc::format!("{version} ");
        let on_page: BTreeSet<&str> = corpus
            .lines()
            .filter_map(|line| line.strip_prefix(&prefix))
            .map(|line| line.split_once(' ').unwrap().0)
            .collect();
        let here: BTreeSet<&str> = Rule::ALL.iter().filter_map(|rule| rule.number(numbering)).collect();
        assert_eq!(on_page, here, "version {version}");
        let rules = Rule::ALL.iter().filter(|rule| rule.number(numbering).is_some()).count();
        assert_eq!(rules, here.len(), "version {version} has no number twice");
        for rule in Rule::ALL.iter().filter(|rule| rule.number(numbering).is_some()) {
            let id = rule::RuleId::new(version.rules(), *rule);
            assert_eq!(RuleId::parse(&id.to_string()), Some(id));
            let stored = postcard::to_allocvec(&id).unwrap();
            assert_eq!(postcard::from_bytes::<RuleId>(&stored), Ok(id));
        }
    }
    for text in ["", "v11 rule 99", "v13 rule 1.1", "v12 rule 2.4", "11 rule 1.1"] {
        assert_eq!(RuleId::parse(text), None, "{text}");
    }
}

/// The words of some rules whose numbers moved from version to version.
#[test]
fn numbers_that_moved() {
    let corpus = include_str!("../../../corpora/events/authorisation_rules.txt");
    let check = |rule: Rule, words: &str| {
        for version in RoomVersion::ALL {
            let Some(number) = rule.number(version.rules().auth.numbering) else { continue };
            let start = alloc::format!("{version} {number} ");
            let line = corpus.lines().find(|line| line.starts_with(&start)).unwrap();
            assert!(line.contains(words), "{line} of {rule:?}");
        }
    };
    check(Rule::CreateHasRoomId, "If the event has a `room_id`");
    check(Rule::CreateNoCreator, "no `creator`");
    check(Rule::CreateAdditionalCreators, "`additional_creators`");
    check(Rule::RoomIdNamesNoCreate, "accepted");
    check(Rule::AuthEventsDuplicate, "duplicate entries");
    check(Rule::AuthEventsUnexpected, "auth events selection");
    check(Rule::AuthEventsRejected, "themselves rejected");
    check(Rule::AuthEventsNoCreate, "no `m.room.create` event among");
    check(Rule::AuthEventsOtherRoom, "does not match that of the event being authorised");
    check(Rule::NotFederated, "`m.federate`");
    check(Rule::AliasesDomain, "sender's domain");
    check(Rule::MemberMalformed, "no `membership` property");
    check(Rule::MemberAuthoriserSignature, "validly signed");
    check(Rule::JoinCreator, "only previous event");
    check(Rule::JoinInvited, "`join_rule` is `invite`");
    check(Rule::JoinRestrictedInvited, "`join` or `invite`, allow");
    check(Rule::JoinRestrictedAuthoriser, "sufficient permission");
    check(Rule::JoinPublic, "`public`");
    check(Rule::ThirdPartyInviteMalformed, "`mxid` and `token`");
    check(Rule::ThirdPartyInviteSignature, "any public key");
    check(Rule::InviteTarget, "`join` or `ban`");
    check(Rule::InviteAllowed, "*invite level*");
    check(Rule::LeaveSelf, "allow if and only if");
    check(Rule::LeaveUnban, "*ban level*");
    check(Rule::LeaveKick, "*kick level*");
    check(Rule::BanAllowed, "*ban level*");
    check(Rule::KnockJoinRule, "`join_rule` is anything other");
    check(Rule::KnockAllowed, "not `ban`, `invite`, or `join`");
    check(Rule::MembershipUnknown, "unknown");
    check(Rule::SenderNotJoined, "not `join`");
    check(Rule::ThirdPartyInvite, "*invite level*");
    check(Rule::RequiredPowerLevel, "*required power level*");
    check(Rule::StateKeyOfOther, "starts with an `@`");
    check(Rule::PowerLevelsField, "`users_default`");
    check(Rule::PowerLevelsMap, "`notifications`");
    check(Rule::PowerLevelsUsers, "valid user IDs");
    check(Rule::PowerLevelsCreator, "`sender` of the `m.room.create`");
    check(Rule::PowerLevelsFirst, "no previous");
    check(Rule::PowerLevelsFieldCurrent, "current value");
    check(Rule::PowerLevelsFieldNew, "new value");
    check(Rule::PowerLevelsEntryCurrent, "current value is greater than the");
    check(Rule::PowerLevelsEntryNew, "new value");
    check(Rule::PowerLevelsUserCurrent, "greater than or equal");
    check(Rule::PowerLevelsUserNew, "new value");
    check(Rule::RedactionLevel, "*redact level*");
    check(Rule::RedactionOwnServer, "domain of the `event_id`");
}
