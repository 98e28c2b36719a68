use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use super::{Problem, Settings, Sources};

/// A file of its own, so that tests do not meet.
fn file(name: &str, text: &str) -> PathBuf {
    let path = std::env::temp_dir().join(format!("orrery-config-{name}-{}.toml", std::process::id()));
    std::fs::write(&path, text).unwrap();
    path
}

fn load(name: &str, text: &str, environment: &[(&str, &str)], options: &[&str]) -> Result<Settings, Vec<String>> {
    let path = file(name, text);
    let sources = Sources {
        file: Some(path.clone()),
        environment: environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
        options: options.iter().map(|option| (*option).to_owned()).collect(),
    };
    let result = Settings::load(&sources);
    std::fs::remove_file(&path).unwrap();
    let shown = path.display().to_string();
    let line = |problem: &Problem| problem.to_string().replace(&shown, "orrery.toml");
    result.map_err(|problems| problems.iter().map(line).collect())
}

#[test]
fn nothing_configured_serves_this_machine_only() {
    let settings = load("empty", "", &[], &[]).unwrap();
    assert_eq!(settings.server_name.as_str(), "localhost");
    assert_eq!(settings.data_dir, PathBuf::from("orrery-data"));
    assert_eq!(settings.signing_key, PathBuf::from("orrery-data/signing.key"));
    assert_eq!(settings.listeners.len(), 1);
    assert_eq!(settings.listeners[0].address, SocketAddr::from(([127, 0, 0, 1], 8008)));
    assert!(settings.registration.open);
    assert!(settings.rate_limits.enabled);
    assert_eq!(settings.default_room_version, "12");
}

#[test]
fn open_registration_is_for_this_machine_unless_told_otherwise() {
    let check = |text: &str, expected: Option<bool>| {
        let open = load("open", text, &[], &[]).map(|settings| settings.registration.open);
        assert_eq!(open.ok(), expected, "{text}");
    };
    check("", Some(true));
    check("server_name = \"localhost:8008\"", Some(true));
    check("[[listeners]]\naddress = \"[::1]:0\"", Some(true));
    check("server_name = \"example.org\"", Some(false));
    check("server_name = \"example.org\"\nregistration.open = true", Some(true));
    check("[[listeners]]\naddress = \"0.0.0.0:8008\"", Some(false));
    check("[[listeners]]\naddress = \"0.0.0.0:8008\"\n[registration]\nopen = true", None);
    check("[[listeners]]\naddress = \"[::]:8008\"\n[registration]\nopen = true", None);
    check("[[listeners]]\naddress = \"0.0.0.0:8008\"\n[registration]\nopen = true\nopen_anywhere = true", Some(true));
}

#[test]
fn later_sources_win() {
    let check = |text: &str, environment: &[(&str, &str)], options: &[&str], expected: &str| {
        let settings = load("sources", text, environment, options).unwrap();
        assert_eq!(settings.server_name.as_str(), expected);
    };
    let text = "server_name = \"file.example\"";
    check(text, &[], &[], "file.example");
    check(text, &[("ORRERY_SERVER_NAME", "environment.example")], &[], "environment.example");
    check(text, &[("ORRERY_SERVER_NAME", "a.example")], &["server_name=option.example"], "option.example");
    check(text, &[], &["server_name=first.example", "server_name = second.example"], "second.example");
}

#[test]
fn every_source_reaches_every_depth() {
    let settings = load(
        "depth",
        "[limits]\nconnections = 5\n[limits.rates]\nlogin.burst = 3",
        &[
            ("ORRERY_REGISTRATION__SHARED_SECRET", "12345"),
            ("ORRERY_LIMITS__RATES__LOGIN__PER_MINUTE", "4"),
            ("ORRERY_SESSIONS__ACCESS_TOKEN_LIFETIME", "12h"),
        ],
        &[
            "limits.rate_limits=false",
            "listeners=[{address=\"127.0.0.1:1\"}, {address=\"[::1]:2\", tls={certificate=\"c\", key=\"k\"}}]",
            "trusted_proxies=[\"10.0.0.0/8\"]",
        ],
    )
    .unwrap();
    assert_eq!(settings.registration.shared_secret.unwrap().expose(), "12345");
    assert_eq!((settings.rate_limits.login.per_minute, settings.rate_limits.login.burst), (4, 3));
    assert_eq!(settings.sessions.access_token_lifetime, Some(Duration::from_secs(12 * 3600)));
    assert_eq!(settings.http.connections, 5);
    assert!(!settings.rate_limits.enabled);
    assert_eq!(settings.listeners.len(), 2);
    assert!(settings.listeners[1].tls.is_some());
    assert_eq!(settings.trusted_proxies.len(), 1);
    // Those of this machine, and the proxies.
    assert_eq!(settings.unlimited_addresses.len(), 3);
}

#[test]
fn problems_say_where_and_what() {
    let check = |text: &str, expected: &[&str]| {
        let problems = load("problems", text, &[], &[]).expect_err(text);
        assert_eq!(problems, expected, "{text}");
    };
    check("server_name = 5", &["orrery.toml:1: server_name: expected a text, found the number 5"]);
    check(
        "\n\nserver_name = \"exa mple\"",
        &["orrery.toml:3: server_name: \"exa mple\": invalid server name: a host has letters, digits, - and . only"],
    );
    check("sever_name = \"a\"", &["orrery.toml:1: sever_name: unknown key; did you mean server_name?"]);
    check(
        "shared_secret = \"a\"",
        &["orrery.toml:1: shared_secret: unknown key; did you mean registration.shared_secret?"],
    );
    check(
        "[registration]\nopne = true",
        &["orrery.toml:2: registration.opne: unknown key; did you mean registration.open?"],
    );
    check("[zzz]\nfrobnicate = true", &["orrery.toml:1: zzz: unknown key"]);
    check(
        "[[listeners]]\nadress = \"127.0.0.1:1\"",
        &[
            "orrery.toml:1: listeners[0].address: missing",
            "orrery.toml:2: listeners[0].adress: unknown key; did you mean listeners[0].address?",
        ],
    );
    check(
        "[[listeners]]\naddress = \"8008\"",
        &[
            "orrery.toml:2: listeners[0].address: \"8008\": expected an IP address and a port, such as 127.0.0.1:8008 or \
         [::]:8448",
        ],
    );
    check(
        "[[listeners]]\naddress = \"[::1]:1\"\ntls = { certificate = \"c\" }",
        &["orrery.toml:3: listeners[0].tls.key: missing"],
    );
    check("listeners = 5", &["orrery.toml:1: listeners: expected a list, found the number 5"]);
    check("listeners = [5]", &["orrery.toml:1: listeners[0]: expected a table, found the number 5"]);
    check("registration = true", &["orrery.toml:1: registration: expected a table, found true"]);
    check("mail = 1", &["orrery.toml:1: mail: expected a table, found the number 1"]);
    check(
        "[registration]\nopen = \"yes\"",
        &["orrery.toml:2: registration.open: expected true or false, found the text \"yes\""],
    );
    check(
        "[registration]\nshared_secret = 12345",
        &["orrery.toml:2: registration.shared_secret: expected a text, found a number"],
    );
    check(
        "[[registration.tokens]]\ntoken = \"a b\"\nuses = -1",
        &[
            "orrery.toml:2: registration.tokens[0].token: expected 1 to 64 characters of A-Z, a-z, 0-9, . _ ~ -",
            "orrery.toml:3: registration.tokens[0].uses: expected a whole number from 0 to 4294967295, found the number -1",
        ],
    );
    check(
        "[limits]\nconnections = 0",
        &["orrery.toml:2: limits.connections: expected a whole number from 1 to 1000000, found the number 0"],
    );
    check(
        "[limits]\nunlimited_addresses = [\"everybody\"]",
        &["orrery.toml:2: limits.unlimited_addresses[0]: \"everybody\": expected an IP address, or a range such as \
             10.0.0.0/8"],
    );
    check(
        "[limits]\nbody_timeout = \"soon\"",
        &["orrery.toml:2: limits.body_timeout: \"soon\": expected a time such as 30s, 5m, 12h or 7d"],
    );
    check(
        "[limits]\nbody_timeout = \"ß\"",
        &["orrery.toml:2: limits.body_timeout: \"ß\": expected a time such as 30s, 5m, 12h or 7d"],
    );
    check(
        "[sessions]\naccess_token_lifetime = \"0s\"",
        &[
            "orrery.toml:2: sessions.access_token_lifetime: \"0s\": expected a time such as 30s, 5m, 12h or 7d, or never",
        ],
    );
    check(
        "[rooms]\ndefault_version = \"13\"",
        &["orrery.toml:2: rooms.default_version: \"13\": expected a room version from 1 to 12, in quotes"],
    );
    check("[rooms]\ndefault_version = 1.5", &["orrery.toml:2: rooms.default_version: expected a text, found 1.5"]);
    check(
        "[logging]\nlevel = \"loud\"",
        &["orrery.toml:2: logging.level: \"loud\": expected one of off, error, warn, info, debug, trace"],
    );
    check(
        "[passwords]\nlanes = 4\nmemory_kib = 16",
        &["orrery.toml:3: passwords.memory_kib: expected at least 8 for each of passwords.lanes"],
    );
    check(
        "trusted_proxies = [\"nginx\"]",
        &["orrery.toml:1: trusted_proxies[0]: \"nginx\": expected an IP address, or a range such as 10.0.0.0/8"],
    );
    check(
        "[well_known]\nclient = \"matrix.example.org\"",
        &[
            "orrery.toml:2: well_known.client: \"matrix.example.org\": expected a URL such as https://matrix.example.org",
        ],
    );
    check(
        "[[support.contacts]]\nrole = \"m.role.admin\"",
        &["orrery.toml:1: support.contacts[0].email: expected an email or a matrix_id, or both"],
    );
    check(
        "[federation]\nenabled = 1",
        &["orrery.toml:2: federation.enabled: expected true or false, found the number 1"],
    );
    check(
        "[federation]\ndelegate = \"https://a\"",
        &["orrery.toml:2: federation.delegate: \"https://a\": invalid server name: the port is not one to five digits"],
    );
    check(
        "[[federation.old_verify_keys]]\nkey_id = \"rsa:1\"\nkey = \"AAAA\"",
        &[
            "orrery.toml:2: federation.old_verify_keys[0].key_id: \"rsa:1\": expected a key ID such as ed25519:1",
            "orrery.toml:3: federation.old_verify_keys[0].key: \"AAAA\": expected a public key: 32 bytes in base64",
            "orrery.toml:1: federation.old_verify_keys[0].expired_ts: missing",
        ],
    );
    check("a = 1\nb = \n", &["orrery.toml:2: string values must be quoted, expected literal string"]);
    check("a = 1\na = 2\n", &["orrery.toml:2: duplicate key"]);
    // All of it at once.
    check(
        "server_name = 1\nguests = 2\nfoo = 3",
        &[
            "orrery.toml:1: server_name: expected a text, found the number 1",
            "orrery.toml:2: guests: expected true or false, found the number 2",
            "orrery.toml:3: foo: unknown key",
        ],
    );
}

#[test]
fn problems_of_variables_and_options_name_them_and_no_secrets() {
    let check = |environment: &[(&str, &str)], options: &[&str], expected: &str| {
        let problems = load("overrides", "", environment, options).expect_err(expected);
        assert_eq!(problems, [expected]);
    };
    check(
        &[("ORRERY_SERVERNAME", "a")],
        &[],
        "environment variable ORRERY_SERVERNAME: servername: unknown key; did you mean server_name?",
    );
    check(&[], &["guests=maybe"], "-o guests: expected true or false, found the text \"maybe\"");
    check(&[], &["guests"], "-o guests: expected key=value");
    check(&[], &["=5"], "-o : expected a key such as registration.open");
    check(&[], &["server_name.x=5", "server_name.x.y=5"], "-o server_name.x.y: a part of this key is not a table");
    check(
        &[],
        &["listeners=[]", "listeners.0.address=a"],
        "-o listeners.0.address: the elements of a list cannot be set one by one; set the whole list",
    );
    check(&[], &["registration.shared_secret="], "-o registration.shared_secret: empty: anyone could guess it");
    check(&[], &["registration.tokens=hunter2"], "-o registration.tokens: expected a list, found a text");
}

#[test]
fn a_file_that_is_named_must_be_there() {
    let sources = Sources { file: Some(PathBuf::from("/nonexistent/orrery.toml")), ..Sources::default() };
    let problems = Settings::load(&sources).expect_err("there is no such file");
    assert_eq!(
        problems[0].to_string(),
        "/nonexistent/orrery.toml:1: cannot read this file: No such file or directory (os error 2)"
    );
}

#[test]
fn tables_of_later_versions_are_known_and_warned_of() {
    let settings = load("later", "[metrics]\naddress = \"x\"", &[], &[]).unwrap();
    assert_eq!(settings.warnings, ["[metrics] has no effect: this version of orrery does not serve it yet"]);
}

#[test]
fn federation_is_on_and_careful_unless_told_otherwise() {
    let settings = load("federation-default", "", &[], &[]).unwrap();
    assert_eq!((settings.federation, settings.http_client), Default::default());
    let text = "[federation]\nenabled = false\nextra_ca = [\"ca.pem\"]\nallow_private_addresses = true\n\
                delegate = \"m.example.org:443\"\n[[federation.old_verify_keys]]\nkey_id = \"ed25519:0\"\n\
                key = \"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\"\nexpired_ts = 1700000000000\n";
    let settings = load("federation", text, &[], &[]).unwrap();
    assert_eq!(settings.http_client.extra_ca, [PathBuf::from("ca.pem")]);
    assert!(settings.http_client.allow_private_addresses && !settings.federation.enabled);
    assert_eq!(settings.federation.delegate.as_deref(), Some("m.example.org:443"));
    let old = &settings.federation.old_verify_keys[0];
    assert_eq!((old.key_id.as_str(), old.key, old.expired_ts.0), ("ed25519:0", [0; 32], 1_700_000_000_000));
}
