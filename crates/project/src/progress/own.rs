//! Which steps of a status belong to the build that asked for it.

use std::collections::HashSet;

use indexmap::IndexMap;

use crate::progress::step::Step;
use crate::progress::trace::Trace;

impl Trace {
    /// The steps without those of other builds. While builds with the same content run at the same time, BuildKit
    /// does what they have in common once, and tells each of them of the steps of the others that it stands for:
    /// `[base 1/1] FROM other:1` beside `[1/4] FROM this:1`. Nothing of this build reads those.
    pub fn own_steps(&self) -> impl DoubleEndedIterator<Item = &Step> {
        self.steps().filter(|step| self.others.is_empty() || !self.others.contains(&step.id))
    }

    /// The ids of the steps of other builds.
    pub(super) fn of_others(&self) -> HashSet<String> {
        let ends = self.ends();
        if ends.len() < 2 {
            return HashSet::new();
        }
        let own = self.read_by(&results(&ends));
        let is_other =
            |step: &&Step| step.label.is_instruction() && !own.contains(step.id.as_str());
        self.steps().filter(is_other).map(|step| step.id.clone()).collect()
    }

    /// The steps that no other step reads, of which one is the result; in the order in which they were announced,
    /// which for the whole of this build is before anything else.
    fn ends(&self) -> Vec<&Step> {
        let reads = |step: &Step| step.inputs().next().is_some();
        let inputs = self.steps().flat_map(|step| {
            step.inputs().filter_map(|input| self.step_of(input)).filter(|it| it.id != step.id)
        });
        let read: HashSet<&str> = inputs.map(|step| step.id.as_str()).collect();
        let is_end = |step: &&Step| {
            !read.contains(step.id.as_str()) && (step.label.is_instruction() || reads(step))
        };
        self.steps().filter(is_end).collect()
    }

    /// The ids of these steps and of all that they are made from.
    fn read_by<'a>(&'a self, ends: &[&'a Step]) -> HashSet<&'a str> {
        let mut known = HashSet::new();
        let mut ahead = ends.to_vec();
        while let Some(step) = ahead.pop() {
            if known.insert(step.id.as_str()) {
                ahead.extend(step.inputs().filter_map(|input| self.step_of(input)));
            }
        }
        known
    }
}

/// The result for each platform, and whatever is made besides of it (an SBOM, say).
fn results<'a>(ends: &[&'a Step]) -> Vec<&'a Step> {
    let (steps, besides): (Vec<&'a Step>, Vec<&'a Step>) =
        ends.iter().partition(|step| step.label.is_instruction());
    let mut of_platforms: IndexMap<Option<&str>, &'a Step> = IndexMap::new();
    for step in steps {
        let known = of_platforms.entry(step.label.platform()).or_insert(step);
        if likeness_to_result(step) > likeness_to_result(known) {
            *known = step;
        }
    }
    of_platforms.into_values().chain(besides).collect()
}

/// Of ends that are equal here, the first announced is the result. Where the engine made it for another build before, it is
/// announced as one of that: then it is seldom a base, which builds may have in common, and most often the last of its stage.
fn likeness_to_result(step: &Step) -> (bool, bool, bool) {
    let is_last = step.label.position.is_some_and(|(index, count)| index == count);
    match step.is_announced {
        true => (true, false, false),
        false => (false, is_last, !step.label.is_base()),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::progress::{Counts, SolveStatus, Vertex};

    fn trace(mut trace: Trace, steps: &[(&str, &str, &[&str], bool)]) -> Trace {
        let moment = Some(jiff::Timestamp::UNIX_EPOCH);
        let vertex = |(digest, name, inputs, cached): &(&str, &str, &[&str], bool)| Vertex {
            digest: (*digest).into(),
            name: (*name).into(),
            inputs: inputs.iter().map(|it| (*it).to_owned()).collect(),
            started: moment,
            completed: moment,
            cached: *cached,
            ..Vertex::default()
        };
        for step in steps {
            let vertexes = vec![vertex(step)];
            trace.update(&SolveStatus { vertexes, ..SolveStatus::default() }, Duration::ZERO);
        }
        trace
    }

    fn own(trace: &Trace) -> Vec<&str> {
        trace.own_steps().map(|step| step.id.as_str()).collect()
    }

    const OURS: [(&str, &str, &[&str], bool); 6] = [
        ("d", "[internal] load build definition from Dockerfile", &[], false),
        ("f", "[1/3] FROM this:1", &[], true),
        ("c", "[2/3] COPY f /", &["f", "l"], true),
        ("l", "[internal] load build context", &[], false),
        ("r", "[3/3] RUN a", &["c"], false),
        ("e", "exporting to image", &[], false),
    ];

    #[test]
    fn steps_of_builds_at_the_same_time_are_theirs() {
        let theirs: [(&str, &str, &[&str], bool); 3] = [
            ("of", "[base 1/1] FROM other:1", &[], false),
            // It reads a base that both have.
            ("oc", "[x 1/2] COPY f /", &["f", "ol"], false),
            ("or", "[x 2/2] RUN a", &["oc"], false),
        ];
        for start in [Trace::default(), Trace::of_one_dockerfile()] {
            let alone = trace(start.clone(), &OURS);
            assert_eq!(own(&alone), ["d", "f", "c", "l", "r", "e"]);
            let both = trace(alone.clone(), &theirs);
            assert_eq!(own(&both), ["d", "f", "c", "l", "r", "e"]);
            assert_eq!(both.counts(), alone.counts());
            assert_eq!(both.counts(), Counts { cached: 2, run: 1 });
        }
    }

    #[test]
    fn a_base_of_another_build_may_be_announced_first() {
        for name in ["[base 1/2] FROM other:1", "[base 1/1] FROM other:1"] {
            let first = trace(Trace::of_one_dockerfile(), &[("of", name, &[], true)]);
            assert_eq!(own(&trace(first, &OURS)), ["d", "f", "c", "l", "r", "e"], "{name}");
        }
        let base_alone = [("f", "[1/1] FROM this:1", &[] as &[&str], true)];
        let both = [base_alone[0], ("of", "[1/2] FROM this:1", &[], true)];
        assert_eq!(own(&trace(Trace::default(), &both)), ["f"]);
    }

    #[test]
    fn what_a_twin_reads_is_not_read_by_ours() {
        let theirs: [(&str, &str, &[&str], bool); 2] = [
            ("of", "[base 1/1] FROM other:1", &[], false),
            ("oc", "[2/9] COPY f /", &["of"], false),
        ];
        let both = trace(trace(Trace::of_one_dockerfile(), &OURS), &theirs);
        assert_eq!(own(&both), ["d", "f", "c", "l", "r", "e"]);
    }

    #[test]
    fn each_platform_has_a_result() {
        let steps: [(&str, &str, &[&str], bool); 5] = [
            ("a", "[linux/amd64 1/2] FROM this:1", &[], true),
            ("b", "[linux/arm64 1/2] FROM this:1", &[], true),
            ("ra", "[linux/amd64 2/2] RUN a", &["a"], false),
            ("rb", "[linux/arm64 2/2] RUN a", &["b"], false),
            ("s", "[linux/amd64] generating sbom using docker.io/a/b", &["ra"], false),
        ];
        assert_eq!(own(&trace(Trace::default(), &steps)), ["a", "b", "ra", "rb", "s"]);
    }

    #[test]
    fn a_circle_ends() {
        let steps: [(&str, &str, &[&str], bool); 3] = [
            ("a", "[a 1/2] RUN a", &["b"], false),
            ("b", "[b 2/2] RUN b", &["a", "b"], false),
            ("c", "[c 1/1] RUN c", &["a"], false),
        ];
        assert_eq!(own(&trace(Trace::default(), &steps)).len(), 3);
    }
}
