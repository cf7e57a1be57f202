//! What BuildKit at the nodes of a builder keeps, as tables and as a document.

use jiff::Timestamp;

use super::super::table::{self, Column, Shape, cell};
use super::Extent;
use crate::counted::counted;
use crate::terminal::{SHADES, Shades, format, wrap};
use crate::usage::{BuilderStats, CacheSums, NodeCacheStats, NodeStats};

/// Tables no wider than `columns`.
pub fn builder_table(report: &BuilderStats, columns: usize, extent: Extent) -> String {
    let Shades { bold, .. } = SHADES;
    let summary = &report.builder;
    let on = match summary.name.as_str() {
        "-" => "the builder of BUILDKIT_HOST".to_owned(),
        name => format!("the builder {name} ({})", summary.driver),
    };
    let title = cell(&format!("{} on {on}", report.project));
    let mut text = format!("{bold}{}{bold:#}\n", wrap::words(&title, columns, 2));
    let mut section = |title: &str, table: String| {
        text.push_str(&format!("\n{bold}{}{bold:#}\n{table}", wrap::words(title, columns, 2)));
    };
    for node in &report.nodes {
        let title = cell(&heading(node));
        let Some(cache) = &node.cache else {
            section(&title, format!("{}\n", wrap::words(&cell(&absence(node)), columns, 2)));
            continue;
        };
        section(&title, kinds(cache, columns));
        if !cache.mounts.is_empty() {
            section("Cache mounts", mounts(report.taken, cache, columns, extent));
        }
        if cache.records.is_some() {
            section("Cache records", records(report.taken, cache, columns));
        }
    }
    if report.nodes.len() > 1 {
        let rows = [row("total".to_owned(), &report.cache)];
        section("All nodes", table::render(&KINDS, &rows, columns));
    }
    text
}

/// The document, one key per line.
pub fn builder_json(report: &BuilderStats) -> String {
    // Every field has a JSON form: nothing here can fail to serialise.
    serde_json::to_string_pretty(report).map(|text| text + "\n").unwrap_or_default()
}

fn heading(node: &NodeStats) -> String {
    let pod = node.pod.as_ref().map(|pod| format!(", pod {pod}")).unwrap_or_default();
    let release = node.buildkit_version.as_deref().filter(|it| !it.contains("unknown"));
    let release = release.map(|it| format!(", BuildKit {it}")).unwrap_or_default();
    match node.name.as_str() {
        "-" => format!("Build cache{release}"),
        name => format!("Build cache of node {name}{pod}{release}"),
    }
}

fn absence(node: &NodeStats) -> String {
    let why = node.reason.as_deref().unwrap_or_default();
    match node.status {
        "stopped" => format!("not running ({why}), and not started to be asked"),
        _ => format!("unknown: {why}"),
    }
}

const KINDS: [Column; 8] = [
    Column::new("KIND", Shape::CutEnd(12)),
    Column::new("RECORDS", Shape::Right).drop(3),
    Column::new("SIZE", Shape::Right),
    Column::new("IN USE", Shape::Right).drop(2),
    Column::new("RECLAIMABLE", Shape::Right).drop(1),
    Column::new("PROJECT'S", Shape::Right),
    Column::new("OTHERS'", Shape::Right),
    Column::new("UNKNOWN", Shape::Right).drop(4),
];

fn row(kind: String, sums: &CacheSums) -> Vec<String> {
    let sizes = [
        sums.total_bytes,
        sums.in_use_bytes,
        sums.reclaimable_bytes,
        sums.project_bytes,
        sums.others_bytes,
        sums.unknown_bytes,
    ];
    let head = [kind, sums.records.to_string()];
    head.into_iter().chain(sizes.map(format::bytes)).collect()
}

fn kinds(cache: &NodeCacheStats, columns: usize) -> String {
    let mut rows: Vec<Vec<String>> =
        cache.kinds.iter().map(|kind| row(cell(&kind.kind), &kind.sums)).collect();
    rows.push(row("total".to_owned(), &cache.sums));
    table::render(&KINDS, &rows, columns)
}

fn mounts(now: Timestamp, cache: &NodeCacheStats, columns: usize, extent: Extent) -> String {
    let shape = [
        Column::new("MOUNT", Shape::CutStart(12)),
        Column::new("TARGET", Shape::CutStart(10)).drop(3),
        Column::new("SIZE", Shape::Right),
        Column::new("LAST USED", Shape::Right).drop(2),
        Column::new("WHOSE", Shape::Left),
        Column::new("SERVICES", Shape::CutEnd(10)).drop(1),
    ];
    let (shown, hidden): (Vec<_>, Vec<_>) =
        cache.mounts.iter().partition(|mount| extent == Extent::All || !mount.services.is_empty());
    let rows: Vec<Vec<String>> = shown
        .iter()
        .map(|mount| {
            let services = match mount.services.is_empty() {
                true => "-".to_owned(),
                false => cell(&mount.services.join(", ")),
            };
            vec![
                cell(mount.id.as_deref().unwrap_or("-")),
                cell(mount.target.as_deref().unwrap_or("-")),
                format::bytes(mount.size_bytes),
                age(now, mount.last_used),
                held(mount.whose, mount.in_use),
                services,
            ]
        })
        .collect();
    let mut text = String::new();
    if !rows.is_empty() {
        text = table::render(&shape, &rows, columns);
    }
    if !hidden.is_empty() {
        let Shades { faint, .. } = SHADES;
        let bytes = format::bytes(hidden.iter().map(|mount| mount.size_bytes).sum());
        let others = counted(hidden.len(), "other cache mount");
        let remark = format!("{others}, {bytes}: listed with -v");
        text.push_str(&format!("{faint}{}{faint:#}\n", wrap::words(&remark, columns, 2)));
    }
    text
}

fn records(now: Timestamp, cache: &NodeCacheStats, columns: usize) -> String {
    let shape = [
        Column::new("RECORD", Shape::Left),
        Column::new("KIND", Shape::Left).drop(3),
        Column::new("SIZE", Shape::Right),
        Column::new("LAST USED", Shape::Right).drop(1),
        Column::new("USES", Shape::Right).drop(4),
        Column::new("WHOSE", Shape::Left).drop(2),
        Column::new("STEP", Shape::CutEnd(12)),
    ];
    let rows: Vec<Vec<String>> = cache
        .records
        .iter()
        .flatten()
        .map(|record| {
            vec![
                cell(record.id.get(..12).unwrap_or(&record.id)),
                cell(&record.kind),
                format::bytes(record.size_bytes),
                age(now, record.last_used),
                record.usage_count.to_string(),
                held(record.whose, record.in_use),
                cell(&record.description),
            ]
        })
        .collect();
    table::render(&shape, &rows, columns)
}

fn held(whose: &str, in_use: bool) -> String {
    let whose = match whose {
        "project" => "project's",
        "others" => "others'",
        other => other,
    };
    if in_use { format!("{whose}, in use") } else { whose.to_owned() }
}

fn age(now: Timestamp, time: Option<Timestamp>) -> String {
    let seconds = time.and_then(|time| u64::try_from(now.duration_since(time).as_secs()).ok());
    seconds.map_or_else(|| "-".to_owned(), format::age)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::terminal::control::{Colours, harmless};
    use crate::usage::{BUILDER_SCHEMA, BuilderSummary, KindSums, NodeMountStats, NodeRecordStats};
    use crate::view::schema_check::faults;

    fn sums(records: usize, project_bytes: u64, others_bytes: u64) -> CacheSums {
        CacheSums {
            records,
            total_bytes: project_bytes + others_bytes + 1_000,
            in_use_bytes: 1_000,
            shared_with_images_bytes: 0,
            reclaimable_bytes: project_bytes + others_bytes,
            project_bytes,
            others_bytes,
            unknown_bytes: 1_000,
        }
    }

    fn mount(name: &str, whose: &'static str, services: &[&str]) -> NodeMountStats {
        NodeMountStats {
            id: Some(name.to_owned()),
            target: Some("/c".to_owned()),
            size_bytes: 2_000_000,
            last_used: "2026-12-01T09:00:00Z".parse().ok(),
            in_use: whose == "others",
            whose,
            services: services.iter().map(|name| (*name).to_owned()).collect(),
            record: format!("record{name}"),
        }
    }

    /// Two nodes, one of which does not answer.
    fn report(with_records: bool) -> BuilderStats {
        let record = NodeRecordStats {
            id: "abcdefghijklmnopqrstuvwxy".to_owned(),
            kind: "regular".to_owned(),
            description: "[2/3] RUN make\x1b[31m all".to_owned(),
            size_bytes: 3_000_000,
            created: "2026-12-01T08:00:00Z".parse().ok(),
            last_used: None,
            usage_count: 1,
            in_use: false,
            whose: "project",
        };
        let kind = |kind: &str, sums| KindSums { kind: kind.to_owned(), sums };
        let cache = NodeCacheStats {
            sums: sums(7, 5_000_000, 4_000_000),
            kinds: vec![
                kind("regular", sums(5, 3_000_000, 2_000_000)),
                kind("exec.cachemount", sums(2, 2_000_000, 2_000_000)),
            ],
            mounts: vec![mount("uv", "project", &["api", "worker"]), mount("go", "others", &[])],
            records: with_records.then(|| vec![record]),
        };
        let there = NodeStats {
            name: "big0".to_owned(),
            pod: None,
            status: "running",
            reason: None,
            buildkit_version: Some("v0.33.0".to_owned()),
            worker: Some("worker-id".to_owned()),
            cache: Some(cache),
        };
        let gone = NodeStats {
            name: "big1".to_owned(),
            status: "stopped",
            reason: Some("exited".to_owned()),
            buildkit_version: None,
            worker: None,
            cache: None,
            ..there.clone()
        };
        let taken = "2026-12-01T10:00:00Z".parse();
        BuilderStats {
            schema: BUILDER_SCHEMA,
            project: "doc2md".to_owned(),
            taken: taken.unwrap_or_default(),
            builder: BuilderSummary {
                name: "big".to_owned(),
                driver: "docker-container".to_owned(),
            },
            cache: sums(7, 5_000_000, 4_000_000),
            nodes: vec![there, gone],
            notes: Vec::new(),
        }
    }

    #[test]
    fn the_document_is_what_its_schema_says() {
        let schema = include_str!("../../../docs/builder-stats.schema.json");
        for with_records in [false, true] {
            assert_eq!(faults(schema, &builder_json(&report(with_records))), None);
        }
        let more = builder_json(&report(true)).replace("\"others\"", "\"mine\"");
        assert!(faults(schema, &more).is_some());
    }

    #[test]
    fn a_table_for_each_node() {
        let text = builder_table(&report(false), 80, Extent::Short);
        insta::assert_snapshot!(harmless(&text, Colours::Drop), @r"
        doc2md on the builder big (docker-container)

        Build cache of node big0, BuildKit v0.33.0
        KIND           RECORDS    SIZE  IN USE  RECLAIMABLE  PROJECT'S  OTHERS'  UNKNOWN
        regular              5  5.0 MB  1.0 kB       5.0 MB     3.0 MB   2.0 MB   1.0 kB
        exec.cache...        2  4.0 MB  1.0 kB       4.0 MB     2.0 MB   2.0 MB   1.0 kB
        total                7  9.0 MB  1.0 kB       9.0 MB     5.0 MB   4.0 MB   1.0 kB

        Cache mounts
        MOUNT  TARGET    SIZE  LAST USED  WHOSE      SERVICES
        uv     /c      2.0 MB         1h  project's  api, worker
        1 other cache mount, 2.0 MB: listed with -v

        Build cache of node big1
        not running (exited), and not started to be asked

        All nodes
        KIND   RECORDS    SIZE  IN USE  RECLAIMABLE  PROJECT'S  OTHERS'  UNKNOWN
        total        7  9.0 MB  1.0 kB       9.0 MB     5.0 MB   4.0 MB   1.0 kB
        ");
        let text = builder_table(&report(true), 100, Extent::All);
        insta::assert_snapshot!(harmless(&text, Colours::Drop), @r"
        doc2md on the builder big (docker-container)

        Build cache of node big0, BuildKit v0.33.0
        KIND             RECORDS    SIZE  IN USE  RECLAIMABLE  PROJECT'S  OTHERS'  UNKNOWN
        regular                5  5.0 MB  1.0 kB       5.0 MB     3.0 MB   2.0 MB   1.0 kB
        exec.cachemount        2  4.0 MB  1.0 kB       4.0 MB     2.0 MB   2.0 MB   1.0 kB
        total                  7  9.0 MB  1.0 kB       9.0 MB     5.0 MB   4.0 MB   1.0 kB

        Cache mounts
        MOUNT  TARGET    SIZE  LAST USED  WHOSE            SERVICES
        uv     /c      2.0 MB         1h  project's        api, worker
        go     /c      2.0 MB         1h  others', in use  -

        Cache records
        RECORD        KIND       SIZE  LAST USED  USES  WHOSE      STEP
        abcdefghijkl  regular  3.0 MB          -     1  project's  [2/3] RUN make all

        Build cache of node big1
        not running (exited), and not started to be asked

        All nodes
        KIND   RECORDS    SIZE  IN USE  RECLAIMABLE  PROJECT'S  OTHERS'  UNKNOWN
        total        7  9.0 MB  1.0 kB       9.0 MB     5.0 MB   4.0 MB   1.0 kB
        ");
    }
}
