//! What the texts of scalar values must look like where compose reads a number, a size or a path out of them.
//!
//! compose refuses most of them when they are empty, which is how a forgotten `.env` shows.

use super::decode::parse_bytes;
use super::ports::is_port;

/// A form a text has to have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    Bool,
    Int,
    Float,
    /// Bytes, with a unit or without.
    Size,
    Duration,
    /// `all` or a number.
    Count,
    /// `all`.
    All,
    NotEmpty,
    ContainerName,
    PullPolicy,
    /// `HOST=ADDRESS` or `HOST:ADDRESS`.
    Host,
    /// The short form of a port.
    Port,
    /// A command in one text.
    Command,
    /// The short form of a volume.
    Volume,
}

impl Format {
    /// By its name in `schema_keys.txt`.
    pub(super) fn named(name: &str) -> Option<Self> {
        Some(match name {
            "bool" => Self::Bool,
            "int" => Self::Int,
            "float" => Self::Float,
            "size" => Self::Size,
            "duration" => Self::Duration,
            "count" => Self::Count,
            "all" => Self::All,
            "text" => Self::NotEmpty,
            "container" => Self::ContainerName,
            "policy" => Self::PullPolicy,
            "host" => Self::Host,
            "port" => Self::Port,
            "command" => Self::Command,
            "volume" => Self::Volume,
            _ => return None,
        })
    }

    /// What it is, for messages.
    pub(super) fn words(self) -> &'static str {
        match self {
            Self::Bool => "a boolean",
            Self::Int => "an integer",
            Self::Float => "a number",
            Self::Size => "a size such as 64m",
            Self::Duration => "a duration such as 1m30s",
            Self::Count => "`all` or a number",
            Self::All => "`all`",
            Self::NotEmpty => "a text",
            Self::ContainerName => "a name of letters, digits, `_`, `.` and `-`",
            Self::PullPolicy => "a policy such as always, missing or build",
            Self::Host => "HOST=ADDRESS",
            Self::Port => "a port such as 8080:80",
            Self::Command => "a command whose quotes end",
            Self::Volume => "a volume such as SOURCE:TARGET",
        }
    }

    pub(super) fn admits(self, text: &str) -> bool {
        match self {
            Self::Bool => {
                let known = ["true", "false", "y", "yes", "on", "n", "no", "off"];
                known.contains(&text.to_lowercase().as_str())
            }
            Self::Int => text.parse::<i64>().is_ok(),
            Self::Float => text.parse::<f64>().is_ok(),
            Self::Size => parse_bytes(text).is_some(),
            Self::Duration => parse_duration(text).is_some(),
            Self::Count => text == "all" || text.parse::<i64>().is_ok(),
            Self::All => text == "all",
            Self::NotEmpty => !text.is_empty(),
            // The pattern of compose's schema is not anchored: two such characters anywhere.
            Self::ContainerName => text.as_bytes().windows(2).any(|pair| {
                pair[0].is_ascii_alphanumeric()
                    && (pair[1].is_ascii_alphanumeric() || b"_.-".contains(&pair[1]))
            }),
            Self::PullPolicy => {
                let known = "always never build if_not_present missing refresh daily weekly";
                known.split(' ').any(|word| text.contains(word)) || text.contains("every_")
            }
            Self::Host => text.contains(['=', ':']),
            Self::Port => is_port(text),
            Self::Command => words(text).is_some(),
            Self::Volume => volume_sections(text).is_some(),
        }
    }
}

/// Nanoseconds of `1h30m`, `1.5s`, `1d`, with weeks and days as compose's library has them.
pub(super) fn parse_duration(text: &str) -> Option<i64> {
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    if unsigned == "0" {
        return Some(0);
    }
    if unsigned.is_empty() {
        return None;
    }
    let mut rest = unsigned;
    let mut nanos = 0.0;
    while !rest.is_empty() {
        let number = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        let (digits, tail) = rest.split_at(number);
        let unit = tail.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(unit);
        let unit = match unit {
            "ns" => 1.0,
            "us" | "µs" | "μs" => 1e3,
            "ms" => 1e6,
            "s" => 1e9,
            "m" => 60e9,
            "h" => 3600e9,
            "d" => 24.0 * 3600e9,
            "w" => 7.0 * 24.0 * 3600e9,
            _ => return None,
        };
        nanos += digits.parse::<f64>().ok()? * unit;
        rest = tail;
    }
    #[allow(clippy::cast_possible_truncation, reason = "what is too long is the longest there is")]
    let nanos = nanos.round() as i64;
    Some(if text.starts_with('-') { -nanos } else { nanos })
}

/// The parts of a volume's short form between colons; `None` where one is empty or there are too many
/// (compose-go `format/volume.go`). A single letter before a colon is a drive.
pub(super) fn volume_sections(text: &str) -> Option<Vec<&str>> {
    if text.is_empty() {
        return None;
    }
    if text.len() <= 2 {
        return Some(vec![text]);
    }
    let mut sections = Vec::new();
    let mut start = 0;
    for (index, _) in text.match_indices(':') {
        let section = &text[start..index];
        let mut chars = section.chars();
        if chars.next().is_some_and(char::is_alphabetic) && chars.next().is_none() {
            continue;
        }
        sections.push(section);
        start = index + 1;
    }
    sections.push(&text[start..]);
    (sections.len() <= 3 && sections.iter().all(|section| !section.is_empty())).then_some(sections)
}

/// The volume that a short form names, where it names one: not a path, not an anonymous volume.
pub(super) fn named_volume(text: &str) -> Option<&str> {
    let sections = volume_sections(text).filter(|sections| sections.len() > 1)?;
    let source = sections[0];
    (!source.starts_with(['.', '/', '~', '\\']) && !is_drive(source)).then_some(source)
}

/// Whether a path begins as those of Windows do.
pub(super) fn is_drive(path: &str) -> bool {
    let mut chars = path.chars();
    chars.next().is_some_and(char::is_alphabetic) && chars.next() == Some(':')
}

/// Splits a command as compose does (go-shellwords): quotes and backslashes, and an end at what a shell would take for
/// a second command or a file. `None` where quotes do not end.
pub(super) fn words(text: &str) -> Option<Vec<String>> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let (mut single, mut double) = (false, false);
    let mut chars = text.chars();
    while let Some(char) = chars.next() {
        match char {
            '\\' if !single => word.get_or_insert_default().extend(chars.next()),
            '\'' if !double => {
                single = !single;
                word.get_or_insert_default();
            }
            '"' if !single => {
                double = !double;
                word.get_or_insert_default();
            }
            ' ' | '\t' | '\r' | '\n' if !single && !double => words.extend(word.take()),
            ';' | '&' | '|' | '<' | '>' if !single && !double => break,
            '(' if !single
                && !double
                && word.as_deref().is_some_and(|word| word.ends_with('$')) =>
            {
                // A command in a command stays one word.
                let word = word.get_or_insert_default();
                word.push(char);
                for char in chars.by_ref() {
                    word.push(char);
                    if char == ')' {
                        break;
                    }
                }
            }
            char => word.get_or_insert_default().push(char),
        }
    }
    words.extend(word);
    (!single && !double).then_some(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_are_those_of_compose() {
        for (format, good, bad) in [
            (Format::Bool, &["true", "No", "off"][..], &["", "1", "maybe"][..]),
            (Format::Int, &["5", "-1", "+3"], &["", "1.5", " 5", "0x10"]),
            (Format::Float, &["0.5", "1e3", "-1"], &["", "half"]),
            (Format::Size, &["64m", "1.5 GB", "0"], &["", "m", "-1"]),
            (
                Format::Duration,
                &["0", "1m30s", "1.5h", "1d", "-5s"],
                &["", "5", "s", "1x", "1.2.3s"],
            ),
            (
                Format::Port,
                &["80", "8080:80", ":80", "80/tcp", "[::1]:80:80"],
                &["", "80:", "/tcp"],
            ),
            (
                Format::Volume,
                &["/x", "a:/x", "./a:/x:ro", "C:\\a:/x"],
                &["", ":/x", "ab:", "ab:/b:ro:z"],
            ),
            (Format::Host, &["a=1.2.3.4", "a:1.2.3.4"], &["", "a"]),
            (Format::ContainerName, &["ab", "-ab"], &["", "a", "-"]),
            (Format::PullPolicy, &["always", "every_12h"], &["", "sometimes"]),
        ] {
            for text in good {
                assert!(format.admits(text), "{format:?} {text:?}");
            }
            for text in bad {
                assert!(!format.admits(text), "{format:?} {text:?}");
            }
        }
    }

    #[test]
    fn only_names_are_named_volumes() {
        assert_eq!(named_volume("data:/x:ro"), Some("data"));
        for path in ["/x", "./a:/x", "/a:/x", "~/a:/x", "C:\\a:/x", "..:/x"] {
            assert_eq!(named_volume(path), None, "{path}");
        }
    }

    /// As compose 2.40.3 printed them.
    #[test]
    fn commands_are_split_as_compose_does() {
        for (text, split) in [
            ("a && b | c > d; e", &["a"][..]),
            (
                "a `x` $(y z) 'q w' \"e\\\" r\" \\n t#u ''",
                &["a", "`x`", "$(y z)", "q w", "e\" r", "n", "t#u", ""],
            ),
            ("", &[]),
        ] {
            assert_eq!(words(text).unwrap_or_default(), split, "{text}");
        }
        for text in ["a \"b c", "it's", "a 'b\" c"] {
            assert_eq!(words(text), None, "{text}");
        }
    }
}
