//! What messages mean: a table of signs, kinds, messages and hints. The wordings are those of BuildKit in Engine 20.10,
//! 26.1 and 28.5; a rule that has several signs says of all of them the same.
//!
//! The first rule that fits counts. `{text}` is the whole message; how signs are read and slots are shown is in
//! `pattern.rs`. Messages about registries have a table of their own between the two of this file.

use super::pattern::{self, Slots};
use super::{Diagnosis, Subject};
use crate::buildkit::OVER_LIMIT;
use crate::progress::FailureKind::{self, Context, Dockerfile, Engine, EngineLost, Step};

pub(super) const MADE_IN_STAGE: &str =
    "the step that should make this file runs in the stage that it is taken from";
pub(super) const IN_CONTEXT: &str =
    "paths of COPY and ADD are relative to the build context, and .dockerignore may exclude them";

/// What messages that read like one of `signs` mean.
pub(super) struct Rule {
    kind: FailureKind,
    signs: &'static [&'static str],
    message: &'static str,
    hint: &'static str,
    subject: fn(&Slots) -> Option<Subject>,
}

impl Rule {
    pub(super) const fn new(
        kind: FailureKind,
        signs: &'static [&'static str],
        message: &'static str,
    ) -> Self {
        Self { kind, signs, message, hint: "", subject: |_| None }
    }

    pub(super) const fn hint(self, hint: &'static str) -> Self {
        Self { hint, ..self }
    }

    const fn about(self, subject: fn(&Slots) -> Option<Subject>) -> Self {
        Self { subject, ..self }
    }
}

/// The diagnosis of the first rule that fits. `known` are slots that do not come out of the signs.
pub(super) fn apply(
    rules: &[Rule],
    text: &str,
    known: &[(&'static str, String)],
) -> Option<Diagnosis> {
    rules.iter().find_map(|rule| {
        let mut slots = rule.signs.iter().find_map(|sign| pattern::read(sign, text))?;
        slots.set("text", text);
        known.iter().for_each(|(name, value)| slots.set(name, value.as_str()));
        let diagnosis = Diagnosis::new(rule.kind, slots.fill(rule.message));
        Some(Diagnosis {
            hint: Some(slots.fill(rule.hint)).filter(|hint| !hint.is_empty()),
            subject: (rule.subject)(&slots),
            ..diagnosis
        })
    })
}

fn path(slots: &Slots) -> Option<Subject> {
    slots.get("path").map(|path| Subject::Path(path.to_owned()))
}

fn remote_context(_: &Slots) -> Option<Subject> {
    Some(Subject::RemoteContext)
}

/// The line, and the word in it that the error begins with.
fn line(slots: &Slots) -> Option<Subject> {
    let line = slots.get("line")?.parse().ok()?;
    let error = slots.get("error")?;
    let word = ["unknown instruction: ", "unknown flag: ", "Unknown flag: "]
        .iter()
        .find_map(|prefix| error.strip_prefix(prefix))
        .and_then(|rest| rest.split(' ').next())
        .map(|word| word.trim_start_matches('-').to_owned());
    Some(Subject::Line(line, word))
}

/// Messages that say exactly what happened.
pub(super) const EXACT: &[Rule] = &[
    // A command of RUN. 20.10 says it in the second way.
    Rule::new(Step, &[
        "process \"{command}\" did not complete successfully: exit code: 126",
        "executor failed running [{command}]: exit code: 126",
    ], "`{command}` ended with exit code 126")
    .hint("exit code 126: the program was found but is not executable"),
    Rule::new(Step, &[
        "process \"{command}\" did not complete successfully: exit code: 127",
        "executor failed running [{command}]: exit code: 127",
    ], "`{command}` ended with exit code 127")
    .hint("exit code 127: a program was not found; is it installed in an earlier step, and on PATH?"),
    Rule::new(Step, &[
        "process \"{command}\" did not complete successfully: exit code: 137",
        "executor failed running [{command}]: exit code: 137",
    ], "`{command}` ended with exit code 137")
    .hint("exit code 137: the process was killed, most often because memory ran out"),
    Rule::new(Step, &[
        "process \"{command}\" did not complete successfully: exit code: 139",
        "executor failed running [{command}]: exit code: 139",
    ], "`{command}` ended with exit code 139")
    .hint("exit code 139: the program crashed (segmentation fault)"),
    Rule::new(Step, &[
        "process \"{command}\" did not complete successfully: exit code: {code}",
        "executor failed running [{command}]: exit code: {code}",
    ], "`{command}` ended with exit code {code}"),
    Rule::new(Step, &[
        "process \"{command}\" did not complete successfully: {outcome}",
        "executor failed running [{command}]: {outcome}",
    ], "cannot run `{command}`: {outcome}"),
    // What a git context does not have, or git does not get: the messages come with the Dockerfile that was to be read
    // from it. Which context it is, the caller knows. 20.10 asks a service that the session does not have.
    Rule::new(Context, &["*repository does not contain ref {reference},*"],
        "`context:` names `{reference}`, which the git repository does not have")
    .hint("a branch, a tag or a commit stands behind the `#`")
    .about(remote_context),
    Rule::new(Context, &["*invalid subdir {directory}: *"],
        "`context:` names the directory `{directory}`, which the git repository does not have")
    .hint("it stands behind the `:` of the part behind the `#`")
    .about(remote_context),
    Rule::new(Context, &["*subdir not supported yet"],
        "`context:` names a directory of a git repository, which this engine does not take")
    .hint("use Docker 23 or newer, or BuildKit 0.10")
    .about(remote_context),
    Rule::new(Context, &[
        "failed to read dockerfile: failed to load cache key: *no SSH key * forwarded from the client*",
        "failed to read dockerfile: failed to load cache key: rpc error: code = Unimplemented*",
    ], "`context:` is fetched over ssh, for which no agent or key was given")
    .hint("list it under build.ssh of the service, or give --ssh default")
    .about(remote_context),
    // A pattern that an ignore file was found to have only by the engine.
    Rule::new(Context, &[
        "*invalid exclude patterns: *\"{pattern}\"",
        "*illegal exclusion pattern: *\"{pattern}\"",
        "*syntax error in pattern*\"{pattern}\"",
    ], ".dockerignore has a pattern `{pattern}` that cannot be read"),
    Rule::new(Context,
        &["invalid exclude patterns: ", "illegal exclusion pattern: ", "syntax error in pattern"],
        ".dockerignore has a pattern that cannot be read"),
    // Secrets and ssh agents that a step requires and nobody gave.
    Rule::new(Step, &["secret {secret} not found: not found", "secret {secret}: not found"],
        "a step requires secret `{secret}`, which was not given")
    .hint("list it under build.secrets of the service, or give --secret id={secret},src=FILE"),
    Rule::new(Step, &[
        "unset ssh forward key {ssh}",
        "no ssh agent or key was given for id {ssh}",
        "*no SSH key {ssh} forwarded from the client*",
    ], "a step requires ssh `{ssh}`, which was not given")
    .hint("list it under build.ssh of the service, or give --ssh {ssh}"),
    // Contexts that git cannot fetch: 20.10 in the first way.
    Rule::new(Context, &[
        "*failed to fetch remote {url}: *fatal: {fatal}",
        "*error fetching default branch for repository {url}: *fatal: {fatal}",
    ], "the engine cannot fetch {url}: {fatal}")
    .hint(FETCHES_CONTEXT)
    .about(remote_context),
    Rule::new(Context, &[
        "*failed to fetch remote {url}: *",
        "*error fetching default branch for repository {url}: *",
        "*failed to fetch remote {url}",
        "*error fetching default branch for repository {url}",
    ], "the engine cannot fetch {url}")
    .hint(FETCHES_CONTEXT)
    .about(remote_context),
    Rule::new(Dockerfile, &[
        "failed to read dockerfile: open {dockerfile}: no such file*",
        "failed to read dockerfile: {dockerfile}",
    ], "there is no Dockerfile at {dockerfile}")
    .hint("`build.dockerfile` is relative to the build context"),
    // 26 and 28 say it in the first way, 20.10 in the second.
    Rule::new(Context, &[
        "failed to calculate checksum of ref *: \"{path}\": not found",
        "\"{path}\" not found: not found",
    ], "`{path}` is not in the build context")
    .hint(IN_CONTEXT)
    .about(path),
    // Of a wildcard, and where the folder above is missing (20.10, 26.1) or a file, it can be the build context as well.
    Rule::new(Context, &[
        "lstat {stage_path}: no such file or directory",
        "failed to walk *: lstat {stage_path}: no such file or directory",
        "failed to calculate checksum of ref *: lstat {stage_path}: no such file or directory",
        "failed to calculate checksum of ref *: lstat {stage_path}: not a directory",
        "failed to calculate checksum of ref *: failed to walk *: lstat {stage_path}: no such file or directory",
    ], "`/{stage_path}` is not where the step takes it from")
    .hint(MADE_IN_STAGE)
    .about(|slots| slots.get("stage_path").map(|path| Subject::StagePath(path.to_owned()))),
    // Where a step puts what it copies, or makes its working directory.
    Rule::new(Step, &["cannot copy to non-directory: {stage_path}"],
        "`/{stage_path}` is a file, over which no directory can be copied"),
    Rule::new(Step, &["mkdir {stage_path}: not a directory", "lstat {stage_path}: not a directory"],
        "the directory `/{stage_path}` cannot be made: it, or one above it, is a file"),
    // The containerd store says so; the other takes the owner for root.
    Rule::new(Step, &["invalid user index: *"], "the owner that --chown names cannot be looked up")
    .hint("with --link nothing below is read: give numbers, as in --chown=1000:1000"),
    // Of symbols, `u=rwX`; digits that are wrong are told in the engine's words.
    Rule::new(Dockerfile, &["=invalid syntax"], "the mode of --chmod cannot be read")
    .hint("octal digits such as 755; newer engines take symbols such as u=rwX,go=rX"),
    Rule::new(Dockerfile, &["lint violation found for rules: {rules}"],
        "the Dockerfile's own checks fail: {rules}")
    .hint("`# check=error=true` makes them errors; `check` tells each with its line"),
    // Limits of BuildKit and gRPC: the messages name numbers, and never the file at fault.
    Rule::new(Dockerfile, &["dockerfile line greater than max allowed size"],
        "the Dockerfile has a line of more than 65535 bytes, which BuildKit does not read")
    .hint("break the line with a `\\` at the end of each part")
    .about(|_| Some(Subject::LongLine)),
    // The engine asks for files with the patterns of .dockerignore and the paths of COPY as headers.
    Rule::new(Context, &["*header list size to send violates the maximum size ({limit} bytes)*"],
        "the patterns of .dockerignore and the paths of COPY and ADD are more than the {limit} bytes with which the \
         engine can ask for files")
    .hint("name directories and wider patterns rather than single files")
    .about(|_| Some(Subject::IgnoreFile)),
    // grpc-go in the engine, and tonic here.
    Rule::new(Engine, &["*received message larger than max ({size} vs. {limit})*"],
        "the engine takes messages of {limit} bytes, and what this build sends has {size}")
    .hint("shorten what is long among build arguments and labels, or put it into a file of the context"),
    Rule::new(Engine, &[
        "Error, decoded message length too large: found {size} bytes, the limit is: {limit} bytes*",
    ], "the engine's answer has {size} bytes, and {limit} are taken"),
    // What this program says itself.
    Rule::new(Engine, &[OVER_LIMIT], "{text}")
    .hint("the engine sends the whole Dockerfile with a failure: make the Dockerfile smaller"),
    // 20.10 looks at the files of one COPY all at once, and gives up where they are 2,000 (`docker build` fails the
    // same way).
    Rule::new(Engine, &["flightcontrol: exceeded retry timeout"],
        "the engine gave up on the files of a step: it is overloaded, or they are too many for it")
    .hint("build again, copy directories rather than single files, or use Docker 23 or newer"),
    // Whoever asked for an export went away while the engine kept a step, which it says of every build of it from then on
    // (`cache/refs.go`, `finalize`; seen on 28.5.2 with the containerd store). It lists the record under the first name.
    Rule::new(Engine, &["failed to commit {active} to {record} during finalize: *does not exist: not found"],
        "the engine's build cache is damaged: it has lost the files of a step whose build was cut off (record {active})")
    .hint("remove that record, on the builder if it is one, and build again: \
           docker buildx prune --all --force --filter id={active}"),
    // Kinds of caches are compiled in: docker engines have fewer (BuildKit `control/control.go`, moby `builder-next`).
    Rule::new(Engine, &["unknown cache exporter: \"{kind}\""],
        "the BuildKit of this build cannot write caches of type {kind}")
    .hint("docker engines have registry, local, inline and gha; BuildKit of a builder has s3 and azblob, too: \
           docker buildx create --driver docker-container"),
    Rule::new(Context, &["invalid UTF-8"], "{text}").about(|_| Some(Subject::NameNotUtf8)),
    Rule::new(Engine, &["unsupported frontend capability moby.buildkit.frontend.contexts"],
        "this engine does not know additional_contexts")
    .hint("use Docker 23 or newer, or name a newer frontend in the first line of the Dockerfile: \
           # syntax=docker/dockerfile:1"),
];

const FETCHES_CONTEXT: &str =
    "the engine's machine fetches it: check the URL, its access and the network";

/// Messages that say what they are about. They may stand within the words of others, so they come last.
pub(super) const GENERAL: &[Rule] = &[
    Rule::new(
        Dockerfile,
        &["*parse error on line {line}:{error}", "*parse error line {line}:{error}"],
        "the Dockerfile is invalid in line {line}: {error}",
    )
    .about(line),
    Rule::new(
        Dockerfile,
        &["target stage {stage} could not be found*", "target stage {stage}"],
        "the Dockerfile has no stage `{stage}`",
    )
    .about(|slots| slots.get("stage").map(|stage| Subject::Stage(stage.to_owned()))),
    Rule::new(
        Dockerfile,
        &["should not be blank", "failed to parse stage name"],
        "the Dockerfile is invalid: {text}",
    )
    .hint("if the name comes from an ARG, that needs a default before the first FROM, or a value in build.args"),
    // Complaints about a Dockerfile that carry no line (BuildKit `dockerfile2llb`, `instructions`).
    Rule::new(
        Dockerfile,
        &[
            "the Dockerfile cannot be empty",
            "no build stage in current context",
            "circular dependency detected on stage",
            "must have two arguments",
            "requires at least",
            "requires exactly",
            "needs to be defined before current",
            "file with no instructions",
            "invalid escape token",
            "invalid mount target",
            "failed to parse platform",
            "nvalid containerPort",
            "nvalid hostPort",
            "nvalid proto",
            "nvalid signal",
            "unsupported mount type",
            "unterminated heredoc",
            "unknown instruction",
            "unknown flag",
            "failed to process",
            "invalid field",
            "invalid reference format",
            "syntax error",
        ],
        "the Dockerfile is invalid: {text}",
    ),
    Rule::new(
        EngineLost,
        &[
            "=EOF",
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
        ],
        super::LOST,
    )
    .hint(super::AFTER_LOST),
    Rule::new(
        Engine,
        &["{entitlement} is not allowed"],
        "a step needs {entitlement}, which was not granted",
    )
    .hint(
        "list {entitlement} under build.entitlements of the service; the engine must allow it too",
    ),
    Rule::new(
        Engine,
        &["unsupported request frontend.lint"],
        "this engine's Dockerfile frontend has no checks",
    )
    .hint(
        "use Docker 27.1 or newer, or name a newer frontend in the first line of the Dockerfile: \
           # syntax=docker/dockerfile:1",
    ),
];
