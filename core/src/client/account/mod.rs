//! Accounts: who a request comes from.

pub mod access_token;
