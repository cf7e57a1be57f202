//! A build that is over, shown again as a log shows it. The history knows which build it was; what its steps said is kept
//! by the engine alone.

use std::time::Duration;

use tokio::sync::mpsc;

use super::WAITING;
use crate::app::App;
use crate::buildkit::Control;
use crate::engine::{Connector, Engine};
use crate::error::{CommandError, ExitKind};
use crate::history::{Entry, Outcome, TargetEntry};
use crate::nearest;
use crate::progress::outcome::{BuildFailure, BuiltImage, TargetOutcome};
use crate::progress::{Event, FailureKind, Redaction, SolveStatus, TargetInfo};
use crate::redact::{Redactor, Secrets};
use crate::solve::plan::BuildPlan;
use crate::solve::secrets;
use crate::unreachable::unreachable;
use crate::view::ci::Ci;
use crate::view::{Progress, Reporter};

/// Prints on stdout what the steps of `entry` said, of all targets or of `services`. What is secret in `plan`, the project
/// as it is now, stays hidden; what was secret then and is no longer known cannot be recognized.
///
/// # Errors
/// A service that was not built, another engine, or a log that the engine does not keep (any more).
pub async fn replay(
    app: &App,
    entry: &Entry,
    services: &[String],
    plan: Option<&BuildPlan>,
) -> Result<(), CommandError> {
    let targets = chosen(entry, services)?;
    let connector = app.connector()?;
    same_engine(connector, entry).await?;
    let control = Control::connect(connector).await;
    let control = control.map_err(|error| unreachable(connector, error))?;
    let secrets = match plan {
        Some(plan) => secrets::of_plan(plan, &app.environment).await.0,
        None => Secrets::default(),
    };
    let redactor = Redactor::new(&secrets);
    let ui = app.ui.onto_stdout();
    ui.hide(redactor.clone());
    let mut reporter = Reporter::new(Progress::Plain, ui, Ci::None)?;
    let mut door = Redaction::new(redactor);
    let mut show = |event: Event| {
        for event in door.pass(event) {
            reporter.handle(&event, Duration::ZERO);
        }
    };
    show(Event::Planned { targets: targets.iter().map(|target| info(target)).collect() });
    for target in &targets {
        let Some(build_ref) = &target.build_ref else {
            if target.same_as.is_none() {
                app.ui.warn(&format!("{}: nothing was built for it", target.service));
            }
            continue;
        };
        let name = || target.name.clone();
        show(Event::TargetStarted { target: name() });
        let (to, mut statuses) = mpsc::channel::<SolveStatus>(WAITING);
        let told = async {
            let told = control.replay(build_ref, &to).await;
            drop(to);
            told
        };
        let shown = async {
            while let Some(status) = statuses.recv().await {
                show(Event::Status { target: name(), status });
            }
        };
        let (told, ()) = tokio::join!(told, shown);
        if !told.map_err(|error| unreachable(connector, error))? {
            let message = format!("the engine does not keep the log of {}'s build", target.service);
            return Err(CommandError::new(ExitKind::Failed, message)
                .hint("engines keep logs since Docker 24, of the last builds alone"));
        }
        show(Event::TargetFinished { target: name(), outcome: outcome(target) });
    }
    Ok(())
}

/// The targets of `services`, or all.
fn chosen<'a>(entry: &'a Entry, services: &[String]) -> Result<Vec<&'a TargetEntry>, CommandError> {
    let names = || entry.targets.iter().map(|target| target.service.as_str());
    if let Some(unknown) = services.iter().find(|name| !names().any(|it| it == *name)) {
        let message = format!("build {} has no service \"{unknown}\"", entry.id);
        let all = || format!("it has {}", names().collect::<Vec<_>>().join(", "));
        let hint = nearest::did_you_mean(unknown, names()).unwrap_or_else(all);
        return Err(CommandError::new(ExitKind::Usage, message).hint(hint));
    }
    let is_chosen =
        |target: &&TargetEntry| services.is_empty() || services.contains(&target.service);
    Ok(entry.targets.iter().filter(is_chosen).collect())
}

/// Only the engine that built it has the log.
async fn same_engine(connector: &Connector, entry: &Entry) -> Result<(), CommandError> {
    let facts = Engine::new(connector).facts().await;
    let facts = facts.map_err(|error| unreachable(connector, error))?;
    if entry.engine.id.is_empty() || entry.engine.id == facts.id {
        return Ok(());
    }
    let place = match entry.engine.store.as_str() {
        "buildkit" => "a builder",
        _ => "another engine",
    };
    let message = format!("build {} ran on {place}, which has its log", entry.id);
    Err(CommandError::new(ExitKind::Failed, message)
        .hint("DOCKER_HOST or --context name that engine; of a builder, `docker buildx history logs` shows it"))
}

fn info(target: &TargetEntry) -> TargetInfo {
    TargetInfo {
        name: target.name.clone(),
        image: target.image.clone(),
        same_as: target.same_as.clone(),
    }
}

/// How it ended, as far as it is remembered.
fn outcome(target: &TargetEntry) -> TargetOutcome {
    match target.outcome {
        Outcome::Succeeded => TargetOutcome::Built(BuiltImage {
            references: vec![target.image.clone()],
            id: target.image_id.clone().unwrap_or_default(),
            size_bytes: target.size_bytes,
            ..BuiltImage::default()
        }),
        Outcome::Failed => {
            let message = target.error.clone().unwrap_or_default();
            TargetOutcome::Failed(BuildFailure::new(FailureKind::Step, message))
        }
        Outcome::Cancelled => TargetOutcome::Cancelled,
    }
}
