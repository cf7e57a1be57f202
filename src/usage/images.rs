//! Images of the project: by service, and those that nothing names any more.

use std::collections::{BTreeMap, BTreeSet};

use super::facts::{CurrentImage, DockerfileFacts, Facts, ServiceFacts};
use super::label;
use super::model::{DanglingStats, ImageStats, LayerStats};
use super::projects::Together;
use crate::dockerfile;
use crate::image_reference::familiar;
use crate::inventory::{Image, ImageDetails, Inventory, Store};
use crate::labels;
use crate::ownership::records::{Chain, Stack};

/// An image of a service, or the lack of one.
struct ServiceImage<'a> {
    service: String,
    reference: String,
    image: Option<&'a Image>,
    stage: Option<&'a str>,
    dockerfile: Option<&'a DockerfileFacts>,
}

impl ServiceImage<'_> {
    /// `None` where there is no image, or another service's has the name.
    fn current(&self) -> Option<CurrentImage> {
        let made_for = label(&self.image?.labels, labels::SERVICE);
        if made_for.is_some_and(|service| service != self.service) {
            return None;
        }
        Some(CurrentImage {
            service: self.service.clone(),
            reference: self.reference.clone(),
            stage: self.stage.map(str::to_owned),
            id: self.image?.id.clone(),
        })
    }
}

/// Ids of the images whose layers the report may need: before it is known whose they are, by their labels.
pub fn wanted(project: &str, services: &[ServiceFacts], images: &[Image]) -> Vec<String> {
    let found = service_images(services, images, |image, _| has_label(project, image));
    let named = found.iter().filter_map(|it| it.image);
    let labelled = images.iter().filter(|image| has_label(project, image));
    let ids: BTreeSet<String> = named.chain(labelled).map(|image| image.id.clone()).collect();
    ids.into_iter().collect()
}

/// Images that services have; once for each image.
pub fn current(project: &str, services: &[ServiceFacts], images: &[Image]) -> Vec<CurrentImage> {
    let found = service_images(services, images, |image, _| has_label(project, image));
    found.iter().filter_map(ServiceImage::current).collect()
}

/// Fills in what the project's images share, where the engine was not asked: the layers that stand in
/// the chains of another image, of the project or of `others`.
pub fn add_shared(inventory: &mut Inventory, details: &[ImageDetails], others: &[Stack]) {
    let others: BTreeSet<Chain> =
        others.iter().flat_map(|stack| &stack.layers).map(|layer| layer.chain).collect();
    for image in inventory.images.iter_mut().filter(|image| image.shared_bytes.is_none()) {
        let Some(own) = details.iter().find(|details| details.id == image.id) else { continue };
        let siblings: BTreeSet<&str> = details
            .iter()
            .filter(|details| details.id != image.id)
            .flat_map(|details| details.layers.iter().map(|layer| layer.chain_id.as_str()))
            .collect();
        let is_shared =
            |chain: &str| siblings.contains(chain) || others.contains(&Chain::new(chain));
        let shared = own.layers.iter().filter(|layer| is_shared(&layer.chain_id));
        image.shared_bytes = shared.map(|layer| layer.size_bytes).sum();
    }
}

fn has_label(project: &str, image: &Image) -> bool {
    image.labels.get(labels::PROJECT).is_some_and(|name| name == project)
}

/// What the project builds, then what else is its own under a name: other tags, services that are gone.
fn service_images<'a>(
    services: &'a [ServiceFacts],
    images: &'a [Image],
    is_own: impl Fn(&Image, &str) -> bool,
) -> Vec<ServiceImage<'a>> {
    let mut rows = Vec::new();
    let mut taken = BTreeSet::new();
    for service in services {
        let reference = familiar(&service.reference);
        let image = images.iter().find(|image| image.references.contains(&reference));
        taken.insert(reference);
        taken.extend(service.tags.iter().map(|tag| familiar(tag)));
        rows.push(ServiceImage {
            service: service.name.clone(),
            reference: service.reference.clone(),
            image,
            stage: service.stage.as_deref(),
            dockerfile: service.dockerfile.as_ref(),
        });
    }
    let mut others: Vec<ServiceImage> = images
        .iter()
        .flat_map(|image| {
            // A name for each image is enough: more names take no space.
            let names = image.references.iter().chain(&image.digests);
            let of_a_service = image.references.iter().any(|name| taken.contains(name));
            let name = names.filter(|name| !of_a_service && is_own(image, name)).take(1);
            name.map(|name| ServiceImage {
                service: label(&image.labels, labels::SERVICE).unwrap_or_default(),
                reference: name.clone(),
                image: Some(image),
                stage: None,
                dockerfile: None,
            })
            .collect::<Vec<_>>()
        })
        .collect();
    others.sort_by(|a, b| (&a.service, &a.reference).cmp(&(&b.service, &b.reference)));
    rows.append(&mut others);
    rows
}

/// A row per service and per other image of the project.
pub(super) fn images(facts: &Facts) -> Vec<ImageStats> {
    let is_own = |image: &Image, name: &str| facts.whose.has_image(&image.id, Some(name));
    let rows = service_images(facts.services, &facts.inventory.images, is_own);
    let mut images: Vec<ImageStats> = rows.iter().map(|row| image(facts, row)).collect();
    let mut holders: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for image in &images {
        for layer in &image.layers {
            holders.entry(layer.chain_id.clone()).or_default().insert(image.service.clone());
        }
    }
    for image in &mut images {
        for layer in &mut image.layers {
            let all = holders.get(&layer.chain_id).into_iter().flatten();
            layer.shared_with = all.filter(|name| **name != image.service).cloned().collect();
        }
    }
    images
}

fn image(facts: &Facts, found: &ServiceImage) -> ImageStats {
    let id = found.image.map(|image| image.id.clone());
    let details = facts.details.iter().find(|details| Some(&details.id) == id.as_ref());
    let previous = found.current().and_then(|now| facts.past.iter().find(|past| now.follows(past)));
    ImageStats {
        service: found.service.clone(),
        reference: found.reference.clone(),
        created: found.image.and_then(|image| image.created),
        size_bytes: found.image.and_then(|image| image.size_bytes),
        unique_bytes: found.image.and_then(Image::unique_bytes),
        shared_bytes: found.image.and_then(|image| image.shared_bytes),
        content_bytes: details.and_then(|details| details.content_bytes),
        layers: details.map(|details| layers(details, found.dockerfile)).unwrap_or_default(),
        previous_size_bytes: previous.map(|past| past.size_bytes),
        id,
    }
}

fn layers(details: &ImageDetails, file: Option<&DockerfileFacts>) -> Vec<LayerStats> {
    let steps: Vec<&str> = details.history.iter().map(|step| step.created_by.as_str()).collect();
    let lines = match file {
        Some(file) => dockerfile::history_lines(&file.text, file.stage.as_deref(), &steps),
        None => vec![None; steps.len()],
    };
    let layer = |layer: &crate::inventory::Layer| {
        let step = layer.step.and_then(|step| details.history.get(step));
        let instruction = step.map(|step| dockerfile::history_instruction(&step.created_by));
        let line = layer.step.and_then(|step| lines.get(step).copied().flatten());
        LayerStats {
            // An imported image says so in the comment and nowhere else.
            instruction: match (instruction, step) {
                (Some(text), Some(step)) if text.is_empty() => step.comment.clone(),
                (text, _) => text.unwrap_or_default(),
            },
            size_bytes: layer.size_bytes,
            dockerfile: file.filter(|_| line.is_some()).map(|file| file.path.clone()),
            line,
            shared_with: Vec::new(),
            chain_id: layer.chain_id.clone(),
        }
    };
    details.layers.iter().map(layer).collect()
}

/// All images together, shared layers counted once.
pub(super) fn total(facts: &Facts, images: &[ImageStats], notes: &mut Vec<String>) -> Option<u64> {
    let mut distinct: BTreeMap<&str, &ImageStats> = BTreeMap::new();
    for image in images {
        if let Some(id) = &image.id {
            distinct.insert(id, image);
        }
    }
    if images.iter().any(|image| image.id.is_some() && image.size_bytes.is_none()) {
        return None;
    }
    if facts.inventory.gap(crate::inventory::Part::Images).is_some() {
        return None;
    }
    let mut sum = Together::default();
    let mut unknown = false;
    for image in distinct.values() {
        unknown |= image.layers.iter().any(|layer| layer.size_bytes.is_none());
        unknown |= image.layers.is_empty() && distinct.len() > 1;
        let layers =
            image.layers.iter().map(|layer| (Chain::new(&layer.chain_id), layer.size_bytes));
        sum.add(image.size_bytes?, image.content_bytes, layers);
    }
    if unknown {
        notes.push(
            "the layers of some images are unknown: the total may count shared ones twice".into(),
        );
    } else if sum.estimated && facts.inventory.engine.store == Store::Containerd {
        notes.push(
            "the total counts shared layers once; how much compressed content they share is estimated"
                .into(),
        );
    }
    Some(sum.bytes())
}

/// Images of the project without a name, the newest first.
pub(super) fn dangling(facts: &Facts) -> Vec<DanglingStats> {
    let mut found: Vec<DanglingStats> = facts
        .inventory
        .images
        .iter()
        .filter(|image| image.is_dangling() && facts.whose.has_image(&image.id, None))
        .map(|image| DanglingStats {
            id: image.id.clone(),
            service: label(&image.labels, labels::SERVICE),
            created: image.created,
            size_bytes: image.size_bytes,
            unique_bytes: image.unique_bytes(),
            shared_bytes: image.shared_bytes,
        })
        .collect();
    found.sort_by(|a, b| (b.created, &a.id).cmp(&(a.created, &b.id)));
    found
}
