//! A step of one target's build: what its name says, when it ran, how it ended.

use std::collections::BTreeMap;
use std::time::Duration;

use indexmap::{IndexMap, IndexSet};
use jiff::Timestamp;

use crate::progress::lines::{LineSplitter, LogLine, LogTail, Stream};
use crate::progress::place::{Places, StepPlace};
use crate::progress::rate::Meter;
use crate::progress::{Vertex, VertexStatus, VertexWarning};

/// What a vertex name says, such as `[linux/amd64 build 2/5] RUN make`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StepName {
    /// What stands in the brackets: `build 2/5`, `internal`, `auth`. Empty without brackets.
    pub tag: String,
    /// Stage name, where the Dockerfile has several.
    pub stage: Option<String>,
    /// Number of the instruction in its stage, from 1, and how many the stage has.
    pub position: Option<(u32, u32)>,
    /// The text after the brackets, on one line with single spaces.
    pub instruction: String,
}

impl StepName {
    /// Reads a vertex name as BuildKit's Dockerfile frontend makes them.
    pub fn parse(name: &str) -> Self {
        let (tag, rest) = match name.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
            Some((tag, rest)) => (one_line(tag), rest),
            None => (String::new(), name),
        };
        let instruction = one_line(rest);
        let mut words: Vec<&str> = tag.split(' ').collect();
        let position = words.last().and_then(|word| {
            let (index, total) = word.split_once('/')?;
            Some((index.parse().ok()?, total.parse().ok()?))
        });
        let stage = position.and_then(|_| {
            words.pop();
            // A platform (`linux/amd64`, `linux/arm64->amd64`) may stand before the stage.
            words.last().filter(|word| !word.contains('/')).map(|word| (*word).to_owned())
        });
        Self { tag, stage, position, instruction }
    }

    /// The platform it is for, where several are built: `linux/amd64`, `linux/arm64->amd64`.
    pub fn platform(&self) -> Option<&str> {
        let first = self.tag.split(' ').next()?;
        let is_number = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
        first.split_once('/').filter(|(index, _)| !is_number(index)).map(|_| first)
    }

    /// Whether this is an instruction of the Dockerfile that makes a layer or fetches an image:
    /// `[... n/m] FROM|RUN|COPY|ADD|WORKDIR ...`.
    pub fn is_instruction(&self) -> bool {
        self.position.is_some()
            && matches!(
                self.instruction.split(' ').next(),
                Some("FROM" | "RUN" | "COPY" | "ADD" | "WORKDIR")
            )
    }

    /// What makes steps of different builds the same one: stage and instruction, without its
    /// number (an instruction added above shifts it) and without the digest of a base image.
    pub fn key(&self) -> String {
        let stage = match self.position {
            Some(_) => self.stage.as_deref().unwrap_or_default(),
            None => &self.tag,
        };
        let instruction = match self.instruction.split_once("@sha256:") {
            Some((reference, _)) if self.is_base() => reference,
            _ => &self.instruction,
        };
        format!("[{stage}] {instruction}")
    }

    /// The image that a `FROM` fetches, and its digest where the engine tells it. A stage that several targets have in common
    /// has no number on Docker 20.10, nor has an image that files are copied from.
    pub fn fetched_image(&self) -> Option<(&str, Option<&str>)> {
        let rest = self.instruction.strip_prefix("FROM ")?;
        rest.split(' ').find(|word| !word.starts_with("--")).map(reference_and_digest)
    }

    /// The image whose configuration is asked for, as every build does of each that it needs; with its digest, where
    /// the Dockerfile has it.
    pub fn described_image(&self) -> Option<(&str, Option<&str>)> {
        let image = self.instruction.strip_prefix("load metadata for ")?;
        (self.tag == "internal").then(|| reference_and_digest(image))
    }

    /// Whether this is a `RUN`: the engine starts a process for it.
    pub fn is_run(&self) -> bool {
        self.is_instruction() && self.instruction.starts_with("RUN ")
    }

    /// Whether this is a `FROM`.
    pub fn is_base(&self) -> bool {
        self.is_instruction() && self.instruction.starts_with("FROM ")
    }
}

fn reference_and_digest(image: &str) -> (&str, Option<&str>) {
    image.split_once('@').map_or((image, None), |(reference, digest)| (reference, Some(digest)))
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The cache that a step reads, if it is one that reads a cache elsewhere.
pub fn imported_cache(name: &str) -> Option<&str> {
    name.strip_prefix("importing cache manifest from ")
}

/// How far a step is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StepState {
    /// Announced, not started.
    Waiting,
    /// Started and not completed.
    Running,
    /// Ran to its end.
    Done,
    /// Its result came from the cache.
    Cached,
    /// It ended with an error.
    Failed,
    /// Stopped before its end.
    Cancelled,
}

/// Progress of something inside a step, such as a layer that is pulled.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Transfer {
    /// Bytes done.
    pub current: u64,
    /// Bytes expected; 0 when unknown.
    pub total: u64,
    /// Whether it is over.
    pub completed: bool,
}

/// Things inside a step that are followed at the same time; more are not remembered.
const MAX_TRANSFERS: usize = 1000;

/// Warnings kept per step.
const MAX_WARNINGS: usize = 100;

/// Times at which a vertex ran that are kept, the last ones.
const MAX_INTERVALS: usize = 1000;

/// A step: one vertex, or the vertexes of one progress group.
#[derive(Debug, Clone, Default)]
pub struct Step {
    /// Digest of the vertex, or id of the group: the key.
    pub id: String,
    /// Name as the frontend made it.
    pub name: String,
    /// What the name says.
    pub label: StepName,
    /// Where it stands in the Dockerfile, once that is known.
    pub place: Option<StepPlace>,
    /// Last lines of its output.
    pub tail: LogTail,
    /// Warnings, at most a hundred.
    pub warnings: Vec<VertexWarning>,
    /// When the first start was seen, since the start of the run by the caller's clock.
    pub seen_at: Option<Duration>,
    /// When its latest start was seen.
    pub started_at: Option<Duration>,
    /// When its latest end was seen.
    pub ended_at: Option<Duration>,
    /// Whether the engine told of it before it began.
    pub(super) is_announced: bool,
    members: IndexMap<String, Member>,
    /// Digests of the vertexes it reads.
    inputs: IndexSet<String>,
    transfers: IndexMap<String, Transfer>,
    meter: Meter,
    /// The two outputs come in turns and each may stop inside a line.
    stdout: LineSplitter,
    stderr: LineSplitter,
}

/// A vertex of a step.
#[derive(Debug, Clone, Default)]
struct Member {
    /// Start to end, in nanoseconds of the engine's clock. The same start reported again
    /// replaces its end.
    intervals: BTreeMap<i128, Option<i128>>,
    cached: bool,
    error: String,
    weak: bool,
    reads: bool,
}

impl Member {
    fn ended(&self) -> bool {
        self.intervals.values().any(Option::is_some)
    }
}

impl Step {
    pub(super) fn new(id: &str, name: &str) -> Self {
        Self {
            id: id.to_owned(),
            name: name.to_owned(),
            label: StepName::parse(name),
            ..Self::default()
        }
    }

    /// Takes over what the engine says of one vertex of the step, in a build that `began` then. Whether it reads more than
    /// was known.
    pub(super) fn update(&mut self, vertex: &Vertex, at: Duration, began: Option<i128>) -> bool {
        let known = self.inputs.len();
        self.is_announced |= self.members.is_empty() && vertex.started.is_none();
        // What a twin reads is another build's.
        if vertex.progress_group.is_some() || vertex.digest == self.id {
            self.inputs.extend(vertex.inputs.iter().cloned());
        }
        let reads_more = self.inputs.len() > known;
        let member = self.members.entry(vertex.digest.clone()).or_default();
        // The engine repeats the announcement of a vertex that already started; it says nothing.
        if vertex.started.is_none() && !member.intervals.is_empty() {
            return reads_more;
        }
        member.reads |= !vertex.inputs.is_empty();
        // The layers of a cached step are fetched when they are needed. The engine announces that as if the step ran,
        // but without what it reads.
        let is_fetched = member.cached && member.reads && vertex.inputs.is_empty();
        // A build that still holds the result of a step shares it.
        let ended = vertex.completed.map(Timestamp::as_nanosecond);
        let held = began.filter(|began| ended.is_some_and(|ended| ended < *began));
        member.cached = vertex.cached || is_fetched || held.is_some();
        member.error.clone_from(&vertex.error);
        member.weak = vertex.progress_group.as_ref().is_some_and(|group| group.weak);
        if let Some(started) = vertex.started.map(Timestamp::as_nanosecond) {
            if held.is_some() {
                member.intervals.remove(&started);
            }
            let known = member.intervals.insert(held.unwrap_or(started), held.or(ended));
            if member.intervals.len() > MAX_INTERVALS {
                member.intervals.pop_first();
            }
            self.seen_at.get_or_insert(at);
            if known.is_none() {
                self.started_at = Some(at);
            }
            if ended.is_some() && known != Some(held.or(ended)) {
                self.ended_at = Some(at);
            }
        }
        reads_more
    }

    /// Takes over a name. Whether it is another one.
    pub(super) fn rename(&mut self, name: &str) -> bool {
        let is_new = !name.is_empty() && name != self.name;
        if is_new {
            self.name = name.to_owned();
            self.label = StepName::parse(name);
        }
        is_new
    }

    /// Finds its place, as far as it is known.
    pub(super) fn locate(&mut self, places: &Places) {
        let is_written = self.label.position.is_some();
        self.place = is_written.then(|| places.of_step(&self.id, &self.name)).flatten();
    }

    pub(super) fn transfer(&mut self, status: &VertexStatus, at: Duration) {
        if self.transfers.len() >= MAX_TRANSFERS && !self.transfers.contains_key(&status.id) {
            return;
        }
        self.transfers.insert(
            status.id.clone(),
            Transfer {
                current: u64::try_from(status.current).unwrap_or(0),
                total: u64::try_from(status.total).unwrap_or(0),
                completed: status.completed.is_some(),
            },
        );
        self.meter.push(at, self.bytes().0);
    }

    pub(super) fn warn(&mut self, warning: &VertexWarning) -> bool {
        let room = self.warnings.len() < MAX_WARNINGS;
        if room {
            // Nobody shows the file that a warning is about, which may be long, from here.
            self.warnings.push(VertexWarning { source_info: None, ..warning.clone() });
        }
        room
    }

    /// Takes a piece of output; `stream` is BuildKit's number of it.
    pub(super) fn log(&mut self, stream: i64, data: &[u8], mut each: impl FnMut(&str)) {
        let tail = &mut self.tail;
        let (splitter, stream) = match stream {
            2 => (&mut self.stderr, Stream::Stderr),
            _ => (&mut self.stdout, Stream::Stdout),
        };
        splitter.push(data, |text| {
            each(&text);
            tail.push(LogLine { stream, text });
        });
    }

    /// Ends the lines that were begun.
    pub(super) fn flush_log(&mut self, mut each: impl FnMut(&str)) {
        let begun = [(Stream::Stdout, self.stdout.flush()), (Stream::Stderr, self.stderr.flush())];
        for (stream, text) in begun {
            if let Some(text) = text {
                each(&text);
                self.tail.push(LogLine { stream, text });
            }
        }
    }

    /// How far it is. A step that started again after it ended counts as running.
    pub fn state(&self) -> StepState {
        let mut started = false;
        for member in self.members.values() {
            for end in member.intervals.values() {
                started = true;
                if end.is_none() {
                    return StepState::Running;
                }
            }
        }
        match self.error() {
            Some(error) if is_cancellation(error) => StepState::Cancelled,
            Some(_) => StepState::Failed,
            None if !started => StepState::Waiting,
            // Members that have not started have nothing to say on it.
            None if self
                .members
                .values()
                .all(|member| member.cached || member.intervals.is_empty()) =>
            {
                StepState::Cached
            }
            None => StepState::Done,
        }
    }

    /// The engine's error text, if it failed or was cancelled.
    pub fn error(&self) -> Option<&str> {
        self.members.values().map(|member| member.error.as_str()).find(|error| !error.is_empty())
    }

    /// Whether it is worth a line: a group is, once a member that is not weak has started.
    pub fn is_visible(&self) -> bool {
        self.members.values().any(|member| !member.weak && !member.intervals.is_empty())
            || self.error().is_some()
    }

    /// Time spent in completed intervals, overlaps counted once, by the engine's clock.
    pub fn duration(&self) -> Duration {
        let nanos: i128 = self.intervals().iter().map(|(start, end)| end - start).sum();
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(0))
    }

    /// Completed intervals in nanoseconds of the engine's clock, ordered, overlaps merged. Where one
    /// vertex of the step ran, those that came from the cache say only when that was noticed.
    pub fn intervals(&self) -> Vec<(i128, i128)> {
        let ran = self.members.values().any(|member| !member.cached && member.ended());
        let mut all: Vec<(i128, i128)> = self
            .members
            .values()
            .filter(|member| !ran || !member.cached)
            .flat_map(|member| &member.intervals)
            .filter_map(|(start, end)| Some((*start, (*end)?.max(*start))))
            .collect();
        all.sort_unstable();
        let mut merged: Vec<(i128, i128)> = Vec::with_capacity(all.len());
        for (start, end) in all {
            match merged.last_mut() {
                Some(last) if start <= last.1 => last.1 = last.1.max(end),
                _ => merged.push((start, end)),
            }
        }
        merged
    }

    /// Start of the interval that never ended, where there is one, in nanoseconds of the engine's
    /// clock.
    pub fn open_since(&self) -> Option<i128> {
        let all = self.members.values().flat_map(|member| &member.intervals);
        all.filter(|(_, end)| end.is_none()).map(|(start, _)| *start).min()
    }

    /// The latest time the engine told of it, in nanoseconds of the engine's clock.
    pub fn latest(&self) -> Option<i128> {
        let all = self.members.values().flat_map(|member| &member.intervals);
        all.map(|(start, end)| end.map_or(*start, |end| end.max(*start))).max()
    }

    /// Bytes done and expected over everything the step transfers (0 when unknown).
    pub fn bytes(&self) -> (u64, u64) {
        self.transfers.values().fold((0, 0), |(current, total), transfer| {
            (
                current.saturating_add(transfer.current),
                total.saturating_add(transfer.total.max(transfer.current)),
            )
        })
    }

    /// Bytes per second over the last seconds before `at`; `None` where nothing moves.
    pub fn rate(&self, at: Duration) -> Option<u64> {
        self.meter.rate(at)
    }

    /// Digests of the vertexes it reads, without those that are part of it.
    pub fn inputs(&self) -> impl Iterator<Item = &str> {
        let others = self.inputs.iter().filter(|input| !self.members.contains_key(*input));
        others.map(String::as_str)
    }

    /// What it transfers, by the engine's names.
    pub fn transfers(&self) -> impl Iterator<Item = (&str, &Transfer)> {
        self.transfers.iter().map(|(id, transfer)| (id.as_str(), transfer))
    }

    /// Whether the step counts as run or cached, and which. `None` for what is not an instruction of
    /// the Dockerfile and for steps that never ended.
    ///
    /// BuildKit never marks a `FROM` cached when it resolves to an image the engine holds: it
    /// counts as run only when something was transferred for it.
    pub fn counts_as_cached(&self) -> Option<bool> {
        if !self.label.is_instruction() {
            return None;
        }
        match self.state() {
            StepState::Cached => Some(true),
            StepState::Done if self.label.is_base() => Some(self.bytes().0 == 0),
            StepState::Done | StepState::Failed => Some(false),
            StepState::Waiting | StepState::Running | StepState::Cancelled => None,
        }
    }

    /// [`Self::counts_as_cached`] of a step of a build that succeeded. Of a step that another build did at the same time,
    /// engines up to 20.10 may not tell that it ended, or that it began: for this build it did not run.
    pub fn counts_as_cached_in_success(&self) -> Option<bool> {
        if !self.label.is_instruction() {
            return None;
        }
        match self.state() {
            StepState::Waiting | StepState::Cancelled => Some(true),
            StepState::Running => Some(self.label.is_base() && self.bytes().0 == 0),
            StepState::Cached | StepState::Done | StepState::Failed => self.counts_as_cached(),
        }
    }
}

/// BuildKit ends the text of a cancelled vertex so.
pub fn is_cancellation(error: &str) -> bool {
    error.ends_with("context canceled")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn names_are_read() {
        let step = StepName::parse("[linux/amd64 build 2/5] RUN apt-get update &&     make");
        assert_eq!(step.stage.as_deref(), Some("build"));
        assert_eq!(step.position, Some((2, 5)));
        assert_eq!(step.instruction, "RUN apt-get update && make");
        assert!(step.is_instruction());
        let only_stage = StepName::parse("[1/7] FROM docker.io/library/base:latest");
        assert_eq!((only_stage.stage.clone(), only_stage.position), (None, Some((1, 7))));
        assert!(only_stage.is_base());
        assert_eq!(StepName::parse("[linux/amd64 3/4] COPY a b").stage, None);
        for name in [
            "[internal] load build definition from Dockerfile",
            "exporting to image",
            "[auth] library/python:pull token for registry-1.docker.io",
            "[context shared] load from client",
            "[1/2] ONBUILD",
            "",
            "[unclosed 1/2 RUN x",
        ] {
            assert!(!StepName::parse(name).is_instruction(), "{name}");
        }
    }

    fn vertex(started: Option<&str>, completed: Option<&str>) -> Vertex {
        let time = |text: &str| format!("2026-11-23T10:00:{text}Z").parse().unwrap();
        Vertex {
            digest: "sha256:a".into(),
            started: started.map(time),
            completed: completed.map(time),
            ..Vertex::default()
        }
    }

    #[test]
    fn a_cached_step_whose_layers_are_fetched_did_not_run() {
        let inputs = vec!["sha256:base".to_owned()];
        let cached =
            |start, end| Vertex { inputs: inputs.clone(), cached: true, ..vertex(start, end) };
        let mut step = Step::new("sha256:a", "[2/2] RUN make");
        step.update(&cached(Some("01"), Some("01")), Duration::ZERO, None);
        step.update(&vertex(Some("02"), None), Duration::ZERO, None);
        assert_eq!(step.state(), StepState::Running);
        step.update(&vertex(Some("02"), Some("05")), Duration::ZERO, None);
        assert_eq!(step.state(), StepState::Cached);
        assert_eq!(step.counts_as_cached(), Some(true));
        assert_eq!(step.duration(), Duration::from_secs(3));
        // What was in the cache could not be loaded, and it runs after all.
        let run = Vertex { inputs: inputs.clone(), ..vertex(Some("06"), Some("09")) };
        step.update(&run, Duration::ZERO, None);
        assert_eq!(step.state(), StepState::Done);
    }

    #[test]
    fn overlapping_intervals_count_once_and_a_repeated_announcement_changes_nothing() {
        let mut step = Step::new("sha256:a", "[1/2] RUN x");
        let zero = Duration::ZERO;
        step.update(&vertex(None, None), zero, None);
        assert_eq!(step.state(), StepState::Waiting);
        step.update(&vertex(Some("01"), None), zero, None);
        assert_eq!(step.state(), StepState::Running);
        step.update(&vertex(Some("01"), Some("04")), zero, None);
        step.update(&vertex(Some("03"), Some("05")), zero, None);
        step.update(&vertex(Some("10"), Some("11")), zero, None);
        step.update(&vertex(None, None), zero, None);
        assert_eq!(step.state(), StepState::Done);
        assert_eq!(step.duration(), Duration::from_secs(5));
        assert_eq!(step.intervals().len(), 2);
    }

    #[test]
    fn the_last_completion_wins() {
        let mut step = Step::new("sha256:a", "[1/2] RUN x");
        let cached = Vertex { cached: true, ..vertex(Some("01"), Some("01")) };
        step.update(&cached, Duration::ZERO, None);
        assert_eq!(step.counts_as_cached(), Some(true));
        step.update(&vertex(Some("02"), Some("03")), Duration::ZERO, None);
        assert_eq!(step.counts_as_cached(), Some(false));
    }

    #[test]
    fn a_base_counts_as_run_only_when_it_was_fetched() {
        let mut step = Step::new("sha256:a", "[1/2] FROM docker.io/library/base");
        step.update(&vertex(Some("01"), Some("02")), Duration::ZERO, None);
        assert_eq!(step.counts_as_cached(), Some(true));
        let layer = VertexStatus { id: "sha256:l".into(), current: 5, ..Default::default() };
        step.transfer(&layer, Duration::ZERO);
        assert_eq!(step.counts_as_cached(), Some(false));
    }
}
