//! Events of a build run. Services emit them, reporters consume them.

use crate::build::outcome::TargetOutcome;
use crate::progress::SolveStatus;

/// One happening of a build run. Targets are named by their bake target name.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// The plan is known; nothing has started.
    Planned {
        /// Every target of the run in the order of the plan.
        targets: Vec<TargetInfo>,
    },
    /// A target's solve was sent to the engine.
    TargetStarted {
        /// Target name.
        target: String,
    },
    /// The engine reported progress of a target.
    Status {
        /// Target name.
        target: String,
        /// What changed.
        status: SolveStatus,
    },
    /// A target ended; nothing more follows for it.
    TargetFinished {
        /// Target name.
        target: String,
        /// How it ended.
        outcome: TargetOutcome,
    },
    /// The run is being stopped; running solves are being cancelled.
    Cancelling {
        /// Why.
        reason: CancelReason,
    },
    /// Something worth telling that stops nothing.
    Warning {
        /// One lowercase sentence.
        message: String,
    },
}

/// A target as reporters need it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TargetInfo {
    /// Target name.
    pub name: String,
    /// Reference of the service's image.
    pub image: String,
    /// Targets with an identical build that this one's result also serves.
    pub same_as: Option<String>,
}

/// Why a run stops before its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CancelReason {
    /// A target failed and `--keep-going` was not given.
    TargetFailed,
    /// Ctrl-C or SIGTERM.
    Interrupted,
    /// `--timeout` ran out.
    TimedOut,
}

/// What kind of failure ended a target or a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FailureKind {
    /// A step of the Dockerfile failed.
    Step,
    /// The Dockerfile (or its frontend options) is invalid.
    Dockerfile,
    /// A file named by COPY or ADD is not in the context, or could not be read.
    Context,
    /// A base image or cache could not be fetched from its registry.
    Registry,
    /// The engine ran out of disk.
    DiskFull,
    /// The engine went away.
    EngineLost,
    /// `--timeout` ran out.
    TimedOut,
    /// Anything else the engine refused.
    Engine,
}
