//! What is looked at, in plain values: services, their Dockerfiles, what their contexts hold, what builds took.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

/// The services of a project that are built.
#[derive(Debug, Clone, Default)]
pub struct Project {
    /// In order of their names.
    pub services: Vec<Service>,
    /// Images that services of the project are, built or not by this run.
    pub own_images: BTreeSet<String>,
}

/// A service with its build.
#[derive(Debug, Clone, Default)]
pub struct Service {
    /// Its name.
    pub name: String,
    /// The Dockerfile, as the user would name it.
    pub file: String,
    /// Where it is; `None` for one in the compose file, which is not changed.
    pub path: Option<PathBuf>,
    /// Its text.
    pub text: String,
    /// Build arguments that are given.
    pub args: BTreeMap<String, String>,
    /// The stage that is built.
    pub stage: Option<String>,
    /// Names of named contexts.
    pub named_contexts: BTreeSet<String>,
    /// Platforms that are asked for.
    pub platforms: Vec<String>,
    /// How it runs.
    pub runtime: Runtime,
    /// What a build reads of the build context; `None` where that cannot be told.
    pub contents: Option<Contents>,
    /// What earlier builds took, the newest first.
    pub recorded: Vec<RecordedBuild>,
}

/// How compose runs a service.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Runtime {
    /// Whether its file system is read-only.
    pub is_read_only: bool,
    /// The user that compose says.
    pub user: Option<String>,
    /// Whether it asks for a GPU.
    pub wants_gpu: bool,
}

/// What is sent of a build context.
#[derive(Debug, Clone, Default)]
pub struct Contents {
    /// The directory, as the user would name it; empty where it is the working directory.
    pub directory: String,
    /// The ignore file that holds: its name to show, where it is, its text.
    pub ignore_file: Option<IgnoreFile>,
    /// Where one would be made; `None` where there is one, whatever is in it.
    pub new_ignore_file: Option<PathBuf>,
    /// What the copies at each line of the Dockerfile read.
    pub read: BTreeMap<usize, Reads>,
    /// Files that are worth a word, with the lines that read them.
    pub notable: Vec<Notable>,
    /// Texts of files that name packages, by path.
    pub texts: BTreeMap<String, String>,
}

/// An ignore file.
#[derive(Debug, Clone, Default)]
pub struct IgnoreFile {
    /// As the user would name it.
    pub shown: String,
    /// Where it is.
    pub path: PathBuf,
    /// Its text, without a byte order mark.
    pub text: String,
}

/// What an instruction reads.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Reads {
    /// Something that is no list of packages.
    pub has_others: bool,
    /// Something that is code.
    pub has_code: bool,
    /// Something that is neither a model nor anything beside it.
    pub has_more_than_models: bool,
}

/// A file, or a directory with what is sent of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notable {
    /// Why it is worth a word.
    pub kind: Kind,
    /// Its path in the context.
    pub path: String,
    /// Its size.
    pub bytes: u64,
    /// Lines of the instructions that read it.
    pub lines: BTreeSet<usize>,
}

/// Why something in a context is worth a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// A repository's `.git`.
    Git,
    /// Weights of a model.
    Model,
    /// A Python environment.
    Venv,
    /// Packages of Node.
    NodeModules,
    /// Something that is to be known by few.
    Secret,
    /// What programs leave behind and make again.
    Litter,
}

/// An earlier build of a service.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct RecordedBuild {
    /// Its steps that ran.
    pub steps: Vec<RecordedStep>,
    /// How long the export of its layers took.
    pub export_seconds: f64,
}

/// A step that ran.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct RecordedStep {
    /// Its line, where the Dockerfile is as it was.
    pub line: Option<usize>,
    /// What it said.
    pub instruction: String,
    /// How long it took.
    pub seconds: f64,
}
