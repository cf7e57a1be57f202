//! Steps of this program's own in a build: an image on its way from a builder into an engine. They are told of as BuildKit
//! tells of its own, so that every view shows them.

use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use sha2::{Digest as _, Sha256};
use tokio::sync::mpsc;
use tokio::time::{Instant, interval};

use crate::progress::{Event, SolveStatus, TransferProgress, Vertex, VertexStatus};

/// What the way into the engine is called among the steps.
pub const LOADING: &str = "loading into the engine";
/// What the way from the builder is called, where an image travels by its layers.
pub const RECEIVING: &str = "receiving layers";

/// How often is told how far it is.
const TELL: Duration = Duration::from_millis(200);

/// The time at the builder: its steps are told in it, and its clock may be another.
#[derive(Debug, Clone, Default)]
pub(super) struct Clock(Arc<Mutex<Option<(Timestamp, Instant)>>>);

impl Clock {
    /// Takes note of the latest time that a status tells.
    pub(super) fn note(&self, status: &SolveStatus, now: Instant) {
        let of_vertex = |vertex: &Vertex| vertex.completed.max(vertex.started);
        let vertexes = status.vertexes.iter().filter_map(of_vertex);
        let Some(latest) =
            vertexes.chain(status.statuses.iter().filter_map(|it| it.timestamp)).max()
        else {
            return;
        };
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.is_none_or(|(known, _)| known < latest) {
            *known = Some((latest, now));
        }
    }

    fn now(&self) -> Timestamp {
        let known = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let passed = |at: Instant| SignedDuration::try_from(at.elapsed()).unwrap_or_default();
        known.map_or_else(Timestamp::now, |(time, at)| {
            time.saturating_add(passed(at)).unwrap_or(time)
        })
    }
}

/// Who is told of a target's steps.
#[derive(Debug, Clone)]
pub(super) struct Listeners {
    pub(super) events: mpsc::Sender<Event>,
    pub(super) target: String,
    pub(super) clock: Clock,
}

impl Listeners {
    /// Does `work` as a step called `name`, which begins with the first of `bytes`; where there are none, nobody hears of it.
    /// `failure` says of a result why the step failed, if it did.
    pub(super) async fn during<T>(
        &self,
        name: &str,
        bytes: &TransferProgress,
        work: impl Future<Output = T>,
        failure: impl Fn(&T) -> Option<String>,
    ) -> T {
        let mut work = pin!(work);
        let mut ticks = interval(TELL);
        let mut step = Vertex {
            digest: digest(&format!("doc2md-docker {name} {}", self.target)),
            name: name.to_owned(),
            ..Vertex::default()
        };
        let mut told = (0, 0);
        loop {
            let ended = tokio::select! {
                ended = &mut work => Some(ended),
                _ = ticks.tick() => None,
            };
            let now = bytes.read();
            if now != told || (ended.is_some() && step.started.is_some()) {
                told = now;
                step.started.get_or_insert_with(|| self.clock.now());
                if let Some(ended) = &ended {
                    step.completed = Some(self.clock.now());
                    step.error = failure(ended).unwrap_or_default();
                }
                self.tell(&step, now).await;
            }
            if let Some(ended) = ended {
                return ended;
            }
        }
    }

    async fn tell(&self, step: &Vertex, (done, total): (u64, u64)) {
        let count = |bytes: u64| i64::try_from(bytes).unwrap_or(i64::MAX);
        let status = VertexStatus {
            id: "layers".to_owned(),
            vertex: step.digest.clone(),
            total: count(total),
            current: count(done),
            timestamp: Some(self.clock.now()),
            started: step.started,
            completed: step.completed,
            ..VertexStatus::default()
        };
        let status = SolveStatus {
            vertexes: vec![step.clone()],
            statuses: vec![status],
            ..SolveStatus::default()
        };
        let _ = self.events.send(Event::Status { target: self.target.clone(), status }).await;
    }
}

/// Looks like the digests of BuildKit's steps, which are what programs that read them expect.
fn digest(of: &str) -> String {
    format!("sha256:{}", hex::encode(Sha256::digest(of)))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn telling() -> (Listeners, mpsc::Receiver<Event>) {
        let (events, told) = mpsc::channel(100);
        (Listeners { events, target: "app".to_owned(), clock: Clock::default() }, told)
    }

    fn statuses(mut told: mpsc::Receiver<Event>) -> Vec<SolveStatus> {
        let mut all = Vec::new();
        while let Ok(Event::Status { status, .. }) = told.try_recv() {
            all.push(status);
        }
        all
    }

    #[tokio::test(start_paused = true)]
    async fn a_transfer_is_a_step_with_bytes() {
        let (telling, told) = telling();
        let at = Timestamp::from_second(1_000).unwrap();
        let vertex = Vertex { completed: Some(at), ..Vertex::default() };
        let status = SolveStatus { vertexes: vec![vertex], ..SolveStatus::default() };
        telling.clock.note(&status, Instant::now());
        let bytes = TransferProgress::default();
        let work = async {
            tokio::time::sleep(Duration::from_secs(1)).await;
            bytes.expect(40);
            for _ in 0..4 {
                bytes.add(10);
                tokio::time::sleep(Duration::from_millis(150)).await;
            }
            "failed"
        };
        let ended = telling.during("loading", &bytes, work, |it| Some((*it).to_owned())).await;
        assert_eq!(ended, "failed");
        let all = statuses(told);
        let (first, last) = (all.first().unwrap(), all.last().unwrap());
        assert!(first.vertexes[0].started.unwrap() >= at + SignedDuration::from_millis(900));
        assert!(first.vertexes[0].started.unwrap() < at + SignedDuration::from_secs(2));
        assert!(first.vertexes[0].completed.is_none() && first.statuses[0].total == 40);
        assert!(last.vertexes[0].completed > first.vertexes[0].started);
        assert_eq!((last.statuses[0].current, &*last.vertexes[0].error), (40, "failed"));
        assert!(all.len() < 7, "{}", all.len());
    }

    #[tokio::test(start_paused = true)]
    async fn what_moves_nothing_is_no_step() {
        let (telling, told) = telling();
        let work = tokio::time::sleep(Duration::from_secs(3));
        telling.during("loading", &TransferProgress::default(), work, |()| None).await;
        assert!(statuses(told).is_empty());
    }
}
