//! `doc2md-docker context`: targets to what builds of them send.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use crate::app::App;
use crate::build_context::glob;
use crate::cli::context::{ContextArgs, ContextCommand, ContextFormat, ExplainArgs, ListArgs};
use crate::error::{CommandError, ExitKind};
use crate::solve::dockerfile_source;
use crate::targets::{Target, TargetOptions};
use crate::transfer::{self, TransferError};
use crate::view::context as report;

/// Runs the command.
///
/// # Errors
/// The files are invalid, or a context or its Dockerfile cannot be read.
pub fn run(app: &App, args: &ContextArgs) -> Result<(), CommandError> {
    match &args.command {
        ContextCommand::Ls(args) => list(app, args),
        ContextCommand::Explain(args) => explain(app, args),
    }
}

fn list(app: &App, args: &ListArgs) -> Result<(), CommandError> {
    let mut transfers = Vec::new();
    for target in targets(app, &args.services)? {
        let (file, text) = dockerfile(app, &target)?;
        transfers.extend(transfer::look(&target, (&file, &text), args.depth).map_err(invalid)?);
    }
    app.ui.data(&match args.format {
        ContextFormat::Json => report::document(&transfers),
        ContextFormat::Table => {
            report::table(&transfers, &app.environment.working_dir, app.ui.data_columns())
        }
    });
    Ok(())
}

fn explain(app: &App, args: &ExplainArgs) -> Result<(), CommandError> {
    let working_dir = &app.environment.working_dir;
    // Not resolved: a link is what stands in a context, not what it leads to.
    let path = glob::clean(working_dir.join(&args.path).as_os_str().as_bytes());
    let path = Path::new(OsStr::from_bytes(&path));
    let mut answers = Vec::new();
    for target in targets(app, &args.services)? {
        let (file, text) = dockerfile(app, &target)?;
        answers.extend(transfer::explain(&target, (&file, &text), path).map_err(invalid)?);
    }
    if answers.is_empty() {
        let message = format!("{} lies in no context of these services", path.display());
        return Err(CommandError::new(ExitKind::Usage, message)
            .hint("`doc2md-docker context ls` shows the contexts"));
    }
    app.ui.data(&match args.format {
        ContextFormat::Json => report::answers_document(&answers),
        ContextFormat::Table => report::answers(&answers, working_dir),
    });
    Ok(())
}

pub(super) fn targets(app: &App, services: &[String]) -> Result<Vec<Target>, CommandError> {
    let options = TargetOptions { services: services.to_vec(), ..TargetOptions::default() };
    let mut targets = app.targets(&app.project()?, options)?.targets;
    targets.retain(|target| {
        let is_here = Path::new(&target.context).is_absolute();
        if !is_here {
            let Target { service, context, .. } = target;
            app.ui.warn(&format!("{service}: the engine fetches its context from {context}"));
        }
        is_here
    });
    Ok(targets)
}

/// The Dockerfile of a target: the name to show, and its text.
pub(super) fn dockerfile(app: &App, target: &Target) -> Result<(String, String), CommandError> {
    let Some((file, text)) = dockerfile_source::of_target(target) else {
        let message = format!("cannot read the Dockerfile of service {}", target.service);
        return Err(CommandError::new(ExitKind::Invalid, message)
            .hint("`doc2md-docker build` says where the files name it"));
    };
    let shown = Path::new(&file).strip_prefix(&app.environment.working_dir);
    Ok((shown.map_or(file.clone(), |path| path.display().to_string()), text))
}

pub(super) fn invalid(error: TransferError) -> CommandError {
    CommandError::new(ExitKind::Invalid, "failed to look through a build context").caused_by(error)
}
