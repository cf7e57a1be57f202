//! Words that could stand where somebody presses Tab: commands and options, and what they name in the project.
//!
//! A shell's script, or docker for its plugin, calls the program with the words of the line. No engine is asked, and
//! nothing that goes wrong is told: then there is nothing to offer.

use std::ffi::{OsStr, OsString};
use std::fmt::Write as _;
use std::sync::Arc;

use clap::{Command, FromArgMatches as _};
use clap_complete::engine::{self, ArgValueCompleter, CompletionCandidate};
use clap_complete::env::Shells;

use crate::app;
use crate::builders;
use crate::cli::{self, GlobalArgs};
use crate::compose::{self, Project};
use crate::engine::{Connector, ConnectorSettings};
use crate::environment::Environment;
use crate::history::Store;

/// The variable by which a shell's script asks; its value is the shell's name.
pub const VARIABLE: &str = "_DOC2MD_DOCKER_COMPLETE";

/// The script that makes a shell ask. `None` for a shell that cannot.
pub fn script(shell: &str) -> Option<String> {
    let name = "doc2md-docker";
    let mut script = Vec::new();
    let writer = Shells::builtins();
    writer.completer(shell)?.write_registration(VARIABLE, name, name, name, &mut script).ok()?;
    String::from_utf8(script).ok()
}

/// What the script of a shell is answered. The words of the line stand behind `--`.
pub fn for_shell(shell: &str, args: &[OsString], environment: &Environment) -> Option<String> {
    let start = args.iter().position(|word| word == "--")? + 1;
    let words = args[start..].to_vec();
    let mut command = command(&words, environment);
    let mut answer = Vec::new();
    let shells = Shells::builtins();
    let shell = shells.completer(shell)?;
    shell.write_complete(&mut command, words, Some(&environment.working_dir), &mut answer).ok()?;
    String::from_utf8(answer).ok()
}

/// What docker is answered, in the way of its own completion (spf13/cobra): a word and what it is for on each line, and
/// a number: 4, no names of files besides; with 2, no blank behind the word.
pub fn for_docker(words: Vec<OsString>, environment: &Environment) -> String {
    let mut command = command(&words, environment);
    let last = words.len().saturating_sub(1);
    let found = engine::complete(&mut command, words, last, Some(&environment.working_dir))
        .unwrap_or_default();
    let mut answer = String::new();
    let mut is_open = false;
    for candidate in found.iter().filter(|candidate| !candidate.is_hide_set()) {
        let word = candidate.get_value().to_string_lossy();
        is_open |= word.ends_with(['=', '/']);
        let help = candidate.get_help().map(ToString::to_string).unwrap_or_default();
        let _ = writeln!(answer, "{word}\t{}", help.lines().next().unwrap_or_default());
    }
    answer.push_str(if is_open { ":6\n" } else { ":4\n" });
    answer
}

/// The command line, with what the arguments mean in this place.
fn command(words: &[OsString], environment: &Environment) -> Command {
    let given = cli::command().ignore_errors(true).try_get_matches_from(words).ok();
    let global = given.and_then(|matches| GlobalArgs::from_arg_matches(&matches).ok());
    match global {
        Some(global) => complete_with(
            cli::command(),
            &Arc::new(Here { global, environment: environment.clone() }),
        ),
        None => cli::command(),
    }
}

/// Gives the arguments that name something their names.
fn complete_with(command: Command, here: &Arc<Here>) -> Command {
    // `mut_arg` would put a positional argument behind the others.
    let command = command.mut_args(|argument| {
        let Some(names) = source(argument.get_id().as_str()) else { return argument };
        let here = Arc::clone(here);
        let complete = move |typed: &OsStr| {
            let typed = typed.to_string_lossy();
            let names = names(&here).into_iter();
            names.filter(|name| name.starts_with(&*typed)).map(CompletionCandidate::new).collect()
        };
        argument.add(ArgValueCompleter::new(complete))
    });
    command.mut_subcommands(|command| complete_with(command, here))
}

type Source = fn(&Here) -> Vec<String>;

/// Where the names for an argument come from, by its id.
fn source(argument: &str) -> Option<Source> {
    match argument {
        "services" => Some(Here::services),
        "build" | "builds" | "a" | "b" => Some(Here::builds),
        "builder" | "name" => Some(Here::builders),
        "project_name" => Some(Here::projects),
        "profiles" => Some(Here::profiles),
        _ => None,
    }
}

/// What is known without an engine.
struct Here {
    global: GlobalArgs,
    environment: Environment,
}

impl Here {
    fn project(&self) -> Option<Project> {
        app::read(&self.global.project, &self.environment).ok()
    }

    fn services(&self) -> Vec<String> {
        self.project().map(|it| it.services.into_keys().collect()).unwrap_or_default()
    }

    fn profiles(&self) -> Vec<String> {
        let services = self.project().map(|it| it.services).unwrap_or_default();
        let mut names: Vec<String> = services.into_values().flat_map(|it| it.profiles).collect();
        names.sort();
        names.dedup();
        names
    }

    fn store(&self) -> Option<Store> {
        self.environment.ledger_directory().map(Store::open)
    }

    fn builds(&self) -> Vec<String> {
        let given = self.global.project.project_name.as_deref();
        let given = given.or_else(|| self.environment.get("COMPOSE_PROJECT_NAME"));
        let name = given.map(compose::normalise_name).or_else(|| Some(self.project()?.name));
        let entries = self.store().zip(name).and_then(|(store, name)| store.entries(&name).ok());
        let ids = entries.into_iter().flatten().map(|entry| entry.id.to_string());
        std::iter::once("latest".to_owned()).chain(ids).collect()
    }

    fn projects(&self) -> Vec<String> {
        self.store().and_then(|store| store.all_projects().ok()).unwrap_or_default()
    }

    fn builders(&self) -> Vec<String> {
        let settings = ConnectorSettings {
            host: self.global.host.clone(),
            context: self.global.context.clone(),
            environment: self.environment.variables.clone(),
            home: self.environment.home.clone(),
        };
        let Ok(connector) = Connector::resolve(&settings) else { return Vec::new() };
        let catalog = builders::Catalog::new(settings, &connector);
        let engines = catalog.engines().into_iter().map(|(name, _)| name);
        catalog.store.names().into_iter().chain(engines).collect()
    }
}
