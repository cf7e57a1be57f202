//! A container registry of Debian's on this machine, which engines reach without TLS.

use std::collections::BTreeMap;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use base64::Engine as _;
use tempfile::TempDir;

use super::wait::eventually;
use super::{BUSYBOX, engine, text};

/// Name of the one account of a registry that asks for a login.
pub const USER: &str = "robot";
/// Its password.
pub const PASSWORD: &str = "right";
/// The same as `htpasswd -B` writes it.
const ACCOUNT: &str = "robot:$2b$04$rd5qydVrUNp1R18cQLA3pOdanoKTf1CDU0HudgZ.syr/XsUVEOqHK\n";

/// A throw-away registry; stopped when dropped.
pub struct Registry {
    address: String,
    server: Child,
    data: TempDir,
}

impl Registry {
    /// A registry that lets everybody read and write.
    pub fn open() -> Self {
        Self::start(false)
    }

    /// A registry that knows only [`USER`].
    pub fn with_login() -> Self {
        Self::start(true)
    }

    fn start(login: bool) -> Self {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/engine");
        let program = Command::new(script).arg("registry").output().unwrap();
        assert!(program.status.success(), "{}", text(&program));
        let program = String::from_utf8(program.stdout).unwrap();
        // It cannot take a bound socket, and a port that was free may have been taken before it listens.
        eventually("a registry listens", || Self::serve(program.trim_end(), login))
    }

    /// One on a port that was free a moment ago; `None` where it ended.
    fn serve(program: &str, login: bool) -> Option<Self> {
        let data = TempDir::with_prefix("d2m-registry-").unwrap();
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
        let root = data.path().display();
        let mut config = format!(
            "version: 0.1\nlog: {{level: error}}\nhttp: {{addr: '{address}'}}\n\
             storage: {{filesystem: {{rootdirectory: {root}/data}}}}\n"
        );
        if login {
            std::fs::write(data.path().join("htpasswd"), ACCOUNT).unwrap();
            config += &format!("auth: {{htpasswd: {{realm: test, path: {root}/htpasswd}}}}\n");
        }
        let file = data.path().join("config.yml");
        std::fs::write(&file, config).unwrap();
        let server = Command::new(program)
            .arg("serve")
            .arg(file)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut registry = Self { address, server, data };
        let listens = eventually("the registry listens or ends", || {
            let ended = registry.server.try_wait().unwrap().is_some();
            let listens = TcpStream::connect(&registry.address).is_ok();
            (ended || listens).then_some(!ended)
        });
        listens.then_some(registry)
    }

    /// `127.0.0.1:PORT`.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// The files of its blobs, by digest.
    pub fn blobs(&self) -> BTreeMap<String, PathBuf> {
        let mut blobs = BTreeMap::new();
        let folders = |path: &Path| std::fs::read_dir(path).into_iter().flatten().flatten();
        for shard in folders(&self.data.path().join("data/docker/registry/v2/blobs/sha256")) {
            for blob in folders(&shard.path()) {
                let digest = format!("sha256:{}", blob.file_name().to_string_lossy());
                blobs.insert(digest, blob.path().join("data"));
            }
        }
        blobs
    }

    /// A reference of the busybox base, pushed by an engine that docker's own store serves: of an image that one had
    /// on the containerd store, its BuildKit would take what the garbage collection has not yet removed.
    pub fn base(&self) -> String {
        let (source, reference) = (engine("28.5"), format!("{}/base:busybox", self.address));
        source.docker_ok(&["tag", BUSYBOX, &reference]);
        source.docker_ok(&["push", &reference]);
        source.docker_ok(&["image", "rm", &reference]);
        reference
    }

    /// The text of a docker config.json with a login for it.
    pub fn config(&self, password: &str) -> String {
        let auth = base64::engine::general_purpose::STANDARD.encode(format!("{USER}:{password}"));
        serde_json::json!({"auths": {self.address.as_str(): {"auth": auth}}}).to_string()
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        drop(self.server.kill());
        drop(self.server.wait());
    }
}
