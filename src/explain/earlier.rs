//! The builds around the one that is explained: those before it on its engine, those elsewhere, those at the same time; and
//! what they tell of a result that is not there.

use jiff::{SignedDuration, Timestamp};

use super::cause::{Elsewhere, Reason, Since};
use crate::history::{CollectionRule, EngineInfo, Entry, StepResult, TargetEntry};
use crate::progress::imported_cache;
use crate::release;

/// Other builds of the same directory, the newest first.
#[derive(Clone, Default)]
pub(super) struct Earlier<'a> {
    /// Before it, on the same engine.
    pub(super) here: Vec<&'a Entry>,
    /// Before it, on other engines and builders.
    elsewhere: Vec<&'a Entry>,
    /// On the same engine, at the same time.
    beside: Vec<&'a Entry>,
}

impl<'a> Earlier<'a> {
    /// Builds on the same engine, and no others are known.
    pub(super) fn here(builds: &[&'a Entry]) -> Self {
        Self { here: builds.to_vec(), ..Self::default() }
    }

    pub(super) fn new(build: &Entry, others: &'a [Entry]) -> Self {
        let mut earlier = Self::default();
        let is_other = |other: &&Entry| {
            other.project_directory == build.project_directory && other.id != build.id
        };
        for other in others.iter().filter(is_other) {
            let is_here = other.engine.id == build.engine.id;
            let is_earlier = other.started < build.started;
            if is_earlier {
                match is_here {
                    true => earlier.here.push(other),
                    // One that did not tell its id may be this one.
                    false if build.engine.id.is_empty() => {}
                    false => earlier.elsewhere.push(other),
                }
            }
            if is_here && other.started < end(build) && end(other) > build.started {
                earlier.beside.push(other);
            }
        }
        earlier
    }

    /// Why a target runs of which no build here is remembered.
    pub(super) fn first_build(&self, target: &TargetEntry) -> Reason {
        let has_it = |entry: &&&Entry| {
            !entry.engine.id.is_empty() && entry.targets.iter().any(|it| it.name == target.name)
        };
        let elsewhere = self.elsewhere.iter().find(has_it).map(|entry| Elsewhere {
            build: entry.id.clone(),
            builder: Some(entry.engine.builder.clone()).filter(|name| !name.is_empty()),
        });
        Reason::FirstBuild { elsewhere, missing_cache: missing_cache(target) }
    }

    /// What can have taken a result that the build `before` had and `target` of `build` did not find.
    pub(super) fn since(&self, before: &Entry, build: &Entry, target: &TargetEntry) -> Since {
        let (was, is) = (&before.engine.version, &build.engine.version);
        let is_another = !was.is_empty() && !is.is_empty() && was != is;
        let beside = self.beside.first().filter(|_| loses_keys(&build.engine));
        let since = Since {
            cleaned: build.cleaned.filter(|at| *at > before.started),
            pruned: build.pruned.filter(|at| *at > before.started),
            from: is_another.then(|| was.clone()),
            to: is_another.then(|| is.clone()),
            missing_cache: missing_cache(target),
            overlapped: beside.map(|entry| entry.id.clone()),
            collection: None,
        };
        let is_explained = since != Since::default();
        let collection = if is_explained { None } else { collection(before, build) };
        Since { collection, ..since }
    }
}

fn end(build: &Entry) -> Timestamp {
    let took = SignedDuration::try_from_secs_f64(build.seconds).unwrap_or_default();
    build.started.checked_add(took).unwrap_or(build.started)
}

/// A cache that the target was to read and could not.
fn missing_cache(target: &TargetEntry) -> Option<String> {
    let failed = target.steps.iter().filter(|step| step.result == StepResult::Failed);
    failed.filter_map(|step| imported_cache(&step.name)).next().map(str::to_owned)
}

/// The rule of garbage collection that can have taken what was last used in the build `before`: one whose time is over, else
/// one that goes by size or space.
fn collection(before: &Entry, build: &Entry) -> Option<CollectionRule> {
    let idle = build.started.duration_since(end(before));
    let is_over = |rule: &&CollectionRule| rule.idle_seconds.is_some_and(|it| idle.as_secs() >= it);
    let by_time = build.collection.iter().find(is_over);
    by_time.or_else(|| build.collection.iter().find(|rule| rule.idle_seconds.is_none())).cloned()
}

/// Whether builds that overlap lose cache keys of each other there: until BuildKit 0.32, which is in Docker 29.7.
fn loses_keys(engine: &EngineInfo) -> bool {
    let fixed = if engine.builder.is_empty() { (29, 7) } else { (0, 32) };
    release::major_and_minor(&engine.version).is_some_and(|it| it < fixed)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::history::Outcome;
    use crate::test_history::{build, step};

    /// A build that began in hour `number` and took 30 minutes.
    fn entry(number: u32, engine: &str) -> Entry {
        let ran = step("[1/1] RUN x", StepResult::Ran, 1.0);
        let mut entry = build(number, Outcome::Succeeded, vec![ran]);
        entry.seconds = 1800.0;
        entry.engine.id = engine.to_owned();
        entry.engine.version = "28.5.2".to_owned();
        entry
    }

    fn since(build: &Entry, others: &[Entry]) -> Since {
        Earlier::new(build, others).since(&others[0], build, &build.targets[0])
    }

    #[test]
    fn a_build_on_another_engine_is_named() {
        let now = entry(9, "here");
        let mut far = entry(8, "far");
        far.engine.builder = "ci".to_owned();
        let others = [far, entry(7, "another"), entry(6, "")];
        let first = |others: &[Entry]| Earlier::new(&now, others).first_build(&now.targets[0]);
        let elsewhere = |entry: &Entry, builder: Option<&str>| Reason::FirstBuild {
            elsewhere: Some(Elsewhere {
                build: entry.id.clone(),
                builder: builder.map(str::to_owned),
            }),
            missing_cache: None,
        };
        assert_eq!(first(&others), elsewhere(&others[0], Some("ci")));
        assert_eq!(first(&others[1..]), elsewhere(&others[1], None));
        assert_eq!(first(&others[2..]), Reason::first_build());
        let mut other_target = entry(8, "far");
        other_target.targets[0].name = "worker".to_owned();
        assert_eq!(first(&[other_target]), Reason::first_build());
    }

    #[test]
    fn a_cache_that_was_not_there_is_named() {
        let mut now = entry(9, "here");
        let import = "importing cache manifest from registry.example.com/cache:main";
        now.targets[0].steps.push(step(import, StepResult::Failed, 0.1));
        let cache = Some("registry.example.com/cache:main".to_owned());
        let first = Earlier::default().first_build(&now.targets[0]);
        assert_eq!(first, Reason::FirstBuild { elsewhere: None, missing_cache: cache.clone() });
        assert_eq!(since(&now, &[entry(8, "here")]).missing_cache, cache);
        now.targets[0].steps[1].result = StepResult::Ran;
        assert_eq!(since(&now, &[entry(8, "here")]).missing_cache, None);
    }

    #[test]
    fn builds_that_overlap_are_named_where_that_loses_keys() {
        let mut beside = entry(8, "here");
        beside.seconds = 3601.0;
        let before = entry(7, "here");
        let mut now = entry(9, "here");
        let overlapped = |now: &Entry, beside: &Entry| {
            since(now, &[before.clone(), beside.clone()]).overlapped.is_some()
        };
        assert!(overlapped(&now, &beside));
        // A build that began later, too; one elsewhere or one that had ended, not.
        let mut later = entry(9, "here");
        later.started = now.started + SignedDuration::from_secs(60);
        later.id = crate::history::BuildId::new(later.started, "0001");
        assert!(overlapped(&now, &later));
        assert!(!overlapped(&now, &entry(8, "here")));
        beside.engine.id = "far".to_owned();
        assert!(!overlapped(&now, &beside));
        beside.engine.id = "here".to_owned();
        for (version, builder, loses) in [
            ("20.10.24", "", true),
            ("29.6.1", "", true),
            ("29.7.0", "", false),
            ("30.0", "", false),
            ("v0.31.2", "ci", true),
            ("v0.32.0", "ci", false),
            ("", "", false),
        ] {
            (now.engine.version, now.engine.builder) = (version.to_owned(), builder.to_owned());
            assert_eq!(overlapped(&now, &beside), loses, "{version}");
        }
    }

    #[test]
    fn garbage_collection_is_named_where_nothing_else_happened() {
        let rule = |idle_seconds: Option<i64>, max_bytes: Option<u64>| CollectionRule {
            idle_seconds,
            max_bytes,
            min_free_bytes: None,
        };
        let mut now = entry(9, "here");
        let before = [entry(6, "here")];
        assert_eq!(since(&now, &before), Since::default());
        now.collection = vec![rule(Some(3600), Some(5)), rule(None, Some(20))];
        // Last used two and a half hours ago.
        assert_eq!(since(&now, &before).collection, Some(rule(Some(3600), Some(5))));
        now.collection[0].idle_seconds = Some(3 * 3600);
        assert_eq!(since(&now, &before).collection, Some(rule(None, Some(20))));
        now.collection.pop();
        assert_eq!(since(&now, &before).collection, None);
        now.collection = vec![rule(None, Some(20))];
        now.cleaned = Some(now.started);
        assert_eq!(since(&now, &before).collection, None);
    }
}
