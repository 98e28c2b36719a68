//! Accounts and their sessions: who a request comes from, and how they came to be that.

pub mod access_token;
pub mod accounts;
pub mod session;
pub mod password;
pub mod registration_token;
pub mod uia;
pub mod registration;
pub mod login;
pub mod logout;
pub mod refresh;
pub mod login_token;
pub mod shared_secret;
pub mod whoami;
pub mod deactivation;

#[cfg(test)]
mod tests;
