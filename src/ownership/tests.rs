//! Whose things are, from states as engines report them.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::path::PathBuf;

use super::*;
use crate::inventory::{Container, Image, Inventory, Labels, Mount, Network, Store, Volume};
use crate::test_engine::engine_facts;

const HERE: &str = "/here";

fn labelled(pairs: &[(&str, &str)]) -> Labels {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

/// Labels of an image that was built for the service `app` of `project`.
fn of_image(project: &str) -> Labels {
    labelled(&[(labels::PROJECT, project), (labels::SERVICE, "app")])
}

/// Labels that compose gives a container of an image of [`of_image`].
fn of_container(project: &str, directory: &str) -> Labels {
    let mut all = of_image(project);
    all.extend(labelled(&[
        (labels::OF_CONTAINERS[0], "hash"),
        (labels::NUMBER, "1"),
        (labels::WORKING_DIR, directory),
        (labels::CONFIG_FILES, &format!("{directory}/compose.yaml")),
    ]));
    all
}

fn image(id: &str, references: &[&str], labels: Labels) -> Image {
    Image {
        id: id.into(),
        references: references.iter().map(|name| (*name).to_owned()).collect(),
        digests: Vec::new(),
        created: None,
        size_bytes: None,
        shared_bytes: None,
        labels,
        parent: None,
        containers: Vec::new(),
    }
}

fn container(name: &str, image: &str, labels: Labels, volumes: &[&str]) -> Container {
    Container {
        id: name.into(),
        name: name.into(),
        image_id: image.into(),
        image: String::new(),
        state: "exited".into(),
        created: None,
        size_rw_bytes: None,
        labels,
        mounts: volumes
            .iter()
            .map(|volume| Mount {
                kind: "volume".into(),
                volume: Some((*volume).into()),
                destination: "/v".into(),
            })
            .collect(),
        networks: Vec::new(),
    }
}

fn volume(name: &str, labels: Labels) -> Volume {
    Volume {
        name: name.into(),
        driver: "local".into(),
        created: None,
        size_bytes: None,
        labels,
        containers: Vec::new(),
    }
}

fn network(name: &str, labels: Labels) -> Network {
    Network {
        id: name.into(),
        name: name.into(),
        driver: "bridge".into(),
        created: None,
        labels,
        containers: Vec::new(),
    }
}

#[derive(Default)]
struct State {
    images: Vec<Image>,
    containers: Vec<Container>,
    volumes: Vec<Volume>,
    networks: Vec<Network>,
}

impl State {
    fn inventory(self) -> Inventory {
        let Self { mut images, containers, mut volumes, networks } = self;
        let users = |uses: &dyn Fn(&Container) -> bool| -> Vec<String> {
            containers.iter().filter(|it| uses(it)).map(|it| it.id.clone()).collect()
        };
        for image in &mut images {
            image.containers = users(&|it| it.image_id == image.id);
        }
        for volume in &mut volumes {
            let name = Some(&volume.name);
            volume.containers =
                users(&|it| it.mounts.iter().any(|mount| mount.volume.as_ref() == name));
        }
        Inventory {
            engine: engine_facts(Store::GraphDriver),
            images,
            containers,
            volumes,
            networks,
            cache: Vec::new(),
            gaps: Vec::new(),
        }
    }
}

fn names(all: &[&str]) -> BTreeSet<String> {
    all.iter().map(|name| (*name).to_owned()).collect()
}

/// Project `p` with service `app`, volume `data` and its files in [`HERE`].
fn project() -> Project {
    Project {
        name: "p".into(),
        built: names(&["p-app:latest"]),
        pulled: names(&["redis:7"]),
        external: Names { volumes: names(&["p_kept"]), networks: names(&["p_net"]) },
        checkout: Some(Checkout {
            directory: HERE.into(),
            files: [PathBuf::from("/here/compose.yaml")].into(),
            declared: Names { volumes: names(&["p_data"]), networks: names(&["p_default"]) },
        }),
    }
}

fn by_name() -> Project {
    Project { name: "p".into(), ..Project::default() }
}

fn ask(state: State, project: &Project, evidence: &Evidence, include: &[Include]) -> Vec<String> {
    let inventory = state.inventory();
    let include = include.iter().copied().collect();
    let answer = judge(&Question {
        project,
        inventory: &inventory,
        stacks: &[],
        histories: &[],
        evidence,
        include: &include,
    });
    let words = |name: &str, whose: &Whose| match whose {
        Whose::Ours(_) => format!("{name}: ours"),
        Whose::Pulled => format!("{name}: pulled"),
        Whose::Kept(reason) => format!("{name}: {reason}"),
    };
    let things = answer.containers.iter().chain(&answer.networks).chain(&answer.volumes);
    let mut lines: Vec<String> = things.map(|(name, whose)| words(name, whose)).collect();
    for (id, judged) in &answer.images {
        lines.extend(judged.iter().map(|(name, whose)| words(name.as_ref().unwrap_or(id), whose)));
    }
    lines
}

/// What `clean` would take for the project's with the files at hand and nothing recorded.
fn plainly(state: State) -> Vec<String> {
    ask(state, &project(), &Evidence::default(), &[])
}

#[test]
fn a_container_is_the_projects_by_a_label_that_its_image_does_not_have() {
    let committed = of_container("p", HERE);
    let mut again = committed.clone();
    again.insert(labels::OF_CONTAINERS[0].into(), "another".into());
    let mut one_off = of_container("p", HERE);
    one_off.remove(labels::NUMBER);
    one_off.insert(labels::OF_CONTAINERS[2].into(), "True".into());
    let state = || State {
        images: vec![
            image("1", &["p-app:latest"], of_image("p")),
            image("2", &["snap:1"], committed.clone()),
        ],
        containers: vec![
            container("by-compose", "1", of_container("p", HERE), &[]),
            container("one-off", "1", one_off.clone(), &[]),
            container("by-hand", "1", of_image("p"), &[]),
            container("of-a-commit", "2", committed.clone(), &[]),
            container("of-a-commit-by-compose", "2", again.clone(), &[]),
            container("of-q", "1", of_container("q", HERE), &[]),
            container("unlabelled", "1", Labels::new(), &[]),
            container("labelled", "9", of_image("p"), &[]),
            container("elsewhere", "9", of_image("q"), &[]),
            container("gone", "9", of_container("p", HERE), &[]),
            container("p-app-1", "8", of_container("p", HERE), &[]),
        ],
        ..State::default()
    };
    let inherited = "compose did not make it: it has the project's label from its image";
    let mut expected = vec![
        "by-compose: ours".to_owned(),
        format!("by-hand: {inherited}"),
        "gone: its image is gone, so nobody can tell whether its labels are compose's".to_owned(),
        "labelled: compose did not make it".to_owned(),
        format!("of-a-commit: {inherited}"),
        "of-a-commit-by-compose: ours".to_owned(),
        "of-q: of project q: it runs an image of this one".to_owned(),
        "one-off: ours".to_owned(),
        "p-app-1: ours".to_owned(),
        "unlabelled: compose did not make it: it runs an image of the project".to_owned(),
        "p-app:latest: ours".to_owned(),
        "snap:1: has the project's label, perhaps from an image it is built on; no build gave it this name".to_owned(),
    ];
    assert_eq!(plainly(state()), expected);
    // An image that is in no list still has labels.
    let mut evidence = Evidence::default();
    evidence.unlisted.insert("9".into(), committed.clone());
    expected[2] = format!("gone: {inherited}");
    expected[3] = format!("labelled: {inherited}");
    assert_eq!(ask(state(), &project(), &evidence, &[]), expected);
}

#[test]
fn what_comes_from_another_directory_stays_unless_it_is_taken_in() {
    let linked = |directory: &str| of_container("p", directory);
    let mut by_files = of_container("p", HERE);
    by_files.remove(labels::WORKING_DIR);
    let mut by_other_files = by_files.clone();
    by_other_files.insert(labels::CONFIG_FILES.into(), "/here/compose.yaml,/x/more.yaml".into());
    let state = || State {
        containers: vec![
            container("here", "1", linked(HERE), &[]),
            container("link", "1", linked("/link"), &["f".repeat(64).as_str()]),
            container("there", "1", linked("/there"), &["e".repeat(64).as_str()]),
            container("files", "1", by_files.clone(), &[]),
            container("other-files", "1", by_other_files.clone(), &[]),
        ],
        images: vec![image("1", &["p-app:latest"], of_image("p"))],
        volumes: vec![
            volume(&"f".repeat(64), Labels::new()),
            volume(&"e".repeat(64), Labels::new()),
        ],
        ..State::default()
    };
    let mut evidence = Evidence::default();
    evidence.places.insert("/link".into(), HERE.into());
    let (f, e) = ("f".repeat(64), "e".repeat(64));
    let kept = ask(state(), &project(), &evidence, &[]);
    assert_eq!(
        kept,
        [
            "files: ours".to_owned(),
            "here: ours".to_owned(),
            "link: ours".to_owned(),
            "other-files: the project is used from another directory too, and nobody recorded which of them made it; \
             --include other-directories takes it in"
                .to_owned(),
            "there: made from another directory, /there; --include other-directories takes it in"
                .to_owned(),
            format!("{e}: container there uses it, which is not counted as the project's"),
            format!("{f}: ours"),
            "p-app:latest: ours".to_owned(),
        ]
    );
    let all = ask(state(), &project(), &evidence, &[Include::OtherDirectories]);
    assert!(all.iter().all(|line| line.ends_with(": ours")), "{all:?}");
    let named = ask(state(), &by_name(), &evidence, &[]);
    assert!(named.iter().all(|line| line.ends_with(": ours")), "{named:?}");
}

#[test]
fn volumes_and_networks_are_what_the_files_declare_and_compose_made() {
    let made = |project: &str, key: &str| labelled(&[(labels::PROJECT, project), (key, "x")]);
    let state = || State {
        volumes: vec![
            volume("p_data", made("p", labels::VOLUME)),
            volume("p_old", made("p", labels::VOLUME)),
            volume("p_kept", made("p", labels::VOLUME)),
            volume("by-hand", labelled(&[(labels::PROJECT, "p")])),
            volume("q_data", made("q", labels::VOLUME)),
            volume(&"a".repeat(64), Labels::new()),
        ],
        networks: vec![
            network("p_default", made("p", labels::NETWORK)),
            network("p_old_net", made("p", labels::NETWORK)),
            network("p_net", made("p", labels::NETWORK)),
            network("bridge", Labels::new()),
        ],
        ..State::default()
    };
    let kept = plainly(state());
    assert_eq!(
        kept,
        [
            "p_default: ours",
            "p_net: the compose file calls it external",
            "p_old_net: the compose file names no such network; --include undeclared takes it in",
            "by-hand: compose did not make it",
            "p_data: ours",
            "p_kept: the compose file calls it external",
            "p_old: the compose file names no such volume; --include undeclared takes it in",
        ]
    );
    let included = ask(state(), &project(), &Evidence::default(), &[Include::Undeclared]);
    let ours = |lines: &[String]| {
        let ours = lines.iter().filter_map(|line| line.strip_suffix(": ours"));
        ours.map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(ours(&included), ["p_default", "p_old_net", "p_data", "p_old"]);
    let named = ask(state(), &by_name(), &Evidence::default(), &[]);
    assert_eq!(ours(&named), ["p_default", "p_net", "p_old_net", "p_data", "p_kept", "p_old"]);
    // Names that the files declare and somebody else took.
    let taken = plainly(State {
        volumes: vec![volume("p_data", Labels::new())],
        networks: vec![network("p_default", made("q", labels::NETWORK))],
        ..State::default()
    });
    assert_eq!(taken, ["p_default: project q made it", "p_data: compose did not make it"]);
}

#[test]
fn a_name_is_the_projects_where_a_build_gave_it() {
    let images = || State {
        images: vec![
            image("1", &["p-app:latest", "p-app:v1", "mine:keep"], of_image("p")),
            image(
                "2",
                &["p-old:latest"],
                labelled(&[(labels::PROJECT, "p"), (labels::SERVICE, "old")]),
            ),
            image("3", &["redis:7"], Labels::new()),
            image("4", &["tool:1"], of_image("p")),
            image("5", &["q-app:latest"], of_image("q")),
            image("6", &["recorded:1"], of_image("p")),
            image("7", &[], of_image("p")),
            image("8", &[], of_image("p")),
        ],
        ..State::default()
    };
    let mut evidence = Evidence::default();
    for id in ["6", "7"] {
        evidence.made.insert(
            id.into(),
            Origin { from: [PathBuf::from(HERE)].into(), names: names(&["recorded:1"]) },
        );
    }
    let hand_made =
        "has the project's label, perhaps from an image it is built on; no build gave it this name";
    assert_eq!(
        ask(images(), &project(), &evidence, &[]),
        [
            "p-app:latest: ours".to_owned(),
            format!("p-app:v1: {hand_made}"),
            format!("mine:keep: {hand_made}"),
            "p-old:latest: has the project's label, and the compose file names no such image; --include undeclared \
             takes it in"
                .to_owned(),
            "redis:7: pulled".to_owned(),
            format!("tool:1: {hand_made}"),
            "recorded:1: ours".to_owned(),
            "7: ours".to_owned(),
            "8: no recorded build of the project made it; --include unrecorded takes it in".to_owned(),
        ]
    );
    let named = ask(images(), &by_name(), &evidence, &[]);
    assert!(named.contains(&"p-old:latest: ours".to_owned()), "{named:?}");
    // Another project's, whether the files build or only use the name.
    let others = |reference| State {
        images: vec![image("1", &[reference], of_image("q"))],
        ..State::default()
    };
    for name in ["p-app:latest", "redis:7"] {
        assert_eq!(plainly(others(name)), [format!("{name}: project q made it")]);
    }
    // Nobody labelled it: it was not built by compose, nor by this program.
    let plain =
        State { images: vec![image("1", &["p-app:latest"], Labels::new())], ..State::default() };
    let unrecorded = "no recorded build of the project made it; --include unrecorded takes it in";
    assert_eq!(plainly(plain), [format!("p-app:latest: {unrecorded}")]);
}

#[test]
fn the_image_of_another_checkout_stays() {
    let state = |user: Option<&str>| State {
        images: vec![image("1", &["p-app:latest"], of_image("p"))],
        containers: user
            .map(|directory| container("c", "1", of_container("p", directory), &[]))
            .into_iter()
            .collect(),
        ..State::default()
    };
    let from = |directories: &[&str]| {
        let from = directories.iter().map(PathBuf::from).collect();
        let made = [("1".to_owned(), Origin { from, names: BTreeSet::new() })].into();
        let elsewhere = directories.iter().any(|directory| *directory != HERE);
        Evidence { made, elsewhere, ..Evidence::default() }
    };
    let last =
        |state: State, evidence: &Evidence| ask(state, &project(), evidence, &[]).pop().unwrap();
    let include = "; --include other-directories takes it in";
    assert_eq!(last(state(None), &from(&[HERE])), "p-app:latest: ours");
    assert_eq!(
        last(state(None), &from(&["/there"])),
        format!("p-app:latest: made from another directory, /there{include}")
    );
    assert_eq!(
        last(state(None), &from(&[HERE, "/there"])),
        format!("p-app:latest: built from another directory, too: /there{include}")
    );
    // Nobody recorded it: it is ours until somebody else is known to use the project, who may have built it.
    let unknown = Evidence { elsewhere: true, ..Evidence::default() };
    assert_eq!(last(state(None), &Evidence::default()), "p-app:latest: ours");
    assert_eq!(last(state(Some(HERE)), &unknown), "p-app:latest: ours");
    for (user, evidence) in [(None, &unknown), (Some("/there"), &Evidence::default())] {
        let said = last(state(user), evidence);
        assert!(said.contains("nobody recorded which of them"), "{said}");
    }
}
