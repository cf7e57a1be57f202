//! What of an image an engine does not have.

use std::collections::BTreeSet;

use super::image::StoredImage;
use crate::buildkit::Control;
use crate::buildkit::session::content::Digest;
use crate::engine::{Connector, Engine, ImageLayers};

/// Bytes of layers that are worth a look at all images.
const WORTH_A_LOOK: u64 = 1 << 20;
/// How many images are looked at, the newest first.
const MOST_IMAGES: usize = 300;

/// How an engine keeps images, as far as its BuildKit tells.
pub(super) enum Store {
    /// With a graph driver: what it has shows in its images alone.
    Graph,
    /// In containerd's store, which can be asked.
    Containerd(Box<Control>),
    /// Unknown: it is sent everything.
    Unknown,
}

impl Store {
    /// Asks the engine.
    pub(super) async fn find(connector: &Connector) -> Self {
        let Ok(control) = Control::connect(connector).await else { return Self::Unknown };
        match control.about().await {
            Ok(about) if about.is_bound_to_engine => Self::Graph,
            Ok(_) => Self::Containerd(Box::new(control)),
            Err(_) => Self::Unknown,
        }
    }

    /// Whether it holds everything of `image`; `None` where it does not tell. There may be an image under a name and yet not
    /// all of its content.
    pub(super) async fn holds(&self, image: &StoredImage) -> Option<bool> {
        let Self::Containerd(control) = self else { return None };
        let all: BTreeSet<&Digest> = image.digests().collect();
        let all: Vec<Digest> = all.into_iter().cloned().collect();
        control.lacks(&all).await.ok().map(|lacking| lacking.is_empty())
    }

    /// The layers of `image` that `engine` does not have. `named` is what has its names now.
    pub(super) async fn lacking(
        &self,
        engine: &Engine,
        image: &StoredImage,
        named: &[Option<ImageLayers>],
    ) -> BTreeSet<Digest> {
        let all = || image.layers.iter().map(|layer| layer.digest.clone()).collect();
        match self {
            Self::Unknown => all(),
            Self::Containerd(control) => {
                let layers: BTreeSet<Digest> = all();
                let asked: Vec<Digest> = layers.iter().cloned().collect();
                control.lacks(&asked).await.map_or(layers, |it| it.into_iter().collect())
            }
            Self::Graph => {
                let chains = named.iter().flatten().flat_map(|it| it.chains.iter().cloned());
                let mut chains: BTreeSet<String> = chains.collect();
                if above(image, &chains).iter().map(|layer| layer.bytes).sum::<u64>() > WORTH_A_LOOK
                {
                    chains.extend(all_chains(engine).await);
                }
                above(image, &chains).iter().map(|layer| layer.digest.clone()).collect()
            }
        }
    }
}

/// The lowest layer that is in none of `chains`, and all above it: a graph driver knows a layer by what lies below it.
fn above<'a>(image: &'a StoredImage, chains: &BTreeSet<String>) -> &'a [super::image::Blob] {
    let there = image.chains.iter().take_while(|chain| chains.contains(*chain)).count();
    &image.layers[there..]
}

/// The chains of all images; none where they cannot be asked for.
async fn all_chains(engine: &Engine) -> Vec<String> {
    let Ok(mut ids) = engine.image_ids().await else { return Vec::new() };
    ids.truncate(MOST_IMAGES);
    let images = engine.image_chains(&ids).await.unwrap_or_default();
    images.into_iter().flat_map(|(_, chains)| chains).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::image::Blob;
    use super::*;

    fn blob(digit: char) -> Blob {
        let digest = format!("sha256:{}", String::from(digit).repeat(64));
        Blob { digest: Digest::parse(&digest).unwrap(), bytes: 1 }
    }

    #[test]
    fn what_lies_on_something_missing_is_missing() {
        let image = StoredImage {
            descriptor: serde_json::Map::new(),
            manifest: blob('1'),
            config: blob('2'),
            layers: vec![blob('a'), blob('b'), blob('c')],
            chains: ["one", "two", "three"].map(str::to_owned).to_vec(),
        };
        let missing = |there: &[&str]| {
            above(&image, &there.iter().map(|it| (*it).to_owned()).collect()).len()
        };
        assert_eq!(missing(&[]), 3);
        assert_eq!(missing(&["one", "other"]), 2);
        assert_eq!(missing(&["one", "three"]), 2);
        assert_eq!(missing(&["two", "three"]), 3);
        assert_eq!(missing(&["one", "two", "three"]), 0);
    }
}
