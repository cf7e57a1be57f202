//! Plans as text, from states as engines report them.
#![allow(clippy::unwrap_used)]

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::plan::plan as plan_of;
use super::*;
use crate::inventory::{
    CacheKind, CacheRecord, Container, HistoryStep, Image, ImageDetails, Inventory, Labels, Layer,
    Mount, Network, Store, Volume,
};
use crate::labels as names;
use crate::ownership::records::{Reason, Verdict, stacks};
use crate::ownership::{Answer, Evidence, Project, Question, judge};
use crate::test_engine::engine_facts;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_000 + second).unwrap()
}

fn labels(project: &str, service: &str) -> Labels {
    [(names::PROJECT, project), (names::SERVICE, service)]
        .into_iter()
        .filter(|(_, value)| !value.is_empty())
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .collect()
}

fn made_by_compose(project: &str, label: &str) -> Labels {
    let mut labels = labels(project, "");
    if !labels.is_empty() {
        labels.insert(label.to_owned(), "x".to_owned());
    }
    labels
}

fn image(id: &str, references: &[&str], labels: Labels) -> Image {
    Image {
        id: id.into(),
        references: references.iter().map(|name| (*name).to_owned()).collect(),
        digests: Vec::new(),
        created: Some(at(0)),
        size_bytes: Some(1_000),
        shared_bytes: None,
        labels,
        parent: None,
        containers: Vec::new(),
    }
}

/// Layers as `(chain, second, instruction, bytes)`.
fn details(id: &str, layers: &[(&str, i64, &str, u64)], content: Option<u64>) -> ImageDetails {
    ImageDetails {
        id: id.into(),
        size_bytes: None,
        content_bytes: content,
        layers: layers
            .iter()
            .enumerate()
            .map(|(index, (chain, _, _, size))| Layer {
                diff_id: (*chain).into(),
                chain_id: (*chain).into(),
                size_bytes: Some(*size),
                step: Some(index),
            })
            .collect(),
        history: layers
            .iter()
            .map(|(_, second, created_by, size)| HistoryStep {
                created: Some(at(*second)),
                created_by: (*created_by).into(),
                size_bytes: *size,
                comment: String::new(),
            })
            .collect(),
    }
}

fn record(id: &str, parents: &[&str], description: &str, second: i64, size: u64) -> CacheRecord {
    CacheRecord {
        id: id.into(),
        parents: parents.iter().map(|id| (*id).to_owned()).collect(),
        kind: CacheKind::Regular,
        description: description.into(),
        size_bytes: size,
        in_use: false,
        shared: false,
        created_at: Some(at(second)),
        last_used_at: Some(at(second)),
        usage_count: 1,
    }
}

fn container(id: &str, project: &str, state: &str, image: &str, volumes: &[&str]) -> Container {
    Container {
        id: id.into(),
        name: format!("{id}-name"),
        image_id: image.into(),
        image: String::new(),
        state: state.into(),
        created: Some(at(0)),
        size_rw_bytes: Some(5),
        labels: made_by_compose(project, names::OF_CONTAINERS[0]),
        mounts: volumes
            .iter()
            .map(|name| Mount {
                kind: "volume".into(),
                volume: Some((*name).into()),
                destination: "/d".into(),
            })
            .collect(),
        networks: vec!["net".into()],
    }
}

fn volume(name: &str, project: &str) -> Volume {
    Volume {
        name: name.into(),
        driver: "local".into(),
        created: None,
        size_bytes: Some(70),
        labels: made_by_compose(project, names::VOLUME),
        containers: Vec::new(),
    }
}

/// Links containers to what they use, as a inventory does.
fn inventory(
    store: Store,
    mut images: Vec<Image>,
    containers: Vec<Container>,
    mut volumes: Vec<Volume>,
    cache: Vec<CacheRecord>,
) -> Inventory {
    let ids = |uses: &dyn Fn(&Container) -> bool| -> Vec<String> {
        containers.iter().filter(|it| uses(it)).map(|it| it.id.clone()).collect()
    };
    for image in &mut images {
        image.containers = ids(&|it| it.image_id == image.id);
    }
    for volume in &mut volumes {
        volume.containers =
            ids(&|it| it.mounts.iter().any(|mount| mount.volume.as_ref() == Some(&volume.name)));
    }
    let network = Network {
        id: "net".into(),
        name: "p_default".into(),
        driver: "bridge".into(),
        created: Some(at(0)),
        labels: made_by_compose("p", names::NETWORK),
        containers: ids(&|it| it.networks.contains(&"net".to_owned())),
    };
    Inventory {
        engine: engine_facts(store),
        images,
        containers,
        volumes,
        networks: vec![network],
        cache,
        gaps: Vec::new(),
    }
}

fn everything() -> Request {
    Request {
        kinds: [Kind::Container, Kind::Network, Kind::Image, Kind::Volume, Kind::Cache].into(),
        whole_cache: false,
        only_old: false,
        pulled_images: false,
        stop: false,
        until: None,
        cache_goal: None,
        records: None,
    }
}

fn at_most(bytes: u64) -> Option<SpaceGoal> {
    Some(SpaceGoal { max_used: Some(bytes), ..SpaceGoal::default() })
}

fn project() -> Project {
    Project {
        name: "p".into(),
        built: BTreeSet::from(["p-api:latest".to_owned()]),
        pulled: BTreeSet::from(["redis:7".to_owned()]),
        ..Project::default()
    }
}

/// The plan where the untagged image `2` was recorded as the project's and `verdicts` say whose the records are.
fn plan(
    inventory: &Inventory,
    details: &[ImageDetails],
    verdicts: &BTreeMap<String, Verdict>,
    project: &Project,
    request: &Request,
) -> Plan {
    let mut evidence = Evidence::default();
    evidence.made.entry("2".to_owned()).or_default();
    let include = BTreeSet::new();
    let stacks = stacks(details);
    let question = Question {
        project,
        inventory,
        stacks: &stacks,
        histories: details,
        evidence: &evidence,
        include: &include,
    };
    let answer = Answer { records: verdicts.clone(), ..judge(&question) };
    let space = space::Space::new(inventory, &stacks);
    let plan = plan_of(inventory, &space, &answer, request);
    assert_eq!(super::frees(inventory, &space, &answer, request), plan.estimated_bytes());
    plan
}

/// These are ours; `base` is a base image.
fn ours(ids: &[&str]) -> BTreeMap<String, Verdict> {
    let own = ids.iter().map(|id| {
        (
            (*id).to_owned(),
            Verdict::Ours { step: "RUN make".into(), services: BTreeSet::new(), is_current: false },
        )
    });
    own.chain([("base".to_owned(), Verdict::Kept(Reason::Base))]).collect()
}

fn text(plan: &Plan) -> String {
    let line = |sign: &str, kind: Kind, name: &str, bytes: Option<u64>, reason: &str| {
        let bytes = bytes.map_or_else(|| "?".to_owned(), |bytes| bytes.to_string());
        format!("{sign} {kind} {name} {bytes}: {reason}\n")
    };
    let gone = plan.remove.iter().map(|it| line("-", it.kind, &it.name, it.bytes, &it.reason));
    let kept = plan.keep.iter().map(|it| line("=", it.kind, &it.name, it.bytes, &it.reason));
    gone.chain(kept).collect()
}

#[test]
fn only_what_is_the_projects_is_in_the_plan() {
    let state = inventory(
        Store::GraphDriver,
        vec![
            image("1", &["p-api:latest"], labels("p", "api")),
            image("2", &[], labels("p", "api")),
            image("3", &[], labels("q", "api")),
            image("4", &["redis:7"], Labels::new()),
            image("5", &["q-api:latest"], labels("q", "api")),
            // Built on an image of ours: it inherits the label.
            image("6", &["tool:1"], labels("p", "api")),
        ],
        vec![
            container("a", "p", "exited", "1", &["data"]),
            container("b", "q", "exited", "5", &[]),
        ],
        vec![volume("data", "p"), volume("theirs", "q"), volume("free", "")],
        vec![],
    );
    insta::assert_snapshot!(text(&plan(&state, &[], &BTreeMap::new(), &project(), &everything())), @r"
    - container a-name 5: of the project; exited
    - image p-api:latest 0: the compose file builds it
    - image <none> 0: dangling, built by the project
    - volume data 70: of the project
    = network p_default ?: container b-name of project q uses it
    = image redis:7 1000: only pulled; --all removes it
    = image tool:1 1000: has the project's label, perhaps from an image it is built on; no build gave it this name
    ");
}

#[test]
fn what_something_that_stays_uses_stays() {
    let state = inventory(
        Store::GraphDriver,
        vec![
            image("1", &["p-api:latest"], labels("p", "api")),
            image("2", &[], labels("p", "api")),
        ],
        vec![
            container("a", "p", "running", "1", &["data"]),
            container("b", "q", "exited", "2", &["shared"]),
        ],
        vec![volume("data", "p"), volume("shared", "p")],
        vec![],
    );
    let request = everything();
    insta::assert_snapshot!(text(&plan(&state, &[], &BTreeMap::new(), &project(), &request)), @r"
    = container a-name 5: running; --stop stops and removes it
    = container b-name 5: of project q: it runs an image of this one
    = network p_default ?: container a-name uses it
    = image p-api:latest 1000: container a-name uses it
    = image <none> 1000: container b-name of project q uses it
    = volume data 70: container a-name uses it
    = volume shared 70: container b-name of project q uses it
    ");
    let request = Request { stop: true, ..request };
    insta::assert_snapshot!(text(&plan(&state, &[], &BTreeMap::new(), &project(), &request)), @r"
    - container a-name 5: of the project; runs, is stopped first
    - image p-api:latest 0: the compose file builds it
    - volume data 70: of the project
    = container b-name 5: of project q: it runs an image of this one
    = network p_default ?: container b-name of project q uses it
    = image <none> 1000: container b-name of project q uses it
    = volume shared 70: container b-name of project q uses it
    ");
}

#[test]
fn an_image_goes_with_its_last_name_and_another_projects_name_is_not_ours() {
    let mut state = inventory(
        Store::GraphDriver,
        vec![image("1", &["mine:1", "p-api:latest"], labels("p", "api"))],
        vec![],
        vec![],
        vec![],
    );
    let layers = [details("1", &[("x", 0, "RUN make", 900)], None)];
    insta::assert_snapshot!(text(&plan(&state, &layers, &BTreeMap::new(), &project(), &everything())), @r"
    - network p_default ?: of the project
    - image p-api:latest 0: the compose file builds it; another name keeps the image
    = image mine:1 1000: has the project's label, perhaps from an image it is built on; no build gave it this name
    ");
    state.images[0].references.remove(0);
    insta::assert_snapshot!(text(&plan(&state, &layers, &BTreeMap::new(), &project(), &everything())), @r"
    - network p_default ?: of the project
    - image p-api:latest 900: the compose file builds it
    ");
    state.images[0].labels = labels("q", "api");
    insta::assert_snapshot!(text(&plan(&state, &layers, &BTreeMap::new(), &project(), &everything())), @r"
    - network p_default ?: of the project
    = image p-api:latest 1000: project q made it
    ");
}

/// A base, a layer of ours in an image of ours, one in an image of theirs, one in none.
fn cached(store: Store, size: impl Fn(u64) -> u64) -> (Inventory, Vec<ImageDetails>) {
    let content = (store == Store::Containerd).then_some(1_000);
    let mut cache = vec![
        record("base", &[], "from local ", 0, size(100)),
        record("own", &["base"], "mount / from exec make", 10, size(400)),
        record("both", &["base"], "[2/3] COPY f /f", 20, size(500)),
        record("mid", &["base"], "mount / from exec mid", 30, 77),
    ];
    for record in &mut cache[..3] {
        record.shared = store == Store::GraphDriver;
    }
    let state = inventory(
        store,
        vec![
            image("1", &["p-api:latest"], labels("p", "api")),
            image("2", &["q:1"], Labels::new()),
        ],
        vec![],
        vec![],
        cache,
    );
    let layers = [("0", 0, "FROM", 100), ("o", 10, "RUN make", 400), ("b", 20, "COPY f /f", 500)];
    let all = vec![
        details("1", &layers, content),
        details("2", &[layers[0], layers[2]], content.map(|_| 600)),
    ];
    (state, all)
}

#[test]
fn a_layer_is_freed_with_the_last_that_holds_it() {
    let (state, details) = cached(Store::GraphDriver, |size| size);
    let mut verdicts = ours(&["own", "both", "mid"]);
    let estimate = |verdicts: &BTreeMap<String, Verdict>, kinds: &[Kind]| {
        let request = Request { kinds: kinds.iter().copied().collect(), ..everything() };
        plan(&state, &details, verdicts, &project(), &request).estimated_bytes()
    };
    assert_eq!(estimate(&verdicts, &[Kind::Image]), 0, "the cache keeps the layer");
    assert_eq!(estimate(&verdicts, &[Kind::Cache]), 77, "the images keep the others");
    assert_eq!(estimate(&verdicts, &[Kind::Image, Kind::Cache]), 477);
    let text_of_all = text(&plan(&state, &details, &verdicts, &project(), &everything()));
    insta::assert_snapshot!(text_of_all, @r"
    - network p_default ?: of the project
    - image p-api:latest 400: the compose file builds it
    - cache mount / from exec make 0: made by RUN make
    - cache [2/3] COPY f /f 0: made by RUN make; frees nothing, an image that stays has the layer
    - cache mount / from exec mid 77: made by RUN make
    = cache from local 100: a base image: it belongs to all who build on it
    ");
    verdicts.remove("own");
    assert_eq!(estimate(&verdicts, &[Kind::Image, Kind::Cache]), 77);
}

#[test]
fn containerd_has_a_snapshot_for_each_and_one_blob() {
    let (state, details) = cached(Store::Containerd, |size| 2 * size);
    let verdicts = ours(&["own", "both", "mid"]);
    let estimate = |kinds: &[Kind]| {
        let request = Request { kinds: kinds.iter().copied().collect(), ..everything() };
        plan(&state, &details, &verdicts, &project(), &request).estimated_bytes()
    };
    assert_eq!(estimate(&[Kind::Image]), 400, "its inventory; the cache keeps the blob");
    assert_eq!(estimate(&[Kind::Cache]), 400 + 500 + 77, "snapshots; the images keep the blobs");
    assert_eq!(estimate(&[Kind::Image, Kind::Cache]), 400 + 800 + 500 + 77);
}

#[test]
fn the_footprint_before_less_that_after_is_the_estimate() {
    for (store, factor) in [(Store::GraphDriver, 1), (Store::Containerd, 2)] {
        let (mut state, mut details) = cached(store, |size| factor * size);
        let verdicts = ours(&["own", "both", "mid"]);
        let plan = plan(&state, &details, &verdicts, &project(), &everything());
        let footprint = |state: &Inventory, details: &[ImageDetails]| {
            space::Space::new(state, &stacks(details)).footprint(state)
        };
        let before = footprint(&state, &details);
        state.cache.retain(|record| plan.removes(Kind::Cache).all(|item| item.id != record.id));
        state.images.remove(0);
        details.remove(0);
        assert_eq!(before - footprint(&state, &details), plan.estimated_bytes(), "{store}");
    }
}

fn removed(
    state: &Inventory,
    verdicts: &BTreeMap<String, Verdict>,
    request: Request,
) -> Vec<String> {
    let plan = plan(state, &[], verdicts, &project(), &request);
    plan.removes(Kind::Cache).map(|item| item.id.clone()).collect()
}

#[test]
fn cache_goes_least_recently_used_first_and_children_before_parents() {
    let cache = vec![
        record("a", &[], "x", 0, 10),
        record("b", &["a"], "x", 1, 10),
        record("c", &["a"], "x", 9, 10),
        record("d", &[], "x", 5, 10),
    ];
    let state = inventory(Store::GraphDriver, vec![], vec![], vec![], cache);
    let verdicts = ours(&["a", "b", "c", "d"]);
    let limit = |most| Request { cache_goal: at_most(most), ..everything() };
    assert_eq!(removed(&state, &verdicts, everything()), ["b", "d", "c", "a"]);
    assert_eq!(removed(&state, &verdicts, limit(30)), ["b"]);
    assert_eq!(removed(&state, &verdicts, limit(29)), ["b", "d"]);
    assert_eq!(removed(&state, &verdicts, limit(40)), [""; 0]);
    let until = Request { until: Some(at(6)), ..everything() };
    assert_eq!(removed(&state, &verdicts, until), ["b", "d"], "c is young and needs a");
}

#[test]
fn all_of_the_cache_is_everything_but_what_a_build_uses() {
    let mut used = record("u", &["a"], "x", 0, 10);
    used.in_use = true;
    let cache = vec![
        record("a", &[], "x", 0, 10),
        record("b", &["a"], "x", 1, 10),
        used,
        record("Z*", &[], "x", 1, 1),
    ];
    let state = inventory(Store::GraphDriver, vec![], vec![], vec![], cache);
    let verdicts: BTreeMap<String, Verdict> = [
        ("a".to_owned(), Verdict::Kept(Reason::Base)),
        ("u".to_owned(), Verdict::Kept(Reason::InUse)),
    ]
    .into();
    assert_eq!(removed(&state, &verdicts, everything()), [""; 0]);
    assert_eq!(removed(&state, &verdicts, Request { whole_cache: true, ..everything() }), ["b"]);
    let named = |ids: &[&str]| Request::named(ids.iter().map(|id| (*id).to_owned()).collect());
    assert_eq!(removed(&state, &verdicts, named(&["b"])), ["b"]);
    assert!(removed(&state, &verdicts, named(&["nothing"])).is_empty());
}

/// What is kept there would never be found again.
#[test]
fn on_the_containerd_store_no_record_goes_that_costs_what_stays() {
    let (mut state, layers) = cached(Store::Containerd, |size| 2 * size);
    let verdicts = ours(&["own", "both"]);
    let removed = |state: &Inventory, request: Request| -> Vec<String> {
        let plan = plan(state, &layers, &verdicts, &project(), &request);
        plan.removes(Kind::Cache).map(|item| item.id.clone()).collect()
    };
    assert_eq!(removed(&state, everything()), [""; 0], "mid is built on what the engine unpacked");
    assert_eq!(removed(&state, Request { whole_cache: true, ..everything() }).len(), 4);
    state.cache[0].description = "pulled from r.example/base@sha256:0".into();
    assert_eq!(removed(&state, everything()), ["own", "both"], "BuildKit unpacked that itself");
    // A blob alone, and one that is larger than what it holds.
    for size in [60, 101] {
        state.cache[0].size_bytes = size;
        assert_eq!(removed(&state, everything()), [""; 0], "{size}");
    }
    state.cache.pop();
    assert_eq!(removed(&state, everything()), ["own", "both"]);
    let some = Request { cache_goal: at_most(1_000), ..everything() };
    assert_eq!(removed(&state, some), [""; 0], "what is left of ours would be lost, too");
}

/// A step that changed nothing has a record and no layer: no other step's layer may stand for it.
#[test]
fn layers_of_the_same_second_are_told_by_the_words_of_their_steps() {
    let base = ("0", 0, "FROM", 100);
    let layers = [
        base,
        ("w", 20, "WORKDIR /work", 8_192),
        ("a", 20, "RUN /bin/sh -c make a # buildkit", 6_000),
        ("b", 20, "RUN /bin/sh -c make b # buildkit", 8_192),
    ];
    let cache = vec![
        record("base", &[], "pulled from r.example/base@sha256:0", 0, 250),
        record("w", &["base"], "[2/5] WORKDIR /work", 20, 12_400),
        record("w2", &["w"], "[3/5] WORKDIR /work", 20, 4_125),
        record("a", &["w2"], "mount / from exec /bin/sh -c make a", 20, 16_300),
        record("b", &["a"], "mount / from exec /bin/sh -c make b", 20, 12_100),
        record("own", &["base"], "mount / from exec /bin/sh -c own", 30, 9_000),
    ];
    let images = vec![image("1", &["q:1"], Labels::new())];
    let state = inventory(Store::Containerd, images, vec![], vec![], cache);
    let details = [details("1", &layers, Some(1_000))];
    let plan = plan(&state, &details, &ours(&["own"]), &project(), &everything());
    let removed: Vec<&str> = plan.removes(Kind::Cache).map(|item| item.id.as_str()).collect();
    assert_eq!(removed, ["own"]);
}

/// An imported step is a blob that nothing has unpacked yet, whether an image has it or not.
#[test]
fn a_step_of_an_imported_cache_is_forgotten_as_a_base_image_is() {
    let layers = [("0", 0, "FROM", 100), ("o", 10, "RUN /bin/sh -c own # buildkit", 400)];
    let details = [details("1", &layers, Some(1_000))];
    for (description, expected) in [
        ("imported sha256:0", &[][..]),
        ("RUN /bin/sh -c theirs # buildkit", &[]),
        ("mount / from exec /bin/sh -c theirs", &["own"]),
    ] {
        let cache = vec![
            record("base", &[], "pulled from r.example/base@sha256:0", 0, 250),
            record("own", &["base"], "mount / from exec /bin/sh -c own", 10, 800),
            record("theirs", &["base"], description, 20, 60),
        ];
        let images = vec![image("1", &["q:1"], Labels::new())];
        let state = inventory(Store::Containerd, images, vec![], vec![], cache);
        let plan = plan(&state, &details, &ours(&["own"]), &project(), &everything());
        let removed: Vec<&str> = plan.removes(Kind::Cache).map(|item| item.id.as_str()).collect();
        assert_eq!(removed, expected, "{description}");
    }
}

/// Where BuildKit alone unpacks layers, a base that a step stood upon is unpacked, whatever its size says; what was only
/// imported is not.
#[test]
fn on_a_builder_only_what_no_step_stood_upon_is_forgotten() {
    let removed = |unpacks_alone: bool, cache: Vec<CacheRecord>| -> Vec<String> {
        let state = inventory(Store::Buildkit { unpacks_alone }, vec![], vec![], vec![], cache);
        let plan = plan(&state, &[], &ours(&["own"]), &project(), &everything());
        plan.removes(Kind::Cache).map(|item| item.id.clone()).collect()
    };
    let base = record("base", &[], "pulled from r.example/base@sha256:0", 0, 250);
    let own = record("own", &["base"], "mount / from exec /bin/sh -c own", 10, 800);
    let theirs = record("theirs", &["base"], "mount / from exec /bin/sh -c theirs", 20, 60);
    let all = vec![base.clone(), own.clone(), theirs.clone()];
    assert_eq!(removed(true, all.clone()), ["own"]);
    assert_eq!(removed(false, all.clone()), [""; 0], "others may have unpacked the base");
    let imported = record("imported", &["base"], "imported sha256:1", 20, 60);
    let mut lazy = all.clone();
    lazy.push(imported.clone());
    assert_eq!(removed(true, lazy.clone()), [""; 0], "nothing stands on what was imported");
    lazy.push(record("on", &["imported"], "mount / from exec /bin/sh -c on", 30, 60));
    assert_eq!(removed(true, lazy), ["own"]);
    // A linked copy joins layers and unpacks none.
    let other = record("other", &[], "pulled from r.example/other@sha256:2", 0, 250);
    let linked = record("linked", &["other", "copied"], "[2/2] COPY --link f /f", 20, 0);
    let copied = record("copied", &[], "[2/2] COPY --link f /f", 20, 60);
    let mut joined = all;
    joined.extend([other, copied, linked]);
    assert_eq!(removed(true, joined.clone()), [""; 0]);
    joined.push(record("upon", &["linked"], "mount / from exec /bin/sh -c upon", 30, 60));
    assert_eq!(removed(true, joined), ["own"]);
}

#[test]
fn what_is_left_of_earlier_builds_goes_alone() {
    let (mut state, layers) = cached(Store::GraphDriver, |size| size);
    state.images.push(image("2", &[], labels("p", "api")));
    state.images.push(image("9", &[], labels("q", "api")));
    state.containers = vec![container("a", "p", "exited", "9", &["data"])];
    state.volumes = vec![volume("data", "p")];
    state.images[1].id = "3".into();
    let mut verdicts = ours(&["own", "both", "mid"]);
    if let Some(Verdict::Ours { is_current, .. }) = verdicts.get_mut("own") {
        *is_current = true;
    }
    let planned = text(&plan(&state, &layers[..1], &verdicts, &project(), &Request::old()));
    insta::assert_snapshot!(planned, @r"
    - image <none> 0: dangling, built by the project
    - cache [2/3] COPY f /f 0: made by RUN make; frees nothing, an image that stays has the layer
    - cache mount / from exec mid 77: made by RUN make
    = image p-api:latest 1000: current: it has a name
    = cache from local 100: a base image: it belongs to all who build on it
    = cache mount / from exec make 400: a current build of the project needs it
    ");
}

#[test]
fn what_was_not_asked_for_is_offered_with_what_it_frees() {
    let (mut state, details) = cached(Store::GraphDriver, |size| size);
    state.containers = vec![container("a", "p", "running", "1", &["data"])];
    state.images[0].containers = vec!["a".into()];
    let verdicts = ours(&["own", "both", "mid"]);
    let frees = |request: &Request| {
        plan(&state, &details, &verdicts, &project(), request).estimated_bytes()
    };
    let ask = |request: &Request| -> Vec<(&'static str, u64)> {
        offers(request, frees(request), frees).iter().map(|it| (it.what, it.more_bytes)).collect()
    };
    let mut request = everything();
    assert_eq!(ask(&request), [("--stop", 405)], "the container, and a layer with its record");
    request.kinds.remove(&Kind::Cache);
    assert_eq!(ask(&request), [("--cache", 77), ("--stop", 5)], "the cache keeps the layer");
    let limited = Request { cache_goal: at_most(1_000_000), ..Request::cache() };
    assert_eq!(ask(&limited), [("clean --only cache", 77)]);
    assert_eq!(ask(&Request::old()), [("clean --only cache", 0)][..0]);
    let found = remedies(frees);
    assert_eq!(found.len(), 2);
    assert!(found.iter().all(|it| it.frees_bytes == 77), "{found:?}");
}
