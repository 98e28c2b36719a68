use super::*;
use crate::options::Overrides;
use crate::storage::Lie;

fn quietly(jobs: usize) -> Effort<'static> {
    Effort { jobs, goes_on: &|_| true, progress: &|_, _| {} }
}

/// How one run of a plan fails.
fn once(plan: &Plan) -> Option<Failure> {
    runner::run(plan, Extras::default()).failure
}

/// The first plan that fails among some seeds of worlds whose disks lie.
fn failing() -> (Plan, Failure) {
    let lie = Some(Lie::LosesAcknowledged);
    let overrides = Overrides { lie, crashes: Some(8), clients: Some(3), steps: Some(40), ..Overrides::default() };
    let plans = (0..40).map(|seed| Plan::draw(seed, overrides));
    let mut failing = plans.filter_map(|plan| once(&plan).map(|failure| (plan, failure)));
    failing.next().expect("a disk that lies is found")
}

#[test]
fn a_disk_that_lies_shrinks_to_a_few_operations() {
    let (plan, failure) = failing();
    let shrunk = shrink(&plan, failure.clone(), &quietly(1));
    assert!(shrunk.plan.ops.len() <= 5, "{}", shrunk.plan.to_toml());
    assert!(shrunk.plan.options.clients.devices.len() <= 2, "{}", shrunk.plan.to_toml());
    assert_eq!(Class::of(&shrunk.failure), Class::of(&failure));
    assert_eq!(once(&shrunk.plan), Some(shrunk.failure.clone()));
    assert_eq!(Plan::from_toml(&shrunk.plan.to_toml()).as_ref(), Ok(&shrunk.plan));
    assert_eq!(shrink(&plan, failure, &quietly(3)), shrunk, "with more threads");
}

#[test]
fn a_budget_is_kept() {
    let (plan, failure) = failing();
    let none = Effort { goes_on: &|_| false, ..quietly(1) };
    assert_eq!(
        shrink(&plan, failure.clone(), &none),
        Shrunk { plan: plan.clone(), failure: failure.clone(), tried: 0 }
    );
    let some = Effort { goes_on: &|tried| tried < 10, ..quietly(1) };
    assert!(shrink(&plan, failure, &some).tried < 1_000);
}

/// Three servers with a person on each and a second one on the first, a liar, and something of everything.
fn crowd() -> Plan {
    let mut plan = Plan::draw(5, Overrides { servers: Some((3, 3)), byzantine: Some((1, 1)), ..Overrides::default() });
    plan.options.clients.devices = vec![0, 1, 2, 3, 0];
    plan.ops.iter_mut().for_each(|op| op.device %= 5);
    plan
}

#[test]
fn what_is_left_fits_together() {
    let plan = crowd();
    for part in [Part::Attacks, Part::Faults, Part::Ops, Part::Devices, Part::Servers, Part::Liars, Part::Strategies(0)]
    {
        for at in 0..part.len(&plan) {
            let Some(less) = part.without(&plan, at..at + 1) else { continue };
            assert_eq!(part.len(&less), part.len(&plan) - 1, "{part:?} {at}");
            assert_eq!(Plan::from_toml(&less.to_toml()).as_ref(), Ok(&less), "{part:?} {at}");
        }
    }
    assert_eq!(Part::Devices.without(&plan, 0..5), None);
    assert_eq!(Part::Servers.without(&plan, 0..3), None);
}

#[test]
fn users_stay_on_their_servers() {
    let mut plan = crowd();
    plan.options.byzantine.clear();
    let devices = |part: Part, at: usize| part.without(&plan, at..at + 1).unwrap().options.clients.devices;
    assert_eq!(devices(Part::Devices, 4), [0, 1, 2, 3]);
    // The second user of server 0 becomes its first.
    let mut less = plan.clone();
    less.options.clients.devices = vec![0, 1, 2, 3];
    assert_eq!(Part::Devices.without(&less, 0..1).unwrap().options.clients.devices, [1, 2, 0]);
    assert_eq!(devices(Part::Servers, 0), [0, 1]);
    assert_eq!(devices(Part::Servers, 1), [0, 1, 2, 0]);
    assert_eq!(devices(Part::Servers, 2), [0, 1, 2, 0]);
}

#[test]
fn plainer_plans_are_plans() {
    let plan = crowd();
    let candidates: Vec<Plan> = plainer::STEPS.iter().flat_map(|step| step(&plan)).collect();
    // One number alone may make no world: a lowest latency above the highest.
    let candidates = candidates.into_iter().filter(|candidate| candidate.options.check().is_ok()).collect::<Vec<_>>();
    assert!(candidates.len() > plan.ops.len());
    for candidate in candidates {
        assert_ne!(candidate, plan);
        assert_eq!(Plan::from_toml(&candidate.to_toml()).as_ref(), Ok(&candidate));
        assert_eq!((candidate.options.servers, candidate.ops.len()), (3, plan.ops.len()));
    }
}
