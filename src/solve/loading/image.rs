//! An image among kept blobs: what its manifest and its configuration name.

use std::collections::BTreeMap;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::buildkit::session::content::Digest;
use crate::engine::chain_ids;
use crate::files::read;

/// Bound of a manifest and of a configuration: what containerd takes.
const DOCUMENT: u64 = 8 << 20;
/// Media type of a manifest that does not tell its own.
const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

/// Content by its digest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Blob {
    pub(super) digest: Digest,
    pub(super) bytes: u64,
}

/// An image for one platform.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct StoredImage {
    /// How an index describes its manifest.
    pub(super) descriptor: Map<String, Value>,
    pub(super) manifest: Blob,
    pub(super) config: Blob,
    /// Its layers, the lowest first. Two of them may be the same.
    pub(super) layers: Vec<Blob>,
    /// What identifies each layer with all below it.
    pub(super) chains: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Manifest {
    media_type: Option<String>,
    config: Descriptor,
    layers: Option<Vec<Descriptor>>,
}

#[derive(Deserialize)]
struct Descriptor {
    digest: String,
    size: u64,
}

#[derive(Deserialize)]
struct Config {
    rootfs: RootFs,
}

#[derive(Deserialize)]
struct RootFs {
    diff_ids: Option<Vec<String>>,
}

impl StoredImage {
    /// Reads the image that an exporter has told of in `response` from the blobs in `layout`.
    ///
    /// # Errors
    /// It is not there, is damaged, or is not an image for one platform.
    pub(super) fn read(layout: &Path, response: &BTreeMap<String, String>) -> Result<Self, String> {
        let digest = response.get("containerimage.digest").and_then(|it| Digest::parse(it));
        let digest = digest.ok_or("the builder does not say what it exported")?;
        let text = document(layout, &digest)?;
        let manifest: Manifest = parsed(&text, "the manifest")?;
        let manifest_bytes = text.len() as u64;
        let config = blob(&manifest.config)?;
        let Config { rootfs } = parsed(&document(layout, &config.digest)?, "the configuration")?;
        let diff_ids = rootfs.diff_ids.unwrap_or_default();
        let layers = manifest.layers.unwrap_or_default();
        let layers = layers.iter().map(blob).collect::<Result<Vec<_>, _>>()?;
        if layers.len() != diff_ids.len() {
            return Err(format!("{digest} has {} layers, not {}", layers.len(), diff_ids.len()));
        }
        let told = response.get("containerimage.descriptor");
        let told = told.and_then(|text| STANDARD.decode(text).ok());
        let told = told.and_then(|json| serde_json::from_slice::<Map<String, Value>>(&json).ok());
        let is_its = |it: &Map<String, Value>| {
            it.get("digest").and_then(Value::as_str) == Some(&digest.to_string())
        };
        let descriptor = told.filter(is_its).unwrap_or_else(|| {
            let media_type = manifest.media_type.unwrap_or_else(|| MANIFEST.to_owned());
            let fields = [
                ("mediaType", json!(media_type)),
                ("digest", json!(digest.to_string())),
                ("size", json!(manifest_bytes)),
            ];
            fields.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
        });
        Ok(Self {
            descriptor,
            manifest: Blob { digest, bytes: manifest_bytes },
            config,
            layers,
            chains: chain_ids(&diff_ids),
        })
    }

    /// The digests of everything that it is made of.
    pub(super) fn digests(&self) -> impl Iterator<Item = &Digest> {
        [&self.manifest, &self.config].into_iter().chain(&self.layers).map(|blob| &blob.digest)
    }

    /// Whether an engine calls it `id`: by its configuration with graph drivers, by its manifest on the containerd store.
    pub(super) fn is_called(&self, id: &str) -> bool {
        [&self.config, &self.manifest].iter().any(|blob| blob.digest.to_string() == id)
    }
}

fn blob(descriptor: &Descriptor) -> Result<Blob, String> {
    let digest = Digest::parse(&descriptor.digest);
    let digest = digest.ok_or_else(|| format!("{:?} is no digest", descriptor.digest))?;
    Ok(Blob { digest, bytes: descriptor.size })
}

/// Reads it. What is damaged goes, so that the builder sends it again.
fn document(layout: &Path, digest: &Digest) -> Result<Vec<u8>, String> {
    let path = digest.path_in(layout);
    let text = read::bytes(&path, DOCUMENT).map_err(|error| error.to_string())?;
    let mut hasher = digest.hasher();
    hasher.update(&text);
    if hasher.finish() != *digest {
        let _ = std::fs::remove_file(path);
        return Err(format!("{digest} is damaged"));
    }
    Ok(text)
}

fn parsed<T: serde::de::DeserializeOwned>(text: &[u8], what: &str) -> Result<T, String> {
    serde_json::from_slice(text).map_err(|error| format!("{what} is not one: {error}"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use sha2::{Digest as _, Sha256};

    use super::*;

    fn put(layout: &Path, content: &str) -> String {
        let digest = format!("sha256:{}", hex::encode(Sha256::digest(content)));
        let path = Digest::parse(&digest).unwrap().path_in(layout);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
        digest
    }

    fn read(
        layout: &Path,
        manifest: &str,
        descriptor: Option<&str>,
    ) -> Result<StoredImage, String> {
        let mut response = BTreeMap::new();
        response.insert("containerimage.digest".to_owned(), put(layout, manifest));
        let descriptor = descriptor.map(|text| STANDARD.encode(text));
        response.extend(descriptor.map(|it| ("containerimage.descriptor".to_owned(), it)));
        StoredImage::read(layout, &response)
    }

    #[test]
    fn an_image_is_what_its_manifest_and_configuration_name() {
        let folder = tempfile::tempdir().unwrap();
        let layer = format!("sha256:{}", "a".repeat(64));
        let config = put(folder.path(), r#"{"rootfs":{"diff_ids":["sha256:1","sha256:2"]}}"#);
        let layers =
            format!(r#"[{{"digest":"{layer}","size":7}},{{"digest":"{layer}","size":7}}]"#);
        let manifest = format!(
            r#"{{"mediaType":"m","config":{{"digest":"{config}","size":43}},"layers":{layers}}}"#
        );
        let image = read(folder.path(), &manifest, None).unwrap();
        assert_eq!((image.layers.len(), image.layers[1].bytes), (2, 7));
        assert_eq!(image.chains[0], "sha256:1");
        assert!(image.is_called(&config) && image.is_called(&image.manifest.digest.to_string()));
        assert!(!image.is_called(&layer));
        assert_eq!(image.descriptor["mediaType"], "m");
        assert_eq!(image.descriptor["size"], manifest.len());
        // What the builder says of it counts, if it is of this one.
        let told =
            format!(r#"{{"digest":"{}","platform":{{"os":"linux"}}}}"#, image.manifest.digest);
        let image = read(folder.path(), &manifest, Some(&told)).unwrap();
        assert_eq!(image.descriptor["platform"]["os"], "linux");
        let image = read(folder.path(), &manifest, Some(r#"{"digest":"sha256:0"}"#)).unwrap();
        assert_eq!(image.descriptor["mediaType"], "m");
        std::fs::write(Digest::parse(&config).unwrap().path_in(folder.path()), "{}").unwrap();
        assert!(read(folder.path(), &manifest, None).unwrap_err().contains("is damaged"));
        assert!(!Digest::parse(&config).unwrap().path_in(folder.path()).exists());
    }

    #[test]
    fn an_image_may_have_no_layers_and_an_index_is_not_one() {
        let folder = tempfile::tempdir().unwrap();
        let config = put(folder.path(), r#"{"rootfs":{"type":"layers"}}"#);
        let of = |rest: &str| format!(r#"{{"config":{{"digest":"{config}","size":28}}{rest}}}"#);
        assert!(read(folder.path(), &of(""), None).unwrap().layers.is_empty());
        assert!(read(folder.path(), &of(r#","layers":null"#), None).unwrap().chains.is_empty());
        let one = of(&format!(r#","layers":[{{"digest":"{config}","size":28}}]"#));
        assert!(read(folder.path(), &one, None).unwrap_err().contains("1 layers, not 0"));
        for text in [r#"{"manifests":[]}"#, "", r#"{"config":{"digest":"../x","size":1}}"#] {
            assert!(read(folder.path(), text, None).is_err(), "{text}");
        }
        assert!(StoredImage::read(folder.path(), &BTreeMap::new()).is_err());
    }
}
