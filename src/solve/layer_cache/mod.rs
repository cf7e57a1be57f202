//! The layer cache of a target after its build: it is written by a solve of its own, so that a registry that does not answer
//! breaks no build, and only where a step ran, or there was no cache to read yet.

mod elsewhere;

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use elsewhere::Steps;

use crate::buildkit::{self, CacheEntry, LinkedResult};
use crate::progress::outcome::{CacheUse, CacheWrite, LeftOut};
use crate::progress::{Event, SolveStatus, StepName, Vertex, imported_cache};
use crate::solve::request::LayerCacheRequest;
use crate::solve::solving::Solve;
use crate::solve::stores;
use crate::solve::telling::Listeners;

/// Statuses that may wait to be shown.
const WAITING: usize = 16;
/// How long BuildKit may take to say what steps made.
const ANSWER: Duration = Duration::from_secs(10);
/// How BuildKit calls the steps that write a cache.
const EXPORTING: &str = "exporting cache";

/// What the statuses of a build tell of its caches.
#[derive(Debug, Default)]
pub(super) struct Facts {
    /// Steps that ran: they were in no cache.
    ran: BTreeSet<String>,
    steps: Steps,
    /// Whether a cache was there to be read.
    is_there: bool,
}

impl Facts {
    /// Takes note of what a status tells.
    pub(super) fn note(&mut self, status: &SolveStatus) {
        for vertex in &status.vertexes {
            let ended = vertex.completed.is_some() && vertex.error.is_empty();
            let name = StepName::parse(&vertex.name);
            if name.is_instruction() && !name.is_base() {
                self.steps.note(vertex, &name);
            }
            if ended && imported_cache(&vertex.name).is_some() {
                self.is_there = true;
            } else if ended && !vertex.cached && name.is_instruction() && !name.is_base() {
                // Without inputs it is a cached step, whose layers are fetched.
                if !vertex.inputs.is_empty() {
                    self.ran.insert(vertex.digest.clone());
                }
            } else if vertex.cached {
                self.ran.remove(&vertex.digest);
            }
        }
    }
}

/// A cache at `place` that nobody has written yet is not a failure. BuildKit says in words alone that it is one.
pub(super) fn forgive_missing(status: &mut SolveStatus, place: &str) {
    let is_missing = |vertex: &&mut Vertex| {
        let tag = imported_cache(&vertex.name).and_then(|cache| cache.strip_prefix(place));
        tag.is_some_and(|tag| tag.starts_with(':')) && vertex.error.ends_with(": not found")
    };
    status.vertexes.iter_mut().filter(is_missing).for_each(|vertex| vertex.error.clear());
}

/// Writes the cache of what was built, where it has one and there is a reason to. `result` is kept until then. The image is
/// there whatever becomes of it: who cancels now loses the cache alone.
pub(super) async fn write(
    solve: &Solve<'_>,
    result: Option<&LinkedResult>,
    facts: &Facts,
    telling: &Listeners,
    cancel: &CancellationToken,
) -> Option<CacheUse> {
    let cache = solve.job.layer_cache.as_ref()?;
    let written = match (&cache.export, result) {
        (Err(why), _) => CacheWrite::OnlyRead(why.clone()),
        (Ok(_), _) if facts.ran.is_empty() && facts.is_there => CacheWrite::NotNeeded,
        // `FROM scratch` and nothing else: there is nothing that a cache could keep.
        (Ok(_), Some(result)) if result.definitions().next().is_none() => CacheWrite::NotNeeded,
        (Ok(_), None) => CacheWrite::OnlyRead("what was built is not there any more".to_owned()),
        (Ok(entry), Some(result)) => {
            let started = Instant::now();
            let writing = async {
                let left = left_out(solve, cache, facts).await;
                let mut entry = Cow::Borrowed(entry);
                if left.is_some() {
                    entry.to_mut().attrs.insert("mode".to_owned(), "min".to_owned());
                }
                Ok((export(solve, cache, &entry, result, telling).await?, left))
            };
            let written = tokio::select! {
                written = writing => written,
                () = cancel.cancelled() => Err("the run was cancelled".to_owned()),
            };
            match written {
                Ok((layers, left)) => {
                    CacheWrite::Written { seconds: started.elapsed().as_secs_f64(), layers, left }
                }
                Err(why) => CacheWrite::Failed(why),
            }
        }
    };
    Some(CacheUse { place: cache.place.clone(), is_there: facts.is_there, written })
}

/// What other stages made that takes longer to move than to make. Where that is not known, nothing is left out.
async fn left_out(solve: &Solve<'_>, cache: &LayerCacheRequest, facts: &Facts) -> Option<LeftOut> {
    let value = cache.value.as_ref()?;
    let steps = facts.steps.elsewhere(value)?;
    let results = timeout(ANSWER, solve.control.results()).await.ok()?.ok()?;
    elsewhere::left_out(&steps, &results, value.rate)
}

/// Returns how many layers were written, those that were there already included.
async fn export(
    solve: &Solve<'_>,
    cache: &LayerCacheRequest,
    entry: &CacheEntry,
    result: &LinkedResult,
    telling: &Listeners,
) -> Result<usize, String> {
    let build_ref = buildkit::new_ref();
    let (sender, statuses) = mpsc::channel::<SolveStatus>(WAITING);
    let refused = CancellationToken::new();
    let follow = solve.control.follow(build_ref.clone(), sender, refused.clone());
    let exporting = async {
        let session = solve.job.options.session.clone();
        let written = solve.control.export_cache(result, session, build_ref, entry.clone()).await;
        if written.is_err() {
            refused.cancel();
        }
        written
    };
    let (written, (), layers) = tokio::join!(exporting, follow, tell(statuses, telling));
    let response = written.map_err(|error| error.to_string())?;
    if let Some(update) = cache.index_update.clone() {
        let recorded = tokio::task::spawn_blocking(move || stores::record(&[update], &response));
        recorded.await.unwrap_or_else(|error| Err(error.to_string()))?;
    }
    Ok(layers)
}

/// Tells of the steps that write, and of no others: those have been shown. Returns how many layers there are.
async fn tell(mut statuses: mpsc::Receiver<SolveStatus>, telling: &Listeners) -> usize {
    let mut shown: BTreeSet<String> = BTreeSet::new();
    let mut layers: BTreeSet<String> = BTreeSet::new();
    while let Some(mut status) = statuses.recv().await {
        let own = status.vertexes.iter().filter(|vertex| vertex.name.starts_with(EXPORTING));
        shown.extend(own.map(|vertex| vertex.digest.clone()));
        status.vertexes.retain(|vertex| shown.contains(&vertex.digest));
        status.statuses.retain(|status| shown.contains(&status.vertex));
        status.logs.retain(|log| shown.contains(&log.vertex));
        status.warnings.clear();
        let written = status.statuses.iter().filter(|it| it.id.starts_with("writing layer "));
        layers.extend(written.map(|it| it.id.clone()));
        if status != SolveStatus::default() {
            let _ =
                telling.events.send(Event::Status { target: telling.target.clone(), status }).await;
        }
    }
    layers.len()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn vertex(name: &str, cached: bool, error: &str) -> Vertex {
        Vertex {
            digest: name.to_owned(),
            inputs: vec!["base".to_owned()],
            name: name.to_owned(),
            completed: Some(jiff::Timestamp::from_second(1).unwrap()),
            cached,
            error: error.to_owned(),
            ..Vertex::default()
        }
    }

    fn facts(vertexes: Vec<Vertex>) -> (usize, bool) {
        let mut facts = Facts::default();
        facts.note(&SolveStatus { vertexes, ..SolveStatus::default() });
        (facts.ran.len(), facts.is_there)
    }

    #[test]
    fn only_a_cache_of_the_place_may_be_missing() {
        let import = |cache: &str, error: &str| {
            vertex(&format!("importing cache manifest from {cache}"), false, error)
        };
        let mut status = SolveStatus {
            vertexes: vec![
                import("r.example/c:t", "r.example/c:t: not found"),
                import("r.example/other:t", "r.example/other:t: not found"),
                import("r.example/c:u", "connection refused"),
            ],
            ..SolveStatus::default()
        };
        forgive_missing(&mut status, "r.example/c");
        let errors: Vec<bool> = status.vertexes.iter().map(|it| it.error.is_empty()).collect();
        assert_eq!(errors, [true, false, false]);
    }

    #[test]
    fn a_step_that_ran_is_what_no_cache_has() {
        let import = "importing cache manifest from r.example/c:t";
        let quiet = vec![
            vertex("[internal] load build definition from Dockerfile", false, ""),
            vertex("[1/3] FROM docker.io/library/python", false, ""),
            vertex("[2/3] RUN a", true, ""),
            vertex(import, false, "not found"),
        ];
        assert_eq!(facts(quiet), (0, false));
        assert_eq!(
            facts(vec![vertex("[2/3] COPY a b", false, ""), vertex(import, false, "")]),
            (1, true)
        );
        // A step that is told of twice.
        assert_eq!(
            facts(vec![vertex("[2/3] RUN a", false, ""), vertex("[2/3] RUN a", true, "")]),
            (0, false)
        );
        // One from a cache elsewhere, whose layers come to be exported.
        let fetched = Vertex { inputs: Vec::new(), ..vertex("[2/3] RUN a", false, "") };
        assert_eq!(facts(vec![vertex("[2/3] RUN a", true, ""), fetched]), (0, false));
    }
}
