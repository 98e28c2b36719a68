//! When each device last came, and from where (Client-Server API, "Device Management"): written down now and then, not with
//! every request.

use alloc::collections::BTreeMap;
use core::net::IpAddr;

use crate::effect::Requester;
use crate::identifiers::{DeviceId, UserId};
use crate::limits::{LAST_SEEN_INTERVAL, MAX_LAST_SEEN};
use crate::time::Timestamp;

/// What was written of the devices that came lately, in two generations: when the younger is full, it becomes the elder,
/// and what was in the elder and did not come since is forgotten, which costs one read when it comes again.
#[derive(Debug, Default)]
pub struct LastSeen {
    younger: Devices,
    elder: Devices,
}

type Devices = BTreeMap<(UserId, DeviceId), (Timestamp, Option<IpAddr>)>;

impl LastSeen {
    /// Whether a request of this device is to be written down ([`super::account::session::seen`]).
    pub fn is_due(&mut self, requester: &Requester, address: Option<IpAddr>, now: Timestamp) -> bool {
        let key = (requester.user_id.clone(), requester.device_id.clone());
        let written = self.younger.get(&key).or_else(|| self.elder.get(&key)).copied();
        let due = written.is_none_or(|(at, from)| now.since(at) >= LAST_SEEN_INTERVAL || from != address);
        if due {
            if self.younger.len() >= MAX_LAST_SEEN / 2 {
                self.elder = core::mem::take(&mut self.younger);
            }
            self.younger.insert(key, (now, address));
        }
        due
    }
}
