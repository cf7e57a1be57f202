//! A server of git repositories on this machine, which engines fetch from.

use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;

use super::text;
use super::wait::eventually;

/// A throw-away git server; stopped when dropped.
pub struct GitServer {
    address: String,
    server: Child,
    repositories: TempDir,
}

impl GitServer {
    /// A server without repositories.
    pub fn start() -> Self {
        let repositories = TempDir::with_prefix("d2m-git-").unwrap();
        // Not `git daemon`: killing that one would leave the server behind.
        let programs = Command::new("git").arg("--exec-path").output().unwrap();
        let programs = String::from_utf8(programs.stdout).unwrap();
        let daemon = Path::new(programs.trim_end()).join("git-daemon");
        // It cannot take a bound socket, and a port that was free may have been taken before it listens.
        let (address, server) = eventually("a git server listens", || {
            let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
            let mut server = Command::new(&daemon)
                .args(["--export-all", "--reuseaddr", "--listen=127.0.0.1"])
                .arg(format!("--port={}", address.port()))
                .arg(format!("--base-path={}", repositories.path().display()))
                .stderr(Stdio::null())
                .spawn()
                .unwrap();
            let up = (0..100).any(|_| {
                std::thread::sleep(Duration::from_millis(20));
                TcpStream::connect(address).is_ok() || server.try_wait().unwrap().is_some()
            });
            if up && server.try_wait().unwrap().is_none() {
                return Some((address.to_string(), server));
            }
            drop(server.kill());
            drop(server.wait());
            None
        });
        Self { address, server, repositories }
    }

    /// Puts `files` (path and text) into a new repository; returns the URL of its one branch.
    pub fn add(&self, name: &str, files: &[(String, String)]) -> String {
        let folder = self.repositories.path().join(name);
        for (path, content) in files {
            let path = folder.join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, content).unwrap();
        }
        for args in [
            &["init", "--quiet", "--initial-branch=main", "."][..],
            &["add", "--all"],
            &["commit", "--quiet", "--message=files"],
        ] {
            git(&folder, args);
        }
        format!("git://{}/{name}/.git#main", self.address)
    }
}

fn git(folder: &Path, args: &[&str]) {
    let output = Command::new("git")
        .current_dir(folder)
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap())
        .envs(["GIT_CONFIG_GLOBAL", "GIT_CONFIG_SYSTEM"].map(|name| (name, "/dev/null")))
        .args(["-c", "user.name=test", "-c", "user.email=test@localhost"])
        .args(args)
        .output()
        .unwrap();
    assert!(output.status.success(), "git {args:?}: {}", text(&output));
}

impl Drop for GitServer {
    fn drop(&mut self) {
        drop(self.server.kill());
        drop(self.server.wait());
    }
}
