//! A builder that goes away at any moment of a build: killed, cut off or frozen.
//!
//! A round is one build and one moment by chance. DOC2MD_BUILDER_ROUNDS=20 makes twenty of each kind.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::builds_elsewhere::{built, command, create_unseen};
use crate::interrupt::runs;
use crate::support::{
    BUSYBOX, BuildkitStandIn, Engine, Project, engine, engines, eventually, side_by_side, text,
};

/// Rounds of each kind.
fn rounds() -> u64 {
    let wanted = std::env::var("DOC2MD_BUILDER_ROUNDS").ok();
    wanted.map_or(2, |rounds| rounds.parse().unwrap())
}

/// No build may take longer after its builder has gone.
const PATIENCE: Duration = Duration::from_secs(30);

#[derive(Debug, Clone, Copy)]
enum Kind {
    Killed,
    Cut,
    Frozen,
}

/// A number by chance, below `most`.
fn chance(most: u64) -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let mut state = (now.as_nanos() as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    state ^= state >> 29;
    state.wrapping_mul(0xbf58_476d_1ce4_e5b9) % most.max(1)
}

/// A build of about a second: a step that runs, files that travel there, layers that travel back.
fn project(engine: &Engine) -> (Project, String) {
    let project = Project::new(engine);
    let nap = format!("0.7{}", project.name().replace(|it: char| !it.is_ascii_digit(), ""));
    std::fs::create_dir(project.home().join("tmp")).unwrap();
    project.write("compose.yaml", "services: {app: {build: .}}").write(
        "Dockerfile",
        format!("FROM {BUSYBOX}\nCOPY new /new\nRUN sleep {nap}\nCOPY big /big\n"),
    );
    (project, nap)
}

fn renew(project: &Project, round: u64) {
    let mut state = round.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    };
    let noise: Vec<u8> = (0..1 << 20).flat_map(|_| next()).collect();
    project.write("big", noise).write("new", format!("{} {round}", project.name()));
}

fn build(project: &Project) -> Command {
    let mut command = command(project, &["--builder", "far", "build", "--progress", "plain"]);
    command.env("TMPDIR", project.home().join("tmp"));
    command
}

/// One round. Returns how the build ended, and how long after the builder had gone.
fn round(project: &Project, nap: &str, kind: Kind, number: u64, whole: Duration) -> String {
    let builder = engine("28.5-containerd");
    let buildkit = BuildkitStandIn::start(builder.socket());
    create_unseen(project, "far", &buildkit.address(), &[]);
    renew(project, number);
    let moment = Duration::from_millis(chance(whole.as_millis() as u64 * 11 / 10));
    let running = build(project).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    std::thread::sleep(moment);
    let gone = Instant::now();
    let kept = match kind {
        Kind::Killed => {
            drop(buildkit);
            None
        }
        Kind::Cut => {
            buildkit.cut();
            Some(buildkit)
        }
        Kind::Frozen => {
            buildkit.freeze();
            Some(buildkit)
        }
    };
    let output = running.wait_with_output().unwrap();
    let took = gone.elapsed();
    let what = format!("{kind:?} after {moment:?}, ended {took:?} later: {}", text(&output));
    assert!(took < PATIENCE, "{what}");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!said.contains("panicked"), "{what}");
    match output.status.code() {
        Some(0) => {}
        Some(3) => {
            assert!(said.contains("the builder `far`, node `far0`"), "{what}");
            assert!(said.lines().any(|line| line.starts_with("hint:")), "{what}");
            for noise in ["rpc error", "code:", "h2 protocol", "transport error"] {
                assert!(!said.contains(noise), "{noise}: {what}");
            }
        }
        _ => panic!("{what}"),
    }
    drop(kept);
    nothing_is_left(project, nap, number, &what);
    format!("{kind:?} at {moment:?}: code {:?} after {took:?}", output.status.code())
}

fn nothing_is_left(project: &Project, nap: &str, number: u64, what: &str) {
    let left: Vec<_> = std::fs::read_dir(project.home().join("tmp")).unwrap().collect();
    assert!(left.is_empty(), "{left:?}: {what}");
    let find = Command::new("find").arg(project.home()).args(["-name", "*.partial"]).output();
    let partial = String::from_utf8(find.unwrap().stdout).unwrap();
    assert!(partial.is_empty(), "{partial}: {what}");
    eventually("no step runs", || (!runs(nap)).then_some(()));
    // What has the name is a whole image: this one, or one from before.
    let (engine, image) = (project.engine(), format!("{}-app", project.name()));
    if engine.image_id(&image).is_some() {
        let new = engine.file_of(&image, "/new");
        assert!((0..=number).any(|it| new == format!("{} {it}", project.name())), "{new}: {what}");
    }
}

/// The next build works. BuildKit may have kept a step in part only, and says so of every build of it: then what the hint
/// says helps.
fn next_works(project: &Project, builder: &Engine) {
    let output = build(project).output().unwrap();
    if output.status.success() {
        return;
    }
    let said = text(&output);
    let (_, id) = said.split_once("docker buildx prune --all --force --filter id=").expect(&said);
    let filter = format!("id={}", id.lines().next().unwrap());
    builder.docker_ok(&["buildx", "prune", "--all", "--force", "--filter", &filter]);
    built(project, &["--builder", "far", "build"]);
}

#[test]
#[allow(clippy::print_stdout)] // What became of each round, for whoever makes many.
fn a_builder_may_go_at_any_moment() {
    let kinds = [Kind::Killed, Kind::Cut, Kind::Frozen];
    let runs = kinds.into_iter().enumerate().map(|(place, kind)| {
        (format!("{kind:?}"), move || {
            for number in 1..=rounds() {
                let engines = engines();
                let turn = usize::try_from(number).unwrap() + place;
                let (project, nap) = project(&engines[turn % engines.len()]);
                let builder = engine("28.5-containerd");
                let buildkit = BuildkitStandIn::start(builder.socket());
                create_unseen(&project, "far", &buildkit.address(), &[]);
                renew(&project, 0);
                let begun = Instant::now();
                built(&project, &["--builder", "far", "build"]);
                let whole = begun.elapsed();
                let told = round(&project, &nap, kind, number, whole);
                println!("{}: {told}", project.engine().name);
                create_unseen(&project, "far", &buildkit.address(), &[]);
                next_works(&project, &builder);
                let image = format!("{}-app", project.name());
                let new = project.engine().file_of(&image, "/new");
                assert_eq!(new, format!("{} {number}", project.name()));
            }
        })
    });
    side_by_side(runs.collect());
}
