use alloc::format;
use alloc::string::{String, ToString};

use super::*;
use crate::testing::network::Net;

const A: &str = "a.test";

fn user(name: &str) -> UserId {
    UserId::parse(&format!("@{name}:{A}")).unwrap()
}

/// Notes that servers have asked for users.
fn ask(net: &mut Net, asked: &[(&UserId, &str)]) {
    let asked: Vec<(UserId, ServerName)> =
        asked.iter().map(|(user_id, server)| ((*user_id).clone(), ServerName::parse(server).unwrap())).collect();
    net.run(A, |cx| async move {
        cx.step(|step| {
            for (user_id, server) in &asked {
                note(step, user_id, server)?;
            }
            Ok(())
        })
    })
    .unwrap();
}

fn readers(net: &mut Net, user_id: &UserId) -> Vec<(Timestamp, ServerName)> {
    net.server(A).inspect(|read| all(read, user_id).unwrap())
}

fn slots_taken(net: &mut Net) -> usize {
    net.server(A).inspect(|read| {
        let mut taken = 0;
        SLOTS
            .scan::<StorageError>(read, (), Order::Ascending, |_, _| {
                taken += 1;
                Ok(ControlFlow::Continue(()))
            })
            .unwrap();
        taken
    })
}

#[test]
fn who_asks_again_is_written_down_again_after_a_while() {
    let mut net = Net::new(&[A]);
    let alice = user("alice");
    ask(&mut net, &[(&alice, "b.test")]);
    let first = readers(&mut net, &alice);
    net.advance(3_500_000);
    ask(&mut net, &[(&alice, "b.test")]);
    assert_eq!((readers(&mut net, &alice), slots_taken(&mut net)), (first.clone(), 1));
    net.advance(200_000);
    ask(&mut net, &[(&alice, "b.test")]);
    let again = readers(&mut net, &alice);
    assert_eq!((again.len(), slots_taken(&mut net)), (1, 2));
    assert!(again[0].0 > first[0].0);
}

#[test]
fn of_too_many_the_oldest_are_forgotten() {
    let mut net = Net::new(&[A]);
    let (alice, bob) = (user("alice"), user("bob"));
    let next_slot = |net: &mut Net, slot: u32| {
        net.run(A, move |cx| async move {
            cx.step(|step| {
                Table::<(), u32>::new(tags::LIST_READER_NEXT_SLOT).put(step, (), &slot);
                Ok(())
            })
        })
        .unwrap();
    };
    ask(&mut net, &[(&alice, "b.test"), (&bob, "b.test"), (&alice, "c.test")]);
    net.advance(4_000_000);
    // Bob's devices have been asked for again, so the second place of the ring says nothing any more.
    ask(&mut net, &[(&bob, "b.test")]);
    next_slot(&mut net, MAX_LIST_READERS_OF_ALL - 1);
    ask(&mut net, &[(&alice, "d.test"), (&alice, "e.test"), (&alice, "f.test")]);
    let names = |net: &mut Net, user_id| {
        let names = readers(net, user_id).into_iter().map(|(_, server)| server.as_str().to_string());
        names.collect::<Vec<_>>()
    };
    assert_eq!(names(&mut net, &alice), ["c.test", "d.test", "e.test", "f.test"]);
    assert_eq!(names(&mut net, &bob), ["b.test"]);
    // Nor are there too many of one user.
    let many: Vec<String> = (0..=MAX_LIST_READERS).map(|i| format!("s{i}.test")).collect();
    ask(&mut net, &many.iter().map(|server| (&bob, server.as_str())).collect::<Vec<_>>());
    assert_eq!(readers(&mut net, &bob).len(), MAX_LIST_READERS);
}
