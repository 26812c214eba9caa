//! The JSON Schema of a scenario file, for editors.
//!
//! It is made from the types of [`format`](super::format), and then told what those do not say: that cases, and
//! variants all the more, are parts that are laid over a ground, so that nothing in them is required; and which
//! words may stand alone.

use schemars::schema_for;
use serde_json::{Map, Value, json};

use super::format::ScenarioFile;

/// The JSON Schema of a scenario file.
#[must_use]
pub fn schema() -> Value {
    let mut schema = schema_for!(ScenarioFile).to_value();
    let Some(definitions) = schema.get_mut("$defs").and_then(Value::as_object_mut) else { return schema };
    for definition in definitions.values_mut() {
        if let Some(object) = definition.as_object_mut() {
            object.remove("required");
        }
    }
    add_variant(definitions);
    for (name, words) in [("Expect", &["ok"][..])] {
        if let Some(arms) =
            definitions.get_mut(name).and_then(|d| d.get_mut("oneOf")).and_then(Value::as_array_mut)
        {
            arms.extend(words.iter().map(|word| json!({"const": word})));
        }
    }
    if let Some(arms) =
        definitions.get_mut("Call").and_then(|d| d.get_mut("oneOf")).and_then(Value::as_array_mut)
    {
        arms.iter_mut().for_each(allow_nothing);
    }
    let variant = json!({"anyOf": [{"$ref": "#/$defs/Variant"}, {"type": "null"}]});
    for place in ["/properties/variants", "/$defs/Case/properties/variants"] {
        if let Some(axes) = schema.pointer_mut(place) {
            axes["additionalProperties"]["additionalProperties"] = variant.clone();
        }
    }
    schema
}

/// A variant is a case without an id; a case has one, and may have variants of its own.
fn add_variant(definitions: &mut Map<String, Value>) {
    let Some(mut variant) = definitions.get("Case").cloned() else { return };
    variant["description"] = json!("A part of a case, laid over it.");
    if let Some(properties) = variant.get_mut("properties").and_then(Value::as_object_mut) {
        properties.remove("id");
    }
    definitions.insert("Variant".to_owned(), variant);
    if let Some(case) = definitions.get_mut("Case") {
        case["required"] = json!(["id"]);
        case["properties"]["variants"] = json!({
            "description": "Axes of variants, in the place of the file's.",
            "type": "object",
            "additionalProperties": {"type": "object", "additionalProperties": true},
        });
    }
}

/// `socket:` stands for `socket: {}` where nothing in it is required.
fn allow_nothing(arm: &mut Value) {
    let Some(properties) = arm.get_mut("properties").and_then(Value::as_object_mut) else { return };
    for inner in properties.values_mut() {
        if inner.get("type") == Some(&json!("object")) && inner.get("required").is_none() {
            inner["type"] = json!(["object", "null"]);
        }
    }
}
