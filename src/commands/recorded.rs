//! Builds that the engine remembers, whoever asked for them: the side of `history` and `why` that asks it.

use std::collections::HashMap;

use jiff::Timestamp;

use super::remembered::History;
use crate::app::App;
use crate::cli::history::{HistoryFormat, ListArgs};
use crate::error::CommandError;
use crate::explain::{self, Explanation};
use crate::history::{BuildId, Entry, SelectError, store};
use crate::image_reference;
use crate::recorded::{self, BuildRecord, listed};
use crate::redact::{Redactor, Secrets};
use crate::solve::{self, plan::BuildPlan, secrets};
use crate::targets::TargetOptions;
use crate::view::history;

/// Letters of what buildx calls a build. This program's own ids are shorter.
const REF_LENGTH: usize = 25;

/// What can be the name of a build of an engine, and not of one in the order of time.
fn can_be_of_an_engine(spec: &str) -> bool {
    let name = spec.rsplit('/').next().unwrap_or(spec);
    !spec.starts_with("latest") && name.len() >= 3 && BuildId::of_engine(name).is_some()
}

/// A build that somebody named.
pub(super) enum Meaning {
    /// Of this program's history.
    Own(Box<Entry>),
    /// Of the engine's.
    OfEngine(BuildName),
}

/// A build by what an engine may call it.
pub(super) struct BuildName {
    name: String,
    /// What this program's own history said.
    error: CommandError,
}

impl BuildName {
    /// What nobody can tell: where the name can be no other than one of an engine, why that does not.
    fn unknown(self, error: CommandError) -> CommandError {
        let name = self.name.rsplit('/').next().unwrap_or_default();
        if name.len() == REF_LENGTH { error } else { self.error }
    }
}

/// The build that `spec` means; what this program does not remember the engine may.
///
/// # Errors
/// Nobody can, or it is not clear.
pub(super) fn meant(
    history: Result<&History<'_>, CommandError>,
    spec: &str,
) -> Result<Meaning, CommandError> {
    let own = history.and_then(|history| history.read(&history.builds()?, spec));
    match own {
        Ok(entry) => Ok(Meaning::Own(Box::new(entry))),
        Err(error) if error.find::<SelectError>().is_some_and(is_ambiguous) => Err(error),
        Err(error) if can_be_of_an_engine(spec) => {
            Ok(Meaning::OfEngine(BuildName { name: spec.to_owned(), error }))
        }
        Err(error) => Err(error),
    }
}

fn is_ambiguous(error: &SelectError) -> bool {
    matches!(error, SelectError::Ambiguous { .. })
}

/// Asks the engine for its history. What is secret in the project stays hidden.
async fn open(app: &App) -> Result<recorded::History<'_>, CommandError> {
    let secrets = match plan(app) {
        Some(plan) => secrets::of_plan(&plan, &app.environment).await.0,
        None => Secrets::default(),
    };
    let redactor = Redactor::new(&secrets);
    app.ui.hide(redactor.clone());
    let (cleaned, buildx) = (app.environment.cleaned_file(), app.builders()?.store);
    recorded::History::open(app.connector()?, cleaned, redactor, &buildx).await
}

fn plan(app: &App) -> Option<BuildPlan> {
    let set = app.targets(&app.project().ok()?, TargetOptions::default()).ok()?;
    solve::checked_plan(&set, None).ok()
}

/// A build of the engine's history.
///
/// # Errors
/// There is none, or the engine cannot be asked.
pub(super) async fn read(app: &App, named: BuildName) -> Result<BuildRecord, CommandError> {
    let engine = match open(app).await {
        Ok(engine) => engine,
        Err(error) => return Err(named.unknown(error)),
    };
    engine.read(engine.find(&named.name)?).await
}

/// Why the steps of a build of the engine's history ran. Of one that this program made, its own history knows more.
///
/// # Errors
/// There is none, or the engine cannot be asked.
pub(super) async fn explain(
    app: &App,
    own: Option<&History<'_>>,
    named: BuildName,
) -> Result<(Entry, Explanation), CommandError> {
    let engine = match open(app).await {
        Ok(engine) => engine,
        Err(error) => return Err(named.unknown(error)),
    };
    let build = engine.find(&named.name)?;
    if let Some(explanation) = own.and_then(|own| explain_own(own, &build.build.build_ref)) {
        return Ok(explanation);
    }
    let read = engine.read(build).await?;
    let (before, kinship) = engine.before(build).await?;
    let explanation = explain::by_engine(&read, &before, kinship);
    Ok((read.entry, explanation))
}

/// The same by this program's history, where it has the build.
fn explain_own(own: &History<'_>, build_ref: &str) -> Option<(Entry, Explanation)> {
    let (mut entries, _) = store::read_all(&own.builds().ok()?, usize::MAX);
    let is_it = |entry: &Entry| {
        entry.targets.iter().find(|it| it.build_ref.as_deref() == Some(build_ref)).cloned()
    };
    let (at, target) =
        entries.iter().enumerate().find_map(|(at, entry)| Some((at, is_it(entry)?)))?;
    let entry = entries.remove(at);
    let mut explanation = explain::by_history(entry.clone(), entries);
    explanation.targets.retain(|it| it.target == target.name);
    Some((entry, explanation))
}

/// Lists what the engine remembers.
///
/// # Errors
/// It cannot be asked, or remembers nothing at all.
pub(super) async fn list(app: &App, args: &ListArgs) -> Result<(), CommandError> {
    let own = History::open(app);
    if let (Err(error), false) = (&own, args.all) {
        return Err(error.clone());
    }
    let engine = open(app).await?;
    let ids = own.as_ref().map(ids).unwrap_or_default();
    let known = |build_ref: &str| ids.get(build_ref).cloned();
    let project = match args.all {
        true => None,
        false => own.ok().map(|own| own.project),
    };
    let (images, contexts) = plan(app).map(|plan| named_by(&plan)).unwrap_or_default();
    let of = match &project {
        Some(name) => listed::Of::Project { name, images: &images, contexts: &contexts },
        None => listed::Of::Everybody,
    };
    let mut builds = listed::list(engine.builds(), of, &known);
    builds.truncate(args.limit);
    let ui = &app.ui;
    match args.format {
        HistoryFormat::Json => ui.data(&history::engine_json(project.as_deref(), &builds)),
        HistoryFormat::Table if builds.is_empty() => {
            let of = project.map(|name| format!(" of {name}")).unwrap_or_default();
            ui.remark(&format!("the engine remembers no builds{of}"));
        }
        HistoryFormat::Table => {
            ui.data(&history::engine(&builds, Timestamp::now(), ui.data_columns()));
        }
    }
    Ok(())
}

/// What this program calls the builds of the project that the engine has by other names.
fn ids(own: &History<'_>) -> HashMap<String, BuildId> {
    let (entries, _) = match own.builds() {
        Ok(builds) => store::read_all(&builds, usize::MAX),
        Err(_) => return HashMap::new(),
    };
    let refs = entries.iter().flat_map(|entry| {
        let refs = entry.targets.iter().filter_map(|target| target.build_ref.clone());
        refs.map(|build_ref| (build_ref, entry.id.clone()))
    });
    refs.collect()
}

/// The names of a project's images, in full, and its build contexts.
fn named_by(plan: &BuildPlan) -> (Vec<String>, Vec<String>) {
    let targets = || plan.steps.iter().map(|step| &step.target);
    let names = targets().flat_map(|target| std::iter::once(&target.image).chain(&target.tags));
    let contexts = targets().map(|target| target.context.clone()).collect();
    (names.map(|name| image_reference::full(name)).collect(), contexts)
}
