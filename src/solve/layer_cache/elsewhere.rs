//! What a build made in stages that are not in its image, and whether a layer cache is to have it. Pure.

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::buildkit::CachedResult;
use crate::ownership::records::{BuildStep, StepEnd, is_result_of};
use crate::progress::outcome::LeftOut;
use crate::progress::{StepName, Vertex};
use crate::targets::target::CacheValue;

/// The steps of a build.
#[derive(Debug, Default)]
pub(super) struct Steps(BTreeMap<String, Step>);

#[derive(Debug, Default)]
struct Step {
    name: String,
    stage: Option<String>,
    is_cached: bool,
    /// Ends by beginnings.
    intervals: BTreeMap<Timestamp, Option<Timestamp>>,
}

impl Steps {
    /// Takes note of what is told of an instruction.
    pub(super) fn note(&mut self, vertex: &Vertex, name: &StepName) {
        let step = self.0.entry(vertex.digest.clone()).or_default();
        step.name.clone_from(&vertex.name);
        step.stage.clone_from(&name.stage);
        // Without inputs its layers come from elsewhere.
        step.is_cached |= vertex.cached || vertex.inputs.is_empty();
        if let Some(started) = vertex.started {
            step.intervals.insert(started, vertex.completed);
        }
    }

    /// Those of stages that are not in the image; `None` where there is none, or one did not run: what it took is not known,
    /// and a cache that has it is not to lose it.
    pub(super) fn elsewhere(&self, value: &CacheValue) -> Option<Vec<BuildStep>> {
        let is_elsewhere = |step: &&Step| {
            step.stage.as_ref().is_some_and(|stage| !value.stages.contains(&stage.to_lowercase()))
        };
        let steps: Option<Vec<BuildStep>> = self.0.values().filter(is_elsewhere).map(ran).collect();
        steps.filter(|steps| !steps.is_empty())
    }
}

fn ran(step: &Step) -> Option<BuildStep> {
    let intervals = step.intervals.iter().map(|(from, to)| Some((*from, (*to)?)));
    let intervals: Vec<(Timestamp, Timestamp)> = intervals.collect::<Option<_>>()?;
    let ran = !step.is_cached && !intervals.is_empty();
    ran.then(|| BuildStep {
        digest: String::new(),
        name: step.name.clone(),
        end: StepEnd::Ran,
        intervals,
        inputs: Vec::new(),
        mounts: Vec::new(),
        is_result: false,
    })
}

/// What of the results a cache does better without: moving it there and back takes longer than the steps took.
pub(super) fn left_out(
    steps: &[BuildStep],
    results: &[CachedResult],
    rate: u64,
) -> Option<LeftOut> {
    let intervals = steps.iter().flat_map(|step| &step.intervals);
    let seconds = intervals.map(|(from, to)| to.duration_since(*from).as_secs_f64()).sum();
    let is_theirs = |result: &&CachedResult| {
        let made = |step| is_result_of(&result.description, result.created?, step).then_some(());
        steps.iter().find_map(made).is_some()
    };
    let bytes = results.iter().filter(is_theirs).map(|result| result.bytes).sum();
    let moving_seconds = 2.0 * bytes as f64 / rate as f64;
    (seconds <= moving_seconds).then_some(LeftOut { seconds, bytes, moving_seconds })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn vertex(name: &str, from: i64, to: i64) -> Vertex {
        Vertex {
            digest: name.to_owned(),
            inputs: vec!["base".to_owned()],
            name: name.to_owned(),
            started: Some(at(from)),
            completed: Some(at(to)),
            ..Vertex::default()
        }
    }

    fn steps(vertexes: &[Vertex]) -> Steps {
        let mut steps = Steps::default();
        for vertex in vertexes {
            steps.note(vertex, &StepName::parse(&vertex.name));
        }
        steps
    }

    fn value() -> CacheValue {
        let stages = ["deps".to_owned(), "stage-2".to_owned()].into();
        CacheValue { rate: 50_000_000, stages }
    }

    fn result(description: &str, bytes: u64, second: i64) -> CachedResult {
        CachedResult { description: description.into(), bytes, created: Some(at(second)) }
    }

    #[test]
    fn what_is_made_sooner_than_moved_is_left_out() {
        let ran = [
            vertex("[models 2/3] RUN fetch", 10, 30),
            vertex("[models 3/3] COPY a b", 30, 31),
            vertex("[deps 2/2] RUN install", 10, 90),
            vertex("[stage-2 1/1] COPY --from=models /m /m", 90, 91),
        ];
        let steps = steps(&ran).elsewhere(&value()).unwrap();
        assert_eq!(steps.len(), 2);
        let fetched = |bytes| {
            let exec = "mount / from exec /bin/sh -c fetch";
            vec![
                result(exec, bytes, 12),
                // Of another build, of the image, and of a step beside.
                result(exec, 9_000_000_000, 500),
                result("mount / from exec /bin/sh -c install", 9_000_000_000, 12),
                result("[models 3/3] COPY a b", 25_000_000, 30),
            ]
        };
        let left = |bytes| left_out(&steps, &fetched(bytes), 50_000_000);
        let expected = LeftOut { seconds: 21.0, bytes: 1_025_000_000, moving_seconds: 41.0 };
        assert_eq!(left(1_000_000_000), Some(expected));
        assert_eq!(left(400_000_000), None);
        assert_eq!(left_out(&steps, &[], 50_000_000), None);
    }

    #[test]
    fn what_did_not_run_is_not_known() {
        let fetch = || vertex("[models 2/3] RUN fetch", 10, 30);
        let cached = Vertex { cached: true, ..vertex("[models 3/3] COPY a b", 30, 30) };
        assert_eq!(steps(&[fetch(), cached]).elsewhere(&value()), None);
        let imported = Vertex { inputs: Vec::new(), ..fetch() };
        assert_eq!(steps(&[imported]).elsewhere(&value()), None);
        let unfinished = Vertex { completed: None, ..fetch() };
        assert_eq!(steps(&[unfinished]).elsewhere(&value()), None);
        assert_eq!(steps(&[vertex("[deps 2/2] RUN x", 1, 2)]).elsewhere(&value()), None);
        // Names of stages are one in any case.
        let own = vertex("[Deps 2/2] RUN x", 1, 2);
        assert_eq!(steps(&[own]).elsewhere(&value()), None);
    }
}
