//! What a cache record says, and the same instruction in the words of a step, of a record and of an image's history.
//!
//! A step's name has the values of variables where the other two have `$NAME`; records and histories
//! name the shell, steps do not.

use std::borrow::Cow;

use super::input::{BuildStep, Record};
use crate::inventory::MountDescription;

/// What records of a RUN's result say before its command.
const EXEC: &str = "mount / from exec ";
/// The shell before a command that is not in exec form.
const SHELL: &str = "/bin/sh -c ";

/// What records of BuildKit's own making say of themselves first; one of a source may be listed as a regular one until it
/// is all there.
const MADE_BY_BUILDKIT: [&str; 10] = [
    "[",
    "mount ",
    "cached mount ",
    "fileop target",
    "mkfile ",
    "diff ",
    "local source for ",
    "http url ",
    "git snapshot for ",
    "shared git repo for ",
];

/// Whether a record of this description is a layer of a base image: `from local NAME` for one that the engine
/// holds (nothing at all on the containerd store), `pulled from NAME` for one that BuildKit fetched.
pub fn is_base_layer(description: &str) -> bool {
    let text = description.trim();
    text.is_empty() || text.starts_with("from local") || text.starts_with("pulled from ")
}

/// Whether BuildKit may have got a layer as a blob: of a base image, or of a step that came with an imported cache
/// (`imported DIGEST`, or the words of an image's history, whatever these are).
pub fn came_as_blob(description: &str) -> bool {
    !MADE_BY_BUILDKIT.iter().any(|words| description.starts_with(words))
}

/// Whether a record may be the result of this RUN.
pub(super) fn is_result_of_run(description: &str, step: &BuildStep) -> bool {
    let Some(command) = description.strip_prefix(EXEC) else { return false };
    let (command, other_shell) = match command.strip_prefix(SHELL) {
        Some(command) => (command, None),
        None => (command, without_shell(command)),
    };
    // Lines that the Dockerfile continues leave runs of blanks, between flags, too.
    let mut words = step.instruction().split_whitespace();
    words.next();
    let rest: Vec<&str> = words.skip_while(|word| word.starts_with("--")).collect();
    let shown = rest.join(" ");
    if shown.contains("<<") {
        // A step's name has only the beginning of a here-document.
        return command.contains("<<") || command.contains("/dev/pipes/");
    }
    let shown = squeezed(shown.strip_prefix(SHELL).unwrap_or(&shown));
    fills(&squeezed(command), &shown)
        || other_shell.is_some_and(|command| fills(&squeezed(command), &shown))
}

/// Programs that SHELL names.
const SHELLS: [&str; 9] = ["sh", "bash", "ash", "dash", "ksh", "zsh", "fish", "pwsh", "powershell"];

/// The command that a shell is given, where the Dockerfile has a SHELL of its own: `make` of
/// `/bin/bash -o pipefail -c make`. A step's name does not say that.
fn without_shell(command: &str) -> Option<&str> {
    let (program, mut rest) = command.split_once(' ')?;
    let name = program.rsplit('/').next().unwrap_or(program);
    if !SHELLS.contains(&name) {
        return None;
    }
    // An option that ends with `o` has a word of its own behind it.
    let mut is_word = false;
    loop {
        let (word, after) = rest.split_once(' ')?;
        let is_option = word.starts_with(['-', '+']);
        if !is_option && !is_word {
            return None;
        }
        let is_last = word.ends_with('c') || word.eq_ignore_ascii_case("-command");
        if is_option && !word.starts_with("--") && is_last {
            return Some(after);
        }
        is_word = is_option && word.ends_with(['o', 'O']);
        rest = after;
    }
}

/// Without what quoting and line breaks change.
fn squeezed(text: &str) -> String {
    text.chars().filter(|char| !char.is_whitespace() && !"\"'\\[],".contains(*char)).collect()
}

/// Whether `text` is `pattern` with something in the place of each `$NAME` and `${...}`.
fn fills(pattern: &str, text: &str) -> bool {
    let mut pieces = Vec::new();
    let mut rest = pattern;
    let mut literal = String::new();
    while let Some(at) = rest.find('$') {
        literal.push_str(&rest[..at]);
        let after = &rest[at + 1..];
        let length = if after.starts_with('{') {
            after.find('}').map_or(0, |end| end + 1)
        } else {
            after.bytes().take_while(|byte| byte.is_ascii_alphanumeric() || *byte == b'_').count()
        };
        if length == 0 {
            literal.push('$');
        } else {
            pieces.push(std::mem::take(&mut literal));
        }
        rest = &after[length..];
    }
    literal.push_str(rest);
    let Some(first) = pieces.first() else { return literal == text };
    let (Some(middle), true) = (text.strip_prefix(first.as_str()), text.ends_with(&literal)) else {
        return false;
    };
    let Some(mut middle) = middle.strip_suffix(literal.as_str()) else { return false };
    for piece in &pieces[1..] {
        let Some(at) = middle.find(piece.as_str()) else { return false };
        middle = &middle[at + piece.len()..];
    }
    true
}

/// What a record's step did, in the words that [`plain`] makes of an image's history.
pub(super) fn of_record(record: &Record, step: &BuildStep) -> String {
    let is_run = record.description.starts_with(EXEC);
    if is_run { plain(&written(&record.description)) } else { plain(step.instruction()) }
}

/// The instruction that a record's description holds, as a Dockerfile has it.
pub(super) fn written(description: &str) -> Cow<'_, str> {
    match description.strip_prefix(EXEC) {
        Some(command) => Cow::Owned(format!("RUN {command}")),
        None => Cow::Borrowed(without_place(description)),
    }
}

/// What a record's description says to people: the instruction without BuildKit's words for its result.
pub fn instruction(description: &str) -> String {
    let command = description.strip_prefix(EXEC);
    let mount = MountDescription::parse(description);
    match (command, mount) {
        (Some(command), _) => format!("RUN {}", command.strip_prefix(SHELL).unwrap_or(command)),
        (_, Some(mount)) => mount.target().to_owned(),
        _ => description.to_owned(),
    }
}

/// `COPY f /f` of `[base 2/3] COPY f /f`.
fn without_place(description: &str) -> &str {
    let place = description.strip_prefix('[').and_then(|rest| rest.split_once(']'));
    place.map_or(description, |(_, instruction)| instruction.trim_start())
}

/// An instruction without its keyword, flags, build arguments (`|1 A=b`), shell and builder's mark.
pub(super) fn plain(text: &str) -> String {
    let text = text.strip_suffix(" # buildkit").unwrap_or(text);
    if text.starts_with("RUN ")
        && let Some((_, command)) = text.split_once(SHELL)
    {
        return command.split_whitespace().collect::<Vec<_>>().join(" ");
    }
    let mut words = text.split_whitespace();
    words.next();
    words.skip_while(|word| word.starts_with("--")).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ownership::records::StepEnd;

    fn step(name: &str) -> BuildStep {
        BuildStep {
            digest: String::new(),
            name: name.into(),
            end: StepEnd::Ran,
            intervals: Vec::new(),
            inputs: Vec::new(),
            mounts: Vec::new(),
            is_result: false,
        }
    }

    #[test]
    fn a_run_is_known_by_its_command() {
        for (description, name, same) in [
            ("mount / from exec /bin/sh -c make all", "[2/3] RUN make all", true),
            ("mount / from exec /bin/sh -c make", "[2/3] RUN make all", false),
            (
                "mount / from exec /bin/sh -c make   a",
                "[b 2/3] RUN --mount=type=cache,target=/c make a",
                true,
            ),
            (
                "mount / from exec /bin/sh -c make a     && make b",
                "[b 2/3] RUN --mount=type=bind,target=/b     --mount=type=cache,target=/c     make a     && make b",
                true,
            ),
            ("mount / from exec python -m x", "[2/3] RUN [\"python\", \"-m\", \"x\"]", true),
            (
                "mount / from exec /bin/sh -c echo $A-${B:-c} > f$(x)",
                "[2/3] RUN echo 1-c > f$(x)",
                true,
            ),
            ("mount / from exec /bin/sh -c echo $A-b", "[2/3] RUN echo 1-c", false),
            ("mount / from exec /bin/sh -c echo $UNSET", "[2/3] RUN echo $UNSET", true),
            ("mount / from exec /bin/sh -c <<EOF\nmake\nEOF", "[2/3] RUN <<EOF (make...)", true),
            ("[2/3] COPY f /f", "[2/3] RUN f /f", false),
            ("mount / from exec /bin/bash -o pipefail -c make all", "[2/3] RUN make all", true),
            ("mount / from exec /bin/bash -euo pipefail -c make  all", "[2/3] RUN make all", true),
            ("mount / from exec /bin/sh -e -c make all", "[2/3] RUN make all", true),
            ("mount / from exec /bin/bash -o pipefail -c make all", "[2/3] RUN make", false),
            ("mount / from exec /bin/sh -c bash -c make", "[2/3] RUN make", false),
            ("mount / from exec /bin/sh -c bash -c make", "[2/3] RUN bash -c make", true),
            ("mount / from exec python -c make", "[2/3] RUN make", false),
            ("mount / from exec bash script -c make", "[2/3] RUN make", false),
            ("mount / from exec bash --norc make", "[2/3] RUN make", false),
        ] {
            assert_eq!(is_result_of_run(description, &step(name)), same, "{description} / {name}");
        }
    }

    #[test]
    fn histories_lose_what_steps_do_not_say() {
        assert_eq!(plain("RUN |1 A=b /bin/sh -c make  all # buildkit"), "make all");
        assert_eq!(plain("COPY --chown=a f /f # buildkit"), "f /f");
        assert_eq!(plain("COPY --from=mid --link /f /f"), "/f /f");
    }
}
