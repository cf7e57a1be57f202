//! What `-h` and `--help` say, of every command.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Command, Output};

use doc2md_docker::cli;

/// Lines that `-h` may have at 80 columns: it is for a look.
const LINES: usize = 60;

fn run(line: &[&str], columns: usize) -> Output {
    Command::new(env!("CARGO_BIN_EXE_doc2md-docker"))
        .args(line)
        .env_clear()
        .env("COLUMNS", columns.to_string())
        .output()
        .unwrap()
}

fn help(line: &[&str], columns: usize) -> String {
    let output = run(line, columns);
    assert!(output.status.success(), "{line:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// The words that lead to every command, the program itself first.
fn commands() -> Vec<Vec<String>> {
    fn below(command: &clap::Command, path: &[String], found: &mut Vec<Vec<String>>) {
        found.push(path.to_vec());
        for command in command.get_subcommands() {
            below(command, &[path, &[command.get_name().to_owned()]].concat(), found);
        }
    }
    let mut found = Vec::new();
    below(&cli::command(), &[], &mut found);
    assert!(found.len() > 15, "{found:?}");
    found
}

#[test]
fn the_short_help_of_every_command_fits_a_screen() {
    for command in commands() {
        let line: Vec<&str> = command.iter().map(String::as_str).chain(["-h"]).collect();
        let text = help(&line, 80);
        let lines = text.lines().count();
        assert!(lines <= LINES, "{line:?} has {lines} lines:\n{text}");
        let longest = text.lines().map(|line| line.chars().count()).max();
        assert!(longest <= Some(80), "{line:?}:\n{text}");
        assert!(text.contains("--help"), "{line:?} does not say where the rest is:\n{text}");
    }
}

#[test]
fn the_long_help_has_examples_exit_codes_and_every_option() {
    for command in commands() {
        let line: Vec<&str> = command.iter().map(String::as_str).chain(["--help"]).collect();
        let text = help(&line, 80);
        for part in
            ["Examples:\n", "Exit codes:\n  0    done\n", "--project-directory", "--env-file"]
        {
            assert!(text.contains(part), "{line:?} lacks {part:?}:\n{text}");
        }
        let short = help(&[&line[..line.len() - 1], &["-h"]].concat(), 80);
        for option in short.split_whitespace().filter(|word| word.starts_with("--")) {
            assert!(text.contains(option.trim_end_matches(',')), "{line:?} lacks {option}");
        }
    }
}

#[test]
fn options_stand_under_headings() {
    let text = help(&["build", "-h"], 80);
    for heading in [
        "Arguments:",
        "Options:",
        "Cache:",
        "Result:",
        "Run:",
        "Project options:",
        "Global options:",
    ] {
        assert!(text.lines().any(|line| line == heading), "{heading}\n{text}");
    }
}

#[test]
fn commands_stand_in_the_order_of_use() {
    let text = help(&["-h"], 80);
    let at = |word: &str| {
        let place = text.lines().position(|line| line.split_whitespace().next() == Some(word));
        place.unwrap_or_else(|| panic!("{word} is not there:\n{text}"))
    };
    let order = [
        "Build:",
        "init",
        "build",
        "dev",
        "Understand:",
        "why",
        "history",
        "Disk:",
        "stats",
        "clean",
    ];
    let places: Vec<usize> = order.into_iter().map(at).collect();
    assert!(places.is_sorted(), "{places:?}\n{text}");
    assert_eq!(help(&["--help"], 80), help(&["help"], 80));
}

/// Names of variables that stand in string literals of the sources.
fn variables() -> BTreeSet<String> {
    const FAMILIES: [&str; 12] = [
        "ACTIONS_CACHE_",
        "ACTIONS_RESULTS_",
        "ACTIONS_RUNTIME_",
        "BUILDKIT_",
        "BUILDX_",
        "CLICOLOR_",
        "COMPOSE_",
        "DOC2MD_DOCKER_",
        "DOCKER_",
        "GITHUB_",
        "GITLAB_",
        "XDG_STATE_",
    ];
    const SINGLE: [&str; 17] = [
        "AWS_ACCESS_KEY_ID",
        "AWS_SECRET_ACCESS_KEY",
        "AWS_SESSION_TOKEN",
        "CI",
        "CI_COMMIT_BRANCH",
        "CI_DEFAULT_BRANCH",
        "CI_MERGE_REQUEST_SOURCE_BRANCH_NAME",
        "CI_MERGE_REQUEST_TARGET_BRANCH_NAME",
        "CI_PIPELINE_SOURCE",
        "CI_PROJECT_PATH",
        "LANG",
        "LC_ALL",
        "LC_CTYPE",
        "NO_COLOR",
        "SOURCE_DATE_EPOCH",
        "SSH_AUTH_SOCK",
        "TERM",
    ];
    // No variables of this program: build arguments of BuildKit, a workflow's own, what secrets are called, and what the
    // program tells another process of its own.
    const OTHER: [&str; 8] = [
        "BUILDKIT_CACHE_MOUNT_NS",
        "BUILDKIT_INLINE_CACHE",
        "BUILDKIT_SYNTAX",
        "DOC2MD_DOCKER_DEV_BESIDE",
        "DOC2MD_DOCKER_REPOSITORY",
        "DOC2MD_DOCKER_REVISION",
        "GITHUB_PAT",
        "GITHUB_TOKEN",
    ];
    let mut found = BTreeSet::new();
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("src")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                // Those of options have one line, DOC2MD_DOCKER_COMMAND_OPTION, and a list: `config --settings`.
                if !path.ends_with("src/settings") {
                    folders.push(path);
                }
                continue;
            }
            let text = std::fs::read_to_string(&path).unwrap_or_default();
            for name in text.split('"') {
                let is_name = name
                    .bytes()
                    .all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_');
                let family =
                    FAMILIES.iter().any(|family| name.starts_with(family) && name != *family);
                if is_name && (family || SINGLE.contains(&name)) && !OTHER.contains(&name) {
                    found.insert(name.to_owned());
                }
            }
        }
    }
    found
}

#[test]
fn every_variable_that_the_program_reads_is_in_the_help() {
    let text = help(&["--help"], 80);
    let shown = text.split_once("\nEnvironment:\n").unwrap().1;
    let variables = variables();
    assert!(variables.len() > 25, "{variables:?}");
    let words: BTreeSet<&str> = shown.split([' ', ',', '\n']).collect();
    let missing: Vec<&String> =
        variables.iter().filter(|name| !words.contains(name.as_str())).collect();
    assert!(missing.is_empty(), "{missing:?} (src/cli/variables.rs)");
    let stale: Vec<&str> = shown
        .lines()
        .filter_map(|line| line.split_whitespace().next())
        .filter(|name| name.contains('_') && !name.ends_with(',') && !variables.contains(*name))
        .collect();
    assert!(stale.is_empty(), "nothing reads {stale:?}");
}

#[test]
fn words_of_other_programs_lead_to_the_command() {
    for (word, run_this) in [
        ("diff", "history compare"),
        ("inspect", "history show"),
        ("ps", "dev ps"),
        ("bake", "build"),
        ("down", "dev down"),
    ] {
        let output = run(&[word], 80);
        assert_eq!(output.status.code(), Some(2), "{word}");
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(said.contains(&format!("`doc2md-docker {run_this}`")), "{word}: {said}");
    }
    for (word, command) in [("df", "stats"), ("du", "stats"), ("prune", "clean")] {
        assert_eq!(help(&[word, "-h"], 80), help(&[command, "-h"], 80), "{word}");
    }
}
