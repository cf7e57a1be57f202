//! Loads what a builder made into the user's engine, and makes sure that it is there: an engine says 200 before it has read
//! the archive, and what goes wrong afterwards is a line of its answer, or nothing at all.
//!
//! An image travels by its layers: the builder sends those that are not kept here ([`kept`]), and the engine gets those that
//! it does not have ([`lacking`]). Where that cannot be, it leaves the builder as an archive, whole.

mod archive;
mod image;
mod kept;
mod lacking;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use futures_util::TryStreamExt as _;
use futures_util::future::try_join_all;
use tokio_util::io::ReaderStream;

use self::archive::{Archive, Fault, Pieces};
use self::image::StoredImage;
use self::lacking::Store;
use crate::buildkit::session::content::Digest;
use crate::diagnose;
use crate::engine::{Connector, Engine, EngineError, ImageFacts, ImageLayers};
use crate::progress::outcome::BuildFailure;
use crate::progress::{FailureKind, TransferProgress};

pub(super) use kept::BlobLease;

/// Bytes of an archive read at a time.
const PIECE: usize = 256 << 10;

/// Loads the image in `archive`, and removes that. `bytes` counts.
pub(super) async fn load(
    engine: &Engine,
    archive: &Path,
    bytes: &Arc<TransferProgress>,
) -> Result<(), BuildFailure> {
    let opened = async {
        let file = tokio::fs::File::open(archive).await?;
        bytes.expect(file.metadata().await?.len());
        std::io::Result::Ok(file)
    };
    let file = opened.await.map_err(|error| {
        let message = format!("cannot read {}: {error}", archive.display());
        BuildFailure::new(FailureKind::Engine, message)
    })?;
    let counted = bytes.clone();
    let pieces = ReaderStream::with_capacity(file, PIECE).inspect_ok(move |piece| {
        counted.add(piece.len() as u64);
    });
    let loaded = engine.load(pieces).await;
    // It goes with its directory at the latest; an image may have gigabytes.
    let _ = fs_err::remove_file(archive);
    loaded.map_err(|error| failed(&error))
}

/// Makes sure that the engine has what was loaded under all of its `references`. Another build may have taken one of them
/// for its own image since.
pub(super) async fn verify(engine: &Engine, references: &[String]) -> Result<(), BuildFailure> {
    for reference in references {
        if engine.image(reference).await.map_err(|error| failed(&error))?.is_none() {
            return Err(not_there(reference));
        }
    }
    Ok(())
}

/// The engine does not have `what`, which it has loaded.
pub(super) fn not_there(what: &str) -> BuildFailure {
    let message = format!("the engine said nothing of an error, but {what} is not in it");
    BuildFailure::new(FailureKind::Engine, message)
}

fn failed(error: &EngineError) -> BuildFailure {
    let cause = std::error::Error::source(error).map(|cause| format!(": {cause}"));
    let message = format!("{error}{}", cause.unwrap_or_default());
    let diagnosis = diagnose::classify(&message);
    BuildFailure { hint: diagnosis.hint, ..BuildFailure::new(diagnosis.kind, message) }
}

/// Where images go by their layers.
#[derive(Clone)]
pub(super) struct ByLayers {
    /// How the engine is reached.
    pub(super) connector: Connector,
    /// Its API.
    pub(super) engine: Engine,
    /// What came from the builder.
    pub(super) kept: Arc<BlobLease>,
}

/// Why an image could not be loaded by its layers.
pub(super) enum Trouble {
    /// What is kept of it cannot be used: it has to leave the builder as a whole.
    Kept,
    /// The engine does not take it.
    Engine(BuildFailure),
}

impl From<EngineError> for Trouble {
    fn from(error: EngineError) -> Self {
        Self::Engine(failed(&error))
    }
}

impl ByLayers {
    /// Has the engine have the image that an exporter told of in `response`, under all of `names`. It is sent what it lacks,
    /// or everything, where it turns out not to be enough. Returns what the engine says of the image.
    pub(super) async fn load(
        &self,
        response: &BTreeMap<String, String>,
        names: &[String],
        bytes: &Arc<TransferProgress>,
    ) -> Result<ImageFacts, Trouble> {
        let image = StoredImage::read(self.kept.path(), response).map_err(|_| Trouble::Kept)?;
        self.kept.note_use(image.digests());
        let (named, store) = tokio::join!(self.named(names), Store::find(&self.connector));
        let named = named?;
        if let Some(facts) = self.nothing_new(&image, &named, &store).await {
            return Ok(facts);
        }
        let lacking = store.lacking(&self.engine, &image, &named).await;
        let all: BTreeSet<Digest> = image.layers.iter().map(|it| it.digest.clone()).collect();
        let pieces = |layers| self.pieces(&image, names, layers, bytes);
        match self.send(pieces(&lacking), &image, names, &store).await {
            Err(Trouble::Engine(_)) if lacking != all => {
                self.send(pieces(&all), &image, names, &store).await
            }
            sent => sent,
        }
    }

    /// What the engine says of the image, if it has it under all of its names.
    async fn nothing_new(
        &self,
        image: &StoredImage,
        named: &[Option<ImageLayers>],
        store: &Store,
    ) -> Option<ImageFacts> {
        let facts: Vec<&ImageFacts> =
            named.iter().map(|it| it.as_ref().map(|it| &it.facts)).collect::<Option<_>>()?;
        let first = facts.first()?;
        if facts.iter().any(|it| it.id != first.id) {
            return None;
        }
        // With a graph driver there is no image without its layers.
        let is_whole = first.id == image.config.digest.to_string()
            || (image.is_called(&first.id) && store.holds(image).await == Some(true));
        is_whole.then(|| (*first).clone())
    }

    /// The image with `layers`.
    fn pieces(
        &self,
        image: &StoredImage,
        names: &[String],
        layers: &BTreeSet<Digest>,
        bytes: &Arc<TransferProgress>,
    ) -> (Pieces, Fault) {
        let archive = Archive::new(image, names, layers);
        bytes.expect(archive.bytes());
        archive.pieces(self.kept.path(), bytes.clone())
    }

    /// Sends the image, and makes sure that the engine has it.
    async fn send(
        &self,
        (pieces, fault): (Pieces, Fault),
        image: &StoredImage,
        names: &[String],
        store: &Store,
    ) -> Result<ImageFacts, Trouble> {
        let loaded = self.engine.load(pieces).await;
        if let Some((blob, _)) = fault.take() {
            self.kept.forget(&blob);
            return Err(Trouble::Kept);
        }
        loaded?;
        if store.holds(image).await == Some(false) {
            return Err(Trouble::Engine(not_there("all of the image")));
        }
        let named = self.named(names).await?;
        if let Some((name, _)) = names.iter().zip(&named).find(|(_, there)| there.is_none()) {
            return Err(Trouble::Engine(not_there(name)));
        }
        let mut facts = named.into_iter().flatten().map(|it| it.facts);
        if let Some(facts) = facts.find(|it| image.is_called(&it.id)) {
            return Ok(facts);
        }
        // Another build may have taken its names.
        for blob in [&image.config, &image.manifest] {
            if let Some(there) = self.engine.image_layers(&blob.digest.to_string()).await? {
                return Ok(there.facts);
            }
        }
        Err(Trouble::Engine(not_there(&image.config.digest.to_string())))
    }

    /// What has `names` now.
    async fn named(&self, names: &[String]) -> Result<Vec<Option<ImageLayers>>, EngineError> {
        try_join_all(names.iter().map(|name| self.engine.image_layers(name))).await
    }
}
