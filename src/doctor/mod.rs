//! What is wrong, or will be, with the engine, its disk, its cache and what builds need of this machine.
//!
//! [`gather`] asks; [`diagnose`] is pure: facts in, findings out, each with a verdict, the reason and one thing to do.
//! `docs/design/doctor.md` has the rules.

mod dns;
mod finding;
mod gather;
mod rules;

use std::time::Duration;

use jiff::SignedDuration;
use serde::Serialize;

use crate::buildkit::{GcPolicy, Lookup};
use crate::engine::Machine;
use crate::inventory::EngineFacts;
use crate::sight::Disk;
use crate::usage::Loss;

pub use gather::{Sources, gather, helpers};
pub use rules::diagnose;

/// Everything that was found out.
#[derive(Debug, Clone)]
pub struct Facts {
    /// How the engine is reached, in words.
    pub address: String,
    /// The engine, or why it cannot be asked.
    pub engine: Option<Result<EngineState, Trouble>>,
    /// Builder that builds would go to, if that is not the engine: its description, or why it cannot be used.
    pub builder: Option<Result<String, Trouble>>,
    /// What of docker's configuration cannot be used.
    pub config_damage: Vec<String>,
    /// Credential helpers that docker's configuration names, and whether each is there.
    pub helpers: Vec<(String, bool)>,
    /// Registries of base images of the last build, by the engine's own attempt: with an image of it, and why it failed.
    pub registries: Vec<(String, Option<String>)>,
    /// Whether builds here are given a proxy.
    pub has_proxy: bool,
    /// Where builds are remembered, or why they cannot be.
    pub history: Result<String, String>,
}

/// Why something cannot be used, as an error would say it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Trouble {
    /// What.
    pub message: String,
    /// What the user can do.
    pub hint: Option<String>,
}

/// An engine that answers.
#[derive(Debug, Clone)]
pub struct EngineState {
    /// What it says of itself.
    pub facts: EngineFacts,
    /// Its machine.
    pub machine: Machine,
    /// How far its clock is from ours; positive: it is ahead.
    pub clock_ahead: Option<SignedDuration>,
    /// Its disk, where that can be seen from here.
    pub disk: Option<Disk>,
    /// BuildKit's release and rules of its garbage collection, or why it cannot be asked.
    pub buildkit: Result<BuildkitState, String>,
    /// What became of names that a step looked up, or why that cannot be found out; `None` where BuildKit does not answer.
    pub lookups: Option<Result<Vec<Lookup>, String>>,
    /// Bytes of its build cache, and of the cache mounts in it.
    pub cache: Option<(u64, u64)>,
    /// Cache mounts of the project here that garbage collection takes, and how long until then.
    pub losses: Vec<(Loss, SignedDuration)>,
}

/// BuildKit within an engine.
#[derive(Debug, Clone, Default)]
pub struct BuildkitState {
    /// Its release; `None` where it does not tell.
    pub version: Option<String>,
    /// Rules of the garbage collection; `None` where it does not tell, empty where there is none.
    pub policies: Option<Vec<GcPolicy>>,
}

/// How bad something is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// As it should be.
    Fine,
    /// Worth knowing.
    Note,
    /// It will cost time or space.
    Warning,
    /// Builds fail, or will.
    Problem,
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What: `engine`, `disk`, ...
    pub check: &'static str,
    /// How bad it is.
    pub verdict: Verdict,
    /// What was seen, and why that is good or bad.
    pub message: String,
    /// One thing to do.
    pub advice: Option<String>,
}

impl Default for Facts {
    fn default() -> Self {
        Self {
            address: String::new(),
            engine: None,
            builder: None,
            config_damage: Vec::new(),
            helpers: Vec::new(),
            registries: Vec::new(),
            has_proxy: false,
            history: Ok(String::new()),
        }
    }
}

/// How long a registry may take to answer the engine.
pub const REGISTRY_ANSWER: Duration = Duration::from_secs(10);
