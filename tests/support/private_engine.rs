//! An engine that one test owns: to kill it, fill its disk, or find it empty.

use std::path::{Path, PathBuf};
use std::process::Command;

use doc2md_docker::engine::{Connector, Engine as Client};
use doc2md_docker::inventory::CacheRecord;
use tempfile::TempDir;

use super::engine::{engine, text};
use super::{Engine, Registry};

/// A throw-away engine with its own data root. Stopped, and its data removed, when it is dropped.
pub struct PrivateEngine {
    engine: Engine,
    state: TempDir,
    /// What is mounted in its state.
    mounted: Option<PathBuf>,
}

impl PrivateEngine {
    /// Starts an engine of the release `name` (as in `scripts/engine start`), without base images.
    pub fn start(name: &str) -> Self {
        Self::launch(name, &[])
    }

    /// The same on control groups of version 2, where BuildKit samples what steps use.
    pub fn with_samples(name: &str) -> Self {
        Self::launch(name, &["--cgroup2"])
    }

    /// The same with rules of its own for garbage collection: `builder.gc` of a daemon.json.
    pub fn with_gc(name: &str, rules: &str) -> Self {
        Self::launch(name, &["--gc", rules])
    }

    /// The same with a data root of `size` (as in `400M`): a build that needs more finds the disk full.
    pub fn with_disk(name: &str, size: &str) -> Self {
        Self::launch(name, &["--disk", size])
    }

    /// The same with a name server of its own for containers and builds; `bridge` is this machine, as they see it.
    pub fn with_dns(name: &str, server: &str) -> Self {
        Self::launch(name, &["--dns", server])
    }

    /// This machine, as its containers see it.
    pub fn bridge(&self) -> String {
        let network = std::fs::read_to_string(self.state().join("network")).unwrap();
        format!("{}.1", network.split_whitespace().nth(1).unwrap())
    }

    /// The same with a data root of `size` that this machine sees, too.
    pub fn with_visible_disk(name: &str, size: &str) -> Self {
        let state = empty_state();
        let (data, image) = (state.path().join(name).join("data"), state.path().join("disk"));
        std::fs::create_dir_all(&data).unwrap();
        let [data_name, image] = [&data, &image].map(|path| path.to_str().unwrap());
        for command in [
            &["truncate", "-s", size, image][..],
            &["mkfs.ext4", "-q", "-m", "0", image],
            &["mount", "-o", "loop", image, data_name],
        ] {
            let output = Command::new(command[0]).args(&command[1..]).output().unwrap();
            assert!(output.status.success(), "{command:?}: {}", text(&output));
        }
        let mut engine = Self::launch_in(state, name, &[]);
        engine.mounted = Some(data);
        engine
    }

    fn launch(name: &str, options: &[&str]) -> Self {
        Self::launch_in(empty_state(), name, options)
    }

    fn launch_in(state: TempDir, name: &str, options: &[&str]) -> Self {
        let listed = script(state.path(), &[&["start"], options, &[name]].concat());
        let host = listed.split_whitespace().nth(1).unwrap().to_owned();
        Self { engine: Engine { name: name.to_owned(), host }, state, mounted: None }
    }

    /// The engine, for projects and the docker CLI.
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// Imports a base image: `busybox`, `python`, `python3.13`.
    pub fn import_base(&self, base: &str) {
        self.script(&["base", &self.engine.name, base]);
    }

    /// A reference of the busybox base in a registry, which the engine does not hold: BuildKit has fetched and
    /// unpacked it, in a build that is over.
    pub fn remote_base(&self, registry: &Registry) -> String {
        let reference = registry.base();
        let source = engine("28.5");
        let sizes = source.docker_ok(&[
            "history",
            "--human=false",
            "--format",
            "{{.Size}}",
            super::BUSYBOX,
        ]);
        let unpacked: u64 = sizes.lines().map(|bytes| bytes.parse::<u64>().unwrap()).sum();
        let folder = TempDir::with_prefix("d2m-base-").unwrap();
        std::fs::write(folder.path().join("Dockerfile"), format!("FROM {reference}\nRUN true\n"))
            .unwrap();
        self.engine.docker_ok(&["buildx", "build", &folder.path().display().to_string()]);
        let records = self.cache_records();
        let mut bases = records.iter().filter(|it| it.description.starts_with("pulled from"));
        // Only a layer that BuildKit fetched and unpacked itself is as large as blob and inventory together.
        assert!(bases.any(|base| base.size_bytes > unpacked), "{unpacked}: {records:#?}");
        reference
    }

    /// Its build cache.
    pub fn cache_records(&self) -> Vec<CacheRecord> {
        let client = Client::new(&Connector::unix(self.engine.socket()));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(client.cache_records()).unwrap()
    }

    /// SIGKILL to the daemon alone, as a crash would.
    pub fn kill(&self) {
        self.script(&["kill", &self.engine.name]);
    }

    /// Starts it again after [`Self::kill`], data kept.
    pub fn start_again(&self) {
        self.script(&["start", &self.engine.name]);
    }

    /// Folder with the engine's state: `NAME/data`, `NAME/dockerd.log`.
    pub fn state(&self) -> PathBuf {
        self.state.path().join(&self.engine.name)
    }

    fn script(&self, arguments: &[&str]) -> String {
        script(self.state.path(), arguments)
    }
}

impl Drop for PrivateEngine {
    fn drop(&mut self) {
        if let Some(mounted) = &self.mounted {
            self.script(&["stop"]);
            drop(Command::new("umount").arg(mounted).status());
        }
        let stopped = engine_script(self.state.path(), &["stop", "--purge"]).output().unwrap();
        assert!(stopped.status.success() || std::thread::panicking(), "{}", text(&stopped));
    }
}

/// Not under /tmp: it may be a tmpfs, on which overlay2 does not work everywhere.
fn empty_state() -> TempDir {
    TempDir::with_prefix_in("d2m-test-", "/var/tmp").unwrap()
}

fn engine_script(state: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/engine"));
    command.args(arguments).env("DOC2MD_DOCKER_ENGINE_STATE", state);
    command
}

#[track_caller]
fn script(state: &Path, arguments: &[&str]) -> String {
    let output = engine_script(state, arguments).output().unwrap();
    assert!(output.status.success(), "scripts/engine {arguments:?}: {}", text(&output));
    String::from_utf8(output.stdout).unwrap()
}
