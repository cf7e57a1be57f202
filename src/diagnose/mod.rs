//! What an engine's error text means: a kind, a message without transport prefixes, a hint.
//!
//! Pure: texts in, plain values out. The wordings are those of BuildKit in Engine 20.10, 26.1 and
//! 28.5; 20.10 sends nothing but text, so the text is what decides.

mod disk;
mod explain;
mod limits;
mod output;
mod registry;

pub use disk::{FREE_SPACE, says_full};
pub use explain::{Dockerfile, EngineFailure, Explanation, explain};
pub(crate) use limits::too_many_headers;
pub use output::OutputHints;

use crate::dockerfile::parse_error;
use crate::progress::FailureKind;

/// What a message says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnosis {
    /// Kind of failure.
    pub kind: FailureKind,
    /// The message for the user: lowercase, one line unless the engine's own has more.
    pub message: String,
    /// What the user could do.
    pub hint: Option<String>,
    /// The object in the Dockerfile the message is about.
    pub subject: Option<Subject>,
}

/// What in a Dockerfile a message points at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Subject {
    /// A path of COPY or ADD that is not in the context, without the leading slash.
    Path(String),
    /// A path of COPY --from that is not in the other stage or image.
    StagePath(String),
    /// A stage that does not exist.
    Stage(String),
    /// A line of the Dockerfile, and the word at fault where it is known.
    Line(usize, Option<String>),
    /// The first line that is longer than BuildKit reads.
    LongLine,
}

impl Diagnosis {
    fn new(kind: FailureKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), hint: None, subject: None }
    }

    fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    fn about(mut self, subject: Subject) -> Self {
        self.subject = Some(subject);
        self
    }
}

/// Reads an engine's message.
pub fn classify(message: &str) -> Diagnosis {
    let text = clean(message);
    disk::classify(text)
        .or_else(|| failed_command(text))
        .or_else(|| git_context(text))
        .or_else(|| ignore_pattern(text))
        .or_else(|| session_object(text))
        .or_else(|| missing_path(text))
        .or_else(|| limits::classify(text))
        .or_else(|| registry::classify(message, text))
        .or_else(|| dockerfile(text))
        .or_else(|| engine_lost(text))
        .or_else(|| not_allowed(text))
        .or_else(|| no_checks(text))
        .unwrap_or_else(|| Diagnosis::new(FailureKind::Engine, text))
}

/// Prefixes that name layers of BuildKit and gRPC, not causes.
const PREFIXES: [&str; 9] = [
    "failed to build: ",
    "failed to solve: ",
    "failed to solve with frontend dockerfile.v0: ",
    "failed to solve with frontend gateway.v0: ",
    "failed to create LLB definition: ",
    "failed to load cache key: ",
    "failed to compute cache key: ",
    "failed to load LLB: ",
    "error from receiver: ",
];

fn clean(message: &str) -> &str {
    let mut text = message.trim();
    loop {
        let shorter = PREFIXES.iter().find_map(|prefix| text.strip_prefix(prefix)).or_else(|| {
            // rpc error: code = Unknown desc = ...
            text.strip_prefix("rpc error: code = ")?.split_once(" desc = ").map(|(_, rest)| rest)
        });
        match shorter {
            Some(shorter) => text = shorter.trim_start(),
            None => return text,
        }
    }
}

/// The text between the first `before` and the next `after`.
fn between<'a>(text: &'a str, before: &str, after: &str) -> Option<&'a str> {
    let (_, rest) = text.split_once(before)?;
    rest.split_once(after).map(|(found, _)| found)
}

fn no_checks(text: &str) -> Option<Diagnosis> {
    text.contains("unsupported request frontend.lint").then(|| {
        Diagnosis::new(FailureKind::Engine, "this engine's Dockerfile frontend has no checks").hint(
            "use Docker 27.1 or newer, or name a newer frontend in the first line of the Dockerfile: \
             # syntax=docker/dockerfile:1",
        )
    })
}

/// The command of a RUN that failed, and what became of it.
fn command_and_outcome(text: &str) -> Option<(&str, &str)> {
    let process = text.strip_prefix("process \"");
    process.and_then(|rest| rest.split_once("\" did not complete successfully: ")).or_else(|| {
        text.strip_prefix("executor failed running [").and_then(|rest| rest.rsplit_once("]: "))
    })
}

fn failed_command(text: &str) -> Option<Diagnosis> {
    let (command, outcome) = command_and_outcome(text)?;
    let command = shown_command(command);
    let Some(code) = outcome.strip_prefix("exit code: ") else {
        return Some(Diagnosis::new(
            FailureKind::Step,
            format!("cannot run `{command}`: {outcome}"),
        ));
    };
    let failed =
        Diagnosis::new(FailureKind::Step, format!("`{command}` ended with exit code {code}"));
    Some(match code.trim() {
        "126" => failed.hint("exit code 126: the program was found but is not executable"),
        "127" => failed.hint("exit code 127: a program was not found; is it installed in an earlier step, and on PATH?"),
        "137" => failed.hint("exit code 137: the process was killed, most often because memory ran out"),
        "139" => failed.hint("exit code 139: the program crashed (segmentation fault)"),
        _ => failed,
    })
}

/// The first line of a command, without the shell in front; the engine quotes newlines.
fn shown_command(command: &str) -> String {
    const WIDTH: usize = 100;
    let command = command.strip_prefix("/bin/sh -c ").unwrap_or(command);
    let command = command.replace("\\\"", "\"");
    let mut lines =
        command.split("\\n").flat_map(str::lines).map(str::trim).filter(|line| !line.is_empty());
    let first = lines.next().unwrap_or_default();
    let mut shown: String = first.chars().take(WIDTH).collect();
    if lines.next().is_some() || first.chars().count() > WIDTH {
        shown.push_str(" …");
    }
    // Continuation lines of a Dockerfile leave long runs of blanks.
    shown.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Secrets and ssh agents a step requires and nobody gave.
fn session_object(text: &str) -> Option<Diagnosis> {
    let secret = text
        .strip_prefix("secret ")
        .and_then(|rest| rest.strip_suffix(": not found"))
        .map(|id| id.strip_suffix(" not found").unwrap_or(id).trim_matches('`'));
    if let Some(id) = secret.filter(|id| !id.contains(' ')) {
        return Some(
            Diagnosis::new(
                FailureKind::Step,
                format!("a step requires secret `{id}`, which was not given"),
            )
            .hint(format!(
                "list it under build.secrets of the service, or give --secret id={id},src=FILE"
            )),
        );
    }
    let id = text
        .strip_prefix("unset ssh forward key ")
        .or_else(|| text.strip_prefix("no ssh agent or key was given for id "))
        .or_else(|| between(text, "no SSH key ", " forwarded from the client"))
        .map(|id| id.trim_matches(['`', '"']))?;
    // A mount without an id asks for the default one; 20.10 to 28.5 say it so.
    let id = if id.is_empty() { "default" } else { id };
    Some(
        Diagnosis::new(
            FailureKind::Step,
            format!("a step requires ssh `{id}`, which was not given"),
        )
        .hint(format!("list it under build.ssh of the service, or give --ssh {id}")),
    )
}

/// What a git context does not have, or git does not get: the messages come with the Dockerfile that was to be
/// read from it. Which context it is, the caller knows.
fn git_context(text: &str) -> Option<Diagnosis> {
    let text = text.strip_prefix("failed to read dockerfile: ").unwrap_or(text);
    let context = |what: String| Diagnosis::new(FailureKind::Context, format!("`context:` {what}"));
    if let Some(reference) = between(text, "repository does not contain ref ", ",") {
        let what = format!("names `{reference}`, which the git repository does not have");
        return Some(context(what).hint("a branch, a tag or a commit stands behind the `#`"));
    }
    if let Some(path) = between(text, "invalid subdir ", ": ") {
        let what = format!("names the directory `{path}`, which the git repository does not have");
        return Some(context(what).hint("it stands behind the `:` of the part behind the `#`"));
    }
    if text.ends_with("subdir not supported yet") {
        let what = "names a directory of a git repository, which this engine does not take";
        return Some(context(what.to_owned()).hint("use Docker 23 or newer, or BuildKit 0.10"));
    }
    let text = text.strip_prefix("failed to load cache key: ")?;
    // 20.10 asks a service that the session does not have.
    let no_key = text.contains("no SSH key ") && text.contains(" forwarded from the client")
        || text.starts_with("rpc error: code = Unimplemented");
    no_key.then(|| {
        context("is fetched over ssh, for which no agent or key was given".to_owned())
            .hint("list it under build.ssh of the service, or give --ssh default")
    })
}

/// A pattern that an ignore file was found to have only by the engine.
fn ignore_pattern(text: &str) -> Option<Diagnosis> {
    let signs =
        ["invalid exclude patterns: ", "illegal exclusion pattern: ", "syntax error in pattern"];
    if !signs.iter().any(|sign| text.contains(sign)) {
        return None;
    }
    let pattern = text.split_once('"').and_then(|(_, rest)| rest.strip_suffix('"'));
    let pattern = pattern.map(|it| format!(" `{it}`")).unwrap_or_default();
    let message = format!(".dockerignore has a pattern{pattern} that cannot be read");
    Some(Diagnosis::new(FailureKind::Context, message))
}

/// The URL of a git context that git could not fetch, in the words of 20.10 or of 26 and 28.
fn remote_context(text: &str) -> Option<&str> {
    let rest = text
        .split_once("failed to fetch remote ")
        .or_else(|| text.split_once("error fetching default branch for repository "))?
        .1;
    Some(rest.split_once(": ").map_or(rest, |(url, _)| url))
}

fn missing_path(text: &str) -> Option<Diagnosis> {
    if let Some(url) = remote_context(text) {
        let reason = text.lines().find_map(|line| line.trim().strip_prefix("fatal: "));
        let reason = reason.map(|reason| format!(": {reason}")).unwrap_or_default();
        return Some(
            Diagnosis::new(
                FailureKind::Context,
                format!("the engine cannot fetch the build context {url}{reason}"),
            )
            .hint("the engine's machine fetches it: check the URL, its access and the network"),
        );
    }
    let unread = text.strip_prefix("failed to read dockerfile: ");
    if let Some(path) = unread.filter(|path| !path.starts_with("failed to load cache key: ")) {
        let path = between(path, "open ", ": no such file").unwrap_or(path);
        // 20.10 tells its own temporary folder.
        let path = path
            .rsplit_once("/buildkit-mount")
            .map_or(path, |(_, rest)| rest.split_once('/').map_or(rest, |(_, path)| path));
        return Some(
            Diagnosis::new(FailureKind::Dockerfile, format!("there is no Dockerfile at {path}"))
                .hint("`build.dockerfile` is relative to the build context"),
        );
    }
    // 26 and 28: failed to calculate checksum of ref X::Y: "/path": not found; 20.10: "/path" not found: not found
    let checksum = text.strip_prefix("failed to calculate checksum of ref ").and_then(|rest| {
        rest.split_once(": \"").and_then(|(_, rest)| rest.strip_suffix("\": not found"))
    });
    let bare =
        || text.strip_prefix('"').and_then(|rest| rest.strip_suffix("\" not found: not found"));
    if let Some(path) = checksum.or_else(bare) {
        let path = path.trim_start_matches('/').to_owned();
        return Some(
            Diagnosis::new(FailureKind::Context, format!("`{path}` is not in the build context"))
                .hint("paths of COPY and ADD are relative to the build context, and .dockerignore may exclude them")
                .about(Subject::Path(path)),
        );
    }
    let path = text.strip_prefix("lstat ")?.strip_suffix(": no such file or directory")?;
    let path = path.rsplit_once("/merged/").map_or(path, |(_, path)| path);
    let path = path
        .rsplit_once("/buildkit-mount")
        .and_then(|(_, rest)| rest.split_once('/'))
        .map_or(path, |(_, path)| path)
        .trim_start_matches('/');
    Some(
        Diagnosis::new(
            FailureKind::Context,
            format!("`/{path}` is not in the stage or image it is copied from"),
        )
        .hint("the step that should make this file runs in the stage that COPY --from names")
        .about(Subject::StagePath(path.to_owned())),
    )
}

/// Complaints about a Dockerfile that carry no line (BuildKit `dockerfile2llb`, `instructions`).
const DOCKERFILE_TEXTS: [&str; 16] = [
    "the Dockerfile cannot be empty",
    "no build stage in current context",
    "should not be blank",
    "failed to parse stage name",
    "circular dependency detected on stage",
    "must have two arguments",
    "requires at least",
    "requires exactly",
    "unsupported mount type",
    "unterminated heredoc",
    "unknown instruction",
    "unknown flag",
    "failed to process",
    "invalid field",
    "invalid reference format",
    "syntax error",
];

fn dockerfile(text: &str) -> Option<Diagnosis> {
    if let Some((line, text)) = parse_error(text) {
        let word = ["unknown instruction: ", "unknown flag: ", "Unknown flag: "]
            .iter()
            .find_map(|prefix| text.strip_prefix(prefix))
            .and_then(|rest| rest.split(' ').next())
            .map(|word| word.trim_start_matches('-').to_owned());
        let message = format!("the Dockerfile is invalid in line {line}: {text}");
        return Some(
            Diagnosis::new(FailureKind::Dockerfile, message).about(Subject::Line(line, word)),
        );
    }
    if let Some(rest) = text.strip_prefix("target stage ") {
        let stage = rest.split(" could not be found").next().unwrap_or(rest).trim_matches('"');
        return Some(
            Diagnosis::new(
                FailureKind::Dockerfile,
                format!("the Dockerfile has no stage `{stage}`"),
            )
            .about(Subject::Stage(stage.to_owned())),
        );
    }
    let diagnosis =
        Diagnosis::new(FailureKind::Dockerfile, format!("the Dockerfile is invalid: {text}"));
    if text.contains("should not be blank") || text.contains("failed to parse stage name") {
        return Some(diagnosis.hint(
            "an ARG that FROM uses needs a default before the first FROM, or a value in build.args",
        ));
    }
    DOCKERFILE_TEXTS.iter().any(|known| text.contains(known)).then_some(diagnosis)
}

/// Signs that the connection ended, not the build.
const LOST: [&str; 12] = [
    "transport error",
    "transport is closing",
    "error reading from server: EOF",
    "unexpected EOF",
    "connection reset",
    "broken pipe",
    "connection closed",
    "connection error",
    "tcp connect error",
    "h2 protocol error",
    "no active session for",
    "operation was canceled: connection",
];

fn engine_lost(text: &str) -> Option<Diagnosis> {
    (text == "EOF" || LOST.iter().any(|sign| text.contains(sign))).then(lost)
}

/// The diagnosis for a connection that ended in mid-build, however that showed.
pub fn lost() -> Diagnosis {
    Diagnosis::new(
        FailureKind::EngineLost,
        "the connection to the engine was lost during the build",
    )
    .hint("check that the engine is running, then build again: finished steps are cached")
}

fn not_allowed(text: &str) -> Option<Diagnosis> {
    let entitlement = text.strip_suffix(" is not allowed").filter(|name| !name.contains(' '))?;
    Some(Diagnosis::new(FailureKind::Engine, format!("a step needs {entitlement}, which was not granted")).hint(
        format!("list {entitlement} under build.entitlements of the service; the engine must allow it too"),
    ))
}

#[cfg(test)]
mod tests;
