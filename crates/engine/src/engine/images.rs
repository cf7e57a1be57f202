//! Images: the list, and what inspecting one adds.

use bollard::Docker;
use bollard::models::{ImageHistoryResponseItem, ImageSummary};
use bollard::query_parameters::ListImagesOptions;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use serde::Deserialize;
use sha2::{Digest as _, Sha256};

use super::error::{failed, unless_missing};
use super::http::encoded;
use super::patience::{About, settled};
use super::values::{bytes, seconds};
use super::{CONCURRENT_REQUESTS, Engine, EngineError, ImageFacts, ImageLayers};
use crate::inventory::{HistoryStep, Image, ImageDetails, Labels, Layer};

/// An image's inspection, as far as it is read: of the rest, bollard's model refuses all for one word that came after it.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct InspectRow {
    id: Option<String>,
    size: Option<i64>,
    config: Option<ConfigRow>,
    #[serde(rename = "RootFS")]
    root_fs: Option<RootFsRow>,
    manifests: Option<Vec<ManifestRow>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct ConfigRow {
    labels: Option<Labels>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct RootFsRow {
    layers: Option<Vec<String>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct ManifestRow {
    size: SizeRow,
}

/// Bytes of a manifest and of all that it names.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct SizeRow {
    content: i64,
    total: i64,
}

/// All images, without the sizes shared between them.
pub(super) async fn list(docker: &Docker) -> Result<Vec<Image>, EngineError> {
    let rows =
        docker.list_images(None::<ListImagesOptions>).await.map_err(failed("list images"))?;
    Ok(rows.into_iter().map(Image::from).collect())
}

impl From<ImageSummary> for Image {
    fn from(row: ImageSummary) -> Self {
        let named = |mut names: Vec<String>| {
            // Before API 1.43 a dangling image has one name, `<none>:<none>`.
            names.retain(|name| !name.starts_with("<none>"));
            names.sort();
            names
        };
        Self {
            id: row.id,
            references: named(row.repo_tags),
            digests: named(row.repo_digests),
            created: seconds(row.created),
            size_bytes: bytes(row.size),
            // Engines write -1 where it was not computed.
            shared_bytes: bytes(row.shared_size),
            labels: row.labels.into_iter().collect(),
            parent: Some(row.parent_id).filter(|parent| !parent.is_empty()),
            containers: Vec::new(),
        }
    }
}

impl Engine {
    /// Id and size of the image with this reference; `None` when the engine has none.
    ///
    /// # Errors
    /// The request failed.
    pub async fn image(&self, reference: &str) -> Result<Option<ImageFacts>, EngineError> {
        let image = self.inspect(reference).await?;
        Ok(image.map(|it| ImageFacts { size_bytes: on_disk(&it), id: it.id.unwrap_or_default() }))
    }

    /// Id, size and layers of the image that is called `name`, or has that id; `None` when the engine has none.
    ///
    /// # Errors
    /// The request failed.
    pub async fn image_layers(&self, name: &str) -> Result<Option<ImageLayers>, EngineError> {
        let image = self.inspect(name).await?;
        Ok(image.map(|image| ImageLayers {
            facts: ImageFacts { size_bytes: on_disk(&image), id: image.id.unwrap_or_default() },
            chains: chain_ids(&diff_ids(image.root_fs)),
        }))
    }

    /// Ids of all images, the newest first.
    ///
    /// # Errors
    /// The request failed.
    pub async fn image_ids(&self) -> Result<Vec<String>, EngineError> {
        let mut images = settled(About::All, || list(self.docker())).await?;
        images.sort_by_key(|image| std::cmp::Reverse(image.created));
        Ok(images.into_iter().map(|image| image.id).collect())
    }

    /// Labels of the image with this id, also of one that is in no list; `None` when the engine has none.
    ///
    /// # Errors
    /// The request failed.
    pub async fn image_labels(&self, id: &str) -> Result<Option<Labels>, EngineError> {
        let image = self.inspect_plainly(id).await?;
        let labels = |image: InspectRow| image.config.and_then(|config| config.labels);
        Ok(image.map(|image| labels(image).unwrap_or_default()))
    }

    /// Layers and history of the images with these ids, in the same order; those that are gone
    /// are left out.
    ///
    /// # Errors
    /// A request failed.
    pub async fn image_details(&self, ids: &[String]) -> Result<Vec<ImageDetails>, EngineError> {
        let details = stream::iter(ids.iter().cloned())
            .map(|id| async move { self.image_detail(&id).await })
            // Each is two requests.
            .buffered(CONCURRENT_REQUESTS / 2)
            .try_collect::<Vec<_>>()
            .await?;
        Ok(details.into_iter().flatten().collect())
    }

    /// The chains of layers (OCI chain ids) of the images with these ids, each with its id; those that are gone are left
    /// out. Half the requests of [`Self::image_details`].
    ///
    /// # Errors
    /// A request failed.
    pub async fn image_chains(
        &self,
        ids: &[String],
    ) -> Result<Vec<(String, Vec<String>)>, EngineError> {
        let chains = stream::iter(ids.iter().cloned())
            .map(|id| async move {
                let image = self.inspect_plainly(&id).await?;
                Ok(image.map(|image| (id, chain_ids(&diff_ids(image.root_fs)))))
            })
            .buffer_unordered(CONCURRENT_REQUESTS)
            .try_collect::<Vec<_>>()
            .await?;
        Ok(chains.into_iter().flatten().collect())
    }

    async fn image_detail(&self, id: &str) -> Result<Option<ImageDetails>, EngineError> {
        let history = async {
            let operation = format!("read the history of image {id}");
            let path = format!("/images/{}/history", encoded(id));
            unless_missing(settled(About::One, || self.http().get(&operation, &path)).await)
        };
        let (image, history) = tokio::try_join!(self.inspect(id), history)?;
        // The containerd store says `null` of an image without one, which bollard takes for no answer.
        let details =
            |(image, history): (_, Option<_>)| details(image, history.unwrap_or_default());
        Ok(image.zip(history).map(details))
    }

    /// An image's inspection, with its sizes by manifest where the engine keeps them so; `None` when the engine has no
    /// such image.
    async fn inspect(&self, name: &str) -> Result<Option<InspectRow>, EngineError> {
        // They came with API 1.48; earlier engines ignore the question.
        self.inspect_with(name, "?manifests=1").await
    }

    /// The same without these sizes, which cost the containerd store time.
    async fn inspect_plainly(&self, name: &str) -> Result<Option<InspectRow>, EngineError> {
        self.inspect_with(name, "").await
    }

    async fn inspect_with(
        &self,
        name: &str,
        query: &str,
    ) -> Result<Option<InspectRow>, EngineError> {
        let operation = format!("inspect image {name}");
        let path = format!("/images/{}/json{query}", encoded(name));
        unless_missing(settled(About::One, || self.http().get(&operation, &path)).await)
    }
}

/// Bytes on disk: `Size` of an inspection is the compressed content alone on the containerd store.
fn on_disk(image: &InspectRow) -> Option<u64> {
    by_manifest(image, |size| size.total).or(image.size.and_then(bytes))
}

/// The sum of a size over all manifests; `None` where the engine tells none.
fn by_manifest(image: &InspectRow, size: impl Fn(&SizeRow) -> i64) -> Option<u64> {
    let manifests = image.manifests.iter().flatten();
    let sizes: Vec<u64> = manifests.filter_map(|it| bytes(size(&it.size))).collect();
    (!sizes.is_empty()).then(|| sizes.iter().sum())
}

fn diff_ids(root_fs: Option<RootFsRow>) -> Vec<String> {
    root_fs.and_then(|root| root.layers).unwrap_or_default()
}

fn details(image: InspectRow, history: Vec<ImageHistoryResponseItem>) -> ImageDetails {
    // The engine lists the newest step first.
    let history: Vec<HistoryStep> = history
        .into_iter()
        .rev()
        .map(|row| HistoryStep {
            created: seconds(row.created),
            created_by: row.created_by,
            size_bytes: bytes(row.size).unwrap_or(0),
            comment: row.comment,
        })
        .collect();
    ImageDetails {
        size_bytes: image.size.and_then(bytes),
        content_bytes: by_manifest(&image, |size| size.content),
        id: image.id.unwrap_or_default(),
        layers: layers(diff_ids(image.root_fs), &history),
        history,
    }
}

fn layers(diff_ids: Vec<String>, history: &[HistoryStep]) -> Vec<Layer> {
    let steps = steps_of_layers(diff_ids.len(), history);
    let chains = chain_ids(&diff_ids);
    let pairs = diff_ids.into_iter().zip(chains).enumerate();
    pairs
        .map(|(index, (diff_id, chain_id))| {
            let step = steps.as_ref().map(|steps| steps[index]);
            let size_bytes = step.map(|step| history[step].size_bytes);
            Layer { diff_id, chain_id, size_bytes, step }
        })
        .collect()
}

/// Identifies each layer with all below it (OCI image specification, "ChainID").
pub fn chain_ids(diff_ids: &[String]) -> Vec<String> {
    let mut chains: Vec<String> = Vec::with_capacity(diff_ids.len());
    for diff_id in diff_ids {
        let chain = match chains.last() {
            None => diff_id.clone(),
            Some(below) => {
                let digest = Sha256::digest(format!("{below} {diff_id}"));
                format!("sha256:{}", hex::encode(digest))
            }
        };
        chains.push(chain);
    }
    chains
}

/// Which steps wrote the layers. The API leaves out the mark of steps without a layer
/// (`empty_layer`), and a layer may have no bytes, so the instruction decides; where the count
/// comes out wrong (images made by other tools), only steps with bytes count; else nobody knows.
fn steps_of_layers(layers: usize, history: &[HistoryStep]) -> Option<Vec<usize>> {
    let wrote = |step: &HistoryStep| step.size_bytes > 0 || may_write(&step.created_by);
    let by_instruction = indexes(history, wrote);
    if by_instruction.len() == layers {
        return Some(by_instruction);
    }
    let by_size = indexes(history, |step| step.size_bytes > 0);
    (by_size.len() == layers).then_some(by_size)
}

fn indexes(history: &[HistoryStep], wanted: impl Fn(&HistoryStep) -> bool) -> Vec<usize> {
    history.iter().enumerate().filter_map(|(index, step)| wanted(step).then_some(index)).collect()
}

/// Whether a step of this text has a layer. BuildKit writes the instruction, the classic builder
/// `/bin/sh -c COMMAND` for RUN and `/bin/sh -c #(nop) INSTRUCTION` for all others.
fn may_write(created_by: &str) -> bool {
    let text = match created_by.split_once("#(nop)") {
        Some((_, instruction)) => instruction.trim_start(),
        None => created_by,
    };
    let word = text.split_whitespace().next().unwrap_or_default();
    !matches!(
        word,
        "ARG"
            | "CMD"
            | "ENTRYPOINT"
            | "ENV"
            | "EXPOSE"
            | "HEALTHCHECK"
            | "LABEL"
            | "MAINTAINER"
            | "ONBUILD"
            | "SHELL"
            | "STOPSIGNAL"
            | "USER"
            | "VOLUME"
    )
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_word_of_the_future_hides_no_image() {
        let image: InspectRow = serde_json::from_str(
            r#"{"Id":"sha256:1","Size":7,"Created":"soon","Identity":{"Signature":[{"SignatureType":"blood"}]},
                "RootFS":{"Type":"woven","Layers":["sha256:a"]},"Config":{"Labels":null,"Healthcheck":{"Test":3}},
                "Manifests":[{"Kind":"hologram","Size":{"Content":2,"Total":5}}]}"#,
        )
        .unwrap();
        assert_eq!(on_disk(&image), Some(5));
        let details = details(image, Vec::new());
        assert_eq!((details.id.as_str(), details.content_bytes), ("sha256:1", Some(2)));
        assert_eq!(details.layers[0].diff_id, "sha256:a");
    }

    fn step(created_by: &str, size_bytes: u64) -> HistoryStep {
        HistoryStep {
            created: None,
            created_by: created_by.to_owned(),
            size_bytes,
            comment: String::new(),
        }
    }

    #[test]
    fn dangling_images_have_no_names_in_any_api_version() {
        for names in [
            r#""RepoTags":["<none>:<none>"],"RepoDigests":["<none>@<none>"]"#,
            r#""RepoTags":null,"RepoDigests":null"#,
            r#""RepoTags":[],"RepoDigests":[]"#,
        ] {
            let row: ImageSummary = serde_json::from_str(&format!(
                r#"{{"Id":"a","ParentId":"","Created":0,"Size":1,"SharedSize":-1,"Labels":null,"Containers":-1,{names}}}"#
            ))
            .unwrap();
            let image = Image::from(row);
            assert!(image.is_dangling(), "{names}");
            assert_eq!(image.shared_bytes, None);
        }
    }

    #[test]
    fn layers_without_bytes_are_found_by_their_instruction() {
        let history = [
            step("", 100),
            step("ENV A=1", 0),
            step("WORKDIR /app", 0),
            step("COPY . . # buildkit", 7),
            step(r#"CMD ["sh"]"#, 0),
        ];
        assert_eq!(steps_of_layers(3, &history), Some(vec![0, 2, 3]));
        // WORKDIR of a folder that exists has no layer on some releases.
        assert_eq!(steps_of_layers(2, &history), Some(vec![0, 3]));
        assert_eq!(steps_of_layers(4, &history), None);
    }

    #[test]
    fn the_classic_builders_words_are_understood() {
        assert!(may_write("/bin/sh -c apt-get update"));
        assert!(may_write("/bin/sh -c #(nop) COPY file:1 in / "));
        assert!(!may_write("/bin/sh -c #(nop)  CMD [\"sh\"]"));
        assert!(may_write("RUN |1 A=1 /bin/sh -c make # buildkit"));
    }

    #[test]
    fn chains_are_those_of_the_oci_specification() {
        let history = [step("a", 1), step("b", 2)];
        let chain = layers(vec!["sha256:a".to_owned(), "sha256:b".to_owned()], &history);
        assert_eq!(chain[0].chain_id, "sha256:a");
        let digest = Sha256::digest("sha256:a sha256:b");
        assert_eq!(chain[1].chain_id, format!("sha256:{}", hex::encode(digest)));
        assert_eq!(chain[1].size_bytes, Some(2));
    }
}
