//! `.env` files in compose's dialect: `export`, `KEY: value`, quotes, escapes, comments after
//! values, values over several lines, and variables in values.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use indexmap::IndexSet;

use super::error::{ComposeError, Place};
use super::interpolate::{Room, substitute, warn_unset};
use crate::files::read;

/// Reads `files` in order; a later file wins. Variables in values see `environment` first, then
/// what was read before.
pub(super) fn read_files(
    files: &[PathBuf],
    environment: &BTreeMap<String, String>,
    warnings: &mut IndexSet<String>,
) -> Result<BTreeMap<String, String>, ComposeError> {
    let mut variables = BTreeMap::new();
    for file in files {
        let text = read(file)?;
        parse(&text, &file.to_string_lossy().into(), environment, &mut variables, warnings)?;
    }
    Ok(variables)
}

/// Reads a file of `format: raw`: each line is a key and a value as it stands.
pub(super) fn read_raw(file: &Path) -> Result<BTreeMap<String, String>, ComposeError> {
    let text = read(file)?;
    let lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    let pairs = lines.filter_map(|line| line.split_once('='));
    Ok(pairs.map(|(key, value)| (key.to_owned(), value.to_owned())).collect())
}

fn read(file: &Path) -> Result<String, ComposeError> {
    if file.is_dir() {
        return Err(ComposeError::new(format!("env file {} is a directory", file.display())));
    }
    match read::bytes(file, read::TEXT) {
        Ok(bytes) => Ok(String::from_utf8_lossy(&bytes).into_owned()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            Err(ComposeError::new(format!("env file {} does not exist", file.display())))
        }
        Err(error) => Err(ComposeError::new(error.to_string())),
    }
}

/// Adds the variables of `text` to `variables`.
pub(super) fn parse(
    text: &str,
    file: &Arc<str>,
    environment: &BTreeMap<String, String>,
    variables: &mut BTreeMap<String, String>,
    warnings: &mut IndexSet<String>,
) -> Result<(), ComposeError> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut cursor = Cursor { text, at: 0, file };
    let mut room = Room::default();
    while cursor.skip_to_statement() {
        let (key, assigned) = cursor.key()?;
        if !assigned {
            // A bare name takes its value from the environment, if it has one.
            let inherited = environment.get(key).or_else(|| variables.get(key)).cloned();
            if let Some(value) = inherited {
                variables.insert(key.to_owned(), value);
            }
            continue;
        }
        let (start, raw, expand) = cursor.value()?;
        let value = if expand {
            let lookup =
                |name: &str| environment.get(name).or_else(|| variables.get(name)).cloned();
            substitute(&raw, &lookup, &mut |name| warn_unset(warnings, name))
                .and_then(|value| room.take(&value).map(|()| value))
                .map_err(|fault| fault.at(&cursor.place(start), &raw))?
        } else {
            raw
        };
        variables.insert(key.to_owned(), value);
    }
    Ok(())
}

struct Cursor<'a> {
    text: &'a str,
    at: usize,
    file: &'a Arc<str>,
}

/// White space that does not end a line.
fn is_blank(char: char) -> bool {
    matches!(char, '\t' | '\u{b}' | '\u{c}' | '\r' | ' ' | '\u{85}' | '\u{a0}')
}

impl<'a> Cursor<'a> {
    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn place(&self, at: usize) -> Place {
        Place::after(&self.text[..at], self.file)
    }

    /// Skips white space and comment lines; `false` at the end of the file.
    fn skip_to_statement(&mut self) -> bool {
        loop {
            let rest = self.rest();
            let trimmed = rest.trim_start();
            self.at += rest.len() - trimmed.len();
            if !trimmed.starts_with('#') {
                return !trimmed.is_empty();
            }
            self.at += trimmed.find('\n').unwrap_or(trimmed.len());
        }
    }

    /// The key, and whether a value follows.
    fn key(&mut self) -> Result<(&'a str, bool), ComposeError> {
        let rest = self.rest();
        if let Some(after) = rest.strip_prefix("export")
            && after.starts_with(char::is_whitespace)
        {
            self.at += rest.len() - after.trim_start_matches(is_blank).len();
        }
        let rest = self.rest();
        for (index, char) in rest.char_indices() {
            match char {
                '=' | ':' | '\n' => {
                    let key = rest[..index].trim_end();
                    let start = self.at;
                    self.at += index + 1;
                    let after = self.rest();
                    self.at += after.len() - after.trim_start_matches(is_blank).len();
                    if key.contains(' ') {
                        let message = format!("variable name `{key}` contains a space");
                        return Err(ComposeError::at(&self.place(start), message));
                    }
                    return Ok((key, char != '\n'));
                }
                '_' | '.' | '-' | '[' | ']' => {}
                _ if is_blank(char) || char.is_alphabetic() || char.is_numeric() => {}
                _ => {
                    let message = format!("unexpected character `{char}` in a variable name");
                    return Err(ComposeError::at(&self.place(self.at + index), message));
                }
            }
        }
        // A last line without a line break and without `=` names no variable.
        self.at = self.text.len();
        Ok(("", false))
    }

    /// Start of the value, its text, and whether variables in it are replaced.
    fn value(&mut self) -> Result<(usize, String, bool), ComposeError> {
        let start = self.at;
        let rest = self.rest();
        let Some(quote @ ('"' | '\'')) = rest.chars().next() else {
            let line = rest.split('\n').next().unwrap_or_default();
            self.at += (line.len() + 1).min(rest.len());
            let value = line.split(" #").next().unwrap_or_default().trim_end();
            return Ok((start, value.to_owned(), true));
        };
        let mut value = String::new();
        let mut escaped = false;
        for (index, char) in rest.char_indices().skip(1) {
            if char == quote && !escaped {
                self.at += index + 1;
                return Ok(if quote == '"' {
                    (start, expand_escapes(&value), true)
                } else {
                    (start, value, false)
                });
            }
            if char == quote {
                escaped = false;
                value.push(char);
            } else if !escaped && char == '\\' {
                escaped = true;
            } else {
                if escaped {
                    escaped = false;
                    value.push('\\');
                }
                value.push(char);
            }
        }
        let line = rest.lines().next().unwrap_or_default();
        Err(ComposeError::at(&self.place(start), format!("unterminated quoted value {line}")))
    }
}

/// Escapes in double quotes; unknown ones stay as they are. `\$` becomes `$$`, which the
/// replacement of variables turns into a dollar.
fn expand_escapes(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(backslash) = rest.find('\\') {
        out.push_str(&rest[..backslash]);
        rest = &rest[backslash + 1..];
        let Some(escape) = rest.chars().next() else {
            out.push('\\');
            break;
        };
        let simple = match escape {
            'a' => Some("\u{7}"),
            'b' => Some("\u{8}"),
            'f' => Some("\u{c}"),
            'n' => Some("\n"),
            'r' => Some("\r"),
            't' => Some("\t"),
            'v' => Some("\u{b}"),
            '$' => Some("$$"),
            '"' => Some("\""),
            '\\' => Some("\\"),
            _ => None,
        };
        if let Some(simple) = simple {
            out.push_str(simple);
            rest = &rest[1..];
        } else if let Some(byte) = octal(rest) {
            out.push(char::from(byte));
            rest = &rest[4..];
        } else {
            out.push('\\');
        }
    }
    out.push_str(rest);
    out
}

/// `0` and three octal digits.
fn octal(text: &str) -> Option<u8> {
    let digits = text.strip_prefix('0')?.get(..3)?;
    digits
        .bytes()
        .all(|byte| (b'0'..=b'7').contains(&byte))
        .then(|| u8::from_str_radix(digits, 8).ok())
        .flatten()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    fn run(text: &str) -> Result<BTreeMap<String, String>, ComposeError> {
        let environment = BTreeMap::from([("OUTER".to_owned(), "outer".to_owned())]);
        let mut variables = BTreeMap::new();
        parse(text, &".env".into(), &environment, &mut variables, &mut IndexSet::new())?;
        Ok(variables)
    }

    fn value(text: &str) -> String {
        run(text).unwrap().remove("A").unwrap()
    }

    #[test]
    fn reads_the_dialect() {
        for (text, expected) in [
            ("A=1", "1"),
            ("  export   A = x y  \n", "x y"),
            ("A: yaml", "yaml"),
            ("# c\n\nA=v # comment\nB=2", "v"),
            ("A=v#not", "v#not"),
            ("A=\"x # y\" \n", "x # y"),
            ("A='$OUTER \\' q'", "$OUTER ' q"),
            ("A=\"$OUTER ${MISSING:-d}\"", "outer d"),
            ("A=\"a\\nb\\tc \\q \\$OUTER \\0101\"", "a\nb\tc \\q $OUTER A"),
            ("A=\"two\nlines\"\nB=1", "two\nlines"),
            ("OUTER=inner\nA=$OUTER", "outer"),
            ("X=first\nA=${X}-b", "first-b"),
            ("A=", ""),
            ("\u{feff}A=bom", "bom"),
            ("A=a\r\nB=b\r\n", "a"),
            ("A=$$x", "$x"),
        ] {
            assert_eq!(value(text), expected, "{text:?}");
        }
    }

    #[test]
    fn variables_of_variables_have_a_bound() {
        let mut doubling = "A0=0123456789\n".to_owned();
        for line in 1..16 {
            let below = format!("${{A{}}}", line - 1).repeat(4);
            doubling.push_str(&format!("A{line}={below}\n"));
        }
        let error = run(&doubling).unwrap_err();
        assert_eq!(error.place.unwrap().line, 10);
        assert!(error.message.contains("longer than 1 MiB"), "{}", error.message);
        // Each value alone is small enough.
        let long = format!("A={}\n", "x".repeat(1_000_000));
        let many: String = (0..100).map(|line| format!("B{line}=${{A}}\n")).collect();
        let error = run(&(long + &many)).unwrap_err();
        assert!(error.message.contains("longer than 64 MiB"), "{}", error.message);
    }

    #[test]
    fn inherits_bare_names() {
        assert_eq!(
            run("OUTER\nNONE\n").unwrap(),
            BTreeMap::from([("OUTER".into(), "outer".into())])
        );
    }

    #[test]
    fn says_where_a_file_is_wrong() {
        for (text, message) in [
            ("A=1\nB C=2", ".env:2:1: variable name `B C` contains a space"),
            ("A=1\n?=2", ".env:2:1: unexpected character `?` in a variable name"),
            ("A=\"x", ".env:1:3: unterminated quoted value \"x"),
            ("A=${", ".env:1:3: invalid interpolation format in `${`"),
        ] {
            assert_eq!(run(text).unwrap_err().to_string(), message);
        }
    }

    proptest! {
        #[test]
        fn never_panics(text in "[A=:'\"\\\\$#{}0-9 é\r\n]{0,60}") {
            let _ = run(&text);
        }
    }
}
