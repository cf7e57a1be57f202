//! The help of every command: groups of commands, examples, exit codes, environment variables.
//!
//! clap has the options; what it has no place for stands here, one [`Page`] a command, and goes below the options of
//! `--help`. `-h` is for a look: one screen, the options of every day, where the rest is.

use std::fmt::Write as _;

use clap::{Command, CommandFactory as _};

use super::variables::VARIABLES;

/// What the help of a command says besides its options.
struct Page {
    /// The command, with its parents: `history show`.
    command: &'static str,
    /// Command lines that somebody would type, without the program's name, and what they do.
    examples: &'static [(&'static str, &'static str)],
    /// The exit codes it can have besides 0, 2 and 130.
    codes: &'static [u8],
}

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

/// Every command has one; a test says which is missing, and reads every example as a command line.
const PAGES: &[Page] = &[
    Page {
        command: "init",
        examples: &[
            ("init --dry-run", "show what would be written"),
            ("init --api app.main:app", "name the app where it is not found"),
            ("init --example demo", "a small Doc2MD in a new folder"),
        ],
        codes: &[1],
    },
    Page {
        command: "context",
        examples: &[
            ("context ls", "what each build sends, the largest paths first"),
            ("context explain .git", "which pattern decides, and who reads it"),
        ],
        codes: &[5],
    },
    Page {
        command: "context ls",
        examples: &[
            ("context ls", "what each build sends, by path"),
            ("context ls -d 2 worker", "one service, two levels deep"),
        ],
        codes: &[5],
    },
    Page {
        command: "context explain",
        examples: &[("context explain models/big.bin", "why it is sent, or not")],
        codes: &[5],
    },
    Page {
        command: "check",
        examples: &[
            ("check", "what costs builds of this project time or disk"),
            ("check --fix --dry-run", "the changes that are safe, as a diff"),
            (
                "check --severity error --format github",
                "in CI: annotations, exit code 4 for errors only",
            ),
            ("check --format sarif worker > check.sarif", "one service, for code scanning"),
        ],
        codes: &[1, 4, 5],
    },
    Page {
        command: "cache",
        examples: &[
            ("cache save --to cache", "what the mounts hold, into a folder"),
            ("cache restore --from cache", "and back, on an engine that has nothing"),
        ],
        codes: &[1, 3, 5],
    },
    Page {
        command: "cache ls",
        examples: &[("cache ls worker", "the mounts of one service, and what they hold")],
        codes: &[1, 3, 5],
    },
    Page {
        command: "cache save",
        examples: &[
            ("cache save --to type=local,dest=cache", "all mounts of the project"),
            ("cache save --to cache --max-size 2GB worker", "without what nothing uses any more"),
            ("cache save --to cache --rate 30MB --never '*uv'", "what is worth it on a slow way"),
        ],
        codes: &[1, 3, 5],
    },
    Page {
        command: "cache restore",
        examples: &[
            ("cache restore --from type=local,src=cache", "mounts that hold nothing yet"),
            ("cache restore --from cache --merge", "keep what they hold, add the rest"),
        ],
        codes: &[1, 3, 5],
    },
    Page {
        command: "cache keep",
        examples: &[("cache keep", "from a timer, such as cron's: once a day is enough")],
        codes: &[1, 3, 5],
    },
    Page {
        command: "cache rm",
        examples: &[
            ("cache rm /root/.cache/pip", "one mount, after a question"),
            ("cache rm --dry-run go-build go-mod", "what would go, and who else uses it"),
        ],
        codes: &[1, 3, 5],
    },
    Page {
        command: "cache export",
        examples: &[
            ("cache export /root/.cache/pip -o pip.tar.zst", "what the mount holds, as a file"),
            ("cache export go-build -o go.tar", "not compressed, as the name says"),
        ],
        codes: &[1, 3, 5],
    },
    Page {
        command: "cache import",
        examples: &[
            ("cache import /root/.cache/pip pip.tar.zst", "a mount that holds nothing yet"),
            ("cache import --merge go-build build.tar", "add to what it holds"),
        ],
        codes: &[1, 3, 5],
    },
    Page {
        command: "build",
        examples: &[
            ("build", "every service with a build section"),
            ("build --with-dependencies worker", "one service and what it depends on"),
            ("build --no-cache-filter deps --pull", "some stages again, on the newest bases"),
            ("build --set worker.args.TORCH=cpu", "another value for one target"),
            ("build --set api.output=type=local,dest=out api", "files instead of an image"),
            (
                "build --cache-to type=local,dest=cache,mode=max",
                "keep the cache in a directory; --cache-from type=local,src=cache reads it",
            ),
            ("build --timeline build.html", "a page that shows what took the time"),
            ("build --dry-run", "what would run now, and why"),
        ],
        codes: &[1, 3, 4, 5],
    },
    Page {
        command: "dev",
        examples: &[
            ("dev -d", "build, start, and come back to the shell"),
            ("dev logs -f api", "follow what a service says"),
            ("dev exec api sh", "a shell in a running container"),
            ("dev down -v", "stop it, and remove its volumes"),
        ],
        codes: &[1, 3, 5],
    },
    Page {
        command: "dev up",
        examples: &[
            ("dev up -d api", "one service and what it depends on"),
            ("dev up -- --force-recreate", "an option of docker compose up"),
        ],
        codes: &[1, 3, 5],
    },
    Page {
        command: "lock",
        examples: &[
            ("lock", "pin what is new, keep what is locked"),
            ("lock --check", "in CI: exit code 4 where a lock does not fit"),
            ("lock --upgrade-package torch --torch cpu", "one package newer, built for CPUs"),
        ],
        codes: &[1, 3, 4, 5],
    },
    Page {
        command: "config",
        examples: &[
            ("config", "the whole project, as a compose file"),
            ("config --services", "the names of its services"),
            ("config --settings", "defaults of commands, and where each comes from"),
            ("config -q", "only check the files"),
        ],
        codes: &[5],
    },
    Page {
        command: "why",
        examples: &[
            ("why", "the last build"),
            ("why worker --build latest~1", "one service of the build before"),
            ("why --next", "what would run now"),
        ],
        codes: &[1, 3, 5],
    },
    Page {
        command: "history",
        examples: &[
            ("history", "the last 20 builds"),
            ("history show", "the steps of the last one"),
            ("history compare", "the last two, side by side"),
        ],
        codes: &[1, 5],
    },
    Page {
        command: "history ls",
        examples: &[
            ("history ls -n 5", "the last five"),
            ("history ls --format json", "for scripts"),
        ],
        codes: &[1, 5],
    },
    Page {
        command: "history show",
        examples: &[
            ("history show latest~1", "the build before the last"),
            ("history show --timeline build.html", "draw it as a page"),
        ],
        codes: &[1, 5],
    },
    Page {
        command: "history compare",
        examples: &[
            ("history compare", "the last two builds"),
            ("history compare latest~5 latest", "any two"),
        ],
        codes: &[1, 5],
    },
    Page {
        command: "history logs",
        examples: &[
            ("history logs", "what the steps of the last build said"),
            ("history logs latest~1 worker", "of one service, one build before"),
        ],
        codes: &[1, 3, 5],
    },
    Page {
        command: "history rm",
        examples: &[
            ("history rm latest", "forget the last build"),
            ("history rm --all", "forget all of them"),
        ],
        codes: &[1, 5],
    },
    Page {
        command: "bench",
        examples: &[
            ("bench", "first, unchanged, code, requirement; three runs each"),
            ("bench --case code --code api/main.py --runs 5", "one case, one file"),
            ("bench --against ../other --format markdown", "two projects, for a page"),
        ],
        codes: &[1, 3, 5],
    },
    Page {
        command: "builders",
        examples: &[
            ("builders", "all of them"),
            ("builders inspect", "the one a build would go to"),
        ],
        codes: &[3],
    },
    Page {
        command: "builders ls",
        examples: &[("builders ls --format json", "for scripts")],
        codes: &[3],
    },
    Page {
        command: "builders inspect",
        examples: &[("builders inspect big", "one by its name")],
        codes: &[3],
    },
    Page {
        command: "doctor",
        examples: &[
            ("doctor", "what is wrong, and what to do"),
            ("doctor --bundle report.json", "the same for a report"),
        ],
        codes: &[1, 3],
    },
    Page {
        command: "ls",
        examples: &[
            ("ls", "name, size, what runs, last build, directory"),
            ("ls --format json", "for scripts"),
        ],
        codes: &[1, 3],
    },
    Page {
        command: "stats",
        examples: &[
            ("stats", "images, containers, volumes, build cache"),
            ("stats -v", "every layer and cache record, too"),
            ("stats --budget api=300MB --max-growth 10%", "in CI: exit code 4 when an image grows"),
            ("stats -p NAME", "a project whose files are gone"),
            ("stats --format prometheus", "for a textfile collector"),
        ],
        codes: &[1, 3, 4, 5],
    },
    Page {
        command: "clean",
        examples: &[
            ("clean --dry-run", "show what would go, and what stays and why"),
            ("clean --old", "what earlier builds left; what is current stays cached"),
            ("clean --volumes=false", "everything but the volumes"),
            ("clean --only cache", "the project's build cache alone"),
            ("clean --max-used-space 5GB", "its least recently used cache above 5 GB"),
            ("clean -p NAME", "a project whose files are gone"),
        ],
        codes: &[1, 3, 5],
    },
    Page {
        command: "completions",
        examples: &[("completions bash", "the script for bash; see above where it goes")],
        codes: &[1],
    },
    Page {
        command: "man",
        examples: &[
            ("man build", "the page of one command; `| man -l -` shows it"),
            ("man --output ~/.local/share/man/man1", "all pages, where `man` finds them"),
        ],
        codes: &[1],
    },
    Page {
        command: "plugin",
        examples: &[("plugin install", "from then on: docker doc2md build")],
        codes: &[1],
    },
    Page {
        command: "plugin install",
        examples: &[("plugin install --force", "replace what has the name there")],
        codes: &[1],
    },
    Page {
        command: "plugin remove",
        examples: &[("plugin remove", "docker no longer knows it")],
        codes: &[1],
    },
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
