//! Plainer plans: what differs from the calmest world, and needs not, does not any more; times and picks are small and round.
//!
//! All of it goes by the plan's written form, so that options and faults that are added later are made plainer too.

use serde::Serialize;
use serde::de::DeserializeOwned;
use toml::Value;

use crate::clock::{Span, Time};
use crate::options::Options;
use crate::plan::Plan;

/// Makes candidates, the plainest first.
type Step = fn(&Plan) -> Vec<Plan>;

pub const STEPS: &[Step] =
    &[calmer, quieter_liars, one_lane, numbered, sooner, smaller_ops, smaller_faults, smaller_options];

/// What others refer to, and what a checker allows: less of that would be another failure.
const KEPT: [&str; 6] = ["seed", "servers", "devices", "byzantine", "number", "wake_up"];

/// Options as they are in the calmest world: many at once, then one by one.
fn calmer(plan: &Plan) -> Vec<Plan> {
    let (Some(options), Some(calm)) = (written(&plan.options), written(&Options::default())) else { return Vec::new() };
    let mut all = options.clone();
    for (name, value) in all.as_table_mut().into_iter().flatten() {
        make_calm(value, calm.get(name), name);
    }
    let mut candidates = vec![all];
    for_each_place(&options, &mut |path| {
        let here = calm_at(&calm, path);
        if let (Some(calm), Some(value)) = (here, at(&options, path))
            && value != calm
        {
            candidates.push(replaced(&options, path, calm.clone()));
        }
    });
    with_options(plan, &candidates)
}

/// Everything in a table that is not kept.
fn make_calm(value: &mut Value, calm: Option<&Value>, name: &str) {
    match (value, calm) {
        (Value::Table(table), Some(calm)) => {
            table.iter_mut().for_each(|(name, value)| make_calm(value, calm.get(name), name));
        }
        (value, Some(calm)) if !KEPT.contains(&name) => *value = calm.clone(),
        _ => {}
    }
}

/// Liars that lie no more, with as many attacks as are left of them.
fn quieter_liars(plan: &Plan) -> Vec<Plan> {
    let mut quiet = plan.clone();
    for liar in &mut quiet.options.byzantine {
        let attacks = plan.attacks.iter().filter(|attack| attack.server == liar.server).count();
        liar.attacks = u32::try_from(attacks).expect("attacks are few");
    }
    let mut mute = quiet.clone();
    mute.options.byzantine.iter_mut().for_each(|liar| liar.lies = 0);
    [mute, quiet].into_iter().filter(|candidate| candidate != plan).collect()
}

/// Everything that a device does one after the other.
fn one_lane(plan: &Plan) -> Vec<Plan> {
    let mut one = plan.clone();
    one.ops.iter_mut().for_each(|op| op.lane = 0);
    one.options.clients.lanes = 1;
    if one == *plan { Vec::new() } else { vec![one] }
}

/// Operations that are counted from 0.
fn numbered(plan: &Plan) -> Vec<Plan> {
    let mut numbered = plan.clone();
    numbered.ops.iter_mut().zip(0..).for_each(|(op, number)| op.number = number);
    if numbered == *plan { Vec::new() } else { vec![numbered] }
}

/// All times at once: to whole seconds, or to half of what they are; and a world that goes no further than its last operation.
fn sooner(plan: &Plan) -> Vec<Plan> {
    let changed = |change: &dyn Fn(u64) -> u64| {
        let mut plan = plan.clone();
        plan.ops.iter_mut().for_each(|op| op.at = Time(change(op.at.0)));
        plan.faults.iter_mut().for_each(|fault| fault.at = Time(change(fault.at.0)));
        plan.attacks.iter_mut().for_each(|attack| attack.at = Time(change(attack.at.0)));
        plan
    };
    let times = plan.ops.iter().map(|op| op.at).chain(plan.faults.iter().map(|fault| fault.at));
    let last = times.chain(plan.attacks.iter().map(|attack| attack.at)).max().unwrap_or_default();
    let mut short = plan.clone();
    short.options.horizon = Span(last.0.div_ceil(SECOND) * SECOND);
    let candidates =
        [short, changed(&|at| at / 2), changed(&|at| at / SECOND * SECOND), changed(&|at| at / TENTH * TENTH)];
    candidates.into_iter().filter(|candidate| candidate != plan).collect()
}

const SECOND: u64 = 1_000_000;
const TENTH: u64 = SECOND / 10;

fn smaller_ops(plan: &Plan) -> Vec<Plan> {
    smaller_items(plan, |plan| &mut plan.ops, |op, options| op.check(options).is_ok())
}

fn smaller_faults(plan: &Plan) -> Vec<Plan> {
    smaller_items(plan, |plan| &mut plan.faults, |fault, options| fault.check(options).is_ok())
}

/// The plan with one of the items of a list smaller, where that is valid.
fn smaller_items<T: Serialize + DeserializeOwned + Clone>(
    plan: &Plan,
    items: fn(&mut Plan) -> &mut Vec<T>,
    is_valid: fn(&T, &Options) -> bool,
) -> Vec<Plan> {
    let mut candidates = Vec::new();
    for (at, item) in items(&mut plan.clone()).iter().enumerate() {
        for smaller in smaller(item, |_, _| false).into_iter().filter(|item| is_valid(item, &plan.options)) {
            let mut plan = plan.clone();
            items(&mut plan)[at] = smaller;
            candidates.push(plan);
        }
    }
    candidates
}

/// Options nearer to the calmest world's, never beyond them.
fn smaller_options(plan: &Plan) -> Vec<Plan> {
    let Some(calm) = written(&Options::default()) else { return Vec::new() };
    let beyond = |path: &Path, value: &Value| calm_at(&calm, path).is_none_or(|calm| is_less(value, calm));
    let candidates: Vec<Options> = smaller(&plan.options, beyond);
    let changed = |options| Plan { options, ..plan.clone() };
    candidates.into_iter().map(changed).collect()
}

/// The item with one of its numbers and times smaller, but not `too_small`.
fn smaller<T: Serialize + DeserializeOwned>(item: &T, too_small: impl Fn(&Path, &Value) -> bool) -> Vec<T> {
    let Some(value) = written(item) else { return Vec::new() };
    let mut out = Vec::new();
    for_each_place(&value, &mut |path| {
        let values = at(&value, path).map(smaller_values).unwrap_or_default();
        for smaller in values.into_iter().filter(|smaller| !too_small(path, smaller)) {
            out.extend(replaced(&value, path, smaller).try_into::<T>().ok());
        }
    });
    out
}

/// Smaller numbers, and rounder times, the smallest first.
fn smaller_values(value: &Value) -> Vec<Value> {
    match value {
        Value::Integer(number) => {
            let mut smaller: Vec<i64> = (0..4).chain([number / 2]).filter(|other| other.abs() < number.abs()).collect();
            smaller.dedup();
            smaller.into_iter().map(Value::Integer).collect()
        }
        Value::Boolean(true) => vec![Value::Boolean(false)],
        Value::String(text) => {
            let Ok(Span(micros)) = text.parse::<Span>() else { return Vec::new() };
            let rounder = [
                micros / 2 / SECOND * SECOND,
                micros / SECOND * SECOND,
                micros / 2,
                micros / TENTH * TENTH,
                micros / 1_000 * 1_000,
            ];
            let smaller = rounder.into_iter().filter(|other| *other < micros);
            smaller.map(|micros| Value::String(Span(micros).to_string())).collect()
        }
        _ => Vec::new(),
    }
}

fn is_less(value: &Value, other: &Value) -> bool {
    let span = |value: &Value| value.as_str().and_then(|text| text.parse::<Span>().ok());
    match (value.as_integer().zip(other.as_integer()), span(value).zip(span(other))) {
        (Some((value, other)), _) => value < other,
        (None, Some((value, other))) => value < other,
        (None, None) => false,
    }
}

/// A place in a value: names, and numbers of elements.
type Path = Vec<String>;

fn written(item: &impl Serialize) -> Option<Value> {
    Value::try_from(item).ok()
}

/// Every leaf that may be changed.
fn for_each_place(value: &Value, visit: &mut dyn FnMut(&Path)) {
    fn walk(value: &Value, path: &mut Path, visit: &mut dyn FnMut(&Path)) {
        let mut step = |name: &str, inner: &Value| {
            if !KEPT.contains(&name) {
                path.push(name.to_owned());
                walk(inner, path, visit);
                path.pop();
            }
        };
        match value {
            Value::Table(table) => table.iter().for_each(|(name, inner)| step(name, inner)),
            Value::Array(items) => {
                items.iter().enumerate().for_each(|(index, inner)| step(&index.to_string(), inner));
                visit(path);
            }
            _ => visit(path),
        }
    }
    walk(value, &mut Path::new(), visit);
}

fn at<'v>(value: &'v Value, path: &[String]) -> Option<&'v Value> {
    path.iter().try_fold(value, |value, name| match value {
        Value::Array(items) => items.get(name.parse::<usize>().ok()?),
        other => other.get(name),
    })
}

/// The calmest value of a place. Elements of lists have none: the list as a whole has.
fn calm_at<'v>(calm: &'v Value, path: &[String]) -> Option<&'v Value> {
    path.iter().try_fold(calm, |value, name| value.as_table()?.get(name))
}

fn replaced(value: &Value, path: &[String], by: Value) -> Value {
    let mut out = value.clone();
    let place = path.iter().try_fold(&mut out, |value, name| match value {
        Value::Array(items) => items.get_mut(name.parse::<usize>().ok()?),
        other => other.get_mut(name),
    });
    if let Some(place) = place {
        *place = by;
    }
    out
}

fn with_options(plan: &Plan, candidates: &[Value]) -> Vec<Plan> {
    let options = candidates.iter().filter_map(|value| value.clone().try_into::<Options>().ok());
    let plans = options.map(|options| Plan { options, ..plan.clone() });
    plans.filter(|candidate| candidate != plan).collect()
}
