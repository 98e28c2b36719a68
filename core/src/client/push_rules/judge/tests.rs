use alloc::string::ToString;
use alloc::vec;

use super::*;
use crate::client::push_rules::condition::testing::{Around, with_event};
use crate::client::push_rules::ruleset::UserRule;
use crate::limits::MAX_MATCHED_TEXT;
use crate::testing::json;

const GROUP: Around = Around { members: 3, name: Some("Alice"), may_notify: false };

/// A rule of the user's own with these conditions.
fn own(kind: RuleKind, conditions: &Value, actions: &str) -> UserRule {
    UserRule {
        kind,
        rule_id: "own".to_string(),
        enabled: true,
        conditions: Some(conditions.to_string()),
        pattern: None,
        actions: actions.to_string(),
    }
}

/// Whether an event in a room of three is notified, and highlighted, with the rules as they come.
#[track_caller]
fn check_default(event: Value, expected: Option<(bool, bool)>, mut around: Around) {
    let rules = PushRules::of(&Ruleset::default());
    let verdict = with_event(&event, |event| {
        let rule = rules.judge(event, &mut around).unwrap();
        rule.map(|rule| (rule.notify, rule.highlight))
    });
    assert_eq!(verdict, expected, "{event}");
}

#[test]
fn the_default_rules() {
    const SILENT: Option<(bool, bool)> = Some((false, false));
    const NOTIFY: Option<(bool, bool)> = Some((true, false));
    const HIGHLIGHT: Option<(bool, bool)> = Some((true, true));
    let moderator = || Around { may_notify: true, ..GROUP };
    let message = |content: Value| json!({ "type": "m.room.message", "content": content });
    let mentions = |mentions: Value| json!({ "msgtype": "m.text", "body": "hi", "m.mentions": mentions });
    check_default(message(json!({ "msgtype": "m.text", "body": "hi" })), NOTIFY, GROUP);
    check_default(message(json!({ "msgtype": "m.text", "body": "alice: hi" })), NOTIFY, GROUP);
    check_default(message(json!({ "msgtype": "m.notice", "body": "hi" })), SILENT, GROUP);
    check_default(json!({ "type": "m.room.encrypted" }), NOTIFY, GROUP);
    check_default(json!({ "type": "m.call.invite" }), NOTIFY, GROUP);
    check_default(message(mentions(json!({ "user_ids": ["@x:y", "@alice:example.org"] }))), HIGHLIGHT, GROUP);
    check_default(message(mentions(json!({ "user_ids": ["@Alice:example.org", 1, {}] }))), NOTIFY, GROUP);
    check_default(message(mentions(json!({ "user_ids": "@alice:example.org" }))), NOTIFY, GROUP);
    check_default(message(mentions(json!({ "user_ids": ["%USER%"] }))), NOTIFY, GROUP);
    check_default(message(mentions(json!({ "room": true }))), NOTIFY, GROUP);
    check_default(message(mentions(json!({ "room": true }))), HIGHLIGHT, moderator());
    check_default(message(mentions(json!({ "room": "true" }))), NOTIFY, moderator());
    check_default(message(json!({ "body": "@room" })), NOTIFY, moderator());
    let edit = json!({ "body": "hi", "m.relates_to": { "rel_type": "m.replace", "event_id": "$a" } });
    check_default(message(edit), SILENT, GROUP);
    check_default(json!({ "type": "m.reaction" }), SILENT, GROUP);
    check_default(json!({ "type": "m.room.tombstone", "state_key": "" }), HIGHLIGHT, GROUP);
    check_default(json!({ "type": "m.room.tombstone", "state_key": "a" }), None, GROUP);
    check_default(json!({ "type": "m.room.tombstone" }), None, GROUP);
    check_default(json!({ "type": "m.room.server_acl", "state_key": "" }), SILENT, GROUP);
    check_default(json!({ "type": "m.room.topic", "state_key": "" }), None, GROUP);
    let member = |user_id: &str, membership: &str| json!({ "type": "m.room.member", "state_key": user_id, "content": { "membership": membership } });
    check_default(member("@alice:example.org", "invite"), NOTIFY, GROUP);
    check_default(member("@carol:example.org", "invite"), SILENT, GROUP);
    check_default(member("@alice:example.org", "ban"), SILENT, GROUP);
    check_default(json!({ "type": "org.example.new" }), None, GROUP);
}

/// Whether a rule of the user's own with these conditions takes an event.
#[track_caller]
fn check_condition(conditions: Value, event: Value, matches: bool, mut around: Around) {
    let ruleset = Ruleset { rules: vec![own(RuleKind::Override, &conditions, "[\"mine\"]")], defaults: vec![] };
    let rules = PushRules::of(&ruleset);
    let taken = with_event(&event, |event| {
        let rule = rules.judge(event, &mut around).unwrap();
        rule.is_some_and(|rule| rule.actions == "[\"mine\"]")
    });
    assert_eq!(taken, matches, "{conditions} of {event}");
}

#[test]
fn event_match() {
    let check = |key: &str, pattern: &str, event: Value, matches: bool| {
        let conditions = json!([{ "kind": "event_match", "key": key, "pattern": pattern }]);
        check_condition(conditions, event, matches, GROUP);
    };
    let of = |content: Value| json!({ "content": content });
    check("content.topic", "lunc?*", of(json!({ "topic": "Lunch plans" })), true);
    check("content.topic", "*", of(json!({ "topic": null })), false);
    check("content.topic", "*", of(json!({ "topic": 1 })), false);
    check("content.topic", "*", of(json!({})), false);
    check("content.body", "lunch", of(json!({ "body": "Lunch, then" })), true);
    check("content.other", "lunch", of(json!({ "other": "Lunch, then" })), false);
    check("content.a.b", "c", of(json!({ "a": { "b": "c" } })), true);
    check("content.a\\.b", "c", of(json!({ "a.b": "c" })), true);
    check("content.a\\\\b", "c", of(json!({ "a\\b": "c" })), true);
    check("content.a.b", "c", of(json!({ "a.b": "c" })), false);
    check("content.a.b.c", "*", of(json!({ "a": { "b": "c" } })), false);
    check("room_id", "!ROOM:*", json!({}), true);
    check("sender", "@bob:example.org", json!({}), true);
    check("event_id", "$event", json!({}), true);
    check("type", "M.ROOM.message", json!({}), true);
    check("state_key", "", json!({ "state_key": "" }), true);
    check("state_key", "", json!({}), false);
    check("content", "*", of(json!({ "body": "a" })), false);
    check("", "*", json!({}), false);
    check("body", "*", of(json!({ "body": "a" })), false);
    // What stands for the user in default rules is a text like any other here.
    check("state_key", "%USER%", json!({ "state_key": "@alice:example.org" }), false);
    let far = alloc::format!("{}needle", " ".repeat(MAX_MATCHED_TEXT));
    check("content.body", "needle", of(json!({ "body": far })), false);
}

#[test]
fn event_property_is_and_contains() {
    let check = |value: Value, property: Value, is: bool, contains: bool| {
        let is_it = json!([{ "kind": "event_property_is", "key": "content.a", "value": value }]);
        check_condition(is_it, json!({ "content": { "a": property } }), is, GROUP);
        let has_it = json!([{ "kind": "event_property_contains", "key": "content.a", "value": value }]);
        check_condition(has_it, json!({ "content": { "a": property } }), contains, GROUP);
    };
    check(json!(true), json!(true), true, false);
    check(json!(true), json!("true"), false, false);
    check(json!(true), json!(1), false, false);
    check(json!(1), json!([1, 2]), false, true);
    check(json!("b"), json!(["a", "bc"]), false, false);
    check(json!("b"), json!(["a", "b"]), false, true);
    check(json!(null), json!(null), true, false);
    check(json!(null), json!([null]), false, true);
    check(json!([1]), json!([1]), false, false);
    check(json!([1]), json!([[1]]), false, false);
    check(json!({}), json!({}), false, false);
    let sender = json!([{ "kind": "event_property_is", "key": "sender", "value": "@bob:example.org" }]);
    check_condition(sender, json!({}), true, GROUP);
    let none = json!([{ "kind": "event_property_is", "key": "content.a" }]);
    check_condition(none, json!({ "content": { "a": null } }), false, GROUP);
}

#[test]
fn what_the_room_is_asked() {
    let count = |is: &str, members: u32, holds: bool| {
        let conditions = json!([{ "kind": "room_member_count", "is": is }]);
        check_condition(conditions, json!({}), holds, Around { members, ..GROUP });
    };
    for (is, members) in [("2", 2), ("==2", 2), ("<3", 2), (">1", 2), (">=2", 2), ("<=2", 2), (">=0", 0)] {
        count(is, members, true);
    }
    let others =
        ["3", "", "=2", "=>2", "<2", ">2", ">=3", "<=1", "two", "-2", "2 ", "<0", "99999999999", "==", ">4294967295"];
    for is in others {
        count(is, 2, false);
    }
    let name = |name: Option<&'static str>, body: &str, holds: bool| {
        let conditions = json!([{ "kind": "contains_display_name" }]);
        check_condition(conditions, json!({ "content": { "body": body } }), holds, Around { name, ..GROUP });
    };
    name(Some("Alice"), "hello alice!", true);
    name(Some("Alice"), "malice", false);
    name(Some("A*"), "Alice", false);
    name(Some(""), "Alice", false);
    name(None, "Alice", false);
    let permission = |key: &str, may_notify: bool, holds: bool| {
        let conditions = json!([{ "kind": "sender_notification_permission", "key": key }]);
        check_condition(conditions, json!({}), holds, Around { may_notify, ..GROUP });
    };
    permission("room", true, true);
    permission("room", false, false);
    permission("other", true, false);
}

#[test]
fn all_conditions_must_hold_and_unknown_ones_never_do() {
    let yes = || json!({ "kind": "event_match", "key": "type", "pattern": "m.*" });
    let no = || json!({ "kind": "event_match", "key": "type", "pattern": "x.*" });
    check_condition(json!([]), json!({}), true, GROUP);
    check_condition(json!([(yes()), (yes())]), json!({}), true, GROUP);
    check_condition(json!([(yes()), (no())]), json!({}), false, GROUP);
    for unknown in [json!({ "kind": "org.example" }), json!({}), json!(1), json!({ "kind": "event_match" })] {
        check_condition(json!([(yes()), unknown]), json!({}), false, GROUP);
    }
}

#[test]
fn kinds_are_checked_in_their_order() {
    let all = json!([]);
    let rule = |kind: RuleKind, rule_id: &str| UserRule {
        rule_id: rule_id.to_string(),
        actions: alloc::format!("[{:?}]", kind.name()),
        conditions: matches!(kind, RuleKind::Override | RuleKind::Underride).then(|| all.to_string()),
        pattern: (kind == RuleKind::Content).then(|| "tea".to_string()),
        ..own(kind, &all, "[]")
    };
    let mut rules = vec![
        rule(RuleKind::Underride, "u"),
        rule(RuleKind::Sender, "@bob:example.org"),
        rule(RuleKind::Room, "!room:example.org"),
        rule(RuleKind::Content, "c"),
        rule(RuleKind::Override, "o"),
    ];
    // Rules for others, which never match here.
    rules.insert(0, rule(RuleKind::Sender, "@carol:example.org"));
    rules.insert(0, rule(RuleKind::Room, "!other:example.org"));
    let event = json!({ "content": { "body": "time for tea" } });
    for expected in ["override", "content", "room", "sender", "underride"] {
        let compiled = PushRules::of(&Ruleset { rules: rules.clone(), defaults: vec![] });
        let mut around = GROUP;
        let actions = with_event(&event, |event| compiled.judge(event, &mut around).unwrap().unwrap().actions.clone());
        assert_eq!(actions, alloc::format!("[{expected:?}]"));
        let last = rules.iter_mut().rfind(|rule| rule.enabled && rule.kind.name() == expected).unwrap();
        last.enabled = false;
    }
}

#[test]
fn a_highlight_is_true_unless_it_says_otherwise() {
    for (actions, expected) in [
        ("[]", (false, false)),
        (r#"["notify"]"#, (true, false)),
        (r#"["notify",{"set_tweak":"highlight"}]"#, (true, true)),
        (r#"["notify",{"set_tweak":"highlight","value":true}]"#, (true, true)),
        (r#"["notify",{"set_tweak":"highlight","value":false}]"#, (true, false)),
        (r#"[{"set_tweak":"sound","value":"ring"}]"#, (false, false)),
    ] {
        let ruleset = Ruleset { rules: vec![own(RuleKind::Override, &json!([]), actions)], defaults: vec![] };
        let rule = &PushRules::of(&ruleset).0[0];
        assert_eq!((rule.notify, rule.highlight), expected, "{actions}");
    }
}
