//! A compose project to bake targets, as `docker compose build --print` makes them.

use std::collections::{BTreeMap, HashSet};
use std::path::{Path, PathBuf};

use crate::compose::{BuildSection, ComposeError, Project, Service, Ulimit, parse_bool};
use crate::labels;
use crate::remote::is_no_path;
use crate::targets::overrides;
use crate::targets::reference;
use crate::targets::select::select;
use crate::targets::spec::{Secret, SecretLocation, Spec, SpecError, SshKey};
use crate::targets::target::{Compression, Places, Target, TargetSet};

/// Value of the label `com.docker.compose.version`: the release of compose whose behaviour this
/// program reproduces.
pub const COMPOSE_VERSION: &str = "2.40.3";

/// What to build of a project, and how.
#[derive(Debug, Clone, Default)]
pub struct TargetOptions {
    /// Names or patterns (`*`, `?`, `[...]`) of services; empty: all that profiles enable.
    pub services: Vec<String>,
    /// Build what the services depend on, too.
    pub with_dependencies: bool,
    /// Do not read the layer cache.
    pub no_cache: bool,
    /// Ask for newer base images.
    pub pull: bool,
    /// Push images of services that have an `image:`.
    pub push: bool,
    /// Check the Dockerfile instead of building.
    pub check: bool,
    /// `NAME=VALUE`, or `NAME` to take the value from the environment.
    pub build_args: Vec<String>,
    /// `default` or `ID=PATH`.
    pub ssh: Vec<String>,
    /// Proxy settings of the docker configuration; they do not replace other arguments.
    pub proxy_args: BTreeMap<String, String>,
    /// Stage to stop at, instead of the compose file's.
    pub target: Option<String>,
    /// Platforms, instead of the compose file's.
    pub platforms: Vec<String>,
    /// Further stages that do not read the layer cache.
    pub no_cache_filter: Vec<String>,
    /// Further secrets, `id=ID[,src=FILE|,env=NAME]`.
    pub secrets: Vec<String>,
    /// Further cache imports.
    pub cache_from: Vec<String>,
    /// Further cache exports.
    pub cache_to: Vec<String>,
    /// Provenance attestation instead of the compose file's: `true`, `false` or `KEY=VALUE,...`.
    pub provenance: Option<String>,
    /// SBOM attestation, the same way.
    pub sbom: Option<String>,
    /// How layers of images are compressed.
    pub compression: Compression,
    /// `TARGET.KEY[.NAME][+]=VALUE`, applied last, in order.
    pub set: Vec<String>,
}

/// Resolves what `options` ask for into targets.
///
/// # Errors
///
/// An unknown service, a platform that contradicts another, or an invalid `--set` or `--ssh`.
pub fn from_compose(project: &Project, options: &TargetOptions) -> Result<TargetSet, ComposeError> {
    let selection = select(project, &options.services, options.with_dependencies)?;
    let names = target_names(&selection.services);
    let mut set = TargetSet::default();
    for service in &selection.services {
        let Some(build) = &service.build else { continue };
        let name = names.get(service.name.as_str()).cloned().unwrap_or_default();
        if selection.build.contains(service.name.as_str()) {
            set.group.push(name.clone());
        }
        note_unsupported(project, service, build, &mut set);
        let mut target = target(project, service, build, options, &names, &mut set.unsupported)?;
        target.name = name;
        set.targets.push(target);
    }
    set.group.sort();
    if set.group.is_empty() {
        return Ok(TargetSet::default());
    }
    overrides::apply(&mut set, &options.set, &|name| project.variable(name))?;
    for target in &mut set.targets {
        add_secret_values(target, project)?;
    }
    let faults: Vec<ComposeError> =
        set.targets.iter().filter_map(|target| name_fault(project, target)).collect();
    set.unsupported.extend(faults);
    set.targets.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(set)
}

/// The service's `image:`, else compose's default name: with a hyphen, or with the underscore of
/// compose 1 when COMPOSE_COMPATIBILITY asks for it.
pub fn image_name(project: &Project, service: &Service) -> String {
    let flag = project.environment.get("COMPOSE_COMPATIBILITY");
    let old = flag.is_some_and(|flag| parse_bool(&flag.trim().to_lowercase()) == Some(true));
    let separator = if old { '_' } else { '-' };
    let default = || format!("{}{separator}{}", project.name, service.name);
    service.image.clone().unwrap_or_else(default)
}

/// Target names by service: dots are not allowed in them, and two services must not share one.
fn target_names<'a>(services: &[&'a Service]) -> BTreeMap<&'a str, String> {
    let mut names: BTreeMap<&str, String> = BTreeMap::new();
    let mut used: HashSet<String> = HashSet::new();
    for service in services {
        let mut name = service.name.replace('.', "_");
        while !used.insert(name.clone()) {
            name.push('_');
        }
        names.insert(&service.name, name);
    }
    names
}

fn target(
    project: &Project,
    service: &Service,
    build: &BuildSection,
    options: &TargetOptions,
    names: &BTreeMap<&str, String>,
    faults: &mut Vec<ComposeError>,
) -> Result<Target, ComposeError> {
    let image = image_name(project, service);
    let platforms = match &options.platforms[..] {
        [] => platforms(project, service, build)?,
        given => given.to_vec(),
    };
    let (outputs, call) = result(service, options, &platforms);
    let mut caches = |key: &str, own: &[String], further: &[String]| {
        let mut specs = Vec::new();
        for text in own {
            match Spec::cache(text) {
                Ok(spec) => specs.push(spec),
                Err(error) => faults.push(misspelt(service, build, key, &error)),
            }
        }
        for text in further {
            specs.push(Spec::cache(text).map_err(|error| ComposeError::usage(error.to_string()))?);
        }
        Ok::<_, ComposeError>(specs)
    };
    let filled = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
    let joined = |(host, addresses): (&String, &Vec<String>)| (host.clone(), addresses.join(","));
    Ok(Target {
        service: service.name.clone(),
        context: build.context.clone(),
        contexts: contexts(build, names),
        dockerfile: filled(&build.dockerfile).map(|path| dockerfile_path(&build.context, &path)),
        dockerfile_inline: filled(&build.dockerfile_inline),
        args: args(project, build, options)?,
        labels: labels(project, service, build),
        tags: build.tags.iter().chain([&image]).cloned().collect(),
        image,
        cache_from: caches("cache_from", &build.cache_from, &options.cache_from)?,
        cache_to: caches("cache_to", &build.cache_to, &options.cache_to)?,
        target: options.target.clone().or_else(|| build.target.clone()),
        secrets: secrets(project, build, options)?,
        ssh: ssh(build, options)?,
        platforms,
        pull: build.pull || options.pull,
        no_cache: build.no_cache || options.no_cache,
        network: build.network.clone(),
        no_cache_filter: [&build.no_cache_filter[..], &options.no_cache_filter].concat(),
        shm_size: (build.shm_size != 0).then(|| build.shm_size.to_string()),
        ulimits: build.ulimits.iter().map(|(name, limit)| ulimit(name, *limit)).collect(),
        call,
        entitlements: entitlements(build),
        extra_hosts: build.extra_hosts.iter().map(joined).collect(),
        outputs,
        compression: options.compression,
        attest: attestations(service, build, options, faults)?,
        places: Places::new(
            &build.keys,
            &build.place,
            &["context", "dockerfile", "additional_contexts"],
        ),
        ..Target::default()
    })
}

/// What becomes of the result: its exporters, or the check that takes the place of a build.
fn result(
    service: &Service,
    options: &TargetOptions,
    platforms: &[String],
) -> (Vec<Spec>, Option<String>) {
    let push = options.push && service.image.is_some();
    if options.check {
        (Vec::new(), Some("lint".to_owned()))
    } else if platforms.len() > 1 {
        (vec![Spec::plain("image").with("push", &push.to_string())], None)
    } else {
        (vec![Spec::plain(if push { "registry" } else { "docker" })], None)
    }
}

/// The service's labels, and those by which compose and this program know it again.
fn labels(project: &Project, service: &Service, build: &BuildSection) -> BTreeMap<String, String> {
    let mut all = build.labels.clone();
    all.insert(labels::PROJECT.into(), project.name.clone());
    all.insert(labels::SERVICE.into(), service.name.clone());
    all.insert(labels::VERSION.into(), COMPOSE_VERSION.into());
    all
}

fn entitlements(build: &BuildSection) -> Vec<String> {
    let privileged = build.privileged.then(|| "security.insecure".to_owned());
    build.entitlements.iter().cloned().chain(privileged).collect()
}

/// Named contexts; a service is called by the name of its target.
fn contexts(build: &BuildSection, names: &BTreeMap<&str, String>) -> BTreeMap<String, String> {
    let context = |text: &String| match text.strip_prefix("service:") {
        Some(service) => format!("target:{}", names.get(service).map_or(service, String::as_str)),
        None => text.clone(),
    };
    build.additional_contexts.iter().map(|(name, text)| (name.clone(), context(text))).collect()
}

/// An option string of the compose file that cannot be read.
fn misspelt(service: &Service, build: &BuildSection, key: &str, error: &SpecError) -> ComposeError {
    let place = build.keys.get(key).unwrap_or(&build.place);
    ComposeError::at(place, format!("services.{}.build.{key}: {error}", service.name))
}

fn attestations(
    service: &Service,
    build: &BuildSection,
    options: &TargetOptions,
    faults: &mut Vec<ComposeError>,
) -> Result<Vec<Spec>, ComposeError> {
    let mut attestations = Vec::new();
    for (kind, given, own) in [
        ("provenance", &options.provenance, &build.provenance),
        ("sbom", &options.sbom, &build.sbom),
    ] {
        let read = match given.as_ref().or(own.as_ref()).map(String::as_str) {
            None | Some("false") => continue,
            Some("true") => Ok(Spec::plain(kind)),
            Some(parameters) => Spec::attestation(&format!("type={kind},{parameters}")),
        };
        match read {
            Ok(attestation) => attestations.push(attestation),
            Err(error) if given.is_some() => return Err(ComposeError::usage(error.to_string())),
            Err(error) => faults.push(misspelt(service, build, kind, &error)),
        }
    }
    Ok(attestations)
}

fn args(
    project: &Project,
    build: &BuildSection,
    options: &TargetOptions,
) -> Result<BTreeMap<String, String>, ComposeError> {
    let mut args = build.args.clone();
    for entry in &options.build_args {
        match entry.split_once('=') {
            Some((name, value)) => {
                args.insert(name.to_owned(), value.to_owned());
            }
            None => match project.variable(entry)? {
                Some(value) => {
                    args.insert(entry.clone(), value.clone());
                }
                None => {
                    args.remove(entry);
                }
            },
        }
    }
    for (name, value) in &options.proxy_args {
        args.entry(name.clone()).or_insert_with(|| value.clone());
    }
    Ok(args)
}

fn secrets(
    project: &Project,
    build: &BuildSection,
    options: &TargetOptions,
) -> Result<Vec<Secret>, ComposeError> {
    let own = build.secrets.iter().filter_map(|used| {
        let secret = project.secrets.get(&used.source)?;
        let id = used.target.as_ref().unwrap_or(&used.source);
        match (&secret.environment, &secret.file) {
            (Some(variable), _) => Some(Ok(Secret::of_variable(id, variable))),
            (None, Some(file)) => Some(Ok(Secret::of_file(id, file))),
            (None, None) => None,
        }
    });
    let further = options.secrets.iter().map(|text| {
        let read = Secret::read(text, |name| is_set(project, name));
        read.map_err(|error| ComposeError::usage(error.to_string()))
    });
    own.chain(further).collect()
}

fn is_set(project: &Project, name: &str) -> bool {
    project.environment.contains_key(name) || project.not_utf8.contains(name)
}

/// A name that the image of `target` cannot get: the engine would only say so at the end.
fn name_fault(project: &Project, target: &Target) -> Option<ComposeError> {
    let named = |output: &Spec| matches!(&*output.kind, "docker" | "image" | "registry" | "oci");
    if target.call.is_some() || !target.outputs.iter().any(named) {
        return None;
    }
    let (tag, fault) = target.tags.iter().find_map(|tag| Some((tag, reference::fault(tag)?)))?;
    let service = project.services.get(&target.service)?;
    let build = service.build.as_ref()?;
    let in_tags = build.keys.get("tags").filter(|_| build.tags.contains(tag));
    let place = match &service.image {
        Some(image) if image == tag => service.image_place.as_ref(),
        None if target.image == *tag => Some(&service.place),
        _ => in_tags,
    };
    let message =
        format!("service `{}` cannot get the image name `{tag}`: {fault}", target.service);
    let error = place.map_or_else(
        || ComposeError::new(message.clone()),
        |place| ComposeError::at(place, message.clone()),
    );
    Some(match fault.hint(tag) {
        Some(hint) => error.hint(hint),
        None => error,
    })
}

/// Looks up what secrets of `type=env` hold; compose passes an unset variable on as empty.
fn add_secret_values(target: &mut Target, project: &Project) -> Result<(), ComposeError> {
    for secret in &target.secrets {
        if let SecretLocation::Env(name) = &secret.source {
            let value = project.variable(name)?.cloned().unwrap_or_default();
            target.secret_env.insert(name.clone(), value);
        }
    }
    Ok(())
}

fn ssh(build: &BuildSection, options: &TargetOptions) -> Result<Vec<SshKey>, ComposeError> {
    let own = build.ssh.iter().map(|(id, paths)| SshKey { id: id.clone(), paths: paths.clone() });
    let mut keys: Vec<SshKey> = own.collect();
    for option in &options.ssh {
        match option.split_once('=') {
            Some(_) => keys.push(SshKey::read(option)),
            None if option.is_empty() || option == "default" => keys.push(SshKey::read("default")),
            None => {
                return Err(ComposeError::usage(format!("invalid ssh key `{option}`"))
                    .hint("write `default` or ID=PATH"));
            }
        }
    }
    Ok(keys)
}

fn ulimit(name: &str, limit: Ulimit) -> String {
    match limit {
        Ulimit::Single(number) if number > 0 => format!("{name}={number}"),
        // compose keeps no soft and hard limit of a single number, so it prints them as zero.
        Ulimit::Single(_) => format!("{name}=0:0"),
        Ulimit::Range { soft, hard } => format!("{name}={soft}:{hard}"),
    }
}

/// `build.platforms`, else `platform:`, else DOCKER_DEFAULT_PLATFORM. Like compose, services that
/// are enabled only by being named keep `build.platforms` alone.
fn platforms(
    project: &Project,
    service: &Service,
    build: &BuildSection,
) -> Result<Vec<String>, ComposeError> {
    if !service.is_enabled(&project.profiles) {
        return Ok(build.platforms.clone());
    }
    let default =
        project.environment.get("DOCKER_DEFAULT_PLATFORM").filter(|text| !text.is_empty());
    let platforms = match service.platform.as_ref().or(default) {
        Some(platform) if build.platforms.is_empty() => vec![platform.clone()],
        _ => build.platforms.clone(),
    };
    match default {
        Some(default) if !platforms.is_empty() && !platforms.contains(default) => {
            let place = build.keys.get("platforms").unwrap_or(&build.place);
            let message = format!(
                "service `{}` is not built for {default}, which DOCKER_DEFAULT_PLATFORM asks for",
                service.name
            );
            Err(ComposeError::at(place, message))
        }
        _ => Ok(platforms),
    }
}

/// Absolute below a local context, with symbolic links of its directory resolved; as it is for
/// contexts elsewhere.
fn dockerfile_path(context: &str, dockerfile: &str) -> String {
    if is_no_path(context) {
        return dockerfile.to_owned();
    }
    let path = crate::compose::join(Path::new(context), Path::new(dockerfile));
    if path.is_relative() {
        // Below an empty context the path is relative to the current directory, and printed so.
        return path.to_string_lossy().into_owned();
    }
    let resolved: Option<PathBuf> = path
        .parent()
        .and_then(|directory| fs_err::canonicalize(directory).ok())
        .zip(path.file_name())
        .map(|(directory, name)| directory.join(name));
    resolved.unwrap_or(path).to_string_lossy().into_owned()
}

fn note_unsupported(
    project: &Project,
    service: &Service,
    build: &BuildSection,
    set: &mut TargetSet,
) {
    let key = |key: &str| build.keys.get(key).unwrap_or(&build.place);
    let prefix = format!("services.{}.build", service.name);
    if let Some(isolation) = build.isolation.as_deref().filter(|value| *value != "default") {
        let message = format!("{prefix}.isolation: BuildKit has no isolation `{isolation}`");
        set.unsupported.push(ComposeError::at(key("isolation"), message).hint("remove the key"));
    }
    if let Some(network) = &build.network
        && !["default", "none", "host"].contains(&network.as_str())
    {
        let message = format!("{prefix}.network: BuildKit cannot use the network `{network}`");
        let hint = "RUN steps can use default, none or host";
        set.unsupported.push(ComposeError::at(key("network"), message).hint(hint));
    }
    for used in &build.secrets {
        let secret = project.secrets.get(&used.source);
        if secret.is_some_and(|secret| secret.file.is_none() && secret.environment.is_none()) {
            let message = format!(
                "{prefix}.secrets: secret `{}` has neither a file nor an environment variable",
                used.source
            );
            set.unsupported.push(
                ComposeError::at(&used.place, message)
                    .hint("a build cannot read external secrets or those of a driver"),
            );
        }
        if used.has_mount_options {
            set.warnings.push(format!(
                "{}: uid, gid and mode of a build secret have no effect; set them in RUN --mount",
                used.place
            ));
        }
    }
}
