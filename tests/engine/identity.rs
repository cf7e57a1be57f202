//! Results by identity: what stands on another service stands on what was built of it, whatever bears its name.

use std::process::Stdio;

use crate::support::{BUSYBOX, Engine, Project, eventually, on_every_engine};

/// The first release that has named contexts is 23.0.
fn has_contexts(engine: &Engine) -> bool {
    engine.name != "20.10"
}

#[track_caller]
fn said(project: &Project, args: &[&str]) -> String {
    let run = project.run(args).success();
    String::from_utf8(run.get_output().stderr.clone()).unwrap()
}

/// The last line of target `name` in plain progress.
#[track_caller]
fn ended<'a>(said: &'a str, name: &str) -> &'a str {
    let of_target = |line: &&str| line.split(' ').next() == Some(name) && line.contains("built, ");
    let line = said.lines().rfind(of_target);
    line.unwrap_or_else(|| panic!("{name} has not ended in {said}"))
        .trim_start_matches(name)
        .trim_start()
}

#[track_caller]
fn reads(project: &Project, service: &str, command: &str) -> String {
    let image = format!("{}-{service}", project.name());
    project.engine().said_in(&[], &image, &["sh", "-c", command])
}

#[test]
fn a_service_context_is_what_its_service_built() {
    on_every_engine(|engine| {
        let project = Project::new(engine);
        let name = format!("{}-app:dev", project.name());
        project
            .write("Dockerfile", format!("FROM {BUSYBOX}\nARG WHO\nARG ROUND\nRUN echo $WHO $ROUND > /who\n"))
            .write("top/Dockerfile", "FROM web\nRUN cp /who /stood-on\n")
            .write(
                "compose.yaml",
                format!(
                    "services:\n  web: {{image: '{name}', build: {{context: ., args: {{WHO: web, ROUND: $ROUND}}}}}}\n  \
                       job: {{image: '{name}', build: {{context: ., args: {{WHO: job, ROUND: $ROUND}}}}}}\n  \
                       top: {{build: {{context: top, additional_contexts: {{web: 'service:web'}}}}}}\n"
                ),
            );
        for round in 0..10 {
            // Every other round finds all in the cache: then only the exports race.
            let round = (round / 2).to_string();
            let built = project.command(&["build"]).env("ROUND", &round).output().unwrap();
            let said = String::from_utf8_lossy(&built.stderr);
            if !has_contexts(engine) {
                assert_eq!(built.status.code(), Some(5), "{said}");
                assert!(said.contains("additional_contexts") && said.contains("23.0"), "{said}");
                return;
            }
            assert!(built.status.success(), "{}: {said}", engine.name);
            let stood_on = reads(&project, "top", "cat /stood-on");
            assert_eq!(stood_on, format!("web {round}"), "{}", engine.name);
        }
    });
}

#[test]
fn a_name_of_two_services_goes_to_the_same_one_each_time() {
    on_every_engine(|engine| {
        let project = Project::new(engine);
        let name = format!("{}-app", project.name());
        project
            .write("Dockerfile", format!("FROM {BUSYBOX}\nARG WHO\nRUN echo $WHO {name} > /who\n"))
            .write(
                "compose.yaml",
                format!(
                    "services:\n  web: {{image: '{name}:dev', build: {{context: ., args: {{WHO: web}}}}}}\n  \
                       job: {{image: 'docker.io/library/{name}:dev', build: {{context: ., args: {{WHO: job}}, tags: ['{name}:job']}}}}\n"
                ),
            );
        for _ in 0..5 {
            let said = said(&project, &["build", "--metadata-file", "built.json"]);
            assert!(said.contains(&format!("{name}:dev: it is the image of web")), "{said}");
            let text = std::fs::read_to_string(project.dir().join("built.json")).unwrap();
            let built: serde_json::Value = serde_json::from_str(&text).unwrap();
            let id = |service: &str| {
                built[service]["containerimage.digest"].as_str().unwrap().to_owned()
            };
            assert_ne!(id("web"), id("job"));
            assert_eq!(engine.image_id(&format!("{name}:dev")), Some(id("web")), "{}", engine.name);
            assert_eq!(engine.image_id(&format!("{name}:job")), Some(id("job")), "{}", engine.name);
            for service in ["web", "job"] {
                let short = &id(service)["sha256:".len()..][..12];
                assert!(said.contains(short), "{}: {service} {short} {said}", engine.name);
            }
        }
        // One build for several services is a habit: no word on it.
        project.write(
            "compose.yaml",
            format!(
                "services:\n  a: {{image: '{name}:dev', build: .}}\n  b: {{image: '{name}:dev', build: .}}\n"
            ),
        );
        let said = said(&project, &["build"]);
        assert!(!said.contains("warning"), "{said}");
    });
}

#[test]
fn a_step_counts_once_by_whatever_name_its_base_has() {
    on_every_engine(|engine| {
        let project = Project::new(engine);
        let base = |number: usize| format!("{}-base:{number}", project.name());
        let mut services = String::new();
        // An image of its own: the project's images are removed by their ids.
        let container = engine.docker_ok(&["create", BUSYBOX, "true"]);
        let own = engine.docker_ok(&["commit", &container, &base(0)]);
        engine.docker_ok(&["rm", &container]);
        for number in 0..3 {
            engine.docker_ok(&["tag", &own, &base(number)]);
            services += &format!(
                "  s{number}: {{build: {{context: ., args: {{BASE: '{}'}}}}}}\n",
                base(number)
            );
        }
        project
            .write(
                "Dockerfile",
                format!("ARG BASE\nFROM $BASE\nRUN echo {} > /f\n", project.name()),
            )
            .write("compose.yaml", format!("services:\n{services}"));
        for _ in 0..3 {
            let said = said(&project, &["--progress", "plain", "build"]);
            for number in 0..3 {
                let end = ended(&said, &format!("s{number}"));
                let counted = end.starts_with("built, 1 cached, 1 run")
                    || end.starts_with("built, 2 cached, 0 run");
                assert!(counted, "{}: {end}\n{said}", engine.name);
            }
        }
    });
}

#[test]
fn sizes_are_compared_within_a_directory_and_a_name() {
    on_every_engine(|engine| {
        let project = Project::new(engine);
        let bytes = |count: usize| vec![b'x'; count];
        let compose = |tag: &str| {
            format!("services: {{app: {{image: '{}-app:{tag}', build: .}}}}\n", project.name())
        };
        let grows = |directory: &str| {
            let mut command = project.command(&["stats", "--format", "json"]);
            let output = command.current_dir(project.dir().join(directory)).output().unwrap();
            let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
            report["images"][0]["previous_size_bytes"].as_u64()
        };
        let build = |directory: &str, tag: &str, count: usize| {
            project
                .write(format!("{directory}/compose.yaml"), compose(tag))
                .write(format!("{directory}/Dockerfile"), "FROM scratch\nCOPY f /f\n")
                .write(format!("{directory}/f"), bytes(count));
            let mut command = project.command(&["build"]);
            assert!(
                command
                    .current_dir(project.dir().join(directory))
                    .output()
                    .unwrap()
                    .status
                    .success()
            );
        };
        build("a", "prod", 100_000);
        build("b", "prod", 200_000);
        assert_eq!(grows("b"), None, "{}: another checkout", engine.name);
        build("b", "dev", 300_000);
        assert_eq!(grows("b"), None, "{}: another name", engine.name);
        build("b", "dev", 310_000);
        // With the containerd store, what was compressed counts, too.
        let before = grows("b");
        assert!(
            before.is_some_and(|size| (300_000..310_000).contains(&size)),
            "{}: {before:?}",
            engine.name
        );
    });
}

#[test]
fn a_context_of_a_service_is_never_pulled() {
    on_every_engine(|engine| {
        if !has_contexts(engine) {
            return;
        }
        let project = Project::new(engine);
        project
            .write("base/Dockerfile", "FROM scratch\nENV A=inherited\nCOPY f /f\n")
            .write("base/f", project.name())
            .write("top/Dockerfile", "FROM base\nCOPY g /g\n")
            .write("top/g", "")
            .write(
                "compose.yaml",
                "services:\n  base: {build: {context: base}}\n  \
                   top: {build: {context: top, pull: true, additional_contexts: {base: 'service:base'}}}\n",
            );
        project.run(&["build", "top"]).success();
        project.run(&["build", "--pull"]).success();
        let image = format!("{}-top", project.name());
        let environment =
            engine.docker_ok(&["image", "inspect", "--format", "{{.Config.Env}}", &image]);
        assert!(environment.contains("A=inherited"), "{environment}");
        // No image of the base is made, and the one there is not looked at.
        project.write("base/f", "changed");
        project
            .run(&[
                "build",
                "--set",
                "base.output=type=local,dest=b",
                "--set",
                "top.output=type=local,dest=t",
            ])
            .success();
        for file in ["b/f", "t/f"] {
            let text = std::fs::read_to_string(project.dir().join(file)).unwrap();
            assert_eq!(text, "changed", "{}: {file}", engine.name);
        }
    });
}

/// `base` differs in each run; `left` and `right` stand on it, `top` on both.
fn diamond(engine: &Engine) -> Project {
    let project = Project::new(engine);
    project
        .write("base/f", project.name())
        .write("base/Dockerfile", format!("FROM {BUSYBOX}\nCOPY f /f\nRUN echo {} && head -c 9 /dev/urandom | md5sum > /stamp\n", project.name()))
        .write("left/Dockerfile", "FROM base\nRUN cp /stamp /left\n")
        .write("right/Dockerfile", "FROM base AS made\nRUN cp /stamp /right\nFROM made\nWORKDIR /w\n")
        .write("top/Dockerfile", "FROM left\nCOPY --from=right /right /right\nCOPY --from=base /stamp /base\n")
        .write(
            "compose.yaml",
            "services:\n  base: {build: base}\n  \
               left: {build: {context: left, additional_contexts: {base: 'service:base'}}}\n  \
               right: {build: {context: right, target: made, additional_contexts: {base: 'service:base'}}}\n  \
               top: {build: {context: top, additional_contexts: {base: 'service:base', left: 'service:left', right: 'service:right'}}}\n",
        );
    project
}

#[test]
fn what_must_not_use_the_cache_runs_once_for_all_that_stand_on_it() {
    on_every_engine(|engine| {
        if !has_contexts(engine) {
            return;
        }
        let project = diamond(engine);
        for (args, expected) in [
            // `top` alone is named: what it stands on comes along.
            (
                &["--progress", "plain", "build", "top"][..],
                ["1 cached, 2 run", "0 cached, 1 run", "0 cached, 1 run", "0 cached, 2 run"],
            ),
            (
                &["--progress", "plain", "build", "--no-cache"],
                ["1 cached, 2 run", "0 cached, 1 run", "0 cached, 1 run", "0 cached, 2 run"],
            ),
            (
                &["--progress", "plain", "build", "--parallel", "1"],
                ["3 cached, 0 run", "1 cached, 0 run", "1 cached, 0 run", "2 cached, 0 run"],
            ),
        ] {
            let said = said(&project, args);
            for (target, expected) in ["base", "left", "right", "top"].iter().zip(expected) {
                let end = ended(&said, target);
                assert!(
                    end.starts_with(&format!("built, {expected} ")),
                    "{}: {target} {end}\n{said}",
                    engine.name
                );
            }
            let stamps = reads(&project, "top", "cat /stamp /left /right /base");
            let stamps: Vec<&str> = stamps.lines().collect();
            assert_eq!(stamps.len(), 4);
            assert!(stamps.iter().all(|stamp| *stamp == stamps[0]), "{}: {stamps:?}", engine.name);
            assert_eq!(reads(&project, "base", "cat /stamp"), stamps[0], "{}", engine.name);
        }
    });
}

#[test]
fn a_file_that_changes_meanwhile_changes_no_base() {
    on_every_engine(|engine| {
        if !has_contexts(engine) {
            return;
        }
        let project = Project::new(engine);
        let name = project.name().to_owned();
        project
            .write("base/Dockerfile", format!("FROM {BUSYBOX}\nCOPY f /f\n"))
            .write("base/f", "before")
            .write("slow/Dockerfile", format!("FROM {BUSYBOX}\nRUN sleep 5; echo {name}\n"))
            .write("top/Dockerfile", "FROM base\nCOPY --from=slow /etc/passwd /slow\n")
            .write(
                "compose.yaml",
                "services:\n  base: {build: base}\n  slow: {build: slow}\n  \
                   top: {build: {context: top, additional_contexts: {base: 'service:base', slow: 'service:slow'}}}\n",
            );
        let mut build = project.command(&["build"]).stderr(Stdio::null()).spawn().unwrap();
        eventually("the base is built", || engine.image_id(&format!("{name}-base")));
        project.write("base/f", "after it was built");
        assert!(build.wait().unwrap().success());
        assert_eq!(reads(&project, "top", "cat /f"), "before", "{}", engine.name);
    });
}

#[test]
fn secrets_of_a_base_are_its_own() {
    on_every_engine(|engine| {
        if !has_contexts(engine) {
            return;
        }
        let project = Project::new(engine);
        let mount = "RUN --mount=type=secret,id=token";
        project
            .write("base/Dockerfile", format!("FROM {BUSYBOX}\n{mount},required=true md5sum < /run/secrets/token > /sum # {}\n", project.name()))
            .write("top/Dockerfile", format!("FROM base\n{mount} test ! -e /run/secrets/token && cp /sum /own\n"))
            .write("token", "not for all")
            .write(
                "compose.yaml",
                "secrets: {token: {file: token}}\nservices:\n  base: {build: {context: base, secrets: [token]}}\n  \
                   top: {build: {context: top, additional_contexts: {base: 'service:base'}}}\n",
            );
        for args in [&["build"][..], &["build", "--no-cache"]] {
            project.run(args).success();
            assert_eq!(reads(&project, "top", "cmp /sum /own && echo same"), "same");
        }
    });
}

#[test]
fn nothing_is_built_on_a_base_that_failed() {
    on_every_engine(|engine| {
        if !has_contexts(engine) {
            return;
        }
        let project = diamond(engine);
        project.write(
            "base/Dockerfile",
            format!("FROM {BUSYBOX}\nRUN echo {} && exit 3\n", project.name()),
        );
        for args in [
            &["--progress", "plain", "build"][..],
            &["--progress", "plain", "build", "--keep-going"],
        ] {
            let run = project.run(args).code(1);
            let said = String::from_utf8(run.get_output().stderr.clone()).unwrap();
            assert!(said.contains("exit code 3") && said.contains("base/Dockerfile:2"), "{said}");
            assert!(said.contains("top"), "{said}");
            assert!(!said.contains("== top ==\ntop   ["), "no step of it: {said}");
        }
        // A parse error, and an export that fails.
        project.write("base/Dockerfile", "FROM scratch\nNONSENSE\n");
        let run = project.run(&["build"]).failure();
        let said = String::from_utf8(run.get_output().stderr.clone()).unwrap();
        assert!(said.contains("unknown instruction: NONSENSE"), "{}: {said}", engine.name);
        project.write("base/Dockerfile", "FROM scratch\nCOPY f /f\n").write("file", "");
        let run = project.run(&["build", "--set", "base.output=type=local,dest=file/x"]).failure();
        let said = String::from_utf8(run.get_output().stderr.clone()).unwrap();
        assert!(said.contains("failed to build base"), "{}: {said}", engine.name);
    });
}

#[test]
fn a_base_for_several_platforms_is_one_for_each() {
    let engine = crate::support::engine("28.5-containerd");
    let project = Project::new(&engine);
    project
        .write("base/Dockerfile", "FROM scratch\nARG TARGETARCH\nENV ARCH=$TARGETARCH\nCOPY $TARGETARCH /arch\n")
        .write("base/amd64", format!("amd64 {}", project.name()))
        .write("base/arm64", format!("arm64 {}", project.name()))
        .write("top/Dockerfile", "FROM base\nCOPY g /g\n")
        .write("top/g", project.name())
        .write(
            "compose.yaml",
            "services:\n  base: {build: {context: base, platforms: [linux/amd64, linux/arm64]}}\n  \
               top: {build: {context: top, platforms: [linux/amd64, linux/arm64], additional_contexts: {base: 'service:base'}}}\n",
        );
    let said = said(
        &project,
        &["--progress", "plain", "build", "--set", "top.output=type=local,dest=out"],
    );
    for arch in ["amd64", "arm64"] {
        let file = project.dir().join(format!("out/linux_{arch}/arch"));
        assert_eq!(std::fs::read_to_string(file).unwrap(), format!("{arch} {}", project.name()));
    }
    assert!(ended(&said, "base").starts_with("built, 0 cached, 2 run "), "{said}");
    assert!(ended(&said, "top").starts_with("built, 0 cached, 2 run "), "{said}");
}
