//! Which services of a project a build concerns.

use std::collections::{BTreeMap, BTreeSet};

use crate::build_context::glob::match_name;
use crate::compose::{ComposeError, Project, Service};

/// What a run concerns.
pub(super) struct Selection<'a> {
    /// Services whose targets are printed.
    pub(super) services: Vec<&'a Service>,
    /// Names of those to build.
    pub(super) build: BTreeSet<&'a str>,
}

/// Chooses services as compose does: naming a service enables its profiles, contexts of the form
/// `service:` come along, and so do (unbuilt, unless asked for) the services depended on.
pub(super) fn select<'a>(
    project: &'a Project,
    asked: &[String],
    with_dependencies: bool,
) -> Result<Selection<'a>, ComposeError> {
    let mut names: Vec<String> = asked.to_vec();
    if names.is_empty() {
        names = project.enabled().map(|service| service.name.clone()).collect();
    }
    if names.is_empty() {
        return Ok(Selection { services: Vec::new(), build: BTreeSet::new() });
    }
    add_contexts(project, &mut names);
    let mut profiles = project.profiles.clone();
    for service in names.iter().filter_map(|name| project.services.get(name)) {
        if !service.is_enabled(&project.profiles) {
            profiles.extend(service.profiles.clone());
        }
    }
    let enabled: BTreeMap<&str, &Service> = project
        .services
        .values()
        .filter(|service| service.is_enabled(&profiles))
        .map(|service| (service.name.as_str(), service))
        .collect();
    let named = match_names(project, &names, &enabled)?;
    let mut all = BTreeSet::new();
    let mut queue: Vec<&str> = named.iter().copied().collect();
    while let Some(name) = queue.pop() {
        let Some(service) = enabled.get(name).filter(|_| all.insert(name)) else { continue };
        for (needed, dependency) in &service.depends_on {
            if enabled.contains_key(needed.as_str()) {
                queue.push(needed);
            } else if dependency.required {
                let message = format!("no such service: {needed}, which {name} depends on");
                return Err(ComposeError::at(&dependency.place, message)
                    .hint("its profile may not be enabled"));
            }
        }
    }
    let services = all.iter().filter_map(|name| enabled.get(name).copied()).collect();
    Ok(Selection { services, build: if with_dependencies { all } else { named } })
}

/// Adds the services whose results are contexts of the others.
fn add_contexts(project: &Project, names: &mut Vec<String>) {
    let mut index = 0;
    while index < names.len() {
        let build = project.services.get(&names[index]).and_then(|service| service.build.as_ref());
        for context in build.iter().flat_map(|build| build.additional_contexts.values()) {
            if let Some(needed) = context.strip_prefix("service:")
                && !names.iter().any(|name| name == needed)
            {
                names.push(needed.to_owned());
            }
        }
        index += 1;
    }
}

/// The enabled services that have the names or match them.
fn match_names<'a>(
    project: &Project,
    names: &[String],
    enabled: &BTreeMap<&'a str, &Service>,
) -> Result<BTreeSet<&'a str>, ComposeError> {
    let mut named = BTreeSet::new();
    for name in names {
        if let Some((service, _)) = enabled.get_key_value(name.as_str()) {
            // Names of services hold no wildcards.
            named.insert(*service);
            continue;
        }
        let mut matched = enabled
            .keys()
            .copied()
            .filter(|service| match_name(name.as_bytes(), service.as_bytes()))
            .peekable();
        let known = matched.peek().is_some();
        named.extend(matched);
        if !known {
            let error = ComposeError::usage(format!("no such service: {name}"));
            let near = crate::compose::nearest_service(project, name);
            return Err(near.map_or(error.clone(), |hint| error.hint(hint)));
        }
    }
    Ok(named)
}
