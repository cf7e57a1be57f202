//! What of a Dockerfile decides on its steps and is not in their names, small enough to be kept.

use std::collections::BTreeMap;

use super::{Run, TargetFacts, sha256};
use crate::dockerfile::syntax::{Setting, Syntax};
use crate::history::StepEntry;

/// Settings of one target that are kept.
const MOST: usize = 100;
/// Bytes of each. What is longer ends with its digest.
const LONGEST: usize = 200;

/// A Dockerfile, and what of it has been kept.
pub(super) struct DockerfileRecord<'a> {
    syntax: Syntax,
    facts: &'a TargetFacts,
    run: &'a Run<'a>,
    settings: Vec<String>,
}

impl<'a> DockerfileRecord<'a> {
    pub(super) fn new(facts: &'a TargetFacts, run: &'a Run<'a>) -> Option<Self> {
        let (_, text) = facts.dockerfile.as_ref()?;
        let syntax = Syntax::new(text, &facts.args);
        Some(Self { syntax, facts, run, settings: Vec::new() })
    }

    /// Adds to an entry how its step is written and what stands above it.
    pub(super) fn add_to(&mut self, step: &mut StepEntry) {
        let line = step.line.and_then(|line| usize::try_from(line).ok());
        let Some(index) = line.and_then(|line| self.syntax.at_line(line)) else { return };
        let keyword = self.syntax.instructions[index].keyword.as_str();
        if !step.instruction.starts_with(keyword) {
            return;
        }
        let written = self.syntax.written(index);
        step.written = Some(sha256(written.as_bytes())["sha256:".len()..][..16].to_owned());
        let contexts = self.syntax.contexts_of(index, &self.facts.contexts);
        step.contexts = contexts.into_iter().map(str::to_owned).collect();
        for setting in self.syntax.settings_above(index, &self.facts.args) {
            let text = self.text(&setting);
            let known = self.settings.iter().position(|it| *it == text);
            let place = known.or_else(|| {
                (self.settings.len() < MOST).then(|| {
                    self.settings.push(text);
                    self.settings.len() - 1
                })
            });
            match place {
                Some(place) => step.settings.push(place),
                // What stands above it is then not known.
                None => step.written = None,
            }
        }
    }

    /// What the entries name by its place.
    pub(super) fn settings(self) -> Vec<String> {
        self.settings
    }

    fn text(&self, setting: &Setting) -> String {
        let Setting { name, value } = setting;
        let Some(value) = value else { return name.clone() };
        let shown = match name.split_once(' ') {
            Some((_, variable)) => self.run.redactor.argument(variable, value),
            None => self.run.redactor.text(value),
        };
        let sign = if name.contains(' ') { '=' } else { ' ' };
        let key = self.run.fingerprint_key.filter(|_| shown != *value);
        let suffix = key.map_or_else(String::new, |key| format!(" ({})", key.fingerprint(value)));
        let text = format!("{name}{sign}{shown}{suffix}");
        if text.len() <= LONGEST {
            return text;
        }
        let digest = sha256(text.as_bytes());
        let ends = text.char_indices().map(|(at, _)| at);
        let end = ends.take_while(|at| *at <= LONGEST).last().unwrap_or_default();
        format!("{}... ({})", &text[..end], &digest[..19])
    }
}

/// Options of a build that change what its steps do.
const OPTIONS: [&str; 4] = ["add-hosts", "force-network-mode", "shm-size", "ulimit"];

/// Those of the attributes that a frontend is given.
pub fn options(attributes: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    let is_one = |(name, _): &(&String, &String)| OPTIONS.contains(&name.as_str());
    attributes.iter().filter(is_one).map(|(name, value)| (name.clone(), value.clone())).collect()
}
