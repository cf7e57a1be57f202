//! `doc2md-docker man`: manual pages, printed or into a folder.

use std::path::Path;

use crate::app::App;
use crate::cli::man::ManArgs;
use crate::error::{CommandError, ExitKind};
use crate::files::write;
use crate::manual;

/// Runs the command.
///
/// # Errors
/// There is no such command, or a page cannot be written.
pub fn run(app: &App, args: &ManArgs) -> Result<(), CommandError> {
    let failed = |error| {
        CommandError::new(ExitKind::Failed, "failed to write manual pages").caused_by(error)
    };
    if let Some(directory) = &args.output {
        return into(app, &app.environment.working_dir.join(directory)).map_err(failed);
    }
    let Some(page) = manual::of_command(&args.words).map_err(failed)? else {
        let message = format!("there is no command `{}`", args.words.join(" "));
        return Err(
            CommandError::new(ExitKind::Usage, message).hint("`doc2md-docker -h` lists them")
        );
    };
    app.ui.data(&String::from_utf8_lossy(&page.text));
    Ok(())
}

fn into(app: &App, directory: &Path) -> std::io::Result<()> {
    fs_err::create_dir_all(directory)?;
    for page in manual::pages()? {
        let path = directory.join(&page.file);
        write::document(&path, &page.text, &mut app.ui.stdout_stream())?;
    }
    Ok(())
}
