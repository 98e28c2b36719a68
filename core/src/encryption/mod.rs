//! What the server keeps for end-to-end encryption (Client-Server API, "End-to-End Encryption", "Send-to-Device messaging"): the
//! keys of devices, who changed theirs, and the messages that wait for a device. The server can read none of what these protect;
//! it owes everybody that nothing is lost, given out twice or passed off as somebody else's.

pub mod cross_signing;
pub mod device_keys;
pub mod device_lists;
pub mod list_changes;
pub mod list_readers;
pub mod inbox;
pub mod key_shapes;
pub mod one_time_keys;
pub mod remote_devices;
