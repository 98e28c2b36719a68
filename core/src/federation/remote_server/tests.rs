use core::time::Duration;

use super::*;

const SECOND: u64 = 1000;

#[test]
fn a_pause_doubles_up_to_a_bound() {
    let mut random = Random::new(&[3; 32], "test");
    let mut backoff = Backoff::default();
    let mut now = Timestamp(1_000_000);
    for expected in [5, 10, 20, 40, 60, 60, 60] {
        let started = now;
        now = now + Duration::from_secs(1);
        backoff.failed((started, now), (Duration::from_secs(5), Duration::from_secs(60)), &mut random);
        let pause = backoff.until.since(now);
        assert!((expected * SECOND..=expected * SECOND * 5 / 4).contains(&pause), "{expected} s: {pause} ms");
        assert_eq!(backoff.waits(now), Some(backoff.until));
        now = backoff.until;
        assert_eq!(backoff.waits(now), None);
    }
}

#[test]
fn what_fails_together_counts_once() {
    let mut random = Random::new(&[3; 32], "test");
    let mut backoff = Backoff::default();
    let pauses = (Duration::from_secs(5), Duration::from_secs(60));
    for ended in [2000, 2000, 2500, 3000] {
        backoff.failed((Timestamp(1000), Timestamp(ended)), pauses, &mut random);
    }
    assert_eq!((backoff.failures, backoff.failed_at), (1, Timestamp(2000)));
}

#[test]
fn a_clock_that_was_ahead_keeps_nobody_waiting() {
    let mut random = Random::new(&[3; 32], "test");
    let mut backoff = Backoff::default();
    let pauses = (Duration::from_secs(5), Duration::from_secs(60));
    let (ahead, now) = (Timestamp(90_000_000), Timestamp(1_000_000));
    backoff.failed((ahead, ahead), pauses, &mut random);
    assert_eq!(backoff.waits(ahead), Some(backoff.until));
    assert_eq!(backoff.waits(now), None);
    backoff.failed((now, now), pauses, &mut random);
    assert_eq!((backoff.failures, backoff.failed_at), (2, now));
    assert!(backoff.waits(now).is_some_and(|until| until.since(now) <= 12_500));
}
