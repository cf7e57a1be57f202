//! A project of its own for each test: a folder, a unique name, and the binary under test with a clean environment.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::Value;
use tempfile::TempDir;

use super::{Engine, eventually};

/// A throw-away project on one engine. Its images are removed when it is dropped.
pub struct Project {
    name: String,
    engine: Engine,
    folder: TempDir,
}

impl Project {
    /// An empty project with a name nobody else has.
    pub fn new(engine: &Engine) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        // All of one length: what goes by the prefix of one name must not reach another.
        let name = format!("d2mt-{}-{number:04}", std::process::id());
        let folder = TempDir::with_prefix(&name).unwrap();
        std::fs::create_dir_all(folder.path().join("home/docker")).unwrap();
        std::fs::create_dir_all(folder.path().join("project")).unwrap();
        Self { name, engine: engine.clone(), folder }
    }

    /// The project's name: also a prefix for images and cache mount ids that the test makes.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The engine it builds on.
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// The folder the command runs in.
    pub fn dir(&self) -> PathBuf {
        self.folder.path().join("project")
    }

    /// HOME of the command; its docker configuration is `docker/` in it.
    pub fn home(&self) -> PathBuf {
        self.folder.path().join("home")
    }

    /// Writes a file of the project, its folders included.
    pub fn write(&self, path: impl AsRef<Path>, content: impl AsRef<[u8]>) -> &Self {
        let path = self.dir().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
        self
    }

    /// The binary under test, in the project's folder, against its engine, with nothing else in the environment: builds
    /// are solved, also where nothing has changed. What is left out otherwise is for `tests/engine/quiet/up_to_date.rs`.
    pub fn command(&self, args: &[&str]) -> Command {
        // Signals as in the foreground: whatever started the tests in the background may ignore some.
        let mut command = Command::new("env");
        command
            .args(["--default-signal", env!("CARGO_BIN_EXE_doc2md-docker")])
            .current_dir(self.dir())
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap())
            .env("HOME", self.home())
            .env("DOCKER_CONFIG", self.home().join("docker"))
            .env("DOCKER_HOST", &self.engine.host)
            .env("COMPOSE_PROJECT_NAME", &self.name)
            .env("DOC2MD_DOCKER_ALWAYS_SOLVE", "1")
            .args(args);
        command
    }

    /// The same, for assertions on its output and exit code.
    pub fn run(&self, args: &[&str]) -> assert_cmd::assert::Assert {
        assert_cmd::Command::from_std(self.command(args)).assert()
    }

    /// Runs `clean --force` until it has removed all of its plan: a busy engine lets go of what a build had some time after
    /// it, and tests that build at the same time share what is sent for a Dockerfile. Returns what all runs said that they remove.
    pub fn clean(&self, args: &[&str]) -> String {
        let mut printed = String::new();
        eventually("the engine removes all of the plan", || {
            let run = self.command(&[&["clean", "--force"], args].concat()).output().unwrap();
            let said = String::from_utf8_lossy(&run.stdout);
            printed += said.split("\nKEEP").next().unwrap_or_default();
            run.status.success().then_some(())
        });
        printed
    }

    /// Builds, and returns the names of the instructions that ran instead of coming from the cache.
    pub fn ran(&self) -> BTreeSet<String> {
        let built = self.run(&["build", "--progress", "rawjson"]).success();
        let output = built.get_output();
        let text = [&output.stderr[..], &output.stdout].concat();
        let is_run = |vertex: &&Value| {
            let name = vertex["name"].as_str().unwrap_or_default();
            let is_instruction = [" RUN ", " COPY "].iter().any(|word| name.contains(word));
            is_instruction && !vertex["completed"].is_null() && vertex["cached"] != true
        };
        let lines = text.split(|byte| *byte == b'\n');
        let statuses = lines.filter_map(|line| serde_json::from_slice::<Value>(line).ok());
        statuses
            .flat_map(|status| status["vertexes"].as_array().cloned().unwrap_or_default())
            .filter(|vertex| is_run(&vertex))
            .map(|vertex| vertex["name"].as_str().unwrap_or_default().to_owned())
            .collect()
    }

    /// Debian's docker CLI in the project's folder: the oracle.
    pub fn docker(&self, args: &[&str]) -> Command {
        let mut command = self.engine.docker(args);
        command.current_dir(self.dir()).env("COMPOSE_PROJECT_NAME", &self.name);
        command
    }

    /// Builds an image from a folder of the project with the Docker CLI.
    #[track_caller]
    pub fn build_image(&self, name: &str, folder: &str) {
        let folder = self.dir().join(folder).display().to_string();
        self.engine.docker_ok(&["build", "--quiet", "--tag", name, &folder]);
    }

    /// Ids of the images that carry the project's name or compose label.
    pub fn images(&self) -> Vec<String> {
        let label = format!("com.docker.compose.project={}", self.name);
        let mut ids = self.engine.image_ids("label", &label);
        ids.extend(self.engine.image_ids("reference", &format!("{}*", self.name)));
        ids.sort();
        ids.dedup();
        ids
    }
}

impl Drop for Project {
    fn drop(&mut self) {
        // Also while a failing test unwinds: a second panic here would hide its message.
        if std::thread::panicking() && !self.engine.socket().exists() {
            return;
        }
        self.images().iter().for_each(|image| self.engine.remove_image(image));
    }
}
