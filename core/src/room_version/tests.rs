use super::*;

#[test]
fn names_are_the_specification_s() {
    for (i, version) in RoomVersion::ALL.into_iter().enumerate() {
        assert_eq!(version.as_str(), std::format!("{}", i + 1));
        assert_eq!(RoomVersion::parse(version.as_str()), Some(version));
        assert_eq!(version.rules().version, version, "the table's rows are in their places");
    }
    for unknown in ["", "0", "13", "01", "1.0", "org.example.v1", "V1"] {
        assert_eq!(RoomVersion::parse(unknown), None, "{unknown}");
    }
}

#[test]
fn storage_round_trip() {
    for version in RoomVersion::ALL {
        let stored = postcard::to_allocvec(&version).unwrap();
        assert_eq!(postcard::from_bytes::<RoomVersion>(&stored), Ok(version));
    }
}

#[test]
fn capability() {
    let versions = capabilities::room_versions();
    assert_eq!(versions.str("default"), Some("12"));
    let available = versions.object("available").unwrap();
    assert_eq!(available.len(), 12);
    assert!(available.iter().all(|(_, stability)| stability.as_str() == Some("stable")));
}

/// The feature matrix of the Room Version Specification.
#[test]
fn feature_matrix() {
    let since = |first: RoomVersion, feature: fn(&RoomVersionRules) -> bool| {
        for version in RoomVersion::ALL {
            assert_eq!(feature(version.rules()), version >= first, "{version}");
        }
    };
    since(RoomVersion::V3, |rules| !rules.references_have_hashes);
    since(RoomVersion::V3, |rules| rules.redactions_judged_apart);
    since(RoomVersion::V5, |rules| rules.key_validity == KeyValidity::Enforced);
    since(RoomVersion::V6, |rules| rules.strict_canonical_json);
    since(RoomVersion::V7, |rules| rules.auth.knocking);
    since(RoomVersion::V8, |rules| rules.auth.restricted_joins);
    since(RoomVersion::V9, |rules| rules.redaction.keeps_member_authorising_user);
    since(RoomVersion::V10, |rules| rules.auth.knock_restricted_joins && rules.auth.integer_power_levels);
    since(RoomVersion::V11, |rules| rules.redacts_in_content && rules.auth.creator_is_sender);
    since(RoomVersion::V12, |rules| rules.auth.privileged_creators && !rules.auth.create_is_auth_event);
}
