//! What holds between the parts of a project: references exist, and nothing contradicts itself.

use std::collections::HashSet;

use super::decode::parse_bytes;
use super::error::{ComposeError, Place};
use super::format::named_volume;
use super::model::{BuildSection, Project, Service};
use super::node::{Node, Value};
use super::scalar::parse_bool;
use crate::nearest::did_you_mean;

/// Checks the enabled services and all secrets, as compose does.
pub(super) fn check(project: &Project, model: &Node) -> Result<(), ComposeError> {
    for service in project.enabled() {
        let node = model.get("services").and_then(|services| services.get(&service.name));
        let provided = node.is_some_and(|node| node.get("provider").is_some());
        if service.build.is_none() && service.image.is_none() && !provided {
            let message = format!("service `{}` has neither an image nor a build", service.name);
            return Err(ComposeError::at(&service.place, message));
        }
        if let Some(build) = &service.build {
            check_build(project, service, build)?;
        }
        for (name, dependency) in &service.depends_on {
            let known = project.services.get(name);
            let enabled = known.is_some_and(|other| other.is_enabled(&project.profiles));
            let optional = known.is_some() && !dependency.required;
            if !enabled && !optional {
                let message =
                    format!("service `{}` depends on undefined service `{name}`", service.name);
                return Err(with_nearest(
                    ComposeError::at(&dependency.place, message),
                    name,
                    known.is_none().then_some(project),
                ));
            }
        }
        if let Some(node) = node {
            check_resources(model, &service.name, node)?;
            check_limits(&service.name, node)?;
        }
    }
    check_external(model)?;
    for (name, secret) in &project.secrets {
        if !secret.external && secret.file.is_none() && secret.environment.is_none() {
            let message = format!("secret `{name}` must declare either `file` or `environment`");
            return Err(ComposeError::at(&secret.place, message));
        }
    }
    check_cycles(project)
}

fn with_nearest(error: ComposeError, name: &str, project: Option<&Project>) -> ComposeError {
    let Some(project) = project else {
        return error.hint("its profile is not enabled");
    };
    match did_you_mean(name, project.services.keys().map(String::as_str)) {
        Some(hint) => error.hint(hint),
        None => error,
    }
}

fn key<'a>(build: &'a BuildSection, key: &str) -> &'a Place {
    build.keys.get(key).unwrap_or(&build.place)
}

fn check_build(
    project: &Project,
    service: &Service,
    build: &BuildSection,
) -> Result<(), ComposeError> {
    let given = |text: &Option<String>| text.as_deref().is_some_and(|text| !text.is_empty());
    if given(&build.dockerfile) && given(&build.dockerfile_inline) {
        let message = "dockerfile and dockerfile_inline exclude each other";
        return Err(ComposeError::at(key(build, "dockerfile_inline"), message));
    }
    for (name, context) in &build.additional_contexts {
        let Some(target) = context.strip_prefix("service:") else { continue };
        let place = key(build, "additional_contexts");
        let known = project.services.get(target);
        match known.filter(|service| service.is_enabled(&project.profiles)) {
            Some(service) if service.build.is_some() => {}
            Some(_) => {
                let message = format!(
                    "additional context `{name}` needs service `{target}`, which has no build"
                );
                return Err(ComposeError::at(place, message));
            }
            None => {
                let message =
                    format!("additional context `{name}` names unknown service `{target}`");
                let error = ComposeError::at(place, message);
                return Err(with_nearest(error, target, known.is_none().then_some(project)));
            }
        }
    }
    if let Some(platform) = &service.platform
        && !build.platforms.is_empty()
        && !build.platforms.contains(platform)
    {
        let message = format!("build.platforms must include the service's platform {platform}");
        return Err(ComposeError::at(key(build, "platforms"), message));
    }
    for secret in &build.secrets {
        if !project.secrets.contains_key(&secret.source) {
            let message = format!("build secret `{}` is not defined", secret.source);
            let error = ComposeError::at(&secret.place, message);
            return Err(
                match did_you_mean(&secret.source, project.secrets.keys().map(String::as_str)) {
                    Some(hint) => error.hint(hint),
                    None => error.hint("define it in the top-level `secrets:`"),
                },
            );
        }
    }
    Ok(())
}

/// Named volumes of a service have to be defined, and bind mounts have to have a source.
fn check_volumes(model: &Node, service: &str, node: &Node) -> Result<(), ComposeError> {
    let volumes = model.get("volumes");
    for item in node.get("volumes").and_then(Node::as_list).into_iter().flatten() {
        let part = |key: &str| item.get(key).and_then(Node::as_str).unwrap_or_default();
        let name = match item.as_str() {
            Some(text) => named_volume(text),
            None => {
                Some(part("source")).filter(|name| part("type") == "volume" && !name.is_empty())
            }
        };
        if let Some(name) = name
            && volumes.is_none_or(|volumes| volumes.get(name).is_none())
        {
            let message = format!("service `{service}` refers to undefined volume `{name}`");
            let known = volumes.and_then(Node::as_map).into_iter().flatten();
            let near = did_you_mean(name, known.map(|(name, _)| name.as_str()));
            let hint = near.unwrap_or_else(|| {
                format!(
                    "define it in the top-level `volumes:`, or write `./{name}` for a directory"
                )
            });
            return Err(ComposeError::at(&item.place, message).hint(hint));
        }
        if part("type") == "bind" && item.get("source").is_none() {
            let message = format!("a bind mount of service `{service}` has no source");
            return Err(ComposeError::at(item.start(), message));
        }
    }
    Ok(())
}

/// References of a service to top-level resources that do not concern a build.
fn check_resources(model: &Node, service: &str, node: &Node) -> Result<(), ComposeError> {
    let undefined = |section: &str, name: &str, place: &Place| {
        let message = format!("service `{service}` refers to undefined {section} `{name}`");
        Err(ComposeError::at(place, message))
    };
    let defined = |section: &str, name: &str| {
        model.get(section).is_some_and(|section| section.get(name).is_some())
    };
    if let Some(networks) = node.get("networks").and_then(Node::as_map) {
        if node.get("network_mode").is_some() && !networks.is_empty() {
            let message = format!("service `{service}` has both network_mode and networks");
            return Err(ComposeError::at(node.start(), message));
        }
        for (name, network) in networks {
            if name != "default" && !defined("networks", name) {
                return undefined("network", name, network.start());
            }
        }
    }
    for name in node.get("models").and_then(Node::as_map).into_iter().flatten() {
        if !defined("models", name.0) {
            return undefined("model", name.0, name.1.start());
        }
    }
    check_volumes(model, service, node)?;
    if let Some(test) = node.get("healthcheck").and_then(|check| check.get("test"))
        && let Some([first, ..]) = test.as_list()
        && !["CMD", "CMD-SHELL", "NONE"].contains(&first.as_str().unwrap_or_default())
    {
        let message = "the list of healthcheck.test must start with CMD, CMD-SHELL or NONE";
        return Err(ComposeError::at(&first.place, message));
    }
    for (key, singular) in [("secrets", "secret"), ("configs", "config")] {
        for item in node.get(key).and_then(Node::as_list).into_iter().flatten() {
            let name = item.get("source").and_then(Node::as_str).unwrap_or_default();
            if !defined(key, name) {
                return undefined(singular, name, &item.place);
            }
        }
    }
    Ok(())
}

/// Limits that can be given in two places: in a service, and in its `deploy`.
const LIMITS: [(&str, &str); 5] = [
    ("scale", "replicas"),
    ("cpus", "resources.limits.cpus"),
    ("mem_limit", "resources.limits.memory"),
    ("mem_reservation", "resources.reservations.memory"),
    ("pids_limit", "resources.limits.pids"),
];

/// Limits that are given twice have to agree.
fn check_limits(service: &str, node: &Node) -> Result<(), ComposeError> {
    for (key, path) in LIMITS {
        let Some(own) = node.get(key) else { continue };
        if key == "scale" && amount(own).is_some_and(|scale| scale < 0.0) {
            let message = format!("services.{service}.scale must not be negative");
            return Err(ComposeError::at(&own.place, message));
        }
        let deploy = node.get("deploy");
        let other = path.split('.').fold(deploy, |node, key| node.and_then(|node| node.get(key)));
        if let Some((own_amount, other_amount)) = amount(own).zip(other.and_then(amount))
            && own_amount != other_amount
        {
            let message = format!("service `{service}` has one {key} and another deploy.{path}");
            return Err(ComposeError::at(own.start(), message));
        }
    }
    Ok(())
}

/// A number, or a size in bytes.
fn amount(node: &Node) -> Option<f64> {
    let text = node.value.scalar_text()?;
    text.parse().ok().or_else(|| parse_bytes(&text).map(|bytes| bytes as f64))
}

/// A volume that others make has nothing but a name here.
fn check_external(model: &Node) -> Result<(), ComposeError> {
    for (name, volume) in model.get("volumes").and_then(Node::as_map).into_iter().flatten() {
        let is_external = volume.get("external").is_some_and(|it| {
            it.value == Value::Bool(true) || it.as_str().and_then(parse_bool) == Some(true)
        });
        let is_more = |key: &str| !["external", "name"].contains(&key) && !key.starts_with("x-");
        let mut keys = volume.as_map().into_iter().flatten();
        if let Some((key, node)) = keys.find(|(key, _)| is_external && is_more(key)) {
            let message = format!("volumes.{name} is external and cannot have `{key}`");
            return Err(ComposeError::at(node.start(), message));
        }
    }
    Ok(())
}

/// Refuses services that depend on themselves, directly or through others. Without recursion: a
/// chain may be as long as the file.
fn check_cycles(project: &Project) -> Result<(), ComposeError> {
    let mut done: HashSet<&str> = HashSet::new();
    for start in project.enabled() {
        let mut path = vec![(start.name.as_str(), start.depends_on.iter())];
        let mut on_path = HashSet::from([start.name.as_str()]);
        while let Some((service, dependencies)) = path.last_mut() {
            let Some((name, dependency)) = dependencies.next() else {
                done.insert(service);
                on_path.remove(service);
                path.pop();
                continue;
            };
            if on_path.contains(name.as_str()) {
                let names = path.iter().map(|(service, _)| *service);
                let cycle: Vec<&str> = names.skip_while(|service| service != name).collect();
                let message = format!("dependency cycle: {} -> {name}", cycle.join(" -> "));
                return Err(ComposeError::at(&dependency.place, message));
            }
            let next = project.services.get(name);
            if let Some(next) = next.filter(|next| next.is_enabled(&project.profiles))
                && !done.contains(name.as_str())
            {
                on_path.insert(&next.name);
                path.push((&next.name, next.depends_on.iter()));
            }
        }
    }
    Ok(())
}
