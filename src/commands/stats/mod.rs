//! `doc2md-docker stats`: project and engine to a report, budgets to an exit code.

mod project;

use std::path::Path;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::time::timeout;

use crate::buildkit::Control;
use crate::cli::GlobalArgs;
use crate::cli::stats::{StatsArgs, StatsFormat};
use crate::commands::build::ci;
use crate::commands::connect;
use crate::commands::environment::Environment;
use crate::engine::snapshot::ImageDetails;
use crate::engine::{Connector, Engine, Snapshot};
use crate::error::{CommandError, ExitKind};
use crate::report::ci::Ci;
use crate::report::stats::{self as report, Extent};
use crate::stats::budget::{self, Budget, BudgetError, Budgets, Growth};
use crate::stats::{self, Facts, StatsReport, gc};
use crate::ui::Ui;

/// What the layers of images get at least, where measuring took all the time there was.
const LAYERS_AT_LEAST: Duration = Duration::from_secs(2);

/// Runs the command.
///
/// # Errors
/// Options or files are invalid, the engine cannot be reached, or a budget is broken.
pub async fn run(
    global: &GlobalArgs,
    args: &StatsArgs,
    environment: &Environment,
    ui: &Ui,
) -> Result<(), CommandError> {
    let measured = project::measured(global, environment, ui)?;
    let budgets = budgets(args, measured.directory.as_deref())?;
    let connector = connect::connector(global, environment)?;
    if let Some(notice) = connector.notice() {
        ui.warn(notice);
    }
    let mut notes: Vec<String> = measured.note.iter().cloned().collect();
    let seen = observe(&connector, &measured, args.timeout, &mut notes).await?;
    let mut report = stats::aggregate(&Facts {
        project: &measured.name,
        services: &measured.services,
        snapshot: &seen.snapshot,
        details: &seen.details,
        past: &[],
        own_records: None,
        gc: seen.gc.as_ref(),
        with_records: global.verbose > 0,
        now: Timestamp::now(),
        notes: &notes,
    });
    report.budgets = budgets.verdicts(&report).map_err(usage)?;
    if let Ci::GitHub { token, .. } = ci::detect(environment) {
        ui.guard_workflow(&token);
        for command in report::annotations(&report) {
            ui.workflow_command(&command);
        }
        let page = report::markdown(&report, Extent::Short);
        ci::write_github_files(environment, ui, &page, &report::outputs(&report));
    }
    show(&report, global, args.format, ui);
    verdict(&report)
}

/// What the engine told in time.
struct Seen {
    snapshot: Snapshot,
    details: Vec<ImageDetails>,
    gc: Option<gc::Rules>,
}

async fn observe(
    connector: &Connector,
    measured: &project::Measured,
    limit: Duration,
    notes: &mut Vec<String>,
) -> Result<Seen, CommandError> {
    let started = tokio::time::Instant::now();
    let engine = Engine::new(connector);
    let policies = async { timeout(limit, policies(connector)).await.ok().flatten() };
    let (snapshot, gc) = tokio::join!(engine.snapshot(limit), policies);
    let snapshot = snapshot.map_err(|error| connect::engine_error(connector, &error))?;
    let wanted = stats::wanted(&measured.name, &measured.services, &snapshot);
    let left = limit.saturating_sub(started.elapsed()).max(LAYERS_AT_LEAST);
    let details = match timeout(left, engine.image_details(&wanted)).await {
        Ok(Ok(details)) => details,
        Ok(Err(error)) => {
            notes.push(format!("layers of images unknown: {error}"));
            Vec::new()
        }
        Err(_) => {
            notes.push(format!("layers of images unknown: no answer within {left:?}"));
            Vec::new()
        }
    };
    let gc =
        gc.map(|policies| gc::Rules { policies, disk_free_bytes: disk_free(connector, &snapshot) });
    Ok(Seen { snapshot, details, gc })
}

/// Bytes free on the engine's disk, where that is this machine's.
#[cfg(unix)]
fn disk_free(connector: &Connector, snapshot: &Snapshot) -> Option<u64> {
    if !connector.address().starts_with("unix://") || snapshot.engine.data_root.is_empty() {
        return None;
    }
    let disk = rustix::fs::statvfs(snapshot.engine.data_root.as_str()).ok()?;
    Some(disk.f_bavail.saturating_mul(disk.f_frsize))
}

#[cfg(not(unix))]
fn disk_free(_: &Connector, _: &Snapshot) -> Option<u64> {
    None
}

/// The engine's rules for its build cache, where it tells them.
async fn policies(connector: &Connector) -> Option<Vec<gc::Policy>> {
    let policies = Control::connect(connector).await.ok()?.gc_policies().await?;
    let policy = |policy: crate::buildkit::GcPolicy| gc::Policy {
        all: policy.all,
        keep_for: SignedDuration::try_from(policy.keep_for).unwrap_or(SignedDuration::MAX),
        filters: policy.filters,
        reserved_bytes: policy.reserved_bytes,
        max_used_bytes: policy.max_used_bytes,
        min_free_bytes: policy.min_free_bytes,
    };
    Some(policies.into_iter().map(policy).collect())
}

/// Those of the project's file, and those of the command line in their place.
fn budgets(args: &StatsArgs, directory: Option<&Path>) -> Result<Budgets, CommandError> {
    let mut budgets = match directory.map(|directory| directory.join(budget::FILE)) {
        Some(path) => match fs_err::read_to_string(&path) {
            Ok(text) => Budgets::from_toml(&text).map_err(|error| {
                let message = format!("failed to read budgets from {}: {error}", path.display());
                CommandError::new(ExitKind::Usage, message)
            })?,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Budgets::default(),
            Err(error) => {
                return Err(
                    CommandError::new(ExitKind::Usage, "failed to read budgets").caused_by(&error)
                );
            }
        },
        None => Budgets::default(),
    };
    let given = args.budget.iter().map(|text| Budget::parse(text)).collect::<Result<_, _>>();
    let growth = args.max_growth.as_deref().map(Growth::parse).transpose().map_err(usage)?;
    budgets.replace(given.map_err(usage)?, growth);
    Ok(budgets)
}

fn usage(error: BudgetError) -> CommandError {
    let mut shown = CommandError::new(ExitKind::Usage, error.to_string());
    if let BudgetError::UnknownService { known, .. } = &error {
        shown = shown.hint(match known.as_slice() {
            [] => "the project has no images".to_owned(),
            known => format!("services with an image: {}", known.join(", ")),
        });
    }
    shown
}

fn show(report: &StatsReport, global: &GlobalArgs, format: StatsFormat, ui: &Ui) {
    let extent = if global.verbose > 0 { Extent::All } else { Extent::Short };
    let text = match format {
        StatsFormat::Table => report::table(report, ui.size().0, extent),
        StatsFormat::Json => report::json(report),
        StatsFormat::Markdown => report::markdown(report, extent),
        StatsFormat::Prometheus => report::prometheus(report),
    };
    ui.data(&text);
    let in_document = matches!(format, StatsFormat::Json | StatsFormat::Markdown);
    if !in_document && !global.quiet {
        for note in &report.notes {
            ui.say(&report::note(note, ui.size().0));
        }
    }
}

/// A broken budget is a violated policy; one that cannot be measured is a failure.
fn verdict(report: &StatsReport) -> Result<(), CommandError> {
    let rules = |wanted: &dyn Fn(&budget::Verdict) -> bool| -> Vec<&str> {
        report.budgets.iter().filter(|it| wanted(it)).map(|it| it.rule.as_str()).collect()
    };
    let broken = rules(&|it| it.ok == Some(false));
    if !broken.is_empty() {
        let message = format!("over budget: {}", broken.join(", "));
        return Err(CommandError::new(ExitKind::Policy, message));
    }
    let unknown = rules(&|it| it.ok.is_none() && !it.has_no_past());
    if !unknown.is_empty() {
        let message = format!("failed to measure what has a budget: {}", unknown.join(", "));
        return Err(CommandError::new(ExitKind::Failed, message)
            .hint("build the images first, or give the engine more time with --timeout"));
    }
    Ok(())
}
