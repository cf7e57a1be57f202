//! What BuildKit at a node of a builder keeps, and whose that is: as on an engine, without images and containers.

use std::collections::BTreeSet;
use std::path::PathBuf;

use tokio::time::Instant;

use super::gather::{Depth, Recall, gather_from_buildkit};
use super::model::{Answer, Project, Question};
use super::{cache, judge};
use crate::buildkit::{About, Control, SolveError};
use crate::inventory::{ApiVersion, EngineFacts, Inventory, Store};
use crate::ownership::records::{Reason, Verdict};

/// The build cache of BuildKit at a node.
#[derive(Debug)]
pub struct NodeCache {
    /// Its records; there is nothing else of it.
    pub inventory: Inventory,
    /// Whose they are.
    pub answer: Answer,
    /// What could not be read.
    pub notes: Vec<String>,
    /// Ids of records that builds of others made, as far as these are known.
    others: BTreeSet<String>,
}

/// Whose a record is, as far as that can be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// The project's alone.
    Project,
    /// A build of somebody else made it, or uses it.
    Others,
    /// Nobody recorded who made it: base images, too.
    Unknown,
}

impl NodeCache {
    /// Asks for it; `end` is until when builds may be told of.
    ///
    /// # Errors
    /// BuildKit does not answer.
    pub async fn ask(
        control: &Control,
        about: &About,
        project: &Project,
        ledger: Option<PathBuf>,
        end: Option<Instant>,
    ) -> Result<Self, SolveError> {
        let mut notes = Vec::new();
        let name = project.name.as_str();
        let recall = Recall { ledger, project: name, depth: Depth::Cache, end };
        let (records, memory) =
            tokio::join!(control.cache_records(), recall.ask_over(Ok(control), &mut notes));
        let inventory = Inventory { cache: records?, ..nothing_else(about) };
        let evidence = gather_from_buildkit(&about.worker, project, memory).await;
        let answer = judge(&Question {
            project,
            inventory: &inventory,
            stacks: &[],
            histories: &[],
            evidence: &evidence,
            include: &BTreeSet::new(),
        });
        let others = cache::made_by_others(&inventory.cache, &evidence.builds);
        Ok(Self { inventory, answer, notes, others })
    }

    /// Whose a record is.
    pub fn side(&self, id: &str) -> Side {
        match self.answer.records.get(id) {
            Some(Verdict::Ours { .. }) => Side::Project,
            Some(Verdict::Kept(Reason::SharedMount { .. })) => Side::Others,
            _ if self.others.contains(id) => Side::Others,
            _ => Side::Unknown,
        }
    }
}

/// BuildKit as an engine that has no things.
fn nothing_else(about: &About) -> Inventory {
    let engine = EngineFacts {
        id: about.worker.clone(),
        version: about.version.clone().unwrap_or_default(),
        // It is asked through its own API.
        api_version: ApiVersion::v1(0),
        store: Store::Buildkit { unpacks_alone: about.unpacks_alone },
        driver: String::new(),
        os: String::new(),
        architecture: String::new(),
        data_root: String::new(),
        host: String::new(),
        kernel: String::new(),
        cgroup_version: String::new(),
    };
    Inventory {
        engine,
        images: Vec::new(),
        containers: Vec::new(),
        volumes: Vec::new(),
        networks: Vec::new(),
        cache: Vec::new(),
        gaps: Vec::new(),
    }
}
