//! What the configuration means: every key, its default and its bounds.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use orrery_core::config::{
    Rate, RateLimits, RegistrationConfig, RegistrationToken, Secret, SessionConfig, SupportConfig, SupportContact,
};
use orrery_core::effect::PasswordCost;
use orrery_core::identifiers::{ServerName, UserId};
use orrery_core::room_version::RoomVersion;
use tracing::level_filters::LevelFilter;

use super::federation;
use super::section::{Findings, Problem, Section};
use super::tree::Entries;
use super::{Listener, Settings, Threads, TlsFiles};
use crate::http_server::{HttpLimits, Network};
use crate::logging::{Format, LogSettings, Requests};
use crate::storage;

/// The tables of capabilities that this version does not have yet. Their keys are not looked at.
const LATER: [&str; 6] = ["application_services", "identity", "push_gateway", "mail", "turn", "metrics"];

/// This machine, on which a proxy may be that nobody has named.
const LOOPBACK: [&str; 2] = ["127.0.0.0/8", "::1"];

/// Reads the whole tree.
pub fn settings(entries: &Entries) -> Result<Settings, Vec<Problem>> {
    let findings = Findings::default();
    let mut top = Section::top(entries, &findings);
    let mut warnings = Vec::new();
    for name in LATER.into_iter().chain(["media"]) {
        if top.has(name) {
            warnings.push(format!("[{name}] has no effect: this version of orrery does not serve it yet"));
        }
    }

    let server_name = top.text_as("server_name", ServerName::parse);
    let is_local = server_name.as_ref().is_none_or(|name| name.host() == "localhost");
    let server_name = server_name.unwrap_or_else(|| ServerName::parse("localhost").expect("localhost is a host"));
    let data_dir = top.text_as("data_dir", path).unwrap_or_else(|| PathBuf::from("orrery-data"));
    let signing_key = top.text_as("signing_key", path).unwrap_or_else(|| data_dir.join("signing.key"));
    let listeners = listeners(&mut top);
    let is_loopback = listeners.iter().all(|listener| is_loopback(listener.address.ip()));
    let registration = registration(&mut top, is_local, is_loopback);
    let trusted_proxies = top.texts("trusted_proxies", str::parse::<Network>);
    let (http, mut unlimited_addresses, rate_limits) = limits(&mut top);
    unlimited_addresses.extend(&trusted_proxies);
    let (password_cost, minimum_password_length) = passwords(&mut top);
    let (default_room_version, well_known) = (rooms(&mut top), well_known(&mut top));
    let (federation, http_client) = federation::read(&mut top);
    let settings = Settings {
        server_name,
        data_dir,
        signing_key,
        listeners,
        trusted_proxies,
        unlimited_addresses,
        registration,
        sessions: sessions(&mut top),
        guests: top.boolean("guests").unwrap_or(false),
        presence: top.boolean("presence").unwrap_or(true),
        default_room_version,
        password_cost,
        minimum_password_length,
        rate_limits,
        client_base_url: well_known,
        support: support(&mut top),
        federation,
        http_client,
        http,
        storage: storage(&mut top),
        threads: threads(&mut top),
        logging: logging(&mut top),
        restored: false,
        record: None,
        warnings,
    };
    for name in LATER.into_iter().chain(["media"]) {
        // A table it must be; what is in it is for later versions to say.
        let _later: Section<'_> = top.section(name);
    }
    top.finish();
    let problems = findings.into_problems();
    if problems.is_empty() { Ok(settings) } else { Err(problems) }
}

pub(super) fn path(text: &str) -> Result<PathBuf, &'static str> {
    if text.is_empty() { Err("expected a path") } else { Ok(PathBuf::from(text)) }
}

fn is_loopback(address: IpAddr) -> bool {
    address.to_canonical().is_loopback()
}

fn listeners(top: &mut Section<'_>) -> Vec<Listener> {
    if !top.has("listeners") {
        // Asked for all the same, so that it is known.
        let none = top.sections("listeners");
        debug_assert!(none.is_empty(), "it is not there");
        return vec![Listener { address: SocketAddr::from(([127, 0, 0, 1], 8008)), tls: None }];
    }
    let mut listeners = Vec::new();
    for mut section in top.sections("listeners") {
        let address = section.text_as("address", |text| {
            text.parse::<SocketAddr>()
                .map_err(|_| "expected an IP address and a port, such as 127.0.0.1:8008 or [::]:8448")
        });
        if !section.has("address") {
            section.problem("address", "missing");
        }
        let has_tls = section.has("tls");
        let mut files = section.section("tls");
        let (certificate, key) = (files.text_as("certificate", path), files.text_as("key", path));
        for name in ["certificate", "key"] {
            if has_tls && !files.has(name) {
                files.problem(name, "missing");
            }
        }
        files.finish();
        let tls = certificate.zip(key).map(|(certificate, key)| TlsFiles { certificate, key });
        section.finish();
        listeners.extend(address.map(|address| Listener { address, tls }));
    }
    listeners
}

fn registration(top: &mut Section<'_>, is_local: bool, is_loopback: bool) -> RegistrationConfig {
    let mut section = top.section("registration");
    let open = section.boolean("open");
    let open_anywhere = section.boolean("open_anywhere").unwrap_or(false);
    if open == Some(true) && !is_loopback && !open_anywhere {
        section.problem(
            "open",
            "anyone who reaches this server could register, and it listens beyond this machine; if that is what you want, \
             set registration.open_anywhere = true, otherwise use registration.tokens or registration.shared_secret",
        );
    }
    let mut tokens = Vec::new();
    for mut entry in section.sections("tokens") {
        let token = entry.text("token");
        if !entry.has("token") {
            entry.problem("token", "missing");
        }
        if let Some(token) = &token
            && !is_registration_token(token)
        {
            // Client-Server API, "Token-authenticated Registration".
            entry.problem("token", "expected 1 to 64 characters of A-Z, a-z, 0-9, . _ ~ -");
        }
        let uses = entry.integer("uses", 0..=u32::MAX);
        entry.finish();
        tokens.extend(token.map(|token| RegistrationToken { token: Secret::from(token), uses }));
    }
    let shared_secret = section.text("shared_secret");
    if shared_secret.as_ref().is_some_and(String::is_empty) {
        section.problem("shared_secret", "empty: anyone could guess it");
    }
    section.finish();
    RegistrationConfig {
        open: open.unwrap_or(is_local && is_loopback),
        tokens,
        shared_secret: shared_secret.map(Secret::from),
    }
}

fn is_registration_token(token: &str) -> bool {
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'~' | b'-');
    (1..=64).contains(&token.len()) && token.bytes().all(is_allowed)
}

fn sessions(top: &mut Section<'_>) -> SessionConfig {
    let default = SessionConfig::default();
    let mut section = top.section("sessions");
    let refreshable = section.duration_or_never("refreshable_access_token_lifetime");
    let lifetime = section.duration_or_never("access_token_lifetime");
    let login_tokens = section.boolean("login_tokens");
    section.finish();
    SessionConfig {
        refreshable_access_token_lifetime: refreshable.unwrap_or(default.refreshable_access_token_lifetime),
        access_token_lifetime: lifetime.unwrap_or(default.access_token_lifetime),
        login_tokens: login_tokens.unwrap_or(default.login_tokens),
    }
}

fn rooms(top: &mut Section<'_>) -> String {
    let mut section = top.section("rooms");
    let version = section.text_as("default_version", |text| {
        RoomVersion::parse(text).map(|_| text.to_owned()).ok_or("expected a room version from 1 to 12, in quotes")
    });
    section.finish();
    version.unwrap_or_else(|| "12".to_owned())
}

fn passwords(top: &mut Section<'_>) -> (PasswordCost, u32) {
    let mut section = top.section("passwords");
    // RFC 9106 recommends more; this is OWASP's least, for servers that share a small machine.
    let cost = PasswordCost {
        memory_kib: section.integer("memory_kib", 8..=4_194_304).unwrap_or(19_456),
        passes: section.integer("passes", 1..=1000).unwrap_or(2),
        lanes: section.integer("lanes", 1..=255).unwrap_or(1),
    };
    if cost.memory_kib < 8 * cost.lanes {
        section.problem("memory_kib", "expected at least 8 for each of passwords.lanes");
    }
    let minimum_length = section.integer("minimum_length", 1..=512).unwrap_or(8);
    section.finish();
    (cost, minimum_length)
}

fn limits(top: &mut Section<'_>) -> (HttpLimits, Vec<Network>, RateLimits) {
    let default = RateLimits::default();
    let mut section = top.section("limits");
    let enabled = section.boolean("rate_limits").unwrap_or(default.enabled);
    let mut rates = section.section("rates");
    let rate_limits = RateLimits {
        enabled,
        message: rate(&mut rates, "message", default.message),
        membership: rate(&mut rates, "membership", default.membership),
        registration: rate(&mut rates, "registration", default.registration),
        login: rate(&mut rates, "login", default.login),
        write: rate(&mut rates, "write", default.write),
    };
    rates.finish();
    let http = HttpLimits {
        connections: section.integer("connections", 1..=1_000_000).unwrap_or(8192) as usize,
        connections_per_address: section.integer("connections_per_address", 1..=1_000_000).unwrap_or(1024) as usize,
        requests: section.integer("requests", 1..=1_000_000).unwrap_or(16_384) as usize,
        header_bytes: section.integer("header_bytes", 8192..=1_048_576).unwrap_or(32_768) as usize,
        header_timeout: section.duration("header_timeout").unwrap_or(Duration::from_secs(60)),
        body_timeout: section.duration("body_timeout").unwrap_or(Duration::from_secs(60)),
        write_timeout: section.duration("write_timeout").unwrap_or(Duration::from_secs(60)),
    };
    let has_unlimited = section.has("unlimited_addresses");
    let mut unlimited = section.texts("unlimited_addresses", str::parse::<Network>);
    if !has_unlimited {
        unlimited.extend(LOOPBACK.iter().filter_map(|network| network.parse::<Network>().ok()));
    }
    section.finish();
    (http, unlimited, rate_limits)
}

fn rate(rates: &mut Section<'_>, name: &'static str, default: Rate) -> Rate {
    let mut section = rates.section(name);
    let rate = Rate {
        per_minute: section.integer("per_minute", 1..=1_000_000).unwrap_or(default.per_minute),
        burst: section.integer("burst", 1..=1_000_000).unwrap_or(default.burst),
    };
    section.finish();
    rate
}

fn well_known(top: &mut Section<'_>) -> Option<String> {
    let mut section = top.section("well_known");
    let client = section.text_as("client", |text| {
        let host = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
        let is_url = host.is_some_and(|host| !host.is_empty() && !host.contains(char::is_whitespace));
        if is_url { Ok(text.to_owned()) } else { Err("expected a URL such as https://matrix.example.org") }
    });
    section.finish();
    client
}

fn support(top: &mut Section<'_>) -> SupportConfig {
    let mut section = top.section("support");
    let mut contacts = Vec::new();
    for mut entry in section.sections("contacts") {
        let role = entry.text("role").unwrap_or_else(|| "m.role.admin".to_owned());
        let email = entry.text("email");
        let matrix_id = entry.text_as("matrix_id", |text| UserId::parse(text).map(|_| text.to_owned()));
        if email.is_none() && !entry.has("matrix_id") {
            entry.problem("email", "expected an email or a matrix_id, or both");
        }
        entry.finish();
        contacts.push(SupportContact { role, email, matrix_id });
    }
    let page = section.text("page");
    section.finish();
    SupportConfig { contacts, page }
}

fn storage(top: &mut Section<'_>) -> storage::Options {
    const MIB: u64 = 1024 * 1024;
    let mut section = top.section("storage");
    let cache = section.integer("cache_mib", 1..=1_048_576).unwrap_or(64);
    let checkpoint = section.integer("checkpoint_mib", 1..=1024).unwrap_or(4);
    section.finish();
    storage::Options {
        cache_bytes: usize::try_from(u64::from(cache) * MIB).unwrap_or(usize::MAX),
        checkpoint_bytes: u64::from(checkpoint) * MIB,
    }
}

fn threads(top: &mut Section<'_>) -> Threads {
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    let mut section = top.section("threads");
    let threads = Threads {
        http: section.integer("http", 1..=256).map_or((processors / 4).max(1), |count| count as usize),
        query: section.integer("query", 1..=256).map_or(processors, |count| count as usize),
        compute: section.integer("compute", 1..=256).map_or((processors / 2).max(1), |count| count as usize),
    };
    section.finish();
    threads
}

fn logging(top: &mut Section<'_>) -> LogSettings {
    const LEVELS: [(&str, LevelFilter); 6] = [
        ("off", LevelFilter::OFF),
        ("error", LevelFilter::ERROR),
        ("warn", LevelFilter::WARN),
        ("info", LevelFilter::INFO),
        ("debug", LevelFilter::DEBUG),
        ("trace", LevelFilter::TRACE),
    ];
    const FORMATS: [(&str, Format); 2] = [("human", Format::Human), ("json", Format::Json)];
    const REQUESTS: [(&str, Requests); 3] =
        [("all", Requests::All), ("notable", Requests::Notable), ("none", Requests::None)];
    let mut section = top.section("logging");
    let settings = LogSettings {
        level: section.word("level", &LEVELS).unwrap_or(LevelFilter::INFO),
        format: section.word("format", &FORMATS).unwrap_or(Format::Human),
        requests: section.word("requests", &REQUESTS).unwrap_or(Requests::All),
    };
    section.finish();
    settings
}
