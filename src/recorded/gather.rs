//! Asks an engine for its history of builds.

use std::path::PathBuf;

use futures_util::{StreamExt as _, stream};
use jiff::Timestamp;
use tokio::sync::mpsc;

use super::BuildRecord;
use super::entry::{Record, entry};
use super::identity::{BuildIdentity, Kinship, kinship};
use crate::builders::Store;
use crate::buildkit::Control;
use crate::engine::{Connector, Engine};
use crate::error::{CommandError, ExitKind};
use crate::history::cleaned::{self, Removals};
use crate::history::{EngineInfo, FingerprintKey};
use crate::redact::Redactor;
use crate::unreachable::unreachable;

/// Builds of one target that one is held against, the newest.
const MOST_BEFORE: usize = 20;
/// Builds that are read at a time.
const AT_ONCE: usize = 4;
/// Statuses on their way.
const WAITING: usize = 64;
/// Letters of a name that are enough to mean a build.
const LEAST: usize = 3;

/// The history of builds that an engine keeps, whoever asked for them.
pub struct History<'a> {
    connector: &'a Connector,
    control: Control,
    engine: EngineInfo,
    removals: Removals,
    pruned: Option<Timestamp>,
    redactor: Redactor,
    fingerprint_key: Option<FingerprintKey>,
    builds: Vec<BuildIdentity>,
}

impl<'a> History<'a> {
    /// Asks the engine at `connector`. `cleaned` is where it is remembered what was removed of it, `redactor` what must not
    /// be shown, `buildx` where builds of this machine have their directories.
    ///
    /// # Errors
    /// It cannot be reached, or keeps no history.
    pub async fn open(
        connector: &'a Connector,
        cleaned: Option<PathBuf>,
        redactor: Redactor,
        buildx: &Store,
    ) -> Result<Self, CommandError> {
        let engine = Engine::new(connector);
        let asked = async {
            let (facts, time) = engine.facts_and_time().await.ok()?;
            let pruned = match time {
                Some(now) => engine.last_prune(now).await.unwrap_or_default(),
                None => None,
            };
            Some((facts, pruned))
        };
        let listed = async {
            let control = Control::connect(connector).await;
            let control = control.map_err(|error| unreachable(connector, error))?;
            let builds = control.recorded_builds("").await;
            Ok::<_, CommandError>((control, builds.map_err(|error| unreachable(connector, error))?))
        };
        let (told, listed) = tokio::join!(asked, listed);
        let (control, builds) = listed?;
        let builds = builds.ok_or_else(|| none_kept(connector))?;
        let known = builds.into_iter().map(|build| {
            let origin = buildx.origin(&build.build_ref);
            BuildIdentity { build, origin }
        });
        let builds = known.collect();
        let (engine, pruned) = match told {
            Some((facts, pruned)) => {
                let store = facts.store.name(&facts.driver).to_owned();
                (
                    EngineInfo {
                        id: facts.id,
                        version: facts.version,
                        store,
                        ..EngineInfo::default()
                    },
                    pruned,
                )
            }
            None => (EngineInfo::default(), None),
        };
        let removals = cleaned.map(|file| cleaned::of_engine(&file, &engine.id));
        let removals = removals.unwrap_or_default();
        let fingerprint_key = FingerprintKey::random().ok();
        Ok(Self { connector, control, engine, removals, pruned, redactor, fingerprint_key, builds })
    }

    /// The builds, the newest first.
    pub fn builds(&self) -> &[BuildIdentity] {
        &self.builds
    }

    /// The build whose name is `spec` or begins so. As `docker buildx` writes it, the builder may stand before it.
    ///
    /// # Errors
    /// None or several are meant.
    pub fn find(&self, spec: &str) -> Result<&BuildIdentity, CommandError> {
        let name = spec.rsplit('/').next().unwrap_or(spec);
        let begins = |known: &&BuildIdentity| known.build.build_ref.starts_with(name);
        if let Some(build) = self.builds.iter().find(|known| known.build.build_ref == name) {
            return Ok(build);
        }
        let meant: Vec<&BuildIdentity> = match name.len() >= LEAST {
            true => self.builds.iter().filter(begins).collect(),
            false => Vec::new(),
        };
        match meant.as_slice() {
            [build] => Ok(*build),
            [] => {
                let message =
                    format!("neither this program nor the engine remembers a build {spec:?}");
                Err(CommandError::new(ExitKind::Usage, message).hint(
                    "`doc2md-docker history ls` lists builds, with --engine those that the engine remembers",
                ))
            }
            several => {
                let names: Vec<&str> =
                    several.iter().take(5).map(|known| known.build.build_ref.as_str()).collect();
                let message = format!("several builds begin with {spec:?}: {}", names.join(", "));
                Err(CommandError::new(ExitKind::Usage, message))
            }
        }
    }

    /// Everything that is known of a build.
    ///
    /// # Errors
    /// It still runs, or the engine cannot be reached.
    pub async fn read(&self, known: &BuildIdentity) -> Result<BuildRecord, CommandError> {
        let name = &known.build.build_ref;
        if known.build.completed.is_none() {
            let message = format!("build {name} still runs, or the engine lost sight of it");
            return Err(CommandError::new(ExitKind::Failed, message));
        }
        let read = self.ask(known).await?;
        read.ok_or_else(|| {
            CommandError::new(
                ExitKind::Failed,
                format!("the engine's record of build {name} cannot be read"),
            )
        })
    }

    /// The builds before `build` of the same target, the newest first, and how sure that is. What cannot be read is as if it
    /// was not there.
    ///
    /// # Errors
    /// The engine cannot be reached.
    pub async fn before(
        &self,
        known: &BuildIdentity,
    ) -> Result<(Vec<BuildRecord>, Kinship), CommandError> {
        let build = &known.build;
        let is_before = |other: &&BuildIdentity| {
            let other = &other.build;
            other.build_ref != build.build_ref
                && other.completed.is_some()
                && other.started < build.started
        };
        let of_kind = |kind: Kinship| -> Vec<&BuildIdentity> {
            let before = self.builds.iter().filter(is_before);
            before.filter(|other| kinship(known, other) == kind).take(MOST_BEFORE).collect()
        };
        let (same, possible) = (of_kind(Kinship::Same), of_kind(Kinship::Possible));
        let (builds, kind) = match same.is_empty() && !possible.is_empty() {
            true => (possible, Kinship::Possible),
            false => (same, Kinship::Same),
        };
        let reads = builds.into_iter().map(|known| self.ask(known));
        let read: Vec<Result<Option<BuildRecord>, CommandError>> =
            stream::iter(reads).buffered(AT_ONCE).collect().await;
        let read: Result<Vec<Option<BuildRecord>>, CommandError> = read.into_iter().collect();
        Ok((read?.into_iter().flatten().collect(), kind))
    }

    async fn ask(&self, known: &BuildIdentity) -> Result<Option<BuildRecord>, CommandError> {
        let build = &known.build;
        let (to, mut from) = mpsc::channel(WAITING);
        let told = async {
            let told = self.control.statuses(&build.build_ref, &to).await;
            drop(to);
            told
        };
        let kept = async {
            let mut statuses = Vec::new();
            while let Some(mut status) = from.recv().await {
                if build.error.is_none() {
                    status.logs.clear();
                }
                statuses.push(status);
            }
            statuses
        };
        let (told, statuses, provenances) =
            tokio::join!(told, kept, self.control.provenances(build));
        told.map_err(|error| unreachable(self.connector, error))?;
        let removals = self.removals.clone();
        let (engine, pruned, redactor) = (&self.engine, self.pruned, &self.redactor);
        Ok(entry(Record {
            known,
            statuses,
            provenances,
            engine,
            removals,
            pruned,
            redactor,
            fingerprint_key: self.fingerprint_key.as_ref(),
        }))
    }
}

fn none_kept(connector: &Connector) -> CommandError {
    let message = format!("{} keeps no history of builds", connector.peer());
    CommandError::new(ExitKind::Failed, message).hint("engines keep one since Docker 24")
}
