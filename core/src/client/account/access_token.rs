//! Access tokens (Client-Server API, "Client Authentication"): stored as their SHA-256 only.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::config::Config;
use crate::effect::Requester;
use crate::error::ApiError;
use crate::http::{Request, percent_decode};
use crate::store::Read;
use crate::store::tables::{Table, tags};
use crate::time::Timestamp;

/// What a token stands for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccessToken {
    pub requester: Requester,
    /// From then on the token needs a refresh; `None` never does.
    pub expires: Option<Timestamp>,
    /// It came from a refresh and was not used yet: its first use ends the tokens that it replaces.
    pub replaces: bool,
}

pub const ACCESS_TOKENS: Table<[u8; 32], AccessToken> = Table::new(tags::ACCESS_TOKEN);

/// What a token is stored under.
#[must_use]
pub fn hash(token: &str) -> [u8; 32] {
    Sha256::digest(token.as_bytes()).into()
}

/// The token of a request: the header's, or the deprecated query parameter.
#[must_use]
pub fn token_of(request: &Request) -> Option<alloc::string::String> {
    if let Some(header) = &request.authorization {
        let (scheme, token) = header.split_once(' ')?;
        return scheme.eq_ignore_ascii_case("bearer").then(|| token.trim().into());
    }
    let pair = request.query.split('&').find_map(|pair| pair.strip_prefix("access_token="))?;
    percent_decode(pair, true)
}

/// What `token` stands for, if it is good.
pub fn authenticate(read: &(impl Read + ?Sized), now: Timestamp, token: Option<&str>) -> Result<AccessToken, ApiError> {
    let Some(token) = token else {
        return Err(ApiError::new(401, "M_MISSING_TOKEN", "The request has no access token"));
    };
    let Some(row) = ACCESS_TOKENS.get(read, hash(token))? else {
        return Err(ApiError::new(401, "M_UNKNOWN_TOKEN", "The access token is not known").with("soft_logout", false));
    };
    if row.expires.is_some_and(|expires| expires <= now) {
        // Client-Server API, "Soft logout": the device is still there, and may refresh or log in again.
        return Err(ApiError::new(401, "M_UNKNOWN_TOKEN", "The access token has expired").with("soft_logout", true));
    }
    Ok(row)
}

/// Whether `token` is the operator's, for the endpoints of the operator's own tools.
pub fn authenticate_admin(config: &Config, token: Option<&str>) -> Result<(), ApiError> {
    let known = config.admin_secret.as_ref().zip(token).is_some_and(|(secret, token)| secret.is(token));
    // Without the secret the endpoint does not exist, whoever asks.
    if known { Ok(()) } else { Err(ApiError::unrecognized(404)) }
}
