//! `doc2md-docker plugin`: a link to this program where docker looks for plugins.

use std::path::{Path, PathBuf};

use crate::app::App;
use crate::cli::plugin::{PluginAction, PluginArgs};
use crate::docker_plugin;
use crate::engine::docker_config;
use crate::error::{CommandError, ExitKind};

/// Runs the command.
///
/// # Errors
/// There is no folder for it, something else has the name there, or it cannot be written.
pub fn run(app: &App, args: &PluginArgs) -> Result<(), CommandError> {
    let environment = &app.environment;
    let Some(directory) =
        docker_config::directory(&environment.variables, environment.home.as_deref())
    else {
        let message = "there is no folder for docker's plugins";
        return Err(CommandError::new(ExitKind::Usage, message).hint("set DOCKER_CONFIG or HOME"));
    };
    let link =
        environment.working_dir.join(directory).join("cli-plugins").join(docker_plugin::FILE);
    let failed = |what: &str, error: std::io::Error| {
        CommandError::new(ExitKind::Failed, format!("failed to {what} {}", link.display()))
            .caused_by(error)
    };
    let there = link.symlink_metadata().ok();
    let is_ours = std::fs::read_link(&link).is_ok_and(|to| names_this_program(&to));
    match &args.action {
        PluginAction::Remove if there.is_none() => app.ui.remark("it is not installed"),
        PluginAction::Remove if !is_ours => return Err(occupied(&link)),
        PluginAction::Remove => {
            fs_err::remove_file(&link).map_err(|error| failed("remove", error))?;
            app.ui.say(&format!("removed {}", link.display()));
        }
        PluginAction::Install(install) => {
            let program = program().map_err(|error| failed("find the program for", error))?;
            if there.is_some() && !is_ours && !install.force {
                return Err(occupied(&link).hint("--force replaces it"));
            }
            put(&program, &link).map_err(|error| failed("write", error))?;
            app.ui.remark(&format!("`docker doc2md` now runs {}", program.display()));
        }
    }
    Ok(())
}

/// Where this program is. What installed it may replace a file by another one of the same name: links stay.
fn program() -> std::io::Result<PathBuf> {
    std::env::current_exe()
}

/// Whether a link leads to a program of this name, be it of another release.
fn names_this_program(to: &Path) -> bool {
    to.file_name().is_some_and(|name| name == "doc2md-docker")
}

fn put(program: &Path, link: &Path) -> std::io::Result<()> {
    if let Some(directory) = link.parent() {
        fs_err::create_dir_all(directory)?;
    }
    // Nobody finds the name without a program behind it.
    let new = link.with_file_name(format!(".{}.{}", docker_plugin::FILE, std::process::id()));
    std::os::unix::fs::symlink(program, &new)?;
    std::fs::rename(&new, link).inspect_err(|_| drop(std::fs::remove_file(&new)))
}

fn occupied(link: &Path) -> CommandError {
    CommandError::new(
        ExitKind::Failed,
        format!("{} is not a link to doc2md-docker", link.display()),
    )
}
