//! From the name of a build step back to its instruction. Engine 20.10 sends no places with its
//! errors, only names such as `[worker 3/7] RUN pip install ...`.

use std::cell::{Cell, OnceCell};
use std::collections::{HashMap, HashSet};
use std::ops::RangeInclusive;

use super::alike::Bigrams;
use super::copies::{self, CopySources};
use super::syntax::{self, Instruction};
use crate::remote;

/// Lines of an instruction, counted from 1.
pub type Span = RangeInclusive<usize>;

/// How many texts of steps are compared with instructions at most: each step whose number says nothing with all.
const MOST_COMPARED: usize = 1 << 20;

/// One instruction of a Dockerfile.
#[derive(Debug, Clone)]
pub(super) struct SourceStep {
    /// As in `RUN`, upper case.
    pub(super) keyword: &'static str,
    pub(super) lines: Span,
    /// The instruction in one line: continuations joined, blanks collapsed.
    pub(super) text: String,
    /// Index of its stage; `None` before the first FROM.
    pub(super) stage: Option<usize>,
    /// The number of its vertex within the stage, for instructions that make one.
    number: Option<usize>,
    /// What it copies or mounts, as it is written.
    pub(super) copies: Option<CopySources>,
}

/// A Dockerfile, parsed once for any number of questions about it.
#[derive(Debug, Clone)]
pub struct Outline {
    steps: Vec<SourceStep>,
    /// Names of the stages, lower case.
    stages: Vec<Option<String>>,
    /// Indexes of the steps that have a vertex, by stage and number.
    numbered: HashMap<(usize, usize), usize>,
    /// Of each step; only where they are needed.
    bigrams: OnceCell<Vec<Bigrams>>,
    /// How many more may be compared.
    room: Cell<usize>,
}

impl Outline {
    /// Parses `source`.
    pub fn new(source: &str) -> Self {
        Self::with_linked(source, &|_| false)
    }

    /// The same where some FROMs, as they are written, name results of other targets: a stage that begins with one has nothing
    /// to pull, and its instructions are counted from 1.
    pub(super) fn with_linked(source: &str, names_linked: &dyn Fn(&str) -> bool) -> Self {
        let (mut steps, stages) = steps_and_stages(source);
        let mut is_linked = false;
        for step in &mut steps {
            if step.keyword == "FROM" {
                let mut words = step.text.split(' ').skip(1);
                let image = words.find(|word| !word.starts_with("--")).unwrap_or_default();
                is_linked = step.number == Some(1) && names_linked(image);
                step.number = step.number.filter(|_| !is_linked);
            } else if is_linked {
                step.number = step.number.map(|number| number - 1);
            }
        }
        let mut numbered = HashMap::new();
        for (index, step) in steps.iter().enumerate() {
            if let (Some(stage), Some(number)) = (step.stage, step.number) {
                numbered.entry((stage, number)).or_insert(index);
            }
        }
        let room = Cell::new(MOST_COMPARED);
        Self { steps, stages, numbered, bigrams: OnceCell::new(), room }
    }

    /// See [`locate`].
    pub fn locate(&self, step_name: &str) -> Option<Span> {
        self.step(step_name).map(|step| step.lines.clone())
    }

    /// What the step `step_name` copies or mounts; `None` where it is not a COPY, ADD or RUN, cannot be found, or
    /// takes no path that is known.
    pub fn copy_sources(&self, step_name: &str) -> Option<CopySources> {
        let text = step_name.split_once("] ").map_or(step_name, |(_, text)| text);
        if text.starts_with("RUN ") {
            let mounted = self.step(step_name)?.copies.clone()?;
            return (!mounted.paths.iter().any(|path| path.contains('$'))).then_some(mounted);
        }
        if !["COPY ", "ADD "].iter().any(|keyword| text.starts_with(keyword)) {
            return None;
        }
        let mut sources = self.step(step_name)?.copies.clone()?;
        if sources.paths.iter().any(|path| path.contains('$')) {
            // The engine names its steps after the variables are replaced.
            sources.paths = copies::words(text);
        }
        sources.paths.retain(|path| !remote::is_fetched_by_add(path));
        (!sources.paths.is_empty()).then_some(sources)
    }

    fn step(&self, step_name: &str) -> Option<&SourceStep> {
        let (label, text) =
            match step_name.trim().strip_prefix('[').and_then(|rest| rest.split_once(']')) {
                Some((label, text)) => (Some(label), text.trim()),
                None => (None, step_name.trim()),
            };
        let text = collapse(text);
        let keyword = text.split(' ').next()?.to_ascii_uppercase();
        let numbered = label
            .and_then(|label| self.position(label))
            .and_then(|place| self.steps.get(*self.numbered.get(&place)?))
            .filter(|step| step.keyword == keyword);
        if numbered.is_some() {
            return numbered;
        }
        self.room.set(self.room.get().checked_sub(self.steps.len())?);
        let new = |step: &SourceStep| Bigrams::new(&step.text);
        let bigrams = self.bigrams.get_or_init(|| self.steps.iter().map(new).collect());
        let text = Bigrams::new(&text);
        // ONBUILD of the base image shifts numbers; variables and defaults change the text.
        self.steps
            .iter()
            .zip(bigrams)
            .filter(|(step, _)| step.keyword == keyword)
            .map(|(step, bigrams)| (step, bigrams.likeness(&text)))
            .filter(|(_, similarity)| *similarity > 0.6)
            .max_by(|(_, one), (_, other)| one.total_cmp(other))
            .map(|(step, _)| step)
    }

    /// Stage index and step number of a label: `worker 3/7`, `stage-1 2/4`, `2/4` in a file of one
    /// stage, each with a platform in front in builds for several.
    fn position(&self, label: &str) -> Option<(usize, usize)> {
        let mut words = label.split_whitespace().rev();
        let (number, _) = words.next()?.split_once('/')?;
        let number = number.parse().ok()?;
        let stage = match words.next().filter(|word| !word.contains('/')) {
            None => self.stages.len().checked_sub(1)?,
            Some(name) => self
                .stages
                .iter()
                .rposition(|stage| {
                    stage.as_ref().is_some_and(|stage| stage.eq_ignore_ascii_case(name))
                })
                .or_else(|| name.strip_prefix("stage-").and_then(|index| index.parse().ok()))?,
        };
        Some((stage, number))
    }
}

/// The instruction that the vertex `step_name` runs, by stage and number where the name has them
/// and the keyword agrees, else by the most similar text.
pub fn locate(source: &str, step_name: &str) -> Option<Span> {
    Outline::new(source).locate(step_name)
}

/// Names of the stages in order; `None` for one without a name.
pub fn stages(source: &str) -> Vec<Option<String>> {
    steps_and_stages(source).1
}

pub(super) fn steps(source: &str) -> Vec<SourceStep> {
    steps_and_stages(source).0
}

fn stage_name(from: &Instruction) -> Option<String> {
    match from.words() {
        [_, word, name, ..] if word.value.eq_ignore_ascii_case("as") => {
            Some(name.value.to_ascii_lowercase())
        }
        _ => None,
    }
}

/// The instructions, and the names of the stages.
fn steps_and_stages(source: &str) -> (Vec<SourceStep>, Vec<Option<String>>) {
    let source = source.trim_start_matches('\u{feff}');
    let (mut steps, mut stages) = (Vec::new(), Vec::new());
    let (mut stage, mut next) = (None, 0);
    let mut names: HashSet<String> = HashSet::new();
    for instruction in syntax::instructions(source) {
        // An unknown one makes no step: the engine refuses it.
        let Some(keyword) = keyword(&instruction) else { continue };
        let number = match keyword {
            "FROM" => {
                stage = Some(stage.map_or(0, |stage: usize| stage + 1));
                // Pulling the base image is step 1; there is nothing to pull for scratch, or for a stage
                // before this one.
                let base = instruction.words().first().map(|it| it.value.to_ascii_lowercase());
                let base = base.unwrap_or_default();
                next = usize::from(base != "scratch" && !names.contains(&base));
                let name = stage_name(&instruction);
                names.extend(name.clone());
                stages.push(name);
                (next == 1).then_some(1)
            }
            "RUN" | "COPY" | "ADD" | "WORKDIR" => {
                next += 1;
                Some(next)
            }
            _ => None,
        };
        steps.push(SourceStep {
            keyword,
            lines: instruction.line..=instruction.last_line,
            text: collapse(&source[instruction.span.clone()]),
            stage,
            number,
            copies: copies::written(&instruction),
        });
    }
    (steps, stages)
}

/// The keyword in upper case, as the engine writes it in names.
fn keyword(instruction: &Instruction) -> Option<&'static str> {
    const WORDS: [&str; 17] = [
        "ADD",
        "ARG",
        "CMD",
        "COPY",
        "ENTRYPOINT",
        "ENV",
        "EXPOSE",
        "FROM",
        "HEALTHCHECK",
        "LABEL",
        "MAINTAINER",
        "RUN",
        "SHELL",
        "STOPSIGNAL",
        "USER",
        "VOLUME",
        "WORKDIR",
    ];
    if instruction.is_onbuild {
        return Some("ONBUILD");
    }
    WORDS.into_iter().find(|word| *word == instruction.keyword)
}

/// One line, as the engine writes it: continued lines joined, runs of blanks as one.
fn collapse(text: &str) -> String {
    let joined: Vec<&str> = text
        .lines()
        .filter(|line| !line.trim_start().starts_with('#'))
        .map(|line| line.trim_end().trim_end_matches(['\\', '`']))
        .collect();
    joined.join(" ").split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    const WORKER: &str = r#"# syntax=docker/dockerfile:1
ARG PYTHON=3.12
FROM --platform=$BUILDPLATFORM python:${PYTHON}-slim AS builder

# dependencies first
WORKDIR /app
COPY --link requirements.txt .
RUN --mount=type=cache,target=/root/.cache/pip \
    # heavy ones
    pip install \
      -r requirements.txt

ENV A=1 B="two words"
RUN <<EOF
set -e
# not a Dockerfile comment
FROM nothing
EOF

FROM scratch
COPY --from=builder /app /app
copy ["a file.txt", "/x"]
HEALTHCHECK --interval=5s CMD ["true"]
RUN ["/app/x"]
"#;

    #[test]
    fn a_stage_on_a_linked_target_is_counted_from_its_first_instruction() {
        let source = "FROM lib AS a\nRUN one\nRUN two\nFROM x\nRUN three\nRUN four\n";
        let line =
            |outline: &Outline, name: &str| outline.locate(name).map_or(0, |lines| *lines.start());
        let linked = Outline::with_linked(source, &|image| image == "lib");
        assert_eq!(line(&linked, "[a 1/3] RUN something"), 2);
        assert_eq!(line(&linked, "[stage-1 2/3] RUN something"), 5);
        assert_eq!(line(&Outline::new(source), "[a 2/3] RUN something"), 2);
    }

    #[test]
    fn steps_are_found_by_stage_and_number() {
        let at = |name: &str| locate(WORKER, name);
        assert_eq!(at("[builder 1/5] FROM docker.io/library/python:3.12-slim"), Some(3..=3));
        assert_eq!(at("[builder 2/5] WORKDIR /app"), Some(6..=6));
        assert_eq!(at("[builder 3/5] COPY --link requirements.txt ."), Some(7..=7));
        assert_eq!(
            at(
                "[builder 4/5] RUN --mount=type=cache,target=/root/.cache/pip     pip install       -r requirements.txt"
            ),
            Some(8..=11)
        );
        assert_eq!(at("[builder 5/5] RUN <<EOF (set -e...)"), Some(14..=18));
        assert_eq!(at("[stage-1 1/3] COPY --from=builder /app /app"), Some(21..=21));
        assert_eq!(at("[linux/amd64 stage-1 2/3] COPY [a file.txt, /x]"), Some(22..=22));
        assert_eq!(at("[linux/arm64 builder 2/5] WORKDIR /app"), Some(6..=6));
        assert_eq!(at("[stage-1 3/3] RUN [/app/x]"), Some(24..=24));
    }

    #[test]
    fn a_stage_on_an_earlier_one_pulls_nothing() {
        let text = "FROM b AS Deps\nRUN x\nFROM deps AS prod\nCOPY shared/ shared/\nCOPY api/ api/\n\
                    FROM prod2 AS other\nCOPY a b\n";
        assert_eq!(locate(text, "[deps 2/2] RUN x"), Some(2..=2));
        assert_eq!(locate(text, "[prod 1/2] COPY shared/ shared/"), Some(4..=4));
        assert_eq!(locate(text, "[prod 2/2] COPY api/ api/"), Some(5..=5));
        assert_eq!(locate(text, "[other 2/2] COPY a b"), Some(7..=7));
    }

    #[test]
    fn without_a_number_the_text_decides() {
        let at = |name: &str| locate(WORKER, name);
        assert_eq!(at("COPY --link requirements.txt ."), Some(7..=7));
        // A number that an ONBUILD of the base image shifted.
        assert_eq!(at("[builder 6/9] WORKDIR /app"), Some(6..=6));
        assert_eq!(at("[internal] load build context"), None);
        assert_eq!(at("exporting to image"), None);
        assert_eq!(at("COPY something entirely different"), None);
        assert_eq!(at(""), None);
    }

    #[test]
    fn a_file_of_one_stage_has_numbers_without_a_name() {
        let source = "FROM base\r\nRUN one\r\nRUN two\r\n";
        assert_eq!(locate(source, "[2/3] RUN one"), Some(2..=2));
        assert_eq!(locate(source, "[3/3] RUN two"), Some(3..=3));
    }

    #[test]
    fn the_escape_directive_is_honoured() {
        let source = "# escape=`\nFROM base\nRUN one `\n  two\nRUN three\n";
        assert_eq!(locate(source, "[2/3] RUN one   two"), Some(3..=4));
        assert_eq!(locate(source, "[3/3] RUN three"), Some(5..=5));
    }

    #[test]
    fn stages_are_listed_in_order() {
        assert_eq!(stages(WORKER), [Some("builder".to_owned()), None]);
        assert!(stages("").is_empty());
        // The engine takes a name twice, and means the last.
        let twice = "FROM a AS x\nRUN one\nFROM b AS X\nRUN two";
        assert_eq!(stages(twice).len(), 2);
        assert_eq!(locate(twice, "[x 2/2] RUN two"), Some(4..=4));
    }

    #[test]
    fn what_is_not_an_instruction_hides_no_other() {
        let source = "FROM a\nRUN one\nFORM b\nRUN two\n";
        assert_eq!(locate(source, "[2/3] RUN one"), Some(2..=2));
        assert_eq!(locate(source, "[3/3] RUN two"), Some(4..=4));
    }

    proptest::proptest! {
        #[test]
        fn never_panics(source: String, name: String) {
            let _ = locate(&source, &name);
            let _ = stages(&source);
        }

        #[test]
        fn never_panics_on_things_like_dockerfiles(
            source in "(FROM|RUN|COPY|\\[|<<E|E|\\\\|\"|#|\n| |x){0,40}",
            name in "\\[?(x|stage-1)? ?[0-9]/[0-9]\\]? (RUN|COPY|FROM)? ?x?",
        ) {
            let _ = locate(&source, &name);
        }
    }
}
