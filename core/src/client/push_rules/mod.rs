//! Push rules (Client-Server API, "Push Rules").

pub mod default_rules;
pub mod ruleset;
pub mod glob;
pub mod condition;
pub mod judge;
pub mod endpoints;

#[cfg(test)]
mod tests;
