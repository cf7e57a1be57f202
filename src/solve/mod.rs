//! Targets to finished images: the plan and the requests (plain values), then sessions, the executor and its outcomes.

pub mod arguments;
pub mod cache_services;
mod compression;
pub mod dockerfile_source;
pub mod engine_fit;
pub mod executor;
pub mod facts;
mod failure;
pub mod findings;
mod finishing;
pub mod graphs;
mod image_index;
pub mod job;
pub mod layer_cache;
mod loading;
pub mod metadata;
pub mod names;
mod node_fit;
pub mod oci_layout;
pub mod opening;
pub mod parts;
pub mod plan;
pub mod prepare;
pub mod request;
pub mod secrets;
pub mod sessions;
pub mod site;
mod solving;
pub mod sources;
mod starting;
pub mod stores;
mod telling;

pub use telling::{LOADING, RECEIVING};

use crate::error::CommandError;
use crate::targets::{Target, TargetSet, as_buildx};
use plan::BuildPlan;

/// What `set` builds: its targets as `buildx bake` completes them. `epoch` is SOURCE_DATE_EPOCH.
pub fn targets(set: &TargetSet, epoch: Option<&str>) -> Vec<Target> {
    let mut targets = set.to_build();
    as_buildx::complete(&mut targets, epoch);
    targets
}

/// The plan of what `set` builds, once everything it reads from this machine is known to be there.
///
/// # Errors
/// A key that cannot be honoured, targets that wait for each other, a missing context or Dockerfile.
pub fn checked_plan(set: &TargetSet, epoch: Option<&str>) -> Result<BuildPlan, CommandError> {
    if let Some(error) = set.unsupported.first() {
        return Err(error.clone().into());
    }
    let plan = BuildPlan::new(targets(set, epoch))?;
    for step in &plan.steps {
        sources::check(&step.target)?;
    }
    Ok(plan)
}
