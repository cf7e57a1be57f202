//! What BuildKit at the nodes of a builder keeps: the JSON document `doc2md-docker/builder-stats/v1`, and the base of the
//! table. Pure. `docs/builder-stats.schema.json` describes it; fields may be added within `v1`, none goes or changes its
//! meaning.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::Serialize;

use super::facts::ServiceFacts;
use super::mounts::{self, DeclaredMounts};
use crate::inventory::{CacheKind, CacheRecord};
use crate::ownership::{NodeCache, Side};

/// Name and version of the document.
pub const BUILDER_SCHEMA: &str = "doc2md-docker/builder-stats/v1";

/// What is known of a BuildKit of a builder: one for each node, or pod of a node.
#[derive(Debug)]
pub struct NodeFacts {
    /// The node.
    pub node: String,
    /// The pod, if it is in one.
    pub pod: Option<String>,
    /// What it has, or why that is not known.
    pub state: NodeState,
}

/// Whether a node answers.
#[derive(Debug)]
pub enum NodeState {
    /// It does.
    Running {
        /// BuildKit's release, where it tells one.
        version: Option<String>,
        /// What it keeps.
        cache: Box<NodeCache>,
    },
    /// It is not running, and this is its state.
    Stopped(String),
    /// It cannot be reached, for this reason.
    Unreachable(String),
}

/// The document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BuilderStats {
    /// [`BUILDER_SCHEMA`].
    pub schema: &'static str,
    /// Compose project name.
    pub project: String,
    /// When it was measured.
    pub taken: Timestamp,
    /// Which builder.
    pub builder: BuilderSummary,
    /// Sums over its nodes, as far as they answer; each BuildKit once.
    pub cache: CacheSums,
    /// Its nodes, in buildx's order, each pod of a node by itself.
    pub nodes: Vec<NodeStats>,
    /// What is missing, as sentences.
    pub notes: Vec<String>,
}

/// Which builder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BuilderSummary {
    /// Its name; `-` for the one of BUILDKIT_HOST.
    pub name: String,
    /// buildx's word for how its nodes are reached.
    pub driver: String,
}

/// BuildKit at a node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NodeStats {
    /// The node.
    pub name: String,
    /// The pod, if it is in one.
    pub pod: Option<String>,
    /// `running`, `stopped` or `unreachable`.
    pub status: &'static str,
    /// Why it is not running.
    pub reason: Option<String>,
    /// BuildKit's release; `null` where it does not tell one.
    pub buildkit_version: Option<String>,
    /// Id of its worker, by which builds there are remembered.
    pub worker: Option<String>,
    /// What it keeps; `null` where it does not answer.
    pub cache: Option<NodeCacheStats>,
}

/// The build cache of a node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NodeCacheStats {
    /// All of it.
    #[serde(flatten)]
    pub sums: CacheSums,
    /// By kind, the largest first.
    pub kinds: Vec<KindSums>,
    /// Its cache mounts, those of the project first.
    pub mounts: Vec<NodeMountStats>,
    /// Every record; `null` where that was not asked.
    pub records: Option<Vec<NodeRecordStats>>,
}

/// Sums over records.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct CacheSums {
    /// How many.
    pub records: usize,
    /// Their size.
    pub total_bytes: u64,
    /// Of these, what builds use now.
    pub in_use_bytes: u64,
    /// Of these, what images of a docker engine hold too, where BuildKit is part of one.
    pub shared_with_images_bytes: u64,
    /// Of these, what neither builds use nor images hold.
    pub reclaimable_bytes: u64,
    /// Of these, the project's alone.
    pub project_bytes: u64,
    /// Of these, what builds of others made or use.
    pub others_bytes: u64,
    /// Of these, what nobody recorded.
    pub unknown_bytes: u64,
}

/// Records of one kind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct KindSums {
    /// BuildKit's word.
    pub kind: String,
    /// Their sums.
    #[serde(flatten)]
    pub sums: CacheSums,
}

/// A cache mount.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NodeMountStats {
    /// `id=` of the mount, by default its target.
    pub id: Option<String>,
    /// Where it was mounted.
    pub target: Option<String>,
    /// Its size when BuildKit was first asked for it.
    pub size_bytes: u64,
    /// When a step last used it.
    pub last_used: Option<Timestamp>,
    /// Whether a build uses it now.
    pub in_use: bool,
    /// `project`, `others` or `unknown`.
    pub whose: &'static str,
    /// Services of the project whose Dockerfiles name it.
    pub services: Vec<String>,
    /// Id of the record.
    pub record: String,
}

/// A record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NodeRecordStats {
    /// Id.
    pub id: String,
    /// BuildKit's word.
    pub kind: String,
    /// The step that made it, in BuildKit's words.
    pub description: String,
    /// Its size.
    pub size_bytes: u64,
    /// When it was made.
    pub created: Option<Timestamp>,
    /// When a build last ended with it.
    pub last_used: Option<Timestamp>,
    /// How many did.
    pub usage_count: u64,
    /// Whether a build uses it now.
    pub in_use: bool,
    /// `project`, `others` or `unknown`.
    pub whose: &'static str,
}

/// What the sums are made from.
#[derive(Debug)]
pub struct BuilderFacts<'a> {
    /// Compose project name.
    pub project: &'a str,
    /// Services that the project builds.
    pub services: &'a [ServiceFacts],
    /// Which builder.
    pub builder: BuilderSummary,
    /// Its nodes.
    pub nodes: &'a [NodeFacts],
    /// Whether every record is to be listed.
    pub with_records: bool,
    /// The moment, by this machine's clock.
    pub now: Timestamp,
    /// What else is to be said.
    pub notes: &'a [String],
}

/// Puts everything together.
pub fn of_builder(facts: &BuilderFacts) -> BuilderStats {
    let mut notes = facts.notes.to_vec();
    let mut cache = CacheSums::default();
    let mut counted: BTreeSet<&str> = BTreeSet::new();
    for node in facts.nodes {
        let NodeState::Running { cache: kept, .. } = &node.state else { continue };
        notes.extend(kept.notes.iter().map(|note| format!("{}: {note}", node.node)));
        let worker = kept.inventory.engine.id.as_str();
        // Two nodes can be two ways to one BuildKit.
        if !worker.is_empty() && !counted.insert(worker) {
            notes.push(format!(
                "the node {} leads to a BuildKit that another node leads to, too: the sum has it once",
                node.node
            ));
            continue;
        }
        kept.inventory.cache.iter().for_each(|record| cache.add(record, kept.side(&record.id)));
    }
    let declared = DeclaredMounts::new(facts.services);
    BuilderStats {
        schema: BUILDER_SCHEMA,
        project: facts.project.to_owned(),
        taken: facts.now,
        builder: facts.builder.clone(),
        cache,
        nodes: facts.nodes.iter().map(|node| node_stats(facts, node, &declared)).collect(),
        notes,
    }
}

fn node_stats(facts: &BuilderFacts, node: &NodeFacts, declared: &DeclaredMounts) -> NodeStats {
    let unknown = NodeStats {
        name: node.node.clone(),
        pod: node.pod.clone(),
        status: "running",
        reason: None,
        buildkit_version: None,
        worker: None,
        cache: None,
    };
    match &node.state {
        NodeState::Stopped(why) => {
            NodeStats { status: "stopped", reason: Some(why.clone()), ..unknown }
        }
        NodeState::Unreachable(why) => {
            NodeStats { status: "unreachable", reason: Some(why.clone()), ..unknown }
        }
        NodeState::Running { version, cache } => NodeStats {
            buildkit_version: version.clone(),
            worker: Some(cache.inventory.engine.id.clone()).filter(|id| !id.is_empty()),
            cache: Some(cache_stats(cache, declared, facts.with_records)),
            ..unknown
        },
    }
}

fn cache_stats(cache: &NodeCache, declared: &DeclaredMounts, with_records: bool) -> NodeCacheStats {
    let mut sums = CacheSums::default();
    let mut kinds: BTreeMap<&CacheKind, CacheSums> = BTreeMap::new();
    for record in &cache.inventory.cache {
        let side = cache.side(&record.id);
        sums.add(record, side);
        kinds.entry(&record.kind).or_default().add(record, side);
    }
    let mut kinds: Vec<KindSums> = kinds
        .into_iter()
        .map(|(kind, sums)| KindSums { kind: kind.word().to_owned(), sums })
        .collect();
    kinds.sort_by(|a, b| (b.sums.total_bytes, &a.kind).cmp(&(a.sums.total_bytes, &b.kind)));
    let mounts = mount_stats(cache, declared);
    let records = with_records.then(|| record_stats(cache));
    NodeCacheStats { sums, kinds, mounts, records }
}

fn mount_stats(cache: &NodeCache, declared: &DeclaredMounts) -> Vec<NodeMountStats> {
    let records = cache.inventory.cache.iter().filter(|it| it.kind == CacheKind::CacheMount);
    let mut found: Vec<NodeMountStats> = records
        .map(|record| {
            let named = mounts::parse(&record.description);
            let services = declared.services(&named);
            NodeMountStats {
                id: named.id.or(services.id),
                target: named.target,
                size_bytes: record.size_bytes,
                last_used: record.last_used_at,
                in_use: record.in_use,
                whose: word(cache.side(&record.id)),
                services: services.names,
                record: record.id.clone(),
            }
        })
        .collect();
    found.sort_by(|a, b| {
        let order = |it: &NodeMountStats| it.services.is_empty();
        (order(a), b.size_bytes, &a.record).cmp(&(order(b), a.size_bytes, &b.record))
    });
    found
}

fn record_stats(cache: &NodeCache) -> Vec<NodeRecordStats> {
    let mut records: Vec<NodeRecordStats> = cache
        .inventory
        .cache
        .iter()
        .map(|record| NodeRecordStats {
            id: record.id.clone(),
            kind: record.kind.word().to_owned(),
            description: record.description.clone(),
            size_bytes: record.size_bytes,
            created: record.created_at,
            last_used: record.last_used_at,
            usage_count: record.usage_count,
            in_use: record.in_use,
            whose: word(cache.side(&record.id)),
        })
        .collect();
    records.sort_by(|a, b| (b.size_bytes, &a.id).cmp(&(a.size_bytes, &b.id)));
    records
}

fn word(side: Side) -> &'static str {
    match side {
        Side::Project => "project",
        Side::Others => "others",
        Side::Unknown => "unknown",
    }
}

impl CacheSums {
    fn add(&mut self, record: &CacheRecord, side: Side) {
        let bytes = record.size_bytes;
        self.records += 1;
        self.total_bytes += bytes;
        if record.in_use {
            self.in_use_bytes += bytes;
        }
        if record.shared {
            self.shared_with_images_bytes += bytes;
        }
        if !record.in_use && !record.shared {
            self.reclaimable_bytes += bytes;
        }
        *match side {
            Side::Project => &mut self.project_bytes,
            Side::Others => &mut self.others_bytes,
            Side::Unknown => &mut self.unknown_bytes,
        } += bytes;
    }
}
