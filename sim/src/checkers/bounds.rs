//! What is counted, and how much of it there may be.

use std::fmt::Display;

/// Says what there is too much of: the first of some counts that is larger than its bound.
pub(super) fn exceeded<N: PartialOrd + Display>(
    counts: impl IntoIterator<Item = (&'static str, N, N)>,
) -> Option<String> {
    let (what, count, bound) = counts.into_iter().find(|(_, count, bound)| count > bound)?;
    Some(format!("{count} {what}, of at most {bound}"))
}
