//! Routing: path and method to handler, with who may call and which rate limit counts.

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::request::{Auth, Handler, Limit};

use super::sync;
use super::{
    account, account_data, admin, capabilities, devices, discovery, filters, presence, profile, push_rules, rooms,
    tags, typing,
};
use crate::http::{Method, percent_decode};

/// One endpoint.
#[derive(Clone, Copy, Debug)]
pub struct Route {
    pub method: Method,
    /// As in the specification: `/_matrix/client/v3/rooms/{roomId}/send/{eventType}/{txnId}`.
    pub path: &'static str,
    pub auth: Auth,
    pub limit: Limit,
    pub handler: Handler,
}

impl Route {
    #[must_use]
    pub const fn new(method: Method, path: &'static str, auth: Auth, limit: Limit, handler: Handler) -> Route {
        Route { method, path, auth, limit, handler }
    }
}

/// Every table of routes; each part of the API has its own beside its handlers.
const TABLES: &[&[Route]] = &[
    rooms::create_room::ROUTES,
    rooms::directory::ROUTES,
    rooms::membership::ROUTES,
    rooms::messages::ROUTES,
    rooms::public_rooms::ROUTES,
    rooms::receipts::ROUTES,
    rooms::send::ROUTES,
    rooms::state::ROUTES,
    sync::ROUTES,
    discovery::ROUTES,
    capabilities::ROUTES,
    account::registration::ROUTES,
    account::registration_token::ROUTES,
    account::shared_secret::ROUTES,
    account::login::ROUTES,
    account::login_token::ROUTES,
    account::logout::ROUTES,
    account::refresh::ROUTES,
    account::whoami::ROUTES,
    account::password::ROUTES,
    account::deactivation::ROUTES,
    devices::ROUTES,
    profile::ROUTES,
    account_data::ROUTES,
    tags::ROUTES,
    filters::ROUTES,
    push_rules::endpoints::ROUTES,
    typing::ROUTES,
    presence::ROUTES,
    admin::ROUTES,
];

/// What a path leads to.
#[derive(Debug)]
pub enum Found<'r> {
    Route(&'r Route, Vec<String>),
    /// `405 M_UNRECOGNIZED`: the path is known with other methods.
    WrongMethod,
    /// `404 M_UNRECOGNIZED`.
    Unknown,
    /// A parameter's percent-encoding does not decode to UTF-8.
    BadEncoding,
}

/// The routes by path.
#[derive(Debug)]
pub struct Router {
    paths: matchit::Router<usize>,
    /// The routes of each path.
    routes: Vec<Vec<&'static Route>>,
}

impl Router {
    #[must_use]
    pub fn new() -> Router {
        let mut router = Router { paths: matchit::Router::new(), routes: Vec::new() };
        for route in TABLES.iter().copied().flatten() {
            router.add(route.path, route);
            // What clients older than the v3 prefix call (Client-Server API r0.6.1).
            if let Some(rest) = route.path.strip_prefix("/_matrix/client/v3/") {
                router.add(&alloc::format!("/_matrix/client/r0/{rest}"), route);
            }
        }
        router
    }

    fn add(&mut self, path: &str, route: &'static Route) {
        let at = match self.paths.at(path) {
            // The path itself, parameters and all, matches its own pattern; check that it is not another's.
            Ok(found) if self.routes[*found.value].iter().any(|other| same_shape(other.path, route.path)) => {
                *found.value
            }
            _ => {
                self.routes.push(Vec::new());
                let at = self.routes.len() - 1;
                self.paths.insert(path.to_string(), at).expect("the tables have no two paths that conflict");
                at
            }
        };
        self.routes[at].push(route);
    }

    #[must_use]
    pub fn find(&self, method: Method, path: &str) -> Found<'_> {
        let Ok(found) = self.paths.at(path) else { return Found::Unknown };
        let method = if method == Method::Head { Method::Get } else { method };
        let Some(route) = self.routes[*found.value].iter().find(|route| route.method == method) else {
            return Found::WrongMethod;
        };
        let params: Option<Vec<String>> = found.params.iter().map(|(_, value)| percent_decode(value, false)).collect();
        match params {
            Some(params) => Found::Route(route, params),
            None => Found::BadEncoding,
        }
    }
}

impl Default for Router {
    fn default() -> Router {
        Router::new()
    }
}

/// Whether two paths differ at most in the names of their parameters.
fn same_shape(a: &str, b: &str) -> bool {
    let mut a = a.split('/');
    let mut b = b.split('/');
    loop {
        match (a.next(), b.next()) {
            (None, None) => return true,
            (Some(x), Some(y)) if x == y || (x.starts_with('{') && y.starts_with('{')) => {}
            _ => return false,
        }
    }
}
