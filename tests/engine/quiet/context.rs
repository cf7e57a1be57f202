//! What of a build context travels. While an engine counts its cache for anybody, the files that it has of a context are in
//! use, and a build sends them all again.

use std::collections::BTreeMap;

use crate::support::{BUSYBOX, Chance, Project, on_every_engine, text};

/// Bytes of the main context that went to the engine, by the statuses of a build.
fn sent(project: &Project) -> u64 {
    let output = project.command(&["--progress", "rawjson", "build"]).output().unwrap();
    assert!(output.status.success(), "{}: {}", project.engine().name, text(&output));
    let mut steps: BTreeMap<String, u64> = BTreeMap::new();
    for line in String::from_utf8(output.stderr).unwrap().lines() {
        let status: serde_json::Value = serde_json::from_str(line).unwrap();
        for status in status["statuses"].as_array().into_iter().flatten() {
            if status["id"] == "transferring context:" {
                let step = steps.entry(status["vertex"].as_str().unwrap().to_owned()).or_default();
                *step = (*step).max(status["current"].as_u64().unwrap_or_default());
            }
        }
    }
    steps.values().sum()
}

/// Targets that share a context and declare different secrets do not share a session; where the engine takes a
/// directory from another session than the solve's, it still travels once.
#[test]
fn a_context_of_targets_with_different_secrets_travels_once_where_it_can() {
    const SIZE: u64 = 8 << 20;
    on_every_engine(|engine| {
        let project = Project::new(engine);
        let mut chance = Chance(u64::from(std::process::id()));
        let bytes: Vec<u8> = (0..SIZE / 8).flat_map(|_| chance.next().to_le_bytes()).collect();
        project
            .write("Dockerfile", format!("FROM {BUSYBOX}\nCOPY large /\n"))
            .write("large", bytes)
            .write("tok", "the-token")
            .write(
                "compose.yaml",
                "services:\n  a: {build: {context: ., secrets: [tok]}}\n  b: {build: .}\n  c: {build: .}\n\
                 secrets: {tok: {file: ./tok}}\n",
            );
        let first = sent(&project);
        let times = if engine.name.starts_with("28.5") { 1 } else { 2 };
        assert!(first > SIZE && first < times * SIZE + SIZE / 2, "{}: {first}", engine.name);
        // What the engine has it keeps, for each of the sessions.
        let again = sent(&project);
        assert!(again < SIZE / 8, "{}: {again}", engine.name);
    });
}
