//! Why steps ran again: changes one by one, and the cause that `why` gives for each.

use std::os::unix::fs::PermissionsExt as _;

use serde_json::{Value, json};

use doc2md_docker::engine::{Connector, Engine as Client};
use doc2md_docker::inventory::CacheRecord;

use crate::support::{
    BUSYBOX, Engine, Project, engine, on_engines_where_prunes_matter, on_every_engine,
};

/// What of a build ran by itself: the beginning of the instruction, its cause, what the cause names, and whether it is
/// certain.
fn roots(project: &Project) -> Vec<(String, String, Vec<String>, bool)> {
    let run = project.run(&["why", "--format", "json"]).success();
    let report: Value = serde_json::from_slice(&run.get_output().stdout).unwrap();
    let steps = report["targets"][0]["steps"].as_array().unwrap();
    let mut found = Vec::new();
    for step in steps {
        let cause = &step["cause"];
        assert_eq!(cause.is_object(), step["cached"] == false, "{step:#}");
        let kind = cause["kind"].as_str().unwrap_or_default();
        if cause.is_null() || matches!(kind, "earlier-step" | "stage") {
            continue;
        }
        let words = step["instruction"].as_str().unwrap().split(' ');
        let words: Vec<&str> = words.filter(|word| !word.starts_with("--")).take(2).collect();
        let mut names: Vec<String> = cause["paths"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|path| format!("{} {}", path["path"], path["change"]).replace('"', ""))
            .collect();
        names.extend(cause["argument"].as_str().map(str::to_owned));
        found.push((words.join(" "), kind.to_owned(), names, cause["certain"] == true));
    }
    found
}

fn build(project: &Project, args: &[&str]) {
    project.run(&[&["build"], args].concat()).success();
}

fn block_on<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(work)
}

/// Records of the build cache that speak of a project.
fn records(engine: &Engine, project: &str) -> Vec<CacheRecord> {
    let client = Client::new(&Connector::unix(engine.socket()));
    let mut records = block_on(client.cache_records()).unwrap();
    records.retain(|record| record.description.contains(project));
    records
}

#[track_caller]
fn assert_roots(
    engine: &Engine,
    project: &Project,
    what: &str,
    expected: &[(&str, &str, &[&str], bool)],
) {
    let expected: Vec<_> = expected
        .iter()
        .map(|(step, kind, names, certain)| {
            let names = names.iter().map(|name| (*name).to_owned()).collect();
            ((*step).to_owned(), (*kind).to_owned(), names, *certain)
        })
        .collect();
    assert_eq!(roots(project), expected, "{}: {what}", engine.name);
}

fn dockerfile(name: &str, env: &str, last: &str) -> String {
    format!(
        "FROM {BUSYBOX} AS tools\nCOPY tools /tools\n\
         FROM {BUSYBOX}\nARG MODE\nARG TOKEN\nENV X={env}\nCOPY reqs.txt /\n\
         RUN --mount=type=bind,source=lock.txt,target=/l echo {name} $MODE && cat /l\n\
         COPY app /app\nCOPY --from=tools /tools /tools\nRUN echo {last}\n"
    )
}

fn compose(mode: &str, token: &str) -> String {
    format!("services:\n  api: {{build: {{context: ., args: {{MODE: {mode}, TOKEN: {token}}}}}}}\n")
}

#[test]
fn each_change_is_named() {
    on_every_engine(|engine| {
        let project = Project::new(engine);
        let name = project.name().to_owned();
        for file in ["tools/t", "reqs.txt", "lock.txt", "app/main.py"] {
            project.write(file, format!("{name} {file}\n"));
        }
        project
            .write("compose.yaml", compose("a", "s3cret-a"))
            .write("Dockerfile", dockerfile(&name, "1", "end"));
        build(&project, &[]);
        let first = roots(&project);
        assert!(!first.is_empty() && first.iter().all(|it| it.1 == "first-build"), "{first:?}");

        build(&project, &[]);
        assert_roots(engine, &project, "nothing", &[]);

        let now = std::time::SystemTime::now();
        std::fs::File::open(project.dir().join("reqs.txt")).unwrap().set_modified(now).unwrap();
        build(&project, &[]);
        assert_roots(engine, &project, "a file touched", &[]);

        project.write("app/main.py", format!("{name} changed\n"));
        build(&project, &[]);
        let changed = ("COPY app", "files", &["app/main.py changed"][..], true);
        assert_roots(engine, &project, "a file changed", &[changed]);

        project.write("lock.txt", format!("{name} other\n"));
        build(&project, &[]);
        let changed = ("RUN echo", "files", &["lock.txt changed"][..], true);
        assert_roots(engine, &project, "a mounted file changed", &[changed]);

        project.write("app/new.py", name.as_bytes());
        build(&project, &[]);
        let added = ("COPY app", "files", &["app/new.py added"][..], true);
        assert_roots(engine, &project, "a file added", &[added]);

        let executable = std::fs::Permissions::from_mode(0o755);
        std::fs::set_permissions(project.dir().join("app/main.py"), executable).unwrap();
        build(&project, &[]);
        let changed = ("COPY app", "files", &["app/main.py mode"][..], true);
        assert_roots(engine, &project, "a mode changed", &[changed]);

        std::fs::create_dir(project.dir().join("app/empty")).unwrap();
        build(&project, &[]);
        let changed = ("COPY app", "files", &[][..], false);
        assert_roots(engine, &project, "a folder without files", &[changed]);

        project.write(".dockerignore", "app/new.py\n");
        build(&project, &[]);
        let removed = ("COPY app", "ignore-file", &["app/new.py removed"][..], true);
        assert_roots(engine, &project, "a file ignored", &[removed]);

        project.write("tools/t", format!("{name} sharper\n"));
        build(&project, &[]);
        let tools = ("COPY tools", "files", &["tools/t changed"][..], true);
        assert_roots(engine, &project, "another stage", &[tools]);

        project.write("Dockerfile", dockerfile(&name, "1", "finis"));
        build(&project, &[]);
        let last = ("RUN echo", "instruction", &[][..], true);
        assert_roots(engine, &project, "an instruction", &[last]);

        project.write("compose.yaml", compose("b", "s3cret-a"));
        build(&project, &[]);
        let argument = ("RUN echo", "argument", &["MODE"][..], true);
        assert_roots(engine, &project, "an argument", &[argument]);

        project.write("compose.yaml", compose("b", "s3cret-b"));
        build(&project, &[]);
        let argument = ("RUN echo", "argument", &["TOKEN"][..], false);
        assert_roots(engine, &project, "an argument whose value is not kept", &[argument]);
        let told = project.run(&["why"]).success();
        let told = String::from_utf8_lossy(&told.get_output().stdout).into_owned();
        assert!(
            told.contains("the build argument TOKEN changed; its values are not kept\n"),
            "{told}"
        );

        project.write("Dockerfile", dockerfile(&name, "2", "finis"));
        build(&project, &[]);
        let above = ("RUN echo", "instruction", &[][..], true);
        assert_roots(engine, &project, "an instruction without a step", &[above]);
        let told = project.run(&["why"]).success();
        let told = String::from_utf8_lossy(&told.get_output().stdout).into_owned();
        assert!(told.contains("because ENV X=1 above it changed to ENV X=2\n"), "{told}");

        build(&project, &["--no-cache"]);
        let asked = roots(&project);
        assert!(asked.len() >= 5 && asked.iter().all(|it| it.1 == "requested"), "{asked:?}");

        project.clean(&["--only", "cache"]);
        build(&project, &[]);
        // Some of it is what the image needs, or may be somebody else's.
        let gone = roots(&project);
        let is_gone = |it: &(String, String, Vec<String>, bool)| it.1 == "record-gone" && it.3;
        assert!(gone.iter().all(is_gone), "{}: {gone:?}", engine.name);
        let told = project.run(&["why"]).success();
        let told = String::from_utf8_lossy(&told.get_output().stdout).into_owned();
        let is_told = told.contains(", but `clean` removed build cache");
        assert_eq!(is_told, !gone.is_empty(), "{told}");
    });
}

#[test]
fn an_image_that_files_are_copied_from_is_named_where_it_moved() {
    on_every_engine(|engine| {
        let project = Project::new(engine);
        let (name, other) = (project.name(), format!("{}-other", project.name()));
        let image = |content: &str| {
            let dockerfile = format!("FROM {BUSYBOX}\nRUN echo {name} {content} > /f\n");
            project.write("other/Dockerfile", dockerfile);
            project.build_image(&other, "other");
        };
        image("one");
        project.write("compose.yaml", "services:\n  api: {build: .}\n").write(
            "Dockerfile",
            format!(
                "FROM {BUSYBOX}\nRUN echo {name}\nCOPY --from={other} /f /f\n\
                 FROM {BUSYBOX}\nRUN --mount=type=bind,from={other},target=/m cat /m/f\nCOPY --from=0 /f /f\n"
            ),
        );
        build(&project, &[]);
        image("two");
        let foreseen = project.run(&["build", "--dry-run"]).success();
        let told = String::from_utf8_lossy(&foreseen.get_output().stdout).into_owned();
        // The second COPY reads the first, whose file may be the same again.
        assert!(told.contains(": 2 of 5 steps would run and 1 may"), "{}: {told}", engine.name);
        build(&project, &[]);
        let moved = |step| (step, "base", &[][..], true);
        let expected = [moved("COPY /f"), moved("RUN cat")];
        assert_roots(engine, &project, "the image moved", &expected);
        build(&project, &[]);
        assert_roots(engine, &project, "nothing", &[]);
    });
}

/// Its result is gone as well: that is the cause, though the base image of another stage moved.
#[test]
fn a_base_image_that_moved_is_no_cause_beside_it() {
    on_engines_where_prunes_matter(|engine| {
        let project = Project::new(engine);
        let (name, base) = (project.name(), format!("{}-base", project.name()));
        let image = |content: &str| {
            let dockerfile = format!("FROM {BUSYBOX}\nRUN echo {name} {content} > /f\n");
            project.write("base/Dockerfile", dockerfile);
            project.build_image(&base, "base");
        };
        image("one");
        project
            .write("compose.yaml", "services:\n  api: {build: .}\n")
            .write("a.lock", name)
            .write(
                "Dockerfile",
                format!(
                    "FROM scratch AS locks\nCOPY a.lock /\n\
                 FROM {base}\nRUN cat /f\nCOPY --from=locks /a.lock /\n"
                ),
            );
        build(&project, &[]);
        project.clean(&["--cache"]);
        image("two");
        build(&project, &[]);
        let mut expected =
            vec![("COPY a.lock", "record-gone", &[][..], true), ("RUN cat", "base", &[][..], true)];
        // The containerd store may keep the record.
        if engine.name.ends_with("-containerd") && roots(&project).len() == 1 {
            expected.remove(0);
        }
        assert_roots(engine, &project, "a base image moved after `clean`", &expected);
    });
}

#[test]
fn a_build_tells_its_causes_and_why_the_whole_story() {
    let engine = crate::support::engine("28.5");
    let project = Project::new(&engine);
    let name = project.name();
    project
        .write("compose.yaml", "services:\n  api: {build: .}\n")
        .write("Dockerfile", format!("FROM {BUSYBOX}\nCOPY f /\nRUN echo {name}\nRUN echo on\n"))
        .write("f", name);
    let said = |args: &[&str]| {
        let run = project.run(args).success();
        let output = run.get_output();
        format!(
            "{}{}",
            String::from_utf8_lossy(&output.stderr),
            String::from_utf8_lossy(&output.stdout)
        )
    };
    assert!(!said(&["build"]).contains("because"), "a first build needs no reason");
    assert!(!said(&["build"]).contains("because"));
    project.write("f", format!("{name} changed"));
    let told = said(&["build"]);
    assert!(told.contains("api: COPY f / (Dockerfile:2) ran, "), "{told}");
    assert!(told.contains(" because f changed; 2 steps followed, "), "{told}");
    // While others prune, engines before BuildKit 0.32 may lose the way to a result, and a step runs again.
    let cached = (1..=5).find(|_| {
        assert!(!said(&["-q", "build"]).contains("because"));
        said(&["why"]).contains("api: no step ran, 4 of 4 from the cache")
    });
    let Some(builds) = cached else { panic!("{}", said(&["why"])) };
    let told = said(&["why", "--build", &format!("latest~{builds}")]);
    assert!(told.starts_with("api: 3 of 4 steps ran, "), "{told}");
    assert!(told.contains("Dockerfile:2  COPY f /"), "{told}");
    let wrong = project.run(&["why", "web"]).code(2);
    let text = String::from_utf8_lossy(&wrong.get_output().stderr).into_owned();
    assert!(text.contains("has no service \"web\"") && text.contains("it built api"), "{text}");
    let report: Value = serde_json::from_str(&said(&["why", "api", "--format", "json"])).unwrap();
    assert_eq!(report["schema"], json!("doc2md-docker/why/v1"));
}

/// The engine remembers that build cache was pruned, and not by whom.
#[test]
fn a_prune_by_others_is_told_where_a_result_is_gone_and_where_a_step_is_slow() {
    on_engines_where_prunes_matter(|engine| {
        let project = Project::new(engine);
        let name = project.name().to_owned();
        let fill = format!("dd if=/dev/zero of=/c/{name} bs=1k count=300");
        let make = format!("[ -f /c/{name} ] || (sleep 3; {fill})");
        let mount = format!("RUN --mount=type=cache,target=/c,id={name} {make}");
        project
            .write("compose.yaml", "services:\n  api: {build: .}\n")
            .write(
                "Dockerfile",
                format!("FROM {BUSYBOX}\nRUN dd if=/dev/zero of=/{name} bs=1k count=300\nCOPY f /\n{mount}\n"),
            )
            .write("f", "1");
        let why = || -> Value {
            let run = project.run(&["why", "--format", "json"]).success();
            serde_json::from_slice(&run.get_output().stdout).unwrap()
        };
        let slower = || why()["targets"][0]["steps"][3]["slower"].clone();
        build(&project, &[]);
        assert_eq!(slower(), Value::Null, "there was none before");
        project.write("f", "2");
        build(&project, &[]);
        assert_eq!(slower(), Value::Null);

        // As `docker system prune` does it, but of this project alone.
        engine.docker_ok(&["image", "rm", "-f", &format!("{name}-api")]);
        let ours: Vec<String> = records(engine, &name).into_iter().map(|it| it.id).collect();
        block_on(Client::new(&Connector::unix(engine.socket())).prune_cache(&ours)).unwrap();
        project.write("f", "3");
        let run = project.run(&["build"]).success();
        let told = String::from_utf8_lossy(&run.get_output().stderr).into_owned();
        let slow = slower();
        assert_eq!(
            (&slow["kind"], &slow["lost"]),
            (&json!("cache-mount"), &json!("pruned")),
            "{told}\n{:#}\n{}",
            why(),
            engine.docker_ok(&[
                "events",
                "--since",
                "10m",
                "--until",
                "0s",
                "--filter",
                "type=builder"
            ])
        );
        assert_eq!((&slow["id"], &slow["mount"]), (&json!(name), &json!("/c")));
        assert_eq!(slow["certain"], json!(false));
        assert!(slow["before_seconds"].as_f64().unwrap() < 3.0, "{slow}");
        let words = "likely because build cache was pruned, and with it its cache mount /c";
        assert!(told.contains(words), "{told}");
        let report = why();
        let gone = &report["targets"][0]["steps"][1]["cause"];
        // The image of the first build may keep it.
        if gone.is_object() {
            assert_eq!(gone["kind"], json!("record-gone"), "{gone}");
            assert!(gone["pruned"].is_string(), "{gone}");
        }

        let cleaned = project.clean(&["--only", "cache"]);
        project.write("f", "4");
        build(&project, &[]);
        // On base images that were loaded the containerd store's cache cannot be removed in part, and on a busy engine it is
        // not always certain whose a mount is.
        if !cleaned.contains(" cache mount") {
            assert_eq!(slower(), Value::Null, "{}: {cleaned}", engine.name);
            return;
        }
        assert_eq!(slower()["lost"], json!("cleaned"), "{}: {cleaned}", engine.name);
        let run = project.run(&["why"]).success();
        let told = String::from_utf8_lossy(&run.get_output().stdout).into_owned();
        assert!(told.contains("likely because `clean` removed its cache mount /c"), "{told}");
    });
}

#[test]
fn habits_are_told_with_what_they_cost() {
    on_every_engine(|engine| {
        let project = Project::new(engine);
        let name = project.name().to_owned();
        project
            .write("compose.yaml", "services:\n  api: {build: .}\n  other: {image: none}\n")
            .write("requirements.txt", &name)
            .write(
                "Dockerfile",
                format!("FROM {BUSYBOX}\nCOPY . /app\nRUN sleep 0.6; : pip install -r {name}\n"),
            );
        let advice = |args: &[&str]| {
            let run = project.run(&[&["why", "--format", "json"], args].concat()).success();
            let report: Value = serde_json::from_slice(&run.get_output().stdout).unwrap();
            report["advice"].clone()
        };
        for content in ["1", "2"] {
            project.write("a.py", content);
            build(&project, &[]);
        }
        assert_eq!(advice(&[]), Value::Null, "{}: once is no habit", engine.name);
        project.write("a.py", "3");
        build(&project, &[]);
        build(&project, &[]);
        let told = advice(&["api"]);
        let [one] = &told.as_array().unwrap()[..] else { panic!("{}: {told:#}", engine.name) };
        assert_eq!(one["kind"], "copy-before-install", "{}: {told:#}", engine.name);
        assert_eq!((&one["line"], &one["instruction"]), (&json!(2), &json!("COPY . /app")));
        assert_eq!((&one["builds"], &one["of_builds"]), (&json!(2), &json!(4)));
        assert_eq!(one["paths"], json!(["a.py"]));
        assert!(one["seconds"].as_f64().unwrap() >= 1.2, "{}: {told:#}", engine.name);
        let run = project.run(&["why"]).success();
        let text = String::from_utf8_lossy(&run.get_output().stdout).into_owned();
        assert!(text.contains("\nadvice\n  api: Dockerfile:2  COPY . /app\n"), "{text}");
        assert!(text.contains("In 2 of 4 builds this made \"RUN sleep 0.6; : pip"), "{text}");
        // The first of these builds knew of no habit.
        assert_eq!(advice(&["--build", "latest~2"]), Value::Null);
    });
}

#[test]
fn a_linked_target_is_named_also_where_an_argument_names_it() {
    let engine = engine("28.5");
    let project = Project::new(&engine);
    let name = project.name().to_owned();
    project.write(
        "compose.yaml",
        "services:\n  lib: {build: {context: ., dockerfile: lib.Dockerfile}}\n  \
         app: {build: {context: ., args: {BASE: lib}, additional_contexts: {lib: 'service:lib'}}}\n",
    );
    project.write("Dockerfile", format!("ARG BASE=none\nFROM $BASE\nRUN echo app {name}\n"));
    for word in ["one", "two"] {
        let lib = format!("FROM {BUSYBOX}\nRUN echo {word} {name}\n");
        project.write("lib.Dockerfile", lib);
        build(&project, &[]);
    }
    let run = project.run(&["why", "app", "--format", "json"]).success();
    let report: Value = serde_json::from_slice(&run.get_output().stdout).unwrap();
    let step = &report["targets"][0]["steps"][0];
    assert_eq!(step["line"], 3, "{report:#}");
    let cause = json!({"kind": "context", "context": "lib", "target": "lib", "certain": true});
    assert_eq!(step["cause"], cause, "{report:#}");
}
