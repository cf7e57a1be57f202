//! What a Dockerfile reads of its build contexts on the way to a stage, and where its commands name
//! files, before anything is built.
//!
//! From the text alone: a variable whose value stands nowhere in it leaves its path unknown. A wrong answer
//! names a file that a build does not read; it changes no build.

use std::collections::{BTreeMap, BTreeSet};

use super::copies;
use super::history::{Stages, words};
use super::locate::{SourceStep, steps};
use super::mounts::{self, bind, field};
use super::variables::Variables;
use crate::remote;

/// What one instruction does with files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FileUse {
    /// COPY, ADD, or a bind mount.
    Reads {
        /// A stage, an image or a named context; the build context where `None`.
        from: Option<String>,
        /// Paths and patterns, variables replaced.
        paths: Vec<String>,
        /// `--exclude` patterns.
        exclude: Vec<String>,
        /// The line that the instruction begins at, from 1.
        line: usize,
    },
    /// The command of a RUN, in one line, variables replaced.
    Runs(String),
}

/// What is done with files on the way to `stage` (the last one where `None`), in the order of the
/// Dockerfile. `args` are the build arguments that are given. Stages are left out of `from`: what they
/// hold is told where it comes in.
pub fn file_uses(
    source: &str,
    stage: Option<&str>,
    args: &BTreeMap<String, String>,
) -> Vec<FileUse> {
    let steps = steps(source);
    let stages = Stages::new(&steps);
    let Some(last) = stages.target(stage) else { return Vec::new() };
    let variables = variables(&steps, args);
    let is_stage = |name: &String| stages.find(name, stages.len()).is_some();
    let mut uses = Vec::new();
    let needed = needed(&stages, last, &variables).into_iter();
    for step in needed.flat_map(|stage| stages.steps(stage)) {
        let text = variables.expand(&step.text);
        let line = *step.lines.start();
        match step.keyword {
            "COPY" | "ADD" => {
                let from = flag(&text, "from");
                let mut paths = copies::words(&text);
                paths.retain(|path| !remote::is_fetched_by_add(path) && !path.contains('$'));
                if !paths.is_empty() && !from.as_ref().is_some_and(is_stage) {
                    let exclude = flags(&text, "exclude");
                    uses.push(FileUse::Reads { from, paths, exclude, line });
                }
            }
            "RUN" => {
                for mount in flags(&text, "mount") {
                    let Some((from, path)) = bind(&mount) else { continue };
                    if !path.contains('$') && !from.as_ref().is_some_and(is_stage) {
                        let (paths, exclude) = (vec![path], Vec::new());
                        uses.push(FileUse::Reads { from, paths, exclude, line });
                    }
                }
                let command = text.split(' ').skip(1).skip_while(|word| word.starts_with("--"));
                uses.push(FileUse::Runs(command.collect::<Vec<_>>().join(" ")));
            }
            _ => {}
        }
    }
    uses
}

/// Indexes of the stages that `last` needs, itself included.
pub(super) fn needed(stages: &Stages<'_>, last: usize, variables: &Variables) -> BTreeSet<usize> {
    let mut needed = BTreeSet::new();
    let mut open = vec![last];
    while let Some(stage) = open.pop() {
        if !needed.insert(stage) {
            continue;
        }
        let (base, _) = words(stages.from(stage));
        open.extend(stages.find(&variables.expand(base), stage));
        for step in stages.steps(stage) {
            let text = variables.expand(&step.text);
            let mounted = flags(&text, "mount").into_iter().filter_map(|it| field(&it, "from"));
            let copied = flag(&text, "from").filter(|_| matches!(step.keyword, "COPY" | "ADD"));
            let names = copied.into_iter().chain(mounted);
            open.extend(names.filter_map(|name| stages.find(&name, stages.len())));
        }
    }
    needed
}

/// Values of the flag `--name=` of an instruction.
pub(super) fn flags(text: &str, name: &str) -> Vec<String> {
    let rest = text.split_once(' ').map_or("", |(_, rest)| rest);
    let value = |flag: String| {
        flag.strip_prefix("--")?.strip_prefix(name)?.strip_prefix('=').map(str::to_owned)
    };
    mounts::flags(rest).into_iter().filter_map(value).collect()
}

fn flag(text: &str, name: &str) -> Option<String> {
    flags(text, name).into_iter().next()
}

/// Defaults of ARG and values of ENV, then what is given.
pub(super) fn variables(steps: &[SourceStep], args: &BTreeMap<String, String>) -> Variables {
    let steps = steps.iter().filter(|step| matches!(step.keyword, "ARG" | "ENV"));
    let words = steps.flat_map(|step| step.text.split(' ').skip(1));
    let definitions = words.filter_map(|word| word.split_once('='));
    let unquoted = definitions
        .map(|(name, value)| (name.to_owned(), value.trim_matches(['"', '\'']).to_owned()));
    Variables::resolve(unquoted, args)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dockerfile::variables::MOST_ADDED;

    const WORKER: &str = "\
ARG BASE=python\n\
FROM ${BASE} AS uv\n\
COPY tool /tool\n\
FROM scratch AS locks\n\
ARG KIND=small\n\
COPY workers/${KIND}.heavy.lock heavy.lock\n\
COPY [\"workers/$KIND.lock\", \"light.lock\"]\n\
FROM ${BASE} AS deps\n\
RUN --mount=type=bind,from=locks,source=heavy.lock,target=/t \\\n\
    --mount=type=bind,source=more.txt,target=/m --mount=type=cache,target=/c \\\n\
    pip install -r /t -r ${UNKNOWN:-/m}\n\
FROM deps AS dev\n\
COPY never /\n\
FROM deps AS prod\n\
COPY --exclude=*.md --chown=1 shared/ ./code /app/\n\
COPY --from=locks /x /y\n\
COPY --from=docs --link a /z\n\
ADD https://example.com/x $ODD /app/\n";

    fn reads(line: usize, from: Option<&str>, paths: &[&str], exclude: &[&str]) -> FileUse {
        let owned = |list: &[&str]| list.iter().map(|it| (*it).to_owned()).collect();
        FileUse::Reads {
            from: from.map(str::to_owned),
            paths: owned(paths),
            exclude: owned(exclude),
            line,
        }
    }

    #[test]
    fn only_what_leads_to_the_stage_is_told() {
        let args = BTreeMap::from([("KIND".to_owned(), "full".to_owned())]);
        assert_eq!(
            file_uses(WORKER, Some("Prod"), &args),
            [
                reads(6, None, &["workers/full.heavy.lock"], &[]),
                reads(7, None, &["workers/full.lock"], &[]),
                reads(9, None, &["more.txt"], &[]),
                FileUse::Runs("pip install -r /t -r /m".to_owned()),
                reads(15, None, &["shared/", "./code"], &["*.md"]),
                reads(17, Some("docs"), &["a"], &[]),
            ]
        );
        assert_eq!(file_uses(WORKER, Some("uv"), &args), [reads(3, None, &["tool"], &[])]);
        assert_eq!(file_uses(WORKER, Some("no"), &args), []);
        assert_eq!(file_uses("COPY a b\n", None, &args), []);
    }

    /// Each line holds the one before four times: 2 to the power of 200 bytes.
    #[test]
    fn variables_of_variables_have_a_bound() {
        let lines = (1..100).map(|n| format!("ENV A{n}=$A{0}${{A{0}}}$A{0}$A{0}\n", n - 1));
        let uses = (0..100).map(|n| format!("COPY a$A{n} b$A3 /\nRUN $A{n} $A{n} $A{n}\n"));
        let text =
            format!("FROM x\nENV A0=x\n{}{}", lines.collect::<String>(), uses.collect::<String>());
        let uses = file_uses(&text, None, &BTreeMap::new());
        assert!(uses.contains(&reads(102, None, &["ax", &format!("b{}", "x".repeat(64))], &[])));
        // Longer than a path can be, so nobody knows.
        assert!(uses.contains(&FileUse::Runs("$A99 $A99 $A99".to_owned())));
        let bytes = |it: &FileUse| match it {
            FileUse::Reads { paths, .. } => paths.concat().len(),
            FileUse::Runs(command) => command.len(),
        };
        assert!(uses.iter().map(bytes).sum::<usize>() < 2 * MOST_ADDED);
        let many = format!("FROM x\nENV A={}\nRUN {}\n", "x".repeat(10_000), "$A".repeat(1 << 20));
        let uses = file_uses(&many, None, &BTreeMap::new());
        assert!(uses.iter().map(bytes).sum::<usize>() < 2 * MOST_ADDED);
    }

    proptest::proptest! {
        #[test]
        fn never_panics(text in "(FROM x\n)?(COPY|RUN|ARG) [-a-z=,${}:+\"日 \n]{0,50}") {
            let _ = file_uses(&text, None, &BTreeMap::new());
        }
    }
}
