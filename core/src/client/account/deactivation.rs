//! Deactivation (Client-Server API, "Account deactivation").

use alloc::boxed::Box;

use super::accounts::{self, ACCOUNTS};
use super::uia::{self, Attempt, Binding, Plan, Stage};
use super::{login_token, session};
use crate::canonical_json::Object;
use crate::client::every_room::{self, Begun, Errand};
use crate::client::request::{Auth, BodyExt as _, ClientRequest, FlowFuture, Handler, Limit};
use crate::client::routes::Route;
use crate::client::{account_data, profile};
use crate::error::ApiError;
use crate::flow::{Cx, Step};
use crate::http::{Method, Response};
use crate::identifiers::UserId;

pub const ROUTES: &[Route] = &[Route::new(
    Method::Post,
    "/_matrix/client/v3/account/deactivate",
    Auth::Required,
    Limit::Login,
    Handler::Flow("deactivate", deactivate),
)];

/// `POST /_matrix/client/v3/account/deactivate`.
fn deactivate(cx: Cx, request: ClientRequest) -> FlowFuture {
    Box::pin(async move {
        let body = request.object_or_empty()?;
        let erase = body.opt_bool("erase")?.unwrap_or(false);
        body.opt_str("id_server")?;
        let user_id = request.user_id();
        let flows = alloc::vec![alloc::vec![Stage::Password]];
        let plan = Plan { flows, user: Some(user_id.clone()), binding: Binding::Strict };
        let pass = match uia::attempt(&cx, &request, &body, &plan).await? {
            Attempt::Passed(pass) => pass,
            Attempt::Challenge(response) => return Ok(response),
        };
        let errand = cx.step(|step| {
            pass.consume(step);
            end_account(step, user_id, erase)
        })?;
        every_room::carry_out(&cx, errand).await?;
        // The account has no third-party identifiers, so there is nothing to unbind.
        Ok(Response::json(200, &Object::new().with("id_server_unbind_result", "success").into()))
    })
}

/// Ends an account and all of its sessions; the errand that remains is to leave its rooms. The name stays taken.
pub fn end_account(step: &mut Step<'_>, user_id: &UserId, erase: bool) -> Result<Begun, ApiError> {
    let Some(mut account) = accounts::account_of(step, user_id)? else {
        return Err(ApiError::not_found("There is no such user"));
    };
    account.password = None;
    account.deactivated.get_or_insert(step.now);
    ACCOUNTS.put(step, user_id, &account);
    login_token::clear(step, user_id);
    session::end_all(step, user_id, None)?;
    if erase {
        accounts::erase(step, user_id);
        profile::erase(step, user_id)?;
        account_data::erase(step, user_id)?;
    }
    Ok(every_room::begin(step, user_id, Errand::Leave)?)
}
