//! What BuildKit by itself can do for a run, settled before sessions open: what it cannot is an error that names builder
//! and node, and images get an exporter that it has. Pure; [`super::engine_fit`] does the same for docker engines.

use std::path::{Path, PathBuf};

use crate::buildkit::session::content::{Access, Directory};
use crate::buildkit::{About, ExporterSpec};
use crate::image_reference::full;
use crate::solve::compression;
use crate::solve::engine_fit::{fill_host_gateway, needs_containerd_store, newer_key};
use crate::solve::request::{
    Export, IN_ENGINE, NAME, PUSH, RequestError, SolveRequest, repositories,
};
use crate::solve::site::Load;
use crate::solve::stores::EXPORT_STORE;
use crate::targets::Compression;
use crate::targets::target::Target;

/// Exporter of images to a registry.
const IMAGE: &str = "image";
/// Exporter of images to an archive that engines load.
const ARCHIVE: &str = "docker";
/// Attribute of [`ARCHIVE`]: `false` has it write the blobs of the image one by one into a store of the session.
const TAR: &str = "tar";
/// The first minor release of BuildKit (0.13) that has several exporters in a solve; others take the first.
const SEVERAL_EXPORTERS: u32 = 13;

/// The first minor release of BuildKit (0.11) that writes images to a store of the session.
const LAYERS: u32 = 11;

/// What is known of a node, and where its images go.
pub(super) struct Node<'a> {
    /// As messages call it.
    pub(super) peer: &'a str,
    /// What it says of itself.
    pub(super) about: &'a About,
    /// What `host-gateway` stands for there.
    pub(super) host_gateway: Option<&'a str>,
    /// When images are loaded into the user's engine.
    pub(super) load: Load,
    /// Directory for the archives that are loaded; `None` where there is no engine.
    pub(super) archives: Option<&'a Path>,
    /// Directory in which blobs are kept for the next build; `None` where there is none.
    pub(super) layers: Option<&'a Path>,
}

/// Where images end up that are neither pushed nor exported.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Images {
    /// In the user's engine, or there are none.
    Loaded,
    /// Nowhere: only the cache of the builder has their layers.
    InCache,
    /// In the engine around BuildKit.
    InItsEngine,
}

/// Fits `requests` (with their targets) to the node.
///
/// # Errors
/// A key that it cannot honour.
pub(super) fn fit(
    pairs: &mut [(&Target, &mut SolveRequest)],
    node: &Node<'_>,
) -> Result<Images, RequestError> {
    if node.about.version.is_none() {
        let newer = pairs.iter().find_map(|(target, _)| Some((target, newer_key(target)?)));
        if let Some((target, key)) = newer {
            let why = format!("{} is too old for it: BuildKit 0.11 or later has it", node.peer);
            return Err(unsupported(target, key, why));
        }
    }
    let missing = || format!("{} does not tell the address of host-gateway", node.peer);
    fill_host_gateway(pairs, node.host_gateway, missing)?;
    let mut images = Images::Loaded;
    for (index, (target, request)) in pairs.iter_mut().enumerate() {
        let ends_up = match node.about.is_bound_to_engine {
            true => stay(target, request, node)?,
            false => leave(target, request, node, index)?,
        };
        if ends_up != Images::Loaded {
            images = ends_up;
        }
    }
    Ok(images)
}

/// Images stay in the engine around BuildKit, which can do nothing else with them.
fn stay(
    target: &Target,
    request: &mut SolveRequest,
    node: &Node<'_>,
) -> Result<Images, RequestError> {
    let within = "is BuildKit within a docker engine without the containerd image store";
    let mut wanted = needs_containerd_store(target, request);
    if request.is_part {
        wanted = Some(("platforms", "an image of several nodes"));
    } else if !request.push.is_empty() {
        wanted = Some(("output", "a push"));
    } else if request.loads_image && node.load == Load::Asked {
        wanted = Some(("output", "loading the image into another engine"));
    }
    if let Some((key, what)) = wanted {
        let why = format!("{} {within}, which {what} needs", node.peer);
        return Err(unsupported(target, key, why));
    }
    if let Some(cache) = &mut request.layer_cache {
        cache.refuse(
            "writing needs the containerd image store, which the engine there does not use",
        );
    }
    let images = if request.loads_image { Images::InItsEngine } else { Images::Loaded };
    request.loads_image = false;
    Ok(images)
}

/// Images are pushed by BuildKit, or leave it for the user's engine: by their layers, or as an archive.
fn leave(
    target: &Target,
    request: &mut SolveRequest,
    node: &Node<'_>,
    index: usize,
) -> Result<Images, RequestError> {
    let mut exports = std::mem::take(&mut request.exports);
    let mut images = Images::Loaded;
    request.push.clear();
    request.loads_image = false;
    let mut settled: Vec<NodeExporter> = Vec::new();
    for (was, mut spec) in std::mem::take(&mut request.options.exporters).into_iter().enumerate() {
        if spec.kind != IN_ENGINE {
            let export = exports.remove(&was.to_string());
            settled.push(NodeExporter { spec, export, loads: false });
            continue;
        }
        // These exporters take names as they are.
        if let Some(names) = spec.attrs.get_mut(NAME) {
            let all = names.split(',').filter(|name| !name.is_empty()).map(full);
            *names = all.collect::<Vec<_>>().join(",");
        }
        let pushes = spec.attrs.remove(PUSH).is_some();
        let loads = !pushes || node.load == Load::Asked;
        if pushes {
            let mut pushed = ExporterSpec { kind: IMAGE.to_owned(), ..spec.clone() };
            pushed.attrs.insert(PUSH.to_owned(), "true".to_owned());
            if target.compression == Compression::Zstd {
                compression::zstd(&mut pushed);
            }
            if request.is_part {
                by_digest(&mut pushed);
            }
            settled.push(NodeExporter { spec: pushed, export: None, loads: false });
        }
        if loads && node.archives.is_some() {
            one_platform(target, request, node)?;
            ARCHIVE.clone_into(&mut spec.kind);
            settled.push(NodeExporter { spec, export: None, loads: true });
        } else if loads {
            images = Images::InCache;
        }
    }
    let minor = node.about.version.as_deref().and_then(minor);
    if settled.len() > 1 && minor.is_some_and(|minor| minor < SEVERAL_EXPORTERS) {
        let why = format!("{} is too old for several outputs: BuildKit 0.13 has them", node.peer);
        return Err(unsupported(target, "output", why));
    }
    let layers = node.layers.filter(|_| minor.is_none_or(|minor| minor >= LAYERS));
    if let Some(layers) = layers.filter(|_| has_one_to_load(&settled, request)) {
        // An exporter alone has the same number, and so the same archive.
        settled.sort_by_key(|exporter| !exporter.loads);
        settled[0].spec.attrs.insert(TAR.to_owned(), "false".to_owned());
        let store = Directory { path: layers.to_owned(), access: Access::Keep };
        request.stores.insert(EXPORT_STORE.to_owned(), store);
        request.kept = Some(layers.to_owned());
    }
    // Exporters are numbered in the order of the request, and files are known by that number.
    for (number, NodeExporter { spec, export, loads }) in settled.into_iter().enumerate() {
        let loaded = node.archives.filter(|_| loads).map(|folder| archive(folder, index, number));
        request.archives.extend(loaded.clone());
        request.loads_image |= loads;
        let export = export.or(loaded.map(Export::File));
        request.exports.extend(export.map(|export| (number.to_string(), export)));
        request.options.exporters.push(spec);
    }
    Ok(images)
}

/// An exporter that the node has.
struct NodeExporter {
    spec: ExporterSpec,
    /// What it writes on this machine.
    export: Option<Export>,
    /// Whether it makes what the user's engine loads.
    loads: bool,
}

/// Whether there is one image to load, with a name, and the one store that exporters write to is free for it.
fn has_one_to_load(settled: &[NodeExporter], request: &SolveRequest) -> bool {
    let mut loaded = settled.iter().filter(|exporter| exporter.loads);
    let (first, second) = (loaded.next(), loaded.next());
    let has_name =
        |it: &NodeExporter| it.spec.attrs.get(NAME).is_some_and(|names| !names.is_empty());
    let is_plain = |it: &NodeExporter| has_name(it) && !it.spec.attrs.contains_key(TAR);
    second.is_none() && first.is_some_and(is_plain) && !request.stores.contains_key(EXPORT_STORE)
}

/// Makes an exporter of layers one of an archive.
pub(super) fn make_archive(exporter: &mut ExporterSpec) {
    exporter.attrs.remove(TAR);
}

fn archive(folder: &Path, index: usize, exporter: usize) -> PathBuf {
    folder.join(format!("image-{index}-{exporter}.tar"))
}

/// An archive that engines load holds an image for one platform.
fn one_platform(
    target: &Target,
    request: &SolveRequest,
    node: &Node<'_>,
) -> Result<(), RequestError> {
    let platforms = request.options.frontend_attrs.get("platform");
    if !request.is_part && !platforms.is_some_and(|platforms| platforms.contains(',')) {
        return Ok(());
    }
    let instead = if request.is_part { "" } else { ", or an output of type=oci" };
    let why = format!(
        "an image for several platforms cannot be loaded from {}: use --push{instead}",
        node.peer
    );
    Err(unsupported(target, "platforms", why))
}

/// The image of a part goes to its repositories without a name: names are for all parts together.
fn by_digest(exporter: &mut ExporterSpec) {
    if let Some(names) = exporter.attrs.get_mut(NAME) {
        *names = repositories(names);
    }
    exporter.attrs.insert("push-by-digest".to_owned(), "true".to_owned());
}

/// The minor release of BuildKit 0.x; `None` where it is not said (`v0.0.0+unknown` is what engines say).
fn minor(version: &str) -> Option<u32> {
    let (minor, _) = version.trim_start_matches('v').strip_prefix("0.")?.split_once('.')?;
    minor.parse().ok().filter(|minor| *minor > 0)
}

fn unsupported(target: &Target, key: &'static str, why: String) -> RequestError {
    RequestError::Unsupported { target: target.name.clone(), key, why }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn request(exporters: &[(&str, &[(&str, &str)])]) -> SolveRequest {
        let mut request = SolveRequest { loads_image: true, ..SolveRequest::default() };
        for (kind, attrs) in exporters {
            let attrs = attrs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
            let spec = ExporterSpec { kind: (*kind).to_owned(), attrs: attrs.collect() };
            request.options.exporters.push(spec);
        }
        request
    }

    fn about(version: &str) -> About {
        About { version: Some(version.to_owned()), ..About::default() }
    }

    /// What becomes of `request`: its exporters with their names, and which of them write what.
    fn fitted(
        mut request: SolveRequest,
        about: &About,
        load: Load,
        archives: Option<&str>,
    ) -> Result<(String, Images), String> {
        fit_to(&mut request, about, load, (archives, None))
    }

    fn fit_to(
        request: &mut SolveRequest,
        about: &About,
        load: Load,
        (archives, layers): (Option<&str>, Option<&str>),
    ) -> Result<(String, Images), String> {
        let target = Target { name: "app".to_owned(), ..Target::default() };
        let (archives, layers) = (archives.map(Path::new), layers.map(Path::new));
        let node = Node { peer: "the builder", about, host_gateway: None, load, archives, layers };
        let images = fit(&mut [(&target, request)], &node).map_err(|it| it.to_string())?;
        let shown = request.options.exporters.iter().enumerate().map(|(index, it)| {
            let attrs: Vec<_> =
                it.attrs.iter().map(|(key, value)| format!("{key}={value}")).collect();
            let export = match request.exports.get(&index.to_string()) {
                Some(Export::File(path) | Export::Directory(path)) => {
                    format!(">{}", path.display())
                }
                _ => String::new(),
            };
            format!("{}({}){export}", it.kind, attrs.join(" "))
        });
        Ok((shown.collect::<Vec<_>>().join(" "), images))
    }

    #[test]
    fn an_image_is_loaded_unless_it_is_pushed() {
        let new = about("v0.27.0");
        let plain = || request(&[("moby", &[("name", "a,r.io/b:1")])]);
        let pushed = || request(&[("moby", &[("name", "r.io/b:1"), ("push", "true")])]);
        let (shown, images) = fitted(plain(), &new, Load::IfThere, Some("/t")).unwrap();
        assert_eq!(shown, "docker(name=docker.io/library/a:latest,r.io/b:1)>/t/image-0-0.tar");
        assert_eq!(images, Images::Loaded);
        let kept = fitted(plain(), &new, Load::IfThere, None).unwrap();
        assert_eq!(kept, (String::new(), Images::InCache));
        for archives in [None, Some("/t")] {
            let (shown, images) = fitted(pushed(), &new, Load::IfThere, archives).unwrap();
            assert_eq!((&*shown, images), ("image(name=r.io/b:1 push=true)", Images::Loaded));
        }
        let (shown, _) = fitted(pushed(), &new, Load::Asked, Some("/t")).unwrap();
        let both = "image(name=r.io/b:1 push=true) docker(name=r.io/b:1)>/t/image-0-1.tar";
        assert_eq!(shown, both);
        let error = fitted(pushed(), &about("v0.12.5"), Load::Asked, Some("/t")).unwrap_err();
        assert!(error.contains("too old for several outputs"), "{error}");
        assert!(fitted(pushed(), &about("v0.0.0+unknown"), Load::Asked, Some("/t")).is_ok());
    }

    #[test]
    fn one_image_with_a_name_travels_by_its_layers() {
        let fit = |mut request: SolveRequest, version: &str| {
            let places = (Some("/t"), Some("/kept"));
            let (shown, _) = fit_to(&mut request, &about(version), Load::Asked, places).unwrap();
            (shown, request)
        };
        let pushed = || request(&[("tar", &[]), ("moby", &[("name", "a"), ("push", "true")])]);
        let mut with_file = pushed();
        with_file.exports.insert("0".to_owned(), Export::File("x.tar".into()));
        let (shown, request_) = fit(with_file, "v0.13.0");
        let all = "docker(name=docker.io/library/a:latest tar=false)>/t/image-0-0.tar tar()>x.tar \
                   image(name=docker.io/library/a:latest push=true)";
        assert_eq!(shown, all);
        assert_eq!(request_.kept.as_deref(), Some(Path::new("/kept")));
        assert_eq!(request_.stores[EXPORT_STORE].access, Access::Keep);
        assert_eq!(request_.archives, [PathBuf::from("/t/image-0-0.tar")]);
        // As an archive it has the same number, alone.
        let mut first = request_.options.exporters[0].clone();
        make_archive(&mut first);
        assert!(!first.attrs.contains_key(TAR));
        let mut taken = request(&[("moby", &[("name", "a")])]);
        let store = Directory { path: "/other".into(), access: Access::Write };
        taken.stores.insert(EXPORT_STORE.to_owned(), store);
        let two = request(&[("moby", &[("name", "a")]), ("moby", &[("name", "b")])]);
        for (whole, version) in [
            (taken, "v0.20.0"),
            (two, "v0.20.0"),
            (request(&[("moby", &[])]), "v0.20.0"),
            (request(&[("moby", &[("name", "")])]), "v0.20.0"),
            (request(&[("moby", &[("name", "a"), ("tar", "true")])]), "v0.20.0"),
            (request(&[("moby", &[("name", "a")])]), "v0.10.6"),
        ] {
            let (shown, request) = fit(whole, version);
            assert!(request.kept.is_none() && !shown.contains("tar=false"), "{shown}");
        }
    }

    #[test]
    fn files_keep_the_exporter_that_writes_them() {
        let mut several = request(&[
            ("moby", &[("name", "a"), ("push", "true")]),
            ("tar", &[]),
            ("moby", &[("name", "b")]),
            ("local", &[]),
        ]);
        several.exports.insert("1".to_owned(), Export::File("x.tar".into()));
        several.exports.insert("3".to_owned(), Export::Directory("y".into()));
        let (shown, _) = fitted(several.clone(), &about("v0.20.1"), Load::IfThere, None).unwrap();
        let names = "image(name=docker.io/library/a:latest push=true) tar()>x.tar local()>y";
        assert_eq!(shown, names);
        let (shown, _) = fitted(several, &about("v0.20.1"), Load::Asked, Some("/t")).unwrap();
        assert_eq!(shown.matches('>').count(), 4, "{shown}");
        assert!(
            shown.ends_with(
                "tar()>x.tar docker(name=docker.io/library/b:latest)>/t/image-0-3.tar local()>y"
            ),
            "{shown}"
        );
    }

    #[test]
    fn what_cannot_work_names_the_builder() {
        let mut several = request(&[("moby", &[])]);
        let platforms = "linux/amd64,linux/arm64".to_owned();
        several.options.frontend_attrs.insert("platform".to_owned(), platforms);
        let new = about("v0.27.0");
        let error = fitted(several.clone(), &new, Load::IfThere, Some("/t")).unwrap_err();
        assert!(error.contains("several platforms cannot be loaded from the builder"), "{error}");
        assert!(fitted(several, &new, Load::IfThere, None).is_ok());
        let mut gateway = request(&[]);
        let hosts = "h=host-gateway".to_owned();
        gateway.options.frontend_attrs.insert("add-hosts".to_owned(), hosts);
        let error = fitted(gateway, &new, Load::IfThere, None).unwrap_err();
        assert!(error.contains("the builder does not tell the address of host-gateway"), "{error}");
        let bound = About { is_bound_to_engine: true, ..new };
        let stays = fitted(request(&[("moby", &[])]), &bound, Load::IfThere, Some("/t")).unwrap();
        assert_eq!(stays, ("moby()".to_owned(), Images::InItsEngine));
        let mut pushed = request(&[("moby", &[("push", "true")])]);
        pushed.push.push("a".to_owned());
        for (request, load) in [(pushed, Load::IfThere), (request(&[("moby", &[])]), Load::Asked)] {
            let error = fitted(request, &bound, load, Some("/t")).unwrap_err();
            assert!(error.contains("the builder is BuildKit within a docker engine"), "{error}");
        }
    }

    #[test]
    fn releases_of_buildkit() {
        let of = |text| minor(text);
        assert_eq!(
            (of("v0.12.5"), of("0.33.0-rc1"), of("v0.0.0+unknown")),
            (Some(12), Some(33), None)
        );
        assert_eq!((of("v1.2.3"), of("")), (None, None));
    }
}
