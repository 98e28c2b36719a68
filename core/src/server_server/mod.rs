//! The Server-Server API as it is served: an endpoint's route stands beside its handler.

use crate::client::routes::Route;

pub mod version;

/// Every table of routes.
pub const TABLES: &[&[Route]] = &[version::ROUTES];
