//! What an engine's error text means: a kind, a message without transport prefixes, a hint.
//!
//! Pure: texts in, plain values out. The wordings are those of BuildKit in Engine 20.10, 26.1 and
//! 28.5; 20.10 sends nothing but text, so the text is what decides: by the rules of `rules.rs` and `registry.rs`, which
//! are the place for a new message. What a rule is about is looked up in the Dockerfile and asked of this side's
//! [`Facts`] in `explain.rs`.

mod disk;
mod explain;
mod facts;
mod given;
mod output;
mod pattern;
mod registry;
mod rules;

pub use disk::{FREE_SPACE, says_full};
pub use explain::{Dockerfile, EngineFailure, FailureReport, explain};
pub use facts::{Facts, LongIgnoreFile, Supply};
pub use output::OutputHints;

use crate::progress::FailureKind;

/// What a message says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnosis {
    /// Kind of failure.
    pub kind: FailureKind,
    /// The message for the user: lowercase, one line unless the engine's own has more.
    pub message: String,
    /// What the user could do.
    pub hint: Option<String>,
    /// The object that the message is about.
    pub subject: Option<Subject>,
}

/// What a message points at, in a Dockerfile or beside it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Subject {
    /// A path of COPY or ADD that is not in the context, without the leading slash.
    Path(String),
    /// A path of COPY --from that is not in the other stage or image.
    StagePath(String),
    /// A stage that does not exist.
    Stage(String),
    /// A line of the Dockerfile, and the word at fault where it is known.
    Line(usize, Option<String>),
    /// The first line that is longer than BuildKit reads.
    LongLine,
    /// What the engine asks for files with: the patterns of the ignore file and the paths of COPY and ADD.
    IgnoreFile,
    /// The name of a file that is not UTF-8.
    NameNotUtf8,
    /// A build context that the engine has to fetch.
    RemoteContext,
    /// Something on this machine, and nothing in the Dockerfile.
    ThisMachine,
}

impl Diagnosis {
    fn new(kind: FailureKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), hint: None, subject: None }
    }

    /// What is made of a message that nothing is known about.
    fn unknown(message: &str) -> Self {
        Self::new(FailureKind::Engine, clean(message))
    }

    fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

/// Reads an engine's message.
pub fn classify(message: &str) -> Diagnosis {
    let text = clean(message);
    disk::classify(text)
        .or_else(|| rules::apply(rules::EXACT, text, &[]))
        .or_else(|| registry::classify(message, text))
        .or_else(|| rules::apply(rules::GENERAL, text, &[]))
        .unwrap_or_else(|| Diagnosis::unknown(message))
}

/// Prefixes that name layers of BuildKit and gRPC, not causes.
const PREFIXES: [&str; 9] = [
    "failed to build: ",
    "failed to solve: ",
    "failed to solve with frontend dockerfile.v0: ",
    "failed to solve with frontend gateway.v0: ",
    "failed to create LLB definition: ",
    "failed to load cache key: ",
    "failed to compute cache key: ",
    "failed to load LLB: ",
    "error from receiver: ",
];

fn clean(message: &str) -> &str {
    let mut text = message.trim();
    loop {
        let shorter = PREFIXES.iter().find_map(|prefix| text.strip_prefix(prefix)).or_else(|| {
            // rpc error: code = Unknown desc = ...
            text.strip_prefix("rpc error: code = ")?.split_once(" desc = ").map(|(_, rest)| rest)
        });
        match shorter {
            Some(shorter) => text = shorter.trim_start(),
            None => return text,
        }
    }
}

/// What the engine said of a RUN that failed, without what the command says of itself.
fn outcome_of_command(text: &str) -> Option<String> {
    let signs = [
        "process \"{command}\" did not complete successfully: {outcome}",
        "executor failed running [{command}]: {outcome}",
    ];
    let slots = signs.iter().find_map(|sign| pattern::read(sign, text))?;
    slots.get("outcome").map(str::to_owned)
}

/// Whether the export failed because something else was done on the engine at that moment, so that it may succeed the next.
///
/// The engine's garbage collection removed a layer of the image just before it was used: on the containerd store the old image
/// of a name gives up its layers before those of the new one are held (BuildKit `exporter/containerimage`: the name moves, then
/// it is unpacked), and any `docker image rm` collects in between; `docker build` fails the same way, in 2 of 60 builds beside
/// a loop of removals on 28.5.2. Or another build gave the image its name between the look for it and its making.
pub fn lost_a_race(message: &str) -> bool {
    let signs = [
        "*failed to prepare extraction snapshot*does not exist: not found*",
        "*image \"{name}\": already exists",
    ];
    signs.iter().any(|sign| pattern::read(sign, message).is_some())
}

/// What it means that a cache cannot be read since BuildKit does not know its type, in the words of this program.
pub fn unknown_cache(message: &str) -> Option<String> {
    let slots = pattern::read("unknown cache importer: {kind}", message)?;
    let kind = slots.get("kind")?;
    Some(format!("the BuildKit of this build cannot read caches of type {kind}"))
}

const LOST: &str = "the connection to the engine was lost during the build";
const AFTER_LOST: &str =
    "check that the engine is running, then build again: finished steps are cached";

/// The diagnosis for a connection that ended in mid-build, however that showed.
pub fn lost() -> Diagnosis {
    Diagnosis::new(FailureKind::EngineLost, LOST).hint(AFTER_LOST)
}

#[cfg(test)]
mod tests;
