//! The keys of devices and users (Client-Server API, "End-to-End Encryption"): uploading, asking for and claiming them.

pub mod announce;
pub mod changes;
pub mod claim;
pub mod cross_signing;
pub mod query;
pub mod restored;
pub mod signatures;
pub mod upload;

#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
