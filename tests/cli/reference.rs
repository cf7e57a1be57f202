//! `docs/reference`: a page for each command, made of its help.
//!
//! `make reference` writes them again (DOC2MD_RECORD_REFERENCE=1).
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use clap::{Arg, Command};
use doc2md_docker::cli::{self, help, variables};

const NOTE: &str =
    "<!-- Made by `make reference` from the help of the program: change that instead. -->";

/// The pages by the names of their files.
fn pages() -> BTreeMap<String, String> {
    let mut root = cli::command().disable_help_subcommand(true);
    root.build();
    let mut pages = BTreeMap::new();
    let mut index = format!(
        "{NOTE}\n\n# Reference\n\nEvery command has `-h` for a look and `--help` for all of it, which is what these pages hold. \
         `doc2md-docker man COMMAND` prints the same as a manual page.\n"
    );
    for (group, names) in help::GROUPS {
        let _ = write!(index, "\n## {group}\n\n| command | |\n|---|---|\n");
        for name in *names {
            let command = root.find_subcommand(name).unwrap();
            let aliases: Vec<String> =
                command.get_visible_aliases().map(|it| format!("`{it}`")).collect();
            let aliases = if aliases.is_empty() {
                String::new()
            } else {
                format!(" (also {})", aliases.join(", "))
            };
            let about = command.get_about().unwrap().to_string();
            let _ = writeln!(index, "| [`{name}`]({name}.md){aliases} | {about} |");
            pages.insert(format!("{name}.md"), page(command, name));
        }
    }
    index.push_str("\n## Options of every command\n");
    let global = |argument: &&Arg| argument.is_global_set();
    index.push_str(&options(root.get_arguments().filter(global)));
    index.push_str(&codes(""));
    index.push_str("\n## Environment\n\n| variable | |\n|---|---|\n");
    for (name, what) in variables::VARIABLES {
        let _ = writeln!(index, "| {name} | {} |", cell(what));
    }
    pages.insert("README.md".to_owned(), index);
    pages
}

fn page(command: &Command, path: &str) -> String {
    let mut text = format!("{NOTE}\n\n# {path}\n");
    section(&mut text, command, path);
    text.push_str("\n[All commands](README.md), with the options that every command has.\n");
    text
}

fn section(text: &mut String, command: &Command, path: &str) {
    let about = command.get_long_about().or_else(|| command.get_about()).unwrap().to_string();
    let usage = command.clone().render_usage().to_string();
    let _ = write!(text, "\n{about}\n");
    for line in usage.trim_start_matches("Usage:").lines() {
        let _ = write!(text, "\n    {}", line.trim());
    }
    text.push('\n');
    if let Some(prose) = help::prose(path) {
        let is_laid_out =
            prose.lines().any(|line| line.trim_start().contains("  ") || line.starts_with(' '));
        match is_laid_out {
            true => {
                let lines: Vec<String> =
                    prose.lines().map(|line| format!("    {line}").trim_end().to_owned()).collect();
                let _ = write!(text, "\n{}\n", lines.join("\n"));
            }
            false => {
                let _ = write!(text, "\n{prose}\n");
            }
        }
    }
    let own: Vec<&Arg> = command.get_arguments().filter(|it| !it.is_global_set()).collect();
    let mut headings: Vec<Option<&str>> = vec![None];
    for argument in &own {
        if !headings.contains(&argument.get_help_heading()) {
            headings.push(argument.get_help_heading());
        }
    }
    for heading in headings {
        let under = |it: &&&Arg| it.get_help_heading() == heading;
        let rows = options(own.iter().filter(under).copied());
        if !rows.is_empty() {
            let _ = write!(text, "\n**{}**\n{rows}", heading.unwrap_or("Options"));
        }
    }
    text.push_str("\n**Examples**\n");
    for (line, what) in help::examples_of(path) {
        let _ = write!(text, "\n    doc2md-docker {line}\n    # {what}\n");
    }
    text.push_str(&codes(path));
    for command in command.get_subcommands() {
        let path = format!("{path} {}", command.get_name());
        let _ = write!(text, "\n## {path}\n");
        section(text, command, &path);
    }
}

fn options<'a>(arguments: impl Iterator<Item = &'a Arg>) -> String {
    let shown: Vec<&Arg> = arguments
        .filter(|it| !it.is_hide_set() && !["help", "version"].contains(&it.get_id().as_str()))
        .collect();
    if shown.is_empty() {
        return String::new();
    }
    let mut text = "\n| option | |\n|---|---|\n".to_owned();
    for argument in shown {
        let help = argument.get_long_help().or_else(|| argument.get_help()).unwrap().to_string();
        let mut help = help.split_whitespace().collect::<Vec<_>>().join(" ");
        if !argument.is_hide_possible_values_set() {
            let values: Vec<String> = argument
                .get_possible_values()
                .iter()
                .filter(|it| !it.is_hide_set() && !["true", "false"].contains(&it.get_name()))
                .map(|it| match it.get_help() {
                    Some(help) => format!("`{}`: {help}", it.get_name()),
                    None => format!("`{}`", it.get_name()),
                })
                .collect();
            if !values.is_empty() {
                let _ = write!(help, "<br>{}", values.join("<br>"));
            }
        }
        let defaults: Vec<_> =
            argument.get_default_values().iter().map(|it| it.to_string_lossy()).collect();
        if argument.get_num_args().unwrap().takes_values() && !defaults.is_empty() {
            let _ = write!(help, "<br>default: {}", defaults.join(", "));
        }
        let short = argument.get_short().map(|it| format!("`-{it}`, ")).unwrap_or_default();
        let name = cell(&argument.to_string());
        let _ = writeln!(text, "| {short}`{name}` | {} |", cell(&help));
    }
    text
}

fn codes(path: &str) -> String {
    let mut text = "\n**Exit codes**\n\n| code | |\n|---|---|\n".to_owned();
    for (code, meaning) in help::codes_of(path) {
        let _ = writeln!(text, "| {code} | {} |", cell(meaning));
    }
    text
}

fn cell(text: &str) -> String {
    text.replace('|', "\\|")
}

#[test]
fn the_pages_are_what_the_help_says() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/reference");
    let pages = pages();
    if std::env::var_os("DOC2MD_RECORD_REFERENCE").is_some() {
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir_all(&folder).unwrap();
        for (name, text) in &pages {
            std::fs::write(folder.join(name), text).unwrap();
        }
    }
    let stale: Vec<&String> = pages
        .iter()
        .filter(|(name, text)| {
            std::fs::read_to_string(folder.join(name)).ok().as_ref() != Some(*text)
        })
        .map(|(name, _)| name)
        .collect();
    assert!(stale.is_empty(), "out of date: {stale:?}; `make reference` writes them");
    let there = std::fs::read_dir(&folder).unwrap().count();
    assert_eq!(there, pages.len(), "a page of a command that is gone");
}
