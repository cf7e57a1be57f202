//! Messages about images and registries.

use super::Diagnosis;
use crate::progress::FailureKind;

/// Reads a message about fetching an image or cache, or `None`. `text` is `message` without its
/// layer prefixes.
pub(super) fn classify(message: &str, text: &str) -> Option<Diagnosis> {
    if let Some(url) = downloaded(text) {
        return Some(
            Diagnosis::new(FailureKind::Context, format!("ADD cannot fetch a URL: {url}"))
                .hint("the engine fetches it: does the URL answer from the engine's machine?"),
        );
    }
    if text.contains("credential helper `") || text.contains("in docker's config.json is damaged") {
        return Some(Diagnosis::new(FailureKind::Registry, text));
    }
    let image = image(text);
    let concerns_registry = image.is_some()
        || [
            "failed to do request",
            "failed to authorize",
            "pulling from host",
            "/v2/",
            "pull access denied",
        ]
        .iter()
        .chain(&[
            "oauth token",
            "anonymous token",
            "failed to push",
            "failed to configure registry cache",
        ])
        .any(|sign| text.contains(sign));
    if !concerns_registry {
        return None;
    }
    let host = host(text, image);
    let from = |what: &str| match (image, &host) {
        (Some(image), _) => format!("{image}: {what}"),
        (None, Some(host)) => format!("{host}: {what}"),
        (None, None) => what.to_owned(),
    };
    let login = match host.as_deref() {
        None | Some("docker.io" | "registry-1.docker.io") => "docker login".to_owned(),
        Some(host) => format!("docker login {host}"),
    };
    let says = |signs: &[&str]| signs.iter().any(|sign| text.contains(sign));
    let diagnosis = |what: &str| Diagnosis::new(FailureKind::Registry, from(what));
    // Order matters: refusals name the reason, everything else may only be its consequence.
    let found = if says(&[" 429 ", "429 Too Many", "toomanyrequests", "TOOMANYREQUESTS"]) {
        diagnosis("the registry's rate limit is reached")
            .hint(format!("wait, or log in for a higher limit: `{login}`"))
    } else if says(&[
        "401 Unauthorized",
        "authorization failed",
        "insufficient_scope",
        "authentication required",
        "no basic auth credentials",
        "pull access denied",
    ]) {
        diagnosis("the registry asks for a login").hint(format!("`{login}`, and check the image's name: registries answer the same for images that do not exist"))
    } else if says(&["403 Forbidden", "denied"]) {
        diagnosis("the registry denies access")
            .hint(format!("does the account of `{login}` have access to this image?"))
    } else if says(&["no match for platform in manifest"]) {
        diagnosis("the image has no variant for the platform")
            .hint("choose another base image or platform")
    } else if says(&[
        " 500 ",
        " 502 ",
        " 503 ",
        " 504 ",
        "500 Internal",
        "502 Bad",
        "503 Service",
        "504 Gateway",
    ]) {
        diagnosis("the registry failed to answer")
            .hint("the registry has trouble of its own: try again later")
    } else if says(&[
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
    ]) {
        diagnosis(&format!("the registry cannot be reached ({})", reason(text)))
            .hint("the engine fetches images: check the network and proxy of the engine's machine")
    } else if says(&["does not look like a TLS handshake", "HTTP response to HTTPS client"]) {
        diagnosis("the registry speaks plain HTTP, not HTTPS").hint(
            "list it under insecure-registries in the configuration of the engine (daemon.json), or give it TLS",
        )
    } else if says(&["tls: ", "x509: "]) {
        diagnosis(&format!("the registry's TLS certificate is not accepted ({})", reason(text)))
            .hint("the engine must trust the registry: its authority belongs in /etc/docker/certs.d, or the host in insecure-registries")
    } else if says(&["not found", "404"]) {
        diagnosis("the registry has no such image or tag")
            .hint("check name and tag; a private image may need a login")
    } else {
        Diagnosis::new(FailureKind::Registry, text)
    };
    Some(frontend(message, text, found))
}

/// A `# syntax=` line makes the engine fetch its frontend first; that failure needs other advice.
fn frontend(message: &str, text: &str, found: Diagnosis) -> Diagnosis {
    let gateway = message.contains("frontend gateway.v0");
    if !gateway && !text.contains("docker/dockerfile") {
        return found;
    }
    let message = format!("the `# syntax=` frontend cannot be fetched: {}", found.message);
    Diagnosis::new(FailureKind::Registry, message).hint(
        "the engine has a Dockerfile frontend of its own: without the `# syntax=` line it needs no registry for it",
    )
}

/// What ADD tried to download, with the reason.
fn downloaded(text: &str) -> Option<&str> {
    if text.starts_with("invalid response status ") {
        return Some(text);
    }
    (text.starts_with("Get \"") && !text.contains("/v2/") && !text.contains("/token"))
        .then_some(text)
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
    let named = || super::between(text, "pulling from host ", " ");
    let of_image = || {
        let (first, _) = image?.split_once('/')?;
        (first.contains(['.', ':']) || first == "localhost").then_some(first)
    };
    let host = url
        .and_then(|rest| rest.split(['/', '"', ' ', '?']).next())
        .or_else(named)
        .or_else(of_image)?;
    Some(host.to_owned())
}

/// The last part of a chain of causes; it is the one that says what happened.
fn reason(text: &str) -> &str {
    let last = text.rsplit(": ").next().unwrap_or(text);
    // BuildKit appends its guess at a stage name to whatever the registry said.
    last.split(" (did you mean ").next().unwrap_or(last)
}
