//! `doc2md-docker config`: the project as compose understands it, to text.

use crate::app::{self, App};
use crate::cli;
use crate::cli::config::{ConfigArgs, ConfigFormat};
use crate::compose;
use crate::error::{CommandError, ExitKind};
use crate::files::write;
use crate::settings::{self, Setting, Source};
use crate::view::settings::{self as report, Row};

/// Runs the command.
///
/// # Errors
/// Everything compose would refuse, a service that does not exist, and a file that cannot be written.
pub fn run(app: &App, args: &ConfigArgs) -> Result<(), CommandError> {
    if args.settings {
        return show_settings(app);
    }
    let request = app::request(&app.global.project, &app.environment)?;
    let (project, config) = compose::config(&request, &args.services)?;
    for warning in project.warnings.iter().chain(&config.warnings) {
        app.ui.warn(warning);
    }
    let text = if args.only_services {
        lines(&config.services())
    } else if args.images {
        lines(&config.images())
    } else if args.volumes {
        lines(&config.names("volumes"))
    } else if args.networks {
        lines(&config.names("networks"))
    } else if args.only_profiles {
        lines(&config.profiles())
    } else {
        match args.format {
            ConfigFormat::Yaml => config.yaml()?,
            ConfigFormat::Json => config.json()?,
        }
    };
    if app.is_quiet() {
        return Ok(());
    }
    // What it is for is to be read as a compose file: values stand in it as they are (docs/design/security.md).
    match &args.output {
        None => app.ui.data_as_it_is(&text),
        Some(path) => write::document(path, text.as_bytes(), &mut app.ui.stdout_stream()).map_err(
            |error| {
                let message = format!("failed to write {}", path.display());
                CommandError::new(ExitKind::Usage, message).caused_by(error)
            },
        )?,
    }
    Ok(())
}

fn show_settings(app: &App) -> Result<(), CommandError> {
    let (settings, path) = app::settings(&app.global.project, &app.environment)?;
    let root = cli::command();
    let mut rows = Vec::new();
    for (command, options) in settings::OPTIONS {
        for option in *options {
            let common = settings::common_variable(option);
            let common = common.and_then(|name| Some((name, app.environment.get(name)?)));
            let (values, from) = match (settings.get(command, option), common) {
                (Some(Setting { values, source: Source::Variable(name) }), _) => {
                    (values.clone(), name.clone())
                }
                (_, Some((name, value))) => (vec![value.to_owned()], name.to_owned()),
                (Some(Setting { values, source: Source::Line(line) }), None) => {
                    (values.clone(), format!("{}:{line}", path.display()))
                }
                (None, None) => {
                    (settings::default_of(&root, command, option), "default".to_owned())
                }
            };
            rows.push(Row {
                name: format!("{}.{option}", command.replace(' ', ".")),
                values,
                from,
            });
        }
    }
    app.ui.data(&report::table(&rows, app.ui.data_columns()));
    Ok(())
}

fn lines(names: &[String]) -> String {
    names.iter().map(|name| format!("{name}\n")).collect()
}
