//! Device lists as clients follow them (Client-Server API, "Tracking the device list for a user"): who is told to have changed is
//! asked for again, and who shares no room any more is forgotten.

use std::collections::{BTreeMap, BTreeSet};

use orrery_core::canonical_json::{Object, Value};

use super::Device;
use super::call::Call;
use super::operations::{Done, done};
use super::view::{View, members};
use crate::path;

/// A user's devices and public cross-signing keys, as an answer showed them: as text, to be compared.
pub type Listing = String;

/// What a device believes of other people's devices.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tracking {
    pub known: BTreeMap<String, Listing>,
    /// Users to ask for, each with the number of the news that made it so: what was asked for before is not what they have now.
    pub outdated: BTreeMap<String, u64>,
    /// Users who are followed because a timeline of the first sync shows that they came: that they are out again by state resolution
    /// is a thing that such a sync cannot say.
    pub presumed: BTreeSet<String>,
    /// From the start everybody was followed whom there was to follow.
    pub complete: bool,
    news: u64,
}

impl Tracking {
    /// Follows nobody yet, and takes no answer to what was asked before for one to what is asked from now on.
    #[must_use]
    pub fn anew(&self) -> Tracking {
        Tracking { news: self.news, ..Tracking::default() }
    }

    /// Follows everybody who is in the device's rooms: a first sync does not say whom. Where members are loaded lazily, it does not
    /// even say who is there.
    pub fn begin(&mut self, view: &View, me: &str, lazy_members: bool) {
        self.complete = !lazy_members;
        self.changed(view.joined().flat_map(|(_, room)| room.joined_members()));
        self.changed(std::iter::once(me));
        let by_timeline = view.joined().flat_map(|(_, room)| {
            room.joined_members().filter(|user| room.is_member_by_timeline(user)).map(str::to_owned)
        });
        self.presumed = by_timeline.collect();
    }

    /// The users' lists are not what was known of them, if anything was.
    fn changed<'u>(&mut self, users: impl Iterator<Item = &'u str>) {
        for user in users {
            self.news += 1;
            self.outdated.insert(user.to_owned(), self.news);
            self.presumed.remove(user);
        }
    }

    fn left(&mut self, user: &str) {
        self.known.remove(user);
        self.outdated.remove(user);
    }

    /// Takes in `device_lists` of a sync.
    pub fn apply(&mut self, lists: &Object) {
        let names = |name: &str| lists.array(name).unwrap_or_default().iter().filter_map(Value::as_str);
        self.changed(names("changed"));
        names("left").for_each(|user| self.left(user));
    }

    /// The answer about a user who was asked for because of that news.
    fn learn(&mut self, user: &str, news: u64, listing: Listing) {
        if self.outdated.get(user) == Some(&news) {
            self.outdated.remove(user);
            self.known.insert(user.to_owned(), listing);
        }
    }

    /// Everybody whom the client follows.
    #[must_use]
    pub fn followed(&self) -> BTreeSet<&str> {
        self.known.keys().chain(self.outdated.keys()).map(String::as_str).collect()
    }
}

/// How many users are asked for at once.
const AT_ONCE: usize = 20;

impl Device {
    /// Who is in a room; `None` if the server does not say so.
    pub async fn joined_members(&self, room: &str) -> Option<BTreeSet<String>> {
        let reply = self.call(Call::get(path!["rooms", room, "joined_members"])).await;
        reply.ok().then(|| members(&reply.body, "joined").map(|(user, _)| user.to_owned()).collect())
    }

    /// Asks for whom it has to; `None` if there is nobody.
    pub async fn query_keys(&self) -> Option<Done> {
        let generation = self.generation();
        let asked: Vec<(String, u64)> = {
            let syncing = self.syncing.borrow();
            syncing.tracking.outdated.iter().take(AT_ONCE).map(|(user, news)| (user.clone(), *news)).collect()
        };
        if asked.is_empty() {
            return None;
        }
        let (done, listings) = self.listings(asked.iter().map(|(user, _)| user.as_str())).await;
        if generation == self.generation() && self.syncing.borrow().is_of(generation) {
            let mut syncing = self.syncing.borrow_mut();
            for (user, news) in &asked {
                if let Some(listing) = listings.get(user) {
                    syncing.tracking.learn(user, *news, listing.clone());
                }
            }
        }
        Some(done)
    }

    /// What the server says of users' devices; of those whose server could not be asked, nothing.
    pub async fn listings<'u>(&self, users: impl Iterator<Item = &'u str>) -> (Done, BTreeMap<String, Listing>) {
        let users: Vec<&str> = users.collect();
        let wanted: Object = users.iter().map(|user| ((*user).to_owned(), Vec::<Value>::new())).collect();
        let reply = self.call(Call::post(path!["keys", "query"], Object::new().with("device_keys", wanted))).await;
        if !reply.ok() {
            return (done(&reply), BTreeMap::new());
        }
        let empty = Object::new();
        let failures = reply.body.object("failures").unwrap_or(&empty);
        let reached = |user: &str| user.split_once(':').is_none_or(|(_, server)| !failures.contains(server));
        let users = users.into_iter().filter(|user| reached(user));
        (done(&reply), users.map(|user| (user.to_owned(), listing(&reply.body, user))).collect())
    }
}

/// What an answer of `/keys/query` says of a user, without what only some may see.
fn listing(answer: &Object, user: &str) -> Listing {
    let mut all = Object::new();
    for kind in ["device_keys", "master_keys", "self_signing_keys"] {
        let Some(shown) = answer.object(kind).and_then(|users| users.object(user)) else { continue };
        let shown = if kind == "device_keys" {
            members_of(shown).map(|(device, keys)| (device.to_owned(), public(keys, user))).collect()
        } else {
            public(shown, user)
        };
        all.insert(kind, shown);
    }
    String::from_utf8_lossy(&Value::Object(all).to_bytes()).into_owned()
}

fn members_of(object: &Object) -> impl Iterator<Item = (&str, &Object)> {
    object.iter().filter_map(|(name, value)| Some((name, value.as_object()?)))
}

/// A key with no signatures but its user's.
fn public(key: &Object, user: &str) -> Object {
    let mut key = key.clone();
    let own = key.object("signatures").and_then(|signatures| signatures.object(user)).cloned();
    key.remove("signatures");
    if let Some(own) = own {
        key.insert("signatures", own);
    }
    key
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_from_before_a_new_start_is_not_taken_for_a_newer_one() {
        let mut tracking = Tracking::default();
        tracking.changed(std::iter::once("@a:s"));
        let asked = tracking.outdated["@a:s"];
        let mut tracking = tracking.anew();
        tracking.changed(std::iter::once("@a:s"));
        tracking.learn("@a:s", asked, "old".to_owned());
        assert_eq!(tracking.known.get("@a:s"), None);
        let asked = tracking.outdated["@a:s"];
        tracking.learn("@a:s", asked, "new".to_owned());
        assert_eq!(tracking.known["@a:s"], "new");
    }
}
