//! Builds of the engine's history in a list. Pure.

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use super::identity::{self, BuildIdentity};
use crate::history::BuildId;
use crate::image_reference;

/// A build as it is listed.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct BuildRow {
    /// What the engine calls it.
    pub id: String,
    /// When it was asked for, by the engine's clock.
    pub started: Option<Timestamp>,
    /// How it ended.
    pub outcome: BuildEnd,
    /// How long it took.
    pub seconds: Option<f64>,
    /// Steps that came from the cache, those among them that are no instruction.
    pub cached: u32,
    /// All of them.
    pub steps: u32,
    /// Its service, else its image, else its directory, else its Dockerfile.
    pub target: String,
    /// Compose project, where the client told one.
    pub project: Option<String>,
    /// Names of the image.
    pub images: Vec<String>,
    /// What this program calls it, where it is one of its own.
    pub own: Option<BuildId>,
}

/// How a build ended, as far as the engine tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum BuildEnd {
    /// It made a result.
    Succeeded,
    /// It failed, or was cancelled.
    Failed,
    /// It runs, or the engine lost sight of it.
    Unfinished,
}

/// Which builds are meant.
#[derive(Debug, Clone, Copy)]
pub enum Of<'a> {
    /// All.
    Everybody,
    /// Those of a project: by its name, by the full names of its images, or by its build contexts.
    Project {
        /// Its name.
        name: &'a str,
        /// Full names of its images.
        images: &'a [String],
        /// Its build contexts.
        contexts: &'a [String],
    },
}

/// Those of `builds` that are meant; `own` tells which are this program's.
pub fn list(
    builds: &[BuildIdentity],
    of: Of<'_>,
    own: &dyn Fn(&str) -> Option<BuildId>,
) -> Vec<BuildRow> {
    let is_meant = |known: &&BuildIdentity| match of {
        Of::Everybody => true,
        Of::Project { name, images, contexts } => match identity::project_of(&known.build) {
            Some(project) => project == name,
            None => {
                let names = identity::names(&known.build);
                names.iter().any(|name| images.contains(name))
                    || known.origin.as_ref().is_some_and(|it| contexts.contains(&it.context))
            }
        },
    };
    builds.iter().filter(is_meant).map(|known| listed(known, own)).collect()
}

fn listed(known: &BuildIdentity, own: &dyn Fn(&str) -> Option<BuildId>) -> BuildRow {
    let build = &known.build;
    let took = build.started.zip(build.completed);
    let took = took.map(|(from, to)| to.duration_since(from).max(SignedDuration::ZERO));
    BuildRow {
        id: build.build_ref.clone(),
        started: build.started,
        outcome: match (build.completed, &build.error) {
            (None, _) => BuildEnd::Unfinished,
            (Some(_), Some(_)) => BuildEnd::Failed,
            (Some(_), None) => BuildEnd::Succeeded,
        },
        seconds: took.map(|took| took.as_secs_f64()),
        cached: build.cached_steps,
        steps: build.total_steps,
        target: identity::title(known),
        project: identity::project_of(build).map(str::to_owned),
        images: build.names.iter().map(|name| image_reference::familiar(name)).collect(),
        own: own(&build.build_ref),
    }
}
