use super::*;
use crate::store::memory::Memory;

fn user(n: usize) -> UserId {
    UserId::parse(&alloc::format!("@u{n}:example.org")).unwrap()
}

#[test]
fn whoever_synced_longest_ago_and_does_not_wait_makes_place() {
    let storage = Memory::default();
    let mut active = ActiveUsers::default();
    let waiting = active.activate(&storage, &user(0)).unwrap();
    active.user_mut(waiting).waiting.push(RequestId(1));
    for n in 1..MAX_ACTIVE_USERS {
        active.activate(&storage, &user(n)).unwrap();
    }
    active.activate(&storage, &user(1)).unwrap();
    for n in MAX_ACTIVE_USERS..MAX_ACTIVE_USERS + 2 {
        active.activate(&storage, &user(n)).unwrap();
    }
    assert_eq!(
        (active.users.len(), active.by_user.len(), active.by_use.len()),
        (MAX_ACTIVE_USERS, MAX_ACTIVE_USERS, MAX_ACTIVE_USERS)
    );
    assert_eq!(active.slot(&user(0)), Some(waiting));
    assert!(active.slot(&user(1)).is_some());
    assert!(active.slot(&user(2)).is_none());
    assert!(active.slot(&user(3)).is_none());
    assert!(active.slot(&user(4)).is_some());
}

#[test]
fn the_devices_of_a_user_are_bounded() {
    let storage = Memory::default();
    let mut active = ActiveUsers::default();
    let slot = active.activate(&storage, &user(0)).unwrap();
    let user = active.user_mut(slot);
    for n in 0..2 * MAX_DEVICES_REMEMBERED {
        let device_id = DeviceId::parse(&alloc::format!("D{n}")).unwrap();
        let sent = user.take_sent_members(&device_id);
        user.put_sent_members(&device_id, sent);
    }
    assert_eq!(user.sent.len(), MAX_DEVICES_REMEMBERED);
    let newest = DeviceId::parse(&alloc::format!("D{}", 2 * MAX_DEVICES_REMEMBERED - 1)).unwrap();
    user.forget_device(&newest);
    assert_eq!(user.sent.len(), MAX_DEVICES_REMEMBERED - 1);
}
