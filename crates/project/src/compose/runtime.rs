//! What of a service's own settings matters to its image.

use std::path::PathBuf;

use super::model::Runtime;
use super::node::{Node, Value};

/// Reads it from a service in canonical form.
pub(super) fn runtime(service: &Node) -> Runtime {
    let is_read_only = match service.get("read_only").map(|node| &node.value) {
        Some(Value::Bool(flag)) => *flag,
        Some(Value::Str(text)) => {
            matches!(text.to_lowercase().as_str(), "true" | "yes" | "on" | "y")
        }
        _ => false,
    };
    let user = service.get("user").and_then(|node| node.value.scalar_text());
    let user = user.filter(|user| !user.is_empty());
    Runtime { is_read_only, user, wants_gpu: wants_gpu(service), mounted: mounted(service) }
}

fn mounted(service: &Node) -> Vec<PathBuf> {
    let volumes = service.get("volumes").and_then(Node::as_list).unwrap_or_default();
    let is_bind = |it: &&Node| it.get("type").and_then(Node::as_str) == Some("bind");
    let source = |it: &Node| Some(PathBuf::from(it.get("source")?.as_str()?));
    volumes.iter().filter(is_bind).filter_map(source).collect()
}

fn wants_gpu(service: &Node) -> bool {
    let is_gpus = |node: &Node| {
        let capabilities = node.get("capabilities").and_then(Node::as_list).unwrap_or_default();
        let driver = node.get("driver").and_then(Node::as_str).unwrap_or_default();
        matches!(driver, "nvidia" | "amd")
            || capabilities.iter().any(|it| it.as_str() == Some("gpu"))
    };
    let reserved = ["resources", "reservations", "devices"]
        .iter()
        .try_fold(service.get("deploy"), |node, key| node.map(|node| node.get(key)))
        .flatten();
    let reserved = reserved.and_then(Node::as_list).unwrap_or_default();
    let is_device = |node: &Node| {
        let source = node.as_str().or_else(|| node.get("source").and_then(Node::as_str));
        let source = source.unwrap_or_default();
        ["/dev/nvidia", "/dev/kfd", "/dev/dri", "nvidia.com/", "amd.com/"]
            .iter()
            .any(|it| source.starts_with(it))
    };
    let devices = service.get("devices").and_then(Node::as_list).unwrap_or_default();
    let has_gpus = service.get("gpus").is_some_and(|node| !node.is_null());
    let is_nvidia = service.get("runtime").and_then(Node::as_str) == Some("nvidia");
    reserved.iter().any(is_gpus)
        || devices.iter().any(is_device)
        || has_gpus
        || is_nvidia
        || sees_gpus(service.get("environment"))
}

/// `NVIDIA_VISIBLE_DEVICES`, by which an engine with that runtime as its default hands GPUs over.
fn sees_gpus(environment: Option<&Node>) -> bool {
    const NAME: &str = "NVIDIA_VISIBLE_DEVICES";
    let value = match environment.map(|node| &node.value) {
        Some(Value::Map(map)) => map.get(NAME).and_then(|node| node.value.scalar_text()),
        Some(Value::List(items)) => {
            let mut items = items.iter().filter_map(Node::as_str);
            items.find_map(|item| item.strip_prefix(NAME)?.strip_prefix('=')).map(str::to_owned)
        }
        _ => None,
    };
    value.is_some_and(|value| !matches!(value.as_str(), "" | "void" | "none"))
}
