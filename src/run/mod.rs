//! One run of a plan as its user sees it: the engine carries it out, a reporter shows it, the history keeps it.
//!
//! What the engine is asked for is in [`crate::solve`], how it looks in [`crate::view`]. `build`, `dev`, `lock` and `bench`
//! run their plans here.

mod bases;
mod collection;
mod copied;
mod forecast;
mod largest;
mod listed;
mod memory;
mod nodes;
mod places;
mod pods;
mod ready;
mod replay;
mod resources;
mod up_to_date;

use std::borrow::Cow;
use std::collections::HashMap;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::app::App;
use crate::builders::Destination;
use crate::buildkit::About;
use crate::error::CommandError;
use crate::history::{EngineInfo, Entry};
use crate::progress::estimate::{Past, Schedule};
use crate::progress::place::Places;
use crate::progress::{Event, Redaction, RunSummary, RunTrace};
use crate::redact::Redactor;
use crate::solve::executor::{RunOutcome, RunSettings};
use crate::solve::plan::BuildPlan;
use crate::solve::site::{DockerEngine, Load, Site};
use crate::transfer::SentPath;
use crate::view::{Progress, Reporter};

pub use memory::Memory;
pub use ready::Ready;
pub use replay::replay;
pub use up_to_date::UpToDate;

/// Events that may wait to be shown: a status may have 16 MiB.
const WAITING: usize = 32;
/// How often the reporter gets to redraw.
const TICK: Duration = Duration::from_millis(100);

/// A run of a plan: where, how, and how it is shown.
#[derive(Clone)]
pub struct Run<'a> {
    /// Which engine, what stops it, where it is shown.
    pub app: &'a App,
    /// What is built.
    pub plan: Cow<'a, BuildPlan>,
    /// The name of its project; empty where there is none.
    pub project: &'a str,
    /// How many at once, and when to stop.
    pub settings: RunSettings,
    /// How it is shown.
    pub progress: Progress,
    /// Where builds are remembered, if they are.
    pub memory: Option<Memory>,
    /// Where it goes.
    pub place: Place,
}

/// Where a run goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// To the builder that is chosen; its images are loaded into the user's engine.
    Builder(Load),
    /// To the user's engine, whichever builder is chosen.
    Engine,
}

/// A run that came to its end, whether or not its targets were built.
pub struct RunResult {
    /// What became of each target.
    pub outcome: RunOutcome,
    /// The same as it was shown.
    pub summary: RunSummary,
    /// When it started.
    pub started: Timestamp,
    /// Every step of it.
    pub trace: RunTrace,
    /// Bytes of build contexts that were sent, content and framing.
    pub sent_bytes: u64,
    /// What took most of that, the largest first; empty where it was little.
    pub largest_sent: Vec<SentPath>,
    /// What is secret in it: everything here has been through it.
    pub redactor: Redactor,
    /// How it is remembered, if it is.
    pub entry: Option<Entry>,
}

impl Run<'_> {
    /// Carries it out.
    ///
    /// # Errors
    /// The engine cannot be reached or cannot do what a target asks, or Ctrl-C came before the
    /// first solve. A target that fails is not an error here: the outcome tells.
    pub async fn carry_out(self) -> Result<RunResult, CommandError> {
        self.make_ready().await?.carry_out().await
    }

    /// Where it goes; not to the pod that is `lost` where there is another one. Says so, where that is not the user's engine.
    async fn site(&self, lost: Option<&str>) -> Result<RunSite, CommandError> {
        let engine = self.app.connector()?;
        let Place::Builder(load) = self.place else {
            self.app.warn_of_other_builder()?;
            return Ok(RunSite::at(Site::Engine(DockerEngine::new(engine))));
        };
        let mut platforms: Vec<String> = Vec::new();
        for platform in self.plan.steps.iter().flat_map(|step| &step.target.platforms) {
            if !platforms.contains(platform) {
                platforms.push(platform.clone());
            }
        }
        let (destination, choice) = self.app.destination(&platforms)?;
        let engine = DockerEngine::new(engine);
        let found = match destination {
            Destination::OwnEngine => return Ok(RunSite::at(Site::Engine(engine))),
            Destination::Engine(other) => RunSite::at(Site::Engine(DockerEngine::new(&other))),
            Destination::Nodes(offers) => {
                let around = (&engine, load, choice.as_ref());
                return self.share(offers, &platforms, around).await;
            }
            one => match self.node_site(one, &engine, load, lost).await? {
                Some((site, pod)) => RunSite { pod, ..RunSite::at(Site::Node(site)) },
                None => RunSite::at(Site::Engine(engine)),
            },
        };
        let by = choice.map(|choice| choice.by.clause()).unwrap_or_default();
        self.announce(&format!("building on {}{by}", found.site.connector().peer()));
        Ok(found)
    }

    /// Says where it is built, unless nobody wants to read it.
    fn announce(&self, what: &str) {
        if !matches!(self.progress, Progress::Quiet | Progress::RawJson) {
            self.app.ui.remark(what);
        }
    }
}

/// Where a run goes.
struct RunSite {
    site: Site,
    /// The pod, if it goes to one.
    pod: Option<String>,
    /// The plan, where it is shared among several nodes.
    plan: Option<Cow<'static, BuildPlan>>,
}

impl RunSite {
    fn at(site: Site) -> Self {
        Self { site, pod: None, plan: None }
    }
}

/// BuildKit by itself, as it is remembered: by its worker, which keeps its id and its cache.
fn builder_told(about: About, site: &Site) -> memory::Answers {
    let version = about.version.unwrap_or_default();
    let builder = match site {
        Site::Node(node) => node.name.as_str(),
        Site::Nodes(nodes) => nodes[0].name.as_str(),
        Site::Engine(_) => "",
    };
    let builder = builder.split('/').next().unwrap_or_default().to_owned();
    let store = "buildkit".to_owned();
    let engine = EngineInfo { id: about.worker, version, store, builder };
    memory::Answers { engine, samples_resources: true, ..memory::Answers::default() }
}

/// An error and its causes in one line.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}

/// Who is shown a run, and through which door.
struct Audience<'a> {
    reporter: &'a mut Reporter,
    door: Redaction,
    start: Instant,
    /// Earlier builds that are still being read.
    expected: Option<(JoinHandle<Past>, Schedule)>,
    /// Where steps stand, while Dockerfiles are being read.
    places: Option<JoinHandle<HashMap<String, Places>>>,
}

impl Audience<'_> {
    /// Hands every event to the reporter, through the door, and lets it redraw, until the last sender has gone. Tells it
    /// of earlier builds as soon as they are read.
    async fn until_the_end(mut self, mut incoming: mpsc::Receiver<Event>) {
        let mut tick = tokio::time::interval(TICK);
        loop {
            tokio::select! {
                event = incoming.recv() => match event {
                    Some(event) => {
                        for event in self.door.pass(event) {
                            self.reporter.handle(&event, self.start.elapsed());
                        }
                    }
                    None => break,
                },
                Some((past, schedule)) = read(&mut self.expected) => {
                    self.reporter.expect(past, schedule);
                }
                Some(places) = located(&mut self.places) => self.reporter.locate(places),
                _ = tick.tick() => self.reporter.tick(self.start.elapsed()),
            }
        }
    }
}

/// Where steps stand, once; `None` where there is nothing (more) to read.
async fn located(
    places: &mut Option<JoinHandle<HashMap<String, Places>>>,
) -> Option<HashMap<String, Places>> {
    let read = places.as_mut()?.await.unwrap_or_default();
    *places = None;
    Some(read)
}

/// The earlier builds, once; `None` where there is nothing (more) to read.
async fn read(expected: &mut Option<(JoinHandle<Past>, Schedule)>) -> Option<(Past, Schedule)> {
    let past = (&mut expected.as_mut()?.0).await.unwrap_or_default();
    expected.take().map(|(_, schedule)| (past, schedule))
}
