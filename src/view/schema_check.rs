//! Whether a document is what its schema in `docs/` says (JSON Schema 2020-12, formats included). For tests.
#![allow(clippy::unwrap_used)]

use boon::{Compiler, Schemas};
use serde_json::Value;

/// Returns what the schema does not allow of a document, with the places; `None` where it allows all of it.
pub(super) fn faults(schema: &str, document: &str) -> Option<String> {
    let (mut schemas, mut compiler) = (Schemas::new(), Compiler::new());
    compiler.enable_format_assertions();
    compiler.add_resource("urn:schema", serde_json::from_str(schema).unwrap()).unwrap();
    let schema = compiler.compile("urn:schema", &mut schemas).unwrap();
    let document: Value = serde_json::from_str(document).unwrap();
    schemas.validate(&document, schema).err().map(|error| format!("{error:#}"))
}

#[test]
fn what_a_schema_does_not_allow_is_found() {
    let schema = include_str!("../../docs/history.schema.json");
    let build = r#"{"id": "a", "started": "2026-11-24T10:00:00Z", "outcome": "failed", "seconds": 1.5, "cached": 0, "steps": 2, "targets": []}"#;
    let document =
        format!(r#"{{"schema": "doc2md-docker/history/v1", "project": "p", "builds": [{build}]}}"#);
    assert_eq!(faults(schema, &document), None);
    for (right, wrong) in [
        ("history/v1", "history/v2"),
        (r#""project": "p", "#, ""),
        (r#""project""#, r#""more": 1, "project""#),
        (r#""a""#, "1"),
        ("10:00:00Z", "10:00:00+01:00"),
        ("2026-11-24T10:00:00Z", "yesterday, Z"),
        ("failed", "lost"),
        ("1.5", "null"),
        (r#""cached": 0"#, r#""cached": -1"#),
        (r#""steps": 2"#, r#""steps": 2.5"#),
        ("[]", "[{}]"),
    ] {
        let wrong = document.replace(right, wrong);
        assert!(wrong != document && faults(schema, &wrong).is_some(), "{wrong}");
    }
}
