//! Takes an inventory: all questions at once, in a time box.
//!
//! A part that fails or comes late is left out and named, with the plain list in its place where
//! there is one: half an answer beats none, and nothing waits indefinitely for the engine.

use std::collections::BTreeSet;
use std::future::Future;
use std::time::Duration;

use futures_util::future::join_all;
use http::Method;
use tokio::time::{Instant, timeout_at};

use super::disk_usage::{self, DiskUsage};
use super::error::failed;
use super::patience::{About, settled};
use super::{ConnectError, Engine, EngineError, containers, images, info, networks, volumes};
use crate::inventory::{EngineFacts, Gap, Image, Inventory, Lost, Network, Part};

/// Until when to wait for measured answers, and until when for anything.
#[derive(Debug, Clone, Copy)]
struct TimeBox {
    limit: Duration,
    measured: Instant,
    end: Instant,
}

impl Engine {
    /// Returns what the engine holds now. It takes no longer than about `limit`: parts that are late by
    /// then are empty or without sizes, and [`Inventory::gaps`] names them.
    ///
    /// Engines from API 1.42 on are not asked what images share, which is most of their work where there are many: the
    /// layers of the images tell it.
    ///
    /// # Errors
    /// The engine cannot be reached, or tells nothing at all within `limit`.
    pub async fn inventory(&self, limit: Duration) -> Result<Inventory, EngineError> {
        Ok(self.inventory_with(limit, async |_| ()).await?.0)
    }

    /// The same, and what `meanwhile` returns of the images: it gets them as soon as they are listed, while everything
    /// else is being asked and measured, and has to look to its own end.
    ///
    /// # Errors
    /// Those of [`Self::inventory`].
    pub async fn inventory_with<T>(
        &self,
        limit: Duration,
        meanwhile: impl AsyncFnOnce(&[Image]) -> T,
    ) -> Result<(Inventory, T), EngineError> {
        let start = Instant::now();
        // The plain lists answer fast even where measuring does not: they get the last fifth.
        let time = TimeBox { limit, measured: start + limit * 4 / 5, end: start + limit };
        let ping = match timeout_at(time.end, self.http().ping()).await {
            Ok(ping) => ping.map_err(failed("ask the engine's version"))?,
            Err(_) => return Err(timed_out("ask the engine's version", limit)),
        };
        let questions = disk_usage::questions(ping.api_version);
        let listed = async {
            let listed =
                within(time.end, limit, settled(About::All, || images::list(self.docker()))).await;
            let seen = meanwhile(listed.as_deref().unwrap_or_default()).await;
            (listed, seen)
        };
        let usages =
            join_all(questions.iter().map(|(path, parts)| self.measure(path, parts, time)));
        let lists = self.networks(time);
        let info = async { within(time.end, limit, info::fetch(self.http())).await };
        let ((listed, seen), usages, networks, info) = tokio::join!(listed, usages, lists, info);

        let mut answers = Answers { gaps: Vec::new(), all: DiskUsage::default() };
        let facts = EngineFacts::from_ping(ping);
        let facts = match answers.part(Part::Engine, info) {
            Some(info) => facts.with_info(info),
            None => facts,
        };
        let networks = answers.part(Part::Networks, networks).unwrap_or_default();
        usages.into_iter().for_each(|usage| answers.add(usage));
        // Where they were measured, or that failed, the answer is there already.
        if !questions.iter().any(|(_, parts)| parts.contains(&Part::Images)) {
            answers.all.images = answers.part(Part::Images, listed).unwrap_or_default();
        }
        Ok((answers.linked(facts, networks)?, seen))
    }

    async fn networks(&self, time: TimeBox) -> Result<Vec<Network>, EngineError> {
        within(time.end, time.limit, settled(About::All, || networks::list(self.docker()))).await
    }

    /// One disk usage answer, with plain lists in place of what it does not tell.
    async fn measure(&self, path: &str, parts: &[Part], time: TimeBox) -> (DiskUsage, Vec<Gap>) {
        let error = match within(time.measured, time.limit, self.disk_usage(path, parts)).await {
            Ok(usage) => return (usage, Vec::new()),
            Err(error) => error,
        };
        let mut usage = DiskUsage::default();
        let mut gaps = Vec::new();
        for part in parts {
            let docker = self.docker();
            let TimeBox { limit, end, .. } = time;
            let listed = match part {
                Part::Images => within(end, limit, settled(About::All, || images::list(docker)))
                    .await
                    .map(|list| usage.images = list),
                Part::Containers => {
                    within(end, limit, settled(About::All, || containers::list(self.http())))
                        .await
                        .map(|list| usage.containers = list)
                }
                Part::Volumes => {
                    within(end, limit, settled(About::All, || volumes::list(self.http())))
                        .await
                        .map(|list| usage.volumes = list)
                }
                Part::Cache | Part::Networks | Part::Engine => Err(timed_out("", limit)),
            };
            let lost = if listed.is_ok() { Lost::Sizes } else { Lost::Everything };
            gaps.push(gap(*part, lost, &error));
        }
        (usage, gaps)
    }

    pub(super) async fn disk_usage(
        &self,
        path: &str,
        parts: &[Part],
    ) -> Result<DiskUsage, EngineError> {
        let names: Vec<String> = parts.iter().map(Part::to_string).collect();
        let operation = format!("measure {}", names.join(", "));
        let body = settled(About::All, || self.http().send(Method::GET, &operation, path)).await?;
        DiskUsage::read(parts, &body).map_err(failed(operation))
    }
}

async fn within<T>(
    end: Instant,
    limit: Duration,
    work: impl Future<Output = Result<T, EngineError>>,
) -> Result<T, EngineError> {
    timeout_at(end, work).await.unwrap_or_else(|_| Err(timed_out("", limit)))
}

fn timed_out(operation: &str, limit: Duration) -> EngineError {
    EngineError::TimedOut { operation: operation.to_owned(), limit }
}

fn gap(part: Part, lost: Lost, error: &EngineError) -> Gap {
    let why = match error {
        EngineError::TimedOut { limit, .. } => format!("no answer within {limit:?}"),
        EngineError::Request { source, .. } => {
            ConnectError::find(source).map_or_else(|| source.to_string(), ConnectError::to_string)
        }
        other => other.to_string(),
    };
    Gap { part, lost, why }
}

/// What came of the questions.
struct Answers {
    gaps: Vec<Gap>,
    all: DiskUsage,
}

impl Answers {
    /// What was asked for one part; a gap where it failed.
    fn part<T>(&mut self, part: Part, answer: Result<T, EngineError>) -> Option<T> {
        answer.map_err(|error| self.gaps.push(gap(part, Lost::Everything, &error))).ok()
    }

    fn add(&mut self, (usage, missing): (DiskUsage, Vec<Gap>)) {
        self.all.images.extend(usage.images);
        self.all.containers.extend(usage.containers);
        self.all.volumes.extend(usage.volumes);
        self.all.cache.extend(usage.cache);
        self.gaps.extend(missing);
    }

    /// Puts the parts together and notes on each thing which containers use it.
    ///
    /// # Errors
    /// Every part of what an engine holds is missing.
    fn linked(
        mut self,
        engine: EngineFacts,
        mut networks: Vec<Network>,
    ) -> Result<Inventory, EngineError> {
        let parts = [Part::Images, Part::Containers, Part::Volumes, Part::Networks, Part::Cache];
        let is_lost =
            |part| self.gaps.iter().any(|gap| gap.part == part && gap.lost == Lost::Everything);
        if parts.into_iter().all(is_lost) {
            let why = self.gaps.swap_remove(0).why;
            return Err(EngineError::Silent { operation: "ask what the engine holds".into(), why });
        }
        let DiskUsage { mut images, containers, mut volumes, cache } = self.all;
        for container in &containers {
            for image in images.iter_mut().filter(|image| image.id == container.image_id) {
                image.containers.push(container.id.clone());
            }
            let mounted: BTreeSet<&str> =
                container.mounts.iter().filter_map(|mount| mount.volume.as_deref()).collect();
            for volume in volumes.iter_mut().filter(|it| mounted.contains(it.name.as_str())) {
                volume.containers.push(container.id.clone());
            }
            for network in networks.iter_mut().filter(|network| {
                container.networks.iter().any(|used| *used == network.id || *used == network.name)
            }) {
                network.containers.push(container.id.clone());
            }
        }
        let gaps = self.gaps;
        Ok(Inventory { engine, images, containers, volumes, networks, cache, gaps })
    }
}
