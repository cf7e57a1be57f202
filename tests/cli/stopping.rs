//! Time limits and signals, against an engine that accepts connections and says nothing.
#![allow(clippy::unwrap_used)]

use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

/// How long a program may take that ends by itself: the machine may have much else to do.
const PATIENCE: Duration = Duration::from_secs(300);

/// A project and an engine that is frozen.
struct Frozen {
    folder: TempDir,
    listener: UnixListener,
}

impl Frozen {
    fn new(build: &str) -> Self {
        let folder = TempDir::with_prefix("d2m-frozen-").unwrap();
        let write = |name: &str, text: &str| {
            std::fs::write(folder.path().join(name), text).unwrap();
        };
        write("compose.yaml", &format!("services: {{api: {{build: {{context: .{build}}}}}}}\n"));
        write("Dockerfile", "FROM scratch\nCOPY Dockerfile /\n");
        let listener = UnixListener::bind(folder.path().join("engine")).unwrap();
        Self { folder, listener }
    }

    fn command(&self, args: &[&str]) -> Command {
        // Signals as in the foreground: whatever started the tests in the background may ignore some.
        let mut command = Command::new("env");
        let tmp = self.folder.path().join("tmp");
        std::fs::create_dir_all(&tmp).unwrap();
        command
            .args(["--default-signal", env!("CARGO_BIN_EXE_doc2md-docker")])
            .current_dir(self.folder.path())
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap())
            .env("HOME", self.folder.path())
            .env("TMPDIR", tmp)
            .env("DOCKER_HOST", format!("unix://{}/engine", self.folder.path().display()))
            .args(args)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    /// Starts the command, and waits until it has connected: it waits for an answer from then on.
    fn start(&self, args: &[&str]) -> Child {
        let child = self.command(args).spawn().unwrap();
        // Stays open: the kernel accepts further connections by itself.
        std::mem::forget(self.listener.accept().unwrap());
        child
    }

    #[track_caller]
    fn leaves_nothing(&self) {
        assert_eq!(std::fs::read_dir(self.folder.path().join("tmp")).unwrap().count(), 0);
    }
}

/// The output of a program that ends by itself. The time is for a machine that does much else.
#[track_caller]
fn ends(mut child: Child, what: &str) -> Output {
    let start = Instant::now();
    while child.try_wait().unwrap().is_none() {
        if start.elapsed() > PATIENCE {
            child.kill().unwrap();
            panic!("{what}: still there");
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    child.wait_with_output().unwrap()
}

fn signal(child: &Child, signal: Signal) {
    kill_process(Pid::from_child(child), signal).unwrap();
}

const COMMANDS: &[&[&str]] = &[
    &["build"],
    &["build", "--provenance=mode=max"],
    &["build", "--check"],
    &["stats", "-v", "--timeout=1h"],
    &["clean", "--dry-run"],
    &["clean", "--force", "--cache"],
    &["bench", "--runs=1"],
    &["builders"],
];

#[test]
fn the_first_signal_ends_what_waits_for_the_engine() {
    for args in COMMANDS {
        for sent in [Signal::INT, Signal::TERM, Signal::HUP] {
            let frozen = Frozen::new(", dockerfile_inline: FROM scratch");
            let child = frozen.start(args);
            signal(&child, sent);
            let what = format!("{args:?}, {sent:?}");
            let output = ends(child, &what);
            let text = String::from_utf8_lossy(&output.stderr);
            assert_eq!(output.status.code(), Some(130), "{what}: {text}");
            assert!(text.contains("error: interrupted"), "{what}: {text}");
            frozen.leaves_nothing();
        }
    }
}

#[test]
fn a_time_limit_holds_for_an_engine_that_says_nothing() {
    for (args, said) in [
        (&["build", "--timeout=300ms"][..], "timed out: the engine at unix://"),
        (&["build", "--timeout=300ms", "--sbom=true"], "timed out: the engine at unix://"),
        (&["build", "--check", "--timeout=300ms"], "timed out: the engine at unix://"),
        (&["bench", "--timeout=300ms"], "timed out: the engine at unix://"),
        (&["clean", "--force", "--timeout=300ms"], "timed out after 300ms: nothing was removed"),
        (&["stats", "--timeout=300ms"], ""),
    ] {
        let frozen = Frozen::new("");
        let output = ends(frozen.start(args), &format!("{args:?}"));
        let text = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(3), "{args:?}: {text}");
        assert!(text.contains(said), "{args:?}: {text}");
        assert!(output.stdout.is_empty(), "{args:?}");
        frozen.leaves_nothing();
    }
}

/// What hangs may be no engine at all: here it is whoever reads a FIFO that data goes to.
#[test]
fn a_signal_ends_a_main_thread_that_hangs() {
    for sent in [Signal::INT, Signal::TERM, Signal::HUP] {
        let frozen = Frozen::new("");
        let mkfifo = Command::new("mkfifo").arg(frozen.folder.path().join("fifo")).status();
        assert!(mkfifo.unwrap().success());
        let folder = frozen.folder.path();
        // A shell's redirection would wait itself: the program is given a pipe that is full.
        let (reader, writer) = std::io::pipe().unwrap();
        fill(&writer);
        let child = frozen.command(&["build", "--print"]).stdout(writer).spawn().unwrap();
        writes(&child);
        signal(&child, sent);
        let output = ends(child, &format!("{sent:?} in {}", folder.display()));
        assert_eq!(output.status.code(), Some(130), "{}", String::from_utf8_lossy(&output.stderr));
        drop(reader);
    }
}

/// Fills a pipe up.
fn fill(mut pipe: &std::io::PipeWriter) {
    use std::io::Write as _;
    let flags = rustix::fs::fcntl_getfl(pipe).unwrap();
    rustix::fs::fcntl_setfl(pipe, flags | rustix::fs::OFlags::NONBLOCK).unwrap();
    while pipe.write(&[0; 4096]).is_ok() {}
    while pipe.write(&[0]).is_ok() {}
    rustix::fs::fcntl_setfl(pipe, flags).unwrap();
}

/// Waits until a thread of the program waits for the pipe (proc_pid_wchan(5)).
fn writes(child: &Child) {
    let place = Path::new("/proc").join(child.id().to_string()).join("task");
    let start = Instant::now();
    loop {
        let tasks = std::fs::read_dir(&place).unwrap().flatten();
        let waits = |task: std::fs::DirEntry| {
            std::fs::read_to_string(task.path().join("wchan")).unwrap_or_default()
        };
        if tasks.map(waits).any(|wait| wait.contains("pipe_w")) {
            return;
        }
        assert!(start.elapsed() < PATIENCE, "it never writes");
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn a_program_started_by_nohup_outlives_its_terminal() {
    let frozen = Frozen::new("");
    let child = Command::new("nohup")
        .arg(env!("CARGO_BIN_EXE_doc2md-docker"))
        .args(["clean", "--dry-run"])
        .current_dir(frozen.folder.path())
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap())
        .env("HOME", frozen.folder.path())
        .env("DOCKER_HOST", format!("unix://{}/engine", frozen.folder.path().display()))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    std::mem::forget(frozen.listener.accept().unwrap());
    signal(&child, Signal::HUP);
    signal(&child, Signal::HUP);
    // Two of any other kind would have ended it at once.
    signal(&child, Signal::TERM);
    let output = ends(child, "nohup");
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(130), "{text}");
    assert!(text.contains("interrupted: nothing was removed"), "{text}");
}
