//! Settings of the environment: `DOC2MD_DOCKER_BUILD_PARALLEL=2`.

use std::collections::BTreeMap;

use clap::Command;

use super::{OPTIONS, Setting, Settings, Source, argument, check, takes_many};
use crate::error::{CommandError, ExitKind};
use crate::nearest::nearest;

const PREFIX: &str = "DOC2MD_DOCKER_";

/// The variable of a setting.
pub(super) fn name(command: &str, option: &str) -> String {
    let name = format!("{command}_{option}").replace([' ', '-'], "_");
    format!("{PREFIX}{}", name.to_uppercase())
}

/// Reads the settings. An empty variable is none, as everywhere in docker and compose.
pub(super) fn read(
    environment: &BTreeMap<String, String>,
    root: &Command,
) -> Result<Settings, CommandError> {
    let mut settings = Settings::default();
    let of_program = environment.range(PREFIX.to_owned()..);
    let of_program = of_program.take_while(|(name, _)| name.starts_with(PREFIX));
    for (variable, value) in of_program.filter(|(_, value)| !value.is_empty()) {
        let mut all = OPTIONS
            .iter()
            .flat_map(|(command, options)| options.iter().map(move |option| (*command, *option)));
        let Some((command, option)) =
            all.find(|(command, option)| name(command, option) == *variable)
        else {
            is_another(variable)?;
            continue;
        };
        let is_list = argument(root, command, option).is_some_and(takes_many);
        let values: Vec<String> = match is_list {
            true => value.lines().filter(|line| !line.is_empty()).map(str::to_owned).collect(),
            false => vec![value.clone()],
        };
        check(root, command, option, &values).map_err(|message| {
            CommandError::new(ExitKind::Usage, format!("{variable}: {message}"))
        })?;
        let source = Source::Variable(variable.clone());
        settings.entries.insert((command, option), Setting { values, source });
    }
    Ok(settings)
}

/// Refuses a variable that has the name of a command in it, but not that of a setting.
fn is_another(variable: &str) -> Result<(), CommandError> {
    let names = OPTIONS.iter().flat_map(|(command, options)| {
        options.iter().map(move |option| (name(command, ""), name(command, option)))
    });
    let known: Vec<String> =
        names.filter(|(command, _)| variable.starts_with(command)).map(|(_, name)| name).collect();
    if known.is_empty() {
        return Ok(());
    }
    let error =
        CommandError::new(ExitKind::Usage, format!("the variable {variable} is not a setting"));
    Err(error.hint(match nearest(variable, known.iter().map(String::as_str)) {
        Some(near) => format!("did you mean {near}?"),
        None => format!("settings are {}", known.join(", ")),
    }))
}
