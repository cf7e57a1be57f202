//! Makes text from elsewhere (logs of steps, messages of the engine) harmless for a terminal.

/// What becomes of colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Colours {
    /// SGR sequences (`ESC [ ... m`) stay.
    Keep,
    /// Everything that is not text goes.
    Drop,
}

/// Drops what could move the cursor, set titles, write to the clipboard or otherwise drive the
/// terminal: escape sequences, C0 and C1 controls, characters that turn the direction of text. Line feeds and tabs stay.
///
/// With [`Colours::Keep`], a reset is added where the text leaves a colour on.
pub fn harmless(text: &str, colours: Colours) -> String {
    let mut out = String::with_capacity(text.len());
    let mut coloured = false;
    let mut chars = text.chars();
    while let Some(char) = chars.next() {
        match char {
            '\n' | '\t' => out.push(char),
            '\x1b' => {
                if let Some(sgr) = escape(&mut chars)
                    && colours == Colours::Keep
                {
                    coloured = !matches!(sgr, "" | "0");
                    out.push_str("\x1b[");
                    out.push_str(sgr);
                    out.push('m');
                }
            }
            char if char.is_control() || reorders(char) => {}
            char => out.push(char),
        }
    }
    if coloured {
        out.push_str("\x1b[0m");
    }
    out
}

/// Whether a character makes what stands beside it appear in another order (Unicode Annex 9, explicit
/// formatting): text could show another command than the one that ran.
fn reorders(char: char) -> bool {
    matches!(char, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Reads the rest of an escape sequence (ECMA-48). Answers the parameters of an SGR sequence.
fn escape<'a>(chars: &mut std::str::Chars<'a>) -> Option<&'a str> {
    let mut ahead = chars.clone();
    match ahead.next()? {
        // CSI: parameters, intermediates, one final byte.
        '[' => {
            let parameters = ahead.as_str();
            let mut length = 0;
            for char in ahead.by_ref() {
                match char {
                    ' '..='?' => length += char.len_utf8(),
                    '@'..='~' => {
                        *chars = ahead;
                        let parameters = &parameters[..length];
                        let plain = parameters
                            .bytes()
                            .all(|byte| byte.is_ascii_digit() || matches!(byte, b';' | b':'));
                        return (char == 'm' && plain).then_some(parameters);
                    }
                    // Not a sequence after all: the text goes on here.
                    _ => break,
                }
            }
            for _ in 0..=length {
                chars.next();
            }
            None
        }
        // OSC, DCS, SOS, PM, APC: everything up to BEL or ST.
        ']' | 'P' | 'X' | '^' | '_' => {
            while let Some(char) = ahead.next() {
                match char {
                    '\x07' | '\u{9c}' => break,
                    '\x1b' => {
                        let mut end = ahead.clone();
                        if end.next() == Some('\\') {
                            ahead = end;
                        }
                        break;
                    }
                    _ => {}
                }
            }
            *chars = ahead;
            None
        }
        // Two bytes, or intermediates and a final byte.
        ' '..='/' => {
            for char in ahead.by_ref() {
                if !matches!(char, ' '..='/') {
                    break;
                }
            }
            *chars = ahead;
            None
        }
        '0'..='~' => {
            *chars = ahead;
            None
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_text_and_colours_are_left() {
        for (raw, kept, dropped) in [
            ("\x1b[31mred\x1b[0m", "\x1b[31mred\x1b[0m", "red"),
            ("\x1b[1;38;5;3mon", "\x1b[1;38;5;3mon\x1b[0m", "on"),
            ("a\x1b[2Ab\x1b[Kc\x1b[?25ld", "abcd", "abcd"),
            ("a\x1b]0;title\x07b\x1b]52;c;eA==\x1b\\c", "abc", "abc"),
            ("a\x1bPq#0\x1b\\b\x1bcc\x1b(Bd\x1b7e", "abcde", "abcde"),
            ("tab\there\nline\x08\x7f\u{9b}2J", "tab\there\nline2J", "tab\there\nline2J"),
            ("\x1b[12", "", ""),
            ("\x1b[>4;2m\x1b[31é", "é", "é"),
            ("end\x1b", "end", "end"),
            ("a\u{202e}b\u{2066}c\u{2069}\u{200f}\u{61c}d", "abcd", "abcd"),
            ("\u{5d0}\u{200d}\u{627}", "\u{5d0}\u{200d}\u{627}", "\u{5d0}\u{200d}\u{627}"),
            ("\x1b]unended", "", ""),
        ] {
            assert_eq!(harmless(raw, Colours::Keep), kept, "{raw:?}");
            assert_eq!(harmless(raw, Colours::Drop), dropped, "{raw:?}");
        }
    }

    proptest::proptest! {
        #[test]
        fn nothing_but_sgr_survives(raw in "[\u{1b}\u{9b}\\[\\]PmA0-9;?\u{7}\\\\é\u{90} ]{0,40}") {
            let dropped = harmless(&raw, Colours::Drop);
            proptest::prop_assert!(!dropped.contains(|c: char| c.is_control()));
            let kept = harmless(&raw, Colours::Keep);
            for part in kept.split('\x1b').skip(1) {
                let end = part.find('m');
                proptest::prop_assert!(part.starts_with('[') && end.is_some(), "{kept:?}");
                let digits = &part[1..end.unwrap_or(1)];
                proptest::prop_assert!(digits.chars().all(|c| c.is_ascii_digit() || ";:".contains(c)));
            }
        }
    }
}
