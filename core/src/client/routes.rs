//! The endpoints of the Client-Server API: path and method, handler, who may call and which rate limit counts.

use super::request::{Auth, Handler, Limit};

use super::sync;
use super::{
    account, account_data, admin, admin_rooms, capabilities, devices, discovery, federation_check, filters, keys,
    openid, presence, profile, push_rules, rooms, tags, to_device, typing, unread,
};
use crate::http::Method;

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
pub const TABLES: &[&[Route]] = &[
    rooms::create_room::ROUTES,
    rooms::directory::ROUTES,
    rooms::hierarchy::ROUTES,
    rooms::invite::ROUTES,
    rooms::join::ROUTES,
    rooms::knock::ROUTES,
    rooms::leave::ROUTES,
    rooms::membership::ROUTES,
    rooms::messages::ROUTES,
    rooms::public_rooms::ROUTES,
    rooms::receipts::ROUTES,
    rooms::send::ROUTES,
    rooms::state::ROUTES,
    rooms::timestamp_to_event::ROUTES,
    rooms::upgrade::ROUTES,
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
    keys::upload::ROUTES,
    keys::query::ROUTES,
    keys::claim::ROUTES,
    keys::changes::ROUTES,
    keys::cross_signing::ROUTES,
    keys::signatures::ROUTES,
    to_device::ROUTES,
    profile::ROUTES,
    account_data::ROUTES,
    tags::ROUTES,
    filters::ROUTES,
    push_rules::endpoints::ROUTES,
    unread::notifications::ROUTES,
    typing::ROUTES,
    presence::ROUTES,
    openid::ROUTES,
    admin::ROUTES,
    federation_check::ROUTES,
    admin_rooms::ROUTES,
];
