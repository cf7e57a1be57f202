//! What the READMEs tell people to type: command lines that exist, files that are there, the same in both languages.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::Path;

use clap::error::ErrorKind;
use doc2md_docker::cli;

const PAGES: [[&str; 2]; 2] =
    [["README.md", "README.pt-BR.md"], ["docs/tasks.md", "docs/tasks.pt-BR.md"]];

fn read(path: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
}

/// Code of a page: what stands in backticks, and indented lines.
fn code(text: &str) -> Vec<String> {
    let blocks = text.lines().filter_map(|line| line.strip_prefix("    ")).map(str::to_owned);
    let quoted = text
        .lines()
        .filter(|line| !line.starts_with("    "))
        .flat_map(|line| line.split('`').skip(1).step_by(2).map(str::to_owned).collect::<Vec<_>>());
    blocks.chain(quoted).collect()
}

/// The command lines of this program on a page, without its name.
fn lines(text: &str) -> BTreeSet<String> {
    let root = cli::command();
    let names: BTreeSet<&str> = root
        .get_subcommands()
        .flat_map(|command| {
            std::iter::once(command.get_name()).chain(command.get_visible_aliases())
        })
        .collect();
    code(text)
        .iter()
        .filter_map(|line| {
            let own = line.split(['#', '|']).next().unwrap().trim();
            let own = own.strip_prefix("source <(").map_or(own, |rest| rest.trim_end_matches(')'));
            let words = own.strip_prefix("doc2md-docker ").unwrap_or(own);
            let first = words.split(' ').next().unwrap();
            let is_line = own != words || (names.contains(first) && words != first);
            is_line.then(|| words.trim().to_owned())
        })
        .collect()
}

#[test]
fn every_command_line_can_be_typed() {
    for page in PAGES.as_flattened() {
        let lines = lines(&read(page));
        assert!(lines.len() > 8, "{page}: {lines:?}");
        for line in lines {
            let words = ["doc2md-docker"].into_iter().chain(line.split_whitespace());
            if let Err(error) = cli::parse(words.map(OsString::from)) {
                // What is only named there lacks what it is about.
                let is_named = error.kind() == ErrorKind::MissingRequiredArgument;
                assert!(is_named || !error.use_stderr(), "{page}: {line}: {error}");
            }
        }
    }
}

#[test]
fn every_link_leads_to_a_file() {
    for page in PAGES.as_flattened().iter().chain([&"docs/install.md"]) {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(page);
        let text = read(page);
        let links = text.split("](").skip(1).filter_map(|rest| rest.split(')').next());
        for link in links.filter(|link| !link.starts_with("http") && !link.starts_with('#')) {
            let file = folder.parent().unwrap().join(link.split('#').next().unwrap());
            assert!(file.exists(), "{page}: {link}");
        }
    }
}

/// A fresh machine is set up by the first two commands of the page.
#[test]
fn the_first_commands_show_and_test() {
    for page in PAGES[0] {
        let text = read(page);
        let first: Vec<&str> =
            text.lines().filter_map(|line| line.strip_prefix("    ")).take(2).collect();
        assert!(
            first[0].starts_with("make demo ") && first[1].starts_with("make test "),
            "{page}: {first:?}"
        );
    }
}

#[test]
fn both_languages_say_the_same_commands() {
    for [english, portuguese] in PAGES {
        let (english, portuguese) = (read(english), read(portuguese));
        let headings = |text: &str| text.lines().filter(|line| line.starts_with("## ")).count();
        assert_eq!(headings(&english), headings(&portuguese));
        // Names that stand for something are in each language's own words.
        let stands_for = |word: &str| {
            let name = word.split('.').next().unwrap_or_default();
            name.chars().count() > 2 && name.chars().all(char::is_uppercase)
        };
        let own = |text: &str| -> BTreeSet<String> {
            let lines = lines(text).into_iter();
            lines.filter(|line| !line.split(' ').any(stands_for)).collect()
        };
        let (english, portuguese) = (own(&english), own(&portuguese));
        let only: Vec<_> = english.symmetric_difference(&portuguese).collect();
        assert!(only.is_empty(), "{only:?}");
    }
}
