//! What the words after `dev` mean: options of this program, services to start, or a command of docker compose.

use std::ffi::OsString;

use clap::Parser;

use crate::cli::GlobalArgs;
use crate::cli::dev::{DevAction, DevArgs, UpArgs};
use crate::error::{CommandError, ExitKind};

/// What is asked of `dev`.
#[derive(Debug, PartialEq, Eq)]
pub enum Request {
    /// Build, then start.
    Up {
        /// Services; all when none is named.
        services: Vec<String>,
        /// Options of compose.
        options: Vec<OsString>,
        /// Whether images are built again while compose runs.
        rebuilds: bool,
    },
    /// A command of compose, as it is.
    Compose(Vec<OsString>),
}

/// Commands of docker compose 2.40; one that came later is passed on, too, unless a service has its name.
const COMMANDS: &str = " attach bridge build commit config convert cp create down events exec export images kill logs ls pause \
    port ps publish pull push restart rm run scale start stats stop top unpause up version volumes wait watch ";

/// Options of every command that say which engine, which project and how; all take a value.
const OWN: [&str; 9] = [
    "--host",
    "-H",
    "--context",
    "--project-name",
    "--project-directory",
    "--file",
    "--profile",
    "--env-file",
    "--progress",
];

#[derive(Parser)]
#[command(no_binary_name = true)]
struct Own {
    #[command(flatten)]
    global: GlobalArgs,
}

#[derive(Parser)]
#[command(name = "doc2md-docker dev")]
struct Up {
    #[command(flatten)]
    up: UpArgs,
}

/// Takes the options of every command out of words that go to compose, since they may stand anywhere.
///
/// # Errors
/// They do not fit each other.
pub fn take_own(
    global: &GlobalArgs,
    args: &DevArgs,
) -> Result<(GlobalArgs, DevArgs), CommandError> {
    let Some(DevAction::Other(words)) = &args.action else {
        return Ok((global.clone(), args.clone()));
    };
    let (own, rest) = split(words);
    let mut taken = Own { global: global.clone() };
    taken.try_update_from(own).map_err(|error| usage(&error))?;
    // An option with a default counts as given.
    taken.global.color = global.color;
    Ok((taken.global, DevArgs { action: Some(DevAction::Other(rest)), ..args.clone() }))
}

fn usage(error: &clap::Error) -> CommandError {
    let text = error.to_string();
    let line = text.lines().next().unwrap_or_default().trim_start_matches("error: ");
    CommandError::new(ExitKind::Usage, line)
}

/// Whether words behind a command of compose are those of a program.
fn runs_program(command: &OsString) -> bool {
    command == "exec" || command == "run"
}

fn split(words: &[OsString]) -> (Vec<OsString>, Vec<OsString>) {
    let (mut own, mut rest) = (Vec::new(), Vec::new());
    let mut words = words.iter().cloned();
    let command = words.next();
    let runs_program = command.as_ref().is_some_and(runs_program);
    rest.extend(command);
    while let Some(word) = words.next() {
        let text = word.to_string_lossy();
        let name = text.split_once('=').map_or(&*text, |(name, _)| name);
        if OWN.contains(&name) {
            let has_value = text.contains('=');
            own.push(word);
            own.extend(if has_value { None } else { words.next() });
        } else if text == "--" || runs_program && !text.starts_with('-') {
            // From here on the words are compose's or a program's.
            rest.push(word);
            rest.extend(words.by_ref());
        } else {
            rest.push(word);
        }
    }
    (own, rest)
}

/// Whether an option of `up` has compose end before the services do, or when one of them ends, as one that is started
/// again does.
fn ends_early(option: &OsString) -> bool {
    const OPTIONS: [&str; 7] = [
        "-d",
        "--detach",
        "--wait",
        "--no-start",
        "--abort-on-container-exit",
        "--abort-on-container-failure",
        "--exit-code-from",
    ];
    let text = option.to_string_lossy();
    OPTIONS.contains(&text.split('=').next().unwrap_or_default())
}

/// What is asked for. `is_service` knows the services of the project.
///
/// # Errors
/// The words are not those of `up`, or options of `up` stand before another command.
pub fn request(args: &DevArgs, is_service: impl Fn(&str) -> bool) -> Result<Request, CommandError> {
    let up = |up: UpArgs| {
        let detach = (args.detach || up.detach).then(|| OsString::from("--detach"));
        let rest = up.compose.iter().map(OsString::from);
        let options: Vec<OsString> = detach.into_iter().chain(rest).collect();
        let rebuilds = !args.no_rebuild && !up.no_rebuild && !options.iter().any(ends_early);
        Request::Up { services: up.services, options, rebuilds }
    };
    match &args.action {
        None => Ok(up(UpArgs::default())),
        Some(DevAction::Up(given)) => Ok(up(given.clone())),
        Some(DevAction::Other(words)) => {
            let first = words.first().map(|word| word.to_string_lossy().into_owned());
            let first = first.unwrap_or_default();
            // What stood behind `--`.
            if first.starts_with('-') {
                let compose = words.iter().map(|word| word.to_string_lossy().into_owned());
                return Ok(up(UpArgs { compose: compose.collect(), ..UpArgs::default() }));
            }
            if is_service(&first) && !COMMANDS.contains(&format!(" {first} ")) {
                let words = std::iter::once(OsString::from("up")).chain(words.iter().cloned());
                let given = Up::try_parse_from(words).map_err(|error| usage(&error))?;
                return Ok(up(given.up));
            }
            if args.detach {
                let message = format!("--detach is an option of `dev up`, not of `dev {first}`");
                return Err(CommandError::new(ExitKind::Usage, message));
            }
            let mut words = words.clone();
            // Options of compose stand behind it, as for `up`; compose itself would take them for services.
            if !words.first().is_some_and(runs_program)
                && let Some(at) = words.iter().position(|word| word == "--")
            {
                words.remove(at);
            }
            Ok(Request::Compose(words))
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::cli::{Cli, Command};

    fn read(line: &str) -> (GlobalArgs, Result<Request, CommandError>) {
        let cli = Cli::try_parse_from(["doc2md-docker"].into_iter().chain(line.split(' ')));
        let cli = cli.unwrap_or_else(|error| panic!("{line}: {error}"));
        let Command::Dev(args) = cli.command else { panic!("{line}") };
        let (global, args) = take_own(&cli.global, &args).unwrap();
        (global, request(&args, |name| ["web", "job", "top"].contains(&name)))
    }

    fn up(services: &[&str], options: &[&str]) -> Request {
        let early = ["--detach", "--wait", "--exit-code-from"];
        let rebuilds = !options.iter().any(|it| early.contains(it));
        let options = options.iter().map(OsString::from).collect();
        Request::Up {
            services: services.iter().map(|&it| it.to_owned()).collect(),
            options,
            rebuilds,
        }
    }

    #[test]
    fn services_start_and_everything_else_is_composes() {
        for (line, wanted) in [
            ("dev", up(&[], &[])),
            ("dev -d", up(&[], &["--detach"])),
            ("dev web job", up(&["web", "job"], &[])),
            ("dev -d web", up(&["web"], &["--detach"])),
            ("dev web -d -- --wait", up(&["web"], &["--detach", "--wait"])),
            ("dev -- --wait", up(&[], &["--wait"])),
            ("dev up web -- --exit-code-from web", up(&["web"], &["--exit-code-from", "web"])),
            ("dev up top", up(&["top"], &[])),
        ] {
            assert_eq!(read(line).1.unwrap(), wanted, "{line}");
        }
        for (line, wanted) in [
            ("dev ps", "ps"),
            ("dev top", "top"),
            ("dev down -v", "down -v"),
            ("dev down -v -- --timeout 0", "down -v --timeout 0"),
            ("dev logs --tail 3 -f web", "logs --tail 3 -f web"),
            ("dev exec -T web sh -c -- --host", "exec -T web sh -c -- --host"),
            ("dev run --rm web x --file y", "run --rm web x --file y"),
            ("dev restart", "restart"),
            ("dev unknown -x", "unknown -x"),
        ] {
            let words = wanted.split(' ').map(OsString::from).collect();
            assert_eq!(read(line).1.unwrap(), Request::Compose(words), "{line}");
        }
        for line in ["dev --no-rebuild", "dev up --no-rebuild web", "dev web --no-rebuild"] {
            let request = read(line).1.unwrap();
            assert!(matches!(request, Request::Up { rebuilds: false, .. }), "{line}");
        }
        assert!(read("dev -d ps").1.unwrap_err().message.contains("--detach"));
    }

    #[test]
    fn options_of_every_command_may_stand_behind_a_command_of_compose() {
        let (global, request) =
            read("--color never dev logs web --host unix:///x --project-name=n --tail 1");
        assert_eq!(global.host.as_deref(), Some("unix:///x"));
        assert_eq!(global.project.project_name.as_deref(), Some("n"));
        assert_eq!(global.color, crate::cli::ColorMode::Never);
        let words = ["logs", "web", "--tail", "1"].map(OsString::from).to_vec();
        assert_eq!(request.unwrap(), Request::Compose(words));
        let (global, _) = read("--host unix:///x dev ps");
        assert_eq!(global.host.as_deref(), Some("unix:///x"));
    }
}
