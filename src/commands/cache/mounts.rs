//! The cache mounts of services, beside what the engine has.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

use crate::app::App;
use crate::buildkit::mover;
use crate::cache_mounts::locks::locks;
use crate::cache_mounts::mount::{self, Frontend, Obstacle, Service};
use crate::cache_mounts::report::{MountReport, Status};
use crate::cache_mounts::transfer::{Site, TransferError};
use crate::cache_mounts::{Archive, CacheMount, SavedMount};
use crate::dockerfile;
use crate::engine::{Engine, EngineError};
use crate::error::{CommandError, ExitKind};
use crate::inventory::{ApiVersion, CacheRecord, EngineFacts, MountDescription};
use crate::signal::Cause;
use crate::solve::dockerfile_source;
use crate::targets::{Target, TargetOptions};
use crate::unreachable::unreachable;
use crate::usage::{self, DeclaredMounts, ServiceFacts};
use crate::{measure, nearest};

/// How long a build may still have a mount, and how often that is asked for.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long a mount that a build has just made may be missing from an answer.
const NEWS: Duration = Duration::from_secs(1);
const BETWEEN_QUESTIONS: Duration = Duration::from_millis(100);

/// What services ask for, and what the engine has.
pub(super) struct Mounts {
    pub(super) engine: EngineFacts,
    /// Places of mounts that it has.
    there: BTreeSet<String>,
    /// The project's.
    pub(super) name: String,
    mounts: Vec<CacheMount>,
    records: Vec<CacheRecord>,
    /// What the engine told before that, if it was asked more than once.
    earlier: Option<Vec<CacheRecord>>,
    services: Vec<ServiceFacts>,
    targets: Vec<Target>,
    project: std::path::PathBuf,
}

impl Mounts {
    /// Reads the Dockerfiles of `services`, of all that are built where none is named, and asks the engine.
    /// Whoever only reads waits a moment for mounts that the engine has not told of.
    pub(super) async fn look(
        app: &App,
        services: &[String],
        only_reads: bool,
    ) -> Result<Self, CommandError> {
        let files = app.project()?;
        let options = TargetOptions { services: services.to_vec(), ..TargetOptions::default() };
        let targets = app.targets(&files, options)?.targets;
        let known = usage::services(Some(&files), &app.environment.working_dir)?;
        let connector = app.connector()?;
        let engine = Engine::new(connector);
        let asked = async { tokio::try_join!(engine.facts(), engine.cache_records()) };
        let (facts, records) = or_interrupt(app, asked).await?;
        let Some(architecture) = mover::go_name(&facts.architecture) else {
            let message = format!("cannot look into cache mounts on {:?}", facts.architecture);
            return Err(CommandError::new(ExitKind::Failed, message));
        };
        let services: Vec<Service> =
            targets.iter().filter_map(|target| service(app, target)).collect();
        let expands = facts.api_version >= ApiVersion::v1(42);
        let mounts = mount::mounts(&services, Frontend { architecture, expands });
        let project = files.working_dir.clone();
        let name = files.name.clone();
        let mut looked = Self {
            engine: facts,
            there: BTreeSet::new(),
            name,
            mounts,
            records,
            earlier: None,
            services: known,
            targets,
            project,
        };
        let since = Instant::now();
        // An engine lets go of what a build had a moment after the build has ended, and who asks while it answers somebody
        // else is told what was there before.
        while (looked.is_in_use() && since.elapsed() < PATIENCE)
            || (only_reads && looked.has_absent() && since.elapsed() < NEWS)
        {
            tokio::time::sleep(BETWEEN_QUESTIONS).await;
            let now = or_interrupt(app, engine.cache_records()).await?;
            looked.earlier = Some(std::mem::replace(&mut looked.records, now));
        }
        looked.know_those_there();
        Ok(looked)
    }

    fn know_those_there(&mut self) {
        let declared = DeclaredMounts::new(&self.services);
        for mount in &mut self.mounts {
            let own = mount.records(&self.records, |record| declared.asked_for(record));
            // 20.10 tells no ids: such a record may be that of another mount.
            let is_known = |record: &&CacheRecord| {
                MountDescription::parse(&record.description).is_some_and(|it| {
                    it.id.as_ref() == Some(&mount.mount.id) || it.target() == mount.mount.place()
                })
            };
            if own.iter().any(is_known) {
                self.there.insert(mount.mount.place());
            }
            if measure::is_told_empty(own.into_iter()) {
                mount.mount.wait_for_it();
            }
        }
    }

    fn has_absent(&self) -> bool {
        let declared = DeclaredMounts::new(&self.services);
        self.mounts.iter().filter(|mount| mount.obstacle.is_none()).any(|mount| {
            mount.records(&self.records, |record| declared.asked_for(record)).is_empty()
        })
    }

    fn is_in_use(&self) -> bool {
        let declared = DeclaredMounts::new(&self.services);
        self.mounts.iter().filter(|mount| mount.obstacle.is_none()).any(|mount| {
            let own = mount.records(&self.records, |record| declared.asked_for(record));
            mount.obstacle_now(&own, &self.records, true).is_some() || self.is_uncounted(&own)
        })
    }

    /// Whether the engine may hold a mount for itself: it would give us a new one.
    fn is_uncounted(&self, own: &[&CacheRecord]) -> bool {
        let earlier = self.earlier.as_deref();
        own.iter().any(|record| !measure::is_counted(&record.id, earlier, &self.records))
    }

    pub(super) fn site<'a>(&'a self, app: &'a App) -> Result<Site<'a>, CommandError> {
        Ok(Site {
            connector: app.connector()?,
            there: &self.there,
            architecture: &self.engine.architecture,
            cancel: app.interrupt.token(),
        })
    }

    /// Mounts that the engine has and that can be read, and why the others are not.
    pub(super) fn there(&self) -> (Vec<&CacheMount>, Vec<MountReport>) {
        self.sorted(false)
    }

    /// Mounts that can be written to, the engine having them or not, and why the others are not.
    pub(super) fn writable(&self) -> (Vec<&CacheMount>, Vec<MountReport>) {
        self.sorted(true)
    }

    fn sorted(&self, writes: bool) -> (Vec<&CacheMount>, Vec<MountReport>) {
        let declared = DeclaredMounts::new(&self.services);
        let (mut good, mut others) = (Vec::new(), Vec::new());
        for mount in &self.mounts {
            let own = mount.records(&self.records, |record| declared.asked_for(record));
            let obstacle = mount
                .obstacle
                .or_else(|| mount.obstacle_now(&own, &self.records, writes))
                .or_else(|| self.is_uncounted(&own).then_some(Obstacle::InUse));
            match obstacle {
                Some(obstacle) => {
                    let report = MountReport::new(mount, Status::Skipped);
                    others.push(report.because(obstacle.to_string()));
                }
                // Asking for it would make it.
                None if own.is_empty() && !writes => {
                    others.push(MountReport::new(mount, Status::Absent));
                }
                None => good.push(mount),
            }
        }
        (good, others)
    }

    /// Mounts with this id: as Dockerfiles have it, or as the engine does.
    pub(super) fn called(&self, id: &str) -> Result<Vec<&CacheMount>, CommandError> {
        let as_read = dockerfile::as_in_flag(id);
        let is_called =
            |mount: &&CacheMount| mount.id == id || mount.id == as_read || mount.mount.id == id;
        let found: Vec<&CacheMount> = self.mounts.iter().filter(is_called).collect();
        if found.is_empty() {
            let message = format!("no service of the project has a cache mount {id:?}");
            let error = CommandError::new(ExitKind::Usage, message);
            let ids = self.mounts.iter().map(|mount| mount.id.as_str());
            let hint = nearest::did_you_mean(id, ids);
            let hint = hint.unwrap_or_else(|| "`cache ls` lists them".to_owned());
            return Err(error.hint(hint));
        }
        Ok(found)
    }

    /// The mount with this id.
    pub(super) fn only(&self, id: &str) -> Result<&CacheMount, CommandError> {
        match self.called(id)?.as_slice() {
            [mount] => Ok(mount),
            several => {
                let message = format!(
                    "{} cache mounts have the id {id}: with different owners or permissions",
                    several.len()
                );
                Err(CommandError::new(ExitKind::Usage, message))
            }
        }
    }

    /// The records of a mount.
    pub(super) fn records(&self, mount: &CacheMount) -> Vec<&CacheRecord> {
        let declared = DeclaredMounts::new(&self.services);
        mount.records(&self.records, |record| declared.asked_for(record))
    }

    /// What a manifest says of an archive.
    pub(super) fn entry(
        &self,
        mount: &CacheMount,
        archive: Archive,
        max_bytes: Option<u64>,
    ) -> SavedMount {
        let counts = archive.content.counts;
        let uses = |target: &&Target| mount.users.iter().any(|it| it.service == target.service);
        let folders = self.targets.iter().filter(uses).map(|target| Path::new(&target.context));
        let max_bytes = max_bytes.filter(|_| archive.untrimmed_summary.is_some());
        SavedMount {
            id: mount.id.clone(),
            target: mount.target.clone(),
            archive: archive.name,
            archive_digest: archive.file_digest,
            archive_bytes: archive.file_bytes,
            digest: archive.digest,
            below: archive.below,
            index: archive.index,
            bytes: counts.bytes,
            files: counts.files,
            summary: archive.content.summary,
            untrimmed_summary: archive.untrimmed_summary,
            max_bytes,
            saved_at: Timestamp::now(),
            engine: self.engine.version.clone(),
            architecture: self.engine.architecture.clone(),
            locks: locks(&self.project, folders.filter(|folder| folder.is_absolute())),
        }
    }

    /// Why no mount was moved at all.
    pub(super) fn failure(&self, app: &App, error: TransferError) -> CommandError {
        if let Some(cause) = app.interrupt.cause() {
            return cause.error();
        }
        let gone = match &error {
            TransferError::Transport(_) => true,
            TransferError::Step(error) => error.engine_is_gone(),
            TransferError::Architecture(_) => false,
        };
        match (gone, app.connector()) {
            (true, Ok(connector)) => unreachable(connector, error),
            _ => CommandError::new(ExitKind::Failed, "failed to reach the cache mounts")
                .caused_by(error),
        }
    }
}

async fn or_interrupt<T>(
    app: &App,
    asked: impl Future<Output = Result<T, EngineError>>,
) -> Result<T, CommandError> {
    let connector = app.connector()?;
    tokio::select! {
        asked = asked => asked.map_err(|error| unreachable(connector, error)),
        () = app.interrupt.token().cancelled() => {
            Err(app.interrupt.cause().map_or_else(|| Cause::Signal.error(), Cause::error))
        }
    }
}

fn service(app: &App, target: &Target) -> Option<Service> {
    let Some((file, text)) = dockerfile_source::of_target(target) else {
        app.ui.warn(&format!(
            "the Dockerfile of {} is not on this machine: its mounts are not known",
            target.service
        ));
        return None;
    };
    let shown = Path::new(&file).strip_prefix(&app.environment.working_dir);
    Some(Service {
        name: target.service.clone(),
        file: shown.map_or(file.clone(), |path| path.display().to_string()),
        text,
        stage: target.target.clone(),
        args: target.args.clone(),
        platform: target.platforms.first().cloned(),
    })
}
