//! What a cache mount is worth: what builds take longer without it, against what it takes to move it.
//!
//! The engine tells when it made a mount. A recorded step that ran at that moment began without, and those of later builds
//! had it: the difference is what the mount saves. A mount that was restored was made by no step: what steps took without
//! it stands in the manifest, from where it was first filled. `docs/design/cache.md` has the rules. Pure.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// A step that ran to its end, as history has it.
#[derive(Debug, Clone)]
pub struct StepRun {
    /// The build.
    pub build: String,
    /// What is the same for the step in every build: a name for each target that has it. It ran once for all of them.
    pub names: Vec<String>,
    /// Its cache mounts, as engines call them.
    pub mounts: Vec<String>,
    /// When it ran, by the engine's clock.
    pub intervals: Vec<(Timestamp, Timestamp)>,
    /// How long.
    pub seconds: f64,
}

/// What a step takes with and without what its cache mounts hold.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StepCost {
    /// In the build that filled them.
    pub cold_seconds: f64,
    /// In builds that found them filled, by their median; absent while there was none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub warm_seconds: Option<f64>,
    /// Its cache mounts, as engines call them.
    pub mounts: Vec<String>,
}

/// What the steps take that use a mount, by what is the same for a step in every build.
pub type Costs = BTreeMap<String, StepCost>;

/// What the steps take that use the mount with these ids, which the engine made at `made`. `known` is what was known before.
pub fn costs(ids: &[&str], made: Option<Timestamp>, runs: &[StepRun], known: &Costs) -> Costs {
    let mut costs = known.clone();
    let Some(made) = made else { return costs };
    let uses = |run: &&StepRun| run.mounts.iter().any(|mount| ids.contains(&mount.as_str()));
    let own: Vec<&StepRun> = runs.iter().filter(uses).collect();
    let made_it =
        |run: &&&StepRun| run.intervals.iter().any(|(from, to)| *from <= made && made <= *to);
    let first = own.iter().find(made_it).map(|run| run.build.as_str());
    for run in own.iter().filter(|run| Some(run.build.as_str()) == first) {
        let known = run.names.iter().find(|name| costs.contains_key(*name));
        let Some(name) = known.or(run.names.first()) else { continue };
        let warm_seconds = costs.get(name).and_then(|cost| cost.warm_seconds);
        let mounts = run.mounts.clone();
        let cost = StepCost { cold_seconds: whole(run.seconds), warm_seconds, mounts };
        costs.insert(name.clone(), cost);
    }
    for (step, cost) in &mut costs {
        // A later build may have been of one of the targets alone.
        let runs = own.iter().filter(|run| run.names.contains(step));
        let names: BTreeSet<&String> = runs.flat_map(|run| &run.names).collect();
        let is_later = |run: &&&StepRun| {
            run.names.iter().any(|name| names.contains(name))
                && Some(run.build.as_str()) != first
                && run.intervals.first().is_some_and(|(from, _)| *from > made)
        };
        let warm: Vec<f64> = own.iter().filter(is_later).map(|run| run.seconds).collect();
        cost.warm_seconds = median(warm).map(whole).or(cost.warm_seconds);
    }
    costs
}

/// Whole milliseconds: those are read from a document as they were written, so that what did not change stays equal.
fn whole(seconds: f64) -> f64 {
    (seconds * 1000.0).round() / 1000.0
}

fn median(mut seconds: Vec<f64>) -> Option<f64> {
    seconds.sort_by(f64::total_cmp);
    seconds.get(seconds.len() / 2).copied()
}

/// What a mount saves, and what that takes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Worth {
    /// Seconds that builds take longer without it.
    pub saves_seconds: f64,
    /// Whether no more than the upper bound of that is known: there was no build with it yet.
    pub is_bound: bool,
    /// Seconds that moving it takes, there and back; `None` where nothing has been moved yet.
    pub moving_seconds: Option<f64>,
}

/// What follows from that.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// It is worth more than it takes.
    Save,
    /// It is not.
    Leave,
    /// Nobody can tell yet.
    Unknown,
}

impl Worth {
    /// What a mount with these ids is worth. What a step saves is shared by its mounts as `bytes` says, by ids: they stand or
    /// fall together. `rate` is in bytes a second. `None` where nothing is known.
    pub fn new(
        ids: &[&str],
        costs: &Costs,
        bytes: &BTreeMap<String, u64>,
        rate: Option<f64>,
    ) -> Option<Self> {
        if costs.is_empty() {
            return None;
        }
        let size = |id: &str| bytes.get(id).copied().unwrap_or(0) as f64;
        let own = ids.iter().map(|id| size(id)).fold(0.0, f64::max);
        let mut saves_seconds = 0.0;
        for cost in costs.values() {
            let all: f64 = cost.mounts.iter().map(|mount| size(mount)).sum();
            let share = if all > 0.0 { (own / all).min(1.0) } else { 1.0 };
            let seconds = cost.cold_seconds - cost.warm_seconds.unwrap_or(0.0);
            saves_seconds += seconds.max(0.0) * share;
        }
        Some(Self {
            saves_seconds,
            is_bound: costs.values().any(|cost| cost.warm_seconds.is_none()),
            moving_seconds: rate.filter(|rate| *rate > 0.0).map(|rate| 2.0 * own / rate),
        })
    }

    /// What follows. An upper bound is enough to leave a mount, and not enough to know that it is worth it.
    pub fn decision(&self) -> Decision {
        match self.moving_seconds {
            Some(moving) if self.saves_seconds <= moving => Decision::Leave,
            Some(_) if !self.is_bound => Decision::Save,
            _ => Decision::Unknown,
        }
    }
}

/// The rate at which a mount travels that is first packed at one rate, and then moved at another one.
pub fn rate(packed: Option<f64>, moved: Option<f64>) -> Option<f64> {
    match (packed, moved) {
        (Some(packed), Some(moved)) => Some(1.0 / (1.0 / packed + 1.0 / moved)),
        (one, other) => one.or(other),
    }
}

/// Whether `pattern` is the id, where `*` stands for anything.
pub fn matches(pattern: &str, id: &str) -> bool {
    let Some((first, rest)) = pattern.split_once('*') else { return pattern == id };
    let Some(mut left) = id.strip_prefix(first) else { return false };
    let mut parts: Vec<&str> = rest.split('*').collect();
    let last = parts.pop().unwrap_or_default();
    for part in parts {
        match left.find(part) {
            Some(at) => left = &left[at + part.len()..],
            None => return false,
        }
    }
    left.ends_with(last)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn run(build: &str, step: &str, mounts: &[&str], from: i64, seconds: i64) -> StepRun {
        StepRun {
            build: build.into(),
            names: step.split('+').map(str::to_owned).collect(),
            mounts: mounts.iter().map(|id| (*id).to_owned()).collect(),
            intervals: vec![(at(from), at(from + seconds))],
            seconds: seconds as f64,
        }
    }

    fn bytes(sizes: &[(&str, u64)]) -> BTreeMap<String, u64> {
        sizes.iter().map(|(id, size)| ((*id).to_owned(), *size)).collect()
    }

    #[test]
    fn the_build_that_made_a_mount_is_compared_with_those_that_had_it() {
        let runs = [
            run("old", "api", &["/a"], 0, 90),
            run("one", "api", &["/a"], 100, 60),
            run("one", "worker", &["/a", "/b"], 130, 50),
            run("one", "other", &["/b"], 130, 50),
            run("two", "api", &["/a"], 300, 10),
            run("three", "api", &["/a"], 400, 20),
            run("four", "api", &["/a"], 500, 12),
        ];
        let found = costs(&["/a"], Some(at(101)), &runs, &Costs::new());
        assert_eq!(found.len(), 2);
        assert_eq!((found["api"].cold_seconds, found["api"].warm_seconds), (60.0, Some(12.0)));
        assert_eq!((found["worker"].cold_seconds, found["worker"].warm_seconds), (50.0, None));
        // Restored: no step made it. What is known stays, and what came since is added.
        let restored = costs(&["/a"], Some(at(350)), &runs, &found);
        assert_eq!(
            (restored["api"].cold_seconds, restored["api"].warm_seconds),
            (60.0, Some(20.0))
        );
        assert_eq!(costs(&["/a"], Some(at(350)), &runs, &Costs::new()), Costs::new());
        assert_eq!(costs(&["/a"], None, &runs, &found), found);
    }

    #[test]
    fn a_step_of_two_targets_ran_once() {
        let first = [run("one", "api+web", &["/a"], 100, 60)];
        let found = costs(&["/a"], Some(at(101)), &first, &Costs::new());
        assert_eq!(found.keys().collect::<Vec<_>>(), ["api"]);
        let both = [first[0].clone(), run("two", "web", &["/a"], 300, 10)];
        let found = costs(&["/a"], Some(at(101)), &both, &found);
        assert_eq!(found.len(), 1);
        assert_eq!((found["api"].cold_seconds, found["api"].warm_seconds), (60.0, Some(10.0)));
        // What a manifest knows under another of its names stays one, too.
        let known: Costs = [("web".to_owned(), found["api"].clone())].into_iter().collect();
        assert_eq!(costs(&["/a"], Some(at(101)), &both, &known).len(), 1);
    }

    #[test]
    fn steps_share_what_they_save_among_their_mounts() {
        let cost = |cold, warm, mounts: &[&str]| StepCost {
            cold_seconds: cold,
            warm_seconds: warm,
            mounts: mounts.iter().map(|id| (*id).to_owned()).collect(),
        };
        let sizes = bytes(&[("/a", 300), ("/b", 100)]);
        let costs: Costs =
            [("s".to_owned(), cost(50.0, Some(10.0), &["/a", "/b"]))].into_iter().collect();
        let worth = Worth::new(&["/a"], &costs, &sizes, Some(10.0)).unwrap();
        assert_eq!((worth.saves_seconds, worth.moving_seconds), (30.0, Some(60.0)));
        assert_eq!(worth.decision(), Decision::Leave);
        let fast = Worth::new(&["/a"], &costs, &sizes, Some(100.0)).unwrap();
        assert_eq!((fast.moving_seconds, fast.decision()), (Some(6.0), Decision::Save));
        let unmeasured = Worth::new(&["/a"], &costs, &sizes, None).unwrap();
        assert_eq!(unmeasured.decision(), Decision::Unknown);
        assert_eq!(Worth::new(&["/a"], &Costs::new(), &sizes, None), None);
        // No build had it yet: at most what the first one took.
        let bound: Costs = [("s".to_owned(), cost(50.0, None, &["/a"]))].into_iter().collect();
        let decide = |rate| Worth::new(&["/a"], &bound, &sizes, Some(rate)).unwrap().decision();
        assert_eq!((decide(10.0), decide(100.0)), (Decision::Leave, Decision::Unknown));
        // A mount that makes builds slower saves nothing.
        let slower: Costs = [("s".to_owned(), cost(5.0, Some(9.0), &["/a"]))].into_iter().collect();
        assert_eq!(Worth::new(&["/a"], &slower, &sizes, Some(1e9)).unwrap().saves_seconds, 0.0);
    }

    #[test]
    fn rates_add_up_and_patterns_stand_for_ids() {
        assert_eq!(rate(Some(100.0), Some(100.0)), Some(50.0));
        assert_eq!((rate(None, Some(5.0)), rate(None, None)), (Some(5.0), None));
        for (pattern, id, expected) in [
            ("/root/.cache/uv", "/root/.cache/uv", true),
            ("*uv", "/root/.cache/uv", true),
            ("/root/*", "/root/.cache/uv", true),
            ("/root/*/uv", "/root/.cache/uv", true),
            ("*/u*v", "/root/.cache/uv", true),
            ("uv", "/root/.cache/uv", false),
            ("/root/*/pip", "/root/.cache/uv", false),
            ("*.cache*.cache*", "/root/.cache/uv", false),
            ("", "a", false),
        ] {
            assert_eq!(matches(pattern, id), expected, "{pattern} {id}");
        }
    }
}
