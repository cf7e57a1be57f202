//! Directories of blobs that a target reads or writes on this machine: caches of `type=local`,
//! `oci-layout://` contexts, image layouts that an exporter writes unpacked.
//!
//! Three moments: [`look`] finds, before the request is made, what a target names in them; [`prepare`]
//! makes those it will write, before anything is sent; [`record`] tells their index what the solve
//! added. The blobs themselves travel through the session
//! ([`crate::buildkit::session::content`]). Protocol: BuildKit `client/solve.go`.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};

use crate::buildkit::session::content::{Access, Digest, Directory, cannot_write};
use crate::files::write::{self, NEW_FILE};
use crate::files::{partial, read};
use crate::solve::oci_layout::{Index, LATEST, LayoutRef, Name, SCHEME};
use crate::targets::spec::Spec;
use crate::targets::target::Target;

/// Id of the one store an exporter writes to (BuildKit `exporter/oci`).
pub const EXPORT_STORE: &str = "export";

/// What [`look`] found for a target.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TargetStores {
    /// Caches to import that are there, by how they are written.
    caches: BTreeMap<String, Digest>,
    /// Images in layouts, by the context that names them.
    layouts: BTreeMap<String, Layout>,
    /// What deserves a warning.
    pub warnings: Vec<String>,
}

/// An image in a layout.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Layout {
    path: PathBuf,
    digest: Digest,
}

impl TargetStores {
    /// Digest of the cache that an entry of `cache_from` names, if it is there.
    pub fn cache(&self, entry: &Spec) -> Option<&Digest> {
        self.caches.get(&entry.to_string())
    }

    /// The image that the context `source` names: the frontend's value, and the store to serve.
    pub fn layout(&self, source: &str) -> Option<(String, String, Directory)> {
        let Layout { path, digest } = self.layouts.get(source)?;
        // The frontend takes the id for the name of an image.
        let id = format!("layout-{}", path_id(path));
        let directory = Directory { path: path.clone(), access: Access::Read };
        // The engine asks for the store under another prefix than the frontend's.
        Some((format!("{SCHEME}{id}@{digest}"), format!("oci:{id}"), directory))
    }
}

/// What the engine calls the directory of a `type=local` cache, and the store it asks for then. Not its
/// path: the store's id travels in a header, which takes only ASCII.
pub fn cache_names(path: &Path) -> (String, String) {
    let name = format!("cache-{}", path_id(path));
    let store = format!("local:{name}");
    (name, store)
}

fn path_id(path: &Path) -> String {
    hex::encode(&Sha256::digest(path.as_os_str().as_encoded_bytes())[..8])
}

/// What an index gets to know after the solve.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IndexUpdate {
    /// The directory.
    pub path: PathBuf,
    /// What was added to it.
    pub added: Addition,
}

/// What a solve adds to a directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Addition {
    /// A cache, under this tag.
    Cache {
        /// The tag.
        tag: String,
    },
    /// The image, under the names its exporter gave it.
    Image,
}

/// A directory that does not have, or does not take, what a target wants.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("target {target}: {key}: {message}")]
pub struct StoreError {
    /// The target.
    pub target: String,
    /// The key of `build:`.
    pub key: &'static str,
    /// A lowercase sentence that names the directory.
    pub message: String,
    /// What could help.
    pub hint: Option<String>,
}

/// Looks up what `target` names in directories: a cache that is not there is a warning, as for
/// buildx; an image that is not there is an error.
///
/// # Errors
/// A context names a layout or an image in it that is not there.
pub fn look(target: &Target) -> Result<TargetStores, StoreError> {
    let mut found = TargetStores::default();
    let policy = target.layer_cache.iter().flat_map(|it| &it.from).map(|cache| (cache, true));
    for (cache, is_policy) in target.cache_from.iter().map(|cache| (cache, false)).chain(policy) {
        let Some(path) = cache.attrs.get("src").filter(|_| cache.kind == "local") else { continue };
        match find_cache(Path::new(path), cache) {
            Ok(digest) => drop(found.caches.insert(cache.to_string(), digest)),
            // The first build of a branch has none.
            Err(_) if is_policy => {}
            Err(why) => found.warnings.push(format!(
                "target {}: cache_from: {why}; the build goes on without this cache",
                target.name
            )),
        }
    }
    for source in target.contexts.values() {
        let Some(reference) = source.strip_prefix(SCHEME) else { continue };
        let image = find_image(reference).map_err(|(why, hint)| StoreError {
            target: target.name.clone(),
            key: "additional_contexts",
            message: format!("{source}: {why}"),
            hint,
        })?;
        found.layouts.insert(source.clone(), image);
    }
    Ok(found)
}

fn find_cache(path: &Path, cache: &Spec) -> Result<Digest, String> {
    let shown = path.display();
    let digest = match cache.attrs.get("digest") {
        Some(digest) => Digest::parse(digest).ok_or_else(|| format!("{digest:?} is no digest"))?,
        None => {
            let tag = cache.attrs.get("tag").map_or(LATEST, String::as_str);
            let index = read_index(path)?.ok_or_else(|| format!("there is no cache in {shown}"))?;
            index.find(tag).ok_or_else(|| format!("the cache in {shown} has no tag {tag:?}"))?
        }
    };
    if !digest.path_in(path).is_file() {
        return Err(format!("the cache in {shown} has no {digest}"));
    }
    Ok(digest)
}

fn find_image(reference: &str) -> Result<Layout, (String, Option<String>)> {
    let LayoutRef { path, tag, digest } = LayoutRef::parse(reference).map_err(|why| (why, None))?;
    let path = PathBuf::from(path);
    let Some(index) = read_index(&path).map_err(|why| (why, None))? else {
        let hint = "an image layout is a directory with an index.json; `type=oci,dest=DIR,tar=false` writes one";
        return Err((format!("{} has no index.json", path.display()), Some(hint.to_owned())));
    };
    let digest = match (digest, tag) {
        (Some(digest), _) => digest,
        (None, Some(tag)) => index
            .find(&tag)
            .ok_or_else(|| (format!("the layout has no tag {tag:?}"), tags_hint(&index)))?,
        (None, None) => index.find(LATEST).or_else(|| index.only()).ok_or_else(|| {
            (format!("the layout has no tag {LATEST:?}, and not just one image"), tags_hint(&index))
        })?,
    };
    if !digest.path_in(&path).is_file() {
        return Err((format!("the layout has no {digest}"), tags_hint(&index)));
    }
    Ok(Layout { path, digest })
}

fn tags_hint(index: &Index) -> Option<String> {
    let names = index.names();
    (!names.is_empty()).then(|| format!("its tags: {}", names.join(", ")))
}

/// The index of a layout; `None` where there is none.
fn read_index(layout: &Path) -> Result<Option<Index>, String> {
    let path = layout.join("index.json");
    let text = match read::text(&path, read::DOCUMENT) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(format!("cannot read {}: {error}", path.display())),
    };
    // What an interrupted writer of an older release of BuildKit leaves.
    if text.is_empty() {
        return Ok(None);
    }
    let index = Index::parse(&text);
    index.map(Some).map_err(|why| format!("{} is no index: {why}", path.display()))
}

/// Makes those of the directories `stores` of `target` that will be written to, and tries whether they can be.
///
/// # Errors
/// One cannot; the error names it.
pub fn prepare(target: &Target, stores: &BTreeMap<String, Directory>) -> Result<(), StoreError> {
    let written = stores.iter().filter(|(_, store)| store.access == Access::Write);
    for (id, Directory { path, .. }) in written {
        let attempt = || -> io::Result<()> {
            fs_err::create_dir_all(path)?;
            partial::sweep(path);
            partial::file(path, NEW_FILE)?.close()
        };
        attempt().map_err(|error| StoreError {
            target: target.name.clone(),
            key: if id == EXPORT_STORE { "output" } else { "cache_to" },
            message: format!("{}{error}", cannot_write(path)),
            hint: None,
        })?;
    }
    Ok(())
}

/// Enters what a solve added into the indexes of its directories. `response` is what the engine's
/// exporters answered.
///
/// # Errors
/// An index cannot be written, or the engine did not say what it added.
pub fn record(updates: &[IndexUpdate], response: &BTreeMap<String, String>) -> Result<(), String> {
    for IndexUpdate { path, added } in updates {
        let failed =
            |why: String| format!("cannot update {}: {why}", path.join("index.json").display());
        let silent = || failed("the engine did not say what it wrote".to_owned());
        let (descriptor, names) = match added {
            Addition::Cache { tag } => {
                let answer = response.get("cache.manifest");
                (answer.and_then(|text| object(text.as_bytes())), vec![Name::Tag(tag.clone())])
            }
            Addition::Image => {
                let answer = response.get("containerimage.descriptor");
                let bytes = answer.and_then(|text| STANDARD.decode(text).ok());
                let names = response.get("image.name").filter(|names| !names.is_empty());
                let names = names.map_or_else(
                    || vec![Name::Tag(LATEST.to_owned())],
                    |names| names.split(',').map(|name| Name::Image(name.to_owned())).collect(),
                );
                (bytes.and_then(|bytes| object(&bytes)), names)
            }
        };
        update(path, &descriptor.ok_or_else(silent)?, &names).map_err(failed)?;
    }
    Ok(())
}

fn object(json: &[u8]) -> Option<Map<String, Value>> {
    serde_json::from_slice(json).ok()
}

fn update(layout: &Path, descriptor: &Map<String, Value>, names: &[Name]) -> Result<(), String> {
    let _lock = IndexLock::take(layout).map_err(|error| error.to_string())?;
    let mut index = read_index(layout)?.unwrap_or_default();
    for name in names {
        index.put(descriptor, name);
    }
    let write = || -> io::Result<()> {
        write_file(layout, "oci-layout", r#"{"imageLayoutVersion":"1.0.0"}"#)?;
        write_file(layout, "index.json", &index.to_json())
    };
    write().map_err(|error| error.to_string())
}

/// Writes a file whole or not at all.
fn write_file(layout: &Path, name: &str, text: &str) -> io::Result<()> {
    let path = layout.join(name);
    let mut file = write::beside(&path)?;
    file.write_all(text.as_bytes())?;
    file.as_file().sync_all()?;
    write::name(file, &path)
}

/// The lock that BuildKit's clients take on an index, too. Its file goes with it.
struct IndexLock {
    _file: File,
    path: PathBuf,
}

impl IndexLock {
    /// Waits for the lock: who has it needs it for a moment only.
    fn take(layout: &Path) -> io::Result<Self> {
        let path = layout.join("index.json.lock");
        loop {
            let file = File::options().create(true).append(true).open(&path)?;
            file.lock()?;
            // Whoever had it before removed the file: a lock on that is none.
            let same = std::fs::metadata(&path)
                .is_ok_and(|now| file.metadata().is_ok_and(|mine| mine.ino() == now.ino()));
            if same {
                return Ok(Self { _file: file, path });
            }
        }
    }
}

impl Drop for IndexLock {
    fn drop(&mut self) {
        // Still locked; a file that stays does no harm.
        let _ = std::fs::remove_file(&self.path);
    }
}

#[cfg(test)]
mod tests;
