//! Shrinking: the smallest plan that still fails in the same way.
//!
//! Parts are taken out (`parts`: servers, devices, operations, faults, attacks), then what is left is made plainer (`plainer`: times,
//! picks, options), for as long as the same failure remains (`class`). Candidates are tried in an order that is fixed, and
//! of those that fail the first counts, so the result depends neither on threads nor on chance.

mod class;
mod parts;
mod plainer;
mod pool;

use core::ops::Range;

pub use class::Class;
use parts::Part;

use crate::failure::{Failure, Kind};
use crate::plan::Plan;
use crate::runner;
use crate::world::{Extras, Outcome};

/// What shrinking is given beside the plan.
pub struct Effort<'e> {
    /// How many candidates are tried at once.
    pub jobs: usize,
    /// Asked before each round of candidates, with the number of those tried so far: whether to go on.
    pub goes_on: &'e dyn Fn(u64) -> bool,
    /// Told of every smaller plan, with the same number.
    pub progress: &'e dyn Fn(u64, &Plan),
}

impl core::fmt::Debug for Effort<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Effort").field("jobs", &self.jobs).finish_non_exhaustive()
    }
}

/// A plan that was made smaller, and how it fails.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shrunk {
    pub plan: Plan,
    pub failure: Failure,
    /// How many candidates were tried.
    pub tried: u64,
}

/// How a plan fails. Where one run passes, two are compared, and that often enough that what differs only now and then is seen.
#[must_use]
pub fn failure_of(plan: &Plan) -> Option<Failure> {
    let compare = |_| runner::run_twice(plan, Extras::default).failure;
    runner::run(plan, Extras::default()).failure.or_else(|| (0..FIRST_COMPARISONS).find_map(compare))
}

/// Makes `plan`, which fails with `failure`, as small as it gets.
#[must_use]
pub fn shrink(plan: &Plan, failure: Failure, effort: &Effort<'_>) -> Shrunk {
    let class = Class::of(&failure);
    let mut shrinker = Shrinker { effort, class, best: Shrunk { plan: plan.clone(), failure, tried: 0 } };
    shrinker.shrink();
    shrinker.best
}

struct Shrinker<'e> {
    effort: &'e Effort<'e>,
    class: Class,
    best: Shrunk,
}

/// How often two runs of a plan are compared before it is said to pass.
const FIRST_COMPARISONS: usize = 30;

/// How often two runs of a smaller plan are compared, where what fails is determinism, and how many times they have to differ: of
/// all the plans that are tried, those that hardly ever differ must not be the ones that chance lets through.
const COMPARISONS: usize = 6;
const DIFFERENCES: usize = 2;

/// Where something big is taken out, chance falls in other ways than before: so many other seeds are tried.
const REROLLS: u64 = 6;

impl Shrinker<'_> {
    fn shrink(&mut self) {
        // As long as anything gets smaller: what could not be taken out before may be of no use now.
        loop {
            let before = self.best.plan.clone();
            for part in [Part::Attacks, Part::Faults, Part::Ops] {
                self.take_out(part);
            }
            for part in [Part::Servers, Part::Liars, Part::Devices] {
                self.take_out_one_by_one(part);
            }
            for liar in 0..self.best.plan.options.byzantine.len() {
                self.take_out(Part::Strategies(liar));
            }
            self.make_plainer();
            if self.best.plan == before || !self.goes_on() {
                return;
            }
        }
    }

    fn goes_on(&self) -> bool {
        (self.effort.goes_on)(self.best.tried)
    }

    /// Takes out of a list what it can do without: halves, then quarters, down to single items.
    fn take_out(&mut self, part: Part) {
        let mut size = part.len(&self.best.plan);
        while size > 0 {
            let mut from = 0;
            loop {
                let len = part.len(&self.best.plan);
                let ranges: Vec<Range<usize>> = (from..len).step_by(size).map(|at| at..(at + size).min(len)).collect();
                let plans = ranges.iter().filter_map(|range| part.without(&self.best.plan, range.clone()));
                match self.first_that_fails(plans.collect()) {
                    Some(at) => from += at * size,
                    None => break,
                }
            }
            size /= 2;
        }
    }

    /// Takes out single items, the last first, and tries other seeds where the plan's own does not do.
    fn take_out_one_by_one(&mut self, part: Part) {
        let mut at = part.len(&self.best.plan);
        while at > 0 {
            at -= 1;
            let Some(without) = part.without(&self.best.plan, at..at + 1) else { continue };
            let reroll = |seed: u64| {
                let mut plan = without.clone();
                plan.options.seed = seed;
                plan
            };
            let seeds = core::iter::once(without.options.seed).chain(0..REROLLS);
            self.first_that_fails(seeds.map(reroll).collect());
            at = at.min(part.len(&self.best.plan));
        }
    }

    fn make_plainer(&mut self) {
        for make in plainer::STEPS {
            let mut from = 0;
            loop {
                let plans = make(&self.best.plan);
                let count = plans.len();
                match self.first_that_fails(plans.into_iter().skip(from).collect()) {
                    // Those before were tried on a plan that differs in another place only.
                    Some(at) if from + at < count => from += at,
                    _ => break,
                }
            }
        }
    }

    /// The first of some plans that fails in the same way becomes the best one. Its index.
    fn first_that_fails(&mut self, plans: Vec<Plan>) -> Option<usize> {
        if plans.is_empty() || !self.goes_on() {
            return None;
        }
        let class = &self.class;
        let found = pool::first(&plans, self.effort.jobs, |plan| fails(plan, class));
        self.best.tried += found.as_ref().map_or(plans.len(), |(at, _)| at + 1) as u64;
        let (at, failure) = found?;
        let plan = plans.into_iter().nth(at).expect("the index is one of theirs");
        self.best = Shrunk { plan, failure, tried: self.best.tried };
        (self.effort.progress)(self.best.tried, &self.best.plan);
        Some(at)
    }
}

/// The failure of a plan, if it is of this class.
fn fails(plan: &Plan, class: &Class) -> Option<Failure> {
    if plan.options.check().is_err() {
        return None;
    }
    let of_class = |outcome: Outcome| outcome.failure.filter(|failure| Class::of(failure) == *class);
    if class.kind == Kind::Determinism {
        let compared = (0..COMPARISONS).map(|_| runner::run_twice(plan, Extras::default));
        compared.filter_map(of_class).nth(DIFFERENCES - 1)
    } else {
        of_class(runner::run(plan, Extras::default()))
    }
}

#[cfg(test)]
mod tests;
