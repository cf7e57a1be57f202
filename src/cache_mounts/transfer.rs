//! Runs one step of the engine for all mounts, and tells what became of each. The part of the room that asks an engine.

use std::collections::BTreeSet;
use std::io::Read;
use std::sync::{Arc, Mutex, PoisonError};

use tokio_util::sync::CancellationToken;

use super::list::{Content, list};
use super::restore::{self, Existing, RestoreError, RestoreResult};
use super::save::{self, ArchiveFile, Destination, Form, SaveResult};
use super::storage::Storage;
use super::{CacheMount, Manifest, SavedMount};
use crate::buildkit::mover::{self, Access, Connection, End, MoveError, MoveRequest};
use crate::buildkit::{Control, SolveError, TransportError, new_ref};
use crate::engine::{Connector, Engine};
use crate::inventory::CacheRecord;
use crate::sight::Mount;

/// Why nothing was moved at all.
#[derive(Debug, thiserror::Error)]
pub enum TransferError {
    /// The engine cannot be reached.
    #[error(transparent)]
    Transport(#[from] TransportError),
    /// Its step could not be run.
    #[error(transparent)]
    Step(#[from] SolveError),
    /// There is no program for its machine.
    #[error("there is no program for the engine's machine ({0})")]
    Architecture(String),
}

/// How often a mount is asked for in whose place the engine made another one.
const ATTEMPTS: usize = 3;

/// An engine to move mounts from and to.
#[derive(Clone, Copy)]
pub struct Site<'a> {
    /// How it is reached.
    pub connector: &'a Connector,
    /// Places of the mounts that it has.
    pub there: &'a BTreeSet<String>,
    /// The kernel's name of its machine.
    pub architecture: &'a str,
    /// Ends everything; mounts and folders are as they were then.
    pub cancel: &'a CancellationToken,
}

/// Why a mount was not moved although others were.
#[derive(Debug, thiserror::Error)]
pub enum MountError {
    /// Saving or listing.
    #[error(transparent)]
    Move(#[from] MoveError),
    /// Restoring.
    #[error(transparent)]
    Restore(#[from] RestoreError),
    /// The step did not come to it.
    #[error("the engine's step did not come to it")]
    Skipped,
    /// The step got another one.
    #[error(
        "the engine made a new mount beside it, since it was counting what is in it for somebody's `docker system df`"
    )]
    Doubled,
}

impl Site<'_> {
    /// What each mount holds. One that is not there would be made.
    ///
    /// # Errors
    /// No mount could be looked into.
    pub async fn list(
        &self,
        mounts: &[&CacheMount],
    ) -> Result<Vec<Result<Content, MountError>>, TransferError> {
        self.read(mounts, |_, line| list(line).map_err(MountError::from)).await
    }

    /// Uses each mount, and nothing else.
    ///
    /// # Errors
    /// No mount could be used.
    pub async fn keep(
        &self,
        mounts: &[&CacheMount],
    ) -> Result<Vec<Result<(), MountError>>, TransferError> {
        self.run(mounts, Access::Read, |_, _| Ok(())).await
    }

    /// Saves each mount into `storage`, unless it is as `manifest` knows it.
    ///
    /// # Errors
    /// No mount could be saved.
    pub async fn save(
        &self,
        mounts: &[&CacheMount],
        storage: &Arc<Storage>,
        manifest: &Manifest,
        max_bytes: Option<u64>,
    ) -> Result<Vec<Result<SaveResult, MountError>>, TransferError> {
        let known =
            |mount: &&CacheMount| ((*mount).clone(), manifest.mounts.get(&mount.slug()).cloned());
        let known: Arc<Vec<(CacheMount, Option<SavedMount>)>> =
            Arc::new(mounts.iter().map(known).collect());
        let storage = storage.clone();
        self.read(mounts, move |index, line| {
            let (mount, saved) = &known[index];
            Ok(save::save(line, &storage, mount, saved.as_ref(), max_bytes)?)
        })
        .await
    }

    /// Restores each mount from its archive, where that is.
    ///
    /// # Errors
    /// No mount could be restored.
    pub async fn restore(
        &self,
        mounts: &[(&CacheMount, &SavedMount, &Arc<Storage>)],
        existing: Existing,
    ) -> Result<Vec<Result<RestoreResult, MountError>>, TransferError> {
        let saved = mounts.iter().map(|(_, saved, at)| ((*saved).clone(), Arc::clone(at)));
        let saved: Arc<Vec<(SavedMount, Arc<Storage>)>> = Arc::new(saved.collect());
        let mounts: Vec<&CacheMount> = mounts.iter().map(|(mount, ..)| *mount).collect();
        self.run(&mounts, Access::Write, move |index, line| {
            let (saved, storage) = &saved[index];
            Ok(restore::restore(line, storage, saved, existing)?)
        })
        .await
    }

    /// Writes what a mount holds to one archive.
    ///
    /// # Errors
    /// The mount could not be reached.
    pub async fn export(
        &self,
        mount: &CacheMount,
        form: Form,
        to: Destination,
    ) -> Result<Result<ArchiveFile, MountError>, TransferError> {
        let to = Arc::new(Mutex::new(Some(to)));
        let work = move |_, line: &mut Connection| {
            // One that a dead run has half exchanged is told here, before anything is written.
            list(line)?;
            let to = to.lock().unwrap_or_else(PoisonError::into_inner).take();
            Ok(save::export(line, form, to.ok_or(MountError::Skipped)?)?)
        };
        Ok(self.read(&[mount], work).await?.pop().unwrap_or(Err(MountError::Skipped)))
    }

    /// Fills a mount from an archive, called `name`.
    ///
    /// # Errors
    /// The mount could not be reached.
    pub async fn import(
        &self,
        mount: &CacheMount,
        name: &str,
        from: Box<dyn Read + Send>,
        existing: Existing,
    ) -> Result<Result<RestoreResult, MountError>, TransferError> {
        let (name, from) = (name.to_owned(), Arc::new(Mutex::new(Some(from))));
        let work = move |_, line: &mut Connection| {
            let from = from.lock().unwrap_or_else(PoisonError::into_inner).take();
            let from = from.ok_or(MountError::Skipped)?;
            Ok(restore::import(line, name.clone(), from, existing)?)
        };
        Ok(self.run(&[mount], Access::Write, work).await?.pop().unwrap_or(Err(MountError::Skipped)))
    }

    /// Reads mounts. One that a dead run has half exchanged is completed, or taken back, before that.
    async fn read<T: Send + 'static>(
        &self,
        mounts: &[&CacheMount],
        work: impl Fn(usize, &mut Connection) -> Result<T, MountError> + Clone + Send + 'static,
    ) -> Result<Vec<Result<T, MountError>>, TransferError> {
        let mut results = self.run(mounts, Access::Read, work.clone()).await?;
        let is_half = |result: &Result<T, MountError>| matches!(result, Err(MountError::Move(error)) if error.is_half_restored());
        let half: Vec<usize> = (0..results.len()).filter(|at| is_half(&results[*at])).collect();
        let chosen: Vec<&CacheMount> = half.iter().map(|at| mounts[*at]).collect();
        self.run(&chosen, Access::Write, |_, line| Ok(line.receive()?.finish(|| End::Abandon)?))
            .await?;
        let places = half.clone();
        let again =
            self.run(&chosen, Access::Read, move |index, line| work(places[index], line)).await?;
        for (at, result) in half.into_iter().zip(again) {
            results[at] = result;
        }
        Ok(results)
    }

    async fn run<T: Send + 'static>(
        &self,
        mounts: &[&CacheMount],
        access: Access,
        work: impl Fn(usize, &mut Connection) -> Result<T, MountError> + Clone + Send + 'static,
    ) -> Result<Vec<Result<T, MountError>>, TransferError> {
        if mover::go_name(self.architecture).is_none() {
            return Err(TransferError::Architecture(self.architecture.to_owned()));
        }
        let mut results: Vec<Result<T, MountError>> = Vec::new();
        results.resize_with(mounts.len(), || Err(MountError::Doubled));
        let mut places: Vec<usize> = (0..mounts.len()).collect();
        for _ in 0..ATTEMPTS {
            if places.is_empty() {
                break;
            }
            let chosen: Vec<&CacheMount> = places.iter().map(|at| mounts[*at]).collect();
            let (work, at) = (work.clone(), places.clone());
            let name = new_ref();
            let work = move |index: usize, line: &mut Connection| work(at[index], line);
            let done = self.step(&chosen, access, &name, work).await?;
            let doubled = self.doubled(&chosen, &name).await;
            let mut again = Vec::new();
            for ((at, result), doubled) in places.iter().zip(done).zip(doubled) {
                results[*at] = match doubled {
                    None => result,
                    Some(is_gone) => {
                        again.extend(is_gone.then_some(*at));
                        Err(MountError::Doubled)
                    }
                };
            }
            places = again;
        }
        Ok(results)
    }

    /// For each mount whether the step called `name` got another one than that which is there, and whether that has gone
    /// again. BuildKit makes one for whoever asks while it counts what is in the mount.
    async fn doubled(&self, mounts: &[&CacheMount], name: &str) -> Vec<Option<bool>> {
        let is_there = |mount: &CacheMount| self.there.contains(&mount.mount.place());
        let mut doubled = vec![None; mounts.len()];
        if !mounts.iter().any(|mount| is_there(mount)) {
            return doubled;
        }
        // Whoever cannot ask knows of nothing.
        let engine = Engine::new(self.connector);
        let records = engine.cache_records().await.unwrap_or_default();
        for (mount, doubled) in mounts.iter().zip(&mut doubled).filter(|(mount, _)| is_there(mount))
        {
            let is_made =
                |it: &&CacheRecord| mover::is_made_by(&it.description, name, &mount.mount);
            if let Some(made) = records.iter().find(is_made) {
                *doubled = Some(engine.take_back(&[made]).await);
            }
        }
        doubled
    }

    async fn step<T: Send + 'static>(
        &self,
        mounts: &[&CacheMount],
        access: Access,
        name: &str,
        work: impl Fn(usize, &mut Connection) -> Result<T, MountError> + Clone + Send + 'static,
    ) -> Result<Vec<Result<T, MountError>>, TransferError> {
        let control = Control::connect(self.connector).await?;
        let asked: Vec<Mount> = mounts.iter().map(|mount| mount.mount.clone()).collect();
        let moving = MoveRequest {
            connector: self.connector,
            architecture: self.architecture,
            mounts: &asked,
            access,
            name,
            cancel: self.cancel,
        };
        let work = move |index, mut line: Connection| {
            let done = line.begin().map_err(MountError::from).and_then(|()| work(index, &mut line));
            match &done {
                Ok(_) => line.quit(),
                // The step puts back what it began.
                Err(_) => drop(line),
            }
            done
        };
        let done = control.move_mounts(&moving, work).await?;
        Ok(done.into_iter().map(|it| it.unwrap_or(Err(MountError::Skipped))).collect())
    }
}
