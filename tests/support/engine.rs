//! The engines under test, as `scripts/engine env` names them, and Debian's docker CLI against them.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::LazyLock;

use serde_json::{Value, json};
use tempfile::TempDir;

use super::{BUSYBOX, PYTHON, PrivateEngine, Project, http, side_by_side};

/// One engine of the matrix.
#[derive(Clone, Debug)]
pub struct Engine {
    /// `20.10`, `26.1`, `28.5` or `28.5-containerd`.
    pub name: String,
    /// Its address, as in `DOCKER_HOST`.
    pub host: String,
}

/// Every engine of the matrix.
///
/// # Panics
/// When `DOC2MD_TEST_ENGINES` is not set.
pub fn engines() -> Vec<Engine> {
    static ENGINES: LazyLock<Vec<Engine>> = LazyLock::new(|| {
        let engines = named();
        engines.iter().for_each(know_bases);
        engines
    });
    ENGINES.clone()
}

fn named() -> Vec<Engine> {
    let list = from_env("DOC2MD_TEST_ENGINES");
    list.split(',')
        .map(|entry| {
            let (name, host) = entry
                .split_once('=')
                .unwrap_or_else(|| panic!("DOC2MD_TEST_ENGINES: no `=` in {entry:?}"));
            Engine { name: name.to_owned(), host: host.to_owned() }
        })
        .collect()
}

/// Builds on each base image and waits for the end: before BuildKit 0.32 (moby/buildkit, `solver/edge.go`) a step that has
/// run gives no cache keys to builds that join while any build holds it, so until the first builds on a new base are
/// over, nothing on top of it is found in the cache. Tests overlap all the time.
fn know_bases(engine: &Engine) {
    for base in [BUSYBOX, PYTHON] {
        build_plain(engine, &format!("FROM {base}\nRUN true\n"), &["--output=type=cacheonly"]);
    }
}

/// Builds a Dockerfile without a context, with the oracle.
#[track_caller]
fn build_plain(engine: &Engine, dockerfile: &str, options: &[&str]) {
    let folder = TempDir::with_prefix("d2m-plain-").unwrap();
    std::fs::write(folder.path().join("Dockerfile"), dockerfile).unwrap();
    let path = folder.path().display().to_string();
    engine.docker_ok(&[&["buildx", "build", "--quiet"], options, &[&path]].concat());
}

/// A base image with Python that no other project has: what is built on it is shared with nobody, so that no test that
/// runs at the same time keeps its steps out of the cache (see [`know_bases`]).
pub fn own_python(project: &Project) -> String {
    let name = format!("{}-base", project.name());
    let dockerfile = format!("FROM {PYTHON}\nRUN echo {name} > /etc/doc2md-base\n");
    build_plain(project.engine(), &dockerfile, &["--tag", &name, "--load"]);
    name
}

/// A base image with Python 3.13, which the engine gets when a test first wants it.
pub fn newer_python(engine: &Engine) -> &'static str {
    let mut script = Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/engine"));
    let output = script.args(["base", &engine.name, "python3.13"]).output().unwrap();
    assert!(output.status.success(), "scripts/engine base: {}", super::text(&output));
    "doc2md/python-base:trixie"
}

/// The engine called `name`, for tests that need only one.
pub fn engine(name: &str) -> Engine {
    engines()
        .into_iter()
        .find(|engine| engine.name == name)
        .unwrap_or_else(|| panic!("engine {name} does not run: scripts/engine start {name}, then eval \"$(scripts/engine env)\""))
}

/// Runs `test` on all engines at once, and fails with the names of those it failed on.
pub fn on_every_engine(test: impl Fn(&Engine) + Sync) {
    let runs = engines().into_iter().map(|engine| {
        let test = &test;
        (engine.name.clone(), move || test(&engine))
    });
    side_by_side(runs.collect());
}

/// The same for a test that prunes as another program does, or that no prune of another test may disturb: on the
/// containerd store any prune can make BuildKit forget results of everybody (docs/design/clean.md), so that engine is the
/// test's own.
pub fn on_engines_where_prunes_matter(test: impl Fn(&Engine) + Sync) {
    on_every_engine(|engine| {
        if !engine.name.ends_with("-containerd") {
            return test(engine);
        }
        let own = PrivateEngine::start(&engine.name);
        own.import_base("busybox");
        test(own.engine());
    });
}

impl Engine {
    /// Path of the unix socket.
    pub fn socket(&self) -> &Path {
        Path::new(self.host.strip_prefix("unix://").unwrap())
    }

    /// Debian sid's docker CLI (with buildx and compose) against this engine: the oracle.
    pub fn docker(&self, args: &[&str]) -> Command {
        let mut command = Command::new(from_env("DOC2MD_TEST_DOCKER"));
        command
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap())
            .env("HOME", docker_config())
            .env("DOCKER_CONFIG", docker_config())
            .env("DOCKER_HOST", &self.host)
            // It lives too shortly for a garbage collector.
            .env("GOGC", "off")
            .args(args);
        command
    }

    /// Standard output of the docker CLI, without the last newline.
    ///
    /// # Panics
    /// When the command fails; with its standard error.
    #[track_caller]
    pub fn docker_ok(&self, args: &[&str]) -> String {
        let output = self.docker(args).output().unwrap();
        assert!(output.status.success(), "{}: docker {args:?}: {}", self.name, text(&output));
        String::from_utf8(output.stdout).unwrap().trim_end().to_owned()
    }

    /// What the engine itself answers, where what the CLI makes of it does not matter: it takes a twentieth of the time.
    pub(super) fn ask(&self, method: &str, path: &str, body: &Value) -> (u16, Value) {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let answer = http::ask(self.socket(), method, path, &body);
        let answer = answer.unwrap_or_else(|error| panic!("{}: {path}: {error}", self.name));
        (answer.status, serde_json::from_str(&answer.body).unwrap_or_default())
    }

    /// The content of a file in an image.
    pub fn file_of(&self, image: &str, path: &str) -> String {
        let create =
            json!({"Image": image, "Cmd": ["none"], "HostConfig": {"NetworkMode": "none"}});
        let (_, created) = self.ask("POST", "/containers/create", &create);
        let container =
            created["Id"].as_str().unwrap_or_else(|| panic!("{}: {created}", self.name));
        let copied = tempfile::tempdir().unwrap();
        let to = copied.path().join("file");
        self.docker_ok(&["cp", "-L", &format!("{container}:{path}"), to.to_str().unwrap()]);
        self.ask("DELETE", &format!("/containers/{container}"), &Value::Null);
        std::fs::read_to_string(to).unwrap().trim_end().to_owned()
    }

    /// What a command says in an image. Under load an engine may lose what a short-lived container says and answer that all
    /// went well (26.1: 2 of 750 runs): what did not come to its end is asked again.
    pub fn said_in(&self, options: &[&str], image: &str, command: &[&str]) -> String {
        const END: &str = "(that was all)";
        let script = format!("\"$@\"; code=$?; echo '{END}'; exit $code");
        let fixed = ["run", "--rm", "--network=none"];
        let inside = ["sh", "-c", &script, "sh"];
        let args = [&fixed[..], options, &[image], &inside, command].concat();
        let whole = (0..5).find_map(|_| {
            let said = self.docker_ok(&args);
            said.strip_suffix(END).map(|said| said.trim_end().to_owned())
        });
        whole.unwrap_or_else(|| panic!("{}: docker {args:?} says nothing", self.name))
    }

    /// The id of an image, `None` when there is no such image.
    pub fn image_id(&self, image: &str) -> Option<String> {
        let (status, image) = self.ask("GET", &format!("/images/{image}/json"), &Value::Null);
        (status == 200).then(|| image["Id"].as_str().unwrap().to_owned())
    }

    /// Ids of the images that a filter of `docker image ls` leaves.
    pub(super) fn image_ids(&self, filter: &str, value: &str) -> Vec<String> {
        let filters = json!({filter: [value]}).to_string();
        let query = form_urlencoded::Serializer::new(String::new())
            .append_pair("filters", &filters)
            .finish();
        let (_, images) = self.ask("GET", &format!("/images/json?{query}"), &Value::Null);
        let images = images.as_array().unwrap_or_else(|| panic!("{}: {images}", self.name));
        images.iter().map(|image| image["Id"].as_str().unwrap().to_owned()).collect()
    }

    /// Removes an image with all its names, unless a container holds it.
    pub(super) fn remove_image(&self, id: &str) {
        self.ask("DELETE", &format!("/images/{id}?force=1"), &Value::Null);
    }
}

/// Both streams of an output, for a failing assertion.
pub fn text(output: &Output) -> String {
    format!(
        "{}\n{}{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

fn from_env(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| {
        panic!(
            "{name} is not set: these tests need real engines. `make test` starts them; by hand:\n    \
             scripts/engine start && for e in 20.10 26.1 28.5 28.5-containerd; do scripts/engine base $e; done\n    \
             eval \"$(scripts/engine env)\""
        )
    })
}

/// A docker configuration folder with nothing but the two plugins.
fn docker_config() -> &'static Path {
    static CONFIG: LazyLock<PathBuf> = LazyLock::new(|| {
        let dir = TempDir::with_prefix("d2m-docker-config-").unwrap().keep();
        let plugins = dir.join("cli-plugins");
        std::fs::create_dir(&plugins).unwrap();
        for name in ["DOC2MD_TEST_BUILDX", "DOC2MD_TEST_COMPOSE"] {
            let plugin = PathBuf::from(from_env(name));
            std::os::unix::fs::symlink(&plugin, plugins.join(plugin.file_name().unwrap())).unwrap();
        }
        dir
    });
    &CONFIG
}

/// The oracle's compose as a plugin of a project's own docker configuration, where the program under test finds it.
pub fn install_compose(project: &Project) {
    let plugins = project.home().join("docker/cli-plugins");
    std::fs::create_dir_all(&plugins).unwrap();
    std::os::unix::fs::symlink(from_env("DOC2MD_TEST_COMPOSE"), plugins.join("docker-compose"))
        .unwrap();
}
