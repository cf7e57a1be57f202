//! Asks an engine and the ledger what a project takes. The part of the room that asks anybody; what is late is left out
//! and said.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::{Instant, timeout, timeout_at};

use super::facts::{Facts, PastImage, ServiceFacts};
use super::model::RemedyStats;
use super::mounts::DeclaredMounts;
use super::{OwnMounts, Worths, gc, past, stacks};
use crate::buildkit::{Control, GcPolicy};
use crate::clean::{self, space::Space};
use crate::counted::{agreed, counted};
use crate::engine::{Connector, Engine, EngineError, TOO_SLOW, in_time};
use crate::inventory::{Gap, Image, ImageDetails, Inventory, Lost, Part};
use crate::measure::{self, Sizes, Wish};
use crate::ownership::records::{self, Stack, Verdict};
use crate::ownership::{self, Answer, Depth, Evidence, Memory, Project, Question, Recall};
use crate::sight::Disk;

/// What the layers of images get at least, where measuring took all the time there was.
const LAYERS_AT_LEAST: Duration = Duration::from_secs(2);

/// What is looked at, and how closely.
#[derive(Clone, Copy)]
pub struct Inquiry<'a> {
    /// The engine.
    pub connector: &'a Connector,
    /// The project.
    pub project: &'a Project,
    /// Its directory; `None` where its files are gone.
    pub directory: Option<&'a Path>,
    /// The services that it builds.
    pub services: &'a [ServiceFacts],
    /// Where builds are remembered, if anywhere.
    pub ledger: Option<&'a PathBuf>,
    /// How long the engine gets.
    pub limit: Duration,
    /// Whether to find out whose the cache records are. That takes the layers of all images and the engine's history
    /// of builds, seconds where there were many: a glance at a table does not wait for it.
    pub depth: Depth,
    /// How mounts are measured.
    pub mounts: &'a Wish,
}

/// What came from the engine and the ledger in time.
pub struct Findings {
    /// What the engine holds.
    pub inventory: Inventory,
    /// The engine's disk, where it can be seen.
    pub disk: Option<Disk>,
    /// What else is to be said.
    pub notes: Vec<String>,
    details: Vec<ImageDetails>,
    past: Vec<PastImage>,
    answer: Answer,
    own_records: Option<BTreeSet<String>>,
    every_layer: Option<Vec<Stack>>,
    space: Option<Space>,
    remedies: Option<Vec<RemedyStats>>,
    sizes: Sizes,
    gc: Option<gc::Rules>,
    worths: Worths,
}

impl Findings {
    /// The same as facts to calculate with. `with_records` lists every cache record.
    pub fn facts<'a>(
        &'a self,
        gathering: &Inquiry<'a>,
        with_records: bool,
        now: Timestamp,
    ) -> Facts<'a> {
        Facts {
            project: &gathering.project.name,
            services: gathering.services,
            inventory: &self.inventory,
            whose: &self.answer,
            details: &self.details,
            stacks: self.all_layers(),
            disk: self.disk,
            remedies: self.remedies.as_deref(),
            past: &self.past,
            own_records: self.own_records.as_ref(),
            sizes: &self.sizes,
            gc: self.gc.as_ref(),
            worths: &self.worths,
            with_records,
            now,
            notes: &self.notes,
        }
    }

    /// What `clean` would free, without options and with those that narrow it, as its `--dry-run` says; `None` where it
    /// would refuse to plan anything, or where the layers of all images were not asked for.
    pub fn clean_choices(&self) -> Option<Vec<RemedyStats>> {
        let space = self.space.as_ref()?;
        planned(&self.inventory, || {
            clean::choices(|request| clean::frees(&self.inventory, space, &self.answer, request))
        })
    }

    /// The layers of all images, where they tell whose the cache records are.
    fn all_layers(&self) -> Option<&[Stack]> {
        self.every_layer.as_deref().filter(|_| !self.inventory.cache.is_empty())
    }
}

/// What the engine tells at once.
struct First {
    inventory: Inventory,
    layers: Layers,
    memory: Memory,
    policies: Option<Vec<GcPolicy>>,
}

impl Inquiry<'_> {
    /// Asks. `unknown` says what deserves a note of an engine with this inventory.
    ///
    /// # Errors
    /// The engine cannot be reached.
    pub async fn gather(
        &self,
        unknown: impl Fn(&Inventory) -> Option<String>,
    ) -> Result<Findings, EngineError> {
        let end = Instant::now() + self.limit.max(LAYERS_AT_LEAST);
        let engine = &Engine::new(self.connector);
        let mut notes = Vec::new();
        let First { mut inventory, layers, memory, policies } =
            self.first(engine, end, &mut notes).await?;
        let past = past::read_beside(
            self.ledger.cloned(),
            &self.project.name,
            self.directory,
            super::current(&self.project.name, self.services, &inventory.images),
            &inventory.engine,
        );
        let disk = measure::disk(self.connector, &inventory.engine);
        let sizes = self.sizes(engine, &mut inventory, disk).await;
        let (details, others) = layers.put_into(&mut inventory, &mut notes);
        let end = end.max(Instant::now() + LAYERS_AT_LEAST);
        notes.extend(unknown(&inventory));
        let evidence = self.evidence(engine, &inventory, memory, end, &mut notes).await?;
        let every_layer =
            self.every_layer(engine, &inventory, (&details, others), &mut notes).await;
        let all = every_layer.as_deref().filter(|_| !inventory.cache.is_empty());
        let (answer, space) = self.judge(&inventory, (&details, every_layer.as_deref()), &evidence);
        let own_records = all.is_some().then(|| own_records(&answer, &evidence, &mut notes));
        if let Some(note) = not_counted(answer.kept()) {
            notes.push(note);
        }
        let remedies = all.and(space.as_ref()).and_then(|it| remedies(&inventory, it, &answer));
        let disk = sizes.disk.or(disk);
        let free = disk.map(|disk| disk.available_bytes);
        let gc = policies.map(|policies| gc::Rules::new(policies, free));
        let own = self.own_mounts(&inventory);
        let taken = gc.as_ref().map(|rules| {
            own.taken(rules, &sizes.as_engine_sees(&inventory.cache), Timestamp::now())
        });
        let worths = own.worths(&taken.unwrap_or_default().into_keys().collect()).await;
        let past = past.await.unwrap_or_default();
        notes.extend(past.note);
        Ok(Findings {
            inventory,
            disk,
            notes,
            details,
            past: past.images,
            answer,
            own_records,
            every_layer,
            space,
            remedies,
            sizes,
            gc,
            worths,
        })
    }

    /// What every cache mount of the project is worth.
    pub async fn worths(&self, gathered: &Findings) -> Worths {
        let all = gathered.inventory.cache.iter().map(|record| record.id.clone()).collect();
        self.own_mounts(&gathered.inventory).worths(&all).await
    }

    /// The project's cache mounts.
    fn own_mounts<'a>(&'a self, inventory: &'a Inventory) -> OwnMounts<'a> {
        OwnMounts {
            records: &inventory.cache,
            services: self.services,
            project: &self.project.name,
            engine: &inventory.engine.id,
            ledger: self.ledger,
        }
    }

    /// What can be asked at the same time: what there is, the engine's rules, its past builds.
    async fn first(
        &self,
        engine: &Engine,
        end: Instant,
        notes: &mut Vec<String>,
    ) -> Result<First, EngineError> {
        let layers = async |images: &[Image]| self.layers(engine, images, end).await;
        let observed = engine.inventory_with(self.limit, layers);
        let mut unread = Vec::new();
        let remembered = async {
            let control = in_time(Some(end), Control::connect(self.connector)).await;
            let (ledger, project) = (self.ledger.cloned(), self.project.name.as_str());
            let recall = Recall { ledger, project, depth: self.depth, end: Some(end) };
            let policies = async { control.as_ref().ok()?.gc_policies().await };
            let (memory, policies) = tokio::join!(
                recall.ask_over(control.as_ref().map_err(Clone::clone), &mut unread),
                timeout(self.limit, policies)
            );
            (memory, policies.ok().flatten())
        };
        let (observed, (memory, policies)) = tokio::join!(observed, remembered);
        notes.append(&mut unread);
        let (inventory, layers) = observed?;
        Ok(First { inventory, layers, memory, policies })
    }

    /// The layers of the project's images, and those of the others as far as they are needed.
    async fn layers(&self, engine: &Engine, images: &[Image], end: Instant) -> Layers {
        let end = end.max(Instant::now() + LAYERS_AT_LEAST);
        let own = super::wanted(&self.project.name, self.services, images);
        let is_other = |image: &&Image| !own.is_empty() && !own.contains(&image.id);
        let others: Vec<&Image> = images.iter().filter(is_other).collect();
        let file = stacks::file(self.ledger.map(PathBuf::as_path), &self.connector.address());
        let (own, others) = tokio::join!(
            in_time(Some(end), engine.image_details(&own)),
            in_time(Some(end), stacks::of_images(engine, file.as_deref(), &others))
        );
        Layers { own, others }
    }

    async fn sizes(&self, engine: &Engine, inventory: &mut Inventory, disk: Option<Disk>) -> Sizes {
        let for_disk = disk.is_none() && (self.mounts.for_disk || measure::is_near(self.connector));
        let wish = Wish { for_disk, ..self.mounts.clone() };
        let declared = DeclaredMounts::new(self.services);
        let ways = |record: &_| declared.asked_for(record);
        measure::sizes((self.connector, engine), inventory, &wish, ways).await
    }

    async fn evidence(
        &self,
        engine: &Engine,
        inventory: &Inventory,
        memory: Memory,
        end: Instant,
        notes: &mut Vec<String>,
    ) -> Result<Evidence, EngineError> {
        let gathering = ownership::gather(engine, inventory, self.project, memory);
        match timeout_at(end, gathering).await {
            Ok(evidence) => evidence,
            Err(_) => {
                notes.push(format!("whose things are is not certain: {TOO_SLOW}"));
                Ok(Evidence::default())
            }
        }
    }

    /// Whose everything is and, where the layers of all images are known, what each thing takes.
    fn judge(
        &self,
        inventory: &Inventory,
        (histories, stacks): (&[ImageDetails], Option<&[Stack]>),
        evidence: &Evidence,
    ) -> (Answer, Option<Space>) {
        let question = Question {
            project: self.project,
            inventory,
            stacks: stacks.unwrap_or_default(),
            histories,
            evidence,
            include: &BTreeSet::new(),
        };
        beside(
            || ownership::judge(&question),
            || stacks.map(|stacks| Space::new(inventory, stacks)),
        )
    }

    /// Layers of all images: they tell which cache records somebody else has.
    async fn every_layer(
        &self,
        engine: &Engine,
        inventory: &Inventory,
        (own, others): (&[ImageDetails], Option<Vec<Stack>>),
        notes: &mut Vec<String>,
    ) -> Option<Vec<Stack>> {
        if self.depth == Depth::Things {
            let more = "-v also tells which part of the build cache is this project's, and what clean would free";
            notes.push(more.to_owned());
            return None;
        }
        if own.is_empty() {
            return None;
        }
        let mut all = others?;
        all.extend(records::stacks(own));
        // An image can have come, or gone, since the list was made.
        all.retain(|stack| inventory.image(&stack.image).is_some());
        let known: BTreeSet<&str> = all.iter().map(|stack| stack.image.as_str()).collect();
        let ids = inventory.images.iter().map(|image| &image.id);
        let new: Vec<String> = ids.filter(|id| !known.contains(id.as_str())).cloned().collect();
        let end = Instant::now() + LAYERS_AT_LEAST;
        match in_time(Some(end), engine.image_details(&new)).await {
            Ok(new) => all.extend(records::stacks(&new)),
            Err(why) => {
                notes.push(format!("layers of other projects' images unknown: {why}"));
                return None;
            }
        }
        Some(all)
    }
}

/// What inspecting images tells, or why it did not come in time.
struct Layers {
    /// Of the project's images.
    own: Result<Vec<ImageDetails>, String>,
    /// Of the others.
    others: Result<Vec<Stack>, String>,
}

impl Layers {
    /// Adds what images share to the inventory. Returns the layers of the project's images, and of the others where they
    /// are known.
    fn put_into(
        self,
        inventory: &mut Inventory,
        notes: &mut Vec<String>,
    ) -> (Vec<ImageDetails>, Option<Vec<Stack>>) {
        let own = self.own.unwrap_or_else(|why| {
            notes.push(format!("layers of images unknown: {why}"));
            Vec::new()
        });
        match &self.others {
            Ok(others) => super::add_shared(inventory, &own, others),
            Err(why) => notes.push(format!("what images share is unknown: {why}")),
        }
        (own, self.others.ok())
    }
}

/// Ids of the project's cache records.
fn own_records(answer: &Answer, evidence: &Evidence, notes: &mut Vec<String>) -> BTreeSet<String> {
    if evidence.builds.is_empty() && evidence.unplaced.is_empty() {
        notes.push(
            "the project's part of the build cache goes by its images' history, as nobody recorded \
             its builds: it may be larger"
                .into(),
        );
    }
    let records = answer.records.iter();
    let own = records.filter(|(_, verdict)| matches!(verdict, Verdict::Ours { .. }));
    own.map(|(id, _)| id.clone()).collect()
}

fn not_counted(things: usize) -> Option<String> {
    (things > 0).then(|| {
        let (look, are) = (agreed(&things, "looks", "look"), agreed(&things, "is", "are"));
        let things = counted(things, "thing");
        format!(
            "{things} that {look} like the project's {are} not counted: clean --dry-run says why"
        )
    })
}

/// What frees space, as `clean` would plan it; `None` where it would refuse to plan anything.
fn remedies(inventory: &Inventory, space: &Space, answer: &Answer) -> Option<Vec<RemedyStats>> {
    planned(inventory, || {
        clean::remedies(|request| clean::frees(inventory, space, answer, request))
    })
}

/// Plans of `clean`, unless something of the engine is not seen: then nothing is planned.
fn planned(
    inventory: &Inventory,
    plans: impl FnOnce() -> Vec<clean::Remedy>,
) -> Option<Vec<RemedyStats>> {
    let is_blind = |gap: &Gap| gap.lost == Lost::Everything && gap.part != Part::Engine;
    if inventory.gaps.iter().any(is_blind) {
        return None;
    }
    let stats = plans().into_iter().map(|remedy| RemedyStats {
        command: format!("doc2md-docker {}", remedy.command),
        frees_bytes: remedy.frees_bytes,
    });
    Some(stats.collect())
}

/// What both calculate, each on a core of its own: with thousands of records that takes as long as the engine does.
fn beside<A, B: Send>(one: impl FnOnce() -> A, other: impl FnOnce() -> B + Send) -> (A, B) {
    std::thread::scope(|scope| {
        let other = scope.spawn(other);
        let one = one();
        (one, other.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
    })
}
