//! A project of two services on one base, as each image store describes it.
#![allow(clippy::unwrap_used)]

use std::collections::{BTreeMap, BTreeSet};

use super::*;
use crate::image_reference::familiar;
use crate::inventory::{
    CacheKind, CacheRecord, Gap, HistoryStep, Image, ImageDetails, Inventory, Layer, Mount, Store,
};
use crate::measure::Sizes;
use crate::ownership::records::{Chain, stacks};
use crate::ownership::{Answer, Evidence, Project, Question, judge};
use crate::sight::Disk;
use crate::test_engine::engine_facts;

const NOW: &str = "2026-11-24T12:00:00Z";

fn inventory(store: Store) -> Inventory {
    let engine = engine_facts(store);
    let mut foreign = image("sha256:f0", "other-api:latest", 500, 100);
    foreign.labels.insert(labels::PROJECT.into(), "other".into());
    let mut dangling = image("sha256:d0", "", 130, 110);
    dangling.references.clear();
    Inventory {
        engine,
        images: vec![
            image("sha256:a0", "p-api:latest", 150, 110),
            image("sha256:b0", "p-worker:latest", 1110, 110),
            foreign,
            dangling,
        ],
        containers: vec![container("p-api-1", "p"), container("other-1", "other")],
        volumes: vec![
            volume("p_data", Some("p")),
            volume("anon", None),
            volume("q_data", Some("q")),
        ],
        networks: Vec::new(),
        cache: vec![
            record("r1", CacheKind::Regular, 40, true),
            record("r2", CacheKind::Regular, 60, false),
            record("m1", CacheKind::CacheMount, 900, false),
            record("m2", CacheKind::CacheMount, 1, false),
        ],
        gaps: Vec::new(),
    }
}

pub(super) fn image(id: &str, reference: &str, size: u64, shared: u64) -> Image {
    let service = reference.split(['-', ':']).nth(1).unwrap_or("api");
    let labels = [(labels::PROJECT, "p"), (labels::SERVICE, service)];
    Image {
        id: id.into(),
        references: vec![reference.into()],
        digests: Vec::new(),
        created: Some("2026-11-21T12:00:00Z".parse().unwrap()),
        size_bytes: Some(size),
        shared_bytes: Some(shared),
        labels: labels.map(|(name, value)| (name.to_owned(), value.to_owned())).into(),
        parent: None,
        containers: Vec::new(),
    }
}

fn container(name: &str, project: &str) -> Container {
    let mounts = [("p_data", project == "p"), ("anon", project == "p"), ("q_data", project != "p")];
    Container {
        id: format!("id-{name}"),
        name: name.into(),
        image_id: "sha256:a0".into(),
        image: "p-api".into(),
        state: "running".into(),
        created: Some("2026-11-24T09:00:00Z".parse().unwrap()),
        size_rw_bytes: Some(12),
        labels: [labels::PROJECT, labels::OF_CONTAINERS[0]]
            .map(|label| (label.to_owned(), project.to_owned()))
            .into(),
        mounts: mounts
            .iter()
            .filter(|(_, used)| *used)
            .map(|(volume, _)| Mount {
                kind: "volume".into(),
                volume: Some((*volume).into()),
                destination: "/x".into(),
            })
            .collect(),
        networks: Vec::new(),
    }
}

fn volume(name: &str, project: Option<&str>) -> Volume {
    let labels = match project {
        Some(project) => vec![(labels::PROJECT, project), (labels::VOLUME, "data")],
        None => vec![(labels::ANONYMOUS, "")],
    };
    let user = if name == "q_data" { "id-other-1" } else { "id-p-api-1" };
    Volume {
        name: name.into(),
        driver: "local".into(),
        created: None,
        size_bytes: Some(7),
        labels: labels.into_iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect(),
        containers: vec![user.into()],
    }
}

fn record(id: &str, kind: CacheKind, size_bytes: u64, shared: bool) -> CacheRecord {
    let description = match id {
        "m1" => {
            r#"cached mount /root/.cache/pip from exec /bin/sh -c pip with id "//root/.cache/pip""#
        }
        "m2" => r#"cached mount /c from exec /bin/sh -c x with id "/elsewhere""#,
        _ => "[2/4] COPY . .",
    };
    CacheRecord {
        id: id.into(),
        parents: Vec::new(),
        kind,
        description: description.into(),
        size_bytes,
        in_use: false,
        shared,
        created_at: None,
        last_used_at: Some("2026-11-22T00:00:00Z".parse().unwrap()),
        usage_count: 2,
    }
}

pub(super) fn details(id: &str, top: &str, size: u64, content: Option<u64>) -> ImageDetails {
    let steps = [("base", 100), ("COPY shared . # buildkit", 10), (top, size)];
    ImageDetails {
        id: id.into(),
        size_bytes: None,
        content_bytes: content,
        layers: steps
            .iter()
            .enumerate()
            .map(|(step, (text, size))| Layer {
                diff_id: (*text).into(),
                chain_id: format!("chain of {text}"),
                size_bytes: Some(*size),
                step: Some(step),
            })
            .collect(),
        history: steps
            .iter()
            .map(|(text, size_bytes)| HistoryStep {
                created: None,
                created_by: (*text).into(),
                size_bytes: *size_bytes,
                comment: String::new(),
            })
            .collect(),
    }
}

fn both_details() -> Vec<ImageDetails> {
    let run = "RUN |1 TOKEN=x /bin/sh -c pip install . # buildkit";
    vec![
        details("sha256:a0", "COPY api . # buildkit", 40, None),
        details("sha256:b0", run, 1000, None),
    ]
}

fn services() -> Vec<ServiceFacts> {
    let service = |name: &str, top: &str| ServiceFacts {
        name: name.into(),
        reference: format!("p-{name}"),
        stage: None,
        tags: Vec::new(),
        namespace: String::new(),
        dockerfile: Some(DockerfileFacts {
            path: format!("Dockerfile.{name}"),
            text: format!("FROM python:3\n\nCOPY shared .\n{top}\n"),
            stage: None,
        }),
    };
    let run = "RUN --mount=type=cache,target=/root/.cache/pip pip install .";
    vec![service("api", "COPY api ."), service("worker", run), service("later", "RUN x")]
}

/// An image that an earlier build made.
fn past(service: &str, id: &str, size_bytes: u64) -> PastImage {
    let reference = format!("docker.io/library/p-{service}:latest");
    PastImage { service: service.into(), reference, stage: None, id: id.into(), size_bytes }
}

/// The report on the project, made of these.
fn report(inventory: &Inventory, details: &[ImageDetails]) -> StatsReport {
    let services = services();
    aggregate(&facts(inventory, &whose(inventory), details, &services))
}

/// The report on the project as it is.
pub(crate) fn plain_report() -> StatsReport {
    report(&inventory(Store::GraphDriver), &both_details())
}

/// One with something in every place.
pub(crate) fn full_report() -> StatsReport {
    let inventory = inventory(Store::GraphDriver);
    let (services, details) = (services(), both_details());
    let stacks = stacks(&details);
    let own: BTreeSet<String> = ["r2".to_owned()].into();
    let remedies = [RemedyStats { command: "doc2md-docker clean".into(), frees_bytes: 7 }];
    let past = [past("api", "x", 1)];
    let rules = gc::Rules {
        policies: vec![gc::Policy { max_used_bytes: 10, ..gc::Policy::default() }],
        disk_free_bytes: None,
    };
    let worth = MountWorth { saves_seconds: 65.0, is_bound: true };
    let worths = [("m1".to_owned(), worth)].into();
    aggregate(&Facts {
        own_records: Some(&own),
        stacks: Some(&stacks),
        disk: Some(Disk { size_bytes: 1000, free_bytes: 60, available_bytes: 50 }),
        remedies: Some(&remedies),
        past: &past,
        gc: Some(&rules),
        worths: &worths,
        with_records: true,
        ..facts(&inventory, &whose(&inventory), &details, &services)
    })
}

/// Whose things are, where the untagged image was recorded.
fn whose(inventory: &Inventory) -> Answer {
    let mut evidence = Evidence::default();
    evidence.made.entry("sha256:d0".to_owned()).or_default();
    let built = services().iter().map(|service| familiar(&service.reference)).collect();
    judge(&Question {
        project: &Project { name: "p".into(), built, ..Project::default() },
        inventory,
        stacks: &[],
        histories: &[],
        evidence: &evidence,
        include: &BTreeSet::new(),
    })
}

static NO_WORTHS: Worths = Worths::new();
static NO_SIZES: Sizes = Sizes { mounts: BTreeMap::new(), disk: None };

fn facts<'a>(
    inventory: &'a Inventory,
    whose: &'a Answer,
    details: &'a [ImageDetails],
    services: &'a [ServiceFacts],
) -> Facts<'a> {
    Facts {
        project: "p",
        services,
        inventory,
        whose,
        details,
        stacks: None,
        disk: None,
        remedies: None,
        past: &[],
        own_records: None,
        sizes: &NO_SIZES,
        gc: None,
        worths: &NO_WORTHS,
        with_records: false,
        now: NOW.parse().unwrap(),
        notes: &[],
    }
}

#[test]
fn what_images_share_counts_once_in_the_total() {
    let inventory = inventory(Store::GraphDriver);
    let report = report(&inventory, &both_details());
    // 100 + 10 + 40 + 1000.
    assert_eq!(report.total_bytes, Some(1150));
    let rows: Vec<_> =
        report.images.iter().map(|it| (it.service.as_str(), it.size_bytes)).collect();
    assert_eq!(rows, [("api", Some(150)), ("worker", Some(1110)), ("later", None)]);
    assert_eq!(report.images[0].unique_bytes, Some(40));
    let worker = &report.images[1].layers;
    let told: Vec<_> = worker
        .iter()
        .map(|it| (it.instruction.as_str(), it.line, it.shared_with.join(" ")))
        .collect();
    assert_eq!(
        told,
        [
            ("base", Some(1), "api".to_owned()),
            ("COPY shared .", Some(3), "api".to_owned()),
            ("RUN pip install .", Some(4), String::new()),
        ]
    );
    assert_eq!(worker[2].dockerfile.as_deref(), Some("Dockerfile.worker"));
}

#[test]
fn every_project_has_a_sum_that_counts_what_its_images_share_once() {
    let inventory = inventory(Store::GraphDriver);
    let mut all = both_details();
    all.push(details("sha256:d0", "RUN old", 20, None));
    all.push(details("sha256:f0", "RUN other", 390, None));
    let services = services();
    let (whose, own) = (whose(&inventory), BTreeSet::from(["r1".to_owned(), "m1".to_owned()]));
    let facts = facts(&inventory, &whose, &all, &services);
    let sums = |facts: &Facts| -> Vec<(Option<String>, [Option<u64>; 5])> {
        let report = aggregate(facts);
        let sums = report.projects.into_iter().map(|it| {
            let parts = [it.images_bytes, it.containers_bytes, it.volumes_bytes, it.cache_bytes];
            (it.project, [parts[0], parts[1], parts[2], parts[3], it.total_bytes])
        });
        sums.collect()
    };
    // 100 + 10 shared, 40 + 1000 + 20 of its own; r1 is in an image.
    let of_p = |cache: Option<u64>| {
        let total = 1170 + 12 + 14 + cache.unwrap_or(0);
        (Some("p".to_owned()), [Some(1170), Some(12), Some(14), cache, Some(total)])
    };
    assert_eq!(sums(&facts), [of_p(None)]);
    let asked = Facts { stacks: Some(&stacks(&all)), own_records: Some(&own), ..facts };
    let other = (Some("other".to_owned()), [Some(500), Some(12), Some(0), None, Some(512)]);
    let q = (Some("q".to_owned()), [Some(0), Some(0), Some(7), None, Some(7)]);
    assert_eq!(sums(&asked), [of_p(Some(900)), other, q]);
}

#[test]
fn the_containerd_stores_content_is_shared_in_proportion() {
    let mut inventory = inventory(Store::Containerd);
    // Content of half the size on top.
    inventory.images[0].size_bytes = Some(225);
    inventory.images[1].size_bytes = Some(1665);
    let mut details = both_details();
    details[0].content_bytes = Some(75);
    details[1].content_bytes = Some(555);
    let report = report(&inventory, &details);
    assert_eq!(report.total_bytes, Some(225 + 1665 - 110 - 55));
    assert!(report.notes.iter().any(|note| note.contains("estimated")), "{:?}", report.notes);
}

#[test]
fn what_is_not_told_is_unknown_and_noted() {
    let mut inventory = inventory(Store::GraphDriver);
    let report_of = |inventory: &Inventory, details: &[ImageDetails]| report(inventory, details);
    let without_layers = report_of(&inventory, &[]);
    assert_eq!(without_layers.total_bytes, Some(150 + 1110));
    assert!(without_layers.notes.iter().any(|note| note.contains("twice")));
    let why = "no answer within 1s".to_owned();
    inventory.gaps = vec![
        Gap { part: Part::Images, lost: Lost::Sizes, why: why.clone() },
        Gap { part: Part::Cache, lost: Lost::Everything, why },
    ];
    inventory.cache.clear();
    for image in &mut inventory.images {
        image.shared_bytes = None;
    }
    let partial = report_of(&inventory, &both_details());
    assert_eq!(partial.images[0].unique_bytes, None);
    assert_eq!(partial.images[0].size_bytes, Some(150));
    assert_eq!(partial.cache, CacheStats::default());
    assert_eq!(partial.cache.total_bytes, None);
    assert_eq!(partial.notes[1], "build cache unknown: no answer within 1s");
}

#[test]
fn only_the_projects_things_are_listed() {
    let inventory = inventory(Store::GraphDriver);
    let report = report(&inventory, &both_details());
    assert!(report.images.iter().all(|image| !image.reference.contains("other")));
    let dangling: Vec<&str> = report.dangling.iter().map(|it| it.id.as_str()).collect();
    assert_eq!(dangling, ["sha256:d0"]);
    assert_eq!(report.containers.len(), 1);
    assert_eq!(report.containers[0].size_bytes, Some(12));
    let volumes: Vec<_> = report.volumes.iter().map(|it| (it.name.as_str(), it.in_use)).collect();
    assert_eq!(volumes, [("anon", Some(true)), ("p_data", Some(true))]);
}

#[test]
fn labels_tell_the_services_of_a_project_without_files() {
    let inventory = inventory(Store::GraphDriver);
    let details = both_details();
    let report = aggregate(&facts(&inventory, &whose(&inventory), &details, &[]));
    let rows: Vec<_> =
        report.images.iter().map(|it| (it.service.as_str(), it.reference.as_str())).collect();
    assert_eq!(rows, [("api", "p-api:latest"), ("worker", "p-worker:latest")]);
    assert_eq!(report.total_bytes, Some(1150));
    assert_eq!(wanted("p", &[], &inventory.images), ["sha256:a0", "sha256:b0", "sha256:d0"]);
}

#[test]
fn the_cache_is_summed_by_kind_and_owner() {
    let inventory = inventory(Store::GraphDriver);
    let services = services();
    let own: BTreeSet<String> = ["r2", "m1"].map(str::to_owned).into();
    let report = aggregate(&Facts {
        own_records: Some(&own),
        with_records: true,
        ..facts(&inventory, &whose(&inventory), &[], &services)
    });
    let cache = &report.cache;
    assert_eq!(cache.total_bytes, Some(1001));
    assert_eq!(cache.project_bytes, Some(960));
    assert_eq!(cache.shared_with_images_bytes, Some(40));
    assert_eq!(cache.reclaimable_bytes, Some(961));
    let kinds: Vec<_> = cache.kinds.iter().map(|it| (it.kind.as_str(), it.project_bytes)).collect();
    assert_eq!(kinds, [("exec.cachemount", Some(900)), ("regular", Some(60))]);
    let mounts: Vec<_> =
        cache.mounts.iter().map(|it| (it.id.clone().unwrap(), it.services.join(" "))).collect();
    let expected = [("/root/.cache/pip", "worker"), ("elsewhere", "")];
    assert_eq!(mounts, expected.map(|(id, services)| (id.to_owned(), services.to_owned())));
    assert_eq!(cache.records.as_ref().unwrap()[0].project, Some(true));
}

#[test]
fn the_previous_build_is_the_last_with_another_result() {
    let inventory = inventory(Store::GraphDriver);
    let services = services();
    let past = [
        PastImage { stage: Some("dev".into()), ..past("api", "d", 7) },
        PastImage { reference: "p-api:dev".into(), ..past("api", "e", 8) },
        past("worker", "x", 1),
        past("api", "sha256:a0", 150),
        past("api", "y", 100),
        past("api", "z", 9),
    ];
    let report =
        aggregate(&Facts { past: &past, ..facts(&inventory, &whose(&inventory), &[], &services) });
    assert_eq!(report.images[0].previous_size_bytes, Some(100));
    let verdicts = |growth: &str| {
        let mut budgets = budget::Budgets::default();
        budgets.replace(Vec::new(), Some(budget::Growth::parse(growth).unwrap()));
        budgets.verdicts(&report).unwrap()
    };
    let tight = verdicts("49.9%");
    assert_eq!(tight[0].rule, "api max-growth=49.9%");
    assert_eq!((tight[0].limit_bytes, tight[0].ok), (Some(149), Some(false)));
    assert_eq!(tight[0].excess_bytes(), Some(1));
    assert_eq!(verdicts("50")[0].ok, Some(true));
}

#[test]
fn budgets_on_what_is_missing_are_unknown_and_on_what_nobody_knows_wrong() {
    let inventory = inventory(Store::GraphDriver);
    let report = report(&inventory, &both_details());
    let verdict = |text: &str| {
        let mut budgets = budget::Budgets::default();
        budgets.replace(vec![budget::Budget::parse(text).unwrap()], None);
        budgets.verdicts(&report)
    };
    let ok = |text: &str| verdict(text).unwrap()[0].ok;
    assert_eq!(ok("api=150B"), Some(true));
    assert_eq!(ok("api=149B"), Some(false));
    assert_eq!(ok("total=1.15kB"), Some(true));
    assert_eq!(ok("cache=1kB"), Some(false));
    assert_eq!(ok("later=1GB"), None);
    assert_eq!(ok("project-cache=1GB"), None);
    let error = verdict("apo=1B").unwrap_err();
    assert_eq!(
        error.to_string(),
        "there is a budget for apo, but no service of that name has an image here"
    );
}

#[test]
fn a_mount_that_is_about_to_go_is_told_of() {
    let report = full_report();
    assert!(report.cache.mounts[0].gc.as_ref().unwrap().due);
    let note = report.notes.iter().find(|note| note.contains("/root/.cache/pip")).unwrap();
    assert!(note.contains("goes with the engine's next garbage collection"), "{note}");
    assert!(note.contains("961 B of its own") && note.contains("starts at 10 B"), "{note}");
    assert!(!report.notes.iter().any(|note| note.contains("elsewhere")), "{:?}", report.notes);
}

#[test]
fn what_is_shared_is_found_by_chains_where_the_engine_was_not_asked() {
    let mut inventory = inventory(Store::GraphDriver);
    let details = both_details();
    for image in &mut inventory.images {
        image.shared_bytes = None;
    }
    inventory.images[1].shared_bytes = Some(7);
    let run = "chain of RUN |1 TOKEN=x /bin/sh -c pip install . # buildkit";
    let mut other = stacks(&details).remove(0);
    other.layers.truncate(2);
    (other.layers[0].chain, other.layers[1].chain) = (Chain::new("elsewhere"), Chain::new(run));
    add_shared(&mut inventory, &details, &[other]);
    let shared: Vec<_> = inventory.images.iter().map(|image| image.shared_bytes).collect();
    // The base and what is copied from `shared`; what the engine told stays; no layers, no answer.
    assert_eq!(shared, [Some(110), Some(7), None, None]);
}
