//! What an engine's things take: the disk usage answer (`GET /system/df`) in all its forms.
//!
//! Before API 1.52 it lists `Images`, `Containers`, `Volumes` and `BuildCache`. From then on there is one
//! `*Usage` object for each, which lists its items only when asked with `verbose=1`; the lists come with them only when
//! not asked so, and are to go (moby `daemon/server/router/system`). One model reads them all, whatever an
//! engine sends. Only images, containers, volumes and cache: networks have no size.

use bollard::models::ImageSummary;
use serde::Deserialize;

use super::build_cache::CacheRow;
use super::containers::{ContainerRow, container};
use super::volumes::VolumeRow;
use crate::inventory::ApiVersion;
use crate::inventory::{CacheRecord, Container, Image, Part, Volume};

/// First version that can be asked for one part.
const BY_TYPE: ApiVersion = ApiVersion::v1(42);
/// First version with the `*Usage` objects.
const USAGE_OBJECTS: ApiVersion = ApiVersion::v1(52);

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct Answer {
    images: Option<Vec<ImageSummary>>,
    containers: Option<Vec<ContainerRow>>,
    volumes: Option<Vec<VolumeRow>>,
    build_cache: Option<Vec<CacheRow>>,
    image_usage: Option<Usage<ImageSummary>>,
    container_usage: Option<Usage<ContainerRow>>,
    volume_usage: Option<Usage<VolumeRow>>,
    build_cache_usage: Option<Usage<CacheRow>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", bound(deserialize = "T: Deserialize<'de>"))]
struct Usage<T> {
    #[serde(default = "Option::default")]
    items: Option<Vec<T>>,
}

/// What the answer says about the parts that were asked for.
#[derive(Debug, Default)]
pub struct DiskUsage {
    /// The images, with what they share.
    pub images: Vec<Image>,
    /// The containers, with the sizes of their writable layers.
    pub containers: Vec<Container>,
    /// The volumes, with their sizes.
    pub volumes: Vec<Volume>,
    /// Records of the build cache.
    pub cache: Vec<CacheRecord>,
}

/// The questions to ask an engine of this version: one for each part at once, or one for all.
/// Engines before API 1.42 do not know the parameter and answer everything to each.
///
/// Images are in none of the first kind: their list has their sizes, and comes at once.
///
/// Containers are asked of their own list: a disk usage answer goes to all who ask while it is worked out, and may lack
/// a container that was there when the last of them asked, and whose volumes then look unused.
pub(super) fn questions(version: ApiVersion) -> Vec<(String, Vec<Part>)> {
    if version < BY_TYPE {
        let all = vec![Part::Images, Part::Containers, Part::Volumes, Part::Cache];
        return vec![("/system/df".to_owned(), all)];
    }
    let verbose = if version >= USAGE_OBJECTS { "&verbose=1" } else { "" };
    let measured = |word| format!("/system/df?type={word}{verbose}");
    vec![
        ("/containers/json?all=true&size=true".to_owned(), vec![Part::Containers]),
        (measured("volume"), vec![Part::Volumes]),
        (measured("build-cache"), vec![Part::Cache]),
    ]
}

impl DiskUsage {
    /// Reads what was answered to one of the [`questions`], the one for `parts`.
    ///
    /// # Errors
    /// It is not what the API describes.
    pub(super) fn read(parts: &[Part], body: &[u8]) -> Result<Self, serde_json::Error> {
        if *parts != [Part::Containers] {
            return Self::from_json(body);
        }
        let rows: Vec<ContainerRow> = serde_json::from_slice(body)?;
        let containers = rows.into_iter().map(|row| container(row, true)).collect();
        Ok(Self { containers, ..Self::default() })
    }

    /// Reads a disk usage answer in any form.
    ///
    /// # Errors
    /// It is not what the API describes.
    pub fn from_json(body: &[u8]) -> Result<Self, serde_json::Error> {
        let answer: Answer = serde_json::from_slice(body)?;
        let cache = items(answer.build_cache_usage, answer.build_cache);
        Ok(Self {
            images: items(answer.image_usage, answer.images).map(Image::from).collect(),
            containers: items(answer.container_usage, answer.containers)
                .map(|row| container(row, true))
                .collect(),
            volumes: items(answer.volume_usage, answer.volumes).map(Volume::from).collect(),
            cache: cache.map(CacheRecord::from).collect(),
        })
    }
}

/// The items of one part: from its object, or from the list of old.
fn items<T>(usage: Option<Usage<T>>, list: Option<Vec<T>>) -> impl Iterator<Item = T> {
    usage.and_then(|usage| usage.items).or(list).into_iter().flatten()
}

#[cfg(test)]
mod tests;
