//! Steps that came from the cache, told together.

use std::time::Duration;

use indexmap::IndexMap;

use crate::progress::Step;

/// Cached steps of one target that were not told yet.
#[derive(Debug, Default)]
pub(super) struct CachedSteps {
    pub(super) steps: Vec<CachedStep>,
    /// When the first of them came.
    pub(super) since: Duration,
}

/// One of them.
#[derive(Debug)]
pub(super) struct CachedStep {
    pub(super) id: String,
    stage: String,
    position: (u32, u32),
}

impl CachedSteps {
    pub(super) fn add(&mut self, step: &Step, at: Duration) {
        if self.steps.is_empty() {
            self.since = at;
        }
        let label = &step.label;
        let stage = label.stage.clone().filter(|stage| stage != "stage-0").unwrap_or_default();
        let position = label.position.unwrap_or_default();
        self.steps.push(CachedStep { id: step.id.clone(), stage, position });
    }

    /// `[build 2-4/4] [stage-1 2/4]`, stages in the order they came.
    pub(super) fn text(&self) -> String {
        let mut stages: IndexMap<(&str, u32), Vec<u32>> = IndexMap::new();
        for step in &self.steps {
            stages.entry((&step.stage, step.position.1)).or_default().push(step.position.0);
        }
        let tags = stages.into_iter().map(|((stage, of), mut numbers)| {
            numbers.sort_unstable();
            numbers.dedup();
            let space = if stage.is_empty() { "" } else { " " };
            format!("[{stage}{space}{}/{of}]", ranges(&numbers))
        });
        tags.collect::<Vec<_>>().join(" ")
    }
}

/// `1-3,5` for ordered numbers.
fn ranges(numbers: &[u32]) -> String {
    let mut parts: Vec<(u32, u32)> = Vec::new();
    for &number in numbers {
        match parts.last_mut() {
            Some((_, last)) if *last + 1 == number => *last = number,
            _ => parts.push((number, number)),
        }
    }
    let part = |(first, last): (u32, u32)| {
        if first == last { first.to_string() } else { format!("{first}-{last}") }
    };
    parts.into_iter().map(part).collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    #[test]
    fn neighbours_are_ranges() {
        assert_eq!(super::ranges(&[1, 2, 3, 5, 7, 8]), "1-3,5,7-8");
        assert_eq!(super::ranges(&[]), "");
    }
}
