//! What the options and the environment ask of a build. Knows no engine.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;

use crate::build::executor::RunSettings;
use crate::build::from_compose::TargetOptions;
use crate::build::plan::BuildPlan;
use crate::cli::build::BuildArgs;
use crate::commands::environment::Environment;
use crate::error::{CommandError, ExitKind};

/// What the options change in the targets of the compose file; `proxy_args` come from docker's
/// configuration.
pub(super) fn target_options(
    args: &BuildArgs,
    proxy_args: BTreeMap<String, String>,
) -> TargetOptions {
    TargetOptions {
        services: args.services.clone(),
        with_dependencies: args.with_dependencies,
        no_cache: args.no_cache,
        pull: args.pull,
        push: args.push,
        check: args.check,
        build_args: args.build_arg.clone(),
        ssh: args.ssh.clone(),
        proxy_args,
        target: args.target.clone(),
        platforms: args.platform.clone(),
        no_cache_filter: args.no_cache_filter.clone(),
        secrets: args.secret.clone(),
        cache_from: args.cache_from.clone(),
        cache_to: args.cache_to.clone(),
        provenance: args.provenance.clone().filter(|value| !value.is_empty()),
        sbom: args.sbom.clone().filter(|value| !value.is_empty()),
        set: args.set.clone(),
    }
}

/// How many at once, and when to stop.
///
/// # Errors
/// COMPOSE_PARALLEL_LIMIT is no number.
pub(super) fn run_settings(
    args: &BuildArgs,
    environment: &Environment,
) -> Result<RunSettings, CommandError> {
    Ok(RunSettings {
        parallel: parallel(args.parallel, environment)?,
        keep_going: args.keep_going,
        timeout: args.timeout,
    })
}

/// How many targets at once: as an option says, else as the environment does.
///
/// # Errors
/// COMPOSE_PARALLEL_LIMIT is no number.
pub(in crate::commands) fn parallel(
    option: Option<NonZeroUsize>,
    environment: &Environment,
) -> Result<Option<NonZeroUsize>, CommandError> {
    // docker compose: -1 means no limit.
    let from_environment = match environment.get("COMPOSE_PARALLEL_LIMIT") {
        None | Some("-1") => None,
        Some(text) => Some(text.parse::<NonZeroUsize>().map_err(|_| {
            let message = format!("COMPOSE_PARALLEL_LIMIT is {text:?}, not a number of targets");
            CommandError::new(ExitKind::Usage, message)
                .hint("use a number from 1, or -1 for no limit")
        })?),
    };
    Ok(option.or(from_environment))
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
