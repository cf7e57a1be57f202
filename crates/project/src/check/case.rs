//! One service as rules look at it: its Dockerfile in parts, the stages that its build needs, and how a finding is made.

use std::collections::BTreeSet;
use std::ops::Range;

use super::install::{Install, Tool, installs};
use super::model::{Cost, Edit, Finding, Fix, Severity, Source, Spot};
use super::subject::{Project, RecordedBuild, RecordedStep, Service};
use crate::dockerfile::cache_mounts;
use crate::dockerfile::syntax::{Instruction, Syntax, Word};

/// A service in parts.
pub(super) struct Case<'a> {
    pub(super) project: &'a Project,
    pub(super) service: &'a Service,
    pub(super) syntax: Syntax,
    /// The stage that is built.
    pub(super) stage: usize,
    /// The stages that are needed for it.
    pub(super) needed: BTreeSet<usize>,
    /// Where ARG and ENV, USER, WORKDIR, COPY and ADD stand: files of generators have thousands of instructions.
    settings: Vec<usize>,
    users: Vec<usize>,
    directories: Vec<usize>,
    copies: Vec<usize>,
}

/// What is wrong, and what to change.
pub(super) struct Words {
    pub(super) message: String,
    pub(super) change: String,
}

impl<'a> Case<'a> {
    /// `None` where the Dockerfile has no such stage: a build says so.
    pub(super) fn new(project: &'a Project, service: &'a Service) -> Option<Self> {
        let syntax = Syntax::new(&service.text, &service.args);
        let stage = syntax.stage(service.stage.as_deref())?;
        let needed = syntax.needed(stage);
        let places = |keywords: &[&str]| -> Vec<usize> {
            let all = syntax.instructions.iter().enumerate();
            let of = |it: &Instruction| !it.is_onbuild && keywords.contains(&it.keyword.as_str());
            all.filter(|(_, it)| of(it)).map(|(index, _)| index).collect()
        };
        Some(Self {
            settings: places(&["ARG", "ENV"]),
            users: places(&["USER"]),
            directories: places(&["WORKDIR"]),
            copies: places(&["COPY", "ADD"]),
            project,
            service,
            syntax,
            stage,
            needed,
        })
    }

    /// The instructions of the stages that are needed, in order, those for other builds left out.
    pub(super) fn instructions(&self) -> impl Iterator<Item = (usize, &Instruction)> {
        let is_needed = |it: &Instruction| {
            !it.is_onbuild && it.stage.is_none_or(|stage| self.needed.contains(&stage))
        };
        self.syntax.instructions.iter().enumerate().filter(move |(_, it)| is_needed(it))
    }

    /// The RUNs among them that install something.
    pub(super) fn installing(
        &self,
    ) -> impl Iterator<Item = (usize, &Instruction, Vec<Install<'_>>)> {
        self.instructions().filter_map(|(at, it)| {
            let installs = installs(it);
            (!installs.is_empty()).then_some((at, it, installs))
        })
    }

    /// The instruction at an index.
    pub(super) fn at(&self, index: usize) -> &Instruction {
        &self.syntax.instructions[index]
    }

    /// Those of `list`, which is in order, that stand before an instruction in its image.
    pub(super) fn earlier<'s>(
        &'s self,
        list: &'s [usize],
        index: usize,
    ) -> impl DoubleEndedIterator<Item = usize> + 's {
        let end = list.partition_point(|step| *step < index);
        let stage = self.at(index).stage;
        list[..end].iter().copied().filter(move |step| self.stands_on(stage, self.at(*step).stage))
    }

    /// Whether a stage is another one, or stands on it.
    fn stands_on(&self, stage: Option<usize>, other: Option<usize>) -> bool {
        let Some(other) = other else { return false };
        let mut next = stage;
        while let Some(stage) = next {
            if stage == other {
                return true;
            }
            next = self.syntax.stages[stage].parent;
        }
        false
    }

    /// The ARGs and ENVs before an instruction.
    pub(super) fn settings(&self, index: usize) -> impl DoubleEndedIterator<Item = usize> + '_ {
        self.earlier(&self.settings, index)
    }

    /// The COPYs and ADDs before an instruction.
    pub(super) fn copies(&self, index: usize) -> impl DoubleEndedIterator<Item = usize> + '_ {
        self.earlier(&self.copies, index)
    }

    /// The base image of a stage, whatever stages are in between.
    pub(super) fn base(&self, stage: usize) -> &str {
        let lowest = self.syntax.chain(stage)[0];
        &self.syntax.stages[lowest].image
    }

    /// What an environment variable is set to for an instruction, as far as the Dockerfile says.
    pub(super) fn environment(&self, index: usize, name: &str) -> Option<String> {
        let settings = self.settings(index).rev().flat_map(|step| self.at(step).settings());
        let value = settings.filter(|(known, _, _)| known == name).find_map(|(_, value, _)| value);
        value.map(|value| self.syntax.expand(&value))
    }

    /// The user that an instruction runs as, where the Dockerfile says one.
    pub(super) fn user(&self, index: usize) -> Option<String> {
        let mut users = self.earlier(&self.users, index).rev();
        let user = users.find_map(|step| self.at(step).words().first());
        user.map(|word| self.syntax.expand(&word.value))
    }

    /// The directory that an instruction works in.
    pub(super) fn directory(&self, index: usize) -> String {
        let mut directory = "/".to_owned();
        for step in self.earlier(&self.directories, index) {
            if let Some(word) = self.at(step).words().first() {
                directory = join(&directory, &self.syntax.expand(&word.value));
            }
        }
        directory
    }

    /// A finding at a place of the Dockerfile.
    pub(super) fn finding(
        &self,
        rule: &str,
        severity: Severity,
        span: Range<usize>,
        words: Words,
    ) -> Finding {
        let (line, column) = self.syntax.place(span.start);
        let (end_line, _) = self.syntax.place(span.end);
        let spot = Spot { file: self.service.file.clone(), line, column, end_line };
        finding(rule, severity, spot, &self.service.name, words)
    }

    /// A change of the Dockerfile; none where it stands in the compose file.
    pub(super) fn fix(&self, edits: Vec<Edit>) -> Option<Fix> {
        let path = self.service.path.clone()?;
        (!edits.is_empty()).then_some(Fix { path, edits })
    }

    /// What the instructions at these indexes cost in the recorded builds; with the export of what they make where
    /// `is_exported`.
    pub(super) fn cost(&self, indexes: &[usize], is_exported: bool) -> Cost {
        let mut took = Vec::new();
        for build in &self.service.recorded {
            let ran = self.ran(build, indexes);
            let seconds: f64 = ran.iter().map(|step| step.seconds).sum();
            if !ran.is_empty() {
                took.push(seconds + if is_exported { build.export_seconds } else { 0.0 });
            }
        }
        if took.is_empty() {
            return Cost::default();
        }
        took.sort_by(f64::total_cmp);
        Cost {
            builds: Some(took.len()),
            recorded_builds: Some(self.service.recorded.len()),
            seconds: Some((took[(took.len() - 1) / 2] + took[took.len() / 2]) / 2.0),
            total_seconds: Some(took.iter().sum()),
            bytes: None,
        }
    }

    fn ran<'b>(&self, build: &'b RecordedBuild, indexes: &[usize]) -> Vec<&'b RecordedStep> {
        let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
        let instructions = indexes.iter().map(|index| self.at(*index));
        let known: Vec<(usize, String)> =
            instructions.map(|it| (it.line, words(&self.syntax.expand(&it.text)))).collect();
        let is_one = |step: &&RecordedStep| match step.line {
            Some(line) => known.iter().any(|(it, _)| *it == line),
            None => known.iter().any(|(_, text)| *text == words(&step.instruction)),
        };
        build.steps.iter().filter(is_one).collect()
    }

    /// Whether an instruction has no cache mount that could be the tool's.
    pub(super) fn without_mount(&self, instruction: &Instruction, tool: Tool) -> bool {
        let mounts = cache_targets(instruction);
        let of_system =
            |target: &String| ["apt", "apk", "dnf", "yum"].iter().any(|it| target.contains(it));
        !mounts.iter().any(|(target, _)| !of_system(target) || tool.is_system())
    }
}

/// A finding without a fix.
pub(super) fn finding(
    rule: &str,
    severity: Severity,
    spot: Spot,
    service: &str,
    Words { message, change }: Words,
) -> Finding {
    Finding {
        rule: rule.to_owned(),
        severity,
        source: Source::Own,
        spot,
        services: vec![service.to_owned()],
        message,
        change,
        cost: Cost::default(),
        fix: None,
        url: None,
    }
}

/// Targets of the cache mounts of a RUN, and the flags that say them.
pub(super) fn cache_targets(instruction: &Instruction) -> Vec<(String, &Word)> {
    let mounts = instruction.flag("mount").filter_map(|(value, word)| {
        let spec = cache_mounts(&format!("RUN --mount={value} x"));
        spec.into_iter().next().map(|spec| (spec.target, word))
    });
    mounts.collect()
}

/// `path` from `directory`, cleaned.
pub(super) fn join(directory: &str, path: &str) -> String {
    let whole = if path.starts_with('/') { path.to_owned() } else { format!("{directory}/{path}") };
    let mut parts: Vec<&str> = Vec::new();
    for part in whole.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    format!("/{}", parts.join("/"))
}
