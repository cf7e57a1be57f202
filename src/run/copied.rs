//! Which files each COPY and ADD of a run covered: the steps it took, what their text names, and what
//! was sent for it.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use crate::build_context::coverage::{Coverage, Paths};
use crate::buildkit::session::file_sync::{SentList, SyncReport};
use crate::dockerfile::{CopySources, Outline};
use crate::history::CopiedFiles;
use crate::history::copied::{Collector, Covered};
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
type AlreadyRead = HashMap<(*const SentList, CopySources), CopiedFiles>;

/// Puts the files of every COPY and ADD of `run` into `targets`.
pub(super) fn add(
    origins: &BTreeMap<String, Origin>,
    run: &RunTrace,
    targets: &mut BTreeMap<String, TargetFacts>,
) {
    let mut known = AlreadyRead::new();
    for target in run.targets() {
        let name = &target.info.name;
        let (Some(origin), Some(facts)) = (origins.get(name), targets.get_mut(name)) else {
            continue;
        };
        let Some((_, text)) = &facts.dockerfile else { continue };
        let outline = Outline::new(text);
        let lists = origin.sync.lists();
        let lists: Vec<_> = lists.iter().map(|list| (list, Paths::wanted(&list.wanted))).collect();
        for step in target.trace.steps().filter(|step| step.label.is_instruction()) {
            let Some(sources) = outline.copy_sources(&step.name) else { continue };
            if let Some(files) = files(origin, &lists, sources, &mut known) {
                facts.files.insert(step.id.clone(), files);
            }
        }
    }
}

fn files(
    origin: &Origin,
    lists: &[(&Arc<SentList>, Option<Paths>)],
    sources: CopySources,
    known: &mut AlreadyRead,
) -> Option<CopiedFiles> {
    let directory = origin.directories.get(&sources.from)?;
    let root = origin.sync.directory(directory)?;
    let coverage = Coverage::new(root, &sources.paths, &sources.exclude)?;
    let (list, _) = lists.iter().find(|(list, wanted)| {
        list.dir_name == *directory && coverage.is_part_of(wanted.as_ref())
    })?;
    let read = || {
        let mut collector = Collector::default();
        for entry in list.entries().filter(|entry| coverage.covers(&entry.path)) {
            collector.add(Covered {
                mtime: entry.mtime,
                path: entry.path,
                mode: entry.mode,
                size: entry.size,
                digest: entry.digest,
            });
        }
        collector.finish()
    };
    Some(known.entry((Arc::as_ptr(list), sources)).or_insert_with(read).clone())
}
