//! Answers: well-formed, no fault of the server's, and no session that is gone before its time.

use orrery_core::canonical_json::Object;
use orrery_core::http::Response;

use crate::client::call::Call;
use crate::failure::Failure;

const CHECKER: &str = "answers";

/// What is known of the call.
#[derive(Clone, Copy, Debug)]
pub struct Expected {
    /// It went with a token that was acknowledged and that nobody has ended.
    pub valid: bool,
    /// The token may still expire.
    pub expires: bool,
    /// Another server may have to be asked, and not answer.
    pub federated: bool,
}

/// `body` is that of the answer, if it is a JSON object.
pub fn check(call: &Call, response: &Response, body: Option<&Object>, expected: Expected) -> Result<(), Failure> {
    let Expected { valid, expires, federated } = expected;
    let fail = |what: &str| {
        let body = String::from_utf8_lossy(&response.body);
        let evidence = format!("{:?} {}: {} {body}: {what}", call.method, call.path.join("/"), response.status);
        Err(Failure::safety(CHECKER, evidence))
    };
    if response.status >= 500 && !(federated && matches!(response.status, 502 | 504)) {
        return fail("a fault of the server");
    }
    let Some(body) = body else { return fail("the body is not a JSON object") };
    if !response.headers.iter().any(|(name, value)| name == "content-type" && value == "application/json") {
        return fail("the content type is not JSON");
    }
    let interactive = response.status == 401 && body.contains("flows");
    if response.status != 200 && !interactive && (body.str("errcode").is_none() || body.str("error").is_none()) {
        return fail("an error without errcode and error (Client-Server API, Standard error response)");
    }
    let expired = expires && body.bool("soft_logout") == Some(true);
    if response.status == 401 && !interactive && valid && !expired {
        return fail("a session is lost that was acknowledged and not ended");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use orrery_core::canonical_json::{Value, parse};

    use super::*;
    use crate::path;

    fn check_one(status: u16, body: &str, valid: bool, complaint: Option<&str>) {
        let response = Response::json_bytes(status, bytes::Bytes::copy_from_slice(body.as_bytes()));
        let expected = Expected { valid, expires: false, federated: false };
        let parsed = parse(body.as_bytes()).ok();
        let object = parsed.as_ref().and_then(Value::as_object);
        let result = check(&Call::get(path!["sync"]), &response, object, expected);
        match complaint {
            None => assert_eq!(result, Ok(()), "{status} {body}"),
            Some(complaint) => {
                let evidence = result.expect_err("a complaint").evidence;
                assert!(evidence.contains(complaint), "{evidence}");
            }
        }
    }

    #[test]
    fn bad_answers_are_caught() {
        let unknown = r#"{"errcode":"M_UNKNOWN_TOKEN","error":"who?"}"#;
        check_one(200, "{}", true, None);
        check_one(403, r#"{"errcode":"M_FORBIDDEN","error":"no"}"#, true, None);
        check_one(401, r#"{"flows":[],"params":{},"session":"s"}"#, true, None);
        check_one(401, unknown, false, None);
        check_one(401, unknown, true, Some("a session is lost"));
        check_one(500, r#"{"errcode":"M_UNKNOWN","error":"oh"}"#, false, Some("a fault of the server"));
        check_one(404, r#"{"errcode":"M_NOT_FOUND"}"#, false, Some("without errcode"));
        check_one(200, "[]", false, Some("not a JSON object"));
        check_one(200, "{", false, Some("not a JSON object"));
    }
}
