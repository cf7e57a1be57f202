//! What a run will do, decided before it starts: which targets, in which order, what is the same.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use crate::error::{CommandError, ExitKind};
use crate::progress::TargetInfo;
use crate::targets::target::Target;

/// Prefix of a named context that is another target's result.
pub const TARGET_CONTEXT: &str = "target:";

/// The builds of a run. A step's dependencies always stand before it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct BuildPlan {
    /// Distinct builds.
    pub steps: Vec<PlannedBuild>,
}

/// One build, serving one or more targets.
#[derive(Debug, Clone, PartialEq)]
pub struct PlannedBuild {
    /// What to build; its tags are those of all the targets it serves.
    pub target: Target,
    /// Names of further targets with an identical build.
    pub also_serves: Vec<TargetInfo>,
    /// Indexes of builds whose images it reads, or whose parts it puts together.
    pub after: Vec<usize>,
    /// Which of the run's nodes builds it.
    pub node: usize,
    /// How much of the target it builds.
    pub role: Role,
}

/// How much of its target a build makes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Role {
    /// All of it.
    #[default]
    Whole,
    /// The platforms of one of several nodes.
    Part,
    /// What puts the parts together: nothing is built.
    Index,
}

/// A plan that cannot be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    /// A named context refers to a target that does not exist.
    #[error("target {target} uses target {needed} as a build context, which does not exist")]
    UnknownTarget {
        /// The target.
        target: String,
        /// The missing one.
        needed: String,
    },
    /// Targets need each other.
    #[error("targets need each other as build contexts: {}", .cycle.join(" -> "))]
    Cycle {
        /// Names of the targets, the first again at the end.
        cycle: Vec<String>,
    },
}

impl From<PlanError> for CommandError {
    fn from(error: PlanError) -> Self {
        Self::new(ExitKind::Invalid, error.to_string()).keeping(error)
    }
}

impl BuildPlan {
    /// Orders `targets` by their `target:` contexts and merges identical builds.
    ///
    /// # Errors
    /// An unknown target, or targets that need each other.
    pub fn new(targets: Vec<Target>) -> Result<Self, PlanError> {
        let mut plan = Self::default();
        let mut built_by: HashMap<&str, usize> = HashMap::new();
        let mut builds: HashMap<Target, usize> = HashMap::new();
        for target in needed_first(&targets)? {
            let index = match builds.entry(target.unnamed()) {
                Entry::Occupied(build) => {
                    plan.steps[*build.get()].serve(target);
                    *build.get()
                }
                Entry::Vacant(build) => {
                    let mut after: Vec<usize> = Vec::new();
                    for index in needs(target).map(|needed| built_by[needed]) {
                        if !after.contains(&index) {
                            after.push(index);
                        }
                    }
                    let also_serves = Vec::new();
                    plan.steps.push(PlannedBuild {
                        target: target.clone(),
                        also_serves,
                        after,
                        node: 0,
                        role: Role::Whole,
                    });
                    *build.insert(plan.steps.len() - 1)
                }
            };
            built_by.insert(&target.name, index);
        }
        Ok(plan)
    }

    /// The index of the build that makes each target, by the target's name.
    pub fn built_by(&self) -> HashMap<&str, usize> {
        let mut built_by = HashMap::new();
        for (index, step) in self.steps.iter().enumerate() {
            built_by.insert(step.target.name.as_str(), index);
            built_by.extend(step.also_serves.iter().map(|other| (other.name.as_str(), index)));
        }
        built_by
    }

    /// Every target of the run, as reporters need it.
    pub fn targets(&self) -> Vec<TargetInfo> {
        self.steps
            .iter()
            .flat_map(|step| std::iter::once(info(&step.target)).chain(step.also_serves.clone()))
            .collect()
    }
}

impl PlannedBuild {
    /// `target` is the same build: it gets the image, too.
    fn serve(&mut self, target: &Target) {
        for tag in &target.tags {
            if !self.target.tags.contains(tag) {
                self.target.tags.push(tag.clone());
            }
        }
        let same_as = Some(self.target.name.clone());
        self.also_serves.push(TargetInfo { same_as, ..info(target) });
    }
}

/// How far the search for an order has come with a target.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Mark {
    Unseen,
    OnPath,
    Placed,
}

/// The targets in an order in which each stands behind those it needs; else as they were given. Without recursion:
/// how long a chain is, a file says.
fn needed_first(targets: &[Target]) -> Result<Vec<&Target>, PlanError> {
    let by_name: HashMap<&str, usize> =
        targets.iter().enumerate().map(|(index, target)| (target.name.as_str(), index)).collect();
    let mut marks = vec![Mark::Unseen; targets.len()];
    let mut order = Vec::with_capacity(targets.len());
    for start in 0..targets.len() {
        if marks[start] == Mark::Placed {
            continue;
        }
        // From `start` down to the target at hand, each with those of its needs that are not looked at yet.
        let mut path = vec![(start, needs(&targets[start]))];
        marks[start] = Mark::OnPath;
        while let Some((index, unseen)) = path.last_mut() {
            let target = &targets[*index];
            let Some(needed) = unseen.next() else {
                marks[*index] = Mark::Placed;
                order.push(target);
                path.pop();
                continue;
            };
            let next = *by_name.get(needed).ok_or_else(|| PlanError::UnknownTarget {
                target: target.name.clone(),
                needed: needed.to_owned(),
            })?;
            match marks[next] {
                Mark::Placed => {}
                Mark::Unseen => {
                    marks[next] = Mark::OnPath;
                    path.push((next, needs(&targets[next])));
                }
                Mark::OnPath => {
                    let cycle = path.iter().map(|(index, _)| *index);
                    let cycle = cycle.skip_while(|index| *index != next).chain([next]);
                    let cycle = cycle.map(|index| targets[index].name.clone()).collect();
                    return Err(PlanError::Cycle { cycle });
                }
            }
        }
    }
    Ok(order)
}

fn needs(target: &Target) -> impl Iterator<Item = &str> {
    target.contexts.values().filter_map(|context| context.strip_prefix(TARGET_CONTEXT))
}

fn info(target: &Target) -> TargetInfo {
    TargetInfo { name: target.name.clone(), image: target.image.clone(), same_as: None }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::collections::BTreeMap;

    fn target(name: &str, needs: &[&str]) -> Target {
        let contexts: BTreeMap<String, String> =
            needs.iter().map(|need| ((*need).to_owned(), format!("target:{need}"))).collect();
        Target {
            name: name.to_owned(),
            image: format!("p-{name}"),
            tags: vec![format!("p-{name}")],
            args: BTreeMap::from([("NAME".to_owned(), name.to_owned())]),
            contexts,
            ..Target::default()
        }
    }

    #[test]
    fn needed_targets_come_first() {
        let plan = BuildPlan::new(vec![
            target("app", &["base", "tools"]),
            target("tools", &["base"]),
            target("base", &[]),
        ])
        .unwrap();
        let order: Vec<(&str, &[usize])> = plan
            .steps
            .iter()
            .map(|step| (step.target.name.as_str(), step.after.as_slice()))
            .collect();
        assert_eq!(order, [("base", &[][..]), ("tools", &[0][..]), ("app", &[0, 1][..])]);
    }

    #[test]
    fn a_cycle_is_named() {
        let error = BuildPlan::new(vec![target("a", &["b"]), target("b", &["a"])]).unwrap_err();
        assert_eq!(error.to_string(), "targets need each other as build contexts: a -> b -> a");
    }

    #[test]
    fn a_cycle_is_named_without_what_leads_to_it() {
        let targets = vec![target("a", &["b"]), target("b", &["c"]), target("c", &["b"])];
        let error = BuildPlan::new(targets).unwrap_err();
        assert_eq!(error.to_string(), "targets need each other as build contexts: b -> c -> b");
        let error = BuildPlan::new(vec![target("a", &["a"])]).unwrap_err();
        assert_eq!(error.to_string(), "targets need each other as build contexts: a -> a");
    }

    #[test]
    fn a_chain_may_be_long() {
        let name = |number: usize| format!("t{number}");
        let mut targets: Vec<Target> =
            (0..20_000).map(|number| target(&name(number), &[&name(number + 1)])).collect();
        targets.push(target(&name(20_000), &[]));
        let plan = BuildPlan::new(targets).unwrap();
        assert_eq!(plan.steps[0].target.name, name(20_000));
        assert_eq!(plan.steps[20_000].after, [19_999]);
    }

    #[test]
    fn an_unknown_target_is_named() {
        let error = BuildPlan::new(vec![target("a", &["nobody"])]).unwrap_err();
        assert!(error.to_string().contains("nobody"));
    }

    #[test]
    fn identical_builds_run_once_with_all_tags() {
        let one = target("one", &[]);
        let two = Target {
            name: "two".into(),
            tags: vec!["p-two".into()],
            image: "p-two".into(),
            ..one.clone()
        };
        let plan = BuildPlan::new(vec![one, two]).unwrap();
        assert_eq!(plan.steps.len(), 1);
        assert_eq!(plan.steps[0].target.tags, ["p-one", "p-two"]);
        assert_eq!(plan.targets()[1].same_as.as_deref(), Some("one"));
    }
}
