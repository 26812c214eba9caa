//! A partial tree laid over another one.

use std::collections::HashMap;
use std::sync::Arc;

use super::diagnostic::{listed, quoted};
use super::{Diagnostic, Entry, Kind, Node, nearest};

/// Keys whose value is a choice, written as a mapping with one key. Laying `{connect: …}` over `{listen: …}`
/// chooses something else, and must not give a mapping with two keys.
pub const REPLACED_WHOLE: &[&str] = &["op", "expect"];

/// The key of the list whose items are known by their names.
const STEPS: &str = "steps";
const NAME: &str = "name";

/// Lays `over` over `base`.
///
/// - Mappings are merged key by key: keys of `base` keep their order, and new ones follow.
/// - The lists of a key `steps` are merged item by item: an item of `over` is laid over the item of `base`
///   that has the same `name`, which must exist.
/// - For the keys in [`REPLACED_WHOLE`], a mapping whose single key is another one replaces.
/// - Everything else replaces; that includes a `null`, which removes nothing.
///
/// Every part keeps the place where it was written, whichever of the two files that is.
pub fn merge(base: &Node, over: &Node) -> Result<Node, Diagnostic> {
    let (Kind::Mapping(old), Kind::Mapping(new)) = (&base.kind, &over.kind) else { return Ok(over.clone()) };
    let mut entries = old.to_vec();
    let places: HashMap<&str, usize> =
        old.iter().enumerate().map(|(place, entry)| (&*entry.key, place)).collect();
    for entry in new.iter() {
        match places.get(&*entry.key).and_then(|&place| entries.get_mut(place)) {
            None => entries.push(entry.clone()),
            Some(merged) => {
                let value = merge_values(&entry.key, &merged.value, &entry.value)?;
                *merged = Entry { value, ..entry.clone() };
            }
        }
    }
    Ok(Node { kind: Kind::Mapping(entries.into()), span: base.span.clone() })
}

fn merge_values(key: &str, base: &Node, over: &Node) -> Result<Node, Diagnostic> {
    match (&base.kind, &over.kind) {
        (Kind::Sequence(old), Kind::Sequence(new)) if key == STEPS => {
            let items = merge_steps(old, new)?;
            Ok(Node { kind: Kind::Sequence(items), span: base.span.clone() })
        }
        _ if REPLACED_WHOLE.contains(&key) && is_another_choice(base, over) => Ok(over.clone()),
        _ => merge(base, over),
    }
}

fn is_another_choice(base: &Node, over: &Node) -> bool {
    matches!((base.entries(), over.entries()), ([old], [new]) if old.key != new.key)
}

fn merge_steps(base: &[Node], over: &[Node]) -> Result<Arc<[Node]>, Diagnostic> {
    let mut steps = base.to_vec();
    let places: HashMap<&str, usize> =
        base.iter().enumerate().filter_map(|(place, step)| Some((step.get(NAME)?.as_str()?, place))).collect();
    for step in over {
        let Some(name) = step.get(NAME) else {
            return Err(Diagnostic::at(&step.span, "a step that changes another one needs its name")
                .with_help("begin it with `name: `, and the name of the step that it changes"));
        };
        let known = name.as_str().and_then(|text| places.get(text)).and_then(|&place| steps.get_mut(place));
        let Some(changed) = known else { return Err(unknown_step(name, base)) };
        *changed = merge(changed, step)?;
    }
    Ok(steps.into())
}

fn unknown_step(name: &Node, base: &[Node]) -> Diagnostic {
    let known = || base.iter().filter_map(|step| step.get(NAME)?.as_str());
    let written = name.as_str().unwrap_or_default();
    let error = Diagnostic::at(&name.span, format!("there is no step {} to change", quoted(written)));
    let error = match nearest(written, known()) {
        Some(near) => error.with_label(format!("did you mean {}?", quoted(near))),
        None => error,
    };
    if known().next().is_none() {
        return error.with_help("no step here has a name");
    }
    error.with_help(format!("the steps here: {}", listed(known())))
}
