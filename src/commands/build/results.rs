//! The files a build leaves for scripts.

use std::path::Path;

use super::{Finished, requests};
use crate::build::metadata;
use crate::build::plan::BuildPlan;
use crate::cli::build::BuildArgs;
use crate::compose::Project;
use crate::error::{CommandError, ExitKind};
use crate::progress::outcome::TargetOutcome;
use crate::report::timeline::{self, Source, Timeline};

/// Writes `--metadata-file`, `--iidfile`, `--timeline` and `--trace`, each whole or not at all.
pub(super) fn write(
    args: &BuildArgs,
    project: &Project,
    plan: &BuildPlan,
    finished: &Finished,
) -> Result<(), CommandError> {
    let outcome = &finished.outcome;
    if let Some(path) = &args.metadata_file {
        let text = format!("{:#}\n", metadata::document(&outcome.targets));
        write_file(path, &text, "the metadata file")?;
    }
    if let Some(path) = &args.iidfile
        && let Some(TargetOutcome::Built(image)) = outcome.targets.values().next()
    {
        write_file(path, &image.id, "the image id file")?;
    }
    if args.timeline.is_none() && args.trace.is_none() {
        return Ok(());
    }
    let sources = plan.steps.iter().filter_map(|step| {
        let (file, text) = requests::dockerfile(&step.target)?;
        // Within the project, the way from its directory says enough.
        let inside = Path::new(&file).strip_prefix(&project.working_dir).ok();
        let file = inside.map_or_else(|| file.clone(), |path| path.display().to_string());
        Some((step.target.name.clone(), Source { file, text }))
    });
    let timeline = Timeline::of_run(
        &project.name,
        finished.started,
        &finished.trace,
        &finished.summary,
        &sources.collect(),
    );
    write_timeline(&timeline, args.timeline.as_deref(), args.trace.as_deref())
}

/// Writes a timeline as a page and as a trace, where they are asked for.
pub(crate) fn write_timeline(
    timeline: &Timeline,
    page: Option<&Path>,
    trace: Option<&Path>,
) -> Result<(), CommandError> {
    if let Some(path) = page {
        write_file(path, &timeline::page::page(timeline), "the timeline")?;
    }
    if let Some(path) = trace {
        let text = format!("{}\n", timeline::chrome::document(timeline));
        write_file(path, &text, "the trace")?;
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
