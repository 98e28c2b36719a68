//! What a server asks of others.

use orrery_core::canonical_json::Object;
use orrery_core::effect::{CallId, Fetch};
use orrery_core::http::{Request, Response};
use orrery_core::input::Outcome;

use super::{Doing, Server, Surroundings};
use crate::clock::Span;
use crate::measures::traffic::Endpoint;
use crate::network::Caller;
use crate::tasks::Lost;

impl Server {
    /// Sends a request to another server.
    pub(super) fn fetch(&mut self, around: &mut Surroundings<'_>, call: CallId, fetch: Fetch) {
        let now = around.queue.now();
        if let Some(outcome) = around.names.well_known((&fetch.host, fetch.port, &fetch.target), now) {
            let span = self.options.query.draw(&mut self.draw);
            self.later(around.queue, span, Doing::Resolved { call, outcome });
            return;
        }
        let Some(to) = around.names.at((&fetch.host, fetch.port), &fetch.tls_name, now) else {
            let outcome = Outcome::Failed("nobody answers there".to_owned());
            self.later(around.queue, Span::millis(1), Doing::Resolved { call, outcome });
            return;
        };
        let (path, query) = fetch.target.split_once('?').unwrap_or((&fetch.target, ""));
        let request = Request {
            method: fetch.method,
            path: path.to_owned(),
            query: query.to_owned(),
            authorization: fetch.authorization,
            user_agent: None,
            remote: None,
            body: fetch.body,
        };
        self.account.questions += u64::from(!request.path.starts_with("/_matrix/federation/v1/send/"));
        let request = match &mut self.liar {
            None => request,
            Some(liar) => match liar.send(to, request, &self.disk.look()) {
                Some(request) => request,
                // The server is not to know.
                None => {
                    let body = Object::new().with("pdus", Object::new());
                    let outcome = Outcome::Fetched(Response::json(200, &body.into()));
                    self.later(around.queue, Span::millis(1), Doing::Resolved { call, outcome });
                    return;
                }
            },
        };
        if let Some(traffic) = &mut self.traffic {
            traffic.asks(&request);
        }
        let longest = usize::try_from(fetch.max_body).unwrap_or(usize::MAX);
        self.longest_answers.insert(call, (Endpoint::of(&request.path), longest));
        let caller = Caller::Server { number: self.number, life: self.life, call };
        let patience = u64::try_from(fetch.timeout.as_micros()).expect("timeouts are minutes at most");
        around.network.send(around.queue, caller, to, request, Span::micros(patience));
    }

    /// Another server answered, or did not.
    pub fn fetched(&mut self, around: &mut Surroundings<'_>, call: CallId, reply: Result<Response, Lost>) {
        let asked = self.longest_answers.remove(&call);
        let outcome = match reply {
            Ok(response) if asked.is_some_and(|(_, longest)| response.body.len() > longest) => {
                Outcome::Failed("the answer is too long".to_owned())
            }
            Ok(response) => {
                self.account.bytes_in += response.body.len() as u64;
                if let Some((traffic, (endpoint, _))) = self.traffic.as_mut().zip(asked) {
                    traffic.is_answered(endpoint, response.body.len());
                }
                Outcome::Fetched(response)
            }
            Err(Lost::Connection) => Outcome::Failed("the connection broke".to_owned()),
            Err(Lost::Patience) => Outcome::Failed("there was no answer in time".to_owned()),
        };
        self.proceed(around, Doing::Resolved { call, outcome });
    }
}
