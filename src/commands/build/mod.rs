//! `doc2md-docker build`: project to targets to images.

mod settings;

use jiff::Timestamp;
use std::borrow::Cow;

use crate::app::App;
use crate::cli::build::BuildArgs;
use crate::cli::why::WhyFormat;
use crate::commands::results;
use crate::counted::counted;
use crate::error::{CommandError, ExitKind};
use crate::explain::{self, Explanation};
use crate::history::{Entry, StepResult};
use crate::progress::RunSummary;
use crate::run::{Memory, Place, Ready, Run, RunResult, UpToDate};
use crate::solve::site::Load;
use crate::solve::{self, arguments, findings};
use crate::targets::{TargetSet, print_json};
use crate::terminal::{Ui, wrap};
use crate::view::{self, Progress};

pub(super) use settings::{compression_setting, parallel};

/// Runs the command.
///
/// # Errors
/// Whatever stops it, with the exit code the README documents.
pub async fn run(app: &App, args: &BuildArgs) -> Result<(), CommandError> {
    let App { environment, interrupt, ui, .. } = app;
    settings::no_output(args)?;
    let project = app.project()?;
    let mut set = app.targets(&project, settings::target_options(args))?;
    let github_branches = settings::caches(app, args, &project, &mut set)?;
    if args.print {
        print(&set, ui);
        return Ok(());
    }
    let plan = solve::checked_plan(&set, environment.get("SOURCE_DATE_EPOCH"))?;
    for warning in arguments::unread(&args.build_arg, &args.set, &plan) {
        ui.warn(&warning);
    }
    let settings = settings::run_settings(args, &project, interrupt)?;
    settings::one_image_id(args, &plan)?;
    results::check(args)?;
    if plan.steps.is_empty() {
        ui.warn("no service with a build section is selected: nothing to build");
        return Ok(());
    }
    let progress = match app.progress()? {
        // Nothing is built: the findings are all there is to show.
        Progress::Auto if args.check => Progress::Quiet,
        progress => progress,
    };
    // A check builds nothing that could be told of later.
    let memory = if args.check { None } else { Memory::new(&project, environment) };
    let remembered = memory.clone();
    let place = Place::Builder(if args.load { Load::Asked } else { Load::IfThere });
    let (built, name) = (Cow::Borrowed(&plan), project.name.as_str());
    let run = Run { app, plan: built, project: name, settings, progress, memory, place };
    let mut ready = run.make_ready().await?;
    let may_skip = settings::may_skip(app, args, progress);
    if args.dry_run {
        return foresee(app, ready, may_skip, args).await;
    }
    if may_skip && let Some(found) = ready.up_to_date().await? {
        show(&found, progress, ui);
        return Ok(());
    }
    let finished = ready.carry_out().await?;
    if !matches!(progress, Progress::RawJson | Progress::Quiet) {
        say_what_was_sent(app, &finished);
        say_what_was_cached(ui, &finished.summary, github_branches);
    }
    let why = explanation(remembered.as_ref(), finished.entry.as_ref());
    let written = results::write(args, &project, &plan, &finished, why.as_ref(), ui);
    if let Some(error) = view::run_error(&finished.summary) {
        // What failed first is what the run ends with.
        if let Err(unwritten) = written {
            ui.warn(&format!("{unwritten}: {}", unwritten.causes.join(": ")));
        }
        return Err(error);
    }
    written?;
    if progress != Progress::RawJson {
        let (columns, _) = ui.size();
        let lines = why.iter().flat_map(|why| view::why::brief(why, columns));
        lines.for_each(|line| ui.remark(&line));
    }
    if !args.check {
        return Ok(());
    }
    let (text, ended) = findings::report(&finished.outcome.targets);
    ui.data(&text);
    ended
}

/// Tells what would run.
async fn foresee(
    app: &App,
    ready: Ready<'_>,
    may_skip: bool,
    args: &BuildArgs,
) -> Result<(), CommandError> {
    let ui = &app.ui;
    let explanation = ready.foresee(may_skip).await?;
    ui.data(&match args.format {
        WhyFormat::Json => view::why::document(&explanation),
        WhyFormat::Text => view::why::text(&explanation, ui.data_columns()),
    });
    let count = explanation.targets.iter().map(|target| target.runs().count()).sum();
    match count {
        0 => Ok(()),
        _ if !args.exit_code => Ok(()),
        count => {
            let steps = counted(count, "step");
            Err(CommandError::new(ExitKind::Policy, format!("{steps} would run")))
        }
    }
}

/// Says that there is nothing to do.
fn show(found: &UpToDate, progress: Progress, ui: &Ui) {
    if progress == Progress::Quiet {
        found.images.iter().for_each(|(_, id)| ui.data(&format!("{id}\n")));
        return;
    }
    let targets: Vec<&str> = found.images.iter().map(|(name, _)| name.as_str()).collect();
    let since = Timestamp::now().duration_since(found.solved);
    ui.remark(&view::line::up_to_date(&targets, since.unsigned_abs(), ui.said_columns()));
}

/// Tells what became of the layer cache. `github_branches` is for how many branches GitHub keeps one.
fn say_what_was_cached(ui: &Ui, summary: &RunSummary, github_branches: Option<usize>) {
    view::layer_cache::line(summary).iter().for_each(|line| ui.say(line));
    let outgrown = github_branches.and_then(|count| view::layer_cache::outgrown(summary, count));
    view::layer_cache::failures(summary).iter().chain(&outgrown).for_each(|text| ui.warn(text));
}

/// Names what took most of it, where that was much.
fn say_what_was_sent(app: &App, finished: &RunResult) {
    let here = &app.environment.working_dir;
    if let Some(lines) = view::context::largest(finished.sent_bytes, &finished.largest_sent, here) {
        app.ui.say(&wrap::lines(&lines, app.ui.said_columns()));
    }
}

/// Why steps ran. `None` where none did, or where nothing is remembered.
fn explanation(memory: Option<&Memory>, entry: Option<&Entry>) -> Option<Explanation> {
    let (memory, entry) = memory.zip(entry)?;
    let mut steps = entry.targets.iter().flat_map(|target| &target.steps);
    let ran = steps.any(|step| step.is_instruction() && step.result != StepResult::Cached);
    ran.then(|| explain::by_history(entry.clone(), memory.newest()))
}

/// What would be built, as `docker compose build --print` shows it.
fn print(set: &TargetSet, ui: &Ui) {
    for error in &set.unsupported {
        ui.warn(&format!("{error}: a build would stop here"));
    }
    // For bake, which needs it as it is: see docs/design/security.md.
    ui.data_as_it_is(&format!("{}\n", print_json(set)));
}
