//! What a run is remembered and estimated by: facts of its targets, and which of them may run at the same time.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;

use crate::history::record::{TargetFacts, options};
use crate::progress::estimate::Schedule;
use crate::solve::executor::RunSettings;
use crate::solve::job::Job;
use crate::solve::plan::BuildPlan;
use crate::solve::sessions;

/// What is known of the targets of `plan` besides their progress, by name.
pub fn targets(plan: &BuildPlan, jobs: &[Job]) -> BTreeMap<String, TargetFacts> {
    let mut facts = BTreeMap::new();
    for (step, job) in plan.steps.iter().zip(jobs) {
        let target = &step.target;
        let of_step = TargetFacts {
            service: target.service.clone(),
            build_ref: Some(job.options.build_ref.clone()),
            sessions: sessions::of_directories(&job.options),
            dockerfile: job.dockerfile.clone(),
            context: target.context.clone(),
            stage: target.target.clone(),
            platforms: target.platforms.clone(),
            args: target.args.clone(),
            no_cache: target.no_cache || !target.no_cache_filter.is_empty(),
            images: BTreeMap::new(),
            layers: BTreeMap::new(),
            contexts: target.contexts.clone(),
            options: options(&job.options.frontend_attrs),
            files: BTreeMap::new(),
            resources: BTreeMap::new(),
            ignored: None,
        };
        for other in &step.also_serves {
            let service = other.name.clone();
            let of_other = TargetFacts {
                service,
                build_ref: None,
                sessions: BTreeMap::new(),
                ..of_step.clone()
            };
            facts.insert(other.name.clone(), of_other);
        }
        facts.insert(target.name.clone(), of_step);
    }
    facts
}

/// What may run at the same time.
pub fn schedule(plan: &BuildPlan, settings: &RunSettings) -> Schedule {
    let name = |index: &usize| plan.steps[*index].target.name.clone();
    let after = plan.steps.iter().filter(|step| !step.after.is_empty());
    let after: BTreeMap<_, _> = after
        .map(|step| (step.target.name.clone(), step.after.iter().map(name).collect()))
        .collect();
    Schedule { parallel: settings.parallel.map(NonZeroUsize::get), after }
}
