//! `doc2md-docker build`: project to targets to images.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::mpsc;

use crate::build::engine_fit::{self, FitError};
use crate::build::executor::{self, Job, RunOutcome, RunSettings};
use crate::build::from_compose::{TargetOptions, from_compose, print_json};
use crate::build::metadata;
use crate::build::outcome::TargetOutcome;
use crate::build::plan::BuildPlan;
use crate::build::request::{self, RequestContext, SolveRequest};
use crate::build::sessions::{Providers, Sessions, SessionsError};
use crate::build::target::Target;
use crate::buildkit::session::auth::CredentialStore;
use crate::buildkit::{self, Control};
use crate::cli::GlobalArgs;
use crate::cli::build::BuildArgs;
use crate::commands::environment::Environment;
use crate::commands::{check, connect, progress_mode, project, sources};
use crate::dockerfile::context_fingerprint;
use crate::engine::Engine;
use crate::error::{CommandError, ExitKind};
use crate::progress::Event;
use crate::report::{self, Progress, Reporter};
use crate::signal;
use crate::ui::Ui;

/// How often the reporter gets to redraw.
const TICK: Duration = Duration::from_millis(100);

/// Runs the command.
///
/// # Errors
/// Whatever stops it, with the exit code the README documents.
pub async fn run(
    global: &GlobalArgs,
    args: &BuildArgs,
    environment: &Environment,
    ui: &Ui,
) -> Result<(), CommandError> {
    let project = project::load(&global.project, environment, ui)?;
    let set = from_compose(&project, &target_options(args)).map_err(project::invalid)?;
    for warning in &set.warnings {
        ui.warn(warning);
    }
    if args.print {
        for error in &set.unsupported {
            ui.warn(&format!("{error}: a build would stop here"));
        }
        ui.data(&format!("{}\n", print_json(&set)));
        return Ok(());
    }
    if let Some(error) = set.unsupported.first() {
        return Err(project::invalid(error.clone()));
    }
    let targets = set.to_build();
    let run_settings = run_settings(args, environment)?;
    if args.iidfile.is_some() && targets.len() != 1 {
        let message =
            format!("--iidfile holds one image id, but {} targets are built", targets.len());
        return Err(CommandError::new(ExitKind::Usage, message)
            .hint("name one service, or use --metadata-file"));
    }
    let plan = BuildPlan::new(targets)
        .map_err(|error| CommandError::new(ExitKind::Invalid, error.to_string()))?;
    if plan.steps.is_empty() {
        ui.warn("no service with a build section is selected: nothing to build");
        return Ok(());
    }
    for step in &plan.steps {
        sources::check(&step.target)?;
    }
    let started = Instant::now();
    let progress = match progress_mode(global, environment)? {
        // Nothing is built: the findings are all there is to show.
        Progress::Auto if args.check => Progress::Quiet,
        progress => progress,
    };
    let mut reporter = Reporter::new(progress, ui.clone(), environment.flag("CI"))?;
    let leftover = signal::Leftover::default();
    let interrupt = signal::cancel_on_interrupt(leftover.clone()).map_err(|error| {
        CommandError::new(ExitKind::Failed, "failed to listen for signals").caused_by(&error)
    })?;

    let connector = connect::connector(global, environment)?;
    if let Some(notice) = connector.notice() {
        ui.warn(notice);
    }
    let scratch = scratch_directory(&plan)?;
    if let Some(scratch) = &scratch {
        let _ = leftover.set(scratch.path().to_owned());
    }
    let mut requests = requests(&plan, scratch.as_ref().map(tempfile::TempDir::path), environment)?;
    let docker_config = connect::docker_config(environment)?;
    let logins =
        Arc::new(CredentialStore::new(docker_config.clone(), environment.variables.clone()));
    let providers = Providers {
        docker_config,
        environment: environment.variables.clone(),
        stdout: Some(ui.stdout_stream()),
    };
    let (control, sessions) = tokio::select! {
        opened = open(&connector, &requests, providers) => opened?,
        () = interrupt.cancelled() => return Err(interrupted()),
    };
    let engine = Engine::new(&connector);
    let mut pairs: Vec<_> = plan.steps.iter().map(|step| &step.target).zip(&mut requests).collect();
    engine_fit::fit(&engine, &control, &mut pairs).await.map_err(|error| match error {
        FitError::Engine(error) => connect::engine_error(&connector, &error),
        error => CommandError::new(ExitKind::Invalid, error.to_string()),
    })?;
    let jobs = jobs(&plan, requests, &sessions, &logins);
    let (events, mut incoming) = mpsc::channel::<Event>(512);
    let _ = events.send(Event::Planned { targets: plan.targets() }).await;
    let outcome = {
        let run = async {
            let outcome =
                executor::run(&control, &engine, jobs, &run_settings, &events, interrupt).await;
            drop(events);
            outcome
        };
        let show = async {
            let mut tick = tokio::time::interval(TICK);
            loop {
                tokio::select! {
                    event = incoming.recv() => match event {
                        Some(event) => reporter.handle(&event, started.elapsed()),
                        None => break,
                    },
                    _ = tick.tick() => reporter.tick(started.elapsed()),
                }
            }
        };
        tokio::join!(run, show).0
    };
    let summary = reporter.summary(started.elapsed());
    reporter.finish(&summary);
    write_results(args, &outcome)?;
    if let Some(error) = report::run_error(&summary) {
        return Err(error);
    }
    if args.check { check::report(&outcome.targets, ui) } else { Ok(()) }
}

fn target_options(args: &BuildArgs) -> TargetOptions {
    TargetOptions {
        services: args.services.clone(),
        with_dependencies: args.with_dependencies,
        no_cache: args.no_cache,
        pull: args.pull,
        push: args.push,
        check: args.check,
        build_args: args.build_arg.clone(),
        ssh: args.ssh.clone(),
        proxy_args: BTreeMap::new(),
        target: args.target.clone(),
        platforms: args.platform.clone(),
        no_cache_filter: args.no_cache_filter.clone(),
        secrets: args.secret.clone(),
        cache_from: args.cache_from.clone(),
        cache_to: args.cache_to.clone(),
        set: args.set.clone(),
    }
}

fn interrupted() -> CommandError {
    CommandError::new(ExitKind::Interrupted, "interrupted")
}

fn run_settings(args: &BuildArgs, environment: &Environment) -> Result<RunSettings, CommandError> {
    // docker compose: -1 means no limit.
    let from_environment = match environment.get("COMPOSE_PARALLEL_LIMIT") {
        None | Some("-1") => None,
        Some(text) => Some(text.parse::<NonZeroUsize>().map_err(|_| {
            let message = format!("COMPOSE_PARALLEL_LIMIT is {text:?}, not a number of targets");
            CommandError::new(ExitKind::Usage, message)
                .hint("use a number from 1, or -1 for no limit")
        })?),
    };
    Ok(RunSettings {
        parallel: args.parallel.or(from_environment),
        keep_going: args.keep_going,
        timeout: args.timeout,
    })
}

/// A directory for Dockerfiles that stand in the compose file, where one does.
fn scratch_directory(plan: &BuildPlan) -> Result<Option<tempfile::TempDir>, CommandError> {
    if plan.steps.iter().all(|step| step.target.dockerfile_inline.is_none()) {
        return Ok(None);
    }
    tempfile::Builder::new().prefix("doc2md-docker-").tempdir().map(Some).map_err(|error| {
        CommandError::new(ExitKind::Failed, "make a temporary directory for an inline Dockerfile")
            .caused_by(&error)
    })
}

fn requests(
    plan: &BuildPlan,
    scratch: Option<&Path>,
    environment: &Environment,
) -> Result<Vec<SolveRequest>, CommandError> {
    let images: BTreeMap<String, String> = plan
        .steps
        .iter()
        .map(|step| (step.target.name.clone(), step.target.image.clone()))
        .collect();
    plan.steps
        .iter()
        .map(|step| {
            let fingerprint = dockerfile(&step.target).map_or_else(String::new, |(_, text)| {
                context_fingerprint(&text, step.target.target.as_deref())
            });
            let context = RequestContext {
                scratch: scratch.unwrap_or(Path::new("")),
                images: &images,
                default_platform: environment.get("DOCKER_DEFAULT_PLATFORM"),
                fingerprint: &fingerprint,
            };
            let request = request::solve_request(&step.target, context)
                .map_err(|error| CommandError::new(ExitKind::Invalid, error.to_string()))?;
            if let Some((path, text)) = &request.inline_dockerfile {
                let write = || {
                    fs_err::create_dir_all(path.parent().unwrap_or(Path::new("")))?;
                    fs_err::write(path, text)
                };
                write().map_err(|error| {
                    CommandError::new(ExitKind::Failed, "write an inline Dockerfile")
                        .caused_by(&error)
                })?;
            }
            Ok(request)
        })
        .collect()
}

/// Opens everything the run needs from the engine, at the same time.
async fn open(
    connector: &crate::engine::Connector,
    requests: &[SolveRequest],
    providers: Providers,
) -> Result<(Control, Sessions), CommandError> {
    let (control, sessions) =
        tokio::join!(Control::connect(connector), Sessions::open(connector, requests, providers),);
    let control = control.map_err(|error| connect::transport_error(connector, &error))?;
    let sessions = sessions.map_err(|error| match error {
        SessionsError::Transport(error) => connect::transport_error(connector, &error),
        error => CommandError::new(ExitKind::Usage, error.to_string()),
    })?;
    Ok((control, sessions))
}

fn jobs(
    plan: &BuildPlan,
    requests: Vec<SolveRequest>,
    sessions: &Sessions,
    logins: &Arc<CredentialStore>,
) -> Vec<Job> {
    plan.steps
        .iter()
        .zip(requests)
        .enumerate()
        .map(|(index, (step, request))| {
            let mut options = request.options;
            options.build_ref = buildkit::new_ref();
            sessions.id(index).clone_into(&mut options.session);
            Job {
                name: step.target.name.clone(),
                also_serves: step.also_serves.iter().map(|target| target.name.clone()).collect(),
                after: step.after.clone(),
                options,
                references: step.target.tags.clone(),
                loads_image: request.loads_image,
                push: request.push,
                logins: Arc::clone(logins),
                directories: request.directories.into_keys().collect(),
                sync: sessions.report(index),
                dockerfile: dockerfile(&step.target),
            }
        })
        .collect()
}

/// The Dockerfile as far as this machine has it, to show the place of an error.
fn dockerfile(target: &Target) -> Option<(String, String)> {
    if let Some(text) = &target.dockerfile_inline {
        return Some(("dockerfile_inline".to_owned(), text.replace("$${", "${")));
    }
    let path =
        Path::new(&target.context).join(target.dockerfile.as_deref().unwrap_or("Dockerfile"));
    let text = fs_err::read_to_string(&path).ok()?;
    Some((path.display().to_string(), text))
}

/// Writes `--metadata-file` and `--iidfile`, whole or not at all.
fn write_results(args: &BuildArgs, outcome: &RunOutcome) -> Result<(), CommandError> {
    if let Some(path) = &args.metadata_file {
        let text = format!("{:#}\n", metadata::document(&outcome.targets));
        write_file(path, &text, "the metadata file")?;
    }
    if let Some(path) = &args.iidfile
        && let Some(TargetOutcome::Built(image)) = outcome.targets.values().next()
    {
        write_file(path, &image.id, "the image id file")?;
    }
    Ok(())
}

fn write_file(path: &Path, text: &str, what: &str) -> Result<(), CommandError> {
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    let write = || -> std::io::Result<()> {
        let mut file = tempfile::NamedTempFile::new_in(directory.unwrap_or(Path::new(".")))?;
        std::io::Write::write_all(&mut file, text.as_bytes())?;
        file.persist(path)?;
        Ok(())
    };
    write().map_err(|error| {
        let message = format!("write {what} {}", path.display());
        CommandError::new(ExitKind::Failed, message).caused_by(&error)
    })
}
