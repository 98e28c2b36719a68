use super::*;

fn clock(readings: &[u64]) -> Clock {
    let mut clock = Clock::new(Timestamp(readings[0]));
    readings.iter().for_each(|reading| clock.read(Timestamp(*reading)));
    clock
}

#[test]
fn it_is_the_hosts_time_unless_that_was_set_back() {
    let check =
        |readings: &[u64], expected: u64| assert_eq!(clock(readings).now(), Timestamp(expected), "{readings:?}");
    check(&[1_000], 1_000);
    check(&[1_000, 1_500, 9_000], 9_000);
    // Set back by 800, which a fourth of 3200 makes good.
    check(&[1_000, 200], 1_000);
    check(&[1_000, 200, 204], 1_003);
    check(&[1_000, 200, 1_800], 2_200);
    check(&[1_000, 200, 3_400], 3_400);
    check(&[1_000, 200, 9_000], 9_000);
    check(&[1_000, 200, 201, 202, 203, 204], 1_003);
    // A second time before that, and further forth than back.
    check(&[1_000, 200, 1_800, 1_000], 2_200);
    check(&[1_000, 200, 50_000], 50_000);
    // A clock that is not set.
    check(&[1_000, 0], 1_000);
}

#[test]
fn a_deadline_has_come_when_the_host_says_so() {
    for ahead in [0, 1, 3, 10, 3_600_000] {
        for left in (0..30).chain([30_000, 60_000_000]) {
            for steps in 0..5 {
                let mut clock = clock(&[10_000_000, 10_000_000 - ahead]);
                (0..steps).for_each(|step| clock.read(Timestamp(10_000_000 - ahead + step)));
                let deadline = Timestamp(clock.now().0 + left);
                let host = clock.host_at(deadline);
                let at = |host: u64| {
                    let mut clock = clock;
                    clock.read(Timestamp(host));
                    clock.now()
                };
                assert!(at(host.0) >= deadline, "{ahead} ahead, {left} left");
                assert!(host.0 - clock.host.0 <= left * 4 / 3 + 1, "{ahead} ahead, {left} left");
            }
        }
    }
}
