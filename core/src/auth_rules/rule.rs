//! The authorization rules by name, and their numbers on each room version's page.

use alloc::string::String;
use core::fmt;
use serde::{Deserialize, Serialize};

use crate::room_version::{Numbering, RoomVersion, RoomVersionRules};

macro_rules! rules {
    ($($name:ident: $text:literal; $v1:literal $v3:literal $v6:literal $v7:literal $v8:literal $v10:literal $v11:literal $v12:literal)*) => {
        /// A rule that can decide about an event.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Rule {
            $(#[doc = $text] $name,)*
        }

        impl Rule {
            pub const ALL: &[Rule] = &[$(Rule::$name),*];

            /// What the rule found, for people.
            #[must_use]
            pub const fn text(self) -> &'static str {
                match self { $(Rule::$name => $text,)* }
            }

            /// Its number under each [`Numbering`], oldest first.
            const fn numbers(self) -> [&'static str; 8] {
                match self { $(Rule::$name => [$v1, $v3, $v6, $v7, $v8, $v10, $v11, $v12],)* }
            }
        }
    };
}

// The numbers are those that a reader of the page sees. Two lists of version 12 are numbered wrongly in the page's source
// (3.5 after 3.3, two times 10.10), but not where they are shown.
rules! {
    //   v1, v2     v3 to v5   v6         v7         v8, v9     v10        v11        v12
    CreateHasPrevEvents: "a create event has previous events";
        "1.1"      "1.1"      "1.1"      "1.1"      "1.1"      "1.1"      "1.1"      "1.1"
    CreateRoomIdDomain: "the create event's room ID and sender are of different servers";
        "1.2"      "1.2"      "1.2"      "1.2"      "1.2"      "1.2"      "1.2"      "-"
    CreateHasRoomId: "the create event has a room ID";
        "-"        "-"        "-"        "-"        "-"        "-"        "-"        "1.2"
    CreateRoomVersion: "the create event's room version is not known";
        "1.3"      "1.3"      "1.3"      "1.3"      "1.3"      "1.3"      "1.3"      "1.3"
    CreateNoCreator: "the create event has no creator";
        "1.4"      "1.4"      "1.4"      "1.4"      "1.4"      "1.4"      "-"        "-"
    CreateAdditionalCreators: "additional_creators is not a list of user IDs";
        "-"        "-"        "-"        "-"        "-"        "-"        "-"        "1.4"
    CreateAllowed: "it is the create event";
        "1.5"      "1.5"      "1.5"      "1.5"      "1.5"      "1.5"      "1.4"      "1.5"
    RoomIdNamesNoCreate: "the room ID names no accepted create event";
        "-"        "-"        "-"        "-"        "-"        "-"        "-"        "2"
    AuthEventsDuplicate: "two auth events are for one type and state key";
        "2.1"      "2.1"      "2.1"      "2.1"      "2.1"      "2.1"      "2.1"      "3.1"
    AuthEventsUnexpected: "an auth event is of no use for this event";
        "2.2"      "2.2"      "2.2"      "2.2"      "2.2"      "2.2"      "2.2"      "3.2"
    AuthEventsRejected: "an auth event was rejected";
        "2.3"      "2.3"      "2.3"      "2.3"      "2.3"      "2.3"      "2.3"      "3.3"
    AuthEventsNoCreate: "the create event is not among the auth events";
        "2.4"      "2.4"      "2.4"      "2.4"      "2.4"      "2.4"      "2.4"      "-"
    AuthEventsOtherRoom: "an auth event is of another room";
        "2.5"      "2.5"      "2.5"      "2.5"      "2.5"      "2.5"      "2.5"      "3.4"
    NotFederated: "the room is closed to users of other servers";
        "3"        "3"        "3"        "3"        "3"        "3"        "3"        "4"
    AliasesNoStateKey: "m.room.aliases has no state key";
        "4.1"      "4.1"      "-"        "-"        "-"        "-"        "-"        "-"
    AliasesDomain: "m.room.aliases is for another server";
        "4.2"      "4.2"      "-"        "-"        "-"        "-"        "-"        "-"
    AliasesAllowed: "it is for the sender's own server";
        "4.3"      "4.3"      "-"        "-"        "-"        "-"        "-"        "-"
    MemberMalformed: "the event has no state key or no membership";
        "5.1"      "5.1"      "4.1"      "4.1"      "4.1"      "4.1"      "4.1"      "5.1"
    MemberAuthoriserSignature: "the server of the user who authorised the join did not sign it";
        "-"        "-"        "-"        "-"        "4.2.1"    "4.2.1"    "4.2.1"    "5.2.1"
    JoinCreator: "the creator joins first";
        "5.2.1"    "5.2.1"    "4.2.1"    "4.2.1"    "4.3.1"    "4.3.1"    "4.3.1"    "5.3.1"
    JoinOtherUser: "nobody joins for somebody else";
        "5.2.2"    "5.2.2"    "4.2.2"    "4.2.2"    "4.3.2"    "4.3.2"    "4.3.2"    "5.3.2"
    JoinBanned: "the user is banned";
        "5.2.3"    "5.2.3"    "4.2.3"    "4.2.3"    "4.3.3"    "4.3.3"    "4.3.3"    "5.3.3"
    JoinInvited: "the user is invited or joined already";
        "5.2.4"    "5.2.4"    "4.2.4"    "4.2.4"    "4.3.4"    "4.3.4"    "4.3.4"    "5.3.4"
    JoinRestrictedInvited: "the user is invited or joined already";
        "-"        "-"        "-"        "-"        "4.3.5.1"  "4.3.5.1"  "4.3.5.1"  "5.3.5.1"
    JoinRestrictedAuthoriser: "nobody in the room with the power to invite authorised the join";
        "-"        "-"        "-"        "-"        "4.3.5.2"  "4.3.5.2"  "4.3.5.2"  "5.3.5.2"
    JoinRestrictedAllowed: "a member authorised the join";
        "-"        "-"        "-"        "-"        "4.3.5.3"  "4.3.5.3"  "4.3.5.3"  "5.3.5.3"
    JoinPublic: "the room is public";
        "5.2.5"    "5.2.5"    "4.2.5"    "4.2.5"    "4.3.6"    "4.3.6"    "4.3.6"    "5.3.6"
    JoinOtherwise: "the room's join rule does not let the user in";
        "5.2.6"    "5.2.6"    "4.2.6"    "4.2.6"    "4.3.7"    "4.3.7"    "4.3.7"    "5.3.7"
    ThirdPartyInviteBanned: "the user is banned";
        "5.3.1.1"  "5.3.1.1"  "4.3.1.1"  "4.3.1.1"  "4.4.1.1"  "4.4.1.1"  "4.4.1.1"  "5.4.1.1"
    ThirdPartyInviteUnsigned: "the third-party invite has no signed part";
        "5.3.1.2"  "5.3.1.2"  "4.3.1.2"  "4.3.1.2"  "4.4.1.2"  "4.4.1.2"  "4.4.1.2"  "5.4.1.2"
    ThirdPartyInviteMalformed: "the third-party invite has no mxid or no token";
        "5.3.1.3"  "5.3.1.3"  "4.3.1.3"  "4.3.1.3"  "4.4.1.3"  "4.4.1.3"  "4.4.1.3"  "5.4.1.3"
    ThirdPartyInviteOtherUser: "the third-party invite is for somebody else";
        "5.3.1.4"  "5.3.1.4"  "4.3.1.4"  "4.3.1.4"  "4.4.1.4"  "4.4.1.4"  "4.4.1.4"  "5.4.1.4"
    ThirdPartyInviteUnknown: "the room has no such third-party invite";
        "5.3.1.5"  "5.3.1.5"  "4.3.1.5"  "4.3.1.5"  "4.4.1.5"  "4.4.1.5"  "4.4.1.5"  "5.4.1.5"
    ThirdPartyInviteOtherSender: "the third-party invite is somebody else's";
        "5.3.1.6"  "5.3.1.6"  "4.3.1.6"  "4.3.1.6"  "4.4.1.6"  "4.4.1.6"  "4.4.1.6"  "5.4.1.6"
    ThirdPartyInviteSignature: "the third-party invite is signed by one of its keys";
        "5.3.1.7"  "5.3.1.7"  "4.3.1.7"  "4.3.1.7"  "4.4.1.7"  "4.4.1.7"  "4.4.1.7"  "5.4.1.7"
    ThirdPartyInviteOtherwise: "no key of the third-party invite signed it";
        "5.3.1.8"  "5.3.1.8"  "4.3.1.8"  "4.3.1.8"  "4.4.1.8"  "4.4.1.8"  "4.4.1.8"  "5.4.1.8"
    InviteSenderNotJoined: "the sender is not in the room";
        "5.3.2"    "5.3.2"    "4.3.2"    "4.3.2"    "4.4.2"    "4.4.2"    "4.4.2"    "5.4.2"
    InviteTarget: "the user is in the room or banned";
        "5.3.3"    "5.3.3"    "4.3.3"    "4.3.3"    "4.4.3"    "4.4.3"    "4.4.3"    "5.4.3"
    InviteAllowed: "the sender has the power to invite";
        "5.3.4"    "5.3.4"    "4.3.4"    "4.3.4"    "4.4.4"    "4.4.4"    "4.4.4"    "5.4.4"
    InviteOtherwise: "the sender does not have the power to invite";
        "5.3.5"    "5.3.5"    "4.3.5"    "4.3.5"    "4.4.5"    "4.4.5"    "4.4.5"    "5.4.5"
    LeaveSelf: "users leave what they are in or invited to";
        "5.4.1"    "5.4.1"    "4.4.1"    "4.4.1"    "4.5.1"    "4.5.1"    "4.5.1"    "5.5.1"
    LeaveSenderNotJoined: "the sender is not in the room";
        "5.4.2"    "5.4.2"    "4.4.2"    "4.4.2"    "4.5.2"    "4.5.2"    "4.5.2"    "5.5.2"
    LeaveUnban: "the sender does not have the power to unban";
        "5.4.3"    "5.4.3"    "4.4.3"    "4.4.3"    "4.5.3"    "4.5.3"    "4.5.3"    "5.5.3"
    LeaveKick: "the sender has the power to remove the user";
        "5.4.4"    "5.4.4"    "4.4.4"    "4.4.4"    "4.5.4"    "4.5.4"    "4.5.4"    "5.5.4"
    LeaveOtherwise: "the sender does not have the power to remove the user";
        "5.4.5"    "5.4.5"    "4.4.5"    "4.4.5"    "4.5.5"    "4.5.5"    "4.5.5"    "5.5.5"
    BanSenderNotJoined: "the sender is not in the room";
        "5.5.1"    "5.5.1"    "4.5.1"    "4.5.1"    "4.6.1"    "4.6.1"    "4.6.1"    "5.6.1"
    BanAllowed: "the sender has the power to ban the user";
        "5.5.2"    "5.5.2"    "4.5.2"    "4.5.2"    "4.6.2"    "4.6.2"    "4.6.2"    "5.6.2"
    BanOtherwise: "the sender does not have the power to ban the user";
        "5.5.3"    "5.5.3"    "4.5.3"    "4.5.3"    "4.6.3"    "4.6.3"    "4.6.3"    "5.6.3"
    KnockJoinRule: "the room's join rule has no knocking";
        "-"        "-"        "-"        "4.6.1"    "4.7.1"    "4.7.1"    "4.7.1"    "5.7.1"
    KnockOtherUser: "nobody knocks for somebody else";
        "-"        "-"        "-"        "4.6.2"    "4.7.2"    "4.7.2"    "4.7.2"    "5.7.2"
    KnockAllowed: "the user may knock";
        "-"        "-"        "-"        "4.6.3"    "4.7.3"    "4.7.3"    "4.7.3"    "5.7.3"
    KnockOtherwise: "the user is in the room, invited or banned";
        "-"        "-"        "-"        "4.6.4"    "4.7.4"    "4.7.4"    "4.7.4"    "5.7.4"
    MembershipUnknown: "the membership is unknown";
        "5.6"      "5.6"      "4.6"      "4.7"      "4.8"      "4.8"      "4.8"      "5.8"
    SenderNotJoined: "the sender is not in the room";
        "6"        "6"        "5"        "5"        "5"        "5"        "5"        "6"
    ThirdPartyInvite: "inviting takes the power to invite";
        "7.1"      "7.1"      "6.1"      "6.1"      "6.1"      "6.1"      "6.1"      "7.1"
    RequiredPowerLevel: "the sender does not have the power to send events of this type";
        "8"        "8"        "7"        "7"        "7"        "7"        "7"        "8"
    StateKeyOfOther: "the state key is another user's ID";
        "9"        "9"        "8"        "8"        "8"        "8"        "8"        "9"
    PowerLevelsField: "a power level is not an integer";
        "-"        "-"        "-"        "-"        "-"        "9.1"      "9.1"      "10.1"
    PowerLevelsMap: "the power levels of events or notifications are not integers";
        "-"        "-"        "-"        "-"        "-"        "9.2"      "9.2"      "10.2"
    PowerLevelsUsers: "the power levels of users are not integers by user ID";
        "10.1"     "10.1"     "9.1"      "9.1"      "9.1"      "9.3"      "9.3"      "10.3"
    PowerLevelsCreator: "a creator of the room is given a power level";
        "-"        "-"        "-"        "-"        "-"        "-"        "-"        "10.4"
    PowerLevelsFirst: "they are the first power levels of the room";
        "10.2"     "10.2"     "9.2"      "9.2"      "9.2"      "9.4"      "9.4"      "10.5"
    PowerLevelsFieldCurrent: "a power level above the sender's is changed";
        "10.3.1"   "10.3.1"   "9.3.1"    "9.3.1"    "9.3.1"    "9.5.1"    "9.5.1"    "10.6.1"
    PowerLevelsFieldNew: "a power level is set above the sender's";
        "10.3.2"   "10.3.2"   "9.3.2"    "9.3.2"    "9.3.2"    "9.5.2"    "9.5.2"    "10.6.2"
    PowerLevelsEntryCurrent: "the power level of an event or notification above the sender's is changed";
        "10.4.1"   "10.4.1"   "9.4.1"    "9.4.1"    "9.4.1"    "9.6.1"    "9.6.1"    "10.7.1"
    PowerLevelsEntryNew: "the power level of an event or notification is set above the sender's";
        "10.5.1"   "10.5.1"   "9.5.1"    "9.5.1"    "9.5.1"    "9.7.1"    "9.7.1"    "10.8.1"
    PowerLevelsUserCurrent: "the power level of a user who has as much as the sender is changed";
        "10.6.1"   "10.6.1"   "9.6.1"    "9.6.1"    "9.6.1"    "9.8.1"    "9.8.1"    "10.9.1"
    PowerLevelsUserNew: "the power level of a user is set above the sender's";
        "10.7.1"   "10.7.1"   "9.7.1"    "9.7.1"    "9.7.1"    "9.9.1"    "9.9.1"    "10.10.1"
    PowerLevelsAllowed: "the sender has the power to make these changes";
        "10.8"     "10.8"     "9.8"      "9.8"      "9.8"      "9.10"     "9.10"     "10.11"
    RedactionLevel: "the sender has the power to redact";
        "11.1"     "-"        "-"        "-"        "-"        "-"        "-"        "-"
    RedactionOwnServer: "the redacted event is of the same server";
        "11.2"     "-"        "-"        "-"        "-"        "-"        "-"        "-"
    RedactionOtherwise: "the sender does not have the power to redact";
        "11.3"     "-"        "-"        "-"        "-"        "-"        "-"        "-"
    Otherwise: "no rule is against it";
        "12"       "11"       "10"       "10"       "10"       "10"       "10"       "11"
}

impl Rule {
    /// Its number under `numbering`. `None` if there is no such rule.
    #[must_use]
    pub fn number(self, numbering: Numbering) -> Option<&'static str> {
        let number = self.numbers()[numbering as usize];
        (number != "-").then_some(number)
    }
}

/// A rule of a room version. Shown, and stored, as `v11 rule 4.3.4`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RuleId {
    version: RoomVersion,
    rule: Rule,
}

impl RuleId {
    /// # Panics
    /// If the version has no such rule, which is a mistake of the code that judges.
    pub(super) fn new(rules: &RoomVersionRules, rule: Rule) -> RuleId {
        assert!(rule.number(rules.auth.numbering).is_some(), "version {} has no rule {rule:?}", rules.version);
        RuleId { version: rules.version, rule }
    }

    #[must_use]
    pub fn version(self) -> RoomVersion {
        self.version
    }
    #[must_use]
    pub fn rule(self) -> Rule {
        self.rule
    }
    /// `4.3.4`.
    #[must_use]
    pub fn number(self) -> &'static str {
        self.rule.number(self.version.rules().auth.numbering).expect("checked when it was made")
    }

    /// Reads what is shown.
    #[must_use]
    pub fn parse(text: &str) -> Option<RuleId> {
        let (version, number) = text.strip_prefix('v')?.split_once(" rule ")?;
        let version = RoomVersion::parse(version)?;
        let numbering = version.rules().auth.numbering;
        let rule = Rule::ALL.iter().find(|rule| rule.number(numbering) == Some(number))?;
        Some(RuleId { version, rule: *rule })
    }
}

impl fmt::Display for RuleId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "v{} rule {}", self.version, self.number())
    }
}

impl fmt::Debug for RuleId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl From<RuleId> for String {
    fn from(id: RuleId) -> String {
        alloc::format!("{id}")
    }
}

/// A text is no rule of a known room version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnknownRule;

impl fmt::Display for UnknownRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not a rule of a known room version")
    }
}

impl core::error::Error for UnknownRule {}

impl TryFrom<String> for RuleId {
    type Error = UnknownRule;
    fn try_from(text: String) -> Result<RuleId, UnknownRule> {
        RuleId::parse(&text).ok_or(UnknownRule)
    }
}
