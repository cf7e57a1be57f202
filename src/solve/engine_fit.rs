//! What an engine can do for a run, settled before the first solve: what it cannot is an error that
//! names the key, and what depends on it (`host-gateway`, who pushes) is filled in.
//!
//! The engine is asked only where a target needs the answer.

use crate::buildkit::Control;
use crate::engine::{Engine, EngineError};
use crate::release;
use crate::solve::compression::{self, Choice};
use crate::solve::oci_layout::SCHEME;
use crate::solve::request::{HOST_GATEWAY, PUSH, RequestError, SolveRequest};
use crate::targets::Compression;
use crate::targets::target::Target;

/// Why an engine with graph drivers does not write a layer cache.
const ONLY_READS: &str = "writing needs the containerd image store, which this engine does not use";

/// The first release after 20.10: its Dockerfile frontend knows named contexts, shm-size and ulimit.
const NEWER_SINCE: u32 = 23;

/// The first minor release that leaves an image packed when it is asked to: 29.0.1 was the first at all.
const LEAVES_PACKED: (u32, u32) = (29, 1);

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

/// Fits `requests` (with their targets) to the engine. Returns how layers are compressed then.
///
/// # Errors
/// A key that this engine cannot honour, or an engine that does not answer.
pub(super) async fn fit(
    engine: &Engine,
    control: &Control,
    pairs: &mut [(&Target, &mut SolveRequest)],
) -> Result<Choice, FitError> {
    refuse_newer(engine, pairs).await?;
    if pairs.iter().any(|(_, request)| wants_host_gateway(request)) {
        let gateway = control.host_gateway().await;
        let missing = || "this engine does not tell the address of host-gateway".to_owned();
        fill_host_gateway(pairs, gateway.as_deref(), missing)?;
    }
    let needs_store = |target: &Target, request: &SolveRequest| {
        let writes = request.layer_cache.as_ref().is_some_and(|cache| cache.export.is_ok());
        writes || !request.push.is_empty() || needs_containerd_store(target, request).is_some()
    };
    let containerd = if pairs.iter().any(|(target, request)| needs_store(target, request)) {
        engine.has_containerd_store().await?
    } else {
        // Asked of BuildKit, which takes a millisecond.
        pairs.iter().any(|(_, request)| request.loads_image) && control.makes_blobs().await
    };
    for (target, request) in &mut *pairs {
        settle_push(request, containerd);
        if !containerd && let Some(cache) = &mut request.layer_cache {
            cache.refuse(ONLY_READS);
        }
        if !containerd && let Some((key, what)) = needs_containerd_store(target, request) {
            let why = format!(
                "{what} needs the containerd image store, which this engine does not use (https://docs.docker.com/engine/storage/containerd/)"
            );
            return Err(unsupported(target, key, why).into());
        }
    }
    if !containerd {
        return Ok(Choice::None);
    }
    let pushes = |request: &SolveRequest| {
        request.options.exporters.iter().any(|exporter| exporter.attrs.contains_key(PUSH))
    };
    if pairs.iter().any(|(_, request)| pushes(request))
        && release::major_and_minor(&engine.version().await?) >= Some(LEAVES_PACKED)
    {
        pairs.iter_mut().for_each(|(_, request)| compression::leave_packed(request));
    }
    Ok(compression::settle(pairs))
}

/// Puts the address in where `host-gateway` stands.
///
/// # Errors
/// It is wanted and not known; `missing` says so.
pub(super) fn fill_host_gateway(
    pairs: &mut [(&Target, &mut SolveRequest)],
    gateway: Option<&str>,
    missing: impl Fn() -> String,
) -> Result<(), RequestError> {
    for (target, request) in pairs.iter_mut().filter(|(_, request)| wants_host_gateway(request)) {
        let gateway = gateway.ok_or_else(|| unsupported(target, "extra_hosts", missing()))?;
        if let Some(hosts) = request.options.frontend_attrs.get_mut("add-hosts") {
            *hosts = hosts.replace(&format!("={HOST_GATEWAY}"), &format!("={gateway}"));
        }
    }
    Ok(())
}

/// Refuses what only later engines do and 20.10 silently does not.
async fn refuse_newer(
    engine: &Engine,
    pairs: &[(&Target, &mut SolveRequest)],
) -> Result<(), FitError> {
    let newer = pairs.iter().find_map(|(target, _)| newer_key(target).map(|key| (target, key)));
    let Some((target, key)) = newer else { return Ok(()) };
    let version = engine.version().await?;
    if release::major(&version).is_none_or(|major| major >= NEWER_SINCE) {
        return Ok(());
    }
    let why = format!("Docker Engine {version} is too old for it, {NEWER_SINCE}.0 or later has it");
    Err(unsupported(target, key, why).into())
}

/// A key of `target` that came with BuildKit 0.10 or soon after.
pub(super) fn newer_key(target: &Target) -> Option<&'static str> {
    // Another frontend brings its own abilities, but not those of the engine's runner.
    let own_frontend = !target.args.contains_key("BUILDKIT_SYNTAX");
    if own_frontend && !target.contexts.is_empty() {
        Some("additional_contexts")
    } else if target.shm_size.is_some() {
        Some("shm_size")
    } else if !target.ulimits.is_empty() {
        Some("ulimits")
    } else {
        None
    }
}

fn unsupported(target: &Target, key: &'static str, why: impl Into<String>) -> RequestError {
    RequestError::Unsupported { target: target.name.clone(), key, why: why.into() }
}

pub(super) fn wants_host_gateway(request: &SolveRequest) -> bool {
    let hosts = request.options.frontend_attrs.get("add-hosts");
    hosts.is_some_and(|hosts| hosts.contains(&format!("={HOST_GATEWAY}")))
}

/// The key that only the containerd store can honour, and what it asks for: the same refusals as
/// those of buildx's docker driver, and image layouts, whose scheme other engines do not know.
pub(super) fn needs_containerd_store(
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
    if attested("sbom")
        || target.attest.iter().any(|it| !matches!(&*it.kind, "provenance" | "sbom"))
    {
        return Some(("sbom", "an attestation"));
    }
    for exporter in &options.exporters {
        match exporter.kind.as_str() {
            "oci" => return Some(("output", "type=oci")),
            "docker" => return Some(("output", "type=docker with dest=")),
            _ => {}
        }
    }
    if target.compression == Compression::Zstd && !request.push.is_empty() {
        return Some(("compression", "a push of layers that are compressed with zstd"));
    }
    if target.contexts.values().any(|source| source.starts_with(SCHEME)) {
        return Some(("additional_contexts", "a context of oci-layout://"));
    }
    if options.cache_exports.iter().any(|cache| cache.kind != "inline") {
        return Some(("cache_to", "a cache export other than type=inline"));
    }
    None
}

/// One place pushes. On the containerd store it is BuildKit's exporter, with what it just made, all
/// platforms included; elsewhere the Engine API after the build.
fn settle_push(request: &mut SolveRequest, exporter_pushes: bool) {
    if exporter_pushes {
        request.push.clear();
    } else {
        for exporter in &mut request.options.exporters {
            exporter.attrs.remove(PUSH);
        }
    }
}
