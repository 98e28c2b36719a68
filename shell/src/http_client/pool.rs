//! Connections that are kept for the next request.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::client::conn::{http1, http2};
use orrery_core::effect::Fetch;

use super::connect::Connection;
use crate::time::Stopwatch;

/// How long a connection is kept that nobody uses.
const IDLE: Duration = Duration::from_secs(60);

/// Idle HTTP/1.1 connections of one server.
const MAX_IDLE: usize = 8;

/// Servers to which connections are kept. Beyond that, the one that was not asked for longest loses its own.
const MAX_KEPT: usize = 1024;

/// What makes two connections interchangeable.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key {
    pub host: String,
    pub port: u16,
    pub tls_name: String,
}

impl Key {
    #[must_use]
    pub fn of(fetch: &Fetch) -> Key {
        Key { host: fetch.host.clone(), port: fetch.port, tls_name: fetch.tls_name.clone() }
    }
}

/// The connections of all servers.
#[derive(Debug, Default)]
pub struct Pool {
    slots: Mutex<BTreeMap<Key, Slot>>,
}

/// The connections of one.
#[derive(Debug)]
struct Slot {
    http2: Option<http2::SendRequest<Full<Bytes>>>,
    idle: Vec<(http1::SendRequest<Full<Bytes>>, Stopwatch)>,
    /// It has been seen to speak HTTP/1.1 only: then each request may need a connection of its own.
    is_http1: bool,
    /// Held while a connection is made, so that many requests to a new server make one.
    connecting: Arc<tokio::sync::Mutex<()>>,
    used: Stopwatch,
}

impl Slot {
    fn new() -> Slot {
        let used = Stopwatch::start();
        Slot { http2: None, idle: Vec::new(), is_http1: false, connecting: Arc::default(), used }
    }
}

impl Pool {
    /// A connection that is there.
    pub fn take(&self, key: &Key) -> Option<Connection> {
        let mut slots = self.lock();
        let slot = slots.get_mut(key)?;
        slot.used = Stopwatch::start();
        match &slot.http2 {
            Some(sender) if !sender.is_closed() => return Some(Connection::Http2(sender.clone())),
            _ => slot.http2 = None,
        }
        while let Some((sender, since)) = slot.idle.pop() {
            if !sender.is_closed() && since.elapsed() < IDLE {
                return Some(Connection::Http1(sender));
            }
        }
        None
    }

    /// What to hold while a connection is made; `None` if several may be made at once.
    pub fn connecting(&self, key: &Key) -> Option<Arc<tokio::sync::Mutex<()>>> {
        let mut slots = self.lock();
        let slot = slots.entry(key.clone()).or_insert_with(Slot::new);
        (!slot.is_http1).then(|| slot.connecting.clone())
    }

    /// A connection has been made.
    pub fn made(&self, key: &Key, connection: &Connection) {
        let mut slots = self.lock();
        let slot = slots.entry(key.clone()).or_insert_with(Slot::new);
        match connection {
            Connection::Http2(sender) => slot.http2 = Some(sender.clone()),
            Connection::Http1(_) => slot.is_http1 = true,
        }
    }

    /// A connection is free again.
    pub fn give_back(&self, key: &Key, sender: http1::SendRequest<Full<Bytes>>) {
        let mut slots = self.lock();
        let slot = slots.entry(key.clone()).or_insert_with(Slot::new);
        if slot.idle.len() < MAX_IDLE {
            slot.idle.push((sender, Stopwatch::start()));
        }
    }

    /// Closes what nobody uses.
    pub fn tidy(&self) {
        let mut slots = self.lock();
        for slot in slots.values_mut() {
            slot.idle.retain(|(sender, since)| !sender.is_closed() && since.elapsed() < IDLE);
        }
        // Requests under way on an HTTP/2 connection have a hold of their own on it.
        slots.retain(|_, slot| slot.used.elapsed() < IDLE || Arc::strong_count(&slot.connecting) > 1);
        while slots.len() > MAX_KEPT {
            let longest = slots.iter().max_by_key(|(_, slot)| slot.used.elapsed()).map(|(key, _)| key.clone());
            longest.map(|key| slots.remove(&key));
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Key, Slot>> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
