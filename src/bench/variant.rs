//! One of the projects that are measured: its copy, the files that are changed in it, and its targets under
//! names of the benchmark's own.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};

use super::Case;
use super::choose::{self, Candidate};
use super::edit;
use super::model::{Change, ProjectReport};
use super::workspace::{self, Workspace};
use crate::build_context::coverage::Coverage;
use crate::compose::Project;
use crate::dockerfile::{FileUse, file_uses};
use crate::labels;
use crate::solve::dockerfile_source;
use crate::solve::plan::{BuildPlan, PlanError};
use crate::targets::target::Target;

/// A build argument of BuildKit's frontend: its value stands before the ids of cache mounts.
const MOUNT_NAMESPACE: &str = "BUILDKIT_CACHE_MOUNT_NS";

/// A project and its copy.
pub struct Variant {
    /// What it is called in the report.
    pub name: String,
    directory: PathBuf,
    targets: Vec<Target>,
    workspace: Workspace,
    /// Files that are changed, or why there are none, by case.
    files: BTreeMap<Case, Result<Vec<ChangedFile>, String>>,
    edits: usize,
}

/// A file that is changed.
#[derive(Debug, Clone)]
struct ChangedFile {
    targets: Vec<String>,
    /// The directory whose copy it is in.
    context: PathBuf,
    path: String,
    original: Vec<u8>,
    /// What every change of the case begins with, where that is not the original.
    start: Option<Start>,
    /// What was done last.
    what: String,
}

/// A file as it is before it is changed.
#[derive(Debug, Clone)]
pub(super) struct Start {
    /// The user's own file.
    pub(super) path: PathBuf,
    /// What it is taken to hold.
    pub(super) content: Vec<u8>,
    /// What was done for that.
    pub(super) what: String,
}

/// What sets builds of the benchmark apart from all others.
#[derive(Debug, Clone)]
pub struct Identity {
    /// Project of the images, and prefix of their names.
    pub project: String,
    /// Prefix of the cache mounts' ids.
    pub namespace: String,
    /// A name in /etc/hosts of every RUN. It is part of their cache keys, so a new one makes all run again;
    /// `no-cache` would also empty cache mounts that targets share, each time one of them begins.
    pub host: String,
}

impl Identity {
    /// Sets a target apart.
    pub(super) fn put_on(&self, target: &mut Target) {
        target.labels.insert(labels::PROJECT.to_owned(), self.project.clone());
        target.args.insert(MOUNT_NAMESPACE.to_owned(), self.namespace.clone());
        target.extra_hosts.insert(self.host.clone(), "127.0.0.1".to_owned());
    }
}

/// What the options say about files.
#[derive(Clone, Copy)]
pub struct Wishes<'a> {
    /// `--code`.
    pub code: &'a [PathBuf],
    /// `--requirement`.
    pub requirement: &'a [PathBuf],
    /// Where they are relative to.
    pub working_dir: &'a Path,
    /// The project that is compared with: the same files are changed where that is possible.
    pub like: Option<&'a Variant>,
}

impl Variant {
    /// Copies what `targets` of `project` read to `root`, and chooses files.
    ///
    /// # Errors
    /// Something cannot be read or written.
    pub fn new(
        project: &Project,
        targets: Vec<Target>,
        root: &Path,
        wishes: Wishes<'_>,
    ) -> io::Result<Self> {
        let workspace = Workspace::copy(&targets, root)?;
        let mut variant = Self {
            name: project.name.clone(),
            directory: project.working_dir.clone(),
            targets,
            workspace,
            files: BTreeMap::new(),
            edits: 0,
        };
        for case in [Case::Code, Case::Requirement] {
            let files = variant.choose(case, wishes)?;
            variant.files.insert(case, files);
        }
        Ok(variant)
    }

    /// The project as the report names it.
    pub fn report(&self) -> ProjectReport {
        ProjectReport {
            name: self.name.clone(),
            directory: self.directory.display().to_string(),
            targets: self.targets.iter().map(|target| target.name.clone()).collect(),
        }
    }

    /// Why a case cannot be measured, if so.
    pub fn not_measured(&self, case: Case) -> Option<&str> {
        self.files.get(&case)?.as_ref().err().map(String::as_str)
    }

    /// Begins with a copy at another place, and with files that nobody has built yet.
    ///
    /// # Errors
    /// Something cannot be written.
    pub fn renew(&mut self, root: &Path, mark: &str) -> io::Result<()> {
        self.workspace.move_to(root)?;
        for file in self.files.get(&Case::Lock).into_iter().flatten().flatten() {
            self.workspace.replace(&file.context, &file.path, &file.original)?;
        }
        self.change(Case::Code, mark, &[])?;
        self.change(Case::Requirement, mark, &[])
    }

    /// What is built of it, as the user has it.
    pub(super) fn targets(&self) -> &[Target] {
        &self.targets
    }

    /// The project's directory.
    pub(super) fn directory(&self) -> &Path {
        &self.directory
    }

    /// Has changes of the case `lock` begin with these locks, as far as Dockerfiles read them.
    ///
    /// # Errors
    /// A file cannot be read.
    pub(super) fn begin_with(&mut self, starts: &[Start]) -> io::Result<()> {
        let mut files: BTreeMap<(PathBuf, String), ChangedFile> = BTreeMap::new();
        for target in &self.targets {
            for (context, candidates) in self.candidates(target) {
                for Candidate { path, .. } in candidates {
                    let own = context.join(&path);
                    let is_own = |start: &&Start| {
                        start.path.file_name() == own.file_name() && is_same(&start.path, &own)
                    };
                    let Some(start) = starts.iter().find(is_own) else { continue };
                    let key = (context.clone(), path.clone());
                    if let Some(known) = files.get_mut(&key) {
                        known.targets.push(target.name.clone());
                        continue;
                    }
                    let file = ChangedFile {
                        targets: vec![target.name.clone()],
                        context: context.clone(),
                        path,
                        original: fs_err::read(own)?,
                        start: Some(start.clone()),
                        what: String::new(),
                    };
                    files.insert(key, file);
                }
            }
        }
        let none = match starts {
            [] => "the lines of --add change no lock",
            _ => "no Dockerfile reads a lock that the lines of --add change",
        };
        let found =
            if files.is_empty() { Err(none.to_owned()) } else { Ok(files.into_values().collect()) };
        self.files.insert(Case::Lock, found);
        Ok(())
    }

    /// Has the case `lock` change what the case `requirement` does: there is nothing that could be locked.
    pub(super) fn begin_without_locks(&mut self) {
        if let Some(files) = self.files.get(&Case::Requirement).cloned() {
            self.files.insert(Case::Lock, files);
        }
    }

    /// Says why the case `lock` cannot be measured.
    pub(super) fn refuse_lock(&mut self, why: &str) {
        self.files.insert(Case::Lock, Err(why.to_owned()));
    }

    /// Changes the files of a case, where it has some.
    ///
    /// # Errors
    /// Something cannot be written.
    pub fn change(&mut self, case: Case, mark: &str, lines: &[String]) -> io::Result<()> {
        self.edits += 1;
        let Some(Ok(files)) = self.files.get_mut(&case) else { return Ok(()) };
        for file in files {
            let (original, lines) = match &file.start {
                // It has them.
                Some(start) => (&start.content, &[][..]),
                None => (&file.original, lines),
            };
            let edited = edit::edited(Path::new(&file.path), original, mark, self.edits, lines);
            self.workspace.replace(&file.context, &file.path, &edited.content)?;
            file.what = match &file.start {
                Some(start) => format!("{}, and {}", start.what, edited.what),
                None => edited.what,
            };
        }
        Ok(())
    }

    /// What was changed last for a case.
    pub fn changes(&self, case: Case) -> Vec<Change> {
        let files = self.files.get(&case).and_then(|files| files.as_ref().ok());
        let change = |file: &ChangedFile| Change {
            targets: file.targets.clone(),
            file: file.path.clone(),
            what: file.what.clone(),
        };
        files.into_iter().flatten().map(change).collect()
    }

    /// Targets for which a case changes nothing.
    pub fn unchanged(&self, case: Case) -> Vec<String> {
        let Some(Ok(files)) = self.files.get(&case) else { return Vec::new() };
        let changed: BTreeSet<&String> = files.iter().flat_map(|file| &file.targets).collect();
        let names = self.targets.iter().map(|target| &target.name);
        names.filter(|name| !changed.contains(name)).cloned().collect()
    }

    /// What is built.
    ///
    /// # Errors
    /// Those of the plan of the project itself.
    pub fn plan(&self, identity: &Identity) -> Result<BuildPlan, PlanError> {
        BuildPlan::new(self.targets.iter().map(|target| self.disguised(target, identity)).collect())
    }

    /// References of the images that [`Self::plan`] makes.
    pub fn references(&self, identity: &Identity) -> Vec<String> {
        self.targets.iter().map(|target| image(target, identity)).collect()
    }

    fn disguised(&self, target: &Target, identity: &Identity) -> Target {
        let mut target = self.workspace.in_place(target);
        target.image = image(&target, identity);
        target.tags = vec![target.image.clone()];
        identity.put_on(&mut target);
        // Nothing is written to where others read it, and an imported cache would be no first build.
        target.cache_to.clear();
        target.cache_from.clear();
        target.args.remove("BUILDKIT_INLINE_CACHE");
        target
    }

    fn choose(
        &self,
        case: Case,
        wishes: Wishes<'_>,
    ) -> io::Result<Result<Vec<ChangedFile>, String>> {
        let given = if case == Case::Code { wishes.code } else { wishes.requirement };
        let mut found: BTreeMap<(PathBuf, String), Vec<String>> = BTreeMap::new();
        for target in &self.targets {
            let candidates = self.candidates(target);
            let like = wishes.like.and_then(|like| like.file_of(case, &target.name));
            for (context, candidates) in candidates {
                let chosen: Vec<&str> = if !given.is_empty() {
                    let paths = candidates.iter().map(|it| it.path.as_str());
                    paths
                        .filter(|path| is_given(given, &context, path, wishes.working_dir))
                        .collect()
                } else if let Some(same) =
                    candidates.iter().find(|it| Some(it.path.as_str()) == like)
                {
                    vec![&same.path]
                } else {
                    let chosen = match case {
                        Case::Code => choose::code(&candidates),
                        _ => choose::requirement(&candidates),
                    };
                    chosen.map(|it| it.path.as_str()).into_iter().collect()
                };
                for path in &chosen {
                    let key = (context.clone(), (*path).to_owned());
                    found.entry(key).or_default().push(target.name.clone());
                }
                // One of a target is enough; the main context comes first.
                if !chosen.is_empty() && given.is_empty() {
                    break;
                }
            }
        }
        if found.is_empty() {
            return Ok(Err(why_none(case, given)));
        }
        let changed = found.into_iter().map(|((context, path), targets)| {
            let original = fs_err::read(context.join(&path))?;
            Ok(ChangedFile { targets, context, path, original, start: None, what: String::new() })
        });
        Ok(Ok(changed.collect::<io::Result<_>>()?))
    }

    /// The file that a case changes for a target.
    fn file_of(&self, case: Case, target: &String) -> Option<&str> {
        let files = self.files.get(&case)?.as_ref().ok()?;
        files.iter().find(|file| file.targets.contains(target)).map(|file| file.path.as_str())
    }

    /// Files of each local context that the target's Dockerfile reads, the main context first.
    fn candidates(&self, target: &Target) -> Vec<(PathBuf, Vec<Candidate>)> {
        let Some((_, text)) = dockerfile_source::of_target(target) else { return Vec::new() };
        let uses = file_uses(&text, target.target.as_deref(), &target.args);
        let main = workspace::main_context(target).map(|directory| (None, directory));
        let named = workspace::named_contexts(target).into_iter();
        let contexts =
            main.into_iter().chain(named.map(|(name, directory)| (Some(name), directory)));
        contexts
            .filter_map(|(name, directory)| {
                let files = self.candidates_in(name.as_deref(), &directory, &uses)?;
                Some((directory, files))
            })
            .collect()
    }

    fn candidates_in(
        &self,
        name: Option<&str>,
        directory: &Path,
        uses: &[FileUse],
    ) -> Option<Vec<Candidate>> {
        let context = self.workspace.context(directory)?;
        let mut candidates: BTreeMap<&str, Candidate> = BTreeMap::new();
        for (index, file_use) in uses.iter().enumerate() {
            let FileUse::Reads { from, paths, exclude, .. } = file_use else { continue };
            if from.as_deref() != name {
                continue;
            }
            let Some(coverage) = Coverage::new(directory, paths, exclude) else { continue };
            for file in context.files.iter().filter(|file| coverage.covers(file.path.as_bytes())) {
                let candidate = candidates.entry(&file.path).or_default();
                candidate.read_at = index;
            }
        }
        for file in &context.files {
            let Some(candidate) = candidates.get_mut(file.path.as_str()) else { continue };
            candidate.path.clone_from(&file.path);
            (candidate.size, candidate.modified) = (file.size, file.modified);
            candidate.named_at = uses.iter().enumerate().rev().find_map(|(index, file_use)| {
                let text = match file_use {
                    FileUse::Reads { paths, .. } => paths.join(" "),
                    FileUse::Runs(command) => command.clone(),
                };
                Some((index, choose::mention(&text, &file.path)?))
            });
        }
        Some(candidates.into_values().collect())
    }
}

fn is_same(one: &Path, other: &Path) -> bool {
    fs_err::canonicalize(one).is_ok_and(|one| fs_err::canonicalize(other).is_ok_and(|it| it == one))
}

/// Whether a file of a context is one of those an option names: by its path on this machine, or by that in
/// the context.
fn is_given(given: &[PathBuf], context: &Path, path: &str, working_dir: &Path) -> bool {
    given.iter().any(|given| {
        is_same(&working_dir.join(given), &context.join(path))
            || given.strip_prefix(".").unwrap_or(given) == Path::new(path)
    })
}

fn why_none(case: Case, given: &[PathBuf]) -> String {
    if let [first, ..] = given {
        return format!("no Dockerfile reads {} from a build context", first.display());
    }
    match case {
        Case::Code => "no COPY or ADD takes a source file; --code names one".to_owned(),
        _ => "no Dockerfile reads a file of requirements; --requirement names one".to_owned(),
    }
}

fn image(target: &Target, identity: &Identity) -> String {
    let service = target.name.to_lowercase();
    format!("{}-{service}:latest", identity.namespace)
}
