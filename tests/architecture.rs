//! Who may know whom: the table of docs/design/architecture.md, checked on the sources.
#![allow(clippy::unwrap_used)]

use std::path::{Path, PathBuf};

/// A room and what its sources must not mention.
struct Rule {
    room: &'static str,
    never: &'static [&'static str],
}

/// Crates and calls that reach outside the program.
const OUTSIDE: &[&str] = &[
    "tokio::",
    "bollard",
    "tonic",
    "hyper",
    "indicatif",
    "std::env",
    "SystemTime",
    "Instant::now",
    "Timestamp::now",
];

const RULES: &[Rule] = &[
    Rule {
        room: "cli",
        never: &[
            "crate::build::",
            "crate::buildkit",
            "crate::compose",
            "crate::engine",
            "crate::progress",
            "crate::report",
            "crate::ui",
        ],
    },
    Rule { room: "attribution", never: OUTSIDE },
    Rule { room: "bench", never: OUTSIDE },
    Rule {
        room: "bench",
        never: &["crate::engine", "crate::buildkit", "crate::report", "crate::ui"],
    },
    Rule { room: "prune/model.rs", never: OUTSIDE },
    Rule { room: "prune/plan.rs", never: OUTSIDE },
    Rule { room: "prune/select.rs", never: OUTSIDE },
    Rule { room: "prune/space.rs", never: OUTSIDE },
    Rule {
        room: "prune",
        never: &["bollard", "hyper", "crate::report", "crate::cli", "crate::ui", "std::env"],
    },
    Rule { room: "compose", never: OUTSIDE },
    Rule { room: "init", never: OUTSIDE },
    Rule { room: "dockerfile", never: OUTSIDE },
    Rule { room: "stats", never: OUTSIDE },
    Rule { room: "stats", never: &["crate::report", "crate::ui", "crate::cli", "crate::buildkit"] },
    Rule { room: "build_context", never: OUTSIDE },
    Rule { room: "progress", never: OUTSIDE },
    Rule { room: "lock", never: OUTSIDE },
    Rule { room: "ledger", never: OUTSIDE },
    Rule {
        room: "ledger",
        never: &["crate::engine", "crate::buildkit", "crate::report", "crate::ui", "crate::cli"],
    },
    Rule { room: "redact.rs", never: OUTSIDE },
    Rule { room: "build/plan.rs", never: OUTSIDE },
    Rule { room: "build/oci_layout.rs", never: OUTSIDE },
    Rule { room: "build/request.rs", never: OUTSIDE },
    Rule { room: "build/target.rs", never: OUTSIDE },
    Rule {
        room: "build",
        never: &[
            "bollard",
            "tonic",
            "hyper",
            "indicatif",
            "crate::report",
            "crate::cli",
            "crate::ui",
            "std::env",
        ],
    },
    Rule { room: "engine", never: &["crate::report", "crate::ui", "crate::cli", "std::env"] },
    Rule { room: "buildkit", never: &["crate::report", "crate::ui", "crate::cli", "std::env"] },
    Rule {
        room: "report",
        never: &["crate::engine", "crate::buildkit", "crate::cli", "bollard", "tonic", "std::env"],
    },
    Rule { room: "report/timeline", never: OUTSIDE },
    Rule {
        room: "ui",
        never: &["crate::engine", "crate::buildkit", "crate::cli", "bollard", "tonic"],
    },
];

fn sources(path: &Path) -> Vec<PathBuf> {
    if path.is_file() {
        return vec![path.to_owned()];
    }
    let mut files: Vec<PathBuf> = std::fs::read_dir(path)
        .unwrap()
        .flat_map(|entry| sources(&entry.unwrap().path()))
        .filter(|file| file.extension().is_some_and(|extension| extension == "rs"))
        .collect();
    files.sort();
    files
}

/// The code of a file without comments and without its tests, which may use anything.
fn code(path: &Path) -> String {
    let text = std::fs::read_to_string(path).unwrap();
    let text = text.split("#[cfg(test)]").next().unwrap().to_owned();
    text.lines().map(|line| line.split("//").next().unwrap()).collect::<Vec<_>>().join("\n")
}

#[test]
fn rooms_know_only_what_they_may() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut offences = Vec::new();
    for rule in RULES {
        for file in sources(&root.join(rule.room)) {
            let code = code(&file);
            for word in rule.never {
                if code.contains(word) {
                    offences.push(format!(
                        "{} mentions {word}",
                        file.strip_prefix(&root).unwrap().display()
                    ));
                }
            }
        }
    }
    assert!(offences.is_empty(), "{}", offences.join("\n"));
}

#[test]
fn every_module_says_what_it_is() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let silent: Vec<_> = sources(&root)
        .into_iter()
        .filter(|file| !std::fs::read_to_string(file).unwrap().starts_with("//!"))
        .collect();
    assert!(silent.is_empty(), "modules without a first line of documentation: {silent:?}");
}

#[test]
fn only_ui_prints() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let offences: Vec<_> = sources(&root)
        .into_iter()
        .filter(|file| !file.starts_with(root.join("ui")))
        .filter(|file| {
            let code = code(file);
            ["println!", "eprintln!", "print!(", "stdout()", "stderr()"]
                .iter()
                .any(|word| code.contains(word))
        })
        .collect();
    assert!(offences.is_empty(), "these print: {offences:?}");
}
