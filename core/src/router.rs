//! Routing: from path and method to the route.

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use crate::client::{self, routes::Route};
use crate::http::{Method, percent_decode};
use crate::server_server;

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
        for route in client::routes::TABLES.iter().chain(server_server::TABLES).copied().flatten() {
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
