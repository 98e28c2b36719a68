//! What a server does about keys and devices when it starts on an older store than the one that it ran on last. What was lost can be
//! neither known nor had again, but nobody needs to go on with what is no longer so.

use crate::client::account::accounts;
use crate::encryption::{device_lists, one_time_keys, remote_devices};
use crate::error::ApiError;
use crate::flow::Step;
use crate::limits::RESTORED_MEMORY;
use crate::store::StorageError;
use crate::store::tables::{Table, tags};
use crate::time::Timestamp;

use super::announce;

/// When the server last started on an older store.
const RESTORED: Table<(), Timestamp> = Table::new(tags::RESTORED);

/// One-time keys may have been handed out before: they are dropped, and their devices upload others. The devices of other servers' users
/// may have changed, and that was told: they are asked for again. And whoever knows a device here that there is no more is told that
/// something is missing, and asks.
pub fn begin_again(step: &mut Step<'_>) -> Result<(), ApiError> {
    one_time_keys::drop_all(step)?;
    for user_id in remote_devices::forget_all(step)? {
        device_lists::changed(step, &user_id)?;
    }
    // Whoever has no devices yet may have had some.
    for user_id in accounts::all_users(step)? {
        device_lists::changed(step, &user_id)?;
        announce::restored(step, &user_id)?;
    }
    let now = step.now;
    RESTORED.put(step, (), &now);
    Ok(())
}

/// Whether that was lately: others may know what was lost.
pub(super) fn is_recent(step: &Step<'_>) -> Result<bool, StorageError> {
    Ok(RESTORED.get(step, ())?.is_some_and(|at| step.now < at + RESTORED_MEMORY))
}
