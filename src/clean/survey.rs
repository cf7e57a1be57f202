//! What a clean is decided by: what the engine holds, how large it is, and whose it is. The part of the room that asks an
//! engine before anything is planned.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use crate::clean::model::{Action, Kind, Plan, Request};
use crate::clean::space::Space;
use crate::clean::{Offer, frees, offers, plan};
use crate::engine::{Connector, Engine, EngineError};
use crate::error::{CommandError, ExitKind};
use crate::inventory::{CacheRecord, ImageDetails, Inventory, Lost, Part};
use crate::measure::{self, Effort, Sizes, Ways, Wish};
use crate::ownership::records::{Reason, Stack, Verdict, stacks};
use crate::ownership::{self, Answer, Depth, Include, Project, Question, Recall};
use crate::sight::Disk;
use crate::unreachable::unreachable;

/// How long the engine may take to measure what it holds.
const PATIENCE: Duration = Duration::from_secs(120);

/// What the engine holds, and what its images are made of.
pub struct Observation {
    /// What it holds.
    pub inventory: Inventory,
    /// Layers and history of all images.
    pub details: Vec<ImageDetails>,
    /// The same layers, to compare with records.
    pub stacks: Vec<Stack>,
}

impl Observation {
    /// Bytes on the engine's disk.
    pub fn footprint(&self) -> u64 {
        self.space().footprint(&self.inventory)
    }

    /// What each thing takes of it.
    pub fn space(&self) -> Space {
        Space::new(&self.inventory, &self.stacks)
    }
}

/// Looks at everything: what is not seen may use what would be removed.
///
/// # Errors
/// The engine cannot be reached, or leaves something out of its answer.
pub async fn observe(connector: &Connector, engine: &Engine) -> Result<Observation, CommandError> {
    let failed = |error: EngineError| unreachable(connector, error);
    let inventory = engine.inventory(PATIENCE).await.map_err(failed)?;
    let blind =
        inventory.gaps.iter().find(|gap| gap.lost == Lost::Everything && gap.part != Part::Engine);
    if let Some(gap) = blind {
        let message = format!("nothing is removed without knowing what is there: {gap}");
        return Err(CommandError::new(ExitKind::EngineUnreachable, message));
    }
    let ids: Vec<String> = inventory.images.iter().map(|image| image.id.clone()).collect();
    let details = engine.image_details(&ids).await.map_err(failed)?;
    let stacks = stacks(&details);
    Ok(Observation { inventory, details, stacks })
}

/// When the user learns what more could go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Offers {
    /// In no case.
    Never,
    /// Where the engine's disk is nearly full.
    WhereShort,
    /// In any case.
    Always,
}

/// What a survey should find out.
pub struct Survey<'a> {
    /// The engine.
    pub connector: &'a Connector,
    /// The project.
    pub project: &'a Project,
    /// What is taken in besides what is certain.
    pub include: &'a BTreeSet<Include>,
    /// Whether the build cache is among what goes.
    pub with_cache: bool,
    /// When the user learns what more could go.
    pub offers: Offers,
    /// Where builds are remembered, if anywhere.
    pub ledger: Option<PathBuf>,
}

/// What was found out.
pub struct Findings {
    /// What the engine holds.
    pub observed: Observation,
    /// The engine's disk, where it can be seen.
    pub disk: Option<Disk>,
    /// Whose everything is.
    pub answer: Answer,
    /// What was left out because it could not be read.
    pub notes: Vec<String>,
    with_offers: bool,
    sizes: Sizes,
    space: Space,
}

impl Survey<'_> {
    /// Asks the engine and the ledger. `ways` returns how the project's builds ask for the mount that a record is.
    ///
    /// # Errors
    /// Those of [`observe`].
    pub async fn findings(
        &self,
        ways: impl Fn(&CacheRecord) -> Ways,
    ) -> Result<Findings, CommandError> {
        let connector = self.connector;
        let engine = &Engine::new(connector);
        let mut observed = observe(connector, engine).await?;
        let disk = measure::disk(connector, &observed.inventory.engine);
        // A look of its own for the disk is quick where the engine is near.
        let for_disk = disk.is_none() && measure::is_near(connector);
        let is_judged = self.with_cache || self.offers(disk);
        let effort = if is_judged || for_disk { Effort::Changed } else { Effort::None };
        let wish = Wish::new(effort, PATIENCE, self.ledger.as_deref());
        let wish = Wish { for_disk, ..wish };
        let sizes = measure::sizes((connector, engine), &mut observed.inventory, &wish, ways).await;
        let disk = sizes.disk.or(disk);
        let with_offers = self.offers(disk);
        let mut notes = Vec::new();
        let answer = self.answer(engine, &observed, with_offers, &mut notes).await?;
        notes.extend(observed.inventory.gaps.iter().map(ToString::to_string));
        let space = observed.space();
        Ok(Findings { observed, disk, answer, notes, with_offers, sizes, space })
    }

    fn offers(&self, disk: Option<Disk>) -> bool {
        match self.offers {
            Offers::Never => false,
            Offers::WhereShort => disk.is_some_and(|disk| disk.is_short()),
            Offers::Always => true,
        }
    }

    /// Whose everything is. Whose the cache is takes a while to find out.
    async fn answer(
        &self,
        engine: &Engine,
        observed: &Observation,
        with_offers: bool,
        notes: &mut Vec<String>,
    ) -> Result<Answer, CommandError> {
        let Observation { inventory, details, stacks } = observed;
        let depth = if self.with_cache || with_offers { Depth::Cache } else { Depth::Things };
        let (ledger, project) = (self.ledger.clone(), self.project.name.as_str());
        let recall = Recall { ledger, project, depth, end: None };
        let memory = recall.ask(self.connector, notes).await;
        let evidence = ownership::gather(engine, inventory, self.project, memory)
            .await
            .map_err(|error| unreachable(self.connector, error))?;
        Ok(ownership::judge(&Question {
            project: self.project,
            inventory,
            stacks,
            histories: details,
            evidence: &evidence,
            include: self.include,
        }))
    }
}

impl Findings {
    /// What goes and what stays. Records are known by the uses that the engine counts, looks of ours included: right
    /// before they go, it is asked again.
    pub fn plan(&self, request: &Request) -> Plan {
        let mut plan = plan(&self.observed.inventory, &self.space, &self.answer, request);
        for item in &mut plan.remove {
            if let Action::Cache { usage_count } = &mut item.action
                && let Some(size) = self.sizes.mounts.get(&item.id)
            {
                *usage_count = size.engine.usage_count;
            }
        }
        plan
    }

    /// Projects whose builds use cache mounts of `plan`, too, as far as they are known.
    pub fn sharing(&self, plan: &Plan) -> BTreeSet<String> {
        let verdicts = plan.remove.iter().filter_map(|item| self.answer.records.get(&item.id));
        let project = |verdict: &Verdict| match verdict {
            Verdict::Kept(Reason::SharedMount { project }) => {
                Some(project.clone().unwrap_or_else(|| "another project".to_owned()))
            }
            _ => None,
        };
        verdicts.filter_map(project).collect()
    }

    /// What else could be removed, where the user should be told.
    pub fn offers(&self, request: &Request, plan: &Plan) -> Vec<Offer> {
        if !self.with_offers {
            return Vec::new();
        }
        let inventory = &self.observed.inventory;
        offers(request, plan.estimated_bytes(), |request| {
            frees(inventory, &self.space, &self.answer, request)
        })
    }

    /// Whom else `request` hits, if it removes the build cache of everybody.
    pub fn others_hit(&self, request: &Request, plan: &Plan, project: &str) -> Option<OthersHit> {
        let hits = request.whole_cache && plan.removes(Kind::Cache).next().is_some();
        hits.then(|| OthersHit::new(&self.observed.inventory, &self.answer, project))
    }
}

/// Whose else the records are that go with the build cache of everybody.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OthersHit {
    /// How many records no known build of this project made.
    pub records: usize,
    /// How many there are.
    pub all_records: usize,
    /// Bytes of the former.
    pub bytes: u64,
    /// The projects that the engine has things of.
    pub projects: Vec<String>,
}

impl OthersHit {
    /// Those of all that `inventory` has.
    pub fn new(inventory: &Inventory, answer: &Answer, project: &str) -> Self {
        let is_foreign =
            |id: &String| !matches!(answer.records.get(id), Some(Verdict::Ours { .. }));
        let foreign = inventory.cache.iter().filter(|record| is_foreign(&record.id));
        let (records, bytes) =
            foreign.fold((0, 0), |(count, sum), it| (count + 1, sum + it.size_bytes));
        let mut projects = ownership::projects(inventory);
        projects.remove(project);
        let projects = projects.into_iter().map(str::to_owned).collect();
        Self { records, all_records: inventory.cache.len(), bytes, projects }
    }
}

/// Bytes that the engine holds less than `before`.
///
/// # Errors
/// Those of [`observe`].
pub async fn freed(
    connector: &Connector,
    before: &Observation,
    ledger: Option<PathBuf>,
) -> Result<u64, CommandError> {
    let engine = &Engine::new(connector);
    let mut after = observe(connector, engine).await?;
    let wish = Wish::remembered(ledger.as_deref());
    measure::sizes((connector, engine), &mut after.inventory, &wish, |_| Vec::new()).await;
    Ok(before.footprint().saturating_sub(after.footprint()))
}
