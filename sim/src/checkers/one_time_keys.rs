//! One-time keys: each is what its device has uploaded, is handed out once, and before any fallback key; and what `/sync` says how
//! many are left is right.
//!
//! Answers get lost, so it is not always known how many keys are gone: an attempt to claim that brought no answer may have taken
//! one. And a device that sends an upload again cannot know that a key of it was handed out meanwhile: the server takes it for a
//! new one. Such keys may be handed out as often as they were uploaded.

use std::collections::BTreeMap;

use super::to_device::Address;
use crate::clock::Time;
use crate::failure::Failure;

const CHECKER: &str = "one-time keys";

#[derive(Clone, Debug, PartialEq, Eq)]
struct Key {
    content: String,
    fallback: bool,
    began: Time,
    acknowledged: Option<Time>,
    /// How often it was uploaded; not known before the answer.
    uploads: u32,
    /// When it was handed out.
    handed: Vec<Time>,
    /// Its server has dropped it with all others, because it came back with a backup. Somebody may still be told of it, and an upload that
    /// was given up may bring it again.
    dropped: bool,
}

/// An attempt to get a key of a device.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Claim {
    /// How many requests there were, once they are over.
    attempts: Option<u64>,
    /// It came by way of another server, and nobody sees how often that asked.
    elsewhere: bool,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Keys {
    keys: BTreeMap<String, Key>,
    claims: Vec<Claim>,
    /// Somebody has asked for the end of the device.
    ended: bool,
}

/// Names a claim of a device's key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClaimId(usize);

/// The keys of every device.
#[derive(Debug, Default)]
pub struct OneTimeKeys {
    devices: BTreeMap<Address, Keys>,
}

fn fail(evidence: String) -> Result<(), Failure> {
    Err(Failure::safety(CHECKER, evidence))
}

impl OneTimeKeys {
    pub fn session_ends(&mut self, device: &Address) {
        self.devices.entry(device.clone()).or_default().ended = true;
    }

    /// A backup is restored on the server of users whose IDs end in this.
    pub fn restored(&mut self, suffix: &str) {
        for (_, keys) in self.devices.iter_mut().filter(|(device, _)| device.0.ends_with(suffix)) {
            keys.keys.values_mut().filter(|key| key.acknowledged.is_some()).for_each(|key| key.dropped = true);
        }
    }

    pub fn upload(&mut self, device: &Address, key_id: &str, content: String, fallback: bool, now: Time) {
        let key = Key {
            content,
            fallback,
            began: now,
            acknowledged: None,
            uploads: u32::MAX,
            handed: Vec::new(),
            dropped: false,
        };
        self.devices.entry(device.clone()).or_default().keys.insert(key_id.to_owned(), key);
    }

    /// The upload was answered after so many attempts.
    pub fn uploaded(&mut self, device: &Address, key_id: &str, uploads: u32, now: Time) {
        let keys = self.devices.entry(device.clone()).or_default();
        if let Some(key) = keys.keys.get_mut(key_id) {
            key.acknowledged = Some(now);
            key.uploads = uploads;
        }
    }

    pub fn claim(&mut self, device: &Address, elsewhere: bool) -> ClaimId {
        let claims = &mut self.devices.entry(device.clone()).or_default().claims;
        claims.push(Claim { attempts: None, elsewhere });
        ClaimId(claims.len() - 1)
    }

    /// The claim is over, after so many attempts: it got a key (its ID and what it is), or none, or (`None`) no answer. It began and
    /// ended then.
    pub fn claimed(
        &mut self,
        device: &Address,
        claim: ClaimId,
        attempts: u32,
        got: Option<Option<(&str, &str)>>,
        (began, ended): (Time, Time),
    ) -> Result<(), Failure> {
        let keys = self.devices.entry(device.clone()).or_default();
        keys.claims[claim.0].attempts = Some(u64::from(attempts));
        let Some(got) = got else { return Ok(()) };
        // Before this claim the others may have taken this many.
        let left = keys.at_least(began, attempts);
        match got.map(|(id, content)| (id, content, keys.keys.get_mut(id))) {
            None if left > 0 => fail(format!("{device:?} has {left} keys at least, and none was handed out")),
            None => Ok(()),
            Some((id, _, None)) => fail(format!("{device:?} has no key {id}, and it was handed out")),
            Some((id, content, Some(key))) => {
                if key.content != content {
                    return fail(format!(
                        "the key {id} of {device:?} is {}, and {content} was handed out",
                        key.content
                    ));
                }
                if key.fallback {
                    if left > 0 {
                        return fail(format!("{device:?} has {left} keys at least, and a fallback key was handed out"));
                    }
                    return Ok(());
                }
                key.handed.push(ended);
                if key.handed.len() > key.uploads as usize && !key.dropped {
                    return fail(format!(
                        "the key {id} of {device:?}, uploaded {} times, was handed out at {:?}",
                        key.uploads, key.handed
                    ));
                }
                Ok(())
            }
        }
    }

    /// What a sync that lasted from `began` to `ended` says how many are left.
    pub fn check_count(&self, device: &Address, count: u64, (began, ended): (Time, Time)) -> Result<(), Failure> {
        let none = Keys::default();
        let keys = self.devices.get(device).unwrap_or(&none);
        let (least, most) = (keys.at_least(began, 0), keys.at_most(began, ended));
        if (least..=most).contains(&count) {
            return Ok(());
        }
        fail(format!("{device:?} is told that it has {count} one-time keys, and has between {least} and {most}"))
    }
}

impl Keys {
    fn one_time(&self) -> impl Iterator<Item = &Key> {
        self.keys.values().filter(|key| !key.fallback)
    }

    /// How many keys there are at least for whoever looks from `began` on, `own` attempts of the claim that looks aside; none if
    /// that cannot be known.
    fn at_least(&self, began: Time, own: u32) -> u64 {
        if self.ended {
            return 0;
        }
        let mut taken = 0;
        for claim in &self.claims {
            match claim.attempts {
                Some(attempts) if !claim.elsewhere => taken += attempts,
                _ => return 0,
            }
        }
        let certain = self
            .one_time()
            .filter(|key| !key.dropped && key.acknowledged.is_some_and(|acknowledged| acknowledged <= began));
        // The last of the own attempts is the one that looks.
        (certain.count() as u64 + u64::from(own.min(1))).saturating_sub(taken)
    }

    fn at_most(&self, began: Time, ended: Time) -> u64 {
        let there: Vec<&Key> = self.one_time().filter(|key| key.began < ended).collect();
        // A key that may have been uploaded again may be there again.
        let gone =
            |key: &&Key| key.uploads == 1 && !key.dropped && key.handed.first().is_some_and(|handed| *handed <= began);
        (there.len() - there.iter().copied().filter(gone).count()) as u64
    }
}

#[cfg(test)]
mod tests;
