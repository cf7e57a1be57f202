//! Steps that ran by themselves, each with those that ran because of it.

use super::words::Words;
use crate::counted::counted;
use crate::explain::{Reason, Step, Target};

/// A step that ran, and those that ran because of it.
pub(in crate::view) struct Chain<'a> {
    pub(in crate::view) first: &'a Step,
    pub(super) rest: Vec<&'a Step>,
    /// How many of those would run only if what another stage makes differs.
    pub(super) doubtful: usize,
}

impl Chain<'_> {
    pub(in crate::view) fn seconds(&self) -> f64 {
        self.first.duration_seconds + self.rest.iter().map(|it| it.duration_seconds).sum::<f64>()
    }

    /// `3 steps followed, 0.4s`; of what is foreseen `1 step would follow and 2 may, last time 0.4s`.
    pub(in crate::view) fn followed(&self, words: &Words) -> Option<String> {
        let seconds = self.rest.iter().map(|step| step.duration_seconds).sum();
        let steps = match (self.rest.len() - self.doubtful, self.doubtful) {
            (0, 0) => return None,
            (0, may) => format!("{} may follow", counted(may, "step")),
            (sure, 0) => format!("{} {}", counted(sure, "step"), words.follow),
            (sure, may) => format!("{} {} and {may} may", counted(sure, "step"), words.follow),
        };
        let took = words.took(seconds).map_or_else(String::new, |took| format!(", {took}"));
        Some(format!("{steps}{took}"))
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

pub(super) fn all<'a>(target: &'a Target) -> Vec<Chain<'a>> {
    let ran: Vec<&Step> = target.steps.iter().filter(|step| step.cached == Some(false)).collect();
    let is_first = |step: &&&Step| target.root(step.index) == step.index;
    let chain = |first: &&'a Step| {
        let follows = |it: &&Step| it.index != first.index && target.root(it.index) == first.index;
        let rest: Vec<&Step> = ran.iter().copied().filter(follows).collect();
        let doubtful = rest.iter().filter(|it| target.may_come_from_the_cache(it.index)).count();
        Chain { first, rest, doubtful }
    };
    ran.iter().filter(is_first).map(chain).collect()
}

/// The dearest first.
pub(super) fn sort(chains: &mut [Chain<'_>]) {
    chains.sort_by(|one, other| other.seconds().total_cmp(&one.seconds()));
}
