//! The cache mounts on the way to a stage, with the values that variables have where they stand.
//!
//! BuildKit replaces variables in the options of a mount by what ARG and ENV say there (`dockerfile2llb`, `dispatch`): a
//! stage begins with the ENV and ARG of the stage that it is built on, ENV goes before ARG. What a base image sets is not
//! known here: a variable that nothing sets stays as it is written.

use std::collections::BTreeMap;

use super::history::{Stages, words};
use super::locate::{SourceStep, steps};
use super::mounts::{CacheMountSpec, cache_mount};
use super::uses::{flags, needed, variables};
use super::variables::Variables;

/// A cache mount of a Dockerfile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeclaredMount {
    /// The mount, variables replaced. One that is not known is still there, with its `$`.
    pub spec: CacheMountSpec,
    /// The same as it is written.
    pub written: CacheMountSpec,
    /// The line that its instruction begins at, from 1.
    pub line: usize,
}

/// What variables stand for in a stage.
#[derive(Clone, Default)]
struct Scope {
    args: BTreeMap<String, String>,
    env: BTreeMap<String, String>,
}

impl Scope {
    fn variables(&self) -> Variables {
        let mut values = self.args.clone();
        values.extend(self.env.clone());
        Variables::known(values)
    }
}

/// The cache mounts on the way to `stage` (the last one where `None`). `args` are the build arguments that are given,
/// `platform` those that an ARG alone brings, such as TARGETARCH.
pub fn declared_mounts(
    source: &str,
    stage: Option<&str>,
    args: &BTreeMap<String, String>,
    platform: &BTreeMap<String, String>,
) -> Vec<DeclaredMount> {
    let steps = steps(source);
    let stages = Stages::new(&steps);
    let Some(last) = stages.target(stage) else { return Vec::new() };
    let given = ArgValue { args, platform };
    let global = given.global(&steps);
    let mut all = args.clone();
    all.extend(platform.clone());
    let needed = needed(&stages, last, &variables(&steps, &all));
    let mut scopes: Vec<Scope> = Vec::new();
    let mut mounts = Vec::new();
    for index in 0..stages.len() {
        let (base, _) = words(stages.from(index));
        let base = stages.find(&global.variables().expand(base), index);
        let mut scope = base.and_then(|base| scopes.get(base)).cloned().unwrap_or_default();
        for step in stages.steps(index) {
            match step.keyword {
                "ARG" => given.declare(&mut scope, &step.text, Some(&global)),
                "ENV" => set(&mut scope, &step.text),
                "RUN" if needed.contains(&index) => mounts.extend(of_step(step, &scope)),
                _ => {}
            }
        }
        scopes.push(scope);
    }
    mounts
}

fn of_step(step: &SourceStep, scope: &Scope) -> Vec<DeclaredMount> {
    let variables = scope.variables();
    let mount = |option: String| {
        let (written, spec) = (cache_mount(&option)?, cache_mount(&variables.expand(&option))?);
        Some(DeclaredMount { spec, written, line: *step.lines.start() })
    };
    flags(&step.text, "mount").into_iter().filter_map(mount).collect()
}

struct ArgValue<'a> {
    args: &'a BTreeMap<String, String>,
    platform: &'a BTreeMap<String, String>,
}

impl ArgValue<'_> {
    /// What stands before the first stage.
    fn global(&self, steps: &[SourceStep]) -> Scope {
        let mut scope = Scope { args: self.platform.clone(), ..Scope::default() };
        let before = steps.iter().take_while(|step| step.keyword != "FROM");
        for step in before.filter(|step| step.keyword == "ARG") {
            self.declare(&mut scope, &step.text, None);
        }
        scope
    }

    /// An ARG: what is given, its default, or what stands before the first stage.
    fn declare(&self, scope: &mut Scope, text: &str, global: Option<&Scope>) {
        for word in assignments(text) {
            let (name, default) = match word.split_once('=') {
                Some((name, default)) => (name, Some(default)),
                None => (word.as_str(), None),
            };
            let given = self.args.get(name).cloned();
            let default = || default.map(|default| scope.variables().expand(default));
            let global = || global.and_then(|global| global.args.get(name).cloned());
            if let Some(value) = given.or_else(default).or_else(global) {
                let mut variables = Variables::known(BTreeMap::new());
                variables.set(name, value);
                scope.args.extend(variables.values().clone());
            }
        }
    }
}

/// An ENV, in both of its forms.
fn set(scope: &mut Scope, text: &str) {
    let known = scope.variables();
    let words = assignments(text);
    let mut new = Variables::known(BTreeMap::new());
    match words.first() {
        Some(first) if !first.contains('=') => {
            new.set(first, known.expand(&words[1..].join(" ")));
        }
        _ => {
            for (name, value) in words.iter().filter_map(|word| word.split_once('=')) {
                new.set(name, known.expand(value));
            }
        }
    }
    scope.env.extend(new.values().clone());
}

/// The words behind the keyword, quotes taken off; blanks within quotes are part of a word.
fn assignments(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word = String::new();
    let mut quote = None;
    let rest = text.split_once(' ').map_or("", |(_, rest)| rest);
    for char in rest.chars() {
        match quote {
            Some(open) if char == open => quote = None,
            None if matches!(char, '"' | '\'') => quote = Some(char),
            None if char == ' ' => words.push(std::mem::take(&mut word)),
            _ => word.push(char),
        }
    }
    words.push(word);
    words.retain(|word| !word.is_empty());
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(source: &str, stage: Option<&str>, args: &[(&str, &str)]) -> Vec<String> {
        let pairs = |pairs: &[(&str, &str)]| {
            pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
        };
        let platform = pairs(&[("TARGETARCH", "amd64")]);
        let mounts = declared_mounts(source, stage, &pairs(args), &platform);
        mounts.into_iter().map(|it| format!("{}:{}", it.line, it.spec.id)).collect()
    }

    const FILE: &str = "\
ARG TOOL=pip
FROM x AS base
ARG TOOL
ARG TARGETARCH
ENV HOME=/home/u \"MODE=a b\"
RUN --mount=type=cache,id=$TOOL-${TARGETARCH},target=$HOME/.cache true
FROM base AS next
ENV TOOL uv
RUN --mount=type=cache,id=${TOOL}-${SUFFIX:-none},target=/c --mount=type=cache,target=/d/$UNKNOWN true
FROM x AS other
RUN --mount=type=cache,target=/$TOOL true
FROM x AS last
COPY --from=next / /
RUN --mount=type=bind,target=/x --mount=type=cache,target=/last true
";

    #[test]
    fn variables_have_the_values_of_their_stage() {
        let all = ["6:pip-amd64", "9:uv-none", "9:/d/$UNKNOWN", "14:/last"];
        assert_eq!(ids(FILE, None, &[]), all);
        assert_eq!(ids(FILE, Some("base"), &[("TOOL", "poetry")]), ["6:poetry-amd64"]);
        assert_eq!(ids(FILE, Some("other"), &[]), ["11:/$TOOL"]);
        assert_eq!(ids(FILE, Some("nowhere"), &[]), [""; 0]);
        assert_eq!(ids("", None, &[]), [""; 0]);
    }

    #[test]
    fn an_argument_counts_from_where_it_is_declared() {
        let file = "FROM x\nRUN --mount=type=cache,id=a$A,target=/c x\nARG A=1\nRUN --mount=type=cache,id=a$A,target=/c x\n";
        assert_eq!(ids(file, None, &[("A", "2")]), ["2:a$A", "4:a2"]);
    }

    proptest::proptest! {
        #[test]
        fn never_panics(text in "(FROM|ARG|ENV|RUN|[ a-z=$\\{\\}:\"',./\n-]){0,60}") {
            let _ = ids(&text, None, &[("a", "$a")]);
        }
    }
}
