//! The rules on `m.room.member`.

use orrery_core::identifiers::UserId;

use super::Asked;
use super::list::{List, Ruling};

impl<'a> Asked<'a> {
    /// Rule 5 in versions 1 to 5 and 12, rule 4 in those between.
    pub(super) fn member_rules(&self) -> Ruling {
        let (page, content) = (self.page(), &self.event.content);
        let membership = content.str("membership").unwrap_or_default();
        let mut list = List::new();
        // "If there is no `state_key` property, or no `membership` property in `content`, reject."
        list.reject_if(self.event.state_key.is_none() || !content.contains("membership"))?;
        if page.has_restricted_joins() {
            // Added in version 8: "If `content` has a `join_authorised_via_users_server` property:"
            list.section(content.contains("join_authorised_via_users_server"), || {
                let mut list = List::new();
                // "If the event is not validly signed by the homeserver of the user ID denoted by the key, reject."
                let user = self.authoriser().and_then(|user| UserId::parse(user).ok());
                list.reject_if(!user.is_some_and(|user| (self.is_signed_by)(user.server_str())))
            })?;
        }
        list.section(membership == "join", || self.join_rules())?;
        list.section(membership == "invite", || self.invite_rules())?;
        list.section(membership == "leave", || self.leave_rules())?;
        list.section(membership == "ban", || self.ban_rules())?;
        if page.has_knocking() {
            // Added in version 7.
            list.section(membership == "knock", || self.knock_rules())?;
        }
        // "Otherwise, the membership is unknown. Reject."
        list.otherwise_reject()
    }

    /// "If `membership` is `join`:"
    fn join_rules(&self) -> Ruling {
        let (page, event, target) = (self.page(), self.event, self.target());
        let membership = self.membership(target);
        let mut list = List::new();
        // "If the only previous event is an `m.room.create` and the `state_key` is the creator, allow."
        let create = self.create.map(|create| &create.event.event_id);
        let only_create = event.prev_events.len() == 1 && event.prev_events.first() == create;
        list.allow_if(only_create && self.creator() == Some(target))?;
        // "If the `sender` does not match `state_key`, reject."
        list.reject_if(event.sender.as_str() != target)?;
        // "If the `sender` is banned, reject."
        list.reject_if(membership == "ban")?;
        // "If the `join_rule` is `invite` then allow if membership state is `invite` or `join`." In version 7 `invite` or `knock`.
        let join_rule = self.join_rule();
        let by_invite = join_rule == Some("invite") || (page.has_knocking() && join_rule == Some("knock"));
        list.allow_if(by_invite && ["invite", "join"].contains(&membership))?;
        if page.has_restricted_joins() {
            // Added in version 8: "If the `join_rule` is `restricted`:" In version 10 `restricted` or `knock_restricted`.
            let by_authoriser = join_rule == Some("restricted")
                || (page.has_knock_restricted_joins() && join_rule == Some("knock_restricted"));
            list.section(by_authoriser, || self.restricted_join_rules(membership))?;
        }
        // "If the `join_rule` is `public`, allow."
        list.allow_if(join_rule == Some("public"))?;
        list.otherwise_reject()
    }

    fn restricted_join_rules(&self, membership: &str) -> Ruling {
        let mut list = List::new();
        // "If membership state is `join` or `invite`, allow."
        list.allow_if(["join", "invite"].contains(&membership))?;
        // "If the `join_authorised_via_users_server` key in `content` is not a user with sufficient permission to invite other
        // users or is not a joined member of the room, reject."
        let levels = self.levels();
        let may_invite = |user: &str| self.membership(user) == "join" && levels.reaches(user, levels.field("invite"));
        list.reject_if(!self.authoriser().is_some_and(may_invite))?;
        list.otherwise_allow()
    }

    /// "If `membership` is `invite`:"
    fn invite_rules(&self) -> Ruling {
        let (levels, sender) = (self.levels(), self.event.sender.as_str());
        let mut list = List::new();
        // "If `content` has a `third_party_invite` property:"
        list.section(self.event.content.contains("third_party_invite"), || self.third_party_invite_rules())?;
        // "If the `sender`'s current membership state is not `join`, reject."
        list.reject_if(self.membership(sender) != "join")?;
        // "If *target user*'s current membership state is `join` or `ban`, reject."
        list.reject_if(["join", "ban"].contains(&self.membership(self.target())))?;
        // "If the `sender`'s power level is greater than or equal to the *invite level*, allow."
        list.allow_if(levels.reaches(sender, levels.field("invite")))?;
        list.otherwise_reject()
    }

    /// "If `membership` is `leave`:"
    fn leave_rules(&self) -> Ruling {
        let (levels, sender, target) = (self.levels(), self.event.sender.as_str(), self.target());
        let mut list = List::new();
        // "If the `sender` matches `state_key`, allow if and only if that user's current membership state is `invite` or `join`."
        // In version 7 `invite`, `join`, or `knock`.
        list.allow_only_if(sender == target, || match self.membership(sender) {
            "invite" | "join" => true,
            "knock" => self.page().has_knocking(),
            _ => false,
        })?;
        // "If the `sender`'s current membership state is not `join`, reject."
        list.reject_if(self.membership(sender) != "join")?;
        // "If the *target user*'s current membership state is `ban`, and the `sender`'s power level is less than the *ban
        // level*, reject."
        list.reject_if(self.membership(target) == "ban" && !levels.reaches(sender, levels.field("ban")))?;
        // "If the `sender`'s power level is greater than or equal to the *kick level*, and the *target user*'s power level is
        // less than the `sender`'s power level, allow."
        list.allow_if(levels.reaches(sender, levels.field("kick")) && levels.is_below(target, sender))?;
        list.otherwise_reject()
    }

    /// "If `membership` is `ban`:"
    fn ban_rules(&self) -> Ruling {
        let (levels, sender) = (self.levels(), self.event.sender.as_str());
        let mut list = List::new();
        // "If the `sender`'s current membership state is not `join`, reject."
        list.reject_if(self.membership(sender) != "join")?;
        // "If the `sender`'s power level is greater than or equal to the *ban level*, and the *target user*'s power level is
        // less than the `sender`'s power level, allow."
        list.allow_if(levels.reaches(sender, levels.field("ban")) && levels.is_below(self.target(), sender))?;
        list.otherwise_reject()
    }

    /// "If `membership` is `knock`:"
    fn knock_rules(&self) -> Ruling {
        let (sender, join_rule) = (self.event.sender.as_str(), self.join_rule());
        let mut list = List::new();
        // "If the `join_rule` is anything other than `knock`, reject." In version 10 `knock` or `knock_restricted`.
        let restricted = self.page().has_knock_restricted_joins() && join_rule == Some("knock_restricted");
        list.reject_if(join_rule != Some("knock") && !restricted)?;
        // "If `sender` does not match `state_key`, reject."
        list.reject_if(sender != self.target())?;
        // "If the `sender`'s current membership is not `ban`, `invite`, or `join`, allow."
        list.allow_if(!["ban", "invite", "join"].contains(&self.membership(sender)))?;
        list.otherwise_reject()
    }

    /// "For an `m.room.member` state event, the user given by the `state_key` of the event."
    pub(super) fn target(&self) -> &'a str {
        self.event.state_key.as_deref().unwrap_or_default()
    }

    fn authoriser(&self) -> Option<&'a str> {
        self.event.content.str("join_authorised_via_users_server")
    }

    /// The room's join rule. The rules name no default, so without one nobody is let in by it.
    fn join_rule(&self) -> Option<&'a str> {
        (self.state)("m.room.join_rules", "").and_then(|join_rules| join_rules.content.str("join_rule"))
    }
}
