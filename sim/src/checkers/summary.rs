//! Summaries of rooms: how many have joined and are invited, and by whom a room without a name is called (Client-Server API,
//! `RoomSummary`), by the memberships in the room's state.

use std::collections::BTreeMap;

use crate::client::view::RoomView;
use crate::failure::Failure;

/// How many heroes there are at most.
const HEROES: usize = 5;

/// `members`: the membership of everybody who has one.
pub fn check(
    who: (&str, &str),
    room: &str,
    members: &BTreeMap<String, String>,
    view: &RoomView,
) -> Result<(), Failure> {
    let (device, me) = who;
    let fail = |what: String| {
        let evidence = format!("{device}: the summary of {room} {what}; the members are {members:?}");
        Err(Failure::safety("sync", evidence))
    };
    for (name, membership) in [("m.joined_member_count", "join"), ("m.invited_member_count", "invite")] {
        let counted = view.counts.get(name).copied();
        let real = members.values().filter(|other| *other == membership).count();
        if counted.is_some_and(|counted| usize::try_from(counted) != Ok(real)) {
            return fail(format!("has {name} {counted:?}"));
        }
    }
    if !view.titles.is_empty() {
        return Ok(());
    }
    let others = |memberships: [&str; 2]| -> Vec<&String> {
        let fit = members.iter().filter(|(user, other)| *user != me && memberships.contains(&other.as_str()));
        fit.map(|(user, _)| user).collect()
    };
    let present = others(["join", "invite"]);
    let expected = if present.is_empty() { others(["leave", "ban"]) } else { present };
    let Some(heroes) = &view.heroes else { return fail("has no heroes".to_owned()) };
    let mut distinct = heroes.clone();
    distinct.sort_unstable();
    distinct.dedup();
    let are_right =
        distinct.len() == expected.len().min(HEROES) && distinct.iter().all(|hero| expected.contains(&hero));
    if are_right && distinct.len() == heroes.len() { Ok(()) } else { fail(format!("has the heroes {heroes:?}")) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::view::View;
    use orrery_core::canonical_json::parse;

    fn check_one(members: &[(&str, &str)], heroes: &[&str], joined: i64, complaint: Option<&str>) {
        let members = members.iter().map(|(user, membership)| ((*user).to_owned(), (*membership).to_owned())).collect();
        let view = RoomView {
            heroes: Some(heroes.iter().map(|hero| (*hero).to_owned()).collect()),
            counts: [("m.joined_member_count".to_owned(), joined)].into(),
            ..RoomView::default()
        };
        match (check(("A", "me"), "!r", &members, &view), complaint) {
            (Ok(()), None) => {}
            (Err(failure), Some(complaint)) => assert!(failure.evidence.contains(complaint), "{failure}"),
            (result, _) => panic!("{result:?}"),
        }
    }

    #[test]
    fn wrong_summaries_are_caught() {
        let some = [("a", "join"), ("b", "invite"), ("c", "ban"), ("me", "join")];
        check_one(&some, &["a", "b"], 2, None);
        check_one(&some, &["a"], 2, Some("heroes"));
        check_one(&some, &["a", "a"], 2, Some("heroes"));
        check_one(&some, &["a", "c"], 2, Some("heroes"));
        check_one(&some, &["a", "me"], 2, Some("heroes"));
        check_one(&some, &["a", "b"], 3, Some("m.joined_member_count"));
        check_one(&[("c", "ban"), ("d", "leave"), ("me", "join")], &["c", "d"], 1, None);
        check_one(&[("me", "join")], &[], 1, None);
        let many = ["a", "b", "c", "d", "e", "f"].map(|user| (user, "join"));
        check_one(&many, &["a", "b", "c", "d", "f"], 6, None);
        check_one(&many, &["a", "b", "c", "d", "e", "f"], 6, Some("heroes"));
    }

    #[test]
    fn a_room_is_called_by_its_heroes_once_its_name_is_gone() {
        let event = |event: &str| format!(r#"{{"sender":"@a:s",{event}}}"#);
        let name = event(r#""type":"m.room.name","state_key":"","event_id":"$n","content":{"name":"Tea"}"#);
        let redaction = |of: &str| event(&format!(r#""type":"m.room.redaction","event_id":"$r","redacts":"{of}""#));
        let members = [("me".to_owned(), "join".to_owned()), ("a".to_owned(), "join".to_owned())].into();
        for (redacts, is_named) in [("$other", true), ("$n", false)] {
            let mut told = View::default();
            let events = format!("{name},{}", redaction(redacts));
            let answer = format!(r#"{{"rooms":{{"join":{{"!r":{{"timeline":{{"events":[{events}]}}}}}}}}}}"#);
            told.apply(parse(answer.as_bytes()).unwrap().as_object().unwrap());
            assert_eq!(check(("A", "me"), "!r", &members, &told.rooms["!r"]).is_ok(), is_named, "{redacts}");
        }
    }
}
