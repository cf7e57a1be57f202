//! `doc2md-docker bench`: projects to copies, copies to builds, builds to a report, and everything removed again.

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;
use tempfile::TempDir;
use tokio::time::{Instant, timeout};

use crate::app::App;
use crate::bench::engine::{self, Before};
use crate::bench::model::BenchReport;
use crate::bench::runner::{BenchBuild, Note, Runner, Site};
use crate::bench::variant::{Variant, Wishes};
use crate::bench::{Case, Plan, results};
use crate::cli::bench::{BenchArgs, BenchCase, BenchFormat};
use crate::cli::project::ProjectArgs;
use crate::commands::build;
use crate::compose::Project;
use crate::engine::{Connector, Engine, EngineError};
use crate::environment::Environment;
use crate::error::{CommandError, ExitKind};
use crate::history::Store;
use crate::run::{Memory, Place, Run};
use crate::solve;
use crate::solve::executor::RunSettings;
use crate::solve::plan::BuildPlan;
use crate::targets::TargetOptions;
use crate::targets::target::Target;
use crate::terminal::format;
use crate::unreachable::{self, unreachable};
use crate::view::{self, Progress, bench as report};

/// Runs the command.
///
/// # Errors
/// Whatever stops it, with the exit code the README documents.
pub async fn run(app: &App, args: &BenchArgs) -> Result<(), CommandError> {
    let plan = Plan { cases: cases(args), runs: args.runs.get(), lines: args.add.clone() };
    if plan.cases.contains(&Case::Lock) && plan.lines.is_empty() {
        let message = "--case lock needs a requirement that the lock does not have";
        return Err(
            CommandError::new(ExitKind::Usage, message).hint("name it: --add humanize==4.12.3")
        );
    }
    let parallel = build::parallel(args.parallel, &app.environment.variables)?;
    let (own, other) = projects(app, args)?;
    let connector = app.connector()?;
    let engine = &Engine::new(connector);
    let started = Timestamp::now();
    let machine = answer(connector, args.timeout, engine::report(engine)).await?;
    let mut report = BenchReport::new(started, plan.runs, machine);
    report.parallel = parallel.map(NonZeroUsize::get);

    let scratch = scratch()?;
    app.interrupt.remove_at_exit(scratch.path());
    let before = answer(connector, args.timeout, Before::look(engine)).await?;
    let variants = variants(app, args, own, other, scratch.path())?;
    report.projects = variants.iter().map(Variant::report).collect();
    let ledger = Store::open(scratch.path().join("builds"));
    let site = Site {
        connector,
        engine,
        interrupt: &app.interrupt,
        scratch: scratch.path(),
        ledger: &ledger,
    };
    let builds = Builds { app, args, parallel, progress: progress(app)?, ledger: &ledger };
    let build = async |plan: &BuildPlan, project: &str| builds.build(plan, project).await;
    let watch = |note: Note| say(app, &note);
    let outcome = {
        // What it makes it removes, however it ends.
        let _orderly = app.interrupt.orderly_part();
        Runner::new((&plan, site), variants, &before, (build, watch)).measure().await
    };
    report.left = outcome.left;
    for text in report::left(&report) {
        app.ui.warn(&text);
    }
    report.cases = outcome.results?.cases(&plan, &outcome.variants);
    report.notes = results::notes(&plan, &outcome.variants, &report.cases);
    report.notes.extend(before.gone(engine).await);
    show(app, args.format, &report);
    Ok(())
}

/// What the engine is asked before it builds anything: it gets no longer than a build.
async fn answer<T>(
    connector: &Connector,
    limit: Option<Duration>,
    asked: impl Future<Output = Result<T, EngineError>>,
) -> Result<T, CommandError> {
    let answered = match limit {
        None => asked.await,
        Some(limit) => {
            timeout(limit, asked).await.map_err(|_| unreachable::silent(connector, limit))?
        }
    };
    answered.map_err(|error| unreachable(connector, error))
}

fn show(app: &App, format: BenchFormat, report: &BenchReport) {
    app.ui.data(&match format {
        BenchFormat::Table => report::table(report, app.ui.data_columns()),
        BenchFormat::Markdown => report::markdown(report),
        BenchFormat::Json => report::json(report),
    });
    if format == BenchFormat::Table && !app.is_quiet() {
        for note in &report.notes {
            app.ui.note(note);
        }
    }
}

fn say(app: &App, note: &Note) {
    if !app.is_quiet() {
        let text = format!("{}, {}: {}", note.what, note.project, format::seconds(note.seconds));
        app.ui.remark(&text);
    }
}

/// How a benchmark builds.
struct Builds<'a> {
    app: &'a App,
    args: &'a BenchArgs,
    parallel: Option<NonZeroUsize>,
    progress: Progress,
    ledger: &'a Store,
}

impl Builds<'_> {
    async fn build(&self, plan: &BuildPlan, project: &str) -> Result<BenchBuild, CommandError> {
        let run = Run {
            app: self.app,
            plan: std::borrow::Cow::Borrowed(plan),
            project,
            settings: RunSettings {
                parallel: self.parallel,
                keep_going: false,
                deadline: self.args.timeout.map(|timeout| Instant::now() + timeout),
            },
            progress: self.progress,
            memory: Some(Memory::at(self.ledger.clone(), project)),
            place: Place::Engine,
        };
        let finished = run.carry_out().await?;
        match view::run_error(&finished.summary) {
            None => Ok(BenchBuild { summary: finished.summary, sent_bytes: finished.sent_bytes }),
            Some(error) => Err(error),
        }
    }
}

/// The cases in the order in which they can follow each other.
fn cases(args: &BenchArgs) -> Vec<Case> {
    let case = |case: &BenchCase| match case {
        BenchCase::First => Case::First,
        BenchCase::Warm => Case::Warm,
        BenchCase::Unchanged => Case::Unchanged,
        BenchCase::Code => Case::Code,
        BenchCase::Requirement => Case::Requirement,
        BenchCase::Lock => Case::Lock,
    };
    let mut cases: Vec<Case> = args.cases.iter().map(case).collect();
    cases.sort();
    cases.dedup();
    if cases.is_empty() { Case::USUAL.to_vec() } else { cases }
}

/// A project, and what is built of it.
type Subject = (Project, Vec<Target>);

/// The project, and the one that it is compared with.
fn projects(app: &App, args: &BenchArgs) -> Result<(Subject, Option<Subject>), CommandError> {
    let own = load(app, &app.global.project, args, &app.environment)?;
    let Some(path) = &args.against else { return Ok((own, None)) };
    let (files, environment) = elsewhere(path, &app.environment)?;
    // Options that name files and directories are about the project itself.
    let profiles = app.global.project.profiles.clone();
    let options = ProjectArgs { files, profiles, ..ProjectArgs::default() };
    Ok((own, Some(load(app, &options, args, &environment)?)))
}

/// Loads a project once everything it reads from this machine is known to be there.
fn load(
    app: &App,
    options: &ProjectArgs,
    args: &BenchArgs,
    environment: &Environment,
) -> Result<Subject, CommandError> {
    let project = app.project_of(options, environment)?;
    let options = TargetOptions { services: args.services.clone(), ..TargetOptions::default() };
    let set = app.targets(&project, options)?;
    let epoch = environment.get("SOURCE_DATE_EPOCH");
    if solve::checked_plan(&set, epoch)?.steps.is_empty() {
        let message = format!("nothing to measure: no service of {} is built", project.name);
        return Err(CommandError::new(ExitKind::Usage, message));
    }
    Ok((project, solve::targets(&set, epoch)))
}

/// The compose files that `--against` names, and an environment in which they are found.
fn elsewhere(
    path: &Path,
    environment: &Environment,
) -> Result<(Vec<PathBuf>, Environment), CommandError> {
    let path = environment.working_dir.join(path);
    let mut there = environment.clone();
    // They name the project itself.
    there.variables.remove("COMPOSE_FILE");
    there.variables.remove("COMPOSE_PROJECT_NAME");
    if path.is_file() {
        return Ok((vec![path], there));
    }
    if !path.is_dir() {
        let message = format!("--against {}: there is no such file or directory", path.display());
        return Err(CommandError::new(ExitKind::Usage, message));
    }
    there.working_dir = path;
    Ok((Vec::new(), there))
}

/// Copies of the projects.
fn variants(
    app: &App,
    args: &BenchArgs,
    (own, own_targets): Subject,
    other: Option<Subject>,
    scratch: &Path,
) -> Result<Vec<Variant>, CommandError> {
    let failed = |error: std::io::Error| {
        CommandError::new(ExitKind::Failed, "failed to copy the build contexts").caused_by(error)
    };
    let wishes = Wishes {
        code: &args.code,
        requirement: &args.requirement,
        working_dir: &app.environment.working_dir,
        like: None,
    };
    let own = Variant::new(&own, own_targets, &scratch.join("a"), wishes).map_err(failed)?;
    let mut variants = vec![own];
    if let Some((project, targets)) = other {
        let wishes = Wishes { like: Some(&variants[0]), ..wishes };
        let mut other =
            Variant::new(&project, targets, &scratch.join("b"), wishes).map_err(failed)?;
        if other.name == variants[0].name {
            other.name.push_str(" (against)");
        }
        variants.push(other);
    }
    Ok(variants)
}

/// Where copies and the ledger are while it runs.
fn scratch() -> Result<TempDir, CommandError> {
    tempfile::Builder::new().prefix("doc2md-docker-bench-").tempdir().map_err(|error| {
        CommandError::new(ExitKind::Failed, "failed to make a temporary directory").caused_by(error)
    })
}

/// A line per build, unless a view is asked for.
fn progress(app: &App) -> Result<Progress, CommandError> {
    Ok(match app.progress()? {
        Progress::Auto | Progress::Quiet => Progress::Silent,
        chosen => chosen,
    })
}
