//! How layers of images are compressed on the containerd store, by what a real registry gets of them.

use serde_json::Value;

use crate::support::{BUSYBOX, Project, Registry, engine, http, on_every_engine, text};

const CONTAINERD: &str = "28.5-containerd";
const OCI: &str = "application/vnd.oci.image.manifest.v1+json";
const DOCKER: &str = "application/vnd.docker.distribution.manifest.v2+json";

/// A project on the containerd store with a layer that nobody else has, and a registry.
struct Store {
    project: Project,
    registry: Registry,
}

impl Store {
    fn new() -> Self {
        let (project, registry) = (Project::new(&engine(CONTAINERD)), Registry::open());
        let name = project.name();
        project
            .write("Dockerfile", format!("FROM {BUSYBOX}\nRUN seq 99999 > /made; echo {name}\n"));
        Self { project, registry }.with_images(&["app"])
    }

    /// With a service for each of `images`, which are all the same.
    fn with_images(self, images: &[&str]) -> Self {
        let names = images.iter().enumerate();
        let services: Vec<String> = names
            .map(|(number, image)| {
                format!("s{number}: {{build: ., image: '{}'}}", self.full(image))
            })
            .collect();
        self.project.write("compose.yaml", format!("services: {{{}}}", services.join(", ")));
        self
    }

    /// `app` is an image of the engine, `/app` one of the registry.
    fn full(&self, image: &str) -> String {
        let name = self.project.name();
        match image.strip_prefix('/') {
            Some(image) => format!("{}/{name}/{image}:1", self.registry.address()),
            None => format!("{name}-{image}"),
        }
    }

    fn build(&self, args: &[&str]) -> String {
        let args = [&["--verbose", "--progress", "plain", "build"], args].concat();
        let run = self.project.run(&args).success();
        String::from_utf8(run.get_output().stderr.clone()).unwrap()
    }

    /// Pushes an image as it is in the engine.
    fn push(&self, image: &str) {
        let (from, to) = (self.full(image), self.full("/as-it-is"));
        self.project.engine().docker_ok(&["tag", &from, &to]);
        self.project.engine().docker_ok(&["push", "--quiet", &to]);
        self.project.engine().docker_ok(&["image", "rm", &to]);
    }

    fn manifest(&self, image: &str, tag: &str) -> Value {
        let path = format!("/v2/{}/{image}/manifests/{tag}", self.project.name());
        let answer = http::get_manifest(self.registry.address(), &path).unwrap();
        assert_eq!(answer.status, 200, "{answer:?}");
        serde_json::from_str(&answer.body).unwrap()
    }

    /// Media types of a manifest and its newest layer.
    fn types(&self, image: &str) -> (String, String) {
        types(&self.manifest(image, "1"))
    }
}

fn types(manifest: &Value) -> (String, String) {
    let layer = manifest["layers"].as_array().unwrap().last().unwrap();
    let text = |value: &Value| value["mediaType"].as_str().unwrap().to_owned();
    let layer = text(layer);
    let end = layer.rsplit(['.', '+']).next().unwrap().to_owned();
    (text(manifest), end)
}

fn pair(manifest: &str, layer: &str) -> (String, String) {
    (manifest.to_owned(), layer.to_owned())
}

#[test]
fn an_image_that_stays_is_zstd_and_works_like_any_other() {
    let store = Store::new();
    let said = store.build(&[]);
    assert!(said.contains("--compression gzip"), "{said}");
    store.push("app");
    assert_eq!(store.types("as-it-is"), pair(OCI, "zstd"));
    let engine = store.project.engine();
    let made = |image: &str, engine: &crate::support::Engine| {
        engine.said_in(&[], image, &["tail", "-n", "1", "/made"])
    };
    assert_eq!(made(&store.full("app"), engine).trim(), "99999");
    // Engines since Docker 23 take it from the registry.
    for name in ["26.1", "28.5"] {
        let other = crate::support::engine(name);
        let image = store.full("/as-it-is");
        other.docker_ok(&["pull", "--quiet", &image]);
        assert_eq!(made(&image, &other).trim(), "99999", "{name}");
        other.docker_ok(&["image", "rm", "--force", &image]);
    }
    // The layer is there, as it is: nothing is compressed again, for nobody.
    let again = store.build(&["--always-solve"]);
    assert!(again.contains("2 cached, 0 run"), "{again}");
}

#[test]
fn one_option_leaves_it_to_buildkit() {
    let store = Store::new();
    let said = store.build(&["--compression", "gzip"]);
    assert!(!said.contains("zstd"), "{said}");
    store.push("app");
    assert_eq!(store.types("as-it-is"), pair(DOCKER, "gzip"));
    let setting = Store::new();
    setting.project.write("doc2md-docker.toml", "[build]\ncompression = \"gzip\"\n");
    setting.build(&[]);
    setting.push("app");
    assert_eq!(setting.types("as-it-is"), pair(DOCKER, "gzip"));
}

#[test]
fn what_is_pushed_or_named_for_a_registry_is_gzip() {
    let store = Store::new().with_images(&["app", "/web"]);
    store.build(&["--set", "s1.output=type=registry"]);
    assert_eq!(store.types("web"), pair(OCI, "gzip"));
    store.push("app");
    assert_eq!(store.types("as-it-is").1, "gzip");

    let named = Store::new().with_images(&["/web"]);
    named.build(&[]);
    named.project.engine().docker_ok(&["push", "--quiet", &named.full("/web")]);
    assert_eq!(named.types("web"), pair(DOCKER, "gzip"));
    // Who wants it all the same says so.
    let asked = Store::new().with_images(&["/web"]);
    asked.build(&["--push", "--compression", "zstd"]);
    assert_eq!(asked.types("web"), pair(OCI, "zstd"));
}

/// What a layer was compressed with first stays, so it reaches the registry: under a media type that tools know.
#[test]
fn a_layer_that_stayed_zstd_is_pushed_under_its_own_type() {
    let store = Store::new();
    store.build(&[]);
    let store = store.with_images(&["/web"]);
    let said = store.build(&["--push"]);
    assert!(said.contains("2 cached, 0 run"), "{said}");
    assert_eq!(store.types("web"), pair(OCI, "zstd"));
    // buildx has the same layer, and as attested as its pushes are by default, the same types.
    let name = store.full("/peer");
    let args = ["buildx", "build", "--push", "--provenance=true", "--tag", &name, "."];
    let output = store.project.docker(&args).output().unwrap();
    assert!(output.status.success(), "{}", text(&output));
    let index = store.manifest("peer", "1");
    let image = index["manifests"][0]["digest"].as_str().unwrap();
    assert_eq!(types(&store.manifest("peer", image)), pair(OCI, "zstd"), "{index}");
}

#[test]
fn a_graph_driver_has_no_compression_to_choose() {
    let registry = Registry::open();
    on_every_engine(|engine| {
        if engine.name == CONTAINERD {
            return;
        }
        let project = Project::new(engine);
        let image = format!("{}/{}/app:1", registry.address(), project.name());
        project
            .write("compose.yaml", format!("services: {{app: {{image: '{image}', build: .}}}}"))
            .write("Dockerfile", format!("FROM {BUSYBOX}\nRUN echo {} > /made\n", project.name()));
        for kind in ["auto", "gzip", "zstd"] {
            let run = project.run(&["--verbose", "build", "--always-solve", "--compression", kind]);
            let said = String::from_utf8(run.success().get_output().stderr.clone()).unwrap();
            assert!(!said.contains("zstd"), "{}: {said}", engine.name);
        }
        let refused = project.run(&["build", "--push", "--compression", "zstd"]).code(5);
        let said = String::from_utf8(refused.get_output().stderr.clone()).unwrap();
        assert!(said.contains("compression is not supported"), "{}: {said}", engine.name);
    });
}
