//! Steps that are starting, for engines that lose a cancel meanwhile.
//!
//! BuildKit 0.12 to 0.14 wait for a step's process with a goroutine that ends when the solve is cancelled first, "nothing
//! to kill" (`executor/runcexecutor/executor.go`, `runcProcessHandle`; 0.15.0 mended it): the process then comes up all
//! the same, and runs on. Docker 25.0 to 27.0 have these versions. There a cancel has to wait until what started is up.
//! Knows no engine and no clock: `now` is a parameter.

use std::collections::HashMap;
use std::time::Duration;

use tokio::time::Instant;

use crate::progress::{SolveStatus, StepName};
use crate::release;

/// From a step's start until its process is up: 0.1 s on an idle machine, up to 1.9 s on one with ten processes for each
/// of its cores.
const STARTING: Duration = Duration::from_secs(3);
/// A step starts when another vertex completes: where nothing has changed for so long, none starts just now, of which
/// the engine has not reported yet.
const QUIET: Duration = Duration::from_secs(1);
/// How late the engine may report a change.
const TOLD: Duration = Duration::from_millis(300);
/// A cancel waits no longer, whatever starts in the meantime.
const AT_MOST: Duration = Duration::from_secs(6);

/// Whether a Docker Engine of this release, such as `26.1.5`, loses a cancel while a step starts.
pub(super) fn loses_cancels(release: &str) -> bool {
    match release::major(release) {
        Some(25 | 26) => true,
        _ => release::major_and_minor(release) == Some((27, 0)),
    }
}

/// The same of BuildKit by its own release, such as `v0.13.2`. One that says none (`v0.0.0+unknown`) is taken for one.
pub(super) fn buildkit_loses_cancels(release: &str) -> bool {
    match release::major_and_minor(release) {
        Some((0, minor)) => matches!(minor, 0 | 12..=14),
        _ => release::major(release).is_none(),
    }
}

/// The steps of a solve that may be about to start.
#[derive(Debug)]
pub(super) struct NextSteps {
    /// When a vertex last started or ended.
    changed: Instant,
    /// RUN steps that have started and not been heard of since, by digest.
    since: HashMap<String, Instant>,
}

impl NextSteps {
    /// Of a solve that is sent now.
    pub(super) fn new(now: Instant) -> Self {
        Self { changed: now, since: HashMap::new() }
    }

    /// Takes in a status of the engine.
    pub(super) fn note(&mut self, status: &SolveStatus, now: Instant) {
        for vertex in &status.vertexes {
            self.changed = now;
            if vertex.completed.is_some() || vertex.cached {
                self.since.remove(&vertex.digest);
            } else if vertex.started.is_some() && StepName::parse(&vertex.name).is_run() {
                self.since.entry(vertex.digest.clone()).or_insert(now);
            }
        }
        // What has an output is up.
        for log in &status.logs {
            self.since.remove(&log.vertex);
        }
    }

    /// When a cancel that was wanted at `wanted` takes effect.
    pub(super) fn cancel_at(&self, wanted: Instant) -> Instant {
        let up = self.since.values().map(|since| *since + STARTING);
        let safe = up.fold(self.changed + QUIET, Instant::max);
        safe.max(wanted + TOLD).min(wanted + AT_MOST)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use jiff::Timestamp;

    use super::*;
    use crate::progress::{Vertex, VertexLog};

    fn vertex(digest: &str, name: &str, completed: bool) -> SolveStatus {
        let vertex = Vertex {
            digest: digest.to_owned(),
            name: name.to_owned(),
            started: Some(Timestamp::UNIX_EPOCH),
            completed: completed.then_some(Timestamp::UNIX_EPOCH),
            ..Vertex::default()
        };
        SolveStatus { vertexes: vec![vertex], ..SolveStatus::default() }
    }

    #[test]
    fn releases_with_buildkit_0_12_to_0_14_lose_cancels() {
        for (release, loses) in [
            ("20.10.24+dfsg1", false),
            ("24.0.9", false),
            ("25.0.0", true),
            ("26.1.5+dfsg1", true),
            ("27.0.3", true),
            ("27.1.0", false),
            ("28.5.2", false),
            ("", false),
            ("dev", false),
        ] {
            assert_eq!(loses_cancels(release), loses, "{release}");
        }
    }

    #[test]
    fn so_it_is_by_the_release_of_buildkit() {
        for (release, loses) in [
            ("v0.11.6", false),
            ("v0.12.0", true),
            ("0.14.1", true),
            ("v0.15.0", false),
            ("v0.33-dev", false),
            ("v1.2.0", false),
            ("v0.0.0+unknown", true),
            ("", true),
        ] {
            assert_eq!(buildkit_loses_cancels(release), loses, "{release}");
        }
    }

    #[test]
    fn a_cancel_waits_for_what_has_just_started() {
        let start = Instant::now();
        let after = |seconds: f64| start + Duration::from_secs_f64(seconds);
        let mut steps = NextSteps::new(start);
        assert_eq!(steps.cancel_at(start), start + QUIET, "a step may follow at once");
        steps.note(&vertex("a", "[1/2] RUN a", false), start);
        steps.note(&vertex("b", "[2/2] COPY b /", false), after(0.5));
        assert_eq!(steps.cancel_at(after(1.0)), start + STARTING);
        // An interval that goes on does not start again.
        steps.note(&vertex("a", "[1/2] RUN a", false), after(2.0));
        assert_eq!(steps.cancel_at(after(5.0)), after(5.0) + TOLD);
        steps.note(&vertex("c", "[c 1/2] RUN c", false), after(6.0));
        assert_eq!(steps.cancel_at(after(6.0)), after(9.0));
        steps.note(&vertex("c", "[c 1/2] RUN c", true), after(6.5));
        assert_eq!(steps.cancel_at(after(6.6)), after(7.5), "another may follow");
        // Others start while it waits.
        steps.note(&vertex("d", "[d 1/2] RUN d", false), after(12.0));
        assert_eq!(steps.cancel_at(after(6.6)), after(6.6) + AT_MOST);
    }

    #[test]
    fn a_step_with_an_output_is_up() {
        let now = Instant::now();
        let mut steps = NextSteps::new(now);
        steps.note(&vertex("a", "[1/2] RUN a", false), now);
        let log = VertexLog { vertex: "a".to_owned(), ..VertexLog::default() };
        steps.note(&SolveStatus { logs: vec![log], ..SolveStatus::default() }, now);
        assert_eq!(steps.cancel_at(now), now + QUIET);
    }
}
