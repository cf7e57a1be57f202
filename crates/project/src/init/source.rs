//! One Python source without running it: statements, names and imports.
//!
//! A scanner of statements, not a parser: brackets, strings, comments and continued lines are understood, expressions
//! are text.

use std::collections::BTreeMap;

/// One logical line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statement {
    /// Columns before it.
    pub indent: usize,
    /// Its text on one line, without comments; strings over several lines are empty.
    pub text: String,
}

/// The statements of a source.
pub fn statements(source: &str) -> Vec<Statement> {
    let mut scan = Scan::default();
    let mut chars = source.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '#' => while chars.next_if(|next| *next != '\n').is_some() {},
            '\\' if matches!(chars.peek(), Some('\n' | '\r')) => {
                while chars.next_if(|next| matches!(next, '\n' | '\r')).is_some() {}
                scan.text.push(' ');
            }
            '\'' | '"' => {
                let mut string = String::new();
                let is_long = {
                    let mut ahead = chars.clone();
                    ahead.next() == Some(c) && ahead.next() == Some(c)
                };
                if is_long {
                    chars.next();
                    chars.next();
                }
                let mut quotes = 0;
                while let Some(next) = chars.next() {
                    if next == '\\' {
                        string.extend(chars.next());
                        quotes = 0;
                    } else if next == c {
                        quotes += 1;
                        if !is_long || quotes == 3 {
                            break;
                        }
                    } else if next == '\n' && !is_long {
                        break;
                    } else {
                        quotes = 0;
                        string.push(next);
                    }
                }
                scan.string(c, if is_long { "" } else { &string });
            }
            '(' | '[' | '{' => {
                scan.depth += 1;
                scan.text.push(c);
            }
            ')' | ']' | '}' => {
                scan.depth = scan.depth.saturating_sub(1);
                scan.text.push(c);
            }
            '\n' if scan.depth > 0 => scan.text.push(' '),
            '\n' => scan.end(),
            ';' if scan.depth == 0 => scan.end_part(),
            '\r' | '\u{feff}' => {}
            ' ' | '\t' if scan.text.is_empty() => scan.indent += if c == ' ' { 1 } else { 8 },
            c => scan.text.push(c),
        }
    }
    scan.end();
    scan.statements
}

#[derive(Default)]
struct Scan {
    statements: Vec<Statement>,
    text: String,
    indent: usize,
    depth: usize,
}

impl Scan {
    fn string(&mut self, quote: char, content: &str) {
        self.text.push(quote);
        self.text.push_str(content);
        self.text.push(quote);
    }

    fn end_part(&mut self) {
        let text = std::mem::take(&mut self.text);
        if !text.trim().is_empty() {
            self.statements.push(Statement { indent: self.indent, text: text.trim().to_owned() });
        }
    }

    fn end(&mut self) {
        self.end_part();
        self.indent = 0;
    }
}

/// Whether `text` can be a name.
pub fn is_identifier(text: &str) -> bool {
    text.starts_with(|c: char| c.is_alphabetic() || c == '_')
        && text.chars().all(|c| c.is_alphanumeric() || c == '_')
}

/// What a source imports.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Imports {
    /// Local names with the dotted names they stand for.
    pub names: BTreeMap<String, String>,
    /// Absolute dotted names; `from a import b` gives `a` and `a.b`.
    pub modules: Vec<String>,
    /// Most dots of a relative import.
    pub relative: usize,
    /// Top-level modules that have to be there: imported outside of `try` and of functions.
    pub required: Vec<String>,
}

/// The imports among `statements`.
pub fn imports(statements: &[Statement]) -> Imports {
    let mut imports = Imports::default();
    for Statement { indent, text } in statements {
        let before = imports.modules.len();
        if let Some(rest) = text.strip_prefix("import ") {
            for part in rest.split(',') {
                let (module, name) = aliased(part);
                if module.is_empty() {
                    continue;
                }
                let first = module.split('.').next().unwrap_or(module);
                match name {
                    Some(name) => imports.names.insert(name.to_owned(), module.to_owned()),
                    None => imports.names.insert(first.to_owned(), first.to_owned()),
                };
                imports.modules.push(module.to_owned());
            }
        } else if let Some((module, rest)) =
            text.strip_prefix("from ").and_then(|rest| rest.split_once(" import "))
        {
            let module = module.trim();
            let bare = module.trim_start_matches('.');
            imports.relative = imports.relative.max(module.len() - bare.len());
            let is_absolute = bare.len() == module.len();
            if is_absolute {
                imports.modules.push(module.to_owned());
            }
            for part in rest.trim().trim_matches(['(', ')']).split(',') {
                let (what, name) = aliased(part);
                if !is_identifier(what) {
                    continue;
                }
                let dotted = format!("{module}.{what}");
                imports.names.insert(name.unwrap_or(what).to_owned(), dotted.clone());
                if is_absolute {
                    imports.modules.push(dotted);
                }
            }
        }
        if *indent == 0 {
            for module in &imports.modules[before..] {
                let first = module.split('.').next().unwrap_or(module).to_owned();
                if !imports.required.contains(&first) {
                    imports.required.push(first);
                }
            }
        }
    }
    imports
}

/// `a.b as c` as `a.b` and `c`.
fn aliased(part: &str) -> (&str, Option<&str>) {
    let mut words = part.split_whitespace();
    let module = words.next().unwrap_or_default();
    (module, words.next().filter(|word| *word == "as").and_then(|_| words.next()))
}

/// The strings in a statement.
pub fn strings(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let start = rest.find(['"', '\''])?;
        let quote = rest[start..].chars().next()?;
        let after = &rest[start + 1..];
        let end = after.find(quote)?;
        rest = &after[end + 1..];
        Some(&after[..end])
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(source: &str) -> Vec<String> {
        statements(source).into_iter().map(|statement| statement.text).collect()
    }

    #[test]
    fn statements_are_logical_lines() {
        assert_eq!(
            texts("a = 1  # why\nb = [\n  1, # one\n  2]\nc = \\\n  3; d = '#;'\n"),
            ["a = 1", "b = [   1,    2]", "c =    3", "d = '#;'"]
        );
        assert_eq!(
            texts("\"\"\"x\napp = FastAPI()\n\"\"\"\nif True:\n\tx = '''a ' b'''\nf(\"it's\")"),
            ["\"\"", "if True:", "x = ''", "f(\"it's\")"]
        );
        let indents: Vec<_> = statements("a\n  b\n\tc\n").iter().map(|it| it.indent).collect();
        assert_eq!(indents, [0, 2, 8]);
        // Nothing that is broken is a reason to hang or to fail.
        for odd in ["'", "\"\"\"", "(((", ")))", "\\", "a = '\\"] {
            texts(odd);
        }
    }

    #[test]
    fn imports_are_absolute_names() {
        let found = imports(&statements(
            "import os, shared.jobs as jobs\nfrom api.models import A, B as C\nfrom ..x import y\n\
             try:\n  import late\nexcept ImportError:\n  pass\nfrom pkg import (\n    one,\n    two as three,\n)\n",
        ));
        assert_eq!(
            found.modules,
            [
                "os",
                "shared.jobs",
                "api.models",
                "api.models.A",
                "api.models.B",
                "late",
                "pkg",
                "pkg.one",
                "pkg.two"
            ]
        );
        assert_eq!(found.names["C"], "api.models.B");
        assert_eq!(found.names["jobs"], "shared.jobs");
        assert_eq!(found.names["three"], "pkg.two");
        assert_eq!(found.relative, 2);
        assert_eq!(found.required, ["os", "shared", "api", "pkg"]);
    }
}
