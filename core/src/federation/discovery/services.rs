//! SRV records and the order in which they are tried (RFC 2782).

use alloc::string::String;
use alloc::vec::Vec;
use core::time::Duration;

use crate::flow::Cx;
use crate::input::{Outcome, Service};
use crate::random::Random;

/// The records of `name` in the order to try, and how long they may be kept. DNS that does not answer counts as no records, for
/// no time.
pub async fn look_up(cx: &Cx, name: String) -> (Vec<Service>, Duration) {
    match cx.lookup(name).await {
        Outcome::Services { records, ttl } => {
            let ordered = cx.step(|step| Ok(in_order(records, step.random)));
            (ordered.unwrap_or_default(), Duration::from_secs(ttl.into()))
        }
        _ => (Vec::new(), Duration::ZERO),
    }
}

/// The lowest priority first; within one, a draw by weight.
pub fn in_order(mut records: Vec<Service>, random: &mut Random) -> Vec<Service> {
    // Among equals those of no weight come first, so that they have a chance at all.
    records.sort_by_key(|record| (record.priority, record.weight > 0));
    let mut ordered = Vec::with_capacity(records.len());
    while let Some(first) = records.first() {
        let priority = first.priority;
        let rivals = records.iter().take_while(|record| record.priority == priority);
        let total: u64 = rivals.clone().map(|record| u64::from(record.weight)).sum();
        let drawn = random.below(total + 1);
        let mut sum = 0;
        let chosen = rivals.clone().position(|record| {
            sum += u64::from(record.weight);
            sum >= drawn
        });
        ordered.push(records.remove(chosen.expect("the draw is at most the sum of all weights")));
    }
    ordered
}
