//! What a Dockerfile reads of its build contexts on the way to a stage, and where its commands name
//! files, before anything is built.
//!
//! From the text alone: a variable whose value stands nowhere in it leaves its path unknown. A wrong answer
//! names a file that a build does not read; it changes no build.

use std::collections::{BTreeMap, BTreeSet};

use super::copies;
use super::history::{stage_index, words};
use super::locate::{Step, steps};

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
    let froms: Vec<&Step> = steps.iter().filter(|step| step.keyword == "FROM").collect();
    let last = match stage {
        Some(name) => stage_index(&froms, name, froms.len()),
        None => froms.len().checked_sub(1),
    };
    let Some(last) = last else { return Vec::new() };
    let variables = variables(&steps, args);
    let needed = needed(&steps, &froms, last, &variables);
    let is_stage = |name: &String| stage_index(&froms, name, froms.len()).is_some();
    let mut uses = Vec::new();
    for step in steps.iter().filter(|step| step.stage.is_some_and(|it| needed.contains(&it))) {
        let text = expand(&step.text, &variables);
        match step.keyword {
            "COPY" | "ADD" => {
                let from = flag(&text, "from");
                let mut paths = copies::words(&text);
                paths.retain(|path| !copies::is_remote(path) && !path.contains('$'));
                if !paths.is_empty() && !from.as_ref().is_some_and(is_stage) {
                    uses.push(FileUse::Reads { from, paths, exclude: flags(&text, "exclude") });
                }
            }
            "RUN" => {
                for mount in flags(&text, "mount") {
                    let Some((from, path)) = bind(&mount) else { continue };
                    if !path.contains('$') && !from.as_ref().is_some_and(is_stage) {
                        let (paths, exclude) = (vec![path], Vec::new());
                        uses.push(FileUse::Reads { from, paths, exclude });
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
fn needed(
    steps: &[Step],
    froms: &[&Step],
    last: usize,
    variables: &BTreeMap<String, String>,
) -> BTreeSet<usize> {
    let mut needed = BTreeSet::new();
    let mut open = vec![last];
    while let Some(stage) = open.pop() {
        if !needed.insert(stage) {
            continue;
        }
        let (base, _) = words(froms[stage]);
        open.extend(stage_index(froms, &expand(base, variables), stage));
        for step in steps.iter().filter(|step| step.stage == Some(stage)) {
            let text = expand(&step.text, variables);
            let mounted = flags(&text, "mount").into_iter().filter_map(|it| field(&it, "from"));
            let copied = flag(&text, "from").filter(|_| matches!(step.keyword, "COPY" | "ADD"));
            let names = copied.into_iter().chain(mounted);
            open.extend(names.filter_map(|name| stage_index(froms, &name, froms.len())));
        }
    }
    needed
}

/// Values of the flag `--name=` of an instruction.
fn flags(text: &str, name: &str) -> Vec<String> {
    let words = text.split(' ').skip(1).take_while(|word| word.starts_with("--"));
    let value = |word: &str| {
        word.strip_prefix("--")?.strip_prefix(name)?.strip_prefix('=').map(str::to_owned)
    };
    words.filter_map(value).collect()
}

fn flag(text: &str, name: &str) -> Option<String> {
    flags(text, name).into_iter().next()
}

/// A field of a `--mount`.
fn field(mount: &str, name: &str) -> Option<String> {
    mount.split(',').find_map(|field| {
        let (key, value) = field.split_once('=')?;
        key.eq_ignore_ascii_case(name).then(|| value.trim_matches(['"', '\'']).to_owned())
    })
}

/// Where a bind mount comes from, and which path of it; `None` for a mount of another type.
fn bind(mount: &str) -> Option<(Option<String>, String)> {
    if field(mount, "type").is_some_and(|kind| !kind.eq_ignore_ascii_case("bind")) {
        return None;
    }
    let path = field(mount, "source").or_else(|| field(mount, "src"));
    Some((field(mount, "from"), path.unwrap_or_else(|| ".".to_owned())))
}

/// What variables stand for: defaults of ARG and values of ENV, then what is given.
fn variables(steps: &[Step], args: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    let mut variables = BTreeMap::new();
    for step in steps.iter().filter(|step| matches!(step.keyword, "ARG" | "ENV")) {
        for word in step.text.split(' ').skip(1) {
            if let Some((name, value)) = word.split_once('=') {
                let value = expand(value.trim_matches(['"', '\'']), &variables);
                variables.insert(name.to_owned(), value);
            }
        }
    }
    variables.extend(args.clone());
    variables
}

/// `text` with `$NAME`, `${NAME}`, `${NAME:-default}` and `${NAME:+value}` replaced; what is not known stays.
fn expand(text: &str, variables: &BTreeMap<String, String>) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        out.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        let name_end = |text: &str| {
            text.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(text.len())
        };
        let (value, length) = match rest.strip_prefix('{').and_then(|inner| inner.split_once('}')) {
            Some((inner, _)) => {
                let (name, modifier) = inner.split_at(name_end(inner));
                let value = variables.get(name).filter(|value| !value.is_empty());
                let value = match modifier.split_at_checked(2) {
                    Some((":-", default)) => Some(value.map_or(default, String::as_str)),
                    Some((":+", set)) => Some(value.map_or("", |_| set)),
                    _ => variables.get(name).map(String::as_str),
                };
                (value, inner.len() + 2)
            }
            None => {
                let end = name_end(rest);
                (variables.get(&rest[..end]).map(String::as_str), end)
            }
        };
        match value {
            Some(value) if length > 0 => out.push_str(value),
            _ => {
                out.push('$');
                out.push_str(&rest[..length]);
            }
        }
        rest = &rest[length..];
    }
    out + rest
}

#[cfg(test)]
mod tests {
    use super::*;

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

    fn reads(from: Option<&str>, paths: &[&str], exclude: &[&str]) -> FileUse {
        let owned = |list: &[&str]| list.iter().map(|it| (*it).to_owned()).collect();
        FileUse::Reads {
            from: from.map(str::to_owned),
            paths: owned(paths),
            exclude: owned(exclude),
        }
    }

    #[test]
    fn only_what_leads_to_the_stage_is_told() {
        let args = BTreeMap::from([("KIND".to_owned(), "full".to_owned())]);
        assert_eq!(
            file_uses(WORKER, Some("Prod"), &args),
            [
                reads(None, &["workers/full.heavy.lock"], &[]),
                reads(None, &["workers/full.lock"], &[]),
                reads(None, &["more.txt"], &[]),
                FileUse::Runs("pip install -r /t -r /m".to_owned()),
                reads(None, &["shared/", "./code"], &["*.md"]),
                reads(Some("docs"), &["a"], &[]),
            ]
        );
        assert_eq!(file_uses(WORKER, Some("uv"), &args), [reads(None, &["tool"], &[])]);
        assert_eq!(file_uses(WORKER, Some("no"), &args), []);
        assert_eq!(file_uses("COPY a b\n", None, &args), []);
    }

    #[test]
    fn variables_are_replaced_where_they_are_known() {
        let known =
            BTreeMap::from([("A".to_owned(), "x".to_owned()), ("E".to_owned(), String::new())]);
        for (text, expected) in [
            ("$A/${A}b$", "x/xb$"),
            ("${E:-d}${A:-d}${N:-d}", "dxd"),
            ("${A:+-full}${E:+-full}", "-full"),
            ("$N ${N} ${E} $(x) ${", "$N ${N}  $(x) ${"),
            ("$A", "x"),
        ] {
            assert_eq!(expand(text, &known), expected, "{text}");
        }
    }

    proptest::proptest! {
        #[test]
        fn never_panics(text in "(FROM x\n)?(COPY|RUN|ARG) [-a-z=,${}:+\"日 \n]{0,50}") {
            let _ = file_uses(&text, None, &BTreeMap::new());
        }
    }
}
