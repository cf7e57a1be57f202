//! Runs a target on many inputs, in a process of its own: a stack that overflows and memory without end take the
//! process with them. Each input is on disk before it is run, so that whatever happens, the input is at hand.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::bounds;
use crate::mutate::{self, Random};
use crate::targets::Target;

/// How long a target runs with `cargo test`.
const SHORT: Duration = Duration::from_millis(800);
/// How many inputs it runs at most then, so that the same ones run on a fast machine and on a busy one.
const SHORT_COUNT: u64 = 400;
/// How long a failing input is made smaller.
const SMALLER: Duration = Duration::from_secs(60);
/// How much longer than planned a process may take on a busy machine, before it hangs without using its CPU.
const PATIENCE: Duration = Duration::from_secs(300);

/// Set for the process that runs inputs: where it puts each of them.
const CHILD: &str = "DOC2MD_FUZZ_CHILD";
/// A file to run instead of inputs.
const REPLAY: &str = "DOC2MD_FUZZ_REPLAY";

/// How much is run.
struct Plan {
    seed: u64,
    time: Duration,
    most: u64,
}

impl Plan {
    fn of_environment() -> Self {
        let seed = number("DOC2MD_FUZZ_SEED").unwrap_or(1);
        match number("DOC2MD_FUZZ_SECONDS") {
            Some(seconds) => Self { seed, time: Duration::from_secs(seconds), most: u64::MAX },
            None => Self { seed, time: SHORT, most: SHORT_COUNT },
        }
    }
}

fn number(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{variable} is a number, not {text:?}")))
}

/// Runs `target`, whose test has the same name.
pub(crate) fn run(target: &Target) {
    if let Some(file) = std::env::var_os(REPLAY) {
        let input = std::fs::read(&file).unwrap();
        bounds::watch();
        return bounds::within(|| (target.run)(&input));
    }
    let plan = Plan::of_environment();
    if let Some(file) = std::env::var_os(CHILD) {
        return run_inputs(target, &plan, Path::new(&file));
    }
    if let Some(Failure { why, input }) = failure(target, &plan) {
        let small = smaller(target.name, input);
        let file = scratch(target.name, "fails");
        std::fs::write(&file, &small).unwrap();
        panic!(
            "{name}: an input of seed {seed} fails: {why}\n{bytes} bytes are left of it, in {file}:\n{shown}\n\
             again: {REPLAY}={file} cargo test --test fuzz {name}",
            name = target.name,
            seed = plan.seed,
            bytes = small.len(),
            file = file.display(),
            shown = shown(&small),
        );
    }
}

/// Runs a target that fails, and says so.
pub(crate) fn finds(says: &str, target: &Target) {
    let plan = Plan { seed: 1, time: SHORT, most: SHORT_COUNT };
    if let Some(file) = std::env::var_os(CHILD) {
        return run_inputs(target, &plan, Path::new(&file));
    }
    let failure = failure(target, &plan);
    assert!(
        failure.as_ref().is_some_and(|it| it.why.contains(says)),
        "{:?}",
        failure.map(|it| it.why)
    );
}

/// In the process that runs inputs.
fn run_inputs(target: &Target, plan: &Plan, file: &Path) {
    let seeds = (target.seeds)();
    assert!(!seeds.is_empty(), "{} has no seeds", target.name);
    bounds::watch();
    let started = Instant::now();
    let mut count = 0;
    while count < plan.most && started.elapsed() < plan.time {
        // The seeds as they are come first.
        let input = match usize::try_from(count).ok().and_then(|number| seeds.get(number)) {
            Some(seed) => seed.clone(),
            None => mutate::input(&seeds, &mut Random::new(plan.seed, count)),
        };
        std::fs::write(file, &input).unwrap();
        bounds::within(|| (target.run)(&input));
        count += 1;
    }
    assert!(count > 0, "{}: nothing ran", target.name);
    eprintln!("{}: {count} inputs of seed {}", target.name, plan.seed);
}

struct Failure {
    why: String,
    input: Vec<u8>,
}

/// Runs inputs in another process; `None` where all went well.
fn failure(target: &Target, plan: &Plan) -> Option<Failure> {
    let file = scratch(target.name, "current");
    let process = Process::start(target.name, CHILD, &file);
    let why = process.end(plan.time + PATIENCE)?;
    Some(Failure { why, input: std::fs::read(&file).unwrap() })
}

/// The input with halves, quarters, ... left out while it still fails.
fn smaller(name: &str, mut input: Vec<u8>) -> Vec<u8> {
    let file = scratch(name, "smaller");
    let started = Instant::now();
    let fails = |input: &[u8]| {
        std::fs::write(&file, input).unwrap();
        Process::start(name, REPLAY, &file).end(PATIENCE).is_some()
    };
    let mut part = input.len() / 2;
    while part > 0 && started.elapsed() < SMALLER {
        let mut at = 0;
        while at < input.len() && started.elapsed() < SMALLER {
            let mut shorter = input.clone();
            shorter.drain(at..(at + part).min(input.len()));
            if fails(&shorter) {
                input = shorter;
            } else {
                at += part;
            }
        }
        part /= 2;
    }
    input
}

/// This test again, in a process of its own.
struct Process {
    child: std::process::Child,
    said: PathBuf,
}

impl Process {
    fn start(name: &str, variable: &str, file: &Path) -> Self {
        let said = scratch(name, "said");
        let child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", name, "--nocapture", "--test-threads=1"])
            .env(variable, file)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(std::fs::File::create(&said).unwrap())
            .spawn()
            .unwrap();
        Self { child, said }
    }

    /// Waits for it. Why it failed, if it did.
    fn end(mut self, most: Duration) -> Option<String> {
        let started = Instant::now();
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            if started.elapsed() > most {
                self.child.kill().unwrap();
                self.child.wait().unwrap();
                return Some("it hangs".to_owned());
            }
            std::thread::sleep(Duration::from_millis(5));
        };
        let said = String::from_utf8_lossy(&std::fs::read(&self.said).unwrap()).into_owned();
        if status.success() {
            eprint!("{said}");
            return None;
        }
        Some(format!("{status}: {}", said.trim()))
    }
}

/// A file of this target.
fn scratch(name: &str, what: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("fuzz");
    std::fs::create_dir_all(&folder).unwrap();
    folder.join(format!("{name}.{what}"))
}

/// The beginning of an input, so that it fits a log.
fn shown(input: &[u8]) -> String {
    const MOST: usize = 2000;
    let mut text = format!("{:?}", String::from_utf8_lossy(&input[..input.len().min(MOST)]));
    if input.len() > MOST {
        let _ = write!(text, " and {} more bytes", input.len() - MOST);
    }
    text
}
