//! One solve with all that its run and the account of its failure need.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

use crate::buildkit::SolveOptions;
use crate::buildkit::session::content::cannot_write;
use crate::buildkit::session::file_send::ExportReport;
use crate::buildkit::session::file_sync::SyncReport;
use crate::compose::Place;
use crate::progress::TransferProgress;
use crate::registry::logins::CredentialStore;
use crate::solve::request::NAME;
use crate::solve::request::{IndexNames, LayerCacheRequest};
use crate::solve::stores::IndexUpdate;

/// One solve, ready to be sent.
#[derive(Clone)]
pub struct Job {
    /// Name of the target that events carry.
    pub name: String,
    /// Names of targets that share the result.
    pub also_serves: Vec<String>,
    /// Indexes of jobs that must have succeeded before.
    pub after: Vec<usize>,
    /// The solve, session and build ref included, still without the results it builds on.
    pub options: SolveOptions,
    /// Which of the run's nodes solves it.
    pub node: usize,
    /// Whether it is a part of a target, for some of its platforms.
    pub is_part: bool,
    /// What puts the parts of a target together that stand in `after`: nothing is solved.
    pub index: Option<IndexNames>,
    /// Named contexts that are results of other jobs, which are among `after`: name and index.
    pub contexts: Vec<(String, usize)>,
    /// References the image gets.
    pub references: Vec<String>,
    /// The result is an image in the engine.
    pub loads_image: bool,
    /// Archives that it gets there from: they are loaded after the build.
    pub archives: Vec<PathBuf>,
    /// Where blobs of the image are kept that came from the builder: its layers are loaded, and the only archive is what
    /// takes their place where they cannot be.
    pub kept: Option<PathBuf>,
    /// References to push after the build through the Engine API.
    pub push: Vec<String>,
    /// Logins for those pushes.
    pub logins: Arc<CredentialStore>,
    /// Where the files name its build context, if that is not a directory.
    pub context_place: Option<Place>,
    /// Names of the directories the session serves for it.
    pub directories: Vec<String>,
    /// What the session sent and could not send.
    pub sync: Arc<SyncReport>,
    /// What its exporters write on this machine, if they do.
    pub exports: Option<Arc<ExportReport>>,
    /// What comes from the builder blob by blob.
    pub received: Arc<TransferProgress>,
    /// What to enter into the indexes of directories it wrote to.
    pub index_updates: Vec<IndexUpdate>,
    /// What `--caches` means for it.
    pub layer_cache: Option<LayerCacheRequest>,
    /// The Dockerfile as far as it is known here: name to show and text.
    pub dockerfile: Option<(String, String)>,
    /// Ids of the secrets it gets, each with the variable that should hold it but is empty.
    pub secrets: BTreeMap<String, Option<String>>,
    /// Ids of the ssh agents and keys it gets.
    pub ssh: BTreeSet<String>,
}

impl Job {
    /// Whether its result has to be kept until the layer cache is written.
    pub(super) fn writes_cache(&self) -> bool {
        self.layer_cache.as_ref().is_some_and(|cache| cache.export.is_ok())
    }

    /// The references in full under which the image is loaded by its layers; `None` where it is loaded otherwise.
    pub(super) fn by_layers(&self) -> Option<Vec<String>> {
        self.kept.as_ref()?;
        let names = self.options.exporters.first()?.attrs.get(NAME)?;
        Some(names.split(',').map(str::to_owned).collect())
    }

    /// Whether `message` says that blobs of the image could not be kept.
    pub(super) fn could_not_keep(&self, message: &str) -> bool {
        self.kept.as_ref().is_some_and(|kept| message.contains(&cannot_write(kept)))
    }
}
