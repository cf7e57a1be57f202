//! The table of docs/design/architecture.md: which room may know which, and what of the outside.

/// A room, or a part of one, and what its sources may mention. The longest matching place counts for a file.
pub(crate) struct Room {
    /// A folder or file below `src`.
    pub(crate) place: &'static str,
    /// The rooms it may know besides itself.
    pub(crate) may: &'static [&'static str],
    /// What it must not reach for outside of the program.
    pub(crate) never: &'static [&'static [&'static str]],
}

/// Everything that makes a result depend on more than its arguments, or that talks to an engine or a terminal.
const PURE: &[&[&str]] = &[
    &["bollard"],
    &["bollard_buildkit_proto"],
    &["hyper"],
    &["hyper_util"],
    &["indicatif"],
    &["std", "env"],
    &["std", "process"],
    &["tokio"],
    &["tokio_util"],
    &["tonic"],
    &["Instant", "now"],
    &["SystemTime", "now"],
    &["Timestamp", "now"],
    &["Zoned", "now"],
];
/// Services talk to engines through `engine` and `buildkit`, and get the environment as a parameter.
const SERVICE: &[&[&str]] = &[
    &["bollard"],
    &["bollard_buildkit_proto"],
    &["hyper"],
    &["indicatif"],
    &["std", "env"],
    &["std", "process", "exit"],
    &["tonic"],
];
/// Clients of an engine may use every library but those that show something.
const CLIENT: &[&[&str]] = &[&["indicatif"], &["std", "env"], &["std", "process", "exit"]];
/// Views draw what they are given.
const VIEW: &[&[&str]] = &[
    &["bollard"],
    &["bollard_buildkit_proto"],
    &["hyper"],
    &["std", "env"],
    &["std", "process"],
    &["tokio"],
    &["tonic"],
];
/// Commands may do everything but end the process.
const COMMAND: &[&[&str]] = &[&["std", "process", "exit"]];

pub(crate) const ROOMS: &[Room] = &[
    Room { place: "attribution", may: &[], never: PURE },
    Room { place: "bench", may: &[], never: PURE },
    Room {
        place: "build",
        may: &["build_context", "buildkit", "compose", "dockerfile", "engine", "files", "progress"],
        never: SERVICE,
    },
    Room { place: "build/from_compose.rs", may: &["compose", "labels"], never: PURE },
    Room { place: "build/oci_layout.rs", may: &["buildkit"], never: PURE },
    Room { place: "build/overrides.rs", may: &["build_context", "compose"], never: PURE },
    Room { place: "build/plan.rs", may: &["progress"], never: PURE },
    Room { place: "build/request.rs", may: &["buildkit", "compose", "dockerfile"], never: PURE },
    Room { place: "build/spec.rs", may: &[], never: PURE },
    Room { place: "build/target.rs", may: &[], never: PURE },
    Room { place: "build_context", may: &["files"], never: PURE },
    Room {
        place: "buildkit",
        may: &["build_context", "dockerfile", "engine", "files", "measure", "progress"],
        never: CLIENT,
    },
    Room { place: "cli", may: &[], never: PURE },
    Room {
        place: "commands",
        may: &[
            "attribution",
            "bench",
            "build",
            "build_context",
            "buildkit",
            "cli",
            "compose",
            "dockerfile",
            "engine",
            "error",
            "files",
            "image_reference",
            "init",
            "labels",
            "ledger",
            "lock",
            "measure",
            "ownership",
            "progress",
            "prune",
            "redact",
            "report",
            "signal",
            "size",
            "stats",
            "ui",
        ],
        never: COMMAND,
    },
    Room { place: "compose", may: &["files"], never: PURE },
    Room { place: "dockerfile", may: &["files"], never: PURE },
    Room { place: "engine", may: &["error", "files", "redact"], never: CLIENT },
    Room { place: "error.rs", may: &[], never: PURE },
    Room { place: "files", may: &[], never: PURE },
    Room { place: "image_reference.rs", may: &[], never: PURE },
    Room { place: "init", may: &["dockerfile", "files"], never: PURE },
    Room { place: "labels.rs", may: &[], never: PURE },
    Room { place: "ledger", may: &["dockerfile", "files", "progress", "redact"], never: PURE },
    Room { place: "lib.rs", may: &["cli", "commands", "error", "signal", "ui"], never: &[] },
    Room { place: "lock", may: &["files"], never: PURE },
    Room { place: "main.rs", may: &[], never: &[] },
    Room { place: "measure", may: &["dockerfile", "engine"], never: PURE },
    Room {
        place: "ownership",
        may: &["attribution", "buildkit", "dockerfile", "engine", "labels", "ledger", "progress"],
        never: PURE,
    },
    Room {
        place: "ownership/gather.rs",
        may: &["attribution", "buildkit", "engine", "image_reference", "labels", "ledger"],
        never: SERVICE,
    },
    Room { place: "progress", may: &["dockerfile", "redact"], never: PURE },
    Room { place: "prune", may: &["attribution", "engine", "labels", "ownership"], never: PURE },
    Room { place: "prune/execute.rs", may: &["engine"], never: SERVICE },
    Room { place: "redact", may: &[], never: PURE },
    Room {
        place: "report",
        may: &[
            "bench",
            "build",
            "dockerfile",
            "error",
            "ledger",
            "progress",
            "prune",
            "stats",
            "ui",
        ],
        never: VIEW,
    },
    Room {
        place: "report/timeline",
        may: &["build", "dockerfile", "error", "ledger", "progress", "ui"],
        never: PURE,
    },
    Room { place: "signal.rs", may: &["error"], never: &[&["indicatif"], &["std", "env"]] },
    Room { place: "size.rs", may: &[], never: PURE },
    Room {
        place: "stats",
        may: &["dockerfile", "engine", "image_reference", "labels", "measure", "ownership", "size"],
        never: PURE,
    },
    Room { place: "ui", may: &["error", "redact"], never: &[&["bollard"], &["tonic"], &["hyper"]] },
];

/// Files that may need each other, with the reason.
pub(crate) const CIRCLES: &[&[&str]] = &[
    // Compose files that extend and include each other are loaded by functions that do.
    &["compose/document.rs", "compose/extends.rs", "compose/include.rs"],
    // To be cut when these rooms are rebuilt (docs/design/architecture.md).
    &["build/executor.rs", "build/failure.rs"],
    &["build/from_compose.rs", "build/overrides.rs"],
    &["build/request.rs", "build/stores.rs"],
    &["engine/api.rs", "engine/http.rs"],
];
