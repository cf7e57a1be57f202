//! The build graphs of a run that is not carried out.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures_util::future::try_join_all;

use crate::buildkit::LinkedResult;
use crate::diagnose::OutputHints;
use crate::progress::outcome::BuildFailure;
use crate::solve::failure;
use crate::solve::job::Job;
use crate::solve::site::SolvePlace;

/// Asks for the graph of each job, by name. Nothing is built.
///
/// # Errors
/// The first target that has none, and why.
pub async fn graphs(
    places: &[SolvePlace],
    jobs: &[Job],
) -> Result<BTreeMap<String, Arc<LinkedResult>>, (String, BuildFailure)> {
    let mut graphs: BTreeMap<String, Arc<LinkedResult>> = BTreeMap::new();
    // Those that others stand on first: the plan has no circles.
    while graphs.len() < jobs.len() {
        let is_known = |index: &usize| graphs.contains_key(&jobs[*index].name);
        let is_ready = |job: &&Job| {
            let is_new = job.index.is_none() && !graphs.contains_key(&job.name);
            is_new && job.contexts.iter().all(|(_, index)| is_known(index))
        };
        let ready: Vec<&Job> = jobs.iter().filter(is_ready).collect();
        if ready.is_empty() {
            break;
        }
        let asked = ready.into_iter().map(async |job| {
            let mut options = job.options.clone();
            for (name, index) in &job.contexts {
                if let Some(result) = graphs.get(&jobs[*index].name) {
                    options.link(name, result);
                }
            }
            let graph = places[job.node].control.graph(options).await.map_err(|error| {
                let failure = failure::explain(job, &error, None, &OutputHints::default());
                (job.name.clone(), failure)
            })?;
            Ok((job.name.clone(), Arc::new(graph)))
        });
        let found = try_join_all(asked).await?;
        graphs.extend(found);
    }
    Ok(graphs)
}
