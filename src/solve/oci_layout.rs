//! OCI image layouts as text: references to them, and what their `index.json` says. Pure; files are
//! [`crate::solve::stores`]' business.
//!
//! Sources: OCI image specification (`image-layout.md`), buildx `util/ocilayout`, BuildKit
//! `client/ociindex`.

use serde_json::{Map, Value, json};

use crate::buildkit::session::content::Digest;

/// What a build context of this kind starts with.
pub const SCHEME: &str = "oci-layout://";

/// Tag of what is not called anything else.
pub const LATEST: &str = "latest";

const REF_NAME: &str = "org.opencontainers.image.ref.name";
const IMAGE_NAME: &str = "io.containerd.image.name";

/// `oci-layout://DIR[:TAG][@DIGEST]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LayoutRef {
    /// The directory.
    pub path: String,
    /// The tag, if one is given.
    pub tag: Option<String>,
    /// The digest, if one is given: it counts, not the tag.
    pub digest: Option<Digest>,
}

impl LayoutRef {
    /// Reads a reference without its scheme.
    ///
    /// # Errors
    /// It ends in what should be a digest and is none, or it names no directory.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (rest, digest) = match text.rsplit_once('@') {
            Some((rest, digest)) if Digest::is_meant(digest) => {
                let parsed = Digest::parse(digest);
                (rest, Some(parsed.ok_or_else(|| format!("{digest:?} is no digest"))?))
            }
            _ => (text, None),
        };
        let (path, tag) = match rest.rsplit_once(':') {
            Some((path, tag)) if is_tag(tag) => (path, Some(tag.to_owned())),
            _ => (rest, None),
        };
        if path.is_empty() {
            return Err("it names no directory".to_owned());
        }
        Ok(Self { path: path.to_owned(), tag, digest })
    }
}

/// Whether `text` can be a tag (distribution's reference grammar).
fn is_tag(text: &str) -> bool {
    let word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    text.bytes().next().is_some_and(word)
        && text.len() <= 128
        && text.bytes().all(|byte| word(byte) || byte == b'.' || byte == b'-')
}

/// What a manifest is called in an index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Name {
    /// A tag.
    Tag(String),
    /// An image reference, as the engine normalises it.
    Image(String),
}

/// The `index.json` of a layout. What it holds besides stays as it is.
#[derive(Debug, Clone, PartialEq)]
pub struct Index(Map<String, Value>);

impl Default for Index {
    fn default() -> Self {
        Self(Map::new())
    }
}

impl Index {
    /// Reads an index.
    ///
    /// # Errors
    /// It is not JSON, or not an index.
    pub fn parse(text: &str) -> Result<Self, String> {
        let Value::Object(index) = serde_json::from_str(text).map_err(|e| e.to_string())? else {
            return Err("it is no JSON object".to_owned());
        };
        match index.get("manifests") {
            None | Some(Value::Array(_) | Value::Null) => Ok(Self(index)),
            Some(_) => Err("its manifests are no list".to_owned()),
        }
    }

    /// The JSON to write.
    pub fn to_json(&self) -> String {
        Value::Object(self.0.clone()).to_string()
    }

    fn manifests(&self) -> &[Value] {
        self.0.get("manifests").and_then(Value::as_array).map_or(&[], Vec::as_slice)
    }

    /// Digest of what is called `name`: an image's whole name before a tag, as buildx looks it up.
    pub fn find(&self, name: &str) -> Option<Digest> {
        [IMAGE_NAME, REF_NAME].into_iter().find_map(|key| {
            let found = |manifest: &&Value| annotation(manifest, key) == Some(name);
            digest(self.manifests().iter().find(found)?)
        })
    }

    /// Digest of the only manifest, if there is one only.
    pub fn only(&self) -> Option<Digest> {
        match self.manifests() {
            [only] => digest(only),
            _ => None,
        }
    }

    /// What its manifests are called, each once, in their order.
    pub fn names(&self) -> Vec<&str> {
        let mut names = Vec::new();
        for manifest in self.manifests() {
            let name = annotation(manifest, REF_NAME).or_else(|| annotation(manifest, IMAGE_NAME));
            names.extend(name.filter(|name| !names.contains(name)));
        }
        names
    }

    /// Adds the manifest that `descriptor` describes under `name`, in place of what had that name.
    pub fn put(&mut self, descriptor: &Map<String, Value>, name: &Name) {
        let (image, reference) = match name {
            Name::Tag(tag) => (None, tag.as_str()),
            Name::Image(image) => (Some(image.as_str()), tag_of(image)),
        };
        let mut descriptor = descriptor.clone();
        let mut annotations = match descriptor.remove("annotations") {
            Some(Value::Object(annotations)) => annotations,
            _ => Map::new(),
        };
        if let Some(image) = image {
            annotations.insert(IMAGE_NAME.to_owned(), image.into());
        }
        annotations.insert(REF_NAME.to_owned(), reference.into());
        descriptor.insert("annotations".to_owned(), annotations.into());
        let mut manifests = self.manifests().to_vec();
        manifests.retain(|manifest| {
            annotation(manifest, REF_NAME) != Some(reference)
                || annotation(manifest, IMAGE_NAME) != image
        });
        manifests.push(descriptor.into());
        self.0.entry("schemaVersion").or_insert_with(|| json!(2));
        self.0
            .entry("mediaType")
            .or_insert_with(|| json!("application/vnd.oci.image.index.v1+json"));
        self.0.insert("manifests".to_owned(), manifests.into());
    }
}

fn annotation<'a>(manifest: &'a Value, key: &str) -> Option<&'a str> {
    manifest.get("annotations")?.get(key)?.as_str()
}

fn digest(manifest: &Value) -> Option<Digest> {
    Digest::parse(manifest.get("digest")?.as_str()?)
}

/// The tag of an image reference; the whole of it where it has none.
fn tag_of(image: &str) -> &str {
    let start = image.rfind('/').map_or(0, |slash| slash + 1);
    image[start..].split_once(':').map_or(image, |(_, tag)| tag)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn digest_of(digit: char) -> String {
        format!("sha256:{}", String::from(digit).repeat(64))
    }

    fn descriptor(digit: char) -> Map<String, Value> {
        Map::from_iter([("digest".to_owned(), digest_of(digit).into())])
    }

    #[test]
    fn references_end_in_a_tag_or_a_digest() {
        let digest = digest_of('a');
        let with = |path: &str, tag: Option<&str>, digest: Option<&str>| LayoutRef {
            path: path.into(),
            tag: tag.map(str::to_owned),
            digest: digest.map(|digest| Digest::parse(digest).unwrap()),
        };
        for (text, expected) in [
            ("/l", with("/l", None, None)),
            ("./l:v1.0", with("./l", Some("v1.0"), None)),
            ("/a:b/l", with("/a:b/l", None, None)),
            ("/l@home", with("/l@home", None, None)),
            ("/l@home:v1", with("/l@home", Some("v1"), None)),
            (&format!("/l@{digest}"), with("/l", None, Some(&digest))),
            (&format!("/l:v1@{digest}"), with("/l", Some("v1"), Some(&digest))),
        ] {
            assert_eq!(LayoutRef::parse(text).unwrap(), expected, "{text}");
        }
        assert!(LayoutRef::parse("/l@sha256:abc").unwrap_err().contains("no digest"));
        for text in ["", ":v1", &format!("@{digest}")] {
            assert!(LayoutRef::parse(text).unwrap_err().contains("no directory"), "{text}");
        }
    }

    #[test]
    fn names_are_found_and_replaced() {
        let mut index = Index::default();
        let tag = |tag: &str| Name::Tag(tag.into());
        index.put(&descriptor('a'), &tag("latest"));
        assert_eq!(index.only().unwrap().to_string(), digest_of('a'));
        index.put(&descriptor('b'), &Name::Image("docker.io/library/app:latest".into()));
        index.put(&descriptor('c'), &tag("v1"));
        index.put(&descriptor('d'), &tag("v1"));
        let found = |name: &str| index.find(name).map(|digest| digest.to_string());
        assert_eq!(found("latest"), Some(digest_of('a')));
        assert_eq!(found("docker.io/library/app:latest"), Some(digest_of('b')));
        assert_eq!(found("v1"), Some(digest_of('d')));
        assert_eq!(found("v2"), None);
        assert_eq!(index.only(), None);
        assert_eq!(index.names(), ["latest", "v1"]);
    }

    #[test]
    fn what_an_index_holds_besides_stays() {
        let text = r#"{"schemaVersion":2,"annotations":{"k":"v"},"manifests":[{"digest":"sha256:x","size":1}]}"#;
        let mut index = Index::parse(text).unwrap();
        assert_eq!(index.only(), None);
        index.put(&descriptor('a'), &Name::Image("registry:5000/team/app:v1".into()));
        let a = digest_of('a');
        assert_eq!(
            index.to_json(),
            format!(
                r#"{{"schemaVersion":2,"annotations":{{"k":"v"}},"manifests":[{{"digest":"sha256:x","size":1}},{{"digest":"{a}","annotations":{{"io.containerd.image.name":"registry:5000/team/app:v1","org.opencontainers.image.ref.name":"v1"}}}}],"mediaType":"application/vnd.oci.image.index.v1+json"}}"#
            )
        );
        assert_eq!(Index::parse(&index.to_json()).unwrap(), index);
    }

    #[test]
    fn what_is_no_index_is_said() {
        for text in ["", "[]", "{\"manifests\": 3}"] {
            assert!(Index::parse(text).is_err(), "{text}");
        }
        assert_eq!(Index::parse("{}").unwrap().names(), Vec::<&str>::new());
    }

    #[test]
    fn tags_of_references() {
        assert_eq!(tag_of("docker.io/library/app:v1"), "v1");
        assert_eq!(tag_of("registry:5000/app"), "registry:5000/app");
        assert_eq!(tag_of("app:v1"), "v1");
    }
}
