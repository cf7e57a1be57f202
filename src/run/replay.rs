//! A build that is over, shown again as a log shows it. The history knows which build it was; what its steps said is kept
//! by the engine alone.

use std::time::Duration;

use tokio::sync::mpsc;

use super::{WAITING, places};
use crate::app::App;
use crate::buildkit::Control;
use crate::counted::{agreed, counted};
use crate::engine::{Connector, Engine};
use crate::error::{CommandError, ExitKind};
use crate::history::{Entry, Outcome, TargetEntry};
use crate::nearest;
use crate::progress::outcome::{BuildFailure, BuiltImage, TargetOutcome};
use crate::progress::{Event, FailureKind, Redaction, SolveStatus, TargetInfo, Vertex, VertexLog};
use crate::redact::{Redactor, Secrets};
use crate::solve::plan::BuildPlan;
use crate::solve::secrets;
use crate::unreachable::unreachable;
use crate::view::ci::Ci;
use crate::view::{Progress, Reporter};

/// Prints on stdout what the steps of `entry` said, of all targets or of `services`. What is secret in `plan`, the project
/// as it is now, stays hidden; what was secret then and is no longer known cannot be recognized. Where the engine does not
/// keep a log, the last lines of a step that failed are what is left.
///
/// # Errors
/// A service that was not built, a build that never reached the engine, another engine, or a log that nobody keeps.
pub async fn replay(
    app: &App,
    entry: &Entry,
    services: &[String],
    plan: Option<&BuildPlan>,
) -> Result<(), CommandError> {
    let targets = solved(entry, chosen(entry, services)?, |warning| app.ui.warn(warning))?;
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
    reporter.locate(places::of_entry(entry));
    let mut shown = Audience { connector, reporter, door: Redaction::new(redactor) };
    shown
        .tell(Event::Planned { targets: targets.iter().map(|(target, _)| info(target)).collect() });
    let mut missing = Vec::new();
    for (target, build_ref) in &targets {
        let name = || target.name.clone();
        shown.tell(Event::TargetStarted { target: name() });
        if !shown.log(&control, target, build_ref).await? {
            let Some(status) = last_words(target) else {
                missing.push(target.service.as_str());
                continue;
            };
            app.ui.warn(&format!(
                "{}: only the last output is remembered",
                missing_log(&[&target.service])
            ));
            shown.tell(Event::Status { target: name(), status });
        }
        shown.tell(Event::TargetFinished { target: name(), outcome: outcome(target) });
    }
    if missing.is_empty() {
        return Ok(());
    }
    Err(CommandError::new(ExitKind::Failed, missing_log(&missing))
        .hint("engines keep logs since Docker 24, of the last builds alone"))
}

/// Who is shown the log.
struct Audience<'a> {
    connector: &'a Connector,
    reporter: Reporter,
    door: Redaction,
}

impl Audience<'_> {
    fn tell(&mut self, event: Event) {
        for event in self.door.pass(event) {
            self.reporter.handle(&event, Duration::ZERO);
        }
    }

    /// Tells what the engine has of a build; `false` where it has nothing.
    async fn log(
        &mut self,
        control: &Control,
        target: &TargetEntry,
        build_ref: &str,
    ) -> Result<bool, CommandError> {
        let (to, mut statuses) = mpsc::channel::<SolveStatus>(WAITING);
        let told = async {
            let told = control.replay(build_ref, &to).await;
            drop(to);
            told
        };
        let shown = async {
            while let Some(status) = statuses.recv().await {
                self.tell(Event::Status { target: target.name.clone(), status });
            }
        };
        let (told, ()) = tokio::join!(told, shown);
        told.map_err(|error| unreachable(self.connector, error))
    }
}

fn missing_log(services: &[&str]) -> String {
    match services {
        [one] => format!("the engine does not keep the log of {one}'s build"),
        all => format!("the engine does not keep the logs of the builds of {}", all.join(", ")),
    }
}

/// What is remembered of the output of a target that failed, as an engine would tell it.
fn last_words(target: &TargetEntry) -> Option<SolveStatus> {
    let (step, output) = target.steps.iter().find_map(|it| Some((it, it.output.as_ref()?)))?;
    let mut text = match output.left_out {
        0 => String::new(),
        lines => format!(
            "({} before {} not remembered)\n",
            counted(lines, "line"),
            agreed(&lines, "is", "are")
        ),
    };
    output.lines.iter().for_each(|line| text += &format!("{line}\n"));
    let vertex = Vertex {
        digest: step.digest.clone(),
        name: step.name.clone(),
        started: step.intervals.first().map(|it| it.started),
        completed: step.intervals.last().map(|it| it.completed),
        error: step.error.clone().unwrap_or_default(),
        ..Vertex::default()
    };
    let log =
        VertexLog { vertex: step.digest.clone(), data: text.into_bytes(), ..VertexLog::default() };
    Some(SolveStatus { vertexes: vec![vertex], logs: vec![log], ..SolveStatus::default() })
}

/// The targets of `services`, or all. One that another one's build made is that one.
fn chosen<'a>(entry: &'a Entry, services: &[String]) -> Result<Vec<&'a TargetEntry>, CommandError> {
    let names = || entry.targets.iter().map(|target| target.service.as_str());
    if let Some(unknown) = services.iter().find(|name| !names().any(|it| it == *name)) {
        let message = format!("build {} has no service \"{unknown}\"", entry.id);
        let all = || format!("it has {}", names().collect::<Vec<_>>().join(", "));
        let hint = nearest::did_you_mean(unknown, names()).unwrap_or_else(all);
        return Err(CommandError::new(ExitKind::Usage, message).hint(hint));
    }
    let is_named =
        |target: &&TargetEntry| services.is_empty() || services.contains(&target.service);
    let names: Vec<&String> = entry.targets.iter().filter(is_named).map(built_as).collect();
    Ok(entry.targets.iter().filter(|target| names.contains(&&target.name)).collect())
}

/// The target whose build made this one's image.
fn built_as(target: &TargetEntry) -> &String {
    target.same_as.as_ref().unwrap_or(&target.name)
}

/// Those of which a build was sent, with what the engine calls it.
fn solved<'a>(
    entry: &Entry,
    targets: Vec<&'a TargetEntry>,
    warn: impl Fn(&str),
) -> Result<Vec<(&'a TargetEntry, &'a str)>, CommandError> {
    let mut solved = Vec::new();
    let mut others = Vec::new();
    for target in targets {
        match &target.build_ref {
            Some(build_ref) => solved.push((target, build_ref.as_str())),
            None => others.push(target.service.as_str()),
        }
    }
    if solved.is_empty() {
        let message = format!(
            "build {} has no log of {}: nothing was built for it",
            entry.id,
            others.join(", ")
        );
        return Err(CommandError::new(ExitKind::Failed, message).hint(format!(
            "`doc2md-docker history show {}` tells what is remembered of it",
            entry.id
        )));
    }
    others.iter().for_each(|service| warn(&format!("{service}: nothing was built for it")));
    Ok(solved)
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
    let error = CommandError::new(ExitKind::Failed, message);
    let is_remembered = entry.targets.iter().any(|target| last_words(target).is_some());
    let error = match is_remembered {
        true => {
            error.hint(format!("`doc2md-docker history show {}` has its last output", entry.id))
        }
        false => error,
    };
    Err(error
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
