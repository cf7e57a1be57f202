//! What would run, if a build were made now: its steps as they are announced, and the builds before it.

use std::cell::LazyCell;
use std::collections::{BTreeSet, HashSet};

use super::before::Digests;
use super::cause::{Cause, Reason};
use super::causes::follows;
use super::chain::Chain;
use super::earlier::Earlier;
use super::{Explanation, Step, Target, recall, step};
use crate::history::{Entry, StepEntry, TargetEntry};
use crate::progress::StepName;

/// Builds in which a step is looked for among other targets, of which there may be many.
const BUILDS_OF_OTHERS: usize = 10;

/// What is known of a build that has not been made, besides its steps.
pub struct Premises<'a> {
    /// By the digest of a step those that it had in the sessions of an earlier build.
    pub digests: &'a dyn Fn(&Entry) -> Digests,
    /// Digests of steps that are not to come from the cache.
    pub uncached: HashSet<String>,
    /// Whether the engine still has what a run of a step made, as far as it tells.
    pub is_kept: &'a dyn Fn(&StepEntry) -> bool,
    /// Whether the engine may have what such a step makes from another run than those that are given.
    pub is_made_elsewhere: &'a dyn Fn(&StepEntry, &[&StepEntry]) -> bool,
}

/// What of `build` would run, and why. None of its steps has.
pub fn forecast(mut build: Entry, mut others: Vec<Entry>, known: &Premises<'_>) -> Explanation {
    recall(&mut build, &mut others);
    let earlier = Earlier::new(&build, &others);
    let mut ran = BTreeSet::new();
    let mut targets: Vec<(usize, Target)> = Vec::new();
    for index in in_order(&build.targets) {
        let target = &build.targets[index];
        let mut chain = Chain::new(target, &build, earlier.clone(), known.digests).by_text();
        chain.others_ran.clone_from(&ran);
        let causes = causes(&mut chain, known);
        if causes.iter().any(Option::is_some) {
            ran.insert(target.name.clone());
        }
        let foreseen = |(index, cause): (usize, Option<Cause>)| Step {
            cached: Some(cause.is_none()),
            duration_seconds: match cause {
                Some(_) => chain.last_run(index).map_or(0.0, |run| run.seconds),
                None => 0.0,
            },
            cause,
            ..step(index, chain.steps[index], target, &build)
        };
        let steps = causes.into_iter().enumerate().map(foreseen).collect();
        let (target, service) = (target.name.clone(), target.service.clone());
        targets.push((index, Target { target, service, steps }));
    }
    targets.sort_by_key(|(index, _)| *index);
    let targets = targets.into_iter().map(|(_, target)| target).collect();
    Explanation { build: None, targets, advice: Vec::new() }
}

/// Places of targets that have steps of their own, those that others stand on first.
fn in_order(targets: &[TargetEntry]) -> Vec<usize> {
    let mut left: Vec<usize> =
        (0..targets.len()).filter(|at| targets[*at].same_as.is_none()).collect();
    let mut order = Vec::new();
    while !left.is_empty() {
        let waits = |at: &usize| {
            let needs = targets[*at].inputs.contexts.values();
            let mut needs = needs.filter_map(|place| place.strip_prefix("target:"));
            needs.any(|name| left.iter().any(|other| targets[*other].name == name))
        };
        // Files that say they stand on each other must not keep us.
        let next = left.iter().position(|at| !waits(at)).unwrap_or_default();
        order.push(left.remove(next));
    }
    order
}

/// The target among the newest builds of each other one: the cache has no names of targets.
fn pasts_of_others<'a>(chain: &Chain<'a>) -> impl Iterator<Item = Chain<'a>> + use<'a> {
    let (target, build) = (chain.target, chain.build);
    let newest = &chain.earlier.here[..chain.earlier.here.len().min(BUILDS_OF_OTHERS)];
    let earlier = Earlier::here(newest);
    let targets = earlier.here.iter().flat_map(|entry| &entry.targets);
    let names: BTreeSet<&str> = targets.map(|it| it.name.as_str()).collect();
    let others = names.into_iter().filter(|name| *name != target.name);
    others.map(move |name| {
        let earlier = earlier.clone();
        Chain::with_past_of(name, target, build, earlier, &|_| Digests::new()).by_text()
    })
}

/// Why each step would run; `None` for one that would come from the cache.
fn causes(chain: &mut Chain<'_>, known: &Premises<'_>) -> Vec<Option<Cause>> {
    let pasts = pasts_of_others(chain);
    let pasts = LazyCell::new(|| pasts.collect::<Vec<_>>());
    let is_made_by_others = |index: usize| {
        pasts.iter().any(|it| it.built_before(index).is_some() && !is_lost(it, index, known))
    };
    let mut causes = vec![None; chain.steps.len()];
    let mut is_gone = vec![None; chain.steps.len()];
    // What a step reads stands before it.
    for index in 0..chain.steps.len() {
        if known.uncached.contains(&chain.steps[index].digest) {
            causes[index] = Some(Reason::Requested.certain());
        } else {
            match cause(chain, index) {
                Some(Cause { reason: reason @ Reason::RecordGone { .. }, .. }) => {
                    is_gone[index] = is_lost(chain, index, known).then(|| reason.likely());
                }
                Some(cause)
                    if cause.reason.because_of_step().is_none() && is_made_by_others(index) => {}
                other => {
                    causes[index] = other.map(|cause| doubted(cause, &causes, chain, index, known));
                }
            }
        }
        chain.ran[index] = causes[index].is_some();
    }
    add_what_is_gone(chain, &mut causes, is_gone);
    causes
}

fn cause(chain: &Chain<'_>, index: usize) -> Option<Cause> {
    let is_base = StepName::parse(&chain.steps[index].name).is_base();
    let cause = chain.cause(index);
    match cause.reason {
        // A base image is there or is fetched: no step runs for it.
        Reason::Base { .. } | Reason::RecordGone { .. } => (!is_base).then_some(cause),
        _ if is_base => None,
        // What another stage makes may be the same again, and a copy of it then comes from the cache.
        Reason::Stage { .. } | Reason::Context { .. } => Some(Cause { certain: false, ..cause }),
        _ => Some(cause),
    }
}

/// What follows from a step is only as sure as what makes that step run; and what the engine has of somebody else may be
/// just what is asked for.
fn doubted(
    cause: Cause,
    causes: &[Option<Cause>],
    chain: &Chain<'_>,
    index: usize,
    known: &Premises<'_>,
) -> Cause {
    let certain = cause.certain
        && match cause.reason.because_of_step() {
            Some(step) => causes[step].as_ref().is_none_or(|below| below.certain),
            None => !(known.is_made_elsewhere)(chain.steps[index], &chain.all_runs(index)),
        };
    Cause { certain, ..cause }
}

/// Whether the result of a step is no longer in the cache of the engine: runs that made it are remembered, and what they made
/// is gone.
fn is_lost(chain: &Chain<'_>, index: usize, known: &Premises<'_>) -> bool {
    // Engines describe the record of a here document in other words than its step.
    if chain.steps[index].instruction.contains("<<") {
        return false;
    }
    let runs = chain.runs(index);
    !runs.is_empty() && !runs.into_iter().any(known.is_kept)
}

/// A result that is gone is made again where something needs it: the end of the target, or a step that runs.
fn add_what_is_gone(
    chain: &mut Chain<'_>,
    causes: &mut [Option<Cause>],
    is_gone: Vec<Option<Cause>>,
) {
    let parents: Vec<Vec<usize>> = (0..causes.len()).map(|it| chain.parents(it).to_vec()).collect();
    let mut is_needed: Vec<bool> =
        (0..causes.len()).map(|step| !parents.iter().any(|of| of.contains(&step))).collect();
    for index in (0..causes.len()).rev() {
        if is_needed[index] && (causes[index].is_some() || is_gone[index].is_some()) {
            parents[index].iter().for_each(|parent| is_needed[*parent] = true);
        }
    }
    for (index, gone) in is_gone.into_iter().enumerate() {
        if causes[index].is_some() || !is_needed[index] {
            continue;
        }
        let ran = parents[index].iter().find(|parent| chain.ran[**parent]);
        causes[index] = match ran {
            Some(parent) => {
                let (step, parent_step) = (chain.steps[index], chain.steps[*parent]);
                Some(follows(step, parent_step, *parent).likely())
            }
            None => gone,
        };
        chain.ran[index] = causes[index].is_some();
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::explain::Since;
    use crate::history::{BaseImage, Outcome, StepResult};
    use crate::test_history::{build, step as entry};

    const STEPS: [&str; 3] = ["[1/3] FROM docker.io/library/a", "[2/3] RUN one", "[3/3] RUN two"];

    fn steps(number: u32, result: StepResult) -> Entry {
        let mut steps: Vec<StepEntry> = STEPS.map(|name| entry(name, result, 1.5)).into();
        for index in 1..steps.len() {
            steps[index].inputs = vec![steps[index - 1].digest.clone()];
        }
        build(number, Outcome::Succeeded, steps)
    }

    fn foreseen(next: Entry, others: &[Entry], kept: &[&str]) -> Vec<Option<(Reason, bool)>> {
        let is_kept = |run: &StepEntry| kept.contains(&run.instruction.as_str());
        let uncached = HashSet::new();
        let known = Premises {
            digests: &|_| Digests::new(),
            uncached,
            is_kept: &is_kept,
            is_made_elsewhere: &|_, _| false,
        };
        let explanation = forecast(next, others.to_vec(), &known);
        assert_eq!(explanation.build, None);
        let steps = explanation.targets[0].steps.iter();
        steps.map(|step| step.cause.clone().map(|cause| (cause.reason, cause.certain))).collect()
    }

    #[test]
    fn what_is_kept_would_not_run() {
        let (next, before) = (steps(2, StepResult::NotRun), [steps(1, StepResult::Ran)]);
        assert_eq!(foreseen(next.clone(), &before, &["RUN one", "RUN two"]), [None, None, None]);
        // Nothing needs what the last step stands on.
        assert_eq!(foreseen(next.clone(), &before, &["RUN two"]), [None, None, None]);
        let gone = Reason::RecordGone { built: before[0].id.clone(), since: Since::default() };
        let last = foreseen(next.clone(), &before, &["RUN one"]);
        assert_eq!(last, [None, None, Some((gone.clone(), false))]);
        let follows = Reason::EarlierStep { because_of_step: 1 };
        let all = foreseen(next, &before, &[]);
        assert_eq!(all, [None, Some((gone, false)), Some((follows, false))]);
    }

    #[test]
    fn an_unknown_project_would_run_everything_but_its_base() {
        let first = foreseen(steps(2, StepResult::NotRun), &[], &[]);
        let follows = Reason::EarlierStep { because_of_step: 1 };
        assert_eq!(first, [None, Some((Reason::first_build(), true)), Some((follows, true))]);
    }

    #[test]
    fn what_another_target_made_comes_from_the_cache() {
        let next = steps(2, StepResult::NotRun);
        let mut other = steps(1, StepResult::Ran);
        other.targets[0].name = "other".to_owned();
        let before = [other];
        assert_eq!(foreseen(next.clone(), &before, &["RUN one", "RUN two"]), [None, None, None]);
        let second = foreseen(next.clone(), &before, &["RUN one"]);
        assert_eq!(second, [None, None, Some((Reason::first_build(), true))]);
        let follows = Reason::EarlierStep { because_of_step: 1 };
        let gone = [None, Some((Reason::first_build(), true)), Some((follows, true))];
        assert_eq!(foreseen(next, &before, &[]), gone);
    }

    #[test]
    fn a_base_is_the_same_whichever_stage_gives_it_its_name() {
        let with = |number: u32, result: StepResult, digest: &str, names: &[&str]| {
            let base = format!("docker.io/library/b@sha256:{digest}");
            let entry = |name: &&str| StepEntry {
                written: Some("0".to_owned()),
                ..entry(&name.replace("BASE", &base), result, 1.0)
            };
            let mut steps: Vec<StepEntry> = names.iter().map(entry).collect();
            let below = steps[0].digest.clone();
            steps[1..].iter_mut().for_each(|step| step.inputs = vec![below.clone()]);
            let mut build = build(number, Outcome::Succeeded, steps);
            build.targets[0].inputs.bases = vec![BaseImage {
                reference: "docker.io/library/b".to_owned(),
                digest: Some(format!("sha256:{digest}")),
                layers: Some("sha256:layers".to_owned()),
            }];
            build
        };
        let before = with(1, StepResult::Ran, "1", &["[two 1/2] FROM BASE", "[two 2/2] RUN two"]);
        let names = ["[one 1/2] FROM BASE", "[one 2/2] RUN one", "[two 2/2] RUN two"];
        let next = with(2, StepResult::NotRun, "2", &names);
        let causes = foreseen(next, &[before], &["RUN two"]);
        assert!(causes[1].is_some(), "{causes:?}");
        assert_eq!(causes[2], None);
    }

    #[test]
    fn a_step_took_what_it_took_last_time() {
        let mut next = steps(3, StepResult::NotRun);
        next.targets[0].steps[2] = entry("[3/3] RUN three", StepResult::NotRun, 0.0);
        let mut cached = steps(2, StepResult::Cached);
        cached.targets[0].steps[1].seconds = 0.0;
        let others = [cached, steps(1, StepResult::Ran)];
        let uncached = [next.targets[0].steps[1].digest.clone()].into();
        let known = Premises {
            digests: &|_| Digests::new(),
            uncached,
            is_kept: &|_| true,
            is_made_elsewhere: &|_, _| false,
        };
        let explanation = forecast(next, others.to_vec(), &known);
        let steps = &explanation.targets[0].steps;
        assert_eq!(steps[1].cause, Some(Reason::Requested.certain()));
        assert_eq!([steps[1].duration_seconds, steps[2].duration_seconds], [1.5, 0.0]);
    }
}
