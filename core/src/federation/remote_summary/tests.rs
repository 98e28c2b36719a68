use super::*;
use crate::testing::json;

#[test]
fn what_is_wrong_is_left_out() {
    let check = |summary: Value, expected: Option<Value>| {
        let found = acceptable(summary.as_object().expect("summaries are objects"));
        assert_eq!(found.map(Value::Object), expected, "{summary}");
    };
    let least = json!({ "room_id": "!a:b", "num_joined_members": 1, "world_readable": true, "guest_can_join": false });
    check(least.clone(), Some(least.clone()));
    for missing in ["room_id", "num_joined_members", "world_readable", "guest_can_join"] {
        let mut summary = least.as_object().unwrap().clone();
        summary.remove(missing);
        check(Value::Object(summary.clone()), None);
        check(Value::Object(summary.with(missing, "nonsense")), None);
    }
    check(Value::Object(least.as_object().unwrap().clone().with("num_joined_members", Value::Integer(-1))), None);
    let good = json!({
        "room_id": "!a:b", "num_joined_members": 1, "world_readable": true, "guest_can_join": false,
        "name": "Tea", "canonical_alias": "#tea:b", "avatar_url": "mxc://b/c", "allowed_room_ids": ["!c:d"]
    });
    check(good.clone(), Some(good.clone()));
    let mut bad = good.as_object().unwrap().clone();
    bad.extend([("name", json!(1)), ("canonical_alias", json!("tea")), ("avatar_url", json!("https://b/c"))]);
    bad.extend([("unknown", json!({})), ("allowed_room_ids", json!([1, "nonsense"])), ("topic", json!([]))]);
    check(
        Value::Object(bad),
        Some(Value::Object(least.as_object().unwrap().clone().with("allowed_room_ids", Value::Array(alloc::vec![])))),
    );
}
