//! Which steps read which.

use std::collections::{BTreeSet, HashMap};

use crate::history::StepEntry;

/// By the place of a step those that it reads: the ones it names, else the one before it in its stage.
pub(super) fn parents(steps: &[&StepEntry]) -> Vec<Vec<usize>> {
    let mut by_digest: HashMap<&str, Vec<usize>> = HashMap::new();
    let mut by_place: HashMap<(Option<&str>, u32), usize> = HashMap::new();
    for (at, step) in steps.iter().enumerate() {
        by_digest.entry(&step.digest).or_default().push(at);
        if let Some((number, _)) = step.position {
            by_place.entry((step.stage.as_deref(), number)).or_insert(at);
        }
    }
    let parents = steps.iter().enumerate().map(|(index, step)| {
        let named = step.inputs.iter().filter_map(|digest| by_digest.get(digest.as_str()));
        let named: BTreeSet<usize> = named.flatten().copied().filter(|at| *at != index).collect();
        // The digest of a group of steps is not that of its last one.
        let before = || {
            let number = step.position?.0.checked_sub(1)?;
            by_place.get(&(step.stage.as_deref(), number)).copied()
        };
        match named.is_empty() {
            true => before().into_iter().filter(|at| *at != index).collect(),
            false => named.into_iter().collect(),
        }
    });
    parents.collect()
}

/// The places of steps, those first that others read. What goes in a circle comes last.
pub(super) fn in_order(parents: &[Vec<usize>]) -> Vec<usize> {
    let mut readers: Vec<Vec<usize>> = vec![Vec::new(); parents.len()];
    let mut missing: Vec<usize> = parents.iter().map(Vec::len).collect();
    for (reader, parents) in parents.iter().enumerate() {
        parents.iter().for_each(|parent| readers[*parent].push(reader));
    }
    let mut order: Vec<usize> = (0..parents.len()).filter(|at| missing[*at] == 0).collect();
    let mut done = 0;
    while let Some(at) = order.get(done).copied() {
        done += 1;
        for reader in &readers[at] {
            missing[*reader] -= 1;
            if missing[*reader] == 0 {
                order.push(*reader);
            }
        }
    }
    order.extend((0..parents.len()).filter(|at| missing[*at] > 0));
    order
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::StepResult;
    use crate::test_history::step;

    #[test]
    fn a_step_reads_what_it_names_else_the_one_before_it() {
        let names = ["[a 1/2] FROM x", "[a 2/2] COPY f f", "[b 1/2] FROM y", "[b 2/2] RUN z"];
        let mut steps = names.map(|name| step(name, StepResult::Ran, 1.0));
        steps[3].inputs = vec![steps[1].digest.clone(), "sha256:elsewhere".to_owned()];
        let steps: Vec<&StepEntry> = steps.iter().collect();
        assert_eq!(parents(&steps), [vec![], vec![0], vec![], vec![1]]);
    }

    #[test]
    fn what_goes_in_a_circle_comes_last_and_once() {
        assert_eq!(in_order(&[vec![2], vec![0, 2], vec![]]), [2, 0, 1]);
        assert_eq!(in_order(&[vec![1], vec![0], vec![], vec![2, 1]]), [2, 0, 1, 3]);
        assert_eq!(in_order(&[]), [] as [usize; 0]);
        // As many as a target can have, each on the one before.
        let long: Vec<Vec<usize>> =
            (0..5_000_usize).map(|at| at.checked_sub(1).into_iter().collect()).collect();
        assert!(in_order(&long).into_iter().eq(0..5_000));
    }
}
