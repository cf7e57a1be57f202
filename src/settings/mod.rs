//! Defaults for commands: `doc2md-docker.toml` beside the compose file, and variables.
//!
//! A table has the name of a command, a key that of an option: `[build] parallel = 2`, `[cache.save] max-size = "2GB"`. The
//! same as a variable is `DOC2MD_DOCKER_BUILD_PARALLEL`. A setting is the default of its option: the command line wins over
//! a variable, a variable over the file. What a repository's file must not decide has no setting: which project and which
//! engine is meant, which files are written, and what is removed without a question.

mod file;
mod variables;

use std::collections::BTreeMap;

use clap::{Arg, ArgAction, Command};

use crate::error::CommandError;

/// The name of the file.
pub const FILE: &str = "doc2md-docker.toml";

/// Commands, and their options that have a setting.
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
            "caches",
            "compression",
            "provenance",
            "sbom",
        ],
    ),
    ("why", &["format"]),
    ("check", &["severity", "format"]),
    ("lock", &["threshold", "python-version", "torch", "base-image", "extra", "group"]),
    ("stats", &["format", "measure", "max-growth", "timeout"]),
    ("clean", &["format", "timeout"]),
    ("ls", &["format", "timeout"]),
    ("history ls", &["format"]),
    ("history show", &["format"]),
    ("history compare", &["format"]),
    ("context ls", &["format"]),
    ("context explain", &["format"]),
    ("cache ls", &["format"]),
    ("cache save", &["max-size", "never", "rate", "format"]),
    ("cache restore", &["format"]),
    ("cache keep", &["format"]),
    ("cache rm", &["format"]),
    ("cache import", &["format"]),
    ("builders", &["format"]),
    ("builders ls", &["format"]),
    ("builders inspect", &["format"]),
    ("config", &["format"]),
    ("bench", &["runs", "case", "parallel", "timeout", "format"]),
];

/// Variables of docker and compose that win over the file's setting of an option.
const COMMON: &[(&str, &str)] =
    &[("parallel", "COMPOSE_PARALLEL_LIMIT"), ("platform", "DOCKER_DEFAULT_PLATFORM")];

/// Where a setting stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// A line of the file, from 1.
    Line(usize),
    /// A variable.
    Variable(String),
}

/// The default of an option.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting {
    /// Values of the option; `true` for one that has none.
    pub values: Vec<String>,
    /// Where it stands.
    pub source: Source,
}

/// Settings by command and option.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Settings {
    entries: BTreeMap<(&'static str, &'static str), Setting>,
}

impl Settings {
    /// Reads the text of the file that messages call `name`, and the variables of the environment.
    ///
    /// # Errors
    /// It is not TOML, or something in it is not a setting; with its place.
    pub fn read(
        text: &str,
        name: &str,
        environment: &BTreeMap<String, String>,
        root: &Command,
    ) -> Result<Self, CommandError> {
        let mut settings = file::read(text, name, root)?;
        settings.entries.extend(variables::read(environment, root)?.entries);
        Ok(settings)
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The setting of an option.
    pub fn get(&self, command: &'static str, option: &'static str) -> Option<&Setting> {
        self.entries.get(&(command, option))
    }

    /// The command line with the settings as defaults. `is_set` tells of variables of docker and compose.
    pub fn apply(&self, root: Command, is_set: impl Fn(&str) -> bool + Copy) -> Command {
        self.entries.iter().fold(root, |root, ((command, option), setting)| {
            let is_of_file = matches!(setting.source, Source::Line(_));
            if is_of_file && common_variable(option).is_some_and(is_set) {
                return root;
            }
            let words: Vec<&str> = command.split(' ').collect();
            with_default(root, &words, option, &setting.values)
        })
    }
}

/// `command` with other default values of an option of the subcommand that `words` lead to.
fn with_default(command: Command, words: &[&str], option: &str, values: &[String]) -> Command {
    match words {
        [first, rest @ ..] => {
            command.mut_subcommand(first, |command| with_default(command, rest, option, values))
        }
        // `mut_arg` would put the option behind the others.
        [] => command.mut_args(|argument| match argument.get_long() == Some(option) {
            true => argument.default_values(values.to_vec()),
            false => argument,
        }),
    }
}

/// What an option is without any setting.
pub fn default_of(root: &Command, command: &str, option: &str) -> Vec<String> {
    let argument = argument(root, command, option);
    let values = argument.map_or(&[][..], |it| it.get_default_values());
    values.iter().map(|value| value.to_string_lossy().into_owned()).collect()
}

/// The variable of docker or compose that wins over the file's setting of an option.
pub fn common_variable(option: &str) -> Option<&'static str> {
    COMMON.iter().find(|(name, _)| *name == option).map(|(_, variable)| *variable)
}

fn argument<'a>(root: &'a Command, command: &str, option: &str) -> Option<&'a Arg> {
    let command = command.split(' ').try_fold(root, |at, word| at.find_subcommand(word))?;
    command.get_arguments().find(|it| it.get_long() == Some(option))
}

/// Whether the command line would take the values.
fn check(root: &Command, command: &str, option: &str, values: &[String]) -> Result<(), String> {
    let Some(argument) = argument(root, command, option) else {
        return Err(format!("`{option}` is not an option of {command}"));
    };
    if !argument.get_action().takes_values() {
        return match values {
            [value] if value == "true" || value == "false" => Ok(()),
            _ => Err(format!("`{option}` is true or false")),
        };
    }
    if values.len() > 1 && !takes_many(argument) {
        return Err(format!("`{option}` has one value"));
    }
    let words = values.iter().map(|value| format!("--{option}={value}"));
    let line =
        ["doc2md-docker"].into_iter().chain(command.split(' ')).map(str::to_owned).chain(words);
    // What else the command needs is not the setting's.
    let alone = root.clone().mut_subcommands(optional);
    match alone.try_get_matches_from(line) {
        Ok(_) => Ok(()),
        Err(error) => {
            let text = error.to_string();
            let first = text.lines().next().unwrap_or_default();
            Err(first.strip_prefix("error: ").unwrap_or(first).to_owned())
        }
    }
}

/// A command that needs no argument.
fn optional(command: Command) -> Command {
    command.mut_args(|it| it.required(false)).mut_subcommands(optional)
}

fn takes_many(argument: &Arg) -> bool {
    matches!(argument.get_action(), ArgAction::Append)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::cli;

    fn read(text: &str) -> Result<Settings, String> {
        with(text, &[])
    }

    fn with(text: &str, variables: &[(&str, &str)]) -> Result<Settings, String> {
        let variables = variables.iter().map(|(name, value)| ((*name).into(), (*value).into()));
        Settings::read(text, "s.toml", &variables.collect(), &cli::command())
            .map_err(|error| format!("{} {}", error.message, error.hints.join(" ")))
    }

    #[test]
    fn settings_are_defaults_of_their_options() {
        let settings = read(
            "[build]\nparallel = 2\nkeep-going = true\npull = false\nbuild-arg = [\"A=1\", \"B=2\"]\n\
             platform = \"linux/amd64\"\n[stats]\nformat = \"json\"\n[budgets]\napi = \"1GB\"\n",
        )
        .unwrap();
        assert_eq!(settings.get("build", "keep-going").unwrap().source, Source::Line(3));
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
    fn variables_are_settings_of_the_environment() {
        let settings = with(
            "[build]\nparallel = 2\n[cache.save]\nmax-size = \"1GB\"\n",
            &[
                ("DOC2MD_DOCKER_BUILD_PARALLEL", "3"),
                ("DOC2MD_DOCKER_BUILD_BUILD_ARG", "A=1,2\n\nB=3\n"),
                ("DOC2MD_DOCKER_BUILD_PULL", "true"),
                ("DOC2MD_DOCKER_BUILD_PLATFORM", ""),
                ("DOC2MD_DOCKER_CACHE_SAVE_MAX_SIZE", "2GB"),
                ("DOC2MD_DOCKER_STATE_DIR", "/state"),
                ("DOC2MD_DOCKER_ALWAYS_SOLVE", "1"),
            ],
        )
        .unwrap();
        let values = |command, option| &settings.get(command, option).unwrap().values;
        assert_eq!(values("build", "build-arg"), &["A=1,2", "B=3"]);
        assert_eq!(values("cache save", "max-size"), &["2GB"]);
        assert!(settings.get("build", "platform").is_none());
        // The variables of compose are more general.
        let command = settings.apply(cli::command(), |name| name == "COMPOSE_PARALLEL_LIMIT");
        let matches = command.clone().try_get_matches_from(["doc2md-docker", "build"]).unwrap();
        let matches = matches.subcommand_matches("build").unwrap();
        assert_eq!(matches.get_one::<std::num::NonZeroUsize>("parallel").unwrap().get(), 3);
        assert!(matches.get_flag("pull"));
        let line = ["doc2md-docker", "cache", "save", "--to", "here"];
        let matches = command.try_get_matches_from(line).unwrap();
        let matches = matches.subcommand_matches("cache").unwrap();
        let matches = matches.subcommand_matches("save").unwrap();
        assert!(matches.value_source("max_size") == Some(clap::parser::ValueSource::DefaultValue));
    }

    #[test]
    fn a_variable_that_is_not_a_setting_is_refused() {
        for (name, value, said) in [
            (
                "DOC2MD_DOCKER_BUILD_PARALEL",
                "2",
                "the variable DOC2MD_DOCKER_BUILD_PARALEL is not a setting did you mean DOC2MD_DOCKER_BUILD_PARALLEL?",
            ),
            (
                "DOC2MD_DOCKER_CLEAN_FORCE",
                "1",
                "the variable DOC2MD_DOCKER_CLEAN_FORCE is not a setting did you mean DOC2MD_DOCKER_CLEAN_FORMAT?",
            ),
            ("DOC2MD_DOCKER_BUILD_PULL", "1", "DOC2MD_DOCKER_BUILD_PULL: `pull` is true or false "),
            (
                "DOC2MD_DOCKER_BUILD_PARALLEL",
                "no",
                "DOC2MD_DOCKER_BUILD_PARALLEL: invalid value 'no' for '--parallel <N>': invalid digit found in string ",
            ),
        ] {
            assert_eq!(with("", &[(name, value)]).unwrap_err(), said, "{name}");
        }
    }

    #[test]
    fn every_setting_is_an_option() {
        let root = cli::command();
        let mut variables = std::collections::BTreeSet::new();
        for (command, options) in OPTIONS {
            for option in *options {
                assert!(argument(&root, command, option).is_some(), "{command} has no --{option}");
                assert!(variables.insert(variables::name(command, option)), "{command} {option}");
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
            (
                "[history]\nformat = \"json\"\n",
                "s.toml:2:1: `format` is not a setting of history its tables are [history.ls], [history.show], [history.compare]",
            ),
            (
                "[cache]\nsave = 1\n",
                "s.toml:2:1: `save` is a table: write [cache.save] above its settings ",
            ),
            (
                "[cache.save]\nmax-sise = 1\n",
                "s.toml:2:1: `max-sise` is not a setting of cache save did you mean `max-size`?",
            ),
            ("[cache.sav]\n", "s.toml:1:8: `sav` is not a setting of cache did you mean `save`?"),
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
