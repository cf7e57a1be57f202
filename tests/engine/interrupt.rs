//! Ctrl-C and SIGTERM at any moment of a build: gone at once, nothing left behind.

use std::io::Write as _;
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, SystemTime};

use rustix::process::{Pid, Signal, kill_process};

use crate::support::{BUSYBOX, Project, SlowSocket, engine, eventually, on_every_engine};

/// A project of two targets, one with its Dockerfile inline, whose steps sleep for `nap` seconds:
/// the number marks their processes.
fn sleepers(engine: &crate::support::Engine, nap: u64) -> Project {
    let project = Project::new(engine);
    project
        .write(
            "compose.yaml",
            format!(
                "services:\n  file:\n    build: .\n  inline:\n    build:\n      context: .\n      \
                 dockerfile_inline: |\n        FROM {BUSYBOX}\n        RUN sleep {nap} # inline\n"
            ),
        )
        .write("Dockerfile", format!("FROM {BUSYBOX}\nRUN sleep {nap}\n"));
    std::fs::create_dir(project.home().join("tmp")).unwrap();
    project
}

fn build(project: &Project) -> Child {
    build_at(project, &[])
}

fn build_at(project: &Project, host: &[&str]) -> Child {
    let child = project
        .command(&[host, &["build", "--progress", "plain"]].concat())
        .env("TMPDIR", project.home().join("tmp"))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    // Until `env` has run the program, signals may be ignored that whoever started the tests in the background ignores.
    let program = format!("/proc/{}/exe", child.id());
    eventually("the program runs", || {
        let file = std::fs::read_link(&program).ok()?;
        file.ends_with("doc2md-docker").then_some(())
    });
    child
}

pub(crate) fn signal(child: &Child, signal: Signal) {
    kill_process(Pid::from_child(child), signal).unwrap();
}

/// Whether a process runs that has `mark` among its arguments. Steps run on this host, so they are seen.
pub(crate) fn runs(mark: &str) -> bool {
    let Ok(processes) = std::fs::read_dir("/proc") else { return false };
    processes.flatten().any(|process| {
        let arguments = std::fs::read(process.path().join("cmdline")).unwrap_or_default();
        // The step itself, not what carries its text: a shell, or this test.
        arguments.split(|byte| *byte == 0).any(|argument| argument == mark.as_bytes())
    })
}

/// A number nobody else uses, from seconds no test waits for.
fn nap(random: &mut u64) -> u64 {
    1_000_000 + next(random) % 8_000_000
}

fn next(random: &mut u64) -> u64 {
    // xorshift64
    *random ^= *random << 13;
    *random ^= *random >> 7;
    *random ^= *random << 17;
    *random
}

fn seed() -> u64 {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    u64::try_from(now.as_nanos() & u128::from(u64::MAX)).unwrap() | 1
}

/// Waits, and does not time: on a busy machine a second is no measure.
#[track_caller]
fn ends_soon(child: &mut Child, what: &str) -> ExitStatus {
    eventually(&format!("{what}: the program ends"), || child.try_wait().unwrap())
}

#[track_caller]
fn ends_interrupted(child: &mut Child, what: &str) {
    let status = ends_soon(child, what);
    // A program that was not yet up dies of the signal: a shell calls that 130 too.
    let interrupted = status.code() == Some(130) || status.signal() == Some(2);
    assert!(interrupted, "{what}: {status}");
}

#[track_caller]
fn nothing_is_left(project: &Project, nap: u64, what: &str) {
    let mark = nap.to_string();
    let what = format!("{what}: no step runs");
    eventually(&what, || (!runs(&mark)).then_some(()));
    is_empty(&project.home().join("tmp"));
}

#[track_caller]
fn is_empty(folder: &Path) {
    let left: Vec<_> = std::fs::read_dir(folder).unwrap().flatten().map(|e| e.path()).collect();
    assert!(left.is_empty(), "left: {left:?}");
}

/// Waits until both steps run.
fn both_run(nap: u64) {
    let mark = nap.to_string();
    eventually("a step runs", || runs(&mark).then_some(()));
}

/// `DOC2MD_INTERRUPT_ROUNDS=100` takes that many on each engine.
#[test]
fn random_moments() {
    let seed = seed();
    let rounds = std::env::var("DOC2MD_INTERRUPT_ROUNDS").ok().and_then(|it| it.parse().ok());
    on_every_engine(|engine| {
        // Engines run at the same time: each needs its own mark.
        let salt =
            engine.name.bytes().fold(0, |sum: u64, byte| sum.rotate_left(9) ^ u64::from(byte));
        let mut random = seed ^ (salt << 8);
        let nap = nap(&mut random);
        let project = sleepers(engine, nap);
        for round in 0..rounds.unwrap_or(10) {
            let delay = Duration::from_millis(next(&mut random) % 1500);
            let what = format!("{}, seed {seed}, round {round}, after {delay:?}", engine.name);
            let mut child = build(&project);
            // The moment is the point here: there is no condition to wait for.
            std::thread::sleep(delay);
            signal(&child, Signal::INT);
            ends_interrupted(&mut child, &what);
            nothing_is_left(&project, nap, &what);
        }
    });
}

/// It loses cancels while a step starts, and a busy engine needs its time to say which release it is.
#[test]
fn a_cancel_waits_for_what_starts_until_the_engine_says_it_need_not() {
    let mut random = seed();
    let nap = nap(&mut random);
    let engine = engine("26.1");
    let slow = SlowSocket::new(engine.socket(), &["/version"], Duration::from_secs(600));
    let project = sleepers(&engine, nap);
    let host = format!("unix://{}", slow.path().display());
    for round in 0..6 {
        // Where a step starts, on an idle machine.
        let delay = Duration::from_millis(20 + next(&mut random) % 80);
        let what = format!("round {round}, after {delay:?}");
        let mut child = build_at(&project, &["-H", &host]);
        std::thread::sleep(delay);
        signal(&child, Signal::INT);
        ends_interrupted(&mut child, &what);
        nothing_is_left(&project, nap, &what);
    }
}

#[test]
fn sigterm_cancels_as_ctrl_c_does() {
    let nap = nap(&mut seed());
    let project = sleepers(&engine("28.5"), nap);
    let mut child = build(&project);
    both_run(nap);
    signal(&child, Signal::TERM);
    assert_eq!(ends_soon(&mut child, "SIGTERM").code(), Some(130));
    nothing_is_left(&project, nap, "SIGTERM");
}

#[test]
fn a_second_ctrl_c_ends_at_once() {
    let nap = nap(&mut seed());
    let project = sleepers(&engine("28.5"), nap);
    let mut child = build(&project);
    both_run(nap);
    // Signals of one kind merge while they are pending, so send until one counts as the second.
    let status = eventually("the program ends", || {
        signal(&child, Signal::INT);
        child.try_wait().unwrap()
    });
    assert_eq!(status.code(), Some(130));
    nothing_is_left(&project, nap, "second Ctrl-C");
}

#[test]
fn the_terminal_is_as_it_was() {
    let nap = nap(&mut seed());
    let project = sleepers(&engine("28.5"), nap);
    let tmp = project.home().join("tmp");
    project.write(
        "in-terminal.sh",
        format!(
            "trap : INT\nstty -a >before\n{} build\necho $? >code\nstty -a >after\n",
            env!("CARGO_BIN_EXE_doc2md-docker")
        ),
    );
    // `script` gives the shell a terminal of its own and types what comes on its standard input.
    let seen = project.home().join("seen");
    let build = project.command(&[]);
    let mut terminal = Command::new("script")
        .args(["--quiet", "--flush", "--command", "sh in-terminal.sh"])
        .arg(&seen)
        .current_dir(project.dir())
        .env_clear()
        .envs(build.get_envs().filter_map(|(name, value)| Some((name, value?))))
        .env("TERM", "xterm-256color")
        .env("TMPDIR", &tmp)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    both_run(nap);
    let mut keyboard = terminal.stdin.take().unwrap();
    keyboard.write_all(b"\x03").unwrap();
    keyboard.flush().unwrap();
    eventually("the program ends", || {
        project.dir().join("after").metadata().ok().filter(|file| file.len() > 0)
    });
    drop(keyboard);
    terminal.wait().unwrap();
    let read = |name: &str| std::fs::read_to_string(project.dir().join(name)).unwrap();
    assert_eq!(read("code").trim(), "130");
    assert_eq!(read("before"), read("after"));
    let seen = String::from_utf8_lossy(&std::fs::read(&seen).unwrap()).into_owned();
    let hidden = seen.rfind("\x1b[?25l").expect("the live view hides the cursor while it draws");
    assert!(seen.rfind("\x1b[?25h").unwrap() > hidden, "{seen}");
    assert!(seen.rfind("\x1b[?7h").unwrap() > seen.rfind("\x1b[?7l").unwrap(), "{seen}");
    nothing_is_left(&project, nap, "in a terminal");
}
