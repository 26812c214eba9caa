//! The JSON Schema of a scenario file, for editors.
//!
//! It is made from the type of a case, and then told what that does not say: that a file has the keys of its ground
//! and its cases; that cases, and variants all the more, are parts that are laid over a ground, so that nothing in
//! them is required; and which words may stand alone.

use schemars::schema_for;
use serde_json::{Map, Value, json};

use super::format::{Case, GROUND_KEYS, SCHEMA};
use crate::vendors::Vendor;

/// The JSON Schema of a scenario file.
#[must_use]
pub fn schema() -> Value {
    let mut case = schema_for!(Case).to_value();
    let mut definitions = match case.get_mut("$defs").map(Value::take) {
        Some(Value::Object(definitions)) => definitions,
        _ => Map::new(),
    };
    for definition in definitions.values_mut().filter_map(Value::as_object_mut) {
        definition.remove("required");
    }
    if let Some(arms) = arms(&mut definitions, "Expect") {
        arms.push(json!({"const": "ok"}));
    }
    if let Some(arms) = arms(&mut definitions, "Call") {
        arms.iter_mut().for_each(require_nothing);
    }
    let of_case = match case.get_mut("properties").map(Value::take) {
        Some(Value::Object(properties)) => properties,
        _ => Map::new(),
    };
    let ground: Map<String, Value> =
        of_case.iter().filter(|(key, _)| GROUND_KEYS.contains(&key.as_str())).map(owned).collect();
    let without_id: Map<String, Value> = of_case.iter().filter(|(key, _)| *key != "id").map(owned).collect();

    let mut variant = without_id;
    variant.insert("use".to_owned(), uses("What it uses, beside what the case uses."));
    definitions.insert("Variant".to_owned(), object("A part of a case, laid over it.", variant, &[]));
    let mut case = of_case;
    case.insert("use".to_owned(), uses("What it uses, beside what the file uses."));
    case.insert("variants".to_owned(), axes("Axes of variants, in the place of the file's."));
    let text = "A case: what happens on a machine, and what must come of it.";
    definitions.insert("Case".to_owned(), object(text, case, &["id"]));

    let mut file = ground;
    let text = "Axes of variants: a case runs once for each combination of one variant of each axis.";
    file.insert("variants".to_owned(), axes(text));
    file.extend([
        ("schema".to_owned(), json!({"description": "The version of the format.", "const": SCHEMA})),
        ("title".to_owned(), json!({"description": "What the file is about.", "type": "string"})),
        ("source".to_owned(), json!({"description": "Where what it says was seen.", "type": "string"})),
        ("use".to_owned(), uses("What all of its cases use.")),
        ("cases".to_owned(), list("The cases.", json!({"$ref": "#/$defs/Case"}))),
    ]);
    let mut schema = object("A scenario file of wfp-conformance.", file, &["schema"]);
    schema["$schema"] = json!("https://json-schema.org/draft/2020-12/schema");
    schema["title"] = json!("Scenario");
    schema["$defs"] = Value::Object(definitions);
    schema
}

fn owned((key, value): (&String, &Value)) -> (String, Value) {
    (key.clone(), value.clone())
}

/// The alternatives of an enumeration.
fn arms<'a>(definitions: &'a mut Map<String, Value>, name: &str) -> Option<&'a mut Vec<Value>> {
    definitions.get_mut(name)?.get_mut("oneOf")?.as_array_mut()
}

fn object(description: &str, properties: Map<String, Value>, required: &[&str]) -> Value {
    let mut object = json!({
        "description": description,
        "type": "object",
        "required": required,
        "additionalProperties": false,
    });
    object["properties"] = Value::Object(properties);
    object
}

fn list(description: &str, items: Value) -> Value {
    let mut list = json!({"description": description, "type": "array"});
    list["items"] = items;
    list
}

/// A list of files and vendors. Which vendors there are, editors can complete.
fn uses(description: &str) -> Value {
    let text = format!(
        "{description} Files, relative to this one, and vendors, whose hosts, processes, callouts and services are \
         laid under its own."
    );
    let vendors: Vec<String> = Vendor::all().iter().map(|vendor| format!("vendor:{}", vendor.name)).collect();
    list(&text, json!({"anyOf": [{"enum": vendors}, {"type": "string"}]}))
}

fn axes(description: &str) -> Value {
    json!({
        "description": description,
        "type": "object",
        "additionalProperties": {
            "description": "An axis: its variants by name.",
            "type": "object",
            "additionalProperties": {"anyOf": [{"$ref": "#/$defs/Variant"}, {"type": "null"}]},
        },
    })
}

/// In a variant a call may be a part too; and `socket:` stands for `socket: {}`.
fn require_nothing(arm: &mut Value) {
    let Some(properties) = arm.get_mut("properties").and_then(Value::as_object_mut) else { return };
    for inner in properties.values_mut().filter_map(Value::as_object_mut) {
        if inner.remove("required").is_none() && inner.get("type") == Some(&json!("object")) {
            inner.insert("type".to_owned(), json!(["object", "null"]));
        }
    }
}
