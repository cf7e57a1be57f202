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
/// What the surroundings tell is read without an engine and shown by others.
const SURROUNDINGS: &[&[&str]] =
    &[&["bollard"], &["hyper"], &["indicatif"], &["std", "process"], &["tokio"], &["tonic"]];
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
    Room {
        place: "app",
        may: &[
            "cli",
            "compose",
            "engine",
            "environment",
            "error",
            "signal",
            "targets",
            "terminal",
            "view",
        ],
        never: SERVICE,
    },
    Room { place: "bench", may: &[], never: PURE },
    Room { place: "build_context", may: &["files"], never: PURE },
    Room {
        place: "buildkit",
        may: &["build_context", "dockerfile", "engine", "files", "measure", "progress"],
        never: CLIENT,
    },
    Room { place: "clean", may: &["engine", "inventory", "labels", "ownership"], never: PURE },
    Room { place: "clean/execute.rs", may: &["engine", "inventory"], never: SERVICE },
    Room { place: "cli", may: &[], never: PURE },
    Room {
        place: "commands",
        may: &[
            "app",
            "bench",
            "build_context",
            "buildkit",
            "clean",
            "cli",
            "compose",
            "diagnose",
            "dockerfile",
            "engine",
            "environment",
            "error",
            "explain",
            "files",
            "history",
            "image_reference",
            "init",
            "inventory",
            "labels",
            "lock",
            "measure",
            "ownership",
            "progress",
            "redact",
            "signal",
            "size",
            "solve",
            "targets",
            "terminal",
            "unreachable",
            "usage",
            "view",
        ],
        never: COMMAND,
    },
    Room { place: "compose", may: &["files"], never: PURE },
    Room { place: "diagnose", may: &["buildkit", "dockerfile", "progress"], never: PURE },
    Room { place: "dockerfile", may: &["files"], never: PURE },
    Room { place: "engine", may: &["error", "files", "inventory", "redact"], never: CLIENT },
    // It is where the environment is read.
    Room { place: "environment.rs", may: &["error"], never: SURROUNDINGS },
    Room { place: "error.rs", may: &[], never: PURE },
    Room { place: "explain", may: &["history", "progress"], never: PURE },
    Room { place: "files", may: &[], never: PURE },
    Room { place: "history", may: &["dockerfile", "files", "progress", "redact"], never: PURE },
    Room { place: "image_reference.rs", may: &[], never: PURE },
    Room { place: "init", may: &["dockerfile", "files"], never: PURE },
    Room { place: "inventory.rs", may: &[], never: PURE },
    Room { place: "labels.rs", may: &[], never: PURE },
    Room {
        place: "lib.rs",
        may: &["app", "cli", "commands", "environment", "error", "signal", "terminal"],
        never: &[],
    },
    Room { place: "lock", may: &["files"], never: PURE },
    Room { place: "main.rs", may: &[], never: &[] },
    Room { place: "measure", may: &["dockerfile", "engine", "inventory"], never: PURE },
    Room {
        place: "ownership",
        may: &["buildkit", "dockerfile", "engine", "history", "inventory", "labels", "progress"],
        never: PURE,
    },
    Room {
        place: "ownership/gather.rs",
        may: &["buildkit", "engine", "history", "image_reference", "inventory", "labels"],
        never: SERVICE,
    },
    Room { place: "ownership/records", may: &[], never: PURE },
    Room { place: "progress", may: &["dockerfile", "redact"], never: PURE },
    Room { place: "redact", may: &[], never: PURE },
    Room { place: "signal.rs", may: &["error"], never: &[&["indicatif"], &["std", "env"]] },
    Room { place: "size.rs", may: &[], never: PURE },
    Room {
        place: "solve",
        may: &[
            "build_context",
            "buildkit",
            "diagnose",
            "dockerfile",
            "engine",
            "files",
            "progress",
            "targets",
        ],
        never: SERVICE,
    },
    Room { place: "solve/oci_layout.rs", may: &["buildkit"], never: PURE },
    Room { place: "solve/plan.rs", may: &["progress", "targets"], never: PURE },
    Room {
        place: "solve/request",
        may: &["buildkit", "compose", "dockerfile", "targets"],
        never: PURE,
    },
    Room { place: "targets", may: &["build_context", "compose", "labels"], never: PURE },
    Room {
        place: "terminal",
        may: &["error", "redact"],
        never: &[&["bollard"], &["tonic"], &["hyper"]],
    },
    Room {
        place: "unreachable.rs",
        may: &["diagnose", "engine", "error", "terminal"],
        never: PURE,
    },
    Room {
        place: "usage",
        may: &[
            "dockerfile",
            "image_reference",
            "inventory",
            "labels",
            "measure",
            "ownership",
            "size",
        ],
        never: PURE,
    },
    Room {
        place: "view",
        may: &[
            "bench",
            "clean",
            "dockerfile",
            "error",
            "explain",
            "history",
            "image_reference",
            "lock",
            "progress",
            "targets",
            "terminal",
            "usage",
        ],
        never: VIEW,
    },
    Room {
        place: "view/timeline",
        may: &["dockerfile", "error", "history", "progress", "terminal"],
        never: PURE,
    },
];
