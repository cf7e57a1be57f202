//! The layers of other people's images, which tell what the project's images share. An image's id is the digest of what
//! it consists of: each is inspected once, and remembered beside the ledger.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::engine::{Engine, EngineError};
use crate::files::memory;
use crate::inventory::Image;

const SCHEMA: &str = "doc2md-docker/chains/v1";
/// More than a memory can have: 20,000 images of 40 layers.
const MEMORY_LIMIT: u64 = 16 << 20;
/// Digits of a key.
const KEY_DIGITS: usize = 16;

/// Layers with all below them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Chains(BTreeSet<u64>);

impl Chains {
    /// Whether the layer of this chain id is one of them.
    pub fn contains(&self, chain: &str) -> bool {
        self.0.contains(&key(chain))
    }
}

impl<'a> FromIterator<&'a str> for Chains {
    fn from_iter<I: IntoIterator<Item = &'a str>>(chains: I) -> Self {
        Self(chains.into_iter().map(key).collect())
    }
}

/// Stands for a chain: short, and still not the same for two layers of an engine by chance.
fn key(chain: &str) -> u64 {
    let digest: [u8; 32] = Sha256::digest(chain).into();
    digest.iter().take(KEY_DIGITS / 2).fold(0, |key, byte| key << 8 | u64::from(*byte))
}

/// What is remembered.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Memory {
    /// By image id.
    images: BTreeMap<String, Remembered>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Remembered {
    /// Its size when it was inspected: an image for several platforms grows when the engine pulls another one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    size: Option<u64>,
    /// The keys of its layers, one after the other.
    chains: String,
}

impl Remembered {
    fn new(image: &Image, chains: &[String]) -> Self {
        let digits = |chain: &String| format!("{:016x}", key(chain));
        Self { size: image.size_bytes, chains: chains.iter().map(digits).collect() }
    }

    fn keys(&self) -> impl Iterator<Item = u64> {
        let keys = self.chains.as_bytes().chunks_exact(KEY_DIGITS);
        keys.filter_map(|key| u64::from_str_radix(std::str::from_utf8(key).ok()?, 16).ok())
    }
}

/// Where the images of the engine at `address` are remembered, beside the ledger.
pub(super) fn file(ledger: Option<&Path>, address: &str) -> Option<PathBuf> {
    let name = hex::encode(&Sha256::digest(address)[..8]);
    Some(ledger?.parent()?.join("chains").join(format!("{name}.json")))
}

/// The layers of `images`. Those that are gone meanwhile have none.
///
/// # Errors
/// An image that is not remembered cannot be inspected.
pub(super) async fn of_images(
    engine: &Engine,
    file: Option<&Path>,
    images: &[&Image],
) -> Result<Chains, EngineError> {
    let known = file.and_then(|file| memory::recall(file, SCHEMA, MEMORY_LIMIT));
    let Memory { images: known } = known.unwrap_or_default();
    let is_known = |image: &Image| {
        known.get(&image.id).is_some_and(|remembered| remembered.size == image.size_bytes)
    };
    let unknown: Vec<String> =
        images.iter().filter(|image| !is_known(image)).map(|image| image.id.clone()).collect();
    let asked: BTreeMap<String, Vec<String>> =
        engine.image_chains(&unknown).await?.into_iter().collect();
    let remembered: BTreeMap<String, Remembered> = images
        .iter()
        .filter_map(|image| {
            let remembered = match asked.get(&image.id) {
                Some(chains) => Remembered::new(image, chains),
                None => known.get(&image.id).filter(|_| is_known(image))?.clone(),
            };
            Some((image.id.clone(), remembered))
        })
        .collect();
    let chains = remembered.values().flat_map(Remembered::keys).collect();
    if let Some(file) = file.filter(|_| !asked.is_empty()) {
        // Without a memory the next one asks again.
        let _ = memory::keep(file, SCHEMA, &Memory { images: remembered });
    }
    Ok(Chains(chains))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn digest(digit: char) -> String {
        format!("sha256:{}", digit.to_string().repeat(64))
    }

    fn image(digit: char, size: u64) -> Image {
        let mut image = super::super::tests::image(&digest(digit), "other:latest", size, 0);
        image.shared_bytes = None;
        image
    }

    /// An engine that nobody answers for.
    fn no_engine() -> Engine {
        let connector = crate::engine::Connector::unix("/nowhere/docker.sock");
        Engine::new(&connector)
    }

    #[tokio::test]
    async fn what_is_remembered_is_not_asked_again() {
        let folder = tempfile::tempdir().unwrap();
        let file = file(Some(&folder.path().join("builds")), "unix:///a").unwrap();
        let known = image('1', 10);
        let chains = [digest('a'), digest('b')];
        let images = [(known.id.clone(), Remembered::new(&known, &chains))].into();
        memory::keep(&file, SCHEMA, &Memory { images }).unwrap();
        let found = of_images(&no_engine(), Some(&file), &[&known]).await.unwrap();
        assert!(found.contains(&digest('a')) && found.contains(&digest('b')));
        assert!(!found.contains(&digest('c')) && !found.contains(""));
        // It has grown, or is another one.
        for image in [image('1', 11), image('2', 10)] {
            assert!(of_images(&no_engine(), Some(&file), &[&image]).await.is_err());
        }
        assert!(of_images(&no_engine(), None, &[&known]).await.is_err());
    }

    #[test]
    fn keys_that_cannot_be_read_are_left_out() {
        let odd = Remembered { size: None, chains: "zz€0000000000000001".to_owned() };
        assert_eq!(odd.keys().count(), 0);
    }
}
