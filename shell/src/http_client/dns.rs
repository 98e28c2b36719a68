//! Addresses and SRV records from DNS. Nothing here blocks a thread, so however many names are slow, others are not: questions wait
//! beside each other, and those for the same name at the same time are one.

use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use hickory_resolver::config::{LookupIpStrategy, ResolveHosts, ResolverOpts};
use hickory_resolver::net::{DnsError, NetError};
use hickory_resolver::proto::op::Query;
use hickory_resolver::proto::rr::{Name, RData, RecordType};
use hickory_resolver::{Hosts, TokioResolver};
use orrery_core::input::{Outcome, Service};
use tokio::sync::Semaphore;

/// How long DNS may take for one question, with the wait for its turn.
const LOOKUP_TIMEOUT: Duration = Duration::from_secs(10);

/// Questions under way at once, which have a socket or some each; others wait, at the cost of their own time.
const MAX_QUESTIONS: usize = 512;

/// How long "there is nothing" may be kept when DNS does not say.
const NEGATIVE_TTL: u32 = 300;

/// How long one name server gets, and how often it is asked again.
const TIMEOUT: Duration = Duration::from_secs(3);
const ATTEMPTS: usize = 2;

/// The records of one answer that are looked at.
const MAX_RECORDS: usize = 64;

/// The answers that are kept for as long as they say, of 64 KiB at most.
const MAX_KEPT: u64 = 1024;

/// What is known of the system's configuration is read again when one of them changes.
const SYSTEM_FILES: [&str; 2] = ["/etc/resolv.conf", "/etc/hosts"];

/// Asks the name servers of the system's configuration, after the system's file of hosts.
#[derive(Debug)]
pub struct Dns {
    system: Mutex<Option<(Changed, System)>>,
    places: Semaphore,
    /// [`LOOKUP_TIMEOUT`] of everybody.
    timeout: Duration,
}

/// What the system's files say.
#[derive(Clone, Debug)]
struct System {
    hosts: Arc<Hosts>,
    resolver: TokioResolver,
}

/// When the files of the system were changed.
type Changed = [Option<SystemTime>; SYSTEM_FILES.len()];

impl Default for Dns {
    fn default() -> Dns {
        Dns { system: Mutex::default(), places: Semaphore::new(MAX_QUESTIONS), timeout: LOOKUP_TIMEOUT }
    }
}

impl Dns {
    /// The addresses of `host`, those of both kinds in turn. There may be none.
    pub async fn addresses(&self, host: &str) -> Result<Vec<IpAddr>, String> {
        let System { hosts, resolver } = self.system()?;
        let known = in_hosts(&hosts, host)?;
        if !known.is_empty() {
            return Ok(known);
        }
        // With the final dot the name is whole, and no search domain is tried. Names of one label are not of the internet.
        let name = if host.contains('.') { format!("{}.", host.trim_end_matches('.')) } else { host.to_owned() };
        match self.in_turn(resolver.lookup_ip(name)).await? {
            Ok(lookup) => Ok(alternating(lookup.iter().take(MAX_RECORDS))),
            Err(NetError::Dns(DnsError::NoRecordsFound(_))) => Ok(Vec::new()),
            Err(error) => Err(format!("DNS: {error}")),
        }
    }

    /// The SRV records of `name`.
    pub async fn services(&self, name: &str) -> Outcome {
        match self.service_records(name).await {
            Ok((records, ttl)) => Outcome::Services { records, ttl },
            Err(why) => Outcome::Failed(why),
        }
    }

    /// The same, and for how many seconds they hold.
    async fn service_records(&self, name: &str) -> Result<(Vec<Service>, u32), String> {
        let resolver = self.system()?.resolver;
        match self.in_turn(resolver.srv_lookup(format!("{name}."))).await? {
            Ok(lookup) => {
                let ttl = lookup.answers().iter().map(|record| record.ttl).min().unwrap_or(NEGATIVE_TTL);
                let records = lookup.answers().iter().filter_map(|record| match &record.data {
                    RData::SRV(service) => Some(Service {
                        priority: service.priority,
                        weight: service.weight,
                        port: service.port,
                        target: service.target.to_ascii().trim_end_matches('.').to_owned(),
                    }),
                    _ => None,
                });
                Ok((records.take(MAX_RECORDS).collect(), ttl))
            }
            Err(NetError::Dns(DnsError::NoRecordsFound(nothing))) => {
                Ok((Vec::new(), nothing.negative_ttl.unwrap_or(NEGATIVE_TTL)))
            }
            Err(error) => Err(format!("DNS: {error}")),
        }
    }

    /// Asks when there is a place, for as long as it may take.
    async fn in_turn<T>(&self, question: impl Future<Output = T>) -> Result<T, String> {
        let asked = async {
            let _place = self.places.acquire().await.map_err(|error| error.to_string())?;
            Ok(question.await)
        };
        let asked = tokio::time::timeout(self.timeout, asked).await;
        asked.unwrap_or_else(|_| Err("DNS did not answer".to_owned()))
    }

    /// The system as it is now.
    fn system(&self) -> Result<System, String> {
        let changed = changed();
        let mut kept = self.system.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((as_of, system)) = &*kept
            && *as_of == changed
        {
            return Ok(system.clone());
        }
        // Without a file of hosts there are none.
        let system = System { hosts: Arc::new(Hosts::from_system().unwrap_or_default()), resolver: build()? };
        *kept = Some((changed, system.clone()));
        Ok(system)
    }
}

fn changed() -> Changed {
    SYSTEM_FILES.map(|file| std::fs::metadata(file).and_then(|file| file.modified()).ok())
}

fn build() -> Result<TokioResolver, String> {
    let failed = |error: NetError| format!("the system's DNS configuration: {error}");
    let mut builder = TokioResolver::builder_tokio().map_err(failed)?;
    set_options(builder.options_mut());
    builder.build().map_err(failed)
}

fn set_options(options: &mut ResolverOpts) {
    options.timeout = TIMEOUT;
    options.attempts = ATTEMPTS;
    options.cache_size = MAX_KEPT;
    options.max_active_requests = MAX_QUESTIONS;
    options.ip_strategy = LookupIpStrategy::Ipv4AndIpv6;
    // We do that: an address of one kind there is all that a name has, and none of the other kind is asked for.
    options.use_hosts_file = ResolveHosts::Never;
}

/// The addresses of `host` in the file of hosts.
fn in_hosts(hosts: &Hosts, host: &str) -> Result<Vec<IpAddr>, String> {
    let name = Name::from_ascii(host).map_err(|error| format!("{host} is no name: {error}"))?;
    let of_kind = |kind| hosts.lookup_static_host(&Query::query(name.clone(), kind));
    let found: Vec<_> = [RecordType::A, RecordType::AAAA].into_iter().filter_map(of_kind).collect();
    Ok(alternating(found.iter().flat_map(|lookup| lookup.answers()).filter_map(|record| record.data.ip_addr())))
}

/// One of each kind after the other: where one kind leads nowhere, the other is not tried only after all of it.
fn alternating(addresses: impl Iterator<Item = IpAddr>) -> Vec<IpAddr> {
    let (v4, v6): (Vec<IpAddr>, Vec<IpAddr>) = addresses.partition(IpAddr::is_ipv4);
    let longest = v4.len().max(v6.len());
    (0..longest).flat_map(|index| [v4.get(index), v6.get(index)]).flatten().copied().collect()
}

#[cfg(test)]
mod tests;
