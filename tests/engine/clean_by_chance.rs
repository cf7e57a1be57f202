//! Pairs of random projects that share what they can: cleaning one takes nothing of the other.
//!
//! `DOC2MD_CLEAN_SEED=N` runs one pair again, the one that a failure names; `DOC2MD_CLEAN_PAIRS=50` runs that many on
//! each engine, more than the suite has time for.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::thread;

use doc2md_docker::inventory::Inventory;
use serde_json::Value;

use crate::clean_alone::{ENGINES, inventory, on_private_engines};
use crate::support::{
    BUSYBOX, Chance, PrivateEngine, Project, Registry, eventually, in_short, text,
};

/// Pairs on each engine, others on each.
const PAIRS: u64 = 5;
/// Pairs at the same time: one is cleaned while others build.
const AT_ONCE: usize = 3;
/// Label of a project.
const LABEL: &str = "com.docker.compose.project";

/// Instructions of one stage, some of them the same in both projects of a pair.
fn instructions(chance: &mut Chance, pair: &str, name: &str) -> String {
    let mut text = String::new();
    for index in 0..1 + chance.next() % 4 {
        let whose = if chance.one_in(2) { pair } else { name };
        let _ = match chance.next() % 4 {
            0 => writeln!(text, "RUN echo {whose} > /run{index}"),
            1 => writeln!(text, "COPY file{} /copy{index}", chance.next() % 2),
            2 => writeln!(text, "WORKDIR /work/{whose}"),
            _ => writeln!(
                text,
                "RUN --mount=type=cache,id={whose},target=/c echo {name} >> /c/f && echo {index} > /mount{index}"
            ),
        };
    }
    text
}

fn dockerfile(chance: &mut Chance, base: &str, shared: &str, pair: &str, name: &str) -> String {
    let mut text = format!("FROM {base} AS base\n{shared}");
    let staged = chance.one_in(2);
    if staged {
        text += &format!(
            "FROM base AS made\n{}RUN echo {name} > /made\n",
            instructions(chance, pair, name)
        );
    }
    text += &format!("FROM base\n{}RUN echo {name} > /own\n", instructions(chance, pair, name));
    if staged {
        text += "COPY --from=made /made /made\n";
    }
    text
}

fn project(
    engine: &PrivateEngine,
    base: &str,
    chance: &mut Chance,
    pair: &str,
    shared: &str,
) -> Project {
    let project = Project::new(engine.engine());
    let name = project.name().to_owned();
    let own = if chance.one_in(2) { pair } else { &name };
    project
        .write("Dockerfile", dockerfile(chance, base, shared, pair, &name))
        .write("file0", pair)
        .write("file1", own)
        .write(
            "compose.yaml",
            format!(
                "services:\n  app:\n    build: .\nvolumes:\n  volume:\n    name: {name}-volume\n"
            ),
        );
    project
}

/// Builds it, by this program or, where nobody labels it, by the docker CLI.
fn build(project: &Project, labelled: bool) {
    if labelled {
        project.run(&["build"]).success();
        return;
    }
    let tag = format!("{}-app", project.name());
    let built = project.docker(&["buildx", "build", "--tag", &tag, "."]).output().unwrap();
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
}

/// A container and a volume that it does not use, with the labels that compose would give them.
fn equip(project: &Project) {
    let label = format!("{LABEL}={}", project.name());
    let name = |what: &str| format!("{}-{what}", project.name());
    let engine = project.engine();
    let key = "com.docker.compose.volume=volume";
    engine.docker_ok(&["volume", "create", "--label", &label, "--label", key, &name("volume")]);
    let directory = format!("{LABEL}.working_dir={}", project.dir().display());
    engine.docker_ok(&[
        "container",
        "create",
        "--label",
        &label,
        "--label",
        &directory,
        "--label",
        "com.docker.compose.config-hash=hash",
        "--network",
        "none",
        "--name",
        &name("container"),
        &name("app"),
    ]);
}

/// Everything an engine has that says by its name or text that it is of a project, and how often. Cache records have
/// no lasting id: where two hold the same files, an engine lists now one and now the other (BuildKit `cache/manager.go`,
/// `DiskUsage`, "duplicates that share data").
fn of(seen: &Inventory, project: &Project) -> BTreeMap<String, usize> {
    let images =
        seen.images.iter().flat_map(|it| it.references.iter().map(move |name| (name, &it.id)));
    let images = images.map(|(name, id)| format!("{name} {id}"));
    let containers = seen.containers.iter().map(|it| it.name.clone());
    let volumes = seen.volumes.iter().map(|it| it.name.clone());
    let cache = seen.cache.iter().map(|it| it.description.clone());
    let mut counts = BTreeMap::new();
    for text in images.chain(containers).chain(volumes).chain(cache) {
        if text.contains(project.name()) {
            *counts.entry(text).or_default() += 1;
        }
    }
    counts
}

/// Cleans it. What a build of another pair took up meanwhile may remain, and nothing else: engines know local sources
/// of the same files by one record.
fn clean(project: &Project, options: &[&str]) -> Value {
    let args = [&["clean", "--format", "json"], options].concat();
    let output = project.command(&args).output().unwrap();
    let done: Value = serde_json::from_slice(&output.stdout).unwrap();
    let remaining = done["remaining"].as_array().unwrap();
    let code = i32::from(!remaining.is_empty());
    assert_eq!(output.status.code(), Some(code), "{}", text(&output));
    let of_others = |item: &Value| {
        let words = ["a build has used it since", "the engine kept it"];
        words.iter().any(|words| item["reason"].as_str().unwrap().starts_with(words))
    };
    assert!(remaining.iter().all(of_others), "{remaining:#?}");
    done
}

/// What a clean did with cache records.
enum Cache {
    /// That many went.
    Removed(usize),
    /// All stayed: a prune could have cost what stays, and that was said (docs/design/clean.md, "What a prune costs on
    /// the containerd store").
    HeldBack,
}

impl Cache {
    fn of(done: &Value) -> Self {
        let mut kept = done["keep"].as_array().unwrap().iter();
        let why = "a prune makes BuildKit forget what stays";
        if kept.any(|item| item["reason"].as_str().unwrap().starts_with(why)) {
            return Self::HeldBack;
        }
        let removed = done["remove"].as_array().unwrap().iter();
        Self::Removed(removed.filter(|item| item["kind"] == "cache").count())
    }
}

/// Cleans one project of a pair.
fn pair(engine: &PrivateEngine, base: &str, seed: u64) -> Cache {
    let mut chance = Chance(seed);
    // Nothing is shared between pairs but the base: else everything would be in use by somebody.
    let pair = format!("pair{seed}x");
    let shared = instructions(&mut chance, &pair, &pair);
    let ours = project(engine, base, &mut chance, &pair, &shared);
    let theirs = project(engine, base, &mut chance, &pair, &shared);
    let labelled = !chance.one_in(3);
    if chance.one_in(2) {
        build(&theirs, labelled);
        build(&ours, true);
    } else {
        build(&ours, true);
        build(&theirs, labelled);
    }
    for _ in 0..chance.next() % 3 {
        build(if chance.one_in(2) { &ours } else { &theirs }, true);
    }
    equip(&ours);
    equip(&theirs);
    // Until the engine has let go of a build, it may list a record of it twice.
    let before = eventually("the engine has let go of the builds", || {
        let seen = of(&inventory(&ours), &theirs);
        (of(&inventory(&ours), &theirs) == seen).then_some(seen)
    });
    let options = [
        &["--cache"][..],
        &["--only", "cache"],
        &["--cache", "--images=false"],
        &["--max-used-space", "0B"],
    ];
    let args = [&["--force"], options[chance.next() as usize % options.len()]].concat();
    let done = clean(&ours, &args);
    let after = of(&inventory(&ours), &theirs);
    let left = |text: &String| after.get(text).copied().unwrap_or(0);
    // What both could have made goes only where nobody else's build needs it: the next one tells.
    let gone: Vec<&String> =
        before.iter().filter(|(text, count)| left(text) < **count).map(|(text, _)| text).collect();
    assert_eq!(gone, [""; 0], "{args:?} {done:#}");
    if labelled {
        assert_eq!(theirs.ran(), BTreeSet::new(), "{args:?} {done:#}");
    } else {
        let again =
            theirs.docker(&["buildx", "build", "--progress", "plain", "."]).output().unwrap();
        let text = String::from_utf8_lossy(&again.stderr).into_owned();
        let ran = ran_in_plain_output(&text);
        assert!(again.status.success() && ran.is_empty(), "{ran:?}, {args:?} {done:#}\n{text}");
    }
    engine.engine().docker_ok(&["container", "rm", &format!("{}-container", theirs.name())]);
    Cache::of(&done)
}

/// The steps that did not come from the cache. A busy engine may have its steps told in turns: buildx repeats the name of
/// one it comes back to.
fn ran_in_plain_output(text: &str) -> BTreeSet<&str> {
    let number = |line: &'_ str| line.split(' ').next().unwrap_or_default().to_owned();
    let cached: BTreeSet<String> =
        text.lines().filter(|line| line.ends_with(" CACHED")).map(number).collect();
    let is_step = |line: &&str| line.contains("] RUN ") || line.contains("] COPY ");
    text.lines().filter(is_step).filter(|line| !cached.contains(&number(line))).collect()
}

/// What pairs are built upon. The containerd store removes only cache on a base that BuildKit fetched. The first
/// build on it has to end: while it runs, builds look nothing up that is built on the base
/// (docs/design/clean.md).
pub(crate) fn base(engine: &PrivateEngine, registry: &Registry) -> String {
    if engine.engine().name.ends_with("containerd") {
        return engine.remote_base(registry);
    }
    engine.import_base("busybox");
    let first = Project::new(engine.engine());
    first.write("Dockerfile", format!("FROM {BUSYBOX}\nRUN true\n"));
    let built = first.docker(&["buildx", "build", "."]).output().unwrap();
    assert!(built.status.success(), "{}", text(&built));
    BUSYBOX.to_owned()
}

#[test]
fn cleaning_one_of_two_random_projects_takes_nothing_of_the_other() {
    let number = |name: &str| std::env::var(name).ok().map(|text| text.parse::<u64>().unwrap());
    let only = number("DOC2MD_CLEAN_SEED");
    let pairs = number("DOC2MD_CLEAN_PAIRS").unwrap_or(PAIRS);
    let registry = Registry::open();
    on_private_engines(|engine| {
        let name = &engine.engine().name;
        let base = base(engine, &registry);
        let first = 1000 * ENGINES.iter().position(|known| known == name).unwrap() as u64 + 1;
        let seeds: Vec<u64> =
            only.map_or_else(|| (first..first + pairs).collect(), |seed| vec![seed]);
        let left = Mutex::new(seeds.iter());
        let results = Mutex::new((0, 0, Vec::new()));
        let run = || {
            loop {
                let Some(seed) = left.lock().unwrap().next() else { return };
                let result = catch_unwind(AssertUnwindSafe(|| pair(engine, &base, *seed)));
                let mut results = results.lock().unwrap();
                match result {
                    Ok(Cache::Removed(count)) => results.0 += count,
                    Ok(Cache::HeldBack) => results.1 += 1,
                    Err(why) => results.2.push(format!("{seed}: {}", in_short(&*why))),
                }
            }
        };
        thread::scope(|scope| (0..AT_ONCE).for_each(|_| drop(scope.spawn(run))));
        let (removed, held_back, failed) = results.into_inner().unwrap();
        assert!(failed.is_empty(), "failed with DOC2MD_CLEAN_SEED=\n{}", failed.join("\n"));
        // Of what a project alone has, most can go. On the containerd store all of it stays where a record that a build
        // is just making does not yet say what it is.
        let cleaned = seeds.len() - held_back;
        assert!(removed >= cleaned.max(1), "{name}: {removed} records of {cleaned} projects");
        let most = if name.ends_with("containerd") { seeds.len().div_ceil(4) } else { 0 };
        assert!(held_back <= most, "{name}: {held_back} held back");
    });
}
