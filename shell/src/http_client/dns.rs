//! SRV records from DNS.

use std::time::Duration;

use hickory_resolver::TokioResolver;
use hickory_resolver::net::{DnsError, NetError};
use hickory_resolver::proto::rr::RData;
use orrery_core::input::{Outcome, Service};
use tokio::sync::OnceCell;

/// How long "there is nothing" may be kept when DNS does not say.
const NEGATIVE_TTL: u32 = 300;

/// How long one name server gets, and how often it is asked.
const TIMEOUT: Duration = Duration::from_secs(3);
const ATTEMPTS: usize = 2;

/// The records of one answer that are looked at.
const MAX_RECORDS: usize = 64;

/// Asks the name servers of the system's configuration.
#[derive(Debug, Default)]
pub struct Dns {
    resolver: OnceCell<Result<TokioResolver, String>>,
}

impl Dns {
    /// The SRV records of `name`.
    pub async fn services(&self, name: &str) -> Outcome {
        let resolver = match self.resolver.get_or_init(async || build()).await {
            Ok(resolver) => resolver,
            Err(why) => return Outcome::Failed(why.clone()),
        };
        // With the final dot the name is whole, and no search domain is tried.
        match resolver.srv_lookup(format!("{name}.")).await {
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
                Outcome::Services { records: records.take(MAX_RECORDS).collect(), ttl }
            }
            Err(NetError::Dns(DnsError::NoRecordsFound(nothing))) => {
                Outcome::Services { records: Vec::new(), ttl: nothing.negative_ttl.unwrap_or(NEGATIVE_TTL) }
            }
            Err(error) => Outcome::Failed(format!("DNS: {error}")),
        }
    }
}

fn build() -> Result<TokioResolver, String> {
    let failed = |error: NetError| format!("the system's DNS configuration: {error}");
    let mut builder = TokioResolver::builder_tokio().map_err(failed)?;
    let options = builder.options_mut();
    options.timeout = TIMEOUT;
    options.attempts = ATTEMPTS;
    builder.build().map_err(failed)
}
