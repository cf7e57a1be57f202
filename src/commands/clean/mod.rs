//! `doc2md-docker clean`: options to a plan, the plan to a question, the answer to removal and report.

mod settings;
mod whole_cache;

use std::time::Duration;

use jiff::Timestamp;
use tokio::time::timeout;

use crate::app::App;
use crate::clean::execute::{self, Stop};
use crate::clean::space::Space;
use crate::clean::{self, Kind, Offer, Outcome, Plan, Request};
use crate::cli::GlobalArgs;
use crate::cli::clean::{CleanArgs, CleanFormat};
use crate::cli::stats::Measure;
use crate::commands::{measure, scope, services};
use crate::engine::{Connector, Engine, EngineError};
use crate::environment::Environment;
use crate::error::{CommandError, ExitKind};
use crate::inventory::{ImageDetails, Inventory, Lost, Part};
use crate::measure::{Disk, disk as disk_of, is_near};
use crate::ownership::{self, Depth, Question};
use crate::signal::{Cause, Interrupt};
use crate::terminal::{Ui, format, prompt};
use crate::unreachable::unreachable;
use crate::view::clean::{self as report, CleanResult};

/// What it means that an engine does not answer in time.
const ENGINE: ExitKind = ExitKind::EngineUnreachable;
/// How long a stopped removal waits for the engine to say what it freed.
const STOPPED_PATIENCE: Duration = Duration::from_secs(3);
/// How long the engine may take to measure what it holds.
const PATIENCE: Duration = Duration::from_secs(120);

/// Runs the command.
///
/// # Errors
/// Options or files are invalid, the engine cannot be reached, nobody is there to be asked, or
/// something could not be removed.
pub async fn run(app: &App, args: &CleanArgs) -> Result<(), CommandError> {
    let App { global, environment, interrupt, ui, .. } = app;
    let mut request = settings::request(args, Timestamp::now())?;
    let mut notes = Vec::new();
    let include = settings::include(args);
    let scope = scope::scope(app)?;
    notes.extend(scope.note.clone());
    let project = &scope.project;
    let connector = app.connector()?;
    // What was removed by then is always told.
    let _orderly = interrupt.orderly_part();
    let engine = Engine::new(connector);
    let mut observed = or_interrupt(interrupt, ENGINE, observe(&engine, connector)).await??;
    let disk = disk_of(connector, &observed.inventory.engine);
    notes.extend(scope::unknown(&scope, &observed.inventory));
    let is_short = |disk: Option<Disk>| disk.is_some_and(|disk| disk.is_short());
    let for_disk = disk.is_none() && is_near(connector);
    let is_judged = request.kinds.contains(&Kind::Cache) || args.dry_run || is_short(disk);
    let ledger = environment.ledger_directory();
    let services = services::services(&scope, environment).unwrap_or_default();
    let effort = if is_judged || for_disk { Measure::Auto } else { Measure::Never };
    let wish = measure::Wish::new(effort, PATIENCE, ledger.as_deref());
    let wish = measure::Wish { for_disk, ..wish };
    let sizes = measure::sizes(connector, &engine, &services, &mut observed.inventory, &wish);
    let sizes = or_interrupt(interrupt, ENGINE, sizes).await?;
    let disk = sizes.disk.or(disk);
    if let Some(goal) = request.cache_goal.as_mut().filter(|goal| goal.min_free.is_some()) {
        goal.disk_free = disk.map(|disk| disk.available_bytes).ok_or_else(|| {
            let message =
                "--min-free-space needs the engine's disk, which cannot be seen from here";
            CommandError::new(ExitKind::Usage, message).hint("--max-used-space works everywhere")
        })?;
    }
    // Whose the cache is takes a while to find out.
    let with_offers = !global.quiet && (args.dry_run || is_short(disk));
    let with_cache = request.kinds.contains(&Kind::Cache) || with_offers;
    let wish = measure::Wish::remembered(ledger.as_deref());
    let depth = if with_cache { Depth::Cache } else { Depth::Things };
    let gathering = async {
        let memory = ownership::recall(connector, ledger, &project.name, depth, &mut notes).await;
        ownership::gather(&engine, &observed.inventory, project, memory).await
    };
    let evidence = or_interrupt(interrupt, ENGINE, gathering)
        .await?
        .map_err(|error| unreachable(connector, &error))?;
    let Observed { inventory, details } = &observed;
    notes.extend(inventory.gaps.iter().map(ToString::to_string));
    let answer = ownership::judge(&Question {
        project,
        inventory,
        details,
        evidence: &evidence,
        include: &include,
    });
    let plan_of = |request: &Request| clean::plan(inventory, details, &answer, request);
    let mut plan = plan_of(&request);
    measure::expect_engines_uses(&mut plan, &sizes);
    let offers = match with_offers && args.only.is_empty() {
        true => {
            settings::not_refused(args, clean::offers(&request, plan.estimated_bytes(), plan_of))
        }
        false => Vec::new(),
    };
    let hits = request.whole_cache && plan.removes(Kind::Cache).next().is_some();
    let others = hits.then(|| whole_cache::others_hit(inventory, &answer.records, &project.name));
    if args.format == CleanFormat::Json {
        notes.extend(offers.iter().map(report::offer));
    }
    let clean =
        Clean { args, ui, project: &project.name, plan: &plan, offers: &offers, notes: &notes };
    if !global.quiet {
        for note in &notes {
            ui.say(&format!("note: {note}"));
        }
    }
    if args.dry_run || plan.remove.is_empty() {
        clean.show_plan(global, true);
        if args.format == CleanFormat::Json {
            let nothing = CleanResult::default();
            let result = (!args.dry_run).then_some(&nothing);
            ui.data(&report::json(&project.name, &plan, result, &notes));
        }
        return Ok(());
    }
    clean.show_plan(global, false);
    clean.confirm(environment, others.as_deref(), interrupt).await?;
    let outcome = execute::execute(&engine, &plan, interrupt.token(), |item| {
        if global.verbose > 0 && item.kind != Kind::Cache {
            ui.say(&ui.foreign(&format!("removing {} {}", item.kind, item.name)));
        }
    })
    .await;
    let is_stopped = outcome.stopped.is_some();
    let measured = async {
        let measured = async {
            let mut after = observe(&engine, connector).await?;
            measure::sizes(connector, &engine, &[], &mut after.inventory, &wish).await;
            Ok(after)
        };
        let late = |()| Err(CommandError::new(ExitKind::Failed, "the engine was too slow"));
        match is_stopped {
            // Whoever stopped it does not wait for a sum.
            true => timeout(STOPPED_PATIENCE, measured).await.unwrap_or_else(|_| late(())),
            false => tokio::select! {
                measured = measured => measured,
                () = interrupt.token().cancelled() => late(()),
            },
        }
    };
    let freed = match outcome.stopped {
        Some(Stop::Engine(_)) => 0,
        _ => match measured.await {
            Ok(after) => observed.footprint().saturating_sub(after.footprint()),
            Err(error) => {
                ui.warn(&format!("what that freed is not known: {}", error.message));
                0
            }
        },
    };
    clean.finish(connector, outcome, freed, global.quiet, interrupt.cause())
}

/// What the engine holds, and what its images are made of.
pub(super) struct Observed {
    pub(super) inventory: Inventory,
    pub(super) details: Vec<ImageDetails>,
}

impl Observed {
    fn footprint(&self) -> u64 {
        Space::new(&self.inventory, &self.details).footprint(&self.inventory)
    }
}

pub(super) async fn observe(
    engine: &Engine,
    connector: &Connector,
) -> Result<Observed, CommandError> {
    let failed = |error: EngineError| unreachable(connector, &error);
    let inventory = engine.inventory(PATIENCE).await.map_err(failed)?;
    let blind =
        inventory.gaps.iter().find(|gap| gap.lost == Lost::Everything && gap.part != Part::Engine);
    if let Some(gap) = blind {
        // What is not seen may use what would be removed.
        let message = format!("nothing is removed without knowing what is there: {gap}");
        return Err(CommandError::new(ExitKind::EngineUnreachable, message));
    }
    let ids: Vec<String> = inventory.images.iter().map(|image| image.id.clone()).collect();
    let details = engine.image_details(&ids).await.map_err(failed)?;
    Ok(Observed { inventory, details })
}

/// Waits for `work`, unless the run is to stop. `late` is how it ends where that takes too long.
async fn or_interrupt<T>(
    interrupt: &Interrupt,
    late: ExitKind,
    work: impl Future<Output = T>,
) -> Result<T, CommandError> {
    tokio::select! {
        done = work => Ok(done),
        () = interrupt.token().cancelled() => {
            let cause = interrupt.cause().unwrap_or(Cause::Signal);
            let mut error = cause.error();
            error.message += ": nothing was removed";
            if cause != Cause::Signal {
                error.kind = late;
            }
            Err(error)
        }
    }
}

struct Clean<'a> {
    args: &'a CleanArgs,
    ui: &'a Ui,
    project: &'a str,
    plan: &'a Plan,
    offers: &'a [Offer],
    notes: &'a [String],
}

impl Clean<'_> {
    fn show_plan(&self, global: &GlobalArgs, is_result: bool) {
        if self.args.format == CleanFormat::Json || (global.quiet && !is_result) {
            return;
        }
        let columns = self.ui.data_columns();
        let text = report::table(self.plan, self.offers, columns, global.verbose > 0);
        self.ui.data(&self.ui.foreign(&text));
    }

    /// Goes on only where somebody agrees, now or by an option.
    async fn confirm(
        &self,
        environment: &Environment,
        others: Option<&str>,
        interrupt: &Interrupt,
    ) -> Result<(), CommandError> {
        let volumes =
            self.plan.removes(Kind::Volume).next().is_some() && !settings::names_volumes(self.args);
        let in_ci = environment.flag("CI");
        if self.args.force || (in_ci && !volumes) {
            if let Some(others) = others {
                self.ui.warn(others);
            }
            return Ok(());
        }
        if !self.ui.can_ask() && in_ci {
            let message = "nothing was removed: CI is no consent to removing volumes";
            return Err(CommandError::new(ExitKind::Usage, message)
                .hint("--volumes removes them, too, --volumes=false keeps them"));
        }
        if !self.ui.can_ask() {
            let message = "nothing was removed: there is no terminal to ask on";
            return Err(CommandError::new(ExitKind::Usage, message)
                .hint("--force removes without asking, --dry-run only shows the plan"));
        }
        self.ui.ask(&report::question(self.plan, others));
        let answered =
            or_interrupt(interrupt, ExitKind::Failed, tokio::task::spawn_blocking(prompt::answer))
                .await;
        if matches!(answered, Err(_) | Ok(Ok(Ok(None)))) {
            // Nobody ended the line of the question.
            self.ui.say("");
        }
        match answered? {
            Ok(Ok(Some(true))) => Ok(()),
            Ok(Ok(_)) => Err(CommandError::new(ExitKind::Failed, "nothing was removed")),
            Ok(Err(error)) => {
                Err(CommandError::new(ExitKind::Failed, "failed to read the answer")
                    .caused_by(&error))
            }
            Err(error) => {
                Err(CommandError::new(ExitKind::Failed, "failed to read the answer")
                    .caused_by(&error))
            }
        }
    }

    /// Tells what became of the plan.
    fn finish(
        &self,
        connector: &Connector,
        outcome: Outcome,
        freed_bytes: u64,
        quiet: bool,
        cause: Option<Cause>,
    ) -> Result<(), CommandError> {
        let result = CleanResult { remains: &outcome.remains, freed_bytes };
        if self.args.format == CleanFormat::Json {
            let text = report::json(self.project, self.plan, Some(&result), self.notes);
            self.ui.data(&text);
        } else if !quiet || outcome.stopped.is_some() {
            let removed = report::things(outcome.removed);
            let freed = match outcome.stopped {
                Some(Stop::Engine(_)) => String::new(),
                _ => format!(", freed {}", format::bytes(freed_bytes)),
            };
            self.ui.say(&format!("removed {removed}{freed}"));
        }
        if outcome.bystanders > 0 {
            self.ui.warn(&format!(
                "{} cache records that are not in the plan went meanwhile: another prune or the engine's \
                 garbage collection ran",
                outcome.bystanders
            ));
        }
        let left = outcome.remains.len();
        match &outcome.stopped {
            None if left == 0 => return Ok(()),
            None => {
                for remaining in &outcome.remains {
                    let (kind, name) = (remaining.item.kind, &remaining.item.shown.name);
                    self.ui.warn(&format!("kept {kind} {name}: {}", remaining.why));
                }
                let message =
                    format!("{} of {} remain", left, report::things(self.plan.remove.len()));
                Err(CommandError::new(ExitKind::Failed, message))
            }
            Some(Stop::Interrupted) => {
                let mut error = cause.unwrap_or(Cause::Signal).error();
                error.message += &format!(": {} remain", report::things(left));
                Err(error)
            }
            Some(Stop::Engine(error)) => Err(unreachable(connector, error)),
        }
        .map_err(|error: CommandError| error.hint("run clean again to remove what remains"))
    }
}
