//! The help of every command: groups of commands, examples, exit codes, environment variables.
//!
//! clap has the options; what it has no place for is in `pages`, one [`Page`] a command, and goes below the options of
//! `--help`. `-h` is for a look: one screen, the options of every day, where the rest is.

use std::fmt::Write as _;

use clap::{Command, CommandFactory as _};

use super::pages::{PAGES, Page};
use super::variables::VARIABLES;

/// Commands in the order of use, in groups.
pub const GROUPS: &[(&str, &[&str])] = &[
    ("Build", &["init", "build", "dev", "lock", "config"]),
    ("Understand", &["why", "context", "check", "history", "bench", "builders", "doctor"]),
    ("Disk", &["ls", "stats", "cache", "clean"]),
    ("Set up", &["completions", "man", "plugin"]),
];

/// What exit codes mean.
const CODES: &[(u8, &str)] = &[
    (0, "done"),
    (1, "a build failed or timed out; something was not removed or not written"),
    (2, "wrong use of the command line or a setting; nobody is there to answer"),
    (3, "the engine cannot be reached, went away or did not answer"),
    (4, "a check says no: budgets, `check`, `lock --check`, `--exit-code`"),
    (5, "a compose file or a Dockerfile is invalid"),
    (130, "interrupted; the first Ctrl-C cancels, the second ends it at once"),
];

/// The examples of the program itself.
const FIRST: &[(&str, &str)] = &[
    ("build", "the images of the project in this folder"),
    ("why", "why steps ran again"),
    ("stats", "what it takes on disk"),
    ("clean --dry-run", "what could be removed"),
];

fn page(path: &str) -> Option<&'static Page> {
    PAGES.iter().find(|page| page.command == path)
}

/// The examples of a command, named with its parents, or of the program: command line and what it does.
pub fn examples_of(path: &str) -> &'static [(&'static str, &'static str)] {
    page(path).map_or(FIRST, |page| page.examples)
}

/// The exit codes of a command, or of the program, and what they mean.
pub fn codes_of(path: &str) -> Vec<(u8, &'static str)> {
    let own = page(path).map(|page| page.codes);
    let is_own = |code: &u8| own.is_none_or(|own| own.contains(code) || [0, 2, 130].contains(code));
    CODES.iter().copied().filter(|(code, _)| is_own(code)).collect()
}

/// What a command says of itself below its options, without what stands in [`PAGES`].
pub fn prose(path: &str) -> Option<String> {
    let mut command = super::Cli::command();
    for word in path.split_whitespace() {
        command = command.find_subcommand(word)?.clone();
    }
    command.get_after_long_help().map(ToString::to_string)
}

/// Where the rest is, below what `-h` shows.
const MORE: &str = "All options, examples and exit codes: --help";

/// `root` with what clap has no place for, in every command.
pub(super) fn with_pages(root: Command) -> Command {
    let root = root.after_help("Everything, with exit codes and environment variables: --help");
    let root =
        root.after_long_help(format!("{}\n\n{}\n\n{}", examples(FIRST), codes(""), environment(),));
    below(root, "")
}

/// The same below a command.
fn below(command: Command, parent: &str) -> Command {
    command.mut_subcommands(|command| {
        let path = format!("{parent}{}", command.get_name());
        let command = match page(&path) {
            Some(page) => with_page(command, page),
            None => command,
        };
        below(command, &format!("{path} "))
    })
}

fn with_page(command: Command, page: &Page) -> Command {
    let mut text = String::new();
    if let Some(prose) = command.get_after_long_help() {
        text = format!("{prose}\n\n");
    }
    let codes = codes(page.command);
    let _ = write!(text, "{}\n\n{codes}", examples(page.examples));
    if page.command.starts_with("dev") {
        text.push_str("\n\nOnce docker compose is started, the exit code is its own.");
    }
    command.after_help(MORE).after_long_help(text)
}

fn heading(text: &str) -> String {
    let style = clap::builder::Styles::styled();
    format!("{0}{text}:{0:#}", style.get_header())
}

fn examples(lines: &[(&str, &str)]) -> String {
    let mut text = heading("Examples");
    for (line, what) in lines {
        let _ = write!(text, "\n  doc2md-docker {line}\n      {what}");
    }
    text
}

fn codes(path: &str) -> String {
    let mut text = heading("Exit codes");
    for (code, meaning) in codes_of(path) {
        let _ = write!(text, "\n  {code:<4} {meaning}");
    }
    text
}

fn environment() -> String {
    let mut text = heading("Environment");
    for (name, what) in VARIABLES {
        let _ = write!(text, "\n  {name:<24} {what}");
    }
    text
}

/// `root` with its commands in groups. clap lists all of them under one heading: here they are hidden from its list, and
/// stand in the template. Nothing but help looks at the difference.
pub(super) fn in_groups(root: Command, name: &str) -> Command {
    let literal = *clap::builder::Styles::styled().get_literal();
    let mut groups = String::new();
    for (group, names) in GROUPS {
        let _ = writeln!(groups, "{}", heading(group));
        for name in *names {
            let Some(command) = root.find_subcommand(name) else { continue };
            let about = command.get_about().map(ToString::to_string).unwrap_or_default();
            let aliases: Vec<&str> = command.get_visible_aliases().collect();
            let aliases = match aliases.as_slice() {
                [] => String::new(),
                aliases => format!(" [also: {}]", aliases.join(", ")),
            };
            let _ = writeln!(groups, "  {literal}{name:<11}{literal:#} {about}{aliases}");
        }
        groups.push('\n');
    }
    root.mut_subcommands(|command| command.hide(true))
        .override_usage(format!("{name} [OPTIONS] <COMMAND>"))
        .help_template(format!(
            "{{about-with-newline}}\n{{usage-heading}} {{usage}}\n\n{groups}{{all-args}}{{after-help}}"
        ))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::collections::BTreeSet;
    use std::ffi::OsString;

    use super::*;

    fn paths(command: &Command, parent: &str, found: &mut Vec<String>) {
        for command in command.get_subcommands() {
            let path = format!("{parent}{}", command.get_name());
            paths(command, &format!("{path} "), found);
            found.push(path);
        }
    }

    #[test]
    fn every_command_has_a_page_and_stands_in_a_group() {
        let root = crate::cli::command();
        let mut commands = Vec::new();
        paths(&root, "", &mut commands);
        let commands: BTreeSet<&str> = commands.iter().map(String::as_str).collect();
        let pages: BTreeSet<&str> = PAGES.iter().map(|page| page.command).collect();
        assert_eq!(commands, pages);
        let grouped: Vec<&str> =
            GROUPS.iter().flat_map(|(_, names)| names.iter().copied()).collect();
        let declared: Vec<&str> = root.get_subcommands().map(Command::get_name).collect();
        assert_eq!(declared, grouped, "the enum has the order of the groups");
    }

    #[test]
    fn no_line_is_folded_at_80_columns() {
        let codes = codes("");
        let pages = PAGES.iter().map(|page| examples(page.examples));
        for text in pages.chain([codes, environment()]) {
            let long = text.lines().find(|line| line.chars().count() > 80);
            assert_eq!(long, None);
        }
    }

    #[test]
    fn every_example_can_be_typed() {
        for page in PAGES {
            assert!(!page.examples.is_empty(), "{} has no example", page.command);
            for (line, _) in page.examples {
                assert!(
                    line.starts_with(page.command),
                    "{line} is not an example of {}",
                    page.command
                );
                let words = ["doc2md-docker"].into_iter().chain(line.split(' '));
                let read = crate::cli::parse(words.map(OsString::from));
                assert!(read.is_ok(), "{line}: {}", read.unwrap_err());
            }
        }
    }
}
