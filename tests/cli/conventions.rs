//! Conventions of docker, buildx and compose that are decided before any engine is asked.
#![allow(clippy::unwrap_used)]

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;
use tempfile::TempDir;

/// A folder with a compose file and a Dockerfile, and an engine that does not exist.
struct Folder {
    root: TempDir,
}

impl Folder {
    fn new(compose: &str) -> Self {
        let folder = Self { root: TempDir::with_prefix("d2m-conv-").unwrap() };
        folder.write("real/compose.yaml", compose).write("real/Dockerfile", "FROM scratch\n");
        folder
    }

    fn path(&self, path: &str) -> PathBuf {
        self.root.path().canonicalize().unwrap().join(path)
    }

    fn write(&self, path: &str, text: &str) -> &Self {
        let path = self.path(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
        self
    }

    fn run(&self, args: &[&str], variables: &[(&str, &OsStr)]) -> Output {
        self.program(Path::new(env!("CARGO_BIN_EXE_doc2md-docker")), args, variables)
    }

    fn program(&self, program: &Path, args: &[&str], variables: &[(&str, &OsStr)]) -> Output {
        Command::new(program)
            .current_dir(self.path("real"))
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .env("HOME", self.path("home"))
            .env("DOCKER_HOST", "unix:///nowhere/docker.sock")
            .envs(variables.iter().copied())
            .args(args)
            .output()
            .unwrap()
    }
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn printed(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", stderr(output)))
}

#[test]
fn a_linked_directory_gives_its_name_to_the_project_as_in_compose() {
    let folder = Folder::new("services: {a: {build: .}}");
    let link = folder.path("Linked.Name");
    symlink("real", &link).unwrap();
    for (pwd, name, warned) in [
        (link.clone(), "linkedname", true),
        (folder.path("real"), "real", false),
        // Stale, relative: as good as none.
        (folder.path(""), "real", false),
        (PathBuf::from("Linked.Name"), "real", false),
    ] {
        let variables = [("PWD", pwd.as_os_str())];
        let ours = folder.run(&["build", "--print"], &variables);
        let theirs = folder.program(&crate::real_compose(), &["build", "--print"], &variables);
        assert_eq!(printed(&ours), printed(&theirs), "{}", pwd.display());
        assert_eq!(printed(&ours)["target"]["a"]["tags"][0], format!("{name}-a"));
        let warning = "project has been loaded without an explicit name from a symlink";
        for output in [&ours, &theirs] {
            assert_eq!(stderr(output).contains(warning), warned, "{}", stderr(output));
        }
    }
    // A name that is given needs no warning.
    let named = folder.run(&["-p", "n", "build", "--print"], &[("PWD", link.as_os_str())]);
    assert!(!stderr(&named).contains("symlink"), "{}", stderr(&named));
}

#[test]
fn a_variable_that_is_not_utf8_is_an_error_where_it_is_asked_for() {
    let latin = OsStr::from_bytes(b"caf\xe9");
    for (text, args, place) in [
        ("services: {a: {build: {context: ., args: [CITY]}}}", &[][..], "compose.yaml:1:43: "),
        ("services: {a: {build: {context: ., args: {CITY: }}}}", &[], "compose.yaml:1:43: "),
        ("services: {a: {image: '${CITY}', build: .}}", &[], "compose.yaml:1:23: "),
        ("services: {a: {image: '${CITY:-x}', build: .}}", &[], "compose.yaml:1:23: "),
        ("services: {a: {build: .}}", &["--build-arg", "CITY"], ""),
        ("services: {a: {build: .}}", &["--set", "a.args.CITY"], ""),
        ("services: {a: {build: .}}", &["--secret", "id=s,env=CITY"], ""),
        ("services: {a: {build: .}}", &["--secret", "id=CITY"], ""),
    ] {
        let folder = Folder::new(text);
        let args = [&["build", "--print"], args].concat();
        let output = folder.run(&args, &[("CITY", latin), ("OTHER", latin)]);
        let code = if place.is_empty() { 2 } else { 5 };
        assert_eq!(output.status.code(), Some(code), "{text}: {}", stderr(&output));
        let said = format!("error: {place}the environment variable CITY is not UTF-8");
        assert!(stderr(&output).contains(&said), "{text}: {}", stderr(&output));
    }
    let folder = Folder::new("services: {a: {build: {context: ., args: {CITY: Paris}}}}");
    assert!(folder.run(&["build", "--print"], &[("CITY", latin)]).status.success());
    let output = folder.run(&["build", "--print"], &[("DOCKER_CONTEXT", latin)]);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("DOCKER_CONTEXT is not UTF-8"), "{}", stderr(&output));
}

#[test]
fn what_the_command_line_says_wrong_is_wrong_use() {
    let folder = Folder::new("services: {a: {build: .}}");
    for args in [
        &["--set", "a"][..],
        &["--set", "a.context"],
        &["--set", "a.contxt=x"],
        &["--set", "none.context=x"],
        &["--set", "a.pull=maybe"],
        &["--set", "a.output=x,y"],
        &["--set", "a.secrets=x,y"],
        &["--secret", "x,y"],
        &["--secret", "id=x,type=tape"],
        &["--ssh", "key"],
        &["--cache-from", "type="],
        &["--cache-to", "x,y"],
        &["--provenance", "mode=,x"],
        &["none"],
    ] {
        let output = folder.run(&[&["build", "--print"], args].concat(), &[]);
        assert_eq!(output.status.code(), Some(2), "{args:?}: {}", stderr(&output));
    }
    let output = folder.run(&["-p", "A B", "build", "--print"], &[]);
    assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));
    // What files say is not.
    let folder = Folder::new("services: {a: {build: {context: ., cache_from: ['type=']}}}");
    let output = folder.run(&["build"], &[]);
    assert_eq!(output.status.code(), Some(5), "{}", stderr(&output));
}

#[test]
fn a_damaged_docker_configuration_is_a_warning() {
    let folder = Folder::new("services: {a: {build: .}}");
    folder.write("home/.docker/config.json", "{\"auths\": null, \"credsStore\": null}");
    let output = folder.run(&["build"], &[]);
    assert_eq!(output.status.code(), Some(3), "{}", stderr(&output));
    assert!(!stderr(&output).contains("config.json"), "{}", stderr(&output));
    for damaged in ["{\"auths\"", "\u{feff}{}", "{\"auths\": 3}"] {
        folder.write("home/.docker/config.json", damaged);
        for command in ["build", "stats", "clean"] {
            let output = folder.run(&[command], &[]);
            // On to the engine, which is not there.
            assert_eq!(output.status.code(), Some(3), "{command}: {}", stderr(&output));
            let warnings = stderr(&output).matches("config.json is ignored").count();
            assert_eq!(warnings, 1, "{command} {damaged}: {}", stderr(&output));
        }
    }
}

#[test]
fn another_builder_is_not_ignored_in_silence() {
    let folder = Folder::new("services: {a: {build: .}}");
    let said = stderr(&folder.run(&["build"], &[("BUILDX_BUILDER", OsStr::new("big"))]));
    let lines: Vec<&str> = said.lines().filter(|line| line.contains("BUILDX_BUILDER")).collect();
    assert_eq!(lines.len(), 1, "{said}");
    assert!(lines[0].contains("docker engine at unix:///nowhere/docker.sock"), "{said}");
    let output = folder.run(&["build"], &[("BUILDKIT_HOST", OsStr::new("unix:///nowhere/b.sock"))]);
    let said = stderr(&output);
    assert_eq!(output.status.code(), Some(3), "{said}");
    let at = "BuildKit of BUILDKIT_HOST at unix:///nowhere/b.sock";
    assert!(said.starts_with(&format!("building on {at}\n")), "{said}");
    assert!(said.contains(&format!("cannot reach {at}: there is no such socket")), "{said}");
    let output = folder.run(&["build"], &[("BUILDKIT_HOST", OsStr::new("nonsense://x"))]);
    assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));
    for name in ["BUILDX_BUILDER", "BUILDKIT_HOST"] {
        let said = stderr(&folder.run(&["build"], &[(name, OsStr::new(""))]));
        assert!(!said.contains(name), "{said}");
    }
}

#[test]
fn a_builder_that_a_program_reaches_says_what_is_missing() {
    let folder = Folder::new("services: {a: {build: .}}");
    let build = |address: &str| {
        let path = OsStr::new("/nowhere/bin");
        let output =
            folder.run(&["build"], &[("BUILDKIT_HOST", OsStr::new(address)), ("PATH", path)]);
        (output.status.code(), stderr(&output))
    };
    for (address, program) in [
        ("kube-pod://b-0?namespace=ci", "kubectl"),
        ("podman-container://b", "podman"),
        ("nerdctl-container://b", "nerdctl"),
        ("ssh://me@b", "ssh"),
    ] {
        let (code, said) = build(address);
        assert_eq!(code, Some(3), "{said}");
        let error = format!(
            "error: cannot reach BuildKit of BUILDKIT_HOST at {address}: no `{program}` program on PATH"
        );
        assert_eq!(said.lines().filter(|line| line.starts_with(&error)).count(), 1, "{said}");
        assert!(said.contains("hint: install "), "{said}");
    }
    for (address, wrong) in [
        ("kube-pod://b?ns=ci", "has the unknown key `ns`"),
        ("podman-container://--latest", "names no container"),
        ("docker-container://b?ctx=far", "has the unknown key `ctx`: there is context"),
        ("docker-container://b?context=far", "docker context `far` does not exist"),
        ("npipe:////./pipe/b", "has a scheme that BuildKit is not reached by"),
    ] {
        let (code, said) = build(address);
        assert_eq!(code, Some(2), "{said}");
        assert!(said.contains(wrong), "{said}");
    }
}

#[test]
fn a_kubernetes_builder_without_kubectl_is_one_error() {
    let folder = Folder::new("services: {a: {build: .}}");
    folder.write("docker/instances/kube", KUBE);
    let docker = folder.path("docker");
    let variables = [
        ("BUILDX_BUILDER", OsStr::new("kube")),
        ("BUILDX_CONFIG", docker.as_os_str()),
        ("PATH", OsStr::new("/nowhere/bin")),
    ];
    let output = folder.run(&["build"], &variables);
    let said = stderr(&output);
    assert_eq!(output.status.code(), Some(3), "{said}");
    let error = "error: cannot reach the builder `kube`, node `kube_0`, in the deployment `kube-0`: no `kubectl` program on PATH";
    assert_eq!(said.lines().filter(|line| line.starts_with("error:")).count(), 1, "{said}");
    assert!(said.contains(error) && said.contains("hint: install kubectl"), "{said}");
    folder.write("docker/instances/kube", &KUBE.replace("sticky", "best"));
    let output = folder.run(&["build"], &variables);
    assert_eq!(output.status.code(), Some(2));
    let said = stderr(&output);
    assert!(
        said.contains("the builder `kube`, node `kube_0`, has the unknown `loadbalance=best`"),
        "{said}"
    );
}

/// As buildx writes it.
const KUBE: &str = r#"{"Name":"kube","Driver":"kubernetes","Nodes":[{"Name":"kube_0",
    "Endpoint":"kubernetes:///kube?deployment=kube_0&kubeconfig=","Platforms":null,
    "DriverOpts":{"loadbalance":"sticky"},"Flags":null,"Files":null}],"Dynamic":false}"#;

#[test]
fn an_undeclared_build_argument_is_a_warning() {
    let folder = Folder::new("services: {a: {build: .}}");
    folder.write("real/Dockerfile", "FROM scratch\nARG VERSION\n");
    let said = |argument| stderr(&folder.run(&["build", "--build-arg", argument], &[]));
    let warning = "build argument VERISON has no effect";
    assert!(said("VERISON=1").contains(warning), "{}", said("VERISON=1"));
    assert!(!said("VERSION=1").contains("has no effect"), "{}", said("VERSION=1"));
}

#[test]
fn a_name_that_no_image_can_have_is_told_before_anything_is_built() {
    for (text, said) in [
        (
            "services: {a: {image: 'x:', build: .}}",
            "compose.yaml:1:23: service `a` cannot get the image name `x:`: its tag is empty",
        ),
        ("services: {a: {image: App, build: .}}", "a repository's name is in lower case"),
        ("services: {a: {image: 'x@sha256:aa', build: .}}", "it names a digest"),
        ("services: {a: {image: '{{ x }}', build: .}}", "a template that is not rendered yet"),
        ("services: {a: {build: {context: ., tags: ['y:']}}}", "compose.yaml:1:36: service `a`"),
        ("services: {A: {build: .}}", "compose.yaml:1:12: service `A` cannot get"),
    ] {
        let folder = Folder::new(text);
        let output = folder.run(&["build"], &[]);
        assert_eq!(output.status.code(), Some(5), "{text}: {}", stderr(&output));
        assert!(stderr(&output).contains(said), "{text}: {}", stderr(&output));
        // As compose, which leaves it to the build.
        assert!(folder.run(&["build", "--print"], &[]).status.success(), "{text}");
    }
    let pulled = Folder::new("services: {a: {image: 'x@sha256:aa'}, b: {build: .}}");
    assert_eq!(pulled.run(&["build"], &[]).status.code(), Some(3));
}

#[test]
fn a_bad_pattern_is_told_with_the_ignore_file_and_its_line() {
    let folder = Folder::new("services: {a: {build: .}}");
    folder.write("real/Dockerfile", "FROM scratch\nCOPY . /\n");
    for (text, line) in [("ok\na[\n", 2), ("# !\n\n!\n", 3)] {
        folder.write("real/.dockerignore", text);
        let output = folder.run(&["build"], &[]);
        assert_eq!(output.status.code(), Some(5), "{}", stderr(&output));
        let said = stderr(&output);
        assert!(said.contains(&format!(".dockerignore:{line}: ")), "{said}");
    }
    // Nothing is copied: no engine looks at the patterns.
    folder.write("real/Dockerfile", "FROM scratch\n");
    assert_eq!(folder.run(&["build"], &[]).status.code(), Some(3));
}

#[test]
fn options_of_docker_build_are_taken_or_explained() {
    let folder = Folder::new("services: {a: {build: .}}");
    assert_eq!(folder.run(&["build", "--load"], &[]).status.code(), Some(3));
    for option in ["--output", "-o"] {
        let output = folder.run(&["build", option, "type=local,dest=out", "a"], &[]);
        assert_eq!(output.status.code(), Some(2));
        let said = stderr(&output);
        assert!(said.contains("--set 'a.output=type=local,dest=out'"), "{said}");
    }
}

#[test]
fn a_parallel_limit_below_one_is_none() {
    let folder = Folder::new("services: {a: {build: .}}");
    for (value, code) in [("0", 3), ("-1", 3), ("-7", 3), ("2", 3), ("", 3), ("many", 2)] {
        let output = folder.run(&["build"], &[("COMPOSE_PARALLEL_LIMIT", OsStr::new(value))]);
        assert_eq!(output.status.code(), Some(code), "{value:?}: {}", stderr(&output));
    }
    folder.write("real/.env", "COMPOSE_PARALLEL_LIMIT=many\n");
    assert_eq!(folder.run(&["build"], &[]).status.code(), Some(2));
}

#[test]
fn a_size_without_a_unit_is_an_error() {
    let folder = Folder::new("services: {a: {build: .}}");
    for args in [["clean", "--max-used-space", "5"], ["stats", "--budget", "api=300"]] {
        let output = folder.run(&args, &[]);
        assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));
        assert!(stderr(&output).contains("has no unit"), "{}", stderr(&output));
    }
}

#[test]
fn a_template_is_called_one() {
    let folder = Folder::new("services: {a: {build: ., image: {{ x }}}}");
    let output = folder.run(&["build"], &[]);
    assert_eq!(output.status.code(), Some(5));
    assert!(stderr(&output).contains("a template that is not rendered yet"), "{}", stderr(&output));
}
