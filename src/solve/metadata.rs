//! `--metadata-file`: what was built, in the JSON that `docker buildx bake` writes.

use std::collections::BTreeMap;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Map, Value};

use crate::progress::outcome::{BuiltImage, TargetOutcome};

/// The document for the built targets of a run. Exporter answers that are base64 JSON, such as
/// `containerimage.descriptor`, are decoded as bake does.
pub fn document(targets: &BTreeMap<String, TargetOutcome>) -> Value {
    let built = targets.iter().filter_map(|(name, outcome)| match outcome {
        TargetOutcome::Built(image) => Some((name.clone(), Value::Object(entry(image)))),
        TargetOutcome::Failed(_) | TargetOutcome::Cancelled => None,
    });
    Value::Object(built.collect())
}

fn entry(image: &BuiltImage) -> Map<String, Value> {
    image.exporter_response.iter().map(|(key, value)| (key.clone(), decode(value))).collect()
}

fn decode(value: &str) -> Value {
    STANDARD
        .decode(value)
        .ok()
        .and_then(|bytes| serde_json::from_slice::<Value>(&bytes).ok())
        .filter(|json| json.is_object() || json.is_array())
        .unwrap_or_else(|| Value::String(value.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_decoded() {
        let image = BuiltImage {
            exporter_response: BTreeMap::from([
                ("containerimage.descriptor".to_owned(), STANDARD.encode(r#"{"size":3}"#)),
                ("image.name".to_owned(), "p-api".to_owned()),
            ]),
            ..BuiltImage::default()
        };
        let targets = BTreeMap::from([
            ("api".to_owned(), TargetOutcome::Built(image)),
            ("worker".to_owned(), TargetOutcome::Cancelled),
        ]);
        insta::assert_snapshot!(document(&targets), @r#"{"api":{"containerimage.descriptor":{"size":3},"image.name":"p-api"}}"#);
    }
}
