//! A build of the engine's history as an entry: what was asked for, what Status tells of it and what its provenance holds.
//! Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::Timestamp;

use super::BuildRecord;
use super::identity::{self, BuildIdentity};
use super::provenance::Provenance;
use super::resources::resources;
use crate::buildkit::RecordedBuild;
use crate::history::cleaned::Removals;
use crate::history::record::{self, Run, TargetFacts};
use crate::history::{BuildId, EngineInfo, FingerprintKey};
use crate::progress::outcome::{BuildFailure, BuiltImage, TargetOutcome};
use crate::progress::{Event, FailureKind, Redaction, RunTrace, SolveStatus, TargetInfo};
use crate::redact::Redactor;

/// How the attributes of build arguments and of named contexts begin.
const ARGUMENT: &str = "build-arg:";
const CONTEXT: &str = "context:";

/// What an engine holds of a build.
#[derive(Debug)]
pub struct Record<'a> {
    /// As it is listed.
    pub known: &'a BuildIdentity,
    /// Its statuses, in order.
    pub statuses: Vec<SolveStatus>,
    /// Its provenances as JSON.
    pub provenances: Vec<Vec<u8>>,
    /// The engine.
    pub engine: &'a EngineInfo,
    /// What `clean` has removed of it.
    pub removals: Removals,
    /// When anybody last pruned its build cache.
    pub pruned: Option<Timestamp>,
    /// What must not be kept of it.
    pub redactor: &'a Redactor,
    /// What tells values apart that are not kept.
    pub fingerprint_key: Option<&'a FingerprintKey>,
}

/// The build as this program would remember it; `None` where its name does not fit, or its times are not known.
pub fn entry(record: Record<'_>) -> Option<BuildRecord> {
    let Record { known, redactor, .. } = record;
    let listed = &known.build;
    let id = BuildId::of_engine(&listed.build_ref)?;
    let (started, completed) = (listed.started?, listed.completed?);
    let mut provenance = Provenance::default();
    record.provenances.iter().for_each(|document| provenance.add(document));
    for (group, members) in groups(&record.statuses) {
        provenance.add_group(&group, &members);
    }
    provenance.redact(redactor);
    let name = identity::title(known);
    let took = completed.duration_since(started);
    let took = Duration::try_from(took).unwrap_or_default();
    let trace = trace(listed, &name, record.statuses, took, redactor);
    let mut facts = facts(listed, &provenance, &name);
    facts.resources = record.provenances.iter().flat_map(|document| resources(document)).collect();
    let project = identity::project_of(listed).unwrap_or_default();
    let entry = record::record(&Run {
        id: &id,
        project,
        project_directory: "",
        engine: record.engine,
        started,
        removals: &record.removals.before(started),
        pruned: record.pruned.filter(|at| *at < started),
        collection: &[],
        trace: &trace,
        summary: &trace.summary(took),
        targets: &[(name, facts)].into(),
        redactor,
        fingerprint_key: record.fingerprint_key,
    });
    Some(BuildRecord { entry, operations: provenance.operations })
}

/// The vertexes of each progress group.
fn groups(statuses: &[SolveStatus]) -> BTreeMap<String, BTreeSet<String>> {
    let mut groups: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for vertex in statuses.iter().flat_map(|status| &status.vertexes) {
        if let Some(group) = &vertex.progress_group {
            groups.entry(group.id.clone()).or_default().insert(vertex.digest.clone());
        }
    }
    groups
}

fn trace(
    listed: &RecordedBuild,
    name: &str,
    statuses: Vec<SolveStatus>,
    took: Duration,
    redactor: &Redactor,
) -> RunTrace {
    let image = listed.names.first().cloned().unwrap_or_default();
    let outcome = match &listed.error {
        Some(error) => TargetOutcome::Failed(BuildFailure::new(FailureKind::Step, error)),
        None => TargetOutcome::Built(BuiltImage {
            references: listed.names.clone(),
            id: listed.images.first().cloned().unwrap_or_default(),
            ..BuiltImage::default()
        }),
    };
    let target = || name.to_owned();
    let info = TargetInfo { name: target(), image, same_as: None };
    let first = [Event::Planned { targets: vec![info] }, Event::TargetStarted { target: target() }];
    let told = statuses.into_iter().map(|status| Event::Status { target: target(), status });
    let last = Event::TargetFinished { target: target(), outcome };
    let (mut door, mut trace) = (Redaction::new(redactor.clone()), RunTrace::default());
    for event in first.into_iter().chain(told) {
        for event in door.pass(event) {
            trace.apply(&event, Duration::ZERO);
        }
    }
    for event in door.pass(last) {
        trace.apply(&event, took);
    }
    trace
}

fn facts(listed: &RecordedBuild, provenance: &Provenance, name: &str) -> TargetFacts {
    let attrs = &listed.frontend_attrs;
    let prefixed = |prefix: &str| -> BTreeMap<String, String> {
        let rest = |(key, value): (&String, &String)| {
            Some((key.strip_prefix(prefix)?.to_owned(), value.clone()))
        };
        attrs.iter().filter_map(rest).collect()
    };
    let some = |key: &str| attrs.get(key).filter(|value| !value.is_empty()).cloned();
    let platforms = some("platform").unwrap_or_default();
    TargetFacts {
        service: name.to_owned(),
        build_ref: Some(listed.build_ref.clone()),
        dockerfile: provenance.dockerfile.clone(),
        context: some("context").unwrap_or_default(),
        stage: some("target"),
        platforms: platforms.split(',').filter(|it| !it.is_empty()).map(str::to_owned).collect(),
        args: prefixed(ARGUMENT),
        // Empty: of all stages.
        no_cache: attrs.contains_key("no-cache"),
        images: provenance.images.clone().into_iter().collect(),
        contexts: prefixed(CONTEXT),
        options: record::options(attrs),
        ..TargetFacts::default()
    }
}
