//! Each test here compares a part of `orrery-core` with a published implementation of the same part of the specification. They
//! are a crate of their own so that core's own tests build without those implementations.
//!
//! The comparisons that fuzz targets make too, and what several tests and benches need, are in this library; the rest is in `tests/`.

pub mod identifiers;
pub mod json;
pub mod random;
#[cfg(feature = "state-res")]
pub mod ruma_event;

/// A test for each room version, of a function that takes one.
#[macro_export]
macro_rules! for_each_version {
    ($check:ident) => {
        $crate::for_each_version! { $check
            version_1: V1, version_2: V2, version_3: V3, version_4: V4, version_5: V5, version_6: V6, version_7: V7,
            version_8: V8, version_9: V9, version_10: V10, version_11: V11, version_12: V12,
        }
    };
    ($check:ident $($name:ident: $version:ident,)*) => {$(
        #[test]
        fn $name() {
            $check(orrery_core::room_version::RoomVersion::$version);
        }
    )*};
}
