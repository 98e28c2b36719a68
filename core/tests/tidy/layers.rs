//! Modules import downwards: from those above them in `core/src/lib.rs`, and from no others.

use super::Violations;
use super::source::File;

/// The modules of core in the order in which they may import each other.
pub struct Order(Vec<String>);

impl Order {
    pub fn of(lib: &File) -> Order {
        let name = |line: String| {
            let line = line.trim().strip_prefix("pub ").unwrap_or(line.trim()).to_string();
            line.strip_prefix("mod ").and_then(|rest| rest.strip_suffix(';')).map(str::to_string)
        };
        Order(lib.code_lines().into_iter().filter_map(|(_, line)| name(line)).collect())
    }

    fn place(&self, module: &str) -> Option<usize> {
        self.0.iter().position(|listed| listed == module)
    }
}

/// The module at the top of core that a file belongs to; none for `lib.rs`.
fn module(file: &File) -> Option<&str> {
    let inner = file.path.strip_prefix("core/src/")?;
    let name = inner.split('/').next()?;
    let name = name.strip_suffix(".rs").unwrap_or(name);
    (name != "lib").then_some(name)
}

pub fn module_is_listed(order: &Order, file: &File) -> Violations {
    match module(file) {
        Some(module) if order.place(module).is_none() => {
            vec![format!("{}: the module {module} is not declared in core/src/lib.rs", file.path)]
        }
        _ => vec![],
    }
}

pub fn modules_import_downwards(order: &Order, file: &File) -> Violations {
    let Some(own) = module(file) else { return vec![] };
    if file.is_test() {
        return vec![];
    }
    let Some(place) = order.place(own) else { return vec![] };
    let mut out = vec![];
    for (number, line) in file.code_lines() {
        for imported in paths_from_crate(&line) {
            let what = match order.place(&imported) {
                Some(other) if other <= place => continue,
                Some(_) => format!("{own} is above it; move what {own} needs to {own}, or below"),
                None => String::from("name the module that it is in, so that the order can be checked"),
            };
            out.push(format!("{}:{number}: crate::{imported}: {what}", file.path));
        }
    }
    out
}

/// The names directly after `crate::` in a line of code, also in `crate::{a, b::{c}}`.
fn paths_from_crate(line: &str) -> Vec<String> {
    let word = |text: &str| -> String {
        text.trim_start().chars().take_while(|char| char.is_alphanumeric() || *char == '_').collect()
    };
    let mut out = vec![];
    for (at, prefix) in line.match_indices("crate::") {
        if line[..at].ends_with('$') {
            continue; // In a macro's body, where it is expanded by those who may use the macro.
        }
        let rest = &line[at + prefix.len()..];
        let Some(group) = rest.strip_prefix('{') else {
            out.push(word(rest));
            continue;
        };
        let mut depth = 0;
        for (index, char) in format!(",{group}").char_indices() {
            match char {
                ',' if depth == 0 => out.push(word(&group[index..])),
                '{' => depth += 1,
                '}' if depth == 0 => break,
                '}' => depth -= 1,
                _ => (),
            }
        }
    }
    out.retain(|name| !name.is_empty());
    out
}

#[test]
fn upward_imports_are_found() {
    let lib = "#![no_std]\npub mod time;\npub mod store;\n/// Rooms.\npub mod room;\nmod testing;\npub use room::Room;";
    let order = Order::of(&File::new("core/src/lib.rs", lib));
    assert_eq!(order.0, ["time", "store", "room", "testing"]);
    let check = |path: &str, text: &str, found: usize| {
        assert_eq!(modules_import_downwards(&order, &File::new(path, text)).len(), found, "{path}: {text}");
    };
    check("core/src/store/mod.rs", "use crate::room::Room;", 1);
    check("core/src/store/read.rs", "fn f(room: &crate::room::Room) {}", 1);
    check("core/src/store/read.rs", "use crate::{time::Timestamp, room::{Room, State}};", 1);
    check("core/src/store/read.rs", "use crate::Room;", 1);
    check("core/src/store/read.rs", "use crate::time::Timestamp;", 0);
    check("core/src/store/read.rs", "use crate::store::codec::Key;", 0);
    check("core/src/store/read.rs", "/// See [`crate::room`].", 0);
    check("core/src/store/tests.rs", "use crate::room::Room;", 0);
    check("core/src/room.rs", "use crate::{store, time};", 0);
    check("sim/src/world.rs", "use crate::network::Link;", 0);
    assert_eq!(module_is_listed(&order, &File::new("core/src/stray/mod.rs", "")).len(), 1);
    assert_eq!(module_is_listed(&order, &File::new("core/src/store/mod.rs", "")).len(), 0);
}
