//! A partial tree laid over another one.

use std::collections::HashMap;
use std::sync::Arc;

use super::diagnostic::{listed, quoted};
use super::{Diagnostic, Entry, Kind, Node, Span, nearest};

/// Keys whose value is a choice, written as a mapping with one key. Laying `{connect: …}` over `{listen: …}`
/// chooses something else, and must not give a mapping with two keys.
pub const REPLACED_WHOLE: &[&str] = &["op", "expect", "context", "records", "destination"];

/// The key of the list that grows, instead of being replaced.
const USE: &str = "use";

/// The key of the list whose items are known by their names.
const STEPS: &str = "steps";
const NAME: &str = "name";

/// Lays `over` over `base`.
///
/// - Mappings are merged key by key: keys of `base` keep their order, and new ones follow.
/// - The lists of a key `steps` are merged item by item: an item of `over` is laid over the item of `base`
///   that has the same `name`, which must exist.
/// - Those of a key `use` are joined: items of `over` follow those of `base`.
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
        (Kind::Sequence(old), Kind::Sequence(new)) if key == USE => {
            let items = old.iter().chain(new.iter()).cloned().collect();
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
    let places: HashMap<&str, usize> = base
        .iter()
        .enumerate()
        .filter_map(|(place, step)| Some((step.get(NAME)?.as_str()?, place)))
        .collect();
    for step in over {
        let Some(name) = step.get(NAME) else {
            return Err(Diagnostic::at(&step.span, "a step that changes another one needs its name")
                .with_help("begin it with `name: `, and the name of the step that it changes"));
        };
        let Some(text) = name.as_str() else {
            return Err(Diagnostic::at(&name.span, "the name of a step is text"));
        };
        match places.get(text).and_then(|&place| steps.get_mut(place)) {
            Some(changed) => *changed = merge(changed, step)?,
            None => return Err(unknown_step(text, &name.span, base)),
        }
    }
    Ok(steps.into())
}

fn unknown_step(name: &str, span: &Span, base: &[Node]) -> Diagnostic {
    let known = || base.iter().filter_map(|step| step.get(NAME)?.as_str());
    let error = Diagnostic::at(span, format!("there is no step {} to change", quoted(name)));
    let error = match nearest(name, known()) {
        Some(near) => error.with_label(format!("did you mean {}?", quoted(near))),
        None => error,
    };
    if known().next().is_none() {
        return error.with_help("no step here has a name");
    }
    error.with_help(format!("the steps here: {}", listed(known())))
}

#[cfg(test)]
mod tests {
    use serde::de::DeserializeOwned;
    use serde_json::Value;

    use super::super::{Source, from_node, parse};
    use super::*;

    fn tree(name: &str, text: &str) -> Node {
        parse(&Source::new(name, text)).unwrap()
    }

    fn merged(base: &str, over: &str) -> Result<Node, Diagnostic> {
        merge(&tree("base.yaml", base), &tree("over.yaml", over))
    }

    /// The merged tree as JSON, which shows the keys in the order of their names.
    fn shown(base: &str, over: &str) -> String {
        from_node::<Value>(&merged(base, over).unwrap()).unwrap().to_string()
    }

    fn keys(node: &Node) -> Vec<&str> {
        node.entries().iter().map(|entry| &*entry.key).collect()
    }

    #[test]
    fn mappings_merge_by_key_at_any_depth() {
        assert_eq!(
            shown("a: {x: 1, y: {z: 2}}\nb: 3\n", "a: {y: {z: 4, w: 5}}\n"),
            r#"{"a":{"x":1,"y":{"w":5,"z":4}},"b":3}"#
        );
    }

    #[test]
    fn keys_keep_the_order_of_the_base_and_new_ones_follow() {
        let node = merged("b: 1\na: 2\n", "d: 3\na: 4\nc: 5\n").unwrap();
        assert_eq!(keys(&node), ["b", "a", "d", "c"]);
    }

    #[test]
    fn lists_scalars_nulls_and_other_kinds_replace() {
        assert_eq!(shown("a: [1, 2]", "a: [3]"), r#"{"a":[3]}"#);
        assert_eq!(shown("a: 1", "a: two"), r#"{"a":"two"}"#);
        assert_eq!(shown("a: {x: 1}", "a:"), r#"{"a":null}"#);
        assert_eq!(shown("a: {x: 1}", "a: [1]"), r#"{"a":[1]}"#);
        assert_eq!(shown("a: ~", "a: {x: 1}"), r#"{"a":{"x":1}}"#);
        assert_eq!(shown("[1, 2]", "[3]"), "[3]");
    }

    #[test]
    fn steps_merge_by_name_and_keep_their_order() {
        let base = "steps:\n- {name: one, at: 1}\n- {at: 2}\n- {name: two, at: 3}\n";
        assert_eq!(
            shown(base, "steps:\n- {name: two, at: 4}\n- {name: one, by: x}\n"),
            r#"{"steps":[{"at":1,"by":"x","name":"one"},{"at":2},{"at":4,"name":"two"}]}"#
        );
    }

    #[test]
    fn steps_merge_by_name_wherever_they_are() {
        assert_eq!(
            shown(
                "x: {steps: [{name: a, steps: [{name: b, c: 1}]}]}",
                "x: {steps: [{name: a, steps: [{name: b, d: 2}]}]}"
            ),
            r#"{"x":{"steps":[{"name":"a","steps":[{"c":1,"d":2,"name":"b"}]}]}}"#
        );
    }

    #[test]
    fn steps_that_are_no_list_on_both_sides_replace() {
        assert_eq!(shown("steps: [{name: a}]", "steps: ~"), r#"{"steps":null}"#);
        assert_eq!(shown("steps: ~", "steps: [{name: a}]"), r#"{"steps":[{"name":"a"}]}"#);
    }

    #[test]
    fn an_unknown_step_is_refused_with_the_nearest_name() {
        let error =
            merged("steps: [{name: connect}, {name: close}]", "steps:\n- name: conect\n").unwrap_err();
        assert_eq!(error.to_string(), "over.yaml:2:9: there is no step `conect` to change");
        assert_eq!(error.label, "did you mean `connect`?");
        assert_eq!(error.help.as_deref(), Some("the steps here: `connect`, `close`"));
        let error = merged("steps: [{at: 1}]", "steps: [{name: x}]").unwrap_err();
        assert_eq!(error.help.as_deref(), Some("no step here has a name"));
    }

    #[test]
    fn a_step_without_name_is_refused_at_its_place() {
        for (over, place) in [("steps:\n- at: 1\n", "2:3"), ("steps: [x]", "1:9")] {
            let error = merged("steps: [{name: a}]", over).unwrap_err();
            assert_eq!(
                error.to_string(),
                format!("over.yaml:{place}: a step that changes another one needs its name")
            );
        }
        let error = merged("steps: [{name: a}]", "steps: [{name: [a]}]").unwrap_err();
        assert_eq!(error.to_string(), "over.yaml:1:16: the name of a step is text");
    }

    #[test]
    fn another_choice_replaces_and_the_same_choice_merges() {
        for key in REPLACED_WHOLE {
            let shown = |base, over| shown(&format!("{key}: {base}"), &format!("{key}: {over}"));
            assert_eq!(
                shown("{listen: {port: 1}}", "{connect: {to: x}}"),
                format!(r#"{{"{key}":{{"connect":{{"to":"x"}}}}}}"#)
            );
            assert_eq!(
                shown("{listen: {port: 1}}", "{listen: {to: x}}"),
                format!(r#"{{"{key}":{{"listen":{{"port":1,"to":"x"}}}}}}"#)
            );
            assert_eq!(shown("close", "{listen: 1}"), format!(r#"{{"{key}":{{"listen":1}}}}"#));
            assert_eq!(shown("{listen: 1}", "close"), format!(r#"{{"{key}":"close"}}"#));
        }
        assert_eq!(
            shown("other: {listen: 1}", "other: {connect: 2}"),
            r#"{"other":{"connect":2,"listen":1}}"#
        );
    }

    #[test]
    fn every_part_keeps_the_place_where_it_was_written() {
        let node = merged("a: {x: 1}\nb: 2\n", "a:\n  y: 3\n").unwrap();
        let place = |node: &Node| node.span.to_string();
        assert_eq!(place(node.get("b").unwrap()), "base.yaml:2:4");
        assert_eq!(place(node.get("a").unwrap().get("x").unwrap()), "base.yaml:1:8");
        assert_eq!(place(node.get("a").unwrap().get("y").unwrap()), "over.yaml:2:6");
        assert_eq!(node.entry("a").unwrap().key_span.to_string(), "over.yaml:1:1");
    }

    #[test]
    fn a_later_error_points_into_the_right_file() {
        fn error<T: DeserializeOwned + std::fmt::Debug>(node: &Node) -> String {
            from_node::<T>(node).unwrap_err().to_string()
        }
        type Ports = HashMap<String, HashMap<String, u8>>;
        let in_over = merged("a: {x: 1}\n", "a:\n  y: 300\n").unwrap();
        assert!(error::<Ports>(&in_over).starts_with("over.yaml:2:6: "), "{}", error::<Ports>(&in_over));
        let in_base = merged("a: {x: 300}\n", "a:\n  y: 1\n").unwrap();
        assert!(error::<Ports>(&in_base).starts_with("base.yaml:1:8: "), "{}", error::<Ports>(&in_base));
    }
}
