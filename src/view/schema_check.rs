//! Whether a document is what its schema says: the part of JSON Schema that those in `docs/` use. For tests.
#![allow(clippy::unwrap_used)]

use serde_json::Value;

/// What of `value` the schema does not allow.
pub(super) fn faults(schema: &Value, value: &Value, at: &str, found: &mut Vec<String>) {
    let is = |word: &str| match word {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "number" => value.is_number(),
        "integer" => value.is_u64(),
        "boolean" => value.is_boolean(),
        _ => value.is_null(),
    };
    let fits = match &schema["type"] {
        Value::String(word) => is(word),
        Value::Array(words) => words.iter().any(|word| is(word.as_str().unwrap())),
        _ => {
            schema["const"] == *value
                || schema["enum"].as_array().is_some_and(|all| all.contains(value))
        }
    };
    if !fits {
        found.push(format!("{at} is {value}"));
    }
    if schema["format"] == "date-time" && value.as_str().is_some_and(|it| !it.ends_with('Z')) {
        found.push(format!("{at} is no UTC time: {value}"));
    }
    for (index, item) in value.as_array().into_iter().flatten().enumerate() {
        faults(&schema["items"], item, &format!("{at}[{index}]"), found);
    }
    let Some(fields) = value.as_object() else { return };
    for name in schema["required"].as_array().into_iter().flatten() {
        if !fields.contains_key(name.as_str().unwrap()) {
            found.push(format!("{at} has no {name}"));
        }
    }
    for (name, value) in fields {
        match schema["properties"].get(name) {
            Some(schema) => faults(schema, value, &format!("{at}.{name}"), found),
            None => found.push(format!("{at}.{name} is not in the schema")),
        }
    }
}
