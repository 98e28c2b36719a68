//! Parameters: every option of a world by its dotted name.

use toml::{Table, Value};

use super::table::Cell;
use crate::byzantine::{Strategy, draw_liars};
use crate::clock::Span;
use crate::draw::stream;
use crate::options::{ClientOptions, Options, Overrides};
use crate::workload::{Family, OpKind};
use orrery_core::room_version::RoomVersion;

/// What a world is before parameters are set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Base {
    /// Nothing goes wrong, and people only talk, but for what the study says.
    #[default]
    Calm,
    /// As the seed draws it.
    Drawn,
}

/// What stands for more than one option.
const COMPOUND: [(&str, &str); 6] = [
    ("servers", "how many servers there are"),
    ("users", "how many people there are, each with one device; at least one on each server"),
    ("byzantine", "how many servers lie, with strategies that the seed draws"),
    ("liars.strategies", "the strategies of all liars"),
    ("liars.lies", "how many of 1000 of their messages are lies"),
    ("liars.attacks", "how many attacks each of them makes"),
];

/// The names of all parameters.
#[must_use]
pub fn names() -> Vec<String> {
    let mut names: Vec<String> = COMPOUND.iter().map(|(name, _)| (*name).to_owned()).collect();
    leaves("", &Value::Table(described(&complete())), &mut names);
    names.retain(|name| name != "seed" && name != "clients.wake_up" && !name.starts_with("byzantine."));
    names.sort_unstable();
    names.dedup();
    names
}

/// Options in which nothing is left out.
fn complete() -> Options {
    let clients = ClientOptions { room_version: Some(RoomVersion::V12), ..ClientOptions::default() };
    Options { clients, ..Options::default() }
}

/// Options as a table, with tables of weights and shares.
fn described(options: &Options) -> Table {
    let mut table = Table::try_from(options).expect("options are plain data with numbers below 2^63");
    let number = |number: u64| Value::Integer(i64::try_from(number).expect("weights and shares are small"));
    let weight = |kind: &OpKind| options.weights.iter().find(|(of, _)| of == kind).map_or(0, |(_, weight)| *weight);
    let weights = OpKind::ALL.iter().map(|kind| (format!("{kind:?}"), number(weight(kind))));
    table.insert("weights".to_owned(), Value::Table(weights.collect()));
    let share = |family: &Family| options.shares.iter().find(|(of, _)| of == family).map_or(1_000, |(_, share)| *share);
    let shares = Family::ALL.iter().map(|family| (format!("{family:?}"), number(share(family))));
    table.insert("shares".to_owned(), Value::Table(shares.collect()));
    table
}

/// Makes pairs again of a table that [`described`] made, in the order in which they are drawn from.
fn list(table: &mut Table, name: &str, order: impl Iterator<Item = String>) {
    let described = table.remove(name);
    let value = |key: &str| described.as_ref().and_then(|table| table.get(key)).cloned().unwrap_or(Value::Integer(0));
    let pairs = order.map(|key| Value::Array(vec![key.as_str().into(), value(&key)]));
    table.insert(name.to_owned(), Value::Array(pairs.collect()));
}

fn leaves(path: &str, value: &Value, names: &mut Vec<String>) {
    match value {
        Value::Table(table) => {
            for (name, value) in table {
                let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                leaves(&path, value, names);
            }
        }
        _ => names.push(path.to_owned()),
    }
}

/// The options of a world.
///
/// # Errors
/// A parameter there is not, or a value that it cannot have.
pub fn options(base: Base, parameters: &[(String, Value)], seed: u64) -> Result<Options, String> {
    let number = |name: &str| -> Result<Option<u32>, String> {
        let Some((_, value)) = parameters.iter().rfind(|(of, _)| of == name) else { return Ok(None) };
        let number = value.as_integer().and_then(|number| u32::try_from(number).ok());
        number.map(Some).ok_or_else(|| format!("{name} is a number, not {value}"))
    };
    let (servers, users, liars) = (number("servers")?, number("users")?, number("byzantine")?);
    let range = |number: Option<u32>| number.map(|number| (number, number));
    let mut options = match base {
        Base::Drawn => {
            Options::draw(seed, Overrides { servers: range(servers), byzantine: range(liars), ..Overrides::default() })
        }
        Base::Calm => {
            let mut calm = Options { seed, servers: servers.unwrap_or(1), ..Options::default() };
            calm.weights = vec![(OpKind::Send, 1)];
            let others = Family::ALL.into_iter().filter(|family| *family != Family::Rooms);
            calm.shares = others.map(|family| (family, 0)).collect();
            calm.byzantine = draw_liars(&mut stream(seed, "byzantine"), liars.unwrap_or(0), calm.servers);
            calm.clients.devices = (0..calm.servers).collect();
            calm
        }
    };
    if let Some(users) = users {
        options.clients.devices = (0..users.max(options.servers)).collect();
    }
    let mut table = described(&options);
    for (name, value) in parameters {
        set(&mut table, name, value.clone())?;
    }
    list(&mut table, "weights", OpKind::ALL.iter().map(|kind| format!("{kind:?}")));
    list(&mut table, "shares", Family::ALL.iter().map(|family| format!("{family:?}")));
    let mut options: Options = table.try_into().map_err(|error: toml::de::Error| error.message().to_owned())?;
    options.clients.wake_up = options.longest_wake_up();
    options.check()?;
    let has_weight = |family| options.weights.iter().any(|(kind, weight)| kind.family() == family && *weight > 0);
    match Family::ALL.into_iter().find(|family| options.steps_of(*family) > 0 && !has_weight(*family)) {
        Some(family) => Err(format!("{family:?} has a share of the steps, and none of its kinds a weight")),
        None => Ok(options),
    }
}

fn set(table: &mut Table, name: &str, value: Value) -> Result<(), String> {
    if COMPOUND.iter().any(|(compound, _)| *compound == name) {
        let Some(of_each) = name.strip_prefix("liars.") else { return Ok(()) };
        let liars = table.get_mut("byzantine").and_then(Value::as_array_mut);
        for liar in liars.into_iter().flatten().filter_map(Value::as_table_mut) {
            liar.insert(of_each.to_owned(), value.clone());
        }
        return Ok(());
    }
    if !names().iter().any(|known| known == name) {
        return Err(format!("there is no parameter {name}; there are {}", names().join(", ")));
    }
    let mut parts = name.split('.').peekable();
    let mut table = table;
    while let Some(part) = parts.next() {
        if parts.peek().is_none() {
            table.insert(part.to_owned(), value);
            return Ok(());
        }
        let inner = table.get_mut(part).and_then(Value::as_table_mut);
        table = inner.ok_or_else(|| format!("there is no parameter {name}"))?;
    }
    Ok(())
}

/// A value as a number in tables and plots: times in microseconds.
#[must_use]
pub fn as_number(value: &Value) -> Option<i64> {
    match value {
        Value::Integer(number) => Some(*number),
        Value::Boolean(truth) => Some(i64::from(*truth)),
        Value::String(text) => text.parse::<Span>().ok().and_then(|span| i64::try_from(span.0).ok()),
        _ => None,
    }
}

/// A value as it stands in tables.
#[must_use]
pub fn cell(value: &Value) -> Cell {
    match as_number(value) {
        Some(number) => Cell::Number(number),
        None => Cell::Text(value.as_str().map_or_else(|| value.to_string(), str::to_owned)),
    }
}

/// Names, defaults and what the compound ones mean: for those who write studies.
#[must_use]
pub fn described_all() -> String {
    let calm = Value::Table(described(&complete()));
    let mut text = String::new();
    for name in names() {
        let compound = COMPOUND.iter().find(|(compound, _)| *compound == name);
        let value = name.split('.').try_fold(&calm, |value, part| value.get(part));
        let what = match (compound, value) {
            (Some((_, what)), _) => (*what).to_owned(),
            (None, Some(value)) => format!("in a calm world {value}"),
            (None, None) => String::new(),
        };
        text += &format!("{name:<32} {what}\n");
    }
    let strategies: Vec<String> = Strategy::ALL.iter().map(|strategy| format!("{strategy:?}")).collect();
    text + &format!("strategies of liars: {}\n", strategies.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Plan;

    fn with(base: Base, parameters: &[(&str, Value)]) -> Result<Options, String> {
        let parameters: Vec<_> = parameters.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
        options(base, &parameters, 7)
    }

    #[test]
    fn every_option_is_a_parameter() {
        let options = with(
            Base::Calm,
            &[
                ("servers", 4.into()),
                ("byzantine", 1.into()),
                ("liars.lies", 300.into()),
                ("network.latency.high", "50ms".into()),
                ("faults.crashes", 3.into()),
                ("weights.Ban", 2.into()),
                ("clients.room_version", "12".into()),
            ],
        )
        .unwrap();
        assert_eq!((options.servers, options.clients.devices.len(), options.byzantine.len()), (4, 4, 1));
        assert_eq!((options.byzantine[0].lies, options.network.latency.high), (300, Span::millis(50)));
        assert_eq!((options.faults.crashes, options.clients.room_version), (3, Some(RoomVersion::V12)));
        assert!(options.weights.contains(&(OpKind::Ban, 2)) && options.weights.contains(&(OpKind::Send, 1)));
    }

    #[test]
    fn without_parameters_a_world_is_as_it_is_drawn() {
        let drawn = with(Base::Drawn, &[("servers", 3.into())]).unwrap();
        let expected = Plan::draw(7, Overrides { servers: Some((3, 3)), ..Overrides::default() });
        let drawn = Plan::of(drawn);
        assert_eq!((drawn.ops, drawn.faults), (expected.ops, expected.faults));
    }

    #[test]
    fn a_wrong_name_is_told_the_right_ones() {
        let error = with(Base::Calm, &[("network.latency.hihg", 1.into())]).unwrap_err();
        assert!(error.contains("network.latency.hihg") && error.contains("network.latency.high"), "{error}");
        assert!(with(Base::Calm, &[("servers", "many".into())]).is_err());
        assert!(with(Base::Calm, &[("clients.room_version", "13".into())]).is_err());
    }
}
