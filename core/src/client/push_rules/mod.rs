//! Push rules (Client-Server API, "Push Rules").

pub mod default_rules;
pub mod ruleset;
pub mod endpoints;

#[cfg(test)]
mod tests;
