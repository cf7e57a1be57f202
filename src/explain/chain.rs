//! The steps of a target, what each stands on, and what it was in earlier builds.

use std::collections::{BTreeSet, HashMap};

use crate::explain::cause::{Cause, Reason, Since};
use crate::explain::files::{changed_files, files_are_known, same_files};
use crate::explain::given::{
    bases_are_known, changed_arguments, changed_setting, changes, moved, moved_base, moved_bases,
    replaced_argument,
};
use crate::explain::ignored;
use crate::history::copied::Differences;
use crate::history::record::base_of;
use crate::history::{BaseImage, Entry, Inputs, StepEntry, StepResult, TargetEntry};
use crate::progress::StepName;

/// A target among the builds before it.
pub(super) struct Chain<'a> {
    target: &'a TargetEntry,
    /// Its instructions.
    pub(super) steps: Vec<&'a StepEntry>,
    /// Which of them ran, be it to their end or not.
    pub(super) ran: Vec<bool>,
    /// Targets of this build of which something ran.
    pub(super) others_ran: BTreeSet<String>,
    build: &'a Entry,
    /// The target in earlier builds, the newest first.
    before: Vec<Before<'a>>,
}

/// By the digest of a step those that it had in the sessions of an earlier build, as far as that can be told.
pub type Digests = HashMap<String, Vec<String>>;

struct Before<'a> {
    entry: &'a Entry,
    target: &'a TargetEntry,
    steps: Vec<&'a StepEntry>,
    digests: Digests,
}

impl<'a> Chain<'a> {
    pub(super) fn new(
        target: &'a TargetEntry,
        build: &'a Entry,
        earlier: &[&'a Entry],
        digests: &dyn Fn(&Entry) -> Digests,
    ) -> Self {
        let before = earlier.iter().filter_map(|entry| {
            let target = entry.targets.iter().find(|it| it.name == target.name)?;
            let steps = instructions(target);
            let is_known = !steps.is_empty();
            is_known.then(|| Before { entry, target, steps, digests: digests(entry) })
        });
        let before = before.collect();
        let steps = instructions(target);
        let is_run =
            |step: &&StepEntry| matches!(step.result, StepResult::Ran | StepResult::Failed);
        let ran = steps.iter().map(is_run).collect();
        let others = build.targets.iter().filter(|it| instructions(it).iter().any(is_run));
        let others_ran = others.map(|it| it.name.clone()).collect();
        Self { target, steps, ran, others_ran, build, before }
    }

    /// Whether a step ran, be it to its end or not.
    pub(super) fn ran(&self, index: usize) -> bool {
        self.ran[index]
    }

    /// Why the step at `index` ran.
    pub(super) fn cause(&self, index: usize) -> Cause {
        let step = self.steps[index];
        if self.nothing_was_to_be_cached() {
            return Reason::Requested.certain();
        }
        if let Some(parent) = self.parents(index).into_iter().find(|parent| self.ran(*parent)) {
            return follows(step, self.steps[parent], parent).certain();
        }
        let mut linked = self.linked(step);
        if let Some((context, target)) = linked.find(|(_, it)| self.others_ran.contains(*it)) {
            return Reason::Context { context: context.to_owned(), target: target.to_owned() }
                .certain();
        }
        if let Some(built) = self.built_before(index) {
            let reason = match self.target.inputs.no_cache {
                // Of some stages the cache was not to be read, and nothing else happened.
                true => Reason::Requested,
                false => {
                    let since = Since::new(built.entry, self.build);
                    Reason::RecordGone { built: built.entry.id.clone(), since }
                }
            };
            let certain = !self.target.inputs.no_cache
                && self.all_files_are_known(index)
                && bases_are_known(&built.target.inputs, &self.target.inputs);
            return Cause { reason, certain };
        }
        let earlier = self.before.iter().find_map(|it| Some((it, it.counterpart(step)?)));
        match earlier {
            Some((before, old)) => self.difference(index, before, old),
            None if self.before.is_empty() => Reason::FirstBuild.certain(),
            None => new(step).certain(),
        }
    }

    /// What differs between a step and what it was in an earlier build.
    fn difference(&self, index: usize, before: &Before<'_>, old: &StepEntry) -> Cause {
        let step = self.steps[index];
        let (was, is) = (&before.target.inputs, &self.target.inputs);
        if let Some(base) = base_of(&step.name).and_then(|(it, _)| moved_base(was, is, &it)) {
            return base.certain();
        }
        if let Some(base) = self.moved_base_below(index, before) {
            return base.certain();
        }
        let written = old.written.as_ref().zip(step.written.as_ref());
        if old.instruction != step.instruction || written.is_some_and(|(was, is)| was != is) {
            return self.another_text(before, old, step);
        }
        if let Some(cause) = changed_files(old, step) {
            return ignored::by_ignore_file(&cause, (old, was), (step, is)).unwrap_or(cause);
        }
        if self.target.inputs.no_cache {
            return Reason::Requested.likely();
        }
        let setting = self.setting_above(before, old, step);
        if let Some(setting) = setting.filter(|_| step.instruction.starts_with("RUN ")) {
            return setting.certain();
        }
        if self.is_same_operation(before, old, step) {
            let changed = |ancestor: &usize| {
                let step = self.steps[*ancestor];
                before.counterpart(step).is_some_and(|old| changed_files(old, step).is_some())
            };
            return match self.ancestors(index).into_iter().find(changed) {
                Some(ancestor) => follows(step, self.steps[ancestor], ancestor).likely(),
                None => Reason::FirstBuild.likely(),
            };
        }
        if let Some(context) = self.changed_link(before, step) {
            return context.likely();
        }
        if let Some(moved) = moved_down(&before.steps, old, &self.steps, step) {
            return moved.likely();
        }
        // Something is another one that makes no step of its own, or a step below, which came from the cache.
        if let Some(base) = moved_bases(was, is).next() {
            return match is.bases.len() {
                1 => base.certain(),
                _ => base.likely(),
            };
        }
        let is_another = |parent: &usize| {
            let parent = self.steps[*parent];
            before.counterpart(parent).is_none_or(|old| key(old) != key(parent))
        };
        if let Some(parent) = self.parents(index).into_iter().find(is_another) {
            return follows(step, self.steps[parent], parent).likely();
        }
        let mut arguments = changed_arguments(was, is);
        if arguments.len() == 1 {
            return arguments.remove(0).likely();
        }
        Reason::Unknown { changed: changes(was, is) }.likely()
    }

    /// Why a step has another text, or is written in another way.
    fn another_text(&self, before: &Before<'_>, old: &StepEntry, step: &StepEntry) -> Cause {
        let (was, is) = (&before.target.inputs, &self.target.inputs);
        let texts = (old.instruction.as_str(), step.instruction.as_str());
        let argument = replaced_argument(was, is, texts);
        let is_known = old.written.is_some() && step.written.is_some();
        if is_known && old.written == step.written {
            // Values of variables are all that can be another one.
            let setting = self.setting_above(before, old, step);
            return match (argument, setting) {
                (Some(argument), None) => argument.certain(),
                (None, Some(setting)) => setting.certain(),
                (Some(argument), Some(_)) => argument.likely(),
                (None, None) => Reason::Unknown { changed: changes(was, is) }.likely(),
            };
        }
        if let Some(argument) = argument.filter(|_| !is_known) {
            // In another Dockerfile the text itself may have been changed so.
            let certain = was.dockerfile_digest == is.dockerfile_digest;
            return Cause { reason: argument, certain };
        }
        // What stood in its place may only have made room.
        let is_gone = !self.steps.iter().any(|it| key(it) == key(old));
        let from = (is_gone || key(old) == key(step)).then(|| old.instruction.clone());
        Reason::Instruction { from, to: Some(step.instruction.clone()), above: false }.certain()
    }

    /// What is set above a step and was another thing, where both are known.
    fn setting_above(
        &self,
        before: &Before<'_>,
        old: &StepEntry,
        step: &StepEntry,
    ) -> Option<Reason> {
        fn all<'s>(step: &StepEntry, inputs: &'s Inputs) -> Option<Vec<&'s str>> {
            step.written.as_ref()?;
            step.settings.iter().map(|at| Some(inputs.settings.get(*at)?.as_str())).collect()
        }
        let (was, is) = (all(old, &before.target.inputs)?, all(step, &self.target.inputs)?);
        changed_setting(&was, &is)
    }

    /// Named contexts of a step that are targets of the same build, each with its target.
    fn linked<'s>(&'s self, step: &'s StepEntry) -> impl Iterator<Item = (&'s str, &'s str)> {
        step.contexts.iter().filter_map(|context| {
            let place = self.target.inputs.contexts.get(context)?;
            Some((context.as_str(), place.strip_prefix("target:")?))
        })
    }

    /// A named context of a step whose target was built from other things there.
    fn changed_link(&self, before: &Before<'_>, step: &StepEntry) -> Option<Reason> {
        fn find<'e>(entry: &'e Entry, name: &str) -> Option<&'e TargetEntry> {
            entry.targets.iter().find(|target| target.name == name)
        }
        let mut linked = self.linked(step);
        let (context, target) =
            linked.find(|(_, name)| match (find(self.build, name), find(before.entry, name)) {
                (Some(is), Some(was)) => {
                    let ids = (is.image_id.as_ref(), was.image_id.as_ref());
                    matches!(ids, (Some(is), Some(was)) if is != was)
                        || is.inputs.dockerfile_digest != was.inputs.dockerfile_digest
                        || is.inputs.args != was.inputs.args
                        || moved_bases(&was.inputs, &is.inputs).next().is_some()
                }
                _ => true,
            })?;
        Some(Reason::Context { context: context.to_owned(), target: target.to_owned() })
    }

    /// `--no-cache` for all stages: everything that can run did.
    pub(super) fn nothing_was_to_be_cached(&self) -> bool {
        self.target.inputs.no_cache
            && self.steps.iter().all(|step| {
                step.result != StepResult::Cached || StepName::parse(&step.name).is_base()
            })
    }

    /// The newest run of a step in the builds before, with the same text.
    pub(super) fn last_run(&self, index: usize) -> Option<&'a StepEntry> {
        self.before.iter().find_map(|before| {
            let old = before.counterpart(self.steps[index])?;
            (old.result == StepResult::Ran && key(old) == key(self.steps[index])).then_some(old)
        })
    }

    /// The runs that the result of a step can be of, the newest first: those that were asked for the same, else those of the
    /// same text. Empty where none is remembered.
    pub(super) fn runs(&self, index: usize) -> Vec<&'a StepEntry> {
        let (step, below) = (self.steps[index], self.ancestors(index));
        let runs = |is_it: &dyn Fn(&Before<'a>, &StepEntry) -> bool| -> Vec<&'a StepEntry> {
            let run = |before: &Before<'a>| {
                let old = before.counterpart(step)?;
                (old.result == StepResult::Ran && is_it(before, old)).then_some(old)
            };
            self.before.iter().filter_map(run).collect()
        };
        let same = runs(&|before, _| self.had_result(before, index, &below));
        // What a copy of another stage reads can be equal although that stage is another one.
        match same.is_empty() {
            true => runs(&|_, old| key(old) == key(step) && same_files(old, step)),
            false => same,
        }
    }

    /// Steps that the one at `index` reads: those it names, else the one before it in its stage.
    pub(super) fn parents(&self, index: usize) -> Vec<usize> {
        let step = self.steps[index];
        let named = |(at, other): (usize, &&StepEntry)| {
            (at != index && step.inputs.contains(&other.digest)).then_some(at)
        };
        let parents: Vec<usize> = self.steps.iter().enumerate().filter_map(named).collect();
        if !parents.is_empty() {
            return parents;
        }
        // The digest of a group of steps is not that of its last one.
        let number = step.position.and_then(|(number, _)| number.checked_sub(1));
        let is_before = |other: &&StepEntry| {
            other.stage == step.stage && other.position.map(|(number, _)| number) == number
        };
        let before = number.and_then(|_| self.steps.iter().position(is_before));
        before.into_iter().filter(|at| *at != index).collect()
    }

    /// All steps below the one at `index`.
    pub(super) fn ancestors(&self, index: usize) -> Vec<usize> {
        let mut found = Vec::new();
        let mut open = vec![index];
        while let Some(at) = open.pop() {
            for parent in self.parents(at) {
                if parent != index && !found.contains(&parent) {
                    found.push(parent);
                    open.push(parent);
                }
            }
        }
        found
    }

    /// The newest earlier build in which the step had its result from the same sources.
    fn built_before(&self, index: usize) -> Option<&Before<'a>> {
        let below = self.ancestors(index);
        self.before.iter().find(|before| self.had_result(before, index, &below))
    }

    /// Whether the step had its result there, and it and all `below` it the same sources. Engines do not always tell how
    /// those below ended, but without their results it could not have had one.
    fn had_result(&self, before: &Before<'a>, index: usize, below: &[usize]) -> bool {
        let has_ended = before.counterpart(self.steps[index]).is_some_and(has_ended);
        has_ended
            && std::iter::once(&index).chain(below).all(|at| {
                let step = self.steps[*at];
                before.counterpart(step).is_some_and(|old| {
                    self.is_same_operation(before, old, step) && same_files(old, step)
                })
            })
    }

    /// Whether a step was asked to do the same. A digest says so. That of a step above a build context differs with every
    /// session, though: then the text says so, where nothing differs that stands in no text.
    fn is_same_operation(&self, before: &Before<'_>, old: &StepEntry, step: &StepEntry) -> bool {
        // Operations do not always name the digest of a base image.
        if self.is_moved_base(before, step) {
            return false;
        }
        let (was, is) = (&before.target.inputs, &self.target.inputs);
        if before.is_digest(old, step) {
            return true;
        }
        if self.changed_link(before, step).is_some() {
            return false;
        }
        let given_the_same = || {
            was.dockerfile_digest == is.dockerfile_digest
                && (&was.contexts, &was.options) == (&is.contexts, &is.options)
                && was.args == is.args
                && !self.target.inputs.bases.iter().any(|base| moved(base, was).is_some())
                && was.platforms == is.platforms
        };
        key(old) == key(step) && given_the_same()
    }

    /// Whether of every step that reads a context it is known which files.
    fn all_files_are_known(&self, index: usize) -> bool {
        let mut steps = self.ancestors(index);
        steps.push(index);
        steps.iter().all(|at| files_are_known(self.steps[*at]))
    }

    /// The files in which what a step reads differs from the build before; `None` where that is not known.
    pub(super) fn changed_paths(&self, index: usize) -> Option<Vec<String>> {
        let step = self.steps[index];
        let old = self.before.iter().find_map(|before| before.counterpart(step))?;
        match (&old.files, &step.files) {
            (Some(old), Some(new)) => {
                let Differences { changed, new, removed } = Differences::of(old, new);
                Some([changed, new, removed].concat())
            }
            (None, None) => files_are_known(step).then(Vec::new),
            _ => None,
        }
    }

    /// Whether the step begins a stage with another image than before.
    fn is_moved_base(&self, before: &Before<'_>, step: &StepEntry) -> bool {
        let Some((reference, _)) = base_of(&step.name) else { return false };
        let is_it = |base: &&BaseImage| base.reference == reference;
        let base = self.target.inputs.bases.iter().find(is_it);
        base.is_some_and(|base| moved(base, &before.target.inputs).is_some())
    }

    /// The base image on which the step at `index` stands, if it is another one than before: where it has no digest of a
    /// registry, the operations above it are the same.
    fn moved_base_below(&self, index: usize, before: &Before<'_>) -> Option<Reason> {
        let mut below = self.ancestors(index).into_iter().map(|at| self.steps[at]);
        let (reference, _) = base_of(&below.find(|step| self.is_moved_base(before, step))?.name)?;
        moved_base(&before.target.inputs, &self.target.inputs, &reference)
    }
}

impl<'a> Before<'a> {
    /// Whether `step` had the digest of `old` there.
    fn is_digest(&self, old: &StepEntry, step: &StepEntry) -> bool {
        let known = self.digests.get(&step.digest);
        old.digest == step.digest || known.is_some_and(|digests| digests.contains(&old.digest))
    }

    /// What a step was: the same, else the same instruction, else what stood in its place.
    fn counterpart(&self, step: &StepEntry) -> Option<&'a StepEntry> {
        let find =
            |same: &dyn Fn(&StepEntry) -> bool| self.steps.iter().find(|it| same(it)).copied();
        let place =
            |step: &StepEntry| (step.stage.clone(), step.position.map(|(number, _)| number));
        find(&|old| self.is_digest(old, step))
            .or_else(|| find(&|old| key(old) == key(step)))
            .or_else(|| {
                find(&|old| old.position == step.position && old.instruction == step.instruction)
            })
            .or_else(|| find(&|old| place(old) == place(step)))
    }
}

/// The stage and the text of a step.
pub(super) fn key(step: &StepEntry) -> String {
    StepName::parse(&step.name).key()
}

/// The cause of a step that is new.
pub(super) fn new(step: &StepEntry) -> Reason {
    Reason::Instruction { from: None, to: Some(step.instruction.clone()), above: false }
}

/// Whether another step stands right above a step than did before, and which.
pub(super) fn moved_down(
    before: &[&StepEntry],
    old: &StepEntry,
    now: &[&StepEntry],
    step: &StepEntry,
) -> Option<Reason> {
    let above = |steps: &[&StepEntry], of: &StepEntry| {
        let (number, _) = of.position?;
        let is_it = |it: &&&StepEntry| {
            it.stage == of.stage && it.position.is_some_and(|(other, _)| other + 1 == number)
        };
        steps.iter().find(is_it).map(|it| (key(it), it.instruction.clone()))
    };
    let ((was, from), (is, to)) = (above(before, old)?, above(now, step)?);
    let (from, to) = (Some(from), Some(to));
    (was != is).then_some(Reason::Instruction { from, to, above: true })
}

pub(super) fn instructions(target: &TargetEntry) -> Vec<&StepEntry> {
    target.steps.iter().filter(|step| step.is_instruction()).collect()
}

pub(super) fn follows(step: &StepEntry, parent: &StepEntry, because_of_step: usize) -> Reason {
    if step.stage == parent.stage {
        Reason::EarlierStep { because_of_step }
    } else {
        Reason::Stage { because_of_step }
    }
}

pub(super) fn has_ended(step: &StepEntry) -> bool {
    matches!(step.result, StepResult::Cached | StepResult::Ran)
}
