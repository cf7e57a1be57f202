//! One solve of a job, again where that helps.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::buildkit::{self, Control, ExporterSpec, LinkedResult, SolveError, SolveOptions};
use crate::diagnose;
use crate::solve::job::Job;
use crate::solve::node_fit;

/// How often an image is exported while something else on the engine comes between.
const EXPORT_TRIES: u32 = 3;

/// A job with the results it builds on.
pub(super) struct Solve<'a> {
    pub(super) control: &'a Control,
    pub(super) job: &'a Job,
    /// Results by the name of the context.
    pub(super) contexts: Vec<(String, Arc<LinkedResult>)>,
    /// Whether others build on its result.
    pub(super) is_needed: bool,
}

/// A solve that succeeded.
pub(super) struct Solution {
    pub(super) build_ref: String,
    /// What the exporters answered.
    pub(super) response: BTreeMap<String, String>,
    /// What others build on.
    pub(super) result: Option<LinkedResult>,
    /// Whether the image came as an archive though it should have come by its layers.
    pub(super) is_whole: bool,
}

impl Solve<'_> {
    /// Solves, and exports again where something else on the engine came between, or layers cannot be kept here: everything
    /// else is cached then.
    pub(super) async fn carry_out(&self) -> Result<Solution, SolveError> {
        let mut tries = EXPORT_TRIES;
        let mut build_ref = self.job.options.build_ref.clone();
        loop {
            tries -= 1;
            match self.sent(self.options(build_ref.clone())).await {
                Err(error) if self.job.could_not_keep(&error.message) => {
                    let mut exporters = self.job.options.exporters.clone();
                    exporters.iter_mut().take(1).for_each(node_fit::make_archive);
                    return self.export(exporters).await;
                }
                Err(error) if tries > 0 && diagnose::lost_a_race(&error.message) => {
                    // Its statuses would tell of steps that ran as cached: they are not asked for.
                    build_ref = buildkit::new_ref();
                }
                solved => return solved,
            }
        }
    }

    async fn sent(&self, options: SolveOptions) -> Result<Solution, SolveError> {
        let build_ref = options.build_ref.clone();
        let (response, result) = match self.is_needed || self.job.writes_cache() {
            true => {
                let (response, result) = self.control.solve_linked(options).await?;
                (response, Some(result))
            }
            false => (self.control.solve(options).await?, None),
        };
        Ok(Solution { build_ref, response, result, is_whole: false })
    }

    /// The solve as it is sent.
    fn options(&self, build_ref: String) -> SolveOptions {
        let mut options = self.job.options.clone();
        options.build_ref = build_ref;
        for (name, result) in &self.contexts {
            options.link(name, result);
        }
        options
    }

    /// Solves once more for the image as an archive, instead of its layers. Nothing else is exported again.
    pub(super) async fn export_whole(&self) -> Result<Solution, SolveError> {
        let mut exporters = self.job.options.exporters.clone();
        exporters.truncate(1);
        exporters.iter_mut().for_each(node_fit::make_archive);
        self.export(exporters).await
    }

    async fn export(&self, exporters: Vec<ExporterSpec>) -> Result<Solution, SolveError> {
        let mut options = self.options(buildkit::new_ref());
        options.exporters = exporters;
        Ok(Solution { is_whole: true, ..self.sent(options).await? })
    }

    /// Digests of the steps that made what it builds on: they are shown with the target they belong to.
    pub(super) fn steps_of_others(&self) -> BTreeSet<String> {
        let states = self.contexts.iter().flat_map(|(_, result)| &result.states);
        buildkit::vertices(states.filter_map(|state| state.definition.as_ref()))
    }
}
