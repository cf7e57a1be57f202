//! Images: the list, and what inspecting one adds.

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use serde::Deserialize;
use sha2::{Digest as _, Sha256};

use super::http::{Http, encoded};
use super::values::{bytes, seconds};
use super::{CONCURRENT_REQUESTS, Engine, EngineError, HttpError, ImageFacts};
use crate::inventory::ApiVersion;
use crate::inventory::{HistoryStep, Image, ImageDetails, Labels, Layer};

/// One image of `GET /images/json` or of the disk usage answer.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ImageRow {
    id: String,
    #[serde(default)]
    parent_id: String,
    #[serde(default)]
    repo_tags: Option<Vec<String>>,
    #[serde(default)]
    repo_digests: Option<Vec<String>>,
    #[serde(default)]
    created: i64,
    #[serde(default)]
    size: Option<i64>,
    /// -1 where it was not computed.
    #[serde(default)]
    shared_size: Option<i64>,
    #[serde(default)]
    labels: Option<Labels>,
}

/// All images, without the sizes shared between them.
pub(super) async fn list(http: &Http) -> Result<Vec<Image>, EngineError> {
    let rows: Option<Vec<ImageRow>> = http.get("list images", "/images/json").await?;
    Ok(rows.into_iter().flatten().map(Image::from).collect())
}

impl From<ImageRow> for Image {
    fn from(row: ImageRow) -> Self {
        let named = |names: Option<Vec<String>>| {
            // Before API 1.43 a dangling image has one name, `<none>:<none>`.
            let mut names: Vec<String> =
                names.into_iter().flatten().filter(|name| !name.starts_with("<none>")).collect();
            names.sort();
            names
        };
        Self {
            id: row.id,
            references: named(row.repo_tags),
            digests: named(row.repo_digests),
            created: seconds(row.created),
            size_bytes: row.size.and_then(bytes),
            shared_bytes: row.shared_size.and_then(bytes),
            labels: row.labels.unwrap_or_default(),
            parent: Some(row.parent_id).filter(|parent| !parent.is_empty()),
            containers: Vec::new(),
        }
    }
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct InspectRow {
    id: String,
    #[serde(default)]
    size: Option<i64>,
    #[serde(default, rename = "RootFS")]
    root_fs: Option<RootFsRow>,
    #[serde(default)]
    manifests: Option<Vec<ManifestRow>>,
    #[serde(default)]
    config: Option<ConfigRow>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ConfigRow {
    #[serde(default)]
    labels: Option<Labels>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct RootFsRow {
    #[serde(default)]
    layers: Option<Vec<String>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ManifestRow {
    #[serde(default)]
    size: Option<ManifestSizeRow>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ManifestSizeRow {
    #[serde(default)]
    content: i64,
    #[serde(default)]
    total: i64,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct HistoryRow {
    #[serde(default)]
    created: i64,
    #[serde(default)]
    created_by: String,
    #[serde(default)]
    size: i64,
    #[serde(default)]
    comment: String,
}

impl Engine {
    /// Id and size of the image with this reference; `None` when the engine has none.
    ///
    /// # Errors
    /// The request failed.
    pub async fn image(&self, reference: &str) -> Result<Option<ImageFacts>, EngineError> {
        match self.inspect(reference).await {
            Ok(row) => Ok(Some(ImageFacts { size_bytes: on_disk(&row), id: row.id })),
            Err(EngineError::Http { source: HttpError::Refused { status: 404, .. }, .. }) => {
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// Labels of the image with this id, also of one that is in no list; `None` when the engine has none.
    ///
    /// # Errors
    /// The request failed.
    pub async fn image_labels(&self, id: &str) -> Result<Option<Labels>, EngineError> {
        let path = format!("/images/{}/json", encoded(id));
        match self.http().get::<InspectRow>(&format!("inspect image {id}"), &path).await {
            Ok(row) => Ok(Some(row.config.and_then(|config| config.labels).unwrap_or_default())),
            Err(EngineError::Http { source: HttpError::Refused { status: 404, .. }, .. }) => {
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// Layers and history of the images with these ids, in the same order; those that are gone
    /// are left out.
    ///
    /// # Errors
    /// A request failed.
    pub async fn image_details(&self, ids: &[String]) -> Result<Vec<ImageDetails>, EngineError> {
        let details = stream::iter(ids.iter().cloned())
            .map(|id| async move { self.image_detail(&id).await })
            .buffered(CONCURRENT_REQUESTS)
            .try_collect::<Vec<_>>()
            .await?;
        Ok(details.into_iter().flatten().collect())
    }

    /// The chains of layers (OCI chain ids) of the images with these ids; those that are gone are left
    /// out. Half the requests of [`Self::image_details`].
    ///
    /// # Errors
    /// A request failed.
    pub async fn image_chains(&self, ids: &[String]) -> Result<Vec<Vec<String>>, EngineError> {
        let chains = stream::iter(ids.iter().cloned())
            .map(|id| async move {
                let path = format!("/images/{}/json", encoded(&id));
                match self.http().get::<InspectRow>(&format!("inspect image {id}"), &path).await {
                    Ok(row) => {
                        let diff_ids = row.root_fs.and_then(|root| root.layers);
                        Ok(Some(chain_ids(&diff_ids.unwrap_or_default())))
                    }
                    Err(EngineError::Http {
                        source: HttpError::Refused { status: 404, .. },
                        ..
                    }) => Ok(None),
                    Err(error) => Err(error),
                }
            })
            .buffer_unordered(CONCURRENT_REQUESTS)
            .try_collect::<Vec<_>>()
            .await?;
        Ok(chains.into_iter().flatten().collect())
    }

    async fn image_detail(&self, id: &str) -> Result<Option<ImageDetails>, EngineError> {
        let operation = format!("inspect image {id}");
        let history_path = format!("/images/{}/history", encoded(id));
        let inspect = self.inspect(id);
        let history = self.http().get::<Option<Vec<HistoryRow>>>(&operation, &history_path);
        match tokio::try_join!(inspect, history) {
            Ok((inspect, history)) => Ok(Some(details(inspect, history.unwrap_or_default()))),
            Err(EngineError::Http { source: HttpError::Refused { status: 404, .. }, .. }) => {
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// An image's inspection, with its sizes by manifest where the engine keeps them so.
    async fn inspect(&self, name: &str) -> Result<InspectRow, EngineError> {
        // The sizes per manifest came with API 1.48; earlier engines would ignore the question.
        let manifests = self.http().ping().await?.api_version >= ApiVersion::v1(48);
        let query = if manifests { "?manifests=1" } else { "" };
        let path = format!("/images/{}/json{query}", encoded(name));
        self.http().get(&format!("inspect image {name}"), &path).await
    }
}

/// Bytes on disk: `Size` of an inspection is the compressed content alone on the containerd store.
fn on_disk(inspect: &InspectRow) -> Option<u64> {
    let manifests = inspect.manifests.iter().flatten();
    let totals: Vec<u64> =
        manifests.filter_map(|it| it.size.as_ref().and_then(|size| bytes(size.total))).collect();
    match totals.is_empty() {
        true => inspect.size.and_then(bytes),
        false => Some(totals.iter().sum()),
    }
}

fn details(inspect: InspectRow, history: Vec<HistoryRow>) -> ImageDetails {
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
    let diff_ids = inspect.root_fs.and_then(|root| root.layers).unwrap_or_default();
    let content: Vec<u64> = inspect
        .manifests
        .into_iter()
        .flatten()
        .filter_map(|manifest| manifest.size.and_then(|size| bytes(size.content)))
        .collect();
    ImageDetails {
        id: inspect.id,
        size_bytes: inspect.size.and_then(bytes),
        content_bytes: (!content.is_empty()).then(|| content.iter().sum()),
        layers: layers(diff_ids, &history),
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
fn chain_ids(diff_ids: &[String]) -> Vec<String> {
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
            let row: ImageRow =
                serde_json::from_str(&format!(r#"{{"Id":"a","SharedSize":-1,{names}}}"#)).unwrap();
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
