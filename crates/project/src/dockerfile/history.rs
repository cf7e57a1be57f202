//! From an image's history to the Dockerfile: what `docker history` calls a step, and on which line
//! its instruction stands.

use std::cell::OnceCell;
use std::collections::HashMap;

use super::alike::Bigrams;
use super::locate::{SourceStep, steps};

/// How many pairs of entries and instructions are compared with each other at most, a table of 8 bytes for each;
/// beyond, an instruction is looked for near where the one after it was found.
const MOST_PAIRS: usize = 1 << 20;
/// How far from there.
const NEAR: usize = 32;

/// How alike two texts of one instruction are at least. Variables and flags make them differ.
const ALIKE: f64 = 0.4;

/// The instruction of a history entry as one would write it: without the builder's mark, the shell and
/// the values of build arguments, which may be secret. Empty where the entry is.
pub fn history_instruction(created_by: &str) -> String {
    let text = created_by.trim();
    let text = text.strip_suffix("# buildkit").unwrap_or(text).trim_end();
    // The classic builder: `/bin/sh -c #(nop) COPY ...`, and the bare command for RUN.
    if let Some((_, instruction)) = text.split_once("#(nop)") {
        return instruction.trim().to_owned();
    }
    if let Some(command) = text.strip_prefix("/bin/sh -c ") {
        return format!("RUN {}", command.trim());
    }
    match text.strip_prefix("RUN ") {
        Some(command) => format!("RUN {}", without_shell(command).trim()),
        None => text.to_owned(),
    }
}

/// `|1 A=1 /bin/sh -c make` to `make`: what is up to `-c` comes from the builder where the word before
/// it is a shell's.
fn without_shell(command: &str) -> &str {
    let (before, after) = match command.split_once(" -c ") {
        Some((before, after)) => (before, after),
        None => return command,
    };
    let is_shell = |word: &str| word.starts_with('/') && word.ends_with("sh");
    let has_args = command.starts_with('|');
    let mut words = before.split_whitespace();
    let shell = if has_args { words.any(is_shell) } else { words.next().is_some_and(is_shell) };
    if shell { after } else { command }
}

/// For each entry of a history (oldest first) the line of its instruction in the Dockerfile `source`,
/// built up to `stage`. Entries of the base image get the line of the FROM that names it; what fits
/// no instruction gets none.
pub fn history_lines(source: &str, stage: Option<&str>, history: &[&str]) -> Vec<Option<usize>> {
    let all = steps(source);
    let Some(chain) = Chain::find(&all, stage) else { return vec![None; history.len()] };
    let entries: Vec<String> = history.iter().map(|entry| history_instruction(entry)).collect();
    let pairs = aligned(&entries, &chain.steps);
    // Each instruction has one entry, so what is left at the beginning is the base image's.
    let of_base = entries.len().saturating_sub(chain.steps.len());
    let first = pairs.iter().position(Option::is_some).unwrap_or(of_base).min(of_base);
    pairs
        .iter()
        .enumerate()
        .map(|(index, pair)| match pair {
            Some(step) => Some(*chain.steps[*step].lines.start()),
            None if index < first => chain.base,
            None => None,
        })
        .collect()
}

/// The instructions a stage is made of, those of the stages it builds on first.
struct Chain<'a> {
    steps: Vec<&'a SourceStep>,
    /// Line of the FROM with the base image.
    base: Option<usize>,
}

impl<'a> Chain<'a> {
    fn find(all: &'a [SourceStep], stage: Option<&str>) -> Option<Self> {
        let stages = Stages::new(all);
        let mut wanted = stages.target(stage)?;
        let mut groups = Vec::new();
        loop {
            groups.push(wanted);
            let from = stages.from(wanted);
            let (image, _) = words(from);
            match stages.find(image, wanted) {
                Some(below) => wanted = below,
                None => {
                    let steps = groups.into_iter().rev().flat_map(|it| stages.steps(it)).collect();
                    let base = Some(*from.lines.start()).filter(|_| image != "scratch");
                    return Some(Self { steps, base });
                }
            }
        }
    }
}

/// The stages of a Dockerfile, found by name or number.
pub(super) struct Stages<'a> {
    all: &'a [SourceStep],
    /// Places of the FROMs.
    froms: Vec<usize>,
    /// Indexes of the stages of each name, lower case, in order.
    named: HashMap<String, Vec<usize>>,
}

impl<'a> Stages<'a> {
    pub(super) fn new(all: &'a [SourceStep]) -> Self {
        let froms: Vec<usize> = (0..all.len()).filter(|at| all[*at].keyword == "FROM").collect();
        let mut named: HashMap<String, Vec<usize>> = HashMap::new();
        for (index, from) in froms.iter().enumerate() {
            if let (_, Some(name)) = words(&all[*from]) {
                named.entry(name.to_ascii_lowercase()).or_default().push(index);
            }
        }
        Self { all, froms, named }
    }

    pub(super) fn len(&self) -> usize {
        self.froms.len()
    }

    /// The FROM of a stage.
    pub(super) fn from(&self, stage: usize) -> &'a SourceStep {
        &self.all[self.froms[stage]]
    }

    /// The other instructions of a stage.
    pub(super) fn steps(&self, stage: usize) -> &'a [SourceStep] {
        let end = self.froms.get(stage + 1).copied().unwrap_or(self.all.len());
        &self.all[self.froms[stage] + 1..end]
    }

    /// Index of the stage that is built: `stage`, or the last one.
    pub(super) fn target(&self, stage: Option<&str>) -> Option<usize> {
        match stage {
            Some(name) => self.find(name, self.len()),
            None => self.len().checked_sub(1),
        }
    }

    /// Index of the last stage `name` among those before `before`.
    pub(super) fn find(&self, name: &str, before: usize) -> Option<usize> {
        let of_name = self.named.get(&name.to_ascii_lowercase());
        let named = of_name.and_then(|all| {
            let end = all.partition_point(|index| *index < before);
            end.checked_sub(1).map(|last| all[last])
        });
        named.or_else(|| name.parse().ok().filter(|index| *index < before))
    }
}

/// Image and stage name of a FROM.
pub(super) fn words(from: &SourceStep) -> (&str, Option<&str>) {
    let mut words = from.text.split(' ').skip(1).skip_while(|word| word.starts_with("--"));
    let image = words.next().unwrap_or_default();
    let name = words.next().filter(|word| word.eq_ignore_ascii_case("as")).and(words.next());
    (image, name)
}

/// Pairs entries with instructions in their order, so that most are paired, and best alike.
fn aligned(entries: &[String], steps: &[&SourceStep]) -> Vec<Option<usize>> {
    let entries: Vec<Words> = entries.iter().map(|entry| Words::new(entry)).collect();
    let steps: Vec<Words> = steps.iter().map(|step| Words::new(&step.text)).collect();
    // Files of generators have thousands of lines, of which most are as they were built.
    let same = entries
        .iter()
        .rev()
        .zip(steps.iter().rev())
        .take_while(|(entry, step)| entry.is_same(step));
    let same = same.count();
    let (rows, columns) = (entries.len() - same, steps.len() - same);
    let mut pairs = if rows.saturating_mul(columns) > MOST_PAIRS {
        aligned_near(&entries[..rows], &steps[..columns])
    } else {
        aligned_best(&entries[..rows], &steps[..columns])
    };
    pairs.extend((columns..steps.len()).map(Some));
    pairs
}

/// From the end: each entry with the first instruction that fits within [`NEAR`] steps.
fn aligned_near(entries: &[Words], steps: &[Words]) -> Vec<Option<usize>> {
    let mut pairs = vec![None; entries.len()];
    let mut end = steps.len();
    for (entry, pair) in entries.iter().zip(&mut pairs).rev() {
        let near = end.saturating_sub(NEAR)..end;
        if let Some(step) = near.rev().find(|step| likeness(entry, &steps[*step]).is_some()) {
            *pair = Some(step);
            end = step;
        }
    }
    pairs
}

fn aligned_best(entries: &[Words], steps: &[Words]) -> Vec<Option<usize>> {
    let (rows, columns) = (entries.len(), steps.len());
    // best[i][j]: of entries from i and steps from j.
    let mut best = vec![vec![0.0_f64; columns + 1]; rows + 1];
    let mut fits = vec![vec![None; columns]; rows];
    for i in (0..rows).rev() {
        for j in (0..columns).rev() {
            fits[i][j] = likeness(&entries[i], &steps[j]);
            let pair = fits[i][j].map_or(0.0, |likeness| 1.0 + likeness + best[i + 1][j + 1]);
            best[i][j] = pair.max(best[i + 1][j]).max(best[i][j + 1]);
        }
    }
    let mut pairs = vec![None; rows];
    let (mut i, mut j) = (0, 0);
    while i < rows && j < columns {
        // Later entries first: those of the base image may look the same.
        if best[i][j] <= best[i + 1][j] {
            i += 1;
        } else if best[i][j] <= best[i][j + 1] {
            j += 1;
        } else {
            pairs[i] = Some(j);
            (i, j) = (i + 1, j + 1);
        }
    }
    pairs
}

/// An entry or an instruction, to be compared.
struct Words {
    /// Upper case.
    keyword: String,
    /// The rest, see [`plain`].
    plain: String,
    /// Of the rest; most are found without.
    bigrams: OnceCell<Bigrams>,
}

impl Words {
    fn new(text: &str) -> Self {
        let (keyword, rest) = text.split_once(' ').unwrap_or((text, ""));
        let keyword = keyword.to_ascii_uppercase();
        Self { keyword, plain: plain(rest), bigrams: OnceCell::new() }
    }
}

impl Words {
    fn is_same(&self, other: &Self) -> bool {
        self.keyword == other.keyword && self.plain == other.plain
    }

    fn bigrams(&self) -> &Bigrams {
        self.bigrams.get_or_init(|| Bigrams::new(&self.plain))
    }
}

/// How alike an entry and an instruction are; `None` where one cannot come from the other.
fn likeness(entry: &Words, step: &Words) -> Option<f64> {
    if entry.keyword != step.keyword {
        return None;
    }
    let likeness = entry.bigrams().likeness(step.bigrams());
    // The values of variables may be anything.
    (likeness >= ALIKE || step.plain.contains('$') || step.plain.contains("<<")).then_some(likeness)
}

/// Without flags, quotes and brackets, blanks collapsed.
fn plain(text: &str) -> String {
    let words = text.split_whitespace().skip_while(|word| word.starts_with("--"));
    let words: Vec<&str> = words.collect();
    words.join(" ").replace(['"', '\'', '[', ']', ','], "")
}

/// The instructions of a Dockerfile in order, each in one line.
pub fn instructions(source: &str) -> Vec<String> {
    steps(source).into_iter().map(|step| step.text).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instructions_lose_what_the_builder_added() {
        for (entry, expected) in [
            ("COPY . /app # buildkit", "COPY . /app"),
            ("RUN /bin/sh -c pip install -r x # buildkit", "RUN pip install -r x"),
            ("RUN |2 TOKEN=s3cret B=two words /bin/sh -c make -c x # buildkit", "RUN make -c x"),
            ("RUN /bin/bash -o pipefail -c a | b # buildkit", "RUN a | b"),
            ("RUN python -c print(1) # buildkit", "RUN python -c print(1)"),
            ("/bin/sh -c #(nop)  CMD [\"sh\"]", "CMD [\"sh\"]"),
            ("/bin/sh -c apt-get update", "RUN apt-get update"),
            ("", ""),
        ] {
            assert_eq!(history_instruction(entry), expected);
        }
    }

    const WORKER: &str = r#"ARG BASE=python:3.12
FROM ${BASE} AS base
ENV A=1
WORKDIR /app

FROM base AS builder
RUN make

FROM base
# what changes most comes last
COPY --from=builder --chown=1:1 /out /app/out
ARG WHO
RUN --mount=type=cache,target=/root/.cache/pip \
    pip install \
    -r "$WHO"
COPY shared /app/shared
CMD ["sh"]
"#;

    #[test]
    fn entries_find_their_lines_over_stages() {
        let history = [
            "/bin/sh -c #(nop) ADD file:1 in / ",
            "CMD [\"bash\"]",
            "ENV A=1",
            "WORKDIR /app",
            "COPY --chown=1:1 /out /app/out # buildkit",
            "ARG WHO=x",
            "RUN |1 WHO=x /bin/sh -c pip install     -r \"$WHO\" # buildkit",
            "COPY shared /app/shared # buildkit",
            "CMD [\"sh\"]",
        ];
        let lines = history_lines(WORKER, None, &history);
        let some = |lines: &[usize]| lines.iter().copied().map(Some).collect::<Vec<_>>();
        assert_eq!(lines, some(&[2, 2, 3, 4, 11, 12, 13, 16, 17]));
        assert_eq!(history_lines(WORKER, Some("BASE"), &history[..4]), some(&[2, 2, 3, 4]));
        assert_eq!(history_lines(WORKER, Some("nothing"), &history[..1]), [None]);
    }

    #[test]
    fn a_file_that_was_edited_since_gives_no_wrong_lines() {
        let history = ["", "COPY a.txt /a.txt # buildkit", "RUN /bin/sh -c make all # buildkit"];
        let lines =
            history_lines("FROM x\nCOPY other-folder/ /srv\nRUN make all\n", None, &history);
        assert_eq!(lines, [Some(1), None, Some(3)]);
        let lines = history_lines("FROM scratch\nRUN make all\n", None, &history);
        assert_eq!(lines, [None, None, Some(2)]);
        assert_eq!(history_lines("nonsense", None, &history), [None; 3]);
    }

    /// Each line of a generated file gets its own, also where the values of variables differ.
    #[test]
    fn thousands_of_entries_find_their_lines() {
        for value in ["value", "$V"] {
            let lines = (0..15_000).map(|number| format!("ENV NAME_{number}={value}\n"));
            let source = format!("FROM base\n{}", lines.collect::<String>());
            let entries: Vec<String> =
                (0..15_000).map(|number| format!("ENV NAME_{number}=value")).collect();
            let mut history = vec!["CMD [\"sh\"]"];
            history.extend(entries.iter().map(String::as_str));
            let lines = history_lines(&source, None, &history);
            assert_eq!(lines[0], Some(1));
            assert!((1..=15_000).all(|entry| lines[entry] == Some(entry + 1)));
        }
    }

    /// Lines of many bytes that differ all take no longer than short ones.
    #[test]
    fn long_entries_are_compared() {
        let command =
            |number: usize, with: &str| format!("make {with}{number} {}", "x".repeat(20_000));
        let lines = (0..300).map(|number| format!("RUN {}\n", command(number, "target-")));
        let source = format!("FROM base\n{}", lines.collect::<String>());
        let entries: Vec<String> = (0..300)
            .map(|number| format!("RUN /bin/sh -c {} # buildkit", command(number, "other-target-")))
            .collect();
        let history: Vec<&str> = entries.iter().map(String::as_str).collect();
        let lines = history_lines(&source, None, &history);
        assert!((0..300).all(|entry| lines[entry] == Some(entry + 2)));
    }

    /// Each stage on the one before, and each with a name that others have, too.
    #[test]
    fn thousands_of_stages_are_one_chain() {
        let stage = |number: usize| {
            let base = number.checked_sub(1).map_or("x".to_owned(), |below| format!("s{below}"));
            format!("FROM {base} AS S{number}\nENV N={number}\n")
        };
        let source: String = (0..10_000).map(stage).collect();
        let all = steps(&source);
        let chain = Chain::find(&all, None).expect("there are stages");
        assert_eq!((chain.steps.len(), chain.base), (10_000, Some(1)));
        let entries: Vec<String> = (0..10_000).map(|number| format!("ENV N={number}")).collect();
        let history: Vec<&str> = entries.iter().map(String::as_str).collect();
        assert_eq!(history_lines(&source, None, &history)[9_999], Some(20_000));
    }

    proptest::proptest! {
        #[test]
        fn never_panics(source in "(FROM [a-z]{1,3}( AS [a-z])?\n|COPY [a-z] /\n|RUN [a-z]\n){0,9}", entry in "\\PC{0,30}") {
            let entries = [entry.as_str(), "COPY a / # buildkit", "RUN |1 /bin/sh -c x"];
            proptest::prop_assert_eq!(history_lines(&source, None, &entries).len(), 3);
        }
    }
}
