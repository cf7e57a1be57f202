//! Gathers the evidence: from the ledger, the engine's history of builds, and the paths on this machine. The one
//! part of the room that asks anybody.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use tokio::time::Instant;

use super::model::{Evidence, Project};
use super::remembered::Sign;
use super::{history, remembered};
use crate::buildkit::{Control, ListedBuilds, PastBuild, PastBuilds};
use crate::engine::{Connector, Engine, EngineError, in_time};
use crate::history::{Entry, Store, TargetEntry};
use crate::image_reference::familiar;
use crate::inventory::Inventory;
use crate::labels;
use crate::ownership::records::Owner;

/// What the evidence is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Depth {
    /// Containers, images, volumes and networks.
    Things,
    /// The build cache, too: the steps of all builds, whoever's they were.
    Cache,
}

/// Builds as the ledger and the engine remember them.
#[derive(Debug, Default)]
pub struct Memory {
    entries: Vec<Entry>,
    past: Option<PastBuilds>,
}

/// Which builds are to be known.
#[derive(Debug, Clone)]
pub struct Recall<'a> {
    /// Where builds are remembered, if anywhere.
    pub ledger: Option<PathBuf>,
    /// The project.
    pub project: &'a str,
    /// What for.
    pub depth: Depth,
    /// Until when the engine may answer. What the ledger says is known in any case.
    pub end: Option<Instant>,
}

impl Recall<'_> {
    /// Asks the ledger and the engine for builds. What cannot be read is left out and said in `notes`: less is known
    /// then, and more is kept.
    pub async fn ask(self, connector: &Connector, notes: &mut Vec<String>) -> Memory {
        let control = Control::connect(connector).await;
        self.ask_over(control.as_ref().map_err(ToString::to_string), notes).await
    }

    /// [`Recall::ask`] over a connection that others use, too; or why there is none.
    pub async fn ask_over(
        self,
        control: Result<&Control, String>,
        notes: &mut Vec<String>,
    ) -> Memory {
        let Self { ledger, project, depth, end } = self;
        let name = project.to_owned();
        let entries = tokio::task::spawn_blocking(move || match ledger {
            Some(directory) => entries(&Store::open(directory), &name, depth),
            None => Vec::new(),
        });
        let listed = async {
            let control = control?;
            let listed = control.past_builds().await.map_err(|error| error.message().to_owned())?;
            Ok::<_, String>(listed.map(|listed| (control, listed)))
        };
        let (entries, listed) = tokio::join!(entries, in_time(end, listed));
        let entries: Vec<Entry> = entries.unwrap_or_default();
        let past = async {
            Ok::<_, String>(match listed? {
                Some((control, listed)) if depth == Depth::Cache => {
                    let known = whole_builds(&entries).map(str::to_owned).collect();
                    Some(control.with_steps(listed, &known).await)
                }
                listed => listed.map(|(_, listed)| ListedBuilds::without_steps(listed)),
            })
        };
        let past = in_time(end, past).await.unwrap_or_else(|why| {
            notes.push(format!("the history of builds cannot be read: {why}"));
            None
        });
        Memory { entries, past }
    }
}

/// Refs of the builds of which the ledger knows all that the engine could tell.
fn whole_builds(entries: &[Entry]) -> impl Iterator<Item = &str> {
    entries.iter().flat_map(|entry| &entry.targets).filter_map(TargetEntry::whole_build)
}

/// Entries of the project, or of everybody.
fn entries(store: &Store, project: &str, depth: Depth) -> Vec<Entry> {
    let stored = match depth {
        Depth::Things => store.entries(project),
        Depth::Cache => store.all_entries(),
    };
    stored.unwrap_or_default().iter().filter_map(|build| build.read().ok()).collect()
}

/// Puts together what is known of the things in `inventory`.
///
/// # Errors
/// The engine cannot be reached.
pub async fn gather(
    engine: &Engine,
    inventory: &Inventory,
    project: &Project,
    memory: Memory,
) -> Result<Evidence, EngineError> {
    let of_project = inventory.containers.iter().filter(|container| {
        container.labels.get(labels::PROJECT).is_some_and(|name| *name == project.name)
    });
    let mut unlisted = BTreeMap::new();
    let mut paths = BTreeSet::new();
    for container in of_project {
        let named =
            [labels::WORKING_DIR, labels::CONFIG_FILES].map(|key| container.labels.get(key));
        for path in
            named.into_iter().flatten().flat_map(|paths| paths.split(',').chain([paths.as_str()]))
        {
            paths.insert(path.to_owned());
        }
        let image = &container.image_id;
        if inventory.image(image).is_none()
            && !unlisted.contains_key(image)
            && let Some(labels) = engine.image_labels(image).await?
        {
            unlisted.insert(image.clone(), labels);
        }
    }
    let evidence = put_together(&inventory.engine.id, project, memory, paths).await;
    Ok(Evidence { unlisted, ..evidence })
}

/// The same of BuildKit with this id of a worker, which has no containers. Whoever can reach a builder builds there, from
/// other machines, too: builds under the project's name that no ledger here has are somebody's.
pub(super) async fn gather_from_buildkit(
    worker: &str,
    project: &Project,
    memory: Memory,
) -> Evidence {
    let evidence = put_together(worker, project, memory, BTreeSet::new()).await;
    Evidence { elsewhere: true, ..evidence }
}

/// What is known of builds on the engine, or the worker, with this id. `paths` are those of containers.
async fn put_together(
    id: &str,
    project: &Project,
    memory: Memory,
    mut paths: BTreeSet<String>,
) -> Evidence {
    let Memory { mut entries, mut past } = memory;
    // Entries of engines that did not tell their id in time could be of any engine.
    entries.retain(|entry| !id.is_empty() && entry.engine.id == id);
    if let Some(past) = &mut past {
        let whole: BTreeSet<&str> = whole_builds(&entries).collect();
        // The ledger's account of it does not count after all, and the engine's was not asked for.
        if past.known.iter().any(|build| !whole.contains(build.build_ref.as_str())) {
            past.complete_since = None;
        }
    }
    paths.extend(entries.iter().map(|entry| entry.project_directory.clone()));
    let places = tokio::task::spawn_blocking(move || resolve(paths)).await.unwrap_or_default();
    let mut evidence = Evidence { places, ..Evidence::default() };
    remember(&mut evidence, project, &entries);
    if let Some(past) = past {
        take_history(&mut evidence, project, &past);
    }
    take_ledger(&mut evidence, project, entries);
    evidence
}

/// Paths with their links resolved; what is not on this machine stays as it is.
fn resolve(paths: BTreeSet<String>) -> BTreeMap<String, PathBuf> {
    let resolved = |path: &String| std::fs::canonicalize(path).unwrap_or_else(|_| path.into());
    paths.into_iter().map(|path| (path.clone(), resolved(&path))).collect()
}

fn is_here(evidence: &Evidence, project: &Project, entry: &Entry) -> bool {
    evidence.places.get(&entry.project_directory).is_some_and(|place| project.is_here(place))
}

/// Takes the images that the ledger has of the project.
fn remember(evidence: &mut Evidence, project: &Project, entries: &[Entry]) {
    for entry in entries.iter().filter(|entry| entry.project == project.name) {
        let Some(place) = evidence.places.get(&entry.project_directory).cloned() else { continue };
        evidence.elsewhere |= !project.is_here(&place);
        for target in &entry.targets {
            let Some(id) = &target.image_id else { continue };
            let made = evidence.made.entry(id.clone()).or_default();
            made.from.insert(place.clone());
            made.names.insert(familiar(&target.image));
        }
    }
}

/// Takes the builds and images that the engine remembers. It knows no directories: those are the ledger's to tell.
fn take_history(evidence: &mut Evidence, project: &Project, past: &PastBuilds) {
    evidence.complete_since = past.complete_since;
    let is_of_project = |build: &&PastBuild| history::project_of(build) == Some(&project.name);
    for build in past.builds.iter().chain(&past.known).filter(is_of_project) {
        for id in &build.images {
            let made = evidence.made.entry(id.clone()).or_default();
            made.names.extend(build.names.iter().map(|name| familiar(name)));
        }
    }
    evidence.builds.extend(past.builds.iter().map(|build| history::build(build, &project.name)));
}

/// Adds the builds of the ledger that the engine does not remember, and places those that it does: a build that is
/// counted twice would explain uses that somebody else made.
fn take_ledger(evidence: &mut Evidence, project: &Project, entries: Vec<Entry>) {
    let mut known: BTreeMap<Sign, Option<Owner>> = BTreeMap::new();
    for build in &evidence.builds {
        known.extend(remembered::signs_of_past(build).into_iter().map(|sign| (sign, None)));
    }
    let mut more = Vec::new();
    // An engine's history does not always tell which image a build made.
    let mut images: BTreeMap<(Sign, String), BTreeSet<String>> = BTreeMap::new();
    for entry in entries {
        let here = is_here(evidence, project, &entry);
        let is_of_project = entry.project == project.name;
        for build in remembered::builds(entry, &project.name, here) {
            let signs = remembered::signs(&build);
            // Nobody can say of a build without signs whether it is known already.
            if !signs.is_empty() && !signs.iter().any(|sign| known.contains_key(sign)) {
                more.push(build);
                continue;
            }
            // Builds of other projects share steps with this one's and say nothing of their directory.
            for sign in signs.into_iter().filter(|_| is_of_project) {
                let of_service = (sign.clone(), build.product.service.clone());
                images.entry(of_service).or_default().extend(build.product.images.clone());
                known.entry(sign).and_modify(|owner| {
                    if owner.is_none() || !here {
                        *owner = Some(build.owner.clone());
                    }
                });
            }
        }
    }
    for mut build in std::mem::take(&mut evidence.builds) {
        if build.owner != Owner::Ours {
            evidence.builds.push(build);
            continue;
        }
        let service = &build.product.service;
        let signs = remembered::signs_of_past(&build);
        let made = signs.iter().filter_map(|sign| images.get(&(sign.clone(), service.clone())));
        build.product.images.extend(made.flatten().cloned());
        let owners: Vec<Owner> = signs.iter().filter_map(|sign| known.get(sign)?.clone()).collect();
        // A step that two directories asked for at the same moment is as much the other's.
        match owners.iter().find(|owner| **owner != Owner::Ours).or(owners.first()) {
            Some(owner) => {
                build.owner = owner.clone();
                evidence.builds.push(build);
            }
            None => evidence.unplaced.push(build),
        }
    }
    evidence.builds.extend(more);
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use serde_json::json;

    use super::super::model::Checkout;
    use super::*;
    use crate::history::StepResult;
    use crate::redact::REDACTED;

    /// A build of `service` from `directory`, whose step ran at `minute`.
    fn entry(directory: &str, service: &str, minute: u32) -> Entry {
        let time = |second| format!("2026-01-01T00:{minute:02}:{second:02}Z");
        let step = json!({"digest": "sha256:1", "name": "[2/2] RUN make", "instruction": "RUN make",
            "result": "ran", "seconds": 1.0, "intervals": [{"started": time(0), "completed": time(1)}]});
        let target = json!({"service": service, "name": service, "image": format!("p-{service}"),
            "image_id": format!("sha256:{service}"), "outcome": "succeeded", "steps": [step]});
        serde_json::from_value(json!({"schema": "doc2md-docker/ledger/v1", "id": "20260101T000000-000000-1",
            "project": "p", "project_directory": directory, "engine": {}, "started": time(0), "seconds": 1.0,
            "outcome": "succeeded", "targets": [target]}))
        .unwrap()
    }

    /// The project in `/here`, and what the engine remembers: the builds of `known`, without directory and image.
    fn evidence(known: &[Entry]) -> (Project, Evidence) {
        let checkout = Some(Checkout { directory: "/here".into(), ..Checkout::default() });
        let project = Project { name: "p".into(), checkout, ..Project::default() };
        let places = ["/here", "/there"].map(|it| (it.to_owned(), PathBuf::from(it))).into();
        let mut evidence = Evidence { places, ..Evidence::default() };
        for mut build in known.iter().flat_map(|it| remembered::builds(it.clone(), "p", true)) {
            build.product.images.clear();
            evidence.builds.push(build);
        }
        (project, evidence)
    }

    fn services(builds: &[crate::ownership::records::Build]) -> Vec<(&str, bool)> {
        builds.iter().map(|it| (&*it.product.service, it.owner == Owner::Ours)).collect()
    }

    #[test]
    fn a_build_that_both_remember_counts_once() {
        let (first, second) = (entry("/here", "api", 1), entry("/here", "web", 2));
        let (project, mut evidence) = evidence(std::slice::from_ref(&first));
        take_ledger(&mut evidence, &project, vec![first.clone(), second.clone(), first]);
        assert_eq!(services(&evidence.builds), [("api", true), ("web", true)]);
        // The engine did not tell which image it was.
        assert!(evidence.builds[0].product.images.contains("sha256:api"));
        assert!(evidence.unplaced.is_empty());
    }

    #[test]
    fn the_ledger_places_what_the_engine_remembers() {
        let (here, there) = (entry("/here", "api", 1), entry("/there", "api", 2));
        let nobody = entry("/here", "job", 3);
        let (project, mut evidence) = evidence(&[here.clone(), there.clone(), nobody]);
        take_ledger(&mut evidence, &project, vec![here, there]);
        assert_eq!(services(&evidence.builds), [("api", true), ("api", false)]);
        // Of the project, and nobody knows from which directory.
        assert_eq!(services(&evidence.unplaced), [("job", true)]);
    }

    /// The same build under the name that the engine has for it.
    fn with_ref(mut entry: Entry, build_ref: &str) -> Entry {
        entry.targets[0].build_ref = Some(build_ref.to_owned());
        entry
    }

    #[test]
    fn a_build_that_shares_a_step_with_one_of_the_engine_is_another() {
        let ours = with_ref(entry("/here", "api", 1), "ours");
        let (project, mut evidence) = evidence(&[with_ref(entry("/there", "web", 1), "theirs")]);
        evidence.builds[0].owner = Owner::Project("other".into());
        take_ledger(&mut evidence, &project, vec![ours.clone()]);
        assert_eq!(services(&evidence.builds), [("web", false), ("api", true)]);
    }

    #[test]
    fn a_build_is_known_by_its_ref_though_its_steps_are_those_of_others() {
        let (here, there) = (entry("/here", "api", 1), entry("/there", "api", 1));
        let (here, there) = (with_ref(here, "1"), with_ref(there, "2"));
        let (project, mut evidence) = evidence(&[here.clone(), there.clone()]);
        take_ledger(&mut evidence, &project, vec![here, there]);
        assert_eq!(services(&evidence.builds), [("api", true), ("api", false)]);
        assert!(evidence.unplaced.is_empty());
    }

    #[test]
    fn a_build_that_ran_no_step_is_known_by_its_ref() {
        let mut cached = with_ref(entry("/here", "api", 1), "1");
        cached.targets[0].steps.clear();
        let (project, mut evidence) = evidence(&[]);
        take_ledger(&mut evidence, &project, vec![cached.clone()]);
        assert_eq!(services(&evidence.builds), [("api", true)]);
    }

    #[test]
    fn a_build_is_known_whole_where_each_step_has_its_end() {
        let whole = with_ref(entry("/here", "api", 1), "1");
        let (mut without_steps, mut without_end, mut hidden) =
            (whole.clone(), whole.clone(), whole.clone());
        without_steps.targets[0].steps.clear();
        without_end.targets[0].steps[0].result = StepResult::Cancelled;
        hidden.targets[0].steps[0].name = format!("[2/2] RUN make {REDACTED}");
        let nameless = entry("/here", "api", 1);
        let entries = [without_steps, without_end, whole, hidden, nameless];
        let known = entries.map(|entry| whole_builds(&[entry]).count());
        assert_eq!(known, [0, 0, 1, 0, 0]);
    }

    #[test]
    fn a_step_that_two_directories_ran_together_is_the_others_too() {
        let (here, there) = (entry("/here", "api", 1), entry("/there", "api", 1));
        for entries in [[here.clone(), there.clone()], [there.clone(), here.clone()]] {
            let (project, mut evidence) = evidence(std::slice::from_ref(&here));
            take_ledger(&mut evidence, &project, entries.to_vec());
            assert_eq!(services(&evidence.builds), [("api", false)]);
        }
    }
}
