//! Each test here compares a part of `orrery-core` with a published implementation of the same part of the specification. They
//! are a crate of their own so that core's own tests build without those implementations.
//!
//! The comparisons that fuzz targets make too are functions of this library; the rest is in `tests/`.

pub mod identifiers;
pub mod json;
