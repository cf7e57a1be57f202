//! What was measured, by case and project, and what is to be known of it. Pure.

use std::collections::BTreeMap;

use super::model::{CaseReport, Change, ResultReport, Sample};
use super::variant::Variant;
use super::{Case, Plan};

use crate::counted::counted;

/// What was measured so far. Projects go by their number.
#[derive(Debug, Default)]
pub struct Results {
    samples: BTreeMap<(Case, usize), Vec<Sample>>,
    changes: BTreeMap<(Case, usize), Vec<Change>>,
}

impl Results {
    /// Adds a build.
    pub(super) fn add(&mut self, case: Case, project: usize, sample: Sample) {
        self.samples.entry((case, project)).or_default().push(sample);
    }

    /// Notes what was changed before the builds of a case.
    pub(super) fn set_changes(&mut self, case: Case, project: usize, changes: Vec<Change>) {
        self.changes.insert((case, project), changes);
    }

    /// A report for each case of the plan.
    pub fn cases(&self, plan: &Plan, variants: &[Variant]) -> Vec<CaseReport> {
        let case = |case: &Case| {
            let results = variants.iter().enumerate();
            let results = results.map(|(index, variant)| self.result(*case, index, variant));
            CaseReport::new(*case, results.collect())
        };
        plan.cases.iter().map(case).collect()
    }

    fn result(&self, case: Case, index: usize, variant: &Variant) -> ResultReport {
        match variant.not_measured(case) {
            Some(why) => ResultReport::not_measured(&variant.name, why.to_owned()),
            None => {
                let samples = self.samples.get(&(case, index)).map_or(&[][..], Vec::as_slice);
                let changes = self.changes.get(&(case, index)).cloned().unwrap_or_default();
                ResultReport::new(&variant.name, changes, samples)
            }
        }
    }
}

/// What is to be known of the figures.
pub fn notes(plan: &Plan, variants: &[Variant], cases: &[CaseReport]) -> Vec<String> {
    let mut notes = Vec::new();
    for (case, report) in plan.cases.iter().zip(cases) {
        for (variant, result) in variants.iter().zip(&report.results) {
            if result.not_measured.is_some() {
                continue;
            }
            let missing = variant.unchanged(*case);
            if !missing.is_empty() {
                notes.push(format!(
                    "{}, {}: nothing was changed for {}, as no file for it was found",
                    case.title(),
                    variant.name,
                    missing.join(", ")
                ));
            }
            notes.extend(surprises(*case, result));
        }
    }
    if !plan.lines.is_empty() && !plan.is_from_nothing() && plan.runs > 1 {
        notes.push(
            "from the second run on the added requirements had been downloaded before: each run starts \
             with empty cache mounts only where `first` is measured, too"
                .to_owned(),
        );
    }
    notes
}

/// Steps that ran where none should have, or none where some should.
fn surprises(case: Case, result: &ResultReport) -> Vec<String> {
    let (title, project) = (case.title(), &result.project);
    let ran = |name: &String| result.targets.iter().any(|it| it.name == *name && it.ran > 0);
    match case {
        Case::Unchanged => {
            let ran = result.targets.iter().filter(|it| it.ran > 0);
            ran.map(|target| {
                let (name, steps) = (&target.name, counted(target.ran, "step"));
                format!("{title}, {project}: {steps} of {name} ran although nothing had changed")
            })
            .collect()
        }
        Case::Code | Case::Requirement | Case::Lock => {
            let idle = result.changes.iter().filter(|change| !change.targets.iter().any(ran));
            idle.map(|change| {
                format!("{title}, {project}: no step ran after {} was changed", change.file)
            })
            .collect()
        }
        Case::First | Case::Warm => Vec::new(),
    }
}
