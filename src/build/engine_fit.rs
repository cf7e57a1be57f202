//! What an engine can do for a run, settled before the first solve: what it cannot is an error that
//! names the key, and what depends on it (`host-gateway`, who pushes) is filled in.
//!
//! The engine is asked only where a target needs the answer.

use crate::build::request::{HOST_GATEWAY, RequestError, SolveRequest};
use crate::build::target::Target;
use crate::buildkit::Control;
use crate::engine::{Engine, EngineError};

/// The first release whose Dockerfile frontend knows named contexts (BuildKit 0.10 and later).
const NAMED_CONTEXTS_SINCE: u32 = 23;

/// Why the engine cannot run the requests.
#[derive(Debug, thiserror::Error)]
pub enum FitError {
    /// It cannot do what a target wants.
    #[error(transparent)]
    Unsupported(#[from] RequestError),
    /// It did not tell.
    #[error(transparent)]
    Engine(#[from] EngineError),
}

/// Fits `requests` (with their targets) to the engine.
///
/// # Errors
/// A key that this engine cannot honour, or an engine that does not answer.
pub async fn fit(
    engine: &Engine,
    control: &Control,
    pairs: &mut [(&Target, &mut SolveRequest)],
) -> Result<(), FitError> {
    if pairs.iter().any(|(target, _)| uses_named_contexts(target)) {
        let version = engine.version().await?;
        let major = version.split('.').next().and_then(|major| major.parse::<u32>().ok());
        if major.is_some_and(|major| major < NAMED_CONTEXTS_SINCE)
            && let Some((target, _)) = pairs.iter().find(|(target, _)| uses_named_contexts(target))
        {
            let why = format!(
                "Docker Engine {version} is too old for named contexts, {NAMED_CONTEXTS_SINCE}.0 or later has them"
            );
            return Err(unsupported(target, "additional_contexts", why).into());
        }
    }
    if pairs.iter().any(|(_, request)| wants_host_gateway(request)) {
        let gateway = control.host_gateway().await;
        for (target, request) in pairs.iter_mut().filter(|(_, request)| wants_host_gateway(request))
        {
            let Some(gateway) = &gateway else {
                let why = "this engine does not tell the address of host-gateway";
                return Err(unsupported(target, "extra_hosts", why).into());
            };
            if let Some(hosts) = request.options.frontend_attrs.get_mut("add-hosts") {
                *hosts = hosts.replace(&format!("={HOST_GATEWAY}"), &format!("={gateway}"));
            }
        }
    }
    let needs_store = |target: &Target, request: &SolveRequest| {
        !request.push.is_empty() || needs_containerd_store(target, request).is_some()
    };
    if !pairs.iter().any(|(target, request)| needs_store(target, request)) {
        return Ok(());
    }
    let containerd = engine.has_containerd_store().await?;
    for (target, request) in pairs {
        if containerd {
            push_from_exporter(request);
        } else if let Some((key, what)) = needs_containerd_store(target, request) {
            let why = format!(
                "{what} needs the containerd image store, which this engine does not use (https://docs.docker.com/engine/storage/containerd/)"
            );
            return Err(unsupported(target, key, why).into());
        }
    }
    Ok(())
}

fn unsupported(target: &Target, key: &'static str, why: impl Into<String>) -> RequestError {
    RequestError::Unsupported { target: target.name.clone(), key, why: why.into() }
}

/// Another frontend brings its own abilities.
fn uses_named_contexts(target: &Target) -> bool {
    !target.contexts.is_empty() && !target.args.contains_key("BUILDKIT_SYNTAX")
}

fn wants_host_gateway(request: &SolveRequest) -> bool {
    let hosts = request.options.frontend_attrs.get("add-hosts");
    hosts.is_some_and(|hosts| hosts.contains(&format!("={HOST_GATEWAY}")))
}

/// The key that only the containerd store can honour, and what it asks for: the same refusals as
/// those of buildx's docker driver.
fn needs_containerd_store(
    target: &Target,
    request: &SolveRequest,
) -> Option<(&'static str, &'static str)> {
    let options = &request.options;
    let platforms = options.frontend_attrs.get("platform");
    if platforms.is_some_and(|platforms| platforms.contains(',')) {
        return Some(("platforms", "an image for several platforms"));
    }
    let attested = |kind: &str| {
        let value = options.frontend_attrs.get(&format!("attest:{kind}"));
        value.is_some_and(|value| !value.split(',').any(|field| field == "disabled=true"))
    };
    if attested("provenance") {
        return Some(("provenance", "an attestation"));
    }
    if attested("sbom") || target.attest.iter().any(|text| !is_known_attestation(text)) {
        return Some(("sbom", "an attestation"));
    }
    if options.exporters.iter().any(|exporter| exporter.kind == "oci") {
        return Some(("output", "type=oci"));
    }
    if options.cache_exports.iter().any(|cache| cache.kind != "inline") {
        return Some(("cache_to", "a cache export other than type=inline"));
    }
    None
}

fn is_known_attestation(text: &str) -> bool {
    text.contains("type=provenance") || text.contains("type=sbom")
}

/// On the containerd store BuildKit's exporter pushes what it just made, all platforms included;
/// elsewhere the Engine API pushes after the build.
fn push_from_exporter(request: &mut SolveRequest) {
    if request.push.is_empty() {
        return;
    }
    request.push.clear();
    for exporter in request.options.exporters.iter_mut().filter(|exporter| exporter.kind == "moby")
    {
        exporter.attrs.insert("push".to_owned(), "true".to_owned());
    }
}
