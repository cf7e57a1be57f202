//! The layers of an image, as far as they tell what it shares with others and which records they are. An image's history
//! may hold secrets in its words: of these there is a digest here, so that a stack can be remembered.

use serde::{Deserialize, Serialize};

use super::mark::{Mark, digest};
use crate::inventory::{ImageDetails, Layer};

/// Stands for a layer with all below it (an OCI chain id): short, and not the same for two layers by chance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Chain(u64);

/// An image's layers from the bottom up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stack {
    /// Id of the image.
    pub image: String,
    /// Bytes of the compressed blobs, which only the containerd store keeps.
    pub content_bytes: Option<u64>,
    /// The layers.
    pub layers: Vec<StackLayer>,
}

/// A layer of a [`Stack`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StackLayer {
    /// Identity of the layer on those below it.
    pub chain: Chain,
    /// Bytes it adds, unpacked.
    pub size_bytes: Option<u64>,
    /// What tells its record; `None` where no instruction of BuildKit made it.
    pub mark: Option<Mark>,
}

impl Chain {
    /// Of the layer with this chain id.
    pub fn new(id: &str) -> Self {
        Self(digest(id))
    }
}

impl From<&ImageDetails> for Stack {
    fn from(image: &ImageDetails) -> Self {
        let layer = |layer: &Layer| {
            let step = layer.step.and_then(|step| image.history.get(step));
            StackLayer {
                chain: Chain::new(&layer.chain_id),
                size_bytes: layer.size_bytes,
                mark: step.and_then(|step| Mark::of_layer(step.created?, &step.created_by)),
            }
        };
        Self {
            image: image.id.clone(),
            content_bytes: image.content_bytes,
            layers: image.layers.iter().map(layer).collect(),
        }
    }
}

/// The stacks of `images`.
pub fn stacks(images: &[ImageDetails]) -> Vec<Stack> {
    images.iter().map(Stack::from).collect()
}
