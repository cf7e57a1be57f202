//! What happens during a run, as plain data: BuildKit's statuses, the events services emit, and
//! the folding of statuses into steps. Knows neither the engine nor how anything is shown.

pub mod event;
pub mod status;

pub use event::{CancelReason, Event, FailureKind, TargetInfo};
pub use status::{SolveStatus, Vertex, VertexLog, VertexStatus, VertexWarning};
