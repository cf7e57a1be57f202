//! What a run will do, decided before it starts: which targets, in which order, what is the same.

use std::collections::HashMap;

use crate::build::target::Target;
use crate::progress::TargetInfo;

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
    /// Indexes of builds whose images it reads.
    pub after: Vec<usize>,
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

impl BuildPlan {
    /// Orders `targets` by their `target:` contexts and merges identical builds.
    ///
    /// # Errors
    /// An unknown target, or targets that need each other.
    pub fn new(targets: Vec<Target>) -> Result<Self, PlanError> {
        let mut plan = Self::default();
        let mut done: HashMap<String, usize> = HashMap::new();
        let by_name: HashMap<&str, &Target> =
            targets.iter().map(|target| (target.name.as_str(), target)).collect();
        for target in &targets {
            plan.add(target, &by_name, &mut done, &mut Vec::new())?;
        }
        Ok(plan)
    }

    fn add(
        &mut self,
        target: &Target,
        by_name: &HashMap<&str, &Target>,
        done: &mut HashMap<String, usize>,
        path: &mut Vec<String>,
    ) -> Result<usize, PlanError> {
        if let Some(&index) = done.get(&target.name) {
            return Ok(index);
        }
        if let Some(start) = path.iter().position(|name| *name == target.name) {
            let mut cycle = path[start..].to_vec();
            cycle.push(target.name.clone());
            return Err(PlanError::Cycle { cycle });
        }
        path.push(target.name.clone());
        let mut after = Vec::new();
        for needed in needs(target) {
            let needed_target = by_name.get(needed).ok_or_else(|| PlanError::UnknownTarget {
                target: target.name.clone(),
                needed: needed.to_owned(),
            })?;
            let index = self.add(needed_target, by_name, done, path)?;
            if !after.contains(&index) {
                after.push(index);
            }
        }
        path.pop();
        let index = match self.steps.iter().position(|step| same_build(&step.target, target)) {
            Some(index) => {
                let step = &mut self.steps[index];
                for tag in &target.tags {
                    if !step.target.tags.contains(tag) {
                        step.target.tags.push(tag.clone());
                    }
                }
                let info = TargetInfo { same_as: Some(step.target.name.clone()), ..info(target) };
                step.also_serves.push(info);
                index
            }
            None => {
                self.steps.push(PlannedBuild {
                    target: target.clone(),
                    also_serves: Vec::new(),
                    after,
                });
                self.steps.len() - 1
            }
        };
        done.insert(target.name.clone(), index);
        Ok(index)
    }

    /// Every target of the run, as reporters need it.
    pub fn targets(&self) -> Vec<TargetInfo> {
        self.steps
            .iter()
            .flat_map(|step| std::iter::once(info(&step.target)).chain(step.also_serves.clone()))
            .collect()
    }
}

fn needs(target: &Target) -> impl Iterator<Item = &str> {
    target.contexts.values().filter_map(|context| context.strip_prefix(TARGET_CONTEXT))
}

fn info(target: &Target) -> TargetInfo {
    TargetInfo { name: target.name.clone(), image: target.image.clone(), same_as: None }
}

/// Whether two targets differ in nothing but their names and tags.
fn same_build(one: &Target, other: &Target) -> bool {
    let strip = |target: &Target| Target {
        name: String::new(),
        service: String::new(),
        image: String::new(),
        tags: Vec::new(),
        ..target.clone()
    };
    strip(one) == strip(other)
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
