//! Steps that ran by themselves, each with those that ran because of it.

use super::words::Words;
use crate::counted::counted;
use crate::explain::{Reason, Step, Target};

/// A step that ran, and those that ran because of it.
pub(in crate::view) struct Chain<'a> {
    pub(in crate::view) first: &'a Step,
    pub(super) rest: Vec<&'a Step>,
}

impl Chain<'_> {
    pub(in crate::view) fn seconds(&self) -> f64 {
        self.first.duration_seconds + self.rest.iter().map(|it| it.duration_seconds).sum::<f64>()
    }

    /// `3 steps followed, 0.4s`.
    pub(in crate::view) fn followed(&self, words: &Words) -> Option<String> {
        let seconds = self.rest.iter().map(|step| step.duration_seconds).sum();
        let steps = match self.rest.len() {
            0 => return None,
            count => counted(count, "step"),
        };
        let took = words.took(seconds).map_or_else(String::new, |took| format!(", {took}"));
        Some(format!("{steps} {}{took}", words.follow))
    }
}

/// What ran by itself, except what nobody has to be told why: what was never built before, and what was asked for.
pub(in crate::view) fn surprises(target: &Target) -> Vec<Chain<'_>> {
    let mut chains = all(target);
    chains.retain(|chain| {
        let cause = chain.first.cause.as_ref();
        !cause.is_none_or(|cause| {
            matches!(cause.reason, Reason::FirstBuild { .. } | Reason::Requested)
        })
    });
    sort(&mut chains);
    chains
}

pub(super) fn all(target: &Target) -> Vec<Chain<'_>> {
    let ran: Vec<&Step> = target.steps.iter().filter(|step| step.cached == Some(false)).collect();
    let is_first = |step: &&&Step| target.root(step.index) == step.index;
    let rest = |first: usize| {
        let follows = |it: &&Step| it.index != first && target.root(it.index) == first;
        ran.iter().copied().filter(follows).collect()
    };
    ran.iter().filter(is_first).map(|first| Chain { first, rest: rest(first.index) }).collect()
}

/// The dearest first.
pub(super) fn sort(chains: &mut [Chain<'_>]) {
    chains.sort_by(|one, other| other.seconds().total_cmp(&one.seconds()));
}
