//! The end of a world: what must hold of it once everything is over.

use std::collections::BTreeSet;

use orrery_core::signing::SigningKey;

use super::{World, server_name};
use crate::byzantine::liar::Liar;
use crate::checkers::{authorization, convergence, costs, forgery, pace, queues, quiescence, resolution, unread};
use crate::keys;
use crate::server::Server;

impl World<'_> {
    /// What must hold once everything is over, of honest servers.
    pub(super) fn look(&mut self) {
        let options = &self.plan.options;
        let liars: Vec<&Liar> = self.servers.iter().filter_map(|server| server.liar.as_ref()).collect();
        if let Some(edit) = &mut self.edit {
            (0u32..).zip(&self.servers).for_each(|(number, server)| edit(number, &mut server.disk().look()));
        }
        self.hub.check(quiescence::check(&self.servers));
        self.hub.check(queues::check_drained(&self.servers));
        let keys = self.keys();
        for number in options.honest() {
            let server = &self.servers[number as usize];
            self.hub.check(authorization::check(number, &server.disk().look(), &keys, &self.hearsay.borrow()));
        }
        let mut compared = resolution::Compared::default();
        for number in options.honest() {
            self.hub.check(costs::check(number, &self.servers[number as usize].account));
        }
        for number in options.honest().filter(|_| options.is_federated()) {
            self.hub.check(resolution::check(number, &self.servers[number as usize].disk().look(), &mut compared));
        }
        self.resolutions = compared.count();
        let told = self.director.told_unread();
        for number in options.honest() {
            self.hub.check(unread::check(number, &self.servers[number as usize].disk().look(), &told));
        }
        self.hub.check(convergence::check(&self.servers, &self.hearsay.borrow(), &self.director.heard()));
        if liars.is_empty() {
            return;
        }
        let unacceptable: BTreeSet<String> = liars.iter().flat_map(|liar| liar.unacceptable.iter().cloned()).collect();
        let mut seen = forgery::Seen::default();
        for number in options.honest() {
            let server = &self.servers[number as usize];
            self.hub.check(forgery::check(number, &server.disk().look(), &keys, &unacceptable, &mut seen));
        }
        let names = options.byzantine.iter().map(|liar| server_name(liar.server)).collect();
        let touched = self.servers.iter().map(|server| {
            let touched = forgery::touched(&server.disk().look(), server.liar.is_some(), &names);
            touched.expect("whoever looks from outside can read")
        });
        let touched = touched.flatten().collect();
        let down: Vec<_> = self.servers.iter().map(|server| server.down.clone()).collect();
        match pace::check(&self.director.taken(), &touched, &down) {
            Ok(pace) => self.pace = pace,
            Err(failure) => self.hub.fail(failure),
        }
    }

    /// The keys that all servers have and had.
    fn keys(&self) -> forgery::Keys {
        let keys_of = |server: &Server| -> (String, Vec<SigningKey>) {
            let number = server.number();
            let keys = (0..=server.rotations).map(|rotation| keys::key(self.plan.options.seed, number, rotation));
            (server_name(number), keys.collect())
        };
        self.servers.iter().map(keys_of).collect()
    }
}
