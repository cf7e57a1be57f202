//! Builds of the engine's own history, as attribution needs them.

use std::collections::HashSet;

use jiff::Timestamp;

use crate::buildkit::PastBuild;
use crate::dockerfile;
use crate::labels;
use crate::ownership::records::{Build, BuildStep, MountName, Owner, Product, StepEnd};
use crate::progress::{self, StepState};

/// The project that a build was for.
pub(super) fn project_of(build: &PastBuild) -> Option<&String> {
    build.frontend_attrs.get(&format!("label:{}", labels::PROJECT))
}

/// The build, for whoever it was.
pub(super) fn build(build: &PastBuild, project: &str) -> Build {
    let owner = match project_of(build) {
        Some(name) if name == project => Owner::Ours,
        Some(name) => Owner::Project(name.clone()),
        None => Owner::Unnamed,
    };
    let namespace = build.frontend_attrs.get("build-arg:BUILDKIT_CACHE_MOUNT_NS");
    let namespace = namespace.map_or("", String::as_str);
    let told: Vec<&progress::Step> = match owner {
        // What another build did for it at the same time may be somebody else's.
        Owner::Ours => build.trace.own_steps().collect(),
        Owner::Project(_) | Owner::Unnamed => build.trace.steps().collect(),
    };
    let mut steps: Vec<BuildStep> =
        told.into_iter().map(|step| of_trace(step, namespace)).collect();
    mark_result(&mut steps);
    let service = build.frontend_attrs.get(&format!("label:{}", labels::SERVICE));
    let failed =
        |step: &progress::Step| matches!(step.state(), StepState::Failed | StepState::Cancelled);
    let product = Product {
        service: service.cloned().unwrap_or_default(),
        stage: build.frontend_attrs.get("target").filter(|it| !it.is_empty()).cloned(),
        images: build.images.iter().cloned().collect(),
        is_complete: !build.trace.steps().any(failed),
    };
    let build_ref = Some(build.build_ref.clone());
    Build { build_ref, owner, product, is_current: false, steps: steps.into() }
}

fn of_trace(step: &progress::Step, namespace: &str) -> BuildStep {
    let mounts = dockerfile::cache_mounts(&step.label.instruction);
    let time = |nanoseconds| Timestamp::from_nanosecond(nanoseconds).ok();
    let end = match (step.counts_as_cached(), step.state()) {
        (Some(true), _) | (None, StepState::Cached) => StepEnd::Cached,
        (_, StepState::Done | StepState::Cached) => StepEnd::Ran,
        (_, StepState::Waiting | StepState::Running | StepState::Failed | StepState::Cancelled) => {
            StepEnd::Unfinished
        }
    };
    BuildStep {
        digest: step.id.clone(),
        name: step.name.clone(),
        end,
        intervals: step
            .intervals()
            .into_iter()
            .filter_map(|(start, end)| Some((time(start)?, time(end)?)))
            .collect(),
        inputs: step.inputs().map(str::to_owned).collect(),
        mounts: mounts
            .into_iter()
            .map(|mount| MountName {
                id: format!("{namespace}/{}", mount.id),
                target: mount.target,
            })
            .collect(),
        is_result: false,
    }
}

/// The result of a build is an instruction that no other one reads; exports read nothing.
pub(super) fn mark_result(steps: &mut [BuildStep]) {
    let read: HashSet<&String> = steps.iter().flat_map(|step| &step.inputs).collect();
    let is_result = |step: &BuildStep| {
        !read.contains(&step.digest) && progress::StepName::parse(&step.name).is_instruction()
    };
    let results: Vec<bool> = steps.iter().map(is_result).collect();
    for (step, is_result) in steps.iter_mut().zip(results) {
        step.is_result = is_result;
    }
}
