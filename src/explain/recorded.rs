//! Why the steps of a build of another client ran, by what the engine's history holds of it and of the builds before it of
//! the same target: operations with everything that they were given. Which files of a context they read is not in there.

use std::collections::HashMap;

use super::before::{has_ended, instructions, key};
use super::cause::{Cause, Reason};
use super::causes::{follows, moved_down, new};
use super::chain::Chain;
use super::earlier::Earlier;
use super::given::{changed_arguments, changes, replaced_argument};
use super::{Explanation, Step, Target, explained};
use crate::history::{Inputs, StepEntry, TargetEntry};
use crate::recorded::{BuildRecord, Exec, Kinship, Operation};

/// Explains `build` by those before it, the newest first, of which `kinship` says whether they are of the same target.
pub fn by_engine(build: &BuildRecord, before: &[BuildRecord], kinship: Kinship) -> Explanation {
    let entry = &build.entry;
    let targets = entry.targets.iter().map(|target| {
        let chain = Chain::new(target, entry, Earlier::default(), &|_| HashMap::new());
        let before = before.iter().filter_map(Before::new).collect();
        let this = TargetCase { chain, build, target, before };
        let cause = |index: usize| match (this.cause(index), kinship) {
            (cause, Kinship::Same) => cause,
            // Whoever is held against another target is told of differences that are none.
            (Cause { reason, certain }, _) => {
                let is_of_itself =
                    reason.because_of_step().is_some() || reason == Reason::Requested;
                Cause { reason, certain: certain && is_of_itself }
            }
        };
        let steps = this.chain.steps.iter().enumerate().map(|(index, entry)| {
            let cause = this.chain.ran(index).then(|| cause(index));
            Step { cause, ..explained(index, entry, target, &build.entry) }
        });
        let steps = steps.collect();
        Target { target: target.name.clone(), service: target.service.clone(), steps }
    });
    let targets = targets.collect();
    Explanation { build: Some(entry.id.clone()), targets, advice: Vec::new() }
}

/// A target of a build among the builds before it.
struct TargetCase<'a> {
    chain: Chain<'a>,
    build: &'a BuildRecord,
    target: &'a TargetEntry,
    before: Vec<Before<'a>>,
}

/// The target in an earlier build.
struct Before<'a> {
    build: &'a BuildRecord,
    target: &'a TargetEntry,
    steps: Vec<&'a StepEntry>,
}

/// A step then and now.
#[derive(Clone, Copy)]
struct Pair<'a> {
    before: &'a Before<'a>,
    old: &'a StepEntry,
    step: &'a StepEntry,
}

impl<'a> Before<'a> {
    fn new(build: &'a BuildRecord) -> Option<Self> {
        let target = build.target()?;
        let steps = instructions(target);
        (!steps.is_empty()).then_some(Self { build, target, steps })
    }
}

impl<'a> TargetCase<'a> {
    fn cause(&self, index: usize) -> Cause {
        let step = self.chain.steps[index];
        if self.chain.nothing_was_to_be_cached() {
            return Reason::Requested.certain();
        }
        let mut parents = self.chain.parents(index).iter().copied();
        if let Some(parent) = parents.find(|parent| self.chain.ran(*parent)) {
            return follows(step, self.chain.steps[parent], parent).certain();
        }
        if let Some(before) = self.before.iter().find(|before| self.had_result(before, step)) {
            return self.asked_again(index, before);
        }
        let pair = self
            .before
            .iter()
            .find_map(|before| Some(Pair { before, old: self.counterpart(before, step)?, step }));
        match pair {
            Some(pair) => self.difference(pair),
            None if self.before.is_empty() => self.chain.earlier.first_build(self.target).certain(),
            None => new(step).certain(),
        }
    }

    /// A step that was asked for the same as in an earlier build, on the same images, and had its result there.
    fn asked_again(&self, index: usize, before: &Before<'_>) -> Cause {
        let step = self.chain.steps[index];
        let operation = self.build.operation(step);
        if self.target.inputs.no_cache {
            return Reason::Requested.likely();
        }
        if let Some(operation) = operation.filter(|operation| operation.reads_files) {
            let among = operation.paths.clone();
            return Reason::Files { paths: Vec::new(), among }.likely();
        }
        let since = self.chain.earlier.since(&before.build.entry, &self.build.entry, self.target);
        let built = before.build.entry.id.clone();
        let certain = match operation {
            Some(operation) => !operation.stands_on_files && images_are_known(operation),
            None => false,
        };
        Cause { reason: Reason::RecordGone { built, since }, certain }
    }

    /// What differs between a step and what it was.
    fn difference(&self, pair: Pair<'_>) -> Cause {
        let (was, is) = (&pair.before.target.inputs, &self.target.inputs);
        let operations = self.build.operation(pair.step).zip(pair.before.build.operation(pair.old));
        if let Some(image) = operations.and_then(|(new, old)| moved_image(old, new)) {
            return image.certain();
        }
        match operations {
            Some((new, old)) if new.own != old.own => self.another_operation(pair, old, new),
            Some(_) => self.another_below(pair),
            None if self.is_same(pair) => Reason::first_build().likely(),
            // What a build that failed did is told by the names of its steps alone.
            None if pair.old.instruction != pair.step.instruction => another_text(pair).likely(),
            None => other(was, is),
        }
    }

    /// A step that does another thing than before by itself.
    fn another_operation(&self, pair: Pair<'_>, old: &Operation, new: &Operation) -> Cause {
        let (was, is) = (&pair.before.target.inputs, &self.target.inputs);
        if let (Some(was_run), Some(is_run)) = (&old.exec, &new.exec)
            && (&was_run.args, &was_run.rest) == (&is_run.args, &is_run.rest)
            && let Some(reason) = another_environment(was_run, is_run, was, is)
        {
            // A variable that no argument explains is of the Dockerfile, unless that is the same.
            let is_told = matches!(reason, Reason::Argument { .. })
                || was.dockerfile_digest != is.dockerfile_digest;
            let certain = is_told && images_are_known(old) && images_are_known(new);
            return Cause { reason, certain };
        }
        let written = pair.old.written.as_ref().zip(pair.step.written.as_ref());
        let is_written_so = written.is_some_and(|(was, is)| was == is);
        if is_written_so && let Some(shell) = another_shell(old, new) {
            let certain = was.dockerfile_digest != is.dockerfile_digest;
            return Cause { reason: shell, certain };
        }
        let texts = (pair.old.instruction.as_str(), pair.step.instruction.as_str());
        if let Some(argument) = replaced_argument(was, is, texts) {
            return Cause { reason: argument, certain: is_written_so };
        }
        let is_another = texts.0 != texts.1 || written.is_some_and(|(was, is)| was != is);
        match is_another && !is_written_so {
            true => another_text(pair).certain(),
            false => other(was, is),
        }
    }

    /// A step that does the same as before on something else, which came from the cache.
    fn another_below(&self, pair: Pair<'_>) -> Cause {
        match moved_down(&pair.before.steps, pair.old, &self.chain.steps, pair.step) {
            Some(moved) => moved.likely(),
            None => other(&pair.before.target.inputs, &self.target.inputs),
        }
    }

    /// Whether the step was asked for the same there, on the same images, and had a result.
    fn had_result(&self, before: &Before<'_>, step: &StepEntry) -> bool {
        let is_it = |old: &&StepEntry| {
            has_ended(old, before.target) && self.is_same(Pair { before, old, step })
        };
        before.steps.iter().any(is_it)
    }

    /// Whether a step was asked to do the same, with everything below it.
    fn is_same(&self, Pair { before, old, step }: Pair<'_>) -> bool {
        let whole =
            |build: &BuildRecord, step| build.operation(step).and_then(|it| it.whole.clone());
        let (was, is) = (whole(before.build, old), whole(self.build, step));
        old.digest == step.digest || (was.is_some() && was == is)
    }

    /// What a step was: the same, else the same instruction, else what stood in its place.
    fn counterpart<'b>(&self, before: &'b Before<'b>, step: &StepEntry) -> Option<&'b StepEntry> {
        let find =
            |same: &dyn Fn(&StepEntry) -> bool| before.steps.iter().find(|it| same(it)).copied();
        let place =
            |step: &StepEntry| (step.stage.clone(), step.position.map(|(number, _)| number));
        find(&|old| self.is_same(Pair { before, old, step }))
            .or_else(|| find(&|old| key(old) == key(step)))
            .or_else(|| {
                let is_it = |old: &StepEntry| {
                    old.position == step.position && old.instruction == step.instruction
                };
                find(&is_it)
            })
            .or_else(|| {
                // What stands in its place now may be what stood there, moved.
                let is_gone =
                    |old: &StepEntry| !self.chain.steps.iter().any(|it| key(it) == key(old));
                find(&|old| place(old) == place(step) && is_gone(old))
            })
    }
}

fn another_text(pair: Pair<'_>) -> Reason {
    let from = Some(pair.old.instruction.clone());
    Reason::Instruction { from, to: Some(pair.step.instruction.clone()), above: false }
}

/// What is left where nothing says more: the one argument that changed, or nobody knows.
fn other(was: &Inputs, is: &Inputs) -> Cause {
    let mut arguments = changed_arguments(was, is);
    match arguments.len() {
        1 => arguments.remove(0).likely(),
        _ => Reason::Unknown { changed: changes(was, is) }.likely(),
    }
}

/// An image below an operation that is another one than before.
fn moved_image(old: &Operation, new: &Operation) -> Option<Reason> {
    new.images.iter().find_map(|(reference, to)| {
        let from = old.images.get(reference)?;
        let is_moved = from.is_some() && to.is_some() && from != to;
        let (reference, from, to) = (reference.clone(), from.clone(), to.clone());
        is_moved.then_some(Reason::Base { reference, from, to })
    })
}

/// Whether it is known of all images below which ones they were.
fn images_are_known(operation: &Operation) -> bool {
    operation.images.values().all(Option::is_some)
}

/// What stands above a RUN and is another thing: an argument, a variable, the user, the directory.
fn another_environment(old: &Exec, new: &Exec, was: &Inputs, is: &Inputs) -> Option<Reason> {
    let above = |name: &str, from: &str, to: &str| {
        let text = |value: &str| (!value.is_empty()).then(|| format!("{name} {value}"));
        Reason::Instruction { from: text(from), to: text(to), above: true }
    };
    let variables = changed_variables(&old.env, &new.env);
    let arguments = changed_arguments(was, is);
    let is_it = |it: &Reason| {
        let Reason::Argument { argument, from: before, to: now } = it else { return false };
        // What was not given has a default.
        let is_value =
            |given: &Option<String>, value: &Option<String>| given.is_none() || given == value;
        variables
            .iter()
            .any(|(name, from, to)| name == argument && is_value(before, from) && is_value(now, to))
    };
    if let Some(argument) = arguments.into_iter().find(is_it) {
        return Some(argument);
    }
    if let Some((name, from, to)) = variables.into_iter().next() {
        let text = |value: Option<String>| value.map(|value| format!("{name}={value}"));
        return Some(Reason::Instruction { from: text(from), to: text(to), above: true });
    }
    if old.user != new.user {
        return Some(above("USER", &old.user, &new.user));
    }
    (old.cwd != new.cwd).then(|| above("WORKDIR", &old.cwd, &new.cwd))
}

/// Name and values of the variables in which two environments differ.
fn changed_variables(
    old: &[(String, String)],
    new: &[(String, String)],
) -> Vec<(String, Option<String>, Option<String>)> {
    let value = |all: &[(String, String)], name: &str| {
        all.iter().rfind(|(it, _)| it == name).map(|(_, value)| value.clone())
    };
    let mut changed: Vec<(String, Option<String>, Option<String>)> = Vec::new();
    for (name, _) in new.iter().chain(old) {
        let (from, to) = (value(old, name), value(new, name));
        if from != to && !changed.iter().any(|(it, ..)| it == name) {
            changed.push((name.clone(), from, to));
        }
    }
    changed
}

/// The shell of a RUN that is written as before, where it is another one.
fn another_shell(old: &Operation, new: &Operation) -> Option<Reason> {
    let (old, new) = (old.exec.as_ref()?, new.exec.as_ref()?);
    let ((script, from), (other, to)) = (old.args.split_last()?, new.args.split_last()?);
    let text = |shell: &[String]| Some(format!("SHELL {}", shell.join(" ")));
    (script == other && from != to).then(|| Reason::Instruction {
        from: text(from),
        to: text(to),
        above: true,
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::collections::BTreeMap;

    use super::*;
    use crate::history::{Outcome, StepResult};
    use crate::test_history::{build, step};

    /// What a step did: by itself, with everything below, and whether it reads files.
    fn operation(own: &str, whole: &str, image: &str, reads_files: bool) -> Operation {
        Operation {
            whole: Some(whole.to_owned()),
            own: own.to_owned(),
            exec: None,
            images: BTreeMap::from([("python:3".to_owned(), Some(image.to_owned()))]),
            stands_on_files: reads_files,
            reads_files,
            paths: reads_files.then(|| "app".to_owned()).into_iter().collect(),
        }
    }

    fn exec(env: &[(&str, &str)], user: &str) -> Exec {
        let env = env.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        Exec { env: env.collect(), user: user.to_owned(), ..Exec::default() }
    }

    /// A build with one step that ran, and what that did.
    fn recorded(number: u32, name: &str, operation: Operation) -> BuildRecord {
        let mut entry = build(number, Outcome::Succeeded, vec![step(name, StepResult::Ran, 1.0)]);
        entry.targets[0].steps[0].digest = format!("of session {number}");
        entry.targets[0].inputs.dockerfile_digest = Some("same".to_owned());
        let digest = entry.targets[0].steps[0].digest.clone();
        BuildRecord { entry, operations: [(digest, operation)].into() }
    }

    const RUN: &str = "[2/2] RUN make";

    fn cause(build: &BuildRecord, before: &[BuildRecord], kinship: Kinship) -> Cause {
        by_engine(build, before, kinship).targets[0].steps[0].cause.clone().unwrap()
    }

    #[test]
    fn what_was_asked_for_before_is_gone_or_reads_files() {
        let now = recorded(3, RUN, operation("make", "1", "i", false));
        let then = recorded(2, RUN, operation("make", "1", "i", false));
        let between = recorded(2, RUN, operation("other", "2", "i", false));
        let gone = cause(&now, &[between.clone(), then.clone()], Kinship::Same);
        assert!(matches!(gone, Cause { reason: Reason::RecordGone { .. }, certain: true }));
        let possible = cause(&now, std::slice::from_ref(&then), Kinship::Possible);
        assert!(matches!(possible, Cause { reason: Reason::RecordGone { .. }, certain: false }));
        let copy = |number| recorded(number, "[2/2] COPY app /", operation("copy", "1", "i", true));
        let among = vec!["app".to_owned()];
        let files = Reason::Files { paths: Vec::new(), among };
        assert_eq!(cause(&copy(3), &[copy(2)], Kinship::Same), files.likely());
        // Nobody knows which image it was.
        let mut unknown = now;
        unknown
            .operations
            .values_mut()
            .for_each(|it| it.images.values_mut().for_each(|it| *it = None));
        assert!(!cause(&unknown, &[then], Kinship::Same).certain);
        assert_eq!(cause(&between, &[], Kinship::Same), Reason::first_build().certain());
    }

    #[test]
    fn a_moved_image_is_named() {
        let now = recorded(3, RUN, operation("make", "2", "new", false));
        let then = recorded(2, RUN, operation("make", "1", "old", false));
        let moved = Reason::Base {
            reference: "python:3".to_owned(),
            from: Some("old".to_owned()),
            to: Some("new".to_owned()),
        };
        assert_eq!(cause(&now, &[then], Kinship::Same), moved.certain());
    }

    #[test]
    fn an_environment_tells_argument_and_setting() {
        let run = |number: u32, exec: Exec, args: &[(&str, &str)]| {
            let own = format!("{exec:?}");
            let it = Operation { exec: Some(exec), ..operation(&own, &own, "i", false) };
            let mut recorded = recorded(number, RUN, it);
            let args = args.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
            recorded.entry.targets[0].inputs.args = args.collect();
            recorded
        };
        let then = run(2, exec(&[("A", "1")], ""), &[]);
        // A default gave way to a value.
        let now = run(3, exec(&[("A", "2")], ""), &[("A", "2")]);
        let argument = |certain| {
            let (argument, to) = ("A".to_owned(), Some("2".to_owned()));
            Cause { reason: Reason::Argument { argument, from: None, to }, certain }
        };
        assert_eq!(cause(&now, std::slice::from_ref(&then), Kinship::Same), argument(true));
        // The variable has another value than the argument: something else set it.
        let other = run(3, exec(&[("A", "3")], ""), &[("A", "2")]);
        let setting = |from: &str, to: &str| {
            let [from, to] = [from, to].map(|it| (!it.is_empty()).then(|| it.to_owned()));
            Reason::Instruction { from, to, above: true }
        };
        // In the same Dockerfile nobody knows what.
        let found = cause(&other, std::slice::from_ref(&then), Kinship::Same);
        assert_eq!(found, setting("A=1", "A=3").likely());
        let mut edited = run(3, exec(&[("A", "1")], "5"), &[]);
        edited.entry.targets[0].inputs.dockerfile_digest = Some("another".to_owned());
        assert_eq!(cause(&edited, &[then], Kinship::Same), setting("", "USER 5").certain());
    }

    #[test]
    fn an_instruction_is_another_one() {
        let then = recorded(2, RUN, operation("make", "1", "i", false));
        let now = recorded(3, "[2/2] RUN make all", operation("make all", "2", "i", false));
        let text = |certain| {
            let (from, to) = (Some("RUN make".to_owned()), Some("RUN make all".to_owned()));
            Cause { reason: Reason::Instruction { from, to, above: false }, certain }
        };
        assert_eq!(cause(&now, std::slice::from_ref(&then), Kinship::Same), text(true));
        // Of a build that failed there are names alone.
        let mut failed = then;
        failed.operations.clear();
        assert_eq!(cause(&now, &[failed], Kinship::Same), text(false));
    }
}
