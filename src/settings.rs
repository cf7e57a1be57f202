//! Defaults for commands: `doc2md-docker.toml` beside the compose file.
//!
//! A table has the name of a command, a key that of an option: `[build] parallel = 2`. A setting is the default of its
//! option: the command line wins over a variable, a variable over the file. What a repository's file must not decide has
//! no setting: which project and which engine is meant, which files are written, and what is removed without a question.

use std::collections::BTreeMap;

use clap::Command;
use toml::de::{DeTable, DeValue};

use crate::error::{CommandError, ExitKind};
use crate::nearest::nearest;

/// The name of the file.
pub const FILE: &str = "doc2md-docker.toml";
/// The table that `stats` reads by itself.
const BUDGETS: &str = "budgets";

/// Commands, and their options that a file may set.
pub const OPTIONS: &[(&str, &[&str])] = &[
    (
        "build",
        &[
            "parallel",
            "keep-going",
            "timeout",
            "pull",
            "platform",
            "build-arg",
            "no-cache-filter",
            "cache-from",
            "cache-to",
            "provenance",
            "sbom",
        ],
    ),
    ("lock", &["threshold", "python-version", "torch", "base-image"]),
    ("config", &["format"]),
    ("why", &["format"]),
    ("bench", &["runs", "case", "parallel", "timeout", "format"]),
    ("builders", &["format"]),
    ("ls", &["format", "timeout"]),
    ("stats", &["format", "measure", "timeout"]),
    ("clean", &["format", "timeout"]),
];

/// Variables that win over the setting of an option.
const VARIABLES: &[(&str, &str)] =
    &[("parallel", "COMPOSE_PARALLEL_LIMIT"), ("platform", "DOCKER_DEFAULT_PLATFORM")];

/// A setting of the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting {
    /// Values of the option; `true` for one that has none.
    pub values: Vec<String>,
    /// Line of the file, from 1.
    pub line: usize,
}

/// The settings of a file, by command and option.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Settings {
    entries: BTreeMap<(String, String), Setting>,
}

impl Settings {
    /// Reads the text of the file that messages call `name`.
    ///
    /// # Errors
    /// It is not TOML, or something in it is not a setting; with its place.
    pub fn read(text: &str, name: &str, root: &Command) -> Result<Self, CommandError> {
        let wrong = |at: usize, message: String| {
            let (line, column) = place(text, at);
            CommandError::new(ExitKind::Usage, format!("{name}:{line}:{column}: {message}"))
        };
        let table = DeTable::parse(text).map_err(|error| {
            let at = error.span().map_or(0, |span| span.start);
            wrong(at, error.message().to_owned())
        })?;
        let mut settings = Self::default();
        for (command, table) in table.get_ref() {
            let at = command.span().start;
            let command = command.get_ref().as_ref();
            if command == BUDGETS {
                continue;
            }
            let commands = || OPTIONS.iter().map(|(name, _)| *name);
            let Some((_, options)) = OPTIONS.iter().find(|(name, _)| *name == command) else {
                let near = nearest(command, commands().chain([BUDGETS]));
                let error = wrong(at, format!("`{command}` is not a table of settings"));
                return Err(error.hint(match near {
                    Some(near) => format!("did you mean [{near}]?"),
                    None => {
                        let known: Vec<&str> = commands().chain([BUDGETS]).collect();
                        format!("tables are {}", known.join(", "))
                    }
                }));
            };
            let DeValue::Table(entries) = table.get_ref() else {
                return Err(wrong(
                    at,
                    format!("`{command}` is a table: write [{command}] above its settings"),
                ));
            };
            for (key, value) in entries {
                let at = key.span().start;
                let key = key.get_ref().as_ref();
                if !options.contains(&key) {
                    let error = wrong(at, format!("`{key}` is not a setting of {command}"));
                    return Err(error.hint(match nearest(key, options.iter().copied()) {
                        Some(near) => format!("did you mean `{near}`?"),
                        None => format!("its settings are {}", options.join(", ")),
                    }));
                }
                let at_value = value.span().start;
                let Some(values) = values(value.get_ref()) else {
                    return Err(wrong(
                        at_value,
                        format!("the value of `{key}` is of a wrong type"),
                    ));
                };
                check(root, command, key, &values).map_err(|message| wrong(at_value, message))?;
                let line = place(text, at).0;
                settings
                    .entries
                    .insert((command.to_owned(), key.to_owned()), Setting { values, line });
            }
        }
        Ok(settings)
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The setting of an option.
    pub fn get(&self, command: &str, option: &str) -> Option<&Setting> {
        self.entries.get(&(command.to_owned(), option.to_owned()))
    }

    /// The command line with the settings as defaults. `is_set` tells of variables.
    pub fn apply(&self, root: Command, is_set: impl Fn(&str) -> bool + Copy) -> Command {
        self.entries.iter().fold(root, |root, ((command, option), setting)| {
            if variable(option).is_some_and(is_set) {
                return root;
            }
            // `mut_arg` would put the option behind the others.
            root.mut_subcommand(command, |command| {
                command.mut_args(|argument| match argument.get_long() == Some(option) {
                    true => argument.default_values(setting.values.clone()),
                    false => argument,
                })
            })
        })
    }
}

/// What an option is without any setting.
pub fn default_of(root: &Command, command: &str, option: &str) -> Vec<String> {
    let argument = root
        .find_subcommand(command)
        .and_then(|it| it.get_arguments().find(|it| it.get_long() == Some(option)));
    let values = argument.map_or(&[][..], |it| it.get_default_values());
    values.iter().map(|value| value.to_string_lossy().into_owned()).collect()
}

/// The variable that wins over the setting of an option.
pub fn variable(option: &str) -> Option<&'static str> {
    VARIABLES.iter().find(|(name, _)| *name == option).map(|(_, variable)| *variable)
}

fn values(value: &DeValue<'_>) -> Option<Vec<String>> {
    Some(match value {
        DeValue::String(text) => vec![text.to_string()],
        DeValue::Integer(number) => vec![number.to_string()],
        DeValue::Boolean(flag) => vec![flag.to_string()],
        DeValue::Array(items) => {
            let items = items.iter().map(|item| match item.get_ref() {
                DeValue::String(text) => Some(text.to_string()),
                _ => None,
            });
            items.collect::<Option<_>>()?
        }
        DeValue::Float(_) | DeValue::Datetime(_) | DeValue::Table(_) => return None,
    })
}

/// Whether the command line would take the values.
fn check(root: &Command, command: &str, option: &str, values: &[String]) -> Result<(), String> {
    let argument = root
        .find_subcommand(command)
        .and_then(|it| it.get_arguments().find(|it| it.get_long() == Some(option)).cloned());
    let Some(argument) = argument else {
        return Err(format!("`{option}` is not an option of {command}"));
    };
    let takes_values = argument.get_action().takes_values();
    if !takes_values {
        return match values {
            [value] if value == "true" || value == "false" => Ok(()),
            _ => Err(format!("`{option}` is true or false")),
        };
    }
    if values.len() > 1 && !matches!(argument.get_action(), clap::ArgAction::Append) {
        return Err(format!("`{option}` has one value"));
    }
    let words = values.iter().map(|value| format!("--{option}={value}"));
    let line = ["doc2md-docker".to_owned(), command.to_owned()].into_iter().chain(words);
    match root.clone().try_get_matches_from(line) {
        Ok(_) => Ok(()),
        Err(error) => {
            let text = error.to_string();
            let first = text.lines().next().unwrap_or_default();
            Err(first.strip_prefix("error: ").unwrap_or(first).to_owned())
        }
    }
}

/// Line and column of a byte, from 1; columns in characters.
fn place(text: &str, at: usize) -> (usize, usize) {
    let before = &text[..at.min(text.len())];
    let start = before.rfind('\n').map_or(0, |end| end + 1);
    (before.matches('\n').count() + 1, before[start..].chars().count() + 1)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::cli;

    fn read(text: &str) -> Result<Settings, String> {
        Settings::read(text, "s.toml", &cli::command())
            .map_err(|error| format!("{} {}", error.message, error.hints.join(" ")))
    }

    #[test]
    fn settings_are_defaults_of_their_options() {
        let settings = read(
            "[build]\nparallel = 2\nkeep-going = true\npull = false\nbuild-arg = [\"A=1\", \"B=2\"]\n\
             platform = \"linux/amd64\"\n[stats]\nformat = \"json\"\n[budgets]\napi = \"1GB\"\n",
        )
        .unwrap();
        assert_eq!(settings.get("build", "keep-going").unwrap().line, 3);
        let build = |line: &[&str], set: &str| {
            let command = settings.apply(cli::command(), |name| name == set);
            let matches =
                command.try_get_matches_from([&["doc2md-docker", "build"], line].concat()).unwrap();
            let matches = matches.subcommand_matches("build").unwrap();
            let all = |id: &str| -> Vec<String> {
                matches.get_many::<String>(id).into_iter().flatten().cloned().collect()
            };
            let parallel = matches.get_one::<std::num::NonZeroUsize>("parallel").map(|it| it.get());
            (
                parallel,
                matches.get_flag("keep_going"),
                matches.get_flag("pull"),
                all("build_arg"),
                all("platform"),
            )
        };
        let both = vec!["A=1".to_owned(), "B=2".to_owned()];
        let amd = vec!["linux/amd64".to_owned()];
        assert_eq!(build(&[], ""), (Some(2), true, false, both.clone(), amd.clone()));
        // The command line wins, then a variable.
        let line = ["--parallel", "5", "--build-arg", "C=3", "--pull"];
        assert_eq!(build(&line, ""), (Some(5), true, true, vec!["C=3".to_owned()], amd.clone()));
        assert_eq!(build(&[], "COMPOSE_PARALLEL_LIMIT"), (None, true, false, both.clone(), amd));
        assert_eq!(build(&[], "DOCKER_DEFAULT_PLATFORM").4, Vec::<String>::new());
    }

    #[test]
    fn every_setting_is_an_option() {
        let root = cli::command();
        for (command, options) in OPTIONS {
            let command = root.find_subcommand(command).unwrap();
            for option in *options {
                let found = command.get_arguments().any(|it| it.get_long() == Some(option));
                assert!(found, "{} has no --{option}", command.get_name());
            }
        }
    }

    #[test]
    fn what_is_no_setting_is_told_with_its_place() {
        for (text, said) in [
            (
                "[build]\n  paralel = 2\n",
                "s.toml:2:3: `paralel` is not a setting of build did you mean `parallel`?",
            ),
            ("[biuld]\n", "s.toml:1:2: `biuld` is not a table of settings did you mean [build]?"),
            (
                "[budget]\napi = \"1MB\"\n",
                "s.toml:1:2: `budget` is not a table of settings did you mean [budgets]?",
            ),
            ("build = 3\n", "s.toml:1:1: `build` is a table: write [build] above its settings "),
            (
                "[clean]\nforce = true\n",
                "s.toml:2:1: `force` is not a setting of clean its settings are format, timeout",
            ),
            (
                "[build]\nparallel = 0\n",
                "s.toml:2:12: invalid value '0' for '--parallel <N>': number would be zero for non-zero type ",
            ),
            ("[build]\nkeep-going = 1\n", "s.toml:2:14: `keep-going` is true or false "),
            ("[build]\ntimeout = [\"1s\", \"2s\"]\n", "s.toml:2:11: `timeout` has one value "),
            ("[build]\ntimeout = 1.5\n", "s.toml:2:11: the value of `timeout` is of a wrong type "),
        ] {
            assert_eq!(read(text).unwrap_err(), said, "{text}");
        }
        let said = read("[build]\né = \n").unwrap_err();
        assert!(said.starts_with("s.toml:2:"), "{said}");
    }
}
