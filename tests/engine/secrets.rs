//! What a target declares it gets, and nothing else: secrets, agents and directories of random neighbours.
//!
//! `DOC2MD_SECRETS_SEED=N` runs one project again, the one that a failure names; `DOC2MD_SECRETS_ROUNDS=50` runs that
//! many on each engine.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::{Command, Output};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::support::{BUSYBOX, Chance, Engine, GitServer, Project, engine, on_every_engine, text};

/// Random projects on each engine.
const ROUNDS: u64 = 2;
/// Ids under which secrets are asked for.
const IDS: [&str; 3] = ["id0", "id1", "id2"];
/// Shows which of [`IDS`] and whether an agent are there, without showing a value.
const PROBE: &str = "RUN --mount=type=secret,id=id0 --mount=type=secret,id=id1 --mount=type=secret,id=id2 --mount=type=ssh \
     for i in id0 id1 id2; do if [ -e /run/secrets/$i ]; then md5sum </run/secrets/$i | cut -c1-32; else echo none; fi; done >/seen; \
     if [ -S \"$SSH_AUTH_SOCK\" ]; then echo agent; else echo none; fi >>/seen; echo";

fn seen(engine: &Engine, image: &str) -> Vec<String> {
    let seen = engine.file_of(image, "/seen");
    seen.lines().map(str::to_owned).collect()
}

fn md5(engine: &Engine, values: &BTreeSet<String>) -> BTreeMap<String, String> {
    let script: String = values.iter().map(|_| "printf %s \"$1\" | md5sum; shift;").collect();
    let mut args = vec!["sh", "-c", &script, "sh"];
    args.extend(values.iter().map(String::as_str));
    let sums = engine.said_in(&[], BUSYBOX, &args);
    values
        .iter()
        .cloned()
        .zip(sums.lines().map(|line| line.split(' ').next().unwrap().to_owned()))
        .collect()
}

#[test]
fn neighbours_do_not_get_what_they_have_not_declared() {
    let git = GitServer::start();
    on_every_engine(|engine| {
        let project = Project::new(engine);
        let name = project.name();
        let stranger = format!("FROM {BUSYBOX}\n{PROBE} {name} stranger\n");
        let repository = git.add(name, &[("Dockerfile".to_owned(), stranger)]);
        let agent = project.home().join("agent");
        let _agent = UnixListener::bind(&agent).unwrap();
        project
            .write("a", format!("FROM {BUSYBOX}\nCOPY tok /\n{PROBE} {name} a\n"))
            .write("b", format!("FROM {BUSYBOX}\nCOPY tok /\n{PROBE} {name} b\n"))
            .write("tok", "the-token")
            .write(
                "compose.yaml",
                format!(
                    "services:\n  \
                       a: {{build: {{context: ., dockerfile: a, secrets: [{{source: tok, target: id1}}], ssh: [default]}}}}\n  \
                       b: {{build: {{context: ., dockerfile: b}}}}\n  \
                       c: {{build: '{repository}'}}\n\
                     secrets: {{tok: {{file: ./tok}}}}\n"
                ),
            );
        let output = project.command(&["build"]).env("SSH_AUTH_SOCK", &agent).output().unwrap();
        assert!(output.status.success(), "{}: {}", engine.name, text(&output));
        let digest = md5(engine, &BTreeSet::from(["the-token".to_owned()]));
        let expected = ["none", digest["the-token"].as_str(), "none", "agent"];
        assert_eq!(seen(engine, &format!("{name}-a")), expected, "{}", engine.name);
        for other in ["b", "c"] {
            let seen = seen(engine, &format!("{name}-{other}"));
            assert_eq!(seen, ["none"; 4], "{}: {other}", engine.name);
        }
    });
}

/// A value and what a target must see of it.
#[derive(Clone)]
struct Secret {
    /// Its name in the compose file.
    name: String,
    value: String,
    variable: bool,
}

struct Random {
    project: Project,
    secrets: Vec<Secret>,
    /// What each target must see.
    expected: BTreeMap<String, Vec<Option<String>>>,
    agents: BTreeSet<String>,
    failing: BTreeSet<String>,
}

fn random(engine: &Engine, git: &GitServer, seed: u64) -> Random {
    let mut chance = Chance(seed);
    let project = Project::new(engine);
    let name = project.name().to_owned();
    let word = |chance: &mut Chance| format!("v{:016x}", chance.next());
    let secrets: Vec<Secret> = (0..4)
        .map(|index| {
            let lines = 1 + chance.next() % 3;
            let value: Vec<String> = (0..lines).map(|_| word(&mut chance)).collect();
            let variable = chance.one_in(2);
            Secret { name: format!("s{index}"), value: value.join("\n"), variable }
        })
        .collect();
    let mut random = Random {
        project,
        secrets,
        expected: BTreeMap::new(),
        agents: BTreeSet::new(),
        failing: BTreeSet::new(),
    };
    let mut services = String::new();
    let count = 2 + chance.next() % 5;
    for index in 0..count {
        let target = format!("t{index}");
        let mut build = Vec::new();
        let mut expected = vec![None; IDS.len()];
        let mut used = Vec::new();
        for (place, id) in IDS.iter().enumerate() {
            if chance.one_in(2) {
                let pick = chance.next() % random.secrets.len() as u64;
                let secret = random.secrets[usize::try_from(pick).unwrap()].clone();
                used.push(format!("{{source: {}, target: {id}}}", secret.name));
                expected[place] = Some(secret.value);
            }
        }
        build.push(format!("secrets: [{}]", used.join(", ")));
        if chance.one_in(3) {
            build.push("ssh: [default]".to_owned());
            random.agents.insert(target.clone());
        }
        // Careless: it shows what it got, as a whole, encoded, or in two pieces.
        let show = ["cat", "base64"][usize::try_from(chance.next() % 2).unwrap()];
        let careless = if chance.one_in(2) {
            format!(
                "RUN --mount=type=secret,id=id0 --mount=type=secret,id=id1 {show} /run/secrets/* 2>/dev/null; echo {name} {target}\n"
            )
        } else {
            String::new()
        };
        let copy =
            ["COPY . /all", "COPY one /one", ""][usize::try_from(chance.next() % 3).unwrap()];
        let named = engine.name != "20.10" && chance.one_in(3);
        let based = engine.name != "20.10" && index > 0 && chance.one_in(4);
        let mut contexts = Vec::new();
        let mut from = format!("FROM {BUSYBOX}\n");
        if based {
            let below = format!("t{}", chance.next() % index);
            // What the one below failed to build cannot be built upon.
            if !random.failing.contains(&below) {
                contexts.push(format!("below: 'service:{below}'"));
                from = "FROM below\n".to_owned();
            }
        }
        if named {
            contexts.push(format!("more: ./more{}", chance.next() % 2));
            from += "COPY --from=more two /two\n";
        }
        if !contexts.is_empty() {
            build.push(format!("additional_contexts: {{{}}}", contexts.join(", ")));
        }
        let fails = chance.one_in(6);
        let end = if fails {
            format!(
                "RUN --mount=type=secret,id=id0 cat /run/secrets/id0; echo {name} {target}; exit 3\n"
            )
        } else {
            String::new()
        };
        if fails {
            random.failing.insert(target.clone());
        }
        let steps = format!("{from}{{COPY}}{PROBE} {name} {target}\n{careless}{end}");
        match chance.next() % 5 {
            0 => {
                let text = steps.replace("{COPY}", "");
                let url = git.add(&format!("{name}-{target}"), &[("Dockerfile".to_owned(), text)]);
                build.push(format!("context: '{url}'"));
            }
            1 => {
                let text = steps.replace("{COPY}", &format!("{copy}\n"));
                let lines: String =
                    text.lines().map(|line| format!("          {line}\n")).collect();
                build.push("context: ./context0".to_owned());
                random.project.write(format!("inline/{target}"), &lines);
            }
            other => {
                let text = steps.replace("{COPY}", &format!("{copy}\n"));
                random.project.write(format!("docker/{target}"), text);
                build.push(format!("context: ./context{}", other % 2));
                build.push(format!("dockerfile: ../docker/{target}"));
            }
        }
        let inline = std::fs::read_to_string(random.project.dir().join("inline").join(&target));
        let inline = inline.map_or_else(
            |_| String::new(),
            |lines| {
                // Compose would take the shell's variables for its own.
                format!("      dockerfile_inline: |\n{}", lines.replace('$', "$$"))
            },
        );
        let keys: String = build.iter().map(|key| format!("      {key}\n")).collect();
        services += &format!("  {target}:\n    build:\n{keys}{inline}");
        random.expected.insert(target, expected);
    }
    for folder in ["context0", "context1"] {
        random.project.write(format!("{folder}/one"), format!("{name} {folder}"));
    }
    for folder in ["more0", "more1"] {
        random.project.write(format!("{folder}/two"), format!("{name} {folder}"));
    }
    let mut declared = String::new();
    for secret in &random.secrets {
        if secret.variable {
            declared += &format!("  {0}: {{environment: VALUE_{0}}}\n", secret.name);
        } else {
            random.project.write(format!("values/{}", secret.name), &secret.value);
            declared += &format!("  {0}: {{file: ./values/{0}}}\n", secret.name);
        }
    }
    random.project.write("compose.yaml", format!("services:\n{services}secrets:\n{declared}"));
    random
}

/// Everything that left the program: files that are not the project's own, and what it printed, logs decoded.
fn leavings(project: &Project, output: &Output) -> Vec<(String, String)> {
    fn files(folder: &Path, into: &mut Vec<(String, String)>) {
        const OWN: [&str; 6] =
            ["values", "compose.yaml", "inline", "docker", "context0", "context1"];
        for entry in std::fs::read_dir(folder).unwrap().map(Result::unwrap) {
            let (path, kind) = (entry.path(), entry.file_type().unwrap());
            if OWN.contains(&path.file_name().unwrap().to_str().unwrap()) {
                continue;
            }
            if kind.is_dir() {
                files(&path, into);
            } else if kind.is_file() {
                let bytes = std::fs::read(&path).unwrap();
                into.push((
                    path.display().to_string(),
                    String::from_utf8_lossy(&bytes).into_owned(),
                ));
            }
        }
    }
    let mut left = Vec::new();
    files(&project.dir(), &mut left);
    files(&project.home(), &mut left);
    let printed = text(output);
    let mut logs = Vec::new();
    for line in printed.lines().filter(|line| line.starts_with('{')) {
        let status: serde_json::Value = serde_json::from_str(line).unwrap();
        for log in status["logs"].as_array().into_iter().flatten() {
            logs.extend(STANDARD.decode(log["data"].as_str().unwrap()).unwrap());
        }
    }
    left.push(("logs".to_owned(), String::from_utf8_lossy(&logs).into_owned()));
    left.push(("output".to_owned(), printed));
    left
}

/// None of `values`, as they are or in base64, is in what left the program.
#[track_caller]
fn hidden<'a>(project: &Project, output: &Output, values: impl IntoIterator<Item = &'a str>) {
    let left = leavings(project, output);
    assert!(left.len() > 2, "{:?}", left.iter().map(|(name, _)| name).collect::<Vec<_>>());
    for value in values {
        for form in [value.to_owned(), STANDARD.encode(value)] {
            // The last characters of an encoded one hold bits of what follows.
            let form = form.trim_end_matches('=');
            for (place, content) in &left {
                let at = content.find(form);
                assert!(
                    at.is_none(),
                    "{}: {form:?} is in {place}: {content}",
                    project.engine().name
                );
            }
        }
    }
}

fn run(random: &Random, seed: u64) -> Output {
    let project = &random.project;
    let progress = ["plain", "rawjson"][usize::try_from(seed % 2).unwrap()];
    let agent = project.home().join("agent");
    let _agent = UnixListener::bind(&agent).unwrap();
    let mut command = project.command(&["--progress", progress, "build", "--keep-going"]);
    command
        .args(["--timeline", "t.html", "--trace", "t.json", "--metadata-file", "m.json"])
        .env("SSH_AUTH_SOCK", &agent);
    if seed.is_multiple_of(3) {
        command
            .env("GITHUB_ACTIONS", "true")
            .env("GITHUB_STEP_SUMMARY", project.dir().join("summary.md"))
            .env("GITHUB_OUTPUT", project.dir().join("outputs"));
    }
    for secret in random.secrets.iter().filter(|secret| secret.variable) {
        command.env(format!("VALUE_{}", secret.name), &secret.value);
    }
    command.output().unwrap()
}

fn round(engine: &Engine, git: &GitServer, seed: u64) {
    let random = random(engine, git, seed);
    let output = run(&random, seed);
    let shown = format!("{} seed {seed}: {}", engine.name, text(&output));
    let values: BTreeSet<String> =
        random.secrets.iter().map(|secret| secret.value.clone()).collect();
    let digests = md5(engine, &values);
    for (target, expected) in &random.expected {
        if random.failing.contains(target) {
            continue;
        }
        let image = format!("{}-{target}", random.project.name());
        let mut expected: Vec<&str> = expected
            .iter()
            .map(|value| value.as_ref().map_or("none", |value| digests[value].as_str()))
            .collect();
        expected.push(if random.agents.contains(target) { "agent" } else { "none" });
        assert_eq!(seen(engine, &image), expected, "{target} of {shown}");
    }
    let lines = random.secrets.iter().flat_map(|secret| secret.value.lines());
    hidden(&random.project, &output, lines);
    let code = i32::from(!random.failing.is_empty());
    assert_eq!(output.status.code(), Some(code), "{shown}");
}

#[test]
fn random_neighbours_get_what_they_declare() {
    let git = GitServer::start();
    let number = |name: &str| std::env::var(name).ok().map(|text| text.parse::<u64>().unwrap());
    let only = number("DOC2MD_SECRETS_SEED");
    let rounds = number("DOC2MD_SECRETS_ROUNDS").unwrap_or(ROUNDS);
    on_every_engine(|engine| {
        let first = only.unwrap_or(u64::from(std::process::id()) << 16);
        for seed in first..first + only.map_or(rounds, |_| 1) {
            round(engine, &git, seed);
        }
    });
}

#[test]
fn dependencies_do_not_get_the_secrets_of_those_on_top() {
    let engines = ["26.1", "28.5", "28.5-containerd"].map(engine);
    for engine in &engines {
        let project = Project::new(engine);
        let name = project.name();
        project
            .write("base/Dockerfile", format!("FROM {BUSYBOX}\n{PROBE} {name} base\n"))
            .write("app/Dockerfile", format!("FROM base\nRUN mv /seen /below\n{PROBE} {name} app\n"))
            .write("tok", "the-token")
            .write(
                "compose.yaml",
                "services:\n  \
                   app: {build: {context: app, additional_contexts: {base: 'service:base'}, secrets: [{source: tok, target: id0}]}}\n  \
                   base: {build: base}\n\
                 secrets: {tok: {file: ./tok}}\n",
            );
        project.run(&["build", "app"]).success();
        let image = format!("{name}-app");
        let below = engine.file_of(&image, "/below");
        assert_eq!(below.lines().collect::<Vec<_>>(), ["none"; 4], "{}", engine.name);
        assert_ne!(seen(engine, &image)[0], "none", "{}", engine.name);
    }
}

/// What a careless project shows of its secrets leaves the program nowhere, whatever becomes of the build.
#[test]
fn what_is_secret_does_not_leave_the_program() {
    const VALUES: [&str; 8] = [
        "file-line-one",
        "file-line-two",
        "from-environment",
        "nexus-pass",
        "url-pass",
        "cache-pass",
        "context-pass",
        "abc",
    ];
    on_every_engine(|engine| {
        for (progress, end) in [("plain", "true"), ("rawjson", "exit 3")] {
            let project = Project::new(engine);
            let name = project.name();
            project
                .write("values/file", "file-line-one\nfile-line-two\n")
                .write("values/short", "abc")
                .write("context0/f", "x")
                .write(
                    "docker/app",
                    format!(
                        "FROM {BUSYBOX}\nARG INDEX\nARG NEXUS_PASS\nARG V\nWORKDIR /w/$NEXUS_PASS\nCOPY f /$NEXUS_PASS/$V\n\
                         RUN --mount=type=secret,id=file --mount=type=secret,id=env cat /run/secrets/file /run/secrets/env; \
                         base64 /run/secrets/env; printf file-; sleep 0.2; printf line-; sleep 0.2; echo one; \
                         echo $INDEX $NEXUS_PASS {name} >&2; {end}\n"
                    ),
                )
                .write(
                    "compose.yaml",
                    "services:\n  app:\n    build:\n      context: ./context0\n      dockerfile: ../docker/app\n      \
                       args: {INDEX: 'http://me:url-pass@127.0.0.1:1/simple', NEXUS_PASS: nexus-pass, V: abc}\n      \
                       cache_from: ['https://me:cache-pass@127.0.0.1:1/x']\n      \
                       secrets: [file, env, short]\n  \
                     far: {build: 'http://me:context-pass@127.0.0.1:1/r.git'}\n\
                     secrets: {file: {file: ./values/file}, short: {file: ./values/short}, env: {environment: ENV}}\n",
                );
            let mut command = project.command(&["--progress", progress, "build", "--keep-going"]);
            command
                .args(["--timeline", "t.html", "--trace", "t.json", "--metadata-file", "m.json"])
                .env("GITHUB_ACTIONS", "true")
                .env("GITHUB_STEP_SUMMARY", project.dir().join("summary.md"))
                .env("GITHUB_OUTPUT", project.dir().join("outputs"))
                .env("ENV", "from-environment");
            let output = command.output().unwrap();
            assert_eq!(output.status.code(), Some(1), "{}: {}", engine.name, text(&output));
            hidden(&project, &output, VALUES.into_iter().filter(|value| value.len() > 3));
            let shown = leavings(&project, &output);
            let ledger = shown
                .iter()
                .find(|(place, _)| place.contains("/builds/") && place.ends_with(".json"));
            let ledger = ledger.unwrap();
            assert!(ledger.1.contains("***") && !ledger.1.contains("\"abc\""), "{}", ledger.1);
            for said in ["t.html", "t.json", "summary.md"] {
                let (_, content) = shown.iter().find(|(place, _)| place.ends_with(said)).unwrap();
                assert!(content.contains("***"), "{}: {said}: {content}", engine.name);
            }
        }
    });
}

/// What has no end is refused before the build; a pipe of the shell is read once, for every target.
#[test]
fn the_file_of_a_secret_is_a_file_or_a_pipe_of_the_shell() {
    let project = Project::new(&engine("28.5"));
    let name = project.name();
    let fifo = project.dir().join("fifo");
    assert!(Command::new("mkfifo").arg(&fifo).status().unwrap().success());
    let services = ["a", "b"].map(|target| {
        let steps = format!(
            "FROM {BUSYBOX}\n{PROBE} {name} {target}\nRUN --mount=type=secret,id=id0 cat /run/secrets/id0 # {target}\n"
        );
        project.write(target, steps);
        format!("  {target}: {{build: {{context: ., dockerfile: {target}}}}}\n")
    });
    project.write("compose.yaml", format!("services:\n{}", services.concat()));
    for (path, why) in [
        ("fifo", "is a FIFO, not a file"),
        ("/dev/zero", "is a device, not a file"),
        ("none", "No such file"),
    ] {
        let secret = format!("id=id0,src={path}");
        let output = project.command(&["build", "--secret", &secret]).output().unwrap();
        let said = text(&output);
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.contains("cannot read secret `id0`") && said.contains(why), "{said}");
    }
    let build = project.command(&[]);
    let mut shell = Command::new("bash");
    shell
        .args([
            "-c",
            "\"$@\" --progress plain build --secret id=id0,src=<(printf from-a-pipe)",
            "-",
        ])
        .arg(build.get_program())
        .args(build.get_args())
        .current_dir(project.dir())
        .env_clear()
        .envs(build.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let output = shell.output().unwrap();
    assert!(output.status.success(), "{}", text(&output));
    hidden(&project, &output, ["from-a-pipe"]);
    let digest = &md5(project.engine(), &BTreeSet::from(["from-a-pipe".to_owned()]))["from-a-pipe"];
    for target in ["a", "b"] {
        assert_eq!(&seen(project.engine(), &format!("{name}-{target}"))[0], digest);
    }
}
