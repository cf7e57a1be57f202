//! Builds that the ledger remembers, as attribution takes them: all there is to know on engines
//! without a build history.

use std::collections::BTreeSet;

use jiff::Timestamp;

use super::builds::mark_result;
use super::project::familiar;
use crate::attribution::{Build, MountName, Owner, Step, StepEnd};
use crate::ledger::{Entry, StepEntry, StepResult, Store, TargetEntry};
use crate::prune::Project;

/// What the ledger has of builds of everybody on the engine `id`. What cannot be read is as if it
/// was not there.
pub(super) fn entries(store: &Store, id: &str) -> Vec<Entry> {
    // Entries of engines that did not tell their id in time could be of any engine.
    let Some(stored) = store.all_entries().ok().filter(|_| !id.is_empty()) else {
        return Vec::new();
    };
    let entries = stored.iter().filter_map(|build| build.read().ok());
    entries.filter(|entry| entry.engine.id == id).collect()
}

/// Adds what builds of the project made: images that its files no longer name, or have no name any more.
pub(in crate::commands) fn add_images(entries: &[Entry], project: &mut Project) {
    let own = entries.iter().filter(|entry| entry.project == project.name);
    for target in own.flat_map(|entry| &entry.targets) {
        if let Some(id) = &target.image_id {
            project.built_ids.insert(id.clone());
            project.built_as.insert(familiar(&target.image));
        }
    }
}

/// The builds, without those in `known`: one counted twice would explain uses that somebody else made.
pub(in crate::commands) fn builds(entries: &[Entry], project: &str, known: &[Build]) -> Vec<Build> {
    let seen: BTreeSet<(&str, Timestamp)> =
        known.iter().flat_map(|build| &build.steps).filter_map(start).collect();
    let mut builds = Vec::new();
    for entry in entries {
        for target in &entry.targets {
            let build = of_target(target, &entry.project, project);
            let mut starts = build.steps.iter().filter_map(start).peekable();
            // Nobody can say of a build without times whether it is known already.
            if starts.peek().is_some() && !starts.any(|start| seen.contains(&start)) {
                builds.push(build);
            }
        }
    }
    builds
}

fn start(step: &Step) -> Option<(&str, Timestamp)> {
    Some((step.digest.as_str(), step.intervals.first()?.0))
}

fn of_target(target: &TargetEntry, owner: &str, project: &str) -> Build {
    let owner = if owner == project { Owner::Ours } else { Owner::Project(owner.to_owned()) };
    let mut steps: Vec<Step> = target.steps.iter().map(of_step).collect();
    mark_result(&mut steps);
    Build { owner, steps }
}

fn of_step(step: &StepEntry) -> Step {
    Step {
        digest: step.digest.clone(),
        name: step.name.clone(),
        end: match step.result {
            StepResult::Cached => StepEnd::Cached,
            StepResult::Ran => StepEnd::Ran,
            StepResult::Failed | StepResult::Cancelled | StepResult::NotRun => StepEnd::Unfinished,
        },
        intervals: step.intervals.iter().map(|it| (it.started, it.completed)).collect(),
        inputs: step.inputs.clone(),
        mounts: step
            .cache_mounts
            .iter()
            .map(|mount| MountName { id: mount.engine_id.clone(), target: mount.target.clone() })
            .collect(),
        is_result: false,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::ledger::{Outcome, testing};

    #[test]
    fn a_build_counts_once_and_names_its_project() {
        let run = || testing::step("[1/1] RUN make", StepResult::Ran, 2.0);
        let entries = [testing::build(1, Outcome::Succeeded, vec![run()])];
        let ours = builds(&entries, "p", &[]);
        assert_eq!(ours.len(), 1);
        assert_eq!(ours[0].owner, Owner::Ours);
        assert!(builds(&entries, "p", &ours).is_empty());
        let theirs = builds(&entries, "other", &[]);
        assert_eq!(theirs[0].owner, Owner::Project("p".to_owned()));
    }

    #[test]
    fn images_are_those_of_the_projects_own_builds() {
        let mut entries = [testing::build(1, Outcome::Succeeded, Vec::new())];
        entries[0].targets[0].image_id = Some("sha256:a".to_owned());
        entries[0].targets[0].image = "p-api".to_owned();
        let project = |name: &str| {
            let mut project = Project { name: name.to_owned(), ..Project::default() };
            add_images(&entries, &mut project);
            project
        };
        assert_eq!(project("p").built_ids, BTreeSet::from(["sha256:a".to_owned()]));
        assert_eq!(project("p").built_as, BTreeSet::from(["p-api:latest".to_owned()]));
        assert_eq!(project("other").built_ids, BTreeSet::new());
    }
}
