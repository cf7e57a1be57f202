//! Targets as the bake file that `docker compose build --print` writes.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::targets::target::{Target, TargetSet};

/// The JSON of `docker compose build --print`; empty when there is nothing to build.
pub fn print_json(set: &TargetSet) -> String {
    #[derive(Serialize)]
    struct Group<'a> {
        targets: &'a [String],
    }
    #[derive(Serialize)]
    struct File<'a> {
        group: BTreeMap<&'a str, Group<'a>>,
        target: BTreeMap<&'a str, &'a Target>,
    }
    if set.group.is_empty() {
        return String::new();
    }
    let file = File {
        group: BTreeMap::from([("default", Group { targets: &set.group })]),
        target: set.targets.iter().map(|target| (target.name.as_str(), target)).collect(),
    };
    serde_json::to_string_pretty(&file).unwrap_or_default()
}
