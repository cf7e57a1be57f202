//! What is removed and what is kept, with bytes and reasons. Pure: the same state gives the same plan.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::forgotten::forgotten;
use super::model::{Action, Item, Kind, Plan, Presentation, Request, Sort};
use super::reason::Why;
use super::select::{last_use, select};
use super::space::Space;
use crate::engine::removal::is_record_id;
use crate::inventory::{CacheKind, CacheRecord, Container, Image, Inventory, Labels, Store};
use crate::labels;
use crate::ownership::records::{Reason, Verdict, instruction};
use crate::ownership::{Answer, Reason as NotOurs, Whose};

/// Decides. `answer` says whose each thing is, `space` what removing it frees.
pub fn plan(inventory: &Inventory, space: &Space, answer: &Answer, request: &Request) -> Plan {
    planned(inventory, space, answer, request, Account::Whole)
}

/// Bytes that the plan frees. It takes a part of the time where most of the build cache stays.
pub fn frees(inventory: &Inventory, space: &Space, answer: &Answer, request: &Request) -> u64 {
    planned(inventory, space, answer, request, Account::Removals).estimated_bytes()
}

/// What is told of a plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Account {
    /// What goes, and what stays with the reasons.
    Whole,
    /// What goes.
    Removals,
}

fn planned(
    inventory: &Inventory,
    space: &Space,
    answer: &Answer,
    request: &Request,
    account: Account,
) -> Plan {
    let mut planner = Planner { inventory, answer, request, account, plan: Plan::default() };
    planner.containers();
    planner.networks();
    planner.images();
    planner.volumes();
    planner.cache(space);
    let mut plan = planner.plan;
    measure(&mut plan, inventory, space);
    plan
}

/// Whose a record is of which nothing is told.
const NOT_RECORDED: Verdict = Verdict::Kept(Reason::NotRecorded);
/// What an image without a name is called.
const NAMELESS: &str = "<none>";

/// A container, network, image or volume.
#[derive(Debug, Clone, Copy)]
struct Thing<'a> {
    kind: Kind,
    id: &'a str,
    name: &'a str,
    service: Option<&'a str>,
}

impl<'a> Thing<'a> {
    fn new(kind: Kind, id: &'a str, name: &'a str) -> Self {
        Self { kind, id, name, service: None }
    }

    fn of_service(self, labels: &'a Labels) -> Self {
        Self { service: labels.get(labels::SERVICE).map(String::as_str), ..self }
    }
}

struct Planner<'a> {
    inventory: &'a Inventory,
    answer: &'a Answer,
    request: &'a Request,
    account: Account,
    plan: Plan,
}

/// Why a record stays.
enum Stay<'a> {
    Said(&'static str),
    Judged(&'a Reason),
}

impl From<Stay<'_>> for Why {
    fn from(stay: Stay<'_>) -> Self {
        match stay {
            Stay::Said(text) => text.into(),
            Stay::Judged(reason) => Self::new(reason),
        }
    }
}

impl<'a> Planner<'a> {
    fn wants(&self, kind: Kind) -> bool {
        self.request.kinds.contains(&kind)
    }

    /// Plans whether to remove a thing other than a cache record. It takes `bytes`.
    fn decide(
        &mut self,
        action: Action,
        thing: &Thing<'_>,
        bytes: Option<u64>,
        why: Result<String, String>,
    ) {
        let Thing { kind, id, name, service } = *thing;
        let (id, name) = (id.to_owned(), name.to_owned());
        let shown = |why: &String| Presentation {
            name: name.clone(),
            sort: if name == NAMELESS { Sort::EarlierBuild } else { Sort::Named },
            services: service.map(str::to_owned).into_iter().collect(),
            why: why.clone(),
        };
        match why {
            Ok(reason) => {
                let shown = shown(&reason);
                self.plan.remove.push(Item { action, kind, id, name, bytes: None, reason, shown });
            }
            Err(reason) => {
                let shown = shown(&reason);
                self.plan.keep.push(Item { action: (), kind, id, name, bytes, reason, shown });
            }
        }
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
            let thing = Thing::new(Kind::Container, &container.id, &container.name)
                .of_service(&container.labels);
            self.decide(Action::Container { stop: running }, &thing, container.size_rw_bytes, why);
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
            let thing = Thing::new(Kind::Network, &network.id, &network.name);
            self.decide(Action::Network, &thing, None, why);
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
                    whose => owned(whose).and_then(|why| match self.is_current(image, reference) {
                        Some(current) => Err(current),
                        None => Ok(why),
                    }),
                };
                self.image(image, reference.as_deref(), why);
            }
        }
    }

    /// The reason to keep what is not left of an earlier build, where only such things go.
    fn is_current(&self, image: &Image, reference: &Option<String>) -> Option<String> {
        match reference {
            _ if !self.request.only_old => None,
            Some(_) => Some("current: it has a name".to_owned()),
            None if self.answer.current_images.contains(&image.id) => {
                Some("current: the newest build of its service made it".to_owned())
            }
            None => None,
        }
    }

    /// Removes an image's name, or the image itself, for the reason of `why`, unless that or something else says no.
    fn image(&mut self, image: &Image, reference: Option<&str>, why: Result<String, String>) {
        let why = why.and_then(|why| match self.used_by(&image.containers) {
            Some(used) => Err(used),
            None => self.too_young(image.created).map_or(Ok(why), Err),
        });
        let thing = Thing::new(Kind::Image, &image.id, reference.unwrap_or(NAMELESS))
            .of_service(&image.labels);
        let action = Action::Image { reference: reference.map(str::to_owned) };
        self.decide(action, &thing, image.size_bytes, why);
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
            let thing = Thing::new(Kind::Volume, &volume.name, &volume.name);
            let action = Action::Volume { created: volume.created };
            self.decide(action, &thing, volume.size_bytes, why);
        }
    }

    fn cache(&mut self, space: &Space) {
        if !self.wants(Kind::Cache) {
            return;
        }
        let inventory = self.inventory;
        let mut may_go: BTreeMap<&str, Why> = BTreeMap::new();
        let mut stays: BTreeMap<&str, Stay> = BTreeMap::new();
        let named = self.request.records.as_ref();
        let meant = |record: &&CacheRecord| named.is_none_or(|ids| ids.contains(&record.id));
        for record in inventory.cache.iter().filter(meant) {
            match self.fate(record) {
                Ok(why) => {
                    may_go.insert(&record.id, why);
                }
                Err(why) if self.account == Account::Whole => {
                    stays.insert(&record.id, why);
                }
                Err(_) => {}
            }
        }
        let ids: BTreeSet<&str> = may_go.keys().copied().collect();
        let mut selected =
            select(&inventory.cache, &ids, self.request.until, self.request.cache_goal);
        if self.costs_what_stays(&selected, space) {
            let why = match inventory.engine.store {
                Store::Buildkit { .. } => {
                    "a prune can make BuildKit forget what stays: it is built on layers of which nobody can tell whether \
                     BuildKit unpacked them itself; --cache=all removes all"
                }
                _ => {
                    "a prune makes BuildKit forget what stays: it is built on layers that BuildKit did not unpack, \
                     from docker pull, load or import or an imported cache; --cache=all removes all"
                }
            };
            stays.extend(selected.iter().map(|record| (record.id.as_str(), Stay::Said(why))));
            selected.clear();
        }
        for record in &selected {
            let Some(why) = may_go.remove(record.id.as_str()) else { continue };
            let action = Action::Cache { usage_count: record.usage_count };
            let item = self.record(action, record, None, why);
            self.plan.remove.push(item);
        }
        if self.account == Account::Removals {
            return;
        }
        for record in &inventory.cache {
            let why = match stays.remove(record.id.as_str()) {
                Some(why) => why.into(),
                None if may_go.contains_key(record.id.as_str()) => self.spared(record).into(),
                None => continue,
            };
            let item = self.record((), record, Some(record.size_bytes), why);
            self.plan.keep.push(item);
        }
    }

    /// Why a record may go, or why it stays.
    fn fate(&self, record: &CacheRecord) -> Result<Why, Stay<'a>> {
        let answer: &'a Answer = self.answer;
        let verdict = answer.records.get(&record.id).unwrap_or(&NOT_RECORDED);
        let asked = match &self.request.records {
            Some(_) => Some("named"),
            None => self.request.whole_cache.then_some("--cache=all"),
        };
        match (verdict, asked) {
            _ if !is_record_id(&record.id) => {
                Err(Stay::Said("an engine would not find it by its id"))
            }
            (Verdict::Ours { is_current: true, .. }, _) if self.request.only_old => {
                Err(Stay::Said("a current build of the project needs it"))
            }
            (Verdict::Ours { step, .. }, _) => {
                let gist = "made by builds of the project".to_owned();
                Ok(Why { reason: format!("made by {step}"), gist })
            }
            (Verdict::Kept(reason), Some(asked)) if !record.in_use => {
                Ok(Why::new(reason).map(|why| format!("{asked}, although {why}")))
            }
            (Verdict::Kept(reason), _) => Err(Stay::Judged(reason)),
        }
    }

    fn record<A>(&self, action: A, record: &CacheRecord, bytes: Option<u64>, why: Why) -> Item<A> {
        let (name, services) = match self.answer.records.get(&record.id) {
            Some(Verdict::Ours { step, services, .. }) if record.kind != CacheKind::CacheMount => {
                (step.clone(), services.clone())
            }
            Some(Verdict::Ours { services, .. }) => {
                (instruction(&record.description), services.clone())
            }
            _ => (instruction(name_of(record)), BTreeSet::new()),
        };
        let shown = Presentation { name, sort: Sort::of_record(record), services, why: why.gist };
        Item {
            action,
            kind: Kind::Cache,
            id: record.id.clone(),
            name: name_of(record).to_owned(),
            bytes,
            reason: why.reason,
            shown,
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

    /// Why a record that could be removed is kept.
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
                item.add_reason("; another name keeps the image");
                Some(0)
            }
            // With several names the first has taken the bytes.
            Kind::Image => Some(freed.remove(&item.id).unwrap_or(0)),
            Kind::Cache => {
                let bytes = freed.remove(&item.id).unwrap_or(0);
                if bytes == 0 && space.held_by_other_image(&item.id, &images) {
                    item.add_reason("; frees nothing, an image that stays has the layer");
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

fn day(time: Timestamp) -> String {
    time.strftime("%Y-%m-%d %H:%M UTC").to_string()
}
