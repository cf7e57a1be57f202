//! Man pages: clap's options, and the examples, exit codes and variables that the help has besides.

use std::io;

use clap::Command;
use clap_mangen::Man;
use clap_mangen::roff::{Roff, bold, roman};

use crate::cli::{self, help, variables};

/// A page, and the name of its file.
pub struct Page {
    /// Such as `doc2md-docker-build.1`.
    pub file: String,
    /// roff.
    pub text: Vec<u8>,
}

/// The pages of all commands, the program's first.
///
/// # Errors
/// None that memory does not make.
pub fn pages() -> io::Result<Vec<Page>> {
    fn below(command: &Command, path: &str, pages: &mut Vec<Page>) -> io::Result<()> {
        pages.push(page(command, path)?);
        for command in command.get_subcommands().filter(|it| it.get_name() != "help") {
            let path = format!("{path} {}", command.get_name());
            below(command, path.trim_start(), pages)?;
        }
        Ok(())
    }
    let mut root = cli::command().disable_help_subcommand(true);
    root.build();
    let mut pages = Vec::new();
    below(&root, "", &mut pages)?;
    Ok(pages)
}

/// The page of one command, named by its words; none for the program's own.
///
/// # Errors
/// There is no such command.
pub fn of_command(words: &[String]) -> io::Result<Option<Page>> {
    let name = file(&words.join(" "));
    Ok(pages()?.into_iter().find(|page| page.file == name))
}

fn file(path: &str) -> String {
    format!("{}.1", format!("doc2md-docker {path}").trim_end().replace(' ', "-"))
}

fn page(command: &Command, path: &str) -> io::Result<Page> {
    // Options that `-h` leaves out would have no text here.
    let mut command = command.clone().mut_args(|argument| argument.hide_short_help(false));
    let usage = command.render_usage().to_string();
    let man = Man::new(command.clone()).manual("doc2md-docker");
    let mut text = Vec::new();
    man.render_title(&mut text)?;
    man.render_name_section(&mut text)?;
    let mut roff = Roff::default();
    roff.control("SH", ["SYNOPSIS"]);
    for line in usage.trim_start_matches("Usage:").lines() {
        roff.text([roman(line.trim())]);
        roff.control("br", []);
    }
    roff.to_writer(&mut text)?;
    man.render_description_section(&mut text)?;
    let mut roff = Roff::default();
    for paragraph in help::prose(path).iter().flat_map(|prose| prose.split("\n\n")) {
        roff.control("PP", []);
        for line in paragraph.lines() {
            // What is indented is to be read line by line.
            let is_example =
                paragraph.lines().skip(1).any(|line| line.starts_with(' ')) || line.contains("  ");
            roff.text([roman(line)]);
            if is_example {
                roff.control("br", []);
            }
        }
    }
    roff.to_writer(&mut text)?;
    man.render_options_section(&mut text)?;
    if command.has_subcommands() {
        man.render_subcommands_section(&mut text)?;
    }
    let mut roff = Roff::default();
    roff.control("SH", ["EXAMPLES"]);
    for (line, what) in help::examples_of(path) {
        roff.control("TP", []);
        roff.text([bold(format!("doc2md-docker {line}"))]);
        roff.text([roman(*what)]);
    }
    roff.control("SH", ["EXIT STATUS"]);
    for (code, meaning) in help::codes_of(path) {
        roff.control("TP", []);
        roff.text([bold(code.to_string())]);
        roff.text([roman(meaning)]);
    }
    if path.is_empty() {
        roff.control("SH", ["ENVIRONMENT"]);
        for (name, what) in variables::VARIABLES {
            roff.control("TP", []);
            roff.text([bold(*name)]);
            roff.text([roman(*what)]);
        }
    }
    roff.to_writer(&mut text)?;
    Ok(Page { file: file(path), text })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn every_command_has_a_page_with_its_examples() {
        let pages = pages().unwrap();
        assert!(pages.len() > 15);
        for page in &pages {
            let text = String::from_utf8(page.text.clone()).unwrap();
            for part in [".TH ", ".SH NAME", ".SH SYNOPSIS", ".SH EXAMPLES", ".SH \"EXIT STATUS\""]
            {
                assert!(text.contains(part), "{} lacks {part}:\n{text}", page.file);
            }
            assert!(!text.contains('\u{1b}'), "{} has colours", page.file);
        }
        let build = of_command(&["build".into()]).unwrap().unwrap();
        assert_eq!(build.file, "doc2md-docker-build.1");
        assert!(String::from_utf8(build.text).unwrap().contains("COMPOSE_PARALLEL_LIMIT"));
        let root = String::from_utf8(pages[0].text.clone()).unwrap();
        assert!(root.contains("XDG_STATE_HOME") && root.contains("File of variables"), "{root}");
        assert!(of_command(&["history".into(), "show".into()]).unwrap().is_some());
        assert!(of_command(&["nothing".into()]).unwrap().is_none());
    }
}
