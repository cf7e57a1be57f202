//! What decides on a step besides its words as the engine tells them: how it is written, what is set above it, and where
//! its stage begins.

use std::collections::BTreeMap;

use super::{Instruction, Syntax};

/// Something that is set for the instructions below: `ENV E`, `ARG V`, `USER`, `SHELL`, and the value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting {
    /// `ENV E`.
    pub name: String,
    /// Its value; `None` for an ARG without one, or with one that is given from outside.
    pub value: Option<String>,
}

impl Syntax {
    /// The instruction that begins at `line`, by its index.
    pub fn at_line(&self, line: usize) -> Option<usize> {
        let found = self.instructions.binary_search_by_key(&line, |it| it.line).ok();
        found.filter(|at| !self.instructions[*at].is_onbuild)
    }

    /// How an instruction is written, here documents included; blanks make no difference outside of these.
    pub fn written(&self, index: usize) -> String {
        let instruction = &self.instructions[index];
        match self.text.get(instruction.span.clone()) {
            Some(whole) if whole.contains("<<") => whole.to_owned(),
            _ => instruction.text.split_whitespace().collect::<Vec<_>>().join(" "),
        }
    }

    /// What is set above an instruction, in its stage and those below it, in order. `args` are the build arguments that are
    /// given.
    pub fn settings_above(&self, index: usize, args: &BTreeMap<String, String>) -> Vec<Setting> {
        let Some(stage) = self.instructions[index].stage else { return Vec::new() };
        let above = self.steps(stage).into_iter().filter(|at| {
            // Lower stages count as a whole.
            self.instructions[*at].stage != Some(stage) || *at < index
        });
        above.flat_map(|at| self.set_by(&self.instructions[at], args)).collect()
    }

    fn set_by(&self, instruction: &Instruction, args: &BTreeMap<String, String>) -> Vec<Setting> {
        let keyword = instruction.keyword.as_str();
        match keyword {
            "ENV" | "ARG" => {
                let setting = |(name, value, _): (String, Option<String>, _)| {
                    let value = match keyword {
                        "ARG" if args.contains_key(&name) => None,
                        "ARG" => value.or_else(|| self.global(&name)),
                        _ => value,
                    };
                    Setting { name: format!("{keyword} {name}"), value }
                };
                instruction.settings().into_iter().map(setting).collect()
            }
            "USER" | "SHELL" => {
                let words = instruction.words().iter().map(|word| word.value.as_str());
                let value = Some(words.collect::<Vec<_>>().join(" "));
                vec![Setting { name: keyword.to_owned(), value }]
            }
            _ => Vec::new(),
        }
    }

    /// The default of an ARG above all stages.
    fn global(&self, name: &str) -> Option<String> {
        let above = self.instructions.iter().take_while(|it| it.stage.is_none());
        let settings = above.flat_map(Instruction::settings);
        settings.filter(|(it, ..)| it == name).filter_map(|(_, value, _)| value).last()
    }

    /// Named contexts (of `contexts`) that an instruction takes files from, and the one that its stage begins with where it
    /// is the first step there.
    pub fn contexts_of<'a>(
        &self,
        index: usize,
        contexts: &'a BTreeMap<String, String>,
    ) -> Vec<&'a str> {
        let instruction = &self.instructions[index];
        let mut names = self.sources(instruction);
        if let Some(stage) = instruction.stage {
            let makes_step = |at: &usize| {
                ["RUN", "COPY", "ADD", "WORKDIR"].contains(&self.instructions[*at].keyword.as_str())
            };
            if self.steps(stage).into_iter().find(makes_step) == Some(index) {
                names.push(self.stages[self.chain(stage)[0]].image.clone());
            }
        }
        let is_named = |name: &&String| names.iter().any(|it| it.eq_ignore_ascii_case(name));
        contexts.keys().filter(is_named).map(String::as_str).collect()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const FILE: &str = "ARG G=1\nFROM lib AS a\nENV A=1 B=2\nRUN one  \\\n  two\nUSER 5\nFROM a\nARG G\nARG H=3\nARG V=4\n\
        RUN <<E\nx\nE\nSHELL [\"sh\", \"-c\"]\nENV B=3\nCOPY --from=data . .\n";

    fn syntax() -> (Syntax, BTreeMap<String, String>) {
        let given = [("V".to_owned(), "5".to_owned())].into();
        (Syntax::new(FILE, &given), given)
    }

    #[test]
    fn what_is_set_above_is_in_order() {
        let (syntax, given) = syntax();
        let above = |line| {
            let settings = syntax.settings_above(syntax.at_line(line).unwrap(), &given).into_iter();
            let told = settings.map(|it| format!("{}={}", it.name, it.value.unwrap_or_default()));
            told.collect::<Vec<_>>().join("; ")
        };
        assert_eq!(above(4), "ENV A=1; ENV B=2");
        assert_eq!(above(11), "ENV A=1; ENV B=2; USER=5; ARG G=1; ARG H=3; ARG V=");
        assert!(above(16).ends_with("; SHELL=sh -c; ENV B=3"), "{}", above(16));
        assert_eq!(syntax.at_line(5), None);
    }

    #[test]
    fn here_documents_are_part_of_what_is_written_and_blanks_are_not() {
        let (syntax, _) = syntax();
        let written = |line| syntax.written(syntax.at_line(line).unwrap());
        assert_eq!(written(4), "RUN one two");
        assert!(written(11).contains("\nx\n"), "{}", written(11));
    }

    #[test]
    fn a_stage_begins_with_a_context_at_its_first_step() {
        let (syntax, _) = syntax();
        let contexts = ["lib", "data", "other"].map(|it| (it.to_owned(), String::new())).into();
        let of = |line| syntax.contexts_of(syntax.at_line(line).unwrap(), &contexts);
        assert_eq!((of(4), of(11), of(16)), (vec!["lib"], vec![], vec!["data"]));
    }
}
