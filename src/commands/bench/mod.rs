//! `doc2md-docker bench`: projects to copies, copies to builds, builds to a report, and everything removed again.

mod rounds;
mod tidy;
mod variant;
mod workspace;

use std::collections::BTreeSet;
use std::num::NonZeroUsize;
use std::path::Path;
use std::time::Duration;

use jiff::Timestamp;
use tempfile::TempDir;

use crate::app::App;
use crate::bench::Case;
use crate::bench::model::{BenchReport, CaseReport, EngineReport};
use crate::cli::bench::{BenchArgs, BenchCase, BenchFormat};
use crate::cli::project::ProjectArgs;
use crate::commands::build;
use crate::compose::Project;
use crate::engine::{Connector, Engine, EngineError};
use crate::environment::Environment;
use crate::error::{CommandError, ExitKind};
use crate::history::Store;
use crate::solve;
use crate::solve::executor::RunSettings;
use crate::targets::TargetOptions;
use crate::targets::target::Target;
use crate::unreachable::unreachable;
use crate::view::{Progress, bench as report};

use rounds::Rounds;
use variant::{Variant, Wishes};

/// How long the engine may take to tell what it holds.
const PATIENCE: Duration = Duration::from_secs(60);

/// Runs the command.
///
/// # Errors
/// Whatever stops it, with the exit code the README documents.
pub async fn run(app: &App, args: &BenchArgs) -> Result<(), CommandError> {
    let App { global, environment, interrupt, ui, .. } = app;
    let cases = cases(args);
    let settings = RunSettings {
        parallel: build::parallel(args.parallel, &environment.variables)?,
        keep_going: false,
        deadline: None,
    };
    let (own, own_targets) = load(app, &global.project, args, environment)?;
    let other = match &args.against {
        None => None,
        Some(path) => {
            let (files, environment) = elsewhere(path, environment)?;
            // Options that name files and directories are about the project itself.
            let options = ProjectArgs {
                files,
                profiles: global.project.profiles.clone(),
                ..ProjectArgs::default()
            };
            Some(load(app, &options, args, &environment)?)
        }
    };
    let connector = app.connector()?;
    let engine = Engine::new(connector);
    let started = Timestamp::now();
    let mut report =
        BenchReport::new(started, args.runs.get(), engine_report(connector, &engine).await?);
    report.parallel = settings.parallel.map(NonZeroUsize::get);

    let scratch = scratch()?;
    interrupt.remove_at_exit(scratch.path());
    let before = Before::look(connector, &engine).await?;
    let variants = variants(args, environment, (own, own_targets), other, scratch.path())?;
    report.projects = variants.iter().map(Variant::report).collect();
    let mut rounds = Rounds {
        app,
        connector,
        engine: &engine,
        settings,
        timeout: args.timeout,
        progress: progress(app)?,
        ledger: Store::open(scratch.path().join("builds")),
        scratch: scratch.path(),
        lines: &args.add,
        runs: args.runs.get(),
        cases: &cases,
        variants,
        samples: Default::default(),
        changes: Default::default(),
        left: Vec::new(),
        layers: before.layers,
    };
    let measured = {
        // What it makes it removes, however it ends.
        let _orderly = interrupt.orderly_part();
        rounds.go().await
    };
    report.left = std::mem::take(&mut rounds.left);
    for text in report::left(&report) {
        ui.warn(&text);
    }
    measured?;
    report.cases = cases.iter().map(|case| CaseReport::new(*case, rounds.results(*case))).collect();
    report.notes = rounds.notes(&report.cases);
    let after = engine.cache_records().await.unwrap_or_default();
    let gone = before.records.iter().filter(|id| !after.iter().any(|record| record.id == **id));
    let gone = gone.count();
    if gone > 0 {
        report.notes.push(format!(
            "{gone} records that were in the build cache before have gone: the engine's own garbage collection makes \
             room for new ones, or something else removed them"
        ));
    }
    ui.data(&match args.format {
        BenchFormat::Table => report::table(&report, ui.data_columns()),
        BenchFormat::Markdown => report::markdown(&report),
        BenchFormat::Json => report::json(&report),
    });
    if args.format == BenchFormat::Table && !global.quiet {
        for note in &report.notes {
            ui.say(&report::note(note, ui.said_columns()));
        }
    }
    Ok(())
}

/// What the engine held before.
struct Before {
    /// Ids of the records of its build cache.
    records: Vec<String>,
    /// Identities of all images' layers.
    layers: BTreeSet<String>,
}

impl Before {
    async fn look(connector: &Connector, engine: &Engine) -> Result<Self, CommandError> {
        let look = async {
            let records = engine.cache_records().await?.into_iter().map(|record| record.id);
            let (seen, ()) = engine.glance(PATIENCE, async |_| ()).await?;
            let images = seen.images.into_iter().map(|image| image.id);
            let chains = engine.image_chains(&images.collect::<Vec<_>>()).await?;
            let layers = chains.into_iter().flatten().collect();
            Ok(Self { records: records.collect(), layers })
        };
        look.await.map_err(|error: EngineError| unreachable(connector, &error))
    }
}

/// The cases in the order in which they can follow each other.
fn cases(args: &BenchArgs) -> Vec<Case> {
    let mut cases: Vec<Case> = args
        .cases
        .iter()
        .map(|case| match case {
            BenchCase::First => Case::First,
            BenchCase::Warm => Case::Warm,
            BenchCase::Unchanged => Case::Unchanged,
            BenchCase::Code => Case::Code,
            BenchCase::Requirement => Case::Requirement,
        })
        .collect();
    cases.sort();
    cases.dedup();
    if cases.is_empty() { Case::USUAL.to_vec() } else { cases }
}

/// A project and what is built of it, once everything it reads from this machine is known to be there.
fn load(
    app: &App,
    options: &ProjectArgs,
    args: &BenchArgs,
    environment: &Environment,
) -> Result<(Project, Vec<Target>), CommandError> {
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
) -> Result<(Vec<std::path::PathBuf>, Environment), CommandError> {
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
    args: &BenchArgs,
    environment: &Environment,
    (own, own_targets): (Project, Vec<Target>),
    other: Option<(Project, Vec<Target>)>,
    scratch: &Path,
) -> Result<Vec<Variant>, CommandError> {
    let failed = |error: std::io::Error| {
        CommandError::new(ExitKind::Failed, "failed to copy the build contexts").caused_by(&error)
    };
    let wishes = Wishes {
        code: &args.code,
        requirement: &args.requirement,
        working_dir: &environment.working_dir,
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
        CommandError::new(ExitKind::Failed, "failed to make a temporary directory")
            .caused_by(&error)
    })
}

/// A line per build, unless a view is asked for.
fn progress(app: &App) -> Result<Progress, CommandError> {
    Ok(match app.progress()? {
        Progress::Auto | Progress::Quiet => Progress::Silent,
        chosen => chosen,
    })
}

async fn engine_report(
    connector: &Connector,
    engine: &Engine,
) -> Result<EngineReport, CommandError> {
    let failed = |error: EngineError| unreachable(connector, &error);
    let facts = engine.facts().await.map_err(failed)?;
    let machine = engine.machine().await.map_err(failed)?;
    Ok(EngineReport {
        version: facts.version,
        api_version: facts.api_version.to_string(),
        store: facts.store.to_string(),
        driver: facts.driver,
        architecture: facts.architecture,
        operating_system: machine.operating_system,
        kernel: machine.kernel,
        cpus: machine.cpus,
        memory_bytes: machine.memory_bytes,
    })
}
