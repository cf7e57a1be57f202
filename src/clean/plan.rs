//! What goes and what stays, with bytes and reasons. Pure: the same state gives the same plan.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::forgotten::forgotten;
use super::model::{Action, Item, Kind, Plan, Request};
use super::select::{last_use, select};
use super::space::Space;
use crate::engine::removal::is_record_id;
use crate::inventory::{CacheRecord, Container, Image, ImageDetails, Inventory};
use crate::labels;
use crate::ownership::records::{Reason, Verdict};
use crate::ownership::{Answer, Reason as NotOurs, Whose};

/// Decides. `answer` says whose each thing is, `details` describe the images.
pub fn plan(
    inventory: &Inventory,
    details: &[ImageDetails],
    answer: &Answer,
    request: &Request,
) -> Plan {
    let mut planner = Planner { inventory, answer, request, plan: Plan::default() };
    planner.containers();
    planner.networks();
    planner.images();
    planner.volumes();
    let space = Space::new(inventory, details);
    planner.cache(&space);
    let mut plan = planner.plan;
    measure(&mut plan, inventory, &space);
    plan
}

struct Planner<'a> {
    inventory: &'a Inventory,
    answer: &'a Answer,
    request: &'a Request,
    plan: Plan,
}

impl Planner<'_> {
    fn wants(&self, kind: Kind) -> bool {
        self.request.kinds.contains(&kind)
    }

    fn remove(&mut self, action: Action, kind: Kind, id: &str, name: &str, reason: String) {
        let (id, name) = (id.to_owned(), name.to_owned());
        self.plan.remove.push(Item { action, kind, id, name, bytes: None, reason });
    }

    fn keep(&mut self, kind: Kind, id: &str, name: &str, bytes: Option<u64>, reason: String) {
        let (id, name) = (id.to_owned(), name.to_owned());
        self.plan.keep.push(Item { action: (), kind, id, name, bytes, reason });
    }

    /// The reason to keep what is too young.
    fn too_young(&self, created: Option<Timestamp>) -> Option<String> {
        let until = self.request.until?;
        match created {
            Some(created) if created < until => None,
            Some(created) => Some(format!("made {}, which --filter until spares", day(created))),
            None => Some("nobody knows when it was made, and --filter until is given".to_owned()),
        }
    }

    fn containers(&mut self) {
        if !self.wants(Kind::Container) {
            return;
        }
        for container in &self.inventory.containers {
            let Some(whose) = self.answer.containers.get(&container.id) else { continue };
            let running = container.is_running();
            let why = owned(whose).and_then(|why| match self.too_young(container.created) {
                Some(young) => Err(young),
                None if running && !self.request.stop => {
                    Err(format!("{}; --stop stops and removes it", container.state))
                }
                None if running => Ok(format!("{why}; runs, is stopped first")),
                None => Ok(format!("{why}; {}", container.state)),
            });
            let (kind, id, name) = (Kind::Container, &container.id, &container.name);
            match why {
                Err(why) => self.keep(kind, id, name, container.size_rw_bytes, why),
                Ok(why) => self.remove(Action::Container { stop: running }, kind, id, name, why),
            }
        }
    }

    /// Containers with these ids that stay.
    fn staying<'c>(&'c self, ids: &'c [String]) -> impl Iterator<Item = &'c Container> {
        let all = self.inventory.containers.iter().filter(|it| ids.contains(&it.id));
        all.filter(|it| !self.plan.removes(Kind::Container).any(|item| item.id == it.id))
    }

    /// The reason to keep what a container uses.
    fn used_by(&self, containers: &[String]) -> Option<String> {
        let container = self.staying(containers).next()?;
        let owner = match (
            self.answer.containers.get(&container.id),
            container.labels.get(labels::PROJECT),
        ) {
            (None | Some(Whose::Kept(NotOurs::RunsImage(_))), Some(name)) => {
                format!(" of project {name}")
            }
            (None, None) => " of nobody's project".to_owned(),
            _ => String::new(),
        };
        Some(format!("container {}{owner} uses it", container.name))
    }

    fn networks(&mut self) {
        if !self.wants(Kind::Network) {
            return;
        }
        for network in &self.inventory.networks {
            let Some(whose) = self.answer.networks.get(&network.id) else { continue };
            let why = owned(whose).and_then(|why| {
                let reason = self.used_by(&network.containers);
                reason.or_else(|| self.too_young(network.created)).map_or(Ok(why), Err)
            });
            match why {
                Err(why) => self.keep(Kind::Network, &network.id, &network.name, None, why),
                Ok(why) => {
                    let action = Action::Network;
                    self.remove(action, Kind::Network, &network.id, &network.name, why);
                }
            }
        }
    }

    fn images(&mut self) {
        if !self.wants(Kind::Image) {
            return;
        }
        for image in &self.inventory.images {
            for (reference, whose) in self.answer.images.get(&image.id).into_iter().flatten() {
                let why = match whose {
                    Whose::Pulled if self.request.pulled_images => {
                        Ok("the compose file uses it".to_owned())
                    }
                    Whose::Pulled => Err("only pulled; --all removes it".to_owned()),
                    whose => owned(whose),
                };
                self.image(image, reference.as_deref(), why);
            }
        }
    }

    /// Removes an image's name, or the image itself, for the reason of `why`, unless that or something else says no.
    fn image(&mut self, image: &Image, reference: Option<&str>, why: Result<String, String>) {
        let why = why.and_then(|why| match self.used_by(&image.containers) {
            Some(used) => Err(used),
            None => self.too_young(image.created).map_or(Ok(why), Err),
        });
        let name = reference.unwrap_or("<none>");
        match why {
            Ok(why) => {
                let action = Action::Image { reference: reference.map(str::to_owned) };
                self.remove(action, Kind::Image, &image.id, name, why);
            }
            Err(why) => self.keep(Kind::Image, &image.id, name, image.size_bytes, why),
        }
    }

    fn volumes(&mut self) {
        if !self.wants(Kind::Volume) {
            return;
        }
        for volume in &self.inventory.volumes {
            let Some(whose) = self.answer.volumes.get(&volume.name) else { continue };
            let why = owned(whose).and_then(|why| match self.used_by(&volume.containers) {
                Some(used) => Err(used),
                None if self.request.until.is_some() => {
                    Err("--filter until says nothing on volumes".to_owned())
                }
                None => Ok(why),
            });
            let (kind, name) = (Kind::Volume, &volume.name);
            match why {
                Err(why) => self.keep(kind, name, name, volume.size_bytes, why),
                Ok(why) => {
                    let created = volume.created;
                    self.remove(Action::Volume { created }, kind, name, name, why);
                }
            }
        }
    }

    fn cache(&mut self, space: &Space) {
        if !self.wants(Kind::Cache) {
            return;
        }
        let inventory = self.inventory;
        let mut may_go: BTreeMap<&str, String> = BTreeMap::new();
        let mut stays: BTreeMap<&str, String> = BTreeMap::new();
        for record in &inventory.cache {
            let verdict = self.answer.records.get(&record.id);
            match verdict {
                _ if !is_record_id(&record.id) => {
                    stays.insert(&record.id, "an engine would not find it by its id".to_owned());
                }
                Some(Verdict::Ours { step }) => {
                    may_go.insert(&record.id, format!("made by {step}"));
                }
                _ if self.request.whole_cache && !record.in_use => {
                    let whose = match verdict {
                        Some(Verdict::Kept(reason)) => format!(", although {}", words(reason)),
                        _ => String::new(),
                    };
                    may_go.insert(&record.id, format!("--cache=all{whose}"));
                }
                Some(Verdict::Kept(reason)) => {
                    stays.insert(&record.id, words(reason));
                }
                None => {
                    stays.insert(&record.id, words(&Reason::NotRecorded));
                }
            }
        }
        let ids: BTreeSet<&str> = may_go.keys().copied().collect();
        let mut selected =
            select(&inventory.cache, &ids, self.request.until, self.request.cache_goal);
        if self.costs_what_stays(&selected, space) {
            let why = "a prune makes BuildKit forget what stays: it is built on layers that BuildKit did not unpack, \
                       from docker pull, load or import or an imported cache; --cache=all removes all";
            stays.extend(selected.iter().map(|record| (record.id.as_str(), why.to_owned())));
            selected.clear();
        }
        for record in &selected {
            let why = may_go.remove(record.id.as_str()).unwrap_or_default();
            let name = name_of(record);
            let action = Action::Cache { usage_count: record.usage_count };
            self.remove(action, Kind::Cache, &record.id, name, why);
        }
        for record in &inventory.cache {
            let why = match stays.remove(record.id.as_str()) {
                Some(why) => why,
                None if may_go.contains_key(record.id.as_str()) => self.spared(record),
                None => continue,
            };
            self.keep(Kind::Cache, &record.id, name_of(record), Some(record.size_bytes), why);
        }
    }

    /// Whether removing these records loses the results of some that stay.
    fn costs_what_stays(&self, selected: &[&CacheRecord], space: &Space) -> bool {
        let limited = self.request.until.is_some() || self.request.cache_goal.is_some();
        if selected.is_empty() || (self.request.whole_cache && !limited) {
            return false;
        }
        let mut lost = forgotten(self.inventory, space);
        for record in selected {
            lost.remove(record.id.as_str());
        }
        !lost.is_empty()
    }

    /// Why a record that could go does not.
    fn spared(&self, record: &CacheRecord) -> String {
        match self.request.until {
            Some(until) if last_use(record).is_none_or(|used| used >= until) => {
                "used lately, which --filter until spares".to_owned()
            }
            _ if self.request.cache_goal.is_some() => {
                "within the size that may stay, or something that stays builds on it".to_owned()
            }
            _ => "a record that stays builds on it".to_owned(),
        }
    }
}

/// Why something is the project's, or why it is not taken for it.
fn owned(whose: &Whose) -> Result<String, String> {
    match whose {
        Whose::Ours(why) => Ok(why.clone()),
        Whose::Pulled => Err("the project only uses it".to_owned()),
        Whose::Kept(reason) => Err(reason.to_string()),
    }
}

/// Notes what removing each thing frees.
fn measure(plan: &mut Plan, inventory: &Inventory, space: &Space) {
    let removed: BTreeSet<&str> =
        plan.removes(Kind::Image).map(|item| item.name.as_str()).collect();
    // An image goes with its last name.
    let images: Vec<&str> = inventory
        .images
        .iter()
        .filter(|image| {
            let planned = plan.removes(Kind::Image).any(|item| item.id == image.id);
            planned && image.references.iter().all(|name| removed.contains(name.as_str()))
        })
        .map(|image| image.id.as_str())
        .collect();
    let records: BTreeSet<&str> = plan.removes(Kind::Cache).map(|item| item.id.as_str()).collect();
    let mut freed = space.freed(inventory, &images, &records);
    let images: Vec<String> = images.into_iter().map(str::to_owned).collect();
    let images: Vec<&str> = images.iter().map(String::as_str).collect();
    for item in &mut plan.remove {
        item.bytes = match item.kind {
            Kind::Container => inventory
                .containers
                .iter()
                .find(|it| it.id == item.id)
                .and_then(|it| it.size_rw_bytes),
            Kind::Volume => {
                inventory.volumes.iter().find(|it| it.name == item.id).and_then(|it| it.size_bytes)
            }
            Kind::Network => None,
            Kind::Image if !images.contains(&item.id.as_str()) => {
                item.reason.push_str("; another name keeps the image");
                Some(0)
            }
            // With several names the first has taken the bytes.
            Kind::Image => Some(freed.remove(&item.id).unwrap_or(0)),
            Kind::Cache => {
                let bytes = freed.remove(&item.id).unwrap_or(0);
                if bytes == 0 && space.held_by_other_image(&item.id, &images) {
                    item.reason.push_str("; frees nothing, an image that stays has the layer");
                }
                Some(bytes)
            }
        };
    }
}

fn name_of(record: &CacheRecord) -> &str {
    match record.description.trim() {
        "" => record.kind.word(),
        text => text,
    }
}

/// A reason of the attribution as a fragment.
pub fn words(reason: &Reason) -> String {
    match reason {
        Reason::NotRecorded => "no known build of the project made it".to_owned(),
        Reason::Base => "a base image: it belongs to all who build on it".to_owned(),
        Reason::InUse => "a build uses it now".to_owned(),
        Reason::Ambiguous => "another build may have made it".to_owned(),
        Reason::SharedMount { project: Some(name) } => format!("project {name} mounts it too"),
        Reason::SharedMount { project: None } => "another build mounts it too".to_owned(),
        Reason::ForeignImage { image } => format!("image {image} has the layer"),
        Reason::Unexplained { uses, explained } => {
            format!("used {uses} times, {explained} by known builds of the project")
        }
        Reason::Needed { .. } => "a record that stays builds on it".to_owned(),
    }
}

fn day(time: Timestamp) -> String {
    time.strftime("%Y-%m-%d %H:%M UTC").to_string()
}
