//! Order: everyone who sees events of a room sees them in the same order, each once.

use std::collections::BTreeMap;

use crate::failure::Failure;

const CHECKER: &str = "order";

/// `views`: who saw which events of `room`, in their order.
pub fn check(room: &str, views: &[(String, Vec<String>)]) -> Result<(), Failure> {
    // The longest first: it has most of what the others have.
    let mut by_length: Vec<_> = views.iter().collect();
    by_length.sort_by_key(|(_, events)| std::cmp::Reverse(events.len()));
    let Some((reference, longest)) = by_length.first() else { return Ok(()) };
    for (who, events) in &by_length {
        let mut places = BTreeMap::new();
        for (place, event) in events.iter().enumerate() {
            if places.insert(event, place).is_some() {
                return Err(Failure::safety(CHECKER, format!("{who} sees {event} of {room} twice")));
            }
        }
        let common: Vec<_> = longest.iter().filter_map(|event| Some((event, *places.get(event)?))).collect();
        if let Some(pair) = common.windows(2).find(|pair| pair[0].1 > pair[1].1) {
            let evidence = format!(
                "{reference} sees {} before {} in {room}, {who} sees them the other way round",
                pair[0].0, pair[1].0
            );
            return Err(Failure::safety(CHECKER, evidence));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn views(views: &[&str]) -> Vec<(String, Vec<String>)> {
        let events = |view: &str| view.chars().map(String::from).collect();
        views.iter().enumerate().map(|(n, view)| (format!("user {n}"), events(view))).collect()
    }

    #[test]
    fn different_orders_are_caught() {
        assert_eq!(check("!r", &views(&["abcd", "bd", "", "cde"])), Ok(()));
        assert!(check("!r", &views(&["abcd", "db"])).is_err());
        assert!(check("!r", &views(&["aa"])).is_err());
    }
}
