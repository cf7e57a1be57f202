//! What steps took of their machine: asked for when a run has ended, of builds whose engine took samples.

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::{StreamExt as _, stream};

use crate::buildkit::Control;
use crate::history::Resources;
use crate::history::record::TargetFacts;
use crate::progress::outcome::TargetOutcome;
use crate::progress::{RunTrace, StepState, TargetTrace};
use crate::recorded;

/// Builds that are asked for at a time.
const AT_ONCE: usize = 4;
/// No build waits longer for its figures.
const PATIENCE: Duration = Duration::from_millis(500);

/// Adds to `facts` what the steps of each target used. What is not known in time is left out.
pub(super) async fn add(
    control: &Control,
    trace: &RunTrace,
    facts: &mut BTreeMap<String, TargetFacts>,
) {
    let ran = trace.targets().filter(|target| has_run(target));
    let builds: Vec<(String, String)> = ran
        .filter_map(|target| {
            let name = &target.info.name;
            Some((name.clone(), facts.get(name)?.build_ref.clone()?))
        })
        .collect();
    let asked = builds
        .into_iter()
        .map(|(name, build_ref)| async move { (name, of_build(control, &build_ref).await) });
    let used = stream::iter(asked).buffer_unordered(AT_ONCE).collect::<Vec<_>>();
    for (name, used) in tokio::time::timeout(PATIENCE, used).await.unwrap_or_default() {
        facts.entry(name).and_modify(|it| it.resources = used);
    }
}

/// Whether a process of it ran to its end: of others, and of builds that failed, the engine keeps no samples.
fn has_run(target: &TargetTrace) -> bool {
    let ran = |state| state == StepState::Done;
    matches!(target.outcome, Some(TargetOutcome::Built(_)))
        && target.trace.own_steps().any(|step| step.label.is_run() && ran(step.state()))
}

async fn of_build(control: &Control, build_ref: &str) -> BTreeMap<String, Resources> {
    let Ok(Some(builds)) = control.recorded_builds(build_ref).await else {
        return BTreeMap::new();
    };
    let mut used = BTreeMap::new();
    for build in builds.iter().filter(|build| build.build_ref == build_ref) {
        let documents = control.provenances(build).await;
        used.extend(documents.iter().flat_map(|document| recorded::resources(document)));
    }
    used
}
