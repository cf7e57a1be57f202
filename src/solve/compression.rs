//! How layers of an image are compressed where its output does not say it. Pure.
//!
//! On the containerd store an image is what a registry would get: its layers are compressed before anybody can use it, by
//! BuildKit with gzip on one thread. With zstd that takes half of the time, for no more bytes. But what a layer was
//! compressed with first stays, whoever exports it later, so it is zstd only where nothing of the run leaves the engine,
//! and no name of the image says that it will. See docs/design/compression.md.

use crate::buildkit::ExporterSpec;
use crate::image_reference;
use crate::solve::request::{IN_ENGINE, NAME, PUSH, SolveRequest};
use crate::targets::Compression;
use crate::targets::target::Target;

/// zstd at its fastest. Layers of it have no name among docker's media types, so the types are OCI's.
const ZSTD: [(&str, &str); 3] =
    [("compression", "zstd"), ("compression-level", "1"), (OCI_TYPES, "true")];
/// Attribute of an image exporter: whether its media types are OCI's (BuildKit `exporter/containerimage/exptypes`).
const OCI_TYPES: &str = "oci-mediatypes";
/// Attribute of an image exporter: whether the engine unpacks the image at once. Who starts a container of it does, else.
const UNPACK: &str = "unpack";
/// Exporters of images to files.
const ARCHIVES: [&str; 2] = ["docker", "oci"];
/// What begins the references in full that name no registry.
const NO_REGISTRY: &str = "docker.io/library/";

/// What `--compression` turns off, if anything was turned on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Choice {
    /// Nothing was chosen.
    None,
    /// zstd, for images that stay.
    Zstd,
}

/// Chooses for images that become images of a containerd store.
pub(super) fn settle(pairs: &mut [(&Target, &mut SolveRequest)]) -> Choice {
    let all_stay = pairs.iter().all(|(_, request)| stays(request));
    let mut choice = Choice::None;
    for (target, request) in pairs {
        for exporter in request.options.exporters.iter_mut().filter(|it| is_image(it)) {
            match target.compression {
                Compression::Zstd => zstd(exporter),
                Compression::Auto if all_stay && is_local(exporter) && is_open(exporter) => {
                    zstd(exporter);
                    choice = Choice::Zstd;
                }
                Compression::Auto | Compression::Gzip if exporter.attrs.contains_key(PUSH) => {
                    with_oci_types(exporter);
                }
                Compression::Auto | Compression::Gzip => {}
            }
        }
    }
    choice
}

/// Has an engine that can do so (Docker from 29.0.1) not unpack images that are pushed: nobody may ever run them there.
pub(super) fn leave_packed(request: &mut SolveRequest) {
    for exporter in request.options.exporters.iter_mut().filter(|it| it.attrs.contains_key(PUSH)) {
        exporter.attrs.entry(UNPACK.to_owned()).or_insert_with(|| "false".to_owned());
    }
}

/// Has layers compressed with zstd, unless the output says how.
pub(super) fn zstd(exporter: &mut ExporterSpec) {
    if is_open(exporter) {
        exporter.attrs.extend(ZSTD.map(|(key, value)| (key.to_owned(), value.to_owned())));
    }
}

/// An earlier build may have left layers of zstd, which would be pushed under a media type that most tools refuse.
fn with_oci_types(exporter: &mut ExporterSpec) {
    exporter.attrs.entry(OCI_TYPES.to_owned()).or_insert_with(|| "true".to_owned());
}

/// Whether no layer of it goes to a registry or another engine. Those of `--caches` are zstd themselves.
fn stays(request: &SolveRequest) -> bool {
    let leaves =
        |it: &ExporterSpec| it.attrs.contains_key(PUSH) || ARCHIVES.contains(&it.kind.as_str());
    let options = &request.options;
    options.cache_exports.is_empty() && !options.exporters.iter().any(leaves)
}

fn is_image(exporter: &ExporterSpec) -> bool {
    exporter.kind == IN_ENGINE
}

/// Whether its output leaves open how layers are compressed.
fn is_open(exporter: &ExporterSpec) -> bool {
    !exporter.attrs.keys().any(|key| key.contains("compression") || key == OCI_TYPES)
}

/// Whether none of its names names a registry to push it to.
fn is_local(exporter: &ExporterSpec) -> bool {
    let names = exporter.attrs.get(NAME).into_iter().flat_map(|names| names.split(','));
    names
        .filter(|name| !name.is_empty())
        .all(|name| image_reference::full(name).starts_with(NO_REGISTRY))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::buildkit::CacheEntry;

    fn request(kind: &str, attrs: &[(&str, &str)]) -> SolveRequest {
        let attrs = attrs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
        let mut request = SolveRequest::default();
        let exporter = ExporterSpec { kind: kind.to_owned(), attrs: attrs.collect() };
        request.options.exporters.push(exporter);
        request
    }

    fn image(name: &str) -> SolveRequest {
        request(IN_ENGINE, &[(NAME, name)])
    }

    fn pushed(name: &str) -> SolveRequest {
        request(IN_ENGINE, &[(NAME, name), (PUSH, "true")])
    }

    /// Settles `requests`, and shows what was added to each besides its name.
    fn settled(compression: Compression, requests: Vec<SolveRequest>) -> (Choice, Vec<String>) {
        let target = Target { compression, ..Target::default() };
        let mut requests = requests;
        let choice = settle(&mut requests.iter_mut().map(|it| (&target, it)).collect::<Vec<_>>());
        let attrs = |request: &SolveRequest| {
            let attrs = request.options.exporters.iter().flat_map(|it| &it.attrs);
            let added = attrs.filter(|(key, _)| !matches!(key.as_str(), NAME | PUSH));
            added.map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>().join(" ")
        };
        (choice, requests.iter().map(attrs).collect())
    }

    const ALL: &str = "compression=zstd compression-level=1 oci-mediatypes=true";

    #[test]
    fn images_that_stay_are_zstd() {
        for names in ["a", "a:1,docker.io/library/b", "library/a", ""] {
            let (choice, added) = settled(Compression::Auto, vec![image(names)]);
            assert_eq!((choice, &*added[0]), (Choice::Zstd, ALL), "{names}");
        }
        for names in ["r.io/a", "user/a", "localhost:5000/a", "a,r.io/a", "docker.io/user/a:1"] {
            let expected = (Choice::None, vec![String::new()]);
            assert_eq!(settled(Compression::Auto, vec![image(names)]), expected, "{names}");
        }
    }

    #[test]
    fn nothing_is_chosen_where_a_layer_leaves_with_one_of_the_run() {
        let mut cached = image("b");
        cached.options.cache_exports.push(CacheEntry::default());
        for other in [pushed("r.io/b"), request("oci", &[]), request("docker", &[]), cached] {
            let (choice, added) = settled(Compression::Auto, vec![image("a"), other.clone()]);
            assert_eq!((choice, &*added[0]), (Choice::None, ""), "{other:?}");
        }
        for other in ["local", "tar"] {
            let (choice, added) = settled(Compression::Auto, vec![image("a"), request(other, &[])]);
            assert_eq!((choice, &*added[0], &*added[1]), (Choice::Zstd, ALL, ""), "{other}");
        }
    }

    #[test]
    fn what_is_pushed_has_types_that_fit_any_layer() {
        let (_, added) = settled(Compression::Auto, vec![pushed("r.io/a")]);
        assert_eq!(added, ["oci-mediatypes=true"]);
        let said = request(IN_ENGINE, &[(PUSH, "true"), ("oci-mediatypes", "false")]);
        assert_eq!(settled(Compression::Auto, vec![said]).1, ["oci-mediatypes=false"]);
    }

    #[test]
    fn the_option_and_the_output_decide() {
        let both = || vec![image("a"), pushed("r.io/a"), image("r.io/b")];
        let (choice, added) = settled(Compression::Gzip, both());
        // Earlier builds may have left zstd here, too.
        let types = ["", "oci-mediatypes=true", ""].map(str::to_owned).to_vec();
        assert_eq!((choice, added), (Choice::None, types));
        let (choice, added) = settled(Compression::Zstd, both());
        assert_eq!((choice, added), (Choice::None, vec![ALL.to_owned(); 3]));
        for said in ["compression=gzip", "force-compression=true", "compression-level=3"] {
            let (key, value) = said.split_once('=').unwrap_or_default();
            for option in [Compression::Auto, Compression::Zstd] {
                let own = request(IN_ENGINE, &[(NAME, "a"), (key, value)]);
                assert_eq!(settled(option, vec![own]), (Choice::None, vec![said.to_owned()]));
            }
        }
    }

    #[test]
    fn an_output_says_whether_a_pushed_image_is_unpacked() {
        let mut plain = pushed("r.io/a");
        leave_packed(&mut plain);
        assert_eq!(plain.options.exporters[0].attrs[UNPACK], "false");
        let mut said = request(IN_ENGINE, &[(PUSH, "true"), (UNPACK, "true")]);
        leave_packed(&mut said);
        assert_eq!(said.options.exporters[0].attrs[UNPACK], "true");
        let mut stays = image("a");
        leave_packed(&mut stays);
        assert!(!stays.options.exporters[0].attrs.contains_key(UNPACK));
    }
}
