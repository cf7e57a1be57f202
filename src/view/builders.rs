//! Builders as a table, in full, and as JSON.

use serde_json::{Value, json};

use super::table::{Column, Shape, cell, render};
use crate::builders::{Builder, Driver, Pod, Probe, Reach};
use crate::redact;
use crate::terminal::{format, wrap};

/// Schema of the document.
pub const SCHEMA: &str = "doc2md-docker/builders/v1";

/// A builder and what its nodes were found to be, in their order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// The builder.
    pub builder: Builder,
    /// Whether a build would go to it.
    pub is_chosen: bool,
    /// What its nodes are.
    pub probes: Vec<Probe>,
}

const COLUMNS: [Column; 5] = [
    Column::new("NAME/NODE", Shape::CutEnd(10)),
    Column::new("DRIVER/ENDPOINT", Shape::CutEnd(16)),
    Column::new("STATUS", Shape::CutEnd(10)),
    Column::new("BUILDKIT", Shape::Left).drop(2),
    Column::new("PLATFORMS", Shape::CutEnd(12)).drop(1),
];

/// A line for each builder, and below it one for each node.
pub fn table(rows: &[Row], width: usize) -> String {
    let mut cells = Vec::new();
    for row in rows {
        let mark = if row.is_chosen { "*" } else { "" };
        let blank = String::new;
        let name = format!("{}{mark}", cell(&row.builder.name));
        cells.push(vec![name, cell(row.builder.driver.name()), blank(), blank(), blank()]);
        for (node, probe) in row.builder.nodes.iter().zip(&row.probes) {
            let reach = reach(probe);
            cells.push(vec![
                format!(" \\_ {}", cell(&node.name)),
                cell(&redact::address(&node.endpoint)),
                cell(&status(probe, &row.builder.driver)),
                reach.and_then(|it| it.version.as_deref()).map(cell).unwrap_or_default(),
                cell(&platforms(&node.platforms, reach).join(", ")),
            ]);
            for pod in pods(probe) {
                let name = format!("     {}", cell(&pod.name));
                cells.push(vec![name, "pod".to_owned(), cell(pod_status(pod)), blank(), blank()]);
            }
        }
    }
    render(&COLUMNS, &cells, width)
}

/// Everything that is known of the builders.
pub fn details(rows: &[Row], columns: usize) -> String {
    let mut text = String::new();
    let mut line = |key: &str, value: &str| {
        if !value.is_empty() {
            let line = format!("{key:<11}{}", cell(value));
            text.push_str(&(wrap::lines(line.trim_end(), columns) + "\n"));
        }
    };
    for row in rows {
        line("Name:", &row.builder.name);
        line("Driver:", row.builder.driver.name());
        for (node, probe) in row.builder.nodes.iter().zip(&row.probes) {
            let reach = reach(probe);
            line("Node:", &node.name);
            line("Endpoint:", &redact::address(&node.endpoint));
            line("Status:", &status(probe, &row.builder.driver));
            line("BuildKit:", reach.and_then(|it| it.version.as_deref()).unwrap_or_default());
            line("Platforms:", &platforms(&node.platforms, reach).join(", "));
            for pod in pods(probe) {
                line("Pod:", &format!("{}, {}", pod.name, pod_status(pod)));
            }
            if let Some(bytes) = reach.and_then(|it| it.cache_bytes) {
                line("Cache:", &format::bytes(bytes));
            }
            for (name, value) in &node.options {
                line("Option:", &format!("{name}={}", redact::address(value)));
            }
        }
    }
    text
}

/// One JSON document.
pub fn document(rows: &[Row]) -> String {
    let builders: Vec<Value> = rows.iter().map(builder).collect();
    let document = json!({"schema": SCHEMA, "builders": builders});
    format!("{document:#}\n")
}

fn builder(row: &Row) -> Value {
    let nodes = row.builder.nodes.iter().zip(&row.probes).map(|(node, probe)| {
        let reach = reach(probe);
        let reason = match probe {
            Probe::Unreachable(why) | Probe::Stopped(why) => Some(why),
            Probe::Running(_) | Probe::NoPod(_) | Probe::NotAsked => None,
        };
        let pods = pods(probe).iter().map(
            |pod| json!({"name": pod.name, "ready": pod.trouble.is_none(), "reason": pod.trouble}),
        );
        json!({
            "name": node.name,
            "endpoint": redact::address(&node.endpoint),
            "status": match probe {
                Probe::Running(_) => "running",
                Probe::Stopped(_) | Probe::NoPod(_) => "stopped",
                Probe::Unreachable(_) => "unreachable",
                Probe::NotAsked => "not_asked",
            },
            "reason": reason,
            "buildkit_version": reach.and_then(|it| it.version.as_ref()),
            "platforms": platforms(&node.platforms, reach),
            "cache_bytes": reach.and_then(|it| it.cache_bytes),
            "pods": pods.collect::<Vec<_>>(),
        })
    });
    json!({
        "name": row.builder.name,
        "driver": row.builder.driver.name(),
        "chosen": row.is_chosen,
        "nodes": nodes.collect::<Vec<_>>(),
    })
}

fn reach(probe: &Probe) -> Option<&Reach> {
    match probe {
        Probe::Running(reach) => Some(reach),
        Probe::Stopped(_) | Probe::NoPod(_) | Probe::Unreachable(_) | Probe::NotAsked => None,
    }
}

fn pods(probe: &Probe) -> &[Pod] {
    match probe {
        Probe::Running(reach) => &reach.pods,
        Probe::NoPod(pods) => pods,
        Probe::Stopped(_) | Probe::Unreachable(_) | Probe::NotAsked => &[],
    }
}

fn pod_status(pod: &Pod) -> &str {
    pod.trouble.as_deref().unwrap_or("ready")
}

fn status(probe: &Probe, driver: &Driver) -> String {
    match probe {
        Probe::Running(_) => "running".to_owned(),
        Probe::Stopped(state) => format!("stopped: {state}"),
        Probe::NoPod(_) => "stopped: no pod runs".to_owned(),
        Probe::Unreachable(why) => format!("unreachable: {why}"),
        Probe::NotAsked => format!("not asked ({})", driver.name()),
    }
}

/// Those that its pods were given, else those that the user gave the node, else those that it tells.
fn platforms(given: &[String], reach: Option<&Reach>) -> Vec<String> {
    let pods = reach.iter().flat_map(|reach| &reach.pods).filter(|pod| pod.is_running);
    let mut annotated: Vec<String> = Vec::new();
    for platform in pods.flat_map(|pod| &pod.platforms) {
        if !annotated.contains(platform) {
            annotated.push(platform.clone());
        }
    }
    match given {
        _ if !annotated.is_empty() => annotated,
        [] => reach.map(|reach| reach.platforms.clone()).unwrap_or_default(),
        given => given.to_vec(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::builders::{Node, of_context};

    fn rows() -> Vec<Row> {
        let reach = Reach {
            version: Some("v0.25.2".to_owned()),
            platforms: vec!["linux/amd64".to_owned(), "linux/386".to_owned()],
            cache_bytes: Some(2_100_000),
            pods: Vec::new(),
        };
        let node = |name: &str, endpoint: &str| Node {
            name: name.to_owned(),
            endpoint: endpoint.to_owned(),
            ..Node::default()
        };
        let big = Builder {
            name: "big".to_owned(),
            driver: Driver::Remote,
            nodes: vec![
                Node {
                    platforms: vec!["linux/arm64".to_owned()],
                    ..node("big0", "tcp://u:secret@build:1234")
                },
                node("big1", "tcp://gone\u{1b}[2J:1"),
            ],
        };
        vec![
            Row {
                builder: big,
                is_chosen: false,
                probes: vec![
                    Probe::Running(reach.clone()),
                    Probe::Unreachable("connection refused".to_owned()),
                ],
            },
            Row {
                builder: of_context("default"),
                is_chosen: true,
                probes: vec![Probe::Running(reach)],
            },
        ]
    }

    #[test]
    fn a_table_fits_and_holds_no_password() {
        insta::assert_snapshot!(table(&rows(), 100), @r"
        NAME/NODE    DRIVER/ENDPOINT       STATUS                           BUILDKIT  PLATFORMS
        big          remote
         \_ big0     tcp://***@build:1234  running                          v0.25.2   linux/arm64
         \_ big1     tcp://gone:1          unreachable: connection refused
        default*     docker
         \_ default  default               running                          v0.25.2   linux/amd64, linux/386
        ");
        let narrow = table(&rows(), 60);
        assert!(narrow.lines().all(|line| format::width(line) <= 60), "{narrow}");
    }

    #[test]
    fn details_tell_the_cache() {
        insta::assert_snapshot!(details(&rows()[..1], 80), @r"
        Name:      big
        Driver:    remote
        Node:      big0
        Endpoint:  tcp://***@build:1234
        Status:    running
        BuildKit:  v0.25.2
        Platforms: linux/arm64
        Cache:     2.1 MB
        Node:      big1
        Endpoint:  tcp://gone:1
        Status:    unreachable: connection refused
        ");
    }

    #[test]
    fn pods_stand_below_their_node() {
        let pod = |name: &str, trouble: Option<&str>| {
            Pod::new(name, "buildkitd", trouble.is_none(), trouble.map(str::to_owned))
        };
        let pods = vec![pod("b-0", None), pod("b-1\u{1b}[2J", Some("Pending: ImagePullBackOff"))];
        let node = Node { name: "k0".to_owned(), ..Node::default() };
        let builder =
            Builder { name: "k".to_owned(), driver: Driver::Kubernetes, nodes: vec![node] };
        let row = |probe| [Row { builder: builder.clone(), is_chosen: true, probes: vec![probe] }];
        let running = row(Probe::Running(Reach { pods: pods.clone(), ..Reach::default() }));
        let lines: Vec<_> = table(&running, 100)
            .lines()
            .skip(2)
            .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "))
            .collect();
        assert_eq!(lines, ["\\_ k0 running", "b-0 pod ready", "b-1 pod Pending: ImagePullBackOff"]);
        assert!(details(&running, 80).contains("Pod:       b-0, ready\nPod:       b-1, Pending: "));
        let stopped = row(Probe::NoPod(pods));
        assert!(details(&stopped, 80).contains("Status:    stopped: no pod runs\n"));
        let document: Value = serde_json::from_str(&document(&stopped)).unwrap();
        let node = &document["builders"][0]["nodes"][0];
        assert_eq!(node["status"], "stopped");
        assert_eq!(node["pods"][1]["reason"], "Pending: ImagePullBackOff");
        assert_eq!(node["pods"][0]["ready"], true);
    }

    #[test]
    fn the_document_has_numbers_and_reasons() {
        let document: Value = serde_json::from_str(&document(&rows())).unwrap();
        let nodes = &document["builders"][0]["nodes"];
        assert_eq!(nodes[0]["cache_bytes"], 2_100_000);
        assert_eq!(nodes[0]["platforms"][0], "linux/arm64");
        assert_eq!(nodes[1]["reason"], "connection refused");
        assert_eq!(document["builders"][1]["chosen"], true);
        assert!(!document.to_string().contains("secret"));
    }
}
