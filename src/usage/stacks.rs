//! The layers of other people's images, which tell what the project's images share and whose the build cache is. An
//! image's id is the digest of what it consists of: each is asked for once, and remembered beside the ledger.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::engine::{Engine, EngineError};
use crate::files::memory;
use crate::inventory::Image;
use crate::ownership::records::{Stack, stacks};

const SCHEMA: &str = "doc2md-docker/stacks/v1";
/// 4,000 images of 40 layers. More are asked for each time.
const MEMORY_LIMIT: u64 = 16 << 20;

/// What is remembered.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Memory {
    images: Vec<MemoryEntry>,
}

#[derive(Debug, Serialize, Deserialize)]
struct MemoryEntry {
    /// Its size when it was asked for: an image for several platforms grows when the engine pulls another one.
    size_bytes: Option<u64>,
    stack: Stack,
}

/// Where the images of the engine at `address` are remembered, beside the ledger.
pub(super) fn file(ledger: Option<&Path>, address: &str) -> Option<PathBuf> {
    let name = hex::encode(&Sha256::digest(address)[..8]);
    Some(ledger?.parent()?.join("stacks").join(format!("{name}.json")))
}

/// The layers of `images`. Those that are gone meanwhile have none.
///
/// # Errors
/// The engine cannot be asked for an image that is not remembered.
pub(super) async fn of_images(
    engine: &Engine,
    file: Option<&Path>,
    images: &[&Image],
) -> Result<Vec<Stack>, EngineError> {
    let sizes: BTreeMap<&str, Option<u64>> =
        images.iter().map(|image| (image.id.as_str(), image.size_bytes)).collect();
    let memory = file.and_then(|file| memory::recall(file, SCHEMA, MEMORY_LIMIT));
    let Memory { images: mut known } = memory.unwrap_or_default();
    known.retain(|it| sizes.get(it.stack.image.as_str()) == Some(&it.size_bytes));
    let mut unknown: BTreeSet<&str> = sizes.keys().copied().collect();
    for it in &known {
        unknown.remove(it.stack.image.as_str());
    }
    let unknown: Vec<String> = unknown.into_iter().map(str::to_owned).collect();
    let asked = stacks(&engine.image_details(&unknown).await?);
    let is_new = !asked.is_empty();
    known.extend(asked.into_iter().map(|stack| MemoryEntry {
        size_bytes: sizes.get(stack.image.as_str()).copied().flatten(),
        stack,
    }));
    let memory = Memory { images: known };
    if let Some(file) = file.filter(|_| is_new) {
        // Without a memory the next one asks again.
        let _ = memory::keep(file, SCHEMA, &memory);
    }
    Ok(memory.images.into_iter().map(|it| it.stack).collect())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn digest(digit: char) -> String {
        format!("sha256:{}", digit.to_string().repeat(64))
    }

    fn image(digit: char, size: u64) -> Image {
        super::super::tests::image(&digest(digit), "other:latest", size, 0)
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
        let details = super::super::tests::details(&known.id, "COPY a . # buildkit", 4, Some(3));
        let stack = Stack::from(&details);
        let remembered = MemoryEntry { size_bytes: Some(10), stack: stack.clone() };
        memory::keep(&file, SCHEMA, &Memory { images: vec![remembered] }).unwrap();
        let found = of_images(&no_engine(), Some(&file), &[&known]).await.unwrap();
        assert_eq!(found, [stack]);
        assert!(of_images(&no_engine(), Some(&file), &[]).await.unwrap().is_empty());
        // It has grown, or is another one.
        for image in [image('1', 11), image('2', 10)] {
            assert!(of_images(&no_engine(), Some(&file), &[&image]).await.is_err());
        }
        assert!(of_images(&no_engine(), None, &[&known]).await.is_err());
    }

    #[test]
    fn words_of_a_history_are_not_kept() {
        let mut details =
            super::super::tests::details("sha256:a", "RUN |1 TOKEN=geheim x", 4, None);
        details.history[2].created = Some(jiff::Timestamp::UNIX_EPOCH);
        let text = serde_json::to_string(&Stack::from(&details)).unwrap();
        assert!(!text.contains("geheim") && text.contains("RUN"), "{text}");
    }
}
