//! What became of the layer cache of a run: one line, and one warning where it outgrows its service.

use crate::counted::counted;
use crate::progress::outcome::{BuiltImage, CacheUse, CacheWrite, LeftOut, TargetOutcome};
use crate::progress::{RunSummary, TargetSummary};
use crate::terminal::format;

/// What GitHub keeps for a repository, the oldest going first ("Usage limits and eviction policy" of its manual).
const GITHUB_BYTES: u64 = 10_000_000_000;

/// What was read and written, in one line; nothing where there is no such cache.
pub fn line(summary: &RunSummary) -> Option<String> {
    let uses: Vec<(&str, &CacheUse)> = uses(summary).collect();
    let place = &uses.first()?.1.place;
    let read: Vec<&str> =
        uses.iter().filter(|(_, cache)| cache.is_there).map(|(name, _)| *name).collect();
    let mut parts = vec![match read.len() {
        0 => "not there yet".to_owned(),
        _ => format!("read for {}", read.join(", ")),
    }];
    let mut written = Vec::new();
    let mut quiet = Vec::new();
    let mut refused: Vec<&str> = Vec::new();
    for (name, cache) in &uses {
        match &cache.written {
            CacheWrite::Written { seconds, layers, left } => {
                let layers = counted(*layers, "layer");
                let left = left.iter().map(left_out).collect::<String>();
                written.push(format!("{name} in {} ({layers}{left})", format::seconds(*seconds)));
            }
            CacheWrite::NotNeeded => quiet.push(*name),
            CacheWrite::OnlyRead(why) if !refused.contains(&why.as_str()) => refused.push(why),
            CacheWrite::OnlyRead(_) | CacheWrite::Failed(_) => {}
        }
    }
    if !written.is_empty() {
        parts.push(format!("written for {}", written.join(", ")));
    }
    if !quiet.is_empty() {
        parts.push(format!("not written for {}: no step ran", quiet.join(", ")));
    }
    parts.extend(refused.iter().map(|why| format!("not written: {why}")));
    Some(format!("layer cache {place}: {}", parts.join("; ")))
}

fn left_out(left: &LeftOut) -> String {
    let (bytes, moving) = (format::bytes(left.bytes), format::seconds(left.moving_seconds));
    let took = format::seconds(left.seconds);
    format!("; without {bytes} of other stages, made in {took}, moved there and back in {moving}")
}

/// Why a cache was not written that was to be: the build is as good without.
pub fn failures(summary: &RunSummary) -> Vec<String> {
    let failed = uses(summary).filter_map(|(name, cache)| match &cache.written {
        CacheWrite::Failed(why) => {
            Some(format!("the layer cache {} was not written for {name}: {why}", cache.place))
        }
        _ => None,
    });
    failed.collect()
}

/// A warning where the images of `branches` branches are more than the cache service of GitHub keeps.
pub fn outgrown(summary: &RunSummary, branches: usize) -> Option<String> {
    let mut ids: Vec<&str> = Vec::new();
    let mut bytes: u64 = 0;
    for (_, image) in images(summary) {
        if !ids.contains(&image.id.as_str()) {
            ids.push(&image.id);
            bytes += image.size_bytes.unwrap_or_default();
        }
    }
    let all = bytes.saturating_mul(u64::try_from(branches.max(1)).unwrap_or(u64::MAX));
    if all <= GITHUB_BYTES {
        return None;
    }
    let of = match branches {
        0 | 1 => String::new(),
        branches => format!(", {} for {branches} branches", format::bytes(all)),
    };
    Some(format!(
        "the images are {}{of}, before compression: GitHub keeps {} of caches for a repository and removes the oldest; \
         a registry has no such limit",
        format::bytes(bytes),
        format::bytes(GITHUB_BYTES),
    ))
}

fn images(summary: &RunSummary) -> impl Iterator<Item = (&TargetSummary, &BuiltImage)> {
    summary.targets.iter().filter_map(|target| match &target.outcome {
        TargetOutcome::Built(image) if target.info.same_as.is_none() => Some((target, image)),
        _ => None,
    })
}

fn uses(summary: &RunSummary) -> impl Iterator<Item = (&str, &CacheUse)> {
    images(summary).filter_map(|(target, image)| Some((&*target.info.name, image.cache.as_ref()?)))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::progress::TargetInfo;

    fn target(name: &str, bytes: u64, is_there: bool, written: CacheWrite) -> TargetSummary {
        let cache = Some(CacheUse { place: "r.example/cache".to_owned(), is_there, written });
        let image = BuiltImage {
            id: name.to_owned(),
            size_bytes: Some(bytes),
            cache,
            ..BuiltImage::default()
        };
        TargetSummary {
            info: TargetInfo { name: name.to_owned(), image: String::new(), same_as: None },
            outcome: TargetOutcome::Built(image),
            started: Some(0.0),
            finished: 1.0,
            cached: 0,
            run: 1,
        }
    }

    fn run(targets: Vec<TargetSummary>) -> RunSummary {
        RunSummary { targets, seconds: 1.0, cancelled: None }
    }

    #[test]
    fn one_line_has_what_was_read_and_written() {
        let written = CacheWrite::Written { seconds: 1.23, layers: 1, left: None };
        let summary = run(vec![
            target("api", 1, true, written),
            target("web", 1, true, CacheWrite::NotNeeded),
            target("worker", 1, false, CacheWrite::Failed("connection refused".to_owned())),
        ]);
        insta::assert_snapshot!(line(&summary).unwrap(), @"layer cache r.example/cache: read for api, web; written for api in 1.2s (1 layer); not written for web: no step ran");
        assert_eq!(
            failures(&summary),
            ["the layer cache r.example/cache was not written for worker: connection refused"]
        );
        let why = || CacheWrite::OnlyRead("a pull request does not write".to_owned());
        let summary = run(vec![target("api", 1, false, why()), target("web", 1, false, why())]);
        insta::assert_snapshot!(line(&summary).unwrap(), @"layer cache r.example/cache: not there yet; not written: a pull request does not write");
        let left = LeftOut { seconds: 2.0, bytes: 2_100_000_000, moving_seconds: 84.0 };
        let written = CacheWrite::Written { seconds: 1.0, layers: 3, left: Some(left) };
        insta::assert_snapshot!(line(&run(vec![target("api", 1, true, written)])).unwrap(), @"layer cache r.example/cache: read for api; written for api in 1.0s (3 layers; without 2.1 GB of other stages, made in 2.0s, moved there and back in 1m24s)");
        assert_eq!(line(&run(Vec::new())), None);
    }

    #[test]
    fn what_github_would_not_keep_is_told() {
        let of = |bytes| run(vec![target("api", bytes, true, CacheWrite::NotNeeded)]);
        assert_eq!(outgrown(&of(5_000_000_000), 2), None);
        assert_eq!(outgrown(&of(10_000_000_000), 1), None);
        insta::assert_snapshot!(outgrown(&of(6_000_000_000), 2).unwrap(), @"the images are 6.0 GB, 12.0 GB for 2 branches, before compression: GitHub keeps 10.0 GB of caches for a repository and removes the oldest; a registry has no such limit");
    }
}
