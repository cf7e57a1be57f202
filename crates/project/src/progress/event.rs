//! Events of a build run. Services emit them, reporters consume them.

use crate::progress::SolveStatus;
use crate::progress::outcome::TargetOutcome;

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
        /// Why it is being stopped.
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
