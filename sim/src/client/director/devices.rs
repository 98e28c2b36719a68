//! The end of the story as far as devices are concerned.

use std::collections::{BTreeMap, BTreeSet};

use super::Director;
use crate::checkers::device_lists;
use crate::world::server_name;

/// How often a device asks for the keys of those who are said to have changed theirs until it gives up.
const QUERIES: usize = 10;

impl Director {
    /// What devices got of each other, and what they believe of each other.
    pub(super) async fn look_at_devices(&self) {
        let hub = &self.shared.hub;
        {
            let (ledger, population) = (self.shared.ledger.borrow(), self.shared.population.borrow());
            let is_honest = |id: &str| population.number_of(id).is_some_and(|number| population.user(number).honest);
            hub.check(ledger.messages.check(is_honest));
        }
        let mut truth = BTreeMap::new();
        // Who is in which room, in the opinion of each server.
        let mut opinions: BTreeMap<(String, String), BTreeSet<String>> = BTreeMap::new();
        for device in self.honest() {
            for _ in 0..QUERIES {
                if device.query_keys().await.is_none() {
                    break;
                }
            }
            let me = device.user_id();
            truth.extend(device.listings(std::iter::once(me.as_str())).await.1);
            let rooms: Vec<String> = device.syncing.borrow().view.joined().map(|(room, _)| room.to_owned()).collect();
            for room in rooms {
                let key = (server_name(device.server), room);
                if !opinions.contains_key(&key)
                    && let Some(members) = device.joined_members(&key.1).await
                {
                    opinions.insert(key, members);
                }
            }
        }
        for device in self.honest() {
            let me = device.user_id();
            let (mut shares, mut mutual) = (BTreeSet::new(), BTreeSet::new());
            let syncing = device.syncing.borrow();
            for (room, _) in syncing.view.joined() {
                let of_server = |server: &str| opinions.get(&(server.to_owned(), room.to_owned()));
                for other in of_server(&server_name(device.server)).into_iter().flatten().filter(|other| **other != me)
                {
                    shares.insert(other.clone());
                    let theirs = other.split_once(':').and_then(|(_, server)| of_server(server));
                    if theirs.is_some_and(|theirs| theirs.contains(&me) && theirs.contains(other)) {
                        mutual.insert(other.clone());
                    }
                }
            }
            let tracking = &syncing.tracking;
            let who = device.who();
            let belief = device_lists::Belief {
                who: &who,
                user_id: &me,
                known: &tracking.known,
                presumed: &tracking.presumed,
                complete: tracking.complete,
                outdated: &tracking.outdated,
                shares: &shares,
                mutual: &mutual,
            };
            hub.check(device_lists::check(belief, &truth));
        }
    }
}
