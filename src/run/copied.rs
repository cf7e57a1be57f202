//! Which files each COPY and ADD of a run covered: the steps it took, what their text names, and what
//! was sent for it, or would be.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::Arc;

use crate::build_context::coverage::{Coverage, Paths};
use crate::build_context::root::Root;
use crate::buildkit::session::file_sync::{SentList, SyncReport};
use crate::dockerfile::{self, CopySources};
use crate::history::CopiedFiles;
use crate::history::copied::{Collector, CopyEntry};
use crate::history::record::TargetFacts;
use crate::progress::RunTrace;
use crate::solve::job::Job;

/// Name of the main context (BuildKit `dockerui.DefaultLocalNameContext`).
const MAIN_CONTEXT: &str = "context";

/// Where the sources of a target's COPYs come from.
pub(super) struct Origin {
    sync: Arc<SyncReport>,
    /// Directories by the name of the context: `--from`, or nothing for the main one.
    directories: BTreeMap<Option<String>, String>,
}

/// The entries of a directory that a build reads.
pub(super) trait Listing {
    /// What the engine calls the directory.
    fn directory(&self) -> &str;
    /// Paths that are wanted of it; everything where empty.
    fn wanted(&self) -> &[Vec<u8>];
    /// Patterns of what is not wanted of it.
    fn ignored(&self) -> &[Vec<u8>];
    /// What was sent of it, or would be.
    fn entries(&self) -> Box<dyn Iterator<Item = CopyEntry> + '_>;
}

impl Listing for SentList {
    fn directory(&self) -> &str {
        &self.dir_name
    }

    fn wanted(&self) -> &[Vec<u8>] {
        self.request.wanted()
    }

    fn ignored(&self) -> &[Vec<u8>] {
        &self.request.exclude
    }

    fn entries(&self) -> Box<dyn Iterator<Item = CopyEntry> + '_> {
        Box::new(SentList::entries(self).map(|entry| CopyEntry {
            mtime: entry.mtime,
            path: entry.path,
            mode: entry.mode,
            size: entry.size,
            digest: entry.digest,
        }))
    }
}

impl Origin {
    /// Where the directory is that the engine calls `name`.
    pub(super) fn directory(&self, name: &str) -> Option<&Path> {
        self.sync.directory(name)
    }

    /// All directories that sources can come from.
    pub(super) fn roots(&self) -> impl Iterator<Item = Root> {
        let paths = self.directories.values().filter_map(|name| self.directory(name));
        paths.filter_map(|path| Root::open(path).ok())
    }

    /// What was sent.
    pub(super) fn sent(&self) -> Vec<Arc<SentList>> {
        self.sync.lists()
    }
}

/// The origins of `jobs`, by target name.
pub(super) fn origins(jobs: &[Job]) -> BTreeMap<String, Origin> {
    let origin = |job: &Job| {
        let named = job.options.frontend_attrs.iter().filter_map(|(key, value)| {
            let name = key.strip_prefix("context:")?;
            Some((Some(name.to_owned()), value.strip_prefix("local:")?.to_owned()))
        });
        let main = std::iter::once((None, MAIN_CONTEXT.to_owned()));
        Origin { sync: job.sync.clone(), directories: main.chain(named).collect() }
    };
    jobs.iter().map(|job| (job.name.clone(), origin(job))).collect()
}

/// What was read, so that targets with the same sources read it once.
type ReadCache<L> = HashMap<(*const L, CopySources), CopiedFiles>;

/// Puts the files of every COPY and ADD of `run` into `targets`. `listings` are those of a target.
pub(super) fn add<L: Listing>(
    origins: &BTreeMap<String, Origin>,
    run: &RunTrace,
    targets: &mut BTreeMap<String, TargetFacts>,
    listings: impl Fn(&str, &Origin) -> Vec<Arc<L>>,
) {
    let mut known = ReadCache::new();
    for target in run.targets() {
        let name = &target.info.name;
        let (Some(origin), Some(facts)) = (origins.get(name), targets.get_mut(name)) else {
            continue;
        };
        let Some((_, text)) = &facts.dockerfile else { continue };
        let linked = facts.linked();
        let outline = dockerfile::outline(text, &linked, &facts.args);
        let lists = listings(name, origin);
        facts.ignored = ignored(&lists);
        let lists: Vec<_> = lists.iter().map(|list| (list, Paths::wanted(list.wanted()))).collect();
        for step in target.trace.own_steps().filter(|step| step.label.is_instruction()) {
            let Some(sources) = outline.copy_sources(&step.name) else { continue };
            if let Some(files) = files(origin, &lists, sources, &mut known) {
                facts.files.insert(step.id.clone(), files);
            }
        }
    }
}

/// The patterns by which the main context was sent. The ignore file itself is sent before, by none.
fn ignored<L: Listing>(lists: &[Arc<L>]) -> Option<Vec<String>> {
    let main = lists.iter().filter(|it| it.directory() == MAIN_CONTEXT);
    let patterns = main.map(|list| list.ignored()).max_by_key(|patterns| patterns.len())?;
    patterns.iter().map(|pattern| String::from_utf8(pattern.clone()).ok()).collect()
}

fn files<L: Listing>(
    origin: &Origin,
    lists: &[(&Arc<L>, Option<Paths>)],
    sources: CopySources,
    known: &mut ReadCache<L>,
) -> Option<CopiedFiles> {
    let directory = origin.directories.get(&sources.from)?;
    let root = origin.directory(directory)?;
    let coverage = Coverage::new(root, &sources.paths, &sources.exclude)?;
    let (list, _) = lists.iter().find(|(list, wanted)| {
        list.directory() == directory && coverage.is_part_of(wanted.as_ref())
    })?;
    let read = || {
        let mut collector = Collector::default();
        list.entries()
            .filter(|entry| coverage.covers(&entry.path))
            .for_each(|it| collector.add(it));
        collector.finish()
    };
    Some(known.entry((Arc::as_ptr(list), sources)).or_insert_with(read).clone())
}
