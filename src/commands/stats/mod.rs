//! `doc2md-docker stats`: project and engine to a report, budgets to an exit code.

mod builder;
mod page;

use std::path::Path;

use jiff::Timestamp;

use crate::app::App;
use crate::builders::Choice;
use crate::cli::stats::{Measure, StatsArgs, StatsFormat};
use crate::error::{CommandError, ExitKind};
use crate::files::read;
use crate::inventory::{Gap, Inventory, Lost, Part};
use crate::measure::{Effort, Wish};
use crate::ownership::Depth;
use crate::scope;
use crate::unreachable::unreachable;
use crate::usage::budget::{self, Budget, BudgetError, Budgets, Growth};
use crate::usage::{self, Inquiry, StatsReport};
use crate::view::ci::Ci;
use crate::view::stats::{self as report, Extent};

/// Runs the command.
///
/// # Errors
/// Options or files are invalid, the engine cannot be reached, or a budget is broken.
pub async fn run(app: &App, args: &StatsArgs) -> Result<(), CommandError> {
    if let Some(choice) = app.named_builder()? {
        return builder::run(app, args, &choice).await;
    }
    let scope = scope::scope(app)?;
    let services = usage::services(scope.files.as_ref(), &app.environment.working_dir)?;
    let directory = scope.files.as_ref().map(|files| files.working_dir.as_path());
    let budgets = budgets(args, directory)?;
    let page = page::Page::wanted(args)?;
    let connector = app.connector()?;
    let ledger = app.environment.ledger_directory();
    let effort = match args.measure {
        Measure::Auto => Effort::Changed,
        Measure::Always => Effort::All,
        Measure::Never => Effort::None,
    };
    let at_once = args.format == StatsFormat::Table && !app.is_verbose();
    let is_glance = at_once && page.is_none() && !budgets.need_project_cache();
    let gathering = Inquiry {
        connector,
        project: &scope.project,
        directory,
        services: &services,
        ledger: ledger.as_ref(),
        limit: args.timeout,
        depth: if is_glance { Depth::Things } else { Depth::Cache },
        mounts: &Wish::new(effort, args.timeout, ledger.as_deref()),
    };
    let unknown = |inventory: &Inventory| scope::unknown(&scope, inventory);
    let failed = |error| unreachable(connector, error);
    let mut gathered = gathering.gather(unknown).await.map_err(failed)?;
    if is_glance && gathered.disk.is_some_and(|disk| disk.is_short()) {
        // Where space is short, it is worth the time to find out what would free some.
        let closer = Inquiry { depth: Depth::Cache, ..gathering };
        let disk = gathered.disk;
        gathered = closer.gather(unknown).await.map_err(failed)?;
        gathered.disk = gathered.disk.or(disk);
    }
    gathered.notes.splice(0..0, scope.note.clone());
    gathered.notes.extend(app.other_builder().map(|choice| of_builder(&choice)));
    let facts = gathered.facts(&gathering, app.is_verbose(), Timestamp::now());
    let mut report = usage::aggregate(&facts);
    report.budgets = budgets.verdicts(&report).map_err(usage_error)?;
    if let Ci::GitHub { token, .. } = app.ci() {
        app.ui.guard_workflow(&token);
        for command in report::annotations(&report) {
            app.ui.workflow_command(&command);
        }
        let page = report::markdown(&report, Extent::Short);
        app.write_github_files(&page, &report::outputs(&report));
    }
    let written = match &page {
        Some(page) => page.write(app, &gathering, &gathered, &report).await,
        None => Ok(()),
    };
    if !page.is_some_and(|page| page.is_the_data) {
        show(&report, args.format, app);
    }
    verdict(&report)?;
    written?;
    measured_images(&gathered.inventory)
}

/// Where more is kept, of which nothing is said here.
fn of_builder(choice: &Choice) -> String {
    let name = &choice.builder.name;
    format!(
        "builds go to {choice}: its build cache is not in these figures, `stats --builder {name}` shows it"
    )
}

/// Images are what the command is for.
fn measured_images(inventory: &Inventory) -> Result<(), CommandError> {
    let gap = |gap: &&Gap| gap.part == Part::Images && gap.lost == Lost::Everything;
    match inventory.gaps.iter().find(gap) {
        None => Ok(()),
        Some(gap) => Err(CommandError::new(ExitKind::Failed, format!("{gap}"))
            .hint("give the engine more time with --timeout")),
    }
}

/// Those of the project's file, and those of the command line in their place.
fn budgets(args: &StatsArgs, directory: Option<&Path>) -> Result<Budgets, CommandError> {
    let mut budgets = match directory.map(|directory| directory.join(budget::FILE)) {
        Some(path) => match read::text(&path, read::TEXT) {
            Ok(text) => Budgets::from_toml(&text).map_err(|error| {
                let message = format!("failed to read budgets from {}: {error}", path.display());
                CommandError::new(ExitKind::Usage, message)
            })?,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Budgets::default(),
            Err(error) => {
                return Err(
                    CommandError::new(ExitKind::Usage, "failed to read budgets").caused_by(error)
                );
            }
        },
        None => Budgets::default(),
    };
    let given = args.budget.iter().map(|text| Budget::parse(text)).collect::<Result<_, _>>();
    let growth = args.max_growth.as_deref().map(Growth::parse).transpose().map_err(usage_error)?;
    budgets.replace(given.map_err(usage_error)?, growth);
    Ok(budgets)
}

fn usage_error(error: BudgetError) -> CommandError {
    let mut shown = CommandError::new(ExitKind::Usage, error.to_string());
    if let BudgetError::UnknownService { known, .. } = &error {
        shown = shown.hint(match known.as_slice() {
            [] => "the project has no images".to_owned(),
            known => format!("services with an image: {}", known.join(", ")),
        });
    }
    shown
}

fn show(report: &StatsReport, format: StatsFormat, app: &App) {
    let ui = &app.ui;
    let extent = if app.is_verbose() { Extent::All } else { Extent::Short };
    let text = match format {
        StatsFormat::Table => report::table(report, ui.data_columns(), extent),
        StatsFormat::Json => report::json(report),
        StatsFormat::Markdown => report::markdown(report, extent),
        StatsFormat::Prometheus => report::prometheus(report),
    };
    ui.data(&text);
    let in_document = matches!(format, StatsFormat::Json | StatsFormat::Markdown);
    if !in_document && !app.is_quiet() {
        for note in &report.notes {
            ui.note(note);
        }
    }
}

/// A broken budget is a violated policy; one that cannot be measured is a failure.
fn verdict(report: &StatsReport) -> Result<(), CommandError> {
    let rules = |wanted: &dyn Fn(&usage::Verdict) -> bool| -> Vec<&str> {
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
