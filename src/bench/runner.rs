//! The builds of a benchmark: each case of each project, run by run, and what they took.
//!
//! How something is built comes as a closure: the runner says what and when, and removes what was made.

use std::collections::BTreeSet;
use std::path::Path;

use jiff::Timestamp;

use super::engine::Before;
use super::model::{Leftover, Sample, TargetSample};
use super::relock::Relock;
use super::results::Results;
use super::tidy::{self, Products};
use super::variant::{Identity, Variant};
use super::{Case, Plan};
use crate::buildkit;
use crate::engine::{Connector, Engine};
use crate::error::{CommandError, ExitKind};
use crate::history::Store;
use crate::inventory::ApiVersion;
use crate::lock::LockOptions;
use crate::lock::recipe::Upgrade;
use crate::progress::RunSummary;
use crate::progress::outcome::TargetOutcome;
use crate::signal::{Cause, Interrupt};
use crate::solve::plan::BuildPlan;
use crate::unreachable::unreachable;

/// How much of a random name is kept: enough that two benchmarks on one engine do not meet.
const TOKEN: usize = 10;

/// Where it is measured.
#[derive(Clone, Copy)]
pub struct Site<'a> {
    /// The engine.
    pub connector: &'a Connector,
    /// The same.
    pub engine: &'a Engine,
    /// What stops it.
    pub interrupt: &'a Interrupt,
    /// Where copies and builds are kept while it runs.
    pub scratch: &'a Path,
    /// Where its builds are remembered.
    pub ledger: &'a Store,
}

/// A build that was made.
pub struct BenchBuild {
    /// What became of its targets.
    pub summary: RunSummary,
    /// Bytes of build contexts that were sent.
    pub sent_bytes: u64,
}

/// A build that was measured, for those who watch.
pub struct Note<'a> {
    /// Which run of which case.
    pub what: &'a str,
    /// The project.
    pub project: &'a str,
    /// How long it took.
    pub seconds: f64,
}

/// Measures what a plan says. `build` builds a plan as a project of this name, `watch` hears of each build.
pub struct Runner<'a, B, W> {
    plan: &'a Plan,
    site: Site<'a>,
    build: B,
    watch: W,
    variants: Vec<Variant>,
    results: Results,
    left: Vec<Leftover>,
    /// Layers that images of the engine have or had, by their identity.
    layers: BTreeSet<String>,
}

/// What came of a benchmark.
pub struct Outcome {
    /// What it left on the engine.
    pub left: Vec<Leftover>,
    /// What was measured, or why it ended early.
    pub results: Result<Results, CommandError>,
    /// The projects.
    pub variants: Vec<Variant>,
}

impl<'a, B, W> Runner<'a, B, W>
where
    B: AsyncFn(&BuildPlan, &str) -> Result<BenchBuild, CommandError>,
    W: Fn(Note<'_>),
{
    /// A runner that has measured nothing. `before` is what the engine holds.
    pub fn new(
        (plan, site): (&'a Plan, Site<'a>),
        variants: Vec<Variant>,
        before: &Before,
        (build, watch): (B, W),
    ) -> Self {
        let (results, left, layers) = (Results::default(), Vec::new(), before.layers.clone());
        Self { plan, site, build, watch, variants, results, left, layers }
    }

    /// Measures. What was made is removed, however it ends.
    pub async fn measure(mut self) -> Outcome {
        let ended = self.rounds().await;
        let Self { left, results, variants, .. } = self;
        Outcome { left, results: ended.map(|()| results), variants }
    }

    async fn rounds(&mut self) -> Result<(), CommandError> {
        let token = &buildkit::new_ref()[..TOKEN];
        if self.plan.cases.contains(&Case::Lock) {
            for index in 0..self.variants.len() {
                self.lock(index, token).await?;
            }
        }
        let rounds = if self.plan.is_from_nothing() { self.plan.runs } else { 1 };
        for round in 1..=rounds {
            let since = Timestamp::now();
            let project = format!("doc2md-bench-{token}-{round}");
            let mut identities: Vec<Identity> =
                (0..self.variants.len()).map(|index| identity(&project, index)).collect();
            let measured = self.round(round, token, &mut identities).await;
            let images = self.variants.iter().zip(&identities);
            let references =
                images.flat_map(|(variant, identity)| variant.references(identity)).collect();
            let left = self.tidy(&project, &identities, references, since).await;
            measured?;
            add(&mut self.left, left?);
        }
        Ok(())
    }

    /// Removes what builds of `project` made.
    async fn tidy(
        &self,
        project: &str,
        identities: &[Identity],
        references: Vec<String>,
        since: Timestamp,
    ) -> Result<Vec<Leftover>, CommandError> {
        let made = Products {
            project,
            references,
            namespaces: identities.iter().map(|it| it.namespace.clone()).collect(),
            ledger: self.site.ledger,
            since,
        };
        tidy::tidy(self.site.connector, self.site.engine, &made).await
    }

    /// Has the locks made that the case `lock` begins with. That is not measured.
    async fn lock(&mut self, index: usize, token: &str) -> Result<(), CommandError> {
        let folder = self.site.scratch.join(format!("lock-{}", letter(index)));
        let variant = &mut self.variants[index];
        let Some(relock) = Relock::new(variant, &self.plan.lines, &folder.join("copies"))? else {
            match index {
                0 => variant.refuse_lock("there is no requirements*.in that `lock` would lock"),
                _ => variant.begin_without_locks(),
            }
            return Ok(());
        };
        let since = Timestamp::now();
        let project = format!("doc2md-bench-{token}-lock");
        let identity = identity(&project, index);
        let (options, upgrade) = (LockOptions::default(), Upgrade::default());
        let (job, mut target) = relock.job((&options, &upgrade), &folder)?;
        identity.put_on(&mut target);
        let built = (self.build)(&BuildPlan::new(vec![target])?, &project).await;
        let left = self.tidy(&project, &[identity], Vec::new(), since).await;
        let seconds = built?.summary.seconds;
        add(&mut self.left, left?);
        let what = format!("locked again with `{}`", self.plan.lines.join("`, `"));
        let starts = relock.starts(&job, &what)?;
        self.variants[index].begin_with(&starts).map_err(unwritable)?;
        let project = &self.variants[index].name;
        (self.watch)(Note { what: "lock", project, seconds });
        Ok(())
    }

    async fn round(
        &mut self,
        round: usize,
        token: &str,
        identities: &mut [Identity],
    ) -> Result<(), CommandError> {
        for (index, variant) in self.variants.iter_mut().enumerate() {
            let place = self.site.scratch.join(format!("{}{round}", letter(index)));
            variant.renew(&place, token).map_err(unwritable)?;
        }
        let from_nothing = self.plan.is_from_nothing();
        if !from_nothing {
            for (index, identity) in identities.iter().enumerate() {
                let sample = self.sample(index, identity).await?;
                self.say("to begin with", index, &sample);
            }
        }
        let runs = if from_nothing { round..=round } else { 1..=self.plan.runs };
        for run in runs {
            for case in &self.plan.cases {
                for turn in 0..self.variants.len() {
                    // In turns, so that what changes on the machine meanwhile hits both.
                    let index = (turn + run) % self.variants.len();
                    self.case(*case, run, index, token, &mut identities[index]).await?;
                }
            }
        }
        Ok(())
    }

    async fn case(
        &mut self,
        case: Case,
        run: usize,
        index: usize,
        token: &str,
        identity: &mut Identity,
    ) -> Result<(), CommandError> {
        let variant = &mut self.variants[index];
        if variant.not_measured(case).is_some() {
            return Ok(());
        }
        match case {
            Case::First | Case::Unchanged => {}
            Case::Warm => identity.host = format!("again-{run}-{}", identity.host),
            Case::Code => variant.change(case, token, &[]).map_err(unwritable)?,
            Case::Requirement | Case::Lock => {
                variant.change(case, token, &self.plan.lines).map_err(unwritable)?;
            }
        }
        if matches!(case, Case::Code | Case::Requirement | Case::Lock) {
            self.results.set_changes(case, index, variant.changes(case));
        }
        let sample = self.sample(index, identity).await?;
        self.say(&format!("run {run} of {}, {}", self.plan.runs, case.title()), index, &sample);
        self.results.add(case, index, sample);
        Ok(())
    }

    fn say(&self, what: &str, index: usize, sample: &Sample) {
        let project = &self.variants[index].name;
        (self.watch)(Note { what, project, seconds: sample.seconds });
    }

    /// Builds a project and measures what that took.
    async fn sample(&mut self, index: usize, identity: &Identity) -> Result<Sample, CommandError> {
        let interrupt = self.site.interrupt;
        let stopped = async || {
            interrupt.token().cancelled().await;
            Err(interrupt.cause().unwrap_or(Cause::Signal).error())
        };
        let mounts = tokio::select! {
            mounts = self.mounts(identity) => mounts,
            error = stopped() => return error,
        };
        let plan = self.variants[index].plan(identity)?;
        let mut sample = sample(&(self.build)(&plan, &identity.project).await?);
        let measured = async {
            self.measure_layers(&mut sample).await?;
            Ok::<_, CommandError>(self.mounts(identity).await)
        };
        let grown = tokio::select! {
            measured = measured => measured?,
            error = stopped() => return error,
        };
        sample.mounts_grew_bytes =
            mounts.zip(grown).map(|(before, after)| after.saturating_sub(before));
        Ok(sample)
    }

    /// Adds to each target what of its image is new.
    async fn measure_layers(&mut self, sample: &mut Sample) -> Result<(), CommandError> {
        let mut fresh = BTreeSet::new();
        for target in &mut sample.targets {
            let ids: Vec<String> = target.image.iter().cloned().collect();
            let details = self.site.engine.image_details(&ids).await;
            let details = details.map_err(|error| unreachable(self.site.connector, error))?;
            let layers = details.into_iter().flat_map(|image| image.layers);
            let new = layers.filter(|layer| !self.layers.contains(&layer.chain_id));
            let new: Vec<_> = new.collect();
            target.written_bytes = new.iter().map(|layer| layer.size_bytes).sum();
            fresh.extend(new.into_iter().map(|layer| layer.chain_id));
        }
        self.layers.extend(fresh);
        Ok(())
    }

    /// Bytes of the cache mounts of one project. Engines before 23.0 do not tell whose a cache mount is.
    async fn mounts(&self, identity: &Identity) -> Option<u64> {
        let engine = self.site.engine;
        if engine.facts().await.ok()?.api_version < ApiVersion::v1(42) {
            return None;
        }
        let records = engine.cache_records().await.ok()?;
        let own = records
            .iter()
            .filter(|record| tidy::is_own_mount(record, std::slice::from_ref(&identity.namespace)));
        Some(own.map(|record| record.size_bytes).sum())
    }
}

fn identity(project: &str, index: usize) -> Identity {
    let namespace = format!("{project}{}", letter(index));
    Identity {
        project: project.to_owned(),
        // Nobody resolves it: the domain is reserved (RFC 6761).
        host: format!("{namespace}.invalid"),
        namespace,
    }
}

fn letter(index: usize) -> char {
    if index == 0 { 'a' } else { 'b' }
}

fn sample(built: &BenchBuild) -> Sample {
    let targets = built.summary.targets.iter().filter_map(|target| {
        let (image, image_bytes) = match &target.outcome {
            TargetOutcome::Built(image) => (Some(image.id.clone()), image.size_bytes),
            _ => (None, None),
        };
        Some(TargetSample {
            name: target.info.name.clone(),
            // None where another target is the same build.
            seconds: target.finished - target.started?,
            cached: target.cached,
            ran: target.run,
            image,
            image_bytes,
            written_bytes: None,
        })
    });
    Sample {
        seconds: built.summary.seconds,
        sent_bytes: built.sent_bytes,
        mounts_grew_bytes: None,
        targets: targets.collect(),
    }
}

/// Adds what another run left.
fn add(all: &mut Vec<Leftover>, more: Vec<Leftover>) {
    for left in more {
        match all.iter_mut().find(|it| (&it.kind, &it.why) == (&left.kind, &left.why)) {
            Some(same) => {
                same.count += left.count;
                same.bytes += left.bytes;
            }
            None => all.push(left),
        }
    }
}

fn unwritable(error: std::io::Error) -> CommandError {
    CommandError::new(ExitKind::Failed, "failed to change the copy of a build context")
        .caused_by(error)
}
