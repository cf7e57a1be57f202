//! The files a build leaves for scripts.

use std::path::Path;

use crate::build::executor::RunOutcome;
use crate::build::metadata;
use crate::build::outcome::TargetOutcome;
use crate::cli::build::BuildArgs;
use crate::error::{CommandError, ExitKind};

/// Writes `--metadata-file` and `--iidfile`, whole or not at all.
pub(super) fn write(args: &BuildArgs, outcome: &RunOutcome) -> Result<(), CommandError> {
    if let Some(path) = &args.metadata_file {
        let text = format!("{:#}\n", metadata::document(&outcome.targets));
        write_file(path, &text, "the metadata file")?;
    }
    if let Some(path) = &args.iidfile
        && let Some(TargetOutcome::Built(image)) = outcome.targets.values().next()
    {
        write_file(path, &image.id, "the image id file")?;
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
