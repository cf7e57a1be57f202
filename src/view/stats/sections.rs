//! The report as tables of words, for whatever shows tables.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::Extent;
use super::table::{Column, Shape, cell};
use crate::counted::{agreed, counted};
use crate::dockerfile::without_options;
use crate::image_reference;
use crate::terminal::format;
use crate::usage::{CacheMountStats, ImageStats, LayerStats, MountWorth, RemedyStats, StatsReport};

/// Layers and mounts of others that are shown where not all are wanted.
const LARGEST: usize = 5;

/// A table with what stands above it.
pub(super) struct Section {
    pub(super) title: String,
    pub(super) columns: Vec<Column>,
    pub(super) rows: Vec<Vec<String>>,
    /// What stands below it, in words.
    pub(super) remark: Option<String>,
}

/// Sections with something in them.
pub(super) fn sections(report: &StatsReport, extent: Extent) -> Vec<Section> {
    let mut all = vec![images(report)];
    all.push(dangling(report));
    all.push(layers(report, extent));
    all.push(containers(report));
    all.push(volumes(report));
    all.push(cache(report));
    all.push(mounts(report, extent));
    all.push(records(report));
    all.push(projects(report));
    all.push(disk(report));
    all.push(budgets(report));
    all.retain(|section| !section.rows.is_empty());
    all
}

fn section(title: impl Into<String>, columns: &[Column], rows: Vec<Vec<String>>) -> Section {
    Section { title: title.into(), columns: columns.to_vec(), rows, remark: None }
}

fn size(bytes: Option<u64>) -> String {
    bytes.map_or_else(|| "-".to_owned(), format::bytes)
}

pub(super) fn age(report: &StatsReport, time: Option<Timestamp>) -> String {
    let seconds = time.map(|time| report.taken.duration_since(time).as_secs());
    // Reproducible builds set arbitrary times, so 1970 is not an age.
    match seconds.filter(|_| time.is_some_and(|time| time.as_second() > 86_400)) {
        Some(seconds) if seconds >= 0 => format::age(seconds.unsigned_abs()),
        _ => "-".to_owned(),
    }
}

fn change(image: &ImageStats) -> String {
    let Some((now, then)) = image.size_bytes.zip(image.previous_size_bytes) else {
        return "-".to_owned();
    };
    let sign = if now < then { "-" } else { "+" };
    format!("{sign}{}", format::bytes(now.abs_diff(then)))
}

fn images(report: &StatsReport) -> Section {
    let has_content = report.images.iter().any(|image| image.content_bytes.is_some());
    let has_past = report.images.iter().any(|image| image.previous_size_bytes.is_some());
    let mut columns = vec![
        Column::new("SERVICE", Shape::CutEnd(8)),
        Column::new("IMAGE", Shape::CutStart(10)).drop(1),
        Column::new("ID", Shape::Left).drop(3),
        Column::new("AGE", Shape::Right),
        Column::new("SIZE", Shape::Right),
        Column::new("UNIQUE", Shape::Right),
        Column::new("SHARED", Shape::Right),
    ];
    if has_content {
        columns.push(Column::new("CONTENT", Shape::Right).drop(2));
    }
    if has_past {
        columns.push(Column::new("CHANGE", Shape::Right));
    }
    let mut rows: Vec<Vec<String>> = report
        .images
        .iter()
        .map(|image| {
            let id = match &image.id {
                Some(id) => format::short_id(id).to_owned(),
                None => "not there".to_owned(),
            };
            let mut row = vec![
                cell(&image.service),
                cell(image_reference::shown(&image.reference)),
                id,
                age(report, image.created),
                size(image.size_bytes),
                size(image.unique_bytes),
                size(image.shared_bytes),
            ];
            if has_content {
                row.push(size(image.content_bytes));
            }
            if has_past {
                row.push(change(image));
            }
            row
        })
        .collect();
    if !rows.is_empty() {
        let mut total = vec![String::new(); columns.len()];
        total[0] = "total".to_owned();
        total[4] = size(report.total_bytes);
        rows.push(total);
    }
    section("Images", &columns, rows)
}

fn dangling(report: &StatsReport) -> Section {
    let columns = [
        Column::new("SERVICE", Shape::CutEnd(8)),
        Column::new("ID", Shape::Left),
        Column::new("AGE", Shape::Right),
        Column::new("SIZE", Shape::Right),
        Column::new("UNIQUE", Shape::Right),
        Column::new("SHARED", Shape::Right),
    ];
    let rows = report.dangling.iter().map(|image| {
        vec![
            cell(image.service.as_deref().unwrap_or("-")),
            format::short_id(&image.id).to_owned(),
            age(report, image.created),
            size(image.size_bytes),
            size(image.unique_bytes),
            size(image.shared_bytes),
        ]
    });
    section("Dangling images", &columns, rows.collect())
}

/// Each layer once, the largest first.
pub(super) fn layers(report: &StatsReport, extent: Extent) -> Section {
    let mut distinct: BTreeMap<&str, (&LayerStats, Vec<&str>)> = BTreeMap::new();
    for image in &report.images {
        for layer in image.layers.iter().filter(|layer| layer.size_bytes > Some(0)) {
            let (shown, services) =
                distinct.entry(&layer.chain_id).or_insert_with(|| (layer, Vec::new()));
            if shown.line.is_none() {
                *shown = layer;
            }
            if !services.contains(&image.service.as_str()) {
                services.push(&image.service);
            }
        }
    }
    let mut layers: Vec<_> = distinct.into_values().collect();
    layers.sort_by(|(a, _), (b, _)| (b.size_bytes, &a.chain_id).cmp(&(a.size_bytes, &b.chain_id)));
    let all = layers.len();
    if extent == Extent::Short {
        layers.truncate(LARGEST);
    }
    let columns = [
        Column::new("SIZE", Shape::Right),
        Column::new("SERVICES", Shape::CutEnd(8)).drop(1),
        Column::new("LINE", Shape::CutStart(12)),
        Column::new("INSTRUCTION", Shape::CutEnd(16)),
    ];
    let rows = layers.iter().map(|(layer, services)| {
        let place = match (&layer.dockerfile, layer.line) {
            (Some(file), Some(line)) => format!("{}:{line}", cell(file)),
            _ => "-".to_owned(),
        };
        vec![
            size(layer.size_bytes),
            cell(&services.join(", ")),
            place,
            cell(&without_options(&layer.instruction)),
        ]
    });
    let title = if layers.len() < all { "Largest layers" } else { "Layers" };
    let mut section = section(title, &columns, rows.collect());
    if layers.len() < all {
        section.remark = Some(format!(
            "{} {} listed with -v",
            counted(all - layers.len(), "more layer"),
            agreed(&(all - layers.len()), "is", "are")
        ));
    }
    section
}

pub(super) fn containers(report: &StatsReport) -> Section {
    let columns = [
        Column::new("CONTAINER", Shape::CutEnd(16)),
        Column::new("IMAGE", Shape::CutStart(12)).drop(1),
        Column::new("STATE", Shape::Left),
        Column::new("AGE", Shape::Right),
        Column::new("WRITTEN", Shape::Right),
    ];
    let rows = report.containers.iter().map(|it| {
        let state = cell(&it.state);
        let image = cell(image_reference::shown(&it.image));
        vec![cell(&it.name), image, state, age(report, it.created), size(it.size_bytes)]
    });
    section("Containers", &columns, rows.collect())
}

pub(super) fn volumes(report: &StatsReport) -> Section {
    let columns = [
        Column::new("VOLUME", Shape::CutEnd(16)),
        Column::new("USED BY", Shape::CutEnd(12)),
        Column::new("AGE", Shape::Right).drop(1),
        Column::new("SIZE", Shape::Right),
    ];
    let rows = report.volumes.iter().map(|volume| {
        let users = match volume.in_use {
            Some(true) => cell(&volume.containers.join(", ")),
            Some(false) => "nothing".to_owned(),
            None => "-".to_owned(),
        };
        vec![cell(&volume.name), users, age(report, volume.created), size(volume.size_bytes)]
    });
    section("Volumes", &columns, rows.collect())
}

fn cache(report: &StatsReport) -> Section {
    let cache = &report.cache;
    let mut columns = vec![
        Column::new("KIND", Shape::CutEnd(12)),
        Column::new("RECORDS", Shape::Right).drop(2),
        Column::new("SIZE", Shape::Right),
        Column::new("IN IMAGES", Shape::Right).drop(3),
        Column::new("RECLAIMABLE", Shape::Right).drop(1),
    ];
    let is_told = cache.project_bytes.is_some();
    if is_told {
        columns.push(Column::new("PROJECT'S", Shape::Right));
    }
    let row = |kind: String, records: usize, sizes: [Option<u64>; 4]| {
        let [total, shared, free, own] = sizes.map(size);
        let mut row = vec![kind, records.to_string(), total, shared, free];
        row.extend(is_told.then_some(own));
        row
    };
    let mut rows: Vec<Vec<String>> = cache
        .kinds
        .iter()
        .map(|kind| {
            let (shared, free) = (kind.shared_with_images_bytes, kind.reclaimable_bytes);
            let sizes = [Some(kind.total_bytes), Some(shared), Some(free), kind.project_bytes];
            row(cell(&kind.kind), kind.records, sizes)
        })
        .collect();
    if !rows.is_empty() {
        let records = cache.kinds.iter().map(|kind| kind.records).sum();
        let (shared, free) = (cache.shared_with_images_bytes, cache.reclaimable_bytes);
        let sizes = [cache.total_bytes, shared, free, cache.project_bytes];
        rows.push(row("total".to_owned(), records, sizes));
    }
    section("Build cache of the engine", &columns, rows)
}

fn mounts(report: &StatsReport, extent: Extent) -> Section {
    let mut columns = vec![
        Column::new("MOUNT", Shape::CutStart(12)),
        Column::new("TARGET", Shape::CutStart(10)).drop(3),
        Column::new("SIZE", Shape::Right),
        Column::new("FIGURE", Shape::Left).drop(4),
        Column::new("LAST USED", Shape::Right).drop(2),
        Column::new("SERVICES", Shape::CutEnd(10)).drop(1),
        Column::new("COLLECTION", Shape::Left),
    ];
    let are_worths_known = report.cache.mounts.iter().any(|mount| mount.worth.is_some());
    if are_worths_known {
        columns.push(Column::new("SAVES", Shape::Right).drop(5));
    }
    let (shown, hidden): (Vec<&CacheMountStats>, Vec<&CacheMountStats>) = report
        .cache
        .mounts
        .iter()
        .partition(|mount| extent == Extent::All || !mount.services.is_empty());
    let rows = shown.iter().map(|mount| {
        let target = mount.target.as_deref().unwrap_or("-");
        // Most mounts have no id of their own: it is the target then.
        let mut row = vec![
            cell(mount.id.as_deref().unwrap_or("-")),
            cell(target),
            format::bytes(mount.size_bytes),
            figure(report, mount),
            age(report, mount.last_used),
            cell(
                if mount.services.is_empty() { "-".into() } else { mount.services.join(", ") }
                    .as_str(),
            ),
            collection(report, mount),
        ];
        if are_worths_known {
            row.push(mount.worth.as_ref().map_or_else(|| "-".to_owned(), saves));
        }
        row
    });
    let mut section = section("Cache mounts", &columns, rows.collect());
    if !hidden.is_empty() {
        let sum = hidden.iter().map(|mount| mount.size_bytes).sum();
        section.remark = Some(format!(
            "{} other cache mounts on the engine take {}; -v lists them",
            hidden.len(),
            format::bytes(sum)
        ));
    }
    section
}

/// Whose figure its size is, and of when.
pub(super) fn figure(report: &StatsReport, mount: &CacheMountStats) -> String {
    match mount.size_source {
        "engine" => "the engine's".to_owned(),
        "earlier" => format!("{} old", age(report, mount.measured)),
        source => source.to_owned(),
    }
}

/// What builds save by it.
pub(super) fn saves(worth: &MountWorth) -> String {
    let seconds = format::seconds(worth.saves_seconds);
    if worth.is_bound { format!("up to {seconds}") } else { seconds }
}

/// What the engine's garbage collection does to it.
pub(super) fn collection(report: &StatsReport, mount: &CacheMountStats) -> String {
    match &mount.gc {
        None => "-".to_owned(),
        Some(gc) if gc.due => "due now".to_owned(),
        Some(gc) => match gc.due_from {
            Some(from) => {
                let seconds = from.duration_since(report.taken).as_secs();
                format!("in {}", format::age(u64::try_from(seconds).unwrap_or(0)))
            }
            None => "none".to_owned(),
        },
    }
}

fn records(report: &StatsReport) -> Section {
    let columns = [
        Column::new("RECORD", Shape::Left),
        Column::new("KIND", Shape::Left).drop(3),
        Column::new("SIZE", Shape::Right),
        Column::new("LAST USED", Shape::Right).drop(1),
        Column::new("USES", Shape::Right).drop(4),
        Column::new("HELD BY", Shape::Left).drop(2),
        Column::new("STEP", Shape::CutEnd(12)),
    ];
    let records = report.cache.records.iter().flatten();
    let rows = records.map(|record| {
        let mut held = Vec::new();
        held.extend(record.in_use.then_some("build"));
        held.extend(record.shared_with_images.then_some("image"));
        held.extend((record.project == Some(true)).then_some("project"));
        vec![
            cell(record.id.get(..12).unwrap_or(&record.id)),
            cell(&record.kind),
            format::bytes(record.size_bytes),
            age(report, record.last_used),
            record.usage_count.to_string(),
            if held.is_empty() { "-".to_owned() } else { held.join(" ") },
            cell(&record.description),
        ]
    });
    section("Cache records", &columns, rows.collect())
}

pub(super) fn projects(report: &StatsReport) -> Section {
    let mut columns = vec![
        Column::new("PROJECT", Shape::CutEnd(12)),
        Column::new("IMAGES", Shape::Right).drop(1),
        Column::new("CONTAINERS", Shape::Right).drop(3),
        Column::new("VOLUMES", Shape::Right).drop(2),
    ];
    let has_cache = report.projects.iter().any(|it| it.cache_bytes.is_some());
    if has_cache {
        columns.push(Column::new("CACHE", Shape::Right).drop(4));
    }
    columns.push(Column::new("TOTAL", Shape::Right));
    let rows = report.projects.iter().map(|it| {
        let name = it.project.as_deref().map_or_else(|| "(none)".to_owned(), cell);
        let parts = [it.images_bytes, it.containers_bytes, it.volumes_bytes];
        let mut row: Vec<String> = [name].into_iter().chain(parts.map(size)).collect();
        row.extend(has_cache.then(|| size(it.cache_bytes)));
        row.push(size(it.total_bytes));
        row
    });
    section("Sums by project", &columns, rows.collect())
}

fn disk(report: &StatsReport) -> Section {
    let columns = ["SIZE", "USED", "FREE"].map(|name| Column::new(name, Shape::Right));
    let row = match &report.disk {
        Some(disk) => [disk.size_bytes, disk.used_bytes, disk.free_bytes].map(format::bytes),
        None => ["unknown", "unknown", "unknown"].map(str::to_owned),
    };
    let mut section = section("Disk of the engine", &columns, vec![row.to_vec()]);
    section.remark = report.remedies.as_deref().and_then(remedies);
    section
}

/// What to run, and what that frees.
fn remedies(remedies: &[RemedyStats]) -> Option<String> {
    let named: Vec<String> = remedies
        .iter()
        .map(|it| format!("{} frees {}", it.command, format::bytes(it.frees_bytes)))
        .collect();
    (!named.is_empty()).then(|| named.join(", "))
}

pub(super) fn budgets(report: &StatsReport) -> Section {
    let columns = [
        Column::new("BUDGET", Shape::CutEnd(8)),
        Column::new("LIMIT", Shape::Right),
        Column::new("ACTUAL", Shape::Right),
        Column::new("VERDICT", Shape::Wrap(12)),
    ];
    let rows = report.budgets.iter().map(|it| {
        let verdict = match (it.ok, it.excess_bytes()) {
            (Some(false), excess) => format!("over by {}", format::bytes(excess.unwrap_or(0))),
            (Some(true), _) => "ok".to_owned(),
            (None, _) if it.has_no_past() => "no earlier build to compare with".to_owned(),
            (None, _) => "unknown".to_owned(),
        };
        vec![cell(&it.rule), size(it.limit_bytes), size(it.actual_bytes), verdict]
    });
    section("Budgets", &columns, rows.collect())
}
