//! The builds of a benchmark: each case of each project, run by run, and what they took.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

use super::tidy::{self, Made};
use super::variant::{Identity, Variant};
use crate::app::App;
use crate::bench::Case;
use crate::bench::model::{CaseReport, Change, Left, ResultReport, Sample, TargetSample};
use crate::buildkit;
use crate::engine::{Connector, Engine};
use crate::error::{CommandError, ExitKind};
use crate::history::Store;
use crate::inventory::ApiVersion;
use crate::progress::outcome::TargetOutcome;
use crate::run::{Finished, Memory, Run};
use crate::signal::Cause;
use crate::solve::executor::RunSettings;
use crate::terminal::format;
use crate::unreachable::unreachable;
use crate::view::{self, Progress};

/// How much of a random name is kept: enough that two benchmarks on one engine do not meet.
const TOKEN: usize = 10;

/// Everything the builds need.
pub(super) struct Rounds<'a> {
    pub(super) app: &'a App,
    pub(super) connector: &'a Connector,
    pub(super) engine: &'a Engine,
    pub(super) settings: RunSettings,
    /// How long each build may take.
    pub(super) timeout: Option<Duration>,
    pub(super) progress: Progress,
    pub(super) ledger: Store,
    pub(super) scratch: &'a Path,
    pub(super) lines: &'a [String],
    pub(super) runs: usize,
    pub(super) cases: &'a [Case],
    pub(super) variants: Vec<Variant>,
    /// By case and number of the project.
    pub(super) samples: BTreeMap<(Case, usize), Vec<Sample>>,
    pub(super) changes: BTreeMap<(Case, usize), Vec<Change>>,
    pub(super) left: Vec<Left>,
    /// Layers that images of the engine have or had, by their identity.
    pub(super) layers: BTreeSet<String>,
}

impl Rounds<'_> {
    /// Measures. What was made is removed in any case.
    ///
    /// # Errors
    /// A build failed, or Ctrl-C.
    pub(super) async fn go(&mut self) -> Result<(), CommandError> {
        let token = &buildkit::new_ref()[..TOKEN];
        // A first build has everything before it removed; without one, each run goes on where the one before
        // ended.
        let from_nothing = self.cases.contains(&Case::First);
        let rounds = if from_nothing { self.runs } else { 1 };
        for round in 1..=rounds {
            let since = Timestamp::now();
            let project = format!("doc2md-bench-{token}-{round}");
            let mut identities: Vec<Identity> =
                (0..self.variants.len()).map(|index| identity(&project, index)).collect();
            let measured = self.round(round, token, &mut identities).await;
            let made = Made {
                project: &project,
                references: (self.variants.iter().zip(&identities))
                    .flat_map(|(variant, identity)| variant.references(identity))
                    .collect(),
                namespaces: identities.iter().map(|it| it.namespace.clone()).collect(),
                ledger: &self.ledger,
                since,
            };
            let left = tidy::tidy(self.connector, self.engine, &made).await;
            measured?;
            add(&mut self.left, left?);
        }
        Ok(())
    }

    async fn round(
        &mut self,
        round: usize,
        token: &str,
        identities: &mut [Identity],
    ) -> Result<(), CommandError> {
        for (index, variant) in self.variants.iter_mut().enumerate() {
            let place = self.scratch.join(format!("{}{round}", letter(index)));
            variant.renew(&place, token).map_err(unwritable)?;
        }
        let from_nothing = self.cases.contains(&Case::First);
        if !from_nothing {
            for (index, identity) in identities.iter().enumerate() {
                let sample = self.build(index, identity).await?;
                self.tell("to begin with", index, &sample);
            }
        }
        let runs = if from_nothing { round..=round } else { 1..=self.runs };
        for run in runs {
            for case in self.cases {
                for turn in 0..self.variants.len() {
                    // In turns, so that what changes on the machine meanwhile hits both.
                    let index = (turn + run) % self.variants.len();
                    self.measure(*case, run, index, token, &mut identities[index]).await?;
                }
            }
        }
        Ok(())
    }

    async fn measure(
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
            Case::Requirement => variant.change(case, token, self.lines).map_err(unwritable)?,
        }
        if matches!(case, Case::Code | Case::Requirement) {
            self.changes.insert((case, index), variant.changes(case));
        }
        let sample = self.build(index, identity).await?;
        self.tell(&format!("run {run} of {}, {}", self.runs, case.title()), index, &sample);
        self.samples.entry((case, index)).or_default().push(sample);
        Ok(())
    }

    fn tell(&self, what: &str, index: usize, sample: &Sample) {
        if !self.app.is_quiet() {
            let name = &self.variants[index].name;
            let text = format!("{what}, {name}: {}", format::seconds(sample.seconds));
            self.app.ui.say(&self.app.ui.foreign(&text));
        }
    }

    async fn build(&mut self, index: usize, identity: &Identity) -> Result<Sample, CommandError> {
        let interrupt = &self.app.interrupt;
        let stopped = async || {
            interrupt.token().cancelled().await;
            Err(interrupt.cause().unwrap_or(Cause::Signal).error())
        };
        let mounts = tokio::select! {
            mounts = self.mounts(identity) => mounts,
            error = stopped() => return error,
        };
        let plan = self.variants[index].plan(identity)?;
        let run = Run {
            app: self.app,
            plan: &plan,
            settings: RunSettings {
                deadline: self.timeout.map(|timeout| Instant::now() + timeout),
                ..self.settings.clone()
            },
            progress: self.progress,
            memory: Some(Memory::at(self.ledger.clone(), &identity.project)),
        };
        let finished = run.carry_out().await?;
        match view::run_error(&finished.summary) {
            None => {
                let mut sample = sample(&finished);
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
            Some(error) => Err(error),
        }
    }

    /// Adds to each target what of its image is new.
    async fn measure_layers(&mut self, sample: &mut Sample) -> Result<(), CommandError> {
        let mut fresh = BTreeSet::new();
        for target in &mut sample.targets {
            let ids: Vec<String> = target.image.iter().cloned().collect();
            let details = self.engine.image_details(&ids).await;
            let details = details.map_err(|error| unreachable(self.connector, &error))?;
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
        if self.engine.facts().await.ok()?.api_version < ApiVersion::v1(42) {
            return None;
        }
        let records = self.engine.cache_records().await.ok()?;
        let own = records
            .iter()
            .filter(|record| tidy::is_own_mount(record, std::slice::from_ref(&identity.namespace)));
        Some(own.map(|record| record.size_bytes).sum())
    }

    /// What was measured of a case, for each project.
    pub(super) fn results(&self, case: Case) -> Vec<ResultReport> {
        let result = |(index, variant): (usize, &Variant)| match variant.not_measured(case) {
            Some(why) => ResultReport::not_measured(&variant.name, why.to_owned()),
            None => {
                let samples = self.samples.get(&(case, index)).map_or(&[][..], Vec::as_slice);
                let changes = self.changes.get(&(case, index)).cloned().unwrap_or_default();
                ResultReport::new(&variant.name, changes, samples)
            }
        };
        self.variants.iter().enumerate().map(result).collect()
    }

    /// What is to be known of the figures.
    pub(super) fn notes(&self, cases: &[CaseReport]) -> Vec<String> {
        let mut notes = Vec::new();
        for (case, of_case) in self.cases.iter().zip(cases) {
            for (variant, result) in self.variants.iter().zip(&of_case.results) {
                if result.not_measured.is_some() {
                    continue;
                }
                let missing = variant.unchanged(*case);
                if !missing.is_empty() {
                    notes.push(format!(
                        "{}, {}: nothing was changed for {}, as no file for it was found",
                        case.title(),
                        variant.name,
                        missing.join(", ")
                    ));
                }
                notes.extend(surprises(*case, result));
            }
        }
        if !self.lines.is_empty() && !self.cases.contains(&Case::First) && self.runs > 1 {
            notes.push(
                "from the second run on the added requirements had been downloaded before: each run starts \
                 with empty cache mounts only where `first` is measured, too"
                    .to_owned(),
            );
        }
        notes
    }
}

/// Steps that ran where none should have, or none where some should.
fn surprises(case: Case, result: &ResultReport) -> Vec<String> {
    let (title, project) = (case.title(), &result.project);
    let ran = |name: &String| result.targets.iter().any(|it| it.name == *name && it.ran > 0);
    match case {
        Case::Unchanged => {
            let ran = result.targets.iter().filter(|it| it.ran > 0);
            ran.map(|target| {
                let (name, steps) = (&target.name, target.ran);
                format!(
                    "{title}, {project}: {steps} steps of {name} ran although nothing had changed"
                )
            })
            .collect()
        }
        Case::Code | Case::Requirement => {
            let idle = result.changes.iter().filter(|change| !change.targets.iter().any(ran));
            idle.map(|change| {
                format!("{title}, {project}: no step ran after {} was changed", change.file)
            })
            .collect()
        }
        Case::First | Case::Warm => Vec::new(),
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

fn sample(finished: &Finished) -> Sample {
    let targets = finished.summary.targets.iter().filter_map(|target| {
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
        seconds: finished.summary.seconds,
        sent_bytes: finished.sent_bytes,
        mounts_grew_bytes: None,
        targets: targets.collect(),
    }
}

/// Adds what another run left.
fn add(all: &mut Vec<Left>, more: Vec<Left>) {
    for left in more {
        match all.iter_mut().find(|it| (&it.kind, &it.why) == (&left.kind, &left.why)) {
            Some(known) => {
                known.count += left.count;
                known.bytes += left.bytes;
            }
            None => all.push(left),
        }
    }
}

fn unwritable(error: std::io::Error) -> CommandError {
    CommandError::new(ExitKind::Failed, "failed to change the copy of a build context")
        .caused_by(&error)
}
