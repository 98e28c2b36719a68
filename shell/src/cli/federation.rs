//! `orrery federation`: other servers, as they look from here. The core looks for them, in memory of its own, so that the server
//! may be running meanwhile.

mod certificate;
mod memory;

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::time::Duration;

use clap::Subcommand;
use orrery_core::Homeserver;
use orrery_core::canonical_json::{self, Object, Value};
use orrery_core::config::Secret;
use orrery_core::effect::Effect;
use orrery_core::http::{Method, Request, Response};
use orrery_core::identifiers::ServerName;
use orrery_core::input::{Input, Outcome, RequestId};
use tokio::task::JoinSet;

use crate::config::Settings;
use crate::entropy;
use crate::exit::{self, Failure};
use crate::http_client::{self, Client, Key};
use crate::time::now;
use memory::Memory;

#[derive(Debug, Subcommand)]
pub(super) enum FederationCommand {
    /// Say where a server is, who answers there, which keys it publishes and what it runs
    Check {
        /// Its server name, such as example.org
        server: String,
    },
}

pub(super) fn run(settings: &Settings, command: &FederationCommand) -> Result<(), Failure> {
    let FederationCommand::Check { server } = command;
    let server = ServerName::parse(server).map_err(|error| Failure::new(exit::USAGE, error))?;
    let extra = http_client::load_extra(&settings.http_client.extra_ca).map_err(Failure::from)?;
    let client = Client::new(extra, settings.http_client.allow_private_addresses);
    let client = std::sync::Arc::new(client.map_err(|error| Failure::new(exit::SOFTWARE, error))?);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Failure::new(exit::OS, error))?;
    let report = runtime.block_on(async {
        let found = ask_core(settings, &server, &client).await?;
        Ok::<_, Failure>(report(&found, &client).await)
    })?;
    // The system's resolver may be waiting for DNS.
    runtime.shutdown_background();
    print!("{}", report.text);
    if report.is_well {
        Ok(())
    } else {
        Err(Failure::new(exit::REFUSED, format_args!("all is not well with {server}")))
    }
}

/// Runs a core of its own until it has looked at the server.
async fn ask_core(
    settings: &Settings,
    server: &ServerName,
    client: &std::sync::Arc<Client>,
) -> Result<Object, Failure> {
    let bug = |why: &str| Failure::new(exit::SOFTWARE, why);
    let seed = || entropy::seed().map_err(|error| Failure::new(exit::OS, error));
    let secret = entropy::secret().map_err(|error| Failure::new(exit::OS, error))?;
    let key = orrery_core::config::SigningKeyConfig { version: "check".to_owned(), seed: seed()? };
    let mut config = settings.core_config(key, Secret::from(secret.as_str()));
    // To look at oneself from outside is fine too.
    config.server_name = ServerName::parse("check.invalid").expect("it has the grammar of a name");
    config.federation.enabled = true;
    let core = Homeserver::new(config, seed()?, Memory::default(), now());
    let mut core = core.map_err(|error| Failure::new(exit::SOFTWARE, error))?;
    let request = Request {
        method: Method::Get,
        path: format!("/_orrery/admin/v1/federation/check/{server}").replace('[', "%5B").replace(']', "%5D"),
        query: String::new(),
        authorization: Some(format!("Bearer {secret}")),
        user_agent: None,
        remote: None,
        body: bytes::Bytes::new(),
    };
    core.handle(now(), Input::Request { id: RequestId(1), request });
    let mut under_way = JoinSet::new();
    loop {
        let effects: Vec<Effect> = core.drain().collect();
        let is_idle = effects.is_empty();
        for effect in effects {
            match effect {
                Effect::Commit { id, batch } => {
                    core.with_storage(|memory| memory.write(batch));
                    core.handle(now(), Input::Durable { commit: id });
                }
                Effect::Reply { response, .. } => return answer(&response),
                Effect::Compute { call, job } => {
                    let outcome = job.run();
                    core.handle(now(), Input::Resolved { call, outcome });
                }
                Effect::Fetch { call, fetch } => {
                    let client = client.clone();
                    under_way.spawn(async move { (call, client.fetch(&fetch).await) });
                }
                Effect::Lookup { call, name } => {
                    let client = client.clone();
                    under_way.spawn(async move { (call, client.look_up(&name).await) });
                }
                Effect::Query { .. } | Effect::Abandon { .. } => {}
            }
        }
        if !is_idle {
            continue;
        }
        let wait = core.next_deadline().map_or(Duration::MAX, |at| Duration::from_millis(at.since(now())));
        tokio::select! {
            ended = under_way.join_next(), if !under_way.is_empty() => {
                let (call, outcome): (_, Outcome) =
                    ended.and_then(Result::ok).ok_or_else(|| bug("a request was lost"))?;
                core.handle(now(), Input::Resolved { call, outcome });
            }
            () = tokio::time::sleep(wait.min(Duration::from_secs(3600))) => core.handle(now(), Input::Wake),
        }
    }
}

fn answer(response: &Response) -> Result<Object, Failure> {
    match canonical_json::parse(&response.body) {
        Ok(Value::Object(found)) if response.status == 200 => Ok(found),
        other => Err(Failure::new(exit::SOFTWARE, format_args!("the core answered {}: {other:?}", response.status))),
    }
}

/// A table for people, and whether nothing in it is wrong.
struct Report {
    text: String,
    is_well: bool,
}

impl Report {
    fn line(&mut self, what: &str, text: impl std::fmt::Display) {
        writeln!(self.text, "{what:<12} {text}").expect("a text takes any text");
    }

    fn wrong(&mut self, what: &str, why: impl std::fmt::Display) {
        self.is_well = false;
        self.line(what, format_args!("WRONG: {why}"));
    }
}

async fn report(found: &Object, client: &Client) -> Report {
    let mut report = Report { text: String::new(), is_well: true };
    let text = |object: &Object, name: &str| object.str(name).unwrap_or_default().to_owned();
    report.line("server", text(found, "server_name"));
    if let Some(delegate) = found.str("delegate") {
        report.line("delegate", format_args!("{delegate} (by /.well-known/matrix/server)"));
    }
    let none = Object::new();
    let errors = found.object("errors").unwrap_or(&none);
    if let Some(why) = errors.str("discovery") {
        report.wrong("discovery", why);
    }
    let places = found.array("places").unwrap_or_default();
    for place in places.iter().filter_map(Value::as_object) {
        let key = Key {
            host: text(place, "host"),
            port: place.integer("port").and_then(|port| u16::try_from(port).ok()).unwrap_or_default(),
            tls_name: text(place, "tls_name"),
        };
        let (host, port) = (&key.host, key.port);
        let at = format!("{host} port {port}, as {}, with Host {}", key.tls_name, text(place, "host_header"));
        report.line("place", at);
        match client.addresses(&key).await {
            Ok(addresses) => {
                for address in addresses {
                    look_at(&mut report, client, &key, address).await;
                }
            }
            Err(why) => report.wrong("address", why),
        }
    }
    match found.object("keys") {
        Some(keys) => keys_of(&mut report, keys),
        None => report.wrong("keys", text(errors, "keys")),
    }
    match found.object("version") {
        Some(version) => report.line("version", format!("{} {}", text(version, "name"), text(version, "version"))),
        None => report.wrong("version", text(errors, "version")),
    }
    report
}

/// Connects, and says what came of it.
async fn look_at(report: &mut Report, client: &Client, key: &Key, address: SocketAddr) {
    match client.look_at(key, address).await {
        Ok(seen) => {
            let until = seen.certificate.as_deref().and_then(certificate::valid_until);
            let until = until.unwrap_or_else(|| "an unknown day".to_owned());
            report.line("address", format_args!("{address}, {}, {}, certificate until {until}", seen.tls, seen.http));
        }
        Err(why) => report.wrong("address", format_args!("{address}: {why}")),
    }
}

fn keys_of(report: &mut Report, keys: &Object) {
    let until = keys.integer("valid_until_ts").and_then(|millis| u64::try_from(millis).ok()).unwrap_or_default();
    let until = certificate::day(until / 1000);
    for (what, name) in [("key", "verify_keys"), ("old key", "old_verify_keys")] {
        for (key_id, key) in keys.object(name).into_iter().flat_map(Object::iter) {
            let public = key.get("key").and_then(Value::as_str).unwrap_or_default();
            report.line(what, format_args!("{key_id} {public}"));
        }
    }
    report.line("keys until", until);
}
