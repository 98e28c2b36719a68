//! The keys that are known of other servers, and the lists they came in.

use alloc::string::String;
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

use super::published::Published;
use crate::config::Config;
use crate::flow::Step;
use crate::identifiers::{KeyId, ServerName};
use crate::limits::MAX_KEY_LIFETIME;
use crate::store::tables::{Table, tags};
use crate::store::{Read, StorageError};
use crate::time::Timestamp;

/// A key of another server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct KnownKey {
    public_key: [u8; 32],
    /// The last moment at which it counts: of a current key what its server said, or seven days after it was fetched if that is
    /// sooner; of an old one when it was given up.
    valid_until: Timestamp,
}

/// By server and key ID.
const KEYS: Table<(ServerName, String), KnownKey> = Table::new(tags::SERVER_KEY);

/// A server's newest list of keys, which notaries pass on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredAnswer {
    pub fetched: Timestamp,
    pub valid_until: Timestamp,
    /// Canonical JSON with the server's signatures.
    pub text: Vec<u8>,
}

const ANSWERS: Table<ServerName, StoredAnswer> = Table::new(tags::SERVER_KEYS_ANSWER);

/// The public key of `server`, which may be this one, if it is known and good for what was signed at `valid_at`.
pub fn find(
    step: &Step<'_>,
    server: &ServerName,
    key_id: &KeyId,
    valid_at: Option<Timestamp>,
) -> Result<Option<[u8; 32]>, StorageError> {
    Keys::new(step).find(server, key_id, valid_at)
}

/// [`find`] again and again: what many events are signed with is mostly one key.
pub struct Keys<'a, 'step> {
    step: &'a Step<'step>,
    last: Option<((ServerName, KeyId), Option<KnownKey>)>,
}

impl<'a, 'step> Keys<'a, 'step> {
    pub fn new(step: &'a Step<'step>) -> Keys<'a, 'step> {
        Keys { step, last: None }
    }

    pub fn find(
        &mut self,
        server: &ServerName,
        key_id: &KeyId,
        valid_at: Option<Timestamp>,
    ) -> Result<Option<[u8; 32]>, StorageError> {
        let step = self.step;
        if *server == step.config.server_name {
            if key_id == step.signing_key.key_id() {
                return Ok(Some(step.signing_key.public_key()));
            }
            return Ok(own_old_key(step.config, key_id, valid_at));
        }
        let known = match &self.last {
            Some((of, known)) if of.0 == *server && of.1 == *key_id => known,
            _ => {
                let known = KEYS.get(step, (server, key_id.as_str()))?;
                &self.last.insert(((server.clone(), key_id.clone()), known)).1
            }
        };
        let good = known.as_ref().filter(|known| valid_at.is_none_or(|at| at <= known.valid_until));
        Ok(good.map(|known| known.public_key))
    }
}

fn own_old_key(config: &Config, key_id: &KeyId, valid_at: Option<Timestamp>) -> Option<[u8; 32]> {
    let mut old = config.federation.old_verify_keys.iter();
    let key = old.find(|old| old.key_id == key_id.as_str())?;
    valid_at.is_none_or(|at| at <= key.expired_ts).then_some(key.key)
}

/// From whom a list came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// The server itself: it says what its keys are now.
    Server,
    /// Another one, which may have had it for long: it adds to what is known, and takes nothing back.
    Notary,
}

/// Takes over a list whose signatures are checked.
pub fn store(step: &mut Step<'_>, published: &Published, source: Source) -> Result<(), StorageError> {
    let server = &published.server;
    let valid_until = published.valid_until.min(step.now + MAX_KEY_LIFETIME);
    let current = published.verify_keys.iter().map(|(key_id, key)| (key_id, *key, valid_until));
    let old = published.old_verify_keys.iter().map(|(key_id, (key, expired_ts))| (key_id, *key, *expired_ts));
    for (key_id, public_key, valid_until) in current.chain(old) {
        let before = match source {
            Source::Server => None,
            Source::Notary => KEYS.get(step, (server, key_id.as_str()))?,
        };
        if before.is_none_or(|before| before.public_key == public_key && before.valid_until < valid_until) {
            KEYS.put(step, (server, key_id.as_str()), &KnownKey { public_key, valid_until });
        }
    }
    if source == Source::Server
        || ANSWERS.get(step, server)?.is_none_or(|before| before.valid_until < published.valid_until)
    {
        let (fetched, text) = (step.now, published.object.to_bytes());
        ANSWERS.put(step, server, &StoredAnswer { fetched, valid_until: published.valid_until, text });
    }
    Ok(())
}

/// The newest list of `server`.
pub fn answer(read: &(impl Read + ?Sized), server: &ServerName) -> Result<Option<StoredAnswer>, StorageError> {
    ANSWERS.get(read, server)
}
