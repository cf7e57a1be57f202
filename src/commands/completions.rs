//! `doc2md-docker completions`: a shell's script.

use crate::app::App;
use crate::cli::completions::CompletionsArgs;
use crate::completion;
use crate::error::{CommandError, ExitKind};

/// Runs the command.
///
/// # Errors
/// There is no script for the shell.
pub fn run(app: &App, args: &CompletionsArgs) -> Result<(), CommandError> {
    let name = args.shell.name();
    let script = completion::script(name).ok_or_else(|| {
        CommandError::new(ExitKind::Failed, format!("failed to write the script for {name}"))
    })?;
    app.ui.data(&script);
    Ok(())
}
