//! Nothing is here but tests: each compares a part of `orrery-core` with a published implementation of the same part of the
//! specification. They are a crate of their own so that core's own tests build without those implementations.
