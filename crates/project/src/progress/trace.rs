//! Folds the statuses of one target's solve into steps.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use indexmap::IndexMap;

use crate::progress::place::Places;
use crate::progress::step::{Step, StepName, StepState};
use crate::progress::{SolveStatus, Vertex};

/// Steps kept per target; a Dockerfile with more is shown without the rest.
pub(super) const MAX_STEPS: usize = 10_000;

/// Bytes of the last lines of all steps together.
const MAX_TAILS: usize = 64 << 20;

/// What a status changed, in the order to tell it. Steps are named by their place in
/// [`Trace::steps`].
#[derive(Debug, Clone, PartialEq)]
pub enum Change {
    /// A step started (again).
    Started {
        /// Its place in [`Trace::steps`].
        step: usize,
    },
    /// A step ended: done, cached, failed or cancelled.
    Ended {
        /// Its place in [`Trace::steps`].
        step: usize,
    },
    /// A step wrote a line.
    Line {
        /// Its place in [`Trace::steps`].
        step: usize,
        /// The line without its end, as the step wrote it: it may hold control characters.
        text: String,
    },
    /// The frontend warned.
    Warned {
        /// Of which step.
        step: usize,
        /// The warning in a line.
        text: String,
    },
}

/// The steps of one target in the order they were announced.
#[derive(Debug, Clone, Default)]
pub struct Trace {
    steps: IndexMap<String, Step>,
    /// Digest of a vertex that is part of another step to the id of that: of a grouped vertex to its
    /// group, of a twin to what was announced first.
    grouped: HashMap<String, String>,
    /// Instructions to the ids of their steps: by name, without the number of steps where all are of one Dockerfile.
    instructions: HashMap<String, String>,
    of_one_file: bool,
    /// Ids of the steps that belong to other builds ([`Trace::own_steps`]).
    pub(super) others: HashSet<String>,
    /// Bytes of the last lines of all steps, at least.
    tails: usize,
    /// Where its steps stand, once that is known.
    places: Option<Places>,
    /// When its run began, by the engine's clock: whatever ended before that was done for another one.
    pub(super) began: Option<i128>,
}

impl Trace {
    /// Of a solve whose steps are all of one Dockerfile: none stands where another one does. Of how many steps a stage has
    /// another Dockerfile, of which the engine did the same for it, may say another number.
    pub fn of_one_dockerfile() -> Self {
        Self { of_one_file: true, ..Self::default() }
    }

    /// Takes over where its steps stand, those to come as well.
    pub fn locate(&mut self, places: Places) {
        let others = &self.others;
        let own = self.steps.iter_mut().filter(|(id, _)| !others.contains(*id));
        own.for_each(|(_, step)| step.locate(&places));
        self.places = Some(places);
    }

    /// The steps in the order the engine announced them.
    pub fn steps(&self) -> impl DoubleEndedIterator<Item = &Step> + ExactSizeIterator {
        self.steps.values()
    }

    /// A step by the place a [`Change`] names.
    pub fn step(&self, place: usize) -> Option<&Step> {
        self.steps.get_index(place).map(|(_, step)| step)
    }

    /// A step by the digest of one of its vertexes.
    pub fn step_of(&self, digest: &str) -> Option<&Step> {
        self.place_of(digest).and_then(|place| self.step(place))
    }

    /// The step to show as the current one: of those running, the instruction that started
    /// last, before anything that is not an instruction.
    pub fn current(&self) -> Option<&Step> {
        self.steps
            .values()
            .filter(|step| step.state() == StepState::Running && step.is_visible())
            .max_by_key(|step| (step.label.is_instruction(), step.seen_at))
    }

    /// The step that failed, if one did.
    pub fn failed(&self) -> Option<&Step> {
        let has_failed = |step: &&Step| step.state() == StepState::Failed;
        self.own_steps().find(has_failed).or_else(|| self.steps.values().find(has_failed))
    }

    /// Steps of the Dockerfile that came from the cache, and that ran (see
    /// [`Step::counts_as_cached`]).
    pub fn counts(&self) -> Counts {
        self.count(Step::counts_as_cached)
    }

    /// [`Self::counts`] of a build that succeeded.
    pub fn counts_of_success(&self) -> Counts {
        self.count(Step::counts_as_cached_in_success)
    }

    fn count(&self, is_cached: impl Fn(&Step) -> Option<bool>) -> Counts {
        let mut counts = Counts::default();
        for step in self.own_steps() {
            match is_cached(step) {
                Some(true) => counts.cached += 1,
                Some(false) => counts.run += 1,
                None => {}
            }
        }
        counts
    }

    /// Takes over what the engine reports. `at` is the time since the start of the run.
    pub fn update(&mut self, status: &SolveStatus, at: Duration) -> Vec<Change> {
        let mut changes = Vec::new();
        let known = (self.steps.len(), self.grouped.len());
        let mut reads_more = false;
        for vertex in own_first(&status.vertexes) {
            reads_more |= self.update_vertex(vertex, at, &mut changes);
        }
        if reads_more || known != (self.steps.len(), self.grouped.len()) {
            self.leave_to_others();
        }
        for progress in &status.statuses {
            if let Some(step) = self.step_mut(&progress.vertex) {
                step.transfer(progress, at);
            }
        }
        for warning in &status.warnings {
            let Some(place) = self.place_of(&warning.vertex) else { continue };
            if self.steps[place].warn(warning) {
                let text = String::from_utf8_lossy(&warning.short).into_owned();
                changes.push(Change::Warned { step: place, text });
            }
        }
        let mut lines = Vec::new();
        for log in &status.logs {
            let Some(place) = self.place_of(&log.vertex) else { continue };
            let step = &mut self.steps[place];
            let before = step.tail.bytes();
            step.log(log.stream, &log.data, |text| {
                lines.push(Change::Line { step: place, text: text.to_owned() });
            });
            self.tails += step.tail.bytes().saturating_sub(before);
            if self.tails > MAX_TAILS {
                self.forget_tails(place);
            }
        }
        // A message may hold the end of a step and its last output: the output comes first.
        let ends = changes
            .iter()
            .position(|change| matches!(change, Change::Ended { .. }))
            .unwrap_or(changes.len());
        let tail = changes.split_off(ends);
        changes.append(&mut lines);
        for change in tail {
            if let Change::Ended { step } = change {
                self.steps[step].flush_log(|text| {
                    changes.push(Change::Line { step, text: text.to_owned() });
                });
                if matches!(self.steps[step].state(), StepState::Done | StepState::Cached) {
                    self.steps[step].tail.shrink();
                }
            }
            changes.push(change);
        }
        changes.retain(|change| match change {
            Change::Ended { step } => self.is_shown(*step),
            _ => true,
        });
        changes
    }

    /// Finds the steps of other builds: they stand in other Dockerfiles.
    fn leave_to_others(&mut self) {
        let others = self.of_others();
        for (id, step) in &mut self.steps {
            match (others.contains(id), &self.places) {
                (true, _) => step.place = None,
                (false, Some(places)) if self.others.contains(id) => step.locate(places),
                _ => {}
            }
        }
        self.others = others;
    }

    /// Whether it is told how a step ended: of one of another build only why that failed.
    fn is_shown(&self, place: usize) -> bool {
        let step = self.steps.get_index(place);
        step.is_some_and(|(id, step)| {
            !self.others.contains(id) || step.state() == StepState::Failed
        })
    }

    /// Ends the lines that were begun: to be called when nothing more will come. A step that was
    /// cancelled may never be reported as ended, and its last words count most.
    pub fn end(&mut self) -> Vec<Change> {
        let mut changes = Vec::new();
        for (step, content) in self.steps.values_mut().enumerate() {
            content.flush_log(|text| changes.push(Change::Line { step, text: text.to_owned() }));
        }
        changes
    }

    /// Makes room for output: what a step that failed wrote last, and what `writing` writes, is wanted longest.
    fn forget_tails(&mut self, writing: usize) {
        self.tails = self.steps.values().map(|step| step.tail.bytes()).sum();
        let state = |step: &Step| match step.state() {
            StepState::Done | StepState::Cached => 0,
            StepState::Waiting | StepState::Running | StepState::Cancelled => 1,
            StepState::Failed => 2,
        };
        let mut places: Vec<usize> = (0..self.steps.len()).filter(|it| *it != writing).collect();
        places.sort_by_key(|place| state(&self.steps[*place]));
        for place in places {
            if self.tails <= MAX_TAILS / 2 {
                return;
            }
            let tail = &mut self.steps[place].tail;
            self.tails -= tail.bytes();
            tail.clear();
        }
    }

    /// Whether a step reads more than was known.
    fn update_vertex(&mut self, vertex: &Vertex, at: Duration, changes: &mut Vec<Change>) -> bool {
        let (id, name) = match &vertex.progress_group {
            Some(group) => {
                self.grouped.insert(vertex.digest.clone(), group.id.clone());
                (&group.id, &group.name)
            }
            None => (&self.own(vertex), &vertex.name),
        };
        if self.steps.len() >= MAX_STEPS && !self.steps.contains_key(id) {
            return false;
        }
        let known = self.steps.len();
        let entry = self.steps.entry(id.clone());
        let place = entry.index();
        let step = entry.or_insert_with(|| Step::new(id, name));
        // A twin may have the name that another target gave it.
        let may_name = vertex.progress_group.is_some() || *id == vertex.digest;
        if (may_name && step.rename(name)) || place == known {
            self.places.iter().for_each(|places| step.locate(places));
        }
        let before = (step.state(), step.duration());
        let reads_more = step.update(vertex, at, self.began);
        let after = (step.state(), step.duration());
        match after.0 {
            _ if before == after => {}
            StepState::Waiting => {}
            StepState::Running => changes.push(Change::Started { step: place }),
            _ => changes.push(Change::Ended { step: place }),
        }
        reads_more
    }

    /// The id of the step that a vertex without a group belongs to: its own digest, or the one of its
    /// twin. Where two targets come to the same step by different ways (each sends the context,
    /// say), the engine notices late, does it once and tells both of both vertexes; an instruction
    /// has its name once in a Dockerfile.
    fn own(&mut self, vertex: &Vertex) -> String {
        let digest = &vertex.digest;
        if let Some(id) = self.grouped.get(digest) {
            return id.clone();
        }
        let name = StepName::parse(&vertex.name);
        let is_known = self.steps.contains_key(digest);
        if is_known || !name.is_instruction() || self.steps.len() >= MAX_STEPS {
            return digest.clone();
        }
        let place = name.tag.rsplit_once('/').map_or(name.tag.as_str(), |(at, _)| at);
        let key = match self.of_one_file {
            true => format!("[{place}] {}", name.instruction),
            false => vertex.name.clone(),
        };
        let id = self.instructions.entry(key).or_insert_with(|| digest.clone());
        if id != digest {
            self.grouped.insert(digest.clone(), id.clone());
        }
        id.clone()
    }

    fn place_of(&self, digest: &str) -> Option<usize> {
        let id = self.grouped.get(digest).map_or(digest, String::as_str);
        self.steps.get_index_of(id)
    }

    fn step_mut(&mut self, digest: &str) -> Option<&mut Step> {
        let place = self.place_of(digest)?;
        self.steps.get_index_mut(place).map(|(_, step)| step)
    }
}

/// These, and last those that read something and are not announced here. The engine announces all of a build before it does
/// anything for it, but sorts by time what it tells at once: what it did earlier for another build, and tells to this one,
/// too, then stands before it.
fn own_first(vertexes: &[Vertex]) -> impl Iterator<Item = &Vertex> {
    let announced = vertexes.iter().filter(|vertex| vertex.started.is_none());
    let announced: HashSet<&str> = announced.map(|vertex| vertex.digest.as_str()).collect();
    let is_own =
        |vertex: &&Vertex| vertex.inputs.is_empty() || announced.contains(vertex.digest.as_str());
    let (own, others): (Vec<_>, Vec<_>) = vertexes.iter().partition(is_own);
    own.into_iter().chain(others)
}

/// How many steps of a Dockerfile were not run, and how many were.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Steps whose result came from the cache, and bases the engine already held.
    pub cached: usize,
    /// Steps that ran, the failed one included.
    pub run: usize,
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::progress::{ProgressGroup, VertexLog};

    fn vertex(digest: &str, name: &str, started: Option<i64>, completed: Option<i64>) -> Vertex {
        let time = |second| jiff::Timestamp::from_second(second).unwrap();
        Vertex {
            digest: digest.into(),
            name: name.into(),
            started: started.map(time),
            completed: completed.map(time),
            ..Vertex::default()
        }
    }

    fn log(vertex: &str, data: &[u8]) -> VertexLog {
        VertexLog { vertex: vertex.into(), data: data.into(), ..VertexLog::default() }
    }

    #[test]
    fn the_last_output_comes_before_the_end_of_its_step() {
        let mut trace = Trace::default();
        let changes = trace.update(
            &SolveStatus {
                vertexes: vec![vertex("a", "[2/2] RUN x", Some(1), None)],
                logs: vec![log("a", b"one\ntw")],
                ..SolveStatus::default()
            },
            Duration::ZERO,
        );
        assert_eq!(
            changes,
            [Change::Started { step: 0 }, Change::Line { step: 0, text: "one".into() }]
        );
        let changes = trace.update(
            &SolveStatus {
                vertexes: vec![vertex("a", "[2/2] RUN x", Some(1), Some(3))],
                logs: vec![log("a", b"o\nthree")],
                ..SolveStatus::default()
            },
            Duration::ZERO,
        );
        assert_eq!(
            changes,
            [
                Change::Line { step: 0, text: "two".into() },
                Change::Line { step: 0, text: "three".into() },
                Change::Ended { step: 0 },
            ]
        );
        assert_eq!(trace.counts(), Counts { cached: 0, run: 1 });
    }

    #[test]
    fn a_line_that_was_begun_is_told_when_nothing_more_comes() {
        let mut trace = Trace::default();
        let status = SolveStatus {
            vertexes: vec![vertex("a", "[2/2] RUN x", Some(1), None)],
            logs: vec![log("a", b"begun")],
            ..SolveStatus::default()
        };
        assert_eq!(trace.update(&status, Duration::ZERO), [Change::Started { step: 0 }]);
        assert_eq!(trace.end(), [Change::Line { step: 0, text: "begun".into() }]);
        assert_eq!(trace.end(), []);
    }

    #[test]
    fn a_group_is_one_step_and_shows_once_a_strong_member_starts() {
        let mut trace = Trace::default();
        let member = |digest: &str, weak, started, completed| Vertex {
            progress_group: Some(ProgressGroup {
                id: "g".into(),
                name: "[2/3] COPY --link a b".into(),
                weak,
            }),
            cached: true,
            ..vertex(digest, digest, started, completed)
        };
        let mut send = |vertex| {
            let status = SolveStatus { vertexes: vec![vertex], ..SolveStatus::default() };
            trace.update(&status, Duration::ZERO);
            (trace.steps().len(), trace.step(0).unwrap().is_visible(), trace.counts().cached)
        };
        assert_eq!(send(member("a", true, Some(1), Some(1))), (1, false, 1));
        assert_eq!(send(member("b", false, None, None)), (1, false, 1));
        assert_eq!(send(member("b", false, Some(2), None)), (1, true, 0));
        assert_eq!(send(member("b", false, Some(2), Some(2))), (1, true, 1));
    }

    #[test]
    fn a_step_that_another_target_did_under_another_digest_counts_once() {
        let mut trace = Trace::default();
        let name = "[build 2/3] COPY app.txt /src/";
        let mut send = |vertex| {
            trace.update(
                &SolveStatus { vertexes: vec![vertex], ..SolveStatus::default() },
                Duration::ZERO,
            );
            (trace.steps().len(), trace.counts())
        };
        send(vertex("own", name, None, None));
        send(vertex("theirs", name, Some(1), Some(3)));
        let cached = Vertex { cached: true, ..vertex("own", name, Some(3), Some(3)) };
        assert_eq!(send(cached), (1, Counts { cached: 0, run: 1 }));
        // It waited for theirs, and did nothing when that was over.
        let late = Vertex { cached: true, ..vertex("own", name, Some(9), Some(9)) };
        send(late);
        // What is not an instruction has its name more than once.
        send(vertex("one", "[internal] load x", Some(1), None));
        assert_eq!(send(vertex("other", "[internal] load x", Some(1), None)).0, 3);
        let step = trace.step_of("theirs").unwrap();
        assert_eq!((step.id.as_str(), step.duration()), ("own", Duration::from_secs(2)));
        assert_eq!(step.intervals().len(), 1);
    }

    fn reading(inputs: &[&str], vertex: Vertex) -> Vertex {
        Vertex { inputs: inputs.iter().map(|it| (*it).to_owned()).collect(), ..vertex }
    }

    fn own_names(trace: &Trace) -> Vec<&str> {
        trace.own_steps().map(|step| step.name.as_str()).collect()
    }

    #[test]
    fn a_step_counts_once_whatever_number_of_steps_others_have() {
        let sent = [
            vertex("b1", "[1/3] FROM docker.io/library/b:1", None, None),
            reading(&["b1", "b3"], vertex("b2", "[2/3] COPY b.txt /f", None, None)),
            vertex("a1", "[1/3] FROM docker.io/library/a:1", Some(1), Some(1)),
            reading(&["a1"], vertex("a2", "[2/3] COPY a.txt /f", Some(1), Some(2))),
            vertex("b3", "[build 1/3] FROM docker.io/library/b:1", Some(2), Some(2)),
            vertex("c1", "[1/7] FROM docker.io/library/b:1", Some(1), Some(1)),
            vertex("c2", "[2/7] COPY b.txt /f", Some(1), Some(2)),
        ];
        let status = SolveStatus { vertexes: sent.to_vec(), ..SolveStatus::default() };
        let mut trace = Trace::of_one_dockerfile();
        trace.update(&status, Duration::ZERO);
        let own = [&sent[0].name, &sent[1].name, &sent[4].name];
        assert_eq!(own_names(&trace), own, "each by its own name");
        assert_eq!(trace.counts(), Counts { cached: 2, run: 1 });
        // A build of another program may hold the steps of several Dockerfiles.
        let mut trace = Trace::default();
        trace.update(&status, Duration::ZERO);
        assert_eq!(trace.steps().len(), 7);
    }

    #[test]
    fn what_a_build_that_has_not_ended_did_for_the_target_below_is_not_of_this_one() {
        let copied = || reading(&["f", "l1"], vertex("c1", "[2/3] COPY a /a", Some(2), Some(3)));
        let made = || reading(&["c1"], vertex("r1", "[3/3] RUN date >/b", Some(3), Some(4)));
        let ours = || {
            let load = vertex("d", "[internal] load build definition", Some(10), Some(11));
            let mut all = vec![load, vertex("w2", "[2/3] RUN cat /b", None, None)];
            all[1].inputs = vec!["w1".to_owned()];
            all.push(reading(&["r2", "l2"], vertex("w1", "[1/3] COPY a /again", None, None)));
            all
        };
        let ran = || {
            let copy = vertex("w1", "[1/3] COPY a /again", Some(12), Some(13));
            let run = vertex("w2", "[2/3] RUN cat /b", Some(13), Some(14));
            vec![reading(&["r2", "l2"], copy), reading(&["w1"], run)]
        };
        let theirs = || vec![copied(), made()];
        for sent in [
            vec![ours(), theirs(), ran()],
            vec![[theirs(), ours()].concat(), ran()],
            vec![[ours(), ran(), theirs()].concat()],
        ] {
            let mut trace = Trace::of_one_dockerfile();
            for vertexes in sent {
                trace.update(&SolveStatus { vertexes, ..SolveStatus::default() }, Duration::ZERO);
            }
            let mut own = own_names(&trace);
            own.sort_unstable();
            let names = ["[1/3] COPY a /again", "[2/3] RUN cat /b"];
            assert_eq!(own, [&names[..], &["[internal] load build definition"]].concat());
            assert_eq!(trace.counts(), Counts { cached: 0, run: 2 });
        }
    }

    #[test]
    fn what_ended_before_this_build_began_did_not_run_in_it() {
        let step =
            |digest, started, completed| vertex(digest, "[2/2] RUN make", Some(started), completed);
        let began = Some(10 * 1_000_000_000);
        let mut trace = Trace { began, ..Trace::of_one_dockerfile() };
        let mut send = |vertexes: Vec<Vertex>| {
            trace.update(&SolveStatus { vertexes, ..SolveStatus::default() }, Duration::ZERO);
            let step = trace.step_of("own").unwrap();
            (trace.counts(), step.state(), step.duration())
        };
        let counts = |cached, run| Counts { cached, run };
        let (second, zero) = (Duration::from_secs, Duration::ZERO);
        let own = vertex("own", "[2/2] RUN make", None, None);
        assert_eq!(send(vec![own]), (counts(0, 0), StepState::Waiting, zero));
        let held = vec![step("theirs", 3, None), step("theirs", 3, Some(7))];
        assert_eq!(send(held), (counts(1, 0), StepState::Cached, zero));
        // One that had begun, and that this build waits for.
        let begun = vec![step("other", 8, None)];
        assert_eq!(send(begun), (counts(0, 0), StepState::Running, zero));
        let ended = vec![step("other", 8, Some(12))];
        assert_eq!(send(ended), (counts(0, 1), StepState::Done, second(4)));
    }

    #[test]
    fn what_another_build_did_did_not_run_here() {
        let sent = [
            vertex("a", "[1/2] FROM docker.io/library/b:1", Some(1), Some(1)),
            Vertex { inputs: vec!["a".into()], ..vertex("b", "[2/2] RUN x", None, None) },
            vertex("c", "exporting to image", None, None),
        ];
        let status = SolveStatus { vertexes: sent.to_vec(), ..SolveStatus::default() };
        let mut trace = Trace::of_one_dockerfile();
        trace.update(&status, Duration::ZERO);
        assert_eq!(trace.counts(), Counts { cached: 1, run: 0 });
        assert_eq!(trace.counts_of_success(), Counts { cached: 2, run: 0 });
    }

    proptest::proptest! {
        /// Whatever an engine sends, in whatever order: no panic, no step counted twice, and
        /// nothing changes that is not there.
        #[test]
        fn any_order_of_messages_is_taken(
            sent in proptest::collection::vec(
                (0usize..4, -1i64..4, -1i64..4, 0u8..8, ".{0,8}"),
                0..40,
            )
        ) {
            let mut trace = Trace::default();
            for (id, started, completed, kind, text) in sent {
                let at = |second: i64| (second >= 0).then_some(second);
                let group = ProgressGroup { id: "g".into(), name: text.clone(), weak: id == 0 };
                let mut status = SolveStatus::default();
                let mut sent = vertex(&id.to_string(), "[1/2] RUN x", at(started), at(completed));
                sent.cached = kind & 1 != 0;
                sent.progress_group = (kind & 2 != 0).then_some(group);
                sent.error = if kind & 4 != 0 { text.clone() } else { String::new() };
                status.vertexes.extend((kind < 6).then_some(sent));
                status.logs.push(log(&id.to_string(), text.as_bytes()));
                for change in trace.update(&status, Duration::ZERO) {
                    let (Change::Started { step }
                    | Change::Ended { step }
                    | Change::Line { step, .. }
                    | Change::Warned { step, .. }) = change;
                    proptest::prop_assert!(trace.step(step).is_some());
                }
                let counts = trace.counts();
                proptest::prop_assert!(counts.cached + counts.run <= trace.steps().len());
            }
        }
    }
}
