//! Sessions: registering, logging in and out, and what a device must keep in mind of it.

use orrery_core::canonical_json::Object;

use super::Device;
use super::call::{Call, Reply};
use crate::clock::{Span, Time};
use crate::failure::Failure;
use crate::path;

/// A device's session, if it has one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Session {
    token: Option<String>,
    refresh_token: Option<String>,
    device_id: Option<String>,
    /// Counts the sessions of the device.
    generation: u32,
    /// The session is being ended: it may be gone at any moment.
    ending: bool,
    /// The token is being traded for another.
    refreshing: bool,
    /// When the token was had.
    since: Time,
    /// The session was lost with a restored backup, and another one is begun.
    renewing: bool,
}

impl Session {
    /// Nobody should use it any more.
    #[must_use]
    pub fn is_ending(&self) -> bool {
        self.ending
    }
}

impl Device {
    #[must_use]
    pub fn token(&self) -> Option<String> {
        self.session.borrow().token.clone()
    }

    #[must_use]
    pub fn device_id(&self) -> Option<String> {
        self.session.borrow().device_id.clone()
    }

    /// Which of its sessions the device has.
    #[must_use]
    pub fn generation(&self) -> u32 {
        self.session.borrow().generation
    }

    /// Whether `token` is still the device's, and neither about to end nor to be replaced.
    #[must_use]
    pub fn holds(&self, token: &str) -> bool {
        let session = self.session.borrow();
        session.token.as_deref() == Some(token)
            && !session.ending
            && !session.refreshing
            && !self.is_lost(session.since)
    }

    /// When the device's token was had.
    #[must_use]
    pub fn token_since(&self) -> Time {
        self.session.borrow().since
    }

    /// Whether the device's server came back with a backup that may not have what it acknowledged then.
    #[must_use]
    pub fn is_lost(&self, acknowledged: Time) -> bool {
        self.ledger.borrow().is_lost(self.server, acknowledged)
    }

    /// Begins another session in the place of one whose token was had then and is lost. `false` if somebody is about to end it.
    pub async fn renew(&self, since: Time) -> bool {
        let is_first = {
            let mut session = self.session.borrow_mut();
            let is_first = session.since == since && !session.renewing;
            if is_first && (session.ending || session.refreshing) {
                return false;
            }
            session.renewing |= is_first;
            is_first
        };
        if is_first {
            self.session_is_ending();
            self.ledger.borrow_mut().session_lost(self.number);
            self.begin_again().await;
            self.session.borrow_mut().renewing = false;
        } else {
            self.with_session().await;
        }
        true
    }

    /// Registers the user, or logs in if that has been done. `false` if the server cannot do either.
    pub async fn sign_up(&self) -> bool {
        let registered = self.population.borrow().user(self.user).registered;
        if registered { self.log_in().await } else { self.register().await }
    }

    async fn register(&self) -> bool {
        let (localpart, password) = {
            let population = self.population.borrow();
            let user = population.user(self.user);
            (user.localpart.clone(), user.password.clone())
        };
        let interactive = self.draw.borrow_mut().chance(500);
        let mut auth = (!interactive).then(|| Object::new().with("type", "m.login.dummy"));
        let mut ambiguous = false;
        // A crash between the stages may forget the session of the interactive authentication.
        loop {
            let mut body = Object::new().with("username", localpart.as_str()).with("password", password.as_str());
            body.insert("refresh_token", self.refreshes);
            if let Some(auth) = &auth {
                body.insert("auth", auth.clone());
            }
            let reply = self.call(Call::post(path!["register"], body).anonymous()).await;
            match (reply.status, reply.errcode()) {
                (200, _) => {
                    self.population.borrow_mut().user_mut(self.user).registered = true;
                    return self.begin_session(&reply);
                }
                (401, _) => {
                    let session = reply.body.str("session").unwrap_or_default();
                    auth = Some(Object::new().with("type", "m.login.dummy").with("session", session));
                }
                (400, "M_USER_IN_USE") if ambiguous || reply.attempts > 1 => {
                    self.population.borrow_mut().user_mut(self.user).registered = true;
                    return self.log_in().await;
                }
                _ if reply.unrecognized() => return false,
                _ => {
                    self.unexpected("register", &reply);
                    return false;
                }
            }
            ambiguous |= reply.attempts > 1;
        }
    }

    async fn log_in(&self) -> bool {
        let mut body = {
            let population = self.population.borrow();
            let user = population.user(self.user);
            let identifier = Object::new().with("type", "m.id.user").with("user", user.localpart.as_str());
            Object::new()
                .with("type", "m.login.password")
                .with("identifier", identifier)
                .with("password", user.password.as_str())
                .with("refresh_token", self.refreshes)
        };
        if self.draw.borrow_mut().chance(500) {
            let next = self.generation() + 1;
            body.insert("device_id", format!("D{}G{next}", self.number));
        }
        // A login that came late would end the session that a later one of the same device began.
        let reply = self.call(Call::post(path!["login"], body).anonymous().patiently()).await;
        if reply.ok() {
            return self.begin_session(&reply);
        }
        if !reply.unrecognized() {
            self.unexpected("log in", &reply);
        }
        false
    }

    fn begin_session(&self, reply: &Reply) -> bool {
        let (Some(token), Some(device_id)) = (reply.body.str("access_token"), reply.body.str("device_id")) else {
            self.unexpected("begin a session", reply);
            return false;
        };
        let mut session = self.session.borrow_mut();
        session.token = Some(token.to_owned());
        session.refresh_token = reply.body.str("refresh_token").map(str::to_owned);
        session.device_id = Some(device_id.to_owned());
        session.generation += 1;
        session.ending = false;
        session.since = self.hub.now();
        drop(session);
        let address = (self.user_id(), device_id.to_owned());
        self.ledger.borrow_mut().session_begins(&address, self.hub.now());
        self.population.borrow_mut().sessions.insert(self.number, (self.user, address));
        true
    }

    /// Logs out, and in again as another device.
    pub async fn relogin(&self) {
        {
            let session = self.session.borrow();
            if session.ending || session.refreshing {
                // Another lane is at it.
                return;
            }
        }
        self.session_is_ending();
        let reply = self.call(Call::post(path!["logout"], Object::new())).await;
        // Of two attempts the second finds the session gone.
        let expired = reply.body.bool("soft_logout") == Some(true);
        let lost = self.is_lost(self.token_since());
        let gone = reply.ok() || (reply.status == 401 && (reply.attempts > 1 || expired || lost));
        if !gone {
            self.session_goes_on();
            if !reply.unrecognized() {
                self.unexpected("log out", &reply);
            }
            return;
        }
        let ended = reply.came;
        // A session that has only expired may come back with the clock.
        if reply.ok() {
            let reply = self.call(Call::get(path!["account", "whoami"])).await;
            // A backup brings it back.
            if reply.status != 401 && !self.is_lost(ended) {
                let evidence = format!("a session whose logout was acknowledged lives on: {}", reply.status);
                self.hub.fail(Failure::safety("durability", evidence));
            }
        }
        self.begin_again().await;
    }

    /// Whether another device may end the session: what is half done must not go on under another one.
    #[must_use]
    pub fn may_end(&self) -> bool {
        let session = self.session.borrow();
        session.token.is_some() && !session.ending && !session.refreshing && self.busy.get() == 0
    }

    /// The session may be gone from now on.
    pub fn session_is_ending(&self) {
        self.session.borrow_mut().ending = true;
        if let Some(address) = self.address_of_session() {
            self.ledger.borrow_mut().session_ends(&address);
        }
    }

    /// The session did not end after all.
    pub fn session_goes_on(&self) {
        self.session.borrow_mut().ending = false;
        if let Some(address) = self.address_of_session() {
            self.ledger.borrow_mut().session_begins(&address, self.hub.now());
        }
    }

    /// Begins another session, the last one being gone.
    pub async fn begin_again(&self) {
        self.session.borrow_mut().token = None;
        self.log_in().await;
    }

    /// Trades the token for another, if the session can.
    pub async fn refresh(&self) {
        let old = {
            let mut session = self.session.borrow_mut();
            let refresh_token = session.refresh_token.clone().filter(|_| !session.refreshing && !session.ending);
            session.refreshing |= refresh_token.is_some();
            refresh_token
        };
        let Some(old) = old else {
            self.hub.sleep(Span::millis(50)).await;
            return;
        };
        let since = self.token_since();
        let body = Object::new().with("refresh_token", old);
        let reply = self.call(Call::post(path!["refresh"], body).anonymous().patiently()).await;
        self.session.borrow_mut().refreshing = false;
        if self.session.borrow().ending {
            return;
        }
        match reply.body.str("access_token") {
            Some(token) if reply.ok() => {
                let mut session = self.session.borrow_mut();
                session.token = Some(token.to_owned());
                session.since = self.hub.now();
                if let Some(next) = reply.body.str("refresh_token") {
                    session.refresh_token = Some(next.to_owned());
                }
            }
            _ if reply.unrecognized() => {}
            _ if self.is_lost(since) => drop(Box::pin(self.renew(since)).await),
            _ => self.unexpected("refresh", &reply),
        }
    }

    /// Waits until there is a session.
    pub async fn with_session(&self) {
        while self.token().is_none() || self.session.borrow().ending {
            self.hub.sleep(Span::millis(50)).await;
        }
    }

    fn unexpected(&self, what: &str, reply: &Reply) {
        let evidence = format!("user {} could not {what}: {} {:?}", self.user, reply.status, reply.body);
        self.hub.fail(Failure::safety("durability", evidence));
    }
}
