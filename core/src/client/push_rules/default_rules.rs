//! The server-default rules (Client-Server API, "Predefined Rules"), most important first within each kind.

use super::ruleset::RuleKind;

/// A server-default rule. Conditions and actions are canonical JSON, in which `"%USER%"` stands for the user's ID.
#[derive(Debug)]
pub struct DefaultRule {
    pub kind: RuleKind,
    pub rule_id: &'static str,
    pub enabled: bool,
    pub conditions: &'static str,
    pub actions: &'static str,
}

/// What stands for the user's ID.
pub const USER_ID: &str = "%USER%";
/// The same in JSON.
pub const USER: &str = "\"%USER%\"";

const SILENT: &str = "[]";
const NOTIFY: &str = r#"["notify"]"#;
const SOUND: &str = r#"["notify",{"set_tweak":"sound","value":"default"}]"#;
const RING: &str = r#"["notify",{"set_tweak":"sound","value":"ring"}]"#;
const HIGHLIGHT: &str = r#"["notify",{"set_tweak":"highlight"}]"#;
const SOUND_HIGHLIGHT: &str = r#"["notify",{"set_tweak":"sound","value":"default"},{"set_tweak":"highlight"}]"#;

const fn rule(kind: RuleKind, rule_id: &'static str, conditions: &'static str, actions: &'static str) -> DefaultRule {
    DefaultRule { kind, rule_id, enabled: true, conditions, actions }
}

/// The rule that stands above the user's own.
pub const MASTER: &str = ".m.rule.master";

pub const DEFAULT_RULES: &[DefaultRule] = &[
    DefaultRule { enabled: false, ..rule(RuleKind::Override, MASTER, "[]", SILENT) },
    rule(
        RuleKind::Override,
        ".m.rule.suppress_notices",
        r#"[{"key":"content.msgtype","kind":"event_match","pattern":"m.notice"}]"#,
        SILENT,
    ),
    rule(
        RuleKind::Override,
        ".m.rule.invite_for_me",
        r#"[{"key":"type","kind":"event_match","pattern":"m.room.member"},{"key":"content.membership","kind":"event_match","pattern":"invite"},{"key":"state_key","kind":"event_match","pattern":"%USER%"}]"#,
        SOUND,
    ),
    rule(
        RuleKind::Override,
        ".m.rule.member_event",
        r#"[{"key":"type","kind":"event_match","pattern":"m.room.member"}]"#,
        SILENT,
    ),
    rule(
        RuleKind::Override,
        ".m.rule.is_user_mention",
        r#"[{"key":"content.m\\.mentions.user_ids","kind":"event_property_contains","value":"%USER%"}]"#,
        SOUND_HIGHLIGHT,
    ),
    rule(
        RuleKind::Override,
        ".m.rule.is_room_mention",
        r#"[{"key":"content.m\\.mentions.room","kind":"event_property_is","value":true},{"key":"room","kind":"sender_notification_permission"}]"#,
        HIGHLIGHT,
    ),
    rule(
        RuleKind::Override,
        ".m.rule.tombstone",
        r#"[{"key":"type","kind":"event_match","pattern":"m.room.tombstone"},{"key":"state_key","kind":"event_match","pattern":""}]"#,
        HIGHLIGHT,
    ),
    rule(
        RuleKind::Override,
        ".m.rule.reaction",
        r#"[{"key":"type","kind":"event_match","pattern":"m.reaction"}]"#,
        SILENT,
    ),
    rule(
        RuleKind::Override,
        ".m.rule.room.server_acl",
        r#"[{"key":"type","kind":"event_match","pattern":"m.room.server_acl"},{"key":"state_key","kind":"event_match","pattern":""}]"#,
        SILENT,
    ),
    rule(
        RuleKind::Override,
        ".m.rule.suppress_edits",
        r#"[{"key":"content.m\\.relates_to.rel_type","kind":"event_property_is","value":"m.replace"}]"#,
        SILENT,
    ),
    rule(
        RuleKind::Underride,
        ".m.rule.call",
        r#"[{"key":"type","kind":"event_match","pattern":"m.call.invite"}]"#,
        RING,
    ),
    rule(
        RuleKind::Underride,
        ".m.rule.encrypted_room_one_to_one",
        r#"[{"is":"2","kind":"room_member_count"},{"key":"type","kind":"event_match","pattern":"m.room.encrypted"}]"#,
        SOUND,
    ),
    rule(
        RuleKind::Underride,
        ".m.rule.room_one_to_one",
        r#"[{"is":"2","kind":"room_member_count"},{"key":"type","kind":"event_match","pattern":"m.room.message"}]"#,
        SOUND,
    ),
    rule(
        RuleKind::Underride,
        ".m.rule.message",
        r#"[{"key":"type","kind":"event_match","pattern":"m.room.message"}]"#,
        NOTIFY,
    ),
    rule(
        RuleKind::Underride,
        ".m.rule.encrypted",
        r#"[{"key":"type","kind":"event_match","pattern":"m.room.encrypted"}]"#,
        NOTIFY,
    ),
];
