//! A Dockerfile in its parts: instructions with their flags and words, the commands of each RUN, stages and what they
//! stand on; every part with its place.
//!
//! The one parser of Dockerfiles here: as lenient as one can be, since the engine refuses what is wrong.

mod around;
mod instruction;
mod lines;
mod shell;
mod stages;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::ops::Range;

use super::variables::Variables;
use lines::Char;

pub use around::Setting;
pub use instruction::{Body, Instruction};
pub use shell::{Joint, ShellCommand};
pub use stages::Stage;

/// Words of one text.
#[derive(Debug, Clone, Default)]
pub struct Word {
    /// Without quotes and escapes.
    pub value: String,
    /// Where it stands in the text, with its quotes.
    pub span: Range<usize>,
    chars: Vec<Char>,
}

impl Word {
    fn new(chars: Vec<Char>, span: Range<usize>) -> Self {
        Self { value: chars.iter().map(|(_, char)| char).collect(), span, chars }
    }

    /// The part that begins with the first `prefix` in it and is as long.
    pub fn part(&self, prefix: &str) -> Option<Range<usize>> {
        let at = self.value.find(prefix)?;
        let first = self.value[..at].chars().count();
        let last = first + prefix.chars().count();
        let (end, char) = self.chars.get(last.checked_sub(1)?)?;
        Some(self.chars.get(first)?.0..end + char.len_utf8())
    }
}

/// A Dockerfile.
pub struct Syntax {
    /// In order.
    pub instructions: Vec<Instruction>,
    /// In order.
    pub stages: Vec<Stage>,
    text: String,
    /// Where lines begin.
    lines: Vec<usize>,
    variables: Variables,
}

impl Syntax {
    /// Takes `source` apart. `args` are the build arguments that are given.
    pub fn new(source: &str, args: &BTreeMap<String, String>) -> Self {
        let text = source.trim_start_matches('\u{feff}').to_owned();
        let (mut instructions, lines) = read(&text, true);
        let definitions = instructions.iter().flat_map(Instruction::definitions);
        let variables = Variables::resolve(definitions, args);
        let stages = stages::stages(&mut instructions, &variables);
        Self { instructions, stages, text, lines, variables }
    }

    /// The text that places are places of: without a byte order mark.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// `text` with the variables replaced that are known.
    pub fn expand(&self, text: &str) -> String {
        self.variables.expand(text)
    }

    /// Line and column of a place, from 1; columns in characters.
    pub fn place(&self, at: usize) -> (usize, usize) {
        let line = line_of(&self.lines, at);
        let before = self.text.get(self.lines[line - 1]..at).unwrap_or_default();
        (line, before.chars().count() + 1)
    }
}

/// The instructions of a text without byte order marks, those of RUN without their commands.
pub(super) fn instructions(text: &str) -> Vec<Instruction> {
    read(text, false).0
}

/// The instructions of a text, and where its lines begin.
fn read(text: &str, with_commands: bool) -> (Vec<Instruction>, Vec<usize>) {
    let (logical, escape) = lines::logical(text);
    let mut instructions: Vec<Instruction> = logical
        .into_iter()
        .filter_map(|line| Instruction::read(text, &line, escape, with_commands))
        .collect();
    let ends = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n');
    let lines: Vec<usize> = [0].into_iter().chain(ends.map(|(at, _)| at + 1)).collect();
    for instruction in &mut instructions {
        instruction.line = line_of(&lines, instruction.span.start);
        instruction.last_line = line_of(&lines, instruction.span.end);
    }
    (instructions, lines)
}

/// The line of a place, from 1, by where lines begin.
fn line_of(lines: &[usize], at: usize) -> usize {
    lines.partition_point(|start| *start <= at).max(1)
}
