//! The steps of a target, what each stands on, and what it was in earlier builds.

use std::cell::{OnceCell, RefCell};
use std::collections::{BTreeSet, HashMap};
use std::rc::Rc;

use super::before::{Before, Digests, has_ended, instructions, key};
use super::cause::Reason;
use super::earlier::Earlier;
use super::files::{changed_paths, files_are_known, same_files};
use super::foundation::{Foundation, foundations};
use super::given::{moved, moved_bases};
use super::graph::{in_order, parents};
use super::images::Images;
use super::same::{self, StepContext};
use crate::history::record::base_of;
use crate::history::{BaseImage, Entry, Inputs, StepEntry, StepResult, TargetEntry};

/// A target among the builds before it.
pub(super) struct Chain<'a> {
    pub(super) target: &'a TargetEntry,
    /// Its instructions.
    pub(super) steps: Vec<&'a StepEntry>,
    /// By the place of a step those that it reads.
    parents: Vec<Vec<usize>>,
    pub(super) images: Images<'a>,
    /// Which of them ran, be it to their end or not.
    pub(super) ran: Vec<bool>,
    /// Targets of this build of which something ran.
    pub(super) others_ran: BTreeSet<String>,
    pub(super) build: &'a Entry,
    pub(super) earlier: Earlier<'a>,
    /// The target in earlier builds, the newest first.
    pub(super) before: Vec<Before<'a>>,
    /// Whether steps are the same that are written so, and have the same below them; else only where that is sure.
    pub(super) by_text: bool,
    /// By a step and another whose result it copies: in what that can differ and be the same.
    harmless: RefCell<HashMap<(usize, usize), Names>>,
    /// By the place of a step what it stands on.
    foundations: OnceCell<Vec<Foundation>>,
}

/// Names of files, settings and the like.
type Names = Rc<BTreeSet<String>>;

impl<'a> Chain<'a> {
    pub(super) fn new(
        target: &'a TargetEntry,
        build: &'a Entry,
        earlier: Earlier<'a>,
        digests: &dyn Fn(&Entry) -> Digests,
    ) -> Self {
        Self::with_past_of(&target.name, target, build, earlier, digests)
    }

    /// The same among earlier builds of the target called `name`, which may be another.
    pub(super) fn with_past_of(
        name: &str,
        target: &'a TargetEntry,
        build: &'a Entry,
        earlier: Earlier<'a>,
        digests: &dyn Fn(&Entry) -> Digests,
    ) -> Self {
        let before = earlier.here.iter().filter_map(|entry| Before::new(entry, name, digests));
        let before = before.collect();
        let steps = instructions(target);
        let is_run =
            |step: &&StepEntry| matches!(step.result, StepResult::Ran | StepResult::Failed);
        let ran = steps.iter().map(is_run).collect();
        let others = build.targets.iter().filter(|it| instructions(it).iter().any(is_run));
        let others_ran = others.map(|it| it.name.clone()).collect();
        Self {
            target,
            parents: parents(&steps),
            images: Images::new(target),
            steps,
            ran,
            others_ran,
            build,
            earlier,
            before,
            by_text: false,
            harmless: RefCell::default(),
            foundations: OnceCell::new(),
        }
    }

    /// The same, and what is written alike counts as the same.
    pub(super) fn by_text(self) -> Self {
        Self { by_text: true, ..self }
    }

    /// Whether a step ran, be it to its end or not.
    pub(super) fn ran(&self, index: usize) -> bool {
        self.ran[index]
    }

    /// Named contexts of a step that are targets of the same build, each with its target.
    pub(super) fn linked<'s>(
        &'s self,
        step: &'s StepEntry,
    ) -> impl Iterator<Item = (&'s str, &'s str)> {
        step.contexts.iter().filter_map(|context| {
            let place = self.target.inputs.contexts.get(context)?;
            Some((context.as_str(), place.strip_prefix("target:")?))
        })
    }

    /// A named context of a step whose target was built from other things there, and the target.
    pub(super) fn changed_link<'s>(
        &'s self,
        before: &Before<'_>,
        step: &'s StepEntry,
    ) -> Option<(&'s str, &'s str)> {
        let mut linked = self.linked(step);
        linked.find(|(_, name)| match (target(self.build, name), target(before.entry, name)) {
            (Some(is), Some(was)) => {
                let ids = (is.image_id.as_ref(), was.image_id.as_ref());
                matches!(ids, (Some(is), Some(was)) if is != was)
                    || is.inputs.dockerfile_digest != was.inputs.dockerfile_digest
                    || !is.inputs.has_same_arguments(&was.inputs)
                    || !has_same_sources(self.build, before.entry, name)
            }
            _ => true,
        })
    }

    /// The newest run of a step in the builds before, with the same text.
    pub(super) fn last_run(&self, index: usize) -> Option<&'a StepEntry> {
        self.before.iter().find_map(|before| {
            let old = before.counterpart(self.steps[index])?;
            (old.result == StepResult::Ran && key(old) == key(self.steps[index])).then_some(old)
        })
    }

    /// Steps that the one at `index` reads.
    pub(super) fn parents(&self, index: usize) -> &[usize] {
        &self.parents[index]
    }

    /// All steps below the one at `index`.
    pub(super) fn ancestors(&self, index: usize) -> Vec<usize> {
        let mut found = Vec::new();
        let mut open = vec![index];
        let mut is_found = vec![false; self.steps.len()];
        is_found[index] = true;
        while let Some(at) = open.pop() {
            for parent in self.parents(at) {
                if !std::mem::replace(&mut is_found[*parent], true) {
                    found.push(*parent);
                    open.push(*parent);
                }
            }
        }
        found
    }

    /// The step at `index` and all below it.
    fn part(&self, index: usize) -> Vec<usize> {
        std::iter::once(index).chain(self.ancestors(index)).collect()
    }

    /// The runs that can have made the result of a step, the newest first: those with the same text, up to the newest build that
    /// was asked for the same and so had it. Empty where none is remembered.
    pub(super) fn runs(&self, index: usize) -> Vec<&'a StepEntry> {
        let step = self.steps[index];
        let Some(newest) = self.before.iter().position(|before| self.had_result(before, index))
        else {
            return Vec::new();
        };
        let run = |before: &Before<'a>| {
            let old = before.counterpart(step)?;
            let is_it = old.result == StepResult::Ran && old.instruction == step.instruction;
            is_it.then_some(old)
        };
        self.before[newest..].iter().filter_map(run).collect()
    }

    /// All runs of a step in the builds before that have the same text.
    pub(super) fn all_runs(&self, index: usize) -> Vec<&'a StepEntry> {
        let text = &self.steps[index].instruction;
        let steps = self.before.iter().flat_map(|before| &before.steps).copied();
        steps.filter(|old| old.result == StepResult::Ran && old.instruction == *text).collect()
    }

    /// The newest earlier build in which the step had its result from the same sources.
    pub(super) fn built_before(&self, index: usize) -> Option<&Before<'a>> {
        self.before.iter().find(|before| self.had_result(before, index))
    }

    /// Whether the step had its result there.
    fn had_result(&self, before: &Before<'a>, index: usize) -> bool {
        before.counterpart(self.steps[index]).is_some_and(|old| has_ended(old, before.target))
            && before.same.get_or_init(|| self.same_steps(before))[index]
    }

    /// Which steps were asked to do the same there, with the same files, and so was everything below them.
    fn same_steps(&self, before: &Before<'a>) -> Vec<bool> {
        // In a graph that goes in a circle a step counts as the same until it is its turn.
        let mut same = vec![true; self.steps.len()];
        for index in in_order(&self.parents) {
            let is_same = before.counterpart(self.steps[index]).is_some_and(|old| {
                let is_it = self.is_same_operation(before, old, index)
                    || (self.by_text && self.is_written_alike(before, old, index));
                is_it && same_files(old, self.steps[index])
            });
            let mut parents = self.parents(index).iter();
            same[index] =
                is_same && parents.all(|it| same[*it] || self.had_same_content(before, index, *it));
        }
        same
    }

    /// Whether a step was asked to do the same. A digest says so. That of a step above a build context differs with every
    /// session, though: then the text says so, where nothing differs that stands in no text.
    pub(super) fn is_same_operation(
        &self,
        before: &Before<'a>,
        old: &StepEntry,
        index: usize,
    ) -> bool {
        let step = self.steps[index];
        // Operations do not always name the digest of a base image.
        if self.is_moved_base(before, step) || self.moved_image(before, step).is_some() {
            return false;
        }
        let (was, is) = (&before.target.inputs, &self.target.inputs);
        if before.is_digest(old, step) {
            // Of what a linked target is made of it has all but the files.
            let mut linked = self.linked(step);
            return linked.all(|(_, name)| has_same_sources(self.build, before.entry, name));
        }
        if self.changed_link(before, step).is_some() {
            return false;
        }
        let given_the_same = || {
            was.dockerfile_digest == is.dockerfile_digest
                && (&was.contexts, &was.options) == (&is.contexts, &is.options)
                && is.has_same_arguments(was)
                && !self.stands_on_moved_base(index, was)
                && was.platforms == is.platforms
        };
        key(old) == key(step) && given_the_same()
    }

    /// Whether a step is written as it was, and reads the steps that it read.
    fn is_written_alike(&self, before: &Before<'a>, old: &StepEntry, index: usize) -> bool {
        let step = self.steps[index];
        let Some(place) = before.steps.iter().position(|it| it.digest == old.digest) else {
            return false;
        };
        let mut was: Vec<&str> =
            before.parents[place].iter().map(|at| &*before.steps[*at].digest).collect();
        let is = self.parents(index).iter().map(|at| before.counterpart(self.steps[*at]));
        let is: Option<Vec<&str>> = is.map(|it| it.map(|it| it.digest.as_str())).collect();
        let Some(mut is) = is else { return false };
        was.sort_unstable();
        is.sort_unstable();
        was == is
            && !self.is_moved_base(before, step)
            && self.moved_image(before, step).is_none()
            && self.changed_link(before, step).is_none()
            && same::is_same(before.given(old), self.given(index))
    }

    fn given(&self, index: usize) -> StepContext<'_> {
        StepContext { step: self.steps[index], inputs: &self.target.inputs }
    }

    /// Whether what a step copies of another stage was the same there, though that stage was another one: it differs in
    /// nothing that made a difference in the builds before.
    fn had_same_content(&self, before: &Before<'a>, index: usize, source: usize) -> bool {
        if !self.by_text || self.stands_on(index, source) {
            return false;
        }
        let harmless = self.harmless(index, source);
        self.part(source).into_iter().all(|at| {
            let old = before.counterpart(self.steps[at]).map(|old| before.given(old));
            same::differences(old, Some(self.given(at))).is_subset(&harmless)
        })
    }

    /// Whether a step changes what `source` made, and does not copy of it: that is what it reads first, unless all that it
    /// reads is copied to nothing.
    fn stands_on(&self, index: usize, source: usize) -> bool {
        let step = self.steps[index];
        let is_first = step.inputs.first().is_some_and(|it| *it == self.steps[source].digest);
        self.steps[source].stage == step.stage
            || (is_first && (step.inputs.len() > 1 || step.instruction.starts_with("RUN ")))
    }

    /// In what a stage differed from the build before in builds in which it was made anew, and a step that copies its result
    /// came from the cache: without what else made that step run.
    fn harmless(&self, index: usize, source: usize) -> Names {
        if let Some(known) = self.harmless.borrow().get(&(index, source)) {
            return known.clone();
        }
        let stage = self.part(source);
        let beside = self.parents(index).iter().filter(|parent| !stage.contains(parent));
        let beside: Vec<usize> = beside.copied().collect();
        let mut harmless = BTreeSet::new();
        for pair in self.before.windows(2).rev() {
            let (now, then) = (&pair[0], &pair[1]);
            let ran = |at: &usize| {
                let step = now.counterpart(self.steps[*at]);
                step.is_some_and(|step| step.result == StepResult::Ran)
            };
            let (Some(step), Some(old)) =
                (now.counterpart(self.steps[index]), then.counterpart(self.steps[index]))
            else {
                continue;
            };
            let differences: BTreeSet<String> = stage
                .iter()
                .flat_map(|at| {
                    let [was, is] = [then, now].map(|build| {
                        build.counterpart(self.steps[*at]).map(|step| build.given(step))
                    });
                    same::differences(was, is)
                })
                .collect();
            if step.result == StepResult::Cached && stage.iter().any(ran) {
                harmless.extend(differences);
            } else if step.result == StepResult::Ran
                && !beside.iter().any(ran)
                && same::is_same(then.given(old), now.given(step))
            {
                harmless.retain(|it| !differences.contains(it));
            }
        }
        let harmless = Rc::new(harmless);
        self.harmless.borrow_mut().insert((index, source), harmless.clone());
        harmless
    }

    /// Whether of every step that reads a context it is known which files.
    pub(super) fn all_files_are_known(&self, index: usize) -> bool {
        self.part(index).iter().all(|at| files_are_known(self.steps[*at]))
    }

    /// The files in which what a step reads differs from the build before; `None` where that is not known.
    pub(super) fn changed_paths(&self, index: usize) -> Option<Vec<String>> {
        let step = self.steps[index];
        let old = self.before.iter().find_map(|before| before.counterpart(step))?;
        changed_paths(old, step)
    }

    /// Whether the step begins a stage with another image than before.
    pub(super) fn is_moved_base(&self, before: &Before<'_>, step: &StepEntry) -> bool {
        let Some((reference, _)) = base_of(&step.name) else { return false };
        let is_it = |base: &&BaseImage| base.reference == reference;
        let base = self.target.inputs.bases.iter().find(is_it);
        base.is_some_and(|base| moved(base, &before.target.inputs).is_some())
    }

    /// What the step at `index` stands on.
    pub(super) fn foundation(&self, index: usize) -> &Foundation {
        let all = || foundations(self.target, &self.steps, &self.parents);
        &self.foundations.get_or_init(all)[index]
    }

    /// Whether a base image that the step at `index` may stand on is another one than before.
    fn stands_on_moved_base(&self, index: usize, was: &Inputs) -> bool {
        let bases = &self.target.inputs.bases;
        let may_be_below = |base: &BaseImage| self.foundation(index).may_have(base, bases);
        bases.iter().any(|base| moved(base, was).is_some() && may_be_below(base))
    }

    /// An image that a step copies files of, or mounts, and that is another one than there.
    pub(super) fn moved_image(&self, before: &Before<'_>, step: &StepEntry) -> Option<Reason> {
        self.images.moved(step, &before.target.inputs, &self.target.inputs)
    }
}

fn target<'e>(build: &'e Entry, name: &str) -> Option<&'e TargetEntry> {
    build.targets.iter().find(|target| target.name == name)
}

/// Whether the files and base images of a target were the same in both builds, and those of the targets that it stands on.
fn has_same_sources(now: &Entry, then: &Entry, name: &str) -> bool {
    let mut open = vec![name];
    let mut seen = BTreeSet::new();
    while let Some(name) = open.pop() {
        if !seen.insert(name) {
            continue;
        }
        let (Some(is), Some(was)) = (target(now, name), target(then, name)) else { return false };
        let old = instructions(was);
        let has_same_files = |step: &&StepEntry| {
            let old = old.iter().find(|old| key(old) == key(step));
            old.is_none_or(|old| same_files(old, step))
        };
        if moved_bases(&was.inputs, &is.inputs).next().is_some()
            || !instructions(is).iter().all(has_same_files)
        {
            return false;
        }
        let contexts = is.inputs.contexts.values();
        open.extend(contexts.filter_map(|place| place.strip_prefix("target:")));
    }
    true
}
