//! Each rule, in each version that has it.

use super::*;
use crate::canonical_json::Object;
use crate::signing::{SigningKey, base64, sign_json};

/// One judgement in some versions: the state beside the create event, the event, and the rule that decides.
struct Case {
    versions: (RoomVersion, RoomVersion),
    state: &'static [&'static str],
    event: &'static str,
    expected: (Rule, bool),
}

const ALLOW: bool = true;
const REJECT: bool = false;

use RoomVersion::{V1, V2, V3, V5, V6, V7, V8, V9, V10, V11, V12};

const fn case(
    first: RoomVersion,
    last: RoomVersion,
    state: &'static [&'static str],
    event: &'static str,
    rule: Rule,
    allowed: bool,
) -> Case {
    Case { versions: (first, last), state, event, expected: (rule, allowed) }
}

const ALICE: &str = r#"m.room.member @alice:a @alice:a {"membership":"join"}"#;
const BOB: &str = r#"m.room.member @bob:b @bob:b {"membership":"join"}"#;
const BOB_INVITED: &str = r#"m.room.member @alice:a @bob:b {"membership":"invite"}"#;
const BOB_BANNED: &str = r#"m.room.member @alice:a @bob:b {"membership":"ban"}"#;
const BOB_LEFT: &str = r#"m.room.member @bob:b @bob:b {"membership":"leave"}"#;
const BOB_KNOCKED: &str = r#"m.room.member @bob:b @bob:b {"membership":"knock"}"#;
const PUBLIC: &str = r#"m.room.join_rules @alice:a '' {"join_rule":"public"}"#;
const INVITE: &str = r#"m.room.join_rules @alice:a '' {"join_rule":"invite"}"#;
const KNOCK: &str = r#"m.room.join_rules @alice:a '' {"join_rule":"knock"}"#;
const RESTRICTED: &str = r#"m.room.join_rules @alice:a '' {"join_rule":"restricted"}"#;
const KNOCK_RESTRICTED: &str = r#"m.room.join_rules @alice:a '' {"join_rule":"knock_restricted"}"#;
/// Bob has 50, Carol 60; inviting takes 50. Of the creator nothing is said.
const LEVELS: &str = r#"m.room.power_levels @alice:a '' {"users":{"@bob:b":50,"@carol:c":60},"invite":50,"events":{"high":70},"notifications":{"high":70}}"#;
const CAROL: &str = r#"m.room.member @carol:c @carol:c {"membership":"join"}"#;
const CAROL_BANNED: &str = r#"m.room.member @alice:a @carol:c {"membership":"ban"}"#;
const DAVE: &str = r#"m.room.member @dave:d @dave:d {"membership":"join"}"#;

const BOB_JOINS: &str = r#"m.room.member @bob:b @bob:b {"membership":"join"}"#;
const BOB_LEAVES: &str = r#"m.room.member @bob:b @bob:b {"membership":"leave"}"#;
const BOB_KNOCKS: &str = r#"m.room.member @bob:b @bob:b {"membership":"knock"}"#;
const BOB_JOINS_BY_ALICE: &str =
    r#"m.room.member @bob:b @bob:b {"membership":"join","join_authorised_via_users_server":"@alice:a"}"#;

#[rustfmt::skip]
const CASES: &[Case] = &[
    // Who may speak.
    case(V1, V12, &[ALICE], "m.room.message @alice:a - {}", Rule::Otherwise, ALLOW),
    case(V1, V12, &[], "m.room.message @alice:a - {}", Rule::SenderNotJoined, REJECT),
    case(V1, V12, &[BOB_INVITED], "m.room.message @bob:b - {}", Rule::SenderNotJoined, REJECT),
    case(V1, V12, &[BOB_BANNED], "m.room.message @bob:b - {}", Rule::SenderNotJoined, REJECT),
    case(V1, V12, &[BOB], "m.room.message @bob:b - {}", Rule::Otherwise, ALLOW),
    // Without power levels state takes 50, and only the creator has that.
    case(V1, V12, &[BOB], "m.room.topic @bob:b '' {}", Rule::RequiredPowerLevel, REJECT),
    case(V1, V12, &[ALICE], "m.room.topic @alice:a '' {}", Rule::Otherwise, ALLOW),
    // With power levels that do not name the creator, only version 12's creator keeps the power.
    case(V1, V11, &[ALICE, LEVELS], "m.room.topic @alice:a '' {}", Rule::RequiredPowerLevel, REJECT),
    case(V12, V12, &[ALICE, LEVELS], "m.room.topic @alice:a '' {}", Rule::Otherwise, ALLOW),
    case(V1, V12, &[BOB, LEVELS], "m.room.topic @bob:b '' {}", Rule::Otherwise, ALLOW),
    case(V1, V12, &[BOB, LEVELS], "high @bob:b - {}", Rule::RequiredPowerLevel, REJECT),
    case(V1, V12, &[BOB, LEVELS], "org.example @bob:b @bob:b {}", Rule::Otherwise, ALLOW),
    case(V1, V12, &[BOB, LEVELS], "org.example @bob:b @carol:c {}", Rule::StateKeyOfOther, REJECT),
    case(V1, V12, &[BOB, LEVELS], "org.example @bob:b carol {}", Rule::Otherwise, ALLOW),
    case(V1, V12, &[BOB, LEVELS], "m.room.third_party_invite @bob:b token {}", Rule::ThirdPartyInvite, ALLOW),
    case(V1, V12, &[DAVE, LEVELS], "m.room.third_party_invite @dave:d token {}", Rule::ThirdPartyInvite, REJECT),
    case(V1, V12, &[DAVE], "m.room.third_party_invite @dave:d @alice:a {}", Rule::ThirdPartyInvite, ALLOW),
    // Aliases.
    case(V1, V5, &[], "m.room.aliases @bob:b - {}", Rule::AliasesNoStateKey, REJECT),
    case(V1, V5, &[], "m.room.aliases @bob:b a {}", Rule::AliasesDomain, REJECT),
    case(V1, V5, &[], "m.room.aliases @bob:b b {}", Rule::AliasesAllowed, ALLOW),
    case(V6, V12, &[], "m.room.aliases @bob:b b {}", Rule::SenderNotJoined, REJECT),
    // Redactions.
    case(V1, V2, &[BOB, LEVELS], "m.room.redaction @bob:b - {}", Rule::RedactionLevel, ALLOW),
    case(V1, V2, &[BOB], "m.room.redaction @bob:b - {}", Rule::RedactionOtherwise, REJECT),
    case(V3, V12, &[BOB], "m.room.redaction @bob:b - {}", Rule::Otherwise, ALLOW),
    // Members that are none.
    case(V1, V12, &[ALICE], r#"m.room.member @alice:a - {"membership":"join"}"#, Rule::MemberMalformed, REJECT),
    case(V1, V12, &[ALICE], "m.room.member @alice:a @alice:a {}", Rule::MemberMalformed, REJECT),
    case(V1, V12, &[ALICE], r#"m.room.member @alice:a @alice:a {"membership":"dance"}"#, Rule::MembershipUnknown, REJECT),
    case(V1, V12, &[ALICE], r#"m.room.member @alice:a @alice:a {"membership":1}"#, Rule::MembershipUnknown, REJECT),
    case(V1, V6, &[KNOCK], BOB_KNOCKS, Rule::MembershipUnknown, REJECT),
    case(V8, V12, &[PUBLIC], r#"m.room.member @bob:b @bob:b {"membership":"join","join_authorised_via_users_server":"b"}"#, Rule::MemberAuthoriserSignature, REJECT),
    case(V8, V12, &[BOB], r#"m.room.member @bob:b @bob:b {"membership":"leave","join_authorised_via_users_server":1}"#, Rule::MemberAuthoriserSignature, REJECT),
    case(V1, V7, &[PUBLIC], r#"m.room.member @bob:b @bob:b {"membership":"join","join_authorised_via_users_server":"b"}"#, Rule::JoinPublic, ALLOW),
    // Joins.
    case(V1, V12, &[PUBLIC], r#"m.room.member @alice:a @bob:b {"membership":"join"}"#, Rule::JoinOtherUser, REJECT),
    case(V1, V12, &[PUBLIC, BOB_BANNED], BOB_JOINS, Rule::JoinBanned, REJECT),
    case(V1, V12, &[PUBLIC], BOB_JOINS, Rule::JoinPublic, ALLOW),
    case(V1, V12, &[PUBLIC, BOB_LEFT], BOB_JOINS, Rule::JoinPublic, ALLOW),
    case(V1, V12, &[INVITE], BOB_JOINS, Rule::JoinOtherwise, REJECT),
    case(V1, V12, &[INVITE, BOB_LEFT], BOB_JOINS, Rule::JoinOtherwise, REJECT),
    case(V7, V12, &[INVITE, BOB_KNOCKED], BOB_JOINS, Rule::JoinOtherwise, REJECT),
    case(V1, V12, &[INVITE, BOB_INVITED], BOB_JOINS, Rule::JoinInvited, ALLOW),
    case(V1, V12, &[INVITE, BOB], BOB_JOINS, Rule::JoinInvited, ALLOW),
    case(V1, V12, &[BOB_INVITED], BOB_JOINS, Rule::JoinOtherwise, REJECT),
    case(V1, V6, &[KNOCK, BOB_INVITED], BOB_JOINS, Rule::JoinOtherwise, REJECT),
    case(V7, V12, &[KNOCK, BOB_INVITED], BOB_JOINS, Rule::JoinInvited, ALLOW),
    case(V7, V12, &[KNOCK, BOB_KNOCKED], BOB_JOINS, Rule::JoinOtherwise, REJECT),
    case(V1, V7, &[RESTRICTED, BOB_INVITED], BOB_JOINS, Rule::JoinOtherwise, REJECT),
    case(V8, V12, &[RESTRICTED, BOB_INVITED], BOB_JOINS, Rule::JoinRestrictedInvited, ALLOW),
    case(V8, V12, &[RESTRICTED, BOB], BOB_JOINS, Rule::JoinRestrictedInvited, ALLOW),
    case(V8, V12, &[RESTRICTED], BOB_JOINS, Rule::JoinRestrictedAuthoriser, REJECT),
    case(V8, V12, &[RESTRICTED, BOB_BANNED, ALICE], BOB_JOINS_BY_ALICE, Rule::JoinBanned, REJECT),
    case(V8, V12, &[RESTRICTED, ALICE], BOB_JOINS_BY_ALICE, Rule::JoinRestrictedAllowed, ALLOW),
    case(V8, V12, &[RESTRICTED], BOB_JOINS_BY_ALICE, Rule::JoinRestrictedAuthoriser, REJECT),
    case(V8, V11, &[RESTRICTED, ALICE, LEVELS], BOB_JOINS_BY_ALICE, Rule::JoinRestrictedAuthoriser, REJECT),
    case(V12, V12, &[RESTRICTED, ALICE, LEVELS], BOB_JOINS_BY_ALICE, Rule::JoinRestrictedAllowed, ALLOW),
    case(V8, V9, &[KNOCK_RESTRICTED, ALICE, BOB_INVITED], BOB_JOINS_BY_ALICE, Rule::JoinOtherwise, REJECT),
    case(V10, V12, &[KNOCK_RESTRICTED, ALICE], BOB_JOINS_BY_ALICE, Rule::JoinRestrictedAllowed, ALLOW),
    case(V10, V12, &[KNOCK_RESTRICTED, BOB_INVITED], BOB_JOINS, Rule::JoinRestrictedInvited, ALLOW),
    case(V1, V12, &[r#"m.room.join_rules @alice:a '' {"join_rule":"private"}"#, BOB_INVITED], BOB_JOINS, Rule::JoinOtherwise, REJECT),
    case(V1, V12, &["m.room.join_rules @alice:a '' {}", BOB_INVITED], BOB_JOINS, Rule::JoinOtherwise, REJECT),
    // Invites.
    case(V1, V12, &[], BOB_INVITED, Rule::InviteSenderNotJoined, REJECT),
    case(V1, V12, &[ALICE], BOB_INVITED, Rule::InviteAllowed, ALLOW),
    case(V1, V12, &[ALICE, BOB], BOB_INVITED, Rule::InviteTarget, REJECT),
    case(V1, V12, &[ALICE, BOB_BANNED], BOB_INVITED, Rule::InviteTarget, REJECT),
    case(V1, V12, &[ALICE, BOB_LEFT], BOB_INVITED, Rule::InviteAllowed, ALLOW),
    case(V1, V11, &[ALICE, LEVELS], BOB_INVITED, Rule::InviteOtherwise, REJECT),
    case(V12, V12, &[ALICE, LEVELS], BOB_INVITED, Rule::InviteAllowed, ALLOW),
    case(V12, V12, &[DAVE, LEVELS], r#"m.room.member @dave:d @bob:b {"membership":"invite"}"#, Rule::InviteOtherwise, REJECT),
    // Leaving.
    case(V1, V12, &[BOB], BOB_LEAVES, Rule::LeaveSelf, ALLOW),
    case(V1, V12, &[BOB_INVITED], BOB_LEAVES, Rule::LeaveSelf, ALLOW),
    case(V1, V12, &[], BOB_LEAVES, Rule::LeaveSelf, REJECT),
    case(V1, V12, &[BOB_BANNED], BOB_LEAVES, Rule::LeaveSelf, REJECT),
    case(V1, V6, &[BOB_KNOCKED], BOB_LEAVES, Rule::LeaveSelf, REJECT),
    case(V7, V12, &[BOB_KNOCKED], BOB_LEAVES, Rule::LeaveSelf, ALLOW),
    case(V1, V12, &[BOB], r#"m.room.member @carol:c @bob:b {"membership":"leave"}"#, Rule::LeaveSenderNotJoined, REJECT),
    case(V1, V12, &[ALICE, BOB], r#"m.room.member @alice:a @bob:b {"membership":"leave"}"#, Rule::LeaveKick, ALLOW),
    case(V1, V12, &[BOB, DAVE, LEVELS], r#"m.room.member @bob:b @dave:d {"membership":"leave"}"#, Rule::LeaveKick, ALLOW),
    case(V1, V12, &[BOB, CAROL, LEVELS], r#"m.room.member @bob:b @carol:c {"membership":"leave"}"#, Rule::LeaveOtherwise, REJECT),
    case(V1, V12, &[BOB, DAVE, LEVELS], r#"m.room.member @dave:d @bob:b {"membership":"leave"}"#, Rule::LeaveOtherwise, REJECT),
    case(V1, V12, &[BOB_BANNED, DAVE], r#"m.room.member @dave:d @bob:b {"membership":"leave"}"#, Rule::LeaveUnban, REJECT),
    case(V1, V12, &[BOB_BANNED, ALICE], r#"m.room.member @alice:a @bob:b {"membership":"leave"}"#, Rule::LeaveKick, ALLOW),
    case(V1, V12, &[BOB, CAROL_BANNED, LEVELS], r#"m.room.member @bob:b @carol:c {"membership":"leave"}"#, Rule::LeaveOtherwise, REJECT),
    case(V12, V12, &[BOB, ALICE, LEVELS], r#"m.room.member @bob:b @alice:a {"membership":"leave"}"#, Rule::LeaveOtherwise, REJECT),
    case(V1, V11, &[BOB, ALICE, LEVELS], r#"m.room.member @bob:b @alice:a {"membership":"leave"}"#, Rule::LeaveKick, ALLOW),
    // Bans.
    case(V1, V12, &[], BOB_BANNED, Rule::BanSenderNotJoined, REJECT),
    case(V1, V12, &[ALICE], BOB_BANNED, Rule::BanAllowed, ALLOW),
    case(V1, V12, &[ALICE, BOB], BOB_BANNED, Rule::BanAllowed, ALLOW),
    case(V1, V12, &[DAVE, BOB], r#"m.room.member @dave:d @bob:b {"membership":"ban"}"#, Rule::BanOtherwise, REJECT),
    case(V1, V12, &[BOB, CAROL, LEVELS], r#"m.room.member @bob:b @carol:c {"membership":"ban"}"#, Rule::BanOtherwise, REJECT),
    case(V1, V12, &[BOB, LEVELS], r#"m.room.member @bob:b @bob:b {"membership":"ban"}"#, Rule::BanOtherwise, REJECT),
    // Knocks.
    case(V7, V12, &[KNOCK], BOB_KNOCKS, Rule::KnockAllowed, ALLOW),
    case(V7, V12, &[KNOCK, BOB_LEFT], BOB_KNOCKS, Rule::KnockAllowed, ALLOW),
    case(V7, V12, &[KNOCK, BOB_KNOCKED], BOB_KNOCKS, Rule::KnockAllowed, ALLOW),
    case(V7, V12, &[], BOB_KNOCKS, Rule::KnockJoinRule, REJECT),
    case(V7, V12, &[INVITE], BOB_KNOCKS, Rule::KnockJoinRule, REJECT),
    case(V7, V9, &[KNOCK_RESTRICTED], BOB_KNOCKS, Rule::KnockJoinRule, REJECT),
    case(V10, V12, &[KNOCK_RESTRICTED], BOB_KNOCKS, Rule::KnockAllowed, ALLOW),
    case(V7, V12, &[KNOCK], r#"m.room.member @alice:a @bob:b {"membership":"knock"}"#, Rule::KnockOtherUser, REJECT),
    case(V7, V12, &[KNOCK, BOB], BOB_KNOCKS, Rule::KnockOtherwise, REJECT),
    case(V7, V12, &[KNOCK, BOB_INVITED], BOB_KNOCKS, Rule::KnockOtherwise, REJECT),
    case(V7, V12, &[KNOCK, BOB_BANNED], BOB_KNOCKS, Rule::KnockOtherwise, REJECT),
    // Invites by a third party's token, as far as no signature counts.
    case(V1, V12, &[BOB_BANNED], r#"m.room.member @alice:a @bob:b {"membership":"invite","third_party_invite":{}}"#, Rule::ThirdPartyInviteBanned, REJECT),
    case(V1, V12, &[], r#"m.room.member @alice:a @bob:b {"membership":"invite","third_party_invite":{}}"#, Rule::ThirdPartyInviteUnsigned, REJECT),
    case(V1, V12, &[], r#"m.room.member @alice:a @bob:b {"membership":"invite","third_party_invite":null}"#, Rule::ThirdPartyInviteUnsigned, REJECT),
    case(V1, V12, &[], r#"m.room.member @alice:a @bob:b {"membership":"invite","third_party_invite":{"signed":1}}"#, Rule::ThirdPartyInviteMalformed, REJECT),
    case(V1, V12, &[], r#"m.room.member @alice:a @bob:b {"membership":"invite","third_party_invite":{"signed":{"token":"t"}}}"#, Rule::ThirdPartyInviteMalformed, REJECT),
    case(V1, V12, &[], r#"m.room.member @alice:a @bob:b {"membership":"invite","third_party_invite":{"signed":{"token":"t","mxid":"@carol:c"}}}"#, Rule::ThirdPartyInviteOtherUser, REJECT),
    case(V1, V12, &[], r#"m.room.member @alice:a @bob:b {"membership":"invite","third_party_invite":{"signed":{"token":"t","mxid":"@bob:b"}}}"#, Rule::ThirdPartyInviteUnknown, REJECT),
    case(V1, V12, &["m.room.third_party_invite @carol:c t {}"], r#"m.room.member @alice:a @bob:b {"membership":"invite","third_party_invite":{"signed":{"token":"t","mxid":"@bob:b"}}}"#, Rule::ThirdPartyInviteOtherSender, REJECT),
    case(V1, V12, &["m.room.third_party_invite @alice:a t {}"], r#"m.room.member @alice:a @bob:b {"membership":"invite","third_party_invite":{"signed":{"token":"t","mxid":"@bob:b"}}}"#, Rule::ThirdPartyInviteOtherwise, REJECT),
    // Power levels.
    case(V1, V12, &[ALICE], r#"m.room.power_levels @alice:a '' {"users":{"@bob:b":1000}}"#, Rule::PowerLevelsFirst, ALLOW),
    case(V1, V12, &[ALICE], "m.room.power_levels @alice:a '' {}", Rule::PowerLevelsFirst, ALLOW),
    case(V1, V12, &[ALICE], r#"m.room.power_levels @alice:a '' {"users":{"bob":1}}"#, Rule::PowerLevelsUsers, REJECT),
    case(V1, V12, &[ALICE], r#"m.room.power_levels @alice:a '' {"users":{"@bob:b":"x"}}"#, Rule::PowerLevelsUsers, REJECT),
    case(V1, V12, &[ALICE], r#"m.room.power_levels @alice:a '' {"users":[]}"#, Rule::PowerLevelsUsers, REJECT),
    case(V1, V9, &[ALICE], r#"m.room.power_levels @alice:a '' {"users":{"@bob:b":" +050 "}}"#, Rule::PowerLevelsFirst, ALLOW),
    case(V10, V12, &[ALICE], r#"m.room.power_levels @alice:a '' {"users":{"@bob:b":"50"}}"#, Rule::PowerLevelsUsers, REJECT),
    case(V1, V9, &[ALICE], r#"m.room.power_levels @alice:a '' {"ban":"x"}"#, Rule::PowerLevelsFirst, ALLOW),
    case(V1, V5, &[ALICE], r#"m.room.power_levels @alice:a '' {"ban":1e999}"#, Rule::PowerLevelsUsers, REJECT),
    case(V1, V5, &[ALICE], r#"m.room.power_levels @alice:a '' {"events":{"a":1e999}}"#, Rule::PowerLevelsUsers, REJECT),
    case(V10, V12, &[ALICE], r#"m.room.power_levels @alice:a '' {"ban":"50"}"#, Rule::PowerLevelsField, REJECT),
    case(V10, V12, &[ALICE], r#"m.room.power_levels @alice:a '' {"invite":null}"#, Rule::PowerLevelsField, REJECT),
    case(V1, V9, &[ALICE], r#"m.room.power_levels @alice:a '' {"events":[]}"#, Rule::PowerLevelsFirst, ALLOW),
    case(V10, V12, &[ALICE], r#"m.room.power_levels @alice:a '' {"events":[]}"#, Rule::PowerLevelsMap, REJECT),
    case(V10, V12, &[ALICE], r#"m.room.power_levels @alice:a '' {"notifications":{"room":"50"}}"#, Rule::PowerLevelsMap, REJECT),
    case(V12, V12, &[ALICE], r#"m.room.power_levels @alice:a '' {"users":{"@alice:a":100}}"#, Rule::PowerLevelsCreator, REJECT),
    case(V1, V11, &[ALICE], r#"m.room.power_levels @alice:a '' {"users":{"@alice:a":100}}"#, Rule::PowerLevelsFirst, ALLOW),
    case(V1, V12, &[BOB, LEVELS], r#"m.room.power_levels @bob:b '' {"users":{"@bob:b":50,"@carol:c":60},"invite":50,"events":{"high":70},"notifications":{"high":70}}"#, Rule::PowerLevelsAllowed, ALLOW),
    case(V1, V12, &[BOB, LEVELS], r#"m.room.power_levels @bob:b '' {"users":{"@bob:b":40,"@carol:c":60},"invite":0,"kick":40,"events":{"high":70,"low":50},"notifications":{"high":70,"low":50}}"#, Rule::PowerLevelsAllowed, ALLOW),
    case(V1, V9, &[BOB, LEVELS], r#"m.room.power_levels @bob:b '' {"users":{"@bob:b":"50","@carol:c":" 60 "},"invite":"50","events":{"high":"70"},"notifications":{"high":"70"}}"#, Rule::PowerLevelsAllowed, ALLOW),
    case(V1, V12, &[BOB, LEVELS], r#"m.room.power_levels @bob:b '' {"users":{"@bob:b":50,"@carol:c":60},"invite":51,"events":{"high":70},"notifications":{"high":70}}"#, Rule::PowerLevelsFieldNew, REJECT),
    case(V1, V12, &[BOB, r#"m.room.power_levels @alice:a '' {"users":{"@bob:b":50},"ban":60}"#], r#"m.room.power_levels @bob:b '' {"users":{"@bob:b":50}}"#, Rule::PowerLevelsFieldCurrent, REJECT),
    case(V1, V12, &[BOB, r#"m.room.power_levels @alice:a '' {"users":{"@bob:b":40},"state_default":40}"#], r#"m.room.power_levels @bob:b '' {"users":{"@bob:b":40},"state_default":40,"ban":30}"#, Rule::PowerLevelsFieldCurrent, REJECT),
    case(V1, V9, &[BOB, LEVELS], r#"m.room.power_levels @bob:b '' {"users":{"@bob:b":50,"@carol:c":60},"invite":"x","events":{"high":70}}"#, Rule::PowerLevelsFieldNew, REJECT),
    case(V1, V12, &[BOB, LEVELS], r#"m.room.power_levels @bob:b '' {"users":{"@bob:b":50,"@carol:c":60},"invite":50,"events":{},"notifications":{"high":70}}"#, Rule::PowerLevelsEntryCurrent, REJECT),
    case(V1, V12, &[BOB, LEVELS], r#"m.room.power_levels @bob:b '' {"users":{"@bob:b":50,"@carol:c":60},"invite":50,"events":{"high":10},"notifications":{"high":70}}"#, Rule::PowerLevelsEntryCurrent, REJECT),
    case(V1, V12, &[BOB, LEVELS], r#"m.room.power_levels @bob:b '' {"users":{"@bob:b":50,"@carol:c":60},"invite":50,"events":{"high":70,"more":51},"notifications":{"high":70}}"#, Rule::PowerLevelsEntryNew, REJECT),
    case(V1, V9, &[BOB, LEVELS], r#"m.room.power_levels @bob:b '' {"users":{"@bob:b":50,"@carol:c":60},"invite":50,"events":{"high":70,"more":"x"},"notifications":{"high":70}}"#, Rule::PowerLevelsEntryNew, REJECT),
    case(V1, V5, &[BOB, LEVELS], r#"m.room.power_levels @bob:b '' {"users":{"@bob:b":50,"@carol:c":60},"invite":50,"events":{"high":70},"notifications":{"more":100}}"#, Rule::PowerLevelsAllowed, ALLOW),
    case(V6, V12, &[BOB, LEVELS], r#"m.room.power_levels @bob:b '' {"users":{"@bob:b":50,"@carol:c":60},"invite":50,"events":{"high":70}}"#, Rule::PowerLevelsEntryCurrent, REJECT),
    case(V6, V12, &[BOB, LEVELS], r#"m.room.power_levels @bob:b '' {"users":{"@bob:b":50,"@carol:c":60},"invite":50,"events":{"high":70},"notifications":{"high":70,"more":51}}"#, Rule::PowerLevelsEntryNew, REJECT),
    case(V1, V12, &[BOB, LEVELS], r#"m.room.power_levels @bob:b '' {"users":{"@bob:b":50},"invite":50,"events":{"high":70},"notifications":{"high":70}}"#, Rule::PowerLevelsUserCurrent, REJECT),
    case(V1, V12, &[BOB, r#"m.room.power_levels @alice:a '' {"users":{"@bob:b":50,"@dave:d":50}}"#], r#"m.room.power_levels @bob:b '' {"users":{"@bob:b":50,"@dave:d":0}}"#, Rule::PowerLevelsUserCurrent, REJECT),
    case(V1, V12, &[BOB, r#"m.room.power_levels @alice:a '' {"users":{"@bob:b":50,"@dave:d":49}}"#], r#"m.room.power_levels @bob:b '' {"users":{"@bob:b":50,"@dave:d":50}}"#, Rule::PowerLevelsAllowed, ALLOW),
    case(V1, V12, &[BOB, LEVELS], r#"m.room.power_levels @bob:b '' {"users":{"@bob:b":51,"@carol:c":60},"invite":50,"events":{"high":70},"notifications":{"high":70}}"#, Rule::PowerLevelsUserNew, REJECT),
    case(V12, V12, &[ALICE, LEVELS], r#"m.room.power_levels @alice:a '' {"users":{"@bob:b":9007199254740991}}"#, Rule::PowerLevelsAllowed, ALLOW),
    // Levels that are no numbers, as rooms up to version 9 can have them: nobody reaches them.
    case(V1, V9, &[BOB, r#"m.room.power_levels @alice:a '' {"users":{"@bob:b":50},"events_default":"x"}"#], "m.room.message @bob:b - {}", Rule::RequiredPowerLevel, REJECT),
    case(V1, V9, &[BOB, r#"m.room.power_levels @alice:a '' {"users":{"@bob:b":50},"events":1}"#], "m.room.message @bob:b - {}", Rule::RequiredPowerLevel, REJECT),
    case(V1, V9, &[BOB, r#"m.room.power_levels @alice:a '' {"users":{"@bob:b":50},"invite":{}}"#], r#"m.room.member @bob:b @carol:c {"membership":"invite"}"#, Rule::InviteOtherwise, REJECT),
    case(V1, V9, &[BOB, DAVE, r#"m.room.power_levels @alice:a '' {"users":{"@bob:b":50},"users_default":"x"}"#], r#"m.room.member @bob:b @dave:d {"membership":"leave"}"#, Rule::LeaveOtherwise, REJECT),
    case(V1, V9, &[BOB, r#"m.room.power_levels @alice:a '' {"users":{"@bob:b":100},"ban":"x"}"#], r#"m.room.power_levels @bob:b '' {"users":{"@bob:b":100},"ban":"x"}"#, Rule::PowerLevelsFieldCurrent, REJECT),
    case(V1, V9, &[BOB, r#"m.room.power_levels @alice:a '' {"users":{"@bob:b":100},"events":{"x":[]}}"#], r#"m.room.power_levels @bob:b '' {"users":{"@bob:b":100}}"#, Rule::PowerLevelsEntryCurrent, REJECT),
    // Versions 1 to 5 take floats, whose fraction is cut off.
    case(V1, V5, &[BOB, r#"m.room.power_levels @alice:a '' {"users":{"@bob:b":50.57}}"#], "m.room.topic @bob:b '' {}", Rule::Otherwise, ALLOW),
    case(V1, V5, &[BOB, r#"m.room.power_levels @alice:a '' {"users":{"@bob:b":49.99}}"#], "m.room.topic @bob:b '' {}", Rule::RequiredPowerLevel, REJECT),
];

#[test]
fn cases() {
    let mut seen = BTreeSet::new();
    for case in CASES {
        for version in between(case.versions.0, case.versions.1) {
            let room = Room::new(version);
            let verdict = room.judge(case.state, &room.event(case.event));
            assert_eq!(
                (verdict.rule.rule(), verdict.allowed),
                case.expected,
                "version {version}: {} on {:#?}",
                case.event,
                case.state
            );
            assert_eq!(verdict.inputs[0], room.create.event_id, "the create event always counts");
            seen.insert((version, verdict.rule.rule()));
        }
    }
    // Judged by tests of their own: rule 1, the rules on auth events, and what needs more than one line of state.
    let elsewhere = [
        Rule::CreateHasPrevEvents,
        Rule::CreateRoomIdDomain,
        Rule::CreateHasRoomId,
        Rule::CreateRoomVersion,
        Rule::CreateNoCreator,
        Rule::CreateAdditionalCreators,
        Rule::CreateAllowed,
        Rule::RoomIdNamesNoCreate,
        Rule::AuthEventsDuplicate,
        Rule::AuthEventsUnexpected,
        Rule::AuthEventsRejected,
        Rule::AuthEventsNoCreate,
        Rule::AuthEventsOtherRoom,
        Rule::NotFederated,
        Rule::JoinCreator,
        Rule::ThirdPartyInviteSignature,
        Rule::RedactionOwnServer,
    ];
    for version in RoomVersion::ALL {
        let numbering = version.rules().auth.numbering;
        for rule in Rule::ALL.iter().filter(|rule| rule.number(numbering).is_some() && !elsewhere.contains(rule)) {
            assert!(seen.contains(&(version, *rule)), "no case for {rule:?} in version {version}");
        }
    }
}

fn check(room: &Room, state: &[&str], event: &Pdu, rule: Rule, allowed: bool) {
    let verdict = room.judge(state, event);
    assert_eq!((verdict.rule.rule(), verdict.allowed), (rule, allowed), "version {}: {verdict}", room.version);
}

#[test]
fn create_events() {
    let judge = |version: RoomVersion, change: &dyn Fn(&mut Object), expected: (Rule, bool)| {
        let content = Object::new().with("room_version", version.as_str()).with("creator", "@alice:a");
        let mut event = create_event(version, content).to_object();
        change(&mut event);
        let event = Pdu::parse(event, version).unwrap();
        let verdict = authorize(version.rules(), &event, &event, &AuthState::<Pdu>(&[]));
        assert_eq!((verdict.rule.rule(), verdict.allowed), expected, "version {version}");
        assert_eq!(verdict.inputs, [], "it is judged on nothing else");
    };
    let content = |event: &mut Object, text: &str| drop(event.insert("content", object(text)));
    for version in RoomVersion::ALL {
        let allowed = (Rule::CreateAllowed, ALLOW);
        judge(version, &|_| (), allowed);
        let prev = header(version, "x", "@a:a", Object::new(), &["$before:a"]).remove("prev_events").unwrap();
        judge(version, &|event| drop(event.insert("prev_events", prev.clone())), (Rule::CreateHasPrevEvents, REJECT));
        judge(
            version,
            &|event| content(event, r#"{"room_version":"13","creator":""}"#),
            (Rule::CreateRoomVersion, REJECT),
        );
        judge(
            version,
            &|event| content(event, r#"{"room_version":1,"creator":""}"#),
            (Rule::CreateRoomVersion, REJECT),
        );
        judge(version, &|event| content(event, r#"{"creator":""}"#), allowed);
    }
    for version in between(V1, V11) {
        let other = |event: &mut Object| drop(event.insert("room_id", "!room:b"));
        judge(version, &other, (Rule::CreateRoomIdDomain, REJECT));
        let none = |event: &mut Object| drop(event.insert("room_id", "!room"));
        judge(version, &none, (Rule::CreateRoomIdDomain, REJECT));
        let any = |event: &mut Object| content(event, r#"{"creator":"@a:a","additional_creators":1}"#);
        judge(version, &any, (Rule::CreateAllowed, ALLOW));
    }
    for version in between(V1, V10) {
        judge(version, &|event| content(event, "{}"), (Rule::CreateNoCreator, REJECT));
    }
    for version in from(V11) {
        judge(version, &|event| content(event, "{}"), (Rule::CreateAllowed, ALLOW));
    }
    judge(V12, &|event| drop(event.insert("room_id", "!room:a")), (Rule::CreateHasRoomId, REJECT));
    judge(V12, &|event| content(event, r#"{"additional_creators":[]}"#), (Rule::CreateAllowed, ALLOW));
    judge(V12, &|event| content(event, r#"{"additional_creators":["@bob:b","@Ünï:c"]}"#), (Rule::CreateAllowed, ALLOW));
    for wrong in ["null", "1", "{}", "[1]", "[null]", r#"["bob"]"#, r#"["@bob:b","@x"]"#, r#""@bob:b""#] {
        let text = alloc::format!(r#"{{"additional_creators":{wrong}}}"#);
        judge(V12, &|event| content(event, &text), (Rule::CreateAdditionalCreators, REJECT));
    }
}

#[test]
fn first_join() {
    for version in RoomVersion::ALL {
        let room = Room::new(version);
        let create = room.create.event_id.as_str();
        let join = r#"m.room.member @alice:a @alice:a {"membership":"join"}"#;
        check(&room, &[], &room.event_after(join, &[create]), Rule::JoinCreator, ALLOW);
        check(&room, &[], &room.event_after(join, &[create, "$more:a"]), Rule::JoinOtherwise, REJECT);
        check(&room, &[], &room.event_after(join, &[]), Rule::JoinOtherwise, REJECT);
        check(&room, &[], &room.event_after(BOB_JOINS, &[create]), Rule::JoinOtherwise, REJECT);
    }
    // Up to version 10 the creator is who the content says.
    for version in RoomVersion::ALL {
        let content = object(r#"{"creator":"@bob:b"}"#).with("room_version", version.as_str());
        let room = Room { version, create: create_event(version, content) };
        let create = room.create.event_id.as_str();
        let expected = if version <= V10 { (Rule::JoinCreator, ALLOW) } else { (Rule::JoinOtherwise, REJECT) };
        check(&room, &[], &room.event_after(BOB_JOINS, &[create]), expected.0, expected.1);
    }
}

#[test]
fn rooms_that_do_not_federate() {
    for version in RoomVersion::ALL {
        let room = Room::with_create(version, r#"{"m.federate":false}"#);
        check(&room, &[PUBLIC], &room.event(BOB_JOINS), Rule::NotFederated, REJECT);
        let own = room.event(r#"m.room.member @eve:a @eve:a {"membership":"join"}"#);
        check(&room, &[PUBLIC], &own, Rule::JoinPublic, ALLOW);
        for open in [r#"{"m.federate":true}"#, r#"{"m.federate":"false"}"#, r#"{"m.federate":null}"#] {
            let room = Room::with_create(version, open);
            check(&room, &[PUBLIC], &room.event(BOB_JOINS), Rule::JoinPublic, ALLOW);
        }
    }
}

/// Versions 1 and 2: a server may redact the events whose IDs name it.
#[test]
fn redactions_of_ones_own_server() {
    for version in [V1, V2] {
        let room = Room::new(version);
        let redaction = |redacts: &str| {
            let mut event = room.event("m.room.redaction @bob:b - {}").to_object();
            event.insert("redacts", redacts);
            Pdu::parse(event, version).unwrap()
        };
        check(&room, &[BOB], &redaction("$x:b"), Rule::RedactionOwnServer, ALLOW);
        check(&room, &[BOB], &redaction("$x:a"), Rule::RedactionOtherwise, REJECT);
        check(&room, &[BOB], &redaction("$x"), Rule::RedactionOtherwise, REJECT);
        check(&room, &[BOB], &redaction("nonsense"), Rule::RedactionOtherwise, REJECT);
    }
}

#[test]
fn signed_third_party_invites() {
    let key = SigningKey::from_seed("0", &[3; 32]).unwrap();
    let public = base64::encode_unpadded(&key.public_key());
    let url_safe = base64::encode_url_safe_unpadded(&key.public_key());
    let other = base64::encode_unpadded(&SigningKey::from_seed("0", &[4; 32]).unwrap().public_key());
    let mut signed = object(r#"{"mxid":"@bob:b","token":"t"}"#);
    sign_json(&mut signed, "identity.example", &key).unwrap();
    let invite = |signed: &Object| {
        alloc::format!(
            r#"m.room.member @alice:a @bob:b {{"membership":"invite","third_party_invite":{{"signed":{}}}}}"#,
            Value::Object(signed.clone())
        )
    };
    let keys = |content: &str| alloc::format!("m.room.third_party_invite @alice:a t {content}");
    for version in RoomVersion::ALL {
        let room = Room::new(version);
        let judge = |content: String, signed: &Object, allowed: bool| {
            let rule = if allowed { Rule::ThirdPartyInviteSignature } else { Rule::ThirdPartyInviteOtherwise };
            check(&room, &[&keys(&content)], &room.event(&invite(signed)), rule, allowed);
        };
        judge(alloc::format!(r#"{{"public_key":"{public}"}}"#), &signed, ALLOW);
        judge(alloc::format!(r#"{{"public_key":"{url_safe}"}}"#), &signed, ALLOW);
        judge(
            alloc::format!(r#"{{"public_keys":[1,{{}},{{"public_key":"{other}"}},{{"public_key":"{public}"}}]}}"#),
            &signed,
            ALLOW,
        );
        judge(
            alloc::format!(r#"{{"public_key":"{other}","public_keys":[{{"public_key":"{public}"}}]}}"#),
            &signed,
            ALLOW,
        );
        judge(alloc::format!(r#"{{"public_key":"{other}"}}"#), &signed, REJECT);
        judge(String::from(r#"{"public_key":1,"public_keys":{}}"#), &signed, REJECT);
        let mut changed = signed.clone();
        changed.insert("more", 1i64);
        judge(alloc::format!(r#"{{"public_key":"{public}"}}"#), &changed, REJECT);
        let unsigned =
            object(r#"{"mxid":"@bob:b","token":"t","signatures":{"x":1,"y":{"ed25519:1":1,"ed25519:2":"!"}}}"#);
        judge(alloc::format!(r#"{{"public_key":"{public}"}}"#), &unsigned, REJECT);
        // The inviter need not be in the room, nor have any power.
        let verdict = room
            .judge(&[&keys(&alloc::format!(r#"{{"public_key":"{public}"}}"#)), LEVELS], &room.event(&invite(&signed)));
        assert!(verdict.allowed);
        assert_eq!(verdict.inputs.len(), 2, "the create event and the third-party invite");
    }
}

#[test]
fn join_without_the_authoriser_s_signature() {
    for version in from(V8) {
        let room = Room::new(version);
        let join = room.event(BOB_JOINS_BY_ALICE);
        assert_eq!(join.authorising_server(version.rules()).as_deref(), Some("a"));
        let verdict = not_signed_by_authoriser(version.rules(), &join);
        assert_eq!((verdict.rule.rule(), verdict.allowed), (Rule::MemberAuthoriserSignature, false));
        assert_eq!(room.event(BOB_JOINS).authorising_server(version.rules()), None);
    }
    let room = Room::new(V7);
    assert_eq!(room.event(BOB_JOINS_BY_ALICE).authorising_server(V7.rules()), None);
}

#[test]
fn what_is_said() {
    let room = Room::new(V11);
    let verdict = room.judge(&[PUBLIC, BOB_BANNED], &room.event(BOB_JOINS));
    assert_eq!(verdict.to_string(), "v11 rule 4.3.3: the user is banned");
    let room = Room::new(V12);
    let verdict = room.judge(&[PUBLIC, BOB], &room.event("m.room.topic @bob:b '' {}"));
    assert_eq!(verdict.rule.to_string(), "v12 rule 8");
    assert_eq!(verdict.inputs.len(), 2, "the create event and the sender");
}

/// Version 12: creators are above all levels, whoever made them so.
#[test]
fn additional_creators() {
    let room = Room::with_create(V12, r#"{"additional_creators":["@bob:b"]}"#);
    let max = r#"m.room.power_levels @alice:a '' {"users":{"@carol:c":9007199254740991},"state_default":9007199254740991,"kick":9007199254740991}"#;
    check(&room, &[BOB, max], &room.event("m.room.topic @bob:b '' {}"), Rule::Otherwise, ALLOW);
    let kick = |sender: &str, target: &str| {
        room.event(&alloc::format!(r#"m.room.member {sender} {target} {{"membership":"leave"}}"#))
    };
    check(&room, &[BOB, CAROL, max], &kick("@bob:b", "@carol:c"), Rule::LeaveKick, ALLOW);
    check(&room, &[BOB, ALICE, max], &kick("@bob:b", "@alice:a"), Rule::LeaveOtherwise, REJECT);
    check(&room, &[CAROL, BOB, max], &kick("@carol:c", "@bob:b"), Rule::LeaveOtherwise, REJECT);
    let levels = room.event(r#"m.room.power_levels @alice:a '' {"users":{"@bob:b":0}}"#);
    check(&room, &[ALICE], &levels, Rule::PowerLevelsCreator, REJECT);
    // In older versions the name means nothing.
    let room = Room::with_create(V11, r#"{"additional_creators":["@bob:b"]}"#);
    check(&room, &[BOB], &room.event("m.room.topic @bob:b '' {}"), Rule::RequiredPowerLevel, REJECT);
}
