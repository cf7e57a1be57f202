//! What a cluster tells of a builder's pods, as kubectl writes it (`-o json`). Nothing in it is believed: names go to command
//! lines.

use std::collections::BTreeMap;

use serde::Deserialize;

/// The annotation with the platforms of a pod (buildx `driver/kubernetes/manifest`).
const PLATFORM: &str = "buildx.docker.com/platform";
/// Characters that are kept of what the cluster says of a pod.
const MESSAGE: usize = 200;

/// A pod of a builder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pod {
    /// Its name.
    pub name: String,
    /// Its first container, where BuildKit is.
    pub(super) container: String,
    /// Whether builds may go there: it runs and is not being removed, which is all that buildx asks.
    pub is_running: bool,
    /// Why it is not ready; `None` where it is.
    pub trouble: Option<String>,
    /// Platforms that its annotation gives it; none where it has none.
    pub platforms: Vec<String>,
}

impl Pod {
    /// A pod with a container; `trouble` says why it is not ready.
    pub fn new(name: &str, container: &str, is_running: bool, trouble: Option<String>) -> Self {
        let (name, container) = (name.to_owned(), container.to_owned());
        Self { name, container, is_running, trouble, platforms: Vec::new() }
    }
}

/// What stands behind a node: a deployment or a stateful set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Workload {
    /// Which pods are its own, as an argument of `--selector`.
    pub(super) selector: String,
    /// How many there are to be.
    pub(super) replicas: u64,
}

#[derive(Deserialize)]
struct WorkloadJson {
    spec: WorkloadSpec,
}

#[derive(Deserialize)]
struct WorkloadSpec {
    /// Kubernetes writes 1 where nobody says a number.
    #[serde(default = "one")]
    replicas: u64,
    selector: Selector,
}

fn one() -> u64 {
    1
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Selector {
    match_labels: BTreeMap<String, String>,
    match_expressions: Vec<Expression>,
}

#[derive(Deserialize)]
struct Expression {
    key: String,
    operator: String,
    #[serde(default)]
    values: Vec<String>,
}

#[derive(Deserialize)]
struct PodList {
    items: Vec<PodJson>,
}

#[derive(Deserialize)]
struct PodJson {
    metadata: Metadata,
    spec: PodSpec,
    #[serde(default)]
    status: Status,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Metadata {
    name: String,
    deletion_timestamp: Option<String>,
    #[serde(default)]
    annotations: Option<BTreeMap<String, String>>,
}

#[derive(Deserialize)]
struct PodSpec {
    containers: Vec<Container>,
}

#[derive(Deserialize)]
struct Container {
    name: String,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Status {
    phase: String,
    reason: String,
    conditions: Vec<Condition>,
    container_statuses: Vec<ContainerStatus>,
}

#[derive(Deserialize)]
struct Condition {
    #[serde(rename = "type")]
    kind: String,
    status: String,
    #[serde(default)]
    reason: String,
    #[serde(default)]
    message: String,
}

#[derive(Deserialize)]
struct ContainerStatus {
    #[serde(default)]
    state: ContainerState,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct ContainerState {
    waiting: Option<Waiting>,
}

#[derive(Deserialize)]
struct Waiting {
    #[serde(default)]
    reason: String,
    #[serde(default)]
    message: String,
}

/// Reads a deployment or a stateful set. Returns what is wrong as a fragment.
pub(super) fn workload(json: &[u8]) -> Result<Workload, String> {
    let read: WorkloadJson = serde_json::from_slice(json).map_err(|error| error.to_string())?;
    let Selector { match_labels, match_expressions } = read.spec.selector;
    let mut terms = Vec::new();
    for (key, value) in &match_labels {
        terms.push(format!("{}={}", label(key)?, value_of(value)?));
    }
    for Expression { key, operator, values } in &match_expressions {
        let key = label(key)?;
        let values: Result<Vec<&str>, String> = values.iter().map(|it| value_of(it)).collect();
        let values = values?.join(",");
        terms.push(match operator.as_str() {
            "In" => format!("{key} in ({values})"),
            "NotIn" => format!("{key} notin ({values})"),
            "Exists" => key.to_owned(),
            "DoesNotExist" => format!("!{key}"),
            other => return Err(format!("its selector has the unknown operator `{other}`")),
        });
    }
    // Without one, every pod of the namespace would be its own.
    match terms.is_empty() {
        true => Err("its selector is empty".to_owned()),
        false => Ok(Workload { selector: terms.join(","), replicas: read.spec.replicas }),
    }
}

/// Reads a list of pods, and puts them in the order of their names. Returns what is wrong as a fragment.
pub(super) fn pods(json: &[u8]) -> Result<Vec<Pod>, String> {
    let read: PodList = serde_json::from_slice(json).map_err(|error| error.to_string())?;
    let mut pods = Vec::new();
    for PodJson { metadata, spec, status } in read.items {
        let Some(container) = spec.containers.into_iter().next() else {
            return Err(format!("the pod `{}` has no container", metadata.name));
        };
        let is_going = metadata.deletion_timestamp.is_some();
        let is_running = !is_going && status.phase == "Running";
        let trouble = trouble(is_going, &status);
        let annotations = metadata.annotations.unwrap_or_default();
        let platforms = annotations.get(PLATFORM).map(|text| platforms(text)).unwrap_or_default();
        let pod = Pod::new(&metadata.name, &container.name, is_running, trouble);
        pods.push(Pod { platforms, ..pod });
    }
    pods.sort_by(|one, other| one.name.cmp(&other.name));
    pods.dedup_by(|one, other| one.name == other.name);
    Ok(pods)
}

/// Platforms in an annotation as buildx writes it. buildx leaves one alone in which a single platform is none.
fn platforms(text: &str) -> Vec<String> {
    let all: Vec<&str> = text.split(',').map(str::trim).collect();
    let is_plain = |name: &&str| {
        name.starts_with(|c: char| c.is_ascii_alphanumeric())
            && name.chars().all(|c| c.is_ascii_alphanumeric() || "/._-()".contains(c))
    };
    match all.iter().all(is_plain) {
        true => all.into_iter().map(str::to_owned).collect(),
        false => Vec::new(),
    }
}

fn trouble(is_going: bool, status: &Status) -> Option<String> {
    if is_going {
        return Some("it is being removed".to_owned());
    }
    let waiting = status.container_statuses.iter().filter_map(|it| it.state.waiting.as_ref());
    let waiting = waiting.map(|it| with_message(&it.reason, &it.message)).find(|it| !it.is_empty());
    let condition = |kind: &str| status.conditions.iter().find(|it| it.kind == kind);
    let phase = if status.phase.is_empty() { "unknown" } else { &status.phase };
    if phase != "Running" {
        let own = Some(status.reason.clone()).filter(|it| !it.is_empty());
        let unscheduled = condition("PodScheduled").filter(|it| it.status == "False");
        let unscheduled = unscheduled.map(|it| with_message(&it.reason, &it.message));
        let reason = waiting.or(own).or(unscheduled).filter(|it| !it.is_empty());
        return Some(reason.map_or(phase.to_owned(), |reason| format!("{phase}: {reason}")));
    }
    match condition("Ready") {
        Some(it) if it.status == "True" => None,
        Some(it) => {
            let reason = waiting.unwrap_or_else(|| it.reason.clone());
            let reason = if reason.is_empty() { "no reason" } else { &reason };
            Some(format!("not ready: {reason}"))
        }
        None => Some("not ready yet".to_owned()),
    }
}

/// A reason with the beginning of what is said of it.
fn with_message(reason: &str, message: &str) -> String {
    let plain = |c: char| if c.is_control() { ' ' } else { c };
    let message: String = message.trim().chars().map(plain).take(MESSAGE).collect();
    match message.is_empty() || reason.is_empty() {
        true => reason.to_owned(),
        false => format!("{reason}, {message}"),
    }
}

/// The key of a label.
fn label(text: &str) -> Result<&str, String> {
    match text.starts_with(|c: char| c.is_ascii_alphanumeric()) {
        true => value_of(text),
        false => Err(format!("its selector has the label {text:?}")),
    }
}

/// The value of a label, which may be empty.
fn value_of(text: &str) -> Result<&str, String> {
    let is_plain = text.chars().all(|c| c.is_ascii_alphanumeric() || "-_./".contains(c));
    match is_plain {
        true => Ok(text),
        false => Err(format!("its selector has the label {text:?}")),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_selector_is_the_workloads_own() {
        let read = |selector: &str| {
            let json = format!(r#"{{"spec":{{"replicas":3,"selector":{selector}}}}}"#);
            workload(json.as_bytes()).map(|it| it.selector)
        };
        assert_eq!(read(r#"{"matchLabels":{"app":"k0","team":"x"}}"#).unwrap(), "app=k0,team=x");
        assert_eq!(
            read(
                r#"{"matchLabels":{"app":""},"matchExpressions":[{"key":"a/b","operator":"In","values":["x","y"]},{"key":"c","operator":"DoesNotExist"}]}"#
            )
            .unwrap(),
            "app=,a/b in (x,y),!c"
        );
        for hostile in [
            "{}",
            r#"{"matchLabels":{}}"#,
            r#"{"matchLabels":{"a,b":"c"}}"#,
            r#"{"matchLabels":{"--all":"c"}}"#,
            r#"{"matchLabels":{"!a":"c"}}"#,
            r#"{"matchLabels":{"a":"b,c=d"}}"#,
            r#"{"matchExpressions":[{"key":"a","operator":"Gt","values":["1"]}]}"#,
            r#"{"matchExpressions":[{"key":"a","operator":"In","values":["x)"]}]}"#,
            r#""app""#,
        ] {
            read(hostile).unwrap_err();
        }
        let one = workload(br#"{"spec":{"selector":{"matchLabels":{"a":"b"}}}}"#).unwrap();
        assert_eq!(one.replicas, 1);
        for broken in ["", "null", "[]", r#"{"spec":{"replicas":-1,"selector":{}}}"#] {
            workload(broken.as_bytes()).unwrap_err();
        }
    }

    #[test]
    fn pods_that_run_are_told_from_those_that_do_not() {
        let pod = |name: &str, rest: &str| {
            let spec = r#""spec":{"containers":[{"name":"buildkitd"},{"name":"sidecar"}]}"#;
            format!(r#"{{"metadata":{{"name":"{name}"}},{spec},"status":{rest}}}"#)
        };
        let ready = r#"{"phase":"Running","conditions":[{"type":"Ready","status":"True"}]}"#;
        let going = pod("b-3", ready).replace(
            r#""name":"b-3""#,
            r#""name":"b-3","deletionTimestamp":"2026-11-28T10:00:00Z""#,
        );
        let items = [
            pod(
                "b-2",
                r#"{"phase":"Pending","containerStatuses":[{"state":{"waiting":{"reason":"ImagePullBackOff"}}}]}"#,
            ),
            pod("b-0", ready),
            pod(
                "b-1",
                r#"{"phase":"Running","conditions":[{"type":"Ready","status":"False","reason":"ContainersNotReady"}],"containerStatuses":[{"state":{"running":{}}}]}"#,
            ),
            going,
            pod("b-4", r#"{"phase":"Failed","reason":"Evicted"}"#),
            pod("b-5", "{}"),
            pod(
                "b-6",
                r#"{"phase":"Pending","conditions":[{"type":"PodScheduled","status":"False","reason":"Unschedulable","message":"0/3 nodes are available"}]}"#,
            ),
            pod(
                "b-7",
                r#"{"phase":"Running","conditions":[{"type":"Ready","status":"False","reason":"ContainersNotReady"}],"containerStatuses":[{"state":{"waiting":{"reason":"CrashLoopBackOff","message":"back-off 10s\nrestarting"}}}]}"#,
            ),
        ];
        let list = pods(format!(r#"{{"items":[{}]}}"#, items.join(",")).as_bytes()).unwrap();
        let told: Vec<_> = list
            .iter()
            .map(|pod| format!("{} {} {:?}", pod.name, pod.is_running, pod.trouble.as_deref()))
            .collect();
        assert_eq!(
            told,
            [
                "b-0 true None",
                r#"b-1 true Some("not ready: ContainersNotReady")"#,
                r#"b-2 false Some("Pending: ImagePullBackOff")"#,
                r#"b-3 false Some("it is being removed")"#,
                r#"b-4 false Some("Failed: Evicted")"#,
                r#"b-5 false Some("unknown")"#,
                r#"b-6 false Some("Pending: Unschedulable, 0/3 nodes are available")"#,
                r#"b-7 true Some("not ready: CrashLoopBackOff, back-off 10s restarting")"#,
            ]
        );
        assert_eq!(list[0].container, "buildkitd");
    }

    #[test]
    fn platforms_are_those_of_the_annotation() {
        let read = |annotations: &str| {
            let pod = format!(
                r#"{{"metadata":{{"name":"b","annotations":{annotations}}},"spec":{{"containers":[{{"name":"c"}}]}}}}"#
            );
            pods(format!(r#"{{"items":[{pod}]}}"#).as_bytes()).unwrap().remove(0).platforms
        };
        let annotation =
            |text: &str| read(&format!(r#"{{"buildx.docker.com/platform":"{text}"}}"#));
        assert_eq!(annotation("linux/arm64, linux/arm/v7"), ["linux/arm64", "linux/arm/v7"]);
        for none in ["", ",", "linux/amd64,", "--all", "linux/amd64;rm"] {
            assert!(annotation(none).is_empty(), "{none}");
        }
        assert!(read("null").is_empty() && read("{}").is_empty());
    }

    #[test]
    fn lists_that_are_none_are_errors() {
        for broken in [
            "",
            "null",
            "{}",
            r#"{"items":null}"#,
            r#"{"items":[{}]}"#,
            r#"{"items":[{"metadata":{"name":"b"},"spec":{"containers":[]}}]}"#,
            r#"{"items":[{"metadata":{"name":7},"spec":{"containers":[{"name":"c"}]}}]}"#,
        ] {
            pods(broken.as_bytes()).unwrap_err();
        }
        assert!(pods(br#"{"items":[]}"#).unwrap().is_empty());
        let deep = "[".repeat(100_000);
        pods(deep.as_bytes()).unwrap_err();
    }
}
