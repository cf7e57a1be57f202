//! What happens during a run, as plain data: BuildKit's statuses, the events services emit, and
//! the folding of statuses into steps. Knows neither the engine nor how anything is shown.

pub mod bounds;
pub mod estimate;
pub mod event;
pub mod lines;
pub mod outcome;
mod own;
pub mod place;
pub mod rate;
pub mod redaction;
pub mod run;
pub mod status;
pub mod step;
pub mod trace;
mod transferred;

pub use bounds::StatusBounds;
pub use event::{CancelReason, Event, TargetInfo};
pub use outcome::FailureKind;
pub use redaction::Redaction;
pub use run::{RunSummary, RunTrace, TargetSummary, TargetTrace};
pub use status::{
    ProgressGroup, SolveStatus, SourceInfo, SourcePosition, SourceRange, Vertex, VertexLog,
    VertexStatus, VertexWarning,
};
pub use step::{Step, StepName, StepState, imported_cache};
pub use trace::{Change, Counts, Trace};
pub use transferred::TransferProgress;
