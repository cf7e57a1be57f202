//! How much is taken of what an engine tells of a build. Whoever answers may tell without an end, and what is told is
//! kept until the build is over.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use crate::progress::trace::MAX_STEPS;
use crate::progress::{SolveStatus, Vertex, VertexWarning};

/// Vertexes of a build: one fewer than there is room for, which says that there are more.
const MOST_VERTEXES: usize = MAX_STEPS - 1;
/// Bytes of their names, errors, inputs and warnings, each time they change. The longest Dockerfile that is read has
/// 16 MiB, which names and errors repeat.
const MOST_BYTES: usize = 128 << 20;
/// Bytes of the name of something that is transferred within a step.
const LONGEST_ID: usize = 4 << 10;
/// Characters that are left of an error that there is no room for.
const SHORT_ERROR: usize = 1 << 10;

/// Digest of the vertex that says that something was left out.
const LEFT_OUT: &str = "doc2md-docker:left-out";

/// What was taken of one build so far.
#[derive(Debug, Default)]
pub struct StatusBounds {
    /// A hash of the texts of each vertex, by its digest.
    vertexes: HashMap<String, u64>,
    bytes: usize,
    told: bool,
}

impl StatusBounds {
    /// Leaves out what there is no room for, and what speaks of vertexes that nobody announced. The first time, it adds a
    /// warning that says so.
    pub fn apply(&mut self, status: &mut SolveStatus) {
        let mut is_full = false;
        status.vertexes.retain_mut(|vertex| self.takes(vertex, &mut is_full));
        status.warnings.retain(|warning| {
            let bytes = warning.short.len()
                + warning.detail.iter().map(Vec::len).sum::<usize>()
                + warning.url.len();
            let taken = self.vertexes.contains_key(&warning.vertex) && self.has_room(bytes);
            is_full |= !taken;
            taken
        });
        status.statuses.retain(|progress| {
            self.vertexes.contains_key(&progress.vertex)
                && progress.id.len().max(progress.name.len()) <= LONGEST_ID
        });
        status.logs.retain_mut(|log| {
            // There are two.
            log.stream = if log.stream == 2 { 2 } else { 1 };
            self.vertexes.contains_key(&log.vertex)
        });
        if is_full && !std::mem::replace(&mut self.told, true) {
            let name = "[internal] statuses".to_owned();
            let digest = LEFT_OUT.to_owned();
            status.vertexes.push(Vertex { digest, name, ..Vertex::default() });
            status.warnings.push(VertexWarning {
                vertex: LEFT_OUT.to_owned(),
                level: 1,
                short: format!(
                    "the engine tells of more than {MAX_STEPS} steps, or with more than {} MiB: the rest is not \
                     shown",
                    MOST_BYTES >> 20
                )
                .into_bytes(),
                ..VertexWarning::default()
            });
        }
    }

    fn takes(&mut self, vertex: &mut Vertex, is_full: &mut bool) -> bool {
        let texts = hash(vertex);
        let known = self.vertexes.get(&vertex.digest).copied();
        if known == Some(texts) {
            return true;
        }
        let has_place = known.is_some() || self.vertexes.len() < MOST_VERTEXES;
        if has_place && self.has_room(bytes(vertex)) {
            self.vertexes.insert(vertex.digest.clone(), texts);
            return true;
        }
        *is_full = true;
        // How a step that is known ends is worth more than what it is called.
        vertex.name.clear();
        vertex.inputs.clear();
        vertex.progress_group = None;
        vertex.error = vertex.error.chars().take(SHORT_ERROR).collect();
        known.is_some()
    }

    fn has_room(&mut self, bytes: usize) -> bool {
        let sum = self.bytes.saturating_add(bytes);
        let fits = sum <= MOST_BYTES;
        if fits {
            self.bytes = sum;
        }
        fits
    }
}

fn bytes(vertex: &Vertex) -> usize {
    let group = vertex.progress_group.as_ref().map_or(0, |it| it.id.len() + it.name.len());
    let inputs: usize = vertex.inputs.iter().map(String::len).sum();
    vertex.digest.len() + vertex.name.len() + vertex.error.len() + inputs + group
}

fn hash(vertex: &Vertex) -> u64 {
    let mut hasher = DefaultHasher::new();
    (&vertex.name, &vertex.error, &vertex.inputs).hash(&mut hasher);
    vertex.progress_group.as_ref().map(|it| (&it.id, &it.name)).hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use jiff::Timestamp;

    use super::*;
    use crate::progress::{Change, Redaction, Trace, VertexLog, VertexStatus};

    /// Tells `count` statuses to a trace as a run does, and returns what it was warned of.
    fn warned(
        trace: &mut Trace,
        count: usize,
        status: impl Fn(usize) -> SolveStatus,
    ) -> Vec<String> {
        let (mut bounds, mut door) = (StatusBounds::default(), Redaction::default());
        let mut warnings = Vec::new();
        for number in 0..count {
            let mut status = status(number);
            bounds.apply(&mut status);
            let event = crate::progress::Event::Status { target: "t".to_owned(), status };
            for event in door.pass(event) {
                let crate::progress::Event::Status { status, .. } = event else { continue };
                let changes = trace.update(&status, Duration::ZERO).into_iter();
                warnings.extend(changes.filter_map(|change| match change {
                    Change::Warned { text, .. } => Some(text),
                    _ => None,
                }));
            }
        }
        warnings
    }

    fn vertex(number: usize, name: &str) -> Vertex {
        Vertex { digest: format!("sha256:{number}"), name: name.to_owned(), ..Vertex::default() }
    }

    fn status(vertexes: Vec<Vertex>) -> SolveStatus {
        SolveStatus { vertexes, ..SolveStatus::default() }
    }

    #[test]
    fn steps_and_their_texts_have_a_bound() {
        let mut trace = Trace::default();
        let all = MOST_VERTEXES / 1000 + 5;
        let warnings = warned(&mut trace, all, |number| {
            status((0..1000).map(|vertex_of| vertex(number * 1000 + vertex_of, "x")).collect())
        });
        assert_eq!(warnings.len(), 1, "{warnings:?}");
        assert!(warnings[0].contains("more than 10000 steps, or with more than 128 MiB"));

        // One whose name changes without an end, and still ends.
        let long = "x".repeat(1 << 20);
        let mut trace = Trace::default();
        let warnings = warned(&mut trace, 200, |number| {
            let completed = Some(Timestamp::UNIX_EPOCH).filter(|_| number == 199);
            let named = vertex(0, &format!("{number}{long}"));
            let error = long.clone();
            status(vec![Vertex { started: Some(Timestamp::UNIX_EPOCH), completed, error, ..named }])
        });
        assert_eq!(warnings.len(), 1);
        let failed = trace.failed().and_then(crate::progress::Step::error);
        assert_eq!(failed.map(str::len), Some(SHORT_ERROR));
    }

    #[test]
    fn what_is_within_the_bounds_stays_as_it_is() {
        let mut bounds = StatusBounds::default();
        let log = VertexLog { vertex: "sha256:1".to_owned(), stream: 2, ..VertexLog::default() };
        let progress =
            VertexStatus { id: "a".into(), vertex: "sha256:1".into(), ..VertexStatus::default() };
        let warning = VertexWarning { vertex: "sha256:1".into(), ..VertexWarning::default() };
        let all = SolveStatus {
            vertexes: vec![vertex(1, "[1/1] FROM x")],
            statuses: vec![progress],
            logs: vec![log],
            warnings: vec![warning],
        };
        let mut seen = all.clone();
        bounds.apply(&mut seen);
        assert_eq!(seen, all);
        let unknown = |number: usize| VertexLog {
            vertex: format!("sha256:{number}"),
            ..VertexLog::default()
        };
        let mut status = SolveStatus { logs: vec![unknown(9)], ..SolveStatus::default() };
        bounds.apply(&mut status);
        assert_eq!(status, SolveStatus::default());
    }

    /// Everything that a step keeps besides, told over and over.
    #[test]
    fn what_is_kept_of_steps_does_not_grow() {
        let at = |second: usize| Timestamp::from_second(i64::try_from(second).unwrap_or(0)).ok();
        let mut trace = Trace::default();
        warned(&mut trace, 1100, |number| {
            status(vec![Vertex { started: at(number), ..vertex(0, "[1/1] RUN x") }])
        });
        let open = trace.step(0).and_then(crate::progress::Step::open_since);
        assert_eq!(open, Some(i128::from(1100 - 1000) * 1_000_000_000));
        // As much output as is kept of 50 steps, each with as much as is kept of one.
        let line = [&[b'x'; 16_000][..], b"\n"].concat();
        let mut trace = Trace::default();
        warned(&mut trace, 50 * 100, |number| {
            let (step, started) = (number / 100, at(1));
            let log = VertexLog {
                vertex: format!("sha256:{step}"),
                data: line.clone(),
                ..VertexLog::default()
            };
            let name = format!("[{step}/50] RUN x");
            let vertexes = vec![Vertex { started, ..vertex(step, &name) }];
            SolveStatus { vertexes, logs: vec![log], ..SolveStatus::default() }
        });
        let tails: usize = trace.steps().map(|step| step.tail.bytes()).sum();
        assert!(tails <= 65 << 20, "{tails}");
        assert!(tails >= 16 << 20, "{tails}");
    }
}
