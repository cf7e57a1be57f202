//! Keys of `build:` on real engines: what steps see of them, and what an engine cannot do.

use std::os::unix::net::UnixStream;
use std::process::{Command, Stdio};

use crate::support::{BUSYBOX, Engine, PYTHON, Project, engine, eventually, on_every_engine};

/// A project with the one service `app`, whose build section is `build`.
fn project(engine: &Engine, build: &str, dockerfile: &str) -> Project {
    let project = Project::new(engine);
    project
        .write("compose.yaml", format!("services: {{app: {{build: {{context: ., {build}}}}}}}"))
        .write("Dockerfile", format!("FROM {BUSYBOX}\n{dockerfile}\n"));
    project
}

fn image(project: &Project) -> String {
    format!("{}-app", project.name())
}

/// Builds, and answers what the step wrote to /f.
#[track_caller]
fn built(project: &Project) -> String {
    project.run(&["build"]).success();
    project.engine().file_of(&image(project), "/f")
}

#[track_caller]
fn refused(project: &Project, args: &[&str], code: i32, says: &[&str]) {
    let run = project.run(args).code(code);
    let said = String::from_utf8(run.get_output().stderr.clone()).unwrap();
    for part in says {
        assert!(said.contains(part), "{}: no {part:?} in {said}", project.engine().name);
    }
}

#[test]
fn secrets_reach_their_step_and_nothing_else() {
    on_every_engine(|engine| {
        let project = Project::new(engine);
        // A secret is no part of the cache key: identical steps would share one run, so WHO tells them apart.
        // The digests prove which value arrived without showing it.
        let step = "RUN --mount=type=secret,id=token --mount=type=secret,id=word cat /run/secrets/* | md5sum > /f\n";
        project
            .write("Dockerfile", format!("FROM {BUSYBOX}\nARG WHO\n{step}"))
            .write("one", "file-secret-1")
            .write("two", "file-secret-2")
            .write(".env", "DOTENV_WORD=dotenv-secret\n")
            .write(
                "compose.yaml",
                "services:\n  \
                   one: {build: {context: ., args: {WHO: 1}, secrets: [{source: one, target: token}, word]}}\n  \
                   two: {build: {context: ., args: {WHO: 2}, secrets: [{source: two, target: token}, {source: dotenv, target: word}]}}\n\
                 secrets:\n  one: {file: ./one}\n  two: {file: ./two}\n  word: {environment: SHELL_WORD}\n  \
                   dotenv: {environment: DOTENV_WORD}\n",
            );
        for progress in ["plain", "rawjson"] {
            let args = ["--progress", progress, "build", "--no-cache"];
            let mut command = project.command(&args);
            command.env("SHELL_WORD", "shell-secret");
            let run = assert_cmd::Command::from_std(command).assert().success();
            let output = run.get_output();
            let said = [&output.stdout[..], &output.stderr].concat();
            let said = String::from_utf8_lossy(&said);
            for secret in ["file-secret", "shell-secret", "dotenv-secret"] {
                assert!(!said.contains(secret), "{}: {secret} is shown", engine.name);
            }
        }
        for (service, digest) in
            [("one", "file-secret-1shell-secret"), ("two", "file-secret-2dotenv-secret")]
        {
            let image = format!("{}-{service}", project.name());
            let sum = format!("printf %s {digest} | md5sum");
            let expected = engine.said_in(&[], BUSYBOX, &["sh", "-c", &sum]);
            assert_eq!(engine.file_of(&image, "/f"), expected);
            let history = engine.docker_ok(&["history", "--no-trunc", &image]);
            assert!(!history.contains("secret-") && !history.contains("-secret"), "{history}");
        }
    });
}

/// The step asks the forwarded agent for its keys (message 11) and gets its list (message 12).
#[test]
fn the_ssh_agent_answers_a_step() {
    const ASK: &str = "import os, socket; s = socket.socket(socket.AF_UNIX); s.connect(os.environ['SSH_AUTH_SOCK']); \
         s.sendall(bytes([0, 0, 0, 1, 11])); open('/f', 'w').write(str(s.recv(5)[4]))";
    on_every_engine(|engine| {
        let project = project(engine, "ssh: [default]", "");
        project.write(
            "Dockerfile",
            format!(
                "FROM {PYTHON}\nRUN --mount=type=ssh python3 -c \"{ASK}\" # {}\n",
                project.name()
            ),
        );
        refused(&project, &["build"], 2, &["SSH_AUTH_SOCK"]);
        let socket = project.home().join("agent");
        let mut agent = Command::new("ssh-agent")
            .args(["-D", "-a"])
            .arg(&socket)
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        eventually("the agent listens", || UnixStream::connect(&socket).ok());
        let output = project.command(&["build"]).env("SSH_AUTH_SOCK", &socket).output().unwrap();
        agent.kill().unwrap();
        agent.wait().unwrap();
        assert!(output.status.success(), "{}: {output:?}", engine.name);
        let answer = engine.file_of(&image(&project), "/f");
        assert_eq!(answer, "12", "{}", engine.name);
    });
}

#[test]
fn arguments_labels_and_hosts_reach_the_step() {
    on_every_engine(|engine| {
        let project = project(
            engine,
            "args: {A: one two}, labels: {l: v}, extra_hosts: ['db=10.1.2.3', 'six=::1']",
            "ARG A\nRUN echo $A > /f; grep -w db /etc/hosts >> /f; grep -w six /etc/hosts >> /f",
        );
        let seen = built(&project);
        let words: Vec<&str> = seen.split_whitespace().collect();
        assert_eq!(words, ["one", "two", "10.1.2.3", "db", "::1", "six"], "{}", engine.name);
        let label = engine.docker_ok(&[
            "image",
            "inspect",
            "--format",
            "{{.Config.Labels.l}}",
            &image(&project),
        ]);
        assert_eq!(label, "v");
    });
}

#[test]
fn limits_reach_the_step_or_are_refused_by_key() {
    on_every_engine(|engine| {
        let limits = [
            ("shm_size", "shm_size: 8m", "df -k /dev/shm | awk 'END {print $2}'", "8192"),
            (
                "ulimits",
                "ulimits: {nofile: {soft: 111, hard: 222}}",
                "ulimit -n; ulimit -Hn",
                "111 222",
            ),
        ];
        for (key, section, command, expected) in limits {
            let project = project(engine, section, &format!("RUN {{ {command}; }} > /f"));
            // BuildKit of 20.10 ignores both.
            if engine.name == "20.10" {
                refused(&project, &["build"], 5, &[key, "20.10", "too old"]);
            } else {
                let seen = built(&project);
                let words: Vec<&str> = seen.split_whitespace().collect();
                assert_eq!(words.join(" "), expected, "{}", engine.name);
            }
        }
    });
}

#[test]
fn proxies_of_dockers_configuration_are_build_arguments() {
    on_every_engine(|engine| {
        // Proxies are no part of BuildKit's cache key: a stamp makes the step run.
        let stamp = Project::new(engine).name().to_owned();
        let step = format!("RUN echo $HTTP_PROXY $https_proxy > /f # {stamp}");
        let project = project(engine, "args: {OTHER: x}", &step);
        let config =
            r#"{"proxies": {"default": {"httpProxy": "http://p:1", "httpsProxy": "http://p:2"}}}"#;
        std::fs::write(project.home().join("docker/config.json"), config).unwrap();
        assert_eq!(built(&project), "http://p:1 http://p:2", "{}", engine.name);
    });
}

#[test]
fn host_gateway_is_what_the_engine_says() {
    on_every_engine(|engine| {
        let project = project(
            engine,
            "extra_hosts: ['gw=host-gateway']",
            "RUN grep -w gw /etc/hosts | awk '{print $1}' > /f",
        );
        if engine.name == "20.10" {
            refused(&project, &["build"], 5, &["extra_hosts", "host-gateway"]);
        } else {
            let address = built(&project);
            assert!(address.parse::<std::net::IpAddr>().is_ok(), "{}: {address}", engine.name);
        }
    });
}

#[test]
fn networks_are_none_or_the_hosts() {
    on_every_engine(|engine| {
        let links = "RUN ls /sys/class/net | wc -l > /f; grep -c : /proc/net/dev >> /f";
        let none = project(engine, "network: none", links);
        assert_eq!(built(&none).split_whitespace().last(), Some("1"), "{}", engine.name);
        let host = project(engine, "network: host", "RUN cat /proc/net/dev | grep d2m > /f");
        assert!(built(&host).contains("d2m"), "{}", engine.name);
    });
}

#[test]
fn caches_are_not_read_where_they_must_not() {
    on_every_engine(|engine| {
        let project = project(engine, "target: second", "");
        let name = project.name();
        let dockerfile = format!(
            "FROM {BUSYBOX} AS first\nRUN head -c 9 /dev/urandom | md5sum > /a # {name}\n\
             FROM first AS second\nRUN cat /a > /f; head -c 9 /dev/urandom | md5sum >> /f\n\
             FROM second AS third\nRUN exit 9\n"
        );
        project.write("Dockerfile", dockerfile);
        let lines = || -> Vec<String> { built(&project).lines().map(str::to_owned).collect() };
        let first = lines();
        assert_eq!(first, lines(), "{}", engine.name);
        project.write(
            "compose.yaml",
            "services: {app: {build: {context: ., target: second, no_cache_filter: [second]}}}",
        );
        let filtered = lines();
        assert_eq!(first[0], filtered[0], "{}", engine.name);
        assert_ne!(first[1], filtered[1], "{}", engine.name);
        project.write(
            "compose.yaml",
            "services: {app: {build: {context: ., target: second, no_cache: true}}}",
        );
        assert_ne!(first[0], lines()[0], "{}", engine.name);
    });
}

#[test]
fn named_contexts_are_directories_or_images() {
    on_every_engine(|engine| {
        let project = project(
            engine,
            &format!("additional_contexts: {{dir: ./other, img: 'docker-image://{BUSYBOX}'}}"),
            "COPY --from=dir word /f\nCOPY --from=img /etc/passwd /p",
        );
        project.write("other/word", "from elsewhere");
        if engine.name == "20.10" {
            refused(&project, &["build"], 5, &["additional_contexts", "20.10.24"]);
        } else {
            assert_eq!(built(&project), "from elsewhere");
        }
    });
}

#[test]
fn a_dockerfile_outside_the_context_has_its_own_ignore_file() {
    on_every_engine(|engine| {
        let project = Project::new(engine);
        project
            .write("compose.yaml", "services: {app: {build: {context: ./tree, dockerfile: ../D}}}")
            .write("D", format!("FROM {BUSYBOX}\nCOPY . /tree\nRUN ls /tree > /f\n"))
            .write("D.dockerignore", "secret\n")
            .write("tree/.dockerignore", "kept\n")
            .write("tree/kept", "")
            .write("tree/secret", "");
        assert_eq!(built(&project), "kept", "{}", engine.name);
    });
}

#[test]
fn entitlements_are_refused_as_the_engine_says() {
    on_every_engine(|engine| {
        let project = project(engine, "privileged: true", "RUN true");
        refused(&project, &["build"], 1, &["security.insecure is not allowed"]);
    });
}

#[test]
fn an_attested_image_is_an_index() {
    let engine = engine("28.5-containerd");
    let project = project(&engine, "provenance: true", "COPY D* /");
    let kind = |further: &[&str]| {
        project.run(&[&["build", "--metadata-file", "metadata.json"], further].concat()).success();
        let text = std::fs::read_to_string(project.dir().join("metadata.json")).unwrap();
        let metadata: serde_json::Value = serde_json::from_str(&text).unwrap();
        metadata["app"]["containerimage.descriptor"]["mediaType"].as_str().unwrap().to_owned()
    };
    assert_eq!(kind(&[]), "application/vnd.oci.image.index.v1+json");
    assert_eq!(kind(&["--provenance", "false"]), "application/vnd.oci.image.manifest.v1+json");
}

#[test]
fn what_needs_the_containerd_store_is_refused_by_key() {
    on_every_engine(|engine| {
        let containerd = engine.name.ends_with("containerd");
        let cases: &[(&str, &[&str], &str)] = &[
            ("platforms: [linux/amd64, linux/arm64]", &[], "platforms"),
            ("provenance: true", &[], "provenance"),
            ("args: {A: b}", &["--provenance", "mode=max"], "provenance"),
            ("args: {A: b}", &["--set", "app.output=type=oci,dest=out.tar"], "output"),
            ("cache_to: ['type=registry,ref=127.0.0.1:1/x']", &[], "cache_to"),
        ];
        for (build, further, key) in cases {
            let project = project(engine, build, "COPY D* /");
            let mut args = vec!["build"];
            args.extend(*further);
            if !containerd {
                refused(&project, &args, 5, &[key, "containerd image store"]);
            } else if *key == "cache_to" {
                refused(&project, &args, 1, &["127.0.0.1:1"]);
            } else {
                project.run(&args).success();
                let out = project.dir().join("out.tar");
                assert_eq!(out.exists(), *key == "output", "{key}");
            }
            let part = project.dir().join("out.tar.part");
            assert!(!part.exists());
        }
    });
}
