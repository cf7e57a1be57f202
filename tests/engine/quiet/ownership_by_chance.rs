//! Two projects and things made by hand, at random: a clean of one takes exactly the set that a model predicts.
//!
//! `DOC2MD_OWNERSHIP_ROUNDS=50` runs that many rounds on each engine, `DOC2MD_OWNERSHIP_SEED=N` one again.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::Path;

use serde_json::Value;

use crate::quiet::ownership::{Owned, anonymous, build_on, compose, has, run};
use crate::support::{BUSYBOX, Chance, Engine, Project, in_short, on_every_engine};

/// Rounds on each engine.
const ROUNDS: u64 = 2;

/// What the model expects of one round.
#[derive(Default)]
struct Model {
    /// `KIND NAME` of what goes.
    goes: BTreeSet<String>,
    /// `KIND NAME` of what stays.
    stays: BTreeSet<String>,
    /// Whether somebody else has a container of the project's image, its volume, its network.
    image_used: bool,
    data_used: bool,
    network_used: bool,
}

impl Model {
    fn goes(&mut self, kind: &str, name: &str) {
        self.goes.insert(format!("{kind} {name}"));
    }

    fn stays(&mut self, kind: &str, name: &str) {
        self.stays.insert(format!("{kind} {name}"));
    }

    fn expect(&mut self, goes: bool, kind: &str, name: &str) {
        if goes { self.goes(kind, name) } else { self.stays(kind, name) }
    }
}

/// The files of a checkout. The volumes `external` and `gone` are made as compose makes those that are declared.
fn write(project: &Project, folder: &str, declared_network: bool) {
    let name = project.name();
    let mut file = format!(
        "services:\n  app:\n    build: .\n    command: sleep 600\n    network_mode: none\n    volumes: [data:/data, \
         /anonymous]\nvolumes:\n  data: {{}}\n  kept: {{external: true, name: {name}_kept}}\n"
    );
    if declared_network {
        let _ = write!(file, "networks:\n  own: {{}}\n");
    }
    project
        .write(Path::new(folder).join("compose.yaml"), file)
        .write(Path::new(folder).join("Dockerfile"), dockerfile(name));
}

fn dockerfile(name: &str) -> String {
    format!("FROM {BUSYBOX}\nRUN echo {name} > /own\n")
}

fn round(engine: &Engine, seed: u64) {
    let mut chance = Chance(seed);
    let project = Owned(Project::new(engine));
    let other = Owned(Project::new(engine));
    let mut model = Model::default();
    let name = |what: &str| format!("{}-{what}", project.name());
    let app = format!("{}-app:latest", project.name());
    let data = format!("{}_data", project.name());
    let declares_network = chance.one_in(2);
    write(&project, "a", declares_network);
    write(&project, "b", declares_network);
    let (a, b) = (project.dir().join("a"), project.dir().join("b"));
    run(&project, &a, &["build"]);
    let mut has_data = false;

    // What compose makes here goes.
    let mut own = Vec::new();
    if chance.one_in(2) {
        compose(&project, &a, &["create", "--no-build"]);
        own.push(name("app-1"));
        if chance.one_in(2) {
            engine.docker_ok(&["start", &name("app-1")]);
        }
    }
    if chance.one_in(2) {
        compose(&project, &a, &["run", "--detach", "--name", &name("once"), "app", "true"]);
        own.push(name("once"));
    }
    for container in &own {
        has_data = true;
        model.goes("container", container);
        for volume in anonymous(engine, container) {
            model.goes("volume", &volume);
        }
    }
    // What it made from another directory stays.
    if chance.one_in(3) {
        compose(&project, &b, &["run", "--detach", "--name", &name("there"), "app", "true"]);
        has_data = true;
        (model.image_used, model.data_used) = (true, true);
        model.stays("container", &name("there"));
        for volume in anonymous(engine, &name("there")) {
            model.stays("volume", &volume);
        }
    }
    // Networks and volumes as compose makes them; one declared, one external, one that no file names any more.
    let label = format!("com.docker.compose.project={}", project.name());
    let make = |kind: &str, key: &str, by_compose: bool| {
        let thing = format!("{}_{key}", project.name());
        let key = format!("com.docker.compose.{kind}={key}");
        let mut args = vec![kind, "create", "--label", &label];
        if by_compose {
            args.extend(["--label", &key]);
        }
        args.push(&thing);
        engine.docker_ok(&args);
        thing
    };
    for key in ["kept", "gone", "by-hand"] {
        if chance.one_in(2) {
            let volume = make("volume", key, key != "by-hand");
            model.stays("volume", &volume);
        }
    }
    let network = chance.one_in(2).then(|| make("network", "own", true));
    // By hand, of the project's image.
    if chance.one_in(2) {
        let container = name("by-hand");
        let mut args = vec!["create", "--name", &container, "-v", "/anonymous"];
        let mount = format!("{data}:/d");
        if has_data && chance.one_in(2) {
            args.extend(["-v", &mount]);
            model.data_used = true;
        }
        match &network {
            Some(network) if chance.one_in(2) => {
                args.extend(["--network", network]);
                model.network_used = true;
            }
            _ => args.extend(["--network", "none"]),
        }
        args.extend([app.as_str(), "sleep", "600"]);
        engine.docker_ok(&args);
        if chance.one_in(2) && !model.network_used {
            engine.docker_ok(&["start", &container]);
        }
        model.image_used = true;
        model.stays("container", &container);
        for volume in anonymous(engine, &container) {
            model.stays("volume", &volume);
        }
    }
    // Built on it, and names.
    let mut images = Vec::new();
    if chance.one_in(2) {
        let derived = name("derived:1");
        images.push(build_on(&project, &app, &["--tag", &derived]));
        model.stays("image", &derived);
        if chance.one_in(2) {
            let container = name("of-derived");
            engine.docker_ok(&["create", "--name", &container, "--network", "none", &derived]);
            model.stays("container", &container);
        }
    }
    if chance.one_in(3) {
        let unnamed = build_on(&project, &app, &["--label", "unnamed=1"]);
        model.stays("image", &unnamed);
        images.push(unnamed);
    }
    if chance.one_in(2) {
        let tag = name(if chance.one_in(2) { "app:v1" } else { "mine:keep" });
        engine.docker_ok(&["tag", &app, &tag]);
        model.stays("image", &tag);
    }
    // The other project, which may run this one's image.
    other
        .write("Dockerfile", dockerfile(other.name()))
        .write("compose.yaml", "services: {app: {build: ., network_mode: none}}");
    run(&other, &other.dir(), &["build"]);
    if chance.one_in(3) {
        other.write(
            "compose.yaml",
            format!(
                "services: {{app: {{build: ., network_mode: none}}, borrowed: {{image: '{app}', network_mode: none}}}}"
            ),
        );
        model.image_used = true;
        model.stays("container", &format!("{}-borrowed-1", other.name()));
    }
    compose(&other, &other.dir(), &["create", "--no-build", "--pull", "never"]);
    model.stays("container", &format!("{}-app-1", other.name()));
    model.stays("image", &format!("{}-app:latest", other.name()));

    let used = (model.image_used, model.data_used, model.network_used);
    model.expect(!used.0, "image", &app);
    if has_data {
        model.expect(!used.1, "volume", &data);
    }
    if let Some(network) = &network {
        model.expect(declares_network && !used.2, "network", network);
    }

    let args = ["clean", "--stop", "--cache", "--force", "--format", "json"];
    let done: Value = serde_json::from_str(&run(&project, &a, &args)).unwrap();
    let things = done["remove"].as_array().unwrap().iter().filter(|it| it["kind"] != "cache");
    let removed: BTreeSet<String> = things
        .map(|it| format!("{} {}", it["kind"].as_str().unwrap(), it["name"].as_str().unwrap()))
        .collect();
    assert_eq!(removed, model.goes, "{done:#}");
    let is_there = |thing: &String| {
        let (kind, name) = thing.split_once(' ').unwrap();
        has(engine, kind, name)
    };
    let lost: Vec<&String> = model.stays.iter().filter(|thing| !is_there(thing)).collect();
    let left: Vec<&String> = model.goes.iter().filter(|thing| is_there(thing)).collect();
    assert!(lost.is_empty() && left.is_empty(), "lost {lost:?}, left {left:?}: {done:#}");
    assert_eq!(other.ran(), BTreeSet::new(), "the other project builds from its cache: {done:#}");
    for image in images {
        drop(engine.docker(&["image", "rm", "-f", &image]).output());
    }
}

#[test]
fn a_clean_takes_exactly_what_the_model_predicts() {
    let number = |name: &str| std::env::var(name).ok().map(|text| text.parse::<u64>().unwrap());
    let only = number("DOC2MD_OWNERSHIP_SEED");
    let rounds = number("DOC2MD_OWNERSHIP_ROUNDS").unwrap_or(ROUNDS);
    on_every_engine(|engine| {
        let seeds = only.map_or(1..=rounds, |seed| seed..=seed);
        for seed in seeds {
            let one = || round(engine, seed);
            let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(one));
            if let Err(why) = result {
                panic!("DOC2MD_OWNERSHIP_SEED={seed} {}", in_short(&*why));
            }
        }
    });
}
