//! `doc2md-docker stats`: project and engine to a report, budgets to an exit code.

mod past;
mod project;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::time::{Instant, timeout, timeout_at};

use crate::app::App;
use crate::buildkit::Control;
use crate::clean::plan;
use crate::cli::GlobalArgs;
use crate::cli::stats::{StatsArgs, StatsFormat};
use crate::commands::{measure, scope};
use crate::engine::{Connector, Engine};
use crate::error::{CommandError, ExitKind};
use crate::files::read;
use crate::inventory::Inventory;
use crate::inventory::{Gap, Image, ImageDetails, Lost, Part};
use crate::measure::{Disk, Sizes, disk as disk_of, is_near};
use crate::ownership::records::Verdict;
use crate::ownership::{self, Answer, Depth, Evidence, Memory, Question};
use crate::terminal::Ui;
use crate::unreachable::unreachable;
use crate::usage::budget::{self, Budget, BudgetError, Budgets, Growth};
use crate::usage::{self, Facts, PastImage, RemedyStats, StatsReport, gc};
use crate::view::ci::Ci;
use crate::view::clean;
use crate::view::stats::{self as report, Extent};

/// What the layers of images get at least, where measuring took all the time there was.
const LAYERS_AT_LEAST: Duration = Duration::from_secs(2);

/// Runs the command.
///
/// # Errors
/// Options or files are invalid, the engine cannot be reached, or a budget is broken.
pub async fn run(app: &App, args: &StatsArgs) -> Result<(), CommandError> {
    let App { global, environment, ui, .. } = app;
    let measured = project::measured(app)?;
    let budgets = budgets(args, measured.directory())?;
    let connector = app.connector()?;
    let at_once = args.format == StatsFormat::Table && global.verbose == 0;
    let whose = match at_once && !budgets.need_project_cache() {
        true => Whose::Left,
        false => Whose::Told,
    };
    let ledger = environment.ledger_directory();
    let measure = measure::Wish::new(args.measure, args.timeout, ledger.as_deref());
    let wish = Wish { limit: args.timeout, whose, ledger, measure };
    let mut notes: Vec<String> = measured.scope.note.iter().cloned().collect();
    let known = notes.len();
    let mut seen = observe(connector, &measured, &wish, &mut notes).await?;
    if whose == Whose::Left && seen.disk.is_some_and(|disk| disk.is_short()) {
        // Where space is short, it is worth the time to find out what would free some.
        notes.truncate(known);
        let wish = Wish { whose: Whose::Told, ..wish };
        let disk = seen.disk;
        seen = observe(connector, &measured, &wish, &mut notes).await?;
        seen.disk = seen.disk.or(disk);
    }
    let mut report = usage::aggregate(&Facts {
        project: measured.name(),
        services: &measured.services,
        inventory: &seen.inventory,
        whose: &seen.whose,
        details: &seen.details,
        all_details: seen.all_details.as_deref(),
        disk: seen.disk,
        remedies: seen.remedies.as_deref(),
        past: &seen.past,
        own_records: seen.own_records.as_ref(),
        sizes: &seen.sizes,
        gc: seen.gc.as_ref(),
        with_records: global.verbose > 0,
        now: Timestamp::now(),
        notes: &notes,
    });
    report.budgets = budgets.verdicts(&report).map_err(usage)?;
    if let Ci::GitHub { token, .. } = app.ci() {
        ui.guard_workflow(&token);
        for command in report::annotations(&report) {
            ui.workflow_command(&command);
        }
        let page = report::markdown(&report, Extent::Short);
        app.write_github_files(&page, &report::outputs(&report));
    }
    show(&report, global, args.format, ui);
    verdict(&report)?;
    measured_images(&seen.inventory)
}

/// Whether it is asked whose the cache records are. That takes the layers of all images and the engine's
/// history of builds, seconds where there were many: a glance at the table does not wait for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Whose {
    /// It is.
    Told,
    /// It is not.
    Left,
}

/// What is looked at.
#[derive(Debug, Clone)]
struct Wish {
    /// How long the engine gets.
    limit: Duration,
    whose: Whose,
    /// Where builds are remembered, if anywhere.
    ledger: Option<PathBuf>,
    measure: measure::Wish,
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

/// What the engine and the ledger told in time.
struct Seen {
    inventory: Inventory,
    details: Vec<ImageDetails>,
    past: Vec<PastImage>,
    whose: Answer,
    own_records: Option<BTreeSet<String>>,
    all_details: Option<Vec<ImageDetails>>,
    disk: Option<Disk>,
    remedies: Option<Vec<RemedyStats>>,
    sizes: Sizes,
    gc: Option<gc::Rules>,
}

async fn observe(
    connector: &Connector,
    measured: &project::Measured,
    wish: &Wish,
    notes: &mut Vec<String>,
) -> Result<Seen, CommandError> {
    let Wish { limit, whose, ledger, measure } = wish;
    let (limit, whose) = (*limit, *whose);
    let end = Instant::now() + limit.max(LAYERS_AT_LEAST);
    let engine = Engine::new(connector);
    let policies = async { timeout(limit, policies(connector)).await.ok().flatten() };
    let seen = async {
        match whose {
            Whose::Told => {
                let inventory = engine.inventory(limit).await?;
                let layers = layers_of(&engine, measured, &inventory.images, end).await;
                Ok((inventory, layers))
            }
            Whose::Left => {
                let layers =
                    async |images: &[Image]| layers_of(&engine, measured, images, end).await;
                engine.glance(limit, layers).await
            }
        }
    };
    let mut told = Vec::new();
    let depth = if whose == Whose::Told { Depth::Cache } else { Depth::Things };
    let recall = ownership::recall(connector, ledger.clone(), measured.name(), depth, &mut told);
    let (seen, gc, memory) = tokio::join!(seen, policies, timeout_at(end, recall));
    notes.append(&mut told);
    let memory = memory.unwrap_or_else(|_| {
        notes.push("builds of the project unknown: the engine was too slow".to_owned());
        Memory::default()
    });
    let (mut inventory, layers) = seen.map_err(|error| unreachable(connector, &error))?;
    let past = past::of(ledger.clone(), measured, &inventory);
    let disk = disk_of(connector, &inventory.engine);
    let for_disk = disk.is_none() && (measure.for_disk || is_near(connector));
    let measure = measure::Wish { for_disk, ..measure.clone() };
    let sizes =
        measure::sizes(connector, &engine, &measured.services, &mut inventory, &measure).await;
    let details = layers.details.unwrap_or_else(|why| {
        notes.push(format!("layers of images unknown: {why}"));
        Vec::new()
    });
    match layers.chains {
        Ok(chains) => usage::add_shared(&mut inventory, &details, &chains),
        Err(why) => notes.push(format!("what images share is unknown: {why}")),
    }
    let end = end.max(Instant::now() + LAYERS_AT_LEAST);
    notes.extend(scope::unknown(&measured.scope, &inventory));
    let gathering = ownership::gather(&engine, &inventory, &measured.scope.project, memory);
    let evidence = match timeout_at(end, gathering).await {
        Ok(evidence) => evidence.map_err(|error| unreachable(connector, &error))?,
        Err(_) => {
            notes.push("whose things are is not certain: the engine was too slow".to_owned());
            Evidence::default()
        }
    };
    let all = match whose {
        Whose::Told if !details.is_empty() && !inventory.cache.is_empty() => {
            all_layers(&engine, &inventory, &details, end, notes).await
        }
        Whose::Told => None,
        Whose::Left => {
            let more = "-v also tells which part of the build cache is this project's, and what clean would free";
            notes.push(more.to_owned());
            None
        }
    };
    let question = Question {
        project: &measured.scope.project,
        inventory: &inventory,
        details: all.as_deref().unwrap_or_default(),
        evidence: &evidence,
        include: &BTreeSet::new(),
    };
    let answer = ownership::judge(&question);
    let own_records = all.is_some().then(|| own_records(&answer, &evidence, notes));
    if answer.kept() > 0 {
        notes.push(format!(
            "{} that look like the project's are not counted: clean --dry-run says why",
            clean::things(answer.kept())
        ));
    }
    let remedies = all.as_deref().and_then(|all| remedies(&inventory, all, &answer));
    let disk = sizes.disk.or(disk);
    let gc = gc.map(|policies| gc::Rules {
        policies,
        disk_free_bytes: disk.map(|disk| disk.available_bytes),
    });
    let past = past.await.unwrap_or_default();
    notes.extend(past.note);
    Ok(Seen {
        inventory,
        details,
        past: past.images,
        whose: answer,
        own_records,
        all_details: all,
        disk,
        remedies,
        sizes,
        gc,
    })
}

/// What frees space, as `clean` would plan it; `None` where it would refuse to plan anything.
fn remedies(
    inventory: &Inventory,
    details: &[ImageDetails],
    answer: &Answer,
) -> Option<Vec<RemedyStats>> {
    let is_blind = |gap: &Gap| gap.lost == Lost::Everything && gap.part != Part::Engine;
    if inventory.gaps.iter().any(is_blind) {
        return None;
    }
    let found = crate::clean::remedies(|request| plan(inventory, details, answer, request));
    let stats = found.into_iter().map(|remedy| RemedyStats {
        command: format!("doc2md-docker {}", remedy.command),
        frees_bytes: remedy.frees_bytes,
    });
    Some(stats.collect())
}

/// What inspecting images tells, or why it did not come in time.
struct Layers {
    /// Of the project's images.
    details: Result<Vec<ImageDetails>, String>,
    /// The chains of all others, where the engine has not told what images share.
    chains: Result<Vec<Vec<String>>, String>,
}

async fn layers_of(
    engine: &Engine,
    measured: &project::Measured,
    images: &[Image],
    end: Instant,
) -> Layers {
    let end = end.max(Instant::now() + LAYERS_AT_LEAST);
    let wanted = usage::wanted(measured.name(), &measured.services, images);
    let unmeasured = !wanted.is_empty() && images.iter().any(|it| it.shared_bytes.is_none());
    let others = images.iter().map(|image| image.id.clone());
    let others: Vec<String> = others.filter(|id| unmeasured && !wanted.contains(id)).collect();
    let chains = async {
        match timeout_at(end, engine.image_chains(&others)).await {
            Ok(chains) => chains.map_err(|error| error.to_string()),
            Err(_) => Err("the engine was too slow".to_owned()),
        }
    };
    let (details, chains) = tokio::join!(layers(engine, &wanted, end), chains);
    Layers { details, chains }
}

/// Layers and history of these images, or why they did not come in time.
async fn layers(
    engine: &Engine,
    ids: &[String],
    end: Instant,
) -> Result<Vec<ImageDetails>, String> {
    match timeout_at(end, engine.image_details(ids)).await {
        Ok(Ok(details)) => Ok(details),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err("the engine was too slow".to_owned()),
    }
}

/// Layers of all images: they tell which cache records somebody else has.
async fn all_layers(
    engine: &Engine,
    inventory: &Inventory,
    details: &[ImageDetails],
    end: Instant,
    notes: &mut Vec<String>,
) -> Option<Vec<ImageDetails>> {
    let is_new = |id: &String| !details.iter().any(|image| image.id == *id);
    let ids = inventory.images.iter().map(|image| image.id.clone());
    let ids: Vec<String> = ids.filter(is_new).collect();
    match layers(engine, &ids, end).await {
        Ok(others) => Some(details.iter().cloned().chain(others).collect()),
        Err(why) => {
            notes.push(format!("layers of other projects' images unknown: {why}"));
            None
        }
    }
}

/// Ids of the project's cache records.
fn own_records(answer: &Answer, evidence: &Evidence, notes: &mut Vec<String>) -> BTreeSet<String> {
    if evidence.builds.is_empty() && evidence.unplaced.is_empty() {
        notes.push(
            "the project's part of the build cache goes by its images' history, as nobody recorded \
             its builds: it may be larger"
                .into(),
        );
    }
    let records = answer.records.iter();
    let own = records.filter(|(_, verdict)| matches!(verdict, Verdict::Ours { .. }));
    own.map(|(id, _)| id.clone()).collect()
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
        Some(path) => match read::text(&path, read::TEXT) {
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
        StatsFormat::Table => report::table(report, ui.data_columns(), extent),
        StatsFormat::Json => report::json(report),
        StatsFormat::Markdown => report::markdown(report, extent),
        StatsFormat::Prometheus => report::prometheus(report),
    };
    ui.data(&text);
    let in_document = matches!(format, StatsFormat::Json | StatsFormat::Markdown);
    if !in_document && !global.quiet {
        for note in &report.notes {
            ui.say(&report::note(note, ui.said_columns()));
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
