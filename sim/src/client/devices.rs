//! Operations of devices: their keys, the keys of others, and messages between them.

use orrery_core::canonical_json::{Object, Value};

use super::Device;
use super::call::{Call, Reply};
use super::keyring::{ALGORITHM, Owner, cross_signing};
use super::operations::{Done, choose, content_of, done};
use crate::checkers::to_device::{Address, EVERY_DEVICE, Message};
use crate::path;
use crate::workload::PlannedOp;

const MESSAGE_KINDS: [&str; 2] = ["org.orrery.hello", "m.room.encrypted"];

impl Device {
    /// Its address, while it has a session.
    #[must_use]
    pub fn address_of_session(&self) -> Option<Address> {
        Some((self.user_id(), self.device_id()?))
    }

    /// Identity keys, and some one-time keys or a fallback key.
    pub async fn upload_keys(&self, op: PlannedOp) -> Option<Done> {
        let address = self.address_of_session()?;
        let owner = Owner { user_id: &address.0, device_id: &address.1 };
        let mut body = Object::new().with("device_keys", owner.identity());
        let mut keys: Vec<(String, Object, bool)> = Vec::new();
        for number in 0..op.picks[0] % 4 {
            let (id, key) = owner.one_time(&format!("op{}k{number}", op.number), false);
            keys.push((id, key, false));
        }
        if op.picks[1].is_multiple_of(3) {
            let (id, key) = owner.one_time(&format!("op{}f", op.number), true);
            keys.push((id, key, true));
        }
        for (member, is_fallback) in [("one_time_keys", false), ("fallback_keys", true)] {
            let some = keys.iter().filter(|key| key.2 == is_fallback);
            body.insert(member, some.map(|(id, key, _)| (id.clone(), key.clone())).collect::<Object>());
        }
        {
            let mut ledger = self.ledger.borrow_mut();
            for (id, key, fallback) in &keys {
                ledger.one_time_keys.upload(&address, id, text(key), *fallback, self.hub.now());
            }
        }
        let reply = self.call(Call::post(path!["keys", "upload"], body)).await;
        if reply.ok() {
            let mut ledger = self.ledger.borrow_mut();
            for (id, _, _) in &keys {
                ledger.one_time_keys.uploaded(&address, id, reply.attempts, reply.came);
            }
        }
        Some(done(&reply))
    }

    /// A key of a device of anybody, to begin an encrypted session with it.
    pub async fn claim_keys(&self, op: PlannedOp) -> Option<Done> {
        let (owner, address) = self.population.borrow().pick_device(self.number, op.picks[0])?;
        let (user_id, device_id) = &address;
        let elsewhere = !user_id.ends_with(&format!(":{}", crate::world::server_name(self.server)));
        let id = self.ledger.borrow_mut().one_time_keys.claim(&address, elsewhere);
        let wanted = Object::new().with(user_id, Object::new().with(device_id, ALGORITHM));
        let reply = self.call(Call::post(path!["keys", "claim"], Object::new().with("one_time_keys", wanted))).await;
        let got = claimed(&reply, &address);
        let got = got.as_ref().map(|got| got.as_ref().map(|(id, key)| (id.as_str(), key.as_str())));
        let times = (reply.sent, reply.came);
        let result = self.ledger.borrow_mut().one_time_keys.claimed(&address, id, reply.attempts, got, times);
        // Of the keys of a liar's users nobody knows anything.
        if self.population.borrow().user(owner).honest {
            self.hub.check(result);
        }
        Some(done(&reply))
    }

    /// A message to one device, to all of somebody, or to some of several people.
    pub async fn message_devices(&self, op: PlannedOp) -> Option<Done> {
        let recipients: Vec<Address> = {
            let population = self.population.borrow();
            let pick = |pick: u32| population.pick_device(self.number, pick).map(|(_, address)| address);
            let first = pick(op.picks[0])?;
            match op.picks[1] % 4 {
                0 | 1 => vec![first],
                2 => vec![(first.0, EVERY_DEVICE.to_owned())],
                _ => {
                    let mut several: Vec<Address> = vec![first];
                    several.extend([pick(op.picks[1] / 4), pick(op.picks[2] / 2)].into_iter().flatten());
                    several.sort();
                    several.dedup();
                    several
                }
            }
        };
        let kind = choose(&MESSAGE_KINDS, op.picks[2]);
        let mut messages = Object::new();
        for (user_id, device_id) in &recipients {
            let mut devices = messages.object(user_id).cloned().unwrap_or_default();
            devices.insert(device_id.as_str(), content_of(op.number));
            messages.insert(user_id.as_str(), devices);
        }
        let message = Message {
            sender: self.user_id(),
            kind: kind.to_owned(),
            recipients,
            began: self.hub.now(),
            honest: self.honest,
            acknowledged: None,
            torn: false,
        };
        self.ledger.borrow_mut().messages.send(op.number, message);
        let path = path!["sendToDevice", kind, format!("op{}", op.number)];
        let reply = self.call(Call::put(path, Object::new().with("messages", messages))).await;
        if reply.ok() {
            self.ledger.borrow_mut().messages.acknowledge(op.number, reply.came);
        }
        Some(done(&reply))
    }

    /// New cross-signing keys for the user: the first are taken as they are, others replace them once the password was given.
    pub async fn cross_sign(&self, op: PlannedOp) -> Option<Done> {
        let body = cross_signing(&self.user_id(), &format!("op{}", op.number));
        let call = |body| Call::post(path!["keys", "device_signing", "upload"], body);
        Some(done(&self.call_with_password(body, call).await))
    }

    pub async fn rename_device(&self, op: PlannedOp) -> Option<Done> {
        let (_, device_id) = self.address_of_session()?;
        let body = Object::new().with("display_name", format!("device {}", op.number));
        Some(done(&self.call(Call::put(path!["devices", device_id], body)).await))
    }

    /// Ends the session of another device of the same person, from here. That one finds out, and logs in again.
    pub async fn delete_device(&self, op: PlannedOp) -> Option<Done> {
        let others: Vec<_> = {
            let devices = self.devices.borrow();
            let devices = devices.iter().filter_map(std::rc::Weak::upgrade);
            devices.filter(|other| other.user == self.user && other.number != self.number && other.may_end()).collect()
        };
        let other = others.get(op.picks[0] as usize % others.len().max(1))?;
        let device_id = other.device_id()?;
        other.session_is_ending();
        let reply = if op.picks[1].is_multiple_of(2) {
            let call = |body| Call::delete(path!["devices", device_id.as_str()]).with_body(body);
            self.call_with_password(Object::new(), call).await
        } else {
            let body = Object::new().with("devices", vec![device_id.as_str()]);
            self.call_with_password(body, |body| Call::post(path!["delete_devices"], body)).await
        };
        if reply.ok() {
            other.begin_again().await;
        } else {
            other.session_goes_on();
        }
        Some(done(&reply))
    }

    /// Calls for what a password has to be given.
    async fn call_with_password(&self, mut body: Object, call: impl Fn(Object) -> Call) -> Reply {
        // A crash between the stages may forget the session of the interactive authentication.
        for _ in 0..AUTHENTICATIONS {
            let reply = self.call(call(body.clone())).await;
            let Some(session) = reply.body.str("session").filter(|_| reply.status == 401) else { return reply };
            let population = self.population.borrow();
            let user = population.user(self.user);
            let identifier = Object::new().with("type", "m.id.user").with("user", user.localpart.as_str());
            let auth = Object::new()
                .with("type", "m.login.password")
                .with("identifier", identifier)
                .with("password", user.password.as_str())
                .with("session", session);
            body.insert("auth", auth);
        }
        self.call(call(body)).await
    }
}

/// How often somebody gives their password until they give up.
const AUTHENTICATIONS: u32 = 8;

/// What a claim got of a device: a key or none; `None` if the device's server gave no answer.
fn claimed(reply: &Reply, (user_id, device_id): &Address) -> Option<Option<(String, String)>> {
    let server = user_id.split_once(':').map_or("", |(_, server)| server);
    if !reply.ok() || reply.body.object("failures").is_some_and(|failures| failures.contains(server)) {
        return None;
    }
    let of_user = reply.body.object("one_time_keys").and_then(|keys| keys.object(user_id));
    let keys = of_user.and_then(|devices| devices.object(device_id));
    let key = keys.and_then(|keys| keys.iter().next()).map(|(id, key)| (id.to_owned(), json(key)));
    Some(key)
}

fn json(value: &Value) -> String {
    String::from_utf8_lossy(&value.to_bytes()).into_owned()
}

fn text(object: &Object) -> String {
    json(&Value::Object(object.clone()))
}
