//! The commands of a shell script, as far as their words stand in it: quotes, operators and reserved words, no more.

use super::Word;
use super::lines::Char;

/// A simple command.
#[derive(Debug, Clone, Default)]
pub struct ShellCommand {
    /// `NAME=value` before the program.
    pub assignments: Vec<Word>,
    /// The program and its arguments.
    pub words: Vec<Word>,
    /// What stands between it and the command before it.
    pub joined_by: Joint,
    /// What stands behind it.
    pub followed_by: Joint,
}

/// What joins two commands.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Joint {
    /// Nothing: it is the first or the last one.
    #[default]
    None,
    /// `&&`.
    And,
    /// `;` or the end of a line.
    Then,
    /// A pipe, `||`, `&` or a parenthesis.
    Other,
}

impl ShellCommand {
    /// The name of the program, without its path and without what only starts it.
    pub fn program(&self) -> &str {
        self.words.get(self.start()).map_or("", |word| {
            let value = word.value.as_str();
            value.rsplit('/').next().unwrap_or(value)
        })
    }

    /// The words behind the program.
    pub fn arguments(&self) -> &[Word] {
        self.words.get(self.start() + 1..).unwrap_or_default()
    }

    fn start(&self) -> usize {
        let is_starter = |word: &Word| {
            matches!(word.value.as_str(), "sudo" | "exec" | "env" | "command" | "nice")
                || (word.value.contains('=') && !word.value.starts_with('-'))
        };
        let mut words = self.words.iter().enumerate();
        // `sudo -E pip`: an option belongs to what stands before it.
        let end = words
            .find(|(at, word)| !is_starter(word) && (*at == 0 || !word.value.starts_with('-')));
        end.map_or(self.words.len(), |(at, _)| at)
    }
}

/// Words that begin a command and are none of it.
const RESERVED: [&str; 12] =
    ["if", "then", "elif", "else", "do", "while", "until", "!", "{", "}", "fi", "done"];

/// The commands of a script. Where `has_lines`, the end of a line ends a command.
pub(super) fn commands(chars: &[Char], has_lines: bool) -> Vec<ShellCommand> {
    let mut reader =
        Reader { chars, at: 0, has_lines, all: Vec::new(), now: ShellCommand::default() };
    while reader.at < chars.len() {
        reader.step();
    }
    reader.end(Joint::None);
    let mut all = Vec::new();
    for command in reader.all {
        match inner(&command) {
            Some(script) => all.extend(commands(&script, true)),
            None => all.push(command),
        }
    }
    all
}

/// The script of `sh -c SCRIPT`.
fn inner(command: &ShellCommand) -> Option<Vec<Char>> {
    let is_shell = matches!(command.program(), "sh" | "bash" | "ash" | "dash" | "zsh");
    let mut words = command.arguments().iter();
    let asks = |word: &Word| word.value.starts_with('-') && word.value.ends_with('c');
    words.find(|word| asks(word)).filter(|_| is_shell)?;
    words.next().map(|word| word.chars.clone())
}

struct Reader<'a> {
    chars: &'a [Char],
    at: usize,
    has_lines: bool,
    all: Vec<ShellCommand>,
    now: ShellCommand,
}

impl Reader<'_> {
    fn char(&self, ahead: usize) -> Option<char> {
        self.chars.get(self.at + ahead).map(|(_, char)| *char)
    }

    fn step(&mut self) {
        let Some(char) = self.char(0) else { return };
        let next = self.char(1);
        match char {
            '\n' if self.has_lines => self.operator(1, Joint::Then),
            char if char.is_whitespace() => self.at += 1,
            '#' => self.comment(),
            ';' => self.operator(1, Joint::Then),
            '&' if next == Some('&') => self.operator(2, Joint::And),
            '&' if next != Some('>') => self.operator(1, Joint::Other),
            '|' if next == Some('|') => self.operator(2, Joint::Other),
            '|' | '(' | ')' => self.operator(1, Joint::Other),
            _ => self.word(),
        }
    }

    fn operator(&mut self, length: usize, joint: Joint) {
        self.at += length;
        self.end(joint);
    }

    fn end(&mut self, joint: Joint) {
        let mut command = std::mem::take(&mut self.now);
        let reserved =
            command.words.iter().take_while(|word| RESERVED.contains(&word.value.as_str())).count();
        if reserved > 0 {
            command.words.drain(..reserved);
            command.joined_by = Joint::Other;
        }
        let is_assignment = |word: &Word| {
            let name = word.value.split_once('=').map(|(name, _)| name);
            name.is_some_and(|it| {
                !it.is_empty() && it.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
            })
        };
        let assigned = command.words.iter().take_while(|word| is_assignment(word)).count();
        command.assignments = command.words.drain(..assigned).collect();
        if command.words.is_empty() && command.assignments.is_empty() {
            // `a && \n b`: the operator counts, and of two the one that is not a mere end of line.
            if self.now.joined_by == Joint::None || joint != Joint::Then {
                self.now.joined_by = if joint == Joint::Then { command.joined_by } else { joint };
            }
            return;
        }
        command.followed_by = joint;
        self.now.joined_by = joint;
        self.all.push(command);
    }

    fn comment(&mut self) {
        while let Some(char) = self.char(0) {
            if char == '\n' && self.has_lines {
                break;
            }
            self.at += 1;
        }
    }

    fn word(&mut self) {
        let start = self.at;
        let mut chars = Vec::new();
        let (mut quote, mut depth) = (None, 0_usize);
        while let Some(char) = self.char(0) {
            let before = self.at.checked_sub(1).and_then(|at| self.chars.get(at)).map(|it| it.1);
            let ends = char.is_whitespace() || ";|()".contains(char);
            let ends = ends || (char == '&' && before != Some('>') && self.char(1) != Some('>'));
            match (quote, char) {
                (None, '\'' | '"') if depth == 0 => quote = Some(char),
                (Some(open), char) if open == char => quote = None,
                (None | Some('"'), '\\') if self.char(1).is_some() => {
                    self.at += 1;
                    chars.push(self.chars[self.at]);
                }
                (None, '$') if self.char(1) == Some('(') => {
                    depth += 1;
                    chars.extend([self.chars[self.at], self.chars[self.at + 1]]);
                    self.at += 1;
                }
                (None, '(' | ')') if depth > 0 => {
                    depth = if char == '(' { depth + 1 } else { depth - 1 };
                    chars.push(self.chars[self.at]);
                }
                (None, _) if ends && depth == 0 => break,
                _ => chars.push(self.chars[self.at]),
            }
            self.at += 1;
        }
        if self.at == start {
            self.at += 1;
            return;
        }
        let (first, (last, char)) = (self.chars[start].0, self.chars[self.at - 1]);
        self.now.words.push(Word::new(chars, first..last + char.len_utf8()));
    }
}
