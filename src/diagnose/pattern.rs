//! How a message reads: a text with slots, and what stands in them.

/// What stood in the slots of a sign, by their names. Values are as they are shown.
#[derive(Debug, Default)]
pub(super) struct Slots(Vec<(&'static str, String)>);

impl Slots {
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().rfind(|(slot, _)| *slot == name).map(|(_, value)| value.as_str())
    }

    pub(super) fn set(&mut self, name: &'static str, value: impl Into<String>) {
        self.0.push((name, value.into()));
    }

    /// `template` with the values of its slots.
    pub(super) fn fill(&self, template: &str) -> String {
        let mut out = String::with_capacity(template.len());
        let mut rest = template;
        while let Some((before, slot, after)) = next_slot(rest) {
            out.push_str(before);
            out.push_str(self.get(slot).unwrap_or_default());
            rest = after;
        }
        out + rest
    }
}

/// Reads `text` by `sign`: a sign without slots stands somewhere in the text, after `=` it is the whole text; one with
/// slots or `*` is the whole text, where `*` is anything and `{slot}` is remembered.
pub(super) fn read(sign: &'static str, text: &str) -> Option<Slots> {
    let mut slots = Slots::default();
    if let Some(whole) = sign.strip_prefix('=') {
        return (text == whole).then_some(slots);
    }
    if !sign.contains(['*', '{']) {
        return text.contains(sign).then_some(slots);
    }
    let mut rest_of_sign = sign;
    let mut rest = text;
    loop {
        let at = rest_of_sign.find(['*', '{']).unwrap_or(rest_of_sign.len());
        let (literal, tail) = rest_of_sign.split_at(at);
        // The literals before gaps are eaten with the gap, so this one is the first of the sign, or what is left of it.
        rest = rest.strip_prefix(literal)?;
        let (name, tail) = match tail.strip_prefix('{').and_then(|tail| tail.split_once('}')) {
            Some((name, tail)) => (name, tail),
            None if tail.is_empty() => return rest.is_empty().then_some(slots),
            None => ("", &tail[1..]),
        };
        let until = &tail[..tail.find(['*', '{']).unwrap_or(tail.len())];
        let end = if until.len() == tail.len() {
            rest.len().checked_sub(until.len()).filter(|_| rest.ends_with(until))?
        } else if name == "command" {
            // It may hold whatever a message about it may say.
            rest.rfind(until)?
        } else {
            rest.find(until)?
        };
        let value = &rest[..end];
        if !admits(name, value) {
            return None;
        }
        slots.set(name, shown(name, value));
        rest = &rest[end..];
        rest_of_sign = tail;
    }
}

fn next_slot(template: &str) -> Option<(&str, &str, &str)> {
    let (before, rest) = template.split_once('{')?;
    let (slot, after) = rest.split_once('}')?;
    Some((before, slot, after))
}

/// Whether a slot can hold a value: names of things have no blanks.
fn admits(slot: &str, value: &str) -> bool {
    match slot {
        "id" | "secret" | "entitlement" => !value.contains(' '),
        "line" => value.trim().parse().is_ok_and(|line: usize| line > 0),
        "dockerfile" => !value.starts_with("failed to load cache key: "),
        "download" => !value.contains("/v2/") && !value.contains("/token"),
        _ => true,
    }
}

/// How the value of a slot is shown.
fn shown(slot: &str, value: &str) -> String {
    let shown = match slot {
        "command" => return command(value),
        // A mount without an id asks for the default one; 20.10 to 28.5 say it so.
        "ssh" => {
            Some(value.trim_matches(['`', '"'])).filter(|id| !id.is_empty()).unwrap_or("default")
        }
        "secret" => value.trim_matches('`'),
        "stage" => value.trim_matches('"'),
        "path" => value.trim_start_matches('/'),
        "stage_path" => {
            let below = value.rsplit_once("/merged/").map_or(value, |(_, path)| path);
            below_mount(below).trim_start_matches('/')
        }
        "dockerfile" => below_mount(value),
        "error" | "fatal" => value.trim_start().lines().next().unwrap_or_default(),
        _ => value.trim(),
    };
    shown.to_owned()
}

/// The path below a temporary folder of BuildKit: engines tell the whole of it, the containerd store its own.
fn below_mount(path: &str) -> &str {
    let folder = ["/buildkit-mount", "/cachemounts/buildkit"];
    let below = folder.iter().find_map(|folder| path.rsplit_once(folder));
    below.map_or(path, |(_, rest)| rest.split_once('/').map_or(rest, |(_, path)| path))
}

/// The first line of a command, without the shell in front; the engine quotes newlines.
fn command(command: &str) -> String {
    const WIDTH: usize = 100;
    let command = command.strip_prefix("/bin/sh -c ").unwrap_or(command);
    let command = command.replace("\\\"", "\"");
    let mut lines =
        command.split("\\n").flat_map(str::lines).map(str::trim).filter(|line| !line.is_empty());
    let first = lines.next().unwrap_or_default();
    let mut shown: String = first.chars().take(WIDTH).collect();
    if lines.next().is_some() || first.chars().count() > WIDTH {
        shown.push_str(" …");
    }
    // Continuation lines of a Dockerfile leave long runs of blanks.
    shown.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_sign_is_found_or_is_the_whole_text() {
        for (sign, text, matches) in [
            ("EOF", "unexpected EOF", true),
            ("=EOF", "unexpected EOF", false),
            ("=EOF", "EOF", true),
            ("a {x} b", "a 1 b", true),
            ("a {x} b", "a 1 b c", false),
            ("a {x} b", "and a 1 b", false),
            ("*a {x} b*", "and a 1 b c", true),
            ("{id}: gone", "a b: gone", false),
            ("{line}: x", "0: x", false),
            ("*end", "end", true),
            ("*end", "the end of", false),
            ("a*a", "a", false),
        ] {
            assert_eq!(read(sign, text).is_some(), matches, "{sign} in {text}");
        }
    }

    #[test]
    fn slots_hold_as_little_as_fits_but_commands_as_much() {
        let slots = read("{a}, {b}: {c}", "1, 2, 3: 4: 5").unwrap();
        assert_eq!(slots.fill("{c}|{b}|{a}|{d}"), "4: 5|2, 3|1|");
        let slots = read("run [{command}]: {outcome}", "run [a]: b]: c").unwrap();
        assert_eq!(slots.fill("{command}|{outcome}"), "a]: b|c");
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_read(text in "(a|b|\\*|\\{|\\}|é| |: ){0,12}") {
            for sign in ["a{x}b", "*a*b{y}", "{x}: {y}", "é*", "{id}"] {
                let _ = read(sign, &text).map(|slots| slots.fill(&text));
            }
        }
    }
}
