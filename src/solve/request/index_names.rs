//! The names of an image that several nodes build: parts are pushed without them, and one index of the parts gets them all.

use std::collections::BTreeSet;

use super::{NAME, PUSH};
use crate::buildkit::ExporterSpec;
use crate::compose::parse_bool;
use crate::image_reference::full;

/// Attribute of an exporter: `true` where its registry may do without TLS.
const INSECURE: &str = "registry.insecure";
/// What attributes begin with that annotate an index (BuildKit `exporter/containerimage/exptypes`).
const ANNOTATION: &str = "annotation-index.";

/// Names of an image, and what an index of it says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IndexNames {
    /// References in full; none where nothing is pushed.
    pub names: Vec<String>,
    /// Whether its registries may do without TLS.
    pub is_insecure: bool,
    /// Annotations of the index.
    pub annotations: Vec<(String, String)>,
}

impl IndexNames {
    /// What `exporters` push.
    pub(super) fn new(exporters: &[ExporterSpec]) -> Self {
        let mut all = Self { names: Vec::new(), is_insecure: false, annotations: Vec::new() };
        for exporter in exporters.iter().filter(|it| it.attrs.contains_key(PUSH)) {
            let names = exporter.attrs.get(NAME).into_iter().flat_map(|names| names.split(','));
            for name in names.filter(|name| !name.is_empty()).map(full) {
                if !all.names.contains(&name) {
                    all.names.push(name);
                }
            }
            let insecure = exporter.attrs.get(INSECURE).and_then(|value| parse_bool(value));
            all.is_insecure |= insecure == Some(true);
            let annotation = |(key, value): (&String, &String)| {
                Some((key.strip_prefix(ANNOTATION)?.to_owned(), value.clone()))
            };
            all.annotations.extend(exporter.attrs.iter().filter_map(annotation));
        }
        all
    }
}

/// The repositories of `names`, each once: what is pushed by its digest has no tag.
pub fn repositories(names: &str) -> String {
    let repository = |name: &str| {
        let name = full(name);
        let name = name.split('@').next().unwrap_or_default();
        match name.rsplit_once(':') {
            Some((repository, tag)) if !tag.contains('/') => repository.to_owned(),
            _ => name.to_owned(),
        }
    };
    let names = names.split(',').filter(|name| !name.is_empty()).map(repository);
    names.collect::<BTreeSet<_>>().into_iter().collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repositories_have_no_tags() {
        let names = "r.io:5000/a:1,r.io:5000/a:2,b,r.io:5000/c";
        assert_eq!(repositories(names), "docker.io/library/b,r.io:5000/a,r.io:5000/c");
        assert_eq!(repositories(""), "");
    }

    #[test]
    fn what_is_not_pushed_has_no_index() {
        let exporter = |attrs: &[(&str, &str)]| ExporterSpec {
            kind: "moby".to_owned(),
            attrs: attrs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect(),
        };
        let pushed = exporter(&[
            ("name", "a,b"),
            ("push", "true"),
            ("annotation-index.x", "y"),
            ("registry.insecure", "1"),
        ]);
        let all = IndexNames::new(&[exporter(&[("name", "z")]), pushed.clone(), pushed]);
        assert_eq!(all.names, ["docker.io/library/a:latest", "docker.io/library/b:latest"]);
        assert!(all.is_insecure && all.annotations[0] == ("x".to_owned(), "y".to_owned()));
        assert!(IndexNames::new(&[exporter(&[("name", "z")])]).names.is_empty());
    }
}
