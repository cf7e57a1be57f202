//! Metrics in Prometheus' text format 0.0.4, for the node exporter's textfile collector. A value that is
//! not known has no sample.

use std::fmt::Write as _;

use crate::usage::StatsReport;

/// Samples of one metric, in the order in which they were added.
struct Metric {
    name: &'static str,
    help: &'static str,
    samples: Vec<(String, u64)>,
}

impl Metric {
    fn new(name: &'static str, help: &'static str) -> Self {
        Self { name, help, samples: Vec::new() }
    }

    fn add(&mut self, labels: &[(&str, &str)], value: Option<u64>) {
        if let Some(value) = value {
            let pairs: Vec<String> = labels
                .iter()
                .map(|(name, value)| format!("{name}=\"{}\"", escaped(value)))
                .collect();
            let sample = (pairs.join(","), value);
            // A second sample with the same labels would make the whole file invalid.
            if !self.samples.iter().any(|(labels, _)| *labels == sample.0) {
                self.samples.push(sample);
            }
        }
    }
}

/// The report as metrics; all are gauges.
pub fn prometheus(report: &StatsReport) -> String {
    let project = ("project", report.project.as_str());
    let mut text = String::new();
    for metric in images(report, project).into_iter().chain(rest(report, project)) {
        if metric.samples.is_empty() {
            continue;
        }
        let _ = writeln!(text, "# HELP doc2md_docker_{} {}", metric.name, metric.help);
        let _ = writeln!(text, "# TYPE doc2md_docker_{} gauge", metric.name);
        for (labels, value) in &metric.samples {
            let _ = writeln!(text, "doc2md_docker_{}{{{labels}}} {value}", metric.name);
        }
    }
    text
}

fn images(report: &StatsReport, project: (&str, &str)) -> Vec<Metric> {
    let mut size = Metric::new("image_size_bytes", "Size of the image on disk.");
    let mut unique = Metric::new("image_unique_bytes", "Bytes that no other image has.");
    let mut shared = Metric::new("image_shared_bytes", "Bytes that other images have too.");
    let mut content = Metric::new("image_content_bytes", "Compressed content of the image.");
    let mut previous = Metric::new("image_previous_size_bytes", "Size after the previous build.");
    let mut created =
        Metric::new("image_created_timestamp_seconds", "When the image was built, in Unix time.");
    for image in &report.images {
        let labels =
            [project, ("service", image.service.as_str()), ("reference", image.reference.as_str())];
        size.add(&labels, image.size_bytes);
        unique.add(&labels, image.unique_bytes);
        shared.add(&labels, image.shared_bytes);
        content.add(&labels, image.content_bytes);
        previous.add(&labels, image.previous_size_bytes);
        let time = image.created.and_then(|time| u64::try_from(time.as_second()).ok());
        created.add(&labels, time);
    }
    let mut total = Metric::new("images_total_bytes", "All images, shared layers counted once.");
    total.add(&[project], report.total_bytes);
    vec![size, unique, shared, content, previous, created, total]
}

fn rest(report: &StatsReport, project: (&str, &str)) -> Vec<Metric> {
    let mut dangling = Metric::new("dangling_images", "Images of the project without a name.");
    // Without the list of images nobody knows.
    dangling.add(&[project], report.total_bytes.map(|_| report.dangling.len() as u64));
    let mut containers =
        Metric::new("container_writable_bytes", "Size of the container's writable layer.");
    for it in &report.containers {
        let service = it.service.as_deref().unwrap_or_default();
        let labels =
            [project, ("container", &it.name), ("service", service), ("state", it.state.as_str())];
        containers.add(&labels, it.size_bytes);
    }
    let mut volumes = Metric::new("volume_size_bytes", "Size of the volume.");
    for volume in &report.volumes {
        volumes.add(&[project, ("volume", volume.name.as_str())], volume.size_bytes);
    }
    let mut metrics = vec![dangling, containers, volumes];
    metrics.extend(cache(report, project));
    metrics.extend(whole(report, project));
    metrics
}

/// The build cache and the cache mounts.
fn cache(report: &StatsReport, project: (&str, &str)) -> [Metric; 5] {
    let cache = &report.cache;
    let mut sums = Metric::new("build_cache_bytes", "Build cache of the engine.");
    for (part, bytes) in [
        ("total", cache.total_bytes),
        ("project", cache.project_bytes),
        ("shared_with_images", cache.shared_with_images_bytes),
        ("reclaimable", cache.reclaimable_bytes),
    ] {
        sums.add(&[project, ("part", part)], bytes);
    }
    let mut kinds = Metric::new("build_cache_kind_bytes", "Build cache of the engine by kind.");
    for kind in &cache.kinds {
        kinds.add(&[project, ("kind", kind.kind.as_str())], Some(kind.total_bytes));
    }
    let mut mounts = Metric::new("cache_mount_bytes", "Size of a cache mount of the project.");
    let mut due =
        Metric::new("cache_mount_due", "1 where garbage collection is about to delete it.");
    let mut saves = Metric::new(
        "cache_mount_saves_seconds",
        "How much longer builds take without it, where garbage collection takes it.",
    );
    for mount in cache.mounts.iter().filter(|mount| !mount.services.is_empty()) {
        let labels = [
            project,
            ("id", mount.id.as_deref().unwrap_or_default()),
            ("target", mount.target.as_deref().unwrap_or_default()),
            ("record", mount.record.as_str()),
        ];
        mounts.add(&labels, Some(mount.size_bytes));
        due.add(&labels, mount.gc.as_ref().map(|gc| u64::from(gc.due)));
        let seconds = mount.worth.as_ref().map(|worth| worth.saves_seconds.round() as u64);
        saves.add(&labels, seconds);
    }
    [sums, kinds, mounts, due, saves]
}

/// Sums, the disk, and what they ask for.
fn whole(report: &StatsReport, project: (&str, &str)) -> [Metric; 5] {
    let mut budgets = Metric::new("budget_ok", "1 where the budget is kept, 0 where it is broken.");
    for verdict in &report.budgets {
        budgets.add(&[project, ("rule", verdict.rule.as_str())], verdict.ok.map(u64::from));
    }
    let mut sizes = Metric::new("project_bytes", "What a project of the engine takes.");
    for sum in &report.projects {
        let of = sum.project.as_deref().unwrap_or_default();
        for (part, bytes) in [
            ("images", sum.images_bytes),
            ("containers", sum.containers_bytes),
            ("volumes", sum.volumes_bytes),
            ("build_cache", sum.cache_bytes),
            ("total", sum.total_bytes),
        ] {
            sizes.add(&[project, ("of", of), ("part", part)], bytes);
        }
    }
    let mut disk = Metric::new("disk_bytes", "The engine's disk.");
    for (part, bytes) in [
        ("size", report.disk.as_ref().map(|disk| disk.size_bytes)),
        ("used", report.disk.as_ref().map(|disk| disk.used_bytes)),
        ("free", report.disk.as_ref().map(|disk| disk.free_bytes)),
    ] {
        disk.add(&[project, ("part", part)], bytes);
    }
    let mut frees = Metric::new("clean_frees_bytes", "What the command would free.");
    for remedy in report.remedies.iter().flatten() {
        frees.add(&[project, ("command", remedy.command.as_str())], Some(remedy.frees_bytes));
    }
    let mut taken = Metric::new("stats_timestamp_seconds", "When this was measured, in Unix time.");
    taken.add(&[project], u64::try_from(report.taken.as_second()).ok());
    [sizes, disk, frees, budgets, taken]
}

/// A label's value (exposition format: backslash, quote and line feed are escaped).
fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}
