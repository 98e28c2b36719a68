//! What can be wrong with a world.

use core::fmt;

/// The kind of a failure decides the exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// The core panicked: one of its own invariants does not hold.
    Crash,
    /// Something that must come to an end did not.
    Liveness,
    /// Something happened that must never happen.
    Safety,
    /// The same seed gave two traces.
    Determinism,
}

impl Kind {
    /// The exit code of `orrery-sim run`.
    #[must_use]
    pub const fn exit_code(self) -> u8 {
        match self {
            Kind::Crash => 10,
            Kind::Liveness => 11,
            Kind::Safety => 12,
            Kind::Determinism => 13,
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Kind::Crash => "crash",
            Kind::Liveness => "liveness",
            Kind::Safety => "safety",
            Kind::Determinism => "determinism",
        })
    }
}

/// One failure, with what its checker saw.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    pub kind: Kind,
    /// The checker that found it.
    pub checker: &'static str,
    pub evidence: String,
}

impl Failure {
    #[must_use]
    pub fn safety(checker: &'static str, evidence: impl Into<String>) -> Failure {
        Failure { kind: Kind::Safety, checker, evidence: evidence.into() }
    }
    #[must_use]
    pub fn liveness(checker: &'static str, evidence: impl Into<String>) -> Failure {
        Failure { kind: Kind::Liveness, checker, evidence: evidence.into() }
    }
}

/// A checker complains with these words, or not at all.
#[cfg(test)]
#[track_caller]
pub(crate) fn assert_complaint(result: Result<(), Failure>, complaint: Option<&str>) {
    match complaint {
        None => assert_eq!(result, Ok(())),
        Some(complaint) => {
            let evidence = result.expect_err(complaint).evidence;
            assert!(evidence.contains(complaint), "{evidence}");
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({}): {}", self.kind, self.checker, self.evidence)
    }
}
