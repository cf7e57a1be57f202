//! Stages: what stands on what, and what is needed for one of them.

use std::collections::BTreeSet;

use super::super::mounts::{bind, field};
use super::super::variables::Variables;
use super::{Instruction, Syntax};

/// A stage.
#[derive(Debug, Clone)]
pub struct Stage {
    /// Its name, lower case.
    pub name: Option<String>,
    /// What FROM names, variables replaced.
    pub image: String,
    /// Index of its FROM.
    pub from: usize,
    /// Index behind its last instruction.
    pub end: usize,
    /// The stage that it stands on.
    pub parent: Option<usize>,
}

pub(super) fn stages(instructions: &mut [Instruction], variables: &Variables) -> Vec<Stage> {
    let mut stages: Vec<Stage> = Vec::new();
    for (index, instruction) in instructions.iter_mut().enumerate() {
        if instruction.keyword == "FROM" && !instruction.is_onbuild {
            if let Some(last) = stages.last_mut() {
                last.end = index;
            }
            let words = instruction.words();
            let image = words.first().map(|word| variables.expand(&word.value)).unwrap_or_default();
            let is_named = words.get(1).is_some_and(|word| word.value.eq_ignore_ascii_case("as"));
            let name = words.get(2).filter(|_| is_named).map(|it| it.value.to_ascii_lowercase());
            let parent = find(&stages, &image, false);
            stages.push(Stage { name, image, from: index, end: index + 1, parent });
        }
        instruction.stage = stages.len().checked_sub(1);
    }
    if let Some(last) = stages.last_mut() {
        last.end = instructions.len();
    }
    stages
}

/// The last stage of that name, or the one of that number where `by_number`.
fn find(stages: &[Stage], name: &str, by_number: bool) -> Option<usize> {
    let name = name.to_ascii_lowercase();
    let named = stages.iter().rposition(|stage| stage.name.as_deref() == Some(&name));
    named.or_else(|| name.parse().ok().filter(|at| by_number && *at < stages.len()))
}

impl Syntax {
    /// The stage called `name`, or the last one.
    pub fn stage(&self, name: Option<&str>) -> Option<usize> {
        match name {
            Some(name) => find(&self.stages, name, true),
            None => self.stages.len().checked_sub(1),
        }
    }

    /// `stage` and those it stands on, the lowest first.
    pub fn chain(&self, stage: usize) -> Vec<usize> {
        let mut chain = vec![stage];
        while let Some(parent) = self.stages[chain[chain.len() - 1]].parent {
            chain.push(parent);
        }
        chain.reverse();
        chain
    }

    /// Indexes of the instructions that make `stage`, from the base image on.
    pub fn steps(&self, stage: usize) -> Vec<usize> {
        let of_stage = |stage: usize| self.stages[stage].from + 1..self.stages[stage].end;
        let steps = self.chain(stage).into_iter().flat_map(of_stage);
        steps.filter(|step| !self.instructions[*step].is_onbuild).collect()
    }

    /// The stages that a build of `stage` takes something of, itself included.
    pub fn needed(&self, stage: usize) -> BTreeSet<usize> {
        let mut needed = BTreeSet::new();
        let mut open = vec![stage];
        while let Some(stage) = open.pop() {
            if !needed.insert(stage) {
                continue;
            }
            open.extend(self.stages[stage].parent);
            for instruction in &self.instructions[self.stages[stage].from..self.stages[stage].end] {
                open.extend(self.sources(instruction).iter().filter_map(|it| self.stage(Some(it))));
            }
        }
        needed
    }

    /// What an instruction takes files from that is not the build context: stages, images, named contexts.
    pub fn sources(&self, instruction: &Instruction) -> Vec<String> {
        let copied = instruction.flag("from").map(|(value, _)| value.to_owned());
        let mounted = instruction.flag("mount").filter_map(|(value, _)| field(value, "from"));
        copied.chain(mounted).map(|name| self.expand(&name)).collect()
    }

    /// The paths that the mounts of a RUN begin with, and what each is taken from: `None` is the build context.
    pub fn mounted_paths(&self, instruction: &Instruction) -> Vec<(Option<String>, String)> {
        let mounts = instruction.flag("mount").filter_map(|(value, _)| {
            let value = self.expand(value);
            let has_files =
                |kind: String| ["bind", "cache"].iter().any(|it| kind.eq_ignore_ascii_case(it));
            if !field(&value, "type").is_none_or(has_files) {
                return None;
            }
            let path = field(&value, "source").or_else(|| field(&value, "src"))?;
            Some((field(&value, "from"), path))
        });
        mounts.collect()
    }

    /// The bind mounts of a RUN: from where, which path, and where it appears.
    pub fn binds(&self, instruction: &Instruction) -> Vec<(Option<String>, String, String)> {
        let mounts = instruction.flag("mount").filter_map(|(value, _)| {
            let value = self.expand(value);
            let (from, source) = bind(&value)?;
            let target = ["target", "dst", "destination"].iter().find_map(|it| field(&value, it));
            Some((from, source, target.unwrap_or_default()))
        });
        mounts.collect()
    }
}
