//! Leaving through this server (Server-Server API, "Leaving Rooms (Rejecting Invites)").

use alloc::boxed::Box;

use super::handshake::{empty, submit, template};
use crate::client::request::{Answer, Auth, ClientRequest, FlowFuture, Handler, Limit};
use crate::client::routes::Route;
use crate::event::content::Membership;
use crate::flow::{Cx, Step};
use crate::http::Method;

pub const ROUTES: &[Route] = &[
    Route::new(
        Method::Get,
        "/_matrix/federation/v1/make_leave/{roomId}/{userId}",
        Auth::Server,
        Limit::None,
        Handler::Step(make_leave),
    ),
    Route::new(
        Method::Put,
        "/_matrix/federation/v1/send_leave/{roomId}/{eventId}",
        Auth::Server,
        Limit::None,
        Handler::Flow("send_leave", send_leave_v1),
    ),
    Route::new(
        Method::Put,
        "/_matrix/federation/v2/send_leave/{roomId}/{eventId}",
        Auth::Server,
        Limit::None,
        Handler::Flow("send_leave", send_leave_v2),
    ),
];

fn make_leave(step: &mut Step<'_>, request: &ClientRequest) -> Answer {
    template(step, request, Membership::Leave)
}

fn send_leave_v1(cx: Cx, request: ClientRequest) -> FlowFuture {
    Box::pin(send_leave(cx, request, true))
}

fn send_leave_v2(cx: Cx, request: ClientRequest) -> FlowFuture {
    Box::pin(send_leave(cx, request, false))
}

async fn send_leave(cx: Cx, request: ClientRequest, first_version: bool) -> Answer {
    submit(&cx, &request, Membership::Leave).await?;
    Ok(empty(first_version))
}
