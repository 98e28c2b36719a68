//! Knocking through this server (Server-Server API, "Knocking upon a room").

use alloc::boxed::Box;
use alloc::vec::Vec;
use bytes::Bytes;

use super::handshake::{submit, template};
use super::room_access::write_pdus;
use crate::client::request::{Answer, Auth, ClientRequest, FlowFuture, Handler, Limit};
use crate::client::routes::Route;
use crate::event::content::Membership;
use crate::flow::{Cx, Step};
use crate::http::{Method, Response};
use crate::room::stripped_state::stripped_state;

pub const ROUTES: &[Route] = &[
    Route::new(
        Method::Get,
        "/_matrix/federation/v1/make_knock/{roomId}/{userId}",
        Auth::Server,
        Limit::None,
        Handler::Step(make_knock),
    ),
    Route::new(
        Method::Put,
        "/_matrix/federation/v1/send_knock/{roomId}/{eventId}",
        Auth::Server,
        Limit::None,
        Handler::Flow("send_knock", send_knock),
    ),
];

fn make_knock(step: &mut Step<'_>, request: &ClientRequest) -> Answer {
    template(step, request, Membership::Knock)
}

fn send_knock(cx: Cx, request: ClientRequest) -> FlowFuture {
    Box::pin(async move {
        let accepted = submit(&cx, &request, Membership::Knock).await?;
        let (room, at) = (&accepted.room, accepted.event.header.state_before);
        let state = cx.step(|step| Ok(stripped_state(step, room, at, None)?))?;
        let mut body: Vec<u8> = b"{\"knock_room_state\":".to_vec();
        write_pdus(&state, &mut body);
        body.push(b'}');
        Ok(Response::json_bytes(200, Bytes::from(body))) as Answer
    })
}
