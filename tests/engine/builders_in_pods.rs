//! Builds on builders of buildx's kubernetes driver. A script stands for kubectl: it tells of a deployment and its pods, and
//! passes bytes on to BuildKit.

use std::process::{Command, Output, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use crate::builds_elsewhere::command;
use crate::interrupt::runs;
use crate::support::{
    BUSYBOX, BuildkitStandIn, Engine, Project, engine, eventually, program, text,
};

/// A builder `kube` whose node `kube0` is a deployment, as buildx 0.29.1 writes it.
pub(crate) struct Cluster {
    pub(crate) project: Project,
}

impl Cluster {
    pub(crate) fn new(engine: &Engine) -> Self {
        Self::waiting(engine, "1s", &["kube0"])
    }

    /// With these `nodes`, whose pods are waited for as long as `timeout`.
    fn waiting(engine: &Engine, timeout: &str, nodes: &[&str]) -> Self {
        let project = Project::new(engine);
        let home = project.home().to_owned();
        std::fs::create_dir_all(home.join("bin")).unwrap();
        std::fs::create_dir_all(home.join("buildx/instances")).unwrap();
        let kubeconfig = "%2Fhome%2Fme%2F.kube%2Fconfig";
        let node = |name: &&str| {
            json!({
                "Name": name, "Endpoint": format!("kubernetes:///kube?deployment={name}&kubeconfig={kubeconfig}"),
                "Platforms": null, "DriverOpts": {"namespace": "ci", "timeout": timeout}, "Flags": null, "Files": null
            })
        };
        let nodes: Vec<Value> = nodes.iter().map(node).collect();
        let builder =
            json!({"Name": "kube", "Driver": "kubernetes", "Nodes": nodes, "Dynamic": false});
        std::fs::write(home.join("buildx/instances/kube"), builder.to_string()).unwrap();
        project.write("compose.yaml", "services: {app: {build: .}}\n");
        let docker = std::env::var("DOC2MD_TEST_DOCKER").unwrap();
        let script = format!(
            r#"dir="${{0%/*}}"
echo $$ >>"$dir/pids"
here='--kubeconfig=/home/me/.kube/config --namespace=ci'
case "$*" in
"$here --request-timeout=20s get deployment kube0 --ignore-not-found -o json") . "$dir/deployment" ;;
"$here --request-timeout=20s get pods --selector=app=kube0 -o json") . "$dir/pods" ;;
"$here --request-timeout=20s get deployment kube1 --ignore-not-found -o json") sed s/kube0/kube1/ "$dir/deployment" | sh ;;
"$here --request-timeout=20s get pods --selector=app=kube1 -o json") . "$dir/pods-of-kube1" ;;
"$here exec -i $5 --container=buildkitd -- buildctl dial-stdio")
    if [ ! -e "$dir/at-$5" ]; then echo "Error from server (NotFound): pods \"$5\" not found" >&2; exit 1; fi
    DOCKER_HOST=$(cat "$dir/at-$5") exec {docker} system dial-stdio ;;
*) echo "not these: $*" >&2; exit 9 ;;
esac"#
        );
        program::script(&home.join("bin/kubectl"), &script);
        let cluster = Self { project };
        cluster.deployment(
            &json!({"spec": {"replicas": 3, "selector": {"matchLabels": {"app": "kube0"}}}}),
        );
        cluster.pods(&["b-0", "b-1", "b-2"]);
        cluster
    }

    /// What the script does where it is asked for the deployment or the pods.
    fn answers(&self, to: &str, lines: &str) {
        std::fs::write(self.project.home().join("bin").join(to), lines).unwrap();
    }

    fn deployment(&self, json: &Value) {
        self.answers("deployment", &format!("cat <<'END'\n{json}\nEND\n"));
    }

    /// Pods that run; the first one is not ready.
    pub(crate) fn pods(&self, names: &[&str]) {
        let items: Vec<_> = names
            .iter()
            .enumerate()
            .map(|(place, name)| {
                let ready = if place == 0 { "False" } else { "True" };
                json!({"metadata": {"name": name}, "spec": {"containers": [{"name": "buildkitd"}]}, "status": {
                    "phase": "Running", "conditions": [{"type": "Ready", "status": ready, "reason": "Slow"}]}})
            })
            .collect();
        self.answers("pods", &format!("cat <<'END'\n{}\nEND\n", json!({"items": items})));
    }

    /// What is in a pod.
    pub(crate) fn reaches(&self, pod: &str, buildkit: &BuildkitStandIn) {
        self.answers(&format!("at-{pod}"), &buildkit.address());
    }

    pub(crate) fn gone(&self, pod: &str) {
        std::fs::remove_file(self.project.home().join("bin").join(format!("at-{pod}"))).unwrap();
    }

    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = command(&self.project, args);
        let path = format!("{}:/usr/bin:/bin", self.project.home().join("bin").display());
        command.env("PATH", path);
        command
    }

    fn build(&self, key: &str) -> Output {
        let mut build = self.command(&["--builder", "kube", "build", "--progress", "plain"]);
        if !key.is_empty() {
            build.env("DOC2MD_DOCKER_POD_KEY", key);
        }
        build.output().unwrap()
    }

    #[track_caller]
    pub(crate) fn nothing_is_left(&self) {
        let pids = std::fs::read_to_string(self.project.home().join("bin/pids")).unwrap();
        eventually("no kubectl is left", || {
            let is_gone = |pid: &str| std::fs::read_link(format!("/proc/{pid}/exe")).is_err();
            pids.lines().all(is_gone).then_some(())
        });
    }
}

/// The pod of the first line.
#[track_caller]
fn pod_of(output: &Output) -> String {
    let said = text(output);
    assert!(output.status.success(), "{said}");
    let first = "building on the builder `kube`, node `kube0`, in the pod `";
    let (_, rest) = said.split_once(first).unwrap_or_else(|| panic!("{said}"));
    let (pod, by) = rest.split_once('`').unwrap();
    assert!(by.starts_with(", which --builder names\n"), "{said}");
    pod.to_owned()
}

#[test]
fn a_build_goes_to_the_pod_of_its_key() {
    let engine = engine("28.5-containerd");
    let buildkit = BuildkitStandIn::on_socket(engine.socket());
    let cluster = Cluster::new(&engine);
    cluster.project.write(
        "Dockerfile",
        format!("FROM {BUSYBOX}\nRUN date >/stamp # {}\n", cluster.project.name()),
    );
    for name in ["b-0", "b-1", "b-2"] {
        cluster.reaches(name, &buildkit);
    }
    // As buildx's library chooses (`builders::ring`).
    assert_eq!(pod_of(&cluster.build("/src/app")), "b-1");
    assert_eq!(pod_of(&cluster.build("/src")), "b-2");
    let image = format!("{}-app", cluster.project.name());
    assert!(engine.image_id(&image).is_some());
    // Without a key it is that of bake: the directory.
    let directory = cluster.project.dir().display().to_string();
    assert_eq!(pod_of(&cluster.build("")), pod_of(&cluster.build(&directory)));
    // Whose pod has gone since goes to the next one on the ring.
    cluster.gone("b-1");
    let output = cluster.build("/src/app");
    assert_eq!(pod_of(&output), "b-2");
    let said = text(&output);
    assert!(said.contains("in the pod `b-1`: kubectl ended with status 1"), "{said}");
    assert!(said.contains("the pod `b-2` is tried next, and no other one"), "{said}");
    cluster.gone("b-2");
    let output = cluster.build("/src/app");
    let said = text(&output);
    assert_eq!(output.status.code(), Some(3), "{said}");
    assert_eq!(said.matches("error:").count(), 1, "{said}");
    assert!(
        said.contains("error: cannot reach the builder `kube`, node `kube0`, in the pod `b-2`: "),
        "{said}"
    );
    cluster.nothing_is_left();
}

#[test]
fn a_pod_that_dies_during_a_build_is_told_and_another_one_builds() {
    let engine = engine("28.5-containerd");
    let cluster = Cluster::new(&engine);
    let nap = format!("3.1{}", cluster.project.name().replace(|it: char| !it.is_ascii_digit(), ""));
    cluster.project.write("Dockerfile", format!("FROM {BUSYBOX}\nRUN sleep {nap}\n"));
    let (dies, lives) =
        (BuildkitStandIn::on_socket(engine.socket()), BuildkitStandIn::on_socket(engine.socket()));
    cluster.reaches("b-1", &dies);
    cluster.reaches("b-2", &lives);
    let mut build = cluster.command(&["--builder", "kube", "build", "--progress", "plain"]);
    build.env("DOC2MD_DOCKER_POD_KEY", "/src/app").stdout(Stdio::piped()).stderr(Stdio::piped());
    let running = build.spawn().unwrap();
    eventually("the step runs", || runs(&nap).then_some(()));
    cluster.gone("b-1");
    drop(dies);
    let output = running.wait_with_output().unwrap();
    let said = text(&output);
    assert!(output.status.success(), "{said}");
    let lost = "the connection to the builder `kube`, node `kube0`, in the pod `b-1` was lost during the build";
    assert!(said.contains(&format!("warning: {lost}; it is done once more")), "{said}");
    assert!(
        said.contains("building on the builder `kube`, node `kube0`, in the pod `b-2`"),
        "{said}"
    );
    assert!(engine.image_id(&format!("{}-app", cluster.project.name())).is_some());
    cluster.nothing_is_left();
}

#[test]
fn what_the_cluster_refuses_is_one_error_with_a_hint() {
    let engine = engine("28.5-containerd");
    let cluster = Cluster::new(&engine);
    cluster.project.write("Dockerfile", format!("FROM {BUSYBOX}\n"));
    let forbidden = "Error from server (Forbidden): deployments.apps \"kube0\" is forbidden";
    let none = json!({"spec": {"replicas": 0, "selector": {"matchLabels": {"app": "kube0"}}}});
    let all = json!({"spec": {"replicas": 2, "selector": {}}});
    for (deployment, pods, said, hint) in [
        (
            format!("echo '{forbidden}' >&2; exit 1"),
            "",
            format!("kubectl ended with status 1: {forbidden}"),
            "`list` pods",
        ),
        (
            String::new(),
            "",
            "there is no such deployment".to_owned(),
            "`docker buildx inspect --bootstrap kube`",
        ),
        (
            format!("echo '{none}'"),
            "",
            "it is scaled to 0 pods".to_owned(),
            "`kubectl scale deployment/kube0 --replicas=1`",
        ),
        (
            format!("echo '{all}'"),
            "",
            "what kubectl says of it is not understood: its selector is empty".to_owned(),
            "kubectl version",
        ),
        (
            "echo '['".to_owned(),
            "",
            "what kubectl says of it is not understood: EOF".to_owned(),
            "kubectl version",
        ),
        (
            String::from("."),
            r#"echo '{"items":[]}'"#,
            "none of its pods is ready: it has none yet".to_owned(),
            "inspect --bootstrap kube",
        ),
        (
            String::from("."),
            r#"echo '{"items":[{"metadata":{"name":"b-0"},"spec":{"containers":[{"name":"c"}]},"status":{"phase":"Pending"}}]}'"#,
            "none of its pods is ready: b-0 (Pending)".to_owned(),
            "kubectl describe deployment/kube0",
        ),
        (
            String::from("."),
            r#"echo '{"items":[{"metadata":{"name":"b-0"},"spec":{"containers":[{"name":"c"}]},"status":{"phase":"Pending","containerStatuses":[{"state":{"waiting":{"reason":"ImagePullBackOff","message":"Back-off pulling image"}}}]}}]}'"#,
            "none of its pods is ready: b-0 (Pending: ImagePullBackOff, Back-off pulling image)"
                .to_owned(),
            "inspect --bootstrap kube",
        ),
        (
            String::from("."),
            r#"echo '{"items":[{"metadata":{"name":"b-0"},"spec":{"containers":[{"name":"c"}]},"status":{"phase":"Running","conditions":[{"type":"Ready","status":"False"}],"containerStatuses":[{"state":{"waiting":{"reason":"CrashLoopBackOff"}}}]}}]}'"#,
            "none of its pods is ready: b-0 (not ready: CrashLoopBackOff)".to_owned(),
            "kubectl describe deployment/kube0",
        ),
        (
            String::from("."),
            r#"echo '{"items":[{"metadata":{"name":"--all"},"spec":{"containers":[{"name":"c"}]},"status":{"phase":"Running","conditions":[{"type":"Ready","status":"True"}]}}]}'"#,
            "kubectl names no pod".to_owned(),
            "",
        ),
    ] {
        if deployment != "." {
            cluster.answers("deployment", &deployment);
        } else {
            cluster.deployment(&json!({"spec": {"selector": {"matchLabels": {"app": "kube0"}}}}));
            cluster.answers("pods", pods);
        }
        let output = cluster.build("");
        let all = text(&output);
        let code = if hint.is_empty() { 2 } else { 3 };
        assert_eq!(output.status.code(), Some(code), "{said}: {all}");
        let place = if hint.is_empty() { "" } else { " in the deployment `kube0`" };
        let error = format!("the builder `kube`, node `kube0`,{place}: {said}");
        assert!(all.contains(&error), "{error}: {all}");
        assert_eq!(all.matches("error:").count(), 1, "{all}");
        assert!(all.contains(hint), "{hint}: {all}");
    }
    cluster.nothing_is_left();
}

/// A pod as kubectl tells it.
fn pod_json(name: &str, annotations: &Value, status: &Value) -> Value {
    json!({"metadata": {"name": name, "annotations": annotations}, "spec": {"containers": [{"name": "buildkitd"}]}, "status": status})
}

fn ready() -> Value {
    json!({"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]})
}

fn creating() -> Value {
    let waiting = json!({"state": {"waiting": {"reason": "ContainerCreating"}}});
    json!({"phase": "Pending", "containerStatuses": [waiting]})
}

#[test]
fn pods_that_start_are_waited_for() {
    let engine = engine("28.5-containerd");
    let buildkit = BuildkitStandIn::on_socket(engine.socket());
    let cluster = Cluster::waiting(&engine, "10m", &["kube0"]);
    cluster.project.write("Dockerfile", format!("FROM {BUSYBOX}\n"));
    cluster.reaches("b-0", &buildkit);
    // There is none, it is made, it runs and is not ready, it is.
    let list = |pods: &[Value]| json!({"items": pods}).to_string();
    let unready = json!({"phase": "Running", "conditions": [{"type": "Ready", "status": "False", "reason": "ContainersNotReady"}]});
    let pod = |status: &Value| list(&[pod_json("b-0", &Value::Null, status)]);
    let lists = [list(&[]), pod(&creating()), pod(&creating()), pod(&unready), pod(&ready())];
    for (number, list) in lists.iter().enumerate() {
        cluster.answers(&format!("list-{}", number + 1), list);
    }
    cluster.answers(
        "pods",
        "echo >>\"$dir/asked\"\nn=$(wc -l <\"$dir/asked\")\n[ $n -le 5 ] || n=5\ncat \"$dir/list-$n\"\n",
    );
    let output = cluster.build("");
    let said = text(&output);
    assert!(output.status.success(), "{said}");
    assert_eq!(pod_of(&output), "b-0");
    let waits: Vec<&str> = said
        .lines()
        .filter(|line| line.starts_with("waiting "))
        .filter_map(|line| line.split_once(" at most for a pod of the deployment `kube0`: "))
        .map(|(_, what)| what)
        .collect();
    assert_eq!(
        waits,
        [
            "it has none yet",
            "b-0 (Pending: ContainerCreating)",
            "b-0 (not ready: ContainersNotReady)"
        ],
        "{said}"
    );
    cluster.nothing_is_left();
}

#[test]
fn an_interrupt_ends_the_wait_at_once() {
    let engine = engine("28.5-containerd");
    let cluster = Cluster::waiting(&engine, "10m", &["kube0"]);
    cluster.project.write("Dockerfile", format!("FROM {BUSYBOX}\n"));
    let list = json!({"items": [pod_json("b-0", &Value::Null, &creating())]});
    // From the second question on, kubectl itself hangs.
    cluster.answers(
        "pods",
        &format!("echo >>\"$dir/asked\"\n[ $(wc -l <\"$dir/asked\") = 1 ] || exec sleep 600\necho '{list}'\n"),
    );
    for asked in [1, 2] {
        let file = cluster.project.home().join("bin/asked");
        let _ = std::fs::remove_file(&file);
        let mut build = cluster.command(&["--builder", "kube", "build", "--progress", "plain"]);
        let build = build.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        eventually("the pods are asked for", || {
            let lines = std::fs::read_to_string(&file).unwrap_or_default();
            (lines.lines().count() >= asked).then_some(())
        });
        kill_process(Pid::from_child(&build), Signal::INT).unwrap();
        let output = build.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(130), "{}", text(&output));
    }
    cluster.nothing_is_left();
}

#[test]
fn platforms_of_pods_go_by_their_annotation() {
    let engine = engine("28.5-containerd");
    let buildkit = BuildkitStandIn::on_socket(engine.socket());
    let cluster = Cluster::waiting(&engine, "1s", &["kube0", "kube1"]);
    let name = cluster.project.name().to_owned();
    cluster.project.write("Dockerfile", format!("FROM {BUSYBOX}\nRUN date >/stamp # {name}\n"));
    let annotated = |pod: &str, platform: &str| {
        let annotations = json!({"buildx.docker.com/platform": platform});
        let list = json!({"items": [pod_json(pod, &annotations, &ready())]});
        format!("cat <<'END'\n{list}\nEND\n")
    };
    cluster.answers("pods", &annotated("b-0", "linux/arm64,linux/arm/v7"));
    cluster.answers("pods-of-kube1", &annotated("b-1", "linux/amd64"));
    for name in ["b-0", "b-1"] {
        cluster.reaches(name, &buildkit);
    }
    let build = || {
        let args = ["--builder", "kube", "build", "--platform", "linux/amd64"];
        cluster.command(&args).output().unwrap()
    };
    // Both are the same BuildKit: without the annotation the first would do.
    let output = build();
    let said = text(&output);
    assert!(output.status.success(), "{said}");
    let second = "building linux/amd64 on the builder `kube`, node `kube1`, in the pod `b-1`";
    assert!(said.contains(second), "{said}");
    let listed = cluster.command(&["builders", "ls", "--format", "json"]).output().unwrap();
    let listed: Value = serde_json::from_slice(&listed.stdout).unwrap();
    let builders = listed["builders"].as_array().unwrap();
    let kube = builders.iter().find(|it| it["name"] == "kube").unwrap();
    assert_eq!(kube["nodes"][0]["platforms"], json!(["linux/arm64", "linux/arm/v7"]), "{kube:#}");
    // One that is not understood counts for nothing, as for buildx.
    cluster.answers("pods", &annotated("b-0", "linux/arm64,"));
    cluster.answers("pods-of-kube1", &annotated("b-1", ""));
    let output = build();
    let said = text(&output);
    assert!(output.status.success(), "{said}");
    assert!(said.contains("on the builder `kube`, node `kube0`, in the pod `b-0`"), "{said}");
    cluster.nothing_is_left();
}

#[test]
fn builders_tell_of_pods() {
    let engine = engine("28.5-containerd");
    let buildkit = BuildkitStandIn::on_socket(engine.socket());
    let cluster = Cluster::new(&engine);
    cluster.reaches("b-0", &buildkit);
    cluster.reaches("b-1", &buildkit);
    cluster.pods(&["b-0", "b-1"]);
    let output =
        cluster.command(&["builders", "inspect", "kube", "--format", "json"]).output().unwrap();
    let told: Value = serde_json::from_slice(&output.stdout).unwrap();
    let node = &told["builders"][0]["nodes"][0];
    assert_eq!(node["status"], "running", "{told:#}");
    assert_eq!(node["platforms"][0], "linux/amd64", "{told:#}");
    assert!(node["cache_bytes"].is_u64(), "{told:#}");
    let pods = json!([
        {"name": "b-0", "ready": false, "reason": "not ready: Slow"}, {"name": "b-1", "ready": true, "reason": null}
    ]);
    assert_eq!(node["pods"], pods, "{told:#}");
    let output = cluster.command(&["builders", "ls"]).output().unwrap();
    let table = text(&output);
    for line in ["kube ", " \\_ kube0", "     b-0", "     b-1"] {
        assert!(table.lines().any(|it| it.starts_with(line)), "{table}");
    }
    cluster.answers("pods", "echo 'Error from server (Forbidden): pods is forbidden' >&2; exit 1");
    let output = cluster.command(&["builders", "inspect", "kube"]).output().unwrap();
    let details = text(&output);
    assert!(
        details.contains("Status:    unreachable: ") && details.contains("(Forbidden)"),
        "{details}"
    );
    cluster.nothing_is_left();
}
