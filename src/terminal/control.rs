//! Makes text from elsewhere (logs of steps, messages of the engine) harmless for a terminal.

use anstyle_parse::{Params, Parser, Perform};

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
    let mut out = Text { text: String::with_capacity(text.len()), colours, coloured: false };
    for (index, line) in text.split('\n').enumerate() {
        if index > 0 {
            out.text.push('\n');
        }
        // A parser for each line: what one leaves open must not hide the next.
        let mut parser = <Parser>::default();
        for byte in line.bytes() {
            parser.advance(&mut out, byte);
        }
    }
    if out.coloured {
        out.text.push_str("\x1b[0m");
    }
    out.text
}

/// What a terminal would show of what it parses. Everything that is not mentioned here is dropped.
struct Text {
    text: String,
    colours: Colours,
    coloured: bool,
}

impl Perform for Text {
    fn print(&mut self, char: char) {
        if !char.is_control() && !reorders(char) {
            self.text.push(char);
        }
    }

    fn execute(&mut self, byte: u8) {
        if byte == b'\t' {
            self.text.push('\t');
        }
    }

    fn csi_dispatch(&mut self, params: &Params, intermediates: &[u8], ignore: bool, end: u8) {
        if end != b'm' || !intermediates.is_empty() || ignore || self.colours == Colours::Drop {
            return;
        }
        let parts = |part: &[u16]| part.iter().map(u16::to_string).collect::<Vec<_>>().join(":");
        let sgr = params.iter().map(parts).collect::<Vec<_>>().join(";");
        self.coloured = sgr != "0";
        self.text.push_str(&format!("\x1b[{sgr}m"));
    }
}

/// Whether a character makes what stands beside it appear in another order (Unicode Annex 9, explicit
/// formatting): text could show another command than the one that ran.
fn reorders(char: char) -> bool {
    matches!(char, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
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
            // A terminal waits for the end of the sequence, too.
            ("\x1b[>4;2m\x1b[31é m", "", ""),
            ("end\x1b", "end", "end"),
            ("a\u{202e}b\u{2066}c\u{2069}\u{200f}\u{61c}d", "abcd", "abcd"),
            ("\u{5d0}\u{200d}\u{627}", "\u{5d0}\u{200d}\u{627}", "\u{5d0}\u{200d}\u{627}"),
            ("\x1b]unended", "", ""),
            ("\x1b]unended\nshown", "\nshown", "\nshown"),
            ("\x1bPé\x1b[2J\nshown\x1b[", "\nshown", "\nshown"),
            ("\x1b[;1m\x1b[mx", "\x1b[0;1m\x1b[0mx", "x"),
            ("\x1b[4:3mx\x1b[24m", "\x1b[4:3mx\x1b[24m\x1b[0m", "x"),
            ("\x1b[99999999999999999999mx", "\x1b[65535mx\x1b[0m", "x"),
            ("\x1b[31\x1b[32mx", "\x1b[32mx\x1b[0m", "x"),
            ("\x1b[31\x18mx\x1b[3\x1a1m", "mx1m", "mx1m"),
            ("\x1b[?31mx\x1b[31 mx\x1b[=1my", "xxy", "xxy"),
            ("\u{9d}0;title\u{9c}a\u{90}q\u{9c}b\u{85}c\u{8d}", "0;titleaqbc", "0;titleaqbc"),
            ("\x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\", "link", "link"),
            ("\x1b]52;c;é\u{9c}eA==\x07a\x1b_G\x1b\\\x1b^x\x1b\\\x1bXy\x1b\\b", "ab", "ab"),
            ("\x1b#8\x1b%G\x1bN\x1b=a\x1b[!pb\x1b[6nc\x1b[5i", "abc", "abc"),
            ("cut \u{fffd}\x1b", "cut \u{fffd}", "cut \u{fffd}"),
        ] {
            assert_eq!(harmless(raw, Colours::Keep), kept, "{raw:?}");
            assert_eq!(harmless(raw, Colours::Drop), dropped, "{raw:?}");
        }
    }

    #[test]
    fn more_parameters_than_a_terminal_takes_are_dropped_with_their_sequence() {
        let many = format!("a\x1b[{}mb", "1;".repeat(1000));
        assert_eq!(harmless(&many, Colours::Keep), "ab");
    }

    /// Bytes that are not text have become U+FFFD before they come here, wherever they were cut.
    #[test]
    fn what_was_cut_anywhere_is_harmless_in_both_parts() {
        let raw = "é\x1b[31mré\x1b]0;tîtle\x07\x1bPqé\x1b\\\x1b[2J\u{9b}é\u{202e}".as_bytes();
        for at in 0..=raw.len() {
            for part in [&raw[..at], &raw[at..]] {
                let kept = harmless(&String::from_utf8_lossy(part), Colours::Keep);
                let plain = kept.replace("\x1b[31m", "").replace("\x1b[0m", "");
                assert!(!plain.contains(|c: char| c.is_control() || reorders(c)), "{at}: {kept:?}");
            }
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
