//! Reading and changing push rules (Client-Server API, "Push Rules: API").

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::ruleset::{self, RuleKind, Ruleset, UserRule};
use crate::canonical_json::{Object, Value};
use crate::client::account_data;
use crate::client::request::{Answer, Auth, BodyExt as _, ClientRequest, Handler, Limit, QueryContext};
use crate::client::routes::Route;
use crate::error::ApiError;
use crate::flow::Step;
use crate::http::{Method, Response};
use crate::limits::{MAX_IDENTIFIER, MAX_PUSH_PATTERN, MAX_PUSH_RULES};

const RULE: &str = "/_matrix/client/v3/pushrules/global/{kind}/{ruleId}";
const ENABLED: &str = "/_matrix/client/v3/pushrules/global/{kind}/{ruleId}/enabled";
const ACTIONS: &str = "/_matrix/client/v3/pushrules/global/{kind}/{ruleId}/actions";

macro_rules! get {
    ($path:expr, $handler:ident) => {
        Route::new(Method::Get, $path, Auth::Required, Limit::None, Handler::Query($handler))
    };
}
macro_rules! write {
    ($method:ident, $path:expr, $handler:ident) => {
        Route::new(Method::$method, $path, Auth::Required, Limit::Write, Handler::Step($handler))
    };
}

pub const ROUTES: &[Route] = &[
    get!("/_matrix/client/v3/pushrules", get_all),
    get!("/_matrix/client/v3/pushrules/", get_all),
    get!("/_matrix/client/v3/pushrules/global", get_global),
    get!("/_matrix/client/v3/pushrules/global/", get_global),
    get!(RULE, get_rule),
    write!(Put, RULE, put_rule),
    write!(Delete, RULE, delete_rule),
    get!(ENABLED, get_enabled),
    write!(Put, ENABLED, put_enabled),
    get!(ACTIONS, get_actions),
    write!(Put, ACTIONS, put_actions),
];

/// `GET /pushrules/`.
fn get_all(context: &QueryContext<'_>, request: &ClientRequest) -> Answer {
    Ok(Response::json_bytes(200, ruleset::account_data(context.read, request.user_id())?.into()))
}

/// `GET /pushrules/global/`.
fn get_global(context: &QueryContext<'_>, request: &ClientRequest) -> Answer {
    let mut out = Vec::with_capacity(4096);
    Ruleset::of(context.read, request.user_id())?.encode(request.user_id(), &mut out);
    Ok(Response::json_bytes(200, out.into()))
}

fn not_found() -> ApiError {
    ApiError::not_found("There is no such push rule")
}

/// The path's kind and rule ID.
fn names(request: &ClientRequest) -> Result<(RuleKind, &str), ApiError> {
    let kind = RuleKind::parse(request.param(0))
        .ok_or_else(|| ApiError::invalid_param("There is no such kind of push rule"))?;
    Ok((kind, request.param(1)))
}

/// `GET /pushrules/global/{kind}/{ruleId}`.
fn get_rule(context: &QueryContext<'_>, request: &ClientRequest) -> Answer {
    let (kind, rule_id) = names(request)?;
    let ruleset = Ruleset::of(context.read, request.user_id())?;
    let rule = ruleset.rule(kind, rule_id).ok_or_else(not_found)?;
    let mut out = Vec::new();
    rule.encode(request.user_id(), &mut out);
    Ok(Response::json_bytes(200, out.into()))
}

/// `GET /pushrules/global/{kind}/{ruleId}/enabled`.
fn get_enabled(context: &QueryContext<'_>, request: &ClientRequest) -> Answer {
    let (kind, rule_id) = names(request)?;
    let ruleset = Ruleset::of(context.read, request.user_id())?;
    let rule = ruleset.rule(kind, rule_id).ok_or_else(not_found)?;
    Ok(Response::json(200, &Object::new().with("enabled", rule.enabled).into()))
}

/// `GET /pushrules/global/{kind}/{ruleId}/actions`.
fn get_actions(context: &QueryContext<'_>, request: &ClientRequest) -> Answer {
    let (kind, rule_id) = names(request)?;
    let ruleset = Ruleset::of(context.read, request.user_id())?;
    let rule = ruleset.rule(kind, rule_id).ok_or_else(not_found)?;
    let body = alloc::format!(r#"{{"actions":{}}}"#, rule.actions);
    Ok(Response::json_bytes(200, body.into()))
}

/// Stores changed rules and tells the user's devices.
fn save(step: &mut Step<'_>, request: &ClientRequest, ruleset: &Ruleset) -> Answer {
    ruleset.put(step, request.user_id());
    account_data::push_rules_changed(step, request.user_id())?;
    Ok(Response::empty())
}

/// The `actions` of a body in canonical JSON, without those that have no meaning any more.
fn actions(body: &Object) -> Result<String, ApiError> {
    let Some(actions) = body.opt_array("actions")? else { return Err(ApiError::missing_param("actions is missing")) };
    let mut kept = Vec::with_capacity(actions.len());
    for action in actions {
        match action {
            Value::String(name) => match name.as_str() {
                "notify" => kept.push(action.clone()),
                // Client-Server API, "Historical Actions".
                "dont_notify" | "coalesce" => {}
                _ => return Err(ApiError::invalid_param(alloc::format!("There is no action {name:?}"))),
            },
            Value::Object(tweak) => {
                tweak.required_str("set_tweak")?;
                kept.push(action.clone());
            }
            _ => return Err(ApiError::bad_json("An action is a string or an object")),
        }
    }
    Ok(Value::Array(kept).to_string())
}

/// The `conditions` of a body in canonical JSON.
fn conditions(body: &Object) -> Result<String, ApiError> {
    let conditions = body.opt_array("conditions")?.unwrap_or_default();
    for condition in conditions {
        let Some(condition) = condition.as_object() else {
            return Err(ApiError::bad_json("A condition is an object"));
        };
        condition.required_str("kind")?;
        for name in ["key", "is"] {
            condition.opt_str(name)?;
        }
        check_pattern(condition.opt_str("pattern")?.unwrap_or_default())?;
    }
    Ok(Value::from(conditions.to_vec()).to_string())
}

/// The `pattern` of a body.
fn pattern(body: &Object) -> Result<String, ApiError> {
    let pattern = body.required_str("pattern")?;
    check_pattern(pattern).map(|()| pattern.to_string())
}

fn check_pattern(pattern: &str) -> Result<(), ApiError> {
    if pattern.len() > MAX_PUSH_PATTERN {
        return Err(ApiError::invalid_param(alloc::format!("A pattern has at most {MAX_PUSH_PATTERN} bytes")));
    }
    Ok(())
}

/// `PUT /pushrules/global/{kind}/{ruleId}`.
fn put_rule(step: &mut Step<'_>, request: &ClientRequest) -> Answer {
    let (kind, rule_id) = names(request)?;
    if rule_id.starts_with('.') {
        return Err(ApiError::invalid_param("Rule IDs that begin with a dot are the server's"));
    }
    if rule_id.is_empty() || rule_id.len() > MAX_IDENTIFIER || rule_id.contains(['/', '\\']) {
        return Err(ApiError::invalid_param("A rule ID has 1 to 255 bytes and neither / nor \\"));
    }
    let body = request.object()?;
    let conditional = matches!(kind, RuleKind::Override | RuleKind::Underride);
    let mut rule = UserRule {
        kind,
        rule_id: rule_id.to_string(),
        enabled: true,
        conditions: if conditional { Some(conditions(&body)?) } else { None },
        pattern: if kind == RuleKind::Content { Some(pattern(&body)?) } else { None },
        actions: actions(&body)?,
    };
    let mut ruleset = Ruleset::of(step, request.user_id())?;
    let rules = &mut ruleset.rules;
    let place = |rules: &[UserRule], rule_id: &str| {
        rules.iter().position(|other| other.kind == kind && other.rule_id == rule_id)
    };
    let old = place(rules, rule_id);
    if let Some(old) = old {
        rule.enabled = rules.remove(old).enabled;
    } else if rules.len() >= MAX_PUSH_RULES {
        return Err(ApiError::forbidden(alloc::format!("A user has at most {MAX_PUSH_RULES} push rules")));
    }
    let unknown = |rule_id: &str| {
        ApiError::new(400, "M_UNKNOWN", alloc::format!("There is no rule {rule_id:?} of yours to put this one beside"))
    };
    let at = match (request.query("before"), request.query("after")) {
        (Some(before), _) => place(rules, before).ok_or_else(|| unknown(before))?,
        (None, Some(after)) => place(rules, after).ok_or_else(|| unknown(after))? + 1,
        (None, None) => old.unwrap_or(0),
    };
    rules.insert(at, rule);
    save(step, request, &ruleset)
}

/// `DELETE /pushrules/global/{kind}/{ruleId}`.
fn delete_rule(step: &mut Step<'_>, request: &ClientRequest) -> Answer {
    let (kind, rule_id) = names(request)?;
    let mut ruleset = Ruleset::of(step, request.user_id())?;
    if ruleset.rule(kind, rule_id).ok_or_else(not_found)?.default {
        return Err(ApiError::invalid_param("The server's own rules can be disabled, not deleted"));
    }
    ruleset.rules.retain(|rule| rule.kind != kind || rule.rule_id != rule_id);
    save(step, request, &ruleset)
}

/// `PUT /pushrules/global/{kind}/{ruleId}/enabled`.
fn put_enabled(step: &mut Step<'_>, request: &ClientRequest) -> Answer {
    let (kind, rule_id) = names(request)?;
    let body = request.object()?;
    let enabled = body.opt_bool("enabled")?.ok_or_else(|| ApiError::missing_param("enabled is missing"))?;
    let mut ruleset = Ruleset::of(step, request.user_id())?;
    if ruleset.rule(kind, rule_id).ok_or_else(not_found)?.default {
        ruleset.default_mut(rule_id).enabled = Some(enabled);
    } else if let Some(rule) = ruleset.own_mut(kind, rule_id) {
        rule.enabled = enabled;
    }
    save(step, request, &ruleset)
}

/// `PUT /pushrules/global/{kind}/{ruleId}/actions`.
fn put_actions(step: &mut Step<'_>, request: &ClientRequest) -> Answer {
    let (kind, rule_id) = names(request)?;
    let actions = actions(&request.object()?)?;
    let mut ruleset = Ruleset::of(step, request.user_id())?;
    if ruleset.rule(kind, rule_id).ok_or_else(not_found)?.default {
        ruleset.default_mut(rule_id).actions = Some(actions);
    } else if let Some(rule) = ruleset.own_mut(kind, rule_id) {
        rule.actions = actions;
    }
    save(step, request, &ruleset)
}
