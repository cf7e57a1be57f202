//! Messages about images and registries.

use super::Diagnosis;
use super::pattern;
use super::rules::{self, Rule};
use crate::progress::FailureKind::{self, Registry};

/// Messages that are about neither an image nor a registry's answer.
const BEFORE: &[Rule] = &[
    Rule::new(
        FailureKind::Context,
        &["invalid response status *", "Get \"{download}"],
        "ADD cannot fetch a URL: {text}",
    )
    .hint("the engine fetches it: does the URL answer from the engine's machine?"),
    Rule::new(Registry, &["credential helper `", "in docker's config.json is damaged"], "{text}"),
];

/// A message without the name of an image is about a registry where it holds one of these.
const SIGNS: [&str; 9] = [
    "failed to do request",
    "failed to authorize",
    "pulling from host",
    "/v2/",
    "pull access denied",
    "oauth token",
    "anonymous token",
    "failed to push",
    "failed to configure registry cache",
];

/// What a registry answers. Refusals come first: they name the reason, and everything else may only be its consequence.
/// `{of}` is the image or host and a colon, `{login}` the command to log in with, `{reason}` the last cause.
const ANSWERS: &[Rule] = &[
    Rule::new(
        Registry,
        &[" 429 ", "429 Too Many", "toomanyrequests", "TOOMANYREQUESTS"],
        "{of}the registry's rate limit is reached",
    )
    .hint("wait, or log in for a higher limit: `{login}`"),
    Rule::new(
        Registry,
        &[
            "401 Unauthorized",
            "authorization failed",
            "insufficient_scope",
            "authentication required",
            "no basic auth credentials",
            "pull access denied",
        ],
        "{of}the registry asks for a login",
    )
    .hint("`{login}`, and check the image's name: registries answer the same for images that do not exist"),
    Rule::new(Registry, &["403 Forbidden", "denied"], "{of}the registry denies access")
        .hint("does the account of `{login}` have access to this image?"),
    Rule::new(
        Registry,
        &["no match for platform in manifest"],
        "{of}the image has no variant for the platform",
    )
    .hint("choose another base image or platform"),
    Rule::new(
        Registry,
        &[
            " 500 ",
            " 502 ",
            " 503 ",
            " 504 ",
            "500 Internal",
            "502 Bad",
            "503 Service",
            "504 Gateway",
        ],
        "{of}the registry failed to answer",
    )
    .hint("the registry has trouble of its own: try again later"),
    Rule::new(
        Registry,
        &[
            "no such host",
            "name resolution",
            "connection refused",
            "i/o timeout",
            "network is unreachable",
            "no route to host",
            "handshake timeout",
            "deadline exceeded",
            "EOF",
            "connection reset",
            "server misbehaving",
        ],
        "{of}the registry cannot be reached ({reason})",
    )
    .hint("the engine fetches images: check the network and proxy of the engine's machine"),
    Rule::new(
        Registry,
        &["does not look like a TLS handshake", "HTTP response to HTTPS client"],
        "{of}the registry speaks plain HTTP, not HTTPS",
    )
    .hint("list it under insecure-registries in the configuration of the engine (daemon.json), or give it TLS"),
    Rule::new(
        Registry,
        &["tls: ", "x509: "],
        "{of}the registry's TLS certificate is not accepted ({reason})",
    )
    .hint(
        "the engine must trust the registry: its authority belongs in /etc/docker/certs.d, or the host in \
         insecure-registries",
    ),
    Rule::new(Registry, &["not found", "404"], "{of}the registry has no such image or tag")
        .hint("check name and tag; a private image may need a login"),
    Rule::new(Registry, &["*"], "{text}"),
];

/// Reads a message about fetching an image or cache, or `None`. `text` is `message` without its
/// layer prefixes.
pub(super) fn classify(message: &str, text: &str) -> Option<Diagnosis> {
    if let Some(diagnosis) = rules::apply(BEFORE, text, &[]) {
        return Some(diagnosis);
    }
    let image = image(text);
    if image.is_none() && !SIGNS.iter().any(|sign| text.contains(sign)) {
        return None;
    }
    let host = host(text, image);
    let of = image.or(host.as_deref()).map(|of| format!("{of}: ")).unwrap_or_default();
    let login = match host.as_deref() {
        None | Some("docker.io" | "registry-1.docker.io") => "docker login".to_owned(),
        Some(host) => format!("docker login {host}"),
    };
    let known = [("of", of), ("login", login), ("reason", reason(text).to_owned())];
    Some(frontend(message, text, rules::apply(ANSWERS, text, &known)?))
}

/// A `# syntax=` line makes the engine fetch its frontend first; that failure needs other advice.
fn frontend(message: &str, text: &str, found: Diagnosis) -> Diagnosis {
    let is_frontend = message.contains("frontend gateway.v0") || text.contains("docker/dockerfile");
    if is_frontend { of_frontend(found) } else { found }
}

/// What is known of an image, where that is a frontend.
pub(super) fn of_frontend(found: Diagnosis) -> Diagnosis {
    let message = format!("the `# syntax=` frontend cannot be fetched: {}", found.message);
    Diagnosis::new(FailureKind::Registry, message).hint(
        "the engine has a Dockerfile frontend of its own: without the `# syntax=` line it needs no registry for it",
    )
}

/// The image a message is about: `IMAGE: failed to resolve source metadata for ...` of 26 and 28,
/// or 20.10's bare `IMAGE: not found`.
fn image(text: &str) -> Option<&str> {
    const RESOLVE: &str = "failed to resolve source metadata for ";
    if let Some((before, rest)) = text.split_once(RESOLVE) {
        let before = before.trim_end().trim_end_matches(':');
        return if before.is_empty() {
            rest.split_once(": ").map(|(image, _)| image)
        } else {
            Some(before)
        };
    }
    if let Some(image) = text.strip_prefix("failed to push ") {
        return image.split_once(": ").map(|(image, _)| image);
    }
    let image = text.strip_suffix(": not found")?;
    let reference = |c: char| c.is_ascii_alphanumeric() || "./:-_@".contains(c);
    (!image.is_empty() && !image.starts_with('/') && image.chars().all(reference)).then_some(image)
}

/// The registry's host: of the URL in the message, else of the image.
fn host(text: &str, image: Option<&str>) -> Option<String> {
    let url = text.split_once("://").map(|(_, rest)| rest);
    let named = pattern::read("*pulling from host {host} *", text);
    let of_image = || {
        let (first, _) = image?.split_once('/')?;
        (first.contains(['.', ':']) || first == "localhost").then_some(first)
    };
    let host = url
        .and_then(|rest| rest.split(['/', '"', ' ', '?']).next())
        .or_else(|| named.as_ref()?.get("host"))
        .or_else(of_image)?;
    Some(host.to_owned())
}

/// The last part of a chain of causes; it is the one that says what happened.
fn reason(text: &str) -> &str {
    let last = text.rsplit(": ").next().unwrap_or(text);
    // BuildKit appends its guess at a stage name to whatever the registry said.
    last.split(" (did you mean ").next().unwrap_or(last)
}
