//! One build on several nodes of a builder: each builds the platforms that it was given, and one index of the parts gets the names.
//!
//! Two engines behind proxies stand for the nodes. Nothing of another machine is run: copies are made for any platform.

use std::process::{Command, Output};

use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::builds_elsewhere::{built, command};
use crate::support::{BuildkitStandIn, PrivateEngine, Project, Registry, engine, http, text};

const CONTAINERD: &str = "28.5-containerd";
const PLATFORMS: &str = "linux/amd64,linux/arm64";

/// A builder `two` of two nodes, and a project with two services, one of which stands on the other.
struct Nodes {
    project: Project,
    nodes: [BuildkitStandIn; 2],
    registry: Registry,
    _second: PrivateEngine,
}

impl Nodes {
    fn start() -> Self {
        Self::with(["linux/amd64", "linux/arm64"])
    }

    /// With what is given to each node; nothing where that is empty.
    fn with(given: [&str; 2]) -> Self {
        let (first, second) = (engine(CONTAINERD), PrivateEngine::start(CONTAINERD));
        let sockets = [first.socket(), second.engine().socket()];
        let nodes = sockets.map(BuildkitStandIn::start);
        let registry = Registry::open();
        let project = Project::new(&first);
        let name = project.name().to_owned();
        let at = registry.address();
        project
            .write(
                "compose.yaml",
                format!(
                    "services:\n  \
                       base: {{image: '{at}/{name}/base:1', build: {{context: ., dockerfile: base.Dockerfile}}}}\n  \
                       web:\n    image: '{at}/{name}/web:1'\n    build:\n      context: .\n      \
                       tags: ['{at}/{name}/web:latest', '{at}/{name}/other:1']\n      \
                       additional_contexts: {{base: 'service:base'}}\n"
                ),
            )
            .write("base.Dockerfile", "FROM scratch\nCOPY f /f\n")
            .write("Dockerfile", "FROM base\nCOPY g /g\n")
            .write("f", format!("f of {name}"))
            .write("g", format!("g of {name}"));
        for (node, platform) in nodes.iter().zip(given) {
            let mut args = vec!["create", "--name", "two", "--driver", "remote"];
            if node.address() != nodes[0].address() {
                args.push("--append");
            }
            if !platform.is_empty() {
                args.extend(["--platform", platform]);
            }
            let address = node.address();
            args.push(&address);
            let created = buildx(&project, &args);
            assert!(created.status.success(), "{}", text(&created));
        }
        Self { project, nodes, registry, _second: second }
    }

    fn run(&self, args: &[&str]) -> Output {
        let args = [&["--builder", "two", "--progress", "plain", "build"], args].concat();
        command(&self.project, &args).output().unwrap()
    }

    /// What stands under a tag; `None` where nothing does.
    fn tag(&self, image: &str, tag: &str) -> Option<(String, Value)> {
        let path = format!("/v2/{}/{image}/manifests/{tag}", self.project.name());
        let answer = http::get_manifest(self.registry.address(), &path).unwrap();
        let digest = format!("sha256:{}", hex::encode(Sha256::digest(&answer.body)));
        (answer.status == 200).then(|| (digest, serde_json::from_str(&answer.body).unwrap()))
    }

    /// What the node pushed whose part `name` is, by the id in the summary.
    fn part(&self, said: &str, name: &str) -> Value {
        let row = said.lines().rfind(|line| line.starts_with(&format!("{name} "))).unwrap();
        let id = row.split_whitespace().last().unwrap();
        let blobs = self.registry.blobs();
        let pushed = blobs.iter().find(|(digest, _)| digest.starts_with(&format!("sha256:{id}")));
        serde_json::from_slice(&std::fs::read(pushed.unwrap().1).unwrap()).unwrap()
    }

    /// The configuration of the image that `digest` is.
    fn config(&self, image: &str, digest: &str) -> Value {
        let (_, manifest) = self.tag(image, digest).unwrap();
        let config = manifest["config"]["digest"].as_str().unwrap();
        let blob = std::fs::read(&self.registry.blobs()[config]).unwrap();
        serde_json::from_slice(&blob).unwrap()
    }
}

fn buildx(project: &Project, args: &[&str]) -> Output {
    Command::new(std::env::var("DOC2MD_TEST_BUILDX").unwrap())
        .args(args)
        .current_dir(project.dir())
        .env("DOCKER_HOST", &project.engine().host)
        .env("DOCKER_CONFIG", project.home().join("docker"))
        .env("BUILDX_CONFIG", project.home().join("buildx"))
        .env("BUILDX_NO_DEFAULT_ATTESTATIONS", "1")
        .output()
        .unwrap()
}

/// Digests and platforms of the images of an index, without what is attested of them.
fn images(index: &Value) -> Vec<(String, String)> {
    let manifests = index["manifests"].as_array().unwrap().iter();
    let images = manifests.filter(|it| it["platform"]["os"] == "linux");
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    images.map(|it| (text(&it["platform"]["architecture"]), text(&it["digest"]))).collect()
}

#[test]
fn each_node_builds_its_platform_and_one_index_gets_all_names() {
    let nodes = Nodes::start();
    let args = ["--builder", "two", "build", "--push", "--platform", PLATFORMS];
    let (said, metadata) = built(&nodes.project, &args);
    for (number, platform) in ["linux/amd64", "linux/arm64"].into_iter().enumerate() {
        let address = nodes.nodes[number].address();
        let first =
            format!("building {platform} on the builder `two`, node `two{number}`, at {address}");
        assert!(said.contains(&first), "{said}");
        let architecture = platform.trim_start_matches("linux/");
        for service in ["base", "web"] {
            let part = nodes.part(&said, &format!("{service}@two{number}"));
            let made: Vec<String> = images(&part).into_iter().map(|it| it.0).collect();
            assert_eq!(made, [architecture], "{said}");
        }
    }
    let (digest, index) = nodes.tag("web", "1").unwrap();
    let all = images(&index);
    assert_eq!(all.iter().map(|it| &*it.0).collect::<Vec<_>>(), ["amd64", "arm64"], "{index}");
    for (architecture, image) in &all {
        assert_eq!(nodes.config("web", image)["architecture"], **architecture);
    }
    for (image, tag) in [("web", "latest"), ("other", "1")] {
        assert_eq!(nodes.tag(image, tag).unwrap().0, digest, "{image}:{tag}");
    }
    assert_eq!(metadata["web"]["containerimage.digest"], *digest, "{metadata}");
    let targets: Vec<&String> = metadata.as_object().unwrap().keys().collect();
    assert_eq!(targets, ["base", "web"]);
    // The layers of the base are below on each node.
    let layers =
        |image: &str, digest: &str| nodes.config(image, digest)["rootfs"]["diff_ids"].clone();
    let base = images(&nodes.tag("base", "1").unwrap().1);
    for ((_, web), (_, base)) in all.iter().zip(&base) {
        assert_eq!(layers("web", web)[0], layers("base", base)[0]);
    }
    // The history knows what ran where.
    let shown = command(&nodes.project, &["history", "show"]).output().unwrap();
    assert!(text(&shown).contains("web@two1"), "{}", text(&shown));
    // buildx makes the same of the same builder.
    let printed = command(&nodes.project, &["build", "--print", "--platform", PLATFORMS]).output();
    nodes.project.write("bake.json", printed.unwrap().stdout);
    let args = ["bake", "--builder", "two", "--file", "bake.json", "--push"];
    let baked = buildx(&nodes.project, &args);
    assert!(baked.status.success(), "{}", text(&baked));
    assert_eq!(nodes.tag("web", "1").unwrap(), (digest, index), "{}", text(&baked));
}

#[test]
fn what_is_attested_of_parts_stays_beside_them() {
    let nodes = Nodes::start();
    let said = nodes.run(&["--push", "--platform", PLATFORMS, "--provenance", "mode=max", "base"]);
    assert!(said.status.success(), "{}", text(&said));
    let (_, index) = nodes.tag("base", "1").unwrap();
    let images = images(&index);
    let manifests = index["manifests"].as_array().unwrap();
    let attested: Vec<&Value> = manifests
        .iter()
        .filter(|it| it["annotations"]["vnd.docker.reference.type"] == "attestation-manifest")
        .collect();
    assert_eq!((manifests.len(), images.len(), attested.len()), (4, 2, 2), "{index}");
    for ((_, image), attestation) in images.iter().zip(attested) {
        assert_eq!(attestation["annotations"]["vnd.docker.reference.digest"], **image);
        assert!(nodes.tag("base", attestation["digest"].as_str().unwrap()).is_some());
    }
}

#[test]
fn a_node_that_is_not_there_is_one_error_and_no_name_moves() {
    let nodes = Nodes::start();
    let first = nodes.run(&["--push", "--platform", PLATFORMS]);
    assert!(first.status.success(), "{}", text(&first));
    let before = nodes.tag("web", "1").unwrap();
    nodes.project.write("g", format!("another g of {}", nodes.project.name()));
    nodes.nodes[1].cut();
    let lost = nodes.run(&["--push", "--platform", PLATFORMS]);
    let said = text(&lost);
    assert_eq!(lost.status.code(), Some(3), "{said}");
    assert_eq!(said.matches("error:").count(), 1, "{said}");
    assert!(said.contains("the builder `two`, node `two1`,"), "{said}");
    assert_eq!(nodes.tag("web", "1").unwrap(), before);
    // The other node alone has what it needs.
    let one = nodes.run(&["--push", "--platform", "linux/amd64"]);
    assert!(one.status.success(), "{}", text(&one));
}

#[test]
fn a_part_that_fails_moves_no_name() {
    let nodes = Nodes::start();
    // A stage for each platform, one of which cannot be built.
    let stages =
        "FROM base AS amd64\nFROM base AS arm64\nCOPY missing /\nFROM $TARGETARCH\nCOPY g /g\n";
    nodes.project.write("Dockerfile", stages);
    let failed = nodes.run(&["--push", "--platform", PLATFORMS, "--keep-going", "web"]);
    let said = text(&failed);
    assert_eq!(failed.status.code(), Some(1), "{said}");
    assert!(said.contains("failed to build web@two1"), "{said}");
    assert_eq!(nodes.tag("web", "1"), None);
}

#[test]
fn what_several_nodes_cannot_do_is_named() {
    let nodes = Nodes::start();
    for (args, why) in [
        (&["--load"][..], "an image for several platforms cannot be loaded from the builder `two`"),
        (
            &["--set", "base.output=type=oci,dest=x.tar"],
            "nodes two0 and two1 build it, and type=oci is of one node",
        ),
        (
            &["--set", "base.platform=linux/amd64"],
            "`base` is `base`, which node `two1` does not build",
        ),
    ] {
        let refused = nodes.run(&[&["--platform", PLATFORMS], args].concat());
        let said = text(&refused);
        assert_eq!(refused.status.code(), Some(5), "{args:?}: {said}");
        assert!(said.contains(why), "{args:?}: {said}");
    }
}

#[test]
fn one_node_builds_all_where_it_was_given_all_or_no_other_has_it() {
    // The engines of this machine have linux/amd64 themselves.
    for (given, number) in
        [(["linux/amd64", PLATFORMS], 1), (["", ""], 0), (["", "linux/arm64"], 2)]
    {
        let nodes = Nodes::with(given);
        let said = text(&nodes.run(&["--push", "--platform", PLATFORMS, "base"]));
        let has = |node: usize| said.contains(&format!("on the builder `two`, node `two{node}`,"));
        assert_eq!([has(0), has(1)], [number != 1, number != 0], "{given:?}: {said}");
        assert_eq!(said.contains("base@two"), number == 2, "{said}");
        assert_eq!(images(&nodes.tag("base", "1").unwrap().1).len(), 2, "{said}");
    }
}
