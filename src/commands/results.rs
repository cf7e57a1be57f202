//! The files a build leaves for scripts.

use std::path::Path;

use crate::cli::build::BuildArgs;
use crate::compose::Project;
use crate::error::{CommandError, ExitKind};
use crate::explain::Explanation;
use crate::files::write::{self, Sink};
use crate::progress::outcome::TargetOutcome;
use crate::run::RunResult;
use crate::solve::plan::BuildPlan;
use crate::solve::{dockerfile_source, metadata};
use crate::terminal::Ui;
use crate::view::timeline::{self, Source, Timeline};
use crate::view::why;

const METADATA: &str = "the metadata";
const IMAGE_ID: &str = "the image id";
const TIMELINE: &str = "the timeline";
const TRACE: &str = "the trace";
const SIZES: &str = "the page";

/// Makes sure that `--metadata-file`, `--iidfile`, `--timeline` and `--trace` can be written, before anything is built.
///
/// # Errors
/// One cannot.
pub(super) fn check(args: &BuildArgs) -> Result<(), CommandError> {
    check_files([
        (args.metadata_file.as_deref(), METADATA),
        (args.iidfile.as_deref(), IMAGE_ID),
        (args.timeline.as_deref(), TIMELINE),
        (args.trace.as_deref(), TRACE),
    ])
}

/// The same for the two that a command draws.
///
/// # Errors
/// One cannot be written.
pub(super) fn check_timeline(
    page: Option<&Path>,
    trace: Option<&Path>,
) -> Result<(), CommandError> {
    check_files([(page, TIMELINE), (trace, TRACE)])
}

/// Makes sure that the page of `stats` can be written. Returns whether it goes to standard output.
///
/// # Errors
/// It cannot.
pub(super) fn check_sizes(page: &Path) -> Result<bool, CommandError> {
    Ok(matches!(place(page, SIZES)?, Sink::Stdout))
}

/// Writes the page of `stats`.
///
/// # Errors
/// It cannot be written.
pub(super) fn write_sizes(path: &Path, page: &str, ui: &Ui) -> Result<(), CommandError> {
    write_file(path, page, SIZES, ui)
}

fn place(path: &Path, what: &str) -> Result<Sink, CommandError> {
    Sink::find(path).map_err(|error| {
        let message = format!("{what} cannot be written to {}", path.display());
        CommandError::new(ExitKind::Usage, message).caused_by(error)
    })
}

fn check_files<const N: usize>(files: [(Option<&Path>, &str); N]) -> Result<(), CommandError> {
    for (path, what) in files {
        let Some(path) = path else { continue };
        place(path, what)?;
    }
    Ok(())
}

/// Writes `--metadata-file`, `--iidfile`, `--timeline` and `--trace`, each whole or not at all.
///
/// # Errors
/// One cannot be written: the first of these is the error, and the others are written all the same.
pub(super) fn write(
    args: &BuildArgs,
    project: &Project,
    plan: &BuildPlan,
    finished: &RunResult,
    why: Option<&Explanation>,
    ui: &Ui,
) -> Result<(), CommandError> {
    let outcome = &finished.outcome;
    let mut written = Ok(());
    if let Some(path) = &args.metadata_file {
        let text = format!("{:#}\n", metadata::document(&outcome.targets));
        written = written.and(write_file(path, &text, METADATA, ui));
    }
    if let Some(path) = &args.iidfile
        && let Some(TargetOutcome::Built(image)) = outcome.targets.values().next()
    {
        written = written.and(write_file(path, &image.id, IMAGE_ID, ui));
    }
    if args.timeline.is_none() && args.trace.is_none() {
        return written;
    }
    let sources = plan.steps.iter().filter_map(|step| {
        let (file, text) = dockerfile_source::of_target(&step.target)?;
        // Within the project, the way from its directory says enough.
        let inside = Path::new(&file).strip_prefix(&project.working_dir).ok();
        let file = inside.map_or_else(|| file.clone(), |path| path.display().to_string());
        let text = finished.redactor.text(&text);
        Some((step.target.name.clone(), Source { file, text }))
    });
    let timeline = Timeline::of_run(
        &project.name,
        finished.started,
        &finished.trace,
        &finished.summary,
        &sources.collect(),
    );
    let timeline = timeline.explained(&why.map(why::of_steps).unwrap_or_default());
    let timeline = match &finished.entry {
        Some(entry) => timeline.measured(entry),
        None => timeline,
    };
    written.and(write_timeline(&timeline, args.timeline.as_deref(), args.trace.as_deref(), ui))
}

/// Writes a timeline as a page and as a trace, where they are asked for.
///
/// # Errors
/// One cannot be written: the first of these is the error.
pub(super) fn write_timeline(
    timeline: &Timeline,
    page: Option<&Path>,
    trace: Option<&Path>,
    ui: &Ui,
) -> Result<(), CommandError> {
    let mut written = Ok(());
    if let Some(path) = page {
        written = written.and(write_file(path, &timeline::page::page(timeline), TIMELINE, ui));
    }
    if let Some(path) = trace {
        let text = format!("{}\n", timeline::chrome::document(timeline));
        written = written.and(write_file(path, &text, TRACE, ui));
    }
    written
}

fn write_file(path: &Path, text: &str, what: &str, ui: &Ui) -> Result<(), CommandError> {
    write::document(path, text.as_bytes(), &mut ui.stdout_stream()).map_err(|error| {
        let message = format!("failed to write {what} to {}", path.display());
        CommandError::new(ExitKind::Failed, message).caused_by(error)
    })
}
