//! What garbage collection takes of the layer cache: asked for when a run has ended in which a step ran, which may be why.

use std::time::Duration;

use tokio::time::timeout;

use crate::buildkit::{Control, GcPolicy};
use crate::history::CollectionRule;
use crate::progress::{RunTrace, StepState};

/// No build waits longer for it.
const PATIENCE: Duration = Duration::from_millis(200);

/// The rules that take layers; none where nothing ran, or they are not told in time.
pub(super) async fn rules(control: &Control, trace: &RunTrace) -> Vec<CollectionRule> {
    let mut steps = trace.targets().flat_map(|target| target.trace.own_steps());
    if !steps.any(|step| step.label.is_run() && step.state() == StepState::Done) {
        return Vec::new();
    }
    let policies = timeout(PATIENCE, control.gc_policies()).await.ok().flatten();
    policies.unwrap_or_default().iter().filter(|policy| policy.takes_layers()).map(rule).collect()
}

fn rule(policy: &GcPolicy) -> CollectionRule {
    let some = |bytes: u64| Some(bytes).filter(|bytes| *bytes > 0);
    let idle = i64::try_from(policy.keep_for.as_secs()).unwrap_or(i64::MAX);
    CollectionRule {
        idle_seconds: Some(idle).filter(|idle| *idle > 0),
        // A rule with space to be free alone keeps what is reserved, and begins by space.
        max_bytes: policy
            .limit()
            .filter(|_| policy.max_used_bytes > 0 || policy.min_free_bytes == 0),
        min_free_bytes: some(policy.min_free_bytes),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_of_engines_are_read() {
        let limits = |policy: &GcPolicy| {
            let rule = rule(policy);
            (rule.idle_seconds, rule.max_bytes, rule.min_free_bytes)
        };
        let hours = |hours: u64| Duration::from_secs(hours * 3600);
        // Docker 20.10 to 27: what the cache may keep is reserved.
        let old = GcPolicy { keep_for: hours(1440), reserved_bytes: 20, ..GcPolicy::default() };
        assert_eq!(limits(&old), (Some(1440 * 3600), Some(20), None));
        let new = GcPolicy {
            reserved_bytes: 2,
            max_used_bytes: 20,
            min_free_bytes: 10,
            ..GcPolicy::default()
        };
        assert_eq!(limits(&new), (None, Some(20), Some(10)));
        let by_space = GcPolicy { max_used_bytes: 0, ..new };
        assert_eq!(limits(&by_space), (None, None, Some(10)));
        assert_eq!(limits(&GcPolicy::default()), (None, None, None));
    }

    #[test]
    fn rules_for_mounts_and_sources_alone_take_no_layers() {
        let with = |filters: &[&str]| GcPolicy {
            filters: filters.iter().map(|it| (*it).to_owned()).collect(),
            ..GcPolicy::default()
        };
        assert!(with(&[]).takes_layers());
        assert!(with(&[""]).takes_layers());
        assert!(with(&["type==exec.cachemount", "type==regular"]).takes_layers());
        assert!(!with(&["type==source.local", "type==exec.cachemount"]).takes_layers());
        assert!(!with(&["type==source.local,type==exec.cachemount"]).takes_layers());
    }
}
