//! Builds on BuildKit that a program reaches: kubectl, podman, nerdctl and ssh. A script stands for each, which checks
//! the command line and passes bytes on to BuildKit.

use std::fmt::Write as _;
use std::process::{Command, Output};

use crate::builds_elsewhere::{command, create_unseen};
use crate::support::{BUSYBOX, BuildkitStandIn, Project, engine, eventually, program, text};

/// The programs, what comes after their names, and the address that leads there.
const WAYS: [(&str, &str, &str); 4] = [
    (
        "kubectl",
        "--context=here --namespace=ci exec -i b-0 --container=buildkitd -- buildctl dial-stdio",
        "kube-pod://b-0?context=here&namespace=ci&container=buildkitd",
    ),
    ("podman", "exec -i b_1 buildctl dial-stdio", "podman-container://b_1"),
    ("nerdctl", "exec -i b_1 buildctl dial-stdio", "nerdctl-container://b_1"),
    (
        "ssh",
        "-l me -o ConnectTimeout=30 -o BatchMode=yes -T -- far buildctl dial-stdio",
        "ssh://me@far",
    ),
];

/// Writes the script for `name`, which runs `end` where its arguments are `arguments`.
fn script(project: &Project, name: &str, arguments: &str, end: &str) {
    let mut text = String::from("echo $$ >>\"${0%/*}/pids\"\n");
    let _ = writeln!(
        text,
        "if [ \"$*\" != '{arguments}' ]; then echo \"not these: $*\" >&2; exit 9; fi"
    );
    text.push_str(end);
    program::script(&project.home().join("bin").join(name), &text);
}

fn with_path(project: &Project, mut command: Command) -> Output {
    let path = format!("{}:/usr/bin:/bin", project.home().join("bin").display());
    command.env("PATH", path).output().unwrap()
}

/// Whether every process that a script was is gone.
fn nothing_left(project: &Project) -> bool {
    let pids = std::fs::read_to_string(project.home().join("bin/pids")).unwrap();
    assert!(!pids.is_empty());
    pids.lines().all(|pid| std::fs::read_link(format!("/proc/{pid}/exe")).is_err())
}

#[test]
fn builds_go_through_programs_and_leave_none_behind() {
    let engine = engine("28.5-containerd");
    let project = Project::new(&engine);
    let buildkit = BuildkitStandIn::on_socket(engine.socket());
    let docker = std::env::var("DOC2MD_TEST_DOCKER").unwrap();
    project
        .write("compose.yaml", "services: {app: {build: .}}\n")
        .write(
            "Dockerfile",
            format!("FROM {BUSYBOX}\nCOPY big /\nRUN date >/stamp # {}\n", project.name()),
        )
        .write("big", vec![b'x'; 3 << 20]);
    std::fs::create_dir_all(project.home().join("bin")).unwrap();
    let passes = format!("DOCKER_HOST={} exec {docker} system dial-stdio", buildkit.address());
    for (name, arguments, address) in WAYS {
        script(&project, name, arguments, &passes);
        let mut build = command(&project, &["build", "--progress", "plain"]);
        build.env("BUILDKIT_HOST", address);
        let output = with_path(&project, build);
        let said = text(&output);
        assert!(output.status.success(), "{name}: {said}");
        let first = format!("building on BuildKit of BUILDKIT_HOST at {address}\n");
        assert!(said.contains(&first), "{name}: {said}");
        assert!(engine.image_id(&format!("{}-app", project.name())).is_some(), "{name}");
        eventually("no program is left", || nothing_left(&project).then_some(()));
    }
    // A builder of buildx with such an address, and what it tells of itself.
    create_unseen(&project, "pod", WAYS[0].2, &[]);
    let args = ["builders", "inspect", "pod", "--format", "json"];
    let output = with_path(&project, command(&project, &args));
    let told: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(told["builders"][0]["nodes"][0]["platforms"][0], "linux/amd64", "{told:#}");
    eventually("no program is left", || nothing_left(&project).then_some(()));
}

#[test]
fn a_program_that_does_not_reach_buildkit_says_why() {
    let engine = engine("28.5-containerd");
    let project = Project::new(&engine);
    project
        .write("compose.yaml", "services: {app: {build: .}}\n")
        .write("Dockerfile", format!("FROM {BUSYBOX}\n"));
    std::fs::create_dir_all(project.home().join("bin")).unwrap();
    let (name, arguments, address) = WAYS[0];
    create_unseen(&project, "pod", address, &[]);
    let denied = "Error from server (Forbidden): pods \"b-0\" is forbidden";
    let missing = "Error from server (NotFound): pods \"b-0\" not found";
    for (said, hint) in [(denied, "pods/exec"), (missing, "`kubectl get pods` lists pods")] {
        let log = "E1128 05:55:38.901473   10718 memcache.go:265] noise";
        script(&project, name, arguments, &format!("echo '{log}\n{said}' >&2; exit 1"));
        let output = with_path(&project, command(&project, &["--builder", "pod", "build"]));
        let all = text(&output);
        assert_eq!(output.status.code(), Some(3), "{all}");
        let error = format!(
            "error: cannot reach the builder `pod`, node `pod0`, at {address}: kubectl ended with status 1: {said}\n"
        );
        assert!(all.contains(&error), "{all}");
        assert_eq!(all.matches("error:").count(), 1, "{all}");
        assert!(all.contains(hint), "{all}");
        assert!(!all.contains("memcache"), "{all}");
        eventually("no program is left", || nothing_left(&project).then_some(()));
    }
}
