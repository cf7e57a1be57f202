//! What a RUN is there for, behind the commands that only prepare it: `if [ -s ca ]; then export ...; fi && pip install`.

use std::borrow::Cow;

/// The instruction in one line without the commands before the one that matters, dots in their place: for where there is no room
/// for all of it. Two steps often prepare the same and differ behind it.
pub fn without_preparation(instruction: &str) -> Cow<'_, str> {
    let whole = Cow::Borrowed(instruction);
    let Some(mut rest) = instruction.strip_prefix("RUN ") else { return whole };
    let all = rest;
    while let Some(behind) = behind_preparation(rest) {
        rest = behind;
    }
    if rest.len() == all.len() { whole } else { Cow::Owned(format!("RUN ... {rest}")) }
}

/// What follows the first command, if that only prepares.
fn behind_preparation(text: &str) -> Option<&str> {
    let (command, mut rest) = first_command(text)?;
    match command.split(' ').next()? {
        "if" => {
            let mut open = 1;
            while open > 0 {
                let (command, behind) = first_command(rest)?;
                // The word of a branch stands before its first command.
                let branch = ["then ", "else "].iter().find_map(|it| command.strip_prefix(it));
                match branch.unwrap_or(command) {
                    "fi" => open -= 1,
                    command if command.starts_with("if ") => open += 1,
                    _ => {}
                }
                rest = behind;
            }
            Some(rest)
        }
        "set" | "export" | "cd" | "umask" | "trap" => Some(rest),
        _ => is_assignment(command).then_some(rest),
    }
    .filter(|rest| !rest.is_empty())
}

/// `name=value` and nothing to run with it.
fn is_assignment(command: &str) -> bool {
    let Some((name, value)) = command.split_once('=') else { return false };
    let is_name = |char: char| char.is_ascii_alphanumeric() || char == '_';
    !name.is_empty() && name.chars().all(is_name) && end_of_word(value) == value.len()
}

/// Bytes up to the first blank outside of quotes and brackets.
fn end_of_word(text: &str) -> usize {
    outside(text).find(|(_, char)| *char == ' ').map_or(text.len(), |(at, _)| at)
}

/// The first command, and what stands behind the `&&` or `;` that ends it.
fn first_command(text: &str) -> Option<(&str, &str)> {
    let (at, length) = outside(text).find_map(|(at, char)| match char {
        ';' => Some((at, 1)),
        '&' if text[at..].starts_with("&&") => Some((at, 2)),
        _ => None,
    })?;
    Some((text[..at].trim(), text[at + length..].trim_start()))
}

/// The characters outside of quotes, brackets and escapes, with their places.
fn outside(text: &str) -> impl Iterator<Item = (usize, char)> {
    let (mut quote, mut depth, mut is_escaped) = (None, 0_usize, false);
    text.char_indices().filter(move |(_, char)| {
        if std::mem::take(&mut is_escaped) {
            return false;
        }
        match (*char, quote) {
            ('\\', open) if open != Some('\'') => is_escaped = true,
            (char, Some(open)) if char == open => quote = None,
            (_, Some(_)) => {}
            (char @ ('\'' | '"' | '`'), None) => quote = Some(char),
            ('(' | '{', None) => depth += 1,
            (')' | '}', None) => depth = depth.saturating_sub(1),
            _ => return depth == 0,
        }
        false
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_only_prepares_is_left_out() {
        let ca = "if [ -s /run/secrets/ca ]; then export A=/x; fi && ";
        for (instruction, left) in [
            (format!("RUN {ca}uv venv --quiet"), "RUN ... uv venv --quiet"),
            (format!("RUN {ca}start=$(date +%s) && uv pip install x"), "RUN ... uv pip install x"),
            (
                "RUN set -eux; cd /src && A=\"b; c\" && make; make install".into(),
                "RUN ... make; make install",
            ),
            ("RUN if a; then if b; then c; fi; else d; fi; make".into(), "RUN ... make"),
            ("RUN (cd /src && make) && strip x".into(), "RUN (cd /src && make) && strip x"),
            ("RUN A=b make && c".into(), "RUN A=b make && c"),
            (
                "RUN for i in 1 2; do echo $i; done && make".into(),
                "RUN for i in 1 2; do echo $i; done && make",
            ),
            ("RUN cd /src".into(), "RUN cd /src"),
            ("RUN export A=b;".into(), "RUN export A=b;"),
            ("RUN if a; then b".into(), "RUN if a; then b"),
            ("RUN 'open quote && make".into(), "RUN 'open quote && make"),
            ("RUN <<EOF (set -e...)".into(), "RUN <<EOF (set -e...)"),
            ("COPY a b".into(), "COPY a b"),
            ("RUN".into(), "RUN"),
        ] {
            assert_eq!(without_preparation(&instruction), left);
        }
    }

    proptest::proptest! {
        #[test]
        fn it_ends_and_leaves_the_end(text in "RUN (if |fi|then |else |;|&&| |[a-z=$(){}'\"\\\\`é]){0,40}") {
            let left = without_preparation(&text);
            let end = left.strip_prefix("RUN ... ").unwrap_or(&left);
            proptest::prop_assert!(text.ends_with(end));
        }
    }
}
