//! What the options and the environment ask of a build. Knows no engine.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroUsize;

use clap::ValueEnum as _;

use crate::app::{self, App};
use crate::cli::{self, build::BuildArgs};
use crate::compose::Project;
use crate::dockerfile::syntax::Syntax;
use crate::error::{CommandError, ExitKind};
use crate::signal::Interrupt;
use crate::solve::dockerfile_source;
use crate::solve::executor::RunSettings;
use crate::solve::plan::BuildPlan;
use crate::targets::caches::CacheSetting;
use crate::targets::from_compose::TargetOptions;
use crate::targets::{Compression, Target, TargetSet};
use crate::view::Progress;
use crate::view::ci::Ci;

/// What the options change in the targets of the compose file.
pub(super) fn target_options(args: &BuildArgs) -> TargetOptions {
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
        provenance: args.provenance.clone().filter(|value| !value.is_empty()),
        sbom: args.sbom.clone().filter(|value| !value.is_empty()),
        compression: compression(args.compression),
        set: args.set.clone(),
    }
}

/// What the setting of `build` means for images that another command builds: they share layers with those of `build`.
///
/// # Errors
/// The settings cannot be read.
pub(in crate::commands) fn compression_setting(app: &App) -> Result<Compression, CommandError> {
    let (settings, _) = app::settings(&app.global.project, &app.environment)?;
    let value = settings.get("build", "compression").and_then(|setting| setting.values.first());
    let option = value.and_then(|value| cli::build::Compression::from_str(value, true).ok());
    Ok(compression(option.unwrap_or_default()))
}

/// What the option means for targets.
fn compression(option: cli::build::Compression) -> Compression {
    match option {
        cli::build::Compression::Auto => Compression::Auto,
        cli::build::Compression::Gzip => Compression::Gzip,
        cli::build::Compression::Zstd => Compression::Zstd,
    }
}

/// Gives the targets the layer cache that `--caches` means. Returns for how many branches GitHub keeps one, if it does.
///
/// # Errors
/// The option does not name a cache.
pub(super) fn caches(
    app: &App,
    args: &BuildArgs,
    project: &Project,
    set: &mut TargetSet,
) -> Result<Option<usize>, CommandError> {
    let Some(text) = &args.caches else { return Ok(None) };
    let setting = CacheSetting::read(text, &project.working_dir).map_err(|error| {
        CommandError::new(ExitKind::Usage, error.to_string())
            .hint("PLACE[,mode=min|max][,rate=SIZE][,write=true|false]; a registry, a folder or GitHub's cache")
    })?;
    let Some(setting) = setting else { return Ok(None) };
    let policy = app.cache_policy(project, &setting);
    for target in &mut set.targets {
        target.layer_cache = Some(setting.of_target(&policy, target, stages_of_image(target)));
    }
    Ok(setting.is_github().then_some(policy.reads.len()))
}

/// Stages that are in the image of a target, as steps call them; `None` where its Dockerfile has no others.
fn stages_of_image(target: &Target) -> Option<BTreeSet<String>> {
    let (_, text) = dockerfile_source::of_target(target)?;
    let syntax = Syntax::new(&text, &target.args);
    let built = syntax.stage(target.target.as_deref())?;
    let name = |stage: usize| {
        let name = syntax.stages[stage].name.clone();
        name.unwrap_or_else(|| format!("stage-{stage}"))
    };
    (syntax.stages.len() > 1).then(|| syntax.chain(built).into_iter().map(name).collect())
}

/// How many at once, and when to stop.
///
/// # Errors
/// COMPOSE_PARALLEL_LIMIT is not a number.
pub(super) fn run_settings(
    args: &BuildArgs,
    project: &Project,
    interrupt: &Interrupt,
) -> Result<RunSettings, CommandError> {
    Ok(RunSettings {
        // A COMPOSE_ variable of a `.env` file counts, as in compose.
        parallel: parallel(args.parallel, &project.environment)?,
        keep_going: args.keep_going,
        deadline: interrupt.time_limit().map(|limit| limit.at),
    })
}

/// How many targets at once: as an option says, else as the environment does.
///
/// # Errors
/// COMPOSE_PARALLEL_LIMIT is not a number.
pub(in crate::commands) fn parallel(
    option: Option<NonZeroUsize>,
    variables: &BTreeMap<String, String>,
) -> Result<Option<NonZeroUsize>, CommandError> {
    let Some(text) = variables.get("COMPOSE_PARALLEL_LIMIT").filter(|text| !text.is_empty()) else {
        return Ok(option);
    };
    let limit = text.parse::<i64>().map_err(|_| {
        let message = format!("COMPOSE_PARALLEL_LIMIT is {text:?}, not a number of targets");
        CommandError::new(ExitKind::Usage, message).hint("use a number; 0 and -1 mean no limit")
    })?;
    // compose: only a number above 0 limits anything.
    let limit = usize::try_from(limit).ok().and_then(NonZeroUsize::new);
    Ok(option.or(limit))
}

/// Whether a build may be left out that has nothing to do: nobody wants a record of it, or its checks.
pub(super) fn may_skip(app: &App, args: &BuildArgs, progress: Progress) -> bool {
    let wants_record = args.metadata_file.is_some()
        || args.iidfile.is_some()
        || args.timeline.is_some()
        || args.trace.is_some()
        || progress == Progress::RawJson
        || matches!(app.ci(), Ci::GitHub { .. });
    !args.always_solve
        && !args.check
        && !wants_record
        && !app.environment.flag("DOC2MD_DOCKER_ALWAYS_SOLVE")
}

/// `docker build --output` exports its one target; here a target has to be named.
///
/// # Errors
/// The option is given.
pub(super) fn no_output(args: &BuildArgs) -> Result<(), CommandError> {
    let Some(output) = &args.output else { return Ok(()) };
    let target = args.services.first().map_or("*", String::as_str);
    Err(CommandError::new(ExitKind::Usage, "--output does not say which target it exports")
        .hint(format!("use --set '{target}.output={output}'")))
}

/// `--iidfile` holds one image id.
///
/// # Errors
/// Several targets are built.
pub(super) fn one_image_id(args: &BuildArgs, plan: &BuildPlan) -> Result<(), CommandError> {
    let targets = plan.targets().len();
    if args.iidfile.is_none() || targets == 1 {
        return Ok(());
    }
    let message = format!("--iidfile holds one image id, but {targets} targets are built");
    Err(CommandError::new(ExitKind::Usage, message)
        .hint("name one service, or use --metadata-file"))
}
