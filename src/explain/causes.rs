//! Why a step ran: the first reason that holds, by what is known of the builds before.

use super::before::{Before, key};
use super::cause::{Cause, Reason};
use super::chain::Chain;
use super::files::changed_files;
use super::given::{
    bases_are_known, changed_arguments, changed_setting, changes, moved, moved_base, renamed_base,
    replaced_argument,
};
use super::ignored;
use super::same::StepContext;
use crate::history::record::base_of;
use crate::history::{BaseImage, Inputs, StepEntry, StepResult};
use crate::progress::StepName;

impl<'a> Chain<'a> {
    /// Why the step at `index` ran.
    pub(super) fn cause(&self, index: usize) -> Cause {
        let step = self.steps[index];
        if self.nothing_was_to_be_cached() {
            return Reason::Requested.certain();
        }
        if let Some(parent) = self.parents(index).iter().copied().find(|parent| self.ran(*parent)) {
            return follows(step, self.steps[parent], parent).certain();
        }
        let mut linked = self.linked(step);
        if let Some((context, target)) = linked.find(|(_, it)| self.others_ran.contains(*it)) {
            return Reason::Context { context: context.to_owned(), target: target.to_owned() }
                .certain();
        }
        if let Some(built) = self.built_before(index) {
            if let Some(source) = remote_source(step).filter(|_| !self.by_text) {
                return Reason::Files { paths: Vec::new(), among: vec![source] }.likely();
            }
            let reason = match self.may_be_asked_for() {
                // Of some stages the cache was not to be read, and nothing else happened.
                true => Reason::Requested,
                false => {
                    let since = self.earlier.since(built.entry, self.build, self.target);
                    Reason::RecordGone { built: built.entry.id.clone(), since }
                }
            };
            let certain = !self.may_be_asked_for()
                && self.all_files_are_known(index)
                && bases_are_known(&built.target.inputs, &self.target.inputs);
            return Cause { reason, certain };
        }
        let earlier = self.before.iter().find_map(|it| Some((it, it.counterpart(step)?)));
        match earlier {
            Some((before, old)) => self.difference(index, before, old),
            None if self.before.is_empty() => self.earlier.first_build(self.target).certain(),
            None => new(step).certain(),
        }
    }

    /// What differs between a step and what it was in an earlier build.
    fn difference(&self, index: usize, before: &Before<'a>, old: &StepEntry) -> Cause {
        let step = self.steps[index];
        let (was, is) = (&before.target.inputs, &self.target.inputs);
        if let Some(base) = base_of(&step.name).and_then(|(it, _)| moved_base(was, is, &it)) {
            return base.certain();
        }
        if let Some(image) = self.moved_image(before, step) {
            return image.certain();
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
        if self.may_be_asked_for() {
            return Reason::Requested.likely();
        }
        let setting = self.setting_above(before, old, step);
        if let Some(setting) = setting.filter(|_| step.instruction.starts_with("RUN ")) {
            return setting.certain();
        }
        let context = self.changed_context(index, before);
        if self.is_same_operation(before, old, index) {
            let changed = |ancestor: &usize| {
                let step = self.steps[*ancestor];
                before.counterpart(step).is_some_and(|old| changed_files(old, step).is_some())
            };
            let changed = self.ancestors(index).into_iter().find(changed);
            let follows = changed.map(|ancestor| follows(step, self.steps[ancestor], ancestor));
            return follows.or(context).unwrap_or_else(Reason::first_build).likely();
        }
        if let Some(context) = context {
            return context.likely();
        }
        if let Some(moved) = moved_down(&before.steps, old, &self.steps, step) {
            return moved.likely();
        }
        // Something is another one that makes no step of its own, or a step below, which came from the cache.
        if let Some(base) = self.another_base(index, was) {
            return base;
        }
        if let Some(below) = self.another_below(index, before) {
            return below.likely();
        }
        let mut arguments = changed_arguments(was, is);
        if arguments.len() == 1 {
            return arguments.remove(0).likely();
        }
        Reason::Unknown { changed: changes(was, is) }.likely()
    }

    /// A base image that the step at `index` may stand on, and that is another one than before. It is sure to be the cause where
    /// it is the only one.
    fn another_base(&self, index: usize, was: &Inputs) -> Option<Cause> {
        let (bases, foundation) = (&self.target.inputs.bases, self.foundation(index));
        let is_below =
            |it: &&BaseImage| !self.images.has(&it.reference) && foundation.may_have(it, bases);
        let below: Vec<&BaseImage> = bases.iter().filter(is_below).collect();
        let (base, reason) = below.iter().find_map(|it| Some((*it, renamed_base(it, was)?)))?;
        let is_only_one = below.len() == 1 && !foundation.is_unknown;
        Some(Cause { reason, certain: is_only_one && moved(base, was).is_some() })
    }

    /// A step that the one at `index` reads and that is another one than there, or was none.
    fn another_below(&self, index: usize, before: &Before<'_>) -> Option<Reason> {
        let counterparts = self.parents(index).iter().copied().map(|parent| {
            let below = self.steps[parent];
            (parent, below, before.counterpart(below))
        });
        let mut others =
            counterparts.filter(|(_, below, old)| old.is_none_or(|old| key(old) != key(below)));
        let (parent, below, old) = others.next()?;
        let to = Some(below.instruction.clone());
        Some(match old {
            Some(_) => follows(self.steps[index], below, parent),
            None => Reason::Instruction { from: None, to, above: true },
        })
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

    /// Whether the cache was not to be read for some stages, and nobody knows for which: a forecast does.
    fn may_be_asked_for(&self) -> bool {
        self.target.inputs.no_cache && !self.by_text
    }

    /// `--no-cache` for all stages: everything that can run did.
    pub(super) fn nothing_was_to_be_cached(&self) -> bool {
        self.may_be_asked_for()
            && self.steps.iter().all(|step| {
                step.result != StepResult::Cached || StepName::parse(&step.name).is_base()
            })
    }

    /// What is set above a step and was another thing, where both are known.
    fn setting_above(
        &self,
        before: &Before<'_>,
        old: &StepEntry,
        step: &StepEntry,
    ) -> Option<Reason> {
        let was = StepContext { step: old, inputs: &before.target.inputs }.settings()?;
        let is = StepContext { step, inputs: &self.target.inputs }.settings()?;
        changed_setting(&was, &is)
    }

    /// A linked target that the step at `index` reads or stands on, and that was made of other things there.
    fn changed_context(&self, index: usize, before: &Before<'_>) -> Option<Reason> {
        let steps = std::iter::once(index).chain(self.ancestors(index));
        let (context, target) =
            steps.filter_map(|at| self.changed_link(before, self.steps[at])).next()?;
        Some(Reason::Context { context: context.to_owned(), target: target.to_owned() })
    }

    /// The base image on which the step at `index` stands, if it is another one than before: where it has no digest of a
    /// registry, the operations above it are the same.
    fn moved_base_below(&self, index: usize, before: &Before<'_>) -> Option<Reason> {
        let mut below = self.ancestors(index).into_iter().map(|at| self.steps[at]);
        let (reference, _) = base_of(&below.find(|step| self.is_moved_base(before, step))?.name)?;
        moved_base(&before.target.inputs, &self.target.inputs, &reference)
    }
}

/// What an ADD fetches from elsewhere: it may be something else at any time.
fn remote_source(step: &StepEntry) -> Option<String> {
    let mut words = step.instruction.strip_prefix("ADD ")?.split(' ');
    let source = words.find(|word| !word.starts_with("--"))?;
    (source.contains("://") || source.starts_with("git@")).then(|| source.to_owned())
}

/// The cause of a step that is new.
pub(super) fn new(step: &StepEntry) -> Reason {
    Reason::Instruction { from: None, to: Some(step.instruction.clone()), above: false }
}

/// Whether another step stands right above a step than did before, and which. That may be the image of another stage, which
/// begins with the same one.
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
        let is_read_first = |it: &&&StepEntry| of.inputs.first() == Some(&it.digest);
        let found = steps.iter().find(is_it).or_else(|| steps.iter().find(is_read_first));
        found.map(|it| it.instruction.clone())
    };
    let (from, to) = (above(before, old)?, above(now, step)?);
    let is_another = from != to;
    is_another.then_some(Reason::Instruction { from: Some(from), to: Some(to), above: true })
}

pub(super) fn follows(step: &StepEntry, parent: &StepEntry, because_of_step: usize) -> Reason {
    if step.stage == parent.stage {
        Reason::EarlierStep { because_of_step }
    } else {
        Reason::Stage { because_of_step }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_history::step;

    #[test]
    fn what_an_add_fetches_is_told_from_files() {
        for (name, source) in [
            ("[2/2] ADD --chmod=644 https://h/f /f", Some("https://h/f")),
            ("[2/2] ADD git@h:a.git /a", Some("git@h:a.git")),
            ("[2/2] ADD f /f", None),
            ("[2/2] COPY --from=a /f /f", None),
        ] {
            let step = step(name, StepResult::Ran, 1.0);
            assert_eq!(remote_source(&step).as_deref(), source, "{name}");
        }
    }
}
